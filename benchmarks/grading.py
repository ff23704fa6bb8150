r"""How well and how fast answers are graded, on the right answers of real benchmarks.

    python -m benchmarks.grading forms data/math500.jsonl data/aime24.jsonl
    python -m benchmarks.grading others data/math500.jsonl data/aime24.jsonl
    python -m benchmarks.grading cases cases.jsonl
    python -m benchmarks.grading hostile --workers 2
    python -m benchmarks.grading speed data/math500.jsonl --workers 1 2

The files are JSONL with an `answer` in every row, whatever else is in it.

- `forms` writes every right answer in 21 ways in which models write answers, and lists each that
  is not graded right.
- `others` compares every two different right answers, and lists those that are found equal.
- `cases` grades the `answer` of every row against its `gold`, and lists those that are not as
  `right` says; groups are by `what`.
- `hostile` grades 1,000 texts that are meant to hang, crash or take over a grader.
- `speed` measures answers per second by number of workers.

The first three do it by math-verify alone as well, called as its README does: own code has to earn
its lines.
"""

import argparse
import itertools
import json
import logging
import random
import re
import time
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

import pandas as pd

from workflow_scripts.answers.comparison.notation import clean, rational
from workflow_scripts.answers.comparison.pool import Verdict, compare_all
from workflow_scripts.artefacts.records import Answer, Grade, Problem
from workflow_scripts.config.thinking import AnswerPrefix
from workflow_scripts.grading.grade_answers import grade

BEGUN = "begun by the format"
PREFIX = "Final Answer:"  # what a format may have written in front of an answer
PROSE = "This is what was asked for. I checked 3 cases and it held in all of them."


