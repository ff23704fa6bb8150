"""What the stages are told of a config: which files a variant needs, and options as plain JSON."""

import json
from collections.abc import Mapping
from typing import Any

from workflow_scripts.config.settings import Settings, Variant


def needs_allocation(variant: Variant) -> bool:
    """Whether a variant's mask is built from an allocation."""
    return variant.allocation is not None


def needs_statistics(variant: Variant) -> bool:
    """Whether a variant's mask is built from the statistics of its calibration set."""
    return variant.calibration is not None and not needs_calibration(variant)


def needs_calibration(variant: Variant) -> bool:
    """Whether building a variant's mask runs the model on the calibration set itself."""
    return variant.options.get("propagate") == "pruned"


def as_options(variant: Variant) -> dict[str, Any]:
    """What building a mask must know of a variant beside its files: `method` and its own options.

    Sparsity, allocation, scope and calibration set are not in it; they reach the mask as files.
    """
    return _thawed({"method": variant.method, **variant.options})


# what the store does not keep completions apart by: another value decodes nothing anew
SPEED = ("batch_size", "engine_options", "tensor_parallel", "threads")


def generation_options(settings: Settings, model: str) -> dict[str, Any]:
    """What generation must know for one model: the generation settings and its `thinking` format.

    The format's name is there for messages alone.
    """
    thinking = vars(settings.thinking_formats[settings.models[model].thinking])
    return _thawed({**vars(settings.generation), "thinking": thinking})


def leads(settings: Settings, model: str) -> dict[str, str]:
    """The last lines of what a model's format writes in front of an answer: "Final Answer:".

    `after_cap` stands there where the budget cut the trace, `after_stop` elsewhere.
    """
    thinking = settings.thinking_formats[settings.models[model].thinking]
    texts = {key: getattr(thinking, key) for key in ("after_cap", "after_stop")}
    return {key: text.rstrip().rpartition("\n")[2] for key, text in texts.items()}


def trace_options(settings: Settings, model: str) -> dict[str, Any]:
    """What generating calibration traces must know for one model: only the largest budget counts.

    A trace is then the same as in the run itself, and is found in the generation store.
    """
    options = generation_options(settings, model)
    return {**options, "budgets": options["budgets"][-1:]}


def result_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Generation's options without those that change speed alone."""
    return {key: value for key, value in options.items() if key not in SPEED}


def speed_options(settings: Settings) -> dict[str, Any]:
    """The options that change speed alone; nothing is to rerun for them."""
    return _thawed({key: getattr(settings.generation, key) for key in SPEED})


def as_json(value: Mapping[str, Any]) -> str:
    """A source, an allocation or options as the text of one command-line flag, keys sorted."""
    return json.dumps(_thawed(value))


def _thawed(value: Any) -> Any:
    """The plain JSON value again, keys sorted, so that a config's order of keys does not matter."""
    if isinstance(value, Mapping):
        return {key: _thawed(value[key]) for key in sorted(value)}
    return list(map(_thawed, value)) if isinstance(value, tuple) else value
