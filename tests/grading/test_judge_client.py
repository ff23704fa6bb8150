import json
import re
import time
from email.utils import formatdate

import pytest

from tests.grading.judge_server import completion, serving
from workflow_scripts.errors import InputError
from workflow_scripts.grading.judge_client import LONGEST_WAIT, Judge, ask, key_from

KEY = "sk-planted-0123456789"


def judge(url, **changes):
    values = {"model": "m", "key": KEY, "max_tokens": 16, "timeout": 5.0, "attempts": 4} | changes
    return Judge(url=url, **values)


def behave(number, body):
    return 200, {}, completion("correct")


def after(failures, *, then="correct"):
    """Play these, one after the other, then behave."""

    def plays(number, body):
        return failures[number] if number < len(failures) else (200, {}, completion(then))

    return plays


def test_a_question_is_asked_at_temperature_0_with_the_key_in_its_header(tmp_path):
    with serving(behave) as server:
        assert ask(judge(server.url), "Is it?", tmp_path) == "correct"
    assert server.requests == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "Is it?"}],
            "temperature": 0,
            "max_tokens": 16,
        }
    ]
    assert server.keys == [f"Bearer {KEY}"]
    assert server.paths == ["/v1/chat/completions"]


def test_without_a_key_there_is_no_header(tmp_path):
    with serving(behave) as server:
        ask(judge(server.url, key=""), "Is it?", tmp_path)
    assert server.keys == [None]


def test_a_question_is_asked_once_and_another_question_anew(tmp_path):
    with serving(lambda number, body: (200, {}, completion(f"reply {number}"))) as server:
        one = judge(server.url)
        assert [ask(one, text, tmp_path) for text in ("a", "a", "b", "a")] == [
            "reply 0", "reply 0", "reply 1", "reply 0",
        ]  # fmt: skip
        # whatever a reply depends on is part of what it is kept under; what it does not is not
        for changes in ({"model": "n"}, {"max_tokens": 17}):
            assert (
                ask(judge(server.url, **changes), "a", tmp_path)
                == f"reply {len(server.requests) - 1}"
            )
        for changes in ({"key": "other"}, {"timeout": 9.0}, {"attempts": 1}):
            assert ask(judge(server.url, **changes), "a", tmp_path) == "reply 0"
    assert len(server.requests) == 4


def test_a_damaged_reply_on_disk_is_asked_for_again(tmp_path):
    with serving(behave) as server:
        ask(judge(server.url), "a", tmp_path)
        (kept,) = tmp_path.rglob("*.json")
        for damage in ("{", "[]", '{"reply": 3}', ""):
            kept.write_text(damage)
            assert ask(judge(server.url), "a", tmp_path) == "correct"
    assert len(server.requests) == 5


FAILURES = {
    "500": (500, {}, b"oops"),
    "503": (503, {}, b""),
    "429": (429, {}, b""),
    "no JSON": (200, {}, b"<html>busy</html>"),
    "no completion": (200, {}, b'{"error": "busy"}'),
    "a list": (200, {}, b"[1, 2]"),
    "no choices": (200, {}, b'{"choices": []}'),
    "no text": (200, {}, completion(None)),
    "deep": (200, {}, b"[" * 100_000),
    "megabytes": (200, {}, b" " * (2 << 20)),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_it_tries_again_with_growing_pauses(failure, tmp_path):
    pauses = []
    with serving(after([failure] * 3)) as server:
        assert ask(judge(server.url), "a", tmp_path, pauses.append) == "correct"
    assert pauses == [1.0, 2.0, 4.0]
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ("7", 7, 7),
        ("0", 0, 0),
        ("99999", LONGEST_WAIT, LONGEST_WAIT),
        ("soon", 1, 1),
        ("nan", 1, 1),
        ("date", 20, 31),
        ("past", 0, 0),
    ],
)
def test_it_waits_as_long_as_it_is_asked_to_but_not_forever(header, low, high, tmp_path):
    dates = {"date": formatdate(time.time() + 30, usegmt=True), "past": formatdate(0, usegmt=True)}
    pauses = []
    limited = (429, {"Retry-After": dates.get(header, header)}, b"")
    with serving(after([limited])) as server:
        assert ask(judge(server.url), "a", tmp_path, pauses.append) == "correct"
    assert len(pauses) == 1 and low <= pauses[0] <= high


