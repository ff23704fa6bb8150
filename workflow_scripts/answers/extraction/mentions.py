"""Where a text mentions the options of its question, in one way of writing.

    It is **C. 4.2 eV**, not (A).        It is ◆C, not ◇A.

`marked` puts a mark in the place of each mention, so that readers of sentences need not know how
options are written: ◆ where an option is named as one (`option C`, `C. 4.2 eV`), ◇ where a letter
stands alone, ◈ where it stands in brackets, ○ where an option's own text does (`4.2 eV`). Letters
in marks are those of a private block, so that no reader takes them for letters of the text.
"""

import re
from collections.abc import Sequence

from workflow_scripts.answers.extraction.options import Option, plain

_BLOCK = 0xE000
SIGN = "[\ue041-\ue05a]"  # a letter in a mark

_WORD = r"(?:[Oo]ption|[Cc]hoice|OPTION|CHOICE)"
_LETTER = re.compile(
    rf"(?:\b(?P<word>{_WORD}) )?(?P<open>[(\[]{{1,2}} ?)?"
    r"(?<![A-Za-z0-9'.-])(?P<letter>[A-Za-z])(?![A-Za-z0-9'])(?!-\w)(?P<close> ?[)\]]{1,2})?"
)
# `C. 4.2 eV`, `option C (4.2 eV)`; `4.2 eV (C)`
_BEFORE_TEXT = re.compile(
    rf"(?:\b{_WORD} )?[(\[]{{0,2}}(?<![A-Za-z0-9'-])([A-Za-z]) ?[)\].:,]{{0,2}} ?(?:[–—:=(\[,-] ?)?"
    rf"○({SIGN})(?: ?[)\]])?"
)
_AFTER_TEXT = re.compile(rf"○({SIGN}),? ?[(\[] ?(?:i\.e\.,? )?(?:{_WORD} )?([A-Za-z]) ?[)\]]")
# what follows a letter that is no article and no name
_AFTER_LETTER = re.compile(
    r"\s*(?:$|\.(?! [a-z]+[.,]?(?:\n|$))|[\n),:;!?|\]✓✗◆◇◈○(&/]|=>|[^\x00-\x7f]|[–—-] )"
    r"| (?:is|are|was|were|has|as|because|since|or|and|nor|not|but|which|with|due|given|based|for|"
    r"from|in|at|on|when|while|rather|instead|by|than|over|also|only|best|it|to|that|the|both|all|then|so|"
    r"too|if|would|could|should|must|can|cannot|can't|isn't|doesn't|does|do|matches|fits|satisfies|"
    r"agrees|works|describes|gives|corresponds|seems|appears|looks|remains|fails|contradicts|needs|"
    r"violates|ignores|makes|holds|stands|represents|explains|correctly|says|states|wins|[0-9])"
    r"(?![A-Za-z])"
)
_ENDS = re.compile(r"[ .)]*(?:$|\n)")
# what is called by a letter and is no option
_THINGS = (
    r"(?:compounds?|products?|reactants?|reagents?|molecules?|structures?|species|substances?|"
    r"intermediates?|isomers?|points?|groups?|vitamin|hepatitis|types?|class|phase|genes?|alleles?|"
    r"proteins?|enzymes?|chains?|strains?|stars?|planets?|fields?|vectors?|matrix|matrices|operators?|"
    r"system|set|line|block|ring|factor|state|level|acid|base|metal|elements?|atoms?|ions?|solution|"
    r"mutants?|population|plasmid|virus|samples?|modes?|parts?)"
)
_NO_OPTION = re.compile(
    rf"(?:[0-9]|\+|\b[A-Z] =>|\b(?:deg|circ|an?|of|let|where|here|under|{_THINGS})"
    r"|\b(?:compound|reactant|reagent|intermediate|point|field|vector|matrix|operator|gene|allele|"
    r"protein|enzyme|star|planet|capacitance|charge|mass|area|potential|constant|current|question|"
    r"unit|grade|symbol) (?:is|was|called))\s?$",
    re.IGNORECASE,
)
_CITED = re.compile(
    r"\b(?:see|in|from|equation|eq\.|fig\.|figure|table|section|appendix|scheme|assumption|step|part|"
    r"case)\s?$",
    re.IGNORECASE,
)
NAMES = re.compile(rf"\b(?i:{_THINGS}|let)(?: of)? [*$]*[A-Z]\b(?!\.)")


def marked(text: str, options: Sequence[Option]) -> str:
    """A `plain` text with a mark in the place of every mention of an option."""
    text = plain(text)
    by_length = sorted(options, key=lambda option: -len(option.key))
    for option in by_length:
        if not option.key:  # its text stands in the question
            continue
        if option.pattern is None:  # `B) No`: too short to be found by itself
            short = (
                rf"(?<![A-Za-z0-9])[(\[]?{option.letter} ?[)\].:(] ?{re.escape(option.key)}\b\)?"
            )
            text = re.sub(short, _mark("◆", option.letter), text)
        else:
            text = option.pattern.sub(_mark("○", option.letter), text)
    text = " ".join(text.split())
    text = _BEFORE_TEXT.sub(lambda m: _named(m[0], m[1], m[2]), text)
    text = _AFTER_TEXT.sub(lambda m: _named(m[0], m[2], m[1]), text)
    last = options[-1].letter if options else ""
    return " ".join(_LETTER.sub(lambda match: _of_letter(match, last), text).split())


def letters(text: str) -> set[str]:
    """The letters of the options that a marked text mentions."""
    return {chr(ord(sign) - _BLOCK) for sign in re.findall(SIGN, text)}


def _mark(kind: str, letter: str) -> str:
    return f" {kind}{chr(_BLOCK + ord(letter))} "


def _named(found: str, letter: str, sign: str) -> str:
    """A mark where letter and text are those of one option; else what was found."""
    letter = letter.upper()
    return _mark("◆", letter) if chr(_BLOCK + ord(letter)) == sign else found


def _of_letter(match: re.Match[str], last: str) -> str:
    word, opening, letter, closing = match.group("word", "open", "letter", "close")
    bracketed = opening and closing
    if letter.upper() > last or (letter.islower() and not (word or bracketed)):
        return match[0]
    text, start, end = match.string, match.start(), match.end()
    if bracketed and not word and _CITED.search(text, max(0, start - 12), start):
        return match[0]
    if not bracketed:
        follows = _ENDS if letter == "I" else _AFTER_LETTER
        called = not word and _NO_OPTION.search(text, max(0, start - 24), start)
        if called or not closing and not follows.match(text, end):
            return match[0]
    rest = "" if bracketed else closing or ""
    before = "" if bracketed else opening or ""
    return (
        f"{before}{_mark('◆' if word else '◈' if bracketed else '◇', letter.upper()).strip()}{rest}"
    )
