"""How a stage runs: its mistakes are one line and exit code 1, and it ends with its snakemake."""

import errno
import sys
from collections.abc import Callable

from workflow_scripts.errors import InputError
from workflow_scripts.jobs.orphans import end_with_runner


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main`; an `InputError` becomes one line on stderr and exit code 1.

    So does a full disk. Anything else is a defect of ours and keeps its traceback. A stage that
    snakemake started ends with it.
    """
    end_with_runner()
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = error.filename or "an output"
        print(f"error: {place}: {error.strerror}; free some space and start again", file=sys.stderr)
        sys.exit(1)
