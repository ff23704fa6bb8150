"""How fast an exported checkpoint generates beside the dense model, with transformers and vLLM.

    snakemake --cores all results/reasoner/shortgpt-2/checkpoint
    python -m benchmarks.export_speed --model reasoner --variants shortgpt-2
    python -m benchmarks.export_speed --model reasoner --variants shortgpt-2 wanda-2-4 \\
        --engines vllm --batch-size 64 --prompt-tokens 256 --new-tokens 512

Both libraries as a user of the folder would call them: one batch of prompts of random tokens, as
many greedy tokens after each, no stop. Rounds alternate which of the two goes first, and the first
of all warms up. Decoded tokens per second of wall time are the medians of the rounds; the ratio is
the median of the rounds' ratios. They are printed, and left as `speed.json` in the folder of the
variant, from where the table of sizes takes them; what was measured of an engine before is
replaced.
"""

import argparse
import gc
import importlib.util
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from workflow_scripts.artefacts.mask_records import read_mask_record
from workflow_scripts.artefacts.masks import variant_files
from workflow_scripts.engines.fingerprint import device_name
from workflow_scripts.engines.interface import EngineSettings
from workflow_scripts.engines.vllm_engine import CPU_BLOCK, prepare
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json, write_json
from workflow_scripts.models.checkpoints import EMBEDDING, open_checkpoint

Generate = Callable[[], None]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="its name in the config")
    parser.add_argument("--variants", required=True, nargs="+", help="that were exported")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--prompt-tokens", type=int, default=32)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(argv)
    dense = Path("resources/models") / given.model
    for variant in given.variants:
        folder = Path("results") / given.model / variant
        export = folder / "checkpoint"
        if not export.is_dir():
            raise InputError(f"{export}: missing: make it with snakemake --cores all {export}")
        digest = read_mask_record(variant_files(folder).record).digest
        path, engines = folder / "speed.json", {}
        if path.exists() and (before := read_json(path))["digest"] == digest:
            engines = before["engines"]
        for engine in given.engines:
            if engine == "vllm" and importlib.util.find_spec("vllm") is None:
                print("vllm is not installed here")
                continue
            engines[engine] = measure(engine, export, dense, given)
            one = engines[engine]
            print(
                f"{given.model}/{variant}, {engine}: {one['export']:.0f} tokens/s, dense "
                f"{one['dense']:.0f}: {one['ratio']:.3f} of it",
                flush=True,
            )
            write_json(path, {"digest": digest, "engines": engines})


def measure(engine: str, export: Path, dense: Path, given: argparse.Namespace) -> dict[str, object]:
    """Tokens/s of both folders, the ratio of the first to the second, and how it was measured."""
    torch.set_num_threads(given.threads)
    rows = open_checkpoint(dense).shapes[EMBEDDING][0]
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(rows, (given.batch_size, given.prompt_tokens), generator=generator)
    ways = {
        name: ENGINES[engine](folder, prompts, given)
        for name, folder in (("export", export), ("dense", dense))
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(given.rounds + 1):
        for name in list(ways)[:: 1 if number % 2 else -1]:
            start = time.perf_counter()
            ways[name]()
            taken = time.perf_counter() - start
            if number:
                speeds[name].append(given.batch_size * given.new_tokens / taken)
    del ways
    gc.collect()
    pairs = zip(speeds["export"], speeds["dense"], strict=True)
    return {
        **{name: statistics.median(measured) for name, measured in speeds.items()},
        "ratio": statistics.median(a / b for a, b in pairs),
        "device": device_name(given.device),
        **{k: getattr(given, k) for k in ("dtype", "threads", "batch_size", "prompt_tokens")},
        "new_tokens": given.new_tokens,
    }


def transformers_way(folder: Path, prompts: torch.Tensor, given: argparse.Namespace) -> Generate:
    from transformers import AutoModelForCausalLM

    dtype = getattr(torch, given.dtype)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(given.device).eval()
    input_ids = prompts.to(given.device)

    def generate() -> None:
        model.generate(
            input_ids,
            attention_mask=torch.ones_like(input_ids),
            max_new_tokens=given.new_tokens,
            min_new_tokens=given.new_tokens,
            do_sample=False,
            pad_token_id=0,
        )
        if given.device == "cuda":
            torch.cuda.synchronize()

    return generate


def vllm_way(folder: Path, prompts: torch.Tensor, given: argparse.Namespace) -> Generate:
    prepare(EngineSettings("vllm", given.device, given.dtype, given.batch_size, given.threads))

    from vllm import LLM, SamplingParams

    llm = LLM(
        str(folder),
        dtype=given.dtype,
        max_model_len=given.prompt_tokens + given.new_tokens,
        max_num_seqs=given.batch_size,
        skip_tokenizer_init=True,
        enforce_eager=given.device == "cpu",
        enable_prefix_caching=False,
        gpu_memory_utilization=0.4,  # of a GPU that two models share
        kv_cache_memory_bytes=cache_bytes(folder, given) if given.device == "cpu" else None,
    )
    parameters = SamplingParams(
        temperature=0.0, max_tokens=given.new_tokens, ignore_eos=True, detokenize=False
    )
    asked = [{"prompt_token_ids": row} for row in prompts.tolist()]

    def generate() -> None:
        llm.generate(asked, parameters, use_tqdm=False)

    return generate


def cache_bytes(folder: Path, given: argparse.Namespace) -> int:
    """What vLLM's cache takes at most, in whole blocks of a CPU's."""
    shapes = open_checkpoint(folder).shapes
    of_token = sum(
        s[0] for name, s in shapes.items() if name.endswith(("k_proj.weight", "v_proj.weight"))
    )
    tokens = given.prompt_tokens + given.new_tokens
    blocks = given.batch_size * -(-tokens // CPU_BLOCK) + 1  # vLLM keeps an empty one
    return blocks * CPU_BLOCK * of_token * getattr(torch, given.dtype).itemsize


ENGINES = {"transformers": transformers_way, "vllm": vllm_way}


if __name__ == "__main__":
    main()
