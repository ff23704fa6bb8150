import csv
import math
import re
from xml.etree import ElementTree

import pandas as pd
import pytest

from tests.tables.sources import mask, rows_of, source_of
from workflow_scripts.artefacts.mask_records import MaskRecord
from workflow_scripts.errors import InputError
from workflow_scripts.tables.content.accuracy import mean_rows, sections
from workflow_scripts.tables.content.cells import FILE, read_cells, write_cells
from workflow_scripts.tables.content.columns import COLUMNS, read_table, write_table
from workflow_scripts.tables.content.formats import (
    Section,
    latex,
    latex_text,
    markdown,
    page,
    signed,
    sort_key,
)
from workflow_scripts.tables.table import make

HEADER = (
    "model,variant,benchmark,budget,problems,repeats,accuracy,se,ci_low,ci_high,"
    "trace_tokens,answer_tokens"
)


@pytest.fixture
def source(write_results, tmp_path):
    """Two variants of a model, gathered."""
    write_results("m", "dense", "b", accuracy={6: 0.2, 12: 1.0}, problems=20, repeats=3)
    results = write_results(
        "m", "wanda-20", "b", accuracy={12: 0.9, 6: 0.2}, problems=20, repeats=3
    )
    write_cells(
        tmp_path / "tables" / FILE, read_cells(results, ["m"], ["wanda-20", "dense"], ["b"])
    )
    return source_of(tmp_path)


