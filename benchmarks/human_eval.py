"""HumanEval's own solutions in the sandbox: all pass, and with `pass` for a body none does.

    python -m benchmarks.human_eval --workers 2

Prints how long each of the two took, and each verdict that is not as it should be, which also makes
the exit status 1. Needs the package human-eval (`make harness`).
"""

import argparse
import os
import sys
import time
from functools import partial

from workflow_scripts.tasks.code.human_eval import packaged
from workflow_scripts.tasks.code.judging import judge, passes_checks
from workflow_scripts.tasks.sandbox.choice import SANDBOXED, sandbox_for

SECONDS = 3  # of processor time for a problem, as the task has it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2, help="boxes side by side")
    os.environ["OMP_NUM_THREADS"] = str(parser.parse_args().workers)
    problems = packaged()
    if problems is None:
        sys.exit("human-eval is not installed: make harness")
    print(f"{len(problems)} problems; sandbox: {sandbox_for(SANDBOXED).value}")
    is_as_it_should = True
    for name, should_pass in (("canonical solutions", True), ("`pass` for a body", False)):
        asked = []
        for problem in problems:
            body = problem["canonical_solution"] if should_pass else "    pass\n"
            program = problem["prompt"] + body
            asked.append((program, partial(passes_checks, program, problem, SECONDS)))
        started = time.perf_counter()
        verdicts = judge(asked)
        seconds = time.perf_counter() - started
        print(f"{name}: {sum(verdicts)} of {len(verdicts)} pass, {seconds:.1f} s")
        for problem, verdict in zip(problems, verdicts, strict=True):
            if verdict is not should_pass:
                is_as_it_should = False
                print(f"  {problem['task_id']}: {'passes' if verdict else 'does not pass'}")
    sys.exit(0 if is_as_it_should else 1)


if __name__ == "__main__":
    main()
