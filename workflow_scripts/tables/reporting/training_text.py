"""What a run's models and variants were trained on and how, in words: for its methods."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from workflow_scripts.config.methods.dynamic import BUDGET, DYNAMIC, Dynamic
from workflow_scripts.config.recoveries import RECOVERIES
from workflow_scripts.config.references import Citations
from workflow_scripts.tables.content.formats import count

Config = Mapping[str, Any]
FIRST = "routers-first"  # a kind of schedule
TRAINING = ("recovery", "schedule")  # keys of a variant that decide on nothing but training


def own_texts(config: Config) -> Iterator[str]:
    """A sentence for the calibration sets that draw for each model from what it was trained on."""
    sets = config.get("calibration_sets", {})
    own = [name for name, one in sets.items() if one.get("source", {}).get("kind") == "own"]
    if own:
        verb = "draws" if len(own) == 1 else "draw"
        yield f"For each model {some(own)} {verb} from what that was trained on: {each(config)}"


def trained_variants(config: Config) -> dict[str, list[str]]:
    """The variants of a run that are trained, by the recovery of each training."""
    found: dict[str, list[str]] = {}
    for name in config.get("run", {}).get("variants", ()):
        entry = config.get("variants", {}).get(name, {})
        for recovery in (entry.get("schedule", {}).get("recovery"), entry.get("recovery")):
            if recovery is not None:
                found.setdefault(recovery, []).append(name)
    return found


def ways_to_prune(config: Config, variants: list[str]) -> int:
    """How many ways to prune a run's variants are, trained afterwards or not."""
    trained = trained_variants(config)
    if not trained:
        return len(variants) - 1  # all but the dense model
    entries = [config["variants"][name] for name in variants]
    pruned = [{k: v for k, v in one.items() if k not in TRAINING} for one in entries]
    return len({json.dumps(one, sort_keys=True) for one in pruned}) - 1


def recovery_paragraphs(config: Config, citations: Citations) -> Iterator[str]:
    """How variants are trained and on what, a paragraph for each recovery."""
    for named, variants in trained_variants(config).items():
        for name, models in _by_model(config, named).items():
            entry = config["recoveries"][name]
            whom = "Each model" if models is None or len(models) > 1 else models[0]
            nothing_goes = "penalty" in entry or "routers" in entry
            stays = "" if nothing_goes else " What was removed stays removed."
            yield (
                f"Recovery {name} trains {_whom(config, variants, entry)}"
                f"{' of ' + some(models) if models else ''} by {_trained(entry, citations)}, "
                f"{_course(entry)}. {whom} is trained on {_on(config, entry, models)}"
                f"{_drawn(entry)}.{stays}{_rounds(config, variants)}"
                f"{''.join(_routers(config, name, variants, entry, citations))}"
            )


def _on(config: Config, entry: Config, models: list[str] | None) -> str:
    """The texts of a recovery, for all models or some."""
    if "texts" in entry:
        return titled(config, entry["texts"])
    if models is not None and len(models) == 1:
        return (
            f"what it was trained on, {titled(config, config['models'][models[0]]['trained_on'])}"
        )
    return f"what it was trained on: {each(config, models)}"


def _by_model(config: Config, name: str) -> dict[str, list[str] | None]:
    """The recoveries that one stands for, with their models where it has one for each."""
    entry = config["recoveries"][name]
    if entry["kind"] != "by-model":
        return {name: None}
    found: dict[str, list[str] | None] = {}
    for model in config["run"]["models"]:
        found.setdefault(entry["models"][model], []).append(model)
    return found


def _whom(config: Config, variants: list[str], entry: Config) -> str:
    """Variants, when they are trained, and the dense model as their control."""
    pruned = [v for v in variants if config["variants"][v]["method"] != "dense"]
    controls = [v for v in variants if v not in pruned]
    control = f"the dense model, {some(controls)}" if controls else ""
    if not pruned:
        return control
    when = " after pruning" if "penalty" not in entry else f" {_penalised(entry['penalty'])}"
    if "routers" in entry:  # nothing was pruned
        when = ""
    return f"{some(pruned)}{when}" + (f", and as a control {control}," if controls else "")


def _penalised(penalty: Config) -> str:
    size = {"l1": "|w|", "l2": "w²"}[penalty["norm"]]
    return (
        f"before weights go, with {penalty['weight']:g} times the mean {size} of those that will "
        "added to the loss,"
    )


