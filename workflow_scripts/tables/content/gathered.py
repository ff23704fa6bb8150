"""Files that gather what many jobs left, as a table that other tables are made from."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.errors import InputError
from workflow_scripts.files.atomic import written_atomically
from workflow_scripts.files.checksums import verify_checksum


def write_gathered(path: Path, frame: pd.DataFrame) -> None:
    """Write a table, atomically and with the same bytes each time."""
    with written_atomically(path) as temporary:
        frame.to_parquet(temporary, engine="pyarrow", index=False, compression="zstd")


def load_gathered(path: Path, what: str, maker: str, layouts: Sequence[list[str]]) -> pd.DataFrame:
    """Read a table of `what` that the stage `maker` writes, with one of these lists of columns.

    Raises `InputError` where there is none.
    """
    verify_checksum(path)
    try:
        frame = pd.read_parquet(path, engine="pyarrow")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # among them pyarrow's own
        raise InputError(f"{path}: not a file of {what} ({error})") from None
    if list(frame.columns) not in layouts or "missing" not in frame.attrs:
        raise InputError(f"{path}: not a file of {what}, as {maker} writes it")
    return frame
