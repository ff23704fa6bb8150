"""Models and benchmarks, brought from where they are into the form that every stage reads."""
