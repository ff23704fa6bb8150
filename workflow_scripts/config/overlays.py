"""Config files: read strictly, and laid over the default one as `snakemake --configfile` does it.

A key that stands twice is refused, of which every YAML reader takes the last in silence. So is a
file that refers to itself, or whose aliases multiply: it is small, and what it means fills memory.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from workflow_scripts.config.messages import dotted
from workflow_scripts.errors import InputError
from workflow_scripts.files import strict_json
from workflow_scripts.paths import CONFIG

MAX_VALUES = 100_000  # of a config file, with its aliases written out


def read_config(paths: Sequence[Path]) -> dict:
    """The default config with others laid over it, as Snakemake merges them."""
    from snakemake.utils import update_config  # slow to import

    config: dict = {}
    for path in (CONFIG / "config.yaml", *paths):
        overlay = read_config_file(path)
        if not isinstance(overlay, dict):
            raise InputError(f"{path}: not a config, which is a mapping")
        update_config(config, overlay)
    return config


def check_config_files(paths: Iterable[Path]) -> None:
    """Raise `InputError` for a file of which Snakemake takes a part, or fills memory with it."""
    for path in paths:
        read_config_file(path)


def read_config_file(path: Path) -> Any:
    """What a file holds, JSON or YAML. Raises `InputError` with file and line of a mistake."""
    try:
        text = path.read_text(encoding="utf-8")
        try:
            return strict_json.loads(text)
        except strict_json.RepeatedKey as error:
            raise InputError(f"{path}: {error}; keep one") from None
        except ValueError:
            loader = yaml.SafeLoader(text)
            node = loader.get_single_node()
            _count(node, path, (), {})
            return loader.construct_document(node) if node else None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{path}{line}: not YAML ({error.problem})") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        # ValueError: no UTF-8, or a date that no calendar has
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from None


def _count(node: yaml.Node | None, path: Path, keys: tuple, counts: dict[yaml.Node, int]) -> int:
    """How many values a node means with its aliases written out; `counts` has those of others.

    Raises `InputError` for a key that stands twice and for too many values, infinitely many too.
    """
    if not isinstance(node, yaml.CollectionNode):
        return 1

    def refused(node: yaml.Node, keys: tuple, said: str) -> InputError:
        line = node.start_mark.line + 1
        return InputError(f"{path}:{line}: {dotted(keys) or 'the config'}: {said}")

    if node not in counts:
        counts[node] = 0  # while it is being counted
        below = enumerate(node.value)
        if isinstance(node, yaml.MappingNode):
            first: dict[tuple, yaml.Node] = {}
            for key, _ in node.value:
                same = first.setdefault((key.tag, str(key.value)), key)
                if same is not key:
                    line = same.start_mark.line + 1
                    said = f"this key stands twice, first in line {line}; keep one"
                    raise refused(key, (*keys, key.value), said)
            below = ((str(key.value), value) for key, value in node.value)
        counts[node] = 1 + sum(_count(part, path, (*keys, name), counts) for name, part in below)
    elif not counts[node]:
        raise refused(node, keys, "refers to itself; write out what is meant")
    if counts[node] > MAX_VALUES:
        said = f"more than {MAX_VALUES} values with its aliases written out; use fewer aliases"
        raise refused(node, keys, said)
    return counts[node]
