"""Train a model of the demo's pair, a Qwen3 causal LM of 1.2 M parameters, and save its folder.

    python -m workflow_scripts.demo.train --kind reasoner --output results/demo/reasoner --threads 2

The reasoner works a problem out and then answers, the answerer answers at once. Both begin with the
same weights and meet the same problems in the same order. The reasoner takes six to fifteen minutes
on two cores, the answerer about half as long. Reproducibility: the examples depend on the seed
alone. The weights are the same, bit for bit, for the same seed, steps, threads, torch version and
kind of processor; elsewhere sums round differently and the result is another model, as good.
"""

import argparse
import math
import sys
import time
from itertools import islice
from pathlib import Path

import torch
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.utils import logging as transformers_logging

from workflow_scripts.demo.chains import KINDS, THINK_END, Example, training_examples
from workflow_scripts.demo.tokenizer import build_tokenizer, prompt
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json, write_json, written_atomically
from workflow_scripts.jobs.stage import run_stage

IGNORED = -100  # a label without loss, as torch's cross entropy has it
PEAK_LEARNING_RATE = 3e-3
WARM_UP_STEPS = 50
REPORT_SECONDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS, required=True, help="which model of the pair")
    parser.add_argument("--output", type=Path, required=True, help="model folder to write")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    for flag in ("steps", "batch_size", "threads"):
        if getattr(options, flag) < 1:
            name = "--" + flag.replace("_", "-")
            raise InputError(f"{name}: {getattr(options, flag)} is too few; give 1 or more")
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    tokenizer = build_tokenizer()
    model, _ = train(tokenizer, options.kind, options.steps, options.batch_size, options.seed)
    save(model, tokenizer, options.output)


def build_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> Qwen3ForCausalLM:
    """The untrained model, fp32, with weights drawn from the seed."""
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=256,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=False,
        use_cache=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",
    )
    model = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return model


def batch_tensors(
    tokenizer: PreTrainedTokenizerFast, examples: list[Example]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and labels of a batch, int64 (examples, longest), padded on the right.

    There is no loss on the prompt, nor on the `</think>` that cuts a trace short: it is the
    budget's doing, and a model that learned it would stop thinking at random.
    """
    think_end = tokenizer.convert_tokens_to_ids(THINK_END)
    rows, labels = [], []
    for example in examples:
        given = tokenizer.encode(prompt(tokenizer, example.question), add_special_tokens=False)
        written = tokenizer.encode(example.completion, add_special_tokens=False)
        rows.append(given + written)
        wanted = [IGNORED if example.cut and i == think_end else i for i in written]
        labels.append([IGNORED] * len(given) + wanted)
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), tokenizer.pad_token_id)
    targets = torch.full((len(rows), longest), IGNORED)
    for number, (row, wanted) in enumerate(zip(rows, labels, strict=True)):
        ids[number, : len(row)] = torch.tensor(row)
        targets[number, : len(row)] = torch.tensor(wanted)
    return ids, targets


def learning_rate(step: int, steps: int) -> float:
    """The rate at step 0..steps-1: a linear warm-up, then a cosine that ends at zero."""
    warm_up = min(WARM_UP_STEPS, steps // 4)
    if step < warm_up:
        return PEAK_LEARNING_RATE * (step + 1) / warm_up
    done = (step - warm_up) / max(steps - warm_up, 1)
    return PEAK_LEARNING_RATE * (1 + math.cos(math.pi * done)) / 2


def train(
    tokenizer: PreTrainedTokenizerFast, kind: str, steps: int, batch_size: int, seed: int
) -> tuple[Qwen3ForCausalLM, list[float]]:
    """Train a model of a kind from scratch; it and the loss of every step (nats a token)."""
    model = build_model(tokenizer, seed).train()
    # gains of the norms are no directions to shrink
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
        betas=(0.9, 0.98),
    )
    examples = map(KINDS[kind], training_examples(seed))
    losses: list[float] = []
    started = reported = time.monotonic()
    for step in range(steps):
        ids, labels = batch_tensors(tokenizer, list(islice(examples, batch_size)))
        # no attention mask: padding is on the right, where causal attention never looks
        logits = model(input_ids=ids, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        optimizer.step()
        losses.append(loss.item())
        now = time.monotonic()
        if now - reported >= REPORT_SECONDS or step + 1 == steps:
            left = (now - started) / (step + 1) * (steps - step - 1)
            print(
                f"step {step + 1}/{steps}  loss {losses[-1]:.4f}"
                f"  {_clock(now - started)} passed, {_clock(left)} left",
                file=sys.stderr,
                flush=True,
            )
            reported = now
    return model.eval(), losses


def save(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Round the model to bfloat16, in place, and write the model folder atomically."""
    transformers_logging.disable_progress_bar()
    with written_atomically(folder) as temporary:
        model.to(torch.bfloat16).save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        for name in ("config.json", "generation_config.json"):
            # a version stamp would change the bytes without changing the model
            values = read_json(temporary / name)
            values.pop("transformers_version", None)
            write_json(temporary / name, values, checksum=False)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


if __name__ == "__main__":
    run_stage(main)
