"""The workbook around the data, which xlsxwriter builds: everything but the rows of the data sheets.

A workbook is made with its data sheets empty, and taken apart again: of a data sheet what stands before and behind its
rows is kept, every other part goes into the archive as it is. Nothing here relies on the inside of xlsxwriter, only on
the file that it makes. A first row of blanks, which is thrown away, tells the indices of the styles.
"""

import functools
import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime

import attrs
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from tailrace_format_excel.about import About, write_manifest, write_summary
from tailrace_format_excel.archive import Archive
from tailrace_format_excel.columns import HEADER, TEXT, SheetTable
from tailrace_format_excel.naming import MANIFEST, SUMMARY
from tailrace_format_excel.shared_strings import PART as SHARED_STRINGS
from tailrace_format_excel.shared_strings import SharedStrings
from tailrace_format_excel.stand_ins import StandIns
from tailrace_format_excel.text import printable
from tailrace_format_excel.zip_records import LOCAL_HEADER

LAYOUT_VERSION = "1"
"""Raised when a reader of workbooks of ours would misread the new one."""

PROPERTIES = "docProps/custom.xml"
"""The part that says which sheets are whose."""
SHEET_PART = re.compile(r"xl/worksheets/sheet(\d+)\.xml")
_SHEETS = "xl/worksheets/"
_FIRST = ("_rels/.rels", "docProps/core.xml")
"""Parts of which nothing depends on the rows; file type detectors look at what comes first."""
_CORE = "docProps/core.xml"
_LONGEST_PROPERTY, _ZONED_TOGETHER = 255, 40
"""Characters that a property holds, and numbers of columns of which none has more than five digits."""
_READABLE_WIDTH = 220
"""Characters beside each other that can still be read on a page in landscape."""
_ROWS = re.compile(rb"<sheetData>.*</sheetData>|<sheetData/>", re.DOTALL)
_DIMENSION = re.compile(rb"<dimension [^>]*/>")
_FILTER = re.compile(rb'(<autoFilter ref="A1:[A-Z]+)\d+("/>)')
_VIEW = b"<sheetView "
_STYLE = re.compile(rb'<c r="[A-Z]+1"(?: s="(\d+)")?/>')
_SHOWN = b'tabSelected="1" '
_CLOCK = re.compile(rb"<dcterms:(created|modified)[^>]*>[^<]*</dcterms:\1>")
_SHARED_CELL = re.compile(rb'(<c r="[A-Z]+\d+"(?: s="\d+")? t="s"><v>)(\d+)(</v></c>)')
_NEVER = datetime(1980, 1, 1)  # noqa: DTZ001 - xlsxwriter takes times without zone, and this one is thrown away
_WORKBOOK_OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "nan_inf_to_errors": False,
}
_HEADER_STYLE = {"bold": True, "bg_color": "#DCE6F1", "bottom": 1, "num_format": TEXT, "valign": "top"}


@attrs.frozen
class Sheet:
    """A data sheet: its name, and how many rows it has, without its header."""

    name: str
    rows: int


@attrs.frozen
class Properties:
    """What the properties of the document say.

    Args:
        source: Where the data comes from.
        tables: Names of all tables.
        stamp: When it was made, UTC, where that is to be said.
    """

    source: str
    tables: Sequence[str]
    stamp: datetime | None


@attrs.frozen
class SheetsOf:
    """The data sheets of one table.

    Args:
        table: The table.
        widths: Width of each column, in characters.
        sheets: The sheets, at least one.
    """

    table: SheetTable
    widths: Sequence[int]
    sheets: Sequence[Sheet]


@attrs.frozen
class Frame:
    """What stands around the rows in each sheet of a table.

    Args:
        head: What stands before them.
        tail: What stands behind them.
    """

    head: bytes = attrs.field(repr=False)
    tail: bytes = attrs.field(repr=False)

    def start(self, *, is_first: bool) -> bytes:
        """What stands before the rows of a sheet.

        Args:
            is_first: Whether it is the first sheet of the file, which is the one that is shown.
        """
        unshown = self.head.replace(_SHOWN, b"")
        return unshown.replace(_VIEW, _VIEW + _SHOWN) if is_first else unshown

    def end(self, rows: int) -> bytes:
        """What stands behind the rows of a sheet.

        Args:
            rows: How many rows it has, without its header.
        """
        end, changed = _FILTER.subn(rb"\g<1>%d\2" % (_filtered(rows) + 1), self.tail)
        if changed != 1:  # pragma: no cover - xlsxwriter would have changed
            message = "the filter of a sheet is not where it was"
            raise RuntimeError(message)
        return end


