"""The report of a run, complete or not, read as text and opened in a browser."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.tables import pair_results
from tests.tables.browser import look, needs_browser
from tests.tables.sources import mask, named_ways, write_masks
from workflow_scripts.artefacts.records import Answer, Grade
from workflow_scripts.config.references import REFERENCES, Citations
from workflow_scripts.files.atomic import read_json, write_json
from workflow_scripts.tables import everything, plot, report
from workflow_scripts.tables.content.source import Source
from workflow_scripts.tables.reporting.training_text import recovery_paragraphs, ways_to_prune
from workflow_scripts.tables.ways import as_lists

VARIANTS = ("dense", "wanda-20", "wanda-50", "shortgpt-1")
CONFIG = {
    "run": {"models": ["m"], "variants": list(VARIANTS), "benchmarks": ["b", "c"]},
    "variants": {
        "dense": {"method": "dense"},
        "wanda-20": {"method": "wanda", "allocation": {"kind": "owl"}},
        "wanda-50": {"method": "wanda", "allocation": {"kind": "uniform"}},
        "shortgpt-1": {"method": "shortgpt"},
    },
    "calibration_sets": {"chains": {"samples": 128, "length": 64, "seed": 5}},
    "generation": {
        "temperature": 0.6, "top_p": 1.0, "top_k": 0, "seed": 17, "dtype": "float32",
        "engine": "transformers", "answer_tokens": 8, "device": "cpu",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A run of one model, four variants and two benchmarks, of which one file is not graded."""
    from workflow_scripts.artefacts.records import write_records

    folder = tmp_path_factory.mktemp("run") / "results"
    random = np.random.default_rng(0)
    for number, variant in enumerate(VARIANTS):
        for benchmark in ("b", "c"):
            grades, answers = [], []
            for problem, repeat, budget in np.ndindex(12, 3, 2):
                at = (f"p{problem:02}", repeat, (6, 12)[budget])
                right = bool(random.random() < 0.4 + 0.4 * budget - 0.1 * number)
                grades.append(Grade(*at, str(problem + right), right, "stated"))
                answers.append(Answer(*at, 0, at[2], "length", 2, "eos", "1"))
            write_records(folder / "m" / variant / "grades" / f"{benchmark}.jsonl", grades)
            write_records(folder / "m" / variant / "answers" / f"{benchmark}.jsonl", answers)
        removed = [1] if variant == "shortgpt-1" else []
        share = {"wanda-20": 0.2, "wanda-50": 0.5, "shortgpt-1": 0.25}.get(variant, 0.0)
        record = mask(share, removed, method=variant.split("-")[0])
        if removed:
            record["scores"] = [{"measure": "change", "values": [0.4, 0.1, 0.2, 0.3]}]
        write_masks(folder, {variant: record | {"digest": f"digest-of-{variant}"}})
        producer = {"engine": "transformers", "device": "a machine & its parts", "torch": "2.13.0"}
        write_json(folder / "m" / variant / "generation.json", {"producers": [producer]})
    (folder / "m" / "wanda-50" / "grades" / "c.jsonl").unlink()
    (folder / "m" / "statistics").mkdir()
    scores = np.array([0.4, 0.1, 0.2, 0.3], dtype=np.float32)
    save_file({"block_influence": scores}, folder / "m" / "statistics" / "chains.safetensors")
    return folder


