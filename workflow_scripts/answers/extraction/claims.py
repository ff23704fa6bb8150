r"""What a sentence claims about the options that it mentions (`mentions`).

    So the answer is ◆C, because ◇A is too small.      strong: C
    This agrees with ◆C.                               weak: C

A claim is strong where it calls an option the answer, and weak where only its place in an answer
makes it one. Options that a sentence denies, compares or gives as a reason are left out.
"""

import re

from workflow_scripts.answers.extraction.lead_ins import LANGUAGES, lead_ins
from workflow_scripts.answers.extraction.mentions import SIGN, letters

SEVERAL = "several"  # instead of a letter, where an answer is said to be one or the other


def _any(words: str) -> str:
    """A group of alternatives, which a semicolon separates."""
    return f"(?:{'|'.join(' '.join(word.split()) for word in words.split(';'))})"


def _patterns(*patterns: str) -> list[re.Pattern[str]]:
    return [re.compile(pattern, re.IGNORECASE) for pattern in patterns]


_MARK = f"[◆◇◈○]{SIGN}"
_MANY = rf"{_MARK}(?:(?:[ ,/&–-]|\b(?:n?or|and|maybe|through)\b)*{_MARK})*"
_LIST = f"({_MANY})"
_MANY_ALONE = re.compile(_MANY)
_NON = r"[^\w◆◇◈○\ue000-\uf8ff]"  # no word and no mark

# --- words around an option that is claimed

_FILLER = _any(r"""
    therefore; thus; hence; then; so; but; indeed; clearly; definitely; certainly; probably; likely;
    probable; most; simply; obviously; in fact; actually; of course; also; only; just; still;
    finally; exactly; surely; approximately; about; roughly; around; nearly; my; our; final;
    closest to;
    nearest to; equal to; best; described; represented; given; called; by; an?; the; l[ae]; el; die;
    option; choice; opción; opção; that of; that; at; it is; it's
""")
_FILL = rf"(?:{_FILLER}\b|[ =:,;+])*"  # between "is" and an option
_IS = (
    r"(?:\b(?:is|are|was|be|becomes|remains|equals|(?:comes|turns) (?:out )?(?:to be|to|at|as)|"
    r"(?:determined|estimated|found|identified|described|given|known|classified|read|appears) "
    r"(?:to be|as|at|by))\b|'s\b|=>?|:| [–—-](?= ))"
)
_SEEMS = r"(?:is|are|must be|would be|should be|has to be|seems|appears|looks)(?: to be)?"
_SO = _any("so;thus;hence;therefore;finally;consequently;yes;no;ok;okay;well;indeed;then;but")
_IT_IS = r"(?:it's|(?:it|this|that) (?:is|must be|has to be|should be))"
_NOUN = _any(r"""
    answer; option; choice; selection; response; pick; guess; match; candidate; one; letter;
    statement; value; result
""")
_CHOOSE = _any(r"""
    choose; chosen; chose; choosing; select(?:ed|ing)?; pick(?:ed|ing)?; prefer; tick; mark; say;
    go(?:ing)? (?:with|for); opt(?:ing)? for; lean(?:ing)? towards?; vote for; settl(?:e|ed|ing) on;
    st(?:ick|and) (?:with|by); guess; conclude; think; believe;
    (?:left|leaves|leaving)(?: us)?(?: only)?(?: with)?
""")
_GOOD = _any(r"""
    accurate; appropriate; suitable; plausible; likely; probable; reasonable; closest; valid;
    nearest; consistent; only; one; winner; match; better; option; choice
""")
_FITS = _any(r"""
    match(?:es)?; fits?; satisf(?:y|ies); agrees?; works?; holds?; stands out; remains?;
    corresponds?; describes?; explains?; represents?; correctly; best; wins; says; states
""")
_LEADS_TO = _any(r"""
    match(?:es)?; correspond(?:s|ing)? to; consistent with; agrees? with; closest to; fits;
    supports; confirm(?:s|ing)?; arrive at; obtain; get; gives?(?: us)?; yields?;
    leads?(?: us| me)? to;
    points to; indicates; makes (?:it|this|that); there (?:is|are); what
""")
_MAY_FOLLOW = _any(r"""
    because; since; as; given; with; for; in; at; due; based; not; but; rather; instead; which;
    where; when; while; though; although; by; from; then; so; if; among; according; exactly; best;
    it; after; or; to; over
""")
_ENDS = rf"(?= ?(?:$|[.,;:!)(\]–—=✓✗-]|[^\x00-\x7f◆◇◈○]|{_MAY_FOLLOW}\b))"
_FOREIGN = "|".join(f"{r.answer}|{r.option}" for name, r in LANGUAGES.items() if name != "English")
_FOREIGN = re.sub(r"(?<!\w)option\|", "", _FOREIGN)  # which is English, too

