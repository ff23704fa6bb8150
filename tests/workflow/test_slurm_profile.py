"""What can be told of the SLURM profile where there is no SLURM."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.workflow.checkout import PROJECT, copy_project, environment, small_checkout
from tests.workflow.test_generic_profile import tool, with_tools
from workflow_scripts.estimates.resources import RULES

PROFILE = ("--workflow-profile", "profiles/slurm")


@pytest.fixture(scope="module")
def planned(tmp_path_factory) -> dict[str, list[str]]:
    """The jobs of the paper's experiment: by their rule, what they ask for."""
    checkout = copy_project(tmp_path_factory.mktemp("paper"))
    text = checkout.run("--dry-run", *PROFILE, "--configfile", "config/paper.yaml")
    jobs: dict[str, list[str]] = {}
    for rule, job in re.findall(r"^(?:local)?rule (\w+):\n((?: .*\n)+)", text, re.MULTILINE):
        (asked,) = re.findall(r"^    resources: (.*)$", job, re.MULTILINE)
        jobs.setdefault(rule, []).append(asked)
    return jobs


def test_every_job_of_a_model_asks_for_what_it_needs(planned):
    assert {"generate", "collect_statistics", "build_mask", "grade_answers"} < set(planned)
    for rule in set(planned) & set(RULES):
        for asked in planned[rule]:
            memory, minutes = (
                int(re.search(rf"\b{name}=(\d+)", asked)[1]) for name in ("mem_mb", "runtime")
            )
            assert memory > 2000 and 10 <= minutes <= 1440, (rule, asked)


def test_gpus_are_asked_for_where_the_config_says_so(planned):
    for rule, count in (("generate", 1), ("collect_statistics", 1), ("build_mask", 0)):
        assert any(f"gpu={count}" in asked for asked in planned[rule]), rule
    assert not any("gpu" in asked for asked in planned["grade_answers"])


def test_a_rule_is_local_or_asks_for_what_it_needs():
    """Those that fetch, wait for a server or take seconds are local; all others are submitted."""
    rules, local = set(), set()
    for file in (PROJECT / "rules").glob("*.smk"):
        text = file.read_text()
        for names in re.findall(r"^localrules:\n((?:    \w+,\n)+)", text, re.MULTILINE):
            local |= set(re.findall(r"\w+", names))
        parts = re.split(r"^(?:rule|checkpoint|use rule (\w+) as) (\w+)", text, flags=re.MULTILINE)[
            1:
        ]
        for base, name, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            rules.add(name)
            if base in local or "    localrule: True\n" in body:
                local.add(name)
    assert {"fetch_model", "judge_answers", "collect_cells", "write_config", "write_report"} < local
    assert local.isdisjoint(RULES)
    demo = {"train_demo_reasoner", "train_demo_answerer", "make_demo_data", "make_demo_tasks"}
    assert rules == local | set(RULES) | demo


def without(command: str, folder: Path) -> str:
    """A PATH of all commands but one."""
    for place in os.environ["PATH"].split(os.pathsep):
        for path in Path(place).glob("*"):
            link = folder / path.name
            if path.name != command and not link.is_symlink():
                link.symlink_to(path)
    return str(folder)


def test_where_there_is_no_slurm_one_line_says_so_before_a_job_runs(tmp_path):
    checkout = small_checkout(tmp_path / "checkout")
    (tmp_path / "bin").mkdir()
    target = "results/reasoner/dense/mask.json"
    finished = subprocess.run(
        checkout.command(target, *PROFILE, "--configfile", "small.yaml"),
        cwd=checkout.folder,
        env=environment() | {"PATH": without("sbatch", tmp_path / "bin")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert finished.returncode == 1
    errors = [line for line in finished.stdout.splitlines() if "rror" in line]
    assert errors == [
        "error: there is no sbatch on this machine: --executor slurm needs a machine that can "
        "submit to SLURM; `snakemake` without that profile runs its jobs here"
    ]
    assert not (checkout.folder / "results").exists()
    assert not (checkout.folder / "resources").exists()
    locks = checkout.folder / ".snakemake/locks"
    assert not locks.exists() or not any(locks.iterdir())


def test_the_partitions_are_found_by_a_run_with_a_directory_of_its_own(tmp_path):
    """Here sbatch refuses every job: what it is asked for is enough."""
    checkout = small_checkout(tmp_path / "checkout")
    profile = checkout.folder / "profiles/slurm/config.yaml"
    profile.write_text(
        profile.read_text().replace("# slurm-partition-config", "slurm-partition-config")
    )
    tool(tmp_path / "bin", "sacct", "#!/bin/sh\n")  # knows of no account
    tool(tmp_path / "bin", "sbatch", '#!/bin/sh\necho "$@" > "$ASKED"\nexit 1\n')
    asked = tmp_path / "asked"
    finished = subprocess.run(
        checkout.command(
            "results/reasoner/dense/mask.json", *PROFILE, "--retries", "0",
            "--slurm-init-seconds-before-status-checks", "1",
            "--directory", "runs/own", "--configfile", "config/config.yaml",
        ),
        cwd=checkout.folder, env=with_tools(tmp_path / "bin") | {"ASKED": str(asked)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert asked.exists(), finished.stdout
    assert "-p cpu" in asked.read_text()
