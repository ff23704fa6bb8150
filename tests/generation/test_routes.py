"""What tokens of a dynamic variant ran: kept in the store, cut with tokens, counted."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.artefacts.mask_references import run as build
from tests.generation.scripted import EOS, PROMPT, S1, STOP, WAIT, Engine, MemoryStore, sweep_of
from tests.generation.test_generate import OPTIONS, with_manifest
from tests.models.drawn_routers import drawn_values
from workflow_scripts.artefacts.records import Answer, Trace, read_records
from workflow_scripts.artefacts.routes import read_routes
from workflow_scripts.engines.interface import Completion, Request
from workflow_scripts.engines.sampling import Sampling
from workflow_scripts.errors import InputError
from workflow_scripts.generation import generate, write_routes
from workflow_scripts.generation.outputs import write_outputs
from workflow_scripts.generation.routes import RouteCounter, count_routes
from workflow_scripts.generation.store.completions import Store
from workflow_scripts.generation.sweep import UNKNOWN, Sample, routes_of, run_sweep
from workflow_scripts.masking import routers
from workflow_scripts.models.token_kinds import TOKEN_KINDS
from workflow_scripts.paths import PROJECT

BLOCKS = 3


def request(n: int = 0, **changes: object) -> Request:
    fields = {"prompt": (1, n), "max_tokens": 50, "stop": (0,), "seed": n}
    return Request(**fields | {"sampling": Sampling(0.6, 1.0, 0)} | changes)


def ran(tokens: int, seed: int = 0, sublayers: int = 2 * BLOCKS) -> np.ndarray:
    return np.random.default_rng(seed).random((tokens, sublayers)) < 0.6


@pytest.mark.parametrize("sublayers", [2, 4, 6, 64])
@pytest.mark.parametrize(("tokens", "stopped_by"), [(1, 0), (9, 0), (9, None), (2, None)])
def test_the_store_keeps_them_with_the_tokens(
    tmp_path: Path, tokens: int, stopped_by: int | None, sublayers: int
) -> None:
    routes = ran(tokens - (stopped_by is None), sublayers=sublayers)
    store = Store(tmp_path, {"mask": "m"})
    cap = 50 if stopped_by is not None else tokens
    store.add(request(max_tokens=cap), Completion(tuple(range(5, 5 + tokens)), stopped_by, routes))
    store.close()
    again = Store(tmp_path, {"mask": "m"})
    found = again.get(request(max_tokens=cap))
    assert np.array_equal(found.routes, routes)
    for fewer in range(1, tokens):
        cut = again.get(request(max_tokens=fewer))
        assert len(cut.tokens) == fewer and cut.stopped_by is None
        if fewer == 1:
            assert cut.routes is None  # its one token is never put in
        else:
            assert np.array_equal(cut.routes, routes[: fewer - 1])


def test_the_last_token_of_a_cut_completion_is_not_known() -> None:
    whole, cut = Completion((5, 6, 7), 0, ran(3)), Completion((5, 6, 7), None, ran(2))
    assert np.array_equal(routes_of(whole), ran(3))
    assert np.array_equal(routes_of(cut)[:2], ran(2)) and (routes_of(cut)[2] == UNKNOWN).all()
    assert routes_of(Completion((5,), 0)) is None


WAIT_1 = replace(S1, extend_with=WAIT, extensions=1)
SCRIPTS = {PROMPT: [1, 2, STOP], (*PROMPT, 1, 2, *WAIT): [3, STOP]}


class Skipping(Engine):
    """Replays scripts; a token runs what its id says in binary, the first sublayer in front."""

    def complete(self, request: Request) -> Completion:
        found = super().complete(request)
        put_in = found.tokens if found.stopped_by is not None else found.tokens[:-1]
        routes = np.array([[token >> i & 1 for i in range(2 * BLOCKS)] for token in put_in])
        return replace(found, routes=routes.astype(bool) if len(routes) else None)


@pytest.fixture
def decoded() -> tuple:
    sweep, store = sweep_of([2, 9], WAIT_1), MemoryStore()
    samples = [Sample("p1", 0, PROMPT)]
    engine = Skipping(lambda r: iter(SCRIPTS.get(r.prompt, [9, 12, EOS])))
    run_sweep(sweep, samples, store, lambda: engine, lambda *_: None)
    return sweep, samples, store


def test_traces_and_answers_say_what_they_ran(tmp_path: Path, decoded: tuple) -> None:
    sweep, samples, store = decoded
    write_outputs(tmp_path, "b", samples, sweep, store, str)
    (trace,) = read_records(tmp_path / "traces" / "b.jsonl", Trace)
    # 1 and 2 and 3, of three blocks; what extends a trace is not decoded
    assert trace.tokens == 5
    assert trace.ran == {"attention": pytest.approx(2 / 9), "mlp": pytest.approx(2 / 9)}
    short, long = read_records(tmp_path / "answers" / "b.jsonl", Answer)
    assert short.trace_ran == {"attention": pytest.approx(1 / 6), "mlp": pytest.approx(1 / 6)}
    assert long.trace_ran == trace.ran
    # 9 is 001001 and 12 001100, from the right
    assert long.ran == {"attention": pytest.approx(2 / 6), "mlp": pytest.approx(2 / 6)}


def test_a_model_that_skips_nothing_says_nothing(tmp_path: Path) -> None:
    sweep, store, samples = sweep_of([2]), MemoryStore(), [Sample("p1", 0, PROMPT)]
    engine = Engine(lambda r: iter([1, 2, EOS]))
    run_sweep(sweep, samples, store, lambda: engine, lambda *_: None)
    write_outputs(tmp_path, "b", samples, sweep, store, str)
    for folder in ("traces", "answers"):
        assert "ran" not in json.loads((tmp_path / folder / "b.jsonl").read_text().splitlines()[0])


def test_counts_by_place_and_kind(decoded: tuple) -> None:
    sweep, samples, store = decoded
    kinds = np.zeros(100, dtype=np.uint8)
    kinds[[2, 3]] = TOKEN_KINDS.index("operator")
    counter = RouteCounter(kinds, BLOCKS, 9)
    count_routes(samples, sweep, store.get, counter)
    record = counter.record("digest")
    assert record.traces.model_dump() == {"tokens": 3, "attention": (2, 0, 0), "mlp": (2, 0, 0)}
    # two budgets, two answers, of the tokens 9 and 12
    assert record.answers.tokens == 4
    assert record.answers.attention == (2, 2, 0) and record.answers.mlp == (0, 4, 0)
    assert [(place.first, place.end, place.tokens) for place in record.places] == [
        (0, 1, 1), (1, 2, 1), (4, 5, 1),
    ]  # fmt: skip
    assert [place.attention for place in record.places] == [(1, 0, 0), (0, 0, 0), (1, 0, 0)]
    assert {kind: found.tokens for kind, found in record.kinds.items()} == {
        TOKEN_KINDS[0]: 1,
        "operator": 2,
    }
    assert record.kinds["operator"].mlp == (2, 0, 0)


def test_long_traces_are_counted_in_few_places() -> None:
    counter = RouteCounter(np.zeros(10, dtype=np.uint8), BLOCKS, 1000)
    routes = np.ones((1000, 2 * BLOCKS), dtype=np.int8)
    counter.add_trace([1] * 1000, routes)
    places = counter.record("digest").places
    assert len(places) == 63 and places[-1].end == 1000
    assert sum(place.tokens for place in places) == 1000
    assert all(place.first == 16 * i for i, place in enumerate(places))


@pytest.fixture(scope="module")
def skipping(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The demo reasoner with drawn routers has thought about some problems; and flags."""
    folder = tmp_path_factory.mktemp("skipping")
    model = folder / "reasoner"
    shutil.copytree(PROJECT / "bundled/models/reasoner", model)
    with_manifest(model)
    (place := folder / "results" / "mod").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(routers, "first_values", drawn_values)
        files = build(place, model, {"method": "mod", "skip": 0.4, "parts": "both"})
    lines = (PROJECT / "bundled/benchmarks/chains.jsonl").read_text().splitlines(keepends=True)
    (folder / "chains.jsonl").write_text("".join(lines[:6]))
    options = OPTIONS | {"budgets": [4, 12], "repeats": 1}
    flags = ["--model", model, "--variant", *files, "--benchmarks", f"chains={folder}/chains.jsonl"]
    flags += ["--options", json.dumps(options), "--store", folder / "store"]
    return place, [str(flag) for flag in flags]


