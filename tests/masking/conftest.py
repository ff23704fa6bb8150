from collections.abc import Callable
from pathlib import Path

import pytest

from tests.models.tiny_models import save_statistics, token_ids


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
