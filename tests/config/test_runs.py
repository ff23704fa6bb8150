"""Named runs that share files define them alike, or are refused before anything runs."""

import pytest

from tests.config.config_door import changed
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.runs import check_other_runs, definitions, note_definitions
from workflow_scripts.errors import InputError
from workflow_scripts.paths import PROJECT

GENERATED = {"source": {"kind": "generated", "benchmark": "chains"}, "samples": 4, "length": 8}
OWN_TEXTS = (
    (("calibration_sets", "own"), GENERATED),
    (("variants", "wanda-50", "calibration"), "own"),
)


def settings_of(name, *changes):
    named = [(("run", "name"), name)] if name else []
    return load_settings(changed(*named, *changes), PROJECT)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("shared", "change", "said"),
    [
        (
            (),
            (("variants", "wanda-50", "sparsity"), 0.6),
            "config: variants.wanda-50.sparsity: 0.6 in run b and 0.5 in run a, and both share "
            "what is made with it; give variants.wanda-50 another name in one of them, or remove "
            "results/runs/a/shared.json if run a is to follow",
        ),
        (
            (),
            (("benchmarks", "chains", "limit"), 12),
            "config: benchmarks.chains.limit: 12 in run b and left out in run a, and both share "
            "what is made with it; give benchmarks.chains another name",
        ),
        (
            (),
            (("calibration_sets", "chains", "seed"), 1),
            "config: calibration_sets.chains.seed: 1 in run b and 0 in run a",
        ),
        ((), (("device",), "cuda"), "config: pruning.device: 'cuda' in run b and 'cpu' in run a"),
        ((), (("generation", "threads"), 2), "2 in run b and 1 in run a, and both share what is "
         "made with it; must be the same in both"),
        (OWN_TEXTS, (("generation", "seed"), 1), "config: generation.seed: 1 in run b and 0 in"),
    ],
)  # fmt: skip
def test_what_would_make_shared_files_again_and_again_is_refused(shared, change, said):
    note_definitions(settings_of("a", *shared))
    with pytest.raises(InputError) as refused:
        check_other_runs(settings_of("b", *shared, change))
    assert said in str(refused.value) and len(str(refused.value).splitlines()) == 1
    # it stands for itself: its own earlier definition is no other run's
    check_other_runs(settings_of("a", *shared, change))


def test_the_page_shows_the_line_as_it_is():
    note_definitions(settings_of("pilot"))
    with pytest.raises(InputError) as refused:
        check_other_runs(settings_of("strict", (("variants", "wanda-50", "sparsity"), 0.6)))
    page = (PROJECT / "docs/configuration.md").read_text(encoding="utf-8")
    assert f"```text\n{refused.value}\n```" in page


@pytest.mark.parametrize(
    "change",
    [
        (("generation", "budgets"), [6, 100]),
        (("generation", "seed"), 1),
        (("generation", "shards"), 2),
        (("benchmarks", "chains", "prompt"), "{question}\n"),
        (("run", "variants"), ["dense"]),
        (("variants", "stade-50", "sparsity"), 0.6),  # of the catalogue, in neither run
        (("calibration_sets", "own"), GENERATED),
    ],
)
def test_what_only_a_runs_own_files_depend_on_is_its_own_matter(change):
    note_definitions(settings_of("a"))
    check_other_runs(settings_of("b", change))


def test_a_run_without_a_name_notes_nothing_and_spoils_no_other(tmp_path):
    note_definitions(settings_of(None, (("generation", "threads"), 2)))
    assert not list(tmp_path.iterdir())
    note_definitions(settings_of("a"))
    check_other_runs(settings_of(None))
    with pytest.raises(InputError, match="2 in this run and 1 in run a"):
        check_other_runs(settings_of(None, (("generation", "threads"), 2)))


def test_screens_are_shared_and_who_goes_on_is_not():
    screen = ("run", "screen")
    note_definitions(settings_of("a", (screen, {"keep": 2})))
    check_other_runs(settings_of("b", (screen, {"keep": 1, "by": "loss"})))
    check_other_runs(settings_of("b"))
    with pytest.raises(InputError) as refused:
        check_other_runs(settings_of("b", (screen, {"problems": 8})))
    assert "config: run.screen.problems: 8 in run b and 32 in run a" in str(refused.value)
    with pytest.raises(InputError, match="generation.temperature"):  # of the traces
        check_other_runs(settings_of("b", (screen, {}), (("generation", "temperature"), 0.5)))


def test_calibration_on_own_traces_shares_what_these_depend_on():
    plain, own = (definitions(settings_of("a", *more)) for more in ((), OWN_TEXTS))
    assert ("generation", "temperature") in own.keys() - plain.keys()
    assert own["generation", "budgets"] == [72]
