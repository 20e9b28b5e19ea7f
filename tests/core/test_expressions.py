from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from tailrace.model.errors import ExpressionError, UnknownNameError
from tailrace.pipeline.expressions import columns_of, parse
from tailrace.pipeline.moments import moment_of

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
WARSAW = ZoneInfo("Europe/Warsaw")
DAYS = [datetime(2026, 8, 15, tzinfo=UTC), datetime(2026, 8, 16, 0, 0, 0, 1000, tzinfo=UTC), None]
TIMES = pl.Series(DAYS, dtype=pl.Datetime("us", "UTC"))
DATA = pl.DataFrame(
    {
        "row": [1, 2, 3],
        "i": [1, 2, None],
        "j": [2, 2, 2],
        "u": pl.Series([1, 200, None], dtype=pl.UInt8),
        "f": [0.5, -1.5, None],
        "dec": pl.Series(["1.10", "2.20", None]).cast(pl.Decimal(10, 2)),
        "s": ["pump", "it's", None],
        "r": ["pump", "x", "x"],
        "b": [True, False, None],
        "c": [True, True, False],
        "t": TIMES,
        "t_ms": TIMES.cast(pl.Datetime("ms", "UTC")),
        "t_ns": TIMES.cast(pl.Datetime("ns", "UTC")),
        "t_naive": TIMES.dt.replace_time_zone(None),
        "t_warsaw": TIMES.dt.convert_time_zone("Europe/Warsaw"),
        "d": [date(2026, 8, 15), date(2026, 8, 16), None],
        "e": pl.Series(["low", "high", None], dtype=pl.Enum(["low", "high"])),
        "cat": pl.Series(["low", "high", None], dtype=pl.Categorical),
        "none": [None, None, None],
        "clock": [time(1), time(2), None],
        "span": [timedelta(1), timedelta(2), None],
        "items": [[1], [2], None],
        "and": [1, 2, None],
        'a "b"': [1, 2, None],
        "ńame.x": [1, 2, None],
        "^.*$": [1, 2, None],
        "*": [1, 2, None],
    }
)


def kept(text: str, local: ZoneInfo = WARSAW) -> list[int]:
    def read(words: str) -> datetime:
        return moment_of(words, now=NOW, local=local).astimezone(local)

    return DATA.lazy().filter(parse(text, DATA.schema, read)).collect()["row"].to_list()


