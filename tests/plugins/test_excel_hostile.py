"""Workbooks that mean harm: each is refused with what is wrong, at a bounded cost, and the host lives.

They are read by one program of its own, so that what reading costs can be told from what the tests cost.
"""

import io
import json
import os
import random
import re
import select
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from tailrace_format_excel.reading.directory import read_directory
from tailrace_format_excel.reading.refusals import UnsafeWorkbookError
from tailrace_format_excel.reading.sheets import Extent, look_through
from tailrace_format_excel.reading.tables import limits_for

from tailrace import CancelledError, Context

Refused = Callable[[Path, str], str]

MEMORY = 256 << 20
SECONDS = 2.0
HOST_SECONDS = 1.5
"""Of processor time. Importing what reads takes most of it, and only for the first file."""
HOST_MEMORY = 96 << 20
LONGEST = 60
SHEET = "xl/worksheets/sheet1.xml"
STRINGS = "xl/sharedStrings.xml"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("proxies")
        sheet.write_row(0, 0, ["ip", "port", "password"])
        sheet.write_row(1, 0, ["192.0.2.1", 8080, "S3cret-word"])
    return path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def made(path: Path, content: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def changed(path: Path, name: str, data: bytes) -> Path:
    return made(path, {**members(path), name: data})


def sheet_of(rows: bytes) -> bytes:
    return b"<worksheet><sheetData>" + rows + b"</sheetData></worksheet>"


READER = """
import json, resource, sys
from pathlib import Path
from tailrace import ReadTablesCall, TailraceError
from tailrace_format_excel.reading import read_tables

unit = 1 if sys.platform == "darwin" else 1024

def spent(whose):
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime

def most(whose):
    return resource.getrusage(whose).ru_maxrss * unit

for line in sys.stdin:
    before, host, size = spent(resource.RUSAGE_CHILDREN), spent(resource.RUSAGE_SELF), most(resource.RUSAGE_SELF)
    try:
        tables = read_tables(ReadTablesCall(Path(line[:-1])))
        told = {"shapes": [frame.shape for frame in tables.values()]}
    except TailraceError as error:
        told = {"class": type(error).__name__, "message": error.message, "hint": error.hint}
    # Of all processes so far: none of them was larger.
    told["peak"] = most(resource.RUSAGE_CHILDREN)
    told["seconds"] = spent(resource.RUSAGE_CHILDREN) - before
    told["host_seconds"] = spent(resource.RUSAGE_SELF) - host
    told["host_growth"] = most(resource.RUSAGE_SELF) - size
    print(json.dumps(told), flush=True)
"""


class Reader:
    """Reads files in a program of its own."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", READER]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read(self, path: Path) -> dict[str, Any]:
        """What became of it, at the price that a small file may have."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        # It answers with one line, at once as a whole.
        ready, _, _ = select.select([self.process.stdout], [], [], LONGEST)
        if not ready:
            self.process.kill()
            pytest.fail(f"it took more than {LONGEST} seconds by the clock")
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert told["seconds"] < SECONDS + 1, told
        assert told["host_seconds"] < HOST_SECONDS, told
        assert told["host_growth"] < HOST_MEMORY, told
        # Looked at every 20 ms, it may be a little beyond.
        assert told["peak"] < 1.2 * MEMORY, told
        assert "S3cret" not in str(told)
        return told


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    reader = Reader()
    yield reader
    assert reader.process.poll() is None, "the host lives"
    reader.process.communicate()


@pytest.fixture
def refused(reader: Reader) -> Refused:
    """Reads a file that has to be refused, and looks at the reason."""

    def look(path: Path, reason: str) -> str:
        told = reader.read(path)
        assert told.get("class") == "RefusedError", told
        assert re.search(reason, told["message"]), told
        assert told["hint"]
        return str(told["hint"])

    return look


# --- what the archive says


def test_no_archive(tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "a.xlsx"
    for content in (b"", b"PK", b"PK\x03\x04" + b"x" * 1000, b"\xd0\xcf\x11\xe0" * 200):
        path.write_bytes(content)
        refused(path, "damaged, or cut off")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_cut_off(good: Path, share: float, refused: Refused) -> None:
    content = good.read_bytes()
    good.write_bytes(content[: int(len(content) * share)])
    refused(good, "damaged, or cut off")


def test_an_archive_that_is_no_workbook(tmp_path: Path, refused: Refused) -> None:
    refused(made(tmp_path / "a.zip", {"list.txt": b"http://h:1"}), "no workbook in it")
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w") as archive:
        archive.writestr("a", b"b" * 100)
    refused(made(tmp_path / "b.zip", {"inner.xlsx": nested.getvalue()}), "no workbook in it")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "xl/../../x", "C:/x", "a\\b", "./x"])
