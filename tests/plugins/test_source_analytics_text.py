"""CSV, NDJSON and Squid's log: nothing is dropped, filled up or changed without a word."""

import gzip
import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tailrace_source_analytics import delimited, files, textlog
from tailrace_source_analytics.delimited import Csv
from tailrace_source_analytics.log import ROW
from tailrace_source_analytics.ndjson import Ndjson
from tailrace_source_analytics.options import AnalyticsOptions
from tailrace_source_analytics.rejects import Rejects
from tailrace_source_analytics.source import AnalyticsSource
from tailrace_source_analytics.squid import Squid

from tailrace import (
    BadRow,
    BadRowError,
    BadRows,
    CancelledError,
    Context,
    CredentialMode,
    Dataset,
    Meaning,
    SourceCall,
    SourceError,
)

DATA = Path(__file__).parents[1] / "data"
HEADER = "timestamp,endpoint,http_status,note\n"


@contextmanager
def opened(location: Path | str, *, context: Context | None = None, **options: Any) -> Iterator[Dataset]:
    call = SourceCall(
        location=str(location),
        options=AnalyticsOptions(**options),
        credentials=CredentialMode.SANITIZED,
        moment=datetime(2026, 11, 23, tzinfo=UTC),
        window=None,
        reference=lambda *parts: "ref_" + "_".join(parts),
        context=context or Context(),
    )
    with AnalyticsSource().open(call) as dataset:
        yield dataset


def read(location: Path | str, **options: Any) -> tuple[pl.DataFrame, list[BadRow], int]:
    """All rows, the rows that could not be read, and what the source counts."""
    with opened(location, **options) as dataset:
        (table,) = dataset.tables
        frame = table.frame.collect()
        assert list(frame.columns) == [column.name for column in table.columns]
        assert table.count_rows is not None
        counted = table.count_rows()
        assert counted == frame.height + table.bad_rows.count
        return frame, list(table.bad_rows.examples), counted


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- CSV ------------------------------------------------------------------------------------------------------------


def test_csv_keeps_text_as_it_is_and_casts_canonical_columns(tmp_path: Path) -> None:
    path = written(
        tmp_path / "log.csv",
        "timestamp,http_status,success,response_time_ms,id,note\n"
        '2026-08-15T00:00:00Z,200,true,1.5,007,"a ""b"", c\nd"\n'
        '2026-08-15 01:00:00.25+02:00,404.0,0,,12345678901234567890123,""\n2026-08-15T02:00:00Z,,NO,7,1e5,\n',
    )
    frame, bad, _count = read(path)
    assert bad == []
    assert frame.schema == pl.Schema(
        {
            "timestamp": pl.Datetime("us", "UTC"),
            "http_status": pl.Int64(),
            "success": pl.Boolean(),
            "response_time_ms": pl.Float64(),
            "id": pl.String(),
            "note": pl.String(),
        }
    )
    assert frame.rows() == [
        (datetime(2026, 8, 15, tzinfo=UTC), 200, True, 1.5, "007", 'a "b", c\nd'),
        (datetime(2026, 8, 14, 23, 0, 0, 250_000, tzinfo=UTC), 404, False, None, "12345678901234567890123", ""),
        (datetime(2026, 8, 15, 2, tzinfo=UTC), None, False, 7.0, "1e5", None),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2026-08-15T00:00:01Z,x,200", "it has 3 fields, and the header 4"),
        ("2026-08-15T00:00:01Z,x,200,", ""),
        ("2026-08-15T00:00:01Z,x,200,n,m", "it has 5 fields, and the header 4"),
        ('2026-08-15T00:00:01Z,"x,200,n', "its quotes"),
        ('2026-08-15T00:00:01Z,x,200,5" wide', "its quotes"),
        ('2026-08-15T00:00:01Z,"x"y"z",200,n', "its quotes"),
        ('2026-08-15T00:00:01Z,""x"",200,n', "its quotes"),
        ("2026-08-15T00:00:01Z,x\ry,200,n", "its quotes"),
        ('2026-08-15T00:00:01Z,"x\ry",200,n', ""),
    ],
)
def test_a_csv_record_that_is_not_whole_is_a_bad_row(tmp_path: Path, row: str, reason: str) -> None:
    good = "2026-08-15T00:00:00Z,a,200,b\n"
    path = written(tmp_path / "log.csv", f"{HEADER}{good}{row}\n{good}\n{good}")
    if not reason:
        assert read(path)[0].height == 4
        return
    with pytest.raises(BadRowError, match="Row 2: ") as caught:
        read(path)
    assert (caught.value.row, caught.value.column) == (2, None)
    frame, bad, counted = read(path, on_bad_rows="report")
    assert frame["endpoint"].to_list() == ["a", "a", "a"]
    assert [(one.row, one.column) for one in bad] == [(2, None)]
    assert bad[0].reason.startswith(reason)
    assert counted == 4


