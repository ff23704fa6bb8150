"""A model to the harness that answers from a table and notes what it is asked."""

from collections.abc import Callable, Mapping
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

UNLIKELY = -1000.0


class Scripted(LM):
    """`likes` gives log-likelihoods, by a continuation or by the context and it in one; `says` the
    response to a prompt. What is not in `likes` is unlikely. `asked` are the requests, in order.
    """

    tokenizer_name = "scripted"

    def __init__(
        self,
        likes: Mapping[str, float] | None = None,
        says: Callable[[str], str] | None = None,
        rolling: Callable[[str], float] | None = None,
    ) -> None:
        super().__init__()
        self._likes, self._says, self._rolling = likes or {}, says, rolling
        self.asked: list[tuple[Any, ...]] = []

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        turns = "".join(f"<{turn['role']}>{turn['content']}" for turn in chat_history)
        return turns + "<assistant>" * add_generation_prompt

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        return [(self._likelihood(*request.args), False) for request in self._noted(requests)]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        return [self._rolling(*request.args) for request in self._noted(requests)]

    def generate_until(self, requests: list[Instance]) -> list[str]:
        return [self._says(request.args[0]) for request in self._noted(requests)]

    def _noted(self, requests: list[Instance]) -> list[Instance]:
        self.asked += [request.args for request in requests]
        return requests

    def _likelihood(self, context: str, continuation: str) -> float:
        found = self._likes.get(context + continuation)
        return self._likes.get(continuation, UNLIKELY) if found is None else found
