"""Where the project and what comes with it are."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
BUNDLED = PROJECT / "bundled"
CONFIG = PROJECT / "config"