def read_answers(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """Ids and right answers of all files."""
    rows = []
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            rows.append((f"{path.stem}:{number}", str(json.loads(line)["answer"])))
    return rows


def forms_of(gold: str) -> Iterator[tuple[str, str]]:
    """Names of forms and whole answers in them, for the forms that apply."""
    value = rational(clean(gold))
    yield "boxed", rf"So we get $\boxed{{{gold}}}$."
    yield "boxed with spaces", rf"\[ \boxed {{ {gold} }} \]"
    yield "Final Answer", f"**Final Answer:** ${gold}$"
    if value is not None and not re.search(r"[A-Za-z%$]", gold.replace(r"\frac", "")):
        yield "unit", rf"\boxed{{{gold}\text{{ units}}}}"
        yield "dollar sign", rf"The total is \boxed{{\${gold}}}"
    if r"\frac" in gold or r"\dfrac" in gold:
        other = gold.replace(r"\dfrac", r"\frac").replace(r"\frac", r"\dfrac")
        yield "dfrac", rf"\boxed{{{other}}}"
    if value is not None and not set(_primes(value.denominator)) - {2, 5}:
        yield "decimal", rf"Answer: {_decimal(value)}"
    items = gold.removeprefix(r"\{").removesuffix(r"\}").split(",")
    if len(items) > 1 and not re.search(r"[()\[\]]|,\\!|begin|[0-9],[0-9]{3}", gold):
        items = [item.strip() for item in items][::-1]
        yield "reordered set", rf"\boxed{{{', '.join(items)}}}"
    if re.fullmatch(r"[0-9]+", gold):
        yield "leading zeros", rf"\boxed{{00{gold}}}"
    yield "Final Answer, bare", f"Final Answer: {gold}"
    yield "the answer is", f"Therefore, the answer is {gold}."
    yield "last line alone", f"We add both sides.\n\n{gold}"
    yield "display", f"So the final answer is:\n\n\\[\n\\boxed{{{gold}}}\n\\]"
    if plain_of(gold) != gold:
        yield "plain text", f"Answer: {plain_of(gold)}"
    if "," not in gold and "=" not in gold and "\\text" not in gold and r"\in" not in gold:
        yield "with a name", rf"\boxed{{x = {gold}}}"
    yield "trailing prose", f"The answer is ${gold}$. {PROSE}"
    yield "answer tag", f"<answer>\n{gold}\n</answer>\n\n{PROSE}"
    yield "list item", f"**Final Answer:**\n\n- ${gold}$\n"
    yield "line below", f"We add both sides.\n\n${gold}$\n\n---"
    yield BEGUN, f" ${gold}$. {PROSE}\n\nThe number of cases is $n = 3$."
    yield "truncated box first", rf"I think \boxed{{\frac{{1 is it. No: \boxed{{{gold}}}"


def plain_of(gold: str) -> str:
    """A right answer as it is written without LaTeX, as far as that is known here."""
    text = re.sub(r"\\(?:left|right)|,\\!\s*", "", gold)
    text = re.sub(r"([0-9]) ?\\frac\{([0-9]+)\}\{([0-9]+)\}", r"\1 \2/\3", text)
    text = re.sub(r"\\d?frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/(\2)", text)
    text = re.sub(r"\\frac\s*([0-9])([0-9])", r"\1/\2", text)
    text = re.sub(r"\\sqrt\{([^{}]*)\}", r" sqrt(\1)", text)
    text = text.replace(r"\pi", "pi").replace(r"^\circ", " degrees").replace(r"\infty", "infinity")
    return re.sub(r"\\(?:text|mbox)\{\s*([^{}]*)\}", r"\1", text).replace(r"\cup", "∪")


def _primes(number: int) -> Iterator[int]:
    divisor = 2
    while number > 1:
        while number % divisor == 0:
            yield divisor
            number //= divisor
        divisor += 1


def _decimal(value: object) -> str:
    """A fraction with a denominator of twos and fives as a decimal; a whole number as `3.0`."""
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    digits = max(digits, 1)
    whole, part = divmod(abs(int(value * 10**digits)), 10**digits)
    return f"{'-' if value < 0 else ''}{whole}.{part:0{digits}}"


def grade_texts(
    texts: Sequence[tuple[str, str]],
    workers: int,
    kind: str = "math",
    begun: Set[int] = frozenset(),
    cut: Set[int] = frozenset(),
) -> list[Grade]:
    """Grade pairs of a right answer and an answer's text, which the format began in `begun`.

    Those in `cut` ran out of tokens.
    """
    problems = [Problem(str(n), "?", gold, kind) for n, (gold, _) in enumerate(texts)]
    answers = [
        Answer(
            id=str(n),
            repeat=0,
            budget=1,
            seed=0,
            trace_tokens=1,
            trace_finish="length" if n in begun else "stop",
            answer_tokens=1,
            answer_finish="length" if n in cut else "eos",
            text=text,
        )
        for n, (_, text) in enumerate(texts)
    ]
    return grade(problems, answers, "benchmark", workers, AnswerPrefix(after_cap=PREFIX))


def by_math_verify(pairs: Sequence[tuple[str, str]]) -> list[bool]:
    """Whether math-verify alone finds the answer in a text, and finds it equal to the right one."""
    from math_verify import parse, verify

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    parsed = {gold: parse(f"${gold}$") for gold in dict.fromkeys(gold for gold, _ in pairs)}
    return [verify(parsed[gold], parse(text)) for gold, text in pairs]


def tabulate(
    expected: Sequence[tuple[str, bool]], ours: Sequence[bool], theirs: Sequence[bool]
) -> None:
    """By group: right answers that pass and wrong ones that do, here and by math-verify alone."""
    table = pd.DataFrame(expected, columns=["group", "right"]).assign(ours=ours, theirs=theirs)
    whole = table.assign(group="all")
    counts = pd.concat([table, whole]).groupby(["group", "right"], sort=False)
    counts = counts.agg(number=("ours", "size"), ours=("ours", "sum"), theirs=("theirs", "sum"))
    print(f"{'':40} {'should pass':>11} {'number':>6} {'passed':>6} {'by math-verify':>14}")
    for (group, right), row in counts.iterrows():
        should = "yes" if right else "no"
        print(f"{group[:40]:40} {should:>11} {row.number:6} {row.ours:6} {row.theirs:14}")


def cases(paths: Sequence[Path], workers: int) -> None:
    rows = [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]
    rows = [row for row in rows if row.get("kind", "math") == "math"]
    texts = [(row["gold"], row["answer"]) for row in rows]
    cut = {number for number, row in enumerate(rows) if row.get("finish") == "length"}
    grades = grade_texts(texts, workers, cut=cut)
    expected = [(row.get("what", "cases"), row["right"]) for row in rows]
    tabulate(expected, [result.correct for result in grades], by_math_verify(texts))
    for row, result in zip(rows, grades, strict=True):
        if result.correct != row["right"]:
            print(f"{row['gold']!r} in {row['answer']!r}: {result.extracted!r}, {result.reason}")


def forms(rows: Sequence[tuple[str, str]], workers: int) -> None:
    cases = [(name, gold, form, text) for name, gold in rows for form, text in forms_of(gold)]
    begun = {number for number, (_, _, form, _) in enumerate(cases) if form == BEGUN}
    grades = grade_texts([(gold, text) for _, gold, _, text in cases], workers, begun=begun)
    theirs = by_math_verify(
        [(gold, (PREFIX if form == BEGUN else "") + text) for _, gold, form, text in cases]
    )
    ours = [result.correct for result in grades]
    tabulate([(form, True) for _, _, form, _ in cases], ours, theirs)
    misses = [
        f"{name} {form}: {gold!r} in {text!r}: {result.extracted!r}, {result.reason}"
        for (name, gold, form, text), result in zip(cases, grades, strict=True)
        if not result.correct
    ]
    integers = [case for case in cases if re.fullmatch("-?[0-9]+", case[1])]
    whole = [(gold, text) for _, gold, _, text in integers]
    begun = {number for number, (_, _, form, _) in enumerate(integers) if form == BEGUN}
    graded = grade_texts(whole, workers, "integer", begun)
    as_integers = sum(result.correct for result in graded)
    print(f"whole numbers, as kind integer: {as_integers} of {len(whole)}")
    print("\n".join(misses) or "no misses")


def others(rows: Sequence[tuple[str, str]], workers: int, most: int | None) -> None:
    golds = sorted({gold for _, gold in rows})
    pairs = list(itertools.combinations(golds, 2))
    if most is not None and most < len(pairs):
        pairs = random.Random(0).sample(pairs, most)
    start = time.monotonic()
    verdicts = compare_all(pairs, workers)
    took = time.monotonic() - start
    equal = [pair for pair, verdict in verdicts.items() if verdict.equal]
    notes = [(pair, verdict.note) for pair, verdict in verdicts.items() if verdict.note]
    print(f"{len(pairs)} pairs of {len(golds)} different right answers, {took:.0f} s")
    print(
        f"graded wrong: {len(pairs) - len(equal)}; equal: {len(equal)}; not compared: {len(notes)}"
    )
    theirs = by_math_verify([(gold, rf"\boxed{{{answer}}}") for gold, answer in pairs])
    print(f"equal by math-verify alone: {sum(theirs)}")
    for pair in equal:
        print("equal:", *pair, sep="  ")
    for pair, passed in zip(pairs, theirs, strict=True):
        if passed and pair not in equal:
            print("equal by math-verify alone:", *pair, sep="  ")
    for pair, note in notes:
        print("not compared:", *pair, note, sep="  ")


def hostile_texts(count: int = 1000) -> list[str]:
    """Texts that are meant to hang, crash or take over a grader; the same ones every time."""
    draw = random.Random(0)
    n = draw.randrange
    makers = [
        lambda: "{" * n(10, 2000) + "x" + "}" * n(10, 2000),
        lambda: "(" * (k := n(5, 400)) + "1" + ")" * k,
        lambda: r"\frac{" * (k := n(5, 60)) + "1" + "}{2}" * k,
        lambda: r"\sqrt{" * (k := n(5, 60)) + "2" + "}" * k,
        lambda: "9^{" * (k := n(2, 12)) + "9" + "}" * k,
        lambda: f"{n(2, 99)}**{n(2, 99)}**{n(2, 99)}**{n(2, 99)}",
        lambda: f"({n(10, 99)}^{n(10, 99)})^{{{n(10, 99)}!}}",
        lambda: f"{n(10**3, 10**9)}!",
        lambda: "(" * 3 + f"{n(5, 99)}!)!)!",
        lambda: rf"\binom{{{n(10**6, 10**12)}}}{{{n(10**5, 10**6)}}}",
        lambda: rf"\operatorname{{eye}}({n(10**5, 10**9)})",
        lambda: rf"\sum_{{k=1}}^{{{n(10**6, 10**12)}}} \sin(k!)",
        lambda: rf"\int_0^{n(1, 9)} e^{{x^{{x^x}}}} dx",
        lambda: rf"\lim_{{x\to {n(1, 9)}}} \frac{{\sin x}}{{x^x}}",
        lambda: "9" * n(1_000, 1_000_000),
        lambda: "0." + "1" * n(1_000, 100_000),
        lambda: f"1e{n(10**3, 10**9)}",
        lambda: "x+" * n(50, 200) + "x",
        lambda: f"(x+1)^{{{n(100, 3000)}}}(y-1)^{{{n(100, 3000)}}}",
        lambda: rf"\cos(\sin(\cos(x^{{{n(10, 99)}}})))-\tan^{{{n(10, 99)}}}(x)",
        lambda: "__import__('os').system('touch /tmp/{}')".format("owned"),
        lambda: f"().__class__.__bases__[0].__subclasses__()[{n(0, 400)}]",
        lambda: "eval(compile('while True: pass', '', 'exec'))",
        lambda: 'exec("import os; os.kill(os.getppid(), 9)")',
        lambda: "lambda: (yield)",
        lambda: "$(sleep 1000); `rm -rf ~` && :(){ :|:& };:",
        lambda: "'; DROP TABLE grades; --",
        lambda: "\0" * n(1, 1000) + "1",
        lambda: "1\0" + str(n(1, 99)),
        lambda: "".join(chr(n(1, 0xD7FF)) for _ in range(n(1, 500))),
        lambda: "\u202e" + "".join(chr(n(0x300, 0x36F)) for _ in range(n(10, 500))),
        lambda: "\\" * n(1, 5000),
        lambda: "\\" + "a" * n(100, 5000),
        lambda: "$" * n(1, 5000),
        lambda: "^" * n(1, 300) + "_" * n(1, 300),
        lambda: "|" * n(3, 300) + "x" + "|" * n(3, 300),
        lambda: ",".join(str(n(0, 10**6)) for _ in range(n(100, 5000))),
        lambda: r"\{" + ",".join(f"x^{k}+{n(1, 9)}" for k in range(n(20, 60))) + r"\}",
        lambda: (
            r"\begin{matrix}"
            + r"\\".join("&".join("1" * 9) for _ in range(n(5, 80)))
            + r"\end{matrix}"
        ),
        lambda: r"\text{" * n(5, 500),
        lambda: "1" + "\\pm 1" * n(10, 300),
        lambda: "x<" * n(10, 300) + "1",
        lambda: r"\cup".join(f"({k},{k + 1})" for k in range(n(20, 300))),
        lambda: f"{'A' * n(1, 50)}_{{{n(0, 10**9)}}}",
        lambda: " " * n(10_000, 1_000_000) + "1",
        lambda: "answer is " * n(1_000, 50_000),
        lambda: "a" * n(1_000_000, 3_000_000),
        lambda: "\n" * n(1_000, 100_000) + "Answer:" * n(1, 1000),
        lambda: r"\gcd(" + "9" * 50 + "!, 3)",
        lambda: r"\log_{1}(1)-\frac{1}{0}+0^{-1}",
    ]
    texts = []
    for number in range(count):
        text = makers[number % len(makers)]()
        wrap = (r"\boxed{%s}", "Answer: %s", "%s")[number // len(makers) % 3]
        texts.append(wrap.replace("%s", text))
    return texts


GOLDS = [
    "2",
    r"\frac{1}{2}",
    "x^2+1",
    r"\text{even}",
    "(3,4]",
    "1,-2",
    "52_8",
    r"90^\circ",
    r"2\pi",
]


def hostile(workers: int) -> None:
    texts = hostile_texts()
    cases = [(GOLDS[number % len(GOLDS)], text) for number, text in enumerate(texts)]
    start = time.monotonic()
    grades = grade_texts(cases, workers)
    took = time.monotonic() - start
    counts: dict[str, int] = {}
    for result in grades:
        counts[result.reason] = counts.get(result.reason, 0) + 1
    print(f"{len(grades)} of {len(texts)} graded in {took:.1f} s with {workers} workers")
    for reason, number in sorted(counts.items(), key=lambda item: -item[1]):
        print(f"{number:6}  {reason}")
    for (gold, text), result in zip(cases, grades, strict=True):
        if result.correct:
            print("graded right:", repr(gold), repr(text[:80]), result.extracted)


def speed(rows: Sequence[tuple[str, str]], workers: Sequence[int]) -> None:
    """Every right answer of mathematics against itself in another form, the next one, and so on."""
    golds = [gold for _, gold in rows]
    pairs = [(gold, text) for gold in golds for form, text in forms_of(gold) if form != BEGUN]
    pairs += [(gold, rf"\boxed{{{golds[n - k]}}}") for n, gold in enumerate(golds) for k in (1, 2)]
    for count in workers:
        start = time.monotonic()
        verdict = compare_all([("x+y", "y+x")], count)  # the start alone
        assert verdict == {("x+y", "y+x"): Verdict(True)}
        first = time.monotonic() - start
        start = time.monotonic()
        grade_texts(pairs, count)
        took = time.monotonic() - start
        print(
            f"{count} workers: {len(pairs)} answers in {took:.1f} s, {len(pairs) / took:.0f} a "
            f"second, {first:.1f} s of it until the first comparison"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["forms", "others", "cases", "hostile", "speed"])
    parser.add_argument("files", nargs="*", type=Path, help="JSONL files with an `answer` each row")
    parser.add_argument("--workers", nargs="+", type=int, default=[1])
    parser.add_argument("--most", type=int, help="for `others`: so many pairs, drawn at random")
    options = parser.parse_args()
    if options.what == "cases":
        cases(options.files, options.workers[0])
        return
    rows = read_answers(options.files)
    if options.what == "hostile":
        hostile(options.workers[0])
    elif options.what == "speed":
        speed(rows, options.workers)
    elif options.what == "others":
        others(rows, options.workers[0], options.most)
    else:
        forms(rows, options.workers[0])


if __name__ == "__main__":
    main()
