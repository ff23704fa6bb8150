from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.tiny_models import load_model, save_statistics, token_ids
from workflow_scripts.models.checkpoints import linears, open_checkpoint


@pytest.fixture(scope="session")
def statistics_file(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[..., Path]
) -> Callable[..., Path]:
    """Statistics of a tiny model, made once. Only to be read."""
    files: dict[Path, Path] = {}

    def made(folder: Path) -> Path:
        if folder not in files:
            place = tmp_path_factory.mktemp("statistics") / "statistics.safetensors"
            files[folder] = save_statistics(place, folder, token_ids(4, 16))
        return files[folder]

    return made


@pytest.fixture(scope="session")
def inputs_of() -> Callable[[Path], dict[str, np.ndarray]]:
    """What enters every linear of the dense model, by the name of its weight, (tokens, input),
    float64: the tokens of `statistics_file`.
    """

    def collected(folder: Path) -> dict[str, np.ndarray]:
        model, found = load_model(folder), {}
        names = [linear.name for linear in linears(open_checkpoint(folder))]

        def hook(name: str) -> Callable[[torch.nn.Module, tuple[torch.Tensor, ...]], None]:
            def note(module: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
                x = arguments[0]
                found[name] = x.double().reshape(-1, x.shape[-1])

            return note

        handles = [
            model.get_submodule(name.removesuffix(".weight")).register_forward_pre_hook(hook(name))
            for name in names
        ]
        with torch.no_grad():
            model(token_ids(4, 16).long(), use_cache=False)
        for handle in handles:
            handle.remove()
        return {name: tokens.numpy() for name, tokens in found.items()}

    return collected
