import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.grading.judge.judge_server import completion, serving
from workflow_scripts.config.judge import Judge
from workflow_scripts.errors import InputError
from workflow_scripts.grading.judge.client import MAX_WAIT, Client

KEY = "sk-planted-0123456789"


def client(url, key=KEY, **changes):
    values = {"enabled": True, "model": "m", "timeout": 5.0, "attempts": 4} | changes
    return Client(Judge(url=url, key_variable="K", **values), {"K": key})


def ask(url, prompt, cache, sleep=lambda seconds: None, **changes):
    with client(url, **changes) as one:
        return one.ask(prompt, cache, sleep)


def behave(number, body):
    return 200, {}, completion("correct")


def after(*failures):
    """Play these, one after the other, then behave."""
    return lambda number, body: failures[number] if number < len(failures) else behave(number, body)


def test_a_question_is_asked_at_temperature_0_with_the_key_in_its_header(tmp_path):
    with serving(behave) as server:
        assert ask(server.url, "Is it?", tmp_path) == "correct"
    assert server.requests == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "Is it?"}],
            "temperature": 0,
            "max_tokens": 16,
        }
    ]
    assert server.keys == [f"Bearer {KEY}"] and server.paths == ["/v1/chat/completions"]


def test_without_a_key_there_is_no_header(tmp_path):
    with serving(behave) as server:
        ask(server.url, "Is it?", tmp_path, key="")
    assert server.keys == [None]


def test_a_question_is_asked_once_whatever_its_reply_does_not_depend_on(tmp_path):
    with serving(lambda number, body: (200, {}, completion(f"reply {number}"))) as server:
        replies = [ask(server.url, text, tmp_path) for text in "aaba"]
        for changes in ({"model": "n"}, {"max_tokens": 17}, {"key": "k"}, {"timeout": 9.0}):
            replies.append(ask(server.url, "a", tmp_path, **changes))
    assert [int(reply[-1]) for reply in replies] == [0, 0, 1, 0, 2, 3, 0, 0]


def test_a_damaged_reply_on_disk_is_asked_for_again(tmp_path):
    with serving(behave) as server:
        ask(server.url, "a", tmp_path)
        (kept,) = tmp_path.rglob("*.json")
        for damage in ("{", "[]", '{"reply": 3}', ""):
            kept.write_text(damage)
            assert ask(server.url, "a", tmp_path) == "correct"
    assert len(server.requests) == 5


def test_jobs_that_keep_the_same_reply_at_once_do_not_clash(tmp_path):
    """All of them ask before any has kept its reply."""
    together = threading.Barrier(8)

    def plays(number, body):
        if number < 8:
            together.wait(30)
        return behave(number, body)

    with serving(plays) as server, ThreadPoolExecutor(8) as jobs:
        replies = list(jobs.map(lambda _: ask(server.url, "a", tmp_path, timeout=60.0), range(8)))
        assert ask(server.url, "a", tmp_path) == "correct"
    assert replies == ["correct"] * 8 and len(server.requests) == 8
    (kept,) = [path for path in tmp_path.rglob("*") if path.is_file()]  # no temporary is left
    assert json.loads(kept.read_text())["reply"] == "correct"


FAILURES = {
    "500": (500, {}, b"oops"),
    "429": (429, {}, b""),
    "no JSON": (200, {}, b"<html>busy</html>"),
    "no completion": (200, {}, b'{"error": "busy"}'),
    "a list": (200, {}, b"[1, 2]"),
    "no choices": (200, {}, b'{"choices": []}'),
    "no text": (200, {}, completion(None)),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_it_tries_again_with_growing_pauses(failure, tmp_path):
    pauses = []
    with serving(after(*[failure] * 3)) as server:
        assert ask(server.url, "a", tmp_path, pauses.append) == "correct"
    assert pauses == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("header", "pause"), [("7", 7.0), ("0", 0.0), ("99999", MAX_WAIT), ("soon", 1.0)]
)
def test_it_waits_as_long_as_it_is_asked_to_but_not_forever(header, pause, tmp_path):
    pauses = []
    with serving(after((429, {"Retry-After": header}, b""))) as server:
        assert ask(server.url, "a", tmp_path, pauses.append) == "correct"
    assert pauses == [pause]


