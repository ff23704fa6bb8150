"""The rows that a calibration set is drawn from, wherever they come from."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from workflow_scripts.artefacts.records import Grade, TokenSequence, Trace, read_records
from workflow_scripts.config.sources.base import Source
from workflow_scripts.config.sources.texts import GeneratedTexts
from workflow_scripts.errors import InputError
from workflow_scripts.inputs.corpora import Rows, rows_of

TRACES = ("traces", "grades", "sequences")


def open_rows(
    source: Source, corpus: Path | None, traces: Mapping[str, Path], folder: Path
) -> Rows:
    """The rows of a source; `folder` is where they are kept on disk.

    `corpus` is the manifest of a source of kind hub, `traces` the files of a source of kind
    generated, by TRACES. Raises `InputError` for a source that is not there or not readable.
    """
    if isinstance(source, GeneratedTexts):
        return _trace_rows(source, traces, folder)
    return rows_of(source, corpus, folder)


def _trace_rows(source: GeneratedTexts, files: Mapping[str, Path], spool: Path) -> Rows:
    """Token ids of the traces and answers that pass the source's filters, in their order.

    A trace that several reasons speak against is counted under the first.
    """
    traces = {_key(t): t for t in read_records(files["traces"], Trace)}
    grades = {_key(g): g for g in read_records(files["grades"], Grade)}
    sequences = read_records(files["sequences"], TokenSequence)
    if {_key(s) for s in sequences} != traces.keys() or traces.keys() != grades.keys():
        where = files["traces"]
        raise InputError(f"{where}: traces, grades and sequences are of different runs")
    accuracy = _accuracy(grades.values())
    shortest, longest = _lengths(source, [trace.tokens for trace in traces.values()])
    easiest = _easiest(source, accuracy.values())

    def against(key: tuple[str, int]) -> str | None:
        """What speaks against a trace, or None."""
        tokens, right = traces[key].tokens, accuracy[key[0]]
        if tokens < shortest:
            return "too short"
        if tokens > longest:
            return "too long"
        if right < source.min_accuracy:
            return "of too hard problems"
        if right > easiest:
            return "of too easy problems"
        return "wrong" if source.correct_only and not grades[key].correct else None

    passed: list[list[int]] = []
    refused: dict[str, int] = {}
    for sequence in sequences:
        why = against(_key(sequence))
        if why is None:
            passed.append(sequence.ids)
        else:
            refused[why] = refused.get(why, 0) + 1
    counts = "".join(f", {count} {why}" for why, count in sorted(refused.items()))
    where = f"traces of benchmark {source.benchmark!r} ({len(passed)} of {len(traces)}{counts})"
    return Rows(passed, where, spool)


def _key(record: Trace | Grade | TokenSequence) -> tuple[str, int]:
    return record.id, record.repeat


def _accuracy(grades: Iterable[Grade]) -> dict[str, float]:
    """The part of its repeats that are right, by problem: their mean mark."""
    right: dict[str, list[float]] = {}
    for grade in grades:
        right.setdefault(grade.id, []).append(grade.mark)
    return {identity: sum(found) / len(found) for identity, found in right.items()}


def _lengths(source: GeneratedTexts, tokens: list[int]) -> tuple[float, float]:
    """The fewest and the most tokens of a trace that is taken; `tokens` are those of all traces."""
    if not tokens:
        return 0, 0
    least, most = (
        _quantile(tokens, part) for part in (source.min_tokens_quantile, source.max_tokens_quantile)
    )
    longest = math.inf if source.max_tokens is None else source.max_tokens
    return max(least, source.min_tokens), min(most, longest)


def _easiest(source: GeneratedTexts, accuracy: Iterable[float]) -> float:
    """The highest accuracy of a problem that is taken; `accuracy` is that of each."""
    left = [one for one in accuracy if source.min_accuracy <= one <= source.max_accuracy]
    return _quantile(left, source.hardest) if left else source.max_accuracy


def _quantile(values: Iterable[float], part: float) -> float:
    """The least of some values that at least this part of them does not exceed."""
    ordered = sorted(values)
    # 1/3 of 12 is 4, whichever side of it a rounded product lies on
    return ordered[max(math.ceil(round(part * len(ordered), 6)), 1) - 1]