def refused(text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        parse(text, DATA.schema, partial(moment_of, now=NOW, local=WARSAW))
    return caught.value


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("i = 1", [1]),
        ("i == 1", [1]),
        ("i != 1", [2]),
        ("i <> 1", [2]),
        ("i < 2", [1]),
        ("i <= 2", [1, 2]),
        ("i > 1", [2]),
        ("i >= 1", [1, 2]),
        ("1 < i", [2]),
        ("i=+1", [1]),
        ("i=1.", [1]),
        ("f = .5", [1]),
        ("f = -15e-1", [2]),
        ("i < 1e999", [1, 2]),
        ("i < 99999999999999999999", [1, 2]),
        ("i < " + "9" * 200, [1, 2]),
        ("i > -" + "9" * 5000, [1, 2]),
        ("u > 100", [2]),
        ("u = 300", []),
        ("u > -1", [1, 2]),
        ("dec = 1.1", [1]),
        ("dec > 2", [2]),
        ("i = j", [2]),
        ("i < f", []),
        ("u = i", [1]),
        ("s = 'pump'", [1]),
        ("s = 'it''s'", [2]),
        ("s = ''", []),
        ("s = r", [1]),
        ("s > 'it'", [1, 2]),
        ("b", [1]),
        ("not b", [2]),
        ("b = true", [1]),
        ("b = FALSE", [2]),
        ("b = c", [1]),
        ("b is null", [3]),
        ("b IS NOT NULL", [1, 2]),
        ("none is null", [1, 2, 3]),
        ("none = 1", []),
        ("'x' = none", []),
        ("not none = 1", []),
        ("none like '%'", []),
        ("none = 1 or row = 2", [2]),
        ("none in (1, 2)", []),
        ("items is null", [3]),
        ("items = items", [1, 2]),
        ("clock = clock", [1, 2]),
        ("span <= span", [1, 2]),
        ("e = 'low'", [1]),
        ("e = 'no such'", []),
        ("e != cat", []),
        ("cat like 'h%'", [2]),
        ('"and" = 1', [1]),
        ('"a ""b""" = 2', [2]),
        ("ńame.x = 2", [2]),
        ('"^.*$" = 2', [2]),
        ('"*" = 2', [2]),
        ("i in (1, 5)", [1]),
        ("i not in (1, 5)", [2]),
        ("i in (j)", [2]),
        ("s in ('x','pump')", [1]),
        ("i between 1 and 1", [1]),
        ("i not between 1 and 1", [2]),
        ("i between f and j", [1, 2]),
        ("i\n=\t1", [1]),
        ("  i = 1  ", [1]),
    ],
)
def test_comparisons(text: str, rows: list[int]) -> None:
    assert kept(text) == rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("row = 1 or row = 2 and row = 3", [1]),
        ("(row = 1 or row = 2) and row = 2", [2]),
        ("not row = 1 and row = 1", []),
        ("not (row = 1 and row = 2)", [1, 2, 3]),
        ("not not row = 1", [1]),
        ("not row = 1 or row = 1", [1, 2, 3]),
        ("row between 1 and 2 and row = 2", [2]),
        # As in SQL: neither true nor false.
        ("i = 1 or i is null", [1, 3]),
        ("not i = 1", [2]),
        ("i = 1 or row = 3", [1, 3]),
        ("i = 1 and row = 3", []),
        ("not (i = 1 and row = 3)", [1, 2]),
        ("i not in (1)", [2]),
        ("row in (i, 3)", [1, 2, 3]),
        ("row not in (i, 5)", []),
        ("b and c", [1]),
        ("B and c", None),
    ],
)
def test_precedence_and_empty_cells(text: str, rows: list[int] | None) -> None:
    if rows is None:
        with pytest.raises(UnknownNameError):
            kept(text)
    else:
        assert kept(text) == rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("s like 'pu%'", [1]),
        ("s like 'PU%'", []),
        ("s ilike 'PU%'", [1]),
        ("s like 'p_mp'", [1]),
        ("s like 'p_p'", []),
        ("s like 'ump'", []),
        ("s like '%ump'", [1]),
        ("s not like '%ump'", [2]),
        ("s like '%''%'", [2]),
        ("s like '.*'", []),
        ("s like 'p[u]mp'", []),
        ("s like ''", []),
        ("s like '%'", [1, 2]),
    ],
)
def test_patterns(text: str, rows: list[int]) -> None:
    assert kept(text) == rows


@pytest.mark.parametrize("odd", r"\.+*?()|[]{}^$#&-~/!<>=@:,;`" + '"\n\t é😀')
def test_every_character_of_a_pattern_means_itself(odd: str) -> None:
    schema = pl.Schema({"s": pl.String})
    frame = pl.DataFrame({"s": [f"a{odd}b", "ab", "aab", "axb"]})
    expression = parse(f"s like 'a{odd}b'", schema, partial(moment_of, now=NOW, local=WARSAW))
    assert frame.filter(expression)["s"].to_list() == [f"a{odd}b"]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("{t} = '2026-08-15T00:00Z'", [1]),
        ("'2026-08-15T00:00Z' = {t}", [1]),
        ("{t} >= '2026-08-16'", [2]),
        ("{t} = '2026-08-15T02:00'", [1]),
        ("{t} between '2026-08-15' and '2026-08-16T02:00'", [1]),
        ("{t} in ('2026-08-15T00:00Z', 'now')", [1]),
        ("{t} < 'yesterday'", [1, 2]),
        ("{t} > '5d'", [2]),
        ("{t} < '2026-08-16T00:00:00.001500Z'", [1, 2]),
        ("{t} <= '2026-08-16T00:00:00.000999Z'", [1]),
        ("{t} < '9999-12-01'", [1, 2]),
        ("{t} > '0001-01-02'", [1, 2]),
        ("{t} = t", [1, 2]),
        ("t_naive >= {t}", [1, 2]),
    ],
)
@pytest.mark.parametrize("column", ["t", "t_ms", "t_ns", "t_naive", "t_warsaw"])
def test_times_of_every_unit_and_zone(text: str, rows: list[int], column: str) -> None:
    assert kept(text.format(t=column)) == rows


def test_units_are_compared_exactly() -> None:
    frame = pl.DataFrame(
        {
            "us": pl.Series([1], dtype=pl.Datetime("us", "UTC")),
            "ms": pl.Series([0], dtype=pl.Datetime("ms", "UTC")),
            "ns": pl.Series([1], dtype=pl.Datetime("ns", "UTC")),
        }
    )
    for text in ("us > ms", "ns > '1970-01-01T00:00Z'", "ns < '1970-01-01T00:00:00.000001Z'"):
        assert frame.filter(parse(text, frame.schema, partial(moment_of, now=NOW, local=WARSAW))).height == 1, text


