"""The workflow as a module of another one, as snakedeploy writes it, wherever it lies."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.ordinary_user import AS_ORDINARY_USER, CAN_BE
from tests.workflow.checkout import Checkout, copy_project
from workflow_scripts.paths import PROJECT

# a job of a stage, one in snakemake's own process, and one that looks up a rule's resources
CHEAP = (
    "resources/benchmarks/chains.jsonl",
    "results/config.json",
    "resources/calibration/reasoner/chains.safetensors",
)
REFERENCE = """configfile: "config/config.yaml"

module prunethink:
    snakefile:
        {snakefile}
    config:
        config
{more}
use rule * from prunethink{names}
"""


class Ordinary(Checkout):
    def command(self, *arguments: str) -> list[str]:
        return [*AS_ORDINARY_USER, *super().command(*arguments)]


def deployed(folder: Path, snakefile: str, names: str = "", more: str = "") -> Ordinary:
    """What snakedeploy makes: a Snakefile of its own and copies of the folders with settings."""
    (folder / "workflow").mkdir(parents=True)
    text = REFERENCE.format(snakefile=snakefile, names=names, more=more)
    (folder / "workflow" / "Snakefile").write_text(text, encoding="utf-8")
    shutil.copytree(PROJECT / "config", folder / "config")
    return Ordinary(folder)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy in an awkward place that may only be read; nothing in it has been compiled."""
    folder = tmp_path_factory.mktemp("shared") / "it's a place"
    copy_project(folder)
    for compiled in list(folder.rglob("__pycache__")):
        shutil.rmtree(compiled)
    subprocess.run(["chmod", "-R", "a-w", folder], check=True)
    return folder


@pytest.mark.skipif(not CAN_BE, reason="root without setpriv may write everywhere")
@pytest.mark.parametrize("names", ["", " as study_*"])
def test_jobs_of_a_module_run(project, tmp_path, names):
    user = deployed(tmp_path / "user", f'"{project}/Snakefile"', names)
    printed = user.run("--cores", "1", "--forceall", *CHEAP)
    assert all((user.folder / path).stat().st_size for path in CHEAP)
    assert f"Rule: {names[4:-1]}build_calibration_set)" in printed


def test_a_prefix_is_one_line(project, tmp_path):
    user = deployed(tmp_path / "user", f'"{project}/Snakefile"', more='    prefix: "study"\n')
    finished = user.snakemake("--cores", "1", "--dry-run", *CHEAP)
    assert finished.returncode == 1
    assert finished.stdout.splitlines()[-1] == (
        "prunethink: a module of it takes no prefix and no replace_prefix, its paths are fixed; "
        "give it a working directory of its own"
    )


def test_a_revision_on_a_hosting_platform(tmp_path, monkeypatch):
    """A clone where Snakemake keeps those that it made stands for one from the net."""
    source = copy_project(tmp_path / "source").folder
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", source]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["tag", "v1"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    clone = tmp_path / "cache/snakemake/snakemake/source-cache/snakemake-git-cache/github.com/a/b"
    subprocess.run(["git", "clone", "-q", "--bare", source, clone], check=True)
    user = deployed(tmp_path / "user", 'github("a/b", path="Snakefile", tag="v1")')
    user.run("--cores", "1", *CHEAP)
    assert all((user.folder / path).stat().st_size for path in CHEAP)
