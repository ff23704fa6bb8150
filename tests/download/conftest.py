"""A tiny model folder, and a hub on this machine that behaves and misbehaves like the real one."""

import hashlib
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import disable_progress_bars
from safetensors.numpy import load_file, save_file

from workflow_scripts.jobs.stage import run_stage as run_as_stage

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def model_folder(tmp_path: Path, tiny_model: Callable[..., Path]) -> Path:
    """Five files: what a model needs, its chat template and the tokenizer's settings."""
    folder = tmp_path / "source" / "model"
    others = shutil.ignore_patterns("manifest.json", "generation_config.json", ".*")
    shutil.copytree(tiny_model("qwen3", blocks=1), folder, ignore=others)
    return folder


@pytest.fixture
def sharded_folder(model_folder: Path) -> Path:
    """The model in two shards and an index."""
    whole = load_file(model_folder / "model.safetensors")
    (model_folder / "model.safetensors").unlink()
    names, placed = sorted(whole), {}
    for number, part in enumerate((names[:4], names[4:]), 1):
        shard = f"model-{number:05}-of-00002.safetensors"
        save_file({name: whole[name] for name in part}, model_folder / shard)
        placed |= dict.fromkeys(part, shard)
    index = {"metadata": {"total_size": 24}, "weight_map": placed}
    (model_folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return model_folder


@dataclass
class Hub:
    """What the hub serves and what it was asked. `status` and `error` make it refuse everything.

    `files` are those of a repository ("models/owner/name"), or of one of its commits
    ("models/owner/name@COMMIT"); `commit` is where the main branches are.
    """

    address: str
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commit: str = COMMIT
    status: int = 200
    error: str | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path, Authorization

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if self.status != 200:
            return self.status, {"X-Error-Code": self.error} if self.error else {}, b"{}"
        parts = path.strip("/").split("/")
        is_api = parts[0] == "api"
        parts = parts[1:] if is_api else parts
        if parts[0] not in ("models", "datasets"):
            parts = ["models", *parts]
        repository, what, rest = "/".join(parts[:3]), parts[3:5], "/".join(parts[5:])
        if repository not in self.files:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        commit = self.commit if what[1:] in ([], ["main"]) else what[1]
        if commit != self.commit and f"{repository}@{commit}" not in self.files:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        files = self.files.get(f"{repository}@{commit}", self.files[repository])
        if is_api and what[0] == "tree":
            entries = [
                {
                    "type": "file",
                    "path": name,
                    "size": len(data),
                    "oid": hashlib.sha1(data).hexdigest(),
                }
                for name, data in files.items()
            ]
            return 200, {}, json.dumps(entries).encode()
        if is_api:
            return 200, {}, json.dumps({"id": "/".join(parts[1:3]), "sha": commit}).encode()
        if rest not in files:
            return 404, {"X-Error-Code": "EntryNotFound"}, b"{}"
        headers = {"ETag": f'"{hashlib.sha1(files[rest]).hexdigest()}"', "X-Repo-Commit": commit}
        return 200, headers, files[rest]


@pytest.fixture
def hub() -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            served.asked.append((path, self.headers.get("Authorization")))
            status, headers, body = served.answer(path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Hub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()


@pytest.fixture
def run_stage(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a stage as its rule does, with its own empty hub cache and nothing else of the user's.

    In this process, since what stages import takes seconds; the hub's client reads its environment
    when it is loaded.
    """

    def run(
        module: str, *arguments: object, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        stage = importlib.import_module(f"workflow_scripts.download.{module}")
        out, err, status = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch:
            for name in [n for n in os.environ if n.startswith(("HF_", "HUGGING", "PRUNETHINK"))]:
                patch.delenv(name)
            more = {"HF_HOME": str(tmp_path / "hub-home"), "HF_HUB_DISABLE_TELEMETRY": "1"}
            for name, value in {**more, "NO_PROXY": "127.0.0.1", **(env or {})}.items():
                patch.setenv(name, value)
            patch.chdir(tmp_path)
            patch.setattr(sys, "argv", [module, *map(str, arguments)])
            importlib.reload(constants)
            disable_progress_bars()
            with redirect_stdout(out), redirect_stderr(err):
                try:
                    run_as_stage(stage.main)
                except SystemExit as ended:
                    status = ended.code
        importlib.reload(constants)
        return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    return run
