"""Log what a run found to Weights & Biases or MLflow.

    python -m workflow_scripts.tables.log_run --to wandb --tables results/tables \
        --config results/config.json --report results/report.html --output results/logged.json

Accuracies and differences to the dense model are metrics with the budget as their step, such as
`accuracy/reasoner/chains/wanda-50`; the config, the CSV files and the report are added as they are.
Project, server and keys are what the package takes from its environment variables.
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from workflow_scripts.config.tables import require_package
from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import read_json, write_json
from workflow_scripts.jobs.stage import run_stage

# the column of each metric, and its table
FILES = {"accuracy": "accuracy.csv", "difference": "comparison.csv"}

Steps = Mapping[int, Mapping[str, float]]


def steps_of(tables: Path) -> dict[int, dict[str, float]]:
    """The metrics of every budget, budgets ascending."""
    steps: dict[int, dict[str, float]] = {}
    for metric, file in FILES.items():
        for row in pd.read_csv(tables / file).dropna(subset=metric).to_dict("records"):
            name = f"{metric}/{row['model']}/{row['benchmark']}/{row['variant']}"
            steps.setdefault(row["budget"], {})[name] = row[metric]
    return dict(sorted(steps.items()))


def to_wandb(config: dict[str, Any], steps: Steps, files: Sequence[Path]) -> str:
    """The id of the run that it made."""
    import wandb

    try:
        with wandb.init(config=config) as run:
            for budget, metrics in steps.items():
                run.log(metrics, step=budget)
            artifact = wandb.Artifact("results", type="results")
            for path in files:
                artifact.add_file(str(path))
            run.log_artifact(artifact)
            return run.id
    except wandb.errors.Error as error:
        raise _refused("wandb", error) from None


def to_mlflow(config: dict[str, Any], steps: Steps, files: Sequence[Path]) -> str:
    """The id of the run that it made."""
    import mlflow

    try:
        with mlflow.start_run() as run:
            mlflow.log_dict(config, "config.json")
            for budget, metrics in steps.items():
                mlflow.log_metrics(metrics, step=budget)
            for path in files:
                mlflow.log_artifact(str(path))
            return run.info.run_id
    except mlflow.exceptions.MlflowException as error:
        raise _refused("mlflow", error) from None


TRACKERS: dict[str, Callable[[dict[str, Any], Steps, Sequence[Path]], str]] = {
    "wandb": to_wandb,
    "mlflow": to_mlflow,
}


def _refused(tracker: str, error: Exception) -> InputError:
    """What a package says, without a password that an address may hold."""
    said = re.sub(r"//[^/\s]*@", "//", str(error))
    return InputError(f"tables.log_to: {tracker}: {said}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", required=True, choices=TRACKERS, help="the package")
    parser.add_argument("--tables", required=True, type=Path, help="folder of the tables")
    parser.add_argument("--config", required=True, type=Path, help="the config of what was run")
    parser.add_argument("--report", required=True, type=Path, help="the report")
    parser.add_argument("--output", required=True, type=Path, help="JSON, where it was logged")
    given = parser.parse_args(arguments)
    require_package(given.to)
    files = [*sorted(given.tables.glob("*.csv")), given.report]
    run = TRACKERS[given.to](read_json(given.config), steps_of(given.tables), files)
    write_json(given.output, {"to": given.to, "run": run})


if __name__ == "__main__":
    run_stage(main)
