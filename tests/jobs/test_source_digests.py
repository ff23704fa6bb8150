"""What makes a stage run again: a change of what its code does, and nothing else."""

import ast
import re
import sys
from pathlib import Path

import pytest

from workflow_scripts.jobs import source_digests
from workflow_scripts.jobs.source_digests import PACKAGE, source_digest

STAGE = '''"""Scores."""

from package.wing.helper import scaled


@decorated
def score(weight: float, power: float = 0.5) -> str:
    """The score of a weight."""
    # scaled once
    if weight is None:
        return "none"
    return f"{scaled(weight) * 2:.3f}"
'''
HELPER = '''def scaled(x):
    """x, scaled."""
    from package.floor import FACTOR

    return FACTOR * x
'''
FLOOR = "FACTOR = 3  # by hand\n"


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """The digest of package.wing.stage after an edit: (file, old text, new text)."""
    package = tmp_path / "package"
    (package / "wing").mkdir(parents=True)
    monkeypatch.setattr(source_digests, "PACKAGE", package)

    def digest(file="wing/stage.py", old="", new=""):
        sources = {"wing/stage.py": STAGE, "wing/helper.py": HELPER, "floor.py": FLOOR}
        for name, source in sources.items():
            assert name != file or old in source
            text = source.replace(old, new) if name == file and old else source
            (package / name).write_text(text)
        return source_digest("wing.stage")

    return digest


SAME = [
    ("wing/stage.py", "# scaled once", "# scaled, and no more than once"),
    ("wing/stage.py", "    # scaled once\n", ""),
    ("wing/stage.py", '"""Scores."""\n', ""),
    ("wing/stage.py", '"""The score of a weight."""', '"""What a weight counts for."""'),
    (
        "wing/stage.py",
        "weight: float, power: float = 0.5",
        "\n    weight: float, power: float = .5",
    ),
    ("wing/stage.py", '"none"', "'none'"),
    ("wing/helper.py", '"""x, scaled."""', '"""x times a factor."""'),
    ("floor.py", "# by hand", "# found by trying"),
]
OTHER = [
    ("wing/stage.py", "* 2", "* 3"),
    ("wing/stage.py", "* 2", "/ 2"),
    ("wing/stage.py", "* 2:.3f", "* 2:.4f"),
    ("wing/stage.py", '"none"', '"None"'),
    ("wing/stage.py", "is None", "is not None"),
    ("wing/stage.py", "is None", "is 0"),
    ("wing/stage.py", "power: float = 0.5", "power: float = 0.25"),
    ("wing/stage.py", "power: float = 0.5", "power: float"),
    ("wing/stage.py", "@decorated\n", ""),
    ("wing/stage.py", "weight: float,", "weight: int,"),
    ("wing/stage.py", "def score", "async def score"),
    ("wing/helper.py", "return FACTOR * x", "return x * FACTOR"),
    ("wing/helper.py", "x):", "x, y):"),
    ("floor.py", "FACTOR = 3", "FACTOR = 3.0"),
    ("floor.py", "FACTOR = 3", "FACTOR = True"),
    ("floor.py", "FACTOR = 3", "FACTOR = None"),
    ("floor.py", "FACTOR = 3", 'FACTOR = "3"'),
    ("floor.py", "FACTOR = 3", 'FACTOR = b"3"'),
]


@pytest.mark.parametrize("edit", SAME)
def test_comments_docstrings_and_layout_are_no_change(digest, edit):
    assert digest(*edit) == digest()


def test_whatever_the_code_does_differently_is_a_change(digest):
    """In the module itself, in what it imports, and in what a function there imports."""
    found = {digest(*edit) for edit in OTHER}
    assert len(found) == len(OTHER) and digest() not in found


def test_what_was_found_is_kept_and_nothing_is_parsed_twice(digest, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    kept = source_digests.PACKAGE / source_digests.KEPT
    first, edit = digest(), ("floor.py", "3", "4")
    another = digest(*edit)

    def again(*edit):
        source_digests._known.cache_clear()  # as in a new process
        return digest(*edit)

    with monkeypatch.context() as patch:
        patch.setattr(ast, "parse", None)
        assert again(*edit) == another
    assert again() == first
    kept.write_text("{")  # cut short
    assert again() == first
    monkeypatch.setattr(source_digests, "_MAKER", b"another way")
    with monkeypatch.context() as patch:
        patch.setattr(source_digests, "_essence", lambda tree: "")
        assert again() != first
    kept.unlink()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert again() == first and not kept.exists()


def test_no_result_comes_from_a_docstring():
    """Docstrings are not in the digest, so no code may use one but for its --help."""
    for path in PACKAGE.rglob("*.py"):
        source = re.sub(
            r"description=__doc__\.\w+\([^)]*\)\[0\]", "", path.read_text(encoding="utf-8")
        )
        assert "__doc__" not in source and "getdoc" not in source, path


def test_a_module_that_is_not_there():
    with pytest.raises(FileNotFoundError, match="no_such_stage"):
        source_digest("masking.no_such_stage")


def test_the_ground_floor_is_followed_from_real_stages():
    """An edit of a module that a stage reaches by several steps changes its digest alone."""
    kernels = PACKAGE / "pruning/kernels.py"
    stages = ("masking.methods.wanda", "grading.grade_answers")
    before = [source_digest(name) for name in stages]
    real = Path.read_bytes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda p: real(p) + b"\n0" * (p == kernels))
        after = [source_digest(name) for name in stages]
    assert after[0] != before[0] and after[1] == before[1]