def test_a_value_that_does_not_fit_is_a_bad_row_that_is_not_quoted(tmp_path: Path) -> None:
    path = written(
        tmp_path / "log.csv",
        HEADER
        + "2026-08-15T00:00:00Z,a,200,b\nhunter2,a,200,b\n2026-08-15T00:00:00Z,a\n2026-08-15T00:00:00Z,a,hunter2,b\n"
        "2026-08-15T00:00:00Z,a,hunter2,b\nhunter2,a,hunter2,b\n2026-08-15T00:00:00Z,a,7,b\n"
        + "2026-08-15T00:00:00Z,a,8,b\n"
        * 5,
    )
    with pytest.raises(BadRowError) as caught:
        read(path)
    assert "hunter2" not in str(caught.value)
    frame, bad, counted = read(path, on_bad_rows="report")
    assert frame["http_status"].to_list() == [200, 7, 8, 8, 8, 8, 8]
    assert [(one.row, one.column) for one in bad] == [
        (2, "timestamp"),
        (3, None),
        (4, "http_status"),
        (5, "http_status"),
        (6, "timestamp"),
    ]
    assert "hunter2" not in repr(bad)
    assert bad[2].reason == "it is not a whole number"
    assert counted == 12


def test_csv_that_is_not_utf8_is_a_bad_row(tmp_path: Path) -> None:
    path = written(
        tmp_path / "log.csv", HEADER.encode() + b'2026-08-15T00:00:00Z,"\xe9",1,b\n2026-08-15T00:00:00Z,\xe9,1,b\n'
    )
    with pytest.raises(BadRowError, match="Row 1: it is not UTF-8 text"):
        read(path)
    good = HEADER.encode() + b"2026-08-15T00:00:00Z,\xc3\xa9,1,b\n2026-08-15T00:00:00Z,\xe9,1,b\n"
    frame, bad, _count = read(written(path, good), on_bad_rows="report")
    assert (frame["endpoint"].to_list(), [one.row for one in bad]) == (["é"], [2])


def test_csv_dialects(tmp_path: Path) -> None:
    path = written(
        tmp_path / "log.txt", b'\xef\xbb\xbftimestamp;"end;point"\r\n2026-08-15;"x;\r\ny"\r\n\r\n2026-08-16;z\r\n'
    )
    frame, _bad, _count = read(path)
    assert frame.rows() == [
        (datetime(2026, 8, 15, tzinfo=UTC), "x;\r\ny"),
        (datetime(2026, 8, 16, tzinfo=UTC), "z"),
    ]
    assert frame.columns == ["timestamp", "end;point"]
    with opened(path) as dataset:
        assert dataset.notes == (
            "csv: fields are separated by ';'",
            "timestamp: ISO 8601 dates, read as midnight UTC",
        )
    tabs = written(tmp_path / "log.tsv", "timestamp\tnote\n2026-08-15\ta|b|c\n")
    assert read(tabs)[0]["note"].to_list() == ["a|b|c"]
    assert read(tabs, separator="|", kind="csv", on_bad_rows="report")[0].height == 0


