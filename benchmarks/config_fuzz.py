"""What becomes of configs with mistakes in them: refused in lines, or runnable.

    python -m benchmarks.config_fuzz --mistakes 300 --seed 0 --dry-runs all

Every config that ships gets so many mistakes, one at a time and each in a file of its own: keys
dropped or renamed, values retyped, out of range or crossed with others, lines garbled. The file is
laid over config/config.yaml as Snakemake does it and put to the door that every run goes through.
What the door lets in is then really dry-run with Snakemake, and so are some of those that it
refuses. Counted as a fault: a traceback, a refusal that is not made of `config: ` lines, an
accepted config that cannot be planned, and a file that appears in the project's folder.
"""

import argparse
import copy
import functools
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config
from snakemake_interface_common.exceptions import WorkflowError

from tests.config.config_mistakes import KINDS, Mistake, garbled, mistake, written
from tests.workflow.checkout import PROJECT, Checkout, copy_project
from workflow_scripts.config.catalogues import Sourced
from workflow_scripts.config.entry import as_json
from workflow_scripts.config.load import MAX_LINES, load_settings
from workflow_scripts.config.overlays import check_config_files
from workflow_scripts.config.settings import Settings
from workflow_scripts.config.source_files import source_files
from workflow_scripts.config.uses import in_use
from workflow_scripts.errors import InputError

DEFAULT = "config.yaml"
MAX_LINE = 1000
# a text that is no YAML never reaches the project: this is Snakemake's own line
UNREADABLE = ("Config file is not valid JSON or YAML", "Config file must be given as JSON or YAML")


@dataclass(frozen=True)
class Case:
    """A mistake in one of the configs, and what the door says of it: no lines where it is let in.

    `fault` says what was wrong with the door itself.
    """

    config: str
    number: int
    mistake: Mistake
    lines: tuple[str, ...] = ()
    fault: str | None = None

    @property
    def file(self) -> str:
        return f"{Path(self.config).stem}-{self.number}.yaml"


def shipped() -> list[str]:
    """The names of all configs in config/, the default one first."""
    names = sorted(path.name for path in (PROJECT / "config").glob("*.yaml"))
    return sorted(names, key=lambda name: name != DEFAULT)


def cases(name: str, count: int, seed: int, folder: Path) -> Iterator[Case]:
    """`count` mistakes in a config, each written to `folder` and put to the door.

    The working directory has to be the project's folder, as for Snakemake.
    """
    draw = random.Random(f"{seed} {name}")
    text = (PROJECT / "config" / name).read_text(encoding="utf-8")
    config = load_configfile(PROJECT / "config" / name)
    for number in range(count):
        kind = [*KINDS, "garbled"][number % (len(KINDS) + 1)]
        made = garbled(text, draw) if kind == "garbled" else mistake(config, draw, kind)
        case = Case(name, number, made)
        (folder / case.file).write_text(written(made.config), encoding="utf-8")
        yield _at_the_door(case, folder / case.file)


def _at_the_door(case: Case, file: Path) -> Case:
    try:
        overlay = load_configfile(file)
        check_config_files([file])
        # in the order in which Snakemake lays them over each other
        merged = copy.deepcopy(overlay)
        if case.config != DEFAULT:  # which stands alone, or nothing would be dropped from it
            update_config(merged, copy.deepcopy(_default()))
            update_config(merged, overlay)
        _use(load_settings(merged))
    except InputError as error:
        lines = str(error).split("\n")
        return _with(case, lines, _unclear(lines, file))
    except WorkflowError as error:
        line = str(error)
        return _with(case, [line], None if line.startswith(UNREADABLE) else f"Snakemake: {line}")
    except Exception as error:
        return _with(case, [], f"{type(error).__name__}: {error}")
    return case


def _use(settings: Settings) -> None:
    """Take from what is let in what the rules take from it; raises where something is not there."""
    for model in settings.run.models:
        as_json(settings.trace_job(model, settings.run.benchmarks[0]))
    for catalogue, names in in_use(settings).items():
        for name in names:
            entry = getattr(settings, catalogue)[name]
            as_json(entry)
            if isinstance(entry, Sourced):
                source_files(catalogue, entry.source)


@functools.cache
def _default() -> dict:
    return load_configfile(PROJECT / "config" / DEFAULT)


def _with(case: Case, lines: Sequence[str], fault: str | None) -> Case:
    return Case(case.config, case.number, case.mistake, tuple(lines), fault)


def _unclear(lines: Sequence[str], file: Path) -> str | None:
    if len(lines) > MAX_LINES + 1:
        return f"{len(lines)} lines"
    for line in lines:
        if (
            not line.startswith(("config: ", f"{file}:"))
            or not line.isprintable()
            or len(line) > MAX_LINE
        ):
            return f"not a clear line: {line[:200]!r}"
    return None


