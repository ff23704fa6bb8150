"""The schema for editors is plain JSON Schema, and the classes let in no more than it does."""

import copy
import random

from hypothesis import given, settings, strategies
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from tests.config.config_door import DEFAULT, PLAIN_JSON_SCHEMA, RAW_SCHEMA
from tests.config.config_mutations import KEYS, VALUES, with_mutation
from workflow_scripts.config.entry import plain
from workflow_scripts.config.settings import Settings


def test_the_schema_is_json_schema_and_closed_everywhere():
    Draft202012Validator.check_schema(RAW_SCHEMA)
    for node in RAW_SCHEMA["$defs"].values():
        if node.get("type") == "object":
            assert node["additionalProperties"] is False


def test_the_schema_lets_in_the_default_config_and_what_defaults_add():
    assert PLAIN_JSON_SCHEMA.is_valid(DEFAULT)
    assert PLAIN_JSON_SCHEMA.is_valid(plain(Settings.model_validate(DEFAULT)))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    seed=strategies.integers(0, 2**32), value=VALUES, key=KEYS.filter(lambda k: isinstance(k, str))
)
def test_the_classes_refuse_whatever_the_schema_refuses(seed, value, key):
    config = copy.deepcopy(DEFAULT)
    with_mutation(config, random.Random(seed), value, key)
    try:
        Settings.model_validate(config)
    except ValidationError:
        return
    assert PLAIN_JSON_SCHEMA.is_valid(config)