def test_a_dynamic_variant_thinks_and_is_counted(
    skipping: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, flags = skipping
    output = ["--output", str(place), "--provenance", str(place / "generation.json")]
    monkeypatch.setattr("sys.argv", ["generate", *flags, *output])
    generate.main()
    traces = read_records(place / "traces" / "chains.jsonl", Trace)
    known = [trace for trace in traces if trace.ran]
    assert all(0 <= trace.ran["mlp"] <= 1 for trace in known)
    assert any(0 < trace.ran["mlp"] < 1 for trace in known)
    write_routes.main([*flags, "--output", str(place / "routes")])
    record = read_routes(place / "routes" / "chains.json")
    assert record.blocks == 6
    assert record.digest == json.loads((place / "mask.json").read_text())["digest"]
    put_in = [trace.tokens - (trace.finish == "length") for trace in known]
    assert record.traces.tokens == sum(put_in)
    for part in ("attention", "mlp"):
        expected = sum(t.ran[part] * count for t, count in zip(known, put_in, strict=True))
        assert sum(getattr(record.traces, part)) / 6 == pytest.approx(expected)
    assert {*record.kinds} <= {*TOKEN_KINDS}
    assert sum(found.tokens for found in record.kinds.values()) == record.traces.tokens


def test_completions_that_are_gone_are_named(
    skipping: tuple[Path, list[str]], tmp_path: Path
) -> None:
    _, flags = skipping
    flags = [*flags[:-1], str(tmp_path / "nothing")]
    with pytest.raises(InputError, match="decode them again: snakemake --forcerun generate"):
        write_routes.main([*flags, "--output", str(tmp_path / "routes")])
    assert not (tmp_path / "routes").exists()
