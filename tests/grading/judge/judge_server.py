"""A judge on this machine, for tests: it behaves or misbehaves as it is told."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def completion(text: object) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}}]}).encode()


class Server:
    """`plays` is called with the number of the request, from 0, and its body.

    It returns status, headers and body; or a number of seconds to be silent for.
    """

    def __init__(self, plays: Callable[[int, dict], object]) -> None:
        self.requests: list[dict] = []
        self.keys: list[str | None] = []
        self.paths: list[str] = []
        lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    number = len(server.requests)
                    server.requests.append(body)
                    server.keys.append(self.headers.get("Authorization"))
                    server.paths.append(self.path)
                played = plays(number, body)
                if isinstance(played, float):
                    time.sleep(played)
                    return
                status, headers, content = played
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self):
                with lock:
                    server.requests.append({"method": "GET"})
                self.send_error(400)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serving(plays):
    server = Server(plays)
    try:
        yield server
    finally:
        server.close()
