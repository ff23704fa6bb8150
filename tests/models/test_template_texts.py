"""A chat template is found where transformers finds it, and is read as transformers reads it."""

import json

import pytest
from transformers import PreTrainedTokenizerFast

from tests.models.tiny_models import CHAT_TEMPLATE, tiny_tokenizer
from workflow_scripts.errors import InputError
from workflow_scripts.models.template_texts import check_template, template_of

OTHER = CHAT_TEMPLATE.replace("<user>", "<model>")


@pytest.mark.parametrize(
    ("file", "setting"),
    [
        (CHAT_TEMPLATE, None),
        (None, CHAT_TEMPLATE),
        (CHAT_TEMPLATE, OTHER),
        (None, [{"name": "default", "template": CHAT_TEMPLATE}, {"name": "b", "template": OTHER}]),
        (None, {"default": CHAT_TEMPLATE, "b": OTHER}),
        (None, None),
    ],
)
def test_it_is_the_one_that_transformers_finds(tmp_path, file, setting):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    if file:
        (tmp_path / "chat_template.jinja").write_text(file)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": setting}))
    found = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert template_of(tmp_path) == found.chat_template


def test_tags_of_transformers_are_read():
    """A tokenizer's own class of Jinja knows these two beside Jinja's."""
    template = (
        "{% for m in messages %}{% generation %}{{ m }}{% endgeneration %}{% break %}{% endfor %}"
    )
    check_template(template, [], "mine")
    with pytest.raises(InputError, match="its chat template is not Jinja: line 1: "):
        check_template(template.replace("endgeneration", "endgenerating"), [], "mine")


@pytest.mark.parametrize("setting", [7, [{"name": "default"}], {"default": 7}])
def test_settings_that_hold_no_template_are_one_line(tmp_path, setting):
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({"chat_template": setting}))
    with pytest.raises(InputError) as caught:
        template_of(tmp_path)
    assert str(caught.value) == (
        f"{path}: chat_template is neither a text nor several, each with its name"
    )


NESTED = "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}"


@pytest.mark.parametrize(
    ("template", "said"), [(NESTED, "not Jinja: nested too deep"), (5, "no text")]
)
def test_what_no_parser_takes_is_one_line(template, said):
    with pytest.raises(InputError) as caught:
        check_template(template, [], "mine")
    assert str(caught.value) == f"mine: its chat template is {said}; correct chat_template.jinja"


def test_a_name_that_any_of_several_templates_has_is_used():
    check_template({"default": "{{ messages }}", "tools": "{{ deep }}"}, ["deep"], "mine")
    with pytest.raises(InputError, match="has no use for 'dee'"):
        check_template({"default": "{{ messages }}", "tools": "{{ deep }}"}, ["dee"], "mine")
