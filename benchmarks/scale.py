"""How planning and the generation store grow, on paper: nothing is pruned or generated.

    python -m benchmarks.scale dag --variants 10 100 1000
    python -m benchmarks.scale store --completions 1000000 --tokens 900
    python -m benchmarks.scale store --completions 10000000 --tokens 12 --generators 700

`dag`: the models and benchmarks of config/paper.yaml with so many variants each. A dry run of what
has not begun, beside that of a workflow of nothing but the same jobs, and a call that finds
everything there: files are made up, with records of how they were made, and `snakemake --touch`
takes them for results. `store`: made-up completions, each of so many tokens, in the folder of one
generator or spread evenly over several; opening one folder in a process of its own, and looking up
completions that are there, drawn at random, and ones that are not.

Seconds are those of the processor, of all processes together: files are in the system's cache and
nothing waits for another, so that they are about what a clock shows on a machine that does nothing
else.
"""

import argparse
import json
import random
import re
import resource
import sys
import tempfile
import time
import zlib
from contextlib import chdir
from itertools import count, islice, product
from pathlib import Path
from typing import Any

import yaml

from benchmarks import processes
from tests.workflow.checkout import Checkout, copy_project, job_counts, write_config
from workflow_scripts.engines.interface import Completion, Request
from workflow_scripts.engines.sampling import Sampling
from workflow_scripts.files.making import note_making
from workflow_scripts.generation.store.completions import Store
from workflow_scripts.generation.store.files import encode, encode_record, prepare_folder

