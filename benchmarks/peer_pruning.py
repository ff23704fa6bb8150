"""Wanda or SparseGPT by llm-compressor, on the same token ids; runs in its own environment.

    PEER/bin/python benchmarks/peer_pruning.py METHOD MODEL CALIBRATION SPARSITY THREADS OUTPUT

Writes, by the linears' weights, which weights Wanda keeps, as packed bits of the form of our masks,
or what SparseGPT makes of them.
"""

import sys

import numpy as np
import torch
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.pruning import SparseGPTModifier, WandaPruningModifier
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

MODIFIERS = {"wanda": WandaPruningModifier, "sparsegpt": SparseGPTModifier}


def main() -> None:
    method, model_folder, calibration, sparsity, threads, output = sys.argv[1:]
    torch.set_num_threads(int(threads))
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    input_ids = load_file(calibration)["input_ids"].long()
    rows = {"input_ids": input_ids.tolist(), "attention_mask": torch.ones_like(input_ids).tolist()}
    oneshot(
        model=model,
        dataset=Dataset.from_dict(rows),
        recipe=MODIFIERS[method](
            sparsity=float(sparsity), targets=["Linear"], ignore=["re:.*lm_head"]
        ),
        max_seq_length=input_ids.shape[1],
        num_calibration_samples=len(input_ids),
        shuffle_calibration_samples=False,
    )
    found = {}
    for name, parameter in model.named_parameters():
        if not (name.startswith("model.layers.") and name.endswith("_proj.weight")):
            continue
        if method == "wanda":
            keep = (parameter != 0).reshape(-1).cpu().numpy()
            found[name] = torch.from_numpy(np.packbits(keep, bitorder="little"))
        else:
            found[name] = parameter.detach()
    save_file(found, output)


if __name__ == "__main__":
    main()
