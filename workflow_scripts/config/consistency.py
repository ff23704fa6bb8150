"""What a config's keys must agree on among themselves, beyond the schema."""

from collections.abc import Iterator, Sequence
from typing import Any

from workflow_scripts.config.messages import KeyPath, Problem, shown, unknown_name
from workflow_scripts.config.patterns import agrees, read_pattern

# what vLLM takes beside 0: it raises what is lower and refuses what is higher
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.01, 2

# keys of catalogue entries that hold a name from another catalogue
REFERENCES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("models", ("thinking",), "thinking_formats"),
    ("calibration_sets", ("source", "benchmark"), "benchmarks"),
    ("variants", ("calibration",), "calibration_sets"),
    ("variants", ("allocation", "calibration"), "calibration_sets"),
    ("variants", ("allocation", "influence"), "influence_sets"),
)


def unknown_references(config: dict[str, Any]) -> Iterator[Problem]:
    """Names that are not in the catalogue they are taken from, used or not, each name once.

    The config may be unsound; what has the wrong type is the schema's to report.
    """
    places: dict[tuple[str, str], list[KeyPath]] = {}
    for path, name, catalogue in _references(config):
        known = config.get(catalogue)
        if isinstance(name, str) and isinstance(known, dict) and name not in known:
            places.setdefault((name, catalogue), []).append(path)
    for (name, catalogue), (path, *others) in places.items():
        problem = unknown_name(path, name, config[catalogue], catalogue)
        keys = "another key names" if len(others) == 1 else f"{len(others)} more keys name"
        yield Problem(path, f"{problem.said} ({keys} it)") if others else problem


def _references(config: dict[str, Any]) -> Iterator[tuple[KeyPath, Any, str]]:
    """Where a config takes a name from a catalogue: the key, the name, the catalogue."""

    def section(name: str) -> dict[str, Any]:
        return config[name] if isinstance(config.get(name), dict) else {}

    for catalogue in ("models", "variants", "benchmarks"):
        names = section("run").get(catalogue)
        for position, name in enumerate(names if isinstance(names, list) else []):
            yield ("run", catalogue, position), name, catalogue
    for user, keys, catalogue in REFERENCES:
        for name, entry in section(user).items():
            yield (user, name, *keys), _value_at(entry, keys), catalogue


