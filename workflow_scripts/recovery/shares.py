"""The share that is skipped when training has ended, and one number that makes it the asked one.

Routers are trained with noise, or towards a mean over rows; by the sign of their margins alone a
model may skip more or less than was asked. With `exact_share` a number is added to the margins of
all routers, found by halving an interval on the rows that are measured: the fewer margins are 0 or
more, the more is skipped. Which tokens skip first stays as it was learned.
"""

from collections.abc import Sequence
from typing import Any

from workflow_scripts.artefacts.mask_records import DynamicRecord
from workflow_scripts.artefacts.recovery_records import Reached
from workflow_scripts.config.recoveries import SHARES_MEASURED, Recovery
from workflow_scripts.jobs.progress import tell
from workflow_scripts.models.routed import routers_of
from workflow_scripts.recovery.measuring import Measured, measure
from workflow_scripts.recovery.samples import Sample

# How near to the asked share the search ends. The last few tokens may be those that a model can do
# least without: they are not worth what a finer one shifts.
NEAR = 0.0025
FAR = 0.01  # of it, what the log mentions


def settle(
    model: Any,
    dynamic: DynamicRecord,
    samples: Sequence[Sample],
    wanted: Recovery,
    device: Any,
) -> tuple[DynamicRecord, Reached]:
    """Measure what a trained model skips, after its routers are shifted where that is wanted."""
    routing = dynamic.routing
    search = _Search(model, samples, wanted.at_once, device)
    found, by = search.at(0.0), 0.0
    routers = wanted.trained_routers
    if routers and routers.exact_share and routing.rule != "top-k":
        by, found = search.shift_to(routing.asked)
        search.at(by)
    unused = dynamic.unused_of(found.by_part)
    if abs(found.skipped - routing.asked) > FAR:
        tell(f"of the measured rows {found.skipped:.1%} is skipped; {routing.asked:.1%} was asked")
    else:
        tell(f"of the measured rows {found.skipped:.1%} is skipped, as asked")
    record = dynamic.model_copy(update={"skipped": found.skipped, "unused": unused})
    reached = Reached(
        asked=routing.asked, skipped=found.skipped, unused=unused, shift=by, loss=found.loss
    )
    return record, reached


class _Search:
    """What a model skips with a number added to all margins."""

    def __init__(self, model: Any, samples: Sequence[Sample], at_once: int, device: Any) -> None:
        self._model, self._given = model, (samples, at_once, device)
        parameters = [x for router in routers_of(model) for x in router.parameters()]
        self._first = [(parameter, parameter.detach().clone()) for parameter in parameters]
        self._found: dict[float, Measured] = {}

    def at(self, by: float) -> Measured:
        """What is skipped with that number added to what margins were at first."""
        for tensor, first in self._first:
            tensor.detach().copy_(first)
        for router in routers_of(self._model):
            for name, _ in router.named_children():
                router.shift(name, by)
        if by not in self._found:
            self._found[by] = measure(self._model, *self._given)
        return self._found[by]

    def shift_to(self, asked: float) -> tuple[float, Measured]:
        """The number by which the share is nearest to the asked one, of all that were tried."""

        def too_much(by: float) -> bool:
            return self.at(by).skipped > asked

        def is_over() -> bool:
            near = min(abs(one.skipped - asked) for one in self._found.values())
            return near <= NEAR or len(self._found) >= SHARES_MEASURED

        is_above = too_much(0.0)
        near, far, step = 0.0, 0.0, 0.25 if is_above else -0.25
        while not is_over():
            if far == near:  # no end of an interval yet: ever larger steps
                if too_much(near + step) == is_above:
                    near, far, step = near + step, near + step, 2 * step
                else:
                    far = near + step
                continue
            middle = (near + far) / 2
            if too_much(middle) == is_above:
                near = middle
            else:
                far = middle
        return min(
            self._found.items(), key=lambda item: (abs(item[1].skipped - asked), abs(item[0]))
        )
