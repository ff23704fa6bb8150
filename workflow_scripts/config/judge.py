"""The judge: a language model that judges answers beside the grader."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from workflow_scripts.config.entry import Entry, Said, absent
from workflow_scripts.config.thinking import AnswerPrefix
from workflow_scripts.config.types import Count, Different, Text, in_words, matching, named


class Judge(Entry):
    """A language model that judges answers beside the grader. Off, nothing of it runs."""

    enabled: bool = False
    """Whether answers are judged, and the agreement table made."""
    url: matching(
        r'https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[!"$->A-~]*)?',
        "an http or https address without user, query and fragment",
    ) = "http://localhost:8000/v1"
    """An OpenAI-compatible endpoint, up to what comes before `/chat/completions`; redirects are not
    followed. Proxies of the environment are used, but not on the way to this machine."""
    model: Text = "judge"
    """The judge's name at the endpoint."""
    prompt: Literal["equivalence", "paper"] = "equivalence"
    """What the judge is asked: whether an answer means the same as the right one (equivalence), or
    as in the paper, only what plain digits and letters do not decide: whether it is the right one
    apart from its form, or which choice it names (paper)."""
    benchmarks: Different[named("benchmarks", "a name")] = absent(
        **in_words("a list of one or more names, none twice")
    )
    """The benchmarks that the judge is asked about; left out, all. Answers of the others are
    compared with the right ones as texts, as the paper does on AMC."""
    temperature: float = Field(0.0, ge=0, le=2)
    """Sampling temperature of the judge. Equal questions have one reply whatever it is."""
    key_variable: matching("[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable") = (
        "JUDGE_API_KEY"
    )
    """The environment variable that holds the endpoint's key; it may be unset."""
    max_tokens: Count = 16
    """Cap on the tokens of a reply; a judge that thinks needs many."""
    timeout: float = Field(60.0, gt=0)
    """Seconds in which the endpoint must reply to one attempt."""
    attempts: Count = 6
    """How often a question is asked before the run stops, the first time included: after errors of
    the endpoint, too many requests, silence and nonsense, with growing pauses or those that the
    endpoint asks for."""
    parallel: Count = 4
    """Questions that are under way at once."""

    def contradictions(self) -> Iterator[Said]:
        """The paper's judge is sampled, and is not asked about every benchmark."""
        if self.prompt == "paper" and self.benchmarks is None:
            yield ("benchmarks",), "missing; prompt paper needs it"
        if self.prompt == "paper" and self.temperature == 0:
            yield ("temperature",), "0 is not allowed with prompt paper (the paper: 0.5)"


class JudgeJob(Judge):
    """What a job that asks the judge is told: the judge, and what the model's format writes."""

    answer_prefix: AnswerPrefix = AnswerPrefix()
