"""Everything that was written is read back equal, by everybody who reads workbooks."""

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace import RequestError

from .cells import Forgives, expected, same
from .conftest import BOOKS, CELLS, OFFICE, READERS, URLS, Book, write
from .made_up import TEXTS
from .named import LONGEST, NAMED, NOT_XML, TAKEN_AWAY
from .readers import Office, Seen, read_office

TOLD = re.compile(r"(.+): ([\d,]+) values? .*, written as text\.", re.DOTALL)


def differences(book: Book, seen: Seen, forgives: Forgives) -> Iterator[str]:
    for sheet, wanted in book.sheets.items():
        rows = seen.sheets.get(sheet)
        if rows is None:
            yield f"{book.name}: there is no sheet {sheet!r}"
            continue
        headers = wanted[0]
        # Readers leave out what is empty at the end; a row more or less with something in it is a difference.
        for number, (one, other) in enumerate(zip_longest(wanted, rows, fillvalue=()), start=1):
            row = [None] * len(headers) if number > len(wanted) else one
            if len(other) > len(row):
                yield f"{book.name}, {sheet!r}, row {number}: {len(other)} cells, wanted {len(row)}"
            for column, (value, got) in enumerate(zip_longest(row, other)):
                if not same(value, got, forgives):
                    yield f"{book.name}, {sheet!r}, row {number}, {headers[column]!r}: wanted {value!r}, got {got!r}"


def check(book: Book, seen: Seen, forgives: Forgives) -> None:
    found = list(differences(book, seen, forgives))
    assert not found, "\n".join([f"{len(found)} differences", *(line[:400] for line in found[:40])])
    assert seen.formulas in {0, None}
    assert seen.links in {0, None}


@pytest.mark.parametrize("name", BOOKS)
@pytest.mark.parametrize("reader", READERS)
def test_a_reader_gives_back_what_was_written(reader: str, name: str, books: Mapping[str, Book]) -> None:
    read, forgives = READERS[reader]
    check(books[name], read(books[name].path), forgives)


@pytest.mark.parametrize("name", BOOKS)
def test_libreoffice_opens_it_and_has_the_same_values(
    name: str, books: Mapping[str, Book], opened: Callable[[Book], Seen]
) -> None:
    check(books[name], opened(books[name]), OFFICE)


@pytest.mark.parametrize("reader", ["xml", "openpyxl", "calamine", "pandas with calamine"])
def test_the_sheet_of_the_manifest_has_the_same_names(reader: str, books: Mapping[str, Book]) -> None:
    read, _forgives = READERS[reader]
    for name in ("headers", "named", "several sheets"):
        cells = {cell for row in read(books[name].path).sheets["Manifest"] for cell in row if isinstance(cell, str)}
        assert cells >= books[name].sheets.keys()
        assert cells >= {header for headers, *_rows in books[name].sheets.values() for header in headers}


def test_there_are_as_many_cells_as_promised(books: Mapping[str, Book]) -> None:
    for name in ("fixed", "random"):
        ((headers, *rows),) = books[name].sheets.values()
        assert len(headers) * len(rows) >= CELLS
        assert sum(value is not None for row in rows for value in row) >= CELLS // 2
    ((_, *links),) = books["links"].sheets.values()
    assert len(links) == URLS


def test_texts_are_written_in_both_ways(books: Mapping[str, Book]) -> None:
    with zipfile.ZipFile(books["texts in cells"].path) as archive:
        for number in (1, 2, 3):
            sheet = archive.read(f"xl/worksheets/sheet{number}.xml")
            assert sheet.count(b't="inlineStr"') > 100
            assert sheet.count(b't="s"') > 100


@pytest.mark.parametrize("name", BOOKS)
def test_every_value_that_became_text_is_told(name: str, books: Mapping[str, Book]) -> None:
    told: dict[str, list[int]] = {}
    for note in books[name].notes:
        if match := TOLD.fullmatch(note):
            told.setdefault(match[1], []).append(int(match[2].replace(",", "")))
    assert told.keys() == books[name].converted.keys()
    for column, values in books[name].converted.items():
        # There may be two reasons for one value.
        assert max(told[column]) <= values <= sum(told[column]), column


@pytest.mark.parametrize("named", [one for one in NAMED if one.refused], ids=lambda one: one.name)
def test_what_cannot_be_read_back_is_refused_with_row_and_column(named: Any) -> None:
    frame = pl.DataFrame({"first": [1, 2, 3], "note": ["fine", None, named.value]})
    with pytest.raises(RequestError) as refusal:
        write({"requests": frame})
    assert "Row 3 of column 'note' of table requests" in str(refusal.value)
    assert named.refused in str(refusal.value)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from([*NOT_XML, TAKEN_AWAY]), TEXTS, st.integers(1, 30))
