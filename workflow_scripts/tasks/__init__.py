"""Tasks of the evaluation harness, run on any variant of a model."""
