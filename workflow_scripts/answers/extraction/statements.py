r"""Every statement of an answer, with its place: where a model says what it has found.

What a model still thinks in its answer is cut away first, and so are the markers of its format. It
states its answer in a box (`\boxed{42}`), after a lead-in ("Answer:", "the answer is", `lead_ins`),
or bare: in its last line or in its first. Where the format itself has begun the statement (the
answer prefix is "Final Answer:"), the text starts with what is stated.

`believed` decides once, for every kind of problem, which statements count and which of them before
which: boxes before lead-ins before lines, of each kind the last, and nothing that was cut off. The
kinds read them in this order, until one says something. Every step takes time linear in the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from workflow_scripts.answers.extraction.lead_ins import CLOSING, NO_STATEMENT, lead_ins
from workflow_scripts.artefacts.boxes import OPEN_BOX, box_groups, is_cut_in_box


@dataclass(frozen=True)
class Extraction:
    """What an answer states: a number in plain decimal form, a letter, else the words as they are.

    `extracted` is None where no statement was found. `reason` says where it was found: `boxed`,
    `stated`, `last line`, `first line`, `none`, or `truncated` where there is none and the answer
    was cut off.
    """

    extracted: str | None
    reason: str


@dataclass(frozen=True)
class Statement:
    """Where an answer says something: the text, its place in the answer, and how it is said.

    `form` is `boxed`, `stated`, `last line` or `first line`. Of a statement that is not `finished`,
    which only an answer that was cut off can have, `text` is what was whole. Where a line is
    `alone` it counts only if it is nothing but an answer; `begins` says that the text starts with
    the answer, if it is one.
    """

    text: str
    start: int
    end: int
    form: str
    finished: bool = True
    alone: bool = False
    begins: bool = False


_SHOWN = 100  # characters of an extraction that a grade shows

_THINKING_ENDS = re.compile(r"</think(?:ing)?>|<\|im_start\|>\s*answer\b")
_THINKING_STARTS = re.compile(r"<think(?:ing)?>|<\|im_start\|>\s*think\b")
_TURN_ENDS = re.compile(
    r"<\|im_end\|>|<\|endoftext\|>|<\|eot_id\|>|<\|im_start\|>\s*(?:user|system)\b"
)
_MARKER = re.compile(r"<\|[A-Za-z_]{1,30}\|>(?:\s*assistant\b)?|</answer>|</s>")

_DISPLAY = {"\\[": "\\]", "$$": "$$"}
# a list behind what it adds up to: `72 clips in total.`, `- April: 48`, `- May: 24`
_BREAKDOWN = re.compile(
    r"(?<=[.!])\s*\n(?:\s*[-*•]\s+(?!\W*(?:total|sum|answer|result))[^:\n]{1,60}:[^\n]*\n?){2,}$",
    re.IGNORECASE,
)
_ITEM = re.compile(r"^\s*(?:[-*•]|#{1,6})\s+(?=\S)")  # a line's mark of a list or a heading
_PAIRS = (("{", "}"), ("\\[", "\\]"), ("\\(", "\\)"))
_RULE = re.compile(r"[-*_=`~#.:|\s]*")  # a line that separates others
_ANNOUNCES = re.compile(r"^1[.)]\s+[A-Za-z*]|:$")
_WHOLE_PART = re.compile(  # ends where the last sentence that was finished does
    r"(.*(?:[^\s.][.!?](?=\s)|[。！？]|[^\s,](?=,?\s+(?:because|since|which|where|as\s+(?:it|we))\b)))",
    re.DOTALL,
)


def statements(text: str, finish: str) -> list[Statement]:
    """The statements of an answer (`without_thinking`) in boxes and after lead-ins, in their order.

    `finish` is the answer's: `eos`, or `length` where it was cut off.
    """
    found = [Statement(content, start, end, "boxed") for content, start, end in box_groups(text)]
    openings = lead_ins(text)
    ends = [start for start, _ in openings[1:]] + [len(text)]
    for (start, begin), end in zip(openings, ends, strict=False):
        if NO_STATEMENT.match(text, begin):
            continue
        said, place = _to_the_end(text, begin, end)
        if said.strip("*_ "):
            whole = finish != "length" or bool(text[place:])
            said = said if whole else _whole_part(said)
            found.append(Statement(said, start, place, "stated", whole))
    return sorted(found, key=lambda statement: statement.start)


def believed(text: str, finish: str, prefix: str = "") -> Iterator[Statement]:
    """The statements of an answer that count, the one that counts most first.

    `prefix` is what the format wrote in front of the answer. Of boxes only the last is believed.
    """
    text, begun = after_prefix(prefix, text)
    found = statements(text, finish)
    yield from [statement for statement in found if statement.form == "boxed"][-1:]
    yield from (s for s in reversed(found) if s.form == "stated" and s.text)
    if finish == "length" and is_cut_in_box(text):
        return
    last, first = OPEN_BOX.sub("", last_line(text, finish)), first_line(text)
    place = text.rfind(last)
    end = Statement(last, place, place + len(last), "last line")
    start = Statement(first, 0, len(first), "first line", alone=True)
    if last:
        yield replace(end, alone=True)
    one_line = "\n" not in text.lstrip()
    if first and not (finish == "length" and one_line):
        yield start
    if finish == "length" and one_line:
        begun = _whole_part(begun)
    if begun:
        yield Statement(begun, 0, len(begun), "stated", begins=True)
    if last:
        yield end


def _to_the_end(text: str, begin: int, end: int) -> tuple[str, int]:
    """What is stated from `begin` on, to the end of its line or formula, and where it ends."""
    following = text[begin:end]
    closing = _DISPLAY.get(following[:2])
    said, closed, _ = following[2:].partition(closing) if closing else ("", "", "")
    if closed:
        return said.strip(), begin + len(said) + 4
    line = following.partition("\n")[0]
    said = _ITEM.sub("", line) if "\n" in text[max(0, begin - 12) : begin] else line
    return _balanced(said), begin + len(line)


def _whole_part(text: str) -> str:
    """The sentences of a text that was cut off, without the one that was."""
    whole = _WHOLE_PART.match(text)
    return whole[1] if whole else ""


def after_prefix(prefix: str, text: str) -> tuple[str, str]:
    """An answer without thinking and markers, and its first line where `prefix` begins a statement.

    That line is empty where the prefix begins none, where other text is in between, and where the
    line only announces what follows: the first of a list, or with a colon at its end.
    """
    opening = next((start for start, end in lead_ins(f"{prefix} 0") if end > len(prefix)), None)
    prefix = "" if opening is None else prefix[opening:]
    whole = without_thinking(prefix + text)
    if not prefix or not whole.startswith(prefix):
        return without_thinking(text), ""
    text = whole[len(prefix) :]
    line = first_line(text)
    # a prefix "the answer is" begins no statement before "not 5"
    is_statement = lead_ins(prefix + text[:40]) and not NO_STATEMENT.match(text)
    return text, line if is_statement and not _ANNOUNCES.search(line) else ""


def nothing(finish: str) -> Extraction:
    return Extraction(None, "truncated" if finish == "length" else "none")


def without_thinking(text: str) -> str:
    """An answer from where its last thinking ends to where its turn ends, without markers.

    Where nothing follows the end of the thinking, what was written before it counts.
    """
    text = next((part for part in reversed(_THINKING_ENDS.split(text)) if part.strip()), "")
    text = _THINKING_STARTS.split(text, maxsplit=1)[0]
    before = (text[: ending.start()] for ending in _TURN_ENDS.finditer(text))
    return _MARKER.sub("\n", next((part for part in before if part.strip()), text))


def _balanced(text: str) -> str:
    """A statement without the end of a formula or group that began before it."""
    text = text.strip()
    while True:
        closing = next(
            (c for o, c in _PAIRS if text.endswith(c) and text.count(c) > text.count(o)), ""
        )
        if not closing and not (text.endswith("$") and text.count("$") - text.count("\\$") == 1):
            return text
        text = text[: -len(closing or "$")].rstrip()


def last_line(text: str, finish: str = "eos") -> str:
    """The last line of a text that says anything, or its last formula if that ends it.

    Words to the reader ("I hope this helps") say nothing. Empty where the text was cut off
    (`finish` is `length`).
    """
    end = 0 if finish == "length" else len(text)
    while end > 0:
        start = text.rfind("\n", 0, end) + 1
        if not (_RULE.fullmatch(text, start, end) or CLOSING.match(text, start, end)):
            break
        end = start - 1
    text = text[: max(end, 0)].rstrip()
    for opening, ending in _DISPLAY.items():
        if text.endswith(ending):
            return text[:-2].rpartition(opening)[2].strip()
    while listed := _BREAKDOWN.search(text):
        text = text[: listed.start()].rstrip()
    return _ITEM.sub("", text.rpartition("\n")[2])


def first_line(text: str) -> str:
    """The first line of a text that is not blank; empty where there is none."""
    line = text.lstrip()
    begins = "\n" in text[: len(text) - len(line)]  # else "- 5" may be a number
    line = line.partition("\n")[0].strip()
    return _ITEM.sub("", line) if begins else line


def shown(text: str, most: int = _SHOWN) -> str:
    """A text on one line, cut to a length that a reader of grades can take in."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[:most] + "…"
