"""How far the judge and the deterministic grader agree.

    python -m workflow_scripts.tables.judge_agreement --results results --models s1 \\
        --variants dense wanda-20 --benchmarks math500 \\
        --csv results/tables/judge_agreement.csv --markdown results/tables/judge_agreement.md \\
        --disagreements results/tables/judge_disagreements.csv

A row for every model, variant and benchmark, and one for all of them together. Cohen's kappa is
agreement beyond what two graders with these shares of right answers would have by chance
(Cohen 1960); it is empty where chance alone gives full agreement. Answers that the judge gave no
readable verdict on count as unjudged and are left out of agreement and kappa.
"""

import argparse
import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from workflow_scripts.artefacts.records import Grade, Judgement, read_records
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_text
from workflow_scripts.jobs.stage import run_stage


@dataclass(frozen=True)
class Agreement:
    """Counts of answers by both verdicts: `both_right`, right by the grader alone, and so on."""

    model: str
    variant: str
    benchmark: str
    answers: int
    both_right: int
    grader_only: int
    judge_only: int
    both_wrong: int
    unjudged: int
    agreement: float | None
    kappa: float | None


@dataclass(frozen=True)
class Disagreement:
    """An answer on which the two differ."""

    model: str
    variant: str
    benchmark: str
    id: str
    repeat: int
    budget: int
    extracted: str | None
    reason: str
    grader: bool
    judge: bool


def agreement_of(
    names: tuple[str, str, str], verdicts: Iterable[tuple[bool, bool | None]]
) -> Agreement:
    """Counts and kappa of pairs of the grader's and the judge's verdict."""
    counts = dict.fromkeys([(True, True), (True, False), (False, True), (False, False)], 0)
    unjudged = 0
    for grader, judge in verdicts:
        if judge is None:
            unjudged += 1
        else:
            counts[grader, judge] += 1
    judged = sum(counts.values())
    both_right, grader_only, judge_only, both_wrong = counts.values()
    agreement = (both_right + both_wrong) / judged if judged else None
    return Agreement(
        *names,
        judged + unjudged,
        both_right,
        grader_only,
        judge_only,
        both_wrong,
        unjudged,
        agreement,
        _kappa(both_right, grader_only, judge_only, both_wrong),
    )


def _kappa(both_right: int, grader_only: int, judge_only: int, both_wrong: int) -> float | None:
    """(p_o - p_e) / (1 - p_e), in whole numbers as far as they go."""
    judged = both_right + grader_only + judge_only + both_wrong
    grader, judge = both_right + grader_only, both_right + judge_only
    # p_e times judged squared
    chance = grader * judge + (judged - grader) * (judged - judge)
    if judged**2 == chance:
        return None
    return ((both_right + both_wrong) * judged - chance) / (judged**2 - chance)


def compare(
    results: Path, names: Sequence[tuple[str, str, str]]
) -> tuple[list[Agreement], list[Disagreement]]:
    """Agreement for every model, variant and benchmark, then for all; and where they differ.

    Raises `InputError` where grades and judgements are not of the same answers.
    """
    rows, differing, everything = [], [], []
    for model, variant, benchmark in names:
        folder = results / model / variant
        grades = read_records(folder / "grades" / f"{benchmark}.jsonl", Grade)
        path = folder / "judgements" / f"{benchmark}.jsonl"
        judgements = {(j.id, j.repeat, j.budget): j.correct for j in read_records(path, Judgement)}
        keys = [(grade.id, grade.repeat, grade.budget) for grade in grades]
        if len(judgements) != len(keys) or judgements.keys() != set(keys):
            raise InputError(f"{path}: does not hold the answers that are graded; judge them again")
        pairs = [(g.correct, judgements[key]) for g, key in zip(grades, keys, strict=True)]
        rows.append(agreement_of((model, variant, benchmark), pairs))
        everything += pairs
        differing += [
            Disagreement(
                model, variant, benchmark, *key, grade.extracted, grade.reason, grade.correct, judge
            )
            for grade, key, (_, judge) in zip(grades, keys, pairs, strict=True)
            if judge is not None and judge != grade.correct
        ]
    rows.append(agreement_of(("all", "all", "all"), everything))
    return rows, differing


def _csv(kind: type, rows: Iterable[Agreement | Disagreement]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(kind))
    writer.writerows(astuple(row) for row in rows)
    return text.getvalue()


def _markdown(rows: Iterable[Agreement]) -> str:
    from tabulate import tabulate

    header = [field.name.replace("_", " ") for field in fields(Agreement)]
    table = tabulate(map(astuple, rows), header, tablefmt="pipe", floatfmt=".3f", missingval="-")
    return f"{table}\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", required=True, type=Path)
    for name in ("--models", "--variants", "--benchmarks"):
        parser.add_argument(name, required=True, nargs="+")
    for name in ("--csv", "--markdown", "--disagreements"):
        parser.add_argument(name, required=True, type=Path)
    options = parser.parse_args(arguments)
    names = [
        (model, variant, benchmark)
        for model in options.models
        for variant in options.variants
        for benchmark in options.benchmarks
    ]
    rows, differing = compare(options.results, names)
    write_text(options.csv, _csv(Agreement, rows))
    write_text(options.markdown, _markdown(rows))
    write_text(options.disagreements, _csv(Disagreement, differing))


if __name__ == "__main__":
    run_stage(main)
