"""LibreOffice, and every workbook that these tests look at, each made and opened once."""

import io
import os
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest
import tailrace_format_excel.batches
import tailrace_format_excel.rows
from tailrace_format_excel import ExcelFormat, ExcelOptions

from tailrace import Column, Context, Meaning, OutgoingTable, WriteCall

from .cells import Forgives, expected
from .made_up import made_up
from .named import NAMED, frame_of, series_of
from .readers import (
    Office,
    Seen,
    read_calamine,
    read_fastexcel,
    read_office,
    read_openpyxl,
    read_openpyxl_streaming,
    read_pandas,
    read_xml,
)

FIXED = 20_260_815
SEED = int(os.environ.get("SPREADSHEETS_SEED") or random.SystemRandom().randrange(2**32))
CELLS = 10_000
URLS = 65_531
"""One more than Excel takes as links, after which xlsxwriter drops what follows."""

READERS: Mapping[str, tuple[Callable[[Path], Seen], Forgives]] = {
    "xml": (read_xml, Forgives()),
    "openpyxl": (read_openpyxl, Forgives()),
    "openpyxl, streaming": (read_openpyxl_streaming, Forgives()),
    "fastexcel": (read_fastexcel, Forgives()),
    "calamine": (read_calamine, Forgives(nothing=True)),
    "pandas with openpyxl": (read_pandas("openpyxl"), Forgives(nothing=True)),
    "pandas with calamine": (read_pandas("calamine"), Forgives(nothing=True)),
}
OFFICE = Forgives(nothing=True, breaks=True)
"""LibreOffice has no empty texts, and one kind of line break besides a carriage return alone."""


def pytest_report_header() -> str:
    return f"SPREADSHEETS_SEED={SEED} makes the random table again"


@attrs.frozen
class Book:
    """A workbook.

    Args:
        name: What it is.
        path: Where it is.
        sheets: What has to be in it, by sheet: headers and rows.
        notes: What the writer said.
        converted: How many values had to become text, by column.
    """

    name: str
    path: Path
    sheets: Mapping[str, Sequence[Sequence[Any]]] = attrs.field(repr=False)
    notes: Sequence[str] = attrs.field(repr=False)
    converted: Mapping[str, int] = attrs.field(repr=False)


def write(frames: Mapping[str, pl.DataFrame], **options: Any) -> tuple[bytes, list[str]]:
    """Write a workbook; returns it and the notes."""
    output, notes = io.BytesIO(), list[str]()
    tables = tuple(
        OutgoingTable(
            name,
            frame.lazy(),
            tuple(Column(one.name, Meaning.MEASURE) if one.dtype.is_numeric() else Column(one.name) for one in frame),
            "UTC",
            next((column for column in frame.columns if isinstance(frame[column].dtype, pl.Datetime)), None),
        )
        for name, frame in frames.items()
    )
    ExcelFormat().write(WriteCall(tables, output, ExcelOptions(**options), {"source": "data"}, notes.append, Context()))
    return output.getvalue(), notes


def _book(folder: Path, name: str, frames: Mapping[str, pl.DataFrame], **options: Any) -> Book:
    iso, limit = options.get("datetimes") == "iso", options.get("rows_per_sheet", 1_048_575)
    path = folder / f"{name}.xlsx"
    content, notes = write(frames, **options)
    path.write_bytes(content)
    sheets: dict[str, list[list[Any]]] = {}
    converted: dict[str, int] = {}
    for table, frame in frames.items():
        headers = [
            f"{column.name} ({column.dtype.time_zone})"
            if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone and not iso
            else column.name
            for column in frame
        ]
        columns = [expected(column, iso=iso) for column in frame]
        for column, values in zip(frame, columns, strict=True):
            is_text = isinstance(column.dtype, pl.String | pl.Categorical | pl.Enum | pl.Binary)
            if not is_text and not (iso and column.dtype.is_temporal()):
                texts = sum(isinstance(value, str) for value in values)
                converted |= {f"{table}.{column.name}": texts} if texts else {}
        rows = list(zip(*columns, strict=True))
        for number, start in enumerate(range(0, max(len(rows), 1), limit), start=1):
            sheet = table if number == 1 else f"{table} ({number})"
            sheets[sheet] = [headers, *map(list, rows[start : start + limit])]
    return Book(name, path, sheets, notes, converted)


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    found = Office.found(tmp_path_factory.mktemp("office"))
    if found is None:
        if os.environ.get("REQUIRE_LIBREOFFICE") == "1":
            pytest.fail("there is no LibreOffice (soffice), and REQUIRE_LIBREOFFICE=1")
        pytest.skip("there is no LibreOffice (soffice)")
    return found


@pytest.fixture(scope="session")
def books(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Book]:
    folder = tmp_path_factory.mktemp("books")
    named = frame_of(series_of([one for one in NAMED if not one.refused]))
    fixed, other = made_up(FIXED, CELLS), made_up(SEED, CELLS)
    texts = named.select(pl.first()).drop_nulls()
    short = texts.filter(pl.first().str.len_chars() < 256).to_series().to_list()
    made = [
        _book(folder, "named", {"named": named}),
        _book(folder, "named, with addresses", {"named": named}, cell_references=True),
        _book(folder, "named, times as text", {"named": named}, datetimes="iso"),
        _book(folder, "fixed", {"fixed": fixed}),
        _book(folder, f"seed {SEED}", {"made up": other}),
        _book(folder, "several sheets", {"one": fixed, "two": named, "none": other.clear()}, rows_per_sheet=100),
        _book(folder, "data alone", {"fixed": fixed.head(50)}, about=False),
        _book(folder, "headers", {"headers": pl.DataFrame({name: [0] for name in short if name})}),
        _book(folder, "links", {"links": pl.DataFrame({"url": [f"https://example.com/{row}" for row in range(URLS)]})}),
    ]
    with pytest.MonkeyPatch.context() as patch:
        # As if there were too many different texts to be shared, so that from the second batch on they stay in cells.
        patch.setattr(tailrace_format_excel.rows, "_ROOM", 0)
        patch.setattr(tailrace_format_excel.batches, "_ROWS", 100)
        twice = pl.concat([named, named])
        made.append(_book(folder, "texts in cells", {"fixed": fixed, "named": twice, "other": other}))
    return {"random" if book.name.startswith("seed") else book.name: book for book in made}


BOOKS = (
    "named",
    "named, with addresses",
    "named, times as text",
    "fixed",
    "random",
    "several sheets",
    "data alone",
    "headers",
    "links",
    "texts in cells",
)


@pytest.fixture(scope="session")
def opened(
    books: Mapping[str, Book], office: Office, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Book], Seen]:
    """What LibreOffice sees in each of the books, all of which it opened in one start."""
    folder = tmp_path_factory.mktemp("opened")
    for extension in ("fods", "xls"):
        office.convert([book.path for book in books.values()], extension, folder)

    def seen(book: Book) -> Seen:
        return read_office(folder / f"{book.path.stem}.fods", folder / f"{book.path.stem}.xls")

    return seen
