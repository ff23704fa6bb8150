"""Responses to the harness's requests, kept: a killed job loses the batch in flight and no more.

The harness's own cache pickles what it holds and writes one row at a time. Here a batch is written
as a whole, as JSON: what is left to do after a kill then falls into the same batches as before, so
that it is padded and rounded as it would have been.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from workflow_scripts.errors import InputError
from workflow_scripts.files.digests import value_digest
from workflow_scripts.models.chat_templates import ChatTemplate

TABLES = """
CREATE TABLE IF NOT EXISTS responses (
    request TEXT PRIMARY KEY, response TEXT NOT NULL, producer TEXT NOT NULL, digest TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS producers (digest TEXT PRIMARY KEY, fingerprint TEXT NOT NULL);
"""


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Where what the system or SQLite says of a file of responses is one line."""
    try:
        yield
    except sqlite3.Error as error:
        raise InputError(
            f"{path}: {error}; free some space, or delete it and start again: what it held is "
            "asked again"
        ) from None


class Responses:
    """Responses by request in one file, with what computed them; to be closed.

    As the harness's `cache_hook` it is told each as a model finds it, and `flush` writes what it
    was told since the last time.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path)
        self._database.executescript(TABLES)
        self._producer = ""
        self._told: list[tuple[str, Any]] = []
        self._times: Counter[str] = Counter()

    def write_as(self, fingerprint: dict[str, str]) -> None:
        """Say what computes the responses that come."""
        self._producer = value_digest(fingerprint)
        row = self._producer, json.dumps(fingerprint, sort_keys=True)
        with self._database:
            self._database.execute("INSERT OR IGNORE INTO producers VALUES (?, ?)", row)

    def producers(self) -> dict[str, dict[str, str]]:
        """What computed the responses, by digest."""
        rows = self._database.execute("SELECT digest, fingerprint FROM producers")
        return {digest: json.loads(fingerprint) for digest, fingerprint in rows}

    def get(self, request: str) -> Any:
        """A response; None where there is none, or one that is not what was written."""
        asked = "SELECT response, digest FROM responses WHERE request = ?"
        text, digest = self._database.execute(asked, (request,)).fetchone() or ("", "")
        return json.loads(text) if digest == value_digest([request, text]) else None

    def put(self, found: Iterator[tuple[str, Any]]) -> None:
        """Write responses, all or none."""
        texts = ((request, json.dumps(response)) for request, response in found)
        rows = [(*pair, self._producer, value_digest(pair)) for pair in texts]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?)", rows)

    def add_partial(self, kind: str, arguments: Sequence[Any], response: Any) -> None:
        """A response that a model has found. Of equal requests each is answered by itself."""
        key = request_key(kind, arguments)
        while self.get(numbered(key, self._times[key])) is not None:
            self._times[key] += 1
        self._told.append((numbered(key, self._times[key]), response))
        self._times[key] += 1

    def flush(self) -> None:
        told, self._told = self._told, []
        self.put(iter(told))

    def close(self) -> None:
        self._database.close()


def request_key(kind: str, arguments: Sequence[Any]) -> str:
    """What a request is found by: its kind and its texts and settings."""
    return value_digest([kind, *arguments])


def numbered(key: str, time: int) -> str:
    """The key of the `time`-th of equal requests, from 0."""
    return f"{key}-{time}"


class KeptModel(LM):
    """A model to the harness, which starts when a request comes that has no response yet.

    `start` gives the harness's model of it and is told where responses go. Documents for a
    perplexity are put to it one at a time: of several it would tell at the end alone.
    """

    def __init__(
        self,
        start: Callable[[Responses], LM],
        template: ChatTemplate,
        responses: Responses,
        where: str,
    ) -> None:
        super().__init__()
        self._start, self._template = start, template
        self._kept, self._where = responses, where

    @property
    def tokenizer_name(self) -> str:
        return self._template.tokenizer.name_or_path.replace("/", "__")

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """The prompt of turns; without a generation prompt the last one is left open."""
        return self._template.render_turns(
            chat_history, self._where, is_open=not add_generation_prompt
        )

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        return [tuple(found) for found in self._responses("loglikelihood", requests)]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        for request in requests[:-1]:
            self._responses("loglikelihood_rolling", [request])
        return self._responses("loglikelihood_rolling", requests)

    def generate_until(self, requests: list[Instance]) -> list[str]:
        return self._responses("generate_until", requests)

    def _responses(self, kind: str, requests: list[Instance]) -> list[Any]:
        times: Counter[str] = Counter()
        keys = []
        for request in requests:
            key = request_key(kind, request.args)
            keys.append(numbered(key, times[key]))
            times[key] += 1
        missing = [
            (key, request)
            for key, request in zip(keys, requests, strict=True)
            if self._kept.get(key) is None
        ]
        if missing:
            model = self._start(self._kept)
            if kind == "generate_until":
                self._check_room(model, [request for _, request in missing])
            found = getattr(model, kind)([request for _, request in missing])
            self._kept.flush()
            self._kept.put((key, one) for (key, _), one in zip(missing, found, strict=True))
        return [self._kept.get(key) for key in keys]

    def _check_room(self, model: LM, requests: list[Instance]) -> None:
        """Raise `InputError` where responses may be so long that a prompt has no place."""
        most = max(request.args[1].get("max_gen_toks", model.max_gen_toks) for request in requests)
        if most >= model.max_length:
            raise InputError(
                f"{self._where}: a response of up to {most} tokens leaves no room for a prompt in "
                f"a context of {model.max_length}; set less by generation: {{max_gen_toks: ...}}"
            )
