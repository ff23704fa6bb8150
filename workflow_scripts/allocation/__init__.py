"""A sparsity for every linear of a model."""
