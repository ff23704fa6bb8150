"""What training after pruning gives back, and how much of that is the training's own doing.

Each variant with a recovery beside the dense model, the variant that it starts from, and its
control: the dense model with the same training. What the control gains has nothing to do with
pruning, so that the gain net of it is what was really recovered.
"""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from numpy.typing import NDArray

from workflow_scripts.tables.content.cells import cells_of
from workflow_scripts.tables.content.columns import as_frame
from workflow_scripts.tables.content.formats import Built
from workflow_scripts.tables.content.recovered_text import sections
from workflow_scripts.tables.content.removals import Masks, ratios_of, read_masks
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.statistics.differences import (
    Difference,
    difference_of_differences,
    holm,
    paired_difference,
)
from workflow_scripts.tables.statistics.ratios import regained_shares
from workflow_scripts.tables.statistics.verdicts import ALPHA, GAINS, HARMS, NO_GAIN

Row = dict[str, object]
Recovered = Mapping[str, tuple[str, str]]  # by variant, its start and its control

DENSE = "starts from the dense model"
NOT_RUN = "its start is not run"
OF_ROUTERS = "nothing was pruned, its routers were trained"
NO_LOSS = "no loss shown"  # the interval of the loss holds 0, or is below it


def build(source: Source) -> Built:
    cells = source.cells()
    run = cells.attrs
    masks = read_masks(source.shared, run["models"], run["variants"])
    rows = compare(cells, source.recovered, source.reference, masks)
    return Built(
        "Recovered", {"recovered": rows}, [*sections(rows, source.reference, run["missing"])]
    )


def compare(
    cells: pd.DataFrame, recovered: Recovered, reference: str, masks: Masks
) -> pd.DataFrame:
    """A row for every model, benchmark, budget and variant with a recovery.

    Gains and net gains are two families of tests for each model.
    """
    found = {(c.model, c.benchmark, c.budget, c.variant): c.marks for c in cells_of(cells)}
    rows: list[Row] = []
    for model in cells.attrs["models"]:
        of_model = []
        for benchmark in cells.attrs["benchmarks"]:
            budgets = sorted({key[2] for key in found if key[:2] == (model, benchmark)})
            for budget in budgets:
                place = model, benchmark, budget
                for variant in recovered:
                    if (*place, variant) in found:
                        at = dict(zip(("model", "benchmark", "budget"), place, strict=True))
                        removed = ratios_of(masks, model, variant).removed
                        names = reference, variant, *recovered[variant]
                        answers = [found.get((*place, name)) for name in names]
                        of_model.append(
                            {**at, **_named(*names[1:]), "removed": removed, **_row(*answers)}
                        )
                        if recovered[variant][0] == reference:
                            of_model[-1] |= {"reason": DENSE, "regained": math.nan}
                        mask = masks.get((model, variant))
                        if mask is not None and mask.dynamic is not None:
                            of_model[-1] |= {"reason": OF_ROUTERS}
        _judge(of_model, "p", "p_holm", "gain", "verdict")
        _judge(of_model, "net_p", "net_p_holm", "net", "net_verdict")
        rows += of_model
    return as_frame("recovered", rows)


def _named(variant: str, start: str, control: str) -> Row:
    return {"variant": variant, "start": start, "control": control}


def _row(
    dense: NDArray | None, recovered: NDArray, start: NDArray | None, control: NDArray | None
) -> Row:
    """Numbers of marks, each of shape (problems, repeats); None where they are not there.

    What cannot be told is left out.
    """
    problems, repeats = recovered.shape
    row: Row = {
        "problems": problems, "repeats": repeats, "accuracy": recovered.mean(), "reason": "",
        "verdict": "", "net_verdict": "",
    }  # fmt: skip
    if dense is not None:
        row["dense_accuracy"] = dense.mean()
    if start is None:
        return row | {"reason": NOT_RUN}
    gain = paired_difference(recovered, start)
    row |= {"start_accuracy": start.mean(), "p": gain.p}
    row |= _bounds(gain, "gain", "ci_low", "ci_high")
    if dense is None:
        return row
    row |= _bounds(paired_difference(dense, start), "loss", "loss_low", "loss_high")
    regained = [float(one) for one in regained_shares(dense, start, recovered)]
    row |= dict(zip(("regained", "regained_low", "regained_high"), regained, strict=True))
    if math.isnan(regained[0]):
        row["reason"] = NO_LOSS
    if control is not None and control is not recovered:
        of_control = paired_difference(control, dense)
        changes = (recovered.astype(float) - start) - (control.astype(float) - dense)
        net = difference_of_differences(changes)
        row |= _bounds(of_control, "control_gain", "control_low", "control_high")
        row |= _bounds(net, "net", "net_low", "net_high") | {"net_p": net.p}
    return row


def _bounds(found: Difference, *names: str) -> Row:
    return dict(zip(names, (found.difference, found.low, found.high), strict=True))


def _judge(rows: Sequence[Row], p: str, corrected: str, difference: str, said: str) -> None:
    """Correct the p values of a family, and say in words what they show."""
    tested = [row for row in rows if p in row]
    for row, p_holm in zip(tested, holm([row[p] for row in tested]) if tested else (), strict=True):
        found = GAINS if row[difference] > 0 else HARMS
        row |= {corrected: p_holm, said: found if p_holm < ALPHA else NO_GAIN}
