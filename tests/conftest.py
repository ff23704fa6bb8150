"""Fixtures that several folders share, and the order of all tests."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.models.tiny_models import save_tiny_model
from workflow_scripts.jobs.environment import round_alike

round_alike(os.environ)  # as jobs do

# how long an example takes says more about the machine's other work than about the code
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# what takes longest comes first, so that in the end no process waits for another
LONG = ("workflow/", "engines/", "test_train", "test_pool", "test_statements", "download/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((n for n, part in enumerate(LONG) if part in item.nodeid), len(LONG))

    items.sort(key=place)


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
