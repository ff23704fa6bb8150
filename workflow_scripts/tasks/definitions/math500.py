"""What the task file math-500.yaml names: whether the last box holds the answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from workflow_scripts.artefacts.boxes import box_groups


def score(row: Mapping[str, Any], responses: Sequence[str]) -> dict[str, float]:
    """1 where what stands in the last box equals the answer by the harness's rules of notation."""
    from lm_eval.tasks.hendrycks_math.utils import is_equiv

    boxes = [content for content, _, _ in box_groups(responses[0])]
    return {"exact_match": float(bool(boxes) and is_equiv(boxes[-1], row["answer"]))}
