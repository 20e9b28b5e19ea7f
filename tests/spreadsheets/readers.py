"""Workbooks as the programs that read workbooks see them: each reader gives rows of plain Python values.

Next to those that others made there is :func:`read_xml`, written for these tests from ECMA-376 alone, which shows what
is in the file before anybody rounds or forgives: serials to the last bit, formulas and links wherever they are.
"""

import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import attrs
import fastexcel
import openpyxl
import pandas as pd
import python_calamine

Rows = list[list[Any]]
EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - serials have no zone
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATIONS = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
PACKAGE = "{http://schemas.openxmlformats.org/package/2006/relationships}"


@attrs.frozen
class Seen:
    """What a reader sees in a workbook.

    Args:
        sheets: Rows of each sheet, by its name.
        formulas: Cells that are formulas; None where the reader does not tell.
        links: Links; None where the reader does not tell.
    """

    sheets: Mapping[str, Rows]
    formulas: int | None = None
    links: int | None = None


@attrs.frozen
class Shown:
    """A cell of fastexcel, which gives whole columns of one type: its text, and its number if that is what it is."""

    text: str | None
    number: float | None


@attrs.frozen
class Either:
    """A text that LibreOffice saved in two ways, of which only one can be right."""

    first: str | None
    second: str


@attrs.frozen
class Serial:
    """A time as it is in the file.

    Args:
        value: Days, exactly.
        code: Its number format.
    """

    value: Fraction
    code: str


def read_openpyxl(path: Path) -> Seen:
    book = openpyxl.load_workbook(path)
    cells = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
    return Seen(
        {sheet.title: [[cell.value for cell in row] for row in sheet.iter_rows()] for sheet in book.worksheets},
        formulas=sum(cell.data_type == "f" for cell in cells),
        links=sum(cell.hyperlink is not None for cell in cells),
    )


def read_openpyxl_streaming(path: Path) -> Seen:
    book = openpyxl.load_workbook(path, read_only=True)
    try:
        rows = {sheet.title: [list(row) for row in sheet.iter_rows()] for sheet in book.worksheets}
    finally:
        book.close()
    cells = [cell for sheet in rows.values() for row in sheet for cell in row]
    values = {name: [[cell.value for cell in row] for row in sheet] for name, sheet in rows.items()}
    return Seen(values, formulas=sum(cell.data_type == "f" for cell in cells))


def read_pandas(engine: str) -> Callable[[Path], Seen]:
    def read(path: Path) -> Seen:
        frames = pd.read_excel(
            path, sheet_name=None, header=None, dtype=object, keep_default_na=False, na_filter=False, engine=engine
        )
        return Seen({name: frame.to_numpy().tolist() for name, frame in frames.items()})

    return read


def read_calamine(path: Path) -> Seen:
    with python_calamine.CalamineWorkbook.from_path(path) as book:
        sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}
    return Seen(sheets)


def read_fastexcel(path: Path) -> Seen:
    book = fastexcel.read_excel(path)
    sheets: dict[str, Rows] = {}
    for name in book.sheet_names:
        texts, numbers = (
            book.load_sheet(name, header_row=None, skip_rows=0, skip_whitespace_tail_rows=False, dtypes=dtype)
            .to_polars()
            .rows()
            for dtype in ("string", "float")
        )
        sheets[name] = [
            [Shown(text, number) for text, number in zip(texts_of_row, numbers_of_row, strict=True)]
            for texts_of_row, numbers_of_row in zip(texts, numbers, strict=True)
        ]
    return Seen(sheets)


def read_xml(path: Path) -> Seen:
    """What the file itself says."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    strings = [_rich(item) for item in ET.fromstring(parts["xl/sharedStrings.xml"]).iter(f"{MAIN}si")]
    styles = ET.fromstring(parts["xl/styles.xml"])
    codes = {node.get("numFmtId"): node.get("formatCode") for node in styles.iter(f"{MAIN}numFmt")}
    formats = [codes.get(xf.get("numFmtId")) or "" for xf in next(styles.iter(f"{MAIN}cellXfs"))]
    targets = {node.get("Id"): node.get("Target") for node in ET.fromstring(parts["xl/_rels/workbook.xml.rels"])}
    sheets: dict[str, Rows] = {}
    formulas = links = 0
    for sheet in ET.fromstring(parts["xl/workbook.xml"]).iter(f"{MAIN}sheet"):
        root = ET.fromstring(parts[f"xl/{targets[sheet.get(f'{RELATIONS}id')]}"])
        formulas += sum(1 for _ in root.iter(f"{MAIN}f"))
        links += sum(1 for _ in root.iter(f"{MAIN}hyperlink"))
        sheets[sheet.get("name", "")] = [
            [_cell(cell, strings, formats) for cell in row] for row in root.iter(f"{MAIN}row")
        ]
    for name, content in parts.items():
        if name.endswith(".rels"):
            links += sum(node.get("TargetMode") == "External" for node in ET.fromstring(content))
        links += name.startswith("xl/externalLinks/")
    return Seen(sheets, formulas, links)


def _rich(item: ET.Element) -> str:
    """A text with the escapes of ST_Xstring (ECMA-376, part 1, 22.9.2.19) undone, from left to right."""
    text = "".join(node.text or "" for node in item.iter(f"{MAIN}t"))
    return re.sub("_x([0-9A-Fa-f]{4})_", lambda match: chr(int(match[1], 16)), text)


def _cell(cell: ET.Element, strings: Sequence[str], formats: Sequence[str]) -> Any:
    kind, value, inline = cell.get("t", "n"), cell.findtext(f"{MAIN}v"), cell.find(f"{MAIN}is")
    if inline is not None:
        return _rich(inline)
    if value is None:
        return None
    if kind == "s":
        return strings[int(value)]
    if kind == "b":
        return {"0": False, "1": True}[value]
    assert kind == "n", kind
    code = formats[int(cell.get("s", "0"))]
    return Serial(Fraction(float(value)), code) if re.search("[yhms]", code.partition("General")[0]) else float(value)


class Office:
    """LibreOffice without its windows, with a profile of its own.

    Args:
        program: Path of ``soffice``.
        folder: For its profile.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._profile = (folder / "profile").as_uri()

    @classmethod
    def found(cls, folder: Path) -> "Office | None":
        program = shutil.which("soffice") or shutil.which("libreoffice")
        return cls(program, folder) if program else None

    def convert(self, paths: Sequence[Path], target: str, folder: Path, *, source: str = "", wait: int = 240) -> None:
        """Convert files, in one start.

        Args:
            paths: The files.
            target: What to: an extension, and a filter with its tokens behind a colon.
            folder: Where to.
            source: The filter to read them with, where they do not tell.
            wait: Seconds after which it is ended.
        """
        folder.mkdir(exist_ok=True)
        arguments = [f"-env:UserInstallation={self._profile}", "--headless", "--norestore"]
        arguments += [f"--infilter={source}"] if source else []
        arguments += ["--convert-to", target, "--outdir", str(folder), *map(str, paths)]
        done = subprocess.run([self._program, *arguments], capture_output=True, text=True, check=False, timeout=wait)
        assert done.returncode == 0, done.stderr
        assert "rror" not in done.stderr, done.stderr


OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_FLAGS = ("of:=TRUE()", "of:=FALSE()")
"""What LibreOffice makes of every boolean in a workbook, whoever wrote it."""


def read_office(fods: Path, xls: Path) -> Seen:
    """A file that LibreOffice opened and saved twice: neither of what it writes has all that it holds.

    Args:
        fods: As flat ODF, which says what is a formula or a link, but rounds numbers to 15 digits, and leaves out tabs
            where a text has several lines.
        xls: As BIFF, in which numbers are exact, but long texts beyond the basic plane are not.
    """
    texts, numbers = read_fods(fods), read_calamine(xls)
    sheets = {
        name: [
            [_office_value(*cell) for cell in zip_longest(*both)]
            for both in zip_longest(rows, numbers.sheets[name], fillvalue=())
        ]
        for name, rows in texts.sheets.items()
    }
    return attrs.evolve(texts, sheets=sheets)


def read_fods(path: Path) -> Seen:
    """Texts, formulas and links of a flat ODF spreadsheet; what is no text is None."""
    sheets: dict[str, Rows] = {}
    formulas = links = 0
    rows: Rows = []
    empty = 0
    for _event, node in ET.iterparse(path):
        formulas += node.get(f"{TABLE}formula", _FLAGS[0]) not in _FLAGS
        links += node.tag == f"{TEXT}a"
        if node.tag == f"{TABLE}table-row":
            texts = _office_texts(node)
            times = int(node.get(f"{TABLE}number-rows-repeated", "1"))
            node.clear()
            if texts:
                # Sheets end in repeated nothing, down to the last row that there can be.
                rows += [[]] * empty + [texts] * times
                empty = 0
            else:
                empty += times
        elif node.tag == f"{TABLE}table":
            sheets[node.get(f"{TABLE}name", "")] = rows
            rows, empty = [], 0
            node.clear()
    return Seen(sheets, formulas, links)


def _office_texts(row: ET.Element) -> list[str | None]:
    """The texts of a row, None for what is none, up to the last text."""
    texts: list[str | None] = []
    empty = 0
    for cell in row:
        times = int(cell.get(f"{TABLE}number-columns-repeated", "1"))
        if cell.get(f"{OFFICE}value-type") == "string":
            text = "\n".join("".join(_office_text(line)) for line in cell.findall(f"{TEXT}p"))
            texts += [None] * empty + [text] * times
            empty = 0
        else:
            empty += times
    return texts


def _office_value(text: str | None, value: Any) -> Any:
    if not isinstance(value, str):
        return value if text is None else text
    if (text or "").startswith("\ufeff"):
        # calamine takes it for a byte order mark.
        value = f"\ufeff{value}"
    return text if (text or "") == value else Either(text, value)


def _office_text(node: ET.Element) -> Iterator[str]:
    yield node.text or ""
    for inner in node:
        if inner.tag == f"{TEXT}s":
            yield " " * int(inner.get(f"{TEXT}c", "1"))
        elif inner.tag == f"{TEXT}tab":
            yield "\t"
        elif inner.tag == f"{TEXT}line-break":
            yield "\n"
        else:
            yield from _office_text(inner)
        yield inner.tail or ""


def micros_of(value: Any) -> int | None:
    """Microseconds of a time since midnight, of a moment since 1899-12-30; None for what is neither."""
    micro = timedelta(microseconds=1)
    if isinstance(value, datetime):
        return (value - EPOCH) // micro
    if isinstance(value, date):
        return (datetime(value.year, value.month, value.day) - EPOCH) // micro  # noqa: DTZ001 - as above
    if isinstance(value, timedelta):
        return value // micro
    if isinstance(value, time):
        return timedelta(hours=value.hour, minutes=value.minute, seconds=value.second) // micro + value.microsecond
    return None