def _value_at(entry: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        entry = entry.get(key) if isinstance(entry, dict) else None
    return entry


def contradictions(config: dict[str, Any]) -> Iterator[Problem]:
    """Keys that exclude each other, in a config that fits the schema and has its defaults."""
    yield from _engine(("generation",), config["generation"])
    yield from _seeds(("generation",), config["generation"])
    for name, model in config["models"].items():
        yield from _gguf(("models", name, "source"), model["source"])
    for name, benchmark in config["benchmarks"].items():
        yield from _choices(("benchmarks", name, "source"), benchmark["source"])
    for name, calibration_set in config["calibration_sets"].items():
        yield from _generated(("calibration_sets", name, "source"), calibration_set["source"])
    for name, thinking in config["thinking_formats"].items():
        yield from _extensions(("thinking_formats", name), thinking)
    for name, variant in config["variants"].items():
        path = ("variants", name)
        allocation = variant.get("allocation", {})
        if allocation.get("kind") == "layerif":
            yield from _layerif((*path, "allocation"), allocation)
        if "pattern" in variant:
            yield from _pattern(path, variant)


def may_be_vllm(engine: str, device: str) -> bool:
    """Whether an engine of the config is vLLM, or `auto` where it becomes it if it is installed."""
    return engine == "vllm" or (engine == "auto" and device == "cuda")


def _engine(path: KeyPath, generation: dict[str, Any]) -> Iterator[Problem]:
    """Keys that only vLLM takes, some of them only on GPUs."""
    engine, device = generation["engine"], generation["device"]
    for key, off in (("tensor_parallel", 1), ("batch_invariant", False), ("engine_options", {})):
        value = generation[key]
        if value == off:
            continue
        if key != "engine_options" and device != "cuda":
            said = f"{shown(value)} is not allowed with device {device}; the device must be cuda"
            yield Problem((*path, key), said)
        elif not may_be_vllm(engine, device):
            said = f"{shown(value)} is not allowed with engine {engine}; the engine must be vllm"
            yield Problem((*path, key), said)
    if may_be_vllm(engine, device):
        yield from _temperatures(path, generation)


def _temperatures(path: KeyPath, generation: dict[str, Any]) -> Iterator[Problem]:
    for keys, phase in (((), generation), (("answer_sampling",), generation["answer_sampling"])):
        value = phase.get("temperature", 0)
        if value and not MIN_TEMPERATURE <= value <= MAX_TEMPERATURE:
            taken = f"0 and {MIN_TEMPERATURE} to {MAX_TEMPERATURE}"
            said = f"{shown(value)} is not allowed with engine {generation['engine']}"
            yield Problem((*path, *keys, "temperature"), f"{said}; vllm takes {taken}")


def _gguf(path: KeyPath, source: dict[str, Any]) -> Iterator[Problem]:
    if source["kind"] != "gguf":
        return
    if "path" not in source and "package" not in source:
        yield Problem((*path, "path"), "missing; kind gguf needs it, or package and file")
    if "path" in source and "package" in source:
        yield Problem((*path, "path"), "kind gguf takes either path, or package and file")


def _choices(path: KeyPath, source: dict[str, Any]) -> Iterator[Problem]:
    """Answers that name a choice need choices, whose order must not tell which one is right."""
    columns = source.get("columns", {})
    for key, values in (("answer_kind", ["choice"]), ("answer_form", ["letter", "index"])):
        if columns and source[key] in values and "choices" not in columns:
            said = f"missing; {key} {source[key]} needs it; must be a list of names of columns"
            yield Problem((*path, "columns", "choices"), said)
            return
    told = columns.get("answer") in columns.get("choices", []) and len(columns["choices"]) > 1
    if told and source["choice_order"] == "given":
        said = "given is not allowed where the right answer's column is one of the choices'; must "
        yield Problem((*path, "choice_order"), f"{said}be shuffled")


def _generated(path: KeyPath, source: dict[str, Any]) -> Iterator[Problem]:
    for least, most in (("min_tokens", "max_tokens"), ("min_accuracy", "max_accuracy")):
        if most in source and source[most] < source[least]:
            said = f"{source[most]} is not allowed; must be at least {least} ({source[least]})"
            yield Problem((*path, most), said)


def _extensions(path: KeyPath, thinking: dict[str, Any]) -> Iterator[Problem]:
    extensions, text = thinking["extensions"], thinking["extend_with"]
    if extensions and not text:
        said = f"'' is not allowed with extensions {extensions}; must be text that is not empty"
        yield Problem((*path, "extend_with"), said)
    if text and not extensions:
        said = "0 is not allowed with extend_with; must be a whole number of at least 1"
        yield Problem((*path, "extensions"), said)


def _seeds(path: KeyPath, generation: dict[str, Any]) -> Iterator[Problem]:
    seeding, seed, repeats = generation["seeding"], generation["seed"], generation["repeats"]
    if seeding == "per-sample" and isinstance(seed, list):
        said = "a list is not allowed with seeding per-sample; must be one whole number"
        yield Problem((*path, "seed"), said)
    if seeding == "paper" and not (isinstance(seed, list) and len(seed) == repeats):
        found = f"a list of {len(seed)}" if isinstance(seed, list) else shown(seed)
        said = f"{found} is not allowed with seeding paper; must be a list of {repeats} whole "
        yield Problem((*path, "seed"), f"{said}numbers, one for each repeat")


def _layerif(path: KeyPath, allocation: dict[str, Any]) -> Iterator[Problem]:
    low, high = allocation["low"], allocation["high"]
    window, order = allocation["window"], allocation["order"]
    if not low < high:
        yield Problem((*path, "high"), f"{high} is not allowed; must be greater than low ({low})")
    if window % 2 == 0:
        yield Problem((*path, "window"), f"{window} is not allowed; must be an odd whole number")
    elif not order < window:
        yield Problem(
            (*path, "order"), f"{order} is not allowed; must be less than window ({window})"
        )


def _pattern(path: KeyPath, variant: dict[str, Any]) -> Iterator[Problem]:
    text = variant["pattern"]
    pattern = read_pattern(text)
    if pattern is None:
        said = f"{shown(text)} is not allowed; the first number must be less than the second"
        yield Problem((*path, "pattern"), said)
        return

    def refused(keys: KeyPath, value: Any, needed: Any) -> Problem:
        said = f"{shown(value)} is not allowed with pattern {text}; must be {needed}"
        return Problem((*path, *keys), said)

    if not agrees(variant["sparsity"], pattern):
        yield refused(("sparsity",), variant["sparsity"], pattern[0] / pattern[1])
    kind = variant["allocation"]["kind"]
    if kind != "uniform":
        yield refused(("allocation", "kind"), kind, "uniform")
    for key, needed in (("comparison", "row"), ("selection", "exact")):
        if variant.get(key, needed) != needed:
            yield refused((key,), variant[key], needed)