def test_names_that_lead_out(good: Path, name: str, refused: Refused) -> None:
    refused(changed(good, name, b"x"), "leads out of the archive")


def test_names_that_are_none(good: Path, refused: Refused) -> None:
    refused(changed(good, "a\x01b", b"x"), "a name that is none")
    refused(changed(good, "x" * 300, b"x"), "a name that is none")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", [SHEET, SHEET.upper()])
def test_two_members_of_one_name(good: Path, name: str, refused: Refused) -> None:
    with zipfile.ZipFile(good, "a") as archive:
        archive.writestr(name, sheet_of(b""))
    refused(good, "two members of one name")


def test_too_many_members(good: Path, refused: Refused) -> None:
    content = members(good)
    refused(made(good, {**content, **{f"x/{number}": b"" for number in range(5_000)}}), "members")


def test_a_hundred_thousand_members_that_the_end_does_not_count(good: Path, refused: Refused) -> None:
    content = {f"{number:05}": b"" for number in range(60_000)}
    made(good, content, zipfile.ZIP_STORED)
    data = bytearray(good.read_bytes())
    at = data.rfind(b"PK\x05\x06")
    struct.pack_into("<HH", data, at + 8, 5, 5)
    good.write_bytes(bytes(data))
    refused(good, "members")


def entries(count: int, *, comment: bytes = b"", extra: bytes = b"") -> bytes:
    """A directory of one member, again and again."""
    facts = (20, 20, 0, 0, 0, 0x21, 0, 0, 0, 1, len(extra), len(comment), 0, 0, 0, 0)
    return (struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *facts) + b"a" + extra + comment) * count


def zip64(directory: bytes, count: int, plain: tuple[int, int, int, int], **wrong: int) -> bytes:
    """An archive with both kinds of records at its end.

    Args:
        directory: Its directory.
        count: How many members the record for large archives claims.
        plain: Members here, members, bytes and place of the directory as the plain record has them.
        wrong: What is not as it must be.
    """
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 0x21, 0, 0, 0, 1, 0) + b"a"
    numbers = (wrong.get("disk", 0), 0, wrong.get("here", count), count, len(directory), len(local))
    large = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", wrong.get("rest", 44), 45, 45, *numbers)
    place = len(local) + len(directory)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, wrong.get("place", place), wrong.get("disks", 1))
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, *plain, 0)
    return local + directory + large + locator + end


UNKNOWN = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
START = 31


@pytest.mark.parametrize(
    ("plain", "padding"), [((1, 1, 47, START), 2), (UNKNOWN, 0), (UNKNOWN, 72)], ids=["lie", "honest", "pad"]
)
def test_a_directory_that_lies_through_zip64(
    tmp_path: Path, plain: tuple[int, int, int, int], padding: int, refused: Refused
) -> None:
    directory = entries(700_000) + entries(padding, comment=b"z" * 60_000)
    path = tmp_path / "a.xlsx"
    path.write_bytes(zip64(directory, 700_000 + padding, plain))
    refused(path, "members|two different things")
    assert path.stat().st_size > 30 << 20


@pytest.mark.parametrize(
    ("plain", "wrong"),
    [
        ((2, 2, 47, START), {}),
        ((1, 1, 46, START), {}),
        ((1, 1, 47, START - 1), {}),
        ((1, 0xFFFF, 0xFFFFFFFF, 7), {}),
        (UNKNOWN, {"disk": 1}),
        (UNKNOWN, {"disks": 2}),
        (UNKNOWN, {"place": START}),
        (UNKNOWN, {"rest": 45}),
    ],
)
def test_records_that_say_two_things(
    tmp_path: Path, plain: tuple[int, int, int, int], wrong: dict[str, int], refused: Refused
) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(zip64(entries(1), 1, plain, **wrong))
    refused(path, "its end says two different things")


@pytest.mark.parametrize("offset", [4, 6, 8])
def test_several_parts(tmp_path: Path, good: Path, offset: int, refused: Refused) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(zip64(entries(1), 1, UNKNOWN, here=0))
    refused(path, "in several parts")
    data = bytearray(good.read_bytes())
    data[data.rfind(b"PK\x05\x06") + offset] = 1
    good.write_bytes(bytes(data))
    refused(good, "in several parts")


