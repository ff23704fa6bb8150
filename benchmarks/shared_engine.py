"""What it saves that several variants share an engine: one vLLM start against one for each.

    python -m benchmarks.shared_engine --model resources/models/smollm2 --rounds 3

Masks of 20, 30, 40 and 50 % by magnitude, a few short problems, the generation stage as its rules
run it: a job for each variant, and one job for all (`run.variants_per_engine: 4`), in turn, after a
round that warms up. Prints the seconds of all jobs of a way, and whether their completions are the
same.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import stage
from workflow_scripts.artefacts.masks import variant_files
from workflow_scripts.config.entry import as_json
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.overlays import read_config
from workflow_scripts.paths import CONFIG, PROJECT

SHARES = (0.2, 0.3, 0.4, 0.5)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of fetched SmolLM2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--problems", type=int, default=4)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args(argv)
    settings = load_settings(read_config([CONFIG / "smollm2.yaml"]))
    keys = {"engine": "vllm", "device": given.device, "dtype": given.dtype}
    keys |= {"budgets": (16,), "answer_tokens": 8, "repeats": 1, "temperature": 0.0}
    options = as_json(settings.generation_job("smollm2").model_copy(update=keys))
    found: dict[str, list[float]] = {"one for each": [], "one for all": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        variants = [masked(given.model, folder, share) for share in SHARES]
        lines = (PROJECT / "bundled/benchmarks/sums.jsonl").read_text(encoding="utf-8").splitlines()
        (folder / "sums.jsonl").write_text("\n".join(lines[: given.problems]) + "\n")
        for number in range(given.rounds + 1):
            for way, jobs in ("one for each", [[v] for v in variants]), ("one for all", [variants]):
                store = folder / f"{way}, {number}"
                seconds = sum(decode(given.model, job, folder, store, options) for job in jobs)
                print(f"round {number}, {way}: {seconds:.1f} s", file=sys.stderr, flush=True)
                if number:
                    found[way].append(seconds)
        for way, times in found.items():
            middle, least, most = statistics.median(times), min(times), max(times)
            print(f"| {way} | {middle:.1f} ({least:.1f}–{most:.1f}) |")
        each, shared = (stored(folder / f"{way}, {given.rounds}") for way in found)
        print(f"the same completions: {each == shared} ({len(each)})")


def masked(model: Path, folder: Path, share: float) -> Path:
    """A variant's folder: the smallest weights masked."""
    variant, sparsity = folder / f"magnitude-{share}", f'"sparsity": {share}'
    allocation = folder / f"{share}.json"
    stage(
        "allocation.allocate_sparsity",
        *("--model", model, "--options", f"{{{sparsity}}}", "--output", allocation),
    )
    files = variant_files(variant)
    stage(
        "masking.build_mask",
        *("--model", model, "--options", f'{{"method": "magnitude", {sparsity}}}'),
        *("--allocation", allocation, "--mask", files.mask),
        *("--weights", files.weights, "--record", files.record),
    )
    return variant


def decode(model: Path, variants: list[Path], folder: Path, store: Path, options: str) -> float:
    """Seconds of the job that decodes some variants into a store."""
    if len(variants) > 1:
        about = ["--variants", *variants]
    else:
        about = ["--variant", *variant_files(variants[0]), "--output", folder / variants[0].name]
    cost = stage(
        "generation.generate",
        *("--model", model, *about, "--benchmarks", f"sums={folder / 'sums.jsonl'}"),
        *("--options", options, "--store", store, "--provenance", folder / "generation.json"),
    )
    return cost.seconds


def stored(store: Path) -> list[str]:
    """The completions of a store, without who wrote them."""
    files = [file.read_text(encoding="utf-8").splitlines() for file in store.glob("*/*.jsonl")]
    return sorted(line for lines in files for line in lines[1:])


if __name__ == "__main__":
    main()
