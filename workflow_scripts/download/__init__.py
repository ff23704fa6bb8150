"""Models and benchmarks, brought from where they are into the format that every stage reads."""
