import io
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
import tailrace_format_csv.reread
from tailrace_format_csv import CsvFormat, CsvOptions

from tailrace import Context, IntegrityError, OutgoingTable, RereadCall, WriteCall

FORMAT = CsvFormat()
TRICKY = pl.DataFrame(
    {
        "a": ["x", None, "", '"', '""', '"\n"', "\r\n", "\n\n\n", ',"\n,"', 'é"\n', "\r"] * 3,
        "b": [1, None, 3] * 11,
        'c"\n': ["", "\n", '"'] * 11,
    }
)


def write(frame: pl.DataFrame, **options: Any) -> bytes:
    output = io.BytesIO()
    table = OutgoingTable("t", frame.lazy(), ())
    FORMAT.write(WriteCall((table,), output, CsvOptions(**options), {}, lambda _note: None, Context()))
    return output.getvalue()


def in_blocks(data: bytes, size: int) -> Iterator[bytes]:
    yield from (data[start : start + size] for start in range(0, len(data), size))


def count(data: bytes, *, thorough: bool, columns: int, size: int = 1 << 20, **options: Any) -> int:
    call = RereadCall(in_blocks(data, size), CsvOptions(**options), ["t"], thorough, {"t": columns})
    counted = FORMAT.count_rows(call)
    assert list(counted) == ["t"]
    assert next(call.blocks, None) is None
    return counted["t"]


@pytest.fixture(params=[False, True], ids=["quick", "thorough"])
def thorough(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("batch", [5, 8 << 20])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"profile": "excel"},
        {"delimiter": "tab", "header": False},
        {"delimiter": "\\", "bom": True},
        {"delimiter": "^"},
    ],
)
def test_rows_are_counted_wherever_blocks_end(
    options: dict[str, Any], batch: int, size: int, *, thorough: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailrace_format_csv.reread, "_BATCH", batch)
    data = write(TRICKY, **options)
    assert count(data, thorough=thorough, columns=3, size=size, **options) == TRICKY.height


@pytest.mark.parametrize("options", [{}, {"nulls": "NULL"}, {"profile": "excel"}, {"header": False}])
def test_a_single_column_keeps_its_rows(options: dict[str, Any], *, thorough: bool) -> None:
    frame = pl.DataFrame({"a": [None, "x", None, "y\n", None]})
    assert count(write(frame, **options), thorough=thorough, columns=1, **options) == 5


@pytest.mark.parametrize("options", [{}, {"header": False}, {"header": False, "bom": True}, {"profile": "excel"}])
def test_no_rows(options: dict[str, Any], *, thorough: bool) -> None:
    frame = pl.DataFrame(schema={"a": pl.String, "b": pl.Int8})
    assert count(write(frame, **options), thorough=thorough, columns=2, **options) == 0


def test_many_rows_in_many_batches(*, thorough: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailrace_format_csv.reread, "_BATCH", 1 << 16)
    frame = pl.DataFrame(
        {"a": [f'{"x" * (n % 300)}"{n}\n' if n % 5 else f"{n}" for n in range(20_000)], "b": range(20_000)}
    )
    assert count(write(frame), thorough=thorough, columns=2, size=10_007) == 20_000


@pytest.mark.parametrize("options", [{}, {"profile": "excel"}, {"header": False}])
def test_every_truncation_within_a_row_is_found(options: dict[str, Any], *, thorough: bool) -> None:
    frame = pl.DataFrame({"a": ["x", 'q"uo\nted'], "b": [1, 2]})
    data = write(frame, **options)
    whole = []
    for length in range(len(data)):
        try:
            whole.append((length, count(data[:length], thorough=thorough, columns=2, **options)))
        except IntegrityError:
            continue
    # What is left is cut between two rows, where only the number of rows tells.
    ends = [write(frame.head(rows), **options) for rows in range(2)]
    assert whole == [(len(end), rows) for rows, end in enumerate(ends) if end or not CsvOptions(**options).bom]


