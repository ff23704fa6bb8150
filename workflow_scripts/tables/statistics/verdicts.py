"""The words for what can be said of a difference, and where the lines between them are.

Apart from the arithmetic: pages and figures tell verdicts without computing any.
"""

ALPHA = 0.05  # 1 - confidence of every interval; what a corrected p must be below
DRAWS = 2000  # resampled benchmarks, where intervals come from such
RELEVANT = 0.1  # a difference that must be ruled out before "no difference" is said

BETTER, WORSE, INCONCLUSIVE = "better", "worse", "inconclusive"

NO_LARGER = "no difference larger than"  # and the bound

# of a pair of models
LOSES_MORE, LOSES_LESS = "thinking loses more", "thinking loses less"
NOT_SHOWN = "no difference shown"
# in the place of a variant's name, which has no brackets: over variants that remove something,
# without recovery and with, and over those whose tokens skip sublayers
MEAN_PRUNED, MEAN_RECOVERED = "(mean of pruned)", "(mean of recovered)"
MEAN_DYNAMIC = "(mean of dynamic)"

# of claims
SUPPORTED, CONTRADICTED = "supported", "contradicted"
UNDECIDED, NOT_TESTED = "undecided", "not tested"

# of training after pruning
GAINS, HARMS, NO_GAIN = "gains", "loses", "no gain shown"
