"""A folder like the hub's data sets of the shipped tasks: their layout, columns and types.

The words are made up. Files lie where they lie on the hub, `datasets/OWNER/NAME/main/...`, and a
card with `configs` is there where the hub's has one.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

TEXT, NUMBER, TEXTS = pa.string(), pa.int64(), pa.list_(pa.string())
CHOICES = pa.struct({"text": TEXTS, "label": TEXTS})
TARGETS = pa.struct({"choices": TEXTS, "labels": pa.list_(pa.int32())})


class Files(NamedTuple):
    """One split of a data set: a file by its place in the repository, and its rows."""

    path: str
    split: str
    rows: Sequence[Mapping[str, Any]]
    types: Mapping[str, pa.DataType] = {}  # of a parquet file
    config: str | None = None  # in the card


def write_mirror(folder: Path) -> Path:
    """Write all of it below `folder`, which PRUNETHINK_HUB may then name; returns the folder."""
    for repository, files in DATA_SETS.items():
        place = folder / "datasets" / repository / "main"
        for file in files:
            path = place / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            WRITERS[path.suffix](path, file)
        if configs := {file.config for file in files if file.config}:
            listed = [
                {
                    "config_name": config,
                    "data_files": [
                        {"split": file.split, "path": file.path}
                        for file in files
                        if file.config == config
                    ],
                }
                for config in sorted(configs)
            ]
            card = yaml.safe_dump({"license": "other", "configs": listed})
            (place / "README.md").write_text(f"---\n{card}---\n# A data set\n", encoding="utf-8")
    return folder


def _parquet(path: Path, file: Files) -> None:
    pq.write_table(pa.Table.from_pylist(list(file.rows), pa.schema(file.types)), path)


def _lines(path: Path, file: Files) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in file.rows), encoding="utf-8")


def _columns(separator: str) -> Any:
    def write(path: Path, file: Files) -> None:
        with path.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.DictWriter(opened, file.rows[0], delimiter=separator)
            writer.writeheader()
            writer.writerows(file.rows)

    return write


WRITERS = {
    ".parquet": _parquet,
    ".jsonl": _lines,
    ".csv": _columns(","),
    ".tsv": _columns("\t"),
}


def _science(name: str, rows: Sequence[tuple[str, Sequence[str], str, str]]) -> list[dict]:
    return [
        {
            "id": f"{name}_{number}",
            "question": question,
            "choices": {"text": texts, "label": list(labels)},
            "answerKey": key,
        }
        for number, (question, texts, labels, key) in enumerate(rows)
    ]


def _popqa(number: int, question: str, answers: Sequence[str]) -> dict[str, Any]:
    uri = "http://www.wikidata.org/entity/Q1"
    return {
        "id": 4222362 + number,
        "subj": "Ada Quill",
        "prop": "occupation",
        "obj": answers[0],
        "subj_id": 1850297,
        "prop_id": 22,
        "obj_id": 2834605,
        "s_aliases": json.dumps(["A. Quill"]),
        "o_aliases": json.dumps(answers[1:]),
        "s_uri": uri,
        "o_uri": uri,
        "s_wiki_title": "Ada Quill",
        "o_wiki_title": answers[0],
        "s_pop": 142,
        "o_pop": 25692,
        "question": question,
        "possible_answers": json.dumps(answers),
    }


def _gpqa(number: int, question: str, right: str, wrong: Sequence[str]) -> dict[str, Any]:
    return {
        "Pre-Revision Question": f"{question} (before)",
        "Pre-Revision Correct Answer": right,
        "Question": question,
        "Correct Answer": right,
        **{f"Incorrect Answer {place}": text for place, text in enumerate(wrong, 1)},
        "Explanation": "It follows.\nIn two lines, and a comma",
        "Subdomain": "Made-up physics",
        "Record ID": f"rec{number}",
        "High-level domain": "Physics",
    }


_ARC = {"id": TEXT, "question": TEXT, "choices": CHOICES, "answerKey": TEXT}
_ARC_EASY = [
    ("What melts in the sun?", ["ice", "a stone", "sand", "glass"], "ABCD", "A"),
    ("What do cows eat?", ["stones", "grass", "iron"], "123", "2"),
    ("What is wet?", ["fire", "dust", "coal", "rain"], "ABCD", "D"),
    ("Which is a tool?", ["a hammer", "a cloud", "a song", "a shadow"], "ABCD", "A"),
]
_ARC_CHALLENGE = [
    ("Why is the sky dark at night?", ["no sun", "the moon covers all of it"], "AB", "A"),
    ("What does a lever change?", ["mass", "the force that is needed"], "AB", "B"),
    ("What boils last?", ["oil", "water"], "AB", "A"),
]

DATA_SETS: dict[str, list[Files]] = {
    "aps/super_glue": [
        Files(
            f"boolq/{split}-00000-of-00001.parquet",
            split,
            [
                {"question": "is tin a metal", "passage": "Tin is a metal.", "idx": 0, "label": 1},
                {"question": "do fish fly", "passage": "Few fish fly.", "idx": 1, "label": 0},
                {"question": "is it over", "passage": "It is over.", "idx": 2, "label": 1},
            ],
            {"question": TEXT, "passage": TEXT, "idx": pa.int32(), "label": NUMBER},
            "boolq",
        )
        for split in ("train", "validation")
    ],
    "baber/piqa": [
        Files(
            f"data/{split}-00000-of-00001.parquet",
            split,
            [
                {"goal": "To open a jar,", "sol1": "twist it.", "sol2": "eat it.", "label": 0},
                {"goal": "To dry a cup,", "sol1": "wet it.", "sol2": "wipe it.", "label": 1},
                {"goal": "To see at night,", "sol1": "take a lamp.", "sol2": "nap.", "label": 0},
            ],
            {"goal": TEXT, "sol1": TEXT, "sol2": TEXT, "label": NUMBER},
            "default",
        )
        for split in ("train", "validation")
    ],
    "Rowan/hellaswag": [
        Files(
            f"data/{split}-00000-of-00001.parquet",
            split,
            [
                {
                    "ind": number,
                    "activity_label": label,
                    "ctx_a": a,
                    "ctx_b": b,
                    "ctx": f"{a} {b}".strip(),
                    "endings": endings,
                    "source_id": "wikihow~1",
                    "split": "val",
                    "split_type": "indomain",
                    "label": right,
                }
                for number, (label, a, b, endings, right) in enumerate(
                    (
                        (
                            "Baking bread",
                            "[header] How to bake [title] Take  flour. [step] Mix it.",
                            "then you",
                            ["[substeps] knead it.", "paint it.", "sell  it.", "drop it."],
                            "0",
                        ),
                        ("Rowing", "A man rows.", "", ["He sleeps.", "He stops at a pier."], "1"),
                        ("Chess", "She moves.", "he", ["thinks long.", "é é é."], "0"),
                    )
                )
            ],
            {
                "ind": pa.int32(),
                "activity_label": TEXT,
                "ctx_a": TEXT,
                "ctx_b": TEXT,
                "ctx": TEXT,
                "endings": TEXTS,
                "source_id": TEXT,
                "split": TEXT,
                "split_type": TEXT,
                "label": TEXT,
            },
            "default",
        )
        for split in ("train", "validation")
    ],
    "allenai/winogrande": [
        Files(
            f"winogrande_xl/{split}-00000-of-00001.parquet",
            split,
            [
                {
                    "sentence": "Ann paid Eve because _ had lost the bet.",
                    "option1": "Ann",
                    "option2": "Eve",
                    "answer": "1",
                },
                {
                    "sentence": "The cup fits the box, so _ is the larger.",
                    "option1": "the cup",
                    "option2": "the box",
                    "answer": "2",
                },
                {
                    "sentence": "Joe fed Max since _ was hungry.",
                    "option1": "Joe",
                    "option2": "Max",
                    "answer": "2",
                },
            ],
            {"sentence": TEXT, "option1": TEXT, "option2": TEXT, "answer": TEXT},
            "winogrande_xl",
        )
        for split in ("train", "validation")
    ],
    "allenai/ai2_arc": [
        Files(
            f"{config}/{split}-00000-of-00001.parquet", split, _science(config, rows), _ARC, config
        )
        for config, rows in (("ARC-Easy", _ARC_EASY), ("ARC-Challenge", _ARC_CHALLENGE))
        for split in ("train", "validation", "test")
    ],
    "allenai/openbookqa": [
        Files(
            f"main/{split}-00000-of-00001.parquet",
            split,
            [
                {
                    "id": "7-980",
                    "question_stem": "The sun is",
                    "choices": {"text": ["cold", "a star"], "label": ["A", "B"]},
                    "answerKey": "B",
                },
                {
                    "id": "7-981",
                    "question_stem": "Roots drink",
                    "choices": {"text": ["water", "light"], "label": ["A", "B"]},
                    "answerKey": "A",
                },
            ],
            {"id": TEXT, "question_stem": TEXT, "choices": CHOICES, "answerKey": TEXT},
            "main",
        )
        for split in ("train", "validation", "test")
    ],
    "truthfulqa/truthful_qa": [
        Files(
            "multiple_choice/validation-00000-of-00001.parquet",
            "validation",
            [
                {
                    "question": question,
                    "mc1_targets": {"choices": one, "labels": [1, *[0] * (len(one) - 1)]},
                    "mc2_targets": {"choices": two, "labels": labels},
                }
                for question, one, two, labels in (
                    ("Do pigs fly?", ["No.", "Yes."], ["No.", "Never.", "Yes."], [1, 1, 0]),
                    ("Is glass a liquid?", ["No.", "It is."], ["No.", "It is."], [1, 0]),
                )
            ],
            {"question": TEXT, "mc1_targets": TARGETS, "mc2_targets": TARGETS},
            "multiple_choice",
        )
    ],
    "google/IFEval": [
        Files(
            "ifeval_input_data.jsonl",
            "train",
            [
                {
                    "key": 1000,
                    "prompt": "Write about tea without commas and with two sections in *stars*.",
                    "instruction_id_list": [
                        "punctuation:no_comma",
                        "detectable_format:number_highlighted_sections",
                    ],
                    "kwargs": [{}, {"num_highlights": 2}],
                },
                {
                    "key": 1001,
                    "prompt": "Say why in at least three sentences.",
                    "instruction_id_list": ["length_constraints:number_sentences"],
                    "kwargs": [{"relation": "at least", "num_sentences": 3}],
                },
                {
                    "key": 1005,
                    "prompt": "Name the mayor and the dog.",
                    "instruction_id_list": ["keywords:existence"],
                    "kwargs": [{"keywords": ["mayor", "dog"]}],
                },
            ],
        )
    ],
    "akariasai/PopQA": [
        Files(
            "test.tsv",
            "test",
            [
                _popqa(0, "What is Ada Quill's occupation?", ["Poet", "poetess"]),
                _popqa(1, "What is the capital of Peru?", ["Lima"]),  # an example's question
                _popqa(2, 'What genre is "Lo"?', ["folk rock", "folk-rock", 'the "rock"']),
                _popqa(3, "Who is the author of Zeds?", ["Ella Ames"]),
            ],
        )
    ],
    "Maxwell-Jia/AIME_2024": [
        Files(
            "aime_2024_problems.parquet",
            "train",
            [
                {"ID": "2024-II-4", "Problem": "Find $2+31$.", "Solution": "It is.", "Answer": 33},
                {"ID": "2024-I-1", "Problem": "Find $x$.", "Solution": "It is.", "Answer": 204},
                {"ID": "2024-I-2", "Problem": "Find $y$.", "Solution": "It is.", "Answer": 25},
            ],
            {"ID": TEXT, "Problem": TEXT, "Solution": TEXT, "Answer": NUMBER},
        )
    ],
    "HuggingFaceH4/MATH-500": [
        Files(
            "test.jsonl",
            "test",
            [
                {
                    "problem": f"How much is {said}?",
                    "solution": f"We see $\\boxed{{{answer}}}$.",
                    "answer": answer,
                    "subject": "Algebra",
                    "level": 2,
                    "unique_id": f"test/algebra/{number}.json",
                }
                for number, (said, answer) in enumerate(
                    (("half", "\\frac{1}{2}"), ("two and two", "4"), ("the pair", "(3, \\pi)"))
                )
            ],
        )
    ],
    "Idavidrein/gpqa": [
        Files(
            "gpqa_diamond.csv",
            "train",
            [
                _gpqa(0, "Which decays first?", "the muon", ["the tin", "the tau", "the top"]),
                _gpqa(1, "What is 2 + 2, in eV?", "4 eV", ["5 eV", "6 eV", "7 eV"]),
                _gpqa(2, "Which is blue?", "the sea", ["the sand", "the rust", "the coal"]),
                _gpqa(3, "Which is heavy?", "lead", ["air", "straw", "cork"]),
            ],
            config="gpqa_diamond",
        )
    ],
    "EleutherAI/wikitext_document_level": [
        Files(
            f"wikitext-2-raw-v1/{split}-00000-of-00001.parquet",
            split,
            [
                {"page": " = Tea = \n \n Tea , he said , is 3 @.@ 5 times 's best . \n"},
                {"page": " = Sum = \n " + "1 + 2 = 3 ; 4 * 5 = 0 ; " * 12 + "\n"},
            ],
            {"page": TEXT},
            "wikitext-2-raw-v1",
        )
        for split in ("train", "validation", "test")
    ],
}
