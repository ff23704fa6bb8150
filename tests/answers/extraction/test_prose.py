"""Values in the sentences that models write, and numbers in them that are no answer."""

import pytest

from workflow_scripts.answers.comparison.pool import compare_all
from workflow_scripts.answers.extraction.lead_ins import LANGUAGES, lead_ins
from workflow_scripts.answers.extraction.values import extract_expression, extract_integer

SEVENTEEN = [
    # the value at the end of a sentence, in bold, in a formula, with a unit
    "So the total is **17**.",
    "Therefore, x = 17.",
    r"Hence $AB = 17$ cm.",
    "Thus he pays $17.00.",
    "So she makes $17 and keeps it.",
    "He gets 9+8=<<9+8=17>>17 pens.",
    "So 9 + 8 = 17 pens.",
    "So the vertex is at $17$.",
    r"The answer is 17 $\blacksquare$",
    r"\textbf{Answer: 17}",
    r"\[ \text{Answer: } 17 \]",
    '{"answer": 17}',
    "\\[\n\\begin{aligned}\nx &= 9 + 8 \\\\\n&= 17\n\\end{aligned}\n\\]",
    "So the total is 17.\n\nI hope this helps! Here are 3 more.",
    # what is asked, with numbers and formulas of its own, and then the value
    "Answer: The value of $f(3)$ is 17.",
    "Answer: The remainder when $3^{20} + 1$ is divided by 7 is 17.",
    "If n = 3, then the value is 17.",
    "Since each of the 3 boxes has 5 pens, there are 17 pens in 4 boxes.",
    "So, after 3 years, he will be 17 years old.",
    # numbers beside the value
    "### Answer:\n\nThere are 17 ways to choose 3 books that differ in colour.",
    "Answer: Lina must read 17 pages a day to finish in the remaining 5 days.",
    "Tom has 17 apples, which is 3 more than Ann.",
    "He has 17 marbles left after giving 7 to his friend.",
    "It takes **17 days** to finish the 3 jobs.",
    "3 boxes hold 17 pens.",
    "So the maximum is $17$, attained at $x = 3$.",
    "She sold 17 clips in total, 9 in April and 8 in May.",
    "She sold 17 clips in total (9 in April and 8 in May).",
    "She sold 17 clips: 9 in April and 8 in May.",
    "She sold 17 clips.\n\n- April: 9\n- May: 8",
    "**17 clips**\n\n9 in April and 8 in May.",
    "The answer is 17 (seventeen).",
    "Answer: 17 (see step 3)",
    "The answer is 17, i.e. 9 plus 8.",
    # in words
    "The answer is seventeen.",
    "So we need seventeen pens.",
    # in a box
    r"\boxed{The shop needs 17 boxes.}",
]  # fmt: skip

NOT_THREE = [
    # bounds and denials
    "The answer is at least 3.", "It is at most 3.", "The answer is less than 3", "3 is wrong.",
    "There are no more than 3 of them.", "It cannot be 3.", "neither 2 nor 3", "x > 3",
    "So 3 is not the answer.", "3 does not work.", "The answer is not equal to 3.", "x != 3",
    # a part of a number or of an expression
    "The answer is 3 1/2.", "It takes 3 and a half hours.", "Answer: 3½", "The answer is 3:30.",
    "So the ratio is 3 : 4.", "The probability is 3 out of 4.", "3 million", "3 dozen", "3 squared",
    "3 to the power of 2", "3rd root of 8", r"The answer is 3$\frac12$", r"\frac34", "3^2", "3√2",
    "The answer is √3", "The answer is 3 000.", "The answer is 1,003", ".3", "3x", "x_3",
    "The answer is 3 times 4.", "3 + 4",
    "2_3", "3 or 4", "x = 3 and y = 4", "-3", "minus 3", "3!", "(3, 4)",
    # beside the matter
    "She needs 18 more for the remaining 3 days.", "Tom has 18 apples, which is 3 more than Ann.",
    "He gives 18 to each of his 3 friends.", "We are left with case 3", "For n = 3, it fails.",
    "This works for n = 3.", "Equation 3 is wrong.", "base 3", "She has 18 apples and he has 3.",
    "She sold 18 clips in total, 15 in April and 3 in May.", "She sold 18 clips: 3 in May.",
]  # fmt: skip

