"""The training itself: transformers' Trainer, told what a step's loss is and what a state holds.

The loss of a step is the mean over all of its tokens that have one, however many rows are in memory
at once. Activations inside a block are computed again in the backward pass. All that is random
follows from the seed and the place of a row in training, so that a training that goes on from a
state does what it would have done.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from workflow_scripts.artefacts.recovery_records import Measurement, Step
from workflow_scripts.config.recoveries import Recovery
from workflow_scripts.errors import InputError
from workflow_scripts.jobs.progress import Progress, tell
from workflow_scripts.recovery.adapters import Trained, set_places
from workflow_scripts.recovery.measuring import measure, measured_batch, routes_in_use
from workflow_scripts.recovery.penalty import Penalised
from workflow_scripts.recovery.routers import Routes, Skipped, TrainedRoutes, counted_tokens
from workflow_scripts.recovery.samples import IGNORED, Batch, Course, Drawn, batch_of, summed_loss
from workflow_scripts.recovery.states import States, step_of

SCHEDULES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}
TRAINED, BEST, HISTORY = "trained.safetensors", "best.safetensors", "history.json"


@dataclass
class History:
    """How training went so far; `best` is what was trained when the measured loss was least."""

    steps: list[Step] = field(default_factory=list)
    validation: list[Measurement] = field(default_factory=list)
    tokens: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def least(self) -> Measurement:
        """The first of the least measurements."""
        return min(self.validation, key=lambda one: one.loss)

    def is_over(self, patience: int | None) -> bool:
        """Whether the last measurements, so many of them, are all no less than one before."""
        found = [one.step for one in self.validation]
        return patience is not None and len(found) - 1 - found.index(self.least.step) >= patience

    def save(self, folder: Path) -> None:
        said = {
            "steps": [one.model_dump() for one in self.steps],
            "validation": [one.model_dump() for one in self.validation],
            "tokens": self.tokens,
        }
        (folder / HISTORY).write_text(json.dumps(said), encoding="utf-8")
        if self.best:
            save_file(self.best, folder / BEST)

    def load(self, folder: Path) -> None:
        said = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
        self.steps = [Step(**one) for one in said["steps"]]
        self.validation = [Measurement(**one) for one in said["validation"]]
        self.tokens = said["tokens"]
        self.best = load_file(folder / BEST) if (folder / BEST).exists() else {}


def train(
    model: PreTrainedModel,
    trained: Trained,
    drawn: Drawn,
    wanted: Recovery,
    states: States,
    device: str,
    penalised: Penalised | None = None,
) -> History:
    """Train, from the last saved state where there is one; afterwards `trained` is what is kept.

    A step's loss gains the penalty, and what routers add; what is noted and measured is the loss
    without it. Raises `InputError` where a loss or a gradient is not finite.
    """
    last = states.last()
    arguments = TrainingArguments(
        output_dir=str(states.folder),
        max_steps=wanted.steps,
        per_device_train_batch_size=wanted.at_once,
        gradient_accumulation_steps=wanted.batch // wanted.at_once,
        learning_rate=wanted.learning_rate,
        lr_scheduler_type=SCHEDULES[wanted.schedule],
        warmup_steps=wanted.warm_up,
        weight_decay=wanted.weight_decay,
        max_grad_norm=wanted.clip,
        train_sampling_strategy="sequential",
        gradient_checkpointing=True,
        gradient_checkpointing_kwargs={"use_reentrant": False, "preserve_rng_state": False},
        use_cpu=device == "cpu",
        dataloader_pin_memory=device == "cuda",
        remove_unused_columns=False,
        seed=wanted.seed,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = _Trainer(model, arguments, drawn, wanted, trained, states, penalised)
    history = trainer.history
    trainer.add_callback(_Watch(trainer, drawn, wanted, step_of(last) if last else 0))
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=last and str(next(last.iterdir())))
    if history.best:
        trained.restore(history.best)
    return history


class _Trainer(Trainer):
    def __init__(
        self,
        model: PreTrainedModel,
        arguments: TrainingArguments,
        drawn: Drawn,
        wanted: Recovery,
        trained: Trained,
        states: States,
        penalised: Penalised | None,
    ) -> None:
        course = Course(drawn, wanted)
        super().__init__(model, arguments, train_dataset=course, data_collator=batch_of)
        self.loss_is_scaled_for_ga = True  # by the tokens of the whole step
        self.history = History()
        self.losses: list[float] = []  # of the parts of a step
        self.skipped = Skipped()  # of the parts of a step
        self.last_rows: Batch = {}
        self.trained, self._states = trained, states
        self._saving: Path | None = None
        self._penalised = penalised
        self._wanted, self._blocks = wanted, model.config.num_hidden_layers
        self._counted = 0  # tokens of a step that routers are trained on

    def _get_num_items_in_batch(
        self, batch_samples: list[dict[str, Tensor]], device: torch.device
    ) -> Tensor:
        if routers := self._wanted.trained_routers:
            lengths = torch.cat([part["lengths"] for part in batch_samples])
            self._counted = int(counted_tokens(lengths, self.model.routing, routers).sum())
        return sum((part["labels"] != IGNORED).sum() for part in batch_samples).to(device)

    def _routes(self, batch: Batch) -> Routes | None:
        """How a batch passes the model's blocks; None without routers."""
        if not self._wanted.trained_routers:
            return routes_in_use(self.model, batch)
        places, done = batch["places"].tolist(), self.state.global_step
        return TrainedRoutes(self.model.routing, batch["lengths"], places, self._wanted, done)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Tensor:
        set_places(model, inputs["places"].tolist())
        self.last_rows = inputs
        routes = self._routes(inputs)
        loss = summed_loss(model, inputs, routes) / num_items_in_batch
        self.losses.append(loss.item())
        self.check(self.losses[-1], f"the loss of step {self.state.global_step + 1}")
        if len(self.losses) == 1:
            self.history.tokens += int(num_items_in_batch)
        if self._penalised:  # each part of a step by its tokens, so that a step has it once
            share = (inputs["labels"] != IGNORED).sum() / num_items_in_batch
            loss = loss + share * self._penalised.value()
        if routes:
            self.skipped.add(routes.skipped())
        if isinstance(routes, TrainedRoutes):  # likewise, by the tokens that routers are trained on
            share = routes.counted() / max(1, self._counted)
            loss = loss + share * routes.added(self._blocks)
        return loss

    def skipped_share(self) -> float | None:
        """What the parts of a step skipped; None without routers. From now on, those of another."""
        skipped, self.skipped = self.skipped, Skipped()
        return skipped.share(self._blocks) if skipped.tokens else None

    def check(self, value: float, what: str) -> None:
        """Raise `InputError` for a value that is not finite; `what` names it."""
        if math.isfinite(value):
            return
        good = [one for one in self.history.steps if math.isfinite(one.loss)]
        saved = self._states.last()
        since = f"; its last saved state is that after step {step_of(saved)}" if saved else ""
        before = f"; the loss of step {good[-1].step} was {good[-1].loss:.4g}" if good else ""
        raise InputError(
            f"recovery: {what} is not finite{before}{since}: set a lower learning_rate or a longer "
            "warm_up"
        )

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = super()._clip_grad_norm(model)
        self.check(float(norm), f"the gradient of step {self.state.global_step + 1}")
        return norm

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._saving or self.args.output_dir)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        with self._states.written(self.state.global_step) as self._saving:
            super()._save_checkpoint(model, trial)
        self._saving = None

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir)
        folder.mkdir()
        save_file(self.trained.copies(), folder / TRAINED)
        self.history.save(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        self.trained.restore(load_file(folder / TRAINED))
        self.history.load(folder)


class _Watch(TrainerCallback):
    """Notes every step, measures, says how far it is, and when to save and to stop."""

    def __init__(self, trainer: _Trainer, drawn: Drawn, wanted: Recovery, done: int) -> None:
        self._trainer, self._drawn, self._wanted = trainer, drawn, wanted
        self._progress = Progress(wanted.steps - done)
        if done:
            tell(f"step {done} of {wanted.steps} was done before")

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._drawn.validation and not state.global_step:
            self._measure(0)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        trainer, wanted, step = self._trainer, self._wanted, state.global_step
        history, loss = trainer.history, math.fsum(trainer.losses)
        trainer.losses.clear()
        skipped = trainer.skipped_share()
        history.steps.append(Step(step=step, loss=loss, learning_rate=self._rate, skipped=skipped))
        is_last = step == wanted.steps
        if self._drawn.validation and (is_last or step % wanted.evaluate_every == 0):
            self._measure(step)
            is_last |= history.is_over(wanted.patience)
        elif is_last:
            # what the last step made no other step sees
            loss_after, _ = measured_batch(trainer.model, trainer.last_rows, args.device)
            trainer.check(loss_after, f"the loss after step {step}")
        control.should_training_stop = is_last
        # a state after the last step would have nothing to go on with
        control.should_save = step % wanted.save_every == 0 and not is_last
        self._progress(1, f"step {step} of {wanted.steps}, loss {loss:.4f}")

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        (self._rate,) = {*self._trainer.lr_scheduler.get_last_lr()}

    def _measure(self, step: int) -> None:
        """Measure the validation rows; keep what is trained where their loss is the least yet.

        Of routers the last is kept: the more they skip, as is asked of them, the larger the loss.
        """
        trainer, samples, wanted = self._trainer, self._drawn.validation, self._wanted
        found = measure(trainer.model, samples, wanted.at_once, trainer.args.device)
        trainer.check(found.loss, f"the validation loss after step {step}")
        history = trainer.history
        history.validation.append(Measurement(step=step, loss=found.loss, skipped=found.skipped))
        if history.least.step == step and not wanted.trained_routers:
            history.best = trainer.trained.copies()
        said = f"step {step}: validation loss {found.loss:.4f}"
        if not wanted.trained_routers:
            said += f", the least {history.least.loss:.4f}"
        tell(said + ("" if found.skipped is None else f"; {found.skipped:.1%} is skipped"))
