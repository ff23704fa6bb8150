"""The columns of every CSV table, and the one way in which these are written and read.

Accuracies, differences, areas and their 95 % intervals (`*_low`, `*_high`) are fractions, `se` is a
standard error, NaN where there is one problem; token counts are means over all answers.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import write_text
from workflow_scripts.files.checksums import verify_checksum

MEAN = "(mean)"  # in the place of a benchmark's name, which has no brackets: over all of them
ALL = "(all)"  # in the place of a family of tasks, likewise
# Exact tests have small p values that are never 0: significant digits in place of decimals.
P_VALUES = ("p", "p_holm", "net_p", "net_p_holm")
# whole, and yet NaN where there is nothing to count
COUNTS = (
    "nonzero", "parameters", "bytes", "prompt_flops", "trace_flops", "answer_flops", "flops",
    "kept_flops", "moved_weight_bytes", "moved_cache_bytes", "moved_bytes", "held_bytes",
    "disk_bytes", "memory_bytes", "compressed_bytes",
)  # fmt: skip

COLUMNS = {
    name: tuple(columns.split())
    for name, columns in {
        "accuracy": "model variant benchmark budget problems repeats accuracy se ci_low ci_high "
        "trace_tokens answer_tokens",
        # means over benchmarks that weigh the same
        "mean_accuracy": "model variant budget benchmarks accuracy se ci_low ci_high trace_tokens "
        "answer_tokens",
        # `family`: what p values are corrected over, `dense`, `structured`, `size` or `unused` of
        # one model; shares, NaN where unknown: `requested`, `removed` (of the blocks' linear
        # weights), `removed_of_all` (parameters) and `unused` (of the blocks' linear weights, by a
        # token on average); `difference`: `accuracy` less `reference_accuracy`; `detectable`:
        # infinite where no difference is
        "comparison": "family model benchmark budget variant removed reference reference_removed "
        "problems repeats accuracy reference_accuracy difference se ci_low ci_high p p_holm "
        "detectable verdict requested removed_of_all reference_requested reference_removed_of_all "
        "unused reference_unused",
        # `area`: under a variant's budget curve, a mean accuracy; `difference`: to the reference's
        # on the same problems, NaN where there is none
        "areas": "model benchmark variant budgets area se ci_low ci_high difference difference_low "
        "difference_high",
        # shares as in `comparison`; `parameters` and `bytes`: of the export, NaN where there is
        # none; `nonzero`: parameters that are left; by engine, tokens/s of the export and their
        # ratio to the dense model's beside it, NaN where they were not measured
        "size": "model variant requested removed removed_of_all nonzero parameters bytes "
        "transformers transformers_ratio vllm vllm_ratio unused",
        # means over answers, NaN where unknown: tokens; FLOPs of a dense kernel for prompt, trace
        # and answer and altogether, and in `kept_flops` those that are left without weights that
        # are zero; bytes of weights and of keys and values that one sequence moves by itself, and
        # of both that it holds at its end. Bytes of all weights: `disk_bytes` of the export in the
        # checkpoint's number types, `memory_bytes` in those of the run, `compressed_bytes` likewise
        # without the zeros of n:m; `form`: how weights are stored. `tokens_per_second` of the job
        # that decoded, `seconds` of it for an answer
        "cost": "model variant benchmark budget problems repeats prompt_tokens trace_tokens "
        "answer_tokens prompt_flops trace_flops answer_flops flops kept_flops moved_weight_bytes "
        "moved_cache_bytes moved_bytes held_bytes form disk_bytes memory_bytes compressed_bytes "
        "engine device dtype batch tokens_per_second seconds",
        # for the mean price `at` which the reference answers under `budget`: the pruned variant
        # that is the most accurate at that price, and `variant_budget`, which it has for it;
        # `difference`: `accuracy` less `reference_accuracy`, which has been chosen as the largest,
        # by `optimism` too large; `corrected`: without it, with bounds; `chosen`: the share of
        # resampled benchmarks on which the same variant is the best
        "frontier": "model benchmark price budget at variant variant_budget problems repeats "
        "accuracy reference_accuracy difference optimism corrected ci_low ci_high p p_holm verdict "
        "chosen",
        # every variant and budget `at` its mean price; `on_front`: `yes` where nothing that costs
        # as little is more accurate and nothing as accurate costs less
        "front": "model benchmark price variant budget at accuracy ci_low ci_high on_front",
        # by way of pruning and budget: `onset`, the least share of the blocks' weights without
        # which a loss is as large as the benchmark finds, of `levels` variants that remove at most
        # `largest`; infinite where none loses as much. `slope`: what each doubling of the budget
        # adds to it
        "onset": "model benchmark way budget levels largest problems repeats onset ci_low ci_high",
        "onset_slopes": "model benchmark way budgets slope low high",
        # a pair of models, of which `instruct_*` and `think_*` tell: accuracy of the dense one,
        # `loss` of the variant and `relative`, that as a share of the accuracy, NaN where the
        # accuracy is not clearly above 0; `interaction`: loss of the one that thinks less that of
        # the other, `more` the same of relative losses; `variant` in brackets: a mean over several
        "pair": "benchmark budget variant instruct think problems repeats "
        "instruct_removed instruct_removed_of_all think_removed think_removed_of_all "
        "instruct_dense instruct_loss instruct_loss_low instruct_loss_high "
        "think_dense think_loss think_loss_low think_loss_high "
        "interaction se ci_low ci_high p p_holm verdict "
        "instruct_relative instruct_relative_low instruct_relative_high "
        "think_relative think_relative_low think_relative_high more more_low more_high "
        "instruct_unused think_unused",
        # variants that were trained after pruning; `start` and `control`: the variants, empty where
        # they are not run; `loss`: dense less start, `gain`: recovered less start, `regained`:
        # gain / loss, NaN where `reason` says why; `net`: gain less that of the control
        "recovered": "model benchmark budget variant start control removed problems repeats "
        "dense_accuracy start_accuracy accuracy loss loss_low loss_high "
        "gain ci_low ci_high p p_holm verdict regained regained_low regained_high reason "
        "control_gain control_low control_high net net_low net_high net_p net_p_holm net_verdict",
        # dynamic variants; shares of tokens × sublayers that are skipped: `asked`, `validation` (of
        # rows kept apart from training), `trace_*` and `answer_*`, means over problems, by sublayer
        # and together (`skipped`); `unused`: of the blocks' linear weights, by a token on average;
        # NaN where nothing was decoded; `difference`: in accuracy to the reference
        "routes": "model variant benchmark budget problems repeats asked validation "
        "validation_unused "
        + " ".join(
            f"{of}_{what}{end}"
            for of in ("trace", "answer")
            for what in ("attention", "mlp", "skipped", "unused")
            for end in ("", "_low", "_high")
        )
        + " accuracy difference difference_low difference_high p_holm verdict",
        # shares of the `tokens` of traces that skip a block's attention and MLP; and of all blocks'
        # by the kind of the token that is put in
        "routes_by_block": "model variant benchmark block tokens attention mlp",
        "routes_by_kind": "model variant benchmark kind tokens attention mlp",
        # what k repeats under one budget are worth together; `tokens`: of all k
        "parallel": "model variant benchmark budget k tokens pass_at_k pass_low pass_high "
        "majority_at_k majority_low majority_high",
        # what was not published is NaN, its origin empty; `place`: in the paper, and `line` there;
        # `doubtful`: `yes` for a probable slip; `errors`: the difference in units of
        # `combined_error`, both means' standard errors for fixed problems together
        "published": "model variant benchmark budget repeats mean sd published_mean published_sd "
        "origin place line doubtful difference combined_error errors",
        "claims": "claim model result evidence",
        # `task` (mean): over the `tasks` of a family, or of all (family (all)), whose number is a
        # mean of which more is better; `kind`: mean, perplexity or bits; `better`: more or less;
        # `difference`: to the reference on the same samples, NaN of itself, and of perplexities the
        # logarithm of their ratio; `unused`: of the blocks' weights, by a token on average
        "tasks": "model variant family task metric kind better tasks samples value se ci_low "
        "ci_high difference difference_se difference_low difference_high p p_holm verdict "
        "requested removed removed_of_all unused",
        # `claim`: its name; `says` and `where`: what is claimed and where; `estimate`: what is
        # claimed to be above 0, a mean over `tasks` of a mean over `pairs` of variants
        "task_claims": "claim paper says where model tasks pairs estimate ci_low ci_high verdict "
        "evidence",
        # `part`: trace, answer or (all), `kind`: of token, or (all); `goes_on`: no where it was
        # screened out; `kl` and `loss` in nats, all three means over `tokens` of `problems`
        "screening": "model variant goes_on benchmark problems part kind tokens kl agreement loss",
        # of variants that went on; `kl`, `agreement`, `loss`: over all tokens of their screens
        "screening_losses": "model benchmark budget variant problems repeats kl agreement loss "
        "accuracy reference_accuracy lost ci_low ci_high screened",
        # Spearman's, of a measure and of what is lost, over so many variants
        "screening_correlations": "model benchmark budget measure variants rho ci_low ci_high",
        # shares of a cell's traces: `ended` by themselves, `inside`: the model ended its turn in
        # them, `cut`, `loops`: hold a loop, `looping`: end in one, `cut_looping`: are cut in one;
        # medians over loops: period in characters, how many `times` over; means: `compression`,
        # `distinct` n-grams over all of a problem's repeats; `reflections`: words in 1,000 tokens;
        # `departure_*`: quartiles of the tokens that traces share with the reference's, NaN where
        # as many stay `together` with theirs, and `unpaired` why some have none; `lost_*`: of all
        # answers, by how traces ended
        "diagnosis": "model variant benchmark budget problems repeats ended inside "
        "cut cut_low cut_high loops loops_low loops_high looping cut_looping "
        "loop_period loop_times "
        "compression distinct reflections "
        "departure_q1 departure_median departure_q3 together unpaired "
        "lost lost_low lost_high won won_low won_high "
        "lost_looping lost_cut lost_inside lost_ended",
        # answers by the tokens of their traces, `shortest` to `longest`
        "diagnosis_lengths": "model variant benchmark budget bin shortest longest problems "
        "answers accuracy ci_low ci_high",
        # answers by how hard their problems are: hard, middle or easy for the reference's other
        # repeats; `difference` to the reference on the same answers, NaN of itself
        "diagnosis_difficulty": "model variant benchmark budget difficulty problems answers "
        "reference_accuracy accuracy ci_low ci_high difference difference_low difference_high",
        # counts of answers by both verdicts; `grader_only`: right by the grader alone
        "judge_agreement": "model variant benchmark answers both_right grader_only judge_only "
        "both_wrong unjudged agreement kappa",
        "judge_disagreements": "model variant benchmark id repeat budget extracted reason grader "
        "judge",
    }.items()
}


class NoRows(InputError):
    """Nothing that a figure would show is in this run."""


class NothingToShow(NoRows):
    """Nothing is, though the run is complete: said in the figure's place, where a reader looks."""


