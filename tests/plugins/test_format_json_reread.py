import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
import pytest
import tailrace_format_json.reread
from tailrace_format_json import JsonFormat, JsonOptions

from tailrace import Context, IntegrityError, OutgoingTable, RereadCall, WriteCall

FORMAT = JsonFormat()
TABLES = {
    "first": pl.DataFrame({"a": ["x", "\n]", None, "]\n", '"],\n', "{}"], "b": [[1], [], [2, 3], None, [4], [5]]}),
    "empty": pl.DataFrame(schema={"c": pl.Int8}),
    'odd "]\n': pl.DataFrame({"d": [1, 2, 3]}),
}
ROWS = {"first": 6, "empty": 0, 'odd "]\n': 3}


def write(tables: dict[str, pl.DataFrame], manifest: Mapping[str, Any] | None = None, **options: Any) -> bytes:
    output = io.BytesIO()
    outgoing = [OutgoingTable(name, frame.lazy(), ()) for name, frame in tables.items()]
    content = {"empty": {}, "list": [1, [2], {}], "text": "\n]", "last": {}} if manifest is None else manifest
    FORMAT.write(WriteCall(outgoing, output, JsonOptions(**options), content, lambda _note: None, Context()))
    return output.getvalue()


def in_blocks(data: bytes, size: int) -> Iterator[bytes]:
    yield from (data[start : start + size] for start in range(0, len(data), size))


def count(
    data: bytes, columns: dict[str, int], *, thorough: bool, size: int = 1 << 20, **options: Any
) -> dict[str, int]:
    call = RereadCall(in_blocks(data, size), JsonOptions(**options), list(columns), thorough, columns)
    counted = dict(FORMAT.count_rows(call))
    assert next(call.blocks, None) is None
    return counted


@pytest.fixture(params=[False, True], ids=["quick", "thorough"])
def thorough(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


COLUMNS = {name: frame.width for name, frame in TABLES.items()}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("batch", [1, 32, 4 << 20])
@pytest.mark.parametrize("manifest", [None, {}])
def test_rows_of_a_document_are_counted_wherever_blocks_end(
    manifest: dict[str, Any] | None, batch: int, size: int, *, thorough: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailrace_format_json.reread, "_BATCH", batch)
    assert count(write(TABLES, manifest), COLUMNS, thorough=thorough, size=size) == ROWS


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("batch", [1, 32, 4 << 20])
def test_lines_are_counted_wherever_blocks_end(
    batch: int, size: int, *, thorough: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailrace_format_json.reread, "_BATCH", batch)
    data = write({"t": TABLES["first"]}, layout="lines")
    assert count(data, {"t": 2}, thorough=thorough, size=size, layout="lines") == {"t": 6}


def test_nothing_is_no_rows(*, thorough: bool) -> None:
    assert count(write({}), {}, thorough=thorough) == {}
    assert count(write({}, {}), {}, thorough=thorough) == {}
    assert count(b"", {"t": 3}, thorough=thorough, layout="lines") == {"t": 0}


def test_many_rows_in_many_batches(*, thorough: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailrace_format_json.reread, "_BATCH", 1 << 16)
    frame = pl.DataFrame({"a": ["x" * (n % 300) for n in range(20_000)], "b": [[n] for n in range(20_000)]})
    assert count(write({"t": frame}), {"t": 2}, thorough=thorough, size=10_007) == {"t": 20_000}
    data = write({"t": frame}, layout="lines")
    assert count(data, {"t": 2}, thorough=thorough, size=10_007, layout="lines") == {"t": 20_000}


def test_every_truncation_of_a_document_is_found(*, thorough: bool) -> None:
    data = write(TABLES)
    for length in range(len(data)):
        with pytest.raises(IntegrityError):
            count(data[:length], COLUMNS, thorough=thorough)


def test_truncated_lines_are_found(*, thorough: bool) -> None:
    data = write({"t": TABLES["first"]}, layout="lines")
    ends = [match.end() for match in re.finditer(rb"\n", data)]
    for length in range(1, len(data)):
        if length in ends:
            assert count(data[:length], {"t": 2}, thorough=thorough, layout="lines") == {"t": ends.index(length) + 1}
        else:
            with pytest.raises(IntegrityError, match="It ends in the middle of a row"):
                count(data[:length], {"t": 2}, thorough=thorough, layout="lines")


GOOD = b'{\n"manifest": {},\n"t": [\n{"a":1,"b":2},\n{"a":1,"b":[{"c":1}]}\n]\n}\n'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"{\n", b"[\n", "structure is broken"),
        (b'"manifest": {}', b'"manifest": []', "no manifest"),
        (b'"manifest": {}', b'"manifes": {}', "no manifest"),
        (b'"manifest": {}', b'"manifest": {\n  "x": \n}', "no manifest"),
        (b'"manifest": {}', b'"manifest": {\n  "x": NaN\n}', "no manifest"),
        (b'"manifest": {}', b'"manifest": {\n  "x": \xff\n}', "no manifest"),
        (b'"t": [', b'"u": [', "'u' twice, or one that should not be there"),
        (b'"t": [', b'"t": [ ', "structure is broken"),
        (b'"t": [', b"5: [", "structure is broken"),
        (b"\n]\n}", b"\n],\n}", "structure is broken"),
        (b"\n]\n}", b'\n],\n"t": [\n]\n}', "'t' twice"),
        (b"\n]\n}", b"\n] \n}", "structure is broken"),
        (b"\n]\n}\n", b"\n]\n}\n}", "structure is broken"),
        (b"\n]\n}\n", b"\n]\n}\n\n", "structure is broken"),
        (b"\n]\n}\n", b"\n]\n}", "structure is broken"),
    ],
)
def test_a_broken_structure_is_found(old: bytes, new: bytes, message: str, *, thorough: bool) -> None:
    assert count(GOOD, {"t": 2}, thorough=thorough) == {"t": 2}
    damaged = GOOD.replace(old, new, 1)
    assert damaged != GOOD
    with pytest.raises(IntegrityError, match=message) as error:
        count(damaged, {"t": 2}, thorough=thorough)
    assert "export again" in error.value.hint


