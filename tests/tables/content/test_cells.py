import dataclasses

import pytest

from workflow_scripts.errors import InputError
from workflow_scripts.tables.content.cell_files import load_cells, write_cells
from workflow_scripts.tables.content.cells import benchmark_of, read_cells

ACCURACY = {6: 0.3, 12: 0.6}
KEY = "problem 'p-03', repeat 1, budget 12"


def is_key(record) -> bool:
    return (record.id, record.repeat, record.budget) == ("p-03", 1, 12)


def refused(results) -> str:
    with pytest.raises(InputError) as caught:
        read_cells(results, ["m"], ["v"], ["b"])
    return str(caught.value)


def test_cells_come_in_the_order_of_the_lists_and_then_by_budget(write_results):
    for model in ("m", "n"):
        for variant in ("dense", "wanda-20"):
            for benchmark in ("b", "c"):
                results = write_results(model, variant, benchmark, accuracy={12: 0.5, 6: 0.5})
    cells = read_cells(results, ["n", "m"], ["wanda-20", "dense"], ["c", "b"]).cells
    assert [(c.model, c.variant, c.benchmark, c.budget) for c in cells] == [
        (model, variant, benchmark, budget)
        for model in ("n", "m")
        for variant in ("wanda-20", "dense")
        for benchmark in ("c", "b")
        for budget in (6, 12)
    ]


def test_a_cell_holds_every_problems_repeats_whatever_the_order_of_the_lines(
    write_results, made_cells
):
    grades, answers = made_cells(ACCURACY, problems=4, repeats=3)
    results = write_results("m", "v", "b", grades=grades[::-1], answers=answers[3:] + answers[:3])
    small, large = read_cells(results, ["m"], ["v"], ["b"]).cells
    assert (small.budget, large.budget, large.repeats) == (6, 12, (0, 1, 2))
    for cell in (small, large):
        expected = {}
        for grade in grades:
            if grade.budget == cell.budget:
                expected.setdefault(grade.id, []).append(grade.correct)
        assert cell.correct == {identity: tuple(row) for identity, row in expected.items()}
        assert cell.extracted == dict.fromkeys(expected, ("1", "1", "1"))
        in_order = [expected[identity] for identity in sorted(expected)]
        assert cell.matrix.tolist() == [[int(good) for good in row] for row in in_order]
    assert large.trace_tokens == 11.5  # 12 and 11 in turn
    assert large.answer_tokens == 3.0  # 2, 3, 4


def test_a_missing_grade(write_results, made_cells):
    grades, answers = made_cells(ACCURACY)
    results = write_results("m", "v", "b", grades=[g for g in grades if not is_key(g)])
    assert refused(results) == f"{results / 'm/v/grades/b.jsonl'}: {KEY}: has no grade"


def test_a_missing_answer(write_results, made_cells):
    grades, answers = made_cells(ACCURACY)
    results = write_results(
        "m", "v", "b", grades=grades, answers=[a for a in answers if not is_key(a)]
    )
    assert refused(results) == f"{results / 'm/v/answers/b.jsonl'}: {KEY}: has no answer"


def test_an_answer_that_was_not_graded(write_results, made_cells):
    grades, answers = made_cells(ACCURACY)
    more = dataclasses.replace(answers[0], id="q")
    results = write_results("m", "v", "b", grades=grades, answers=[*answers, more])
    assert refused(results) == (
        f"{results / 'm/v/grades/b.jsonl'}: problem 'q', repeat 0, budget 6: has no grade"
    )


def test_a_grade_that_stands_twice(write_results, made_cells):
    grades, answers = made_cells(ACCURACY)
    results = write_results("m", "v", "b", grades=[*grades, grades[15]], answers=answers)
    assert refused(results) == f"{results / 'm/v/grades/b.jsonl'}:41: {KEY}: stands twice"