def test_a_last_record_without_line_break_is_whole_or_a_bad_row(tmp_path: Path) -> None:
    row = "2026-08-15T00:00:00Z,a,1,b"
    assert read(written(tmp_path / "log.csv", f"{HEADER}{row}\n{row}"))[0].height == 2
    for torn in (row + ",", row[:-2], row[:-1] + '"b'):
        frame, bad, _count = read(written(tmp_path / "log.csv", f"{HEADER}{row}\n{torn}"), on_bad_rows="report")
        assert (frame.height, [one.row for one in bad]) == (1, [2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: there is not even a header"),
        (b"\n\n", "is empty: there is not even a header"),
        (b"a,a\n1,2\n", "two columns named 'a'"),
        (b"1,2\n3,4\n", "begins with data"),
        (b"2026-08-15T00:00:00Z,https://a\n", "begins with data"),
        (b"a,b\r1,2\r", "bare carriage return"),
        (b"a,\xff\n1,2\n", "is not UTF-8 text"),
        (b'a,"b"c\n1,2\n', "header that cannot be read"),
        (b"a,b\n1,\x002\n", "not a kind of file"),
        (b"\xff\xfea\x00", "UTF-16"),
        (b"PK\x03\x04rest", "zip"),
        (b"\x28\xb5\x2f\xfdrest", "zstd"),
        (b"\x1f\x8brest", "damaged or cut off gzip"),
        (b'[{"a":1}]', "is one JSON document"),
        (b'{\n "a": 1\n}\n', "no line of its beginning is a whole object"),
        (b'1.2.3.4 - u [15/Aug/2026:00:24:05 +0000] "GET / HTTP/1.1" 200 1\n', "common (httpd) format"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        read(written(tmp_path / "data", content))
    assert message in str(caught.value)
    assert caught.value.hint


def test_a_header_over_two_lines(tmp_path: Path) -> None:
    frame, _bad, _count = read(written(tmp_path / "log.csv", 'timestamp,"a\nb"\n2026-08-15,x\n'))
    assert frame.columns == ["timestamp", "a\nb"]


def test_a_header_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "_LONGEST_HEADER", 1 << 10)
    with pytest.raises(SourceError, match="its first line does not end"):
        read(written(tmp_path / "log.csv", b"a," * 100_000))


def test_a_header_without_rows_is_zero_rows(tmp_path: Path) -> None:
    for content in ("timestamp,success,cost", "timestamp,success,cost\n"):
        path = written(tmp_path / "log.csv", content)
        frame, _bad, counted = read(path)
        assert (frame.height, counted) == (0, 0)
        assert frame.dtypes == [pl.Datetime("us", "UTC"), pl.Boolean, pl.Float64]
        with opened(path) as dataset:
            assert dataset.notes[-1] == "log.csv has no rows"


def test_columns_without_a_name_get_one(tmp_path: Path) -> None:
    frame, _bad, _count = read(written(tmp_path / "log.csv", "timestamp,,b\n2026-08-15,1,2\n"))
    assert frame.columns == ["timestamp", "column_2", "b"]


def test_one_column_of_csv(tmp_path: Path) -> None:
    frame, _bad, counted = read(written(tmp_path / "log.csv", 'note\na\n\n""\nb\n'))
    assert frame["note"].to_list() == ["a", None, "", "b"]
    assert counted == 4


def test_blocks_of_any_size_give_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f'2026-08-15T00:00:{n % 60:02}Z,"line{n}\n,""quoted""",{n},note{n}\n' for n in range(300)]
    rows[17] = '2026-08-15T00:00:17Z,"never closed,17,x\n'
    rows[250] = "2026-08-15T00:00:17Z,too,short\n"
    path = written(tmp_path / "log.csv", HEADER + "".join(rows))
    packed = written(tmp_path / "packed", gzip.compress(path.read_bytes()))
    whole, bad, _count = read(path, on_bad_rows="report")
    assert whole["http_status"].to_list() == [n for n in range(300) if n not in {17, 250}]
    assert read(packed, on_bad_rows="report")[0].equals(whole)
    assert bad[0].row == 18
    for size in (64, 1000, 5000):
        monkeypatch.setattr(textlog, "BLOCK", size)
        clean = written(
            tmp_path / "clean.csv", HEADER + "".join(row for n, row in enumerate(rows) if n not in {17, 250})
        )
        assert read(clean)[0].equals(whole)
        # Behind a quote that is never closed, a block may end inside a record: told, and never read wrong.
        assert set(read(path, on_bad_rows="report")[0].rows()) <= set(whole.rows())


def test_a_quote_that_is_never_closed_does_not_swallow_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(textlog, "BLOCK", 1 << 10)
    monkeypatch.setattr(textlog, "LONGEST_RECORD", 4 << 10)
    rows = [f"2026-08-15T00:00:00Z,a,{n},b\n" for n in range(2_000)]
    rows[5] = '2026-08-15T00:00:00Z,"a,5,b\n'
    frame, bad, counted = read(written(tmp_path / "log.csv", HEADER + "".join(rows)), on_bad_rows="report")
    assert frame["http_status"].to_list() == [n for n in range(2_000) if n != 5]
    assert [one.row for one in bad] == [6]
    assert counted == 2_000


def test_the_quick_way_and_the_careful_way_agree_about_csv() -> None:
    rng = random.Random(11)
    pieces = ['"', ",", "\n", "x", "é", "\r\n", " ", '""', "x,y,z\n", '"p,q",r,s\n', "\r"]
    quick = 0
    for width in (3, 1):
        grammar = Csv(pl.Schema({f"c{n}": pl.String() for n in range(width)}), ",", {})
        for _ in range(1_200):
            block = "".join(rng.choices(pieces, k=rng.randrange(1, 12))).encode()
            careful = grammar.parse_carefully(block if block.endswith(b"\n") else block + b"\n")
            parsed = grammar.parse(block)
            assert parsed.frame.equals(careful.frame), block
            assert (parsed.records, list(parsed.bad)) == (careful.records, list(careful.bad)), block
            assert grammar.count(block) == careful.records, block
            quick += parsed.kept is None
    assert quick > 100


# --- NDJSON ---------------------------------------------------------------------------------------------------------


def lines(*values: object) -> str:
    return "".join((value if isinstance(value, str) else json.dumps(value)) + "\n" for value in values)


def test_ndjson_has_the_columns_and_types_of_all_its_lines(tmp_path: Path) -> None:
    path = written(
        tmp_path / "log.ndjson",
        lines(
            {"timestamp": "2026-08-15T00:00:00Z", "cost": 1, "n": 1, "mixed": 5, "none": None},
            *({"timestamp": "2026-08-15T00:00:00Z", "cost": 2} for _ in range(500)),
            {"timestamp": "2026-08-15T00:00:00Z", "cost": 0.5, "late": True, "n": None, "mixed": "x", "big": 2**70},
        ),
    )
    frame, _bad, _count = read(path)
    assert frame.schema == pl.Schema(
        {
            "timestamp": pl.Datetime("us", "UTC"),
            "cost": pl.Float64(),
            "n": pl.Int64(),
            "mixed": pl.String(),
            "none": pl.String(),
            "big": pl.String(),
            "late": pl.Boolean(),
        }
    )
    assert frame.row(0)[1:] == (1.0, 1, "5", None, None, None)
    assert frame.row(-1)[1:] == (0.5, None, "x", None, str(2**70), True)


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ('{"timestamp":', None, "it is not one JSON object"),
        ('{"n": 1} {"n": 2}', None, "it is not one JSON object"),
        ("[1]", None, "it is not one JSON object"),
        ("null", None, "it is not one JSON object"),
        ('{"n": NaN}', None, "it is not one JSON object"),
        ('{"n": 1, "n": 2}', None, "it has a key twice"),
        ('{"s": "\\ud800"}', None, "it has half of a surrogate pair, which is no character"),
        ('{"n": true}', "n", "it is not a whole number as in other lines"),
        pytest.param('{"n": ' + "[" * 100_000 + "]" * 100_000 + "}", None, "it is not one JSON object", id="deep"),
        pytest.param('{"n": ["]",' * 101 + "1" + "]}" * 101, None, "it is not one JSON object", id="a little deep"),
    ],
)
def test_a_line_that_is_not_one_object_is_a_bad_row(tmp_path: Path, line: str, column: str | None, reason: str) -> None:
    good = {"timestamp": "2026-08-15T00:00:00Z", "n": 1, "s": "é\ud83d\ude00"}
    path = written(tmp_path / "log.ndjson", lines(good, "", good, line, good))
    with pytest.raises(BadRowError) as caught:
        read(path)
    assert (caught.value.row, caught.value.column) == (4, column)
    frame, bad, counted = read(path, on_bad_rows="report")
    assert frame["s"].to_list() == ["é😀"] * 3
    assert bad == [BadRow(4, column, reason)]
    assert counted == 4


