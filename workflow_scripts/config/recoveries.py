"""Recoveries: training after pruning, so that what is left makes up for what is gone."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from workflow_scripts.config.entry import Entry, Said, absent, plain
from workflow_scripts.config.types import (
    Count,
    Different,
    Fraction,
    Seed,
    Text,
    Whole,
    fitting,
    in_words,
    named,
    one_of,
)

NAMES = "a list of one or more names of linears such as q_proj, none twice"
SHARES_MEASURED = 24  # how many times `exact_share` measures the skipped share, at most


class Penalty(Entry):
    """What is to go stays while training lasts and is made small, so that the rest takes over from
    it; it goes afterwards (DReSS, arXiv 2501.17905)."""

    norm: Literal["l1", "l2"]
    """What of the weights that will go is added to the loss: the mean of |w| (l1) or of w² (l2)."""
    weight: float = Field(gt=0)
    """How many times it is added."""


class Routers(Entry):
    """How the routers of a dynamic variant are trained. The loss gains `weight` times how far the
    share of what runs is from the asked one; with Mixture of Depths as expert choice, where the
    share is fixed, it gains nothing, and the capacity of a step is (1 - it) / step above its own.
    Keys without effect are refused: temperatures where nothing is drawn, with Mixture of Depths;
    and all of them where the share is fixed.
    """

    weight: float = Field(1.0, ge=0)
    """How many times that is added."""
    ramp: Literal["constant", "sine"] = "constant"
    """Whether the weight is there from the start or rises from 0 to the last step like a sine from
    0 to π/2."""
    budget: Literal["batch", "token", "excess"] = "batch"
    """Whose distance it is: that of the mean over the rows that are in memory at once, as in
    SkipGPT (batch), the mean of that of each token, as in D-LLM (token), or only what is above the
    asked share, as in Router-Tuning (excess)."""
    temperature: float = Field(1.0, gt=0)
    """The temperature of the Gumbel-softmax that routes are drawn from while training."""
    final_temperature: float = absent(gt=0)
    """What the temperature falls to, linearly over the steps; it stays without it."""
    exact_share: bool = True
    """Whether one number, the same for all routers, is added to their margins in the end, so that
    of the validation rows the asked share is skipped. The methods' own papers do not do that, and
    end where training ends."""


class Recovery(Entry):
    """What every kind of training has. A step is one of the optimizer, AdamW."""

    title: ClassVar[str]  # in prose
    cites: ClassVar[str | None] = None  # a key of config.references
    SPEED: ClassVar[frozenset[str]] = frozenset({"micro_batch", "save_every"})

    texts: named("texts") = absent()
    """A name from `texts`: what it is trained on. Without it, what each model itself was trained
    on, its `trained_on`."""
    samples: Count = absent()
    """How many rows are drawn for training; all there are without it."""
    length: Annotated[int, Field(ge=2), AfterValidator(fitting)]
    """Tokens of a row, prompt and completion; what is longer is cut."""
    loss: Literal["completion", "all"] = "completion"
    """Which tokens have a loss: those of completions, or all."""
    steps: Count
    """How many steps there are at most."""
    batch: Count
    """Rows of a step."""
    micro_batch: Count = absent()
    """Rows that are in memory at once, of which the batch is a multiple; the whole batch without
    it. It only rounds otherwise."""
    learning_rate: float = Field(gt=0)
    """The learning rate at its highest."""
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """How the learning rate goes on after the warm-up: as it is, or down to zero."""
    warm_up: Whole = 0
    """Steps in which it rises, from zero, in proportion."""
    weight_decay: float = Field(0.0, ge=0)
    """AdamW's weight decay."""
    clip: float = Field(1.0, gt=0)
    """The norm that gradients of a step are scaled down to, all together."""
    validation: Whole = 0
    """Rows that are not trained on but have their loss measured."""
    evaluate_every: Count = absent()
    """Steps between two measurements of the validation rows' loss. Those weights are kept for which
    it was least; of routers, which have more to skip from step to step, the last."""
    patience: Count = absent()
    """Early stopping: after how many measurements without a lesser loss training ends."""
    penalty: Penalty = absent()
    """Trains before weights go in place of after it, with a penalty on those that will."""
    seed: Seed = 0
    """Decides which rows are drawn, their order, what adapters begin as, what dropout drops, and
    which routes are drawn."""
    save_every: Count = 100
    """Steps between two saved states, from the last of which a killed job goes on. Results do not
    depend on it."""

    @property
    def trained_routers(self) -> Routers | None:
        """How routers are trained, if they are."""
        return getattr(self, "routers", None)

    def own(self) -> dict[str, Any]:
        """The keys that decide the result. Of routers that is `micro_batch` as well: the share that
        they are trained to is one of rows that are in memory at once."""
        counts = {"micro_batch"} if self.trained_routers else set()
        return plain(self, exclude={*self.SPEED - counts})

    @property
    def at_once(self) -> int:
        """Rows that are in memory at once."""
        return self.micro_batch or self.batch

    def contradictions(self) -> Iterator[Said]:
        if self.batch % self.at_once:
            said = f"{self.batch} is not allowed; must be a multiple of micro_batch"
            yield ("batch",), f"{said} ({self.micro_batch})"
        if self.warm_up > self.steps:
            said = f"{self.warm_up} is not allowed; must be at most steps ({self.steps})"
            yield ("warm_up",), said
        if self.validation and self.evaluate_every is None:
            yield ("evaluate_every",), "missing; validation needs it"
        if self.trained_routers and not self.validation:
            said = "missing; routers needs it: rows that the skipped share is measured on"
            yield ("validation",), said
            return
        if self.trained_routers and self.patience is not None:
            said = "not allowed with routers: the loss grows while they learn to skip, so that it "
            yield ("patience",), said + "says nothing of when to stop"
        for key in ("evaluate_every", "patience"):
            if getattr(self, key) is not None and not self.validation:
                said = f"missing; {key} needs it: how many rows are kept apart to measure"
                yield ("validation",), said
                return


class Lora(Recovery):
    """Low-rank adapters (LoRA) are trained and become a part of the weights: W + alpha/rank · B·A.
    Weights that were removed stay away."""

    title = "low-rank adapters"
    cites = "lora"

    kind: Literal["lora"]
    rank: Count
    """The rank of each adapter."""
    alpha: float = Field(gt=0)
    """An adapter counts alpha / rank times."""
    dropout: Annotated[Fraction, Field(lt=1)] = 0.0
    """The part of an adapter's inputs that training leaves out, at random."""
    targets: Different[Text] = absent(**in_words(NAMES))
    """The linears that have an adapter, by the last part of their names; all linears of the blocks
    without it."""
    routers: Routers = absent()
    """Trains the routers of a dynamic variant together with the adapters. Without it they stay as
    they are, and tokens skip what they would skip when the model is used."""


class OnlyRouters(Recovery):
    """The routers of a dynamic variant are trained, and nothing else is."""

    title = "training of routers"

    kind: Literal["routers"]
    routers: Routers = Routers()
    """How."""


class Full(Recovery):
    """Every weight of the blocks' linears that was not removed is trained, in fp32: for small
    models."""

    title = "full training"

    kind: Literal["full"]


class ByModel(Entry):
    """For each model another recovery, so that one variant stands for all of them in the tables."""

    kind: Literal["by-model"]
    models: dict[named("models", "a name"), named("recoveries")]
    """Names from `recoveries`, by the models that they are for: all that are run."""


RECOVERIES = {"lora": Lora, "full": Full, "routers": OnlyRouters, "by-model": ByModel}

AnyRecovery = one_of(RECOVERIES, "kind")
