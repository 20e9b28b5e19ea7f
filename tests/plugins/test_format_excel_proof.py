"""Counting and searching finished workbooks: what is not as it was written is found out."""

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tailrace_format_excel
from tailrace_format_excel import ExcelFormat, ExcelOptions
from tailrace_format_excel.archive import Archive
from tailrace_format_excel.content import _unescaped
from tailrace_format_excel.parts import blocks_of
from tailrace_sdk.fakes import FolderSink, MemorySource, memory_table

from tailrace import (
    Column,
    Context,
    Dataset,
    Engine,
    ExportRequest,
    IntegrityError,
    LeakError,
    OutgoingTable,
    RereadCall,
    SearchCall,
    Secrets,
    SinkRequest,
    WriteCall,
)
from tailrace.settings import Settings

FORMAT = ExcelFormat()
FORMAT_PLUGIN = tailrace_format_excel
ROWS = 25_000
FRAME = pl.DataFrame(
    {
        "number": range(ROWS),
        "text": [f"text <{number % 100}>" if number % 7 else None for number in range(ROWS)],
        "flag": [number % 2 == 0 for number in range(ROWS)],
    }
)


def write(*frames: pl.DataFrame, **options: Any) -> bytes:
    output = io.BytesIO()
    tables = tuple(
        OutgoingTable(f"t{number}", frame.lazy(), [Column(name) for name in frame.columns])
        for number, frame in enumerate(frames)
    )
    FORMAT.write(WriteCall(tables, output, ExcelOptions(**options), {}, lambda _note: None, Context()))
    return output.getvalue()


def blocks(content: bytes, size: int = 1 << 20) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def count(content: bytes, *, thorough: bool = False, size: int = 1 << 20, tables: int = 1, width: int = 3) -> Any:
    names = [f"t{number}" for number in range(tables)]
    columns = dict.fromkeys(names, width)
    return FORMAT.count_rows(RereadCall(blocks(content, size), ExcelOptions(), names, thorough, columns))