def test_ndjson_that_is_not_utf8_is_a_bad_row(tmp_path: Path) -> None:
    path = written(tmp_path / "log.ndjson", b'{"a": "x"}\n{"a": "\xff"}\n')
    frame, bad, _count = read(path, on_bad_rows="report")
    assert frame["a"].to_list() == ["x"]
    assert bad == [BadRow(2, None, "it is not UTF-8 text")]


def test_objects_and_lists_become_json_text_without_secrets(tmp_path: Path) -> None:
    path = written(
        tmp_path / "log.ndjson",
        lines(
            {"request": {"url": "http://u:pw@h/", "password": "hunter2", "n": None}, "tags": [1, None]},
            {"request": {"token": ["hunter2"], "x": 'a":'}, "tags": None},
            {"request": {"other": {"api_key": 5}}, "tags": ["a"]},
        ),
    )
    with opened(path) as dataset:
        frame = dataset.tables[0].frame.collect()
        assert dataset.tables[0].sample is not None
        assert dataset.tables[0].sample(10).equals(frame)
        assert dataset.notes[0] == "ndjson: objects and lists become JSON text: request, tags"
    assert [json.loads(text) for text in frame["request"]] == [
        {"url": "http://h/", "password": None, "n": None},
        {"token": None, "x": 'a":'},
        {"other": {"api_key": None}},
    ]
    assert frame["tags"].to_list() == ["[1, null]", None, '["a"]']


