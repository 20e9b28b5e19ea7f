"""The site as readers have it: built, served on loopback, and looked at in a browser.

``nox -s site`` builds it, with warnings as errors, and says by ``SITE`` where it is. With ``SITE_PICTURES=FOLDER``
pictures of some pages are put there, to be looked at.
"""

import base64
import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .browser import Browser, browser

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SITE = Path(os.environ.get("SITE", "nowhere"))
# The start page, a tutorial with a picture, pages with wide tables, long signatures, much text.
LOOKED_AT = (
    "index.html",
    "tutorial/ten-minutes.html",
    "how-to/schedule-exports.html",
    "reference/commands.html",
    "reference/hooks.html",
    "reference/settings.html",
    "reference/manifest.html",
    "reference/performance.html",
    "explanation/guarantees.html",
    "explanation/architecture.html",
)
PAGES = sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.html") if path.name != "404.html")

pytestmark = pytest.mark.skipif("SITE" not in os.environ, reason="nox -s site builds the site")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base's
        pass


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the site is served."""
    handler = functools.partial(Quiet, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("REQUIRE_CHROMIUM") == "1":
            pytest.fail("there is no chromium, and REQUIRE_CHROMIUM=1")
        pytest.skip("there is no chromium")
    with browser(program, tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


def keep_picture(page: Browser, name: str) -> None:
    """Keep a picture of what is to be seen now, where pictures are asked for."""
    if folder := os.environ.get("SITE_PICTURES"):
        # What fades in takes a moment.
        page.run("new Promise(done => setTimeout(done, 300))")
        picture = page.call("Page.captureScreenshot", format="png")["data"]
        (Path(folder) / f"{name}.png").write_bytes(base64.b64decode(picture))


def test_every_page_is_built() -> None:
    written = {str(path.relative_to(DOCS).with_suffix(".html")) for path in DOCS.rglob("*.md")}
    written = {re.sub(r"README\.html$", "index.html", name) for name in written} - {"images/index.html"}
    assert set(PAGES) == written


@pytest.mark.parametrize("name", PAGES)
def test_no_markdown_is_left_as_it_is_written(name: str) -> None:
    """What code hosts read as a list, a table or a link, and the site does not, is seen as its marks."""
    html = (SITE / name).read_text()
    body = re.search(r"<article.*?</article>", html, re.DOTALL)
    assert body is not None
    text = re.sub(r"<(pre|code|svg|script)\b.*?</\1>", "", body[0], flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", "", text)
    assert re.findall(r".*(?:\]\(|\|---|```|\*\*|^#+ |^- ).*", text, re.MULTILINE) == []


def test_nothing_is_fetched_from_elsewhere(page: Browser, address: str) -> None:
    page.requested.clear()
    for name in LOOKED_AT:
        page.open(address + name)
    assert len(page.requested) > len(LOOKED_AT)
    assert [url for url in page.requested if not url.startswith((address, "data:", "blob:"))] == []
    assert page.complaints == []


def test_every_picture_is_shown(page: Browser, address: str) -> None:
    shown = 0
    for name in PAGES:
        if "<img" in (SITE / name).read_text():
            page.open(address + name)
            # Those further below are fetched when they come into view.
            script = """Promise.all([...document.querySelectorAll("article img")].map(async image => {
                image.loading = "eager"; await image.decode(); return image.naturalWidth }))"""
            widths = page.run(script)
            assert all(widths), name
            shown += len(widths)
    assert shown >= 3


@pytest.mark.parametrize("width", [1400, 420])
def test_no_page_is_wider_than_its_window(page: Browser, address: str, width: int) -> None:
    page.width(width)
    for name in LOOKED_AT:
        page.open(address + name)
        assert page.run("document.documentElement.scrollWidth") <= width, name
        keep_picture(page, f"{Path(name).stem}-{width}")
    page.width(1400)


def test_it_is_light_or_dark_as_the_reader_likes(page: Browser, address: str) -> None:
    lightness = []
    for scheme in ("light", "dark"):
        page.scheme(scheme)
        page.open(address + "index.html")
        colour = page.run("getComputedStyle(document.body).backgroundColor")
        lightness.append(sum(map(float, re.findall(r"[\d.]+", colour)[:3])))
        keep_picture(page, f"index-{scheme}")
    page.scheme("light")
    assert lightness[0] > 600
    assert lightness[1] < 200


def test_the_site_can_be_searched(page: Browser, address: str) -> None:
    page.open(address + "index.html")
    page.run("document.querySelector('.md-search__button').click()")
    # The dialog is a shadow tree, whose input has the focus.
    page.wait_for("document.activeElement.shadowRoot?.querySelector('input')")
    page.call("Input.insertText", text="redaction proof")
    first = "document.activeElement.shadowRoot.querySelector('[role=listbox] a')?.href"
    assert page.wait_for(first).startswith(f"{address}reference/redaction-proof.html")


def test_code_can_be_copied(page: Browser, address: str) -> None:
    page.open(address + "tutorial/ten-minutes.html")
    blocks = page.run("document.querySelectorAll('article pre > code').length")
    assert blocks > 8
    page.wait_for(f"document.querySelectorAll('article .md-code__button[data-md-type=copy]').length >= {blocks}")


def test_warnings_are_errors(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "README.md").write_text("# Start\n\nA [page](elsewhere.md) that is not there.\n")
    settings = (DOCS / "zensical.toml").read_text()
    (tmp_path / "zensical.toml").write_text(re.sub(r"^nav = \[.*?^\]", "", settings, flags=re.DOTALL | re.MULTILINE))
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert "page does not exist" in done.stdout + done.stderr