_TEXT = {
    "model", "variant", "benchmark", "family", "reference", "verdict", "origin", "claim", "result",
    "evidence", "place", "doubtful", "instruct", "think", "start", "control", "reason",
    "net_verdict", "task", "metric", "kind", "better", "paper", "says", "where", "unpaired",
    "difficulty", "goes_on", "part", "measure", "form", "engine", "device", "dtype", "batch",
    "price", "on_front", "way", "screened",
}  # fmt: skip
_WHOLE = {
    "budget",
    "budgets",
    "benchmarks",
    "problems",
    "repeats",
    "k",
    "line",
    "tasks",
    "samples",
    "pairs",
    "variants",
    "block",
    "bin",
    "shortest",
    "longest",
    "answers",
    "levels",
}


def as_frame(name: str, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of one table, which may be none, with its columns in their order."""
    return pd.DataFrame(list(rows), columns=list(COLUMNS[name]))


def write_table(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write `folder/name.csv`, with six decimals: finer than any benchmark's grid."""
    frame = frame[list(COLUMNS[name])]
    exact = {column: frame[column].map("{:.6g}".format) for column in P_VALUES if column in frame}
    exact |= {column: frame[column].astype("Int64") for column in COUNTS if column in frame}
    text = frame.assign(**exact).to_csv(
        index=False, float_format="%.6f", na_rep="nan", lineterminator="\n"
    )
    write_text(folder / f"{name}.csv", text)


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """Read `folder/name.csv`.

    Raises `InputError` for other columns, a value of another type, and a file that is missing or
    not what its checksum says.
    """
    path, columns = folder / f"{name}.csv", COLUMNS[name]
    verify_checksum(path)
    kinds = {c: str if c in _TEXT else int if c in _WHOLE else float for c in columns}
    numbers = {column: ["nan"] for column, kind in kinds.items() if kind is float}
    try:
        if tuple(pd.read_csv(path, nrows=0).columns) != columns:
            raise InputError(f"{path}: its columns are not {', '.join(columns)}")
        return pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=numbers)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:  # pandas' own errors are ValueErrors too
        raise InputError(f"{path}: not such a table ({error})") from None


def rows_of(frame: pd.DataFrame, path: Path, **wanted: str) -> pd.DataFrame:
    """The rows with these values in these columns. Raises `NoRows` where there is none."""
    found = frame[(frame[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    if found.empty:
        raise NoRows(f"{path}: no row for {' on '.join(wanted.values())}")
    return found