def test_the_csv_has_the_published_columns_and_one_row_for_every_cell(source):
    make("accuracy", source)
    text = (source.tables / "accuracy.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == HEADER
    for row in csv.DictReader(text.splitlines()):
        assert all(row[name].isdigit() for name in HEADER.split(",")[3:6])
        assert all(len(row[name].split(".")[1]) == 6 for name in HEADER.split(",")[6:])
    table = pd.read_csv(source.tables / "accuracy.csv")
    assert list(zip(table.variant, table.budget, strict=True)) == [
        ("wanda-20", 6), ("wanda-20", 12), ("dense", 6), ("dense", 12),
    ]  # fmt: skip
    assert set(table.problems) == {20} and set(table.repeats) == {3}
    dense = table[(table.variant == "dense") & (table.budget == 12)].iloc[0]
    assert (dense.accuracy, dense.se, dense.ci_high) == (1.0, 0.0, 1.0)
    assert dense.ci_low == pytest.approx(20 / (20 + 1.959964**2), abs=1e-6)
    assert dense.trace_tokens == 11.5 and dense.answer_tokens == 3.0


def test_all_formats_are_the_same_bytes_when_made_again(source):
    made = []
    for _ in range(2):
        make("accuracy", source)
        made.append({path.name: path.read_bytes() for path in source.tables.glob("*accuracy.*")})
    assert made[0] == made[1]
    assert {f"accuracy.{end}" for end in ("csv", "md", "tex", "html")} < set(made[0])
    assert "mean_accuracy.csv" in made[0]


ROWS = rows_of(
    "accuracy",
    [
        ("m", "dense", "b", 6, 20, 3, 0.25, 0.05, 0.16, 0.37, 6.0, 2.0),
        ("m", "dense", "b", 12, 20, 3, 1.0, 0.0, 0.8389, 1.0, 12.0, 2.0),
        ("m", "magnitude-50", "b", 12, 20, 3, 0.6, 0.1, 0.41, 0.77, 12.0, 2.0),
        ("m", "dense", "c", 6, 1, 1, 0.0, math.nan, 0.0, 0.79, 6.0, 2.0),
    ],
)
NO_MEANS = rows_of("mean_accuracy", [])
HALF = mask(0.5, of_all=-0.0312)
MASKS = {
    ("m", variant): MaskRecord.model_validate(record)
    for variant, record in (("dense", mask(0.0)), ("magnitude-50", HALF))
}
NOTE = (
    "Asked, blocks, all: % that was asked for, and that is gone of the blocks' weights and of all "
    "parameters."
)


def test_the_markdown_has_variants_down_and_budgets_across():
    assert markdown(list(sections(ROWS, NO_MEANS, MASKS))) == (
        "**m on b**: accuracy by budget (thinking tokens). 20 problems × 3 repeats; ± reaches to "
        f"the farther end of the 95 % interval. {NOTE}\n"
        "\n"
        "| variant      |   asked |   blocks |   all |           6 |          12 |\n"
        "|:-------------|--------:|---------:|------:|------------:|------------:|\n"
        "| dense        |     0.0 |      0.0 |   0.0 | 0.25 ± 0.12 | 1.00 ± 0.16 |\n"
        "| magnitude-50 |    50.0 |     50.0 |  −3.1 |             | 0.60 ± 0.19 |\n"
        "\n"
        "**m on c**: accuracy by budget (thinking tokens). 1 problem × 1 repeat; ± reaches to the "
        f"farther end of the 95 % interval. {NOTE}\n"
        "\n"
        "| variant   |   asked |   blocks |   all |           6 |\n"
        "|:----------|--------:|---------:|------:|------------:|\n"
        "| dense     |     0.0 |      0.0 |   0.0 | 0.00 ± 0.79 |\n"
    )


def test_the_page_holds_the_same_cells_and_needs_nothing_else():
    shown = list(sections(ROWS.assign(model="<m>"), NO_MEANS, {}))
    text = page("table.html.j2", title="Accuracy", sections=shown)
    tables = [
        ElementTree.fromstring(table)
        for table in re.findall('<table class="data">.*?</table>', text, re.S)
    ]
    assert [
        [(cell.text or "").strip() for cell in line] for t in tables for line in t.iter("tr")
    ] == [
        ["variant", "asked", "blocks", "all", "6", "12"],
        ["dense", "", "", "", "0.25 ± 0.12", "1.00 ± 0.16"],
        ["magnitude-50", "", "", "", "", "0.60 ± 0.19"],
        ["variant", "asked", "blocks", "all", "6"],
        ["dense", "", "", "", "0.00 ± 0.79"],
    ]
    assert "<h2>&lt;m&gt; on b</h2>" in text
    assert "http" not in text and "src=" not in text


def test_the_latex_is_a_booktabs_table_with_its_text_escaped():
    named = ROWS[:3].assign(model="m_1", benchmark="a & b")
    text = latex(
        list(sections(named, NO_MEANS, {("m_1", "dense"): MASKS["m", "dense"]})), "accuracy"
    )
    lines = text.splitlines()
    assert r"\caption{m\_1 on a \& b: accuracy by budget (thinking tokens). 20 problems" in text
    assert r"95 \% interval" in text and r"\begin{tabular}{lrrrrr}" in lines
    assert r"dense & 0.0 & 0.0 & 0.0 & 0.25 $\pm$ 0.12 & 1.00 $\pm$ 0.16 \\" in lines
    assert r"magnitude-50 &  &  &  &  & 0.60 $\pm$ 0.19 \\" in lines
    assert text.count("rule") == 3 and r"\centering" in lines
    assert r"\label{tab:accuracy-1}" in lines and r"\begin{table}" in lines


@pytest.mark.parametrize(("columns", "tables", "turned"), [(5, 1, 0), (8, 1, 1), (24, 3, 3)])
def test_wide_latex_tables_are_turned_and_wider_ones_parted(columns, tables, turned):
    """A number of columns of twelve characters, two of which have one name."""
    names = ["budget", "budget", *(str(n) for n in range(columns - 2))]
    cells = [["dense", *(f"{n:.2f} ± 0.123" for n in range(columns))]]
    section = Section("m on b", "a caption", pd.DataFrame(cells, columns=["variant", *names]))
    text = latex([section], "comparison")
    assert text.count(r"\begin{tabular}") == tables
    assert text.count(r"\begin{sidewaystable}") == turned
    assert all(text.count(f"& {n:.2f} $") == 1 for n in range(columns))
    assert text.count("dense &") == tables and rf"\label{{tab:comparison-{tables}}}" in text


def test_signs_that_latex_has_other_letters_for_are_mathematics():
    assert latex_text("p < 0.05 | 2 > 1_a") == r"p $<$ 0.05 $|$ 2 $>$ 1\_a"


def test_text_is_escaped():
    section = Section("<b>", "a < b", pd.DataFrame({"<i>": ["<u>"]}))
    text = page("table.html.j2", title="<t>", sections=[section])
    assert not re.search("<[biut]>", text)


def test_signs_and_what_cells_are_sorted_by():
    texts = [signed(value, 2) for value in (0.1, -0.1, 0.001, -0.001)]
    assert texts == ["+0.10", "−0.10", "0.00", "0.00"]
    assert [sort_key(text) for text in ("−0.60 ± 0.1†", "1,234", "2e-05", "none", "")] == [
        "-0.60", "1234", "2e-05", "none", "",
    ]  # fmt: skip


def test_means_weigh_benchmarks_alike_and_leave_out_what_is_not_on_all():
    more = ROWS[:1].assign(benchmark="c", accuracy=0.75, trace_tokens=8.0)
    rows = pd.concat([ROWS[:3], more])
    means = mean_rows(rows)
    (mean,) = means.itertuples()
    assert (mean.variant, mean.budget, mean.benchmarks) == ("dense", 6, 2)
    assert (mean.accuracy, mean.trace_tokens) == (0.5, 7.0)
    *_, section = sections(rows, means, MASKS)
    assert section.title == "m, mean over benchmarks"
    assert section.caption.startswith("accuracy by budget (thinking tokens). unweighted mean of 2")


def test_of_one_benchmark_there_is_no_table_of_means():
    assert len(list(sections(ROWS[:3], mean_rows(ROWS[:3]), MASKS))) == 1


def test_what_is_missing_is_said_where_it_would_be():
    one, other = sections(ROWS, NO_MEANS, MASKS, missing=["m/wanda-20: b", "n/dense: b"])
    assert one.caption.endswith("parameters. Missing: m/wanda-20: b.")
    assert "Missing" not in other.caption


def test_rows_are_read_back(tmp_path):
    write_table(tmp_path, "accuracy", ROWS)
    found = read_table(tmp_path, "accuracy")
    pd.testing.assert_frame_equal(found, ROWS, check_dtype=False)
    write_table(tmp_path / "again", "accuracy", found)
    assert (tmp_path / "again/accuracy.csv").read_text(encoding="utf-8") == (
        tmp_path / "accuracy.csv"
    ).read_text(encoding="utf-8")


def test_names_that_look_like_numbers_or_nothing_stay_names(tmp_path):
    rows = ROWS[:2].assign(model="007", variant=["nan", "NA"], benchmark="1e3")
    write_table(tmp_path, "accuracy", rows)
    found = read_table(tmp_path, "accuracy")
    assert found[["model", "variant", "benchmark"]].values.tolist() == [
        ["007", "nan", "1e3"], ["007", "NA", "1e3"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    ["", "model,variant\n", HEADER + "\nm,v,b,6\n", HEADER + "\nm,v,b,six,1,1,0,0,0,0,0,0\n"],
)
def test_a_file_that_is_no_accuracy_table(tmp_path, content):
    path = tmp_path / "accuracy.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_table(tmp_path, "accuracy")
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_the_columns_of_the_accuracy_table_are_fixed():
    assert ",".join(COLUMNS["accuracy"]) == HEADER
