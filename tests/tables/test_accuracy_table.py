import csv
import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pandas as pd
import pytest

from workflow_scripts.errors import InputError
from workflow_scripts.tables.accuracy_table import main, mean_rows, sections
from workflow_scripts.tables.content.cell_files import write_cells
from workflow_scripts.tables.content.cells import read_cells
from workflow_scripts.tables.content.formats import html_page, latex, latex_text, markdown
from workflow_scripts.tables.content.rows import Row, csv_text, read_rows

PUBLISHED = (
    "model,variant,benchmark,budget,problems,repeats,accuracy,se,ci_low,ci_high,"
    "trace_tokens,answer_tokens"
)


@pytest.fixture
def tables(write_results, tmp_path):
    """Two variants of a model, the flags that tabulate them, and the tables' paths."""
    write_results("m", "dense", "b", accuracy={6: 0.2, 12: 1.0}, problems=20, repeats=3)
    results = write_results(
        "m", "wanda-20", "b", accuracy={12: 0.9, 6: 0.2}, problems=20, repeats=3
    )
    cells = tmp_path / "cells.jsonl"
    write_cells(cells, read_cells(results, ["m"], ["wanda-20", "dense"], ["b"]))
    forms = {"csv": "csv", "mean": "mean.csv", "markdown": "md", "latex": "tex", "html": "html"}
    paths = {form: tmp_path / "tables" / f"accuracy.{end}" for form, end in forms.items()}
    flags = [word for form, path in paths.items() for word in (f"--{form}", str(path))]
    return ["--cells", str(cells), *flags], *paths.values()


def test_the_csv_has_the_published_columns_and_one_row_for_every_cell(tables):
    arguments, path, *_ = tables
    main(arguments)
    assert path.read_text().splitlines()[0] == PUBLISHED
    table = pd.read_csv(path)
    assert list(zip(table.variant, table.budget, strict=True)) == [
        ("wanda-20", 6), ("wanda-20", 12), ("dense", 6), ("dense", 12),
    ]  # fmt: skip
    assert set(table.problems) == {20} and set(table.repeats) == {3}
    dense = table[(table.variant == "dense") & (table.budget == 12)].iloc[0]
    assert (dense.accuracy, dense.se, dense.ci_high) == (1.0, 0.0, 1.0)
    assert dense.ci_low == pytest.approx(20 / (20 + 1.959964**2), abs=1e-6)
    assert dense.trace_tokens == 11.5 and dense.answer_tokens == 3.0
    assert ((table.ci_low <= table.accuracy) & (table.accuracy <= table.ci_high)).all()


def test_numbers_have_six_decimals_and_counts_none(tables):
    arguments, path, *_ = tables
    main(arguments)
    with path.open() as file:
        for row in csv.DictReader(file):
            for name in PUBLISHED.split(",")[3:6]:
                assert row[name].isdigit()
            for name in PUBLISHED.split(",")[6:]:
                assert len(row[name].split(".")[1]) == 6


def test_all_tables_are_the_same_bytes_when_made_again(tables):
    arguments, *paths = tables
    main(arguments)
    first = [path.read_bytes() for path in paths]
    main(arguments)
    assert [path.read_bytes() for path in paths] == first


ROWS = [
    Row("m", "dense", "b", 6, 20, 3, 0.25, 0.05, 0.16, 0.37, 6.0, 2.0),
    Row("m", "dense", "b", 12, 20, 3, 1.0, 0.0, 0.8389, 1.0, 12.0, 2.0),
    Row("m", "magnitude-50", "b", 12, 20, 3, 0.6, 0.1, 0.41, 0.77, 12.0, 2.0),
    Row("m", "dense", "c", 6, 1, 1, 0.0, math.nan, 0.0, 0.79, 6.0, 2.0),
]


def test_the_markdown_has_variants_down_and_budgets_across():
    assert markdown(sections(ROWS)) == (
        "**m on b**: accuracy by budget (thinking tokens). 20 problems × 3 repeats; ± reaches to "
        "the farther end of the 95 % interval.\n"
        "\n"
        "| variant      |           6 |          12 |\n"
        "|:-------------|------------:|------------:|\n"
        "| dense        | 0.25 ± 0.12 | 1.00 ± 0.16 |\n"
        "| magnitude-50 |             | 0.60 ± 0.19 |\n"
        "\n"
        "**m on c**: accuracy by budget (thinking tokens). 1 problem × 1 repeat; ± reaches to the "
        "farther end of the 95 % interval.\n"
        "\n"
        "| variant   |           6 |\n"
        "|:----------|------------:|\n"
        "| dense     | 0.00 ± 0.79 |\n"
    )


