"""What a workbook says of itself: its sheets and where they are, which cells are times, and what of it is ours."""

import re
from collections.abc import Collection, Iterator, Mapping
from posixpath import normpath
from typing import IO, Final, Literal
from xml.etree import ElementTree as ET

import attrs

from tailrace_format_excel.limits import MAX_SHEETS
from tailrace_format_excel.reading.directory import Directory, Member, decompressed
from tailrace_format_excel.reading.refusals import DAMAGED, UnsafeWorkbookError

TimeKind = Literal["datetime", "date", "time", "duration"]

NEWEST_LAYOUT = 1
"""The newest version of our own layout that is read."""

_LARGEST_PART = 8 << 20
_MOST_SHEETS = MAX_SHEETS + 2
"""Those of tables, and the two of ours about them."""
_ROOT: Final = "_rels/.rels"
_DECLARED = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*\bencoding\s*=\s*["']([^"']*)""")
_ENCODINGS = (b"utf-8", b"utf8", b"us-ascii", b"ascii")
_BUILT_IN: Mapping[int, TimeKind] = {
    **dict.fromkeys((14, 15, 16, 17, *range(27, 37), *range(50, 59)), "date"),
    **dict.fromkeys((18, 19, 20, 21, 45, 47), "time"),
    22: "datetime",
    46: "duration",
}
_QUOTED = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_MOST_STYLES = 65_536
_FORMAT_ID = re.compile(r"[0-9]{1,9}")
_INDICES = re.compile(r"(?:[0-9]{1,5},)*(?:[0-9]{1,5})?")


@attrs.frozen
class Sheet:
    """A sheet of cells.

    Args:
        name: Its name.
        is_visible: Whether people see it.
        part: Its member.
    """

    name: str
    is_visible: bool
    part: Member


@attrs.frozen
class Table:
    """A table.

    Args:
        name: Its name.
        sheets: Names of its sheets.
        zoned: Indices of the columns whose header carries a zone: ``"created_at (UTC)"``.
        is_ours: Whether it is an export of ours, or a sheet that somebody else has made.
    """

    name: str
    sheets: tuple[str, ...]
    zoned: frozenset[int] = frozenset()
    is_ours: bool = True


@attrs.frozen
class Workbook:
    """A workbook.

    Args:
        sheets: Its sheets of cells, in order.
        strings: The member with the texts that cells share.
        styles: For each style what a number in a cell of it is; None where it is but a number.
        since_1904: Whether days are counted from 1904-01-01.
        tables: For a workbook of ours, its tables, whose sheets come first; None for others.
    """

    sheets: tuple[Sheet, ...]
    strings: Member | None
    styles: tuple[TimeKind | None, ...]
    since_1904: bool
    tables: tuple[Table, ...] | None


def read_workbook(file: IO[bytes], directory: Directory) -> Workbook:
    """What the workbook says of itself.

    Raises:
        UnsafeWorkbookError: It is no workbook, or damaged.
    """
    parts = _Parts(file, directory)
    main, others = parts.main()
    root = parts.tree(main)
    related = parts.related(main.name)
    sheets = tuple(_sheets(root, related, parts))
    properties = next((target for kind, target in others.values() if kind == "custom-properties"), None)
    found = {kind: target for kind, target in related.values() if kind in {"sharedStrings", "styles"}}
    return Workbook(
        sheets=sheets,
        strings=parts.get(found.get("sharedStrings")),
        styles=_styles(parts.tree(part)) if (part := parts.get(found.get("styles"))) else (),
        since_1904=any(_flag(one.get("date1904")) for one in _all(root, "workbookPr")),
        tables=_tables(parts.tree(part), {sheet.name for sheet in sheets}) if (part := parts.get(properties)) else None,
    )


def check_text(block: bytes, *, is_first: bool) -> None:
    """Look whether a piece of XML is one that everybody reads alike.

    Raises:
        UnsafeWorkbookError: It has a DTD, or is not UTF-8.
    """
    if b"\0" in block or block.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnsafeWorkbookError("it holds XML that is not UTF-8", DAMAGED)
    said = _ENCODING.match(block.removeprefix(b"\xef\xbb\xbf")) if is_first else None
    if said is not None and said[1].lower() not in _ENCODINGS:
        raise UnsafeWorkbookError("it holds XML that is not UTF-8", DAMAGED)
    if _DECLARED.search(block):
        raise UnsafeWorkbookError("it holds XML with a DTD")


class _Parts:
    """The parts of a package (ECMA-376, part 2), by their relationships."""

    def __init__(self, file: IO[bytes], directory: Directory) -> None:
        self._file, self._directory = file, directory

    def get(self, name: str | None) -> Member | None:
        return self._directory.get(name) if name is not None else None

    def main(self) -> tuple[Member, dict[str, tuple[str, str]]]:
        """The part that is the workbook, and all relationships of the package."""
        related = self.related("")
        target = next((target for kind, target in related.values() if kind == "officeDocument"), None)
        part = self.get(target)
        if part is None:
            raise UnsafeWorkbookError("it is a zip archive, and no workbook in it", "Name a workbook: .xlsx or .xlsm.")
        return part, related

    def tree(self, part: Member) -> ET.Element:
        if part.size > _LARGEST_PART:
            raise UnsafeWorkbookError("it says more of itself than any workbook has to")
        content = b"".join(decompressed(self._file, part))
        check_text(content, is_first=True)
        try:
            return ET.fromstring(content)  # noqa: S314 - without a DTD there are no entities
        except (ET.ParseError, ValueError, LookupError):
            raise UnsafeWorkbookError("it holds XML that is none", DAMAGED) from None

    def related(self, name: str) -> dict[str, tuple[str, str]]:
        """Kind and target of each relationship of a part, by its id."""
        folder, _slash, last = name.rpartition("/")
        place = f"{folder}/_rels/{last}.rels" if name else _ROOT
        part = self.get(place)
        found: dict[str, tuple[str, str]] = {}
        for one in _all(self.tree(part), "Relationship") if part else ():
            target = one.get("Target", "")
            if one.get("TargetMode") == "External":
                continue
            path = target[1:] if target.startswith("/") else normpath(f"{folder}/{target}").lstrip("/")
            found[one.get("Id", "")] = (one.get("Type", "").rpartition("/")[2], path)
        return found


def _sheets(root: ET.Element, related: Mapping[str, tuple[str, str]], parts: _Parts) -> Iterator[Sheet]:
    named = list(_all(root, "sheet"))
    if len(named) > _MOST_SHEETS:
        raise UnsafeWorkbookError(f"it has more than {_MOST_SHEETS:,} sheets", "Split it into several files.")
    seen: set[str] = set()
    for one in named:
        reference = next((value for key, value in one.attrib.items() if _local(key) == "id"), "")
        kind, target = related.get(reference, ("", ""))
        if kind and kind != "worksheet":
            # A chart or a dialogue.
            continue
        part = parts.get(target)
        if part is None:
            raise UnsafeWorkbookError("a sheet of it is missing", DAMAGED)
        if part.name in seen:
            raise UnsafeWorkbookError("two of its sheets are the same")
        seen.add(part.name)
        yield Sheet(one.get("name", ""), one.get("state", "visible") == "visible", part)


def _styles(root: ET.Element) -> tuple[TimeKind | None, ...]:
    """What numbers are, style by style."""
    written = {one.get("numFmtId"): one.get("formatCode", "") for one in _all(root, "numFmt")}
    used = [one.get("numFmtId") for group in _all(root, "cellXfs") for one in group]
    if len(used) > _MOST_STYLES:
        raise UnsafeWorkbookError("it has more styles than Excel takes")
    kinds = {number: time_kind(number, written.get(number)) for number in set(used)}
    return tuple(kinds[number] for number in used)


def time_kind(number: str | None, code: str | None) -> TimeKind | None:
    """What a number of a format is.

    Args:
        number: The id of the format.
        code: The format as it is written; None for one that every program has.
    """
    if code is None:
        return _BUILT_IN.get(int(number)) if number and _FORMAT_ID.fullmatch(number) else None
    plain = _QUOTED.sub("", code.split(";", 1)[0]).lower()
    if _ELAPSED.search(plain):
        return "duration"
    if plain == "general" or "#" in plain:
        return None
    has_clock, has_day = "h" in plain or "s" in plain, "y" in plain or "d" in plain
    if has_clock:
        return "datetime" if has_day else "time"
    return "date" if has_day or "m" in plain else None


def _tables(root: ET.Element, sheets: Collection[str]) -> tuple[Table, ...] | None:
    """The tables that a workbook of ours has, with their sheets by name: they may have been moved."""
    # The value is the only child. What stands around it is not of it, and the spaces in it are.
    said = {one.get("name", ""): "".join(next(iter(one), one).itertext()) for one in root}
    layout = said.get("Tailrace")
    if layout is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", layout) or int(layout) < 1:
        raise UnsafeWorkbookError("what it says of its tables cannot be", DAMAGED)
    if int(layout) > NEWEST_LAYOUT:
        raise UnsafeWorkbookError(
            f"its layout is version {layout}, and this Tailrace reads up to {NEWEST_LAYOUT}", "Update Tailrace."
        )
    tables: dict[str, Table] = {}
    number = 1
    while (name := said.get(f"Table {number}")) is not None:
        count, zoned = said.get(f"Table {number} sheets", ""), _zoned(said, number)
        if name in tables or not re.fullmatch(r"[0-9]{1,4}", count) or not _INDICES.fullmatch(zoned):
            raise UnsafeWorkbookError("what it says of its tables cannot be", DAMAGED)
        names = [said.get(f"Table {number} sheet {place}") for place in range(1, int(count) + 1)]
        for place, sheet in enumerate(names, start=1):
            if sheet not in sheets:
                which = f"{sheet!r}" if sheet else f"number {place}"
                raise UnsafeWorkbookError(
                    f"sheet {which} of its table {name} is missing", "Take the file as it was exported."
                )
        zones = frozenset(int(index) for index in zoned.split(",") if index)
        tables[name] = Table(name, tuple(sheet for sheet in names if sheet is not None), zones)
        number += 1
    return tuple(tables.values())


def _zoned(said: Mapping[str, str], number: int) -> str:
    """Columns with a zone of a table, from all of the properties that it takes to say them."""
    parts = [said.get(f"Table {number} zoned", "")]
    while (more := said.get(f"Table {number} zoned {len(parts) + 1}")) is not None:
        parts.append(more)
    return ",".join(parts)


def _all(root: ET.Element, name: str) -> Iterator[ET.Element]:
    return (one for one in root.iter() if isinstance(one.tag, str) and _local(one.tag) == name)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _flag(value: str | None) -> bool:
    return value in {"1", "true", "on"}
