"""How far the judge and the deterministic grader agree.

A row for every model, variant and benchmark, and one for all of them together. Cohen's kappa is
agreement beyond what two graders with these shares of right answers would have by chance
(Cohen 1960); it is NaN where chance alone gives full agreement. Answers that the judge gave no
readable verdict on count as unjudged and are left out of agreement and kappa.
"""

import math
from pathlib import Path

import pandas as pd
from statsmodels.stats.inter_rater import cohens_kappa

from workflow_scripts.artefacts.records import Grade, Judgement, read_records
from workflow_scripts.errors import InputError
from workflow_scripts.tables.content.cells import KEY, NAMES
from workflow_scripts.tables.content.columns import as_frame
from workflow_scripts.tables.content.formats import Built, Section
from workflow_scripts.tables.content.screened_out import dropped
from workflow_scripts.tables.content.source import Source

# each answer is one of these: by the grader's verdict, then by the judge's
COUNTS = {
    "both_right": (True, True),
    "grader_only": (True, False),
    "judge_only": (False, True),
    "both_wrong": (False, False),
}


def build(source: Source) -> Built:
    out = dropped(source.results, source.options["models"], source.drops)
    verdicts = pd.concat(
        read_verdicts(source.results, model, variant, benchmark)
        for model in source.options["models"]
        for variant in source.options["variants"]
        if (model, variant) not in out
        for benchmark in source.options["benchmarks"]
    )
    rows = agreements(verdicts)
    judged = verdicts["judge"].notna()
    differing = verdicts[judged & (verdicts["judge"] != verdicts["grader"])]
    texts = rows.astype(str)
    for name in ("agreement", "kappa"):
        texts[name] = rows[name].map(lambda share: "-" if math.isnan(share) else f"{share:.3f}")
    section = Section(
        "agreement of judge and grader",
        "answers by both verdicts; kappa: agreement beyond chance (Cohen).",
        texts.rename(columns=lambda name: name.replace("_", " ")),
        frozenset(NAMES),
    )
    frames = {"judge_agreement": rows, "judge_disagreements": differing.fillna({"extracted": ""})}
    return Built("Judge and grader", frames, [section])


def read_verdicts(results: Path, model: str, variant: str, benchmark: str) -> pd.DataFrame:
    """Every answer with the grader's and the judge's verdict, the latter None where unread.

    Raises `InputError` where grades and judgements are not of the same answers.
    """
    folder = results / model / variant
    path = folder / "judgements" / f"{benchmark}.jsonl"
    grades = pd.DataFrame(map(vars, read_records(folder / f"grades/{benchmark}.jsonl", Grade)))
    judgements = {(j.budget, j.id, j.repeat): j.correct for j in read_records(path, Judgement)}
    keys = list(grades[KEY].itertuples(index=False, name=None))
    if len(judgements) != len(keys) or judgements.keys() != set(keys):
        raise InputError(f"{path}: does not hold the answers that are graded; judge them again")
    judge = pd.Series([judgements[one] for one in keys], dtype=object)
    names = {"model": model, "variant": variant, "benchmark": benchmark}
    return grades.rename(columns={"correct": "grader"}).assign(judge=judge, **names)


def agreements(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Counts and kappa for every model, variant and benchmark, then for all."""
    groups = [*verdicts.groupby(NAMES, sort=False), (("all",) * 3, verdicts)]
    rows = [dict(zip(NAMES, names, strict=True)) | agreement(rows) for names, rows in groups]
    return as_frame("judge_agreement", rows)


def agreement(verdicts: pd.DataFrame) -> dict[str, float]:
    """Counts of the pairs in `grader` and `judge`; NaN where there is no agreement or kappa."""
    pairs = list(zip(verdicts["grader"], verdicts["judge"], strict=True))
    counts = {name: pairs.count(pair) for name, pair in COUNTS.items()}
    right, grader, judge, wrong = counts.values()
    judged = right + grader + judge + wrong
    # where both only ever give one and the same verdict there is nothing beyond chance
    varied = judged not in (0, right, wrong)
    table = [[right, grader], [judge, wrong]]
    return {
        "answers": len(pairs),
        **counts,
        "unjudged": len(pairs) - judged,
        "agreement": (right + wrong) / judged if judged else math.nan,
        "kappa": float(cohens_kappa(table, return_results=False)) if varied else math.nan,
    }
