"""The lines that tell how far a long job is."""

from workflow_scripts.jobs.progress import Progress


def test_a_job_says_in_its_own_words_how_far_it_is() -> None:
    said, times = [], iter([0, 4, 12, 24])
    tell = Progress(6, said.append, lambda: next(times))
    for step in (1, 2, 3):
        tell(1, f"step {step} of 6, loss {1 / step:.4f}")
    assert said == [
        "step 2 of 6, loss 0.5000, about 0:00:24 left",
        "step 3 of 6, loss 0.3333, about 0:00:24 left",
    ]
