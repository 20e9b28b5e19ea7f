import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from tailrace_sdk.fakes import memory_table

from tailrace import Column, ExportRequest, Meaning, Table
from tailrace.model.errors import ExpressionError, RequestError, UnknownNameError
from tailrace.pipeline.transform import Selection, counted

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
TIMES = [datetime(2026, 8, day, 6, tzinfo=UTC) for day in (15, 16, 17)]


def selection(**asked: Any) -> Selection:
    return Selection.of(ExportRequest("s", "l", "f", **asked), NOW)


@pytest.fixture
def checks() -> Table:
    return memory_table(
        "checks",
        {"id": [2, 1, 3], "ms": [10.0, None, 30.0], "t": TIMES},
        time_column="t",
        meanings={"id": Meaning.KEY, "ms": Meaning.MEASURE, "t": Meaning.TIMESTAMP},
    )


@pytest.fixture
def proxies() -> Table:
    return memory_table("proxies", {"id": [1, 2], "country": ["PL", "NZ"]})


def rows(table: Table, **asked: Any) -> list[tuple[Any, ...]]:
    chosen = selection(**asked)
    chosen.check([table])
    return chosen.apply(table)[0].collect().rows()


def test_names_that_polars_takes_for_patterns() -> None:
    table = memory_table("x", {"a": [1, 2], "^.*$": [3, 4], "*": [TIMES[1], TIMES[0]]}, time_column="*")
    asked = {"columns": ("*", "^.*$"), "sort": ("*", "^.*$"), "where": ('"^.*$" > 0',), "since": "2026-08-01"}
    assert rows(table, **asked) == [(TIMES[0], 4), (TIMES[1], 3)]


def test_without_wishes_nothing_changes(checks: Table) -> None:
    frame, columns = selection().apply(checks)
    assert frame is checks.frame
    assert columns == checks.columns


def test_columns_are_selected_ordered_and_renamed_with_their_meanings(checks: Table) -> None:
    frame, columns = selection(columns=("when=t", " number = id ")).apply(checks)
    assert frame.collect_schema() == {"when": pl.Datetime("us", "UTC"), "number": pl.Int64()}
    assert frame.collect().rows() == [(TIMES[0], 2), (TIMES[1], 1), (TIMES[2], 3)]
    assert columns == (Column("when", Meaning.TIMESTAMP), Column("number", Meaning.KEY))
    assert rows(checks, columns=("id", "a=id", "b=id")) == [(2, 2, 2), (1, 1, 1), (3, 3, 3)]
    assert rows(checks, columns=("id=ms", "ms=id"))[0] == (10.0, 2)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("id", "id"), "Column 'id' is asked for twice."),
        (("a=id", "a=ms"), "Column 'a' is asked for twice."),
        (("=id",), "Column '=id' has no name."),
        (("",), "Column '' has no name."),
    ],
)
def test_columns_that_cannot_be(columns: tuple[str, ...], message: str) -> None:
    with pytest.raises(RequestError) as caught:
        selection(columns=columns)
    assert caught.value.message == message
    assert caught.value.hint == (
        "Rename one of them: --columns new=old" if "twice" in message else "Rename with: --columns new=old"
    )


@pytest.mark.parametrize("asked", [{"columns": ("x=idd",)}, {"sort": ("-idd",)}, {"where": ("idd = 1",)}])
def test_unknown_columns_are_named_with_what_there_is(asked: dict[str, Any], checks: Table, proxies: Table) -> None:
    with pytest.raises(UnknownNameError) as one:
        selection(**asked).check([checks])
    assert one.value.message == "There is no column 'idd' in table checks."
    assert one.value.hint == "Did you mean 'id'? There is: id, ms, t."
    with pytest.raises(UnknownNameError) as two:
        selection(**asked).check([checks, proxies])
    assert two.value.message == "There is no column 'idd' in any of the tables checks, proxies."
    assert two.value.known == ("id", "ms", "t", "country")


