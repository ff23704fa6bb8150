import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.answers.extraction.choices import extract_choice
from workflow_scripts.answers.extraction.integers import whole_number
from workflow_scripts.answers.extraction.several import extract_choices
from workflow_scripts.answers.extraction.statements import Extraction, without_thinking
from workflow_scripts.answers.extraction.values import extract_expression, extract_integer
from workflow_scripts.artefacts.boxes import box_groups


def boxed(text):
    return box_groups(text)[-1][0]


# answer text, what is extracted, and why
CASES = [
    # boxed
    (r"\boxed{42}", "42", "boxed"),
    (r"So the answer is $\boxed{42}$.", "42", "boxed"),
    (r"\boxed{ 42 }", "42", "boxed"),
    (r"\boxed {42}", "42", "boxed"),
    (r"\boxed{1} and then \boxed{2}", "2", "boxed"),
    (r"\boxed{42} I hope that 7 people like it", "42", "boxed"),
    (r"Answer: 7, no: \boxed{42}", "42", "boxed"),
    (r"\boxed{12 \boxed{42}", "42", "boxed"),
    (r"\boxed{42} or \boxed{12", "42", "boxed"),
    (r"\boxed{\boxed{42}}", "42", "boxed"),
    (r"\boxed{}" "\n42", "42", "last line"),
    (r"\boxed{042}", "42", "boxed"),
    (r"\boxed{-42}", "-42", "boxed"),
    (r"\boxed{- 42}", "-42", "boxed"),
    (r"\boxed{−42}", "-42", "boxed"),
    (r"\boxed{+42}", "42", "boxed"),
    (r"\boxed{-0}", "0", "boxed"),
    (r"\boxed{1,000}", "1000", "boxed"),
    (r"\boxed{1{,}000{,}000}", "1000000", "boxed"),
    (r"\boxed{1\,000}", "1000", "boxed"),
    (r"\boxed{42.0}", "42", "boxed"),
    (r"\boxed{42.}", "42", "boxed"),
    (r"\boxed{x = 42}", "42", "boxed"),
    (r"\boxed{\text{42}}", "42", "boxed"),
    (r"\boxed{\mathbf{42}}", "42", "boxed"),
    (r"\boxed{42\text{ cm}}", "42", "boxed"),
    (r"\boxed{\$42}", "42", "boxed"),
    (r"\boxed{42\%}", "42", "boxed"),
    (r"\boxed{42^\circ}", "42", "boxed"),
    (r"\boxed{42^{\circ}}", "42", "boxed"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}", "boxed"),
    (r"\boxed{2x}", "2x", "boxed"),
    (r"\boxed{2\pi}", r"2\pi", "boxed"),
    (r"\boxed{2^{10}}", "2^{10}", "boxed"),
    (r"\boxed{3 + 4}", "3 + 4", "boxed"),
    (r"\boxed{(3, 4)}", "(3, 4)", "boxed"),
    (r"\boxed{3, 4}", "3, 4", "boxed"),
    (r"\boxed{4.5}", "4.5", "boxed"),
    (r"\boxed{1,00}", "1,00", "boxed"),
    (r"\boxed{\{42\}}", r"\{42\}", "boxed"),
    (r"\boxed{\text{no solution}}", r"\text{no solution}", "boxed"),
    (r"\boxed{m+n = 20+7 = 27}", "27", "boxed"),
    (r"\boxed{x=1,\ y=27}", r"x=1,\ y=27", "boxed"),
    (r"\boxed{x = 1 and y = 27}", "x = 1 and y = 27", "boxed"),
    (r"\boxed{x \ge= 27}", r"x \ge= 27", "boxed"),
    (r"\boxed{1} and \boxed{27}", "1, 27", "boxed"),
    (r"\boxed{3}\ \text{and}\ \boxed{27}", "3, 27", "boxed"),
    # stated
    ("Answer: 42", "42", "stated"),
    ("answer:42", "42", "stated"),
    ("ANSWER : 42", "42", "stated"),
    ("Final Answer: 42", "42", "stated"),
    ("Final Answer:\n\n42", "42", "stated"),
    ("**Answer:** 42", "42", "stated"),
    ("**Final Answer**: **42**", "42", "stated"),
    ("Answer：42", "42", "stated"),
    ("Answer: 7\nWait.\nAnswer: 42", "42", "stated"),
    ("Answer: 42\nAnswer:", "42", "stated"),
    ("Answer: 42 Answer: 42", "42", "stated"),
    ("Answer: 42\nI checked 7 times.", "42", "stated"),
    ("Answer: The answer is 42.", "42", "stated"),
    ("Answer: 42 apples (7 were eaten)", "42", "stated"),
    ("Answer: 42, because 6*7=42 and 1+1=2", "42", "stated"),
    ("Answer: 3 + 4 = 7", "7", "stated"),
    ("Answer: 6 * 7 = 42", "42", "stated"),
    ("Answer: $x = 42$", "42", "stated"),
    ("Answer: - 42", "-42", "stated"),
    ("Answer: 1/2", "1/2", "stated"),
    ("Answer: 3 + 4", "3 + 4", "stated"),
    ("Answer: 6*7", "6*7", "stated"),
    ("Answer: 10-7", "10-7", "stated"),
    ("Answer: unknown", "unknown", "stated"),
    ("Answer: 26 or 27", "26 or 27", "stated"),
    ("Answer: between 20 and 27", "between 20 and 27", "stated"),
    ("Answer: less than 27", "less than 27", "stated"),
    ("Answer: negative 27", "-27", "stated"),
    ("Answer: x = 1, y = 27", "x = 1, y = 27", "stated"),
    ("Answer: m = 20, n = 7, so m+n = 27", "27", "stated"),
    ("the answer is therefore 42", "42", "stated"),
    ("The answer is, indeed, 42.", "42", "stated"),
    ("<answer>42</answer>", "42", "stated"),
    ("<answer>\n42\n</answer>\nI checked 7 times.", "42", "stated"),
    # the mark of a list, and a sign
    ("The answer is:\n- 5", "5", "stated"),
    ("The answer is:\n-5", "-5", "stated"),
    ("The answer is:\n\\[\n- 5\n\\]", "-5", "stated"),
    ("**Final Answer:**\n\n- 540", "540", "stated"),
    ("**Final Answer:**\n\n* 540", "540", "stated"),
    ("Answers: 7\n42", "42", "last line"),
    # lines that separate others, and headings
    ("540\n---", "540", "last line"),
    ("The result is 540\n\n---\n", "540", "last line"),
    ("```\n540\n```", "540", "last line"),
    ("It follows.\n#### 540", "540", "stated"),
    ("\n\n- 540\n\nThis is so.", "540", "first line"),
    ("---\n***", None, "none"),
    # not stated at all
    ("The answer is **not** 27", "not** 27", "stated"),
    ("The answer isn't 27.", None, "none"),
    ("It cannot be 27", None, "none"),
    ("It is not 7 but 27", "27", "last line"),
    # last line
    ("42", "42", "last line"),
    (" 42\n\n", "42", "last line"),
    ("7\r\n42\r\n", "42", "last line"),
    ("42.", "42", "last line"),
    ("It is 42!", "42", "last line"),
    ("**42**", "42", "last line"),
    ("It is **42**.", "42", "last line"),
    ("It is _42_", "42", "last line"),
    ("007", "7", "last line"),
    ("-0", "0", "last line"),
    ("- 42", "42", "last line"),
    ("x = - 42", "-42", "last line"),
    ("−42", "-42", "last line"),
    ("４２", "42", "last line"),
    ("1,000,000 of them", "1000000", "last line"),
    ("1\u202f000", "1000", "last line"),
    ("From 7 we get to 42", "42", "last line"),
    ("7 = x, so 2x = 14", "14", "last line"),
    ("so 5² = 25", "25", "last line"),
    ("2^{10} = 1024", "1024", "last line"),
    (r"\frac{84}{2} = 42", "42", "last line"),
    (r"6 \times 7 = 42", "42", "last line"),
    (r"\[ x = 42 \]", "42", "last line"),
    ("42 km", "42", "last line"),
    ("42km", "42", "last line"),
    ("the 42nd", "42", "last line"),
    ("42</s>", "42", "last line"),
    ("99\nI do not know", "99", "first line"),
    ("About 99\nI do not know", None, "none"),
    ("7.5", "7.5", "last line"),
    ("12,34", "12,34", "last line"),
    ("1/2", "1/2", "last line"),
    (r"\frac{1}{2}", r"\frac{1}{2}", "last line"),
    (r"\sqrt{2}", r"\sqrt{2}", "last line"),
    (r"\sqrt[3]{8}", r"\sqrt[3]{8}", "last line"),
    ("5²", "5²", "last line"),
    ("2^10", "2^10", "last line"),
    ("x_12", "x_12", "last line"),
    ("2x", "2x", "last line"),
    ("step-7", "step-7", "last line"),
    ("7+", "7+", "last line"),
    ("7 = 3 + 4", "7 = 3 + 4", "last line"),
    ("Qwen3", "Qwen3", "last line"),
    ("٤٢", "٤٢", "last line"),
    ("", None, "none"),
    (" \n ", None, "none"),
]


