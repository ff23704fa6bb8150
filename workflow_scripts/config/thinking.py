"""Thinking formats: the texts that open a trace, end it, prolong it, and lead to the answer."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from workflow_scripts.config.entry import Entry, Said
from workflow_scripts.config.types import AnyText, Different, Text, Whole, in_words


def json_type(value: Any) -> str:
    """Which of a text and a list a value is taken for."""
    return "array" if isinstance(value, (list, tuple)) else "string"


class AnswerPrefix(Entry):
    """The last lines of what a format writes in front of an answer, such as "Final Answer:".

    `after_cap` stands there where the budget cut the trace, `after_stop` elsewhere.
    """

    after_cap: str = ""
    after_stop: str = ""


class ThinkingFormat(Entry):
    """How a model's thinking is opened, recognised as finished, and closed."""

    open: AnyText
    """Appended to the prompt to open the thinking, unless the chat template has written it already;
    empty where the model opens it."""
    stop: Annotated[
        Annotated[Text, Tag("string")] | Annotated[Different[Text], Tag("array")],
        Discriminator(json_type),
    ] = Field(**in_words("text that is not empty, or a list of one or more such texts, none twice"))
    """What the model writes when its thinking is finished. Each text is one token of its tokenizer,
    and any of them ends the trace, as the end of the model's turn does; it is not part of the
    trace."""
    after_stop: Text
    """Appended after a trace that ended by itself, before the answer."""
    after_cap: Text
    """Appended after a trace that the budget cut, before the answer. Where the last line of this
    text, or of `after_stop`, begins a statement ("Final Answer:"), grading reads the answer on from
    there."""
    newline_before_cap: bool = False
    """Put a newline before `after_cap`, unless the text of the trace ends in one already."""
    extend_with: AnyText = ""
    """With `extensions`, what is appended in place of the end of the thinking, for the model to
    think on; it counts as a part of the trace."""
    extensions: Whole = 0
    """How many times at most the end of the thinking (or of the turn, inside it) is dropped and
    `extend_with` put in its place. What is appended counts as a part of the trace, which stays
    within its budget."""

    def contradictions(self) -> Iterator[Said]:
        if self.extensions and not self.extend_with:
            said = f"'' is not allowed with extensions {self.extensions}; must be text that is not "
            yield ("extend_with",), f"{said}empty"
        if self.extend_with and not self.extensions:
            said = "0 is not allowed with extend_with; must be a whole number of at least 1"
            yield ("extensions",), said

    def answer_prefix(self) -> AnswerPrefix:
        """What the format writes directly in front of an answer."""
        texts = {"after_cap": self.after_cap, "after_stop": self.after_stop}
        last = {key: text.rstrip().rpartition("\n")[2] for key, text in texts.items()}
        return AnswerPrefix(**last)