def test_no_text_of_that_sort_gets_through(before: str, wrong: str, after: str, row: int) -> None:
    texts = ["fine", *(None for _ in range(row)), before + wrong + after]
    with pytest.raises(RequestError, match=rf"^Row {len(texts)} of column 'note' of table requests "):
        write({"requests": pl.DataFrame({"note": texts})})


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from("aé漢😀\U0010ffff"), min_size=1, max_size=20), st.integers(-2, 2))
def test_the_longest_text_is_counted_as_excel_counts(piece: str, more: int) -> None:
    text = piece * (LONGEST // (len(piece.encode("utf-16-le")) // 2)) + "a" * (LONGEST + more)
    text = text.encode("utf-16-le")[: 2 * (LONGEST + more)].decode("utf-16-le", "ignore")
    frame = {"requests": pl.DataFrame({"note": [text]})}
    if len(text.encode("utf-16-le")) // 2 > LONGEST:
        with pytest.raises(RequestError, match="Row 1 of column 'note'"):
            write(frame)
    else:
        write(frame)


@pytest.mark.parametrize(
    "values",
    [
        pl.Series("overflows", [1.7e308, 1.7e308], dtype=pl.Float64),
        pl.Series("largest", [1.7976931348623157e308], dtype=pl.Float64),
        pl.Series("finest", [-1, 2**63 - 1], dtype=pl.Duration("ns")),
        pl.Series("oldest", [-(2**63) + 1, None], dtype=pl.Int64).cast(pl.Datetime("ns")),
    ],
    ids=lambda series: series.name,
)
def test_the_ends_of_what_there_is(values: pl.Series, tmp_path: Path) -> None:
    path = tmp_path / "ends.xlsx"
    content, _notes = write({"ends": values.to_frame()})
    path.write_bytes(content)
    for read, forgives in READERS.values():
        rows = read(path).sheets["ends"][1:]
        for wanted, row in zip_longest(expected(values), rows, fillvalue=()):
            assert same(wanted or None, row[0] if row else None, forgives)


def test_no_lone_surrogate_gets_as_far_as_a_format() -> None:
    for values in (["\ud800"], ["a\udfffb"]):
        with pytest.raises(UnicodeEncodeError):
            pl.DataFrame({"note": values})


@pytest.fixture(scope="module")
def escaped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    texts = [f"a{wrong}b" for wrong in (*NOT_XML, "_x005F_", "_x005F_x0041_", TAKEN_AWAY)]
    path = tmp_path_factory.mktemp("escaped") / "escaped.xlsx"
    content, _notes = write({"escaped": pl.DataFrame({"note": texts})}, control_characters="escape")
    path.write_bytes(content)
    return path, texts


def test_escapes_are_read_by_who_knows_them(escaped: tuple[Path, list[str]]) -> None:
    path, texts = escaped
    unknown = {"calamine": {"a\ufffeb", "a\uffffb"}, "fastexcel": {"a\ufffeb", "a\uffffb"}, "xml": set[str]()}
    for reader, others in unknown.items():
        rows = READERS[reader][0](path).sheets["escaped"][1:]
        got = [getattr(row[0], "text", row[0]) for row in rows]
        assert {text for text, other in zip(texts, got, strict=True) if text != other} == others, reader


def test_libreoffice_reads_escapes(escaped: tuple[Path, list[str]], office: Office, tmp_path: Path) -> None:
    path, texts = escaped
    for extension in ("fods", "xls"):
        office.convert([path], extension, tmp_path)
    seen = read_office(tmp_path / "escaped.fods", tmp_path / "escaped.xls")
    assert (seen.formulas, seen.links) == (0, 0)
    got = [row[0] if row else None for row in seen.sheets["escaped"][1:]]
    # They are in its cells, and lost where it saves them as ODF, which is XML.
    assert {text for text, shown in zip(texts, got, strict=True) if not same(text, shown, OFFICE)} == set()


def test_readers_would_see_a_formula_and_a_link(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "control.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("control")
        sheet.write(0, 0, "=1+1")
        sheet.write(1, 0, "https://example.com")
    for extension in ("fods", "xls"):
        office.convert([path], extension, tmp_path)
    seen = {name: read(path) for name, (read, _) in READERS.items()}
    seen["office"] = read_office(tmp_path / "control.fods", tmp_path / "control.xls")
    assert {name: (one.formulas, bool(one.links)) for name, one in seen.items() if one.formulas is not None} == {
        "xml": (1, True),
        "openpyxl": (1, True),
        "openpyxl, streaming": (1, False),
        "office": (1, True),
    }
