"""The stages that fetch, called with sources as a config has them."""

from pathlib import Path

from workflow_scripts.config.catalogues import Benchmark
from workflow_scripts.config.entry import as_json, parser_of
from workflow_scripts.config.sources import ModelSource
from workflow_scripts.download import fetch_benchmark as benchmarks
from workflow_scripts.download import fetch_model as models


def fetch_benchmark(source: dict, output: Path, **said: object) -> None:
    benchmark = parser_of(Benchmark)(as_json({"source": source, **said}))
    benchmarks.fetch_benchmark(benchmark, output)


def fetch_model(source: dict, manifest: Path) -> None:
    models.fetch_model(parser_of(ModelSource)(as_json(source)), manifest)