def dry_run(checkout: Checkout, case: Case) -> str | None:
    """What is wrong with how Snakemake takes a case, whose file is in the checkout's folder."""
    alone = ["--replace-workflow-config"] if case.config == DEFAULT else []
    done = checkout.snakemake("--dry-run", "--cores", "1", "--configfile", case.file, *alone)
    if "Traceback" in done.stdout:
        return "a traceback: " + done.stdout.strip().splitlines()[-1]
    if not case.lines:
        return None if done.returncode == 0 else "not planned: " + _end(done.stdout)
    if done.returncode == 0:
        return "planned, though the door refuses it"
    ours = "config: ", f"{checkout.folder / case.file}:"
    said = [line for line in done.stdout.splitlines() if line.startswith(ours)]
    if case.lines[0].startswith(UNREADABLE):
        return None if case.lines[0] in done.stdout else "another error: " + _end(done.stdout)
    is_all = done.stdout.rstrip().endswith("\n".join(case.lines))  # nothing of Snakemake's after it
    return None if tuple(said) == case.lines and is_all else "other lines: " + _end(done.stdout)


def _end(text: str) -> str:
    return re.sub(r"\s+", " ", text.strip())[-300:]


def dry_runs(
    checkout: Checkout, found: Sequence[Case], jobs: int
) -> tuple[list[tuple[Case, str]], float]:
    """Dry-run cases, `jobs` at once: those with a fault, and seconds in all."""
    before = files_of(checkout)
    start = time.monotonic()
    with ThreadPoolExecutor(jobs) as executor:
        faults = list(executor.map(lambda case: dry_run(checkout, case), found))
    seconds = time.monotonic() - start
    pairs = [(case, fault) for case, fault in zip(found, faults, strict=True) if fault]
    appeared = sorted(files_of(checkout) - before)
    if appeared:
        pairs.append((found[0], f"files appeared: {', '.join(appeared[:5])}"))
    return pairs, seconds


def files_of(checkout: Checkout) -> set[str]:
    """Every file of a checkout but Snakemake's own notes and compiled Python."""
    paths = (path.relative_to(checkout.folder) for path in checkout.folder.rglob("*"))
    return {str(path) for path in paths if not {".snakemake", "__pycache__"} & {*path.parts}}


def report(found: Sequence[Case]) -> str:
    """A Markdown table: by config and kind of mistake, what the door did."""
    rows = [
        "| config | mistakes | let in | refused | in one line | in 2 to 10 | no YAML | faults |",
        "|:--|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for group in [*shipped(), *KINDS, "garbled"]:
        chosen = [case for case in found if group in (case.config, case.mistake.kind)]
        counts = Counter(_outcome(case) for case in chosen)
        refused = len(chosen) - counts["let in"] - counts["fault"]
        rows.append(
            f"| {group} | {len(chosen)} | {counts['let in']} | {refused} | {counts['one line']} | "
            f"{counts['more lines']} | {counts['no YAML']} | {counts['fault']} |"
        )
    return "\n".join(rows)


def _outcome(case: Case) -> str:
    if case.fault:
        return "fault"
    if not case.lines:
        return "let in"
    if case.lines[0].startswith(UNREADABLE):
        return "no YAML"
    return "one line" if len(case.lines) == 1 else "more lines"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mistakes", type=int, default=300, help="in each config")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--dry-runs", default="all", help="of what is let in: a number for each config, or all"
    )
    parser.add_argument("--refused", type=int, default=10, help="dry runs of what is refused")
    parser.add_argument("--jobs", type=int, default=2, help="dry runs at once")
    parser.add_argument("--show", type=int, default=0, help="print so many refusals")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        checkout = copy_project(Path(scratch))
        found: list[Case] = []
        with chdir(PROJECT):
            for name in shipped():
                found += cases(name, arguments.mistakes, arguments.seed, checkout.folder)
        print(report(found))
        faults = [(case, case.fault) for case in found if case.fault]
        draw = random.Random(arguments.seed)
        ran = 0
        for name in shipped():
            sound = [case for case in found if case.config == name and not case.fault]
            let_in = [case for case in sound if not case.lines]
            if arguments.dry_runs != "all":
                let_in = draw.sample(let_in, min(int(arguments.dry_runs), len(let_in)))
            refused = draw.sample([case for case in sound if case.lines], arguments.refused)
            more, seconds = dry_runs(checkout, [*let_in, *refused], arguments.jobs)
            faults += more
            ran += len(let_in) + len(refused)
            print(
                f"\n{name}: {len(let_in)} of those let in and {len(refused)} of those refused "
                f"dry-run in {seconds:.0f} s, {len(more)} faults",
                flush=True,
            )
    for case, fault in faults:
        print(f"FAULT {case.config} #{case.number} ({case.mistake.said}): {fault}")
    for case in draw.sample([case for case in found if case.lines], arguments.show):
        print(f"\n{case.config}: {case.mistake.kind}: {case.mistake.said}", *case.lines, sep="\n  ")
    print(f"\n{len(found)} mistakes, {ran} dry runs, {len(faults)} faults")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
