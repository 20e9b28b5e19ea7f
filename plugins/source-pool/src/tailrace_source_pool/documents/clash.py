"""The proxies of a Clash or mihomo configuration, in YAML.

Documented at https://clash.wiki/configuration/outbound.html and https://wiki.metacubex.one/en/config/proxies/. The text
is parsed by libyaml, event by event: nothing is resolved, so that a password ``0123`` is these four characters and
aliases cannot multiply, and nothing is kept but the proxies at hand.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
import polars as pl

from tailrace_source_pool.documents import foreign
from tailrace_source_pool.documents.entries import AT_ONCE, line_proxies
from tailrace_source_pool.documents.findings import BrokenOffError, Problems, Summary, chunks, summary_piece
from tailrace_source_pool.documents.json_text import step
from tailrace_source_pool.members import TEXT, Complaints

_READ = ("type", "server", "port", "username", "password", "tls")
_PASSED = ("name", "skip-cert-verify", "udp")
"""What says nothing about where and how to log in."""
_NULLS = ("", "~", "null", "Null", "NULL")
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")


def read(blocks: Iterable[bytes], _argument: Mapping[str, Any]) -> Iterator[bytes]:
    """Read a file.

    Args:
        blocks: Its content, UTF-8.
        _argument: Not used: a proxy without a type is none.

    Yields:
        Pieces as :mod:`~tailrace_source_pool.documents.findings` has them.
    """
    summary = Summary("clash")
    reading = foreign.Reading("http")
    others: dict[str, int] = {}
    try:
        for items in chunks(_items(_Events(blocks), summary.problems), AT_ONCE):
            yield _piece(items, reading, others, summary.problems)
    except BrokenOffError as error:
        summary.problems.tell(error.where, error.reason)
    if others:
        listing = ", ".join(f"{count} of type {kind}" for kind, count in sorted(others.items()))
        summary.notes.append(f"Not imported, because no pool holds their type: {listing}.")
    summary.notes += reading.notes()
    yield summary_piece(summary)


@attrs.frozen(repr=False)
class _Item:
    """An item of the list of proxies.

    Args:
        line: Where it begins.
        members: Its members that are read, as texts.
        reasons: What is wrong with members; under None with the item as a whole.
        others: Names of members that are not read.
    """

    line: int
    members: dict[str, str | None] = attrs.field(factory=dict)
    reasons: dict[str | None, str] = attrs.field(factory=dict)
    others: list[str] = attrs.field(factory=list)


class _Events:
    """The events of a YAML text, read as they are asked for."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        import yaml

        self._error = yaml.YAMLError
        # Base: no tag makes an object of anything. It reads from whatever has this method.
        self._events = yaml.parse(_Stream(blocks), Loader=yaml.CBaseLoader)

    def next(self) -> tuple[str, Any]:
        """The next event, and its kind: ``"Scalar"``, ``"MappingStart"`` and the like."""
        try:
            event = next(self._events)
        except self._error as error:
            mark = getattr(error, "problem_mark", None)
            where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "line 1"
            raise BrokenOffError(where, "it is not YAML; what follows was not read") from None
        return type(event).__name__.removesuffix("Event"), event

    def skip(self, kind: str) -> None:
        """Pass over the rest of a node whose first event was of this kind."""
        depth = int(kind.endswith("Start"))
        while depth:
            kind, _event = self.next()
            depth += kind.endswith("Start") - kind.endswith("End")


class _Stream:
    """Blocks, as a file to read from."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._rest = b""

    def read(self, size: int = 1, /) -> bytes:
        """Up to so many bytes; none at the end."""
        self._rest = self._rest or next(self._blocks, b"")
        part, self._rest = self._rest[:size], self._rest[size:]
        return part


def _items(events: _Events, problems: Problems) -> Iterator[_Item]:
    """The items of the list of proxies; the rest of the text is looked through, too."""
    kind, event = events.next()
    while kind in {"StreamStart", "DocumentStart"}:
        kind, event = events.next()
    found = False
    if kind != "MappingStart":
        events.skip(kind)
    else:
        while (key := events.next())[0] != "MappingEnd":
            kind, event = events.next() if key[0] == "Scalar" else _after(events, key[0])
            if kind == "SequenceStart" and getattr(key[1], "value", None) == "proxies":
                if found:
                    problems.tell(f"line {key[1].start_mark.line + 1}", "there is a second list proxies")
                    events.skip(kind)
                    continue
                found = True
                yield from _list(events)
            else:
                events.skip(kind)
    while kind != "StreamEnd":
        kind, event = events.next()
        if kind == "DocumentStart":
            problems.tell(f"line {event.start_mark.line + 1}", "there is a second document, which was not read")
    if not found:
        problems.tell("line 1", "there is no list proxies in it")


def _after(events: _Events, kind: str) -> tuple[str, Any]:
    """What follows a key that is no text."""
    events.skip(kind)
    return events.next()


def _list(events: _Events) -> Iterator[_Item]:
    while (item := events.next())[0] != "SequenceEnd":
        kind, event = item
        made = _Item(event.start_mark.line + 1)
        if kind == "MappingStart":
            _fill(made, events)
        else:
            made.reasons[None] = "it is no mapping"
            events.skip(kind)
        yield made


def _fill(item: _Item, events: _Events) -> None:
    """Read the members of an item."""
    while (key := events.next())[0] != "MappingEnd":
        name = key[1].value if key[0] == "Scalar" else ""
        kind, event = events.next() if key[0] == "Scalar" else _after(events, key[0])
        if name not in _READ:
            item.others.append(name)
        elif name in item.members:
            item.reasons[name] = "it is there twice"
        elif kind == "Scalar":
            # Only what has no quotes can be null.
            item.members[name] = None if not event.style and event.value in _NULLS else event.value
        else:
            item.reasons[name] = "expected a text; aliases are not read" if kind == "Alias" else "expected a text"
        events.skip(kind)


def _piece(items: list[_Item], reading: foreign.Reading, others: dict[str, int], problems: Problems) -> bytes:
    complaints = Complaints()
    kept: list[_Item] = []
    for item in items:
        kind = item.members.get("type")
        if kind is not None and kind not in {"http", "socks5"}:
            named = step(kind).removeprefix(".")
            others[named] = others.get(named, 0) + 1
            continue
        for name, reason in item.reasons.items():
            complaints.tell(len(kept), name, reason)
        if kind is None:
            complaints.tell(len(kept), "type", "it is missing")
        if item.members.get("tls") not in {*_TRUE, *_FALSE, None}:
            complaints.tell(len(kept), "tls", "expected true or false")
        for name in item.others:
            if name not in _PASSED:
                reading.leave_aside(name)
        kept.append(item)
    frame = reading.read_texts(_texts(kept), complaints)
    return line_proxies(frame, [item.line for item in kept], complaints, problems)


def _texts(items: list[_Item]) -> pl.DataFrame:
    """What the proxies say, by the names that lists of others use."""
    members = [item.members for item in items]
    schemes = [
        "https" if proxy.get("type") == "http" and proxy.get("tls") in _TRUE else proxy.get("type") for proxy in members
    ]
    return pl.DataFrame(
        {
            **{
                field: pl.Series([proxy.get(name) for proxy in members], dtype=TEXT)
                for name, field in foreign.NAMES.items()
                if name in {"server", "port", "username", "password"}
            },
            "protocol": pl.Series([[scheme] for scheme in schemes], dtype=pl.List(TEXT)),
        }
    )
