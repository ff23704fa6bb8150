"""The generate command with an engine that counts: what it decodes, tells and writes."""

import hashlib
import json
import logging
import multiprocessing
import random
import re
import shutil
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from tests.artefacts.variants import on_disk, random_keeps
from workflow_scripts.artefacts.masks import variant_files
from workflow_scripts.artefacts.records import Answer, TokenSequence, Trace, read_records
from workflow_scripts.config.entry import plain
from workflow_scripts.config.load import load_settings
from workflow_scripts.engines import start as engines
from workflow_scripts.engines.interface import Completion
from workflow_scripts.files.digests import file_digest, files_digest
from workflow_scripts.generation import generate
from workflow_scripts.jobs.stage import run_stage
from workflow_scripts.models.tokenizers import load_tokenizer
from workflow_scripts.paths import PROJECT

BUNDLED = PROJECT / "bundled"
SETTINGS = load_settings(
    yaml.safe_load((PROJECT / "config/config.yaml").read_text(encoding="utf-8")), PROJECT
)
OPTIONS = plain(SETTINGS.generation_job("reasoner")) | {
    "engine": "transformers",
    "budgets": [6, 24],
    "repeats": 2,
    "answer_tokens": 4,
}
PROBLEMS = 10


class CountingEngine:
    """Token i of a completion follows from the prompt, the seed and i; one in 25 stops it."""

    def __init__(self, vocabulary, delimiter):
        self.vocabulary, self.delimiter = vocabulary, delimiter
        self.asked = []

    def generate(self, queue):
        while queue:
            request = queue.popleft()
            self.asked.append(request)
            yield request, self.complete(request)

    def complete(self, request):
        start = hashlib.sha256(repr((request.prompt, request.seed)).encode()).digest()
        draw = random.Random(start)
        tokens = []
        for _ in range(request.max_tokens):
            if draw.random() < 0.04:
                return Completion(tuple(tokens), draw.choice(request.stop))
            tokens.append(draw.randrange(10, self.vocabulary))
        return Completion(tuple(tokens), None)

    def counts(self):
        """(traces, answers) that were decoded: the delimiter of thinking stops traces alone."""
        traces = sum(self.delimiter in request.stop for request in self.asked)
        return traces, len(self.asked) - traces


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The demo reasoner as fetched."""
    folder = tmp_path_factory.mktemp("models") / "reasoner"
    shutil.copytree(BUNDLED / "models/reasoner", folder)
    return with_manifest(folder)


def with_manifest(folder):
    files = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
    manifest = {"source": {}, "revision": None, "files": files, "digest": files_digest(files)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


class Project:
    """A folder where the command is run again and again."""

    def __init__(self, folder, model, monkeypatch):
        self.folder, self.model, self.monkeypatch = folder, model, monkeypatch
        self.results = folder / "results/dense"
        lines = (BUNDLED / "benchmarks/chains.jsonl").read_text().splitlines(keepends=True)
        for name, start in (("first", 0), ("second", 100)):
            (folder / f"{name}.jsonl").write_text("".join(lines[start : start + PROBLEMS]))

    def command(self, benchmarks=("first",), shard=None, **changes):
        flags = {
            "model": self.model, "options": json.dumps(OPTIONS | changes),
            "store": self.folder / "store", "output": self.results,
            "provenance": self.results / "generation.json",
        }  # fmt: skip
        if shard:
            flags |= {"shard": shard, "provenance": self.results / f"shards/{shard}.json"}
        arguments = [str(part) for key, value in flags.items() for part in (f"--{key}", value)]
        files = [f"{name}={self.folder}/{name}.jsonl" for name in benchmarks]
        return [*arguments, "--benchmarks", *files]

    def run(self, benchmarks=("first",), version="1", flags=(), **changes):
        """The engines that were started: none or one."""
        started = []

        def start(model, pruned, settings, vocabulary, longest):
            delimiter = load_tokenizer(model).convert_tokens_to_ids("</think>")
            started.append(CountingEngine(vocabulary, delimiter))
            return started[-1]

        fingerprint = {"engine": "counting", "version": version}
        self.monkeypatch.setattr(engines, "start_engine", start)
        self.monkeypatch.setitem(engines.ENGINES, "transformers", start)
        self.monkeypatch.setattr(generate, "fingerprint_of", lambda settings: fingerprint)
        command = ["generate", *self.command(benchmarks, **changes), *flags]
        self.monkeypatch.setattr(sys, "argv", command)
        run_stage(generate.main)
        return started

    def counts(self, *arguments, **changes):
        (engine,) = self.run(*arguments, **changes)
        return engine.counts()

    def traces(self, benchmark="first"):
        return read_records(self.results / "traces" / f"{benchmark}.jsonl", Trace)

    def answers(self, benchmark="first"):
        return read_records(self.results / "answers" / f"{benchmark}.jsonl", Answer)


@pytest.fixture
def project(tmp_path, model, monkeypatch):
    return Project(tmp_path, model, monkeypatch)


def cut(traces):
    return sum(trace.finish == "length" for trace in traces)


def longer_than(traces, budget):
    """These have an answer of their own under that budget: think has one marker for all ends."""
    return sum(trace.tokens > budget for trace in traces)


def test_a_first_run_decodes_a_trace_each_and_an_answer_for_every_way_it_is_cut(project, capsys):
    traces, answers = project.counts()
    assert "cut by a smaller cap" not in capsys.readouterr().err
    assert traces == 2 * PROBLEMS
    assert 0 < cut(project.traces()) < 2 * PROBLEMS  # the rest says something about both
    assert answers == 2 * PROBLEMS + longer_than(project.traces(), 6)
    assert len(project.answers()) == 2 * 2 * PROBLEMS


def results_of(project):
    files = project.results.rglob("*.json*")
    return {path: path.read_bytes() for path in files if path.suffix != ".sha256"}


def test_nothing_missing_starts_no_engine_and_writes_the_same_bytes(project, capsys):
    project.run()
    before = results_of(project)
    assert len(before) == 3
    capsys.readouterr()
    shutil.rmtree(project.results)
    assert project.run() == []
    assert results_of(project) == before
    completions = 4 * PROBLEMS + longer_than(project.traces(), 6)
    assert capsys.readouterr().err == (
        f"reasoner/dense: all {completions} completions are in the store; no engine starts\n"
    )


def stored(project):
    """Every line of the store but the writers', in order; and how many processes wrote them."""
    files = [file.read_text().splitlines() for file in project.folder.glob("store/*/*.jsonl")]
    return sorted(line for lines in files for line in lines[1:]), len(files)