def test_ndjson_with_byte_order_mark_blank_lines_and_gzip(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + lines({"ts": 1786752000, "a": "x"}).encode() + b"\r\n  \n" + b'{"a": "y"}'
    for path in (written(tmp_path / "log", content), written(tmp_path / "log.gz", gzip.compress(content))):
        frame, _bad, counted = read(path)
        assert frame.rows() == [(datetime(2026, 8, 15, tzinfo=UTC), "x"), (None, "y")]
        assert counted == 2


def test_keys_are_found_in_lines_that_polars_cannot_read(tmp_path: Path) -> None:
    path = written(tmp_path / "log.ndjson", lines({"a": 1, "b": {"c": 1}}, "{", {"a": 2**70, "d": None}, {"a": 1.5}))
    frame, bad, _count = read(path, on_bad_rows="report")
    assert frame.rows() == [("1", '{"c": 1}', None), (str(2**70), None, None), ("1.5", None, None)]
    assert bad == [BadRow(2, None, "it is not one JSON object")]


def test_ndjson_of_no_keys_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No line is a JSON object"):
        read(written(tmp_path / "log.ndjson", "{}\n{}\n"))


def test_a_file_said_to_be_ndjson_but_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is empty"):
        read(written(tmp_path / "log.ndjson", ""), kind="ndjson")


def test_a_number_that_no_other_line_has_room_for() -> None:
    grammar = Ndjson(pl.Schema({"a": pl.String(), "n": pl.Int64()}))
    parsed = grammar.parse(b'{"a": "x", "n": 1}\n{"a": "y", "n": 99999999999999999999}\n')
    assert parsed.frame.rows() == [("x", 1)]
    assert list(parsed.bad) == [(1, None, "it holds a value that cannot be represented")]


# --- Squid ----------------------------------------------------------------------------------------------------------

SQUID = [
    "1786752000.908   3756 10.0.0.1 TCP_MISS/200 660363 GET http://u:p@a.com/ - HIER_DIRECT/93.184.216.34 text/html",
    "1786752001.000      0 10.0.0.2 TCP_DENIED/403 3900 CONNECT b.example:443 - HIER_NONE/- text/html",
    "1786752002.001    120 10.0.0.3 TCP_MISS/302 512 GET http://c.example/ alice FIRSTUP_PARENT/203.0.113.9 -",
    "1786752003.999  60000 10.0.0.4 TCP_MISS_ABORTED/000 0 GET http://d.example/ - ROUNDROBIN_PARENT/203.0.113.8 -",
    "1786752004.500      3 10.0.0.5 TCP_MEM_HIT/200 9 GET http://e.example/ - HIER_NONE/- image/png",
    "1786752005.500      3 10.0.0.5 TCP_MISS/503 9 GET http://f.example/ - HIER_DIRECT/f.example text/html",
]


def test_squid_lines_become_canonical_columns(tmp_path: Path) -> None:
    path = written(tmp_path / "access.log", "\n".join(SQUID) + "\n")
    frame, _bad, counted = read(path)
    assert counted == 6
    assert frame["timestamp"].to_list()[:2] == [
        datetime(2026, 8, 15, 0, 0, 0, 908_000, tzinfo=UTC),
        datetime(2026, 8, 15, 0, 0, 1, tzinfo=UTC),
    ]
    assert frame.schema == Squid.schema
    assert frame["response_time_ms"].to_list() == [3756.0, 0.0, 120.0, 60000.0, 3.0, 3.0]
    assert frame["endpoint"].to_list()[:2] == ["http://a.com/", "b.example:443"]
    assert frame["http_status"].to_list() == [200, 403, 302, None, 200, 503]
    assert frame["success"].to_list() == [True, False, True, False, True, False]
    assert frame["error_code"].to_list() == [None, "TCP_DENIED", None, "TCP_MISS_ABORTED", None, "TCP_MISS"]
    assert frame["proxy_source"].to_list() == [None, None, "203.0.113.9", "203.0.113.8", None, None]
    assert frame["peer"].to_list() == ["93.184.216.34", None, "203.0.113.9", "203.0.113.8", None, "f.example"]
    assert frame["hierarchy"].to_list()[:3] == ["HIER_DIRECT", "HIER_NONE", "FIRSTUP_PARENT"]
    assert frame["content_type"].to_list() == ["text/html", "text/html", None, None, "image/png", "text/html"]
    assert frame["user"].to_list() == [None] * 6
    with opened(path) as dataset:
        table = dataset.tables[0]
        assert (dataset.version, table.time_column, table.meaning("user")) == (
            "analytics-squid",
            "timestamp",
            Meaning.SECRET,
        )
        assert dataset.notes == ("credentials, emptied: user",)


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("hello", None),
        (SQUID[0] + " more", None),
        (SQUID[0].replace("text/html", ""), None),
        (SQUID[0].replace("1786752000.908", "1786752000"), "timestamp"),
        (SQUID[0].replace("3756", "fast"), "response_time_ms"),
        (SQUID[0].replace("TCP_MISS/200", "TCP_MISS"), "http_status"),
        (SQUID[0].replace("660363", "-"), "bytes_transferred"),
        (SQUID[0].replace("HIER_DIRECT/93.184.216.34", "-"), "hierarchy"),
        (SQUID[0].replace("a.com", "\udcff"), None),
        (SQUID[0][:-60], None),
    ],
)
def test_a_squid_line_that_does_not_fit_is_a_bad_row(tmp_path: Path, line: str, column: str | None) -> None:
    content = f"{SQUID[1]}\n{SQUID[2]}\n\n{line}\n{SQUID[4]}\n".encode(errors="surrogateescape")
    path = written(tmp_path / "access.log", content)
    with pytest.raises(BadRowError) as caught:
        read(path)
    assert (caught.value.row, caught.value.column) == (4, column)
    frame, bad, counted = read(path, on_bad_rows="report")
    assert frame["client"].to_list() == ["10.0.0.2", "10.0.0.3", "10.0.0.5"]
    assert [(one.row, one.column) for one in bad] == [(4, column)]
    assert counted == 4
    # And where it is the last line, as Squid is just writing it.
    torn = written(path, f"{SQUID[1]}\n{SQUID[2]}\n{line}".encode(errors="surrogateescape"))
    assert [one.row for one in read(torn, on_bad_rows="report")[1]] == [3]


