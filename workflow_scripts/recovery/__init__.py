"""Training after pruning: what is left makes up for what is gone."""