def changed(content: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The same workbook with another part, as well-formed as the first."""
    output = io.BytesIO()
    archive = Archive(output)
    with zipfile.ZipFile(io.BytesIO(content)) as before:
        for part in before.namelist():
            plain = before.read(part)
            archive.add(part, change(plain) if part == name else plain)
    archive.finish()
    assert output.getvalue() != content
    return output.getvalue()


WHOLE = write(FRAME)
SHEET = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("size", [1 << 20, 4_097])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cell_references": True},
        {"rows_per_sheet": 10_000},
        {"sheet_per": "text"},
        {"about": False, "rows_per_sheet": 24_999},
    ],
)
def test_all_rows_are_counted(thorough: bool, size: int, options: dict[str, Any]) -> None:  # noqa: FBT001 - a parameter
    assert count(write(FRAME, **options), thorough=thorough, size=size) == {"t0": ROWS}


@pytest.mark.parametrize("thorough", [False, True])
def test_rows_are_counted_by_table(thorough: bool) -> None:  # noqa: FBT001 - a parameter
    content = write(FRAME, FRAME.head(0), FRAME.head(10), rows_per_sheet=9_000)
    assert count(content, thorough=thorough, tables=3) == {"t0": ROWS, "t1": 0, "t2": 10}


def test_blocks_of_a_byte_will_do() -> None:
    assert count(write(FRAME.head(5)), size=1) == {"t0": 5}


@pytest.mark.parametrize("thorough", [False, True])
def test_every_truncation_is_found(thorough: bool) -> None:  # noqa: FBT001 - a parameter
    content = write(FRAME.head(20))
    for end in [*range(0, len(content), 37), *range(len(content) - 30, len(content))]:
        with pytest.raises(IntegrityError):
            count(content[:end], thorough=thorough)
    with pytest.raises(IntegrityError, match="goes on behind its end"):
        count(content + b"\0", thorough=thorough)


def test_flipped_bits_are_found_wherever_they_are() -> None:
    content = write(FRAME.head(20))
    quiet = 0
    for at in range(0, len(content), 11):
        damaged = bytearray(content)
        damaged[at] ^= 1 << (at % 8)
        try:
            found = count(bytes(damaged))
        except IntegrityError:
            continue
        assert found == {"t0": 20}
        quiet += 1
    # What is left says nothing about rows: versions and attributes in headers. The digest of the file is of these too.
    assert quiet < len(content) / 11 / 10


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda xml: xml.replace(b"<c", b"<d", 5).replace(b"<d", b"<c", 4), "not well-formed"),
        (lambda xml: xml.replace(b"</c></row><row>", b"</c><c/></row><row>", 1), "do not have the 3 cells"),
        (lambda xml: xml.replace(b't="s"><v>0<', b't="s"><v>99999<', 1), "names text 99,999 of"),
        (lambda xml: xml.replace(b"</sheetData>", b"<!-- -->", 1), "does not end behind a row"),
        (lambda xml: xml.replace(b"<v>17<", b"<v>\xff<", 1), r"Row \d+ is not UTF-8"),
    ],
)
def test_a_thorough_count_looks_at_every_cell(change: Callable[[bytes], bytes], reason: str) -> None:
    with pytest.raises(IntegrityError, match=reason):
        count(changed(WHOLE, SHEET, change), thorough=True)


@pytest.mark.parametrize("thorough", [False, True])
def test_a_row_that_is_missing_is_not_counted(thorough: bool) -> None:  # noqa: FBT001 - a parameter
    def without_last_row(xml: bytes) -> bytes:
        start, end = xml.rindex(b"<row>"), xml.rindex(b"</row>") + len(b"</row>")
        return xml[:start] + xml[end:]

    assert count(changed(WHOLE, SHEET, without_last_row), thorough=thorough) == {"t0": ROWS - 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _xml: b"", "does not say which of its sheets are whose"),
        (lambda xml: xml.replace(b"Table 1 sheets", b"Table 9 sheets"), "which sheets are those of t0"),
        (lambda xml: xml.replace(b"<vt:r8>1<", b"<vt:r8>9<"), "Sheet 4 of t0 is missing"),
    ],
)
def test_a_workbook_says_which_sheets_are_whose(change: Callable[[bytes], bytes], reason: str) -> None:
    with pytest.raises(IntegrityError, match=reason):
        count(changed(WHOLE, "docProps/custom.xml", change))


def test_an_archive_of_more_than_four_gigabytes_has_a_directory_that_says_so(tmp_path: Path) -> None:
    path, far = tmp_path / "sparse.zip", 5 << 30
    with path.open("w+b") as file:
        # A hole, in place of five gigabytes of sheets.
        file.seek(far)
        archive = Archive(file, start=far)
        archive.add("far", b"second")
        archive.finish()
        file.seek(far)
        content = file.read()
    with zipfile.ZipFile(path) as read:
        assert read.read("far") == b"second"
        assert read.getinfo("far").header_offset == far
    assert [block.content for block in blocks_of(iter([content]), start=far)] == [b"second", b""]
    for at in range(content.index(b"PK\x01\x02"), len(content) - 2):
        with pytest.raises(IntegrityError):
            list(blocks_of(iter([content[:at]]), start=far))
    with pytest.raises(IntegrityError):
        list(blocks_of(iter([content]), start=far + 1))


def test_a_workbook_of_another_program_is_not_one_of_ours() -> None:
    output = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as ours, zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as theirs:
        for part in ours.namelist():
            theirs.writestr(part, ours.read(part))
    with pytest.raises(IntegrityError, match="stored in another way"):
        count(output.getvalue())


def test_what_can_be_read_is_searchable_without_the_escapes_of_xml() -> None:
    texts = ["pa&ss<wo>rd", 'quo"te', "car\rriage", "_x0041_secret", "\x01control", "plain"]
    content = write(pl.DataFrame({"text": texts, "number": [123456789] * 6}), control_characters="escape")
    for size in (1 << 20, 101):
        found = b"".join(
            FORMAT.searchable(SearchCall(blocks(content, size), ExcelOptions(control_characters="escape")))
        )
        for text in (*texts, "123456789"):
            assert text.encode() in found
        assert b"text" in found


def test_an_escape_is_found_wherever_a_block_ends() -> None:
    stored = b"<t>a_x0041_b &amp;lt; _x005F_x0041_ c&#13;_d_x00e9_ &lt;_x0026_lt;</t>_x"
    expected = "<t>aAb &lt; _x0041_ c\r_d\u00e9 <&lt;</t>_x".encode()
    for cut in range(len(stored) + 1):
        for second in range(cut, len(stored) + 1, 5):
            cuts = (stored[:cut], stored[cut:second], stored[second:])
            assert b"".join(_unescaped([block for block in cuts if block] + [b""])) == expected


def test_a_secret_in_a_workbook_stops_it(tmp_path: Path) -> None:
    secret = "correct&horse<battery>"
    table = memory_table("rows", {"word": ["x", f"so {secret} it is"]})

    class Leaky(MemorySource):
        def open(self, call: Any) -> Any:
            opened = super().open(call)
            inner = opened.__enter__()
            return _Opened(Dataset(inner.tables, secrets=lambda: Secrets({secret: "password"})))

    engine = Engine(
        Settings(home=tmp_path / "home", user="kim"),
        plugins=[("memory", Leaky([table])), ("excel", FORMAT_PLUGIN), ("folder", FolderSink())],
        discover=False,
    )
    with pytest.raises(LeakError):
        engine.export(ExportRequest("memory", "", "excel", sinks=(SinkRequest("folder", str(tmp_path / "out")),)))
    assert not list((tmp_path / "out").iterdir())


class _Opened:
    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def __enter__(self) -> Dataset:
        return self._dataset

    def __exit__(self, *_: object) -> None:
        return None
