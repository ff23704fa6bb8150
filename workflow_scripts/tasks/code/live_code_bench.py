"""LiveCodeBench's tests (arXiv 2403.07974), out of the wrapping that they come in."""

import base64
import io
import json
import pickle
import zlib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, NoReturn

from workflow_scripts.errors import InputError

MAX_TESTS = 1 << 30  # bytes of a problem's tests as text
WRAPPING = "json, or base64 of zlib of a pickled string of json"


class ProblemTests(NamedTuple):
    """A problem's tests: of a function, by its name, or of a program that reads its input.

    `cases` are input and output of each: JSON, the input with a line for each argument; or texts.
    """

    function: str | None
    cases: list[tuple[str, str]]


def tests_of(row: Mapping[str, Any]) -> ProblemTests:
    """The public and private tests of a problem.

    Raises InputError, with the problem's id, for tests that cannot be read.
    """
    try:
        found = json.loads(row["public_test_cases"]) + _private(row["private_test_cases"])
        cases = [(str(test["input"]), str(test["output"])) for test in found]
        metadata = json.loads(row["metadata"] or "{}")
        is_function = any(test["testtype"] == "functional" for test in found)
        return ProblemTests(str(metadata["func_name"]) if is_function else None, cases)
    except (ValueError, KeyError, TypeError, zlib.error, pickle.UnpicklingError, EOFError) as error:
        raise InputError(
            f"LiveCodeBench's {row.get('question_id')}: its tests cannot be read "
            f"({type(error).__name__}: {error}); they must be {WRAPPING}"
        ) from None


def _private(text: str) -> list[dict[str, str]]:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    packed = base64.b64decode(text.encode(), validate=True)
    return json.loads(unpickled_string(_inflated(packed)))


def _inflated(packed: bytes) -> bytes:
    inflating = zlib.decompressobj()
    data = inflating.decompress(packed, MAX_TESTS)
    if not inflating.eof:
        raise ValueError(f"cut off, or longer than {MAX_TESTS} bytes")
    return data


def unpickled_string(data: bytes) -> str:
    """The string that was pickled; nothing else is made of a pickle, and none of its calls is.

    Raises pickle.UnpicklingError for what is more than a string, ValueError for other plain data.
    """
    value = _Strings(io.BytesIO(data)).load()
    if type(value) is not str:
        raise ValueError(f"a pickled {type(value).__name__}, where a string must be")
    return value


class _Strings(pickle.Unpickler):
    """An unpickler that finds no class and no function, so that it cannot call any."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("it asks for an object from elsewhere")


def same_output(written: str, right: str) -> bool:
    """Whether a program wrote the right output, by LiveCodeBench's rule.

    Blanks around the text and around each of its lines do not count; a line may also have the right
    numbers in another notation.
    """
    theirs, ours = written.strip().split("\n"), right.strip().split("\n")
    if len(theirs) != len(ours):
        return False
    pairs = ((a.strip(), b.strip()) for a, b in zip(theirs, ours, strict=True))
    return all(a == b or _same_numbers(a, b) for a, b in pairs)


def _same_numbers(written: str, right: str) -> bool:
    try:
        return [Decimal(part) for part in written.split()] == [Decimal(p) for p in right.split()]
    except InvalidOperation:
        return False
