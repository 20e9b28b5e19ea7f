"""Estimates that learn from earlier runs of a template."""

import statistics
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from tailrace_sdk.fakes import memory_table

from tailrace import Engine, Estimate, ExportRequest, SinkRequest, TableEstimate, User
from tailrace.model.convert import structure, unstructure
from tailrace.model.job import Fit, Learnt
from tailrace.model.states import JobState
from tailrace.model.work import RetryPolicy
from tailrace.pipeline.estimate import SAMPLE_ROWS
from tailrace.store import jobs, tables
from tailrace.store import past_runs as module
from tailrace.store.database import Store
from tailrace.store.past_runs import PastRun, past_runs
from tailrace.work.forecast import LEAST_RUNS, MOST_RUNS, corrected, learn

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
REQUEST = ExportRequest("pool", "pool.db", "csv")


def runs(*ratios: float) -> list[PastRun]:
    """Runs that became so many times as large as they were estimated, the latest first."""
    return [PastRun(1_000_000, round(1_000_000 * ratio)) for ratio in reversed(ratios)]


def test_the_factor_is_the_median_and_the_error_is_of_what_was_known_before() -> None:
    # 0.6 by 0.5 is off by 0.2; 0.4 by the median of 0.5 and 0.6, by 0.27; 0.5 by that of 0.4, 0.5 and 0.6, by nothing.
    lesson = learn(runs(0.5, 0.6, 0.4, 0.5))
    assert lesson == Learnt(4, 0.5, abs(0.4 / 0.55 - 1))


def test_runs_that_always_come_out_alike_have_no_error() -> None:
    assert learn(runs(*[0.8] * 5)) == Learnt(5, 0.8, 0.0)


def test_of_ten_estimates_one_may_be_worse_than_the_published_error() -> None:
    ratios = [1.0] * 10 + [3.0]
    assert learn(runs(*ratios)) == Learnt(11, 1.0, 0.0)
    assert learn(runs(*ratios[1:])) == Learnt(10, 1.0, 2.0)


def test_of_few_runs_and_of_empty_files_nothing_is_learnt() -> None:
    assert learn([]) is None
    assert learn(runs(*[0.5] * (LEAST_RUNS - 1))) is None
    assert learn([PastRun(100, 0)] * 9) is None
    assert learn([*runs(0.5, 0.5), PastRun(100, 0), PastRun(0, 10)]) is None


def test_only_the_latest_runs_count() -> None:
    assert learn(runs(*[9.0] * 7, *[0.5] * MOST_RUNS)) == Learnt(MOST_RUNS, 0.5, 0.0)


def test_a_correction_tells_what_the_sample_alone_spoke_for() -> None:
    raw = Estimate(
        (
            TableEstimate("plain", 10, 1000, 1000, exact_rows=True),
            TableEstimate("gzipped", 10, 1000, 300, exact_rows=False, columns=2),
        ),
        ("a note",),
    )
    lesson = Learnt(3, 0.5, 0.1)
    better = corrected(raw, lesson)
    # What is learnt is how large files become: what a compressed one was before, nobody wrote down.
    assert [(table.plain_bytes, table.bytes) for table in better.tables] == [(500, 500), (1000, 150)]
    assert (better.bytes, better.raw_bytes, better.rows, better.learnt) == (650, 1300, 20, lesson)
    assert better.notes == raw.notes
    assert corrected(raw, None) is raw
    assert (raw.raw_bytes, raw.learnt, raw.fits) == (1300, None, ())


def test_estimates_that_were_stored_before_are_read_and_new_ones_come_back() -> None:
    table = {"table": "t", "rows": 1, "plain_bytes": 9, "bytes": 5, "exact_rows": True}
    old = structure({"tables": [table], "notes": []}, Estimate)
    assert old == Estimate((TableEstimate("t", 1, 9, 5, exact_rows=True),))
    new = Estimate(old.tables, fits=(Fit("disk", fits=None, text="?"),), learnt=Learnt(3, 0.9, 0.1), sampled_bytes=6)
    assert structure(unstructure(new), Estimate) == new
    assert new.raw_bytes == 6


