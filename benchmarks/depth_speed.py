"""What choosing blocks to remove takes, as ratios to a bare forward pass in the same run.

    python -m benchmarks.depth_speed --model resources/models/smollm2 \\
        --samples 16 --length 128 --remove-blocks 3 --threads 2 --rounds 3

Every round runs, in turn, each as a whole process with start-up included: a bare forward pass of
transformers over the token ids, without the language model head; and the masks of SLEB and of
Shortened LLaMA's perplexity, Taylor and magnitude. Token ids are random, drawn once with a fixed
seed. Prints how often blocks and the head run for SLEB, medians, and ratios to the floor.
"""

import argparse
import functools
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.processes import Cost, stage
from benchmarks.pruning_speed import Work, print_table, write_inputs
from workflow_scripts.config.methods.depth import SLEB
from workflow_scripts.models import checkpoints

METHODS = ("sleb", "shortened-ppl", "shortened-taylor", "shortened-magnitude")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--remove-blocks", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(argv)
    model, count = options.model.resolve(), options.remove_blocks
    blocks = checkpoints.open_checkpoint(model).blocks
    sleb = SLEB(method="sleb", remove_blocks=count, calibration="ids")
    candidates = sum(len(places) for _, places in sleb.rounds(blocks))
    alone = sum((alive - 1) * len(places) for alive, places in sleb.rounds(blocks))
    runs = sleb.passes(blocks) * blocks
    print(
        f"SLEB, {count} of {blocks} blocks: the head runs {candidates} times, a block "
        f"{runs:.0f} times, {runs / alone:.3f} of {alone} in passes of their own\n"
    )
    with tempfile.TemporaryDirectory() as scratch:
        work = Work(model, Path(scratch), options.threads)
        write_inputs(work, options.samples, options.length)
        tasks: dict[str, Callable[[], Cost]] = {"bare forward pass": work.floor}
        tasks |= {method: functools.partial(_mask, work, method, count) for method in METHODS}
        print_table([{n: task() for n, task in tasks.items()} for _ in range(options.rounds)])


def _mask(work: Work, method: str, count: int) -> Cost:
    options: dict[str, object] = {"method": method, "remove_blocks": count}
    options |= {"plus": False} if method != "sleb" else {}  # for models of few blocks too
    given: list[object] = []
    if method != "shortened-magnitude":
        options["calibration"] = "ids"
        given = ["--calibration", work.calibration]
    return stage(
        "masking.build_mask",
        *("--model", work.model, "--options", json.dumps(options), *given),
        *("--threads", work.threads, "--mask", work.scratch / "mask.safetensors"),
        *("--weights", work.scratch / "weights.safetensors"),
        *("--record", work.scratch / "mask.json"),
    )


if __name__ == "__main__":
    main()
