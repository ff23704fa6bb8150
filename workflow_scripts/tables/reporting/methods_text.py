"""The methods of a run in words, with its numbers filled in, as a paper would say them."""

from collections.abc import Mapping, Sequence
from typing import Any

from workflow_scripts.tables.content.cells import Cells
from workflow_scripts.tables.reporting.references import Citations
from workflow_scripts.tables.statistics.differences import ALPHA, RELEVANT

NAMES = {
    "magnitude": ("magnitude pruning", "magnitude"),
    "wanda": ("Wanda", "wanda"),
    "stade": ("STADE", "stade"),
    "shortgpt": ("ShortGPT", "shortgpt"),
    "reverse-order": ("removal of the last blocks", None),
    "blocks": ("removal of chosen blocks", None),
}
ALLOCATIONS = {"owl": ("OWL", "owl"), "layerif": ("LayerIF", "layerif")}


def methods_paragraphs(
    run: Cells, config: Mapping[str, Any], comparisons: Sequence[int], citations: Citations
) -> list[str]:
    """Paragraphs of plain text; `comparisons` are the sizes of the families of p values."""
    paragraphs = [_pruning(run, config, citations), _thinking(run, config, citations)]
    return [*paragraphs, _statistics(run, comparisons, citations)]


def _pruning(run: Cells, config: Mapping[str, Any], citations: Citations) -> str:
    variants = config.get("variants", {})
    used = [variants[name] for name in run.variants if name in variants]
    methods = dict.fromkeys(one["method"] for one in used if one["method"] != "dense")
    kinds = dict.fromkeys((one.get("allocation") or {}).get("kind") for one in used)
    text = (
        f"Following {citations.cite('paper')}, we prune {_list(run.models)} in "
        f"{_number(len(run.variants) - 1, 'way')}"
    )
    said = [_cited(*NAMES.get(method, (method, None)), citations) for method in methods]
    if said:
        text += f", by {_list(said)}"
    allocations = [_cited(*ALLOCATIONS[kind], citations) for kind in kinds if kind in ALLOCATIONS]
    if allocations:
        text += f"; sparsity is the same for every linear or allocated by {_list(allocations)}"
    sets = config.get("calibration_sets", {})
    if sets:
        drawn = [
            f"{name} ({one['samples']} sequences of {one['length']} tokens, seed {one['seed']})"
            for name, one in sorted(sets.items())
        ]
        text += f". Statistics are collected on {_list(drawn)}"
    return text + ". Nothing is trained after pruning."


def _thinking(run: Cells, config: Mapping[str, Any], citations: Citations) -> str:
    problems = {cell.benchmark: len(cell.correct) for cell in run.cells}
    benchmarks = [f"{name} ({_number(problems[name], 'problem')})" for name in problems]
    budgets = sorted({cell.budget for cell in run.cells})
    repeats = max(len(cell.repeats) for cell in run.cells)
    text = (
        f"Each variant answers {_list(benchmarks)}, {_number(repeats, 'time')} each, with thinking "
        f"capped at {_list(list(map(str, budgets)))} tokens (budget forcing {citations.cite('s1')})"
    )
    generation = config.get("generation", {})
    if generation:
        answers = {
            name: value
            for name, value in (generation.get("answer_sampling") or {}).items()
            if value != generation.get(name)
        }
        apart = f", sampled with {_sampling(answers)}," if answers else ""
        seed = generation.get("seed")
        seeds = f"seeds {_list(list(map(str, seed)))}" if isinstance(seed, list) else f"seed {seed}"
        engine = generation.get("engine")
        # what `auto` came to may differ between jobs; the section on engines says it
        by_engine = "" if engine == "auto" else f" by the {engine} engine"
        text += (
            f", sampled with {_sampling(generation)}, {seeds}, in {generation.get('dtype')}"
            f"{by_engine}; answers{apart} have at most {generation.get('answer_tokens')} tokens"
        )
    return text + "."


def _sampling(options: Mapping[str, Any]) -> str:
    names = [name for name in ("temperature", "top_p", "top_k") if name in options]
    return ", ".join(f"{name.replace('_', '-')} {options[name]}" for name in names)


def _statistics(run: Cells, comparisons: Sequence[int], citations: Citations) -> str:
    repeats = max(len(cell.repeats) for cell in run.cells)
    text = (
        "Accuracies are means over problems and repeats. Their 95 % intervals are Wilson's "
        f"{citations.cite('wilson')} with the effective number of answers "
        f"{citations.cite('kish')}, from the correlation between repeats of a problem, shrunk "
        "towards 1 by the weight of half a problem; means over benchmarks combine them "
        f"{citations.cite('mover')}. Variants are "
        "compared on the same problems and repeats: intervals of differences are those of "
        f"{citations.cite('bonett')} with the problem as the unit and the effective number of its "
        f"repeats {citations.cite('kish')}, p values come from the exact permutation test that "
        "flips the signs of problems, corrected within each of two families for every model "
        f"{citations.cite('holm')}"
    )
    if comparisons:
        text += f" (families of {_list([str(size) for size in comparisons])} comparisons)"
    text += (
        f"; a difference counts where the corrected p is below {ALPHA}, and is called absent where "
        f"the interval rules out {RELEVANT}."
    )
    if repeats > 1:
        text += (
            f" pass@k is the unbiased estimator {citations.cite('passk')}, majority@k "
            f"{citations.cite('majority')} its counterpart over all choices of k repeats, ties "
            "decided by lot; wrong answers are told apart as they are written, so that majority@k "
            "is an upper bound where answers are expressions."
        )
    return text


def _cited(name: str, word: str | None, citations: Citations) -> str:
    return f"{name} {citations.cite(word)}" if word else name


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _list(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]])) if items else "none"
