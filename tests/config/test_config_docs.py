"""The classes, config.yaml, schema.json and the pages in docs/ do not drift apart."""

import re
from collections.abc import Iterator

import pytest
import yaml
from snakemake.utils import update_config

from tests.config.config_door import changed, lines_of
from workflow_scripts.artefacts.records import Problem, read_records, write_records
from workflow_scripts.config import reference, schema
from workflow_scripts.config.load import load_settings
from workflow_scripts.errors import InputError
from workflow_scripts.files.digests import file_digest
from workflow_scripts.paths import PROJECT

GUIDE = (PROJECT / "docs" / "configuration.md").read_text(encoding="utf-8")
CONFIG_TEXT = (PROJECT / "config" / "config.yaml").read_text(encoding="utf-8")
CONFIG = yaml.safe_load(CONFIG_TEXT)
SCHEMA = schema.expanded_schema()


def schema_keys(schema: dict, path: str = "") -> Iterator[tuple[str, dict]]:
    """Every key that a schema knows, by its path; a name of the user's choice is NAME."""
    for kind in schema.get("oneOf", [schema]):
        for key, node in kind.get("properties", {}).items():
            where = f"{path}.{key}" if path else key
            yield where, node
            yield from schema_keys(node, where)
        if isinstance(kind.get("additionalProperties"), dict):
            yield from schema_keys(kind["additionalProperties"], f"{path}.NAME")


def config_keys(config: dict, schema: dict, path: str = "") -> Iterator[str]:
    """Every key of a config, by its path; a name in a catalogue is NAME."""
    of_names = (
        kind["additionalProperties"]
        for kind in schema.get("oneOf", [schema])
        if isinstance(kind.get("additionalProperties"), dict)
    )
    catalogue = next(of_names, None)
    for key, value in config.items():
        where = f"{path}.NAME" if catalogue else f"{path}.{key}" if path else key
        if not catalogue:
            yield where
        if isinstance(value, dict):
            inner = catalogue or dict(schema_here(schema))[key]
            yield from config_keys(value, inner, where)


def schema_here(schema: dict) -> Iterator[tuple[str, dict]]:
    for kind in schema.get("oneOf", [schema]):
        yield from kind.get("properties", {}).items()


def test_the_schema_and_the_page_of_keys_are_current(tmp_path):
    schema.main(tmp_path / "schema.json")
    assert (tmp_path / "schema.json").read_text(encoding="utf-8") == schema.SCHEMA_FILE.read_text(
        encoding="utf-8"
    )
    reference.main(tmp_path / "keys.md")
    assert (tmp_path / "keys.md").read_text(encoding="utf-8") == reference.PAGE.read_text(
        encoding="utf-8"
    )


def test_every_key_has_a_row_on_the_page():
    rows = set(re.findall(r"^\| `([^`]+)` \|", reference.page(), re.MULTILINE))
    keys = {path for path, node in schema_keys(SCHEMA) if "const" not in node}
    assert rows == keys - set(SCHEMA["properties"])


def test_every_key_of_the_schema_has_a_description():
    for path, node in schema_keys(SCHEMA):
        assert "const" in node or node.get("description", "").endswith("."), path


@pytest.mark.parametrize("catalogue", ["models", "variants"])
def test_the_pages_names_every_reserved_name(catalogue):
    names = {"models": "tables figures demo report.html", "variants": "statistics influence"}
    for name in names[catalogue].split():
        entry = CONFIG[catalogue][next(iter(CONFIG[catalogue]))]
        (line,) = lines_of(changed(((catalogue, name), entry)))
        assert line.startswith(f"config: {catalogue}.{name}: ") and f"`{name}`" in GUIDE


def test_every_key_of_the_default_config_is_in_the_schema():
    known = {path for path, _ in schema_keys(SCHEMA)}
    assert set(config_keys(CONFIG, SCHEMA)) <= known


