"""What becomes of tables and report besides."""

from importlib.util import find_spec
from typing import Literal

from workflow_scripts.config.entry import Entry, absent
from workflow_scripts.errors import InputError


class Tables(Entry):
    """What becomes of tables and report besides."""

    log_to: Literal["wandb", "mlflow"] = absent()
    """Where each finished run is logged too, Weights & Biases or MLflow; left out, nowhere. You
    install the package; project, server and keys are those of its environment variables."""


def require_package(tracker: str | None) -> None:
    """Raise `InputError` where the package, if one is named, is not installed."""
    if tracker and find_spec(tracker) is None:
        raise InputError(
            f"config: tables.log_to: {tracker} is not installed here; `pip install {tracker}` in "
            "the environment of snakemake, or leave the key out"
        )
