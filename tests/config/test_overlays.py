"""Config files: what is read otherwise than it is meant is one line, at once."""

import time

import pytest
import yaml

from workflow_scripts.config.overlays import check_config_files, read_config, read_config_file
from workflow_scripts.errors import InputError
from workflow_scripts.paths import PROJECT

LISTS = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
LISTS += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
MAPPINGS = ["a0: &a0 {a: 1, b: 2}"]
MAPPINGS += [f"a{n}: &a{n} {{a: *a{n - 1}, b: *a{n - 1}}}" for n in range(1, 41)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "generation: {repeats: 1, repeats: 40}",
            ":1: generation.repeats: this key stands twice, first in line 1; keep one",
        ),
        (
            "variants:\n  a: {method: dense}\nrun:\n  models: [b]\nvariants:\n  c: {}\n",
            ":5: variants: this key stands twice, first in line 1; keep one",
        ),
        (
            "variants:\n  a:\n    allocation: {kind: owl, M: 5}\n  'a': {method: dense}\n",
            ":4: variants.a: this key stands twice, first in line 2; keep one",
        ),
        (
            "x: [{a: 1, b: 2}, {a: 1, a: 2}]",
            ":1: x[1].a: this key stands twice, first in line 1; keep one",
        ),
        ('{"run": {"models": [1], "models": [2]}}', ": the key 'models' stands twice; keep one"),
        (
            "run: &a {models: *a, variants: [dense]}",
            ":1: run.models: refers to itself; write out what is meant",
        ),
        ("a: &a\n  - *a\n", ":1: a[0]: refers to itself; write out what is meant"),
        (
            "\n".join(LISTS),
            ":5: a4: more than 100000 values with its aliases written out; use fewer aliases",
        ),
        (
            "\n".join(MAPPINGS),
            ":16: a15: more than 100000 values with its aliases written out; use fewer aliases",
        ),
    ],
)
def test_a_config_that_is_not_what_it_seems_is_one_line(tmp_path, text, said):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    for read in (check_config_files, read_config):
        begun = time.monotonic()
        with pytest.raises(InputError) as caught:
            read([path])
        assert str(caught.value) == f"{path}{said}"
        assert time.monotonic() - begun < 1


def test_aliases_and_merges_are_read(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: [*a, *a]\n1: 2\n'1': 3\n")
    assert read_config_file(path) == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": [{"x": 1, "y": 2}] * 2,
        1: 2,
        "1": 3,
    }


def test_the_shipped_configs_are_read(tmp_path):
    for path in (PROJECT / "config").glob("*.yaml"):
        assert read_config_file(path) == yaml.safe_load(path.read_text(encoding="utf-8"))