_AFTER_LEAD = re.compile(rf"{_FILL}{_LIST}{_ENDS}", re.IGNORECASE)
_STRONG = _patterns(
    rf"\b{_NOUN}\b(?:(?!\b(?:depends|would|not|than|asks|other)\b)[^◆◇◈○.:;?]){{0,60}}?"
    rf"{_IS}{_FILL}{_LIST}{_ENDS}",
    rf"\banswer{_NON}{{0,6}}{_LIST}{_ENDS}",
    rf"^{_NON}*(?:option|choice|letter|result|conclusion|solution|correct|final){_NON}{{1,6}}"
    rf"{_LIST}{_ENDS}",
    rf"{_LIST}(?: {_SEEMS})?{_FILL}(?:correct|right|true|answer)\b",
    rf"{_LIST} is the (?:only )?{_NOUN} (?:that|which)\b",
    rf"{_LIST} {_SEEMS} (?:clearly )?the (?:only )?(?:best|closest|winner)\b",
    rf"{_LIST}(?:,? it (?:is|must be)| is what (?:we|i|the))\b",
    rf"{_LIST} ?[:–—-]? ?(?:✓|(?:yes|correct|right)\b)",
    rf"\b{_CHOOSE}\b(?: that| it's| it is| only|:)*{_FILL}{_LIST}{_ENDS}",
    rf"(?:^{_NON}*|, )(?:{_SO}|probably|most likely|{_IT_IS})\b[, ]*(?:{_IT_IS} )?{_LIST}{_NON}*$",
    rf"(?:{_FOREIGN})[^◆◇◈○.:;?]{{0,30}}?{_FILL}{_LIST}{_ENDS}",
    rf"选(?:择|擇)?(?:项|項)?[ :]*{_LIST}",
    rf"{_LIST} ?(?:是|为)?正确",
)
_WEAK = _patterns(
    rf"{_IS}{_FILL}{_LIST}{_ENDS}",
    rf"\({_LIST} ?\)",
    rf"(?:[,–—-]|i\.e\.,?) ?{_LIST}{_NON}*$",
    rf"\b{_LEADS_TO}\b{_FILL}{_LIST}",
    rf"{_LIST}(?: {_SEEMS}{_FILL}{_GOOD}|{_FILL}{_FITS})\b",
    rf"^{_NON}*{_SO}\b,? {_LIST}{_ENDS}",
    rf"(◈{SIGN}){_NON}*$",
    rf"\b(?:(?<!half )of|as|at) (○{SIGN}){_NON}*$",
)
_THIS = re.compile(rf"{_NON}*(?:{_SO},? )?(?:this|that|which|it|the result)\b", re.IGNORECASE)
_LABEL = re.compile(rf"^{_NON}*{_LIST} ?(?:[).:,(]|[–—-] )")
_BEFORE_ALONE = re.compile(
    rf"(?:{_NON}|(?:{_SO}|{_IT_IS}|{_FILLER}|by elimination|guess)\b)*", re.IGNORECASE
)
_TO_THE_END = re.compile(rf"{_LIST}{_NON}*$")

# --- words beside it: what is denied, a reason, open, or taken back

