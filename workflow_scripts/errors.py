"""Mistakes a user can mend, and how a stage reports them: one line, exit code 1, no traceback."""

import sys
from collections.abc import Callable


class InputError(Exception):
    """Bad input from outside: a config key, a file, an id.

    The message is one line that names the thing, what is wrong with it and what would be right.
    """


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage's `main`; an `InputError` becomes one line on stderr and exit code 1.

    Anything else is a defect of ours and keeps its traceback.
    """
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
