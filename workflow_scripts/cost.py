"""What a config will cost, before anybody pays for it: jobs, tokens, GPU hours, disk.

    python -m workflow_scripts.cost config/paper.yaml --tokens-per-second 2500

Configs are laid over config/config.yaml as `snakemake --configfile` does it; without any it is the
default config's cost. Nothing is run and no network is needed: jobs are those of a dry run, numbers
of problems come from fetched benchmarks, else from the config, sizes of models from fetched
checkpoints, else from the config. What is not known is said. Everything is counted, also what is
there already.

Tokens are those that are decoded. At most: every trace goes up to its budget and every answer up to
its cap. Expected: as far as --mean-trace and --mean-answer say, where budget and cap let them; a
smaller model or a harder benchmark needs more, so look at a first run's results for better numbers.
"""

import argparse
import functools
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from workflow_scripts.config_files import checkpoint_shards, source_files
from workflow_scripts.errors import InputError, run_stage
from workflow_scripts.settings import Generation, Settings, in_use, load_settings
from workflow_scripts.tensor_files import open_tensors

PROJECT = Path(__file__).resolve().parent.parent
LINEAR = re.compile(r"\.layers\.\d+\.(self_attn\.[qkvo]|mlp\.(?:gate|up|down))_proj\.weight$")
STORED = 7  # bytes of a token in the store: an id of six digits and a comma
WRITTEN = 5  # bytes of a token in results/, as text
UNFETCHED = 2  # bytes of a weight, where a checkpoint is not there to be asked


@dataclass(frozen=True)
class Tokens:
    """Samples that are decoded, and their tokens: expected and at most."""

    samples: int
    expected: int
    most: int

    def __add__(self, other: "Tokens") -> "Tokens":
        return Tokens(
            self.samples + other.samples, self.expected + other.expected, self.most + other.most
        )

    def times(self, count: int) -> "Tokens":
        return Tokens(self.samples * count, self.expected * count, self.most * count)


@dataclass(frozen=True)
class Size:
    """Of a model: bytes of its checkpoint, and weights that a mask can have a bit for."""

    checkpoint: int
    linear_weights: int


def read_config(paths: Sequence[Path]) -> dict:
    """The default config with others laid over it, as Snakemake merges them."""
    from snakemake.utils import update_config  # slow to import

    config: dict = {}
    for path in (PROJECT / "config" / "config.yaml", *paths):
        try:
            overlay = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from None
        except yaml.MarkedYAMLError as error:
            line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
            raise InputError(f"{path}{line}: not YAML ({error.problem})") from None
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            # ValueError: no UTF-8, or a date that no calendar has
            raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
        if not isinstance(overlay, dict):
            raise InputError(f"{path}: not a config, which is a mapping")
        update_config(config, overlay)
    return config


def jobs_by_stage(paths: Sequence[Path]) -> dict[str, int]:
    """Jobs of a dry run of everything, by the rule file they stand in (`all` in none)."""
    snakefile = PROJECT / "Snakefile"
    stage_of = {}
    for stage in re.findall(r'^include: "rules/(\w+)\.smk"', snakefile.read_text(), re.MULTILINE):
        text = (PROJECT / "rules" / f"{stage}.smk").read_text()
        rules = re.findall(r"^(?:rule|use rule \w+ as) (\w+)", text, re.MULTILINE)
        stage_of |= dict.fromkeys(rules, stage)
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--quiet", "rules"]
    command += ["--snakefile", str(snakefile)]
    command += ["--configfile", *map(str, paths)] if paths else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"the dry run failed: {(done.stdout + done.stderr).strip()}")
    counts: Counter[str] = Counter()
    table = (done.stdout + done.stderr).partition("Job stats:")[2].splitlines()[3:]
    for line in table:
        rule, _, count = line.rpartition(" ")
        if rule.strip() == "total":
            break
        counts[stage_of.get(rule.strip(), rule.strip())] += int(count)
    return {stage: counts[stage] for stage in sorted(counts, key=[*stage_of.values(), "all"].index)}


def problem_count(settings: Settings, benchmark: str, root: Path = Path(".")) -> int | None:
    """How many problems a benchmark has; None where neither a file nor the config tells."""
    entry = settings.benchmarks[benchmark]
    fetched = root / "resources" / "benchmarks" / f"{benchmark}.jsonl"
    files = [fetched] if fetched.exists() else source_files("benchmarks", entry.source, root)
    for file in files:
        if file.suffix == ".jsonl" and file.is_file():
            return _rows(file, file.stat().st_size, file.stat().st_mtime_ns)
    return entry.problems


@functools.cache
def _rows(file: Path, size: int, changed: int) -> int:
    """Rows of a JSONL file, counted again when its size or time of change is another one."""
    return sum(bool(line.strip()) for line in file.read_bytes().split(b"\n"))


def model_size(settings: Settings, model: str, root: Path = Path(".")) -> Size | None:
    """How large a model is; None where neither files nor the config tell."""
    entry = settings.models[model]
    if shards := checkpoint_shards(model, entry.source, root):
        entries = [item for shard in shards for item in open_tensors(shard).entries.items()]
        linear = sum(
            entry.shape[0] * entry.shape[1] for name, entry in entries if LINEAR.search(name)
        )
        return Size(sum(shard.stat().st_size for shard in shards), linear)
    if entry.parameters is None:
        return None
    return Size(entry.parameters * UNFETCHED, entry.parameters)


