"""What each variant is as a checkpoint: from records alone, and what was measured beside them."""

import pandas as pd
import pytest

from tests.tables.sources import BYTES, PARAMETERS, mask, source_of
from workflow_scripts.files.atomic import write_json
from workflow_scripts.tables.content.columns import read_table
from workflow_scripts.tables.table import make

MASKS = {
    "dense": mask(0.0),
    "wanda-50": mask(0.5),
    "shortgpt-1": mask(0.25, (1,), of_all=0.2, exported=800),
    "stade-50": mask(0.5, exported=None),
    "slicegpt-20": mask(0.1, of_all=-0.122, exported=1122),
}


@pytest.fixture
def source(tmp_path):
    return source_of(tmp_path, masks=MASKS, models=["m"], limits={"b": "first 2 problems of b"})


def rows_of(source):
    make("size", source)
    return read_table(source.tables, "size").set_index("variant")


def test_a_mask_saves_nothing_and_removed_blocks_what_they_hold(source):
    rows = rows_of(source)
    assert list(rows.index) == list(MASKS)
    assert rows["parameters"].dropna().tolist() == [PARAMETERS, PARAMETERS, 800, 1122]
    assert rows["bytes"].dropna().tolist() == [BYTES * n for n in (1000, 1000, 800, 1122)]
    assert rows["nonzero"].tolist() == [1000, 550, 800, 550, 1122]
    assert rows["removed_of_all"]["slicegpt-20"] == -0.122
    assert rows["requested"]["shortgpt-1"] == rows["removed"]["shortgpt-1"] == 0.25
    assert rows.loc[:, "transformers":"vllm_ratio"].isna().all(axis=None)
    lines = (source.tables / "size.csv").read_text().splitlines()
    assert (
        lines[3] == "m,shortgpt-1,0.250000,0.250000,0.200000,800,800,1600,nan,nan,nan,nan,0.250000"
    )
    assert lines[4].endswith(",550,nan,nan,nan,nan,nan,nan,0.500000")


def test_the_page_says_it_beside_the_dense_model(source):
    rows_of(source)
    text = (source.tables / "size.md").read_text()
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:]]
    assert table[0] == [
        "variant", "asked", "blocks", "all", "not zero", "parameters", "MB", "to dense",
    ]  # fmt: skip
    assert table[3:7] == [
        ["wanda-50", "50.0", "50.0", "45.0", "550", "1,000", "0.00", "1.000"],
        ["shortgpt-1", "25.0", "25.0", "20.0", "800", "800", "0.00", "0.800"],
        ["stade-50", "50.0", "50.0", "45.0", "550", "none", "none", ""],
        ["slicegpt-20", "10.0", "10.0", "−12.2", "1,122", "1,122", "0.00", "1.122"],
    ]
    assert "first 2 problems" not in text


def test_speeds_are_those_of_the_same_mask(source):
    speeds = {"transformers": {"export": 150.0, "dense": 100.0, "ratio": 1.52}}
    for variant, digest in (("shortgpt-1", "0" * 64), ("wanda-50", "1" * 64)):
        path = source.results / "m" / variant / "speed.json"
        write_json(path, {"digest": digest, "engines": speeds})
    rows = rows_of(source)
    measured = rows[["transformers", "transformers_ratio"]].dropna()
    assert measured.to_dict("index") == {
        "shortgpt-1": {"transformers": 150.0, "transformers_ratio": 1.52}
    }
    text = (source.tables / "size.md").read_text()
    assert "tokens/s, transformers" in text and "150 (1.52)" in text and "vllm" not in text


def test_without_records_there_is_a_table_without_rows(tmp_path):
    rows = rows_of(source_of(tmp_path, variants=["dense"], models=["m"]))
    assert rows.empty and isinstance(rows, pd.DataFrame)
