"""What becomes of tables and report besides."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Literal

from workflow_scripts.config.entry import Entry, Said, absent
from workflow_scripts.config.types import named
from workflow_scripts.errors import InputError


class Pair(Entry):
    """Two models of one base, trained to answer at once and to think first."""

    instruct: named("models")
    """A name from `models`, one of `run.models`: the model that answers at once."""
    think: named("models")
    """A name from `models`, another of `run.models`: the model that thinks first."""

    def contradictions(self) -> Iterator[Said]:
        if self.think == self.instruct:
            said = f"{self.think!r} is not allowed; must be another model than instruct"
            yield ("think",), said


class Tables(Entry):
    """What becomes of tables and report besides."""

    log_to: Literal["wandb", "mlflow"] = absent()
    """Where each finished run is logged too, Weights & Biases or MLflow; left out, nowhere. You
    install the package; project, server and keys are those of its environment variables."""
    timed: bool = False
    """Whether the tables of costs and of accuracy for a price hold the time that jobs took, too, as
    their logs tell it. Times differ from run to run, and so do the bytes of these tables then."""
    pair: Pair = absent()
    """Adds a table and figures of what each variant costs the one model and the other; left out,
    there are none."""


def require_package(tracker: str | None) -> None:
    """Raise `InputError` where the package, if one is named, is not installed."""
    if tracker and find_spec(tracker) is None:
        raise InputError(
            f"config: tables.log_to: {tracker} is not installed here; `pip install {tracker}` in "
            "the environment of snakemake, or leave the key out"
        )