@pytest.mark.parametrize("plain", [UNKNOWN, (1, 1, 47, START), (1, 1, 0xFFFFFFFF, START)])
def test_an_honest_directory_with_zip64(tmp_path: Path, plain: tuple[int, int, int, int], refused: Refused) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(zip64(entries(1), 1, plain))
    refused(path, "no workbook in it")


@pytest.mark.parametrize(
    ("directory", "count", "reason"),
    [
        (entries(3), 2, "another number of members"),
        (entries(1, extra=b"\1\0\0\0" * 16_000), 1, "says more of a member"),
        (entries(1)[:-1], 1, "damaged"),
        (entries(1) + b"PK", 1, "damaged"),
        (entries(1) + b"x" * 60, 1, "damaged"),
        (entries(4_097), 4_097, "more than 4,096 members"),
        (entries(90, comment=b"z" * 60_000), 90, "says too much of them"),
    ],
)
def test_directories_that_are_none(tmp_path: Path, directory: bytes, count: int, reason: str, refused: Refused) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(zip64(directory, count, UNKNOWN))
    refused(path, reason)


def test_checking_a_directory_can_be_cancelled(good: Path) -> None:
    context = Context()
    context.cancel()
    with good.open("rb") as file, pytest.raises(CancelledError):
        read_directory(file, context.check)


def test_encrypted_members(good: Path, refused: Refused) -> None:
    data = bytearray(good.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        data[at + offset] |= 1
    good.write_bytes(bytes(data))
    refused(good, "encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_to_compress(good: Path, method: int, refused: Refused) -> None:
    refused(made(good, members(good), method), "compressed in a way")


def test_something_before_or_behind(good: Path, refused: Refused) -> None:
    content = good.read_bytes()
    good.write_bytes(b"#!/bin/sh\n" + content)
    refused(good, "stands before its beginning")
    good.write_bytes(content + b"more")
    refused(good, "follows its end")


def test_overlapping_members(good: Path, refused: Refused) -> None:
    """As in the bombs of David Fifield: the directory names one stretch of bytes many times."""
    data = good.read_bytes()
    with zipfile.ZipFile(good) as archive:
        infos = archive.infolist()
        start = archive.start_dir
    first = infos[0]
    head = data[:start]
    # The same member under its own name, once more inside of itself: its header is copied into the next one's bytes.
    entries = b"".join(_central(one, first.header_offset if number == 1 else None) for number, one in enumerate(infos))
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, len(infos), len(infos), len(entries), start, 0)
    good.write_bytes(head + entries + end)
    refused(good, "overlap|not what the directory says")
    quoted = _quoted(b"kernel" * 100_000, 50)
    good.write_bytes(quoted)
    refused(good, "overlap|not what the directory says|no workbook")


def _central(info: zipfile.ZipInfo, offset: int | None = None) -> bytes:
    name = info.filename.encode()
    facts = (20, 20, 0, info.compress_type, 0, 0x21, info.CRC, info.compress_size, info.file_size, len(name))
    place = info.header_offset if offset is None else offset
    return struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *facts, 0, 0, 0, 0, 0, place) + name


def _quoted(kernel: bytes, count: int) -> bytes:
    """Members of which each one begins inside of the former and ends with the last."""
    squeezed = zlib.compress(kernel, 9)[2:-4]
    heads, entries, offset = [], [], 0
    for number in range(count):
        name = f"m{number:03}".encode()
        facts = (
            20,
            0,
            8,
            0,
            0x21,
            zlib.crc32(kernel),
            len(squeezed) + 34 * (count - number - 1),
            len(kernel),
            len(name),
            0,
        )
        heads.append(struct.pack("<4s5H3I2H", b"PK\x03\x04", *facts) + name)
        entries.append(struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, *facts, 0, 0, 0, 0, offset) + name)
        offset += len(heads[-1])
    body = b"".join(heads) + squeezed
    directory = b"".join(entries)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), 0)
    return body + directory + end


def test_a_local_header_that_says_something_else(good: Path, refused: Refused) -> None:
    data = good.read_bytes().replace(b"xl/workbook.xml", b"xl/workbooK.xml", 1)
    good.write_bytes(data)
    refused(good, "not what the directory says")


# --- bombs