def decoded(
    generation: Generation, problems: int, means: tuple[int, int], sweep: str | None = None
) -> dict[str, Tokens]:
    """Traces and answers of one model on that many problems.

    `means` are the tokens that a trace and an answer have where no cap is in the way; `sweep`
    stands for the config's. Of equal answers under several budgets only one is decoded, which is
    not known before: they are counted as if all differed.
    """
    samples = problems * generation.repeats
    budgets, cap = generation.budgets, generation.answer_tokens
    # with equal seeds under every budget, the largest one's trace serves the others too
    once = (sweep or generation.sweep) == "shared" or generation.seeding == "paper"
    drawn = budgets[-1:] if once else budgets
    return {
        "traces": Tokens(
            samples * len(drawn),
            samples * sum(min(means[0], budget) for budget in drawn),
            samples * sum(drawn),
        ),
        "answers": Tokens(
            samples * len(budgets),
            samples * len(budgets) * min(means[1], cap),
            samples * len(budgets) * cap,
        ),
    }


def tokens_of(
    settings: Settings, counts: Mapping[str, int | None], means: tuple[int, int]
) -> dict[str, Tokens]:
    """Everything that is decoded; `counts` are problems by benchmark."""
    run, models = settings.run, len(settings.run.models)
    problems = sum(counts[name] or 0 for name in run.benchmarks)
    one = decoded(settings.generation, problems, means)
    found = {what: tokens.times(models * len(run.variants)) for what, tokens in one.items()}
    # for calibration the dense model answers under the largest budget, where it does not anyway
    dense = any(settings.variants[name].method == "dense" for name in run.variants)
    sets = (settings.calibration_sets[name] for name in in_use(settings)["calibration_sets"])
    texts = {entry.source["benchmark"] for entry in sets if "benchmark" in entry.source}
    if texts := texts - {*(run.benchmarks if dense else ())}:
        largest = replace(settings.generation, budgets=settings.generation.budgets[-1:])
        more = decoded(largest, sum(counts[name] or 0 for name in texts), means)
        found["calibration"] = (more["traces"] + more["answers"]).times(models)
    return found


def disk(settings: Settings, sizes: Mapping[str, Size | None], tokens: int) -> dict[str, int]:
    """Bytes by what they are for, with so many tokens; models of unknown size are left out."""
    known = [size for size in sizes.values() if size]
    pruned = [settings.variants[name].sparsity is not None for name in settings.run.variants]
    sets = [settings.calibration_sets[name] for name in in_use(settings)["calibration_sets"]]
    return {
        "models": sum(size.checkpoint for size in known),
        "calibration sets": len(sizes) * sum(4 * entry.samples * entry.length for entry in sets),
        "masks": sum(pruned) * sum(size.linear_weights // 8 for size in known),
        "generation store": tokens * STORED,
        "traces and answers": tokens * WRITTEN,
        "a job's, for a while": max((size.checkpoint for size in known), default=0),
    }


def report(
    settings: Settings, jobs: Mapping[str, int], means: tuple[int, int], speed: float | None
) -> Iterator[str]:
    """The cost as lines of text; `speed` is in tokens per second of one job."""
    generation, run = settings.generation, settings.run
    counts = {name: problem_count(settings, name) for name in in_use(settings)["benchmarks"]}
    sizes = {name: model_size(settings, name) for name in run.models}
    yield f"jobs {sum(jobs.values()):,}"
    for stage, count in jobs.items():
        yield f"  {stage:<24}{count:>16,}"
    problems = sum(counts[name] or 0 for name in run.benchmarks)
    forms = len(run.models) * len(run.variants)
    yield (
        f"tokens: {len(run.models)} models x {len(run.variants)} variants x {problems:,} problems "
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
    if speed:
        gpus = generation.tensor_parallel if generation.device == "cuda" else 0
        hours = [count / speed / 3600 * (gpus or 1) for count in (total.expected, total.most)]
        yield f"{'GPU hours' if gpus else 'hours'} of generation, at {speed:g} tokens a second"
        yield f"  {'':<40}{hours[0]:>20,.1f}{hours[1]:>20,.1f}"
    else:
        yield "hours of generation: say how fast a job decodes, --tokens-per-second"
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
    yield "not counted: pruning itself, corpora that calibration sets are drawn from, tables"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="*", type=Path, metavar="CONFIG")
    parser.add_argument("--tokens-per-second", type=float, help="that one job decodes")
    parser.add_argument("--mean-trace", type=int, default=4000, help="tokens, 4000")
    parser.add_argument("--mean-answer", type=int, default=1000, help="tokens, 1000")
    options = parser.parse_args(arguments)
    settings = load_settings(read_config(options.configs))
    means = (options.mean_trace, options.mean_answer)
    if min(*means, options.tokens_per_second or 1) <= 0:
        raise InputError("cost: means and tokens per second must be greater than 0")
    jobs = jobs_by_stage(options.configs)
    for line in report(settings, jobs, means, options.tokens_per_second):
        print(line)


if __name__ == "__main__":
    run_stage(main)
