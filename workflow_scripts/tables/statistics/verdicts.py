"""The words for what can be said of a difference, and where the lines between them are.

Apart from the arithmetic: pages and figures tell verdicts without computing any.
"""

ALPHA = 0.05  # 1 - confidence of every interval; what a corrected p must be below
RELEVANT = 0.1  # a difference that must be ruled out before "no difference" is said

BETTER, WORSE, INCONCLUSIVE = "better", "worse", "inconclusive"

NO_LARGER = "no difference larger than"  # and the bound
