"""The schema is plain JSON Schema, and the strict check only narrows it."""

import copy
import json
import random

from hypothesis import given, settings, strategies
from jsonschema import Draft202012Validator

from tests.config.config_door import DEFAULT, PLAIN_JSON_SCHEMA, RAW_SCHEMA
from tests.config.config_mutations import KEYS, VALUES, with_mutation
from workflow_scripts.config.schema import read_schema, schema_errors, with_defaults


def test_the_schema_is_json_schema_and_closed_everywhere():
    Draft202012Validator.check_schema(RAW_SCHEMA)
    json.dumps(RAW_SCHEMA)

    def check(node: object) -> None:
        if isinstance(node, dict):
            if node.get("type") == "object":
                assert node.get("additionalProperties", True) is not True, node
                assert ("properties" in node) == (node["additionalProperties"] is False), node
            for item in node.values():
                check(item)
        elif isinstance(node, list):
            for item in node:
                check(item)

    check(RAW_SCHEMA)
    assert "$ref" not in json.dumps(read_schema())


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    seed=strategies.integers(0, 2**32), value=VALUES, key=KEYS.filter(lambda k: isinstance(k, str))
)
def test_the_strict_check_refuses_whatever_plain_json_schema_refuses(seed, value, key):
    """The replaced keywords only narrow what a validator without them lets in."""
    config = copy.deepcopy(DEFAULT)
    with_mutation(config, random.Random(seed), value, key)
    if not PLAIN_JSON_SCHEMA.is_valid(config):
        assert list(schema_errors(config, read_schema()))


def test_plain_json_schema_lets_in_the_default_config_and_what_defaults_add():
    assert PLAIN_JSON_SCHEMA.is_valid(DEFAULT)
    sparse = copy.deepcopy(DEFAULT)
    del sparse["variants"]["wanda-20"]["allocation"], sparse["generation"]["top_k"]
    before = copy.deepcopy(sparse)
    complete = with_defaults(sparse, read_schema())
    assert complete == with_defaults(DEFAULT, read_schema())
    assert complete["generation"] == DEFAULT["generation"]
    assert PLAIN_JSON_SCHEMA.is_valid(complete)
    assert sparse == before


def test_a_default_is_copied_and_not_shared():
    schema = read_schema()
    sparse = copy.deepcopy(DEFAULT)
    for name in ("wanda-20", "wanda-50"):
        del sparse["variants"][name]["allocation"]
    filled = with_defaults(sparse, schema)["variants"]
    filled["wanda-20"]["allocation"]["kind"] = "other"
    assert filled["wanda-50"]["allocation"] == {"kind": "uniform"}
    again = with_defaults(sparse, schema)["variants"]["wanda-20"]
    assert again == with_defaults(DEFAULT, schema)["variants"]["wanda-20"]


def test_where_a_number_may_have_a_fraction_it_is_a_float():
    whole = copy.deepcopy(DEFAULT)
    whole["generation"] |= {"temperature": 1, "repeats": 3}
    filled = with_defaults(whole, read_schema())["generation"]
    assert json.dumps([filled["temperature"], filled["repeats"]]) == "[1.0, 3]"
