"""The page of lost problems, read as text and in a browser."""

import re
from html import unescape

import pytest

from tests.tables.browser import look, needs_browser
from tests.tables.trace_results import SENTENCES, Told, byte_pairs, write_run
from workflow_scripts.artefacts.records import Problem, write_records
from workflow_scripts.config.entry import as_json
from workflow_scripts.tables import collect_traces
from workflow_scripts.tables.content.cells import FILE, read_cells, write_cells
from workflow_scripts.tables.content.departures import AFTER, BEFORE, END, clipped

SHARED = " ".join(SENTENCES[:2])
HOSTILE = "</pre></script><script>document.title = 'run'</script><img src=x onerror='run()'> & so"
RUN = {
    "dense": {
        "p": [Told(f"{SHARED} 42.")], "q": [Told(f"{SHARED} {HOSTILE}")], "r": [Told("12")],
        "s": [Told("same")], "t": [Told("12", correct=False)],
    },
    "w": {
        "p": [Told(f"{SHARED} 43.", correct=False)],
        "q": [Told(f"{SHARED} {HOSTILE[:8]}<b>{HOSTILE}", correct=False)],
        "r": [Told("13", correct=False, seed=3)], "s": [Told("same", correct=False)],
        "t": [Told("14", correct=False)],
    },
}  # fmt: skip


@pytest.fixture
def page(tmp_path) -> str:
    return page_of(write_run(tmp_path, RUN, (512,), byte_pairs()))


def page_of(run, variants=("dense", "w"), **diagnosis) -> str:
    cells = read_cells(run / "results", ["m"], list(variants), ["b"])
    write_cells(run / "tables" / FILE, cells)
    told = {"reference": "dense", "diagnosis": {"shown": 9} | diagnosis}
    collect_traces.main(
        [
            "--results", str(run / "results"), "--resources", str(run / "resources"),
            "--tables", str(run / "tables"), "--options", as_json(told),
            "--output", str(run / "tables/traces.parquet"), "--page", str(run / "departures.html"),
        ]
    )  # fmt: skip
    return (run / "departures.html").read_text(encoding="utf-8")


def articles(page: str) -> dict[str, str]:
    """By problem."""
    found = re.findall(r"<article.*?</article>", page, re.S)
    return {re.search(r"on b, (\w+), repeat", one)[1]: one for one in found}


def sides(article: str) -> list[tuple[str, str, str]]:
    """What is shared, what the mark says, and what follows, for both traces."""
    found = re.findall(
        r'<pre><span class="shared">(.*?)</span>(?:<mark>(.*?)</mark>)?(.*?)</pre>', article, re.S
    )
    return [(unescape(one), mark, unescape(rest)) for one, mark, rest in found]


def test_both_traces_stand_beside_each_other_with_the_place_where_they_part(page):
    assert set(articles(page)) == {"p", "q", "r", "s"}
    tokens = len(byte_pairs()(f"{SHARED} 4", add_special_tokens=False)["input_ids"])
    shown = sides(articles(page)["p"])
    assert [(shared, rest) for shared, _, rest in shown] == [
        (f"{SHARED} 4", "2."), (f"{SHARED} 4", "3."),
    ]  # fmt: skip
    (mark,) = {mark for _, mark, _ in shown}
    # the token that holds the place is not counted
    assert 0 < tokens - int(mark) <= 1
    assert f"The first {mark} tokens are the same." in articles(page)["p"]


def test_what_cannot_be_marked_is_said(page):
    assert "No place is marked: another seed than the reference&#39;s." in articles(page)["r"]
    assert [(shared, rest) for shared, _, rest in sides(articles(page)["r"])] == [
        ("", "12"), ("", "13"),
    ]  # fmt: skip
    assert "The traces are the same; the answers differ." in articles(page)["s"]
    assert "m / w on b (1 of 5): traces were drawn with other seeds than those of dense." in page


def test_a_run_without_the_reference_says_so(tmp_path):
    run = write_run(tmp_path, {"w": RUN["w"]}, (512,))
    page = page_of(run, ("w",))
    assert "m / w on b: there are no traces of dense." in page and "No problem was lost" not in page


def test_that_nothing_is_shown_has_a_reason(tmp_path):
    run = write_run(tmp_path, RUN, (512,), byte_pairs())
    page = page_of(run, shown=0)
    assert "None are shown: diagnosis.shown is 0." in page and "was lost." not in page
    assert "No problem was lost." in page_of(run, ("dense",))


def test_data_stay_text(page):
    (q,) = (articles(page)[name] for name in "q")
    assert "<script" not in q and "<img" not in q
    assert re.findall("<b>.*?</b>", q) == ["<b>dense</b>", "<b>w</b>"]
    assert HOSTILE in sides(q)[0][0] + sides(q)[0][2]
    # the page's own and no other
    assert page.count("<script") == 1 and not re.search(r"(src|href)=\"(?!data:)", page)


def test_it_is_bounded_in_size(tmp_path):
    long = [Told("so " * 20000 + end, correct=end == "1") for end in "12"]
    question = Problem("p0", "? " * 20000, "4", "integer")
    told = {
        variant: {f"p{n}": [one] for n in range(12)}
        for variant, one in zip(("dense", "w"), long, strict=True)
    }
    run = write_run(tmp_path, told, (10**6,), byte_pairs())
    others = [Problem(f"p{n}", "?", "4", "integer") for n in range(1, 12)]
    write_records(run / "resources/benchmarks/b.jsonl", [question, *others])
    page = page_of(run, shown=2)
    assert len(articles(page)) == 2
    assert len(page) < 25_000 + 2 * 2 * (BEFORE + AFTER + END)
    ((shared, _, rest), _) = sides(articles(page)["p0"])
    assert shared == f"[… {60000 - BEFORE:,} characters …]\n" + ("so " * 20000)[-BEFORE:]
    assert rest == "1"


def test_long_texts_lose_their_middle():
    assert clipped("abcdefgh", 3, 5) == "abcdefgh"
    assert clipped("abcdefgh", 2, 3) == "ab\n[… 3 characters …]\nfgh"
    assert clipped("abcdefgh", 0, 3) == "[… 5 characters …]\nfgh"


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_both_and_runs_nothing_of_the_data(page, tmp_path, width):
    probe = """
    const shown = () => [...document.querySelectorAll("article")]
      .filter(one => !one.hidden).map(one => one.querySelector("h2").textContent);
    const marks = [...document.querySelectorAll("mark")].length;
    const pre = [...document.querySelectorAll("article")].flatMap(one =>
      [...one.querySelectorAll(".sides pre")].map(text => text.textContent));
    const field = document.querySelector("input");
    field.value = "What is q"; field.dispatchEvent(new Event("input", {bubbles: true}));
    await wait(20);
    return {marks, pre, shown: shown(), title: document.title,
      width: document.documentElement.scrollWidth, images: document.images.length};
    """
    found, console = look(page, probe, width, 900, tmp_path)
    assert console == "" and found["width"] <= width
    assert found["title"] == "Lost problems, side by side" and found["images"] == 0
    assert found["marks"] == 4 and any(HOSTILE in text for text in found["pre"])
    assert found["shown"] == ["m / w on b, q, repeat 0, budget 512"]
