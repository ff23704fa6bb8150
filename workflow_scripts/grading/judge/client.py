"""Asking a judge behind any OpenAI-compatible endpoint, and keeping its replies on disk.

A reply is kept under a digest of everything it depends on, so that nothing is asked and paid for
twice: not after a kill, not for a second variant that answered the same.
"""

import email.utils
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json, write_json
from workflow_scripts.files.digests import value_digest
from workflow_scripts.grading.judge.http import is_local, opener

MAX_WAIT = 120.0  # seconds between two attempts, whatever the endpoint asks for
LARGEST_REPLY = 1 << 20  # bytes
_MOST_SAID = 200  # characters of what an endpoint says that an error line quotes


@dataclass(frozen=True)
class Judge:
    """An endpoint and how it is asked.

    `url` is what `/chat/completions` follows; `key` is empty where none is needed. `timeout` is in
    seconds, for one attempt; `attempts` counts the first one.
    """

    url: str
    model: str
    key: str
    max_tokens: int
    timeout: float
    attempts: int


class _NotYet(Exception):
    """An attempt that may end better another time; `wait` seconds are asked for, if any."""

    def __init__(self, said: str, wait: float | None = None) -> None:
        super().__init__(said)
        self.wait = wait


def key_from(variable: str, environment: Mapping[str, str], url: str) -> str:
    """The key in an environment variable; empty where it is not set.

    Raises `InputError` for a key that no header can hold, and where it would travel unencrypted.
    """
    key = environment.get(variable, "").strip()
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        raise InputError(f"{variable}: holds signs that a key cannot have")
    parts = urlsplit(url)
    if key and parts.scheme != "https" and not is_local(parts.hostname):
        raise InputError(
            f"judge.url: {url} would carry the key in {variable} unencrypted; "
            "use https, or unset the variable"
        )
    return key


def ask(judge: Judge, prompt: str, cache: Path, sleep: Callable[[float], None] = time.sleep) -> str:
    """The judge's reply to a prompt, at temperature 0; from `cache` where it was asked before.

    Raises `InputError` where the endpoint refuses, redirects, or gives no reply in all attempts.
    """
    body = {
        "model": judge.model,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "max_tokens": judge.max_tokens,
    }
    digest = value_digest({"url": judge.url, "body": body})
    path = cache / digest[:2] / f"{digest}.json"
    kept = _kept(path)
    if kept is not None:
        return kept
    for attempt in range(judge.attempts):
        try:
            reply = _without_key(_request(judge, body), judge.key)
            break
        except _NotYet as failure:
            said = _quoted(str(failure), judge.key)
            if attempt + 1 == judge.attempts:
                raise InputError(
                    f"judge: {judge.url}: no reply in {judge.attempts} attempts (last: {said}); "
                    "what was answered is kept, start again to go on"
                ) from None
            wait = 2.0**attempt if failure.wait is None else failure.wait
            sleep(min(max(wait, 0.0), MAX_WAIT))
    with suppress(FileNotFoundError):  # another job that asks the same has just kept its reply
        write_json(path, {"model": judge.model, "reply": reply})
    return reply


def _kept(path: Path) -> str | None:
    """A reply that was kept; None where there is none, or only a damaged one."""
    try:
        kept = read_json(path)
    except InputError:
        return None
    reply = kept.get("reply") if isinstance(kept, dict) else None
    return reply if isinstance(reply, str) else None


def _request(judge: Judge, body: dict[str, Any]) -> str:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if judge.key:
        headers["Authorization"] = f"Bearer {judge.key}"
    request = urllib.request.Request(
        f"{judge.url.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers
    )
    opened = opener(judge.url, time.monotonic() + judge.timeout)
    try:
        try:
            with opened.open(request, timeout=judge.timeout) as response:
                content = response.read(LARGEST_REPLY + 1)
        except urllib.error.HTTPError as error:
            with error:
                _refuse(judge, error)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise _NotYet(f"{type(error).__name__}: {reason}") from None
    if len(content) > LARGEST_REPLY:
        raise _NotYet(f"a reply of more than {LARGEST_REPLY} bytes")
    return _content_of(content)


def _refuse(judge: Judge, error: urllib.error.HTTPError) -> None:
    """Say what an HTTP error means: try again, or nothing that another attempt would change."""
    if error.code in (408, 409, 425, 429) or error.code >= 500:
        raise _NotYet(f"HTTP {error.code}", _seconds(error.headers.get("Retry-After")))
    if 300 <= error.code < 400:
        target = _quoted(_host(error.headers.get("Location") or ""), judge.key)
        raise InputError(
            f"judge: {judge.url}: redirects to {target}, which is not followed; "
            "judge.url must be the address itself"
        )
    said = _quoted(error.read(2000).decode("utf-8", "replace"), judge.key)
    raise InputError(
        f"judge: {judge.url}: HTTP {error.code} ({said}); check judge.url, judge.model and the key"
    )


def _host(address: str) -> str:
    """The host of an address that somebody else wrote."""
    try:
        return urlsplit(address).netloc or "another address"
    except ValueError:
        return "another address"


def _seconds(retry_after: str | None) -> float | None:
    """What a Retry-After header asks for: seconds, or a date."""
    if retry_after is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]+)?", retry_after.strip()):
        return float(retry_after)
    try:
        return email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time()
    except ValueError:
        return None


def _content_of(content: bytes) -> str:
    try:
        said = json.loads(content)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise _NotYet("a reply that is no chat completion") from None
    if not isinstance(said, str):
        raise _NotYet("a chat completion without text")
    if any("\ud800" <= character <= "\udfff" for character in said):
        raise _NotYet("a chat completion that holds half a character")
    return said


def _without_key(text: str, key: str) -> str:
    return text.replace(key, "***") if key else text


def _quoted(text: str, key: str = "") -> str:
    """What an endpoint says, for one line on a terminal: no key, no control characters, cut."""
    line = " ".join(_without_key(text, key).split())
    return "".join(sign if sign.isprintable() else "?" for sign in line)[:_MOST_SAID]


def judge_from(options: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Judge:
    """A judge from the config's options and the key from the environment.

    Raises `InputError` for an address that is none of a server.
    """
    try:
        parts = urlsplit(options["url"])
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        is_address = False
    if not is_address:
        raise InputError(f"judge.url: {options['url']!r} is not an http or https address")
    return Judge(
        url=options["url"],
        model=options["model"],
        key=key_from(options["key_variable"], environment, options["url"]),
        max_tokens=options["max_tokens"],
        timeout=options["timeout"],
        attempts=options["attempts"],
    )