@attrs.frozen
class Shell:
    """A workbook without its rows.

    Args:
        infos: Where its parts are in the archive that xlsxwriter made; those of the data are left out.
        content: That archive.
        changed: Parts of which the content is another one, or becomes one.
        first_sheet: The first data sheet, with its row of blanks.
        frames: What stands around the rows of each data sheet.
    """

    infos: Mapping[str, zipfile.ZipInfo] = attrs.field(repr=False)
    content: bytes = attrs.field(repr=False)
    changed: Mapping[str, bytes] = attrs.field(repr=False)
    first_sheet: bytes = attrs.field(repr=False)
    frames: Sequence[Frame] = attrs.field(repr=False)

    @classmethod
    def of(
        cls,
        tables: Sequence[SheetsOf],
        formats: Sequence[str],
        properties: Properties,
        about: About | None = None,
    ) -> "Shell":
        """Build a workbook.

        Args:
            tables: The data sheets, at least one.
            formats: Every number format of the file, each once and in the same order for all shells of one file.
            properties: What the properties of the document say.
            about: What the sheets behind the data say; None to leave them out.
        """
        target = io.BytesIO()
        workbook = xlsxwriter.Workbook(target, _WORKBOOK_OPTIONS)
        sheets = [(one, sheet, workbook.add_worksheet(sheet.name)) for one in tables for sheet in one.sheets]
        for one, sheet, worksheet in sheets:
            _fit(worksheet, one, sheet.rows)
        _use_styles(workbook, sheets[0][2], formats)
        stand_ins = StandIns()
        if about is not None:
            write_summary(workbook, workbook.add_worksheet(SUMMARY), about, stand_ins)
            write_manifest(workbook, workbook.add_worksheet(MANIFEST), about, stand_ins)
        _set_properties(workbook, tables, properties)
        workbook.close()
        shell = cls._apart(target.getvalue(), len(sheets), stand_ins, stamped=properties.stamp is not None)
        if _styles_in(shell.first_sheet, formats) != styles_of(
            tuple(formats)
        ):  # pragma: no cover - xlsxwriter is the same all the while
            message = "xlsxwriter numbers styles in another way than it did a moment ago"
            raise RuntimeError(message)
        return shell

    @classmethod
    def _apart(cls, content: bytes, sheets: int, stand_ins: StandIns, *, stamped: bool) -> "Shell":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            data = [archive.read(infos.pop(sheet_part(number))) for number in range(1, sheets + 1)]
            changed = {}
            if not stamped:
                changed[_CORE] = _CLOCK.sub(b"", archive.read(_CORE))
            changed[SHARED_STRINGS] = stand_ins.resolved(archive.read(SHARED_STRINGS))
            for name in infos:
                # What is left are the sheets behind the data.
                if name.startswith(_SHEETS) and name.endswith(".xml"):
                    changed[name] = archive.read(name)
        halves = [_ROWS.split(_DIMENSION.sub(b"", xml)) for xml in data]
        return cls(
            infos=infos,
            content=content,
            changed=changed,
            first_sheet=data[0],
            frames=[Frame(head + b"<sheetData>", b"</sheetData>" + tail) for head, tail in halves],
        )

    def write_first(self, archive: Archive) -> None:
        """Write the parts that do not depend on the rows."""
        for name in _FIRST:
            self._write(archive, name)

    def write_rest(self, archive: Archive, strings: SharedStrings) -> None:
        """Write all other parts, the shared strings among them."""
        before = strings.count
        own = self.changed[SHARED_STRINGS]
        strings.write(archive, own[own.index(b">", own.index(b"<sst")) + 1 : own.rindex(b"</sst>")])
        for name in self.infos:
            if name.startswith(_SHEETS) and name in self.changed:
                archive.add(name, _SHARED_CELL.sub(lambda cell: _moved(cell, before), self.changed[name]))
            elif name not in {*_FIRST, SHARED_STRINGS}:
                self._write(archive, name)

    def _write(self, archive: Archive, name: str) -> None:
        if name in self.changed:
            archive.add(name, self.changed[name])
            return
        info = self.infos[name]
        header = LOCAL_HEADER.unpack_from(self.content, info.header_offset)
        start = info.header_offset + LOCAL_HEADER.size + header[-2] + header[-1]
        archive.copy(name, self.content[start : start + info.compress_size], crc=info.CRC, size=info.file_size)


