"""What one generation job is to do, known before any engine starts.

Who only wants to know which completions an experiment needs stops here.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.artefacts.records import Problem, read_records
from workflow_scripts.config.engines import batch_size
from workflow_scripts.config.entry import plain
from workflow_scripts.config.generation import GenerationJob
from workflow_scripts.config.prompts import BARE
from workflow_scripts.engines.fingerprint import identity
from workflow_scripts.engines.interface import EngineSettings
from workflow_scripts.engines.sampling import Sampling
from workflow_scripts.engines.start import check_runs, resolved
from workflow_scripts.errors import InputError
from workflow_scripts.generation.prompts import prompts
from workflow_scripts.generation.sweep import Sample, Sweep, SweepSettings
from workflow_scripts.generation.thinking import ThinkingFormat as Delimiters
from workflow_scripts.generation.thinking import longest_marker, tokenise_format
from workflow_scripts.models.chat_templates import ChatTemplate
from workflow_scripts.models.checkpoints import EMBEDDING, open_checkpoint
from workflow_scripts.models.rope import context_length, switches_after
from workflow_scripts.models.tokenizers import check_ids, end_of_turn_ids, load_tokenizer


@dataclass(frozen=True)
class Asked:
    """What a model is asked: prompts as token ids, by benchmark and problem.

    `day` is what the chat template was told is today, None where it does not ask.
    """

    prompts: dict[str, dict[str, tuple[int, ...]]]
    tokenizer: PreTrainedTokenizerBase
    thinking: Delimiters
    day: str | None


@dataclass(frozen=True)
class Job:
    """One variant of a model: its sweep and the samples of each benchmark.

    `identity` is what completions depend on beside their requests, `longest` the tokens of the
    longest sequence that may come about. `day` is what the chat template was told is today, None
    where it does not ask.
    """

    sweep: Sweep
    benchmarks: dict[str, list[Sample]]
    engine: EngineSettings
    identity: dict[str, Any]
    tokenizer: Any
    longest: int
    day: str | None

    @property
    def samples(self) -> list[Sample]:
        return [sample for group in self.benchmarks.values() for sample in group]

    def shard(self, number: int, count: int) -> "Job":
        """Part `number` of `count`, from 1: every `count`-th problem, with all its repeats.

        Problems are counted over all benchmarks, so that small ones are spread as well. What the
        completions depend on stays that of the whole job.
        """
        names = [(name, s.problem) for name, group in self.benchmarks.items() for s in group]
        chosen = {*list(dict.fromkeys(names))[number - 1 :: count]}
        parts = {
            name: [sample for sample in group if (name, sample.problem) in chosen]
            for name, group in self.benchmarks.items()
        }
        return replace(self, benchmarks={name: part for name, part in parts.items() if part})


def describe_job(
    model: Path, pruned: Pruned, benchmarks: dict[str, Path], options: GenerationJob
) -> Job:
    """The job of a model's folder, a variant of it, benchmark files by name and generation options.

    Raises `InputError` for what cannot be done: an engine that is not installed, delimiters that
    the tokenizer does not know, a chat template that fails, a budget beyond the model's context.
    """
    chosen = {key: getattr(options, key) for key in EngineSettings.__annotations__}
    engine = resolved(EngineSettings(**chosen | {"engine_options": plain(options.engine_options)}))
    check_runs(engine, pruned, model)
    asked = what_is_asked(model, benchmarks, options)
    context = context_length(open_checkpoint(model))
    sweep = Sweep(_sweep_settings(options, context), asked.thinking)
    repeats = range(options.repeats)
    samples = {
        name: [Sample(problem, r, ids) for problem, ids in found.items() for r in repeats]
        for name, found in asked.prompts.items()
    }
    longest = _longest_sequence(samples, sweep, context)
    count = sum(len(group) for group in samples.values())
    rows = batch_size(options.batch_size, engine.engine, engine.device, longest, count)
    engine = replace(engine, batch_size=rows)
    return Job(
        sweep=sweep,
        benchmarks=samples,
        engine=engine,
        identity=_identity(model, pruned, engine, longest),
        tokenizer=asked.tokenizer,
        longest=longest,
        day=asked.day,
    )


def what_is_asked(model: Path, benchmarks: dict[str, Path], options: GenerationJob) -> Asked:
    """The prompts of a model's folder; no engine is needed for them.

    Raises `InputError` for delimiters that the tokenizer does not know and for a chat template that
    fails.
    """
    tokenizer = load_tokenizer(model)
    end_of_turn = end_of_turn_ids(model, tokenizer)
    thinking = tokenise_format(tokenizer, options.thinking, options.format, end_of_turn, str(model))
    rows = open_checkpoint(model).shapes[EMBEDDING][0]
    for key in ("open", "after_stop", "after_cap", "newline", "extend_with"):
        where = f"thinking_formats.{options.format}.{key}"
        check_ids(tokenizer, getattr(thinking, key), rows, where)
    wordings = options.wordings or {}
    with ChatTemplate(tokenizer, options.date, options.chat_template_args) as template:
        found = {
            name: prompts(
                template,
                read_records(path, Problem),
                options.thinking,
                thinking.open,
                name,
                wordings.get(name, BARE),
            )
            for name, path in benchmarks.items()
        }
    for name, group in found.items():
        for problem, ids in group.items():
            check_ids(tokenizer, ids, rows, f"benchmark {name}, problem {problem}")
    return Asked(found, tokenizer, thinking, template.day)


def _sweep_settings(options: GenerationJob, context: int) -> SweepSettings:
    return SweepSettings(
        budgets=options.budgets,
        repeats=options.repeats,
        answer_tokens=options.answer_tokens,
        sampling=Sampling(**options.sampling()),
        answer_sampling=Sampling(**options.sampling_of_answers()),
        seed=options.seed,
        independent=options.sweep == "independent",
        context=context if options.answer_beyond_context == "cut" else None,
    )


def _identity(
    model: Path, pruned: Pruned, settings: EngineSettings, longest: int
) -> dict[str, Any]:
    """What completions depend on beside their request.

    Where a model's frequencies switch with the length, vLLM takes those of its longest sequence for
    all.
    """
    found = identity(model, pruned, settings)
    switch = switches_after(open_checkpoint(model)) if settings.engine == "vllm" else None
    return found if switch is None else found | {"beyond_switch": longest > switch}


def _longest_sequence(benchmarks: dict[str, list[Sample]], sweep: Sweep, context: int) -> int:
    """Tokens of the longest sequence that may come about.

    Raises `InputError` where it exceeds the model's context, naming the budget or the problem.
    Where answers end with the context, they need one token.
    """
    settings = sweep.settings
    samples = (sample for group in benchmarks.values() for sample in group)
    longest = max(samples, key=lambda sample: len(sample.prompt))
    prompt, budget = len(longest.prompt), settings.budgets[-1]
    answer = settings.answer_tokens if settings.context is None else 1
    thought = prompt + budget + longest_marker(sweep.thinking)
    needed = thought + answer
    if budget >= context:
        raise InputError(
            f"generation.budgets: {budget} tokens leave none of the model's context of {context} "
            "for prompt and answer; set lower ones"
        )
    if prompt >= context:
        raise InputError(
            f"problem {longest.problem}: its prompt of {prompt} tokens fills the model's context "
            f"of {context}; leave the problem out or take another model"
        )
    if needed > context:
        raise InputError(
            f"problem {longest.problem}: its prompt of {prompt} tokens, the budget of {budget} and "
            f"an answer of {answer}, with what stands between them, need {needed} tokens; the "
            f"model's context is {context}: lower generation.budgets or generation.answer_tokens"
        )
    return min(thought + settings.answer_tokens, context)