def test_filters_must_all_hold(checks: Table) -> None:
    assert rows(checks, where=("id > 1", "ms < 20")) == [(2, 10.0, TIMES[0])]
    assert rows(checks, where=("id > 5",)) == []
    with pytest.raises(ExpressionError):
        selection(where=("ms = 'x'",)).apply(checks)


def test_a_filter_can_use_columns_that_are_not_kept(checks: Table) -> None:
    assert rows(checks, columns=("ms",), where=("id = 3",), sort=("t",)) == [(30.0,)]


def test_what_fits_one_of_two_tables_is_said(checks: Table, proxies: Table) -> None:
    both = [checks, proxies]
    chosen = selection(where=("country = 'PL'", "id < 3"), since="2026-08-16")
    assert chosen.check(both) == (
        "The filter \"country = 'PL'\" applies to proxies only.",
        "The time range does not apply to proxies, which has no column of times.",
    )
    assert chosen.apply(checks)[0].collect()["id"].to_list() == [1]
    assert chosen.apply(proxies)[0].collect()["id"].to_list() == [1]
    assert selection(columns=("country", "id")).check(both) == ()
    assert selection(columns=("country",)).check(both) == (
        "None of the columns asked for is in checks: all of its columns are kept.",
    )
    assert selection(columns=("country",)).apply(checks)[0].collect_schema().names() == ["id", "ms", "t"]
    with pytest.raises(RequestError) as nowhere:
        selection(where=("country = 'PL' and ms > 1",)).check(both)
    assert nowhere.value.message == "No single table has all columns of the filter \"country = 'PL' and ms > 1\"."
    with pytest.raises(RequestError) as timeless:
        selection(since="1d").check([proxies])
    assert timeless.value.message == "A time range was asked for, but the data has no column of times."
    assert timeless.value.hint == "Name it, where the source can: --map timestamp=<column>"


@pytest.mark.parametrize(
    ("since", "until", "kept"),
    [
        ("2026-08-16T06:00Z", None, [1, 3]),
        ("2026-08-16T06:00:00.000001Z", None, [3]),
        (None, "2026-08-16T06:00Z", [2]),
        (None, "2026-08-16T06:00:00.000001Z", [2, 1]),
        ("2026-08-15T06:00Z", "2026-08-17T06:00Z", [2, 1]),
        ("4d", "now", [3]),
    ],
)
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", None])
def test_ranges_are_half_open(
    since: str | None, until: str | None, kept: list[int], unit: Any, zone: str | None
) -> None:
    times = pl.Series(TIMES).dt.cast_time_unit(unit).dt.replace_time_zone(zone)
    table = memory_table("x", {"id": [2, 1, 3], "t": times}, time_column="t")
    frame, _columns = selection(since=since, until=until).apply(table)
    assert frame.collect()["id"].to_list() == kept


def test_a_range_over_something_else_than_times(proxies: Table) -> None:
    table = Table("x", proxies.frame, proxies.columns, time_column="country")
    with pytest.raises(RequestError) as caught:
        selection(since="1d").apply(table)
    assert caught.value.message == "A time range was asked for, but column country of x is String."


def test_the_upper_bound_is_now(checks: Table) -> None:
    future = memory_table("x", {"t": [NOW - timedelta(microseconds=1), NOW]}, time_column="t")
    assert rows(future, since="1d") == [(NOW - timedelta(microseconds=1),)]
    assert selection().window is None
    assert rows(checks, until="now") == checks.frame.collect().rows()


def test_rows_are_sorted_with_empty_cells_last(checks: Table) -> None:
    assert [row[0] for row in rows(checks, sort=("id",))] == [1, 2, 3]
    assert [row[0] for row in rows(checks, sort=("-ms",))] == [3, 2, 1]
    assert [row[0] for row in rows(checks, sort=("ms",))] == [2, 3, 1]
    ties = memory_table("x", {"a": [1, 2] * 500, "n": range(1000)})
    assert rows(ties, sort=(" -a ",)) == [(2, n) for n in range(1, 1000, 2)] + [(1, n) for n in range(0, 1000, 2)]
    assert rows(ties, sort=("a", "-n"), limit=2) == [(1, 998), (1, 996)]
    assert rows(ties, sort=("-a",), limit=3) == [(2, 1), (2, 3), (2, 5)]


