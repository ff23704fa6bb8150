"""How many sequences are decoded together where the config leaves that open."""

import pytest

from workflow_scripts.config.engines import batch_size


@pytest.mark.parametrize(
    "asked, engine, device, longest, samples, found",
    [
        ("auto", "transformers", "cuda", 8192, 1000, 32),
        ("auto", "transformers", "cpu", 512, 1000, 32),
        ("auto", "transformers", "cpu", 256, 1000, 64),
        ("auto", "vllm", "cpu", 100, 1000, 128),
        ("auto", "transformers", "cpu", 100, 24, 24),
        ("auto", "vllm", "cuda", 100, 24, "auto"),
        (8, "vllm", "cuda", 100, 24, 8),
        (200, "transformers", "cpu", 8192, 24, 200),
    ],
)
def test_auto_is_many_short_sequences_and_vllm_s_own_choice_on_a_gpu(
    asked, engine, device, longest, samples, found
):
    assert batch_size(asked, engine, device, longest, samples) == found
