r"""Letters in the ways in which models end answers to multiple-choice questions."""

import itertools

import pytest

from workflow_scripts.answers.extraction.choices import extract_choice

WIDTHS = ["2.4 nm", "24 nm", "0.24 nm", "240 nm"]
SIGNALS = ["A singlet", "A doublet of doublets", "A doublet", "A triplet of doublets"]
VALUES = [r"$\frac{1}{2}\sqrt{3}$", r"$\sqrt{3}$", r"$-\frac{1}{2}$", r"$\frac{3}{2}$"]
ENERGIES = ["10^-4 eV", "10^-8 eV", "10^-9 eV", "10^-11 eV"]
NAMES = ["benzene-1,3-diol", "(R)-2-butanol", "Compound B and water", "None of the above"]
STATEMENTS = [
    "The enzyme binds C and releases B.",
    "Gene A is epistatic to gene B",
    "The rate increases",
    "The rate does not increase",
]
PAIRS = ["A = ethanol, B = ethanal", "A = ethanal, B = ethanol", "C, D, A, B", "D > B > A > C"]
COUNTS = ["4", "3", "8", "-1"]
WORDS = ["Yes", "No", "Only at low temperature", "~ 1.5 times higher"]
RATES = [
    r"$k = 2.3\times 10^{-3}\ \mathrm{s^{-1}}$",
    r"$k = 2.3\times 10^{-2}\ \mathrm{s^{-1}}$",
    r"CH$_3$COCH$_3$",
    r"$\hbar/2$",
]
TEN = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

