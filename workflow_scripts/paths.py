"""Where the project and what comes with it are."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
BUNDLED = PROJECT / "bundled"
CONFIG = PROJECT / "config"
# task files in the evaluation harness's form: those of what it has not, and the demo's
DEFINITIONS = PROJECT / "workflow_scripts" / "tasks" / "definitions"
TASK_FILES = (BUNDLED / "tasks", DEFINITIONS)
