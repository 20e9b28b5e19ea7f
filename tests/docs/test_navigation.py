"""Every page is in the navigation of the site and on the start page; links lead somewhere, on a code host as well."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .pages import ROOT

DOCS = ROOT / "docs"
# It tells who changes a picture how; nobody else looks for it.
ASIDE = {"images/README.md"}
PAGES = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} - ASIDE


def navigation(entries: list[Any]) -> Iterator[str]:
    for entry in entries:
        (below,) = entry.values()
        if isinstance(below, list):
            yield from navigation(below)
        else:
            yield below


def test_every_page_is_in_the_navigation_once_and_every_entry_is_a_page() -> None:
    entries = Counter(navigation(tomllib.loads((DOCS / "zensical.toml").read_text())["project"]["nav"]))
    assert {page: entries[page] for page in PAGES | set(entries)} == dict.fromkeys(PAGES, 1)


def test_the_start_page_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w/.-]+\.md)", (DOCS / "README.md").read_text()))
    assert PAGES - linked - {"README.md"} == set()


def anchors(page: Path) -> set[str]:
    """The anchors that code hosts, and the site, give the headings of a page."""
    found: Counter[str] = Counter()
    names = set()
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        name = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if found[name] else name)
        found[name] += 1
    return names


@pytest.mark.parametrize("page", sorted(PAGES))
def test_links_to_headings_lead_to_one(page: str) -> None:
    path = DOCS / page
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", path.read_text())
    assert [
        (target, anchor) for target, anchor in links if anchor not in anchors(path.parent / target if target else path)
    ] == []


@pytest.mark.parametrize("page", sorted(PAGES))
def test_no_link_leaves_the_site_but_to_the_web(page: str) -> None:
    """A link to a file outside of ``docs/`` leads somewhere on a code host only."""
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", (DOCS / page).read_text())
    assert [target for target in targets if not ((DOCS / page).parent / target).resolve().is_relative_to(DOCS)] == []


def test_pages_have_one_title() -> None:
    untitled = [page for page in PAGES if not re.match(r"# \S", (DOCS / page).read_text())]
    assert untitled == []