@pytest.mark.parametrize(("text", "extracted", "reason"), CASES)
def test_what_an_answer_states(text, extracted, reason):
    assert extract_integer(text, "eos") == Extraction(extracted, reason)


@pytest.mark.parametrize(("text", "extracted", "reason"), CASES)
def test_an_answer_that_was_cut_has_no_last_line(text, extracted, reason):
    """What it had stated before counts, and a first line that is nothing but an answer."""
    found = extract_integer(f"{text}\nAnd this w", "length")
    if reason in ("last line", "none"):
        assert found.reason in ("first line", "truncated")
    else:
        assert found == Extraction(extracted, reason)


@pytest.mark.parametrize(
    "text", ["12", "Answer: 12", "So $x$ is 12", "Answer: x = 4, y = 12", "**12"]
)
@pytest.mark.parametrize("extract", [extract_integer, extract_expression])
def test_the_statement_at_which_an_answer_was_cut_is_none(text, extract):
    assert extract(text, "length") == Extraction(None, "truncated")
    assert extract(text, "length", "Final Answer:") == Extraction(None, "truncated")
    stated = Extraction("1250", "stated")
    assert extract(f"Answer: 1250\n\n{text}", "length") == stated
    assert extract(f"The answer is 1250. So {text}", "length") == stated
    assert extract(f"The answer is 1250, because {text}", "length") == stated