def test_dates_are_meant_in_the_display_zone() -> None:
    assert kept("d = '2026-08-15'") == [1]
    assert kept("d = '2026-08-15'", ZoneInfo("Pacific/Auckland")) == [1]
    assert kept("d = '2026-08-15'", ZoneInfo("America/Los_Angeles")) == [1]
    assert kept("d < 'today'") == [1, 2]
    assert kept("d = d") == [1, 2]
    # 23:00 UTC is the day after in Warsaw.
    assert kept("d = '2026-08-15T23:00Z'") == [2]


NUMBERS = ("i", "u", "f", "dec")
KINDS = {
    "number": ("i", "5"),
    "text": ("s", "'x'"),
    "flag": ("b", "true"),
    "time": ("t", None),
    "date": ("d", None),
    "Time": ("clock", None),
    "Duration(time_unit='us')": ("span", None),
    "List(Int64)": ("items", None),
}


@pytest.mark.parametrize("left", KINDS)
@pytest.mark.parametrize("right", KINDS)
def test_every_pairing_of_types(left: str, right: str) -> None:
    first, (second, literal) = KINDS[left][0], KINDS[right]
    if left == right:
        assert kept(f"{first} = {second}") == [1, 2]
    else:
        assert refused(f"{first} = {second}").position == len(first) + 3
        assert str(refused(f"{first} = {second}")).startswith(f"{first} is a {left}, this is a {right}:\n")
    if literal is not None and left != right and (right, left) not in {("text", "time"), ("text", "date")}:
        assert str(refused(f"{first} < {literal}")).startswith(f"{first} is a {left}, this is a {right}:\n")
        assert refused(f"{literal} < {first}").position == 0


@pytest.mark.parametrize(
    ("text", "message", "at", "hint"),
    [
        ("", "Expected a column or a value here:", 0, ""),
        ("   ", "Expected a column or a value here:", 3, ""),
        ("i =", "Expected a column or a value here:", 3, ""),
        ("i = 1 and", "Expected a column or a value here:", 9, ""),
        ("i", "Expected a comparison here:", 1, "Such as: response_time_ms > 1000"),
        ("5", "Expected a comparison here:", 1, "Such as: response_time_ms > 1000"),
        ("true", "Expected a comparison here:", 4, "Such as: response_time_ms > 1000"),
        ("i 5", "Expected a comparison here:", 2, "Such as: response_time_ms > 1000"),
        ("i = 1 i = 2", "Expected 'and', 'or' or the end here:", 6, ""),
        ("(i = 1", "Expected ')' here:", 6, ""),
        ("i = 1)", "Expected 'and', 'or' or the end here:", 5, ""),
        ("()", "Expected a column or a value here:", 1, ""),
        ("i is 5", "Expected 'null' here:", 5, ""),
        ("i is not 5", "Expected 'null' here:", 9, ""),
        ("5 is null", "Expected a column here:", 0, ""),
        ("i not 5", "Expected 'in', 'like' or 'between' here:", 6, ""),
        ("i in 5", "Expected '(' here:", 5, ""),
        ("i in ()", "Expected a column or a value here:", 6, ""),
        ("i in (1", "Expected ')' here:", 7, ""),
        ("i in (1,)", "Expected a column or a value here:", 8, ""),
        ("i in ('x')", "i is a number, this is a text:", 6, ""),
        ("1 in (2)", "Two values are compared; one of them must be a column:", 0, ""),
        ("  1 = 1", "Two values are compared; one of them must be a column:", 2, ""),
        ("i between 1", "Expected 'and' here:", 11, ""),
        ("i between 1 or 2", "Expected 'and' here:", 12, ""),
        ("i like 'x'", "'like' compares texts, i is a number:", 0, ""),
        ("5 LIKE 'x'", "'LIKE' compares texts, this is a number:", 0, ""),
        ("'x' like 'x'", "Expected a column here:", 0, ""),
        ("s like s", "Expected a pattern in single quotes here:", 7, ""),
        ("s like 5", "Expected a pattern in single quotes here:", 7, ""),
        ("i = null", "Expected a column or a value here:", 4, "Ask for empty cells with: column is null"),
        ("i = and", "Expected a column or a value here:", 4, ""),
        ("i = 'x", "This text is not closed:", 4, ""),
        ('"i = 1', "This text is not closed:", 0, ""),
        ("i = 1 ; 2", "Unexpected ';':", 6, ""),
        ("i = $1", "Unexpected '$':", 4, ""),
        ("i ! 1", "Unexpected '!':", 2, ""),
        ("i = 1 + 1", "Unexpected '+':", 6, ""),
        ("i = 1 -1", "Expected 'and', 'or' or the end here:", 6, ""),
        ("s = 5", "s is a text, this is a number:", 4, "Write texts in single quotes."),
        ("5 = s", "s is a text, this is a number:", 0, "Write texts in single quotes."),
        ("t > 5", "t is a time, this is a number:", 4, "Write times in single quotes."),
        ("s = i", "s is a text, this is a number:", 4, ""),
        ("items < items", "items is a List(Int64), which has no order:", 6, ""),
        ("b = (i = 1)", "Expected a column or a value here:", 4, ""),
    ],
)
def test_mistakes_are_shown_where_they_are(text: str, message: str, at: int, hint: str) -> None:
    error = refused(text)
    assert error.position == at
    assert error.expression == text
    assert error.message == f"{message}\n    {text}\n    {' ' * at}^"
    assert error.hint == hint
    assert error.exit_code == 2