# options, the letter that each of the answers states, and the answers
STATED = [
    (WIDTHS, "B", [  # conclusions in words
        "The answer among the given options is B.", "The closest value is **B) 24 nm**.",
        "The only choice consistent with the data is B.", "That leaves us with B.", "So B it is.",
        "By elimination: B.", "I'm going with option B.", "I'd go for B.", "I lean towards B.",
        "The answer turns out to be B.", "The answer is, of course, B.", "My best guess is B.",
        "It's hard to say, but B seems the most likely.", "If I had to choose, I'd say B.",
        "No doubt the answer is B.", "Initially at rest, it gains energy, so the answer is B.",
        "After some attempts, the answer is B.", "The width depends on the mass, so it is B.",
        "This makes B the correct choice.", "Most likely B.", "Answer choice (B) is correct.",
        "Hence (B).", "∴ the answer is B", "My answer: option (b)", "The answer is b.",
        "This agrees with answer B.", "which corresponds to B.", "Only (B) fits.", "B wins.",
        "The width corresponds to option (B).", "The width is 24 nm, i.e., (B).",
    ]),
    (WIDTHS, "B", [  # signs and settings
        "width = 24 nm => B.", "➡️ **Answer: B**", "👉 B", "✅ **B) 24 nm**", "Answer: ✅ B",
        "[[B]]",
        "[ANSWER] B", "**B**: 24 nm", '{"reasoning": "wide", "answer": "B"}', "```\nB\n```",
        "<final_answer>B</final_answer>", "<answer>B. 24 nm</answer>", "##Answer: B##", "'B'",
        r"$$\text{Answer: B}$$", r"\boxed{\text{Option B}}", r"\boxed{B \text{ (wide)}}",
        r"\boxed{\text{Answer: B}}", "Answer – B", "ANSWER = B", "Answer (B)", "> **Answer: B**",
        "# Answer\n\n**B**", "The answer is:\n\n- **B) 24 nm**", "Option: B", "B = 24 nm",
        "B 24 nm",
    ]),
    (WIDTHS, "B", [  # an explanation after it
        "The width is **B. 24 nm**.\n\nThis follows, since the mass is small.",
        "B. 24 nm\n\nHere's why: the mass is small.",
        "**Answer: B**\n\n**Explanation:**\n- A: too small\n- C: too small\n- D: too large",
        "The width is 24 nm (B).\n\n- A: 2.4 nm is too small.\n- D: 240 nm is too large.",
        "The answer is (B). Note that D follows if one forgets to convert the units.",
        "Answer: B\n\nNote: choosing A is a common mistake.",
        "The answer is B.\n\nD would be right if the mass were smaller.",
        "Answer: B\nConfidence: 80%", "**B**\n\nLet me know if I should explain why D is wrong.",
        "B (24 nm), not A (2.4 nm).", "The answer is B (not D, as is often claimed).",
    ]),
    (WIDTHS, "B", [  # others denied, or taken back
        "Not A but B.", "Neither A nor C fits; therefore B.", "B > A, so B.", "I pick B over A.",
        "Options A, C, and D are incorrect. Option B is correct.", "A: no. B: yes. C: no. D: no.",
        "It can't be A (too small) or C (atomic), so it has to be B.",
        "Between A and B, I choose B.",
        "While A is tempting, B is correct.", "The answer is A... no, B.",
        "Initially I thought A, but it is B.", "Answer: A\n\nCorrection: the answer is **B**.",
        "First, I thought the answer was A. This corresponds to B.",
        "The answer is B. Let me double-check: 24 nm. Yes, that is right.",
        "A) 2.4 nm – too small ❌\nB) 24 nm – fits ✅\nC) 0.24 nm ❌\nD) 240 nm ❌",
        "A. 2.4 nm: This is wrong.\nB. 24 nm: This is correct.\nC. 0.24 nm: This is wrong.",
        "**Correct answer: B**\n❌ A\n❌ C\n❌ D", "- A\n- B\n- C\n- D\n\nSo it's B.",
    ]),
    (WIDTHS, "B", [  # in other languages
        "答案为 B", "因此，答案是（B）。", "故选 B", "选项 B 是正确的。",
        "La bonne réponse est la B.",
        "Die richtige Antwort lautet B.", "La respuesta correcta es la opción B.",
        "A resposta é B.", "Risposta: B", "Верный ответ — B.", "정답은 B입니다.", "Cevap: B",
    ]),
    (WIDTHS, "B", [  # by value
        "24nm", "24.0 nm", r"\boxed{24~\text{nm}}", r"\boxed{24}", r"$24\,\text{nm}$",
        r"\boxed{2.4 \times 10^{1}\text{ nm}}", r"So $L \approx 24\,\mathrm{nm}$.",
        "Answer: ≈ 24 nm", "It has a width of 24 nm.", "The width is approximately 24 nm.",
        "The width is 2.4 nm a layer, for ten layers.\n\nSo the width is 24.0 nm.",
    ]),
    (WIDTHS, None, [
        r"\boxed{24\text{ cm}}", r"\boxed{25\text{ nm}}", "The width is 124 nm.", "24.5 nm",
        "The width is between 2.4 nm and 24 nm.", "It is less than 24 nm.", "It is not 24.0 nm.",
        "The width is -24 nm.", "24 nm^2", "The well is 24 nm deep.", "from 240 nm to 24 nm",
        "±24 nm", "It is half of 24 nm.",
    ]),
    (WIDTHS, None, [  # several, or none
        "A or B", "The answer is either A or B.", "Answer: A/B", r"\boxed{A, B}", "B, D", "C & D",
        "Both A and B fit.", "Options A and B both fit.", "If it is light, B; if it is heavy, D.",
        "The answer is B if it is light and D if it is not.", "The options are A, B, C and D.",
        "Answer with A, B, C, or D.", "Options A–D all describe widths.", "Answer: [letter]",
        "None of A, B, C or D is correct.", "No option fits.", "None of the options match.",
        "The second option is B, the third is C.", "The other option is C.", "E", r"\boxed{E}",
    ]),
    (WIDTHS, None, [  # denied, asked, imagined
        "The answer is certainly not B.", "B is ruled out.", "So B is out.", "All but (B) fit.",
        "This does not match B.", "B ✗", "B: wrong.", "~~B~~", "Wrong answer: B",
        "I doubt that it is B.",
        "The answer is unlikely to be B.", "I don't think B is right.", "Never choose B.",
        "The least likely option is B.", "The obvious answer is B, but it is wrong.",
        "Is the answer B?", "The answer would be B if the mass were larger.", "B might work.",
        "Unless the mass is large, the answer is B.", "Many would say B.",
        "It is tempting to choose B.",
        "Let me think about option B in more detail:", "The answer is B. Wait, no, that is wrong.",
        "Answer: B\n\nWait, that's not right. I made a mistake. Let me recompute.",
    ]),
    (WIDTHS, None, [  # walks through the options
        "Option A: 2.4 nm\nOption B: 24 nm\nOption C: 0.24 nm\nOption D: 240 nm",
        "1. A: small\n2. B: larger\n3. C: tiny\n4. D: large", "| A | 2.4 nm |\n| B | 24 nm |",
        "The options are:\n\nA) 2.4 nm\nB) 24 nm", "**Option A:** small.\n\n**Option B:** larger.",
    ]),
    (WIDTHS, None, [  # letters of other things
        "D is the diffusion constant, and C is the concentration.", "The capacitance is C.", "a C",
        "The answer depends on whether the field is B.", "A → B → C", "A + B -> C", "x + C",
        "B = 2",
        "The major product of A is B.", "A reacts with B to give C.", "It is at $25^\\circ$C.",
        "The answer is C-C bond cleavage.", "The answer is C. elegans.", "D-glucose", "Vitamin D.",
        "A detailed look is needed.", "The answer is A longer well.", "Equation (C)", "See (C).",
    ]),
    (SIGNALS, "A", ["A", "A. A singlet", "The answer is A: a singlet."]),
    (SIGNALS, "B", ["The pattern is **a doublet of doublets (dd)**.", "Doublet of doublets",
                    "The signal is split twice, which makes it a doublet of doublets."]),
    (SIGNALS, "C", ["The signal is a doublet, since it has one neighbour.", "Answer: doublet"]),
    (SIGNALS, None, ["The answer is A quartet.", "It is a quartet of doublets.",
    "A signal is seen.",
                     "It is neither a doublet nor a singlet.", "A doublet or a singlet is seen."]),
    (VALUES, "A", [r"\boxed{\frac12\sqrt3}", r"The answer is $\tfrac{1}{2}\sqrt{3}$."]),
    (VALUES, "B", ["√3", r"Therefore $x = \sqrt{3}$."]),
    (VALUES, "C", [r"\boxed{-0.5}", "The answer is $-1/2$.", r"So $\cos\theta = -\frac12$."]),
    (VALUES, "D", [r"\boxed{1.5}", "The answer is 3/2"]),
    (VALUES, None, [r"\boxed{\frac{1}{2}}", r"The answer is $2\sqrt{3}$.", r"\boxed{\sqrt{3}/4}"]),
    (ENERGIES, "A", ["10⁻⁴ eV", "1e-4 eV", r"\boxed{0.0001 \text{ eV}}", r"It is $10^{-4}$ eV.",
                     r"A) $10^{-4}\ \mathrm{eV}$"]),
    (ENERGIES, None, ["10^{-5} eV", "10^{-10} eV", r"\boxed{10^4\text{ eV}}",
                      "The widths are 10^-8 eV and 10^-9 eV."]),
    (NAMES, "A", ["The major product is **benzene-1,3-diol** (resorcinol)."]),
    (NAMES, "B", ["The product is (R)-2-butanol.", r"\boxed{\text{(R)-2-butanol}}"]),
    (NAMES, "D", ["None of the above is correct.", "The answer is D, none of the above."]),
    (NAMES, None, ["Compound B is formed first.", "Product B forms from A.", "(R)-2-butanal"]),
    (STATEMENTS, "A", ["Statement A is correct.", "Thus the enzyme binds C and releases B."]),
    (STATEMENTS, "B", ["Therefore, gene A is epistatic to gene B."]),
    (STATEMENTS, "C", ["The rate increases.", "The conclusion is that the rate increases."]),
    (STATEMENTS, "D", ["The rate does not increase.", "D. The rate does not increase"]),
    (STATEMENTS, None, ["Gene B is epistatic to gene A.", "The rate may increase."]),
    (PAIRS, "A", ["Therefore, A = ethanol and B = ethanal, which is option A.",
                  "The answer: A = ethanol, B = ethanal."]),
    (PAIRS, "C", ["The order is C, D, A, B.", "C"]),
    (PAIRS, "D", ["The reactivity decreases as D > B > A > C."]),
    (PAIRS, None, ["A is ethanol.", "D is the most reactive.", "A, B, D, C",
    "It is A that reacts."]),
    (COUNTS, "C", ["There are 8 distinct signals in the spectrum.", "4 + 4 = 8.", "8 signals"]),
    (COUNTS, "D", [r"\boxed{-1}", "The charge is −1."]),
    (COUNTS, None, [r"\boxed{4, 3}", "There are 4 or 3.", "The ratio is 4:3.", "1", "11, 8, 3"]),
    (WORDS, "A", ["Yes.", "The answer is yes.", "A) Yes, since the gap closes."]),
    (WORDS, "B", ["Answer: No, because the gap stays open.", "B) No"]),
    (WORDS, "C", ["This happens only at low temperature.", "**Only at low temperature**"]),
    (WORDS, "D", ["It is approximately 1.5 times higher."]),
    (WORDS, None, ["No option fits.", "It is 1.5 times lower.", "Yes and no."]),
    (RATES, "A", [r"The rate is $2.3\times10^{-3}\ \mathrm{s}^{-1}$.", "k = 2.3 × 10⁻³ s⁻¹"]),
    (RATES, "C", ["The product is acetone, CH₃COCH₃.", r"\boxed{CH_3COCH_3}"]),
    (RATES, "D", [r"\boxed{\frac{\hbar}{2}}", "ħ/2"]),
    (RATES, None, [r"\boxed{2.3 \times 10^{-4}\ \text{s}^{-1}}", r"$\hbar$", "CH3COCH2CH3"]),
    (TEN, "I", ["Answer: I", "I", "The answer is (I)."]),
    (TEN, "E", ["I would go with E.", "I, for one, choose E."]),
    (TEN, None, ["I am not sure.", "I, however, cannot say.", "So I would need more data."]),
]  # fmt: skip
CASES = [(choices, letter, text) for choices, letter, texts in STATED for text in texts]

