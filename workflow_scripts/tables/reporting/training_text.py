"""What a run's models and variants were trained on and how, in words: for its methods."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from workflow_scripts.config.recoveries import RECOVERIES
from workflow_scripts.config.references import Citations
from workflow_scripts.tables.content.formats import count

Config = Mapping[str, Any]


def own_texts(config: Config) -> Iterator[str]:
    """A sentence for the calibration sets that draw for each model from what it was trained on."""
    sets = config.get("calibration_sets", {})
    own = [name for name, one in sets.items() if one.get("source", {}).get("kind") == "own"]
    if own:
        verb = "draws" if len(own) == 1 else "draw"
        yield f"For each model {some(own)} {verb} from what that was trained on: {each(config)}"


def trained_variants(config: Config) -> dict[str, list[str]]:
    """The variants of a run that are trained after pruning, by their recovery."""
    found: dict[str, list[str]] = {}
    for name in config.get("run", {}).get("variants", ()):
        recovery = config.get("variants", {}).get(name, {}).get("recovery")
        if recovery is not None:
            found.setdefault(recovery, []).append(name)
    return found


def ways_to_prune(config: Config, variants: list[str]) -> int:
    """How many ways to prune a run's variants are, trained afterwards or not."""
    trained = trained_variants(config)
    if not trained:
        return len(variants) - 1  # all but the dense model
    entries = [config["variants"][name] for name in variants]
    pruned = [{k: v for k, v in one.items() if k != "recovery"} for one in entries]
    return len({json.dumps(one, sort_keys=True) for one in pruned}) - 1


def recovery_paragraphs(config: Config, citations: Citations) -> Iterator[str]:
    """How variants are trained after pruning and on what, a paragraph for each recovery."""
    for name, variants in trained_variants(config).items():
        entry = config["recoveries"][name]
        pruned = [v for v in variants if config["variants"][v]["method"] != "dense"]
        controls = [v for v in variants if v not in pruned]
        control = f"the dense model, {some(controls)}" if controls else ""
        if pruned:
            trained = f"{some(pruned)} after pruning"
            trained += f", and as a control {control}," if controls else ""
        else:
            trained = control
        texts = entry.get("texts")
        on = titled(config, texts) if texts else f"what it was trained on before, {each(config)}"
        yield (
            f"Recovery {name} trains {trained} by {_trained(entry, citations)}, {_course(entry)}. "
            f"Each model is trained on {on}{_drawn(entry)}. What was removed stays removed."
        )


def _trained(entry: Config, citations: Citations) -> str:
    if entry["kind"] == "full":
        return "changing all weights of the blocks' linears that were not removed"
    targets = some(entry["targets"]) if "targets" in entry else "all linears of the blocks"
    dropout = f" and dropout {entry['dropout']:g}" if entry.get("dropout") else ""
    kind = RECOVERIES[entry["kind"]]
    return (
        f"{kind.title} {citations.cite(kind.cites)} of rank {entry['rank']} with "
        f"alpha {entry['alpha']:g}{dropout} on {targets}"
    )


def _course(entry: Config) -> str:
    """The steps, their rate, and which weights are kept."""
    most = "at most " if entry.get("patience") else ""
    schedule = "constant" if entry["schedule"] == "constant" else f"{entry['schedule']} decay"
    warm_up = f", {count(entry['warm_up'], 'step')} of warm-up" if entry["warm_up"] else ""
    decay = f", weight decay {entry['weight_decay']:g}" if entry["weight_decay"] else ""
    said = (
        f"in {most}{count(entry['steps'], 'step')} of AdamW with {count(entry['batch'], 'row')} of "
        f"at most {entry['length']} tokens each, learning rate {entry['learning_rate']:g} "
        f"({schedule}{warm_up}){decay}, gradients clipped to the norm {entry['clip']:g}"
    )
    if entry["validation"]:
        said += (
            f"; the weights of the least loss on {count(entry['validation'], 'other row')} are "
            f"kept, measured every {count(entry['evaluate_every'], 'step')}"
        )
    if entry.get("patience"):
        said += f", until {count(entry['patience'], 'measurement')} brought none that is less"
    return said


def _drawn(entry: Config) -> str:
    rows = f"; {entry['samples']} rows are drawn" if "samples" in entry else ""
    tokens = "completions" if entry["loss"] == "completion" else "all tokens"
    return f"{rows}; {tokens} have a loss (seed {entry['seed']})"


def each(config: Config) -> str:
    """What each model of a run was trained on."""
    models = config.get("models", {})
    told = {name: one["trained_on"] for name, one in models.items() if "trained_on" in one}
    return some([f"{name} on {titled(config, texts)}" for name, texts in told.items()])


def titled(config: Config, texts: str) -> str:
    """An entry of `texts` by its name, with its address on the hub if it is from there."""
    source = config.get("texts", {}).get(texts, {}).get("source", {})
    return f"{texts} ({source['id']})" if source.get("kind") == "hub" else texts


def some(names: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
