"""What a config will cost, before anybody pays for it: jobs, tokens, GPU hours, disk.

    python -m workflow_scripts.estimates.cost config/paper.yaml

Configs are laid over config/config.yaml as `snakemake --configfile` does it; without any it is the
default config's cost. Nothing is run and no network is needed: jobs are those of a dry run, numbers
of problems come from fetched benchmarks, else from the config, sizes of models from fetched
checkpoints, else from the config. What is not known is said. Everything is counted, also what is
there already. GPU hours are estimated from a card's bandwidth (`gpu_hours.py` has the formula and
the lines say what is assumed), unless a first run has shown how fast a job decodes:
--tokens-per-second.

Tokens are those that are decoded. At most: every trace goes up to its budget and every answer up to
its cap. Expected: as far as --mean-trace and --mean-answer say, where budget and cap let them; a
smaller model or a harder benchmark needs more, so look at a first run's results for better numbers.
"""

import argparse
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from workflow_scripts.config.load import load_settings
from workflow_scripts.config.methods.base import OfWeights
from workflow_scripts.config.overlays import read_config
from workflow_scripts.config.recoveries import Recovery
from workflow_scripts.config.screen_jobs import count_engines, count_going_on
from workflow_scripts.config.settings import Settings
from workflow_scripts.config.uses import in_use, recovered_in_use, searches_in_use
from workflow_scripts.errors import InputError
from workflow_scripts.estimates.gpu_hours import (
    CARDS,
    EFFICIENCY,
    JOB_START,
    PASS_SHARE,
    STEP,
    Card,
    fits,
    gpu_jobs,
    pace,
    pruning_hours,
    recovery_hours,
)
from workflow_scripts.estimates.limits import too_long
from workflow_scripts.estimates.screened import jobs_behind_screens, screened
from workflow_scripts.estimates.sizes import (
    UNFETCHED,
    Size,
    Tokens,
    decoded,
    model_size,
    problem_count,
    shape,
    tokens_of,
)
from workflow_scripts.estimates.training import (
    FP32,
    gpu_memory,
    trained_tokens,
    trained_weights,
)
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.paths import PROJECT

STORED = 7  # bytes of a token in the store: an id of six digits and a comma
RULE = re.compile(r"^(?:rule|checkpoint|use rule \w+ as) (\w+)", re.MULTILINE)
WRITTEN = 5  # bytes of a token in results/, as text


def jobs_by_stage(paths: Sequence[Path]) -> dict[str, int]:
    """Jobs of a dry run of everything, by the rule file they stand in (`all` in none)."""
    stage_of = {
        rule: file.stem
        for file in (PROJECT / "rules").glob("*.smk")
        for rule in RULE.findall(file.read_text(encoding="utf-8"))
    }
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--quiet", "rules"]
    command += ["--snakefile", str(PROJECT / "Snakefile")]
    command += ["--configfile", *map(str, paths)] if paths else []
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        raise InputError("the dry run failed:", *(done.stdout + done.stderr).strip().splitlines())
    counts: Counter[str] = Counter()
    table = (done.stdout + done.stderr).partition("Job stats:")[2].partition("total")[0]
    for rule, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE):
        # loops make the rules of tables and figures, so that their names do not stand in the file
        is_shown = rule.endswith(("_table", "_figure"))
        counts["tables" if is_shown else stage_of.get(rule, rule)] += int(count)
    return dict(counts)


