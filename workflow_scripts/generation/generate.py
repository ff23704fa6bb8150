"""Generate: let one pruned model think under every budget, and answer.

    python -m workflow_scripts.generation.generate --model resources/models/reasoner \\
        --mask results/reasoner/wanda-20/mask.safetensors \\
        --record results/reasoner/wanda-20/mask.json \\
        --benchmarks chains=resources/benchmarks/chains.jsonl \\
        --options '{"budgets": [6, 12], ...}' --store store --output results/reasoner/wanda-20

One engine start serves all benchmarks, repeats and budgets. Every completion goes to the store as
soon as it is finished; what is there already is not generated again, and where nothing is missing
no engine starts. At the end the traces and answers of each benchmark are written from the store;
with `--sequences` also the token ids of prompt, trace and answer together, for calibration on them.
Without a mask it is the dense model that thinks.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from workflow_scripts import text_rows
from workflow_scripts.checkpoints import model_digest, open_checkpoint
from workflow_scripts.digests import files_digest
from workflow_scripts.errors import InputError, run_stage
from workflow_scripts.files import read_json
from workflow_scripts.generation.engine import Engine
from workflow_scripts.generation.engines import ENGINES, EngineSettings
from workflow_scripts.generation.outputs import write_sequences, write_traces_and_answers
from workflow_scripts.generation.progress import Progress
from workflow_scripts.generation.sampling import Sampling
from workflow_scripts.generation.store import Store
from workflow_scripts.generation.sweep import Sample, Sweep, SweepSettings, run_sweep
from workflow_scripts.generation.thinking import end_of_turn_ids, prompt_ids, tokenise_format
from workflow_scripts.masks import Mask, dense_mask, read_mask
from workflow_scripts.records import Problem, read_records


def main() -> None:
    arguments = _parse_arguments()
    options = json.loads(arguments.options)
    settings = _sweep_settings(options)
    model, output = Path(arguments.model), Path(arguments.output)
    mask = _mask(model, arguments)
    tokenizer = load_chat_tokenizer(model)
    end_of_turn = end_of_turn_ids(tokenizer, _generation_config(model))
    sweep = Sweep(settings, tokenise_format(tokenizer, options["thinking"], end_of_turn))

    benchmarks = {}
    for entry in arguments.benchmarks:
        name, _, path = entry.partition("=")
        problems = read_records(Path(path), Problem)
        benchmarks[name] = _samples(problems, settings.repeats, tokenizer, sweep)
    samples = [sample for group in benchmarks.values() for sample in group]
    config = read_json(model / "config.json")
    longest = _longest_sequence(samples, sweep, config)

    engine_settings = EngineSettings(**{k: options[k] for k in EngineSettings.__annotations__})
    store = Store(Path(arguments.store), _identity(model, mask, engine_settings))

    def start() -> Engine:
        return ENGINES[engine_settings.engine](
            model, mask, engine_settings, len(tokenizer), longest
        )

    try:
        run_sweep(sweep, samples, store, start, Progress(sys.stderr.write))
        for name, group in benchmarks.items():
            write_traces_and_answers(output, name, group, sweep, store, tokenizer.decode)
            if arguments.sequences:
                write_sequences(output, name, group, sweep, store)
    finally:
        store.close()


def load_chat_tokenizer(model: Path) -> Any:
    """The model's tokenizer. Raises `InputError` where it has no chat template."""
    tokenizer = text_rows.load_tokenizer(model)
    if not tokenizer.chat_template:
        raise InputError(f"{model}: the tokenizer has no chat template; add chat_template.jinja")
    return tokenizer


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder of the dense checkpoint")
    parser.add_argument("--mask", help="without it and its record: the dense model")
    parser.add_argument("--record", help="the mask's record, mask.json")
    parser.add_argument("--benchmarks", required=True, nargs="+", metavar="NAME=FILE")
    parser.add_argument("--options", required=True, help="generation settings as JSON")
    parser.add_argument("--store", required=True, help="folder of the generation store")
    parser.add_argument("--sequences", action="store_true", help="write sequences/ as well")
    parser.add_argument("--output", required=True, help="folder for traces/ and answers/")
    arguments = parser.parse_args()
    if (arguments.mask is None) != (arguments.record is None):
        parser.error("--mask and --record belong together")
    return arguments


def _mask(model: Path, arguments: argparse.Namespace) -> Mask:
    digest = model_digest(model)
    if arguments.mask is None:
        return dense_mask(digest, open_checkpoint(model).blocks)
    return read_mask(Path(arguments.mask), Path(arguments.record), digest)


def _sweep_settings(options: dict[str, Any]) -> SweepSettings:
    sampling = Sampling(options["temperature"], options["top_p"], options["top_k"])
    return SweepSettings(
        budgets=tuple(sorted(options["budgets"])),
        repeats=options["repeats"],
        answer_tokens=options["answer_tokens"],
        sampling=sampling,
        seed=options["seed"],
    )


def _generation_config(model: Path) -> dict[str, Any]:
    path = model / "generation_config.json"
    return read_json(path) if path.exists() else {}


def _identity(model: Path, mask: Mask, settings: EngineSettings) -> dict[str, Any]:
    """What completions depend on beside their request: the weights left, the engine, its dtype."""
    files = read_json(model / "manifest.json")["files"]
    weights = {k: v for k, v in files.items() if k.endswith(".safetensors") or k == "config.json"}
    return {
        "weights": files_digest(weights),
        "mask": mask.digest,
        "engine": settings.engine,
        "device": settings.device,
        "dtype": settings.dtype,
    }


def _samples(problems: list[Problem], repeats: int, tokenizer: Any, sweep: Sweep) -> list[Sample]:
    prompts = {p.id: prompt_ids(tokenizer, p, sweep.thinking) for p in problems}
    return [Sample(name, r, ids) for name, ids in prompts.items() for r in range(repeats)]


def _longest_sequence(samples: list[Sample], sweep: Sweep, config: dict[str, Any]) -> int:
    """Tokens of the longest sequence that may come about.

    Raises `InputError` naming the problem where it exceeds the model's context.
    """
    thinking, settings = sweep.thinking, sweep.settings
    marker = max(len(thinking.after_stop), len(thinking.after_cap))
    longest = max(samples, key=lambda sample: len(sample.prompt))
    tail = settings.budgets[-1] + marker + settings.answer_tokens
    needed, context = len(longest.prompt) + tail, config["max_position_embeddings"]
    if needed > context:
        raise InputError(
            f"problem {longest.problem}: its prompt of {len(longest.prompt)} tokens, the budget of "
            f"{settings.budgets[-1]} and an answer of {settings.answer_tokens} need {needed} "
            f"tokens; the model's context is {context}: lower generation.budgets or answer_tokens"
        )
    return needed


if __name__ == "__main__":
    run_stage(main)
