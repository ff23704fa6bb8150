"""Train a pruned model, so that what is left makes up for what is gone."""
