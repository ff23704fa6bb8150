"""How traces are looked at, to see why accuracy falls where it falls."""

from workflow_scripts.config.entry import Entry
from workflow_scripts.config.types import Count, Different, Name, Whole, matching

Word = matching(r"\S+( \S+)*", "words with one space between them")


class Diagnosis(Entry):
    """How traces are looked at, to see why accuracy falls where it falls."""

    reflection_words: dict[Name, Different[Word]] = {}
    """By language, words and phrases with which a model looks back on what it thought, counted in
    traces: whole words, capitals or not; in scripts without spaces between words anywhere."""
    ngram: Count = 3
    """Words of the n-grams that tell how different the repeats of a problem are (distinct-n)."""
    shown: Whole = 3
    """The most problems that departures.html shows of those that a variant lost, for each model and
    benchmark."""