def record(
    store: Store,
    *,
    estimated: int | None = 1000,
    files: Sequence[tuple[str, int]] = (("a", 900),),
    state: JobState = JobState.COMPLETED,
    age: int = 0,
    estimate: Any = None,
    **changes: Any,
) -> None:
    """Enter a run that has come to its end, with the digests and sizes of its files."""
    request = {"compress": True, "compress_level": 6, "location": "pool.db", **changes.pop("request", {})}
    if estimate is None and estimated is not None:
        estimate = unstructure(Estimate((TableEstimate("t", 1, estimated, estimated, exact_rows=True),)))
    values = {"creator": "ada", "source": "pool", "format": "csv", "template": "nightly", **changes}
    job = jobs.NewJob(
        id=str(uuid.uuid4()),
        request=request,
        sealed=b"",
        folder="/",
        timeout=None,
        retry=RetryPolicy(1),
        estimate=estimate,
        **values,
    )
    with store.writing() as connection:
        jobs.enter(connection, job, now=NOW - timedelta(hours=age), holder="w", lease=60)
        for at, (digest, size) in enumerate(files):
            connection.execute(
                sa.insert(tables.artifacts).values(
                    id=str(uuid.uuid4()), job=job.id, sink="disk", place="here", path=f"/{job.id}/{at}", root="/",
                    size=size, sha256=digest, rows=1, created=NOW,
                )
            )  # fmt: skip
        if state is not JobState.PROCESSING:
            ended = JobState.COMPLETED if state is JobState.EXPIRED else state
            for step in dict.fromkeys([ended, state]):
                done = {"state": step, "finished": NOW, "progress": 100}
                connection.execute(sa.update(tables.jobs).where(tables.jobs.c.id == job.id).values(done))


def asked(store: Store, request: ExportRequest = REQUEST, *, most: int = 20) -> list[PastRun]:
    with store.reading() as connection:
        return past_runs(connection, creator="ada", template="nightly", request=request, most=most)


def test_runs_are_the_latest_first_and_every_file_counts_once(store: Store) -> None:
    store.upgrade()
    assert asked(store) == []
    record(store, age=3, files=[("a", 10), ("b", 20), ("a", 10), ("b", 20)])
    record(store, age=2, state=JobState.EXPIRED, estimated=50)
    record(store, age=1, state=JobState.PARTLY_DELIVERED, estimated=60)
    found = [PastRun(60, 900), PastRun(50, 900), PastRun(1000, 30)]
    assert asked(store) == found
    assert asked(store, most=2) == found[:2]