CUT = "We have 3 cases. First, let n = 1; the number of ways is 4"


@pytest.mark.parametrize(
    "text", [CUT, "So $x = 3$.\n\n" + CUT, r"We add \frac{1}{2}, and get $x = 4$"]
)
def test_the_number_at_which_an_answer_was_cut_is_none(text):
    for prefix in ("", "Final Answer:"):
        assert extract_integer(text, "length", prefix) == Extraction(None, "truncated")
        assert extract_expression(text, "length", prefix) == Extraction(None, "truncated")


def test_the_letter_at_which_an_answer_was_cut_is_none():
    choices = ["red", "blue"]
    assert extract_choice("We begin with option B", "length", choices).reason == "truncated"
    assert extract_choice("B\n\nThis is because A", "length", choices).extracted == "B"


@pytest.mark.parametrize(
    ("one", "other"),
    [("07", "7"), ("-0", "0"), ("+3", "3"), ("−3", "-3"), ("1,000", "1000"), ("3.0", "3")],
)
def test_one_number_in_two_ways_of_writing(one, other):
    assert whole_number(one) == whole_number(other) == other


@given(st.integers(-(10**40), 10**40))
def test_every_integer_is_read_back(number):
    plain = str(number)
    assert whole_number(plain) == plain
    assert whole_number(f"{number:,}") == plain
    for text in (r"\boxed{%s}", "Answer: %s.", "so it is %s", "**%s**"):
        assert extract_integer(text % plain, "eos").extracted == plain


def test_a_number_of_more_digits_than_int_parses():
    digits = "9" * 100_000
    assert extract_integer(f"Answer: 0{digits}", "eos").extracted == digits


@given(
    st.recursive(st.just("x"), lambda inner: st.lists(inner).map(lambda x: "{" + "".join(x) + "}"))
)
def test_balanced_content_of_any_nesting_comes_out_of_a_box_whole(content):
    assert boxed(f"so \\boxed{{{content}}} it is") == content
    assert boxed(f"\\boxed{{ \\boxed{{{content}}} }}, }} {{") == content


@given(st.text(alphabet=st.sampled_from(list(r"\boxed{}12 -+*/^_=,.:$[]AnswerFi" + "\n²−"))))
def test_any_text_gives_an_answer_of_the_documented_form(text):
    extraction = extract_integer(text, "eos")
    assert extraction.reason in ("boxed", "stated", "last line", "first line", "none")
    assert (extraction.extracted is None) == (extraction.reason == "none")