@pytest.mark.parametrize(
    ("data", "message", "options"),
    [
        (b"", "without even its header", {}),
        (b"\xef\xbb", "byte order mark", {"bom": True}),
        (b"a,b\n", "byte order mark", {"bom": True}),
        (b"a,b\n1,2", "middle of a row", {}),
        (b"a,b\r\n1,2\n", "", {"line_ending": "crlf"}),
        (b'a,b\n1,"2', "It ends", {}),
        (b'a,b\n1,"2\n', "It ends", {}),
    ],
)
def test_damage_that_both_ways_find(data: bytes, message: str, options: dict[str, Any], *, thorough: bool) -> None:
    with pytest.raises(IntegrityError, match=message or "as it was written") as error:
        count(data, thorough=thorough, columns=2, **options)
    assert "export again" in error.value.hint


@pytest.mark.parametrize(
    ("data", "message", "options"),
    [
        (b"a,b\n1,2\n3\n", "Row 2 is not 2 well-formed fields", {}),
        (b"a,b\n1,2\n3,4,5\n", "Row 2 is", {}),
        (b"1,2\n3\n", "Row 2 is", {"header": False}),
        (b"a\n1,2\n", "The header is", {}),
        (b"a,b\n1,2\n\n3,4\n", "Row 2 is", {}),
        (b'a,b\n1,x"y"\n', "Row 1 is", {}),
        (b'a,b\n"x"y,2\n', "Row 1 is", {}),
        (b'a,b\n1,"\n"\n3,"4"5"6"\n', "Row 2 is", {}),
        (b"a,b\n1,2\r\n", "Row 1 is", {}),
        (b"a,b\n1\r,2\n", "Row 1 is", {}),
        (b"a,b\r\n1,2\n3,4\r\n", "Row 1 is", {"line_ending": "crlf"}),
        (b"a,b\r\n1,2\r\r\n", "Row 1 is", {"line_ending": "crlf"}),
        (b'a,b\n"\n",2\n3,\xff\n', "Row 2 is not UTF-8", {}),
        (b"\xff,b\n", "The header is not UTF-8", {}),
        (b"a,b\n1;2\n", "Row 1 is", {}),
        (b"a|b\n1|2|3\n", "Row 1 is", {"delimiter": "|"}),
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_damage_is_found_by_its_row(data: bytes, message: str, options: dict[str, Any], size: int) -> None:
    with pytest.raises(IntegrityError, match=message):
        count(data, thorough=True, columns=2, size=size, **options)


def test_rows_are_numbered_through_all_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailrace_format_csv.reread, "_BATCH", 64)
    data = b"a,b\n" + b"1,2\n" * 1_000 + b"3\n" + b"1,2\n" * 1_000
    with pytest.raises(IntegrityError, match="Row 1001 is"):
        count(data, thorough=True, columns=2, size=16)


def test_an_empty_line_is_no_row_of_a_single_column() -> None:
    with pytest.raises(IntegrityError, match="Row 2 is"):
        count(b"a\nx\n\ny\n", thorough=True, columns=1)


def test_a_quote_that_never_ends_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailrace_format_csv.reread, "_BATCH", 1 << 10)
    monkeypatch.setattr(tailrace_format_csv.reread, "_LONGEST_RECORD", 1 << 12)
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield b'a\n"'
        while True:
            taken += 1
            yield b"x\n" * 256

    with pytest.raises(IntegrityError, match="a quote that never ends"):
        FORMAT.count_rows(RereadCall(endless(), CsvOptions(), ["t"], thorough=True, columns={"t": 1}))
    assert taken < 20


@pytest.mark.parametrize("start", [b"x^", b"x\x9c", b"\x1f\x8b\x08", b"(\xb5/\xfd", b"#", b"\n"])
def test_no_beginning_of_a_block_is_special(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailrace_format_csv.reread, "_BATCH", 1)
    blocks = iter([b"a\nb", start + b"\n", start + b"\n"])
    counted = FORMAT.count_rows(RereadCall(blocks, CsvOptions(), ["t"], thorough=False, columns={"t": 1}))
    assert counted == {"t": 2 + start.count(b"\n") * 2}
