"""Steps of training held against the formulas, written out in float64."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from tests.artefacts.variants import on_disk, random_keeps
from tests.models.tiny_models import load_model, tiny_tokenizer
from tests.recovery.recovering import FULL, LORA, run
from workflow_scripts.artefacts.masks import read_pruned
from workflow_scripts.models.checkpoints import linears, open_checkpoint

TEXTS = ["12+34=46", "a+b", "7*8=56;", "0123456789"]
ROWS = [{"text": text} for text in TEXTS]
STEPS, RATE, WARM_UP, DECAY, CLIP = 6, 0.01, 2, 0.1, 0.5
KEYS = {
    "steps": STEPS, "batch": 4, "learning_rate": RATE, "warm_up": WARM_UP, "weight_decay": DECAY,
    "clip": CLIP,
}  # fmt: skip


def mean_loss(model: torch.nn.Module, weights: dict[str, Tensor]) -> Tensor:
    """Row by row: no row knows of the others or of padding."""
    tokenizer, losses = tiny_tokenizer(), []
    for text in TEXTS:
        ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"] + [1]])
        logits = functional_call(model, weights, (ids,)).logits[0]
        for place in range(ids.shape[1] - 1):
            chances = torch.softmax(logits[place].double(), 0)
            losses.append(-torch.log(chances[ids[0, place + 1]]))
    return torch.stack(losses).mean()


def adamw(
    trained: dict[str, Tensor], loss_of: Callable[[dict[str, Tensor]], Tensor], schedule: str
) -> tuple[list[float], list[float]]:
    """Losses and rates of all steps; `trained` becomes what it is after them."""
    means = {name: torch.zeros_like(tensor) for name, tensor in trained.items()}
    squares = {name: torch.zeros_like(tensor) for name, tensor in trained.items()}
    losses, rates = [], []
    for step in range(STEPS):
        for tensor in trained.values():
            tensor.requires_grad_()
        loss = loss_of(trained)
        found = torch.autograd.grad(loss, [*trained.values()])
        gradients = dict(zip(trained, found, strict=True))
        norm = math.sqrt(sum(float(g.pow(2).sum()) for g in gradients.values()))
        rest = (STEPS - step) / (STEPS - WARM_UP)
        down = {"constant": 1, "linear": rest, "cosine": (1 + math.cos(math.pi * (1 - rest))) / 2}
        rate = RATE * (step / WARM_UP if step < WARM_UP else down[schedule])
        for name, gradient in gradients.items():
            g = gradient * min(1, CLIP / norm)
            means[name] = 0.9 * means[name] + 0.1 * g
            squares[name] = 0.999 * squares[name] + 0.001 * g**2
            mean = means[name] / (1 - 0.9 ** (step + 1))
            square = squares[name] / (1 - 0.999 ** (step + 1))
            old = trained[name].detach()
            trained[name] = old - rate * DECAY * old - rate * mean / (square.sqrt() + 1e-8)
        losses.append(loss.item())
        rates.append(rate)
    return losses, rates


@pytest.mark.parametrize(
    ("kind", "schedule"),
    [("lora", "constant"), ("lora", "cosine"), ("full", "linear"), ("full", "cosine")],
)
def test_steps_are_those_of_the_formulas(
    tmp_path: Path, tiny_model: Callable[..., Path], kind: str, schedule: str
) -> None:
    folder = tiny_model("llama", blocks=2)
    keeps = random_keeps(folder)
    before = on_disk(tmp_path / "start", folder, keeps)
    options = (LORA if kind == "lora" else FULL) | KEYS | {"schedule": schedule}
    after, record = run(tmp_path / "after", folder, before, options, ROWS)
    stored = read_pruned(after).weights
    model = load_model(folder, torch.float64).eval()
    names = [linear.name for linear in linears(open_checkpoint(folder))]
    dense = {name: dict(model.named_parameters())[name].detach() for name in names}
    if kind == "lora":
        # at a rate that is next to nothing, what adapters begin as
        begun = {"learning_rate": 1e-30, "steps": 1, "warm_up": 0, "weight_decay": 0.0}
        first, _ = run(tmp_path / "first", folder, before, options | begun, ROWS)
        trained = {name: tensor.double() for name, tensor in read_pruned(first).weights.items()}
        assert all(tensor.abs().max() < 1e-29 for n, tensor in trained.items() if "lora_B" in n)
    else:
        trained = {name: dense[name] * keeps[name] for name in names}

    def loss_of(trained: dict[str, Tensor]) -> Tensor:
        weights = {}
        for name in names:
            if kind == "lora":
                delta = 2.0 * trained[f"{name}.lora_B"] @ trained[f"{name}.lora_A"]
                weights[name] = keeps[name] * (dense[name] + delta)
            else:
                weights[name] = keeps[name] * trained[name]
        return mean_loss(model, weights)

    losses, rates = adamw(trained, loss_of, schedule)
    assert [step.learning_rate for step in record.steps] == pytest.approx(rates, rel=1e-12)
    assert [step.loss for step in record.steps] == pytest.approx(losses, rel=1e-5)
    assert losses[-1] < losses[0]
    assert record.tokens == STEPS * sum(map(len, TEXTS))
    moved = sum(rates)
    for name, tensor in trained.items():
        # where a gradient is but the rounding of fp32 its sign is chance, and a weight moves by it
        far = (stored[name] - tensor).abs() > 1e-3 * moved
        assert far.float().mean() < 0.01, name
    assert json.loads(after.record.read_text())["recovery"]["schedule"] == schedule