def test_shards_at_once_decode_everything_once_and_the_results_are_the_same_bytes(project, capsys):
    both = ("first", "second")
    project.run(both)
    before, (completions, _) = results_of(project), stored(project)
    for folder in (project.results, project.folder / "store"):
        shutil.rmtree(folder)
    start = multiprocessing.get_context("fork").Process
    jobs = [
        start(target=project.run, args=(both,), kwargs={"shard": f"{n}-of-3"}) for n in (1, 2, 3)
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0, 0, 0]
    assert stored(project) == (completions, 3)
    assert {path.name for path in results_of(project)} == {f"{n}-of-3.json" for n in (1, 2, 3)}
    assert project.run(both, flags=["--from-store"]) == []
    assert before.items() <= results_of(project).items()
    # nor does another number of them decode anything again, be it more than there are problems
    for shard in ("1-of-2", "2-of-2", "30-of-30"):
        assert project.run(both, shard=shard) == []
    part = json.loads((project.results / "shards/1-of-2.json").read_text())
    assert {*part["prompts"]} == {*both} and part["producers"]


def test_a_shard_that_was_killed_goes_on(project, monkeypatch):
    finish = CountingEngine.complete

    def die(engine, request):
        if len(engine.asked) > 5:
            raise KeyboardInterrupt
        return finish(engine, request)

    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(CountingEngine, "complete", die)
        project.run(shard="1-of-2")
    completions, _ = stored(project)
    assert len(completions) == 5
    project.run(shard="1-of-2")
    project.run(shard="2-of-2")
    every, _ = stored(project)
    assert {*completions} < {*every} and len(every) == len({*every})
    assert project.run(flags=["--from-store"]) == []


def test_several_variants_are_decoded_by_one_job_that_goes_on_after_a_kill(project, monkeypatch):
    folders = [project.folder / name for name in ("dense", "one", "other")]
    keeps = [{}, *(random_keeps(project.model, 0.5, seed) for seed in (1, 2))]
    for folder, keep in zip(folders, keeps, strict=True):
        folder.mkdir()
        on_disk(folder, project.model, keep)
    alone = {}
    for folder in folders:
        project.run(flags=["--variant", *map(str, variant_files(folder))])
        alone |= {folder: results_of(project)}
    completions, _ = stored(project)
    for folder in (project.results, project.folder / "store"):
        shutil.rmtree(folder)
    finish, several = CountingEngine.complete, ["--variants", *map(str, folders)]

    def die(engine, request):
        if len(engine.asked) > 5 and len(stored(project)[0]) > len(completions) / 3:
            raise KeyboardInterrupt
        return finish(engine, request)

    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(CountingEngine, "complete", die)
        project.run(flags=several)
    there, _ = stored(project)
    assert len(completions) / 3 < len(there) < len(completions) / 2
    assert len(project.run(flags=several)) == 2
    assert stored(project)[0] == completions
    said = json.loads((project.results / "generation.json").read_text())
    assert [*said] == ["dense", "one", "other"]
    assert {path.name for path in results_of(project)} == {"generation.json"}
    for folder in folders:
        given = ["--from-store", "--variant", *map(str, variant_files(folder))]
        assert project.run(flags=given) == []
        assert results_of(project) == alone[folder]


