"""A whole run with foreign code in the model's folder, secrets in the environment and a judge.

One run for all of it. The model's folder holds code in every place where a library has looked for
some; its weights are links to another disk, and so is results/. The judge gives up half-way, and
the next call goes on. At the end every byte that was written is searched for the secrets.
"""

import base64
import csv
import gzip
import io
import json
import pickle
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.grading.judge.judge_server import completion, serving
from tests.workflow.checkout import Checkout, small_checkout, write_config
from workflow_scripts.paths import PROJECT

# put together here, so that a copy of this file does not hold them
HF_TOKEN = "hf_" + "Planted0" * 4
JUDGE_KEY = "sk-" + "Planted-1" * 3
SECRETS = {"HF_TOKEN": HF_TOKEN, "JUDGE_API_KEY": JUDGE_KEY}
CONFIG = ("--cores", "2", "--configfile", "small.yaml")
AGREEMENT = "results/tables/judge_agreement.csv"
TARGETS = (AGREEMENT, "results/tables/accuracy.csv", "results/tables/comparison.html")
FETCHED = "resources/models/far/manifest.json"
VARIANTS = ["dense", "wanda-50"]
PROBLEMS = 6
ASKED_BEFORE_TROUBLE = 5


@dataclass
class Run:
    """What is left of the run: its folder, the folder around it, all that was printed."""

    checkout: Checkout
    root: Path
    flag: Path
    printed: dict[str, str] = field(default_factory=dict)
    answered: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


