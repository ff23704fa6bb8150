"""Numbers of the stage against the harness's own command line, to the last digit."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import yaml
from lm_eval import tasks as harness
from lm_eval.tasks.wikitext.preprocess_wikitext import wikitext_detokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.artefacts.variants import on_disk
from tests.tasks.made_up_hub import DATA_SETS, write_mirror
from workflow_scripts.artefacts.masks import VariantFiles
from workflow_scripts.artefacts.task_records import TaskResults, read_results
from workflow_scripts.config.tasks import FetchedTask
from workflow_scripts.download.fetch_task import fetch_task
from workflow_scripts.files.atomic import write_json
from workflow_scripts.files.digests import file_digest, files_digest
from workflow_scripts.masking import export_checkpoint
from workflow_scripts.models.checkpoints import linears, load_tensor, open_checkpoint
from workflow_scripts.paths import BUNDLED
from workflow_scripts.tasks import run_tasks

LIMIT, BATCH = 40, 16
DEMO = ("chains-next-step", "chains-result")
CHAT = "chains-answer"
# entry: the harness's task, its file, the data set
SHIPPED = {
    "arc-easy": ("arc_easy", "arc/arc_easy.yaml", "allenai/ai2_arc"),
    "boolq": ("boolq", "super_glue/boolq/default.yaml", "aps/super_glue"),
    "winogrande": ("winogrande", "winogrande/default.yaml", "allenai/winogrande"),
    "wikitext": (
        "wikitext",
        "wikitext/wikitext.yaml",
        "EleutherAI/wikitext_document_level",
    ),
}
PLAIN = (*DEMO, *SHIPPED)
THINKING_END = 6  # </think>, as an id
# What the command line does, a task at a time: of several, requests would share batches, and
# another padding rounds log-likelihoods otherwise. One process for all of it, as most of each is
# imports.
BY_HAND = """
import json, sys
from lm_eval import evaluator, simple_evaluate
from lm_eval.tasks import TaskManager
evaluator.add_env_info = lambda storage: None  # what pip and git say, in seconds each time
asked = json.load(sys.stdin)
tasks = TaskManager(include_path=".", include_defaults=False)
for place, arguments in asked.items():
    found = simple_evaluate(model="hf", task_manager=tasks, **arguments)
    samples = {
        task: [[one["doc_id"], one["filtered_resps"]] for one in rows]
        for task, rows in found["samples"].items()
    }
    with open(place, "w") as file:
        json.dump({"results": found["results"], "samples": samples}, file)
"""


# by task and number: what the model said
Samples = dict[tuple[str, int], Any]


class Compared(NamedTuple):
    """Metrics by task: of the stage and of the harness's command line; of `model` in a folder."""

    model: Path
    ours: TaskResults
    by_hand: Mapping[str, Mapping[str, Any]]
    our_samples: Samples
    samples_by_hand: Samples


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Compared]:
    folder = tmp_path_factory.mktemp("parity")
    model = _model(folder / "model")
    dense = on_disk(folder / "dense", model, {})
    pruned = on_disk(folder / "pruned", model, _one_of_four(model), requested=0.75)
    hub = write_mirror(folder / "hub")
    exported = folder / "exported"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PRUNETHINK_HUB", str(hub))
        for name in (*PLAIN, CHAT):
            task = FetchedTask(**{"task": SHIPPED[name][0]} if name in SHIPPED else {})
            fetch_task(name, task, Path("resources/tasks", name, "manifest.json"))
        chat = {CHAT: {"chat": True, "limit": LIMIT}}
        plain = {name: {"limit": LIMIT, **_task(name)} for name in PLAIN}
        ours = {
            "dense": _run(patch, model, dense, plain | chat),
            "pruned": _run(patch, model, pruned, plain),
        }
    entry = {"method": "magnitude", "allocation": {"kind": "uniform"}, "sparsity": 0.75}
    made_from = {"model": "m", "variant": "v", "device": "cpu", "entry": entry, "sets": {}}
    flags = {
        "model": model, "mask": pruned.mask, "weights": pruned.weights, "record": pruned.record,
        "made-from": json.dumps(made_from), "output": exported,
    }  # fmt: skip
    export_checkpoint.main(
        [str(part) for flag in flags.items() for part in (f"--{flag[0]}", flag[1])]
    )
    place = _task_files(folder / "by-hand", hub)
    results, samples = _by_hand(
        place,
        {
            "dense": {name: _arguments(name, model) for name in (*PLAIN, CHAT)},
            "pruned": {name: _arguments(name, exported) for name in PLAIN},
        },
    )
    return {
        name: Compared(folder, ours[name], results[name], _our_samples(variant), samples[name])
        for name, folder, variant in (("dense", model, dense), ("pruned", exported, pruned))
    }


