"""A whole config: what to run, and the catalogues of what things are."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from workflow_scripts.config.catalogues import (
    Benchmark,
    CalibrationSet,
    Corpus,
    InfluenceSet,
    Model,
)
from workflow_scripts.config.diagnosis import Diagnosis
from workflow_scripts.config.entry import Entry, Said, absent
from workflow_scripts.config.generation import Generation, GenerationJob
from workflow_scripts.config.judge import Judge, JudgeJob
from workflow_scripts.config.methods import METHODS, Variant
from workflow_scripts.config.places import fetched_texts
from workflow_scripts.config.prompts import (
    BARE,
    QUESTIONS,
    Prompt,
    Wording,
    is_text,
    places,
    texts_of,
)
from workflow_scripts.config.pruning import Pruning
from workflow_scripts.config.recoveries import AnyRecovery, ByModel, Recovery
from workflow_scripts.config.schedules import PRUNED, mistakes, start_of, turns_of
from workflow_scripts.config.screening import Screening, screen_mistakes
from workflow_scripts.config.tables import Tables
from workflow_scripts.config.tasks import FAMILIES, Harness, Task, TaskJob
from workflow_scripts.config.thinking import AnswerPrefix, ThinkingFormat
from workflow_scripts.config.types import (
    AS_TUPLE,
    Count,
    Different,
    Name,
    different,
    in_words,
    name_beside,
    named,
)

NAMES = in_words("a list of one or more names, none twice")


class Run(Entry):
    """What to run. Every named model is run with every named variant and benchmark."""

    name: Name = absent()
    """Puts what the run makes in a folder of its own, `results/runs/NAME`, so that several runs are
    kept side by side. They share fetched files, masks, statistics and the store."""
    models: Different[named("models", "a name")] = Field(**NAMES)
    """Names from `models`, in the order of the tables."""
    variants: Different[named("variants", "a name")] = Field(**NAMES)
    """Names from `variants`, in the order of the tables and the legend."""
    benchmarks: Different[named("benchmarks", "a name")] = Field(**NAMES)
    """Names from `benchmarks`, in the order of the tables."""
    tasks: Annotated[tuple[named("tasks", "a name"), ...], AS_TUPLE, AfterValidator(different)] = (
        Field(
            (), json_schema_extra={"uniqueItems": True, "x-allowed": "a list of names, none twice"}
        )
    )
    """Names from `tasks`, in the order of the tables: what the evaluation harness runs, beside the
    benchmarks and without budgets."""
    variants_per_engine: Count = 1
    """Variants of a model that one job decodes, one after another with one engine: vLLM starts once
    and takes the weights of the next. They are taken in the order of `variants`. All write to the
    one store, from which a job of each variant, without a GPU, then takes traces and answers.
    Results and what is decoded do not depend on it."""
    screen: Screening = absent()
    """Screens all variants on the dense model's own traces, before any of them generates, and lets
    only the best go on; left out, all go on and none is screened."""

    @property
    def shared_engines(self) -> dict[str, tuple[str, ...]]:
        """The variants of each engine, by its number from 1; empty where each variant has one."""
        return self.sharing(self.variants)

    def sharing(self, variants: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The engines that some variants share, as `shared_engines`."""
        size = self.variants_per_engine
        starts = range(0, len(variants), size) if size > 1 else ()
        groups = enumerate((variants[start : start + size] for start in starts), 1)
        return {str(number): tuple(group) for number, group in groups}


