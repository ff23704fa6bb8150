"""The floor: transformers' own forward pass over the token ids, nothing collected.

    python benchmarks/bare_forward.py MODEL CALIBRATION THREADS start|blocks|head

fp32, batches of 2,048 tokens: `blocks` without the language-model head, as a statistics pass needs
it, `head` with the logits of every token, and `start` only up to the first batch.
"""

import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

BATCH_TOKENS = 2048


def main() -> None:
    model_folder, calibration, threads, what = sys.argv[1:]
    torch.set_num_threads(int(threads))
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()
    input_ids = load_file(calibration)["input_ids"].long()
    if what == "start":
        return
    run = model if what == "head" else model.model
    with torch.inference_mode():
        for batch in input_ids.split(max(1, BATCH_TOKENS // input_ids.shape[1])):
            run(input_ids=batch, use_cache=False)


if __name__ == "__main__":
    main()