def test_a_sort_key_of_another_table_is_left_out(checks: Table, proxies: Table) -> None:
    chosen = selection(sort=("country",))
    chosen.check([checks, proxies])
    assert chosen.apply(checks)[0].collect()["id"].to_list() == [2, 1, 3]
    assert chosen.apply(proxies)[0].collect()["id"].to_list() == [2, 1]


def test_the_limit_comes_last(checks: Table) -> None:
    assert [row[0] for row in rows(checks, limit=2)] == [2, 1]
    assert [row[0] for row in rows(checks, limit=1, sort=("-id",), where=("id < 3",))] == [2]
    assert rows(checks, limit=0) == []


def test_times_are_shown_in_the_zone(checks: Table) -> None:
    frame, _columns = selection(time_zone="Europe/Warsaw").apply(checks)
    assert frame.collect_schema()["t"] == pl.Datetime("us", "Europe/Warsaw")
    assert frame.collect()["t"][0] == datetime(2026, 8, 15, 8, tzinfo=ZoneInfo("Europe/Warsaw"))
    # Dates without a zone are meant in it.
    assert [row[0] for row in rows(checks, time_zone="Pacific/Auckland", since="2026-08-17")] == [3]
    assert [row[0] for row in rows(checks, time_zone="Pacific/Auckland", where=("t < '2026-08-16'",))] == [2]
    dates = memory_table("x", {"d": [TIMES[0].date()]})
    assert len(rows(dates, time_zone="Europe/Warsaw", where=("d = '2026-08-15'",))) == 1
    naive = memory_table("x", {"t": [datetime(2026, 8, 15)]})  # noqa: DTZ001 - a time without a zone is the point
    assert selection(time_zone="Europe/Warsaw").apply(naive)[0].collect_schema()["t"] == pl.Datetime("us")


def test_what_narrows(checks: Table, proxies: Table) -> None:
    for wish in ({"limit": 9}, {"since": "1d"}, {"where": ("ms > 0",)}):
        assert selection(**wish).narrows(checks), wish
    for wish in ({"since": "1d"}, {"where": ("ms > 0",)}, {"sort": ("id",)}, {"columns": ("id",)}):
        assert not selection(**wish).narrows(proxies), wish


def test_another_frame_of_the_same_shape(checks: Table) -> None:
    sample = pl.LazyFrame({"id": [9], "ms": [1.0], "t": [TIMES[2]]})
    assert selection(where=("id > 3",), columns=("id",)).apply(checks, sample)[0].collect().rows() == [(9,)]


def test_rows_are_counted_as_they_pass() -> None:
    seen, lock = list[int](), threading.Lock()

    def see(count: int) -> None:
        with lock:
            seen.append(count)

    frame = pl.LazyFrame({"a": range(300_000)}).filter(pl.col("a") % 3 == 0)
    assert counted(frame, see).collect(engine="streaming").height == 100_000
    assert sum(seen) == 100_000
    seen.clear()
    # What a format does behind the counter does not reach in front of it: its rows would be missing from the file.
    assert counted(frame, see).head(5).collect().height == 5
    assert sum(seen) > 5


def test_selections_read_requests() -> None:
    chosen = selection(sort=("-a", "b"), columns=("x=y",), time_zone="Europe/Warsaw", limit=3)
    assert chosen.sort == (("a", True), ("b", False))
    assert chosen.columns == (("x", "y"),)
    assert chosen.zone == ZoneInfo("Europe/Warsaw")
    assert (chosen.limit, chosen.now) == (3, NOW)
    with pytest.raises(RequestError, match="There is no time zone 'Mars'"):
        selection(time_zone="Mars")