_NOT = _any(r"""
    not; cannot; never; neither; nor; without; exclud(?:es?|ed|ing); eliminat(?:es?|ed|ing); avoid;
    reject(?:s|ed)?; discard(?:s|ed)?; dismiss(?:es|ed)?; (?:rul(?:es?|ed|ing)|leav(?:es?|ing)) out;
    rather than; instead of; unlike; than; other than; opposed to; except(?: for)?; all but;
    anything but; unlikely(?: to be)?; such as; like; e\.g\.; for example; including;
    compared (?:to|with); consider(?:ing)?; check(?:ing)?; what about; look(?:ing)? at; others?; n t
""")
_WRONG = _any(r"""
    wrong; incorrect; false; impossible; excluded; eliminated; ruled out; not; too; out; invalid;
    implausible; inconsistent; unlikely; off; unphysical; rejected; discarded
""")
_FAILS = _any(r"""
    cannot; can't; fails?; contradicts?; violates?; ignores?; neglects?; lacks?; overestimates?;
    underestimates?; needs?; requires?
""")
_OTHER = _any(r"""
    other; naive; intuitive; obvious; tempting; popular; next; first; second; third; fourth; last;
    previous; earlier
""")
_NOT_THE_ONE = (  # words in front of what is not the answer
    r"\b(?:not|wrong|incorrect|false|least|worst|excluded|eliminated|distractors?|inconsistent|"
    rf"{_OTHER}(?:(?= is\b| are\b| to\b)"
    r"|(?: \w+)? (?:options?|choices?|answers?|thoughts?|guess|statements?)))"
    r"(?: (?!so\b|hence|thus|therefore|but\b|and\b|while)[\w']+){0,5}:?"
)
_DENIED = re.compile(
    rf"(?:{_NOT_THE_ONE}|✗) ?{_MANY}"
    rf"|(?:\b{_NOT}\b|n't),? (?:be )?(?:the )?(?:correct |right |other )?"
    rf"(?:answer |options? |choices? )?[(]?{_MANY}"
    rf"|{_MANY} ?[:–—-]? ?(?:✗|(?:wrong|incorrect|false|no)\b)"
    rf"|{_MANY},? (?:which |that )?(?:(?:is|are|was|were|can|could|does|do|would|has)"
    r"(?:n't|(?: all| both| either| each| also| simply| clearly)*(?: be)?(?: \w+ly)?(?: the)? "
    rf"{_WRONG}\b)|{_FAILS}\b)",
    re.IGNORECASE,
)
_REASON = _any("""
    although; though; even though; even if; while; whereas; because; since; unlike; as opposed to
""")
_BESIDE = _patterns(
    rf"(?:(?<=[.;] )|^)(?:{_REASON}|between|of|among)\b[^.;]{{0,200}}?,"
    r"(?! ?[◆◇◈○]. ?,| ?(?:and|or) ?[◆◇◈○])",
    rf"\b(?:{_REASON}|rather than|instead of)\b(?:(?!\b(?:so|thus|hence|therefore)\b)[^.;])*",
)
_ASIDE = _patterns(  # in brackets: what is said of an option, and what mentions others
    rf"({_MARK}) ?\([^()◆◇◈○]*\)",
    r"()\((?![^()]*\b(?:i\.e|which|that is|so|hence|answer|matching)\b)[^()◆◇◈○]*"
    r"(?:[a-z]{2,}[^()]*[◆◇◈○]|[◆◇◈○][^()]*[a-z]{2,})[^()]*\)",
)
_OPEN = re.compile(  # asked, imagined, or said of others
    r"\?$|^\W*(?:case [0-9]|if (?!i (?:had|have) to)|initially,? i\b)|first glance|at first,? i\b|"
    r"\bif\b.*\bwould\b|\bwould\b.*\b(?:if|for)\b|\b(?:were|without)\b.*\bwould\b|\bunless\b|"
    rf"{SIGN} if\b|\b(?:depends on|whether)\b[^,;]*{_MARK}|\b(?:could|might|may) (?:also )?be\b|"
    r"\b(?:one|some|many|students?|people|you|others?) (?:might|may|could|would|often|tend)\b|"
    r"\b(?:some|many|most) (?:would|people|students?|sources?|textbooks?)\b|"
    r"\b(?:thought|assumed|guessed|believed|expected) (?:that )?(?:the answer|it|[◆◇◈○])|"
    r"(?:n't|\bnot|\bnever) (?:think|believe|choose|pick|select|say)\b|(?<!no )(?<!out )\bdoubt\b|"
    r"\blet(?:'s| us| me) (?:now )?(?:consider|check|look|examine|test|try|think)\b|"
    r"\btempt|\bgoing to say|(?:common|be an?|by) mistake\b|\bwrong to\b",
    re.IGNORECASE,
)
_RETRACTS = re.compile(
    r"^\W*(?:(?:but|however|yet)\b,? ?)?(?:(?:wait|hmm|hold on|actually|oops|sorry|no)\b.*"
    r"(?:\bno\b|wrong|not right|not correct|incorrect|mistake|error)"
    r"|(?:this|that|it)(?: fails|(?: is|'s) (?:wrong|incorrect|not (?:right|correct)))"
    r"|i made an? (?:mistake|error)|correction)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?…;]) +(?!\()|, (?=but\b|however\b|yet\b)", re.IGNORECASE)