LEADS = ["The correct answer is {}.", "**Answer: {}**", "### Final Answer\n\n{}", "{}", "=> {}",
         "I choose {}.", "{} is the correct answer.", "Hence {}.", "We are left with {}.",
         "The best option is {}, because it fits.", "The answer is most likely {}.",
         "<answer>{}</answer>", "The correct choice is:\n\n**{}**"]  # fmt: skip
FORMS = [
    "{0}",
    "({0})",
    "**{0}**",
    "{0}) {1}",
    "**{0}. {1}**",
    "Option ({0})",
    "{0}: {1}",
    "{0} ({1})",
]
AROUND = [
    ("", ""),
    ("A) too small\nB) too large\nC) unclear\nD) unclear\n\n", "\n\nExplanation: it fits."),
    ("D is too large.\n\n", "\n\n- **C**: too small.\n- **D**: too large."),
    ("First, I thought the answer was A.\n\n", "\n\nNote that D would need a larger mass."),
]


def letter_in(text, choices, finish="eos", prefix=""):
    """The letter that an answer states; None for what it states instead."""
    found = extract_choice(text, finish, choices, prefix).extracted
    return found if found in [chr(ord("A") + n) for n in range(len(choices))] else None


@pytest.mark.parametrize(("choices", "letter", "text"), CASES, ids=[case[2] for case in CASES])
def test_how_models_end_answers(choices, letter, text):
    assert letter_in(text, choices) == letter


@pytest.mark.parametrize("choices", [WIDTHS, SIGNALS, STATEMENTS, WORDS])
def test_every_lead_and_form_with_anything_around(choices):
    for lead, form, (before, after) in itertools.product(LEADS, FORMS, AROUND):
        text = before + lead.format(form.format("B", choices[1])) + after
        assert letter_in(text, choices) == "B", text


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Answer: B\n\nThe well is wide because the", "B"),
        ("The answer is B. This follows from the", "B"),
        ("Answer: B\n\nAnswer: B\n\nAnswer: C", "B"),
        (r"\boxed{B}", "B"),
        ("Final Answer: B. But wait, that's not right, since the", None),
        (r"\boxed{B", None),
        ("The answer is B", None),
        ("Let us look at (B)", None),
    ],
)
def test_what_was_cut_off_states_nothing(text, letter):
    assert letter_in(text, WIDTHS, "length") == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [(" 24 nm", "B"), (" The answer is B.", "B"), (" B is wrong, so C.", "C"), (" not B", None),
     (" A longer well.", None), (" option B\n\nD would be larger.", "B")],
)  # fmt: skip
def test_the_format_may_begin_the_statement(text, letter):
    assert letter_in(text, WIDTHS, prefix="Final Answer:") == letter
