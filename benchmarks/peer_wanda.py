"""Wanda by llm-compressor, on the same token ids; runs in llm-compressor's own environment.

    PEER/bin/python benchmarks/peer_wanda.py MODEL CALIBRATION SPARSITY THREADS OUTPUT

Writes which weights are kept, as packed bits, to a safetensors file of the form of our masks.
"""

import sys

import numpy as np
import torch
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.pruning import WandaPruningModifier
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM


def main() -> None:
    model_folder, calibration, sparsity, threads, output = sys.argv[1:]
    torch.set_num_threads(int(threads))
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    input_ids = load_file(calibration)["input_ids"].long()
    rows = {"input_ids": input_ids.tolist(), "attention_mask": torch.ones_like(input_ids).tolist()}
    oneshot(
        model=model,
        dataset=Dataset.from_dict(rows),
        recipe=WandaPruningModifier(
            sparsity=float(sparsity), targets=["Linear"], ignore=["re:.*lm_head"]
        ),
        max_seq_length=input_ids.shape[1],
        num_calibration_samples=len(input_ids),
        shuffle_calibration_samples=False,
    )
    masks = {}
    for name, parameter in model.named_parameters():
        if name.startswith("model.layers.") and name.endswith("_proj.weight"):
            keep = (parameter != 0).reshape(-1).cpu().numpy()
            masks[name] = torch.from_numpy(np.packbits(keep, bitorder="little"))
    save_file(masks, output)


if __name__ == "__main__":
    main()