def _model(folder: Path) -> Path:
    shutil.copytree(BUNDLED / "models/reasoner", folder)
    files = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
    source = {"kind": "bundled", "name": "reasoner"}
    about = {"source": source, "revision": None, "digest": files_digest(files)}
    write_json(folder / "manifest.json", about | {"files": files})
    return folder


def _one_of_four(model: Path) -> dict[str, torch.Tensor]:
    """Masks that keep the largest of every four consecutive weights: with two the demo is right
    about every chain."""
    checkpoint, keeps = open_checkpoint(model), {}
    for linear in linears(checkpoint):
        fours = load_tensor(checkpoint, linear.name).float().abs().unflatten(1, (-1, 4))
        kept = torch.zeros_like(fours, dtype=torch.bool)
        keeps[linear.name] = kept.scatter(2, fours.topk(1, dim=2).indices, True).flatten(1)
    return keeps


def _task(name: str) -> dict[str, str]:
    return {"task": SHIPPED[name][0]} if name in SHIPPED else {}


def _run(
    patch: pytest.MonkeyPatch, model: Path, variant: VariantFiles, tasks: Mapping[str, Any]
) -> TaskResults:
    job = {
        "tasks": tasks, "engine": "transformers", "device": "cpu", "dtype": "float32", "threads": 1,
        "tensor_parallel": 1, "batch_invariant": False, "engine_options": {}, "batch_size": BATCH,
        "run_code": "sandboxed", "date": "auto", "thinking_end": "</think>",
    }  # fmt: skip
    output = variant.mask.parent / "tasks"
    flags = ["--model", model, "--variant", *variant, "--options", json.dumps(job)]
    flags += ["--store", "store", "--output", output]
    patch.setattr(sys, "argv", ["run_tasks", *map(str, flags)])
    run_tasks.main()
    return read_results(output / "other.json")


def _task_files(folder: Path, hub: Path) -> Path:
    """The demo's task files, and the harness's own with data sets from folders."""
    shutil.copytree(BUNDLED / "tasks", folder)
    for task, file, data in SHIPPED.values():
        said = {
            "include": str(Path(harness.__file__).parent / file),
            "task": f"{task}-by-hand",
            "dataset_path": str(hub / "datasets" / data / "main"),
        }
        (folder / f"{task}.yaml").write_text(yaml.safe_dump(said), encoding="utf-8")
    return folder


def _arguments(name: str, model: Path) -> dict[str, Any]:
    """What the harness is told by hand."""
    told = f"pretrained={model},dtype=float32"
    is_chat = name == CHAT
    return {
        "model_args": f"{told},think_end_token={THINKING_END}" if is_chat else told,
        "tasks": [f"{SHIPPED[name][0]}-by-hand" if name in SHIPPED else name],
        "batch_size": BATCH,
        "device": "cpu",
        "limit": LIMIT,
        "bootstrap_iters": 0,
        "apply_chat_template": is_chat,
        "fewshot_as_multiturn": is_chat,
    }


