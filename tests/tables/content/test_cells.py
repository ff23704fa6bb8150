import dataclasses

import pandas as pd
import pytest
from pyarrow import parquet

from workflow_scripts.errors import InputError
from workflow_scripts.tables.content.cells import (
    COLUMNS,
    FILE,
    benchmark_of,
    cells_of,
    load_cells,
    read_cells,
    write_cells,
)

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
    cells = cells_of(read_cells(results, ["n", "m"], ["wanda-20", "dense"], ["c", "b"]))
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
    small, large = cells_of(read_cells(results, ["m"], ["v"], ["b"]))
    assert (small.budget, large.budget, large.correct.shape) == (6, 12, (4, 3))
    for cell in (small, large):
        expected = {}
        for grade in grades:
            if grade.budget == cell.budget:
                expected.setdefault(grade.id, []).append(grade.correct)
        assert cell.correct.tolist() == [expected[identity] for identity in sorted(expected)]
        assert cell.extracted.tolist() == [["1", "1", "1"]] * 4
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


def test_a_grade_that_is_there_twice(write_results, made_cells):
    grades, answers = made_cells(ACCURACY)
    results = write_results("m", "v", "b", grades=[*grades, grades[15]], answers=answers)
    assert refused(results) == f"{results / 'm/v/grades/b.jsonl'}:41: {KEY}: is there twice"


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
    found = {(cell.variant, cell.benchmark) for cell in cells_of(run)}
    assert found == {("dense", "b"), ("v", "c")}
    assert run.attrs["missing"] == ["m/dense: c", "m/v: b"]


def test_what_was_graded_under_other_budgets_or_with_other_repeats_is_listed(write_results):
    whole, half = dict.fromkeys((6, 12, 24), 0.5), dict.fromkeys((3, 6), 0.5)
    write_results("m", "dense", "b", accuracy=whole, repeats=3)
    write_results("m", "fewer", "b", accuracy=half, repeats=3)
    results = write_results("m", "v", "b", accuracy=whole, repeats=2)
    write_results("m", "v", "c", accuracy={3: 0.5}, repeats=3)
    run = read_cells(results, ["m"], ["dense", "fewer", "v"], ["b"], [6, 12, 24], 3)
    assert [(c.variant, c.budget) for c in cells_of(run)] == [
        ("dense", 6), ("dense", 12), ("dense", 24), ("fewer", 6),
    ]  # fmt: skip
    missing = run.attrs["missing"]
    assert missing == ["m/fewer: b (budgets 12, 24)", "m/v: b (has repeats 0, 1)"]
    assert run.attrs["budgets"] == [6, 12, 24]
    assert {benchmark_of(name) for name in missing} == {("m", "b")}
    with pytest.raises(InputError) as caught:
        read_cells(results, ["m"], ["v"], ["b", "c"], [6], 3)
    assert str(caught.value) == (
        f"{results}: holds no grades of m/v: b (has repeats 0, 1), m/v: c (budgets 6)"
    )


def test_the_file_of_cells_gives_back_what_was_written(write_results, tmp_path):
    write_results("m", "dense", "b", problems=3, repeats=2)
    results = write_results("m", "v", "b", problems=3, repeats=2, seed=1)
    run = read_cells(results, ["m"], ["dense", "v", "w"], ["b"], [6, 12], 2)
    write_cells(tmp_path / FILE, run)
    found = load_cells(tmp_path)
    pd.testing.assert_frame_equal(found, run)
    assert found.attrs == run.attrs
    first = (tmp_path / FILE).read_bytes()
    write_cells(tmp_path / FILE, found)
    assert (tmp_path / FILE).read_bytes() == first


def test_anyone_can_open_the_file_of_cells(write_results, tmp_path):
    results = write_results("m", "v", "b", problems=3, repeats=2)
    write_cells(tmp_path / FILE, read_cells(results, ["m"], ["v"], ["b"]))
    table = parquet.read_table(tmp_path / FILE)
    assert table.column_names == COLUMNS and table.num_rows == 3 * 2 * 3


def test_an_answer_of_which_nothing_was_extracted_has_none(write_results, made_cells, tmp_path):
    grades, answers = made_cells({6: 0.5}, problems=2, repeats=2)
    grades[1] = dataclasses.replace(grades[1], extracted=None)
    results = write_results("m", "v", "b", grades=grades, answers=answers)
    write_cells(tmp_path / FILE, read_cells(results, ["m"], ["v"], ["b"]))
    (cell,) = cells_of(load_cells(tmp_path))
    assert cell.extracted.tolist() == [["1", None], ["1", "1"]]


def test_a_file_that_holds_no_cells(tmp_path):
    path = tmp_path / FILE
    path.write_text("no Parquet")
    with pytest.raises(InputError, match="not a file of cells"):
        load_cells(tmp_path)
    pd.DataFrame({"model": ["m"]}).to_parquet(path)
    with pytest.raises(InputError, match="not a file of cells"):
        load_cells(tmp_path)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        load_cells(tmp_path)


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
    cells = cells_of(read_cells(results, ["m"], ["v"], ["b", "c"]))
    assert {len(cell.correct) for cell in cells} == {4, 5}