def test_a_missing_table_is_found(*, thorough: bool) -> None:
    with pytest.raises(IntegrityError, match="Table 'u' is missing"):
        count(GOOD, {"t": 2, "u": 1}, thorough=thorough)


BAD_ROWS = [
    b'{"a":1}',
    b'{"a":1,"b":2,"c":3}',
    b'{"a":1,"b":}',
    b'{"a":1,"b":NaN}',
    b'{"a":1,"b":"\xff"}',
    b'{"a":1,"b":"\xed\xa0\x80"}',
    b'{"a":1,"b":"\t"}',
    b'["a","b"]',
    b"5",
    b'"ab"',
    b"",
    b'{"a":1,"b":2} {"a":1,"b":2}',
    b'{"a":1,"b":2},{"a":1,"b":2}',
    b'{"a":1,"b":2},',
    b'{"a":1,"b":' + b"[" * 200_000,
]


@pytest.mark.parametrize("bad", BAD_ROWS)
@pytest.mark.parametrize("batch", [1, 4 << 20])
def test_a_damaged_row_is_found_by_its_number(bad: bytes, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailrace_format_json.reread, "_BATCH", batch)
    good = b'{"a":{"x":1,"y":2,"z":3},"b":2}'
    with pytest.raises(IntegrityError, match="Row 3 is not an object of 2 keys"):
        count(b"\n".join([good, good, bad, good]) + b"\n", {"t": 2}, thorough=True, size=16, layout="lines")
    document = b'{\n"manifest": {},\n"t": [\n' + b",\n".join([good, good, bad, good]) + b"\n]\n}\n"
    with pytest.raises(IntegrityError, match="In table 't', row 3 is not an object of 2 keys"):
        count(document, {"t": 2}, thorough=True, size=16)
    with pytest.raises(IntegrityError):
        count(b'{\n"manifest": {},\n"t": [\n' + good + b",\n" + bad + b"\n]\n}\n", {"t": 2}, thorough=True)


@pytest.mark.parametrize("batch", [1, 4 << 20])
def test_a_missing_or_needless_comma_is_found(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailrace_format_json.reread, "_BATCH", batch)
    start, end = b'{\n"manifest": {},\n"t": [\n', b"]\n}\n"
    with pytest.raises(IntegrityError, match="row 2 is"):
        count(start + b'{"a":1},\n{"a":2}\n{"a":3}\n' + end, {"t": 1}, thorough=True, size=8)
    with pytest.raises(IntegrityError, match="row 2 is"):
        count(start + b'{"a":1},\n{"a":2},\n' + end, {"t": 1}, thorough=True, size=8)


@pytest.mark.parametrize("start", [b"", b'{\n"manifest": {\n', b'{\n"manifest": {},\n"t": [\n'])
def test_a_line_that_never_ends_does_not_fill_the_memory(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailrace_format_json.reread, "_BATCH", 1 << 10)
    monkeypatch.setattr(tailrace_format_json.reread, "_LONGEST_LINE", 1 << 12)
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield start
        while True:
            taken += 1
            yield b"x" * 512

    options = JsonOptions(layout="document" if start else "lines")
    with pytest.raises(IntegrityError, match="much too long"):
        FORMAT.count_rows(RereadCall(endless(), options, ["t"], thorough=True, columns={"t": 1}))
    assert taken < 20


def test_a_manifest_that_never_ends_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailrace_format_json.reread, "_LONGEST_LINE", 1 << 12)

    def endless() -> Iterator[bytes]:
        yield b'{\n"manifest": {\n'
        while True:
            yield b"  1,\n" * 100

    with pytest.raises(IntegrityError, match="middle of its manifest"):
        FORMAT.count_rows(RereadCall(endless(), JsonOptions(), ["t"], thorough=False, columns={"t": 1}))
