import csv
import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pandas as pd
import pytest

from workflow_scripts.errors import InputError
from workflow_scripts.tables.accuracy_rows import COLUMNS, Row, csv_text, read_rows
from workflow_scripts.tables.accuracy_table import html_text, main, markdown_text

PUBLISHED = (
    "model,variant,benchmark,budget,problems,repeats,accuracy,se,ci_low,ci_high,"
    "trace_tokens,answer_tokens"
)


@pytest.fixture
def tables(write_results, tmp_path):
    """Two variants of a model, and the flags that tabulate them."""
    write_results("m", "dense", "b", accuracy={6: 0.2, 12: 1.0}, problems=20, repeats=3)
    results = write_results(
        "m", "wanda-20", "b", accuracy={12: 0.9, 6: 0.2}, problems=20, repeats=3
    )
    flags = ["--results", str(results), "--models", "m", "--variants", "wanda-20", "dense"]
    paths = [tmp_path / "tables" / f"accuracy.{form}" for form in ("csv", "md", "html")]
    return [
        *flags,
        "--benchmarks",
        "b",
        "--csv",
        str(paths[0]),
        "--markdown",
        str(paths[1]),
        "--html",
        str(paths[2]),
    ], *paths


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
            for name in COLUMNS[3:6]:
                assert row[name].isdigit()
            for name in COLUMNS[6:]:
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
    assert markdown_text(ROWS) == (
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
    page = html_text([replace(row, model="<m>") for row in ROWS])
    tables = [
        ElementTree.fromstring(table) for table in re.findall("<table>.*?</table>", page, re.S)
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
        (PUBLISHED + "\nm,v,b,6\n", ":2: not a row of the accuracy table (zip() argument 2 is "
                                    "shorter than argument 1)"),
        (PUBLISHED + "\nm,v,b,six,1,1,0,0,0,0,0,0\n", ":2: not a row of the accuracy table "
         "(invalid literal for int() with base 10: 'six')"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_accuracy_table(tmp_path, content, message):
    path = tmp_path / "accuracy.csv"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_rows(path)
    assert str(caught.value) == f"{path}{message}"
