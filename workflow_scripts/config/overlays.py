"""A config over the default one, merged as `snakemake --configfile` merges them."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from workflow_scripts.errors import InputError
from workflow_scripts.paths import CONFIG


def read_config(paths: Sequence[Path]) -> dict:
    """The default config with others laid over it, as Snakemake merges them."""
    from snakemake.utils import update_config  # slow to import

    config: dict = {}
    for path in (CONFIG / "config.yaml", *paths):
        try:
            overlay = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from None
        except yaml.MarkedYAMLError as error:
            line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
            raise InputError(f"{path}{line}: not YAML ({error.problem})") from None
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            # ValueError: no UTF-8, or a date that no calendar has
            raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
        if not isinstance(overlay, dict):
            raise InputError(f"{path}: not a config, which is a mapping")
        update_config(config, overlay)
    return config
