"""What the tests of the config door share: the default config, changes of it, error lines."""

import copy
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from workflow_scripts.config.load import load_settings
from workflow_scripts.config.schema import json_schema
from workflow_scripts.errors import InputError
from workflow_scripts.paths import PROJECT

DEFAULT_TEXT = (PROJECT / "config" / "config.yaml").read_text(encoding="utf-8")
DEFAULT = yaml.safe_load(DEFAULT_TEXT)
GONE = object()

# the schema that editors read, and a validator that knows nothing of ours
RAW_SCHEMA = json_schema()
PLAIN_JSON_SCHEMA = Draft202012Validator(RAW_SCHEMA)

HEX40 = "0123456789abcdef0123456789abcdef01234567"
HUB_MODEL = {"source": {"kind": "hub", "id": "owner/name", "revision": HEX40}, "thinking": "think"}
HUB_BENCHMARK = {
    "kind": "hub",
    "id": "owner/name",
    "revision": HEX40,
    "split": "test",
    "columns": {"question": "problem", "answer": "solution"},
    "answer_kind": "integer",
}


def make_bundled(repository: Path) -> Path:
    """A bundled folder with just what the default config names, all of it empty files."""
    folder = repository / "bundled"
    for name in (
        "models/reasoner/config.json",
        "benchmarks/chains.jsonl",
        "calibration/chains.jsonl",
    ):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).touch()
    return folder


def changed(*changes: tuple[tuple, object]) -> dict:
    """The default config with values set, added or (GONE) taken out at key paths."""
    config = copy.deepcopy(DEFAULT)
    for (*path, last), value in changes:
        place = config
        for step in path:
            place = place[step]
        if value is GONE:
            del place[last]
        else:
            place[last] = value
    return config


def lines_of(config: object, root: Path = Path(".")) -> list[str]:
    """The lines with which the door refuses a config."""
    with pytest.raises(InputError) as caught:
        load_settings(config, root)
    return str(caught.value).split("\n")