def _by_hand(
    folder: Path, asked: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> tuple[dict[str, dict[str, Any]], dict[str, Samples]]:
    """Metrics and samples by variant, of tasks that are in a folder."""
    jobs = {
        f"{variant} {name}.json": arguments
        for variant, tasks in asked.items()
        for name, arguments in tasks.items()
    }
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-c", BY_HAND],
        cwd=folder,
        env=os.environ | offline,
        input=json.dumps(jobs),
        text=True,
        check=True,
    )
    results: dict[str, dict[str, Any]] = {variant: {} for variant in asked}
    samples: dict[str, Samples] = {variant: {} for variant in asked}
    for file in jobs:
        found, variant = json.loads((folder / file).read_text(encoding="utf-8")), file.split()[0]
        for task, numbers in found["results"].items():
            name = task.removesuffix("-by-hand")
            results[variant][name] = {
                key: number
                for key, number in numbers.items()
                if "," in key and "_stderr," not in key
            }
            samples[variant] |= {(name, doc): said for doc, said in found["samples"][task]}
    return results, samples


def _our_samples(variant: VariantFiles) -> Samples:
    file = variant.mask.parent / "tasks/other.samples.jsonl"
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {(row["subtask"], row["doc_id"]): row["filtered_resps"] for row in rows}


@pytest.mark.parametrize("variant", ["dense", "pruned"])
def test_every_number_is_the_harness_s(variant: str, compared: dict[str, Compared]) -> None:
    ours, by_hand = compared[variant].ours, compared[variant].by_hand
    assert {one.task: one.metrics for one in ours.tasks.values()} == by_hand
    assert len(by_hand) == len(PLAIN) + (variant == "dense")


@pytest.mark.parametrize("variant", ["dense", "pruned"])
def test_every_response_and_log_likelihood_is_the_harness_s(
    variant: str, compared: dict[str, Compared]
) -> None:
    found = compared[variant].our_samples
    assert found == compared[variant].samples_by_hand
    assert len(found) > LIMIT * len(DEMO)


def test_they_say_something(compared: dict[str, Compared]) -> None:
    dense, pruned = compared["dense"].ours.tasks, compared["pruned"].ours.tasks
    assert 0.5 < dense[CHAT].value <= 1
    assert all(dense[name].value > pruned[name].value for name in DEMO)
    assert all(dense[name].metrics != pruned[name].metrics for name in ("wikitext", *DEMO))


@pytest.mark.parametrize("variant", ["dense", "pruned"])
def test_perplexity_is_what_double_precision_makes_of_it(
    variant: str, compared: dict[str, Compared]
) -> None:
    model, ours = compared[variant].model, compared[variant].ours
    pages = [row["page"] for row in DATA_SETS["EleutherAI/wikitext_document_level"][0].rows]
    likelihood = math.fsum(_log_likelihood(model, wikitext_detokenizer({"page": p})) for p in pages)
    words = sum(len(re.split(r"\s+", page)) for page in pages)
    found = ours.tasks["wikitext"].value
    # single precision keeps seven digits of each of the tokens' log-probabilities
    assert math.log(found) == pytest.approx(-likelihood / words, rel=1e-6)


def _log_likelihood(folder: Path, text: str) -> float:
    """Every token's, once: those that fill the context behind the end of a text, then as many as
    are left behind the ones before them, which fill the context."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    length = model.config.max_position_embeddings
    ids = AutoTokenizer.from_pretrained(folder).encode(text)
    assert len(ids) != length
    given, total, done = [model.config.eos_token_id, *ids], 0.0, 0
    while done < len(ids):
        end = min(done + length, len(ids))
        window = torch.tensor([given[max(0, end - length) : end]])
        with torch.no_grad():
            logs = model(window).logits[0].log_softmax(dim=-1)
        total += sum(logs[token - end, ids[token]].item() for token in range(done, end))
        done = end
    return total
