"""The stage that trains pruned models, run by the tests on tiny ones."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.artefacts.mask_references import run as prune
from tests.models.tiny_models import (
    save_allocation,
    save_calibration_set,
    save_statistics,
    token_ids,
)
from workflow_scripts.artefacts.masks import VariantFiles, variant_files
from workflow_scripts.artefacts.recovery_records import RecoveryRecord, read_recovery_record
from workflow_scripts.errors import InputError
from workflow_scripts.recovery import recover

SIZES = {"heads": 4, "kv_heads": 2, "hidden": 24, "head_dim": 6, "blocks": 3}
PAIRS = [{"prompt": f"{n}+{n % 7}=", "completion": f"{n}+{n % 7};{n * n}"} for n in range(40)]
LORA = {
    "kind": "lora",
    "rank": 3,
    "alpha": 6,
    "length": 20,
    "steps": 4,
    "batch": 4,
    "learning_rate": 0.02,
}
FULL = {key: LORA[key] for key in ("length", "steps", "batch")}
FULL |= {"kind": "full", "learning_rate": 0.002}
DATA = {"calibration": "set"}
# what a variant starts from, and the files that its mask is made from
STARTS = {
    "dense": ({}, ""),
    "wanda": (DATA | {"sparsity": 0.5}, "allocation statistics"),
    "sparsegpt": (DATA | {"sparsity": 0.5}, "allocation calibration"),
    "blocks": ({"blocks": [1]}, ""),
    "flap": (DATA | {"sparsity": 0.4}, "statistics"),
    "llm-pruner": (DATA | {"sparsity": 0.4, "keep_first": 0, "keep_last": 0}, "calibration"),
    "slicegpt": (DATA | {"slicing": 0.3, "round_to": 4}, "calibration"),
    "skipgpt": ({"skip": 0.3}, ""),
    "mod": ({"skip": 0.3, "form": "lrm", "decode_densely": True}, ""),
}


def start(place: Path, model: Path, method: str) -> VariantFiles:
    """The files of a pruned model."""
    options, needed = STARTS[method]
    ids = token_ids(4, 16)
    make = {
        "allocation": lambda path: save_allocation(path.with_suffix(".json"), model, 0.5),
        "statistics": lambda path: save_statistics(path, model, ids),
        "calibration": lambda path: save_calibration_set(path, model, ids),
    }
    files = {kind: make[kind](place / f"{kind}.safetensors") for kind in needed.split()}
    return prune(place / method, model, {"method": method} | options, **files)


def arguments(
    place: Path,
    model: Path,
    before: VariantFiles,
    options: dict[str, Any],
    rows: list[dict[str, str]] | None = None,
) -> list[str]:
    """The flags of the stage, with its outputs in the folder `place`."""
    texts = place.parent / "texts.jsonl"
    lines = [json.dumps(row) for row in rows or PAIRS]
    texts.write_text("\n".join(lines), encoding="utf-8")
    after = variant_files(place)
    flags = {
        "model": model,
        "options": json.dumps(options),
        "texts": json.dumps({"kind": "local", "path": str(texts)}),
        "recovery": place / "recovery.json",
    }
    flags |= {f"pruned-{kind}": path for kind, path in before._asdict().items()}
    flags |= after._asdict()
    return [str(part) for flag, value in flags.items() for part in (f"--{flag}", value)]


def run(
    place: Path,
    model: Path,
    before: VariantFiles,
    options: dict[str, Any],
    rows: list[dict[str, str]] | None = None,
    flags: Sequence[str] = (),
) -> tuple[VariantFiles, RecoveryRecord]:
    recover.main([*arguments(place, model, before, options, rows), *flags])
    return variant_files(place), read_recovery_record(place / "recovery.json")


def refused(
    place: Path,
    model: Path,
    before: VariantFiles,
    options: dict[str, Any],
    rows: list[dict[str, str]] | None = None,
) -> str:
    """The one line of a stage that ends with an error and writes nothing."""
    with pytest.raises(InputError) as found:
        run(place, model, before, options, rows)
    assert not any(path.exists() for path in (*variant_files(place), place / "recovery.json"))
    (line,) = str(found.value).splitlines()
    return line
