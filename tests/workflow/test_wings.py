"""The wings of the package import only what lies below them."""

import subprocess
import sys
from pathlib import Path

from workflow_scripts.paths import PROJECT

LINT = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()"]


def linted(folder: Path) -> subprocess.CompletedProcess[str]:
    config = [*LINT, "--config", str(PROJECT / "pyproject.toml"), "--no-cache"]
    return subprocess.run(config, cwd=folder, capture_output=True, text=True, check=False)


def test_wings_import_what_lies_below_them_and_no_stage_another():
    done = linted(PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_import_upward_is_found(tmp_path):
    package = tmp_path / "workflow_scripts"
    for path in sorted((PROJECT / "workflow_scripts").glob("*")):
        wing = package / path.stem
        if path.stem.startswith("__"):
            continue
        wing.mkdir(parents=True)
        (wing / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    assert linted(tmp_path).returncode == 0
    (package / "files" / "upward.py").write_text("import workflow_scripts.models\n")
    assert "workflow_scripts.files" in linted(tmp_path).stdout
    assert linted(tmp_path).returncode == 1
