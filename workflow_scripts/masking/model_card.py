"""The card of an exported model: a README.md as the Hugging Face hub reads it."""

import os
import platform
import tomllib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCardData
from huggingface_hub.repocard import metadata_load
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from workflow_scripts.artefacts.masks import Pruned
from workflow_scripts.artefacts.narrow import Narrow
from workflow_scripts.artefacts.pruned_checkpoints import exported_tensors
from workflow_scripts.artefacts.removal_ratios import count_parameters
from workflow_scripts.config.entry import Entry, plain
from workflow_scripts.config.methods import Variant
from workflow_scripts.config.recoveries import RECOVERIES
from workflow_scripts.config.references import REFERENCES
from workflow_scripts.files.atomic import read_json
from workflow_scripts.models.checkpoints import CONFIG, Checkpoint, split_block
from workflow_scripts.models.manifests import MANIFEST
from workflow_scripts.models.unit_names import KV_GROUP, NEURON, QUERY_HEAD
from workflow_scripts.paths import PROJECT

CARD = "README.md"
LIBRARIES = ("torch", "transformers", "numpy")
IN_WORDS = {KV_GROUP: "key-value heads", QUERY_HEAD: "query heads", NEURON: "MLP neurons"}
CALLED = {  # an entry of a catalogue
    "calibration_sets": "calibration set",
    "influence_sets": "influence set",
    "recoveries": "recovery",
    "texts": "texts",
    "variants": "variant",
}


class MadeFrom(Entry):
    """What the config says of an export: names, the variant's entry, and what it is made from.

    `device` is where models run that are pruned. `sets` holds the entries of what it is made with,
    by catalogue and name, and of the texts that these draw from for this model, whose names stand
    in them as `texts`.
    """

    model: str
    variant: str
    entry: Variant
    device: str
    sets: dict[str, dict[str, dict[str, Any]]]


def model_card(checkpoint: Checkpoint, pruned: Pruned, made_from: MadeFrom, narrow: Narrow) -> str:
    """The text of the card of a variant of a fetched model, exported as narrow as that."""
    manifest = read_json(checkpoint.folder / MANIFEST)
    source, entry, record = manifest["source"], made_from.entry, pruned.record
    known = _license(checkpoint.folder, source)
    if source["kind"] == "hub":
        known["base_model"] = source["id"]
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["prunethink", "pruning", entry.method],
        **known,
    )
    cited = [one.cites for one in (entry, getattr(entry, "allocation", None)) if one]
    recovery = made_from.sets.get("recoveries", {}).get(entry.recovery)
    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("model_card.md.j2").render(
        data=data.to_yaml(),
        license="license" in known,
        model=made_from.model,
        variant=made_from.variant,
        base=_base(source, manifest["revision"]),
        method=entry.title,
        pattern=getattr(entry, "pattern", None),
        options=_options(made_from),
        sets=[
            (CALLED[catalogue], name, _told(one))
            for catalogue, entries in made_from.sets.items()
            for name, one in entries.items()
            if one is not recovery
        ],
        recovery=recovery,
        trained=recovery and RECOVERIES[recovery["kind"]].title,
        record=record,
        left_out=_left_out(narrow),
        stays=_stays(narrow),
        **_counts(checkpoint, pruned, narrow),
        versions=_versions(),
        references=[REFERENCES.get(word, word) for word in [*cited, _cited(recovery)] if word],
    )


def _cited(recovery: Mapping[str, Any] | None) -> str | None:
    return RECOVERIES[recovery["kind"]].cites if recovery else None


def _told(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of a catalogue, as the card tells it."""
    return entry | ({"source": _shareable(entry["source"])} if "source" in entry else {})


def _license(folder: Path, source: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the dense model's license: from a card beside the files that were fetched.

    Nothing is fetched for it. The front matter takes a license's name and link beside `other`.
    """
    if source["kind"] == "bundled":
        return {"license": "apache-2.0"}  # the project's
    config = folder / CONFIG
    if not config.is_symlink():
        return {}
    try:
        found = metadata_load((folder / os.readlink(config)).with_name(CARD)) or {}
    except (OSError, ValueError, yaml.YAMLError):  # none, or not as the hub reads it
        return {}
    given = {key: found.get(key) for key in ("license", "license_name", "license_link")}
    return {key: value for key, value in given.items() if value} if given["license"] else {}


def _base(source: Mapping[str, Any], revision: str | None) -> str:
    """The dense model in words."""
    match source["kind"]:
        case "hub":
            at = f" at revision {revision}" if revision else ""
            return f"[{source['id']}](https://huggingface.co/{source['id']}){at}"
        case "bundled":
            return f"prunethink's demo model `{source['name']}`"
        case "gguf":
            return f"The model of the GGUF file `{Path(source.get('path') or source['file']).name}`"
    return f"The model of the folder `{Path(source['path']).name}`"


def _shareable(source: Mapping[str, Any]) -> dict[str, Any]:
    """A source without the folders of the machine that it was on."""
    local = {"path": Path(source["path"]).name} if "path" in source else {}
    return {**source, **local}


def _options(made_from: MadeFrom) -> dict[str, Any]:
    """The variant's options; where the model ran on a calibration set, on which device."""
    options = plain(made_from.entry, exclude={"method"})
    runs = {"statistics", "calibration"} & made_from.entry.files().keys()
    return options | ({"device": made_from.device} if runs else {})


def _left_out(narrow: Narrow) -> list[str]:
    """What every block of the export lacks, in words."""
    return [
        f"{whole - left:,} of {whole:,} {IN_WORDS[kind]}"
        for kind, (left, whole) in narrow.units.items()
    ]


def _stays(narrow: Narrow) -> str:
    """What is removed and has stayed as zeros, in words; nothing where nothing has."""
    found = []
    for kind, count in narrow.zeros.items():
        words = IN_WORDS[kind] if count > 1 else IN_WORDS[kind].removesuffix("s")
        found.append(f"{count:,} {words}")
    return " and ".join(found)


def _counts(checkpoint: Checkpoint, pruned: Pruned, narrow: Narrow) -> dict[str, int]:
    """Parameters of the dense model and of what is left, and the zeros that the mask set there."""
    linears, kept = pruned.record.linears, pruned.record.kept_blocks
    left = [name for name in linears if split_block(name)[0] in kept]
    exported = exported_tensors(checkpoint, pruned, narrow)
    shapes = {name: tensor.shape for name, tensor in exported.items()}
    return {
        "dense_parameters": pruned.record.parameters,
        "parameters": count_parameters(checkpoint, shapes),
        "zeros": sum(_zeros(pruned, narrow, name) for name in left),
    }


def _zeros(pruned: Pruned, narrow: Narrow, name: str) -> int:
    """How many weights of an exported linear the mask set to zero."""
    if name in narrow.kept:
        return int((~narrow.cut(name, pruned.kept(name))).sum())
    linear = pruned.record.linears[name]
    return round(linear.achieved * linear.weights)


def _versions() -> dict[str, str]:
    """Of what writes the export."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ours = {"prunethink": project["version"], "Python": platform.python_version()}
    return ours | {name: version(name) for name in LIBRARIES}