def _rounds(config: Config, variants: list[str]) -> str:
    """A sentence for each variant that is pruned and trained round after round."""
    entries = {name: config["variants"][name].get("schedule", {}) for name in variants}
    return "".join(
        f" {name} is pruned and trained in {one['rounds']} rounds, each of which removes as much."
        for name, one in entries.items()
        if one.get("kind") == "gradual"
    )


def _trained(entry: Config, citations: Citations) -> str:
    if entry["kind"] == "routers":
        return "changing their routers alone"
    if entry["kind"] == "full":
        return "changing all weights of the blocks' linears that were not removed"
    targets = some(entry["targets"]) if "targets" in entry else "all linears of the blocks"
    dropout = f" and dropout {entry['dropout']:g}" if entry.get("dropout") else ""
    kind = RECOVERIES[entry["kind"]]
    return (
        f"{kind.title} {citations.cite(kind.cites)} of rank {entry['rank']} with "
        f"alpha {entry['alpha']:g}{dropout} on {targets}"
        f"{' and of their routers' if 'routers' in entry else ''}"
    )


def _routers(
    config: Config, name: str, variants: list[str], entry: Config, citations: Citations
) -> Iterator[str]:
    """How routers are trained, and what routers do that were trained before."""
    entries = {one: config["variants"][one] for one in variants}
    if "routers" not in entry:
        after = [v for v, one in entries.items() if one.get("schedule", {}).get("kind") == FIRST]
        if after:
            verb = "has its" if len(after) == 1 else "have their"
            yield f" {some(after)} {verb} routers as they were trained before."
        return
    wanted = entry["routers"]
    fall = f" falling to {wanted['final_temperature']:g}" if "final_temperature" in wanted else ""
    share = "the share of what runs, over all tokens that are in memory at once,"
    distance = {
        "batch": f"the distance of {share} from",
        "token": "the mean over tokens of the distance of the share of what each runs from",
        "excess": f"what {share} is above",
    }[wanted["budget"]]
    ramp = ", rising like a sine," if wanted["ramp"] == "sine" else ""
    fixed = [v for v, one in entries.items() if _method(one).idle >= BUDGET]
    others = [v for v in entries if v not in fixed]
    yield (
        f" Routes {citations.cite(*_sources(entries.values()))} have straight-through gradients; "
        "where a router has two logits they are drawn while training, by a Gumbel-softmax of "
        f"temperature {wanted['temperature']:g}{fall}. Afterwards nothing is drawn."
    )
    if fixed:
        yield f" In {some(fixed)} a fixed share of a row's tokens runs, and the loss gains nothing."
    if others:
        yield (
            f" The loss{f' of {some(others)}' if fixed else ''} gains {wanted['weight']:g} "
            f"times{ramp} {distance} the asked one"
        )
        if wanted["exact_share"]:
            yield (
                "; afterwards one number is added to all margins so that measured rows skip the "
                "asked share"
            )
        yield "."


def _method(entry: Config) -> Dynamic:
    return DYNAMIC[entry["method"]].model_validate(entry)


def _sources(entries: Collection[Config]) -> list[str]:
    """Keys of the references of dynamic variants: with a threshold, also of its gradients."""
    found = {DYNAMIC[one["method"]].cites for one in entries}
    thresholds = {"router-tuning" for one in entries if one.get("form") == "threshold"}
    return sorted(found | thresholds)


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
        rows, every = (
            count(entry["validation"], "other row"),
            count(entry["evaluate_every"], "step"),
        )
        if "routers" in entry:
            said += f"; the last weights are kept, and {rows} measured every {every}"
        else:
            said += f"; the weights of the least loss on {rows} are kept, measured every {every}"
    if entry.get("patience"):
        said += f", until {count(entry['patience'], 'measurement')} brought none that is less"
    return said


def _drawn(entry: Config) -> str:
    rows = f"; {entry['samples']} rows are drawn" if "samples" in entry else ""
    tokens = "completions" if entry["loss"] == "completion" else "all tokens"
    return f"{rows}; {tokens} have a loss (seed {entry['seed']})"


def each(config: Config, of: list[str] | None = None) -> str:
    """What each model of a run, or some of them, was trained on."""
    models = config.get("models", {})
    told = {name: models[name].get("trained_on") for name in of or models}
    return some([f"{name} on {titled(config, texts)}" for name, texts in told.items() if texts])


def titled(config: Config, texts: str) -> str:
    """An entry of `texts` by its name, with its address on the hub if it is from there."""
    source = config.get("texts", {}).get(texts, {}).get("source", {})
    return f"{texts} ({source['id']})" if source.get("kind") == "hub" else texts


def some(names: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