def sheet_part(number: int) -> str:
    """Name of the part that holds a sheet, by its one-based number."""
    return f"{_SHEETS}sheet{number}.xml"


def _moved(cell: "re.Match[bytes]", by: int) -> bytes:
    """A cell with the number of its shared string behind those of the data."""
    return b"%s%d%s" % (cell[1], int(cell[2]) + by, cell[3])


@functools.lru_cache(maxsize=64)
def styles_of(formats: tuple[str, ...]) -> Mapping[str, int]:
    """Index of the style of each number format, and of headers, in a workbook that has these."""
    target = io.BytesIO()
    workbook = xlsxwriter.Workbook(target, _WORKBOOK_OPTIONS)
    _use_styles(workbook, workbook.add_worksheet(), formats)
    workbook.close()
    with zipfile.ZipFile(target) as archive:
        return _styles_in(archive.read(sheet_part(1)), formats)


def _use_styles(workbook: xlsxwriter.Workbook, worksheet: Worksheet, formats: Sequence[str]) -> None:
    """Write a row of blanks that names every style, before anything else does: they are numbered by first use."""
    styles = [*({"num_format": name} for name in formats), _HEADER_STYLE]
    for index, style in enumerate(styles):
        worksheet.write_blank(0, index, None, workbook.add_format(style))
    # Without a string of its own, xlsxwriter would not know of a table of shared strings.
    worksheet.write_string(0, len(styles), "")


def _styles_in(sheet: bytes, formats: Sequence[str]) -> Mapping[str, int]:
    indices = [int(index or 0) for index in _STYLE.findall(sheet)]
    return dict(zip([*formats, HEADER], indices, strict=True))


def _fit(worksheet: Worksheet, one: SheetsOf, rows: int) -> None:
    for index, width in enumerate(one.widths):
        worksheet.set_column(index, index, width)
    worksheet.freeze_panes(1, 0)
    worksheet.autofilter(0, 0, _filtered(rows), len(one.widths) - 1)
    worksheet.set_landscape()
    worksheet.repeat_rows(0)
    if sum(one.widths) <= _READABLE_WIDTH:
        worksheet.fit_to_pages(1, 0)


def _filtered(rows: int) -> int:
    """Rows that the filter of a sheet covers: at least one, for xlsxwriter makes no range of a header alone."""
    return max(rows, 1)


def _set_properties(workbook: xlsxwriter.Workbook, tables: Sequence[SheetsOf], properties: Properties) -> None:
    stamp = properties.stamp
    workbook.set_properties(
        {
            "title": printable(f"Export of {properties.source}"),
            "subject": printable(", ".join(properties.tables)),
            "author": "Tailrace",
            "comments": "Made by Tailrace. The manifest beside this file says by whom, when and from what.",
            "created": stamp.replace(tzinfo=None) if stamp else _NEVER,
        }
    )
    workbook.set_custom_property("Tailrace", LAYOUT_VERSION, "text")
    for number, one in enumerate(tables, start=1):
        zoned = [str(index) for index, column in enumerate(one.table.columns) if column.zone]
        workbook.set_custom_property(f"Table {number}", printable(one.table.name)[:_LONGEST_PROPERTY], "text")
        workbook.set_custom_property(f"Table {number} sheets", len(one.sheets), "number")
        for part in range(0, len(zoned), _ZONED_TOGETHER):
            name = f"Table {number} zoned" + (f" {part // _ZONED_TOGETHER + 1}" if part else "")
            workbook.set_custom_property(name, ",".join(zoned[part : part + _ZONED_TOGETHER]), "text")
        for place, sheet in enumerate(one.sheets, start=1):
            workbook.set_custom_property(f"Table {number} sheet {place}", sheet.name, "text")