class Planted:
    """Unpickling one writes a file."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self):
        return Path.touch, (self.flag,)


def plant_code(folder: Path, flag: Path) -> None:
    """Code wherever a library could look for some, to write `flag` if it is run."""
    code = f"import pathlib\npathlib.Path({str(flag)!r}).touch()\n"
    for name in (
        "evil.py", "modeling_qwen3.py", "configuration_qwen3.py", "tokenization_qwen3.py",
        "__init__.py", "sitecustomize.py", "setup.py", "reasoner.py", "custom_generate/generate.py",
    ):  # fmt: skip
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code)
    for name in ("pytorch_model.bin", "training_args.bin", "model.pt", "tokenizer.pkl"):
        (folder / name).write_bytes(pickle.dumps(Planted(flag)))
    (folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": str(folder)})
    )
    (folder / "requirements.txt").write_text(f"evil @ file://{folder}\n")
    own = {
        "config.json": ("AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoTokenizer"),
        "tokenizer_config.json": ("AutoTokenizer",),
        "generation_config.json": ("AutoModelForCausalLM",),
    }
    for name, classes in own.items():
        content = json.loads((folder / name).read_text())
        named = {kind: ["evil.Evil", "evil.Evil"] for kind in classes}
        content |= {"auto_map": named, "custom_generate": "custom_generate"}
        (folder / name).write_text(json.dumps(content))


def prepare(root: Path, url: str) -> Run:
    checkout = small_checkout(root / "checkout")
    flag = root / "flag"
    model, disk = root / "models" / "evil", root / "disk"
    shutil.copytree(checkout.folder / "bundled/models/reasoner", model)
    plant_code(model, flag)
    (disk / "results").mkdir(parents=True)
    (model / "model.safetensors").rename(disk / "weights-0a1b")
    (model / "model.safetensors").symlink_to(disk / "weights-0a1b")
    (checkout.folder / "results").symlink_to(disk / "results")
    problems = (checkout.folder / "small.jsonl").read_text().splitlines(keepends=True)
    (checkout.folder / "small.jsonl").write_text("".join(problems[:PROBLEMS]))
    config = {
        "run": {"models": ["evil"], "variants": VARIANTS, "benchmarks": ["small"]},
        "models": {
            "evil": {"source": {"kind": "local", "path": str(model)}, "thinking": "think"},
            "far": {"source": {"kind": "hub", "id": "owner/name"}, "thinking": "think"},
        },
        "benchmarks": {"small": {"source": {"kind": "local", "path": "small.jsonl"}}},
        "calibration_sets": {"chains": {"samples": 8, "length": 32}},
        "generation": {"budgets": [6, 24], "repeats": 1},
        "judge": {"enabled": True, "url": url, "attempts": 2, "timeout": 20, "parallel": 2},
    }
    write_config(checkout, config)
    return Run(checkout, root, flag)


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Iterator[Run]:
    in_trouble = True

    def play(number: int, body: dict) -> tuple[int, dict, bytes]:
        if in_trouble and number >= ASKED_BEFORE_TROUBLE:
            return 401, {}, f'{{"error": "the key {JUDGE_KEY} has no credit"}}'.encode()
        (message,) = body["messages"]
        run.answered.append(message["content"])
        return 200, {}, completion(verdict(message["content"]))

    root = tmp_path_factory.mktemp("access")
    with serving(play) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        patch.setenv("HF_HOME", str(root / "hub-home"))
        patch.setenv("HF_ENDPOINT", server.url)  # it is no hub, and refuses
        patch.setenv("NO_PROXY", "127.0.0.1")
        run = prepare(root, server.url)
        snakemake = run.checkout.snakemake
        run.printed["trouble"] = snakemake(*TARGETS, *CONFIG).stdout
        in_trouble = False
        run.printed["again"] = run.checkout.run(*TARGETS, *CONFIG)
        run.printed["no hub"] = snakemake(FETCHED, *CONFIG).stdout
        for name in ("summary", "detailed-summary"):
            run.printed[name] = run.checkout.run(*TARGETS, *CONFIG, f"--{name}")
        run.printed["report"] = run.checkout.run(*TARGETS, *CONFIG, "--report", "report.zip")
        run.keys = server.keys
        yield run


def verdict(question: str) -> str:
    """A judge that compares what stands there; of the first problem it is always wrong."""
    problem, right, text = re.search(
        r"Problem:\n(.*)\n\nCorrect answer:\n(.*)\n\nSolution.*:\n(.*)\n\nDoes", question, re.DOTALL
    ).groups()
    is_right = text.strip() == right
    return "correct" if is_right != (problem == FIRST) else "incorrect"


FIRST = json.loads((PROJECT / "bundled/benchmarks/chains.jsonl").read_text().splitlines()[0])[
    "question"
]


def test_a_judge_that_refuses_ends_its_job_with_one_line(ran):
    printed = ran.printed["trouble"]
    assert "Traceback" not in printed
    errors = {line for line in printed.splitlines() if line.startswith("error: ")}
    (error,) = errors
    assert re.fullmatch(
        r'error: judge: http://127.0.0.1:\d+/v1: HTTP 401 \({"error": "the key \*\*\* has no '
        r'credit"}\); check judge.url, judge.model and the key',
        error,
    )


def test_the_next_run_goes_on_from_what_the_judge_has_answered(ran):
    assert len(ran.answered) > ASKED_BEFORE_TROUBLE
    assert len(ran.answered) == len({*ran.answered})  # nothing was asked twice
    assert {key for key in ran.keys if key} == {f"Bearer {JUDGE_KEY}"}
    assert len(list((ran.checkout.folder / "judge_store").rglob("*.json"))) == len(ran.answered)


def test_the_judge_s_verdicts_stand_beside_the_grader_s(ran):
    tables = ran.checkout.folder / "results/tables"
    rows = list(csv.DictReader((ran.checkout.folder / AGREEMENT).open()))
    answers = PROBLEMS * 2  # of two budgets
    assert [row["variant"] for row in rows[: len(VARIANTS)]] == VARIANTS
    for row in rows[: len(VARIANTS)]:
        assert (int(row["answers"]), int(row["unjudged"])) == (answers, 0)
        assert float(row["agreement"]) == pytest.approx(1 - 1 / PROBLEMS)
    with (tables / "judge_disagreements.csv").open() as file:
        disagreements = list(csv.DictReader(file))
    assert len(disagreements) == 2 * len(VARIANTS) and len({d["id"] for d in disagreements}) == 1
    assert (tables / "judge_agreement.md").read_text().count("\n") >= len(VARIANTS)


def test_nothing_in_the_model_s_folder_was_run(ran):
    pickle.loads(pickle.dumps(Planted(ran.root / "works")))
    assert (ran.root / "works").exists()
    assert not ran.flag.exists()
    fetched = {path.name for path in (ran.checkout.folder / "resources/models/evil").iterdir()}
    assert "model.safetensors" in fetched
    strangers = (".py", ".bin", ".pt", ".pkl")
    assert not [name for name in fetched if name.endswith(strangers) or "adapter" in name]


def test_results_may_be_on_another_disk(ran):
    assert (ran.checkout.folder / "results").is_symlink()
    assert (ran.root / "disk/results/tables/accuracy.csv").is_file()


def test_a_hub_that_cannot_be_asked_is_one_line(ran):
    printed = ran.printed["no hub"]
    assert "Traceback" not in printed
    (error,) = {line for line in printed.splitlines() if line.startswith("error: ")}
    assert error.startswith("error: hub model 'owner/name': ")


# no secret in anything that was written


def forms(secret: str) -> set[bytes]:
    """How a secret may be written: as it is, in hexadecimal, in base64 at any place of a text."""
    plain = secret.encode()
    coded = {base64.b64encode(b"x" * before + plain)[4:-4] for before in range(3)}
    return {plain, plain.hex().encode(), secret.encode("utf-16-le"), plain[::-1], *coded}


def contents(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """A file's bytes, and those of what is packed into it."""
    yield name, name.encode() + b"\n" + data
    if data[:2] == b"\x1f\x8b":
        yield from contents(f"{name} unpacked", gzip.decompress(data))
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield from contents(f"{name}: {member}", archive.read(member))


def leaks(root: Path) -> list[str]:
    """Where below a folder any form of a secret is."""
    wanted = set().union(*(forms(secret) for secret in SECRETS.values()))
    return [
        name
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
        for name, data in contents(str(path.relative_to(root)), path.read_bytes())
        if any(form in data for form in wanted)
    ]


def test_no_secret_was_printed(ran):
    for name, printed in ran.printed.items():
        assert not any(form in printed.encode() for s in SECRETS.values() for form in forms(s)), (
            name
        )


def test_no_byte_that_was_written_is_a_secret_s(ran):
    written = {
        str(path.relative_to(ran.checkout.folder)) for path in ran.checkout.folder.rglob("*")
    }
    # logs, metadata, the store, the judge's replies, the report
    for part in ("logs/judge_answers", ".snakemake/metadata/", "store/", "judge_store/", "report"):
        assert any(name.startswith(part) for name in written), part
    assert leaks(ran.root) == []


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_the_search_would_find_a_secret(tmp_path, secret):
    text = f"before {secret} after".encode()
    (tmp_path / "plain").write_bytes(text)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(text))
    for before in range(3):
        page = b"data:," + base64.b64encode(b"y" * before + text)
        (tmp_path / f"coded-{before}.html").write_bytes(page)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.gz", gzip.compress(text))
    (tmp_path / secret).touch()
    assert len(leaks(tmp_path)) == 7
