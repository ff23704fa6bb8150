"""A run logged to a package that stands for the real one."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from workflow_scripts.config.tables import require_package
from workflow_scripts.errors import InputError
from workflow_scripts.tables import log_run

ACCURACY = """model,variant,benchmark,budget,accuracy
reasoner,dense,chains,24,0.50
reasoner,dense,chains,6,0.25
reasoner,wanda-50,chains,6,nan
"""
COMPARISON = """model,variant,benchmark,budget,difference
reasoner,wanda-50,chains,24,-0.125
"""
STEPS = [
    (6, {"accuracy/reasoner/chains/dense": 0.25}),
    (24, {"accuracy/reasoner/chains/dense": 0.5, "difference/reasoner/chains/wanda-50": -0.125}),
]


class Wandb(ModuleType):
    """What is used of wandb; it keeps what it is told."""

    def __init__(self, refuses: str = "") -> None:
        super().__init__("wandb")
        self.__spec__ = SimpleNamespace()
        self.errors = SimpleNamespace(Error=type("Error", (Exception,), {}))
        self.steps, self.files, self.id, self._refuses = [], [], "e0d9ao20", refuses

    def init(self, config):
        if self._refuses:
            raise self.errors.Error(self._refuses)
        self.config = config
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def log(self, metrics, step):
        self.steps.append((step, dict(metrics)))

    def Artifact(self, name, type):
        return SimpleNamespace(add_file=self.files.append)

    def log_artifact(self, artifact):
        pass


@pytest.fixture
def logged(tmp_path, monkeypatch):
    def log(wandb: Wandb):
        monkeypatch.setitem(sys.modules, "wandb", wandb)
        for name, text in (
            ("accuracy.csv", ACCURACY), ("comparison.csv", COMPARISON), ("report.html", "<p>"),
            ("config.json", '{"run": {"models": ["reasoner"]}}'),
        ):  # fmt: skip
            (tmp_path / name).write_text(text)
        log_run.main([
            "--to", "wandb", "--tables", str(tmp_path), "--config", str(tmp_path / "config.json"),
            "--report", str(tmp_path / "report.html"), "--output", str(tmp_path / "logged.json"),
        ])  # fmt: skip
        return json.loads((tmp_path / "logged.json").read_text())

    return log


def test_wandb_gets_metrics_by_budget_the_config_and_the_files(logged, tmp_path):
    wandb = Wandb()
    assert logged(wandb) == {"to": "wandb", "run": "e0d9ao20"}
    assert wandb.steps == STEPS and wandb.config == {"run": {"models": ["reasoner"]}}
    names = ("accuracy.csv", "comparison.csv", "report.html")
    assert wandb.files == [str(tmp_path / name) for name in names]


def test_what_the_package_refuses_is_one_line_without_a_password(logged, tmp_path):
    with pytest.raises(InputError) as raised:
        logged(Wandb("no answer from https://me:s3cret@host/api"))
    assert str(raised.value) == "tables.log_to: wandb: no answer from https://host/api"
    assert not (tmp_path / "logged.json").exists()


def test_a_package_that_is_missing_is_named_with_what_to_do():
    require_package(None)
    with pytest.raises(InputError, match="mlflow is not installed here; `pip install mlflow`"):
        require_package("mlflow")
