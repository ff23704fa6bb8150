"""Asking a judge behind any OpenAI-compatible endpoint, and keeping its replies on disk.

A reply is kept under a digest of everything it depends on, so that nothing is asked and paid for
twice: not after a kill, not for a second variant that answered the same.
"""

import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from workflow_scripts.config.judge import Judge
from workflow_scripts.errors import InputError
from workflow_scripts.files.digests import value_digest

MAX_WAIT = 120.0  # seconds between two attempts, whatever the endpoint asks for
_TRY_AGAIN = (408, 409, 425, 429)  # and all from 500 on
_LOCAL = ("localhost", "127.0.0.1", "::1")
_MAX_SAID = 200  # characters of what an endpoint says that an error line quotes


class _NotYet(Exception):
    """An attempt that may end better another time; `wait` seconds are asked for, if any."""

    def __init__(self, said: str, wait: float | None = None) -> None:
        super().__init__(said)
        self.wait = wait


class Client:
    """Asks one judge; a context manager. Threads may share it.

    The key is in `environment`, in the variable that `judge.key_variable` names, or there is none.
    Raises `InputError` for a key that no header can hold, and where it would travel unencrypted.
    """

    def __init__(self, judge: Judge, environment: Mapping[str, str] = os.environ) -> None:
        self._judge = judge
        self._key = environment.get(judge.key_variable, "").strip()
        parts = urlsplit(judge.url)
        is_local = parts.hostname in _LOCAL
        if not re.fullmatch(r"[\x21-\x7e]*", self._key):
            raise InputError(f"{judge.key_variable}: holds signs that a key cannot have")
        if self._key and parts.scheme != "https" and not is_local:
            raise InputError(
                f"judge.url: {judge.url} would carry the key in {judge.key_variable} unencrypted; "
                "use https, or unset the variable"
            )
        # no proxy between this machine and itself: it would see the key; redirects aren't followed
        self._http = httpx2.Client(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=judge.timeout,
            trust_env=not is_local,
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, prompt: str, cache: Path, sleep: Callable[[float], None] = time.sleep) -> str:
        """The reply to a prompt; from `cache` where it was asked before.

        Raises `InputError` where the endpoint refuses, or gives no reply in all attempts.
        """
        judge = self._judge
        body = {
            "model": judge.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": judge.temperature or 0,  # replies are kept under 0, not 0.0
            "max_tokens": judge.max_tokens,
        }
        digest = value_digest({"url": judge.url, "body": body})
        path = cache / digest[:2] / f"{digest}.json"
        kept = _kept(path)
        if kept is not None:
            return kept
        attempts = Retrying(
            retry=retry_if_exception_type(_NotYet),
            stop=stop_after_attempt(judge.attempts),
            wait=_wait,
            sleep=sleep,
            reraise=True,
        )
        try:
            reply = attempts(self._request, body)
        except _NotYet as failure:
            raise InputError(
                f"judge: {judge.url}: no reply in {judge.attempts} attempts (last: "
                f"{self._quoted(str(failure))}); what was answered is kept, start again to go on"
            ) from None
        _keep(path, {"model": judge.model, "reply": reply})
        return reply

    def _request(self, body: dict[str, Any]) -> str:
        url = f"{self._judge.url.rstrip('/')}/chat/completions"
        try:
            response = self._http.post(url, json=body)
        except httpx2.HTTPError as error:
            raise _NotYet(f"{type(error).__name__}: {error}") from None
        if response.status_code in _TRY_AGAIN or response.status_code >= 500:
            asked = response.headers.get("Retry-After", "")
            wait = float(asked) if re.fullmatch("[0-9]{1,9}", asked) else None
            raise _NotYet(f"HTTP {response.status_code}", wait)
        if not response.is_success:
            said = "a redirect" if response.is_redirect else self._quoted(response.text)
            raise InputError(
                f"judge: {self._judge.url}: HTTP {response.status_code} ({said}); check judge.url, "
                "judge.model and the key"
            )
        try:
            reply = response.json()["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError):
            raise _NotYet("a reply that is no chat completion") from None
        if not isinstance(reply, str):
            raise _NotYet("a chat completion without text")
        return self._without_key(reply)

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text

    def _quoted(self, text: str) -> str:
        """What an endpoint says, for one line on a terminal: no key, no control characters, cut."""
        line = " ".join(self._without_key(text).split())
        return "".join(sign if sign.isprintable() else "?" for sign in line)[:_MAX_SAID]


def _wait(state: RetryCallState) -> float:
    """Seconds until the next attempt: what the endpoint asks for, else twice as long every time."""
    asked = state.outcome.exception().wait
    return min(2.0 ** (state.attempt_number - 1) if asked is None else asked, MAX_WAIT)


def _kept(path: Path) -> str | None:
    """A reply that was kept; None where there is none, or only a damaged one."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return kept["reply"] if isinstance(kept["reply"], str) else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _keep(path: Path, kept: dict[str, str]) -> None:
    """Write a reply whole. Another job may be writing the same one: the last one stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=".", delete=False
    ) as file:
        json.dump(kept, file, ensure_ascii=False)
    os.replace(file.name, path)
