"""`tables.log_to`: a package in the working directory stands for the real one."""

import json

MLFLOW = """
import json
from contextlib import contextmanager
from types import SimpleNamespace

exceptions = SimpleNamespace(MlflowException=RuntimeError)


def keep(*what):
    with open("kept.jsonl", "a") as file:
        file.write(json.dumps(what) + "\\n")


@contextmanager
def start_run():
    yield SimpleNamespace(info=SimpleNamespace(run_id="4f2a"))


def log_dict(value, name):
    keep(name, value["run"]["models"])


def log_metrics(metrics, step):
    keep(step, metrics)


def log_artifact(path):
    keep(path)
"""
TO_MLFLOW = ("--cores", "1", "--configfile", "small.yaml", "--config", "tables={log_to: mlflow}")


def test_a_finished_run_is_logged_once_with_its_tables_and_its_report(changeable):
    refused = changeable.snakemake(*TO_MLFLOW)
    assert refused.returncode == 1
    said = refused.stdout.splitlines()[-1]
    assert said.startswith("config: tables.log_to: mlflow is not installed here; `pip install")
    (changeable.folder / "mlflow.py").write_text(MLFLOW)
    changeable.run(*TO_MLFLOW)
    assert "Nothing to be done" in changeable.run(*TO_MLFLOW)
    said = (changeable.folder / "kept.jsonl").read_text().splitlines()
    config, *steps, _ = [json.loads(line) for line in said if ".csv" not in line]
    assert config == ["config.json", ["reasoner"]] and [step for step, _ in steps] == [6, 24, 72]
    assert steps[-1][1]["accuracy/reasoner/small/dense"] > 0.9
    assert '["results/tables/accuracy.csv"]' in said and said[-1] == '["results/report.html"]'
    logged = (changeable.folder / "results/logged.json").read_text()
    assert json.loads(logged) == {"to": "mlflow", "run": "4f2a"}