_LONGEST = 400  # characters of a sentence; of a longer one its beginning and its end are read


def sentences(line: str) -> list[str]:
    """The sentences of a line in their order."""
    found = []
    for sentence in _SENTENCE.split(line):
        long = len(sentence) > _LONGEST
        found += [sentence[: _LONGEST // 2], sentence[-_LONGEST // 2 :]] if long else [sentence]
    return found


def claim_of(sentence: str) -> str:
    """What a sentence claims: without its reasons and the options that it says are not right."""
    for aside in _ASIDE:
        sentence = aside.sub(r"\1", sentence)
    for beside in (*_BESIDE, _DENIED):
        sentence = beside.sub(" ", sentence)
    sentence = " ".join(sentence.split())
    return "" if is_open(sentence) else sentence


def is_open(text: str) -> bool:
    """Whether a text asks, imagines, or tells what others say."""
    return bool(_OPEN.search(text))


def is_denied(text: str) -> bool:
    """Whether a text denies an option."""
    return bool(_DENIED.search(text))


def retracts(sentence: str) -> bool:
    """Whether a sentence takes back what was said before it."""
    return bool(_RETRACTS.search(sentence))


def strong(claim: str) -> str | None:
    """The letter of the option that a claim calls the answer, `SEVERAL`, or None."""
    found = _called(claim)
    return _one(found[-1][1], SEVERAL) if found else None


def called_answer(claim: str) -> str | None:
    """The options that a claim about the answer says it is, as it lists them; the last list."""
    found = [match[1] for match in _called(claim) if match.start(1) > match.start()]
    return found[-1] if found else None


def called_right(claim: str) -> list[str]:
    """Every option or list of options that a claim is about and calls right: `◆C is correct`."""
    return [match[1] for match in _called(claim) if match.start(1) == match.start()]


def _called(claim: str) -> list[re.Match[str]]:
    """Where a claim calls options the answer, in their order; the first group is their list."""
    found = [match for _, end in lead_ins(claim) if (match := _AFTER_LEAD.match(claim, end))]
    found += [match for pattern in _STRONG for match in pattern.finditer(claim)]
    return sorted(found, key=lambda match: match.start(1))


def weak(claim: str) -> str | None:
    """The letter of the only option in a claim that seems to conclude with it."""
    return _one(claim) if concluded(claim) else None


def concluded(claim: str) -> str | None:
    """The options that a claim seems to conclude with, as it lists them; the last list of them."""
    if "○" in claim and re.search("[◇◈◆]", claim) and _one(claim):  # its letter and its text
        return claim
    found = [match for pattern in _WEAK for match in pattern.finditer(claim)]
    if not found:
        return None
    place = max(match.start(1) for match in found)
    # a pattern may begin inside the list
    return next(m[0] for m in _MANY_ALONE.finditer(claim) if m.start() <= place < m.end())


def concludes(claim: str, names: bool) -> bool:
    """Whether a claim in the midst of an answer may be its conclusion: `this agrees with ◆C`.

    Where letters are `names` of other things, a letter alone is no option.
    """
    return "◆" in claim or (not names and bool(_THIS.match(claim)))


def labelled(claim: str) -> str | None:
    """The letter that a claim begins with as with a label: `◇C) the gap is small`."""
    return _one(claim) if _LABEL.match(claim) else None


def alone(line: str) -> str | None:
    """The letter of the option that a line consists of; a colon announces something else."""
    found = all_of(line)
    return _one(found) if found else None


def all_of(line: str) -> str | None:
    """The options that a line consists of, as it lists them; a colon announces something else."""
    match = _TO_THE_END.match(line, _BEFORE_ALONE.match(line).end())
    return match[1] if match and not line.endswith((":", "?")) else None


def denied(sentence: str) -> set[str]:
    """The letters of the options that a sentence denies."""
    return letters("".join(match[0] for match in _DENIED.finditer(sentence)))


def _one(text: str, several: str | None = None) -> str | None:
    found = letters(text)
    return found.pop() if len(found) == 1 else several
