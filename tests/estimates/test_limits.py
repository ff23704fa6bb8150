"""What is said before a run: jobs that no cluster lets end, and memory that is not there."""

from tests.config.config_door import HUB_MODEL, changed
from workflow_scripts.config.load import load_settings
from workflow_scripts.config.settings import Settings
from workflow_scripts.estimates.limits import too_large, too_long


def settings_of(*changes: tuple[tuple, object], **model: object) -> Settings:
    """Wanda, sequential Wanda twice and LayerIF on one model, with sets as large as the paper's."""
    return load_settings(
        changed(
            (("models", "big"), HUB_MODEL | model),
            (("run", "models"), ["big"]),
            (
                ("run", "variants"),
                ["dense", "wanda-50", "wanda-20", "wanda-owl-50", "magnitude-20"],
            ),
            *((("variants", name, "propagate"), "pruned") for name in ("wanda-20", "wanda-owl-50")),
            (("variants", "magnitude-20", "allocation"), LAYERIF),
            *((("calibration_sets", "chains", key), n) for key, n in SAMPLES.items()),
            *((("influence_sets", "chains", key), n) for key, n in ROWS.items()),
            *changes,
        )
    )


LAYERIF = {"kind": "layerif", "influence": "chains"}
SAMPLES = {"samples": 128, "length": 2048}
ROWS = {"train_samples": 456, "validation_samples": 100, "length": 2048}
BIG = {"parameters": 8_200_000_000}


def test_what_takes_longer_than_a_job_lives_is_said_with_what_to_change(tmp_path):
    found = [line.replace(f"{tmp_path}/", "") for line in too_long(settings_of(**BIG), tmp_path)]
    keys = "set device: cuda, more generation.threads than 1, or fewer"
    of_set = f"{keys} samples or a smaller length of calibration_sets.chains"
    begins = "a job of a cluster has 24 and the next begins anew"
    assert found == [
        f"results/big/statistics/chains.safetensors: some 24 hours; {begins}; {of_set}",
        "results/big/influence/chains.json: some 415 hours; a job of a cluster has 24 and the next "
        f"goes on; {keys} train_samples or a smaller length of influence_sets.chains",
        f"results/big/wanda-20/mask.json and 1 more: some 48 hours; {begins}; {of_set}",
    ]


def test_a_search_goes_on_and_is_made_shorter_by_its_own_keys(tmp_path):
    drop = {"method": "evopress-drop", "remove_parts": 8, "calibration": "chains"}
    evolved = {"kind": "evolved", "calibration": "chains"}
    settings = settings_of(
        (("run", "variants"), ["dense", "drop", "magnitude-20"]),
        (("variants", "drop"), drop),
        (("variants", "magnitude-20", "allocation"), evolved),
        **BIG,
    )
    found = [line.replace(f"{tmp_path}/results/big/", "") for line in too_long(settings, tmp_path)]
    goes_on = "a job of a cluster has 24 and the next goes on"
    fewer = "set device: cuda, more generation.threads than 1, or fewer generations or offspring of"
    places = {"magnitude-20/allocation.json": "magnitude-20.allocation", "drop/mask.json": "drop"}
    assert len(found) == 2
    for line, (place, keys) in zip(found, places.items(), strict=True):
        start, hours, rest = line.partition(" hours; ")
        assert start.startswith(f"{place}: some ") and hours
        assert rest == f"{goes_on}; {fewer} variants.{keys}"


def test_nothing_is_said_of_what_is_there_or_what_a_gpu_does_or_is_not_known(tmp_path):
    assert not list(too_long(settings_of((("device",), "cuda"), **BIG), tmp_path))
    assert not list(too_long(settings_of(parameters=10**8), tmp_path))
    assert not list(too_long(settings_of(), tmp_path))
    made = tmp_path / "results/big/influence/chains.json"
    made.parent.mkdir(parents=True)
    made.touch()
    assert not any("influence/" in line for line in too_long(settings_of(**BIG), tmp_path))


def test_what_needs_more_memory_than_this_machine_has_is_said(tmp_path):
    (line,) = too_large(settings_of(**BIG), 24_000, tmp_path)
    assert line.startswith(f"{tmp_path}/results/big/influence/chains.json: up to 9")
    assert line.endswith(" GB, this machine has 24; device: cuda takes less")
    on_gpu = settings_of((("device",), "cuda"), **BIG)
    assert not list(too_large(on_gpu, 48_000, tmp_path))


def test_a_recovery_goes_on_and_its_start_is_asked_for(tmp_path):
    settings = settings_of(
        (("run", "variants"), ["dense", "wanda-trained"]),
        (("variants", "wanda-trained"), WANDA | {"recovery": "lora"}),
        (("recoveries", "lora", "length"), 512),
        (("recoveries", "lora", "batch"), 64),
        trained_on="chains",
        **BIG,
    )
    found = [line.replace(f"{tmp_path}/results/big/", "") for line in too_long(settings, tmp_path)]
    begins, goes_on = (
        "a job of a cluster has 24 and the next " + x for x in ("begins anew", "goes on")
    )
    keys = "set device: cuda, more generation.threads than 1, or fewer"
    assert found == [
        f"wanda-trained+pruned/mask.json: some 48 hours; {begins}; {keys} samples or a smaller "
        "length of calibration_sets.chains",
        f"wanda-trained/mask.json: some 896 hours; {goes_on}; {keys} steps or a smaller batch or "
        "length of recoveries.lora",
    ]
    large = [line for line in too_large(settings, 30_000, tmp_path) if "wanda-trained/" in line]
    assert len(large) == 1


WANDA = {"method": "wanda", "sparsity": 0.3, "calibration": "chains", "propagate": "pruned"}


def test_each_model_has_its_own_recovery_where_one_says_so(tmp_path):
    short = {"kind": "lora", "rank": 1, "alpha": 1, "length": 8, "steps": 1, "batch": 1}
    settings = settings_of(
        (("run", "variants"), ["trained"]),
        (("run", "models"), ["reasoner", "big"]),
        (("recoveries", "long"), short | {"steps": 10**6, "batch": 8, "learning_rate": 0.1}),
        (("recoveries", "short"), short | {"learning_rate": 0.1}),
        (("recoveries", "own"), {"kind": "by-model"}
         | {"models": {"big": "long", "reasoner": "short"}}),
        (("variants", "trained"), {"method": "dense", "recovery": "own"}),
        trained_on="chains",
        **BIG,
    )  # fmt: skip
    (line,) = too_long(settings, tmp_path)
    assert line.startswith(f"{tmp_path}/results/big/trained/mask.json")
    assert line.endswith("recoveries.long")