@pytest.mark.parametrize(
    "unlike",
    [
        pytest.param({"creator": "bob"}, id="another user"),
        pytest.param({"template": "ada/nightly"}, id="another name"),
        pytest.param({"template": None}, id="no template"),
        pytest.param({"source": "analytics"}, id="another source"),
        pytest.param({"format": "json"}, id="another format"),
        pytest.param({"request": {"compress": False}}, id="not compressed"),
        pytest.param({"request": {"compress_level": "fast"}}, id="another level"),
        pytest.param({"estimated": None}, id="not estimated"),
        pytest.param({"estimated": 0}, id="estimated as nothing"),
        pytest.param({"estimate": {"tables": "many"}}, id="an estimate of another shape"),
        pytest.param({"files": []}, id="no file"),
        pytest.param({"state": JobState.FAILED}, id="failed"),
        pytest.param({"state": JobState.PROCESSING}, id="not at its end"),
    ],
)
def test_what_is_unlike_teaches_nothing(unlike: dict[str, Any], tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/store.db")
    record(store, **unlike)
    record(store, files=[("b", 800)], age=1)
    assert asked(store) == [PastRun(1000, 800)]
    store.close()


def test_without_compression_its_level_does_not_matter(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/store.db")
    record(store, request={"compress": False, "compress_level": 9})
    assert asked(store, ExportRequest("pool", "", "csv", compress=False)) == [PastRun(1000, 900)]
    store.close()


def test_a_corrected_estimate_teaches_by_what_its_sample_spoke_for(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/store.db")
    raw = Estimate((TableEstimate("t", 1, 1000, 1000, exact_rows=True),))
    record(store, estimate=unstructure(corrected(raw, Learnt(3, 0.9, 0.0))))
    assert asked(store) == [PastRun(1000, 900)]
    store.close()


def test_runs_are_found_among_the_latest_jobs_and_by_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AMONG", 2)
    store = Store(f"sqlite:///{tmp_path}/store.db")
    for age in range(3):
        record(store, estimated=age + 1, age=age)
    statements: list[tuple[str, Any]] = []
    with store.reading() as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda *of: statements.append((of[2], of[3])))
        found = past_runs(connection, creator="ada", template="nightly", request=REQUEST, most=20)
        ((statement, parameters),) = list(statements)
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert [run.estimated for run in found] == [1, 2]
    steps = [step.detail for step in plan]
    assert "ix_jobs_template " in " ".join(steps)
    assert "ix_artifacts_job" in " ".join(steps)
    assert not [step for step in steps if step.startswith("SCAN ") and "jobs" in step]
    store.close()


HEIGHT = SAMPLE_ROWS + 2_000


@pytest.fixture
def biased(bench: Any) -> Any:
    """A source whose sample has rows of twice the length that rows usually have; each export is a bit later."""
    log = pl.DataFrame({"id": range(10_000, 10_000 + HEIGHT), "text": ["x" * (20 + n % 7) for n in range(HEIGHT)]})
    long = log.with_columns(text=pl.col("text") + "y" * 40)
    bench.source.tables = [memory_table("log", log, sample=long.head)]
    bench.clock = lambda: NOW + timedelta(seconds=2 * len(bench.sink.calls))
    return bench


def run_of(engine: Engine, request: ExportRequest, **more: Any) -> tuple[Estimate, int]:
    """Estimate and export a template, as the command line does."""
    expected = engine.estimate(request, template="nightly", **more)
    (artifact,) = engine.export(request, estimate=expected, template="nightly").artifacts
    return expected, artifact.manifest.file.size


def test_a_sample_that_misleads_is_corrected_by_what_came_out(biased: Any) -> None:
    engine = biased.engine()
    engine.templates.save("nightly", biased.request(), user=User("kim"))
    saved = engine.templates.request("nightly", User("kim"))
    done: list[tuple[Estimate, int]] = []
    for rows in (9_000, 15_000, 3_000, 12_000):
        request = biased.request(where=(f"id < {10_000 + rows}",))
        done.append(run_of(engine, request))
    assert [expected.learnt is None for expected, _ in done] == [True, True, True, False]
    # The fourth was corrected, and teaches as the others do.
    ratios = [actual / expected.raw_bytes for expected, actual in done]
    # A line has 23 bytes beside its text, which has 23 on average; in the sample 40 more.
    assert ratios == pytest.approx([46 / 86] * 4, abs=0.001)
    ahead = [abs(ratios[at] / statistics.median(ratios[:at]) - 1) for at in range(1, 4)]
    expected, actual = run_of(engine, saved)
    assert expected.learnt == Learnt(4, statistics.median(ratios), max(ahead))
    assert expected.bytes == round(expected.raw_bytes * statistics.median(ratios))
    uncorrected = engine.estimate(saved)
    assert (uncorrected.bytes, uncorrected.learnt) == (expected.raw_bytes, None)
    # Far off before, and about as little off as is published by now.
    assert abs(actual / uncorrected.bytes - 1) > 0.4
    assert expected.learnt.error < 0.001
    assert abs(actual / expected.bytes - 1) < 0.001
    engine.store.close()


def test_copies_in_several_folders_do_not_count_twice(biased: Any, tmp_path: Path) -> None:
    engine = biased.engine()
    sinks = tuple(SinkRequest("folder", str(tmp_path / name)) for name in ("a", "b", "c"))
    for _ in range(LEAST_RUNS):
        expected, actual = run_of(engine, biased.request(sinks=sinks, limit=1_000))
    lesson = engine.estimate(biased.request(limit=1_000), template="nightly").learnt
    assert lesson == Learnt(LEAST_RUNS, actual / expected.raw_bytes, 0.0)
    engine.store.close()


def test_nothing_is_known_of_a_new_template_nor_of_what_others_exported(biased: Any) -> None:
    engine = biased.engine()
    request = biased.request(limit=1_000)
    for _ in range(LEAST_RUNS):
        run_of(engine, request)
    assert engine.estimate(request, template="nightly").learnt is not None
    for other in ({"template": "weekly"}, {"template": "nightly", "user": User("bob")}, {}):
        expected = engine.estimate(request, **other)
        assert (expected.learnt, expected.sampled_bytes) == (None, None)
    assert engine.estimate(biased.request(limit=1_000, compress=True), template="nightly").learnt is None
    engine.store.close()


def test_a_worker_carries_out_a_job_with_an_estimate_that_has_learnt(biased: Any) -> None:
    engine = biased.engine()
    request = biased.request(limit=1_000)
    for _ in range(LEAST_RUNS):
        run_of(engine, request)
    expected = engine.estimate(request, template="nightly", fits=True)
    assert expected.learnt is not None
    assert expected.fits
    job = engine.submit(request, estimate=expected, template="nightly")
    engine.worker(concurrency=1).run(until_idle=True)
    assert engine.jobs.show(job.id, User("kim")).state is JobState.COMPLETED
    lesson = engine.estimate(request, template="nightly").learnt
    assert lesson == Learnt(LEAST_RUNS + 1, expected.learnt.factor, 0.0)
    engine.store.close()