def test_it_gives_up_in_one_line_and_keeps_nothing(tmp_path):
    with serving(after(*[FAILURES["500"]] * 9)) as server, pytest.raises(InputError) as caught:
        ask(server.url, "a", tmp_path, attempts=3)
    assert len(server.requests) == 3
    for said in (server.url, "3 attempts", "HTTP 500", "start again"):
        assert said in str(caught.value)
    assert "\n" not in str(caught.value) and not list(tmp_path.rglob("*.json"))


def test_silence_ends(tmp_path):
    silent, raises = (
        serving(lambda number, body: 3.0),
        pytest.raises(InputError, match="ReadTimeout"),
    )
    with silent as server, raises:
        ask(server.url, "a", tmp_path, timeout=0.3, attempts=2)
    assert len(server.requests) == 2


def test_nobody_there(tmp_path):
    with serving(behave) as server:
        url = server.url
    with pytest.raises(InputError, match="2 attempts.*ConnectError"):
        ask(url, "a", tmp_path, attempts=2)


def test_a_redirect_is_refused_and_the_other_host_sees_nothing(tmp_path):
    with serving(behave) as other:
        elsewhere = {"Location": other.url + "/chat/completions"}
        redirecting = serving(lambda number, body: (307, elsewhere, b""))
        with redirecting as server, pytest.raises(InputError, match="HTTP 307 .*redirect"):
            ask(server.url, "a", tmp_path)
        assert len(server.requests) == 1 and other.requests == []


@pytest.mark.parametrize("status", [400, 401, 404])
def test_what_no_other_attempt_would_change_is_said_at_once_without_the_key(status, tmp_path):
    said = f"\x1b[2J key {KEY}\nis unknown {'x' * 1000}".encode()
    refusing = serving(lambda number, body: (status, {}, said))
    with refusing as server, pytest.raises(InputError, match=f"HTTP {status} .*unknown") as caught:
        ask(server.url, "a", tmp_path)
    assert len(server.requests) == 1
    line = str(caught.value)
    assert KEY not in line and line.isprintable() and len(line) < 400


def test_a_reply_that_repeats_the_key_is_kept_without_it(tmp_path):
    with serving(lambda number, body: (200, {}, completion(f"correct {KEY}"))) as server:
        assert ask(server.url, "a", tmp_path) == "correct ***"
    (kept,) = tmp_path.rglob("*.json")
    assert KEY not in kept.read_text()


@pytest.mark.parametrize(
    ("url", "key", "said"),
    [
        ("https://judge.example.org/v1", f" {KEY}\n", None),
        ("http://localhost:8000/v1", KEY, None),
        ("http://judge.example.org/v1", "", None),
        ("http://judge.example.org/v1", KEY, "judge.url: .* K unencrypted; use https"),
        ("https://judge.example.org/v1", "a b\r\nX: y", "^K: "),
    ],
)
def test_where_a_key_may_go(url, key, said):
    if said is None:
        client(url, key)
        return
    with pytest.raises(InputError, match=said) as caught:
        client(url, key)
    assert key not in str(caught.value)


def test_no_proxy_stands_between_this_machine_and_itself(tmp_path, monkeypatch):
    """It would see the key in the clear."""
    with serving(behave) as proxy, serving(behave) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert ask(server.url, "a", tmp_path) == "correct"
        assert len(server.requests) == 1 and proxy.requests == []
        # another machine is reached through it, as everywhere
        assert ask("http://judge.example.org/v1", "a", tmp_path, key="") == "correct"
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
    with listening, pytest.raises(InputError, match="ProxyError.*403"):
        ask("https://judge.example.org/v1", "a", tmp_path, attempts=1)
    assert asked[0].startswith(b"CONNECT judge.example.org:443 ") and KEY.encode() not in asked[0]
