"""Pages as a real browser shows them."""

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine (Debian: chromium)"
)

# In Snakemake's own report: opens what the category of figures lists, one after the other. Where a
# run has several models, each has a list of its own.
OPEN_FIGURES = """
const links = () => [...document.querySelectorAll("a")];
const named = text => links().find(link => link.textContent.trim() === text);
const rows = () => [...document.querySelectorAll("tbody tr")];
const shown = {};
for (const model of models.length > 1 ? models : [null]) {
  while (!named("Figures")) await wait(50);
  named("Figures").click();
  if (model) {
    while (!named(model)) await wait(50);
    named(model).click();
  }
  while (!rows().length) await wait(50);
  for (const row of rows()) {
    row.querySelector("a").click();
    await wait(100);
    const sources = [...document.images].map(image => image.src);
    const [largest] = sources.sort((a, b) => b.length - a.length);
    shown[row.cells[0].textContent] = largest.slice(0, 60000);
  }
}
return shown;
"""


def open_figures(page: str, models: list[str], folder: Path) -> dict[str, str]:
    """The figures of Snakemake's report by title: the beginnings of what they are drawn from."""
    shown, _ = look(
        page, f"const models = {json.dumps(models)};{OPEN_FIGURES}", 1400, 900, folder, framed=False
    )
    return shown


def look(
    page: str, probe: str, width: int, height: int, folder: Path, framed: bool = True
) -> tuple[Any, str]:
    """Open a page; what the probe returns, and what the console said.

    The probe is the body of an asynchronous function in the page, with `wait(milliseconds)`. A page
    stands in a frame, since a browser's own window has a least width; one with links to `#` cannot.
    """
    script = f"""<script type="module">
const wait = time => new Promise(done => setTimeout(done, time));
const found = await (async () => {{ {probe} }})();
const result = document.createElement("p");
result.id = "probe"; result.textContent = JSON.stringify(found);
parent.document.body.append(result);
</script></body>"""
    page = script.join(page.rsplit("</body>", 1))
    path = folder / "page.html"
    frame = f'<iframe width="{width}" height="{height}" frameborder="0" srcdoc="{escape(page)}">'
    outer = f'<!doctype html><link rel="icon" href="data:,"><body>{frame}</iframe></body>'
    path.write_text(outer if framed else page)
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--disable-extensions", "--no-first-run", "--enable-logging=stderr", "--v=0",
        f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=20000",
        f"--window-size={width + 40},{height + 40}", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    probed = json.loads(unescape(re.search('<p id="probe">(.*?)</p>', shown.stdout, re.S)[1]))
    return probed, "\n".join(line for line in shown.stderr.splitlines() if "CONSOLE" in line)