def test_rotated_squid_logs_come_oldest_first(tmp_path: Path) -> None:
    written(tmp_path / "access.log", SQUID[3] + "\n")
    written(tmp_path / "access.log.1", SQUID[2])
    written(tmp_path / "access.log.2.gz", gzip.compress((SQUID[1] + "\n").encode()))
    written(tmp_path / "access.log.10", SQUID[0] + "\nbroken\n")
    frame, bad, _count = read(tmp_path, on_bad_rows="report")
    assert frame["client"].to_list() == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]
    assert bad == [BadRow(2, None, "it has 1 fields instead of 10 (line 2 of access.log.10)")]
    assert read(tmp_path / "access.log.1")[0].height == 1


def test_an_empty_squid_log_has_no_rows(tmp_path: Path) -> None:
    frame, _bad, counted = read(written(tmp_path / "access.log", ""))
    assert (frame.height, counted, frame.width) == (0, 0, 15)
    assert read(written(tmp_path / "other", ""), kind="squid")[0].height == 0


def test_the_sample_of_squids_own_log_can_be_read() -> None:
    frame, _bad, counted = read(DATA / "squid-access.log")
    assert counted == frame.height == 12
    assert frame["timestamp"].is_sorted()


# --- snapshots ------------------------------------------------------------------------------------------------------


