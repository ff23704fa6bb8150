"""Fixtures that several rooms share."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.models.tiny_models import save_tiny_model

# how long an example takes says more about the machine's other work than about the code
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`save_tiny_model` without its folder; every model is made once. Only to be read."""
    folders: dict[tuple, Path] = {}

    def saved(architecture: str = "llama", **options: object) -> Path:
        key = (architecture, *sorted(options.items()))
        if key not in folders:
            folder = tmp_path_factory.mktemp("model")
            folders[key] = save_tiny_model(folder, architecture, **options)
        return folders[key]

    return saved
