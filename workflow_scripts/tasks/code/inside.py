"""What runs inside a box: a solution that is called, or the tests that call it.

It is one file that needs nothing of the project, as the program of a box. Orders and answers are
lines of JSON. Only plain data go between solution and tests, each in a box of its own: a solution
cannot look at its tests, change them, or say that they passed. The first line is the order:

    {"role": "function", "source": ..., "entry": ..., "contest": bool, "seconds": n}
    {"role": "script", "source": ..., "seconds": n}
    {"role": "tests", "prompt": ..., "test": ..., "entry": ...}

`function` and `script` answer {"ready": true}, and from then on, to {"call": encoded arguments},
{"value": encoded}; or, to {"stdin": ...}, {"stdout": ...}; or {"error": ...}, to whatever it is.
`tests` answers with calls, whose values it takes as its input, and at last {"passed": bool}.
Seconds of processor time are for each call and each script of a contest, else for all calls.
"""

import json
import os
import resource
import signal
import sys
import threading
import types
from collections.abc import Mapping, Set
from typing import Any

# what solutions to LiveCodeBench may take as imported, in the order in which its own runs import
# them: where two have a name, the last counts
PREAMBLE = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random",
    "statistics", "itertools", "functools", "operator", "io", "sys", "json", "builtins", "typing",
)  # fmt: skip
RECURSION = 50_000
LONG = 1 << 63  # longer integers are not written in decimals, for which Python has a limit


def encode(value: Any) -> Any:
    """Plain data as JSON has them, with what it lacks marked: tuples, sets, bytes and so on.

    What is no plain data becomes something that is equal to nothing.
    """
    if isinstance(value, int) and abs(value) > LONG:
        return {"int": hex(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        name = "list" if isinstance(value, list) else "tuple"
        return {name: [encode(item) for item in value]}
    if isinstance(value, Mapping):
        return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    if isinstance(value, Set):
        return {"set": [encode(item) for item in value]}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": value.hex()}
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return encode(value.item())  # a number of numpy's
    return {"other": type(value).__name__}


def decode(data: Any) -> Any:
    """The plain data that `encode` was given. Raises ValueError and TypeError for what is not."""
    if not isinstance(data, dict):
        return data
    ((kind, content),) = data.items()
    if kind in ("list", "tuple", "set"):
        items = (decode(item) for item in content)
        return {"list": list, "tuple": tuple, "set": set}[kind](items)
    if kind == "dict":
        return {decode(key): decode(item) for key, item in content}
    if kind == "int":
        return int(content, 16)
    if kind == "bytes":
        return bytes.fromhex(content)
    if kind == "complex":
        return complex(*content)
    return object()


def main() -> None:
    """Follow the order on the first line of the input."""
    lines, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)  # what a program prints is no answer

    def answer(**said: Any) -> None:
        answers.write(json.dumps(said) + "\n")
        answers.flush()

    order = json.loads(lines.readline())
    {"function": be_called, "script": be_run, "tests": be_tests}[order["role"]](
        order, lines, answer
    )


def be_called(order: dict[str, Any], lines: Any, answer: Any) -> None:
    """Answer calls of the solution's function; in a contest, of the method of its Solution."""
    is_contest, seconds = order["contest"], order["seconds"]
    module = new_module("solution", is_contest, order["source"])
    signal.setitimer(signal.ITIMER_PROF, seconds)  # ends this process
    try:
        exec(compile(order["source"], "solution.py", "exec"), module.__dict__)
        has_class = is_contest and "Solution" in vars(module)
        function = getattr(module.Solution() if has_class else module, order["entry"])
    except BaseException as error:
        return answer(error=repr(error))
    answer(ready=True)
    for line in lines:
        arguments = decode(json.loads(line)["call"])
        if is_contest:
            signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            said = {"value": encode(function(*arguments))}
        except BaseException as error:
            said = {"error": repr(error)}
        answer(**said)
    return None


def be_run(order: dict[str, Any], lines: Any, answer: Any) -> None:
    """Run the solution as a script, in a process of its own for each input."""
    try:
        module = new_module("__main__", True, order["source"])
        code = compile(order["source"], "solution.py", "exec")
    except BaseException as error:
        return answer(error=repr(error))
    answer(ready=True)
    for line in lines:
        with open("stdin", "w", encoding="utf-8") as file:
            file.write(json.loads(line)["stdin"])
        child = os.fork()
        if child == 0:
            run_script(code, module, order["seconds"])
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            answer(error=f"ended with {status}")
            continue
        with open("stdout", encoding="utf-8", errors="replace") as file:
            answer(stdout=file.read())
    return None


def run_script(code: types.CodeType, module: types.ModuleType, seconds: int) -> None:
    """Run a script from the file `stdin` to the file `stdout`, and end this process with it.

    Whatever exit status it asks for is no failure, as in LiveCodeBench's own runs; an exception is.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    os.dup2(os.open("stdin", os.O_RDONLY), 0)
    os.dup2(os.open("stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 1)
    sys.stdin, sys.stdout = os.fdopen(0, encoding="utf-8"), os.fdopen(1, "w", encoding="utf-8")
    sys.modules["__main__"] = module
    seed()  # a new process is seeded anew
    status = 0
    try:
        exec(code, module.__dict__)
        for thread in threading.enumerate():
            if thread is not threading.main_thread() and not thread.daemon:
                thread.join()
    except SystemExit:
        pass
    except BaseException:
        status = 1
    try:
        sys.stdout.flush()
    except BaseException:
        status = 1
    os._exit(status)


def be_tests(order: dict[str, Any], lines: Any, answer: Any) -> None:
    """Run tests that call the solution, wherever it is, and tell whether they passed."""

    def solution(*arguments: Any) -> Any:
        answer(call=encode(arguments))
        answered = json.loads(lines.readline())
        if "value" not in answered:
            raise RuntimeError(answered["error"])
        return decode(answered["value"])

    module = new_module("tests", False, order["test"])
    try:
        # helpers that tests use stand in the prompt, before the function that is to be written
        exec(compile(order["prompt"], "prompt.py", "exec"), module.__dict__)
        setattr(module, order["entry"], solution)
        exec(compile(order["test"], "test.py", "exec"), module.__dict__)
        module.check(solution)
    except BaseException as error:
        return answer(passed=False, why=repr(error)[:1000])
    return answer(passed=True)


def seed() -> None:
    """Have what is drawn at random be the same in every run."""
    if "random" in sys.modules:
        sys.modules["random"].seed(0)


def new_module(name: str, preamble: bool, source: str) -> types.ModuleType:
    """An empty module that can be found by its name, with what a solution may take as imported."""
    module = types.ModuleType(name)
    if "random" in source:  # before it is imported there
        import random  # noqa: F401
    sys.modules.setdefault(name, module)
    if preamble:
        sys.setrecursionlimit(RECURSION)
        for imported in PREAMBLE:
            exec(f"from {imported} import *", module.__dict__)
        for imported in PREAMBLE:
            exec(f"import {imported}", module.__dict__)
    seed()
    return module


if __name__ == "__main__":
    main()
