"""Filters against SQLite: the language is nearly SQL, so the same text must keep the same rows there."""

import sqlite3
from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.model.errors import ExpressionError, UnknownNameError
from tailrace.pipeline.expressions import columns_of, parse
from tailrace.pipeline.moments import moment_of

MOMENT = partial(moment_of, now=datetime(2026, 8, 20, tzinfo=UTC), local=ZoneInfo("UTC"))
WORDS = ["", "a", "ab", "aB", "b%", "a_b", "it's", "ż", "%", "(", "\n"]
SCHEMA = {
    "n": pl.Int64,
    "m": pl.Int64,
    "f": pl.Float64,
    "s": pl.String,
    "r": pl.String,
    "b": pl.Boolean,
    "c": pl.Boolean,
}
TYPES = {"n": "integer", "m": "integer", "f": "real", "s": "text", "r": "text", "b": "boolean", "c": "boolean"}


def cells(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


ROWS = st.lists(
    st.tuples(
        cells(st.integers(-3, 3)),
        cells(st.integers(-3, 3)),
        cells(st.sampled_from([-1.5, 0.0, 0.5, 2.0])),
        cells(st.sampled_from(WORDS)),
        cells(st.sampled_from(WORDS)),
        cells(st.booleans()),
        cells(st.booleans()),
    ),
    max_size=12,
)


def quoted(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"


NUMBERS = st.sampled_from(["n", "m", "f"])
NUMERALS = st.sampled_from(["0", "1", "-2", "+3", "0.5", "2.", "-15e-1", ".5"])
TEXTS = st.sampled_from(["s", "r"])
LITERALS = st.sampled_from(WORDS).map(quoted)
FLAGS = st.sampled_from(["b", "c"])
SIGNS = st.sampled_from(["=", "==", "!=", "<>", "<", "<=", ">", ">="])
NOTS = st.sampled_from(["", "not "])


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(" ".join)


def listed(choices: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(choices, min_size=1, max_size=4).map(lambda items: "(" + ", ".join(items) + ")")


LEAVES = st.one_of(
    joined(NUMBERS, SIGNS, NUMBERS | NUMERALS),
    joined(NUMERALS, SIGNS, NUMBERS),
    joined(TEXTS, SIGNS, TEXTS | LITERALS),
    joined(LITERALS, SIGNS, TEXTS),
    joined(FLAGS, st.sampled_from(["=", "!=", "<>"]), FLAGS | st.sampled_from(["true", "false"])),
    FLAGS,
    joined(NUMBERS | TEXTS | FLAGS, st.sampled_from(["is null", "is not null", "IS NOT NULL"])),
    joined(NUMBERS, NOTS, st.just("in"), listed(NUMBERS | NUMERALS)),
    joined(TEXTS, NOTS, st.just("in"), listed(TEXTS | LITERALS)),
    joined(NUMBERS, NOTS, st.just("between"), NUMBERS | NUMERALS, st.just("and"), NUMBERS | NUMERALS),
    joined(TEXTS, NOTS, st.just("between"), LITERALS, st.just("and"), LITERALS),
    joined(TEXTS, NOTS, st.just("like"), LITERALS),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        joined(inner, st.sampled_from(["and", "or", "AND", "Or"]), inner),
        inner.map("not {}".format),
        inner.map("({})".format),
        joined(inner.map("({})".format), st.sampled_from(["and", "or"]), inner),
    ),
    max_leaves=8,
)


@given(rows=ROWS, text=FILTERS)
@settings(max_examples=400, deadline=None)
def test_filters_keep_what_sqlite_keeps(rows: list[tuple[Any, ...]], text: str) -> None:
    with sqlite3.connect(":memory:") as database:
        database.execute("pragma case_sensitive_like = true")
        database.execute("create table rows (at, " + ", ".join(f"{name} {kind}" for name, kind in TYPES.items()) + ")")
        numbered = [(at, *row) for at, row in enumerate(rows)]
        database.executemany("insert into rows values (?, ?, ?, ?, ?, ?, ?, ?)", numbered)
        expected = [at for (at,) in database.execute(f"select at from rows where {text} order by at")]
    database.close()
    frame = pl.DataFrame(numbered, schema={"at": pl.Int64, **SCHEMA}, orient="row")
    assert frame.lazy().filter(parse(text, frame.schema, MOMENT)).collect()["at"].to_list() == expected


@given(st.text(max_size=60) | st.text(alphabet="nsb1'\"()=<>, andornotinlikebetweenull", max_size=60))
@settings(max_examples=400, deadline=None)
def test_any_text_is_a_filter_or_our_error(text: str) -> None:
    schema = pl.Schema(SCHEMA)
    try:
        expression = parse(text, schema, MOMENT)
    except UnknownNameError:
        return
    except ExpressionError as error:
        refused = error
    else:
        assert columns_of(text) <= set(SCHEMA)
        assert pl.DataFrame(schema=schema).filter(expression).height == 0
        return
    assert 0 <= refused.position <= len(text)
    assert refused.message.splitlines()[-1].endswith("^")


@given(st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=200, deadline=None)
def test_a_quoted_text_means_itself(value: str, other: str) -> None:
    frame = pl.DataFrame({"s": [value, other]})
    kept = frame.filter(parse(f"s = {quoted(value)}", frame.schema, MOMENT))["s"].to_list()
    assert kept == [text for text in (value, other) if text == value]
    column = value.replace('"', '""')
    named = pl.DataFrame({value: [1]})
    assert named.filter(parse(f'"{column}" = 1', named.schema, MOMENT)).height == 1
