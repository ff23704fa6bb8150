"""A copy of the project in a folder of its own, and snakemake run in it as a user would."""

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from workflow_scripts.paths import PROJECT

# four variants on 12 of the demo's problems: every rule of the default target, in seconds
SMALL = {
    "run": {
        "variants": ["dense", "wanda-50", "stade-biased-50", "shortgpt-1"],
        "benchmarks": ["small"],
    },
    "benchmarks": {"small": {"source": {"kind": "local", "path": "small.jsonl"}}},
    "calibration_sets": {"chains": {"samples": 16, "length": 64}},
    "generation": {"budgets": [6, 24, 72], "repeats": 2},
}


@dataclass(frozen=True)
class Checkout:
    """A copy of the project at `folder`."""

    folder: Path

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", *arguments]

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run snakemake to its end; stdout and stderr are one text, in `stdout`."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def run(self, *arguments: str) -> str:
        """Run snakemake, which must succeed; what it printed."""
        finished = self.snakemake(*arguments)
        assert finished.returncode == 0, finished.stdout
        return finished.stdout

    def planned(self, *arguments: str) -> dict[str, int]:
        """The jobs of a dry run, by rule."""
        return job_counts(self.run("--dry-run", "--quiet", "rules", *arguments))

    def tables(self) -> dict[str, bytes]:
        """Everything that people read, by name."""
        files = [
            path
            for folder in ("results/tables", "results/figures")
            for path in (self.folder / folder).rglob("*")
            if path.is_file() and not path.name.startswith(".")
        ]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in files}

    def decoded(self) -> int:
        """How many completions the store holds, doubles counted."""
        files = [file.read_bytes() for file in self.folder.glob("store/*/*.jsonl")]
        # the first line of each file says who wrote it
        return sum(max(content.count(b"\n") - 1, 0) for content in files)


def environment() -> dict[str, str]:
    """Of this process, without what would tell a checkout about another one.

    Compiled modules are kept, as they are for a user.
    """
    hidden = ("PYTHONPATH", "SNAKEMAKE_PROFILE", "PYTHONDONTWRITEBYTECODE")
    return {key: value for key, value in os.environ.items() if key not in hidden}


def job_counts(text: str) -> dict[str, int]:
    """Rule names and counts of a `Job stats` table."""
    counts = {}
    if "Job stats:" not in text:
        return counts
    for line in text.split("Job stats:")[1].splitlines()[3:]:
        words = line.split()
        if len(words) != 2 or words[0] == "total":
            break
        counts[words[0]] = int(words[1])
    return counts


def jobs_run(text: str) -> Counter[str]:
    """Rule names and counts of the jobs that a run began, by the lines that it printed."""
    line = r"^ *\d+ of \d+ done(?:, about .+ left)? +(?!in \d)(\w+)"
    return Counter(re.findall(line, text, re.MULTILINE))


def copy_project(folder: Path) -> Checkout:
    """Copy what git knows or would add, as a fresh clone would have it; modules are compiled."""
    shutil.copytree(_compiled(), folder, dirs_exist_ok=True)
    return Checkout(folder)


@cache
def _compiled() -> Path:
    """A copy to copy from, until this process ends.

    Its modules are compiled, and their digests known, which costs each copy seconds otherwise.
    """
    folder = Path(tempfile.mkdtemp(prefix="project-"))
    atexit.register(shutil.rmtree, folder)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, target = PROJECT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    compiling = [sys.executable, "-m", "compileall", "-q", "workflow_scripts"]
    subprocess.run(compiling, cwd=folder, env=environment(), check=True)
    Checkout(folder).planned()
    shutil.rmtree(folder / ".snakemake")
    return folder


def small_checkout(folder: Path, **changes: object) -> Checkout:
    """A copy with the small experiment in small.yaml; `changes` replace its sections."""
    checkout = copy_project(folder)
    problems = (folder / "bundled/benchmarks/chains.jsonl").read_text().splitlines()
    (folder / "small.jsonl").write_text("\n".join(problems[::20]) + "\n")
    write_config(checkout, SMALL | changes)
    return checkout


def write_config(checkout: Checkout, config: dict, name: str = "small.yaml") -> None:
    # JSON first: no YAML anchors for what is there twice
    text = yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=False)
    (checkout.folder / name).write_text(text)