def test_a_store_that_was_emptied_behind_its_shards_is_one_line(project, capsys):
    project.run(shard="1-of-2")
    with pytest.raises(SystemExit):
        project.run(flags=["--from-store"])
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: {project.folder}/store: completions of reasoner/dense are gone that other "
        "jobs decoded; decode them again: snakemake --forcerun generate_shard generate_variants"
    )
    assert not (project.results / "answers").exists()


def test_a_template_that_writes_the_date_gives_the_same_prompts_tomorrow(
    project, model, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    project.model = Path(shutil.copytree(model, tmp_path / "reasoner"))
    template = project.model / "chat_template.jinja"
    template.write_text("{{ strftime_now('%Y') }}" + template.read_text())
    (project.model / "manifest.json").unlink()
    with_manifest(project.model)
    project.run()
    record = json.loads((project.results / "generation.json").read_text())
    assert abs(date.today() - date.fromisoformat(record["date"])) <= timedelta(days=1)
    first = results_of(project)
    # as if the first run had been on that day
    lock = Path("config/date.lock")
    lock.write_text(
        lock.read_text(encoding="utf-8").replace(record["date"], "2001-02-03"), encoding="utf-8"
    )
    (engine,) = project.run()
    decode = load_tokenizer(model).decode
    assert all(decode(r.prompt).startswith("2001<|user|>") for r in engine.asked)
    assert project.run() == []
    assert json.loads((project.results / "generation.json").read_text())["date"] == "2001-02-03"
    assert project.run(date=record["date"]) == []
    assert {path: first[path] for path in first if path.name != "generation.json"} == {
        path: there for path, there in results_of(project).items() if path.name != "generation.json"
    }
    lock.write_text("2001-02-03", encoding="utf-8")
    (engine,) = project.run(date="2002-02-04")
    assert all(decode(r.prompt).startswith("2002<|user|>") for r in engine.asked)


def test_loading_the_model_is_not_counted_as_decoding(project, capsys, monkeypatch):
    class Slow(CountingEngine):
        def __init__(self, *arguments):
            time.sleep(3)
            super().__init__(*arguments)

    monkeypatch.setitem(globals(), "CountingEngine", Slow)
    project.run()
    assert re.search(r": decoded \d+ completions in 0:00:0[01], ", capsys.readouterr().err)


def test_what_an_engine_warns_of_is_told_like_progress(project, capsys, monkeypatch):
    """So it reaches the terminal as well, where somebody waits; see test_progress.py."""

    class Warns(CountingEngine):
        def __init__(self, *arguments):
            logging.getLogger("workflow_scripts.engines.x").warning("one at a time")
            super().__init__(*arguments)

    monkeypatch.setitem(globals(), "CountingEngine", Warns)
    project.run()
    assert "reasoner/dense: one at a time\n" in capsys.readouterr().err


def test_another_repeat_is_all_that_is_decoded(project):
    project.run()
    traces, answers = project.counts(repeats=3)
    new = [trace for trace in project.traces() if trace.repeat == 2]
    assert traces == PROBLEMS and answers == PROBLEMS + longer_than(new, 6)


def test_a_budget_below_the_largest_needs_its_answers_alone(project):
    project.run()
    assert project.counts(budgets=[6, 12, 24]) == (0, longer_than(project.traces(), 12))


def test_another_benchmark_is_all_that_is_decoded(project):
    project.run()
    traces, answers = project.counts(benchmarks=("first", "second"))
    assert (traces, answers) == (
        2 * PROBLEMS,
        2 * PROBLEMS + longer_than(project.traces("second"), 6),
    )


def test_a_benchmark_with_more_problems_decodes_those_alone(project):
    """What a larger `limit` makes of one, first or sampled."""
    whole = (project.folder / "first.jsonl").read_text().splitlines(keepends=True)
    (project.folder / "first.jsonl").write_text("".join(whole[1::3]))
    assert project.counts()[0] == 2 * 3
    (project.folder / "first.jsonl").write_text("".join(whole))
    assert project.counts()[0] == 2 * (PROBLEMS - 3)


def test_a_prompt_decodes_again_and_is_noted_and_the_bare_one_does_not(project):
    project.run()
    assert project.run(wordings={"first": {"prompt": "{question}"}}) == []
    (engine,) = project.run(wordings={"first": {"prompt": "1+{question}"}})
    traces, _ = engine.counts()
    assert traces == 2 * PROBLEMS
    noted = json.loads((project.results / "generation.json").read_text())["prompts"]["first"]
    first = json.loads((project.folder / "first.jsonl").read_text().splitlines()[0])
    assert noted["text"] == f"<|user|>1+{first['question']}<|end|><|assistant|><think>"
    tokenizer = load_tokenizer(project.model)
    put = engine.asked[0].prompt
    assert (noted["id"], noted["tokens"]) == (first["id"], len(put))
    assert tokenizer.decode(put) == noted["text"]


def test_a_lower_largest_budget_needs_nothing_or_its_answers_alone(project):
    project.run()
    assert project.run(budgets=[6]) == []
    assert project.counts(budgets=[3, 6]) == (0, longer_than(project.traces(), 3))
    assert {trace.tokens for trace in project.traces() if trace.finish == "length"} == {6}


def test_a_larger_largest_budget_needs_the_traces_that_were_cut_and_their_answers(project, capsys):
    project.run()
    before = {(t.id, t.repeat): t for t in project.traces()}
    again = cut(before.values())
    capsys.readouterr()
    traces, answers = project.counts(budgets=[6, 24, 60])
    assert (traces, answers) == (again, longer_than(project.traces(), 24))
    assert (
        f"reasoner/dense: {again} of the stored completions were cut by a smaller cap than they "
        "have now; they are decoded again from their start, since going on from a prefill would "
        "round differently\n"
    ) in capsys.readouterr().err
    for trace in project.traces():
        assert trace.text.startswith(before[trace.id, trace.repeat].text)
    assert project.run() == []  # the longer traces serve the smaller budgets


def test_longer_answers_decode_again_what_was_cut(project):
    project.run()
    cut_answers = {
        (answer.id, answer.repeat, answer.trace_tokens)
        for answer in project.answers()
        if answer.answer_finish == "length"
    }
    assert project.counts(answer_tokens=9) == (0, len(cut_answers))
    assert project.run(answer_tokens=2) == []


def test_provenance_names_the_producers_of_what_is_used_and_no_others(project):
    project.run(version="1")
    written = json.loads((project.results / "generation.json").read_text())
    assert written["settings"] == OPTIONS
    assert written["generator"]["engine"] == "transformers"
    assert written["producers"] == [{"engine": "counting", "version": "1"}]
    project.run(version="2", repeats=3)
    written = json.loads((project.results / "generation.json").read_text())
    versions = sorted(producer["version"] for producer in written["producers"])
    assert versions == ["1", "2"]
    project.run(version="3")
    written = json.loads((project.results / "generation.json").read_text())
    assert written["producers"] == [{"engine": "counting", "version": "1"}]


def test_lengths_of_prompts_are_noted_and_add_up_to_what_was_read(project):
    """The token ids of an answer are its prompt, trace, what is put between, answer and its end."""
    project.run(flags=["--sequences"])
    written = json.loads((project.results / "generation.json").read_text())
    lengths, between = written["prompt_tokens"]["first"], written["put_between"]
    sequences = read_records(project.results / "sequences/first.jsonl", TokenSequence)
    answers = project.answers()
    assert {answer.id for answer in answers} == lengths.keys() and len(set(lengths.values())) > 1
    for answer, sequence in zip(answers, sequences, strict=True):
        spent = answer.trace_tokens + between[answer.trace_finish] + answer.answer_tokens
        ending = answer.answer_finish == "eos"
        assert len(sequence.ids) == lengths[answer.id] + spent + ending


def test_a_job_with_nothing_missing_does_not_load_what_runs_models(project):
    """In a process of its own, where no other test has loaded it."""
    project.run()
    code = (
        "import sys\n"
        "from workflow_scripts.generation.generate import main\n"
        "main()\n"
        "assert not {'transformers.modeling_utils', 'vllm'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", code, *project.command()]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "no engine starts" in finished.stderr


def test_a_full_disk_under_the_results_is_one_line(project, tmp_path, capsys):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"needs to mount a tmpfs, which only root may: {mounted.stderr.strip()}")
    try:
        project.results = disk / "dense"
        with pytest.raises(SystemExit, match="1"):
            project.run()
        (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error: ")]
        assert re.fullmatch(
            rf"error: {disk}/dense/(traces|answers)/first.jsonl: No space left on device; "
            "free some space and start again",
            line,
        )
        assert not list(disk.rglob("*.tmp"))
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
    project.results = tmp_path / "roomy/dense"
    assert project.run() == []


def test_a_store_of_another_format_is_one_line_before_anything_is_decoded(project, capsys):
    project.run()
    (project.folder / "store/FORMAT").write_text("1\n")
    with pytest.raises(SystemExit, match="1"):
        project.run(repeats=3)
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith("error: ") and "format '1'" in line and "format 2" in line
