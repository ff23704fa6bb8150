"""What the task file popqa.yaml names: fifteen fixed examples, and what counts as an answer."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

# one of each of PopQA's kinds of question but the sixteenth, a father's name, whose answers are
# those of the mother's; all are well known
EXAMPLES = {
    "What is Marie Curie's occupation?": "physicist",
    "In what city was Wolfgang Amadeus Mozart born?": "Salzburg",
    "What genre is Dracula?": "horror",
    "In what country is Lake Balaton?": "Hungary",
    "Who was the producer of Schindler's List?": "Steven Spielberg",
    "Who was the director of Seven Samurai?": "Akira Kurosawa",
    "What is Nairobi the capital of?": "Kenya",
    "Who was the screenwriter for Pulp Fiction?": "Quentin Tarantino",
    "Who was the composer of The Magic Flute?": "Wolfgang Amadeus Mozart",
    "What color is a ruby?": "red",
    "What is the religion of Desmond Tutu?": "Anglicanism",
    "What sport does Serena Williams play?": "tennis",
    "Who is the author of Don Quixote?": "Miguel de Cervantes",
    "Who is the mother of Elizabeth I of England?": "Anne Boleyn",
    "What is the capital of Peru?": "Lima",
}


def examples() -> list[dict[str, str]]:
    """Rows like those of the data set, as far as prompts take them."""
    return [
        {"question": question, "possible_answers": json.dumps([answer])}
        for question, answer in EXAMPLES.items()
    ]


def without_examples(rows: Any) -> Any:
    """The rows whose question no example has answered."""
    return rows.filter(lambda row: row["question"] not in EXAMPLES)


def first_answer(row: Mapping[str, Any]) -> str:
    """The first of the answers that count."""
    return _answers(row)[0]


def score(row: Mapping[str, Any], responses: Sequence[str]) -> dict[str, float]:
    """1 where the response contains an answer that counts: as it is written, in small letters, or
    with a capital letter in front and small ones after it."""
    said = responses[0]
    forms = (form for a in _answers(row) for form in (a, a.lower(), a.capitalize()))
    return {"acc": float(any(form in said for form in forms))}


def _answers(row: Mapping[str, Any]) -> list[str]:
    return json.loads(row["possible_answers"])