def test_what_a_log_gets_later_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path / "access.log", "\n".join(SQUID[:3]))
    with opened(path) as dataset:
        with path.open("a") as log:
            log.write("\n" + SQUID[3] + "\n")
        (table,) = dataset.tables
        assert table.frame.collect().height == 3
        assert table.count_rows is not None
        assert table.count_rows() == 3


def test_a_log_that_is_rotated_meanwhile_is_read_to_its_end(tmp_path: Path) -> None:
    path = written(tmp_path / "access.log", "\n".join(SQUID))
    with opened(path) as dataset:
        path.rename(tmp_path / "access.log.1")
        written(path, "")
        assert dataset.tables[0].frame.collect().height == 6


def test_a_log_that_is_cut_meanwhile_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "access.log", "\n".join(SQUID))
    with opened(path) as dataset:
        written(path, SQUID[0])
        with pytest.raises(SourceError, match="became shorter"):
            dataset.tables[0].frame.collect()


def test_so_many_logs_that_they_cannot_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_HELD_OPEN", 1)
    for name, line in (("access.log.1", SQUID[0]), ("access.log", SQUID[1])):
        written(tmp_path / name, line + "\n")
    assert read(tmp_path)[0].height == 2
    with opened(tmp_path) as dataset:
        written(tmp_path / "new", SQUID[2] + "\n").rename(tmp_path / "access.log")
        with pytest.raises(SourceError, match="was replaced"):
            dataset.tables[0].frame.collect()