def test_a_bomb(good: Path, refused: Refused) -> None:
    hint = refused(changed(good, SHEET, sheet_of(b" " * (300 << 20))), "less than one part in")
    assert good.stat().st_size < 1 << 20
    assert "do not trust it" in hint


def test_a_bomb_that_claims_to_be_small(good: Path, refused: Refused) -> None:
    data = bytearray(changed(good, SHEET, sheet_of(b" " * (300 << 20))).read_bytes())
    at = data.rfind(b"PK\x01\x02", 0, data.rfind(SHEET.encode()))
    struct.pack_into("<I", data, at + 24, 1_000)
    good.write_bytes(bytes(data))
    refused(good, "more than it claims")


def test_a_member_that_is_damaged(good: Path, refused: Refused) -> None:
    with zipfile.ZipFile(good) as archive:
        info = archive.getinfo(SHEET)
    data = bytearray(good.read_bytes())
    data[info.header_offset + 30 + len(SHEET) + 20] ^= 0xFF
    good.write_bytes(bytes(data))
    refused(good, "is damaged|more than it claims")


def test_one_text_that_many_cells_share(good: Path, refused: Refused) -> None:
    row = b"<row>" + b'<c t="s"><v>0</v></c>' * 100 + b"</row>"
    content = members(good)
    noise = random.Random(5).randbytes(300_000).hex().encode()
    content[SHEET] = sheet_of(b'<row><c t="s"><v>1</v></c></row>' + row * 4_000)
    content[STRINGS] = b"<sst><si><t>" + noise + b"</t></si><si><t>ip</t></si></sst>"
    refused(made(good, content), "memory|ended the process")


def test_more_shared_texts_than_memory(good: Path, reader: Reader) -> None:
    content = members(good)
    content[STRINGS] = b"<sst>" + b"<si><t/></si>" * 1_100_000 + b"</sst>"
    content[SHEET] = sheet_of(b"<row><c><v>1</v></c></row>")
    assert reader.read(made(good, content))["shapes"] == [[0, 1]]


# --- sheets that are far apart


PLACES = rf"{1_048_576 * 16_384:,} places"


def far(cell: bytes) -> bytes:
    """Rows with a cell in the first place and one in the last, which is written in some way."""
    return b'<row r="1"><c r="A1"><v>1</v></c>' + cell + b"</row>"


SPARSE: dict[str, tuple[bytes, str]] = {
    "two rows": (far(b'</row><row r="1048576"><c r="XFD1048576"><v>1</v></c>'), PLACES),
    "one row": (far(b'<c r="XFD1048576"><v>1</v></c>'), PLACES),
    "other quotes": (b"<row r='1'><c s='1' r='A1'/><c t='n' r='XFD1048576'><v>1</v></c></row>", PLACES),
    "small letters": (far(b'<c r="xfd1048576"><v>1</v></c>'), PLACES),
    "prefixes": (b'<x:row r="1"><x:c r="A1"/><x:c r="XFD1048576"><x:v>1</x:v></x:c></x:row>', PLACES),
    "prefix not declared": (far(b'<q:c r="XFD1048576"><v>1</v></q:c>'), PLACES),
    "prefix with a dash": (far(b'<a-b.c:c r="XFD1048576"><v>1</v></a-b.c:c>'), PLACES),
    "no prefix but a colon": (far(b'<:c r="XFD1048576"><v>1</v></:c>'), "not written as any program"),
    "prefix of quotes": (far(b"""<'"':c r="XFD1048576"><v>1</v></'"':c>"""), "not written as any program"),
    "prefix of an end": (far(b"""<">":c r="XFD1048576"><v>1</v></">":c>"""), "not written as any program"),
    "line feed": (far(b'<c\nr="XFD1048576"><v>1</v></c>'), PLACES),
    "tab": (far(b'<c\tr="XFD1048576"><v>1</v></c>'), PLACES),
    "carriage return": (far(b'<c\rr="XFD1048576"><v>1</v></c>'), PLACES),
    "spaces": (far(b'<c  r \n= "XFD1048576"><v>1</v></c>'), PLACES),
    "only spaces": (b'<row><c/><c  r\n\n=\t"XFD1048576"><v>1</v></c></row>', PLACES),
    "row with a line feed": (b'<row\nr="1048576"><c/></row><row r="1"><c r="XFD1"/></row>', PLACES),
    "end in a value": (far(b'<c x=">" r="XFD1048576"><v>1</v></c>'), "not written as any program"),
    "end in another value": (far(b"<c x='>' r=\"XFD1048576\"><v>1</v></c>"), "not written as any program"),
    "address in a value": (far(b"""<c x=" r='A1'" r="XFD1048576"><v>1</v></c>"""), PLACES),
    "no space between": (far(b'<c s="1"r="XFD1048576"><v>1</v></c>'), "not written as any program"),
    "address escaped": (far(b'<c r="&#88;FD1048576"><v>1</v></c>'), "where Excel has none"),
    "rows in a value": (b'<row><c/><q y="' + b"<row>" * 9 + b'"/></row>', "not written as any program"),
    "only ends": (far(b"</row>" * 1_000_000 + b"<c/>"), "rows that end twice"),
    "wide here, long there": (
        b'<row><c r="A1"/>' + b"<c/>" * 16_000 + b'</row><row r="60000"><c r="A60000"/></row>',
        rf"{60_000 * 16_001:,} places",
    ),
    "without addresses": (
        b"<row>" + b"<c/>" * 16_000 + b"</row>" + b"<row/>" * 500_000 + b"<row><c/></row>",
        rf"{500_002 * 16_000:,} places",
    ),
}
BLOCKS = (1 << 20, 1_000, 7)