def test_a_time_that_is_none_is_shown_where_it_is() -> None:
    error = refused("i = 1 and t > 'tomorrow'")
    assert error.message == "'tomorrow' is not a time.\n    i = 1 and t > 'tomorrow'\n                  ^"
    assert error.hint.startswith("Write a date (2026-08-15)")


def test_the_caret_stands_in_the_right_line() -> None:
    assert refused("i = 1\n and\t s = 5").message == (
        "s is a text, this is a number:\n     and\t s = 5\n        \t     ^"
    )
    assert refused("i = 1\n and s = 5\nor b").position == 15
    far = refused("i = 1 or " * 500 + "s = 5" + " or i = 1" * 500)
    _message, line, caret = far.message.split("\n")
    assert line[caret.index("^")] == "5"
    assert len(line) < 160
    assert far.position == 4504


def test_unknown_columns_get_a_suggestion() -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse("t_nsa = 1", DATA.schema, partial(moment_of, now=NOW, local=WARSAW))
    assert caught.value.suggestion == "t_ns"
    assert caught.value.message == "There is no column 't_nsa'."
    assert caught.value.hint.startswith("Did you mean 't_ns'? There is: row, i, j, ")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "i = 1; drop table x",
        "i = 1 -- comment",
        "i = 1 /* comment */",
        "i = 1 union select 1",
        "i = (select 1)",
        "exists (i)",
        "i.__class__ = 1",
        "lambda: 1",
        "i = 1 or 1=1",
        "col('i') = 1",
        "i = {1}",
        "i = `1`",
        "i = 1\x00",
        "s = 'a' || 'b'",
        "s regexp 'x'",
        "s collate nocase = 'x'",
        "case when b then 1 end = 1",
    ],
)
def test_nothing_but_the_language_is_read(text: str) -> None:
    with pytest.raises((ExpressionError, UnknownNameError)):
        parse(text, DATA.schema, partial(moment_of, now=NOW, local=WARSAW))


def test_the_longest_and_the_deepest() -> None:
    filler = "row = 1 or " * 908
    assert kept(f"{filler}row = 3".ljust(10_000)) == [1, 3]
    too_long = refused("row = 1".ljust(10_001))
    assert too_long.message.startswith("A filter may have 10000 characters, this one has 10001.\n")
    assert kept("(" * 49 + "row = 1" + ")" * 49) == [1]
    assert kept("not " * 49 + "row = 1") == [2, 3]
    too_deep = refused("(" * 50 + "row = 1" + ")" * 50)
    assert too_deep.message.startswith("More than 50 levels deep:\n")
    assert too_deep.position == 50
    assert kept("c or " * 1999 + "c") == [1, 2]
    assert kept("c and " * 1600 + "c") == [1, 2]
    assert kept("row in (" + "1," * 4900 + "2)") == [1, 2]
    assert kept("s like '" + "%p" * 4000 + "'") == []
    assert kept("s like '" + "_" * 9000 + "'") == []


def test_columns_are_found_without_reading() -> None:
    found: Any = columns_of("a = 1 and \"b c\" like 'd' or not e.f in (1, g) is NULL between true")
    assert found == {"a", "b c", "e.f", "g"}
    with pytest.raises(ExpressionError):
        columns_of("a = '")
