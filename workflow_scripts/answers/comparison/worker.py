"""One comparison, in a worker process of `pool`: within limits of time and memory.

The limit on time is one on processor time, so that a busy machine changes no verdict.
"""

import resource
import signal

from workflow_scripts.answers.comparison.answers import equal
from workflow_scripts.answers.comparison.expressions import Refused, expressions_equal, forget

CPU_SECONDS = 3
MEMORY = 2 << 30  # bytes of address space, of which the library takes about 0.3 GB


def start() -> None:
    """What a worker does first. It was forked with the library, or loads it here."""
    from workflow_scripts.answers.comparison import warm  # noqa: F401

    limit = MEMORY if _hard_limit() == resource.RLIM_INFINITY else min(MEMORY, _hard_limit())
    resource.setrlimit(resource.RLIMIT_AS, (limit, _hard_limit()))


def has_less_memory() -> bool:
    """Whether the system grants less than a comparison may take."""
    return resource.RLIM_INFINITY != _hard_limit() < MEMORY


def _hard_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_AS)[1]


def compare(gold: str, answer: str) -> tuple[bool, str]:
    """Whether an answer is equal to the right one, and why they could not be compared, if so.

    Ends its process by SIGPROF after `CPU_SECONDS`, even inside one step of the interpreter.
    """
    forget()
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        return equal(gold, answer, expressions_equal), ""
    except Refused as refused:
        return False, str(refused)
    except MemoryError:
        return False, "out of memory"
    except BaseException:  # whatever a library raises on a strange answer is a verdict too
        return False, "crashed"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