@given(st.text())
def test_any_unicode_is_read_without_an_error(text):
    extract_integer(text, "eos")
    extract_integer(f"Answer: {text}", "length")
    extract_integer(f"\\boxed{{{text}}}", "length")


HOSTILE = [
    r"\boxed{", "{", "}", "answer:", "Answer: ", "1", "9^", "1/", "1,", "- ", "= -", "*", "_", "^ ",
    r"\boxed ", r"\text{", r"\frac{", r"\sqrt[", "1\u00a0", "0.", "1.0", "a ", "a.", "5 _", "\n",
    "final ", "\0", "the answer is ", "$", "$$", "\\[", "is ", "because ", "A ", "(", "</think>",
    "<|im_start|>", r"\boxed{1},", "so the ", ", and ", "-\n", "- - ", "although ", "; since A",
    "not A, ", "not ", "A, ", "A is ", "x = 1, ", "1. ", "<answer>", "the answer is therefore ",
    "than 5 ", "AB", "(A, ", "A; ", "A und ", "A、", "correct options:\n", "(A)\n", "A - ",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_grows_with_the_text_and_not_with_its_square(piece):
    text = piece * (100_000 // len(piece))
    start = time.process_time()
    extract_integer(text, "eos", "Final Answer:")
    extract_expression(text, "eos", "Final Answer:")
    extract_choice(text, "eos", ["red", "blue"], "Final Answer:")
    extract_choices(text, "eos", [], "Final Answer:")
    # a square would take minutes
    assert time.process_time() - start < 5


EXPRESSIONS = [
    # several boxes
    (r"\boxed{1}, \boxed{-2}", "1, -2", "boxed"),
    (r"\boxed{1} and $\boxed{-2}$", "1, -2", "boxed"),
    (r"\boxed{1} \text{ or } \boxed{1}", "1", "boxed"),
    ("\\boxed{1}\n\\boxed{2}", "2", "boxed"),
    (r"\boxed{1} is wrong, \boxed{2}", "2", "boxed"),
    (r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}", "boxed"),
    (r"\boxed{\{1, 2\}}", r"\{1, 2\}", "boxed"),
    (r"\fbox{7}", "7", "boxed"),
    (r"\boxed 7", "7", "boxed"),
    (r"\boxed{7", "7", "last line"),
    (r"\boxed{1, 2} and then \boxed{3", "1, 2", "boxed"),
    # stated
    (r"The answer is $12\pi$ square meters, which is large.", r"$12\pi$ square meters", "stated"),
    ("Answer: $x^2+1$ and that is all.", "$x^2+1$", "stated"),
    ("Final Answer: 3 or 4", "3 or 4", "stated"),
    ("The answer is 7. It is not 8.", "7", "stated"),
    ("The answer is:\n\\[\nx+1\n\\]\nas desired.", "x+1", "stated"),
    ("Answer: **Evelyn**", "Evelyn", "stated"),
    ("The answer is Evelyn.", "Evelyn", "stated"),
    ("The answer is correct: $7$", "$7$", "last line"),
    # last and first line
    ("So the area is $A = 12\\pi$.", r"$A = 12\pi$", "last line"),
    ("It follows that\n$$x = 7$$", "x = 7", "last line"),
    ("It follows that\n$$\nx = 7\n$$", "x = 7", "last line"),
    ("The sum of the squares is 7.5", "7.5", "last line"),
    ("It follows that it would have to be 3/4 of them", "3/4", "last line"),
    ("x^2+1\nThis is the only polynomial with all of these properties.", "x^2+1", "first line"),
    ("I do not know what to do here.", None, "none"),
    ("The answer is therefore $x+1$", "$x+1$", "stated"),
    ("The answer is:\n- $x+1$", "$x+1$", "stated"),
    ("The answer is:\n\\[\n- x + 1\n\\]", "- x + 1", "stated"),
    ("So:\n\n- $x+1$\n\n---", "$x+1$", "last line"),
    ("So:\n```\nx+1\n```", "x+1", "last line"),
    ("", None, "none"),
]


@pytest.mark.parametrize(("text", "extracted", "reason"), EXPRESSIONS)
def test_which_expression_an_answer_states(text, extracted, reason):
    assert extract_expression(text, "eos") == Extraction(extracted, reason)
    found = extract_expression(f"{text}\nAnd this w", "length")
    if reason in ("last line", "first line", "none"):
        assert found.reason in ("first line", "truncated")
    else:
        assert found == Extraction(extracted, reason)


def test_a_number_in_a_box_that_was_cut_is_none():
    assert extract_integer(r"So it is \boxed{12", "length") == Extraction(None, "truncated")
    assert extract_integer(r"So it is \boxed{12", "eos") == Extraction("12", "last line")
    assert extract_integer("Answer: 7, because \\boxed{", "length") == Extraction("7", "stated")


THINKING = [
    ("a</think>b", "b"),
    ("a</think>b</think>c", "c"),
    ("a</think>\n", "a"),
    ("<think>a</think>", "<think>a"),
    ("b<think>a", "b"),
    ("<think>a", ""),
    ("x<|im_start|>answer\nb<|im_end|>", "b"),
    ("<|im_start|>think a<|im_start|>answer b", "b"),
    ("b<|im_end|>\n<|im_start|>user\nc", "b"),
    ("<|im_end|>b", "b"),
    ("<|im_start|>assistant\nb", "b"),
    ("b<|endoftext|>c", "b"),
    ("a < b and |x| > 2", "a < b and |x| > 2"),
]


@pytest.mark.parametrize(("text", "left"), THINKING)
def test_what_is_thinking_and_what_are_markers(text, left):
    assert without_thinking(text).strip() == left.replace("<think>a", "")


@given(st.text(alphabet=st.characters(exclude_characters="{}\\"), min_size=1).filter(str.strip))
def test_any_unicode_comes_out_of_a_box_as_it_went_in(content):
    assert boxed(f"so \\boxed{{{content}}} it is") == content.strip()
    assert boxed(f"\\boxed{{0}}.\\boxed{{ {content} }}") == content.strip()


@given(st.text())
def test_expressions_and_choices_are_read_from_any_unicode_without_an_error(text):
    for form in ("%s", "Answer: %s", "\\boxed{%s}", "the answer is $%s$", "**%s**\nso be it"):
        whole = form.replace("%s", text)
        extraction = extract_expression(whole, "eos")
        assert (extraction.extracted is None) == (extraction.reason == "none")
        letter = extract_choice(whole, "eos", ["red", "blue"]).extracted
        assert letter is None or len(letter) > 0


@given(st.integers(0, 25), st.data())
def test_every_letter_is_read_in_every_form(number, data):
    choices = [f"choice number {n}" for n in range(26)]
    letter = chr(ord("A") + number)
    form = data.draw(
        st.sampled_from(
            ["%s", "(%s)", "**%s**", "%s)", "Answer: %s", "The answer is (%s).", r"\boxed{%s}",
             r"\boxed{\text{(%s)}}", "Final Answer: **%s) choice number", "option %s", "It is %s."]
        )
    )  # fmt: skip
    assert extract_choice(form.replace("%s", letter), "eos", choices).extracted == letter
    assert extract_choice(f"Answer: {choices[number]}", "eos", choices).extracted == letter


def test_a_letter_without_a_choice_is_none():
    assert extract_choice("Answer: C", "eos", ["red", "blue"]) == Extraction("C", "stated")
    assert extract_choice("C", "length", ["red", "blue"]) == Extraction(None, "truncated")


BEGUN_CHOICES = ["10^-4 eV", "10^-11 eV", "10^-8 eV", "10^-9 eV"]
# kind, what follows "Final Answer:", what is extracted without it and with it
BEGUN = [
    ("choice", " A) 10^-4 eV\n\nThe others are too small.", "A", "A"),
    ("choice", " (A) 10^-4 eV\n\nThis follows from the uncertainty relation.", "A", "A"),
    ("choice", " 10^-4 eV\n\nThis follows from the uncertainty relation.", "A", "A"),
    ("choice", " A, because the width is smaller.\n\nThis is the whole argument.", "A", "A"),
    ("choice", " **A) 10^-4 eV**\n\nExplanation: the widths are below 10^-6 eV.", "A", "A"),
    ("choice", " A is too large.\n\nSo it is B.", "B", "B"),
    ("choice", " Let us look at option A first.\n\nSo it is B.", "B", "B"),
    ("choice", " A is the reactant.\n\nSo it is B.", "B", "B"),
    ("choice", " A, B and C are too small.\n\nSo it is D.", "D", "D"),
    ("choice", " A) 10^-4 eV\n\nNo, I was wrong. The answer is B.", "B", "B"),
    ("choice", " A, because it is small.\n\n**B**", "B", "B"),
    ("integer", " 27 miles\n\nThey meet after $45/30 = 1.5$ hours.", "27", "27"),
    ("integer", " 27 miles from City A.\n\nAlicia rides 18 mph and Beth 12 mph.", None, "27"),
    ("integer", " $27$ miles\n\n**Explanation:** the speeds add to 30.", "27", "27"),
    ("integer", " $m+n = 27$\n\nCheck: gcd(20, 7) = 1.", "27", "27"),
    ("integer", " x = 27\n\nChecked with n = 3.", "27", "27"),
    ("integer", "\n\n- 27 miles\n\nChecked with n = 3.", "27", "27"),
    ("integer", " $3^3$\n\nThe base is 3.", "$3^3$", "$3^3$"),
    ("integer", " We have 3 cases. First, let n = 1.\n\nSo there are 27.", "27", "27"),
    ("integer", " There are 3 cases:\n\nSo there are 27.", "27", "27"),
    ("integer", " 3 cases are left:\n\nSo there are 27.", "27", "27"),
    ("integer", " 1. Let n be odd.\n2. So there are 27.", "27", "27"),
    ("integer", " 26 miles\n\nNo, that is wrong.\n\n27", "27", "27"),
    ("integer", " 26 miles\n\nNo, that is wrong. \\boxed{27}", "27", "27"),
    ("integer", " I need to think.\n\nSo there are 27.", "27", "27"),
    ("integer", " 26 is it?</think>So there are 27.", "27", "27"),
    ("math", " $12\\pi$ square meters\n\nThe radius is 2 and the height is 3.",
     "$12\\pi$ square meters", "$12\\pi$ square meters"),
    ("math", " 12π cm^2\n\nThe radius is 2 and the height is 3.", "12π cm^2", "12π cm^2"),
    ("math", " $\\frac{3}{2}$ (since x = 3)\n\nThe check is $x = 3$.", "$x = 3$", "$\\frac{3}{2}$"),
    ("math", " Evelyn\n\nShe covered more distance in less time.", None, "Evelyn"),
    ("math", " no solution\n\nThe check is $x = 3$.", "$x = 3$", "no solution"),
    ("math", r" $\begin{pmatrix} 1 \\ 2 \end{pmatrix}$, say." "\n\nSo it is $x = 3$.", "$x = 3$",
     r"$\begin{pmatrix} 1 \\ 2 \end{pmatrix}$"),
    ("math", " Let's see.\n\nSo it is $x = 3$.", "$x = 3$", "$x = 3$"),
    ("math", " Let $x$ be the base.\n\nSo it is $x = 3$.", "$x = 3$", "$x = 3$"),
    ("math", " $n$, the number of them, is odd.\n\nSo it is $x = 3$.", "$x = 3$", "$x = 3$"),
    ("math", " $x^2 = 9$ has to hold.\n\nSo it is $x = 3$.", "$x = 3$", "$x = 3$"),
    ("math", " First, we have $2x = 6$.\n\nSo it is $x = 3$.", "$x = 3$", "$x = 3$"),
    ("math", " $2x = 6$\n\n$x = 3$", "$x = 3$", "$x = 3$"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "alone", "begun"), BEGUN)
def test_what_the_format_has_begun_to_state(kind, text, alone, begun):
    def extracted(prefix):
        if kind == "choice":
            return extract_choice(text, "eos", BEGUN_CHOICES, prefix).extracted
        return {"integer": extract_integer, "math": extract_expression}[kind](
            text, "eos", prefix
        ).extracted

    assert extracted("Final Answer:") == extracted("So the answer is") == begun
    for prefix in ("", "</think>", "<|im_start|>answer", "Answer: 5. Now"):
        assert extracted(prefix) == alone


def test_a_prefix_begins_no_statement_that_is_denied():
    assert extract_integer(" not 5, it\nis 6", "eos", "So the answer is").extracted == "6"


@given(st.text(), st.sampled_from(["Final Answer:", "So the answer is", "</think>", "answer: 1"]))
def test_any_unicode_is_read_after_any_prefix_without_an_error(text, prefix):
    extract_integer(text, "eos", prefix)
    extract_expression(text, "eos", prefix)
    extract_choice(text, "length", ["red", "blue"], prefix)
