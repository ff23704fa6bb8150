"""Opening an address that somebody else's server answers: nothing but that server is asked.

No other scheme than http and https is known here, no redirect is followed, and a reply has to come
whole before a deadline, headers included, however slowly its bytes drip. Proxies of the environment
(HTTPS_PROXY, NO_PROXY and so on) are used as everywhere, but never on the way to this machine.
"""

import functools
import http.client
import io
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

LOCAL = ("localhost", "127.0.0.1", "::1")


def is_local(host: str | None) -> bool:
    """Whether a host's name is that of this machine."""
    return host in LOCAL


def opener(url: str, deadline: float) -> urllib.request.OpenerDirector:
    """What opens `url`; every reply has to be read before `deadline`, of `time.monotonic()`.

    Statuses of 300 and more raise `urllib.error.HTTPError`, a reply that takes longer TimeoutError.
    """
    made = urllib.request.OpenerDirector()
    if not is_local(urlsplit(url).hostname):
        made.add_handler(urllib.request.ProxyHandler())
    made.add_handler(_Http(deadline))
    made.add_handler(_Https(deadline))
    made.add_handler(urllib.request.UnknownHandler())
    made.add_handler(urllib.request.HTTPDefaultErrorHandler())
    made.add_handler(urllib.request.HTTPErrorProcessor())
    return made


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: float) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_until(self._deadline, http.client.HTTPConnection), request)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: float) -> None:
        super().__init__()
        self._deadline = deadline

    def https_open(self, request: urllib.request.Request) -> Any:
        kind = functools.partial(http.client.HTTPSConnection, context=ssl.create_default_context())
        return self.do_open(_until(self._deadline, kind), request)


def _until(deadline: float, kind: Callable[..., Any]) -> Callable[..., Any]:
    """Connections of a kind whose replies are read until a deadline."""

    def connect(host: str, **options: Any) -> Any:
        connection = kind(host, **options)
        connection.response_class = functools.partial(_Reply, deadline=deadline)
        return connection

    return connect


class _Reply(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *, deadline: float, **options: Any) -> None:
        super().__init__(sock, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Timed(sock, deadline))


class _Timed(io.RawIOBase):
    """What a socket receives. A socket's own timeout is for one piece, this one for all."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline
        self._received = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the reply did not end in time")
        self._sock.settimeout(left)
        return self._received.readinto(buffer)

    def close(self) -> None:
        self._received.close()
        super().close()