LANGUAGES_SAY = {
    "English": ["Ans: 17", "ANSWER = 17", "Final answer - 17", "The answer to this problem is 17."],
    "German": ["Die Antwort ist 17.", "Die Summe beträgt also 17."],
    "French": ["Réponse : 17", "La réponse finale est donc $17$.", "Il y a donc 17 façons."],
    "Spanish": ["La respuesta correcta es 17.", "Por lo tanto, la suma es 17."],
    "Portuguese": ["Resposta: 17", "Portanto, o valor é 17."],
    "Italian": ["La risposta è 17."],
    "Dutch": ["Het antwoord is 17."],
    "Polish": ["Odpowiedzią jest 17.", "Wynik wynosi 17."],
    "Czech": ["Odpověď: 17"],
    "Russian": ["Ответ: $17$", "Правильный ответ — 17.", "Итак, сумма равна 17."],
    "Ukrainian": ["Відповідь: 17"],
    "Turkish": ["Cevap: 17"],
    "Vietnamese": ["Đáp án: 17", "Đáp án đúng là 17."],
    "Chinese": ["答案是17。", "因此，最终答案是：17", "故答案为 $17$。", "所以总共有17个苹果。"],
    "Japanese": ["よって、答えは17である。", "答え：17", "したがって、合計は17個です。"],
    "Korean": ["정답은 17입니다.", "따라서 답은 17이다."],
}


NOT_SEVENTEEN = [  # denials and bounds
    "Die Antwort ist nicht 17.", "La respuesta no es 17.",
    "La réponse n'est pas 17.", "Ответ не 17.",
    "答案不是17。", "答案至少是17。", "Die Antwort ist mindestens 17.", "Odpowiedź to nie 17.",
]  # fmt: skip

CASES = [("17", text, True) for text in SEVENTEEN]
CASES += [("3", text, False) for text in NOT_THREE]
CASES += [("17", text, True) for texts in LANGUAGES_SAY.values() for text in texts]
CASES += [("17", text, False) for text in NOT_SEVENTEEN]


@pytest.fixture(scope="module", params=[extract_integer, extract_expression])
def verdicts(request):
    """Whether every case is right, by its gold and text; all are compared at once."""
    stated = {(gold, text): request.param(text, "eos").extracted for gold, text, _ in CASES}
    equal = compare_all({(key[0], value) for key, value in stated.items() if value is not None})
    return {
        key: (value is not None and equal[key[0], value].equal, value)
        for key, value in stated.items()
    }


@pytest.mark.parametrize(("gold", "text", "right"), CASES)
def test_the_value_that_an_answer_states(verdicts, gold, text, right):
    verdict, extracted = verdicts[gold, text]
    assert verdict == right, extracted


def test_every_language_has_cases():
    assert set(LANGUAGES_SAY) == set(LANGUAGES)


def test_a_sign_and_a_mixed_number_belong_to_the_value():
    assert extract_integer("The answer is minus 5.", "eos").extracted == "-5"
    assert extract_integer("- 5\n\nThis is what was asked for.", "eos").extracted == "-5"
    assert extract_expression("Answer: 2$\\frac13$", "eos").extracted == "2$\\frac13$"
    assert extract_integer("The answer is 1 024", "eos").extracted == "1024"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("**Final Answer**\n\n42", ["Final Answer**\n\n"]),
        ("### Step 3: the answer\n42", ["the answer\n"]),
        ("Answers: 7, and the answers to it", []),
        ("The answer to this depends. Option: red", []),
        ("So my final choice is B, and <answer>B", ["my final choice is ", "<answer>"]),
        ("#### 42\n#### 2. The sum", ["#### "]),
    ],
)
def test_where_lead_ins_are(text, found):
    assert [text[start:end] for start, end in lead_ins(text)] == found
