"""The documents build, their links lead somewhere, and what they list is what there is."""

import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from tests.workflow.checkout import PROJECT, copy_project
from workflow_scripts.config.allocations import ALLOCATIONS
from workflow_scripts.config.methods import METHODS

DOCS = PROJECT / "docs"
PAGES = sorted(
    [
        *DOCS.glob("*.md"),
        *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        PROJECT / "config" / "README.md",
    ]
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_the_site_builds_strictly_and_has_every_page(site):
    assert {page.stem for page in DOCS.glob("*.md")} <= {page.stem for page in site.glob("*.html")}
    assert (site / "search" / "search_index.js").is_file()


def test_the_site_loads_nothing_from_elsewhere(site):
    """It is read from the disk, on machines without a network."""
    loaded = re.compile(
        r"<(?:script|img|iframe)[^>]* src=\"?([^\" >]+)|<link[^>]* href=\"?([^\" >]+)"
    )
    for page in site.glob("*.html"):
        for found in loaded.finditer(page.read_text(encoding="utf-8")):
            target = found[1] or found[2]
            assert not target.startswith(("http", "//")), (page.name, target)
            if not target.startswith(("data:", "/", "#")) and page.name != "404.html":
                assert (site / target.partition("?")[0].partition("#")[0]).exists(), target


@cache
def anchors(page: Path) -> set[str]:
    """What the headings of a Markdown page are linked by."""
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\s-]", "", heading.lower()).strip() for heading in headings]
    return {re.sub(r"[\s-]+", "-", heading) for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.is_relative_to(PROJECT) and linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


def test_the_readme_is_short_and_links_every_method_to_its_definition():
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    linked = re.findall(r"\]\(docs/methods\.md#([^)]+)\)", text)
    # one section is of three methods, and there are simple ones that no README needs
    shared = {name: "shortened-llama" for name in METHODS if name.startswith("shortened")}
    shared["mod"] = "mixture-of-depths"  # by its whole name
    simple = {"dense", "magnitude-sp", "reverse-order", "blocks"}
    wanted = {shared.get(name, name) for name in (METHODS | ALLOCATIONS).keys() - simple}
    assert wanted == {*linked}


def test_the_rules_are_as_the_table_says(tmp_path):
    """The table leaves out `all`, and of the report what it reads, which is nearly everything."""
    drawn = copy_project(tmp_path).run("--rulegraph", "mermaid-js")
    names = dict(re.findall(r"(id\d+)\[(\w+)\]", drawn))
    reads: dict[str, set[str]] = {name: set() for name in names.values()}
    for source, reader in re.findall(r"(id\d+) --> (id\d+)", drawn):
        reads[names[reader]].add(names[source])
    text = (DOCS / "concepts.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.*) \|$", text, re.MULTILINE)
    table = {
        rule: {*re.findall(r"`(\w+)`", cell)}
        for alike, cell in rows
        for rule in re.findall(r"\w+", alike)
    }
    assert table.keys() == reads.keys() - {"all"} and len(table) > 10
    for rule in table.keys() - {"write_report"}:
        assert table[rule] == reads[rule], rule


def named_in_pages(pattern: str) -> set[str]:
    """What a pattern finds in the pages, the changelog left out: it speaks of the past too."""
    pages = [page for page in PAGES if page.name != "CHANGELOG.md"]
    return set().union(*(re.findall(pattern, page.read_text(encoding="utf-8")) for page in pages))


def test_every_command_in_the_pages_exists():
    modules = named_in_pages(r"python -m\s+((?:workflow_scripts|benchmarks)\.[a-z_.]*[a-z_])")
    assert len(modules) > 8
    for module in modules:
        assert find_spec(module), module
    targets = re.findall(
        r"^([a-z0-9]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    made = named_in_pages(r"(?m)(?:`|^ {4})make ([a-z][a-z0-9]*)")
    assert {"demo", "docs", "test"} <= made <= {*targets}


def test_every_path_in_the_pages_exists():
    folders = "config|profiles|tests|workflow_scripts|rules|envs|bundled|report|benchmarks|docs"
    paths = named_in_pages(rf"`((?:{folders})/[\w./-]*)`")
    theirs = {"config/mine.yaml", "config/hub.lock", "config/date.lock"}  # of who reads them
    diffs = "".join(diff.read_text(encoding="utf-8") for diff in (DOCS / "examples").glob("*.diff"))
    theirs |= {*re.findall(r"^\+\+\+ b/(.*)$", diffs, re.MULTILINE)}
    assert len(paths) > 15
    for path in paths - theirs:
        assert (PROJECT / path).exists(), path


def test_make_help_lists_every_target():
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    command = ["make", "--no-print-directory", "help"]  # make may be what runs the tests
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, encoding="utf-8", check=True)
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert {target for target, _ in lines} == {*phony.split()}


def test_the_citation_names_this_version_and_both_papers():
    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["cff-version"] == "1.2.0" and citation["title"] == project["name"]
    assert citation["version"] == project["version"] and citation["license"] == project["license"]
    named = {entry["identifiers"][0]["value"] for entry in citation["references"]}
    assert named == {"arXiv:2604.25098", "arXiv:2601.18091"}
    assert f"## {project['version']} " in (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
