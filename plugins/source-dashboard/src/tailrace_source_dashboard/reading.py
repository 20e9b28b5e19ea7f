"""From TOML to the document: strictly, with the place of everything that is wrong."""

import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, TypeVar

import attrs

from tailrace import StructureError, structure
from tailrace_source_dashboard.document import Document, HeadSpec, PageSpec, PanelSpec, PlaceSpec
from tailrace_source_dashboard.problems import Problems

T = TypeVar("T")

_LARGEST = 1_000_000
_HEAD = tuple(field.name for field in attrs.fields(HeadSpec))


def read_document(text: str, problems: Problems) -> Document:
    """Read a dashboard; what is wrong with single pages and panels is added to the problems, and left out.

    Args:
        text: TOML.
        problems: Takes what is wrong.

    Raises:
        DashboardError: It is no TOML, or says nothing that could be gone on with.
    """
    if len(text) > _LARGEST:
        problems.add("$", f"a dashboard has at most {_LARGEST:,} characters, and this has {len(text):,}.")
        problems.stop()
    try:
        raw = _plain(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        said = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "it is nested too deeply"
        problems.add("$", f"this is no TOML: {said}.")
        problems.stop()
        raise AssertionError from error  # pragma: no cover - stop() raised
    _without_strangers(raw, (*_HEAD, "data", "pages"), "$", problems)
    if isinstance(raw.get("range"), dict):
        _without_strangers(raw["range"], ("last", "since", "until"), "$.range", problems)
    given = {key: raw[key] for key in _HEAD if key in raw}
    head = _built(given, HeadSpec, "$", problems)
    if head is None:
        # Whatever is wrong with the title: the rest is looked at, too.
        head = _built({**given, **_titled(given)}, HeadSpec, "$", Problems(problems.name))
    data = _data(raw.get("data", {}), problems)
    pages = _pages(raw.get("pages"), problems)
    return Document(head or HeadSpec("?"), data, pages)


def _titled(given: Mapping[str, Any]) -> dict[str, str]:
    return {} if isinstance(given.get("title"), str) else {"title": "?"}


def _data(raw: Any, problems: Problems) -> dict[str, PlaceSpec]:
    places: dict[str, PlaceSpec] = {}
    if not isinstance(raw, dict):
        problems.add("$.data", "this is a table: [data].")
        return places
    for name, value in raw.items():
        path = f"$.data.{name}"
        given = {"location": value} if isinstance(value, str) else value
        if isinstance(given, dict):
            _without_strangers(given, ("location", "options"), path, problems)
        place = _built(given, PlaceSpec, path, problems)
        if place is not None:
            places[name] = place
    return places


def _pages(raw: Any, problems: Problems) -> dict[int, PageSpec]:
    pages: dict[int, PageSpec] = {}
    if not isinstance(raw, list) or not raw:
        problems.add("$.pages", "a dashboard has at least one page: [[pages]].")
        return pages
    for number, page in enumerate(raw):
        path = f"$.pages[{number}]"
        if not isinstance(page, dict):
            problems.add(path, "a page is a table: [[pages]].")
            continue
        _without_strangers(page, ("heading", "text", "panels"), path, problems)
        panels = _panels(page.pop("panels", None), path, problems)
        made = _built(page, PageSpec, path, problems)
        # Its panels are looked at, whatever is wrong with the page itself.
        pages[number] = attrs.evolve(made or PageSpec("?"), panels=panels)
    return pages


def _panels(raw: Any, page: str, problems: Problems) -> dict[int, PanelSpec]:
    panels: dict[int, PanelSpec] = {}
    if not isinstance(raw, list) or not raw:
        problems.add(f"{page}.panels", "a page has at least one panel: [[pages.panels]].")
        return panels
    known = [field.name for field in attrs.fields(PanelSpec)]
    for number, panel in enumerate(raw):
        path = f"{page}.panels[{number}]"
        if isinstance(panel, dict):
            _without_strangers(panel, known, path, problems)
        made = _built(panel, PanelSpec, path, problems)
        if made is not None:
            panels[number] = made
    return panels


def _built(raw: Any, cls: type[T], path: str, problems: Problems) -> T | None:
    try:
        return structure(raw, cls)
    except StructureError as error:
        for problem in error.problems:
            what, _at, inner = problem.rpartition(" @ $")
            required = what == "required key is missing"
            problems.add(path + inner, _missing(cls, raw, path) if required else f"{what}.")
        return None


def _missing(cls: type[Any], raw: Mapping[str, Any], path: str) -> str:
    names = [field.name for field in attrs.fields(cls) if field.default is attrs.NOTHING and field.name not in raw]
    return f"{' and '.join(names) or path} must be given."


def _without_strangers(raw: dict[str, Any], known: Any, path: str, problems: Problems) -> None:
    """Take out the keys that do not exist, with a word about each."""
    for key in [key for key in raw if key not in known]:
        problems.unknown(path, "key", key, known)
        del raw[key]


def _plain(value: Any) -> Any:
    """The same with times as texts: TOML has them, and so have people who write ``since = 2026-08-15``."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, date | datetime | time) else value
