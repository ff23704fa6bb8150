"""How statistics and masks are made."""

from typing import Literal

from workflow_scripts.config.entry import Entry


class Pruning(Entry):
    """How statistics and masks are made; the same for every model and variant."""

    device: Literal["cpu", "cuda"] = "cpu"
    """Where the model runs on calibration and influence sets: for statistics, in every method that
    runs it itself, and for LayerIF's scores. `cpu` in fp32, `cuda` on one GPU in bf16 with sums in
    fp32 and wider. Results of the two differ in rounding. Everything else of pruning runs on the
    CPU."""
