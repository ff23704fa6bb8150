r"""Letters of several choices in the ways in which models write them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.answers.extraction.several import extract_choices
from workflow_scripts.answers.extraction.statements import Extraction

# the letters that are stated, or None, and an answer
WRITTEN = [
    ("ABD", r"\boxed{A, B, D}"),
    ("ABD", r"\boxed{A,B,D}"),
    ("ABD", r"\boxed{ABD}"),
    ("ABD", r"\boxed{DBA}"),
    ("AB", r"\boxed{A, B, A}"),
    ("AD", r"\boxed{\text{A and D}}"),
    ("AC", r"\boxed{A \text{ and } C}"),
    ("AC", r"\boxed{(A), (C)}"),
    ("AC", r"\boxed{(A)(C)}"),
    ("AC", r"\boxed{A}, \boxed{C}"),
    ("AC", r"\boxed{A} and \boxed{C}"),
    ("AC", r"$\boxed{\mathrm{A, C}}$"),
    ("AC", r"\boxed{\text{(A) and (C)}}"),
    ("AC", r"\boxed{\text{A, C}}"),
    ("AC", r"\boxed{A;C}"),
    ("AC", r"\boxed{A; C}"),
    ("ACD", r"\boxed{A, C, \text{ and } D}"),
    ("AC", r"\boxed{\{A, C\}}"),
    ("AC", r"\boxed{AC.}"),
    ("B", r"\boxed{B}"),
    ("AC", r"\boxed{\text{Options A and C}}"),
    ("AC", r"\boxed{\text{A and C are correct}}"),
    ("AC", r"\boxed{A \& C}"),
    ("AC", r"\boxed{a, c}"),
    ("ABCD", r"\boxed{A-D}"),
    (None, r"\boxed{A \text{ or } C}"),
    (None, r"\boxed{A, E}"),
    (None, r"\boxed{E}"),
    (None, r"\boxed{42}"),
    ("ABD", "The correct answers are A, B and D."),
    ("ABD", "The correct answers are A, B, and D."),
    ("AC", "The correct options are (A) and (C)."),
    ("AC", "The correct options are **A** and **C**."),
    ("AC", "The answer is AC."),
    ("AC", "Answer: AC"),
    ("AC", "**Answer: A, C**"),
    ("AC", "Answer: (A), (C)"),
    ("AC", "Answer: (A)(C)"),
    ("AC", "Final Answer: A and C"),
    ("AC", "Options A and C are correct."),
    ("AC", "Hence options (A) and (C) are correct."),
    ("AC", "So A and C are the correct options."),
    ("AC", "A, C"),
    ("AC", "AC"),
    ("AC", "(A) and (C)"),
    ("AC", "(A)(C)"),
    ("AC", "Both A and C are true."),
    ("AC", "A and C"),
    ("ACD", "Therefore, the correct options are A, C and D.\n\nLet me know if you need more."),
    (
        "AC",
        "Option A is correct. Option B is incorrect. Option C is correct. Option D is incorrect.",
    ),
    ("AC", "A is correct.\nB is wrong.\nC is correct.\nD is wrong."),
    ("AC", "(A) True\n(B) False\n(C) True\n(D) False"),
    ("AC", "- (A): correct\n- (B): incorrect\n- (C): correct\n- (D): incorrect\n"),
    (
        "AC",
        "- (A) It grows, so this is true.\n- (B) It does not.\n- (C) This is true as well.",
    ),
    ("AC", "The answer is A. C is also correct."),
    ("A", "Only option A is correct."),
    (None, "A or C"),
    (None, "The answer is either A or C."),
    (None, "I cannot decide."),
    ("AC", "The answer is A and B. Wait, that is wrong.\nThe answer is A and C."),
    ("AC", "The correct choices are A and C, not B or D."),
    ("AC", "A and C are correct, while B is wrong."),
    ("ABCD", "A, B, C and D are all correct."),
    ("ABCD", "All of them: A, B, C, D"),
    ("AC", "Die richtigen Antworten sind A und C."),
    ("AC", "Die Antwort ist A und C."),
    ("AC", "Les bonnes réponses sont A et C."),
    ("AC", "La réponse est A et C."),
    ("AC", "Las respuestas correctas son A y C."),
    ("AC", "La respuesta es A y C."),
    ("AC", "As respostas corretas são A e C."),
    ("AC", "Le risposte corrette sono A e C."),
    ("AC", "De juiste antwoorden zijn A en C."),
    ("AC", "Poprawne odpowiedzi to A i C."),
    ("AC", "Správné odpovědi jsou A a C."),
    ("AC", "Правильные ответы: A и C."),
    ("AC", "Правильний відповіді: A та C."),
    ("AC", "Cevaplar: A ve C"),
    ("AC", "Đáp án là A và C."),
    ("AC", "答案是 A 和 C。"),
    ("AC", "正确答案是AC。"),
    ("ACD", "故选 ACD"),
    ("AC", "答案：A、C"),
    ("AC", "正解は A と C です。"),
    ("AC", "정답은 A와 C입니다."),
    (None, "Die Antwort ist A oder C."),
    ("AC", "<answer>AC</answer>"),
    ("AC", "<answer>A, C</answer>"),
    ("ABC", "The answer is (A, B, C)."),
    ("AC", "Thus, AC."),
    ("AC", "Therefore, options A & C."),
    ("AC", "The correct options: A, C"),
    ("AC", "### Final Answer\n\n**A, C**"),
    ("AC", "### Answer\n\nA and C"),
    (None, "The options are A, B, C and D."),
    (None, "Neither A nor B is correct."),
    ("AD", "The triangle ABC has AB = 5.\n\nAnswer: A, D"),
    ("AC", "It can be B, but no. So the correct options are A and C."),
    ("AC", "Thus, the statements that are correct are A and C."),
    ("AC", "The statements A and C are correct."),
    ("AC", "I choose A and C."),
    ("AC", r"The correct answer is \(A\) and \(C\)."),
    ("AC", r"The correct answer: \(\text{A, C}\)"),
    ("AD", "**A** and **D**"),
    ("BD", "Thus, the correct options are:\n- (B)\n- (D)"),
    ("BD", "Thus, the correct options are:\n\n(B) The force grows.\n(D) The energy falls."),
    (None, "Options A and C are incorrect."),
    (None, "A and C are wrong."),
    (None, "Is it A and C?"),
    (None, "The answer is not A and B."),
    (None, "If the mass is large, A and C are correct."),
    (None, "A or maybe C."),
    ("BD", "Options A and C are incorrect, so B and D are correct."),
    ("BD", "A and C are ruled out. Hence B and D."),
    ("BD", "A and C are false; B and D are true."),
    ("BD", "The correct options are (B) and (D), since (A) and (C) violate energy conservation."),
    ("BD", "**Correct options:** (B), (D)"),
    ("BD", "**Answer:** B and D\n\n**Explanation:** A is too small, and C too large."),
    ("BD", r"\[\boxed{\text{B and D}}\]"),
    ("BD", r"$$\boxed{B,\ D}$$"),
    ("BD", r"\boxed{B, \; D}"),
    ("BD", r"\boxed{\text{(B)}, \text{(D)}}"),
    ("BD", r"\boxed{\textbf{B, D}}"),
    ("BD", r"\boxed{[B, D]}"),
    ("BD", '\\boxed{"BD"}'),
    ("BD", r"\boxed{\text{B},\text{D}}"),
    ("BD", r"\boxed{B\text{ and }D}"),
    ("BD", r"\boxed{\mathbf{BD}}"),
    ("BD", r"\boxed{\text{The correct options are B and D}}"),
    ("BD", r"\boxed{(B) \text{ and } (D)}"),
    ("BD", r"\boxed{\textbf{(B)} \text{ and } \textbf{(D)}}"),
    ("BD", r"\boxed{\text{Option B, Option D}}"),
    ("BD", "Correct answer: Option (B) and Option (D)"),
    ("BD", "Correct answer: (B, D)"),
    ("BD", "Ans: B, D"),
    ("BD", "Ans. (B), (D)"),
    ("BD", r"The final answer is $\boxed{BD}$. I hope it is correct."),
    ("BD", "So, the answer is B & D."),
    ("BD", "Hence, the correct statements are (B) and (D)."),
    ("BD", "Therefore the correct option(s) are B and D."),
    ("BD", "Thus the correct option(s): B, D"),
    ("BD", "Statements (B) and (D) are true."),
    ("BD", "(B) and (D) are the correct statements."),
    ("BD", "Therefore, (B) and (D) are correct."),
    ("B", "Therefore, only (B) is correct."),
    ("BD", "(A) is false. (B) is true. (C) is false. (D) is true."),
    (
        "BD",
        "Option (A): incorrect\nOption (B): correct\nOption (C): incorrect\nOption (D): correct",
    ),
    ("BD", "(A) Incorrect, since the sign is wrong.\n(B) Correct.\n(C) Incorrect.\n(D) Correct."),
    ("BD", "**Option A**: ✗\n**Option B**: ✓\n**Option C**: ✗\n**Option D**: ✓"),
    ("BD", "A: no. B: yes. C: no. D: yes."),
    ("ABCD", "All four options are correct."),
    (None, "None of them is correct."),
    ("BD", "B and D only"),
    ("BD", "B, D only."),
    ("BD", "Only B and D."),
    ("BD", "The answer is B, D.\n\nNote that A would hold if the mass were zero."),
    ("BD", "Final answer: **BD**"),
    ("BD", "Final answer: **B, D**"),
    ("BD", "The correct choices are:\n\n1. (B) The force grows\n2. (D) The energy falls"),
    ("BD", "Correct options: **B** and **D**"),
]


def letters_of(text: str, finish: str = "eos", choices: tuple[str, ...] = ()) -> str | None:
    """What was extracted, if it is letters of the choices."""
    found = extract_choices(text, finish, choices).extracted
    return found if found and set(found) <= set("ABCD") else None


def test_there_are_as_many_forms_as_it_takes():
    assert len({text for _, text in WRITTEN}) == len(WRITTEN) > 150


@pytest.mark.parametrize(("expected", "text"), WRITTEN)
def test_the_letters_that_an_answer_states(expected, text):
    assert letters_of(text) == expected


MANNERS = [
    r"\boxed{{{0}}}", "Answer: {0}", "The correct options are {0}.", "Antworten: {0}",
    "{0} are correct.", "So the answer is\n\n**{0}**", "<answer>{0}</answer>",
]  # fmt: skip
JOINS = [", ", " and ", ", and ", " & ", ""]


@given(
    st.lists(st.sampled_from("ABCD"), min_size=1, max_size=6),
    st.sampled_from(MANNERS),
    st.sampled_from(JOINS),
    st.booleans(),
)
def test_order_and_repetition_do_not_matter(said, manner, join, in_brackets):
    parts = [f"({letter})" if in_brackets else letter for letter in said]
    text = manner.format(join.join(parts))
    assert letters_of(text) == "".join(sorted(set(said))), text


def test_every_set_is_read_in_every_manner():
    for size in (1, 2, 3, 4):
        for chosen in map("".join, itertools.combinations("ABCD", size)):
            for manner, join in itertools.product(MANNERS, JOINS):
                text = manner.format(join.join(chosen))
                assert letters_of(text) == chosen, text


def test_choices_are_stated_by_their_own_texts_as_well():
    choices = ("2.4 nm", "24 nm", "0.24 nm", "none of these")
    assert letters_of(r"\boxed{24~\text{nm}}", choices=choices) == "B"
    assert letters_of("The answers are 2.4 nm and 24 nm.", choices=choices) == "AB"
    assert letters_of("A) 2.4 nm and C) 0.24 nm are correct.", choices=choices) == "AC"
    assert letters_of("A) 2.4 nm: yes\nB) 24 nm: no\nC) 0.24 nm: yes", choices=choices) == "AC"


def test_what_was_cut_off_does_not_count():
    assert letters_of("The correct options are A and", "length") is None
    assert letters_of("Answer: A, C\n\nThis is so because B and", "length") == "AC"
    assert extract_choices("First, we", "length", ()) == Extraction(None, "truncated")


def test_what_is_stated_instead_of_letters_is_shown():
    assert extract_choices(r"\boxed{42}", "eos", ()) == Extraction("42", "boxed")
    assert extract_choices("I cannot say.", "eos", ()) == Extraction(None, "none")


def test_what_the_format_began_to_state_counts():
    assert extract_choices(" A and C.\n\nB is too small.", "eos", (), "Final Answer:") == (
        Extraction("AC", "stated")
    )


@given(st.text(st.sampled_from("ABCDabcd ,;.()&\n*\\{}:-") | st.characters(), max_size=200))
def test_any_text_is_read_without_an_error(text):
    found = extract_choices(text, "eos", ())
    assert found.extracted is None or found.extracted
    extract_choices(rf"\boxed{{{text}}}", "length", ("1", "2", "3"), "Final Answer:")
