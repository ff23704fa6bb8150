"""The stages of prunethink, and the wings that they stand on.

    download calibration allocation masking recovery screening generation grading tasks tables demo
                         the stages
    estimates  inputs    sizes, resources of a job, costs; rows of problems and texts in files
    pruning              scores of weights, the choice among them, the search for a better one
    engines              what decodes requests: transformers, vLLM
    answers              the answer that a text gives, and whether it equals another
    config  artefacts    what a config may hold; what one stage writes and another reads
    models               checkpoints, tensors, blocks, activations, tokenizers
    jobs                 inside a job: how it runs, how it ends with its snakemake, its GPUs
    files                files written whole, checksums, digests, what comes with the project
    errors  paths        mistakes a user can mend; where the project is

A module imports what is on its own line's wing or further down, never upward, and no stage imports
another: they talk through files. pyproject.toml states it for import-linter, which a test runs.
"""

import gc
import sys

# `python -m` of a stage, which is not found yet: what it imports stays until it ends, and looking
# through it for garbage over and over would be a fifth of its start. `run_stage` ends this.
if sys.argv[0] == "-m":
    gc.disable()
