"""A made-up run with scripted traces, in the results' own layout."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from workflow_scripts.artefacts.records import Answer, Grade, Problem, Trace, write_records
from workflow_scripts.demo.tokenizer import build_tokenizer

BUDGETS = (6, 12, 24)
SENTENCES = [
    "Wait, let me check this again.", "Therefore the answer is 42.", "So 12 + 30 = 42, not 43.",
    "Alternatively, there is another way.", "等一下，再检查一下。",
]  # fmt: skip


class Told(NamedTuple):
    """A trace as a test tells it, and whether the answer after it is right."""

    text: str
    correct: bool = True
    finish: str = "stop"
    seed: int = 0


def byte_pairs() -> PreTrainedTokenizerBase:
    """A small byte-level BPE tokenizer, whose tokens are words and parts of them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<eos>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>")


def write_run(
    folder: Path,
    told: Mapping[str, Mapping[str, Sequence[Told]]],
    budgets: Iterable[int] = BUDGETS,
    tokenizer: PreTrainedTokenizerBase | None = None,
    independent: bool = False,
) -> Path:
    """By variant and problem a trace for each repeat, of the model m on the benchmark b."""
    tokenizer = tokenizer or build_tokenizer()
    tokenizer.save_pretrained(folder / "resources/models/m")
    names = list(dict.fromkeys(name for problems in told.values() for name in problems))
    problems = [Problem(name, f"What is {name}?", "4", "integer") for name in names]
    write_records(folder / "resources/benchmarks/b.jsonl", problems)
    for variant, problems in told.items():
        traces, answers, grades = [], [], []
        for name, repeats in problems.items():
            for repeat, one in enumerate(repeats):
                tokens = len(tokenizer(one.text, add_special_tokens=False)["input_ids"])
                row = name, repeat, one.seed, tokens, one.finish, one.text
                traces += [Trace(*row, budget) for budget in (budgets if independent else [None])]
                for budget in budgets:
                    left = min(tokens, budget)
                    finish = one.finish if tokens < budget else "length"
                    key = name, repeat, budget
                    answers.append(Answer(*key, 0, left, finish, 2, "eos", "4"))
                    grades.append(Grade(*key, "4" if one.correct else "5", one.correct, "stated"))
        place = folder / "results/m" / variant
        for kind, records in (("traces", traces), ("answers", answers), ("grades", grades)):
            write_records(place / kind / "b.jsonl", records)
    return folder