def test_the_default_config_leaves_nothing_to_defaults():
    """Who opens it sees every generation setting, and no value that the schema supplies unseen."""
    assert list(CONFIG) == list(SCHEMA["properties"])
    generation = list(SCHEMA["properties"]["generation"]["properties"])
    generation.remove("device")  # one key above them says it for all stages
    assert list(CONFIG["generation"]) == generation
    for variant in CONFIG["variants"].values():
        assert ("allocation" in variant) == ("sparsity" in variant)


def test_every_line_of_the_default_config_is_commented():
    """A key explains itself in its own comment or in one that stands over its group."""
    explained = False
    for line in CONFIG_TEXT.splitlines():
        if not line.strip():
            explained = False
        elif line.lstrip().startswith("#"):
            explained = True
        else:
            key = line.strip().split(":")[0]
            names = {"think", *CONFIG["variants"]}
            assert explained or " # " in line or key in names, line


def test_the_default_config_pins_the_bundled_benchmark(tmp_path):
    """The pinned digest is that of the normalised file, which the bundled one already is."""
    bundled = PROJECT / "bundled" / "benchmarks" / "chains.jsonl"
    write_records(tmp_path / "chains.jsonl", read_records(bundled, Problem))
    assert file_digest(tmp_path / "chains.jsonl") == CONFIG["benchmarks"]["chains"]["sha256"]


OVERLAYS = sorted({*(PROJECT / "config").glob("*.yaml")} - {PROJECT / "config" / "config.yaml"})


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.name)
def test_every_other_config_file_runs_what_it_says_and_is_documented(path, tmp_path):
    overlay = yaml.safe_load(path.read_text(encoding="utf-8"))
    config = yaml.safe_load(CONFIG_TEXT)
    update_config(config, overlay)
    settings = load_settings(config, PROJECT)
    assert {*overlay["run"]} - {"tasks"} == {"models", "variants", "benchmarks"}
    assert f"`config/{path.name}`" in GUIDE
    for name, entry in overlay.get("benchmarks", {}).items():
        if "sha256" in entry:
            source = settings.benchmarks[name].source
            bundled = PROJECT / "bundled" / "benchmarks" / f"{source.name}.jsonl"
            write_records(tmp_path / "b.jsonl", read_records(bundled, Problem))
            assert file_digest(tmp_path / "b.jsonl") == entry["sha256"]


FIRST = (PROJECT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", GUIDE + FIRST, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_of_the_pages_is_a_config(text, tmp_path):
    """Each is laid over the default config as Snakemake does it; its local files are made first."""
    for path in re.findall(r"path: ([^},\n]+)", text):
        place = tmp_path / path
        if path.endswith((".jsonl", ".csv", ".parquet", ".gguf")):
            place.parent.mkdir(exist_ok=True)
            place.touch()
        else:
            place.mkdir(parents=True)
            (place / "config.json").touch()
            (place / "model.safetensors").touch()
    overlay = yaml.safe_load(text)
    config = yaml.safe_load(CONFIG_TEXT)
    update_config(config, overlay)
    settings = load_settings(config, tmp_path)
    for key in {"variants", "tasks"} & overlay.get("run", {}).keys():
        assert list(getattr(settings.run, key)) == overlay["run"][key]
    sections = {"run", "device", "pruning", "generation", "harness", "judge", "diagnosis", "tables"}
    for catalogue in overlay.keys() - sections:
        used = set(getattr(settings, catalogue)) & overlay[catalogue].keys()
        assert used == overlay[catalogue].keys()


def test_the_pages_has_an_example_of_everything_one_can_bring():
    brought = set().union(*(yaml.safe_load(text) for text in EXAMPLES))
    assert brought == set(SCHEMA["properties"])


def test_the_pages_s_error_lines_are_real():
    config = yaml.safe_load(CONFIG_TEXT)
    config["variants"]["wanda-20"] |= {"sparsity": 1.2, "calibration": "chain"}
    config["variants"]["shortgpt-1"]["sparsity"] = 0.2
    with pytest.raises(InputError) as caught:
        load_settings(config)
    blocks = re.findall(r"^```\n(config: .*?)\n```", GUIDE, re.MULTILINE | re.DOTALL)
    assert str(caught.value) == blocks[0]
