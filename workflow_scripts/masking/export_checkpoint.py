"""Write a pruned model as a plain Hugging Face folder.

    python -m workflow_scripts.masking.export_checkpoint --model resources/models/reasoner \\
        --mask results/reasoner/wanda-20/mask.safetensors \\
        --weights results/reasoner/wanda-20/weights.safetensors \\
        --record results/reasoner/wanda-20/mask.json \\
        --made-from '{"model": "reasoner", "variant": "wanda-20", "device": "cpu", "entry":
            {"method": "wanda", "sparsity": 0.2, "calibration": "chains"}, "sets": {}}' \\
        --output results/reasoner/wanda-20/checkpoint

Weights keep their dtype and their shards; pruned ones are zero, changed ones changed, removed
blocks are gone and those left are renumbered. Heads and neurons that are gone are left out where
every block has lost as many. One tensor at a time is in memory. README.md is the card of the model,
`model_card.md.j2` filled in.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from workflow_scripts.artefacts.masks import VariantFiles, read_pruned
from workflow_scripts.artefacts.narrow import narrowed
from workflow_scripts.artefacts.pruned_checkpoints import export
from workflow_scripts.config.entry import parser_of
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.masking.model_card import CARD, MadeFrom, model_card
from workflow_scripts.models import checkpoints


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="folder of a fetched model")
    parser.add_argument("--mask", required=True, type=Path)
    parser.add_argument("--weights", required=True, type=Path)
    parser.add_argument("--record", required=True, type=Path, help="the mask's mask.json")
    parser.add_argument("--made-from", required=True, help="what the config says of it, JSON")
    parser.add_argument("--output", required=True, type=Path, help="folder to write")
    arguments = parser.parse_args(argv)
    digest = checkpoints.model_digest(arguments.model)
    files = VariantFiles(arguments.mask, arguments.weights, arguments.record)
    pruned = read_pruned(files, digest)
    checkpoint = checkpoints.open_checkpoint(arguments.model)
    narrow = narrowed(checkpoint, pruned)
    card = model_card(checkpoint, pruned, parser_of(MadeFrom)(arguments.made_from), narrow)
    export(checkpoint, pruned, arguments.output, {CARD: card}, narrow)


if __name__ == "__main__":
    run_stage(main)
