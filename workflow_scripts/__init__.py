"""prunethink: prune reasoning LLMs, let them think under budgets, and measure what is left."""
