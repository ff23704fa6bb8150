r"""Words with which a language leads to an answer: the only place where they are listed.

    The final answer is: 17    Réponse : 17    Правильный ответ — 17    答案是 17    정답은 17입니다

A language has a row in `LANGUAGES`; every field is a regular expression of alternatives.
`lead_ins` finds them in a text, and `words` gives readers of sentences those of one sort.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """Alternatives of regular expressions; empty where a language has none that matter.

    `answer`: what names an answer, and `final` what stands behind that (`réponse finale`).
    `option`: what names one of several choices. `is_`: what stands between a subject and its value.
    `so`: what begins a conclusion. `no`: what denies in front of a value. `of`: what puts a number
    beside the matter (`in 5 days`). `since`: what begins a reason or a condition. `and_`, `or_`:
    what joins the last of several. `plurals`: several answers, each with what is said of one.
    `spaced`: whether there are spaces between words.
    """

    answer: str
    option: str
    is_: str
    so: str
    no: str
    of: str = ""
    since: str = ""
    and_: str = ""
    or_: str = ""
    final: str = ""
    plurals: tuple[tuple[str, str], ...] = ()
    spaced: bool = True


LANGUAGES = {
    "English": Language(
        answer=r"answer|ans(?!\w)|final\s+result",
        option="option|choice",
        is_=r"(?:is|are|be)\s+equal\s+to|(?:is|are|lies)\s+at(?!\s+(?:least|most))|"
        r"is|are|was|were|be|equals?|becomes?|comes?\s+(?:out\s+)?to"
        r"(?:\s+be)?|turns?\s+out\s+to\s+be|amounts?\s+to|totals",
        so="so|thus|hence|therefore|consequently|finally|accordingly|overall|in\\s+conclusion|"
        "as\\s+a\\s+result|this\\s+means(?:\\s+that)?|"
        "it\\s+follows\\s+that|we\\s+conclude(?:\\s+that)?",
        no=r"not|never|nor|neither|cannot|\w+n['’]t|without",
        of="of|in|for|from|with|by|at|on|after|before|within|during|every|each|per|into|among|"
        "through|using|over|throughout|onto|upon|until|via|across|modulo",
        since="because|since|which|where|when|if|as|while|once|whose|although|though|assuming|"
        "given\\s+that|whenever|unless",
        final="choice|option|key",
        and_=r"and|as\s+well\s+as|plus",
        or_=r"or",
        plurals=(
            (r"(?:correct|right|true|valid)\s+(?:answers|options|choices|statements)", "answer"),
            (r"(?:options|choices|statements)\s+(?:that|which)\s+(?:are|hold)", "answer is"),
            ("answers", "answer"),
        ),
    ),
    "German": Language(
        answer="(?:end)?antwort|(?:end)?ergebnis|lösung",
        option="option|antwortmöglichkeit|möglichkeit|auswahl",
        is_="ist|sind|lautet|beträgt|betragen|ergibt|gleich|wäre",
        so="somit|daher|deshalb|folglich|damit|demnach|insgesamt|schließlich",
        no="nicht|keine?|nie|weder|noch",
        of="von|in|im|für|aus|mit|bei|durch|an|am|auf|nach|vor|pro|je|zu|der|des|um",
        since="weil|da|wenn|falls|wobei|denn|als|während",
        and_=r"und|sowie",
        or_=r"oder",
        plurals=(
            ("(?:end)?antworten", "antwort"),
            ("ergebnisse", "ergebnis"),
            (r"richtigen\s+(?:optionen|antwortmöglichkeiten|aussagen)", "antwort"),
        ),
    ),
    "French": Language(
        answer="réponse|reponse|résultat",
        option="option|choix|proposition",
        is_="est|sont|vaut|valent|égale?\\s+à|fait|serait",
        so="donc|ainsi|par\\s+conséquent|alors|finalement|d['’]où|en\\s+conclusion",
        no="pas|jamais|ni|aucun",
        of="de|des|du|en|dans|pour|par|avec|sur|à|au|aux|après|avant|chaque",
        since="car|puisque|parce\\s+que|lorsque|quand|si|comme|où",
        final="finale?|correcte?|exacte?|juste",
        and_=r"et",
        or_=r"ou",
        plurals=(
            (r"(?:réponses|options|propositions)\s+(?:correctes|exactes|justes|vraies)", "réponse"),
            (r"(?:bonnes|justes)\s+(?:réponses|options|propositions)", "réponse"),
            ("réponses", "réponse"),
        ),
    ),
    "Spanish": Language(
        answer="respuesta|resultado",
        option="opción|alternativa|opcion",
        is_="es|son|sería|será|igual\\s+a|equivale\\s+a",
        so="entonces|así|por\\s+(?:lo\\s+)?tanto|luego|finalmente|en\\s+conclusión|por\\s+ende",
        no="no|nunca|ni",
        of="de|del|en|para|por|con|entre|sobre|después\\s+de|cada|a",
        since="porque|ya\\s+que|pues|cuando|donde|si",
        final="final|correcta|correcto",
        and_=r"y|e",
        or_=r"o|u",
        plurals=(
            (r"(?:respuestas|opciones|alternativas)\s+correctas", "respuesta correcta"),
            ("respuestas", "respuesta"),
        ),
    ),
    "Portuguese": Language(
        answer="resposta|resultado",
        option="opção|alternativa|opcao",
        is_="é|são|será|seria|igual\\s+a|vale",
        so="então|assim|portanto|logo|por\\s+isso|finalmente|em\\s+conclusão",
        no="não|nunca|nem",
        of="da|do|das|dos|em|no|na|com|sobre|após|cada",
        since="pois|já\\s+que|quando|onde|se",
        final="final|correta|correto|certa",
        and_=r"e",
        or_=r"ou",
        plurals=(
            (r"(?:respostas|opções|alternativas)\s+(?:corretas|certas)", "resposta correta"),
            ("respostas", "resposta"),
        ),
    ),
    "Italian": Language(
        answer="risposta|risultato",
        option="opzione|scelta",
        is_="è|sono|vale|sarebbe|sarà|uguale\\s+a",
        so="quindi|dunque|pertanto|perciò|allora|infine|in\\s+conclusione",
        no="non|mai|né",
        of="di|del|della|dei|in|per|da|con|su|dopo|ogni",
        since="perché|poiché|quando|dove|se",
        final="finale|corretta|giusta|esatta",
        and_=r"e|ed",
        or_=r"o|oppure",
        plurals=(
            (r"(?:risposte|opzioni)\s+(?:corrette|giuste|esatte)", "risposta corretta"),
            ("risposte", "risposta"),
        ),
    ),
    "Dutch": Language(
        answer="antwoord|uitkomst",
        option="optie|keuze",
        is_="is|zijn|luidt|bedraagt",
        so="dus|daarom|derhalve|kortom|uiteindelijk",
        no="niet|geen|nooit",
        of="van|voor|uit|met|bij|door|op|na|per",
        since="omdat|want|als|wanneer|waarbij",
        and_=r"en",
        or_=r"of",
        plurals=(
            ("antwoorden", "antwoord"),
            (r"juiste\s+(?:opties|keuzes)", "antwoord"),
        ),
    ),
    "Polish": Language(
        answer="odpowied(?:ź|zią|z)|wynik(?:iem)?",
        option="opcja|wariant|odpowiedź",
        is_="to|jest|są|wynosi|wynoszą|brzmi|równa\\s+się|jest\\s+równ[aey]",
        so="zatem|więc|stąd|czyli|dlatego|ostatecznie|podsumowując",
        no="nie|ani|nigdy",
        of="z|ze|w|we|na|przez|dla|po|do|od|co",
        since="ponieważ|bo|gdyż|gdy|jeśli|kiedy",
        final="końcowa|ostateczna|prawidłowa|poprawna",
        and_="i|oraz",
        or_=r"lub|albo",
        plurals=(("odpowiedzi", "odpowiedź"),),
    ),
    "Czech": Language(
        answer="odpověď|výsledek",
        option="možnost|volba",
        is_="je|jsou|činí|zní",
        so="tedy|proto|takže|tudíž",
        no="není|nejsou|ne",
        of="z|ze|v|ve|na|pro|po|do|od|za",
        since="protože|když|pokud|jestliže",
        and_=r"a|i",
        or_=r"nebo",
        plurals=(("odpovědi", "odpověď"),),
    ),
    "Russian": Language(
        answer="ответ(?:ом)?|результат",
        option="вариант|опция",
        is_="это|есть|равн[аоы]|равен|составляет|составляют|является|будет",
        so="итак|значит|следовательно|поэтому|таким\\s+образом|отсюда|тогда",
        no="не|ни|нет",
        of="из|в|во|на|за|по|с|со|для|от|при|через|до|у|к",
        since="потому\\s+что|так\\s+как|поскольку|если|когда|где|при\\s+этом",
        final="равен",
        and_="и",
        or_=r"или|либо",
        plurals=(
            ("ответы", "ответ"),
            (r"(?:правильные|верные)\s+варианты", "ответ"),
        ),
    ),
    "Ukrainian": Language(
        answer="відповід(?:ь|дю)|результат",
        option="варіант",
        is_="це|дорівнює|становить|є|буде",
        so="отже|тому|таким\\s+чином|звідси",
        no="не|ні",
        of="із|з|у|в|на|за|по|для|від|до",
        since="тому\\s+що|оскільки|якщо|коли|де",
        and_=r"і|та|й",
        or_=r"або|чи",
        plurals=(("відповіді", "відповідь"),),
    ),
    "Turkish": Language(
        answer="cevap|cevabı|yanıt|sonuç",
        option="seçenek|şık",
        is_="eşittir",
        so="bu\\s+nedenle|dolayısıyla|sonuç\\s+olarak|böylece",
        no="değil",
        of="için|ile",
        since="çünkü|eğer",
        and_=r"ve|ile",
        or_=r"veya|ya\s+da",
        plurals=(
            ("cevaplar", "cevap"),
            (r"(?:doğru\s+)?(?:seçenekler|şıklar)", "cevap"),
            ("yanıtlar", "yanıt"),
        ),
    ),
    "Vietnamese": Language(
        answer="đáp\\s+án|đáp\\s+số|câu\\s+trả\\s+lời|kết\\s+quả",
        option="phương\\s+án|lựa\\s+chọn",
        is_="là|bằng",
        so="vậy|do\\s+đó|suy\\s+ra|vì\\s+vậy",
        no="không",
        of="trong|của|với|cho|từ|mỗi",
        since="vì|khi|nếu|do",
        final="đúng|cuối\\s+cùng",
        and_=r"và",
        or_=r"hoặc|hay",
    ),
    "Chinese": Language(
        answer="答案|答",
        option="选项|選項",
        is_="是|为|為|等于|等於|即",
        since="因为|因為|由于|如果|当",
        so="所以|因此|故|综上|綜上|于是|從而|从而|因而",
        no="不是|不为|不等于|不能|不可能|并非|不",
        spaced=False,
        and_=r"和|与|與|及|以及|跟",
        or_=r"或|或者",
    ),
    "Japanese": Language(
        answer="答え|解答|正解|回答|答",
        option="選択肢",
        is_="は|が",
        since="",
        so="よって|したがって|従って|ゆえに|故に|すなわち|以上より|以上から",
        no="",
        spaced=False,
        and_=r"と|および|及び",
        or_=r"または|か",
    ),
    "Korean": Language(
        answer="정답|해답|답변|답",
        option="선택지|보기",
        is_="은|는|이|가",
        so="따라서|그러므로|그래서|즉|결국",
        no="",
        spaced=False,
        and_=r"와|과|및|그리고",
        or_=r"또는|이나|혹은",
    ),
}


def alternatives(*fields: str) -> str:
    """One group of what any language has in these fields."""
    return f"(?:{'|'.join(getattr(row, f) for row in LANGUAGES.values() for f in fields)})"


_MARKS = (
    r"[\s*_`}\"]{0,12}"  # emphasis, quotes, line ends and the brace of a \text{} around a lead-in
)
_SIGN = rf"{_MARKS}(?:[:：]|(?:=>|[=→⇒➡]\ufe0f?|\s[-–—](?=\s)))"
_WORD_ENDS = r"(?![^\W\d_])"
_HURRY = (  # between "is" and what is stated
    r"(?:(?:therefore|thus|then|indeed|hence|simply|just|clearly|probably|likely|most\s+likely|"
    rf"given\s+by|equal\s+to|donc|also|więc|zatem|por\s+tanto|portanto){_WORD_ENDS})"
)


def _tail(row: Language) -> str:
    """What leads from the noun to the answer: a sign or a verb."""
    if not row.spaced:  # `答案是：17`, `정답은 17입니다`
        return rf"{_MARKS}(?:[:：]|(?:{row.is_})[\s:：,，、]{{0,3}}){_MARKS}"
    final = rf"(?:\s+(?:{row.final}))?" if row.final else ""
    # `Answer: 17`, `**Final answer** - 17`, `Réponse finale : 17`, `\text{{Answer: }}17`
    by_sign = rf"(?:\s?\([^()\n]{{1,30}}\))?{_SIGN}{_MARKS}"
    # `The answer to this is: 17`, `La respuesta correcta es 17`
    by_verb = (
        rf"(?:\s+(?:to|for|in)\s[^.:;\n]{{1,60}}?)?"
        rf"\s+(?:(?:must|would|should|will|has\s+to)\s+be|{row.is_}){_WORD_ENDS}"
        rf"\s{{0,3}}[:：]?{_MARKS}(?:(?:,\s{{0,3}})?{_HURRY}[\s,:*_]{{0,9}})?"
    )
    return rf"{final}(?:{by_sign}|{by_verb})"


_NOUNS = re.compile(alternatives("answer", "option"))
_ROWS = [
    (re.compile(row.answer), re.compile(row.option), re.compile(_tail(row)))
    for row in LANGUAGES.values()
]
# what may stand in front of the noun, and has to where it names an option: `Option: red` is a list
_BEFORE = re.compile(r"\b(?:(?:the|my)\s+)?(?:(?:final|correct|right|best|closest)\s+)?$")
# a line of its own, under which the answer stands: `### Final Answer`, `**Answer**`
_HEADING = re.compile(r"[ \t]{0,3}(?=[#*_])[#*_ ]{1,9}[^\n*_#|]{0,40}$")
_HEADING_ENDS = re.compile(rf"(?:\s\w{{1,12}})?[ :：*_#]{{0,9}}\n{_MARKS}")
_MARKED = re.compile(  # by a tag, or by GSM8K's mark
    r"<answer>\s{0,9}|^####[ ]{1,4}(?=[$-]{0,2}[0-9][^\n]{0,40}$)(?![0-9]{1,2}[.)] )", re.MULTILINE
)


def lead_ins(text: str) -> list[tuple[int, int]]:
    """Where every lead-in of a text starts and where it ends, which is where the answer begins."""
    lower = text.lower()
    if len(lower) != len(text):  # a few letters have longer small ones
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    found = [match.span() for match in _MARKED.finditer(lower)]
    for noun in _NOUNS.finditer(lower):
        start = noun.start()
        if start and lower[start - 1].isalnum() and noun[0].isascii():
            continue  # inside a word
        before = _BEFORE.search(lower, max(0, start - 24), start)
        line = lower.rfind("\n", max(0, start - 60), start) + 1
        for answer, option, tail in _ROWS:
            match = answer.match(lower, start) or (before and option.match(lower, start))
            if not match:
                continue
            end = tail.match(lower, match.end())
            if not end and _HEADING.fullmatch(lower, line, start):
                end = _HEADING_ENDS.match(lower, match.end())
            if end:
                found.append((before.start() if before else start, end.end()))
                break
    return sorted(found)


# "the answer is correct" states nothing
NO_STATEMENT = re.compile(
    r"[\s*_]{0,9}(?:correct|right|wrong|incorrect|verified|valid|consistent|clear|in|as|also|"
    r"unique|reasonable|given|found|obtained|expected|confirmed|so|to|that|what)\b",
    re.IGNORECASE,
)


def words(field: str, *languages: str) -> str:
    """What these languages have in a field, as a regular expression that matches whole words."""
    rows = [LANGUAGES[name] for name in languages]
    spaced = "|".join(w for row in rows if row.spaced and (w := getattr(row, field)))
    other = "|".join(w for row in rows if not row.spaced and (w := getattr(row, field)))
    return rf"\b(?:{spaced}){_WORD_ENDS}" + (f"|{other}" if other else "")


# what a model says to its reader when it is done
CLOSING = re.compile(
    r"\W*(?:I\s+hope|hope\s+(?:this|that)|let\s+me\s+know|feel\s+free|if\s+you\s+(?:have|need|would)|"
    r"please\s+(?:let|feel)|thank|is\s+there\s+anything|do\s+you\s+(?:have|want|need)|would\s+you\s+like|"
    r"happy\s+to\s+help|great\s+(?:question|job))\b",
    re.IGNORECASE,
)
