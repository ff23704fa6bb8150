"""GPUs of a machine, by a script on PATH that answers for nvidia-smi, and the config's device."""

import re
import subprocess

import pytest

from tests.workflow.checkout import copy_project, environment


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("project"))


def start(checkout, gpus, *arguments, target="resources/benchmarks/chains.jsonl"):
    """What a start prints where there are so many GPUs."""
    tools = checkout.folder / f"{gpus}-gpus"
    tools.mkdir(exist_ok=True)
    script = tools / "nvidia-smi"
    script.write_text("#!/bin/sh\n" + "".join(f"echo '{n}, GPU-{n}'\n" for n in range(gpus)))
    script.chmod(0o755)
    env = environment()
    flags = ("--forceall", "--printshellcmds")  # with Snakemake's own log
    command = checkout.command("--cores", "1", target, *flags, *arguments)
    finished = subprocess.run(
        command, cwd=checkout.folder, env=env | {"PATH": f"{tools}:{env['PATH']}"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True,
    )  # fmt: skip
    return finished.stdout


UNUSED = "8 GPU(s) here, and models run on the CPU: `device: cuda` in the config uses them"


def test_gpus_are_counted_and_one_line_says_that_they_are_not_used(checkout):
    said = start(checkout, 8, target="results/config.json")  # by a second snakemake below it
    assert re.search("Provided resources: gpu=.*8", said) and said.count(UNUSED) == 1


def test_one_key_puts_every_stage_on_gpus(checkout):
    said = start(checkout, 8, "--config", "device=cuda")
    assert "GPU(s) here" not in said
    shown = checkout.run(
        "--dry-run", "--printshellcmds", "--config", "device=cuda", "--",
        "results/reasoner/wanda-layerif-50/answers/chains.jsonl",
    )  # fmt: skip
    for stage in ("collect_statistics", "score_influence", "generate"):
        rule = shown.split(f"rule {stage}:")[1].split("\nrule ")[0]
        assert '"device": "cuda"' in rule and "gpu=1" in rule, stage
    kept = checkout.run(
        "--dry-run", "--printshellcmds", "--config", "device=cuda", 'pruning={"device": "cpu"}',
        "--", "results/reasoner/statistics/chains.safetensors",
    )  # fmt: skip
    assert '"device": "cpu"' in kept


def test_resources_on_the_command_line_stand(checkout):
    said = start(checkout, 8, "--resources", "gpu=2")
    assert re.search("Provided resources: gpu=.*2", said)
    assert "Provided resources" not in start(checkout, 0)