def test_files_that_are_empty_or_missing(write_results):
    results = write_results("m", "v", "b", grades=[], answers=[])
    path = results / "m/v/grades/b.jsonl"
    assert refused(results) == f"{path}: holds no grades"
    path.unlink()
    assert refused(results) == f"{results}: holds no grades of m/v: b"
    write_results("m", "v", "b")
    (results / "m/v/answers/b.jsonl").unlink()
    assert refused(results) == f"{results / 'm/v/answers/b.jsonl'}: No such file or directory"


def test_what_is_not_graded_yet_is_listed(write_results, tmp_path):
    write_results("m", "dense", "b")
    results = write_results("m", "v", "c")
    run = read_cells(results, ["m"], ["dense", "v"], ["b", "c"])
    assert {(cell.variant, cell.benchmark) for cell in run.cells} == {("dense", "b"), ("v", "c")}
    assert run.missing == ("m/dense: c", "m/v: b")


def test_what_was_graded_under_other_budgets_or_with_other_repeats_is_listed(write_results):
    whole, half = dict.fromkeys((6, 12, 24), 0.5), dict.fromkeys((3, 6), 0.5)
    write_results("m", "dense", "b", accuracy=whole, repeats=3)
    write_results("m", "fewer", "b", accuracy=half, repeats=3)
    results = write_results("m", "v", "b", accuracy=whole, repeats=2)
    write_results("m", "v", "c", accuracy={3: 0.5}, repeats=3)
    run = read_cells(results, ["m"], ["dense", "fewer", "v"], ["b"], [6, 12, 24], 3)
    assert [(c.variant, c.budget) for c in run.cells] == [
        ("dense", 6), ("dense", 12), ("dense", 24), ("fewer", 6),
    ]  # fmt: skip
    assert run.missing == ("m/fewer: b (budgets 12, 24)", "m/v: b (has repeats 0, 1)")
    assert run.budgets == (6, 12, 24)
    assert {benchmark_of(name) for name in run.missing} == {("m", "b")}
    with pytest.raises(InputError) as caught:
        read_cells(results, ["m"], ["v"], ["b", "c"], [6], 3)
    assert str(caught.value) == (
        f"{results}: holds no grades of m/v: b (has repeats 0, 1), m/v: c (budgets 6)"
    )


def test_the_file_of_cells_gives_back_what_was_written(write_results, tmp_path):
    write_results("m", "dense", "b", problems=3, repeats=2)
    results = write_results("m", "v", "b", problems=3, repeats=2, seed=1)
    run = read_cells(results, ["m"], ["dense", "v", "w"], ["b"], [6, 12], 2)
    write_cells(tmp_path / "cells.jsonl", run)
    assert load_cells(tmp_path / "cells.jsonl") == run


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1}\n', "[1]", "not JSON"])
def test_a_file_that_holds_no_cells(tmp_path, text):
    path = tmp_path / "cells.jsonl"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_cells(path)
    assert str(caught.value) == f"{path}: not a file of cells, as collect_cells writes it"


def test_variants_of_one_benchmark_were_asked_the_same(write_results):
    write_results("m", "dense", "b", problems=4)
    results = write_results("m", "v", "b", problems=5)
    for variants, message in (
        (["dense", "v"], "benchmark 'b': problem 'p-04' is in m/v and not in m/dense"),
        (["v", "dense"], "benchmark 'b': problem 'p-04' is in m/v and not in m/dense"),
    ):
        with pytest.raises(InputError) as caught:
            read_cells(results, ["m"], variants, ["b"])
        assert str(caught.value) == message
    write_results("m", "v", "b", problems=4, repeats=3)
    with pytest.raises(InputError) as caught:
        read_cells(results, ["m"], ["dense", "v"], ["b"])
    assert str(caught.value) == "benchmark 'b': m/v has repeats 0, 1, 2, m/dense has 0, 1"


def test_benchmarks_may_have_different_problems(write_results):
    write_results("m", "v", "b", problems=4)
    results = write_results("m", "v", "c", problems=5)
    assert {len(c.correct) for c in read_cells(results, ["m"], ["v"], ["b", "c"]).cells} == {4, 5}