def test_a_log_that_cannot_be_opened_closes_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = files.find_files(written(tmp_path / "access.log", SQUID[0]).parent)
    missing = files.DataFile(tmp_path / "gone", 1, (0, 0), 0)
    closed: list[int] = []
    monkeypatch.setattr(os, "close", closed.append)
    with pytest.raises(SourceError, match="There is no file"):
        files.hold([*found, missing])
    assert len(closed) == 1


def test_a_gzip_file_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    rng = random.Random(3)
    content = HEADER + "".join(f"2026-08-15T00:00:00Z,{rng.random()},1,b\n" for _ in range(20_000))
    packed = gzip.compress(content.encode())
    path = written(tmp_path / "log.csv.gz", packed[:-5000])
    with pytest.raises(SourceError, match="damaged or cut off gzip"):
        read(path)


def test_reading_stops_when_it_is_cancelled(tmp_path: Path) -> None:
    context = Context()
    with opened(written(tmp_path / "access.log", SQUID[0]), context=context) as dataset:
        context.cancel()
        with pytest.raises(CancelledError):
            dataset.tables[0].frame.collect()


def test_filters_columns_and_limits_of_a_lazy_reader(tmp_path: Path) -> None:
    with opened(written(tmp_path / "access.log", "\n".join(SQUID))) as dataset:
        frame = dataset.tables[0].frame
        assert frame.filter(pl.col("http_status") == 200).select("client").collect()["client"].to_list() == [
            "10.0.0.1",
            "10.0.0.5",
        ]
        assert frame.head(2).collect().height == 2
        assert frame.select(pl.len()).collect().item() == 6


def test_rows_are_numbered_as_they_lie(tmp_path: Path) -> None:
    content = "\n".join([SQUID[0], "torn", "", SQUID[1]]) + "\n"
    found = [files.DataFile.at(written(tmp_path / name, content)) for name in ("a.log", "b.log")]
    rejects = Rejects(BadRows())
    day = pl.Series("day", ["x", "y"])
    text = textlog.TextFiles(found, Squid(), [day], rejects, Context())
    batches = list(text.batches(numbered=True))
    assert [batch[ROW].to_list() for batch in batches] == [[1, 4], [5, 8]]
    assert [batch["day"].to_list() for batch in batches] == [["x", "x"], ["y", "y"]]
    assert rejects.bad_rows is not None
    assert [bad.row for bad in rejects.bad_rows.examples] == [2, 6]
    assert [batch.columns[0] for batch in text.batches(numbered=False)] == ["timestamp", "timestamp"]
    clean = textlog.TextFiles([files.DataFile.at(written(tmp_path / "c", SQUID[0]))], Squid(), (), rejects, Context())
    assert [batch[ROW].to_list() for batch in clean.batches(numbered=True)] == [[1]]


def test_samples_are_spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textlog, "BLOCK", 1 << 12)
    content = "\n".join(SQUID[0].replace("10.0.0.1", f"10.0.{n // 256}.{n % 256}") for n in range(2_000)) + "\n"
    path = written(tmp_path / "access.log", content)

    def clients(location: Path, n: int) -> list[str]:
        with opened(location) as dataset:
            sample = dataset.tables[0].sample
            assert sample is not None
            return sample(n)["client"].to_list()

    taken = clients(path, 100)
    assert len(taken) == 100
    assert taken[0] == "10.0.0.0"
    assert int(taken[-1].split(".")[2]) >= 5
    folder = tmp_path / "many"
    folder.mkdir()
    for day in range(5):
        written(folder / f"access.log.{day}", SQUID[day] + "\n")
    assert clients(folder, 100) == ["10.0.0.5", "10.0.0.3", "10.0.0.1"]


def test_every_grammar_names_what_it_counts() -> None:
    makers: list[Callable[[], Any]] = [Squid, lambda: Ndjson(pl.Schema()), lambda: Csv(pl.Schema(), ",", {})]
    assert [(maker().name, maker().record) for maker in makers] == [
        ("squid", "line"),
        ("ndjson", "line"),
        ("csv", "record"),
    ]
