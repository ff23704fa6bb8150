"""Masks built from weights, allocations and statistics, and pruned models written out."""