@pytest.mark.parametrize("failure", ["500", "no JSON"])
def test_it_gives_up_in_one_line_and_keeps_nothing(failure, tmp_path):
    with serving(after([FAILURES[failure]] * 9)) as server:
        with pytest.raises(InputError) as caught:
            ask(judge(server.url, attempts=3), "a", tmp_path, lambda seconds: None)
        assert len(server.requests) == 3
    said = {"500": "HTTP 500", "no JSON": "a reply that is no chat completion"}[failure]
    assert str(caught.value) == (
        f"judge: {server.url}: no reply in 3 attempts (last: {said}); what was answered is kept, "
        "start again to go on"
    )
    assert not list(tmp_path.rglob("*.json"))


def test_silence_ends(tmp_path):
    with serving(lambda number, body: 3.0) as server:
        start = time.monotonic()
        with pytest.raises(InputError, match="no reply in 2 attempts"):
            ask(judge(server.url, timeout=0.3, attempts=2), "a", tmp_path, lambda seconds: None)
        assert time.monotonic() - start < 3
    assert len(server.requests) == 2


def test_nobody_there(tmp_path):
    with serving(behave) as server:
        url = server.url
    with pytest.raises(InputError, match=re.escape(f"judge: {url}: no reply in 2 attempts")):
        ask(judge(url, attempts=2), "a", tmp_path, lambda seconds: None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused_and_the_other_host_sees_nothing(status, tmp_path):
    with serving(behave) as other:
        elsewhere = {"Location": other.url.replace("127.0.0.1", "localhost") + "/chat/completions"}
        with serving(lambda number, body: (status, elsewhere, b"")) as server:
            with pytest.raises(InputError) as caught:
                ask(judge(server.url), "a", tmp_path, lambda seconds: None)
            assert len(server.requests) == 1
        assert other.requests == []
    assert re.fullmatch(
        rf"judge: {server.url}: redirects to localhost:\d+, which is not followed; judge.url must "
        "be the address itself",
        str(caught.value),
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_no_other_attempt_would_change_is_said_at_once_without_the_key(status, tmp_path):
    said = f'{{"error": "key {KEY} is unknown"}}'.encode()
    with serving(lambda number, body: (status, {}, said)) as server:
        with pytest.raises(InputError) as caught:
            ask(judge(server.url), "a", tmp_path, lambda seconds: None)
        assert len(server.requests) == 1
    assert str(caught.value) == (
        f'judge: {server.url}: HTTP {status} ({{"error": "key *** is unknown"}}); check judge.url, '
        "judge.model and the key"
    )


def test_a_reply_that_repeats_the_key_is_kept_without_it(tmp_path):
    with serving(lambda number, body: (200, {}, completion(f"correct {KEY}"))) as server:
        assert ask(judge(server.url), "a", tmp_path) == "correct ***"
    (kept,) = tmp_path.rglob("*.json")
    assert json.loads(kept.read_text())["reply"] == "correct ***"


def test_where_a_key_may_go():
    assert key_from("K", {"K": f" {KEY}\n"}, "https://judge.example.org/v1") == KEY
    assert key_from("K", {"K": KEY}, "http://localhost:8000/v1") == KEY
    assert key_from("K", {}, "http://judge.example.org/v1") == ""
    with pytest.raises(InputError) as caught:
        key_from("K", {"K": KEY}, "http://judge.example.org/v1")
    assert str(caught.value) == (
        "judge.url: http://judge.example.org/v1 would carry the key in K unencrypted; use https, "
        "or unset the variable"
    )
    with pytest.raises(InputError, match="^K: holds signs that a key cannot have$"):
        key_from("K", {"K": "a b\r\nX: y"}, "https://judge.example.org/v1")
