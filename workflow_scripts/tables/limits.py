"""What limits leave of benchmarks, for captions. Light: the rules read it when they are parsed."""

from collections.abc import Mapping


def limits_note(limits: Mapping[str, str]) -> str:
    """The end of a caption, of words by benchmark; nothing without limits."""
    said = "; ".join(f"{benchmark}: {words}" for benchmark, words in limits.items())
    return f" Limited: {said}." if said else ""
