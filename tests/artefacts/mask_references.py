"""The stage that builds masks, run by the tests, and what its masks are held against."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from tests.models.tiny_models import load_model
from workflow_scripts.artefacts.masks import VariantFiles, variant_files
from workflow_scripts.errors import InputError
from workflow_scripts.masking import build_mask
from workflow_scripts.models.checkpoints import linears, open_checkpoint

# keys of a variant that reach its mask as files
OTHERS = {
    "dense": {},
    "magnitude": {"sparsity": 0.5},
    "wanda": {"sparsity": 0.5, "calibration": "set"},
    "sparsegpt": {"sparsity": 0.5, "calibration": "set"},
    "shortgpt": {"calibration": "set"},
    "reverse-order": {},
    "blocks": {},
}


def run(place: Path, folder: Path, options: dict, **files: Path) -> VariantFiles:
    made = variant_files(place)
    stage = [
        "--model",
        folder,
        "--options",
        json.dumps(OTHERS.get(options["method"], {}) | options),
    ]
    stage += ["--mask", made.mask]
    for name, path in files.items():
        stage += [f"--{name}", path]
    stage += ["--weights", made.weights, "--record", made.record]
    build_mask.main([str(part) for part in stage])
    return made


def refused(place: Path, *arguments: object, **files: Path) -> str:
    before = sorted(place.iterdir())
    with pytest.raises(InputError) as error:
        run(place, *arguments, **files)
    assert "\n" not in str(error.value)
    assert sorted(place.iterdir()) == before
    return str(error.value)


def reference(scores: np.ndarray, sparsity: float) -> np.ndarray:
    """The mask of one row or one flattened linear by a stable sort in float64."""
    keep = np.ones(len(scores), dtype=bool)
    keep[np.argsort(scores, kind="stable")[: round(sparsity * len(scores))]] = False
    return keep


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    parameters = dict(load_model(folder).named_parameters())
    names = [linear.name for linear in linears(open_checkpoint(folder))]
    return {name: parameters[name].detach().double().numpy() for name in names}


def sums_of_squares(
    model: PreTrainedModel, input_ids: torch.Tensor, names: list[str]
) -> dict[str, np.ndarray]:
    """Of the inputs of linears, by the names of their weights: hooks on a whole model, sample by
    sample, token by token, in float64."""
    sums = {name: 0.0 for name in names}

    def hook(name: str) -> Callable:
        def count(module: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
            for token in arguments[0].reshape(-1, arguments[0].shape[-1]).double().numpy():
                sums[name] = sums[name] + token**2

        return count

    modules = [model.get_submodule(name.removesuffix(".weight")) for name in names]
    handles = [
        module.register_forward_pre_hook(hook(name))
        for module, name in zip(modules, names, strict=True)
    ]
    with torch.no_grad():
        for sample in input_ids:
            model(input_ids=sample[None].long(), use_cache=False)
    for handle in handles:
        handle.remove()
    return sums


def keep_of(
    scores: np.ndarray,
    sparsity: float,
    *,
    comparison: str = "row",
    selection: str = "exact",
    pattern: str | None = None,
    threshold: bool = False,
) -> np.ndarray:
    """The mask of one linear (output, input), weight by weight."""
    keep = np.ones(scores.shape, dtype=bool)
    rows, columns = scores.shape
    if threshold:  # the public code: |W| <= sorted(|W|)[int(n * S)]
        limit = sorted(scores.reshape(-1))[int(scores.size * sparsity)]
        return scores > limit
    groups = [[(row, column) for column in range(columns)] for row in range(rows)]
    if comparison == "matrix":
        groups = [[place for group in groups for place in group]]
    if pattern:
        pruned, size = map(int, pattern.split(":"))
        groups = [row[i : i + size] for row in groups for i in range(0, columns, size)]
    for group in groups:
        if not pattern:
            wanted = sparsity * len(group)
            pruned = int(wanted) if selection == "paper" else round(wanted)
        for place in sorted(group, key=lambda place: scores[place])[:pruned]:
            keep[place] = False
    return keep


def wanda_masks(
    folder: Path,
    input_ids: torch.Tensor,
    sparsities: dict[str, float],
    *,
    propagate: str = "dense",
    **options: str,
) -> dict[str, np.ndarray]:
    """Wanda on a whole float64 model; where `propagate` is pruned, pruned in place on the way."""
    model = load_model(folder, torch.float64)
    masks = {}
    for block in range(model.config.num_hidden_layers):
        names = [name for name in sparsities if name.startswith(f"model.layers.{block}.")]
        sums = sums_of_squares(model, input_ids, names)
        for name in names:
            weight = model.get_parameter(name).detach()
            scores = np.abs(weight.numpy()) * np.sqrt(sums[name])[None, :]
            masks[name] = keep_of(scores, sparsities[name], **options)
        if propagate == "pruned":
            with torch.no_grad():
                for name in names:
                    model.get_parameter(name).mul_(torch.from_numpy(masks[name]))
    return masks
