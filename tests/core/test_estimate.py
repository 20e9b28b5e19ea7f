import random
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import attrs
import polars as pl
import pytest
from tailrace_sdk.fakes import LinesFormat, memory_table

from tailrace import CancelledError, Context, DeadlineError, Estimate, TableEstimate
from tailrace.model.errors import PluginContractError, SourceError, UnknownNameError
from tailrace.pipeline.estimate import SAMPLE_ROWS


def log(rows: int) -> pl.DataFrame:
    """A table of much text, like a request log."""
    source = random.Random(rows)
    words = ["pump", "wheel", "sluice", "tail", "race", "gate", "weir", "mill", "water", "stone"]
    return pl.DataFrame(
        {
            "id": range(rows),
            "t": [datetime(2026, 8, 1, tzinfo=UTC) + timedelta(seconds=second) for second in range(rows)],
            "agent": [" ".join(source.choices(words, k=source.randrange(3, 20))) for _ in range(rows)],
            "url": [f"http://example.org/{source.randrange(10**6)}?q={source.random()}" for _ in range(rows)],
            "ms": [None if source.random() < 0.1 else source.lognormvariate(5, 1) for _ in range(rows)],
        }
    )


LOG = log(120_000)


def compare(bench: Any, **asked: Any) -> tuple[Estimate, Any]:
    request = bench.request(**asked)
    return bench.engine().estimate(request), bench.engine().export(request).artifacts


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"columns": ("id", "agent")},
        {"where": ("ms > 200",)},
        {"since": "2026-08-01T05:00Z", "until": "2026-08-02"},
        {"limit": 50_000, "sort": ("-id",)},
        {"compress_level": "fast"},
    ],
)
def test_estimates_are_within_a_tenth(asked: dict[str, Any], bench: Any, *, compress: bool) -> None:
    bench.source.tables = [
        memory_table("log", LOG, time_column="t", sample=lambda n: LOG.gather_every(LOG.height // n))
    ]
    estimate, (artifact,) = compare(bench, compress=compress, **asked)
    (table,) = estimate.tables
    assert (table.table, table.rows, table.exact_rows) == ("log", artifact.manifest.tables[0].rows.written, True)
    assert table.plain_bytes == pytest.approx(artifact.manifest.file.plain_size, rel=0.1)
    assert table.bytes == pytest.approx(artifact.manifest.file.size, rel=0.1)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    "asked",
    [{}, {"where": ("word is not null",)}, {"sort": ("-word",), "limit": 2}, {"where": ("id > 9",)}, {"limit": 0}],
)
def test_small_tables_are_measured(asked: dict[str, Any], bench: Any, *, compress: bool) -> None:
    estimate, (artifact,) = compare(bench, compress=compress, **asked)
    file = artifact.manifest.file
    rows = artifact.manifest.tables[0].rows.written
    assert estimate.tables == (TableEstimate("rows", rows, file.plain_size, file.size, exact_rows=True, columns=3),)


def test_an_empty_table(bench: Any) -> None:
    bench.source.tables = [memory_table("none", {"a": pl.Series([], dtype=pl.Int64)})]
    estimate, (artifact,) = compare(bench, compress=True)
    size = artifact.manifest.file.size
    assert estimate == Estimate((TableEstimate("none", 0, 0, size, exact_rows=True, columns=1),))


def test_rows_can_be_projected_instead_of_counted(bench: Any) -> None:
    bench.source.tables = [memory_table("log", LOG, sample=lambda n: LOG.gather_every(LOG.height // n))]
    request = bench.request(where=("ms > 200",))
    (quick,) = bench.engine().estimate(request, exact=False).tables
    exact = LOG.filter(pl.col("ms") > 200).height
    assert not quick.exact_rows
    assert quick.rows != exact
    assert quick.rows == pytest.approx(exact, rel=0.05)
    (all_of_them,) = bench.engine().estimate(bench.request(), exact=False).tables
    assert (all_of_them.rows, all_of_them.exact_rows) == (LOG.height, True)
    (few,) = bench.engine().estimate(bench.request(limit=10), exact=False).tables
    assert (few.rows, few.exact_rows) == (10, True)


def test_a_source_that_cannot_count_is_read_once(bench: Any) -> None:
    table = memory_table("log", LOG)
    bench.source.tables = [attrs.evolve(table, count_rows=None)]
    (found,) = bench.engine().estimate(bench.request()).tables
    assert (found.rows, found.exact_rows) == (LOG.height, True)


def test_a_sample_can_be_empty(bench: Any) -> None:
    bench.source.tables = [memory_table("log", LOG, sample=lambda _n: LOG.head(0))]
    (found,) = bench.engine().estimate(bench.request(where=("id > 5",)), exact=False).tables
    assert (found.rows, found.plain_bytes) == (0, 0)


def test_rows_too_rare_for_the_sample_still_take_room(bench: Any) -> None:
    bench.source.tables = [memory_table("log", LOG, sample=LOG.head)]
    estimate, (artifact,) = compare(bench, where=("id >= 110000",))
    assert estimate.tables[0].rows == 10_000
    assert estimate.bytes == pytest.approx(artifact.manifest.file.size, rel=0.1)


def test_tables_are_estimated_each_and_notes_kept(bench: Any) -> None:
    bench.source.tables = [memory_table("a", {"x": [1, 2]}), memory_table("b", {"y": [1]})]
    found = bench.engine().estimate(bench.request(where=("y = 2",)))
    assert [(table.table, table.rows) for table in found.tables] == [("a", 2), ("b", 0)]
    assert found.notes == ("The filter 'y = 2' applies to b only.",)
    assert (found.rows, found.bytes) == (2, 16)
    assert bench.names() == []


def test_mistakes_are_found_as_in_the_export(bench: Any) -> None:
    with pytest.raises(UnknownNameError):
        bench.engine().estimate(bench.request(columns=("nope",)))


def leave(_argument: object) -> Any:
    sys.exit(3)


@pytest.mark.parametrize("what", ["sample", "count_rows"])
def test_a_source_that_fails_is_named(what: str, bench: Any) -> None:
    fails: dict[str, Any] = {what: leave if what == "sample" else partial(leave, None)}
    bench.source.tables = [memory_table("log", LOG, **fails)]
    with pytest.raises(PluginContractError) as caught:
        bench.engine().estimate(bench.request())
    assert caught.value.plugin == "memory"
    assert caught.value.message == "The source memory failed with SystemExit: 3"


def test_a_format_that_fails_is_named(bench: Any) -> None:
    bench.format = LinesFormat(instead={"write": leave})
    with pytest.raises(PluginContractError) as caught:
        bench.engine().estimate(bench.request())
    assert caught.value.plugin == "lines"


def test_data_that_fails_is_the_sources(bench: Any) -> None:
    broken = LOG.lazy().with_columns(pl.col("url").str.to_integer())
    table = memory_table("log", LOG.with_columns(url=pl.lit(1, dtype=pl.Int64)))
    bench.source.tables = [attrs.evolve(table, frame=broken)]
    with pytest.raises(SourceError, match=r"^Source memory cannot be read to its end: "):
        bench.engine().estimate(bench.request())


def test_estimating_is_cancelled_and_late_like_exporting(bench: Any) -> None:
    context = Context()

    def cancel(n: int) -> pl.DataFrame:
        context.cancel()
        return LOG.head(n)

    bench.source.tables = [memory_table("log", LOG, sample=cancel)]
    with pytest.raises(CancelledError):
        bench.engine().estimate(bench.request(), context=context)

    told: list[Any] = []
    late = Context(on_progress=told.append, timeout=-1.0)
    bench.source.tables = [memory_table("log", LOG)]
    with pytest.raises(DeadlineError):
        bench.engine().estimate(bench.request(), context=late)
    assert told == []
    assert LOG.height > SAMPLE_ROWS
