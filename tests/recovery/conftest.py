import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def frozen_modules() -> Iterator[None]:
    """Trainer collects garbage whenever it starts: half a second among all that is imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
