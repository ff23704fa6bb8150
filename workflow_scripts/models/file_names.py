"""The names of a model's files."""

from fnmatch import fnmatchcase

CONFIG = "config.json"
TOKENIZER_TEXT = (
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "merges.txt",
    "vocab.txt",
)
ALLOWED = ("*.safetensors", "*.json", "*.jinja", *TOKENIZER_TEXT)
# an index of weights that are never read, the manifest that every model folder of ours has, and
# what would have a library look for another model elsewhere
IGNORED = ("*.bin.index.json", "manifest.json", "adapter_config.json")


def may_be_of_checkpoint(name: str) -> bool:
    """Whether a file of this name may belong to a model: weights, JSON, templates, tokenizers."""
    if name.startswith(".") or any(fnmatchcase(name, pattern) for pattern in IGNORED):
        return False
    return any(fnmatchcase(name, pattern) for pattern in ALLOWED)
