"""The prompt of a problem as token ids: its chat template, then what opens the thinking."""

from collections.abc import Iterable

from workflow_scripts.artefacts.records import Problem
from workflow_scripts.config.thinking import ThinkingFormat
from workflow_scripts.errors import InputError
from workflow_scripts.models.chat_templates import ChatTemplate
from workflow_scripts.models.tokenizers import encode


def prompts(
    template: ChatTemplate,
    problems: Iterable[Problem],
    texts: ThinkingFormat,
    opening: tuple[int, ...],
    benchmark: str,
) -> dict[str, tuple[int, ...]]:
    """The prompt of each problem by its id, up to and with the opening of its trace.

    `opening` is `texts.open` as ids. Where the template has opened the thinking itself, as those of
    R1 distills do, it is not appended. Raises `InputError` naming model, benchmark and problem
    where the template has ended the thinking too, and for whatever `ChatTemplate` refuses.
    """
    found = {}
    for problem in problems:
        where = f"benchmark {benchmark}, problem {problem.id}"
        question = _content(problem)
        prompt = template.render(question, where)
        after = prompt.rpartition(question.strip())[2]
        opens, closes = texts.open.strip(), texts.after_stop.strip()
        is_open = opens != "" and opens in after
        if opens and closes and closes in after.rpartition(opens)[2]:
            raise InputError(
                f"{template.tokenizer.name_or_path}: its chat template ends the thinking before it "
                f"begins, with {closes!r} ({where}); take a template or a thinking format without"
            )
        found[problem.id] = (*encode(template.tokenizer, prompt), *(() if is_open else opening))
    return found


def _content(problem: Problem) -> str:
    """The question bare, as the paper gives it; choices after an empty line, as `A) ...`."""
    lines = [f"{chr(65 + i)}) {choice}" for i, choice in enumerate(problem.choices or [])]
    return "\n".join([problem.question, "", *lines] if lines else [problem.question])