def build(results: Path, output: Path, variants=VARIANTS, config=CONFIG) -> str:
    home = results.parent
    manifest = {"source": {"kind": "bundled", "name": "m"}, "digest": "digest-of-m"}
    write_json(home / "resources/models/m/manifest.json", manifest)
    write_json(output / "config.json", config)
    log = home / "logs/generate/m/dense.tsv"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("s\th:m:s\tmax_rss\tcpu_time\n90.5\t0:01:30\t400.25\t1800\n")
    options = {
        "reference": "dense", "models": ["m"], "variants": list(variants), "benchmarks": ["b", "c"],
        "ways": as_lists(named_ways(variants)),
        "calibration": ["chains"], "influence": [], "variant": ["shortgpt-1"],
    }  # fmt: skip
    told = read_json(output / "config.json"), options
    everything.build(results, home / "resources", [home / "logs"], *told, output)
    return (output / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(results, tmp_path_factory) -> str:
    return build(results, tmp_path_factory.mktemp("report"))


class Reader(HTMLParser):
    """Tags that must be closed are, and addresses are those of the page itself."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "link", "img", "input", "br"):
            self.open.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", page))


def test_the_page_is_whole_and_needs_nothing_else(page):
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert len(reader.addresses) > 10
    for address in reader.addresses:
        assert address.startswith(("data:", "#")), address
    links = {address[1:] for address in reader.addresses if address.startswith("#")}
    assert links == set(reader.ids)
    without_data = re.sub(r'src="data:[^"]*"', "", page)
    assert not re.search(r"https?://", without_data)


def test_it_says_what_is_missing_and_shows_the_rest(page):
    assert "<li>grades of m/wanda-50: c</li>" in page
    text = text_of(page)
    assert "Missing: m/wanda-50: c." in text
    assert "1 model, 4 variants, 2 benchmarks; 504 graded answers." in text
    for caption in ("m on b", "m on c", "m, mean over benchmarks", "area under the budget curve"):
        assert caption in text
    kinds = set(re.findall(r'<img alt="([a-z ]+) m', page))
    assert kinds >= {
        "scaling curves", "token curves", "differences", "parallel", "sparsity", "allocation",
        "block influence",
    }  # fmt: skip


def test_its_comparisons_are_those_of_the_page_of_comparisons(results, tmp_path):
    page = build(results, tmp_path)
    alone = (tmp_path / "tables/comparison.html").read_text(encoding="utf-8")
    tables = re.findall("<table .*?</table>", alone, re.S)
    assert len(tables) == 4
    for table in tables:
        assert table in page


def test_a_complete_run_misses_nothing(results, tmp_path):
    page = build(results, tmp_path, variants=("dense", "wanda-20"))
    assert "not complete" not in page and "Missing" not in page


def test_the_methods_have_the_runs_own_numbers_and_references(page):
    text = text_of(page)
    assert "we prune m in 3 ways, by Wanda [2] and ShortGPT [3]" in text
    assert "allocated by OWL [4]" in text
    assert "chains (128 sequences of 64 tokens, seed 5)" in text
    assert "answers b (12 problems) and c (12 problems), 3 times each" in text
    assert "capped at 6 and 12 tokens" in text and "seed 17" in text and "temperature 0.6" in text
    references = re.search("<ol>(.*)</ol>", page, re.S)[1]
    methods = re.search('id="methods">(.*?)</div>', page, re.S)[1]
    cited = {int(n) for found in re.findall(r"\[([\d, ]+)\]", methods) for n in found.split(", ")}
    assert cited == set(range(1, references.count("<li>") + 1)) and len(cited) >= 9


def test_where_it_comes_from(page):
    text = text_of(page)
    for said in (
        "digest-of-m", "digest-of-shortgpt-1", "a machine &amp; its parts", "kind: bundled",
        "numpy", "statsmodels", "400", "0.50",
    ):  # fmt: skip
        assert said in text, said
    config = re.search("<pre>(.*)</pre>", page, re.S)[1]
    assert json.loads(unescape(config)) == CONFIG


def test_a_pair_and_training_after_pruning_are_told_in_figures_tables_and_methods(
    pair_source, tmp_path
):
    lora = {
        "kind": "lora", "rank": 8, "alpha": 16.0, "length": 64, "steps": 50, "batch": 4,
        "learning_rate": 0.001, "schedule": "cosine", "warm_up": 5, "weight_decay": 0.0,
        "validation": 20, "evaluate_every": 10, "patience": 2, "loss": "completion", "seed": 7,
        "clip": 1.0,
    }  # fmt: skip
    variants = {
        name: {"method": name.split("-")[0]}
        | ({"recovery": "lora"} if name.endswith("-lora") else {})
        for name in pair_results.KEPT
    }
    config = {
        "run": {"variants": [*variants], "models": [*pair_results.PAIR.values()]},
        "variants": variants,
        "models": {"answerer": {"trained_on": "sums"}, "reasoner": {"trained_on": "steps"}},
        "texts": {"steps": {"source": {"kind": "hub", "id": "some/steps"}}},
        "recoveries": {"lora": lora},
        "calibration_sets": {
            "own": {"source": {"kind": "own"}, "samples": 8, "length": 64, "seed": 0}
        },
    }
    figures = {"pair": "chains", "recovery_losses": "reasoner"}
    for name, place in figures.items():
        options = pair_source.options | {"model": "reasoner", "benchmark": "chains", "title": "t"}
        figures[name] = tmp_path / f"figures/{name}/{place}.svg"
        drawn = Source(pair_source.results, pair_source.tables, options)
        plot.make(name, drawn, [figures[name]])
    home, output = tmp_path / "home", tmp_path / "report.html"
    report.write(pair_source, home, [home / "logs"], config, [*figures.values()], output)
    page = output.read_text(encoding="utf-8")
    text = unescape(text_of(page))
    for said in (
        "Instruct and think", "Training after pruning", "thinking loses more",
        "chains, with 24 thinking tokens: on average over the pruned variants reasoner loses",
        "we prune answerer and reasoner in 4 ways",
        "For each model own draws from what that was trained on: answerer on sums and reasoner on "
        "steps (some/steps).",
        "Recovery lora trains wanda-50-lora, magnitude-70-lora and shortgpt-1-lora after pruning, "
        "and as a control the dense model, dense-lora, by low-rank adapters",
        "of rank 8 with alpha 16 on all linears of the blocks, in at most 50 steps of AdamW with 4 "
        "rows of at most 64 tokens each, learning rate 0.001 (cosine decay, 5 steps of warm-up)",
        "the weights of the least loss on 20 other rows are kept, measured every 10 steps, until 2 "
        "measurements brought none that is less. Each model is trained on what it was trained on: "
        "answerer on sums and reasoner on steps (some/steps); completions have a loss "
        "(seed 7). What was removed stays removed.",
        "the interaction is how much more reasoner loses",
    ):  # fmt: skip
        assert said in text, said
    assert "Nothing is trained" not in text and "table pair.csv" not in text
    assert re.findall(r'<img alt="([a-z ]+)"', page) == ["pair chains", "recovery losses reasoner"]
    order = [text.index(line) for line in ("LoRA: Low-Rank", "Some Problems in Interval")]
    assert order == sorted(order)


def test_methods_tell_recoveries_by_model_penalties_and_rounds():
    course = {
        "length": 64, "steps": 1, "batch": 1, "clip": 1.0, "learning_rate": 0.1, "warm_up": 0,
        "schedule": "constant", "weight_decay": 0.0, "validation": 0, "loss": "all", "seed": 0,
    }  # fmt: skip
    lora = course | {"kind": "lora", "rank": 2, "alpha": 4.0, "targets": ["q_proj", "v_proj"]}
    config = {
        "run": {"models": ["one", "two"], "variants": ["rounds", "penalised", "dense-each"]},
        "models": {"one": {"trained_on": "a"}, "two": {"trained_on": "b"}},
        "recoveries": {
            "each": {"kind": "by-model", "models": {"one": "small", "two": "whole"}},
            "small": lora,
            "whole": course | {"kind": "full", "texts": "c"},
            "shrink": lora | {"penalty": {"norm": "l2", "weight": 0.5}},
        },
        "variants": {
            "rounds": {
                "method": "wanda", "recovery": "each", "schedule": {"kind": "gradual", "rounds": 3},
            },
            "penalised": {
                "method": "wanda-sp", "recovery": "small",
                "schedule": {"kind": "penalised", "recovery": "shrink"},
            },
            "dense-each": {"method": "dense", "recovery": "each"},
        },
    }  # fmt: skip
    small, whole, shrink, last = recovery_paragraphs(config, Citations())
    assert small.startswith(
        "Recovery small trains rounds after pruning, and as a control the dense model, dense-each, "
        "of one by low-rank adapters [1] of rank 2 with alpha 4 on q_proj and v_proj, in 1 step of "
    )
    assert "one is trained on what it was trained on, a; all tokens have a loss (seed 0)." in small
    assert small.endswith(
        "rounds is pruned and trained in 3 rounds, each of which removes as much."
    )
    assert "of two by changing all weights" in whole and "two is trained on c; " in whole
    assert shrink.startswith(
        "Recovery shrink trains penalised before weights go, with 0.5 times the mean w² of those "
        "that will added to the loss, by"
    )
    assert "stays removed" not in shrink and last.startswith(
        "Recovery small trains penalised after"
    )
    assert ways_to_prune(config, ["dense-each", "rounds", "penalised"]) == 2


def test_methods_tell_how_routers_are_trained():
    course = {
        "length": 64, "steps": 1, "batch": 1, "clip": 1.0, "learning_rate": 0.1, "warm_up": 0,
        "schedule": "constant", "weight_decay": 0.0, "validation": 4, "evaluate_every": 1,
        "loss": "all", "seed": 0,
    }  # fmt: skip
    routers = {"weight": 8.0, "ramp": "constant", "budget": "batch", "temperature": 5.0}
    routers |= {"final_temperature": 1.0, "exact_share": True}
    each = {"weight": 5.0, "ramp": "sine", "budget": "token", "temperature": 1.0}
    each |= {"exact_share": False}
    adapters = course | {"kind": "lora", "rank": 2, "alpha": 4.0}
    first = {"kind": "routers-first", "recovery": "alone"}
    config = {
        "run": {"models": ["one"], "variants": ["skip", "skip-lora", "mod", "choice"]},
        "models": {"one": {"trained_on": "a"}},
        "recoveries": {
            "alone": course | {"kind": "routers", "routers": routers},
            "after": adapters,
            "together": adapters | {"routers": each},
        },
        "variants": {
            "skip": {"method": "skipgpt", "skip": 0.25, "recovery": "alone"},
            "skip-lora": {
                "method": "skipgpt", "skip": 0.25, "recovery": "after", "schedule": first,
            },
            "mod": {"method": "mod", "form": "threshold", "skip": 0.25, "recovery": "together"},
            "choice": {"method": "mod", "form": "expert-choice", "skip": 0.25,
                       "decode_densely": True, "recovery": "together"},
        },
    }  # fmt: skip
    citations = Citations()
    alone, after, together = recovery_paragraphs(config, citations)
    assert alone.startswith(
        "Recovery alone trains skip and skip-lora by changing their routers alone, in 1 step of"
    )
    assert "the last weights are kept, and 4 other rows measured every 1 step" in alone
    assert alone.endswith(
        " Routes [1] have straight-through gradients; where a router has two logits they are drawn "
        "while training, by a Gumbel-softmax of temperature 5 falling to 1. Afterwards nothing is "
        "drawn. The loss gains 8 times "
        "the distance of the share of what runs, over all tokens that are in memory at once, from "
        "the asked one; afterwards one number is added to all margins so "
        "that measured rows skip the asked share."
    )
    assert "the weights of the least loss on 4 other rows are kept" in after
    assert after.endswith(" skip-lora has its routers as they were trained before.")
    assert "on all linears of the blocks and of their routers, in" in together
    assert together.endswith(
        "Afterwards nothing is drawn. In choice a fixed share of a row's tokens runs, and the loss "
        "gains nothing. The loss of mod gains 5 times, rising like a sine, the mean over tokens of "
        "the distance of the share of what each runs from the asked one."
    )
    skipgpt, lora, mod, tuning = citations.lines()
    assert "SkipGPT" in skipgpt and "LoRA" in lora
    assert "Mixture-of-Depths" in mod and "Router-Tuning" in tuning


def test_a_run_without_them_says_nothing_of_pairs_and_recoveries(page):
    text = text_of(page)
    assert "Nothing is trained after pruning." in text
    for word in (
        "Instruct and think",
        "Training after pruning",
        "Recovery ",
        "table pair",
    ):
        assert word not in text


def test_references_are_numbered_as_they_are_cited():
    citations = Citations()
    assert [citations.cite("holm"), citations.cite("wilson", "holm")] == ["[1]", "[2, 1]"]
    assert list(citations.lines()) == [REFERENCES["holm"], REFERENCES["wilson"]]


def test_a_report_is_the_same_bytes_when_made_again(results, page, tmp_path):
    assert build(results, tmp_path) == page


# Clicks, types and measures as a reader would; the result is written into the page.
PROBE = """
while (!document.querySelector("#provenance table.dataTable")) await wait(20);
const column = () => [...document.querySelectorAll("#accuracy table.data")][0].tBodies[0].rows;
const names = () => [...column()].map(row => row.cells[0].textContent.trim());
const head = document.querySelectorAll("#accuracy table.data thead th")[4];
const found = {width: document.documentElement.scrollWidth, window: innerWidth};
found.before = names();
head.click(); await wait(200); found.ascending = names();
head.click(); await wait(200); found.descending = names();
const input = document.querySelector("#accuracy input[type=search]");
input.value = "on b SHORT"; input.dispatchEvent(new Event("input"));
found.shown = [...document.querySelectorAll("#accuracy tbody tr")]
  .filter(row => row.getClientRects().length).map(row => row.cells[0].textContent.trim());
input.value = ""; input.dispatchEvent(new Event("input"));
const images = [...document.querySelectorAll("figure img")];
for (const image of images) image.loading = "eager";
await Promise.all(images.map(image => image.decode()));
found.images = images.length;
found.loaded = images.filter(image => image.naturalWidth > 100).length;
document.querySelector("figure img").click(); await wait(100);
found.large = document.querySelector("dialog[open] img")?.naturalWidth;
document.querySelector("dialog").click();
return found;
"""


@needs_browser
@pytest.mark.parametrize(("width", "height"), [(1280, 2000), (390, 844)], ids=["desk", "phone"])
def test_a_browser_shows_sorts_and_filters_it_without_an_error(page, tmp_path, width, height):
    found, console = look(page, PROBE, width, height, tmp_path)
    assert console == ""
    assert found["window"] == width
    assert found["width"] <= width, "the page is wider than the window"
    assert found["before"] == list(VARIANTS)
    numbers = {line[0]: float(line[4][:4]) for line in _first_table(page)}
    assert found["ascending"] == sorted(VARIANTS, key=numbers.__getitem__)
    assert [numbers[name] for name in found["descending"]] == sorted(numbers.values())[::-1]
    assert found["shown"] == ["shortgpt-1"]
    assert found["images"] == found["loaded"] > 10
    assert found["large"] > 100


@needs_browser
def test_a_mistake_in_the_page_would_be_seen(page, tmp_path):
    broken = page.replace("</body>", "<script>missing.thing();</script></body>")
    _, console = look(broken, PROBE, 1280, 800, tmp_path)
    assert "missing is not defined" in console


def _first_table(page: str) -> list[list[str]]:
    body = page.split('id="accuracy"')[1].split("<tbody>")[1].split("</tbody>")[0]
    rows = re.findall("<tr>(.*?)</tr>", body, re.S)
    return [[text.strip() for text in re.findall("<td[^>]*>(.*?)</td>", row)] for row in rows]
