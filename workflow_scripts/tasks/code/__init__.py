"""Whether programs that a model wrote do what they were asked for.

inside           what runs in a box: a solution that is called, tests that call it
judging          a solution against its tests: whether it passes
human_eval       HumanEval's problems
live_code_bench  LiveCodeBench's tests, out of their wrapping
pass_at_k        how likely one of k samples passes
"""
