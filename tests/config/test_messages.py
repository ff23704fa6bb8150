"""Whatever is wrong with a config is one line that names key, value and remedy."""

import datetime
from pathlib import Path

import pytest
import yaml

from tests.config.config_door import DEFAULT, GONE, changed, lines_of, make_bundled
from workflow_scripts.config import source_files as config_files
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.methods import METHODS


@pytest.fixture(autouse=True)
def bundled(tmp_path_factory, monkeypatch) -> Path:
    folder = make_bundled(tmp_path_factory.mktemp("repository"))
    monkeypatch.setattr(config_files, "BUNDLED", folder)
    return folder


CASES = [
    line
    for line in Path(__file__).with_name("mistakes.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_one_line_with_key_value_and_remedy(case):
    changed_key, value, words = (part.strip() for part in case.split("|", 2))
    key, _, other = changed_key.partition(" >> ")
    key, _, below = key.partition(" > ")
    named = other or (key + ("" if below[:1] in ("", "[") else ".") + below)
    path = tuple(key.split(".", 1) if key.split(".")[1:] and " " in key else key.split("."))
    (line,) = lines_of(changed((path, yaml.safe_load(value) if value else GONE)))
    assert line.startswith(f"config: {named}: "), line
    for word in words.split(";"):
        assert word.strip() in line


def test_a_screen_of_nothing_is_told_so():
    alone, screen = (("run", "variants"), ["dense"]), (("run", "screen"), {"keep": 1})
    (line,) = lines_of(changed(alone, screen))
    assert line.startswith("config: run.screen: leaves nothing to choose from: every variant of")
    named = (("run", "variants"), ["dense", "wanda-50"])
    always = (("run", "screen"), {"always": ["wanda-50"]})
    (line,) = lines_of(changed(named, always))
    assert line.startswith("config: run.screen: leaves nothing to choose from")


def test_a_key_that_is_no_text_is_told_so():
    assert "the key 20 is not text" in lines_of(changed((("variants", 20), {"method": "dense"})))[0]
    assert "the key 20 is not text" in lines_of(changed((("generation", 20), 1)))[0]


def test_a_pattern_lists_all_that_does_not_go_with_it():
    owl = {"kind": "owl", "calibration": "chains"}
    wrong = {"pattern": "2:4", "allocation": owl, "comparison": "matrix", "selection": "paper"}
    lines = lines_of(changed((("variants", "x"), DEFAULT["variants"]["wanda-20"] | wrong)))
    keys = [line.split(": ")[1].removeprefix("variants.x.") for line in lines]
    assert sorted(keys) == ["allocation.kind", "comparison", "selection", "sparsity"]


EVOLVED = {"kind": "evolved", "calibration": "chains"}


@pytest.mark.parametrize(
    ("variant", "lines"),
    [
        (
            {"method": "stade", "allocation": EVOLVED},
            [
                "allocation.kind: 'evolved' is not allowed with method stade; it knows the scores "
                "of magnitude and wanda"
            ],
        ),
        (
            {"method": "wanda", "allocation": EVOLVED, "propagate": "pruned"},
            ["propagate: 'pruned' is not allowed with allocation evolved; must be dense"],
        ),
        (
            {"method": "wanda", "allocation": EVOLVED | {"survivors": [4, 2], "tokens": [9]}},
            [
                "allocation.survivors: 2 is not allowed as the last; must be 1",
                "allocation.tokens: [9] is not allowed; must be a list of as many numbers as "
                "survivors has (2)",
            ],
        ),
        (
            {"method": "wanda", "allocation": EVOLVED | {"offspring": 4}},
            [
                "allocation.survivors: [8, 2, 1] is not allowed with offspring 4; the first at "
                "most 4, each other at most the one before it"
            ],
        ),
        (
            {"method": "wanda", "allocation": EVOLVED | {"survivors": []}},
            [
                "allocation.survivors: an empty list is not allowed; must be a list of one or more "
                "numbers from 1 on"
            ],
        ),
        (
            {"method": "wanda", "allocation": {"kind": "alphapruning", "spread": 1}},
            ["allocation.spread: 1 is not allowed; must be a number of at least 0 and less than 1"],
        ),
    ],
)
def test_what_a_search_or_a_spectrum_cannot_do(variant, lines):
    common = {"sparsity": 0.5, "calibration": "chains"}
    found = lines_of(changed((("variants", "x"), common | variant)))
    assert [line.removeprefix("config: variants.x.") for line in found] == lines


@pytest.mark.parametrize(
    "config, found",
    [(None, "empty config"), ({}, "empty config"), ([], "a list"), ("run", "'run'"), (3, "3")],
)
def test_a_config_that_is_no_mapping(config, found):
    (line,) = lines_of(config)
    assert found in line and "run, models, benchmarks" in line


@pytest.mark.parametrize("engine, device", [("vllm", "cpu"), ("auto", "cuda")])
def test_temperatures_that_vllm_would_change_or_refuse(engine, device):
    keys = {"engine": engine, "device": device, "temperature": 0.005}
    keys["answer_sampling"] = {"temperature": 2.5}
    lines = lines_of(changed(*((("generation", name), item) for name, item in keys.items())))
    for line, key in zip(lines, ("temperature", "answer_sampling.temperature"), strict=True):
        assert line.startswith(f"config: generation.{key}: ") and "0 and 0.01 to 2" in line
    for value in (0, 0.01, 2):
        vllm = (("generation", "engine"), "vllm")
        load_settings(changed(vllm, (("generation", "temperature"), value)))


def test_an_engine_that_cannot_run_what_a_method_makes(monkeypatch):
    monkeypatch.setattr(METHODS["wanda"], "engines", ("transformers",))
    (line, *_) = lines_of(changed((("generation", "engine"), "vllm")))
    assert line.startswith("config: generation.engine: vllm cannot run what method wanda makes")
    assert "must be transformers" in line


def test_sliced_models_run_with_transformers_alone():
    sliced = {"method": "slicegpt", "calibration": "chains", "slicing": 0.2}
    changes = [(("variants", "sliced"), sliced), (("run", "variants"), ["dense", "sliced"])]
    load_settings(changed(*changes))
    (line, *_) = lines_of(changed(*changes, (("generation", "engine"), "vllm")))
    assert line == (
        "config: generation.engine: vllm cannot run what method slicegpt makes (variants.sliced); "
        "must be transformers"
    )
    (line, *_) = lines_of(changed(*changes, (("generation", "device"), "cuda")))
    assert line == (
        "config: generation.engine: 'auto' can be vllm on a GPU, and vllm cannot run what method "
        "slicegpt makes (variants.sliced); must be transformers"
    )


def test_weights_in_the_memory_of_the_machine_are_not_swapped():
    options = {"engine": "vllm", "engine_options": {"cpu_offload_gb": 4}}
    keys = [(("generation", key), value) for key, value in options.items()]
    load_settings(changed(*keys))
    (line,) = lines_of(changed(*keys, (("run", "variants_per_engine"), 2)))
    expected = "config: run.variants_per_engine: 2 is not allowed with cpu_offload_gb; must be 1"
    assert line.startswith(expected)


@pytest.mark.parametrize(
    "pair, line",
    [
        ({"think": "reasoner"}, "think: 'reasoner' is not allowed; must be another model than "
         "instruct"),
        ({"think": "reasone"}, "think: 'reasone' is not in models; did you mean 'reasoner'? there: "
         f"{', '.join(changed()['models'])}, other"),
        ({"think": "other"}, "think: 'other' is not in run.models; there: reasoner"),
        ({}, "think: missing; must be a name from models"),
    ],
)  # fmt: skip
def test_a_pair_is_two_different_models_of_the_run(pair, line):
    other = (("models", "other"), changed()["models"]["reasoner"])
    keys = other, (("tables", "pair"), {"instruct": "reasoner", **pair})
    assert lines_of(changed(*keys)) == [f"config: tables.pair.{line}"]
    both = (("run", "models"), ["other", "reasoner"])
    of_both = changed(other, both, (("tables", "pair"), {"instruct": "reasoner", "think": "other"}))
    assert load_settings(of_both).tables.pair.think == "other"


def test_a_config_that_contains_itself_is_refused():
    config = changed()
    config["models"]["reasoner"]["source"] = config["models"]
    (line,) = lines_of(config)
    assert line.startswith("config: models.reasoner.source.kind: missing")


def test_several_mistakes_are_several_lines_in_the_order_of_the_config():
    lines = lines_of(
        changed(
            (("run", "variants"), ["dense", "wnda-20"]),
            (("models", "reasoner", "thinking"), 1),
            (("variants", "wanda-20", "sparsity"), 1.2),
            (("variants", "magnitude-20", "sparsity"), GONE),
            (("generation", "dtype"), GONE),
            (("generation", "repeats"), GONE),
        )
    )
    assert [line.split(": ")[1] for line in lines] == [
        "run.variants[1]",
        "models.reasoner.thinking",
        "variants.magnitude-20.sparsity",
        "variants.wanda-20.sparsity",
        "generation.dtype",
        "generation.repeats",
    ]


@pytest.mark.parametrize(
    "path, key, slip",
    [
        ("variants.wanda-20", "sparsity", "sparsitty"),
        ("variants.wanda-20", "method", "Method"),
        ("models.reasoner", "source", "SOURCE"),
        ("models.reasoner.source", "kind", "kinds"),
        ("run", "models", "model"),
    ],
)
def test_a_slip_in_a_key_that_is_needed_is_one_line_and_not_two(path, key, slip):
    place = DEFAULT
    for step in path.split("."):
        place = place[step]
    steps = tuple(path.split("."))
    (line,) = lines_of(changed(((*steps, key), GONE), ((*steps, slip), place[key])))
    assert line.startswith(f"config: {path}.{slip}: ") and f"did you mean '{key}'?" in line


def test_a_slip_beside_the_right_key_hides_nothing():
    at = ("variants", "wanda-20")
    lines = lines_of(changed(((*at, "sparsitty"), 0.2), ((*at, "calibration"), GONE)))
    assert ["sparsitty" in lines[0], "calibration: missing" in lines[1]] == [True, True]


def test_a_name_that_is_not_there_is_one_line_however_often_it_is_used():
    users = ["wanda-20", "wanda-50", "shortgpt-1"]
    changes = [(("variants", user, "calibration"), "c4") for user in users]
    (line,) = lines_of(changed(*changes))
    assert line.startswith("config: variants.wanda-20.calibration: 'c4'") and "2 more keys" in line


def test_of_a_long_catalogue_an_error_names_the_first_dozen():
    more = [(("variants", f"v{number}"), {"method": "dense"}) for number in range(9)]
    (line,) = lines_of(changed(*more, (("run", "variants"), ["wnda-20"])))
    names = [*DEFAULT["variants"], *(f"v{number}" for number in range(9))]
    assert line.endswith(f"{', '.join(names[:12])} and {len(names) - 12} more")


def test_at_most_ten_mistakes_are_listed():
    wrong = [(("generation", f"x{n}"), 1) for n in range(10)]
    assert len(lines_of(changed(*wrong))) == 10
    lines = lines_of(changed(*wrong, (("generation", "x10"), 1)))
    assert len(lines) == 11 and "more is wrong" in lines[10]


def test_odd_values_and_keys_are_shown_on_one_short_line():
    for value in ("x\ny\u2028" * 50, datetime.date(2026, 1, 2), b"x", {1, 2}, 16**5000):
        (line,) = lines_of(changed((("models", "reasoner", "thinking"), value)))
        assert line.isprintable() and len(line) < 300
    (line,) = lines_of(changed((("generation", "a\nb"), 1)))
    assert line.startswith("config: generation.'a\\nb': unknown key")
