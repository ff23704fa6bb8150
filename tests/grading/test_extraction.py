import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.grading.extraction import (
    Extraction,
    boxed,
    extract_choice,
    extract_expression,
    extract_integer,
    last_boxes,
    without_thinking,
)
from workflow_scripts.grading.integers import whole_number

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
    ("Answers: 7\n42", "42", "last line"),
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
    ("7.5", None, "none"),
    ("12,34", None, "none"),
    ("1/2", None, "none"),
    (r"\frac{1}{2}", None, "none"),
    (r"\sqrt{2}", None, "none"),
    (r"\sqrt[3]{8}", None, "none"),
    ("5²", None, "none"),
    ("2^10", None, "none"),
    ("x_12", None, "none"),
    ("2x", None, "none"),
    ("step-7", None, "none"),
    ("7+", None, "none"),
    ("7 = 3 + 4", None, "none"),
    ("Qwen3", None, "none"),
    ("٤٢", None, "none"),
    ("", None, "none"),
    (" \n ", None, "none"),
]


@pytest.mark.parametrize(("text", "extracted", "reason"), CASES)
def test_what_an_answer_states(text, extracted, reason):
    assert extract_integer(text, "eos") == Extraction(extracted, reason)


@pytest.mark.parametrize(("text", "extracted", "reason"), CASES)
def test_only_an_answer_that_states_nothing_was_cut_too_early(text, extracted, reason):
    expected = "truncated" if reason == "none" else reason
    assert extract_integer(text, "length") == Extraction(extracted, expected)


def test_a_long_statement_is_shown_in_part():
    extraction = extract_integer(r"\boxed{" + "word\n" * 1000 + "}", "eos")
    assert extraction.extracted == ("word " * 20) + "…"


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
    if extraction.reason == "last line":
        assert whole_number(extraction.extracted) == extraction.extracted


@given(st.text())
def test_any_unicode_is_read_without_an_error(text):
    extract_integer(text, "eos")
    extract_integer(f"Answer: {text}", "length")
    extract_integer(f"\\boxed{{{text}}}", "length")


HOSTILE = [
    r"\boxed{", "{", "}", "answer:", "Answer: ", "1", "9^", "1/", "1,", "- ", "= -", "*", "_", "^ ",
    r"\boxed ", r"\text{", r"\frac{", r"\sqrt[", "1\u00a0", "0.", "1.0", "a ", "a.", "5 _", "\n",
    "final ", "\0", "the answer is ", "$", "$$", "\\[", "is ", "because ", "A ", "(", "</think>",
    "<|im_start|>", r"\boxed{1},", "so the ", ", and ",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_grows_with_the_text_and_not_with_its_square(piece):
    text = piece * (300_000 // len(piece))
    start = time.process_time()
    extract_integer(text, "eos")
    extract_expression(text, "eos")
    extract_choice(text, "eos", ["red", "blue"])
    # a square would take minutes
    assert time.process_time() - start < 10


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
    ("It follows that it would have to be 3/4 of them", "3/4 of them", "last line"),
    ("x^2+1\nThis is the only polynomial with all of these properties.", "x^2+1", "first line"),
    ("I do not know what to do here.", None, "none"),
    ("", None, "none"),
]


@pytest.mark.parametrize(("text", "extracted", "reason"), EXPRESSIONS)
def test_which_expression_an_answer_states(text, extracted, reason):
    assert extract_expression(text, "eos") == Extraction(extracted, reason)
    if text == r"\boxed{7":  # cut, it may have been the beginning of 70
        extracted, reason = None, "none"
    expected = "truncated" if reason == "none" else reason
    assert extract_expression(text, "length") == Extraction(extracted, expected)


def test_a_number_in_a_box_that_was_cut_is_none():
    assert extract_integer(r"So it is \boxed{12", "length") == Extraction(None, "truncated")
    assert extract_integer(r"So it is \boxed{12", "eos") == Extraction("12", "last line")
    assert extract_integer("Answer: 7, so \\boxed{", "length") == Extraction("7", "stated")


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
    assert boxed(f"so \\boxed{{{content}}} it is") == content
    assert last_boxes(f"\\boxed{{0}}.\\boxed{{ {content} }}") == [content.strip()]


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