@pytest.mark.parametrize("size", BLOCKS)
@pytest.mark.parametrize("name", SPARSE)
def test_sheets_are_looked_through(name: str, size: int) -> None:
    rows, reason = SPARSE[name]
    content = sheet_of(rows)
    # Of a long one every cut would take its time.
    size = max(size, len(content) // 10_000)
    with pytest.raises(UnsafeWorkbookError) as raised:
        look_through(content[at : at + size] for at in range(0, len(content), size))
    assert re.search(reason, raised.value.reason)


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_sheets(good: Path, name: str, refused: Refused) -> None:
    rows, reason = SPARSE[name]
    noise = random.Random(3).randbytes(1 << 20).hex().encode() if len(rows) > 1 << 20 else b""
    # Zeros only would be refused for how much they shrink.
    refused(changed(good, SHEET, sheet_of(rows) + noise), reason)


@pytest.mark.parametrize("size", BLOCKS)
@pytest.mark.parametrize(
    ("rows", "extent"),
    [
        (b"", Extent(0, 0, 0)),
        (b"<row><c/><c></c></row><row/><row><c/></row>", Extent(3, 3, 2)),
        (b'<row r="3"><c r="B3"/><c r="D3"/></row>', Extent(2, 3, 4)),
        (b'<row r="3"><c r="B3"/><c/></row><row><c/></row>', Extent(3, 4, 3)),
        (b'<row\nr="3"><c\nr="B3"/><c\n/></row><row\t><c /></row >', Extent(3, 4, 3)),
        (b'<x:row><x:c r="C1" t="str"><x:v>a:c b</x:v></x:c></x:row>', Extent(1, 1, 3)),
        (b"<row><c><v>a:c :row r = 5 \"r='7' 1>0</v></c></row><row/>", Extent(1, 2, 1)),
        (b"<row>" + b"<c/>" * 3_000 + b"</row><row><c/><c/></row>", Extent(3_002, 2, 3_000)),
        (b'<row/></sheetData><x prompt="a > b" y="c < d"/><cols/><cfRule/><rowBreaks/><sheetData>', Extent(0, 1, 0)),
    ],
)
def test_how_large_a_sheet_is(rows: bytes, extent: Extent, size: int) -> None:
    content = sheet_of(rows)
    assert look_through(content[at : at + size] for at in range(0, len(content), size)) == extent


@pytest.mark.parametrize("cell", [b"XFE1", b"A1048577", b"AAAA1", b"A99999999999"])
def test_cells_where_excel_has_none(good: Path, cell: bytes, refused: Refused) -> None:
    row = b'<row r="1"><c r="A1"><v>1</v></c><c r="' + cell + b'"><v>1</v></c></row>'
    refused(changed(good, SHEET, sheet_of(row)), "where Excel has none")


def test_what_a_sheet_claims_costs_nothing(good: Path, reader: Reader) -> None:
    content = members(good)[SHEET]
    assert b"<dimension" in content
    changed(good, SHEET, content.replace(b'ref="A1:C2"', b'ref="A1:XFD1048576"'))
    assert reader.read(good)["shapes"] == [[1, 3]]


# --- XML


@pytest.mark.parametrize("name", [SHEET, STRINGS, "xl/workbook.xml", "_rels/.rels", "xl/styles.xml"])
@pytest.mark.parametrize("word", [b"DOCTYPE", b"doctype"])
def test_a_dtd(good: Path, name: str, word: bytes, refused: Refused) -> None:
    bomb = b"<!" + word + b' a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    content = members(good)[name]
    refused(changed(good, name, content.replace(b"?>", b"?>" + bomb, 1)), "DTD")


def test_comments_and_sections_in_a_sheet(good: Path, refused: Refused) -> None:
    row = b"<row><c><!-- --><v>1</v></c></row>"
    refused(changed(good, SHEET, sheet_of(row)), "no program writes")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-7", "windows-1252"])
def test_other_encodings(good: Path, encoding: str, refused: Refused) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><worksheet><sheetData/></worksheet>'
    refused(changed(good, SHEET, text.encode("utf-16" if encoding == "utf-16" else "ascii")), "not UTF-8")


@pytest.mark.parametrize("name", ["xl/workbook.xml", "_rels/.rels", "xl/styles.xml", "xl/_rels/workbook.xml.rels"])
@pytest.mark.parametrize("content", [b"", b"<a", b"<a>" * 100_000, b"\xff\xff<a/>", b"<a/>"])
def test_parts_that_are_none(good: Path, name: str, content: bytes, reader: Reader) -> None:
    told = reader.read(changed(good, name, content))
    assert told.get("class", "RefusedError") == "RefusedError"


def test_parts_that_say_too_much(good: Path, refused: Refused) -> None:
    noise = random.Random(1).randbytes(5 << 20).hex().encode()
    refused(changed(good, "xl/styles.xml", b"<styleSheet>" + noise + b"</styleSheet>"), "says more of itself")


def test_a_text_that_is_not_there(good: Path, refused: Refused) -> None:
    refused(changed(good, SHEET, sheet_of(b'<row><c t="s"><v>99</v></c></row>')), "sheet 1 cannot be read")


def test_an_entity_that_is_none(good: Path, refused: Refused) -> None:
    row = b'<row><c t="str"><v>&S3cret;</v></c></row>'
    refused(changed(good, SHEET, sheet_of(row)), "sheet 1 cannot be read")


def test_a_tag_without_end(good: Path, refused: Refused) -> None:
    refused(
        changed(good, SHEET, b"<worksheet><sheetData><row " + os.urandom(600_000).hex().encode()), "tag without end"
    )


def test_two_sheets_of_one_part(good: Path, refused: Refused) -> None:
    content = members(good)["xl/workbook.xml"]
    sheet = b'<sheet name="proxies" sheetId="1" r:id="rId1"/>'
    assert sheet in content
    refused(changed(good, "xl/workbook.xml", content.replace(sheet, sheet * 900)), "two of its sheets are the same")


def test_a_sheet_that_is_missing(good: Path, refused: Refused) -> None:
    content = members(good)
    del content[SHEET]
    refused(made(good, content), "a sheet of it is missing")


# --- anything


def mutants(content: bytes, seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    for _ in range(12):
        data = bytearray(content)
        for _ in range(chance.choice((1, 3, 20))):
            at = chance.randrange(len(data))
            data[at] = chance.randrange(256)
        yield bytes(data)
    start = chance.randrange(len(content))
    yield content[:start] + content[start + chance.randrange(1, 200) :]


@pytest.mark.parametrize("seed", range(6))
def test_mutants_are_read_or_refused(good: Path, tmp_path: Path, seed: int, reader: Reader) -> None:
    loose = made(tmp_path / "loose.xlsx", members(good), zipfile.ZIP_STORED).read_bytes()
    path = tmp_path / "mutant.xlsx"
    for content in (*mutants(good.read_bytes(), seed), *mutants(loose, seed)):
        path.write_bytes(content)
        assert reader.read(path).get("class", "RefusedError") == "RefusedError"


def test_limits_grow_with_what_is_inside() -> None:
    least = limits_for(1 << 20, 1 << 20)
    assert (least.memory, least.seconds) == (MEMORY, SECONDS)
    assert limits_for(10 << 20, 24 << 20).memory == MEMORY
    assert limits_for(10 << 20, 12 << 20).seconds == SECONDS
    large = limits_for(12 << 20, 120 << 20)
    assert large.memory > 2 * MEMORY
    assert large.seconds == pytest.approx(20.0)
    assert limits_for(100 << 20, 1 << 30).memory == 1 << 30
