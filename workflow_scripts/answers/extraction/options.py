r"""The options of a question, and which of them a text is: by its own text or by its value.

    4.2 eV        4.20\,\text{eV}        \frac{21}{5} eV        k = 4.2 eV

`plain` takes away what only sets a text, so that an option is found however it is written.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from workflow_scripts.answers.comparison.notation import MAX_NUMBER, clean
from workflow_scripts.answers.comparison.units import known, quantity
from workflow_scripts.artefacts.records import IN_QUESTION

_FONTS = re.compile(
    r"\\(?:text[a-z]{0,2}|math[a-z]{1,4}|boldsymbol|bm|mbox|boxed|fbox|ce|operatorname)\s*"
    r"\{([^{}]*)\}"
)
_SCRIPT = re.compile(r"([\^_])\{([^{}]*)\}")
_TIMES = re.compile(r"(?<=[0-9]) ?x ?(?=10\b)")
_ROOT = re.compile(r"\\sqrt\s*\{([^{}]*)\}")
_FRACTION = re.compile(r"\\[dt]?frac\s*(?:\{([^{}]*)\}|([0-9]))\s*(?:\{([^{}]*)\}|([0-9]))")
_BOLD_LETTER = re.compile(r"(?<!\w)(?:\*\*|__|`)([A-Z])(?:\*\*|__|`)(?!\w)")
_STRUCK = re.compile(r"~~[^~\n]*~~")
_TAG = re.compile(r"</?(?:[a-z_]{1,15}|[A-Z_]{2,15})>")
_ABOUT_EQUAL = re.compile(r"\\(?:approx|sim|simeq)(?![A-Za-z])")
_ARROW = re.compile(r"\\(?:[Rr]ightarrow|to|implies|longrightarrow)(?![A-Za-z])|->")
_COMMAND = re.compile(
    r"\\(?:[$,;:! ()\[\]{}]|(?:q?quad|left|right|bf|rm|it|sf|displaystyle|times|cdot)(?![A-Za-z]))"
)
_SIGNS = str.maketrans(
    dict.fromkeys("−﹣‐‑", "-")
    | dict.fromkeys("→⇒➡➜⟹⟶👉", " => ")
    | dict.fromkeys("✅✓✔☑", " ✓ ")
    | dict.fromkeys("❌✗✘✖", " ✗ ")
    | dict.fromkeys("≈∼", " = ")
    | dict.fromkeys('×·⋅~*`"“”„«»$#\ufe0f\u200b\u200d', " ")
    | dict.fromkeys("{}^_", "")
    | {"√": "sqrt", "ħ": "hbar", "ℏ": "hbar", "⁄": "/", "∕": "/", "°": " deg ", "’": "'"}
    | {"。": ". ", "：": ": ", "，": ", ", "、": ", "}
)
_PICTURE = re.compile("[\U0001f000-\U0001faff\u2600-\u2712\u2728-\u274b]|[\ue000-\uf8ff◆◇◈○]")
_QUOTE = re.compile(r"(?<!\w)'|'(?!\w)")
_SPACES = re.compile(r"[^\S\n]+")

_ARTICLE = re.compile(r"\b(?:the|an?) (?=[a-z]{3})", re.IGNORECASE)
_NAME = re.compile(r"[^\W\d_]{1,5} ?= ?(?=\S)")  # of a quantity
_ABOUT = re.compile(
    r"(?:about|approximately|roughly|approx\.?|~|≈|\\approx|\\sim)\s*", re.IGNORECASE
)


@dataclass(frozen=True)
class Option:
    """An option: its letter, its text as it is compared, a pattern of it in a sentence, its value.

    `pattern` is None where the text is so short that a sentence may have it by chance.
    """

    letter: str
    key: str
    pattern: re.Pattern[str] | None
    value: tuple[Fraction, str] | None

    @property
    def is_long(self) -> bool:
        """Whether the text is so long that a sentence has it only where it means the option."""
        return len(self.key) > 14 and not self.key.isdigit()


@lru_cache(maxsize=256)
def options_of(choices: tuple[str, ...] | None) -> tuple[Option, ...]:
    """The options of a question in their order; the first has the letter A.

    Without choices, which stand in the question then, they are letters alone.
    """
    if choices is None:
        return tuple(Option(letter, "", None, None) for letter in IN_QUESTION)
    return tuple(
        Option(chr(ord("A") + n), _key(text), _pattern(text), _value(text))
        for n, text in enumerate(choices)
    )


def plain(text: str) -> str:
    """A text without fonts, emphasis, dollar signs, braces, signs of powers and quotes."""
    text = _TIMES.sub(
        " ",
        _SCRIPT.sub(r"\1\2", _STRUCK.sub(" ", text.replace("<answer>", "Answer: "))).replace(
            r"\AA", "Å"
        ),
    )
    for _ in range(2):  # `\textbf{\text{C}}`
        text = _ROOT.sub(r"√\1", _FONTS.sub(r"\1", text))
        text = _FRACTION.sub(lambda m: f"{m[1] or m[2] or ''}/{m[3] or m[4] or ''}", text)
    text = _ABOUT_EQUAL.sub("=", _TAG.sub(" ", _BOLD_LETTER.sub(r"[\1]", text)))
    text = _COMMAND.sub(" ", _ARROW.sub(" => ", text)).replace("\\", " ")
    text = unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS)
    return _SPACES.sub(" ", _QUOTE.sub(" ", _PICTURE.sub(" ", text)))


def option_of(text: str, options: Sequence[Option]) -> str | None:
    """The letter of the only option whose text or value a text is."""
    said, value = _key(text), _value(text)
    for found in (
        [option.letter for option in options if said and option.key == said],
        [option.letter for option in options if said and option.key.lower() == said.lower()],
        [option.letter for option in options if value and _same_value(option.value, value)],
    ):
        if found:
            return found[0] if len(found) == 1 else None
    return None


def letter_alone(text: str, options: Sequence[Option]) -> str | None:
    """The letter that a text is and nothing else; `(c)` is that letter too."""
    text = plain(text).strip(" ()[].:,!")
    return next((option.letter for option in options if option.letter == text.upper()), None)


def _key(text: str) -> str:
    """A text without spaces, articles and the name in front of a value."""
    squeezed = re.sub(r"\s+", "", _ARTICLE.sub("", plain(text))).strip(".,;:!=")
    return _NAME.sub("", squeezed) if squeezed.count("=") == 1 else squeezed


def _pattern(choice: str) -> re.Pattern[str] | None:
    text = plain(choice).strip(" =").rstrip(".")
    text = _NAME.sub("", text) if text.count("=") == 1 else text
    tokens = re.findall(r"[^\W\d_]+|[0-9]+|\S", _ARTICLE.sub("", text))
    if len("".join(tokens)) < 4 and not re.search("[0-9]", text):
        return None
    own = r"\s*(?:(?:the|an?)\s+)?".join(map(re.escape, tokens))
    # a text of its own is no part of another one, of a number or of a formula
    return re.compile(
        rf"(?<![\w/±-])(?<!\w\+)(?<![0-9]\.)(?<!\S [+/-] )(?:(?:[Aa]n?|[Tt]he) )?{own}"
        r"(?![\w/^+-])(?!\.[0-9])(?! ?[+=/^](?!>))",
        re.IGNORECASE if re.search("[a-z]{4}", text) else 0,
    )


def _value(text: str) -> tuple[Fraction, str] | None:
    r"""Number and unit of a quantity: `4.20\,\text{eV}` and `21/5 eV` are the same one."""
    if len(text) > MAX_NUMBER:
        return None
    found = quantity(clean(_NAME.sub("", _ABOUT.sub("", text.strip()), count=1)))
    if found is None:
        return None
    number, unit = found[0], _key(found[1])
    return number, known(unit) or unit


def _same_value(value: tuple[Fraction, str] | None, said: tuple[Fraction, str]) -> bool:
    """Whether a value is what is said; the unit may be left out, but be no other one."""
    return bool(value) and value[0] == said[0] and (said[1] in ("", value[1]) or not value[1])
