"""The demo reasoner's tokenizer: one token a character, one for each delimiter and chat mark."""

from tokenizers import AddedToken, Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from workflow_scripts.demo.chains import (
    ASSISTANT,
    DIGITS,
    OPERATIONS,
    THINK,
    THINK_END,
    TURN_END,
    USER,
)

PAD = "<|pad|>"
UNKNOWN = "<|unknown|>"

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'user' -%}"
    f"{{{{- '{USER}' + message['content'] + '{TURN_END}' -}}}}"
    "{%- elif message['role'] == 'assistant' -%}"
    f"{{{{- '{ASSISTANT}' + message['content'] + '{TURN_END}' -}}}}"
    "{%- else -%}"
    "{{- raise_exception('the demo reasoner knows the roles user and assistant, not ' "
    "+ message['role']) -}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}"
    f"{{{{- '{ASSISTANT}' -}}}}"
    "{%- endif -%}"
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer with its chat template, ready for `save_pretrained`.

    The thinking delimiters are ordinary tokens, as in Qwen3: decoding keeps them even where special
    tokens are skipped. A character that is not in the task's alphabet becomes UNKNOWN.
    """
    special = [PAD, UNKNOWN, USER, ASSISTANT, TURN_END]
    characters = [*DIGITS, *OPERATIONS, "=", ";", "?"]
    vocabulary = [*special, THINK, THINK_END, *characters]
    ids = {token: number for number, token in enumerate(vocabulary)}
    # BPE without merges leaves single characters
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=[], unk_token=UNKNOWN))
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    tokenizer.add_tokens(
        [AddedToken(t, special=False, normalized=False) for t in (THINK, THINK_END)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        eos_token=TURN_END,
        extra_special_tokens=[USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=256,
    )


def prompt(tokenizer: PreTrainedTokenizerFast, question: str) -> str:
    """The question through the chat template, up to where the model's turn begins."""
    messages = [{"role": "user", "content": question}]
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
