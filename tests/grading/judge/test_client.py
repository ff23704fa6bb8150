import gzip
import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate

import pytest

from tests.grading.judge.judge_server import completion, serving
from workflow_scripts.errors import InputError
from workflow_scripts.grading.judge.client import MAX_WAIT, Judge, ask, judge_from, key_from

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
        for damage in ("{", "[]", '{"reply": 3}', "", '{"model": "m", "reply": "incorrect"}'):
            kept.write_text(damage)
            assert ask(judge(server.url), "a", tmp_path) == "correct"
    assert len(server.requests) == 6


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
        ("99999", MAX_WAIT, MAX_WAIT),
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


# an endpoint that means ill


NO_COMPLETION = "a reply that is no chat completion"
HOSTILE = {
    "half a character": (completion("\ud800"), "a chat completion that holds half a character"),
    "a number without end": (b'{"choices": ' + b"1" * 5000 + b"}", NO_COMPLETION),
    "packed": (gzip.compress(completion("correct")), NO_COMPLETION),
}


@pytest.mark.parametrize("content, said", HOSTILE.values(), ids=HOSTILE)
def test_a_reply_that_is_made_to_break_its_reader_is_one_line(content, said, tmp_path):
    headers = {"Content-Encoding": "gzip"} if content[:2] == b"\x1f\x8b" else {}
    hostile = serving(lambda number, body: (200, headers, content))
    with hostile as server, pytest.raises(InputError) as caught:
        ask(judge(server.url, attempts=1), "a", tmp_path)
    assert f"(last: {said});" in str(caught.value)
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("address", ["http://[::1/v1", "file:///etc/passwd", "", "\x1b[2J"])
def test_a_redirect_to_no_address_is_refused_all_the_same(address, tmp_path):
    hostile = serving(lambda number, body: (302, {"Location": address}, b""))
    with hostile as server, pytest.raises(InputError) as caught:
        ask(judge(server.url), "a", tmp_path)
    assert "redirects to another address, which is not followed" in str(caught.value)


def test_what_an_endpoint_says_cannot_steer_the_terminal(tmp_path):
    said = b"\x1b[2J\x1b[31m\x07" + "\u202e".encode() + b"x" * 1000
    hostile = serving(lambda number, body: (400, {}, said))
    with hostile as server, pytest.raises(InputError) as caught:
        ask(judge(server.url), "a", tmp_path)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400


@contextmanager
def sending(*pieces: bytes, pause: float = 0.0, endless: bytes = b""):
    """A server that sends the pieces, then `endless` again and again for half a minute.

    Yields its address and an event: that the client has hung up meanwhile.
    """
    hung_up = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listening.accept()
        with connection:
            connection.recv(1 << 16)
            end = time.monotonic() + 30
            try:
                for piece in pieces:
                    connection.sendall(piece)
                while time.monotonic() < end:
                    connection.sendall(endless)
                    time.sleep(pause)
            except OSError:
                hung_up.set()

    threading.Thread(target=serve, daemon=True).start()
    with listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1", hung_up


OK = b"HTTP/1.1 200 OK\r\n"
UNENDING = {
    "a body that drips": ((OK + b"\r\n",), 0.05, b" "),
    "a header that drips": ((OK + b"X: ",), 0.05, b"x"),
    "headers that drip": ((OK,), 0.05, b"X: y\r\n"),
    "a status that drips": ((b"HTTP/1.1 ",), 0.05, b"2"),
    "wait and wait": ((), 0.0, b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunks that drip": ((OK + b"Transfer-Encoding: chunked\r\n\r\n",), 0.05, b"1\r\n \r\n"),
    "an error that drips": ((b"HTTP/1.1 400 No\r\n\r\n",), 0.05, b" "),
    "an error without end": ((b"HTTP/1.1 500 No\r\n",), 0.0, b"X: y\r\n"),
    "headers without end": ((OK,), 0.0, b"X: y\r\n"),
    "a header without end": ((OK + b"X: ",), 0.0, b"x" * 1000),
    "a body without end": ((OK + b"\r\n",), 0.0, b" " * 1000),
}


@pytest.mark.parametrize("pieces, pause, endless", UNENDING.values(), ids=UNENDING)
def test_a_reply_that_does_not_end_ends_with_its_time(pieces, pause, endless, tmp_path):
    with sending(*pieces, pause=pause, endless=endless) as (url, hung_up):
        with pytest.raises(InputError) as caught:
            ask(judge(url, timeout=0.3, attempts=1), "a", tmp_path)
        assert hung_up.wait(20)
    assert str(caught.value).startswith(f"judge: {url}: ") and "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*.json"))


def test_no_proxy_stands_between_this_machine_and_itself(tmp_path, monkeypatch):
    """It would see the key in the clear."""
    with serving(behave) as proxy, serving(behave) as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert ask(judge(server.url), "a", tmp_path) == "correct"
        assert len(server.requests) == 1 and proxy.requests == []
        # another machine is reached through it, as everywhere
        assert ask(judge("http://judge.example.org/v1", key=""), "a", tmp_path) == "correct"
        assert proxy.paths == ["http://judge.example.org/v1/chat/completions"]


def test_a_key_goes_through_a_proxy_only_inside_a_tunnel(tmp_path, monkeypatch):
    asked = []
    listening = socket.create_server(("127.0.0.1", 0))

    def refuse():
        connection, _ = listening.accept()
        with connection:
            asked.append(connection.recv(1 << 16))
            connection.sendall(b"HTTP/1.1 403 No\r\n\r\n")

    threading.Thread(target=refuse, daemon=True).start()
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listening.getsockname()[1]}")
    with listening, pytest.raises(InputError, match="Tunnel connection failed: 403"):
        ask(judge("https://judge.example.org/v1", attempts=1), "a", tmp_path)
    assert asked[0].startswith(b"CONNECT judge.example.org:443 ") and KEY.encode() not in asked[0]


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "/etc/passwd", "http:///v1",
     "http://[::1/v1", "http://127.0.0.1:99999/v1"],
)  # fmt: skip
def test_an_address_is_that_of_a_server(url):
    """Refused already in the config; here where a stage is run by hand."""
    options = {"url": url, "model": "m", "key_variable": "K"}
    options |= {"max_tokens": 16, "timeout": 1.0, "attempts": 1}
    with pytest.raises(InputError) as caught:
        judge_from(options, {})
    assert str(caught.value) == f"judge.url: {url!r} is not an http or https address"


def test_nothing_but_http_is_opened_even_where_it_is_asked_for(tmp_path):
    secret = tmp_path / "chat" / "completions"
    secret.parent.mkdir()
    secret.write_bytes(completion("read from a file"))
    with pytest.raises(InputError, match="last: URLError: unknown url type: file"):
        ask(judge(f"file://{tmp_path}", attempts=1), "a", tmp_path / "cache")