def test_the_page_holds_the_same_cells_and_needs_nothing_else():
    page = html_page("Accuracy", sections([replace(row, model="<m>") for row in ROWS]))
    tables = [
        ElementTree.fromstring(table)
        for table in re.findall('<table class="data">.*?</table>', page, re.S)
    ]
    found = [
        [(cell.text or "").strip() for cell in line]
        for table in tables
        for line in table.iter("tr")
    ]
    assert found == [
        ["variant", "6", "12"],
        ["dense", "0.25 ± 0.12", "1.00 ± 0.16"],
        ["magnitude-50", "", "0.60 ± 0.19"],
        ["variant", "6"],
        ["dense", "0.00 ± 0.79"],
    ]
    assert "<h2>&lt;m&gt; on b</h2>" in page
    assert "http" not in page and "src=" not in page


def test_the_latex_is_a_booktabs_table_with_its_text_escaped():
    text = latex(sections([replace(row, model="m_1", benchmark="a & b") for row in ROWS[:3]]))
    lines = text.splitlines()
    assert (
        r"\caption{m\_1 on a \& b: accuracy by budget (thinking tokens). 20 problems $\times$ 3"
        in text
    )
    assert r"95 \% interval" in text and r"\begin{tabular}{lrr}" in lines
    assert r"dense & 0.25 $\pm$ 0.12 & 1.00 $\pm$ 0.16 \\" in lines
    assert r"magnitude-50 &  & 0.60 $\pm$ 0.19 \\" in lines
    assert text.count("rule") == 3


def test_signs_that_latex_has_other_letters_for_are_mathematics():
    assert latex_text("p < 0.05 | 2 > 1_a") == r"p $<$ 0.05 $|$ 2 $>$ 1\_a"


def test_means_weigh_benchmarks_alike_and_leave_out_what_is_not_on_all():
    rows = [*ROWS[:3], replace(ROWS[0], benchmark="c", accuracy=0.75, trace_tokens=8.0)]
    (mean,) = mean_rows(rows)
    assert (mean.variant, mean.budget, mean.benchmarks) == ("dense", 6, 2)
    assert (mean.accuracy, mean.trace_tokens) == (0.5, 7.0)
    *_, section = sections(rows, [mean])
    assert section.title == "m, mean over benchmarks"
    assert section.caption.startswith("accuracy by budget (thinking tokens). unweighted mean of 2")


def test_of_one_benchmark_there_is_no_table_of_means():
    assert len(sections(ROWS[:3], mean_rows(ROWS[:3]))) == 1


def test_what_is_missing_is_said_where_it_would_stand():
    one, other = sections(ROWS, missing=["m/wanda-20: b", "n/dense: b"])
    assert one.caption.endswith("interval. Missing: m/wanda-20: b.")
    assert "Missing" not in other.caption


def test_rows_are_read_back(tmp_path):
    path = tmp_path / "accuracy.csv"
    path.write_text(csv_text(ROWS))
    assert csv_text(read_rows(path)) == csv_text(ROWS)
    assert read_rows(path)[:3] == ROWS[:3]
    assert math.isnan(read_rows(path)[3].se)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", f": its columns are not {PUBLISHED.replace(',', ', ')}"),
        ("model,variant\n", f": its columns are not {PUBLISHED.replace(',', ', ')}"),
        (PUBLISHED + "\nm,v,b,6\n", ":2: not a row of this table (zip() argument 2 is "
                                    "shorter than argument 1)"),
        (PUBLISHED + "\nm,v,b,six,1,1,0,0,0,0,0,0\n", ":2: not a row of this table "
         "(invalid literal for int() with base 10: 'six')"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_accuracy_table(tmp_path, content, message):
    path = tmp_path / "accuracy.csv"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_rows(path)
    assert str(caught.value) == f"{path}{message}"