ALLOCATIONS = {
    "uniform": {"kind": "uniform"},
    "owl": {"kind": "owl", "calibration": "c4", "threshold": 7, "spread": 0.08},
    "layerif": {"kind": "layerif", "influence": "s1k"},
}
WRITERS = 4  # processes that wrote into a generator's folder: one for each time a job ran
TEXTS = 200  # different completions that made-up ones are taken from
VOCABULARY = 150_000
STOP = 151_645
LOOK_UPS = 20_000
PRODUCER = {"engine": "vllm", "device": "made up", "dtype": "bfloat16"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(dest="part", required=True)
    dag = parts.add_parser("dag")
    dag.add_argument("--variants", type=int, nargs="+", default=[10, 100, 1000])
    store = parts.add_parser("store")
    store.add_argument("--completions", type=int, default=1_000_000)
    store.add_argument("--tokens", type=int, default=900)
    store.add_argument("--generators", type=int, default=1)
    store.add_argument("--open", type=Path, help="only open the folder in this store and look up")
    arguments = parser.parse_args()
    if arguments.part == "dag":
        measure_dag(arguments.variants)
    elif arguments.open:
        look_up(arguments.open, arguments.completions // arguments.generators)
    else:
        measure_store(arguments.completions, arguments.tokens, arguments.generators)


def measure_dag(sizes: list[int]) -> None:
    print("| variants | jobs | dry run, s | peak MiB | bare, s | ratio | nothing to do, s | MiB |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|", flush=True)
    for size in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            checkout = copy_project(Path(scratch, "checkout"))
            write_config(checkout, paper_with(size), "many.yaml")
            bare = bare_workflow(checkout, Path(scratch, "bare"))
            plan, floor = (called(one, "--dry-run", "--quiet", "all") for one in (checkout, bare))
            jobs = sum(job_counts(printed(checkout)).values())
            if jobs != sum(job_counts(printed(bare)).values()):
                raise SystemExit(f"the bare workflow has other jobs:\n{printed(bare)[-3000:]}")
            make_up_results(checkout)
            nothing = called(checkout)
            if "Nothing to be done" not in printed(checkout):
                raise SystemExit(f"something was left to do:\n{printed(checkout)[-3000:]}")
            planned, called_again = (f"{s:.1f} | {peak:,.0f}" for s, peak in (plan, nothing))
            beside = f"{floor[0]:.1f} | {plan[0] / floor[0]:.2f}"
            print(f"| {size:,} | {jobs:,} | {planned} | {beside} | {called_again} |", flush=True)


BARE = """import json
NEEDS = json.load(open("needs.json"))
FILES = {job: f"made/{job}" for job in NEEDS}
rule all:
    input: [FILES[job] for job in NEEDS["all/0"]]
"""
RULE = """
rule {0}:
    input: lambda wildcards: [FILES[job] for job in NEEDS["{0}/" + wildcards.number]]
    output: "made/{0}/{{number}}"
    shell: "touch {{output}}"
"""


def bare_workflow(checkout: Checkout, folder: Path) -> Checkout:
    """A workflow of jobs that touch a file, as many of each rule and as dependent on each other."""
    called(checkout, "--dag")
    graph = printed(checkout)
    rules = dict(re.findall(r'(\d+)\[label = "(\w+)', graph))
    names = {job: f"{rule}/{0 if rule == 'all' else job}" for job, rule in rules.items()}
    needs: dict[str, list[str]] = {name: [] for name in names.values()}
    for before, after in re.findall(r"(\d+) -> (\d+)", graph):
        needs[names[after]].append(names[before])
    folder.mkdir()
    (folder / "needs.json").write_text(json.dumps(needs))
    others = dict.fromkeys(rule for rule in rules.values() if rule != "all")
    (folder / "Snakefile").write_text(BARE + "".join(map(RULE.format, others)))
    (folder / "many.yaml").write_text("{}\n")
    return Checkout(folder)


def paper_with(size: int) -> dict[str, Any]:
    """The paper's experiment with `size` variants: more and more sparsities."""
    config = yaml.safe_load((processes.PROJECT / "config/paper.yaml").read_text())
    variants: dict[str, dict[str, Any]] = {"dense": {"method": "dense"}}
    kinds = (
        (level, *kind)
        for level in count(1)
        for kind in product(("magnitude", "wanda"), ALLOCATIONS)
    )
    for level, method, name in islice(kinds, size - 1):
        variant = {"method": method, "sparsity": level / 1000, "allocation": ALLOCATIONS[name]}
        more = {"calibration": "c4"} if method == "wanda" else {}
        variants[f"{method}-{name}-{level}"] = variant | more
    return config | {"variants": variants, "run": config["run"] | {"variants": list(variants)}}


def called(checkout: Checkout, *flags: str) -> tuple[float, float]:
    """Processor seconds and peak MiB of a call of snakemake; what it prints goes to a file."""
    command = checkout.command(*flags, "--configfile", "many.yaml")
    before = children_seconds()
    # what Python and the workflow keep of compiled sources is kept, as it is for a user
    script = 'unset PYTHONDONTWRITEBYTECODE; exec "$@" > printed.txt 2>&1'
    cost = processes.run(["bash", "-c", script, "-", *command], folder=checkout.folder)
    return children_seconds() - before, cost.peak_mib


def children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def printed(checkout: Checkout) -> str:
    return (checkout.folder / "printed.txt").read_text()


def make_up_results(checkout: Checkout) -> None:
    """Let snakemake take empty files for the results of everything that it would make."""
    called(checkout, "--dry-run")
    for outputs in re.findall(r"^    output: (.+)$", printed(checkout), re.M):
        for name in outputs.split(", "):
            path = checkout.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}\n")
    with chdir(checkout.folder):
        for order in filter(Path.is_file, Path(".snakemake/asked").rglob("*")):
            note_making(order)
    called(checkout, "--touch")


def measure_store(completions: int, tokens: int, generators: int) -> None:
    """Make a store up, and open and ask the folder of one of its generators."""
    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch, "store")
        for number in range(generators):
            write_generator(store, number, completions // generators, tokens)
        size = sum(path.stat().st_size for path in store.glob("*/*.jsonl"))
        print(f"{completions:,} completions of {tokens} tokens in {generators} folder(s)")
        print(f"{size / 1e9:.2f} GB, {size / completions:,.0f} bytes a completion", flush=True)
        opened = (
            "store",
            "--open",
            store,
            "--completions",
            completions,
            "--generators",
            generators,
        )
        processes.run([sys.executable, "-m", "benchmarks.scale", *opened])


def identity(number: int) -> dict[str, Any]:
    return {"weights": "made up", "mask": number, "engine": "vllm", "dtype": "bfloat16"}


def request(number: int) -> Request:
    return Request((1, 2, 3), 8192, (STOP,), Sampling(0.6, 0.95, 0), number)


def write_generator(store: Path, number: int, completions: int, tokens: int) -> None:
    """Completions of the requests 0, 1, ... in the store's own format, faster than it writes."""
    draw, generator = random.Random(number), Store(store, identity(number))
    prepare_folder(store, generator.folder, identity(number))
    texts = [[draw.randrange(VOCABULARY) for _ in range(tokens)] for _ in range(TEXTS)]
    key = "0" * len(generator.key(request(0)))
    bodies = [
        encode_record(key, Completion(tuple(text), STOP)).partition(b" ")[2][:-1] for text in texts
    ]
    for writer in range(WRITERS):
        with (generator.folder / f"made-up-{writer}.jsonl").open("wb") as file:
            file.write(encode({"label": "made/up", "producer": PRODUCER}))
            for i in range(writer, completions, WRITERS):
                mine = generator.key(request(i)).encode()
                body = bodies[i % TEXTS].replace(key.encode(), mine, 1)
                file.write(b"%08x %s\n" % (zlib.crc32(body), body))


def look_up(store: Path, completions: int) -> None:
    """Open a generator's folder and ask for what is there and what is not."""
    before, start = resident_mib(), time.process_time()
    opened = Store(store, identity(0))
    seconds = time.process_time() - start
    print(f"open: {seconds:.1f} s, {resident_mib() - before:,.0f} MiB")
    draw = random.Random(0)
    there = [request(draw.randrange(completions)) for _ in range(LOOK_UPS)]
    absent = [request(completions + i) for i in range(LOOK_UPS)]
    for name, ask, requests, expected in (
        ("read", opened.get, there, True),
        ("found", opened.has, there, True),
        ("not found", opened.has, absent, False),
    ):
        start = time.process_time()
        assert all((ask(r) not in (None, False)) == expected for r in requests)
        print(f"{name}: {LOOK_UPS / (time.process_time() - start):,.0f} look-ups/s")


def resident_mib() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
