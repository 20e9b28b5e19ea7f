"""The data that documents carry with them: exact, harmless to spreadsheets, and counted again."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from tailrace import IntegrityError, attached_csv, attached_rows


def read(frame: pl.DataFrame) -> list[list[str]]:
    return list(csv.reader(io.StringIO(attached_csv(frame).decode(), newline="")))


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        ("pump", pl.String, "pump"),
        ('a "b", c\nd', pl.String, 'a "b", c\nd'),
        ("=1+1", pl.String, "'=1+1"),
        ("'", pl.String, "''"),
        (" @SUM(A1)", pl.String, "' @SUM(A1)"),
        (-5, pl.Int64, "-5"),
        (2**63 - 1, pl.Int64, "9223372036854775807"),
        (0.1, pl.Float64, "0.1"),
        (float("-inf"), pl.Float64, "'-inf"),
        (True, pl.Boolean, "true"),
        (datetime(2026, 8, 15, 6, 0, 0, 5, tzinfo=UTC), pl.Datetime("us", "UTC"), "2026-08-15T06:00:00.000005Z"),
        (date(2026, 8, 15), pl.Date, "2026-08-15"),
        (timedelta(seconds=-90), pl.Duration, "'-PT1M30S"),
        (b"\x00\xff", pl.Binary, "AP8="),
        (["a", "b"], pl.List(pl.String), '["a","b"]'),
        ({"a": 1}, pl.Struct({"a": pl.Int64}), '{"a":1}'),
        (None, pl.String, ""),
    ],
)
def test_values_are_exact(value: Any, dtype: Any, text: str) -> None:
    frame = pl.DataFrame({"n": [1], "v": pl.Series([value], dtype=dtype)})
    assert read(frame) == [["n", "v"], ["1", text]]


def test_nothing_and_an_empty_text_differ() -> None:
    assert attached_csv(pl.DataFrame({"n": [1, 2], "v": [None, ""]})) == b'n,v\n1,\n2,""\n'


def test_names_that_run_as_a_formula_are_guarded() -> None:
    assert read(pl.DataFrame({"=1": [1], "*": [2], "^.*$": [3]}))[0] == ["'=1", "*", "^.*$"]


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"a": [None, "", "x\ny", None]}),
        pl.DataFrame({"a": [1, 2, 3, 4], "b": ["x", "\r\n", '"', None]}),
        pl.DataFrame({"a": ["=", "a,b", "", "'"]}),
    ],
)
def test_rows_are_counted_again(frame: pl.DataFrame) -> None:
    assert attached_rows(attached_csv(frame)) == 4
    assert attached_rows(attached_csv(frame.head(0))) == 0


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2,3\n", b'a,b\n"1,2\n'])
def test_what_is_no_table_is_told(content: bytes) -> None:
    with pytest.raises(IntegrityError):
        attached_rows(content)
