"""A page as headless Chromium lays it out."""

import html
import json
import re
import subprocess
from pathlib import Path
from typing import Any

_SCRIPT = """
<script>
addEventListener("load", () => {
  const box = (element) => {
    const {left, top, width, height} = element.getBoundingClientRect();
    return {left, top, width, height};
  };
  const found = [...document.querySelectorAll("article[data-panel]")].map((panel) => ({
    title: panel.querySelector("h3").textContent,
    section: panel.closest("section").querySelector("h2").textContent,
    data: {...panel.dataset},
    box: box(panel),
    grid: box(panel.parentElement),
    charts: [...panel.querySelectorAll("svg")].map(box),
    rows: [...panel.querySelectorAll("tbody tr")].map(
      (row) => [...row.querySelectorAll("td:not(.m)")].map((cell) => cell.textContent.trim())),
  }));
  const told = document.createElement("pre");
  told.id = "found";
  told.textContent = JSON.stringify(found);
  document.body.replaceChildren(told);
});
</script>
"""


def panels(chromium: str, page: Path, folder: Path, *, width: int = 1280) -> list[dict[str, Any]]:
    """The panels of a page, in its order, as the browser has laid them out.

    Args:
        chromium: The program.
        page: The page.
        folder: For what the browser keeps.
        width: Of its window, in pixels.
    """
    # The page forbids scripts other than its own.
    content = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(), count=1)
    asked = folder / f"asked-{width}.html"
    asked.write_text(content.replace("</body>", f"{_SCRIPT}</body>") if "</body>" in content else content + _SCRIPT)
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--window-size={width},2000",
        "--force-color-profile=srgb",
    ]
    command = [chromium, *options, f"--user-data-dir={folder / 'profile'}", "--dump-dom", asked.as_uri()]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    told = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert told, done.stderr
    found: list[dict[str, Any]] = json.loads(html.unescape(told[1]))
    return found
