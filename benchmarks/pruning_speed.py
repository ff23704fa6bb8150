"""How fast pruning is, as ratios to a bare forward pass in the same run.

    python -m benchmarks.pruning_speed --model resources/models/smollm2 \\
        --samples 64 --length 512 --threads 2 --rounds 3 [--tasks sparsegpt sleb]
        [--peer PEER/bin/python]

Every round runs, in turn, each as whole processes with start-up included, on the same token ids:

- a bare forward pass of transformers, without the language-model head (the floor), and its start-up
  alone: Python, transformers and the model's weights;
- the tasks:
    forward-with-head    the bare forward pass with the logits of every token
    statistics           the statistics pass
    wanda, wanda-sp, flap              masks from those statistics, which are there
    wanda-sequential                   the original Wanda (`propagate: pruned`)
    sparsegpt, slicegpt                weights that change
    llm-pruner, shortened-taylor       by gradients
    sleb, shortened-ppl                by losses without blocks; sleb removes --remove-blocks
    shortened-magnitude                by weights alone
    12-variants          statistics and the 12 unstructured variants of arXiv 2604.25098: magnitude
                         and Wanda, uniform, OWL and LayerIF (influence scores given), 10 % and 20 %
    peer-wanda, peer-sparsegpt         by llm-compressor, in the environment of --peer

Token ids are random, drawn once with a fixed seed: the work does not depend on what they say.
Prints medians over the rounds, and ratios of processor time to the floor of the same round: of
whole processes, and with the start-up taken off the floor and off every task but masks that are
made without running the model. Beside the peer also the share of equal bits of Wanda's masks, and
what SparseGPT's linears put out wrongly on inputs of the dense model.
"""

import argparse
import functools
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.linear_errors import agreement, linear_errors, print_errors
from benchmarks.processes import PROJECT, Cost, run
from benchmarks.pruning_work import SPARSITY, UNIFORM, Work, variants, write_inputs
from workflow_scripts.config.methods.depth import SLEB
from workflow_scripts.models import checkpoints

START, FLOOR = "start-up", "bare forward pass"
USUAL = ("statistics", "wanda", "wanda-sequential", "sparsegpt", "12-variants")
PEERS = ("peer-wanda", "peer-sparsegpt")
WITHOUT_MODEL = ("wanda", "wanda-sp", "flap", "shortened-magnitude")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ("forward-with-head", "statistics", *variants(1), "12-variants", *PEERS)
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--remove-blocks", type=int, default=1, help="by methods that remove them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", type=Path, help="python of an environment with llm-compressor")
    parser.add_argument(
        "--tasks",
        nargs="+",
        choices=names,
        metavar="TASK",
        help=f"some of {', '.join(names)}; without it {', '.join(USUAL)} and, with --peer, its own",
    )
    options = parser.parse_args(argv)
    chosen = options.tasks or [*USUAL, *(PEERS if options.peer else ())]
    if not options.peer and {*chosen} & {*PEERS}:
        parser.error(f"--tasks {' '.join(PEERS)}: give --peer as well")
    with tempfile.TemporaryDirectory() as scratch:
        work = Work(options.model.resolve(), Path(scratch), options.threads)
        write_inputs(work, options.samples, options.length)
        work.allocate(work.allocation, UNIFORM, SPARSITY)
        if "statistics" not in chosen:
            work.collect()
        if "sleb" in chosen:
            print_runs(checkpoints.open_checkpoint(work.model).blocks, options.remove_blocks)
        every = tasks(work, options.remove_blocks, options.peer)
        picked = (START, FLOOR, *(name for name in names if name in chosen))
        rounds = [{name: every[name]() for name in picked} for _ in range(options.rounds)]
        print_table(rounds)
        made = Path(scratch)
        if {"wanda-sequential", "peer-wanda"} <= {*chosen}:
            files = (made / "wanda-sequential-mask.safetensors", made / "peer-wanda.safetensors")
            share = agreement(work.model, *files)
            print(f"\nequal mask bits, sequential Wanda and llm-compressor: {share:.4%}")
        if {"sparsegpt", "peer-sparsegpt"} <= {*chosen}:
            files = (made / "sparsegpt-weights.safetensors", made / "peer-sparsegpt.safetensors")
            print_errors(linear_errors(work.model, work.calibration, *files))


def tasks(work: Work, remove_blocks: int, peer: Path | None) -> dict[str, Callable[[], Cost]]:
    """Every task by its name."""
    found: dict[str, Callable[[], Cost]] = {
        START: functools.partial(bare, work, "start"),
        FLOOR: functools.partial(bare, work, "blocks"),
        "forward-with-head": functools.partial(bare, work, "head"),
        "statistics": work.collect,
        "12-variants": work.all_variants,
    }
    for name, variant in variants(remove_blocks).items():
        found[name] = functools.partial(work.mask, variant, name)
    if peer:
        for name in PEERS:
            found[name] = functools.partial(by_peer, work, peer.absolute(), name)
    return found


def bare(work: Work, what: str) -> Cost:
    script = PROJECT / "benchmarks/bare_forward.py"
    return run([sys.executable, script, work.model, work.calibration, work.threads, what])


def by_peer(work: Work, python: Path, name: str) -> Cost:
    script, output = PROJECT / "benchmarks/peer_pruning.py", work.scratch / f"{name}.safetensors"
    method = name.removeprefix("peer-")
    arguments = [method, work.model, work.calibration, SPARSITY, work.threads, output]
    return run([python, script, *arguments])


def print_runs(blocks: int, count: int) -> None:
    """How often SLEB runs blocks and the head, beside a forward pass for each loss."""
    sleb = SLEB(method="sleb", remove_blocks=count, calibration="ids")
    candidates = sum(len(places) for _, places in sleb.rounds(blocks))
    alone = sum((alive - 1) * len(places) for alive, places in sleb.rounds(blocks))
    runs = sleb.passes(blocks) * blocks
    print(
        f"SLEB, {count} of {blocks} blocks: the head runs {candidates} times, a block {runs:.0f} "
        f"times, as in {sleb.passes(blocks):.1f} passes; {runs / alone:.3f} of {alone} in passes "
        "of their own\n",
        flush=True,
    )


def print_table(rounds: Sequence[dict[str, Cost]]) -> None:
    """Medians over the rounds; a ratio is that of two tasks of the same round."""
    print(
        "| task | seconds | processor seconds | peak MiB | ratio (least to most) | less start-up |"
    )
    print("|:--|--:|--:|--:|--:|--:|")
    for task in rounds[0]:
        costs = [found[task] for found in rounds]
        seconds = statistics.median(cost.seconds for cost in costs)
        worked = statistics.median(cost.processor for cost in costs)
        peak = max(cost.peak_mib for cost in costs)
        ratios = sorted(found[task].processor / found[FLOOR].processor for found in rounds)
        span = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        less = statistics.median(without_start(found, task) for found in rounds)
        print(
            f"| {task} | {seconds:.1f} | {worked:.1f} | {peak:.0f} | "
            f"{statistics.median(ratios):.2f} ({span}) | {less:.2f} |"
        )


def without_start(found: dict[str, Cost], task: str) -> float:
    start = found[START].processor
    own = 0.0 if task in WITHOUT_MODEL else start
    return (found[task].processor - own) / (found[FLOOR].processor - start)


if __name__ == "__main__":
    main()