def disk(settings: Settings, sizes: Mapping[str, Size | None], tokens: int) -> dict[str, int]:
    """Bytes by what they are for, with so many tokens; models of unknown size are left out."""
    known = [size for size in sizes.values() if size]
    variants = [settings.variants[name] for name in in_use(settings)["variants"]]
    pruned = [isinstance(variant, OfWeights) for variant in variants]
    sets = [settings.calibration_sets[name] for name in in_use(settings)["calibration_sets"]]
    return {
        "models": sum(size.checkpoint for size in known),
        "calibration sets": len(sizes) * sum(4 * entry.samples * entry.length for entry in sets),
        "masks": sum(pruned) * sum(size.linear_weights // 8 for size in known),
        "trained weights": sum(
            round(FP32 * trained_weights(entry, size.linear_weights))
            for name, size in sizes.items()
            if size
            for entry in trainings(settings, name)
        ),
        "generation store": tokens * STORED,
        "traces and answers": tokens * WRITTEN,
        "a job's, for a while": max((size.checkpoint for size in known), default=0),
    }


def hours(
    settings: Settings,
    sizes: Mapping[str, Size | None],
    tokens: Tokens,
    means: tuple[int, int],
    speed: float | None,
    card: Card,
) -> Iterator[str]:
    """The hours as lines of text; `tokens` are those of all models together."""
    generation, starts = settings.generation, gpu_jobs(settings)
    rows: dict[str, list[float]] = {}
    of_a_job: list[list[float]] = []  # on its GPUs, for each model
    notes = []
    counts = (tokens.expected, tokens.most)
    gpus = generation.gpus or 1
    jobs = len(sizes) * count_engines(settings) * generation.shards
    if speed:
        what = f"generation, at {speed:g} tokens a second"
        rows[what] = [gpus * count / speed / 3600 for count in counts]
        of_a_job = [[count / speed / 3600 / jobs for count in counts]]
    elif not (generation.gpus and generation.likely_engine == "vllm"):
        notes.append("hours of generation: say how fast a job decodes, --tokens-per-second")
    else:
        lengths = (means, (generation.budgets[-1], generation.answer_tokens))
        for name, size in sizes.items():
            if size is None:
                continue
            paces = [pace(settings, size, of_one, card) for of_one in lengths]
            if None in paces:
                notes.append(
                    f"not counted: generation of {name}, which does not fit into {gpus} x "
                    f"{card.title} with its cache (generation.tensor_parallel, --card)"
                )
                continue
            of_a_job += [[n / jobs / p.speed / 3600 for n, p in zip(counts, paces, strict=True)]]
            of_one_model = gpus * jobs / len(sizes)
            rows[f"generation, {name}"] = [of_one_model * each for each in of_a_job[-1]]
            notes.append(
                f"  {name}: {paces[0].speed:,.0f} tokens a second, {paces[0].sequences:,} "
                f"sequences at once of {paces[0].context:,.0f} tokens on the average; at most's "
                f"are {paces[1].speed:,.0f}, {paces[1].sequences:,} and {paces[1].context:,.0f}"
            )
        notes.append(
            f"  assumed: vLLM on {gpus} x {card.title} ({card.memory / 1e9:g} GB, "
            f"{card.bandwidth / 1e12:g} TB/s; --card), {EFFICIENCY:.0%} of its bandwidth, "
            f"{STEP * 1000:g} ms a step beside; what answers go on from is in the cache"
        )
    if "pruning" in starts:
        rows["pruning"] = [pruning_hours(settings, sizes, card)] * 2
    if "recovery" in starts:
        for name, size in sizes.items():
            if size:
                spent = recovery_hours(trainings(settings, name), size, card)
                rows[f"recovery, {name}"] = [spent] * 2
        notes.append(
            f"  assumed: recovery at {PASS_SHARE:.0%} of {card.rate / 1e12:,.0f} TFLOP/s, to its "
            "last step, every row as long as it may be"
        )
        notes += too_large_for(settings, sizes, card)
    if settings.run.tasks:
        count = len(settings.run.tasks)
        notes.append(f"not counted: {count} tasks of the evaluation harness on every variant")
    if starts:
        count = starts.get("generation", 0) * (gpus - 1) + sum(starts.values())
        what = f"starts of {sum(starts.values())} jobs, {JOB_START:g} minutes each"
        rows[what] = [count * JOB_START / 60] * 2
    if rows:
        unit = "GPU hours" if generation.gpus or not speed else "hours"
        yield f"{unit:<42}{'expected':>20}{'at most':>20}"
    for what, (expected, most) in rows.items():
        yield f"  {what:<40}{expected:>20,.1f}{most:>20,.1f}"
    if len(rows) > 1:
        expected, most = (sum(column) for column in zip(*rows.values(), strict=True))
        yield f"  {'all':<40}{expected:>20,.1f}{most:>20,.1f}"
    if of_a_job:
        expected, most = (max(column) for column in zip(*of_a_job, strict=True))
        what = f"{jobs} jobs at once (shards: {generation.shards})"
        yield f"  {what:<40}{expected:>20,.1f}{most:>20,.1f}"
    yield from notes


def searched(settings: Settings, sizes: Mapping[str, Size | None]) -> Iterator[str]:
    """What searches measure, as lines of text; models of unknown size are left out."""
    searches = searches_in_use(settings)
    if searches:
        yield (
            "searches, at the usual number of blocks: pruned models that are measured, and tokens"
        )
    for name, (search, entry) in searches.items():
        available = entry.samples * entry.length
        for model, size in sizes.items():
            if size:
                blocks = round(shape(size.checkpoint / UNFETCHED)[1])
                models = search.evaluations(blocks, available)
                tokens = search.passed_tokens(blocks, available)
                yield f"  {f'{model}, {name}':<40}{models:>20,}{tokens:>20,}"


def trainings(settings: Settings, model: str) -> list[Recovery]:
    """The recoveries of a model's variants."""
    return [settings.recovery_of(name, model) for name in recovered_in_use(settings)]


def too_large_for(
    settings: Settings, sizes: Mapping[str, Size | None], card: Card
) -> Iterator[str]:
    """A line for each training of a model that a card has not the memory for."""
    for model, size in sizes.items():
        names = {settings.recovery_name(name, model) for name in recovered_in_use(settings)}
        for name in sorted(names):
            entry = settings.recoveries[name]
            if size and not fits(entry, size, card):
                parts = gpu_memory(entry, size.checkpoint / UNFETCHED, size.blocks)
                yield (
                    f"recovery of {model} by {name} does not fit into one {card.title}: some "
                    f"{sum(parts.values()) / 1e9:,.0f} GB; a smaller micro_batch or length of "
                    f"recoveries.{name}" + (", or kind: lora" if entry.kind == "full" else "")
                )


def trained(settings: Settings) -> Iterator[str]:
    """The tokens of trainings as lines of text."""
    names, models = recovered_in_use(settings), settings.run.models
    if not names:
        return
    yield (
        f"training, {len(models)} models x {len(names)} recovered variants: tokens at most, which "
        "are steps x batch x length"
    )
    counts = {name: sum(map(trained_tokens, trainings(settings, name))) for name in models}
    for name, count in [*counts.items(), ("all models", sum(counts.values()))]:
        yield f"  {name:<24}{count:>16,}"


def report(
    settings: Settings,
    jobs: Mapping[str, int],
    means: tuple[int, int],
    speed: float | None,
    card: Card = CARDS["h100"],
) -> Iterator[str]:
    """The cost as lines of text; `speed` is a job's tokens per second, None to estimate it."""
    generation, run = settings.generation, settings.run
    counts = {name: problem_count(settings, name) for name in in_use(settings)["benchmarks"]}
    sizes = {name: model_size(settings, name) for name in run.models}
    yield f"jobs {sum(jobs.values()):,}"
    for stage, count in jobs.items():
        yield f"  {stage:<24}{count:>16,}"
    problems = sum(counts[name] or 0 for name in run.benchmarks)
    variants = count_going_on(settings)
    forms = len(run.models) * variants
    yield (
        f"tokens: {len(run.models)} models x {variants} variants x {problems:,} problems "
        f"x {generation.repeats} repeats, {len(generation.budgets)} budgets, sweep "
        f"{generation.sweep}"
    )
    yield f"  {'':<24}{'samples':>16}{'expected':>20}{'at most':>20}"
    tokens = tokens_of(settings, counts, means)
    total = sum(tokens.values(), Tokens(0, 0, 0))
    for what, part in [*tokens.items(), ("all", total)]:
        yield f"  {what:<24}{part.samples:>16,}{part.expected:>20,}{part.most:>20,}"
    other = "independent" if generation.sweep == "shared" else "shared"
    traces = decoded(generation, problems, means, other)["traces"].times(forms)
    what = f"(traces if {other})"
    yield f"  {what:<24}{traces.samples:>16,}{traces.expected:>20,}{traces.most:>20,}"
    yield (
        f"  expected: traces have {means[0]:,} tokens and answers {means[1]:,}, where budget and "
        "cap let them (--mean-trace, --mean-answer)"
    )
    yield from trained(settings)
    yield from searched(settings, sizes)
    yield from screened(settings)
    yield from hours(settings, sizes, total, means, speed, card)
    yield "disk, GB"
    most = disk(settings, sizes, total.most)
    for what, size in disk(settings, sizes, total.expected).items():
        yield f"  {what:<40}{size / 1e9:>20,.2f}{most[what] / 1e9:>20,.2f}"
    for name, count in counts.items():
        if count is None:
            yield f"not counted: benchmark {name}, its size is unknown (benchmarks.{name}.problems)"
    for name, size in sizes.items():
        if size is None:
            yield f"not counted: model {name}, its size is unknown (models.{name}.parameters)"
    yield from too_long(settings)
    yield "not counted: what runs on the CPU, corpora that calibration sets are drawn from"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="*", type=Path, metavar="CONFIG")
    parser.add_argument("--tokens-per-second", type=float, help="that one job decodes")
    parser.add_argument("--card", choices=CARDS, default="h100", help="the GPU, h100")
    parser.add_argument("--mean-trace", type=int, default=4000, help="tokens, 4000")
    parser.add_argument("--mean-answer", type=int, default=1000, help="tokens, 1000")
    options = parser.parse_args(arguments)
    settings = load_settings(read_config(options.configs))
    means = (options.mean_trace, options.mean_answer)
    if min(*means, options.tokens_per_second or 1) <= 0:
        raise InputError("cost: means and tokens per second must be greater than 0")
    jobs = Counter(jobs_by_stage(options.configs)) + Counter(jobs_behind_screens(settings))
    for line in report(settings, jobs, means, options.tokens_per_second, CARDS[options.card]):
        print(line)


if __name__ == "__main__":
    run_stage(main)