class Settings(Entry):
    """What things are stands in catalogues (mappings); what to run stands in lists of names."""

    run: Run
    models: dict[
        name_beside(
            "tables",
            "figures",
            "demo",
            "runs",
            "compare",
            "logs",
            "report.html",
            "samples.html",
            "departures.html",
        ),
        Model,
    ]
    """Dense checkpoints by name."""
    benchmarks: dict[Name, Benchmark]
    """Sets of problems by name."""
    tasks: dict[Name, Task] = {}
    """Tasks of the evaluation harness by name."""
    prompts: dict[Name, Prompt] = {}
    """Texts that problems are put in, by name; benchmarks name them."""
    texts: dict[Name, Corpus] = {}
    """Texts that models were trained on or that others use, by name; models (`trained_on`),
    calibration sets and recoveries name them."""
    calibration_sets: dict[Name, CalibrationSet]
    """Texts that statistics are collected on, by name."""
    influence_sets: dict[Name, InfluenceSet]
    """Texts that the influence of blocks is scored on, by name."""
    thinking_formats: dict[Name, ThinkingFormat]
    """How a model's thinking is opened, recognised as finished, and closed, by name."""
    recoveries: dict[Name, AnyRecovery] = {}
    """Ways to train a pruned model, by name; variants name them."""
    variants: dict[
        name_beside(
            "statistics", "influence", "calibration_traces", "prompts", "engines", "screening.json"
        ),
        Variant,
    ]
    """Ways to prune a model, by name."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where models run, in every stage that runs one: what `generation.device` and `pruning.device`
    are unless they are set."""
    pruning: Pruning = Pruning()
    generation: Generation
    harness: Harness = Harness()
    judge: Judge = Judge()
    diagnosis: Diagnosis = Diagnosis()
    tables: Tables = Tables()

    @model_validator(mode="before")
    @classmethod
    def _device_of_stages(cls, config: Any) -> Any:
        if not isinstance(config, dict) or config.get("device") not in ("cpu", "cuda"):
            return config
        stages = {"pruning": config.get("pruning", {}), "generation": config.get("generation")}
        device = {"device": config["device"]}
        return config | {
            stage: device | keys for stage, keys in stages.items() if isinstance(keys, dict)
        }

    @model_validator(mode="after")
    def _turns_before_the_last(self) -> "Settings":
        """What the variants of the config come from: the turns of schedules before their last, and
        what recoveries start from where no variant is that already."""
        for name, variant in [*self.variants.items()]:
            self.variants.update(turns_of(name, variant))
        for name, variant in [*self.variants.items()]:
            start = start_of(name, variant)
            if start not in self.variants.values():
                self.variants[name + PRUNED] = start
        return self

    def contradictions(self) -> Iterator[Said]:
        yield from self._engines()
        yield from self._choices()
        yield from self._recoveries()
        yield from mistakes(self.variants, self.recoveries, METHODS)
        for path, said in screen_mistakes(self.run.screen, self.run.variants, self.variants):
            yield ("run", "screen", *path), said
        for key, name in self.tables.pair or ():
            if name not in self.run.models:
                said = f"{name!r} is not in run.models; there: {', '.join(self.run.models)}"
                yield ("tables", "pair", key), said

    def _recoveries(self) -> Iterator[Said]:
        """A recovery by model that leads to another such, or to none for a model that is run."""
        run = (self.variants.get(name) for name in self.run.variants)
        named = {variant.recovery for variant in run if variant}
        for name, entry in self.recoveries.items():
            if not isinstance(entry, ByModel):
                continue
            for model, recovery in entry.models.items():
                if isinstance(self.recoveries.get(recovery), ByModel):
                    said = f"'{recovery}' is not allowed; must be of another kind than by-model"
                    yield ("recoveries", name, "models", model), said
            if name in named:
                for model in self.run.models:
                    if model not in entry.models:
                        said = "missing; the run has this model: a name from recoveries"
                        yield ("recoveries", name, "models", model), said

    def _engines(self) -> Iterator[Said]:
        """An engine that cannot run what a method makes, or not one variant after another."""
        asked, engine = self.generation.engine, self.generation.likely_engine
        for name in self.run.variants:
            method = self.variants.get(name)
            if method and engine not in method.engines:
                said = f"{engine} cannot run what method {method.method} makes (variants.{name})"
                if asked == "auto":
                    said = f"'auto' can be {engine} on a GPU, and {said}"
                yield ("generation", "engine"), f"{said}; must be {' or '.join(method.engines)}"
        # which vLLM's reload of weights does not know
        if self.run.variants_per_engine > 1 and self.generation.engine_options.cpu_offload_gb:
            said = f"{self.run.variants_per_engine} is not allowed with cpu_offload_gb; must be 1"
            yield ("run", "variants_per_engine"), said

    def _choices(self) -> Iterator[Said]:
        """A prompt without the choices that problems have, or with some that they have not."""
        for name, benchmark in self.benchmarks.items():
            columns = getattr(benchmark.source, "columns", None)
            asked = benchmark.prompt
            if columns is None or asked is None or not (is_text(asked) or asked in self.prompts):
                continue
            prompt = self.wording_of(name).prompt
            texts, kinds = texts_of(prompt), benchmark.source.answer_kind
            for kind in [kinds] if isinstance(kinds, str) else dict.fromkeys(kinds.values()):
                if not {"", kind} & texts.keys():
                    said = f"has no text for kind {kind}; there: {', '.join(texts)}"
                    yield ("benchmarks", name, "prompt"), said
            has_choices = columns.choices not in (None, (columns.question,))
            for text in texts.values():
                puts_choices = not {*places(text)} <= {*QUESTIONS}
                if puts_choices and not has_choices:
                    said = "has a place for choices, and source.columns has no choices"
                    yield ("benchmarks", name, "prompt"), said
                elif has_choices and not puts_choices:
                    said = "has no place for the choices; must hold {choices}, or {A}, {B}, ..."
                    yield ("benchmarks", name, "prompt"), said

    def wording_of(self, benchmark: str) -> Wording:
        """How a benchmark's questions are put, with the text that it names."""
        entry = self.benchmarks[benchmark]
        named = entry.prompt is not None and not is_text(entry.prompt)
        prompt = self.prompts[entry.prompt].text if named else entry.prompt
        said = {"prompt": prompt, "system": entry.system}
        return Wording(**{key: text for key, text in said.items() if text is not None})

    def start_of(self, variant: str) -> str | None:
        """The variant whose pruned model a variant's recovery starts from; None without one."""
        entry = self.variants[variant]
        if entry.recovery is None:
            return None
        start = start_of(variant, entry)
        return next(name for name, other in self.variants.items() if other == start)

    def recovery_name(self, variant: str, model: str) -> str:
        """The entry of `recoveries` that trains a variant of a model after it was pruned."""
        name = self.variants[variant].recovery
        entry = self.recoveries[name]
        return entry.models[model] if isinstance(entry, ByModel) else name

    def recovery_of(self, variant: str, model: str) -> Recovery:
        """That entry itself."""
        return self.recoveries[self.recovery_name(variant, model)]

    def texts_of(self, entry: CalibrationSet | Recovery, model: str) -> str | None:
        """The entry of `texts` that a set or a recovery draws from for a model, if any."""
        if isinstance(entry, Recovery):
            return entry.texts or self.models[model].trained_on
        own = {"own": self.models[model].trained_on, "texts": getattr(entry.source, "name", None)}
        return own.get(entry.source.kind)

    def calibration_set(self, name: str, model: str) -> tuple[CalibrationSet, dict[str, str]]:
        """A calibration set as it is for a model, and what of it other jobs make, as `files`."""
        entry = self.calibration_sets[name]
        texts = self.texts_of(entry, model)
        if texts is None:
            return entry, entry.files()
        source = self.texts[texts].source
        return entry.model_copy(update={"source": source}), fetched_texts(texts, source.kind)

    def limits(self, benchmarks: Iterable[str]) -> dict[str, str]:
        """What limits leave of benchmarks, in words, where they have one."""
        said = {name: self.benchmarks[name].limited for name in benchmarks}
        return {name: words for name, words in said.items() if words}

    def thinking_of(self, model: str) -> ThinkingFormat:
        """The thinking format of a model."""
        return self.thinking_formats[self.models[model].thinking]

    def generation_job(self, model: str, benchmarks: Sequence[str] | None = None) -> GenerationJob:
        """What generating for a model is told, on given benchmarks or those of the run."""
        entry = self.models[model]
        names = self.run.benchmarks if benchmarks is None else benchmarks
        wordings = {name: self.wording_of(name) for name in names}
        said = {
            "wordings": {name: said for name, said in wordings.items() if said != BARE},
            "chat_template_args": entry.chat_template_args,
        }
        return GenerationJob(
            **self.generation.given(),
            format=entry.thinking,
            thinking=self.thinking_formats[entry.thinking],
            **{key: value for key, value in said.items() if value},
        )

    @property
    def families(self) -> dict[str, tuple[str, ...]]:
        """The tasks of the run by their families, those that have some."""
        found = {
            family: tuple(name for name in self.run.tasks if self.tasks[name].family == family)
            for family in FAMILIES
        }
        return {family: names for family, names in found.items() if names}

    def task_job(self, model: str, family: str | None) -> TaskJob:
        """What running a family's tasks for a model is told; without one, all tasks of the run."""
        names = self.run.tasks if family is None else self.families[family]
        entry, generation, harness = self.models[model], self.generation, self.harness
        asked = (*{*TaskJob.model_fields} & {*Generation.model_fields} - {"batch_size"},)
        stop = self.thinking_of(model).stop
        said = {
            "max_length": harness.max_length,
            "chat_template_args": entry.chat_template_args,
        }
        return TaskJob(
            tasks={name: self.tasks[name] for name in names},
            **{key: getattr(generation, key) for key in asked},
            batch_size=harness.batch_size,
            run_code=harness.run_code,
            thinking_end=stop if isinstance(stop, str) else stop[0],
            **{key: value for key, value in said.items() if value},
        )

    def trace_job(self, model: str, benchmark: str) -> GenerationJob:
        """What generating calibration traces is told: only the largest budget counts.

        A trace is then the same as in the run itself, and is found in the generation store.
        """
        job = self.generation_job(model, [benchmark])
        return job.model_copy(update={"budgets": job.budgets[-1:]})

    def answer_prefix(self, model: str) -> AnswerPrefix:
        """What grading is told: what the model's format writes directly in front of an answer."""
        return self.thinking_of(model).answer_prefix()

    def judge_job(self, model: str) -> JudgeJob:
        """What judging answers is told."""
        return JudgeJob(**self.judge.given(), answer_prefix=self.answer_prefix(model))
