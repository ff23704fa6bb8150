"""How a stage runs: its mistakes are one line and exit code 1, and it ends with its snakemake."""

import errno
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from workflow_scripts.errors import InputError
from workflow_scripts.files.making import note_making
from workflow_scripts.jobs.orphans import end_with_runner

FULL = (errno.ENOSPC, errno.EDQUOT)
ORDER = "PRUNETHINK_ORDER"


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main`; an `InputError` becomes one line on stderr and exit code 1.

    So does what the system says of a file: it may not be read, a folder not be written, the disk is
    full. Anything else is a defect of ours and keeps its traceback. A stage that snakemake started
    ends with it, and notes how its outputs were made: the environment says where its order is.
    """
    gc.freeze()  # what was imported is no garbage, and was not looked through: see the package
    gc.enable()
    end_with_runner()
    try:
        main()
        if ORDER in os.environ:
            note_making(Path(os.environ[ORDER]))
    except InputError as error:
        _end(error)
    except OSError as error:
        if error.filename is None and error.errno not in FULL:
            raise
        remedy = "; free some space and start again" if error.errno in FULL else ""
        _end(InputError(f"{error.filename or 'an output'}: {error.strerror}{remedy}"))


def _end(error: InputError) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(1)
