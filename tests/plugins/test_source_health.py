"""The source `health`: places, columns, filters, credentials, errors; and what it says, against plain Python."""

import gzip
import math
import random
import shutil
import sqlite3
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tailrace_source_health import tailrace_source
from tailrace_source_health.clock import DAY, STEPS, buckets, every_bucket
from tailrace_source_health.clock import HOUR as AN_HOUR
from tailrace_source_health.columns import Names
from tailrace_source_health.intervals import Z_95, newcombe, wilson
from tailrace_source_health.options import HealthOptions
from tailrace_source_health.responses import Percentiles, distribution

from tailrace import (
    BadRowError,
    Chart,
    Context,
    CredentialMode,
    Dataset,
    Engine,
    ExportRequest,
    ExpressionError,
    Figure,
    NotAllowedError,
    OptionError,
    Panel,
    Prose,
    Report,
    ReportTable,
    RequestError,
    SinkRequest,
    SourceCall,
    SourceError,
    TimeRange,
    UnknownNameError,
    read_times,
)
from tailrace.settings import Settings

SAMPLE = Path(__file__).parents[1] / "data" / "proxywhirl-sample.db"
NOON = datetime(2026, 8, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@contextmanager
def opened(
    location: Path | str,
    *,
    window: TimeRange | None = None,
    where: Sequence[str] = (),
    zone: str = "UTC",
    credentials: CredentialMode = CredentialMode.SANITIZED,
    folder: Path = Path(),
    moment: datetime = datetime(2026, 11, 30, tzinfo=UTC),
    needed: Collection[str] | None = None,
    **options: Any,
) -> Iterator[Dataset]:
    call = SourceCall(
        location=str(location),
        options=HealthOptions(**options),
        credentials=credentials,
        moment=moment,
        window=window,
        reference=lambda *parts: "ref:" + ":".join(str(len(part)) for part in parts),
        context=Context(),
        folder=folder,
        where=where,
        time_zone=zone,
        tables=needed,
    )
    with tailrace_source().open(call) as dataset:
        yield dataset


def tables(location: Path | str, **more: Any) -> dict[str, pl.DataFrame]:
    """All tables; what the source says about them must be true."""
    with opened(location, **more) as dataset:
        frames = {}
        for table in dataset.tables:
            frame = table.frame.collect()
            assert [column.name for column in table.columns] == frame.columns
            assert all(column.description for column in table.columns)
            # What is computed cannot be counted in a second way.
            assert table.count_rows is None
            if table.time_column is not None:
                assert frame.schema[table.time_column] == pl.Datetime("us", "UTC")
            frames[table.name] = frame
        assert dataset.restricted
        return frames


def report(location: Path | str, **more: Any) -> Report:
    with opened(location, **more) as dataset:
        assert dataset.report is not None
        return dataset.report


def check(
    proxy: str, at: datetime, ok: int | None, ms: float | None = None, error: str | None = None
) -> dict[str, Any]:
    return {
        "proxy_url": proxy,
        "validated_at": at,
        "is_valid": None if ok is None else bool(ok),
        "response_time_ms": ms,
        "error_type": error,
    }


SCHEMA: dict[str, pl.DataType] = {
    "proxy_url": pl.String(),
    "validated_at": pl.Datetime("us", "UTC"),
    "is_valid": pl.Boolean(),
    "response_time_ms": pl.Float64(),
    "error_type": pl.String(),
}


def stored(folder: Path, checks: Sequence[dict[str, Any]], name: str = "validation_results.parquet") -> Path:
    path = folder / name
    pl.DataFrame(checks, schema=SCHEMA).write_parquet(path)
    return path


@pytest.fixture(scope="module")
def sample_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample database as Parquet files."""
    folder = tmp_path_factory.mktemp("health")
    with sqlite3.connect(f"file:{SAMPLE}?mode=ro", uri=True) as connection:
        checks = pl.read_database("SELECT * FROM validation_results", connection, infer_schema_length=None)
        proxies = pl.read_database("SELECT * FROM proxy_identities", connection, infer_schema_length=None)
    connection.close()
    checks = checks.with_columns(
        read_times(checks["validated_at"]), pl.col("is_valid").cast(pl.Boolean), pl.col("error_type").cast(pl.String)
    )
    checks.drop("id", "error_message").sort("proxy_url", "validated_at").write_parquet(
        folder / "validation_results-days.parquet"
    )
    proxies.select("url", "protocol", "host", "port", "country_code", "country_name").with_columns(
        pl.col("country_code").cast(pl.String)
    ).write_parquet(folder / "proxy_identities-days.parquet")
    return folder


# --- Places ---------------------------------------------------------------------------------------------------------


def test_a_database_and_files_say_the_same(sample_files: Path, tmp_path: Path) -> None:
    wanted = tables(SAMPLE, checks=True)
    assert wanted["checks"].height == 457
    assert wanted["proxies"]["country"].drop_nulls().unique().sort().to_list() == [
        "Australia",
        "South Africa",
        "United States",
    ]
    checks = pl.read_parquet(sample_files / "validation_results-days.parquet")
    shutil.copy(sample_files / "proxy_identities-days.parquet", tmp_path)
    # In another order, with another unit of time, without a zone; and as text.
    odd = tmp_path / "validation_results-days.parquet"
    checks.sample(fraction=1, shuffle=True, seed=3).with_columns(
        pl.col("validated_at").dt.replace_time_zone(None).dt.cast_time_unit("ns"),
        pl.col("is_valid").cast(pl.Int8),
        pl.col("proxy_url").cast(pl.Categorical),
    ).write_parquet(odd)
    text = tmp_path / "checks.csv.gz"
    text.write_bytes(gzip.compress(checks.write_csv(separator=";").encode(), mtime=0))
    places: list[tuple[Path | str, dict[str, Any]]] = [
        (sample_files / "validation_results-days.parquet", {}),
        (sample_files, {}),
        (f"sqlite://{SAMPLE}?table=validation_results", {}),
        (f"proxywhirl://{SAMPLE}", {}),
        (odd, {}),
        (text, {}),
        ("checks.csv.gz", {"folder": tmp_path, "identities": Path("proxy_identities-days.parquet")}),
    ]
    for place, more in places:
        found = tables(place, checks=True, **more)
        for name, frame in wanted.items():
            # The order of checks of different proxies at one moment is that of the file.
            keys = ["proxy", "timestamp"] if name == "checks" else []
            assert_frame_equal(found[name].sort(keys) if keys else found[name], frame.sort(keys) if keys else frame)


@pytest.mark.postgres
def test_postgresql_says_the_same(postgres_uri: str) -> None:
    import psycopg

    wanted = tables(SAMPLE)
    with sqlite3.connect(f"file:{SAMPLE}?mode=ro", uri=True) as stored_in, psycopg.connect(postgres_uri) as server:
        server.execute(
            "CREATE TABLE validation_results (id int PRIMARY KEY, proxy_url varchar, validated_at timestamp,"
            " is_valid boolean, response_time_ms float, error_type varchar)"
        )
        server.execute(
            "CREATE TABLE proxy_identities (url varchar PRIMARY KEY, protocol varchar, country_name varchar)"
        )
        rows = stored_in.execute(
            "SELECT id, proxy_url, validated_at, is_valid, response_time_ms, error_type FROM validation_results"
        )
        server.cursor().executemany(
            "INSERT INTO validation_results VALUES (%s, %s, %s::timestamp, %s::int::boolean, %s, %s)", rows.fetchall()
        )
        proxies = stored_in.execute("SELECT url, protocol, country_name FROM proxy_identities").fetchall()
        server.cursor().executemany("INSERT INTO proxy_identities VALUES (%s, %s, %s)", proxies)
    stored_in.close()
    found = tables(postgres_uri)
    for name, frame in wanted.items():
        assert_frame_equal(found[name], frame)


def test_the_proxies_beside_a_file_are_those_of_its_ending(sample_files: Path, tmp_path: Path) -> None:
    path = shutil.copy(sample_files / "validation_results-days.parquet", tmp_path)
    assert tables(path)["proxies"]["country"].null_count() == 30
    for ending in ("-week", "-month"):
        shutil.copy(sample_files / "proxy_identities-days.parquet", tmp_path / f"proxy_identities{ending}.parquet")
    with opened(path) as dataset:
        assert "None was taken: --option identities=PATH." in dataset.notes[0]
        assert dataset.version == "health-parquet"
    shutil.copy(sample_files / "proxy_identities-days.parquet", tmp_path)
    with opened(path) as dataset:
        assert dataset.notes[0] == "The proxies are those of proxy_identities-days.parquet."


def test_other_columns_are_told_by_the_map(tmp_path: Path) -> None:
    path = tmp_path / "probes.csv"
    path.write_text(
        "target,when,state,took,land\n"
        "http://192.0.2.1:80,2026-08-15T06:00:00+02:00,yes,12.5,Peru\n"
        "http://192.0.2.1:80,2026-08-15 08:00:00,no,,Peru\n"
    )
    with pytest.raises(
        SourceError, match=r"probes\.csv has no column that names the proxy \(proxy or proxy_url or url\)"
    ) as no:
        tables(path)
    assert no.value.hint == "It has: target, when, state, took, land. Say which it is: --map proxy=<column>"
    names = {"proxy": "target", "timestamp": "when", "success": "state", "response_time_ms": "took", "country": "land"}
    row = tables(path, map=names)["proxies"].row(0, named=True)
    assert (row["country"], row["protocol"], row["checks"], row["failures"]) == ("Peru", "http", 2, 1)
    assert row["last_seen"] == datetime(2026, 8, 15, 4, tzinfo=UTC)
    with pytest.raises(UnknownNameError, match="no column of a check 'proxi' in --map") as unknown:
        tables(path, map={"proxi": "target"})
    assert unknown.value.suggestion == "proxy"
    with pytest.raises(UnknownNameError, match=r"There is no column 'targt' in probes\.csv"):
        tables(path, map={**names, "proxy": "targt"})
    with pytest.raises(OptionError, match="the column 'state' is mapped twice"):
        tables(path, map={**names, "error": "state"})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.parquet", None, "There is no file or folder"),
        ("empty.csv", b"", "is empty: there is not even a header"),
        ("torn.parquet", b"PAR1 and no more", "is damaged, cut off, or no such file"),
        ("notes.md", b"# Notes", "is neither a Parquet nor a CSV file"),
        ("folder", b"", "has no Parquet or CSV files of checks in it"),
        ("torn.csv.gz", b"\x1f\x8b\x08\x00torn", "is a damaged or cut off gzip file"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        tables(path)
    assert caught.value.hint


def test_databases_without_checks_and_locations_that_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE request_logs (id int)")
    connection.close()
    with pytest.raises(SourceError, match="no table validation_results") as caught:
        tables(path)
    assert "There is: request_logs." in caught.value.hint
    with pytest.raises(UnknownNameError, match="no table 'checks'"):
        tables(path, table="checks")
    with pytest.raises(SourceError, match="is not a database: it has no table 't'"):
        tables(stored(tmp_path, []), table="t")
    with pytest.raises(RequestError, match=r"begins with https:// cannot be read") as place:
        tables("https://user:secret@example.com/x")
    assert "secret" not in str(place.value) + place.value.hint
    (tmp_path / "one").mkdir()
    shutil.copy(SAMPLE, tmp_path / "one")
    with pytest.raises(SourceError, match="has no Parquet or CSV files") as folder:
        tables(tmp_path / "one")
    assert folder.value.hint == "There is a database: proxywhirl-sample.db."


def test_files_of_a_folder_are_of_one_shape(sample_files: Path, tmp_path: Path) -> None:
    checks = pl.read_parquet(sample_files / "validation_results-days.parquet")
    checks[:200].write_parquet(tmp_path / "a.parquet")
    checks[150:].write_parquet(tmp_path / "b.parquet")
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "_tmp.parquet").write_text("not yet")
    with opened(tmp_path) as dataset:
        assert dataset.notes[0] == f"1 files of {tmp_path.name} are neither Parquet nor CSV, and not read."
        assert dataset.report is not None
        assert "50 checks stored more than once: each counts once." in dataset.report.covers
    assert tables(tmp_path)["proxies"]["checks"].sum() == 457
    checks.drop("error_type").write_parquet(tmp_path / "c.parquet")
    with pytest.raises(SourceError, match=r"c\.parquet does not have the columns of .*a\.parquet"):
        tables(tmp_path)
    (tmp_path / "c.parquet").unlink()
    checks.write_csv(tmp_path / "d.csv")
    with pytest.raises(SourceError, match=r"d\.csv is a CSV file, and .*a\.parquet is a Parquet file"):
        tables(tmp_path)


# --- Rows that are not as they should be ----------------------------------------------------------------------------


def test_rows_that_cannot_be_read_stop_it_or_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "checks.csv"
    good = "http://192.0.2.1:80,2026-08-15T06:00:00Z,true,5"
    path.write_text(
        f"proxy,timestamp,success,response_time_ms\n{good}\nhttp://192.0.2.2:80,soon,true,5\n{good[:-1]}x\n"
    )
    with pytest.raises(BadRowError, match="Row 2, column 'timestamp': it is not a time such as 2026-08-15T06:23:17Z"):
        tables(path)
    told = report(path, on_bad_rows="report")
    assert "2 rows that cannot be read: left out." in told.covers
    assert told.basis.rows == 1
    # A row whose time cannot be read may be in the range.
    window = TimeRange(NOON + HOUR, NOON + 2 * HOUR)
    with pytest.raises(BadRowError):
        tables(path, window=window)
    assert "2 rows that cannot be read: left out." in report(path, window=window, on_bad_rows="report").covers


def test_incomplete_odd_repeated_and_late_checks_are_told(tmp_path: Path) -> None:
    proxy = "http://192.0.2.1:80"
    checks = [
        check(proxy, NOON, 1, 100),
        check(proxy, NOON, 1, 100),
        check(proxy, NOON, 0, None, "timeout"),
        check(proxy, NOON + HOUR, 1, -1),
        check(proxy, NOON + 2 * HOUR, 1, float("nan")),
        check(proxy, NOON + 3 * HOUR, 1, float("inf")),
        check(proxy, NOON + 4 * HOUR, 0, 9_000, "slow"),
        check(proxy, NOON + 5 * HOUR, None),
        {**check(proxy, NOON, 1), "validated_at": None},
        {**check(proxy, NOON, 1), "proxy_url": None},
    ]
    told = report(stored(tmp_path, checks), moment=NOON + 3.5 * HOUR)
    assert told.covers[2:] == (
        "3 checks without a proxy, a time or an outcome: left out.",
        "1 check stored more than once: each counts once.",
        "3 response times negative or no number: the checks count without it.",
        "1 check dated later than this export: a clock was wrong.",
        "The country of 1 proxy is not known.",
    )
    row = tables(tmp_path)["proxies"].row(0, named=True)
    assert (row["checks"], row["failures"], row["median_response_time_ms"]) == (6, 2, 100.0)
    # Of one moment, the failure comes first: the outage ended in the same moment.
    assert (row["longest_outage"], row["longest_outage_from"]) == (timedelta(0), NOON)
    assert tables(tmp_path, checks=True)["checks"]["response_time_ms"].to_list() == [None, 100, None, None, None, None]


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(tmp_path, [check("http://192.0.2.1:80", NOON, 1, 1.0)])
    real = Names.of

    def meddling(*arguments: Any) -> Names:
        stored(tmp_path, [check("http://192.0.2.1:80", NOON, 1, 1.0)] * 2)
        return real(*arguments)

    monkeypatch.setattr(Names, "of", meddling)
    with pytest.raises(SourceError, match="changed while it was read"):
        tables(path)


# --- Ranges and filters ---------------------------------------------------------------------------------------------


def counts(location: Path, *where: str, **more: Any) -> tuple[int, int]:
    frames = tables(location, where=where, **more)
    return frames["proxies"].height, int(frames["proxies"]["checks"].sum())


def test_filters_choose_checks_before_they_are_analysed(sample_files: Path) -> None:
    assert counts(sample_files) == (30, 457)
    assert counts(sample_files, "success") == (30, 183)
    assert counts(sample_files, "response_time_ms >= 10000") == (21, 78)
    assert counts(sample_files, "protocol = 'socks5'", "error is not null") == (3, 19)
    assert counts(sample_files, "protocol = 'socks5' and not success") == (3, 19)
    assert counts(sample_files, "country = 'Australia' or success") == (30, 206)
    assert counts(sample_files, "port = 80 and host like '102.%'") == (2, 32)
    assert counts(sample_files, "proxy like '%//102.%:80'") == (2, 32)
    assert counts(sample_files, "timestamp >= '2026-08-16'", zone="Asia/Tokyo") == (30, 330)
    assert counts(sample_files, "country = 'Nowhere'") == (0, 0)
    assert counts(SAMPLE, "id <= 20") == (12, 12)
    assert counts(SAMPLE, "id <= 20 and protocol = 'http'") == (12, 12)
    assert report(sample_files, where=["success"]).covers[1] == "Only checks are in it that fit: success."


def test_filters_that_cannot_be_are_said(sample_files: Path) -> None:
    with pytest.raises(UnknownNameError, match="no column 'protocoll' in the checks and their proxies") as unknown:
        counts(sample_files, "protocoll = 'http'")
    assert unknown.value.suggestion == "protocol"
    with pytest.raises(UnknownNameError) as result:
        counts(sample_files, "status = 'dead'")
    assert result.value.hint == "Filters choose checks, before they are analysed."
    for text in ("success > 5", "protocol = 5", "protocol = 5 and success"):
        with pytest.raises(ExpressionError):
            counts(sample_files, text)


def test_ranges_are_half_open_and_ends_without_runs_are_gaps(tmp_path: Path) -> None:
    checks = [check("http://192.0.2.1:80", NOON + n * HOUR, n % 2 == 0, 5.0) for n in range(10)]
    path = stored(tmp_path, checks)
    window = TimeRange(NOON + HOUR, NOON + 4 * HOUR)
    assert counts(path, window=window) == (1, 3)
    wide = tables(path, window=TimeRange(NOON - 4 * HOUR, NOON + 13 * HOUR))["coverage"]
    gaps = wide.filter(pl.col("kind") == "gap")
    assert gaps.rows() == [
        ("gap", NOON - 4 * HOUR, NOON, None, 3),
        ("gap", NOON + 9 * HOUR, NOON + 13 * HOUR, None, 3),
    ]
    told = report(path, window=window)
    assert (told.basis.since, told.basis.until, told.basis.rows) == (window.since, window.until, 3)
    whole = report(path).basis
    assert (whole.since, whole.until) == (NOON, NOON + 9 * HOUR + timedelta(microseconds=1))


# --- Credentials ----------------------------------------------------------------------------------------------------

SECRET = "s3cret-4711"


@pytest.fixture
def with_logins(tmp_path: Path) -> Path:
    proxies = [f"http://kim:{SECRET}@192.0.2.1:80", "http://192.0.2.2:80", f"http://ann:{SECRET}@192.0.2.2:80"]
    checks = [
        check(proxy, NOON + n * HOUR, n % 2 == 0, 5.0, None if n % 2 == 0 else f"refused by http://kim:{SECRET}@h")
        for n in range(4)
        for proxy in proxies
    ]
    return stored(tmp_path, checks)


@pytest.mark.parametrize("credentials", [CredentialMode.SANITIZED, CredentialMode.REFERENCE])
@pytest.mark.parametrize("format_", ["csv", "json"])
def test_no_login_leaves_the_source(
    tmp_path: Path, with_logins: Path, credentials: CredentialMode, format_: str
) -> None:
    sink = SinkRequest("disk", str(tmp_path / "out"))
    request = ExportRequest(
        "health",
        str(with_logins),
        format_,
        sinks=(sink,),
        compress=False,
        credentials=credentials,
        where=("error is null or error like '%://h'",),
        options={"checks": True},
    )
    result = Engine(Settings(home=tmp_path / "home", user="kim")).export(request)
    for artifact in result.artifacts:
        assert artifact.path is not None
        assert SECRET not in artifact.path.read_text()
        assert artifact.manifest.redaction is not None
        assert artifact.manifest.redaction.searched == 1
    text = "".join(path.read_text() for path in (tmp_path / "out").iterdir() if "manifest" not in path.name)
    assert "refused by http://h" in text
    assert "http://192.0.2.1:80" in text


def test_filters_cannot_ask_for_logins(with_logins: Path) -> None:
    with opened(with_logins) as dataset:
        assert dataset.secrets is not None
        assert dataset.secrets().texts == {SECRET: "password"}
    for text in (f"proxy like '%{SECRET}%'", f"error like '%{SECRET}%'", f"error like '%{SECRET}%' and port > 0"):
        assert counts(with_logins, text) == (0, 0)
    assert counts(with_logins, "error = 'refused by http://h'")[1] == 6
    # Proxies of one address and several logins are several proxies.
    assert tables(with_logins)["proxies"]["url"].to_list() == [
        "http://192.0.2.1:80",
        "http://192.0.2.2:80",
        "http://192.0.2.2:80",
    ]
    assert SECRET not in str(report(with_logins))


def test_credentials_in_full_are_refused(with_logins: Path) -> None:
    with (
        pytest.raises(NotAllowedError, match="not restored from"),
        opened(with_logins, credentials=CredentialMode.FULL),
    ):
        pass


MINUTE = timedelta(minutes=1)
A, B = "http://192.0.2.1:80", "socks5://192.0.2.2:1080"


def every(hours: float, outcomes: str, proxy: str = A, begin: datetime = NOON) -> list[dict[str, Any]]:
    """A check each so many hours: ``+`` succeeded, ``-`` failed, and a blank was not made."""
    return [
        check(proxy, begin + n * timedelta(hours=hours), sign == "+", 100.0 + n if sign == "+" else None, None)
        for n, sign in enumerate(outcomes)
        if sign != " "
    ]


def proxy_rows(folder: Path, *checks: dict[str, Any], **more: Any) -> Mapping[str, Mapping[str, Any]]:
    return {row["url"]: row for row in tables(stored(folder, checks), **more)["proxies"].iter_rows(named=True)}


# --- Against plain Python -------------------------------------------------------------------------------------------


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    return ordered[low] + (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (place - low)


def longest_outage(history: Sequence[tuple[datetime, bool]]) -> tuple[timedelta, datetime, datetime] | None:
    found: list[tuple[timedelta, datetime, datetime]] = []
    began: datetime | None = None
    last = history[0][0]
    for at, ok in history:
        if ok and began is not None:
            found.append((at - began, began, at))
            began = None
        elif not ok and began is None:
            began = at
        last = at
    if began is not None:
        found.append((last - began, began, last))
    return max(found, key=lambda outage: outage[0], default=None)


def test_each_proxy_is_what_plain_python_says() -> None:
    with sqlite3.connect(f"file:{SAMPLE}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT proxy_url, validated_at, is_valid, response_time_ms FROM validation_results ORDER BY validated_at"
        ).fetchall()
    connection.close()
    history: dict[str, list[tuple[datetime, bool]]] = defaultdict(list)
    times: dict[str, list[float]] = defaultdict(list)
    for url, text, ok, ms in rows:
        history[url].append((datetime.fromisoformat(text).replace(tzinfo=UTC), bool(ok)))
        if ok:
            times[url].append(ms)
    moments = [at for checks in history.values() for at, _ok in checks]
    middle = min(moments) + (max(moments) - min(moments)) / 2
    found = tables(SAMPLE)["proxies"]
    assert found["url"].to_list() == sorted(history)
    for row in found.iter_rows(named=True):
        checks, ms = history[row["url"]], times[row["url"]]
        outcomes = [ok for _at, ok in checks]
        assert row["checks"] == len(checks)
        assert row["failures"] == outcomes.count(False)
        assert row["uptime_percent"] == pytest.approx(100 * statistics.mean(outcomes), abs=0.001)
        assert row["mean_response_time_ms"] == pytest.approx(statistics.mean(ms), abs=0.0501)
        assert row["median_response_time_ms"] == pytest.approx(statistics.median(ms), abs=0.0501)
        assert row["p95_response_time_ms"] == pytest.approx(percentile(ms, 0.95), abs=0.0501)
        assert row["last_checked"] == checks[-1][0]
        assert row["last_seen"] == max(at for at, ok in checks if ok)
        outage = longest_outage(checks) or (None, None, None)
        lasting = None if outage[0] is None else timedelta(seconds=outage[0] // timedelta(seconds=1))
        assert (row["longest_outage"], row["longest_outage_from"], row["longest_outage_until"]) == (
            lasting,
            *outage[1:],
        )
        halves = [[ok for at, ok in checks if (at < middle) == first] for first in (True, False)]
        points = 100 * (statistics.mean(halves[1]) - statistics.mean(halves[0])) if all(halves) else None
        assert row["trend_points"] == (None if points is None else pytest.approx(points, abs=0.001))
        assert (row["reasons"] is None) == (row["status"] in {"healthy", "unknown"})
    told = {panel.title: panel.content for panel in report(SAMPLE).sections[0].panels}
    everything = [ms for values in times.values() for ms in values]
    median, p95 = told["Median response time"], told["95th percentile"]
    assert isinstance(median, Figure)
    assert isinstance(p95, Figure)
    assert median.value == pytest.approx(statistics.median(everything), abs=0.001)
    assert p95.value == pytest.approx(percentile(everything, 0.95), abs=0.001)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from([A, B, "http://192.0.2.3:80"]), st.integers(0, 3_000), st.booleans(), st.integers(0, 50)
        ),
        max_size=40,
    ),
    st.sampled_from(["UTC", "Europe/Warsaw", "Asia/Kolkata", "America/St_Johns"]),
)
def test_sums_agree_whatever_is_told_apart(tmp_path: Path, rows: list[tuple[str, int, bool, int]], zone: str) -> None:
    # Over the change to winter time.
    begin = datetime(2026, 10, 24, tzinfo=UTC)
    made = {
        (proxy, minute): check(
            proxy, begin + minute * MINUTE, ok, float(ms) if ok else None, None if ok else f"e{ms % 3}"
        )
        for proxy, minute, ok, ms in rows
    }
    found = tables(stored(tmp_path, list(made.values())), zone=zone, checks=True)
    checks, failures = len(made), sum(not one["is_valid"] for one in made.values())
    assert found["checks"].height == checks
    assert (found["proxies"]["checks"].sum(), found["proxies"]["failures"].sum()) == (checks, failures)
    assert (found["availability"]["checks"].sum(), found["availability"]["failures"].sum()) == (checks, failures)
    assert found["availability"]["begins"].is_sorted()
    assert found["availability"]["begins"].is_unique().all()
    assert found["response_times"]["checks"].sum() == checks - failures
    by = {name: part for (name,), part in found["failures"].group_by("by")}
    assert by.get("error", found["failures"])["failures"].sum() == failures
    for name in ("hour", "weekday_hour", "country", "protocol"):
        part = by.get(name, found["failures"].clear())
        assert (part["checks"].sum(), part["failures"].sum()) == (checks, failures)
    assert found["coverage"].filter(pl.col("kind") == "run")["checks"].sum() == checks
    assert set(found["problems"]["url"]) <= set(found["proxies"]["url"])


# --- Trend and status -----------------------------------------------------------------------------------------------


def test_intervals_are_those_of_the_books() -> None:
    frame = pl.DataFrame({"x": [81, 0, 15, 5, 0], "n": [263, 20, 15, 5, 0]})
    low, high = wilson(pl.col("x"), pl.col("n"), Z_95)
    # Newcombe 1998, Statistics in Medicine 17, 857-872, table I: method 3.
    assert frame.select(low.round(4), high.round(4).alias("high")).rows()[:2] == [(0.2553, 0.3662), (0.0, 0.1611)]
    assert frame.select(low, high.alias("high")).row(4) == (None, None)
    # Newcombe 1998, Statistics in Medicine 17, 873-890, table II, contrasts (a) and (c), method 10.
    pairs = pl.DataFrame({"x": [48, 9], "n": [80, 10], "y": [56, 3], "m": [70, 10]})
    ends = newcombe((pl.col("x"), pl.col("n")), (pl.col("y"), pl.col("m")), Z_95)
    assert pairs.select(end.round(4).alias(str(place)) for place, end in enumerate(ends)).rows() == [
        (0.2, 0.0524, 0.3339),
        (-0.6, -0.809, -0.1705),
    ]


@pytest.mark.parametrize(
    ("outcomes", "trend", "points"),
    [
        ("----++++", "unknown", 100.0),
        ("-----+++++", "improving", 100.0),
        ("+++++-----", "worsening", -100.0),
        ("+++++--+++", "steady", -40.0),
        ("+" * 20, "steady", 0.0),
        ("+", "unknown", None),
        ("+" * 30 + "+-" * 15, "worsening", -50.0),
        # Beyond doubt, but less than ten points.
        ("+" * 2000 + ("+" * 19 + "-") * 100, "steady", -5.0),
    ],
)
def test_small_samples_do_not_cross_the_threshold_of_a_trend(
    tmp_path: Path, outcomes: str, trend: str, points: float | None
) -> None:
    row = proxy_rows(tmp_path, *every(0.1, outcomes))[A]
    assert (row["trend"], row["trend_points"]) == (trend, points)


@pytest.mark.parametrize(
    ("outcomes", "status", "reasons", "mark"),
    [
        ("++", "unknown", None, None),
        ("--", "unknown", None, None),
        ("+++", "healthy", None, "good"),
        ("---", "dead", "none of 3 checks succeeded", "bad"),
        (
            "+" * 40 + "-" * 10,
            "dead",
            "the last 10 checks failed; 20.0 % of 50 checks failed; uptime fell by 40.0 points",
            "bad",
        ),
        (
            "++++++---",
            "failing",
            "the last 3 checks failed; 33.3 % of 9 checks failed; out for 2.0 hours at a stretch",
            "bad",
        ),
        ("+-----+-----+", "degraded", "76.9 % of 13 checks failed; out for 5.0 hours at a stretch", "warning"),
        ("+-----+-----+-----+", "failing", "78.9 % of 19 checks failed; out for 5.0 hours at a stretch", "bad"),
        ("+-+-+", "degraded", "40.0 % of 5 checks failed", "warning"),
        ("+++++++++-", "healthy", None, "good"),
        ("++++++++-", "degraded", "11.1 % of 9 checks failed", "warning"),
    ],
)
def test_the_status_says_why(tmp_path: Path, outcomes: str, status: str, reasons: str | None, mark: str | None) -> None:
    # Response times rise a little, and are never slow.
    row = proxy_rows(tmp_path, *every(1, outcomes))[A]
    assert (row["status"], row["reasons"], row["mark"]) == (status, reasons, mark)
    problems = tables(tmp_path)["problems"]
    assert problems.height == (reasons is not None)


def test_the_worst_problems_are_listed_and_all_are_counted(tmp_path: Path) -> None:
    rows = [row for n in range(5) for row in every(1, "+" * n + "-" * (9 - n), f"http://192.0.2.{n}:80")]
    location = stored(tmp_path, rows)
    worst = tables(location, problems=2)
    assert worst["problems"]["url"].to_list() == ["http://192.0.2.0:80", "http://192.0.2.1:80"]
    assert worst["proxies"]["reasons"].null_count() == 0
    assert tables(location, problems=0)["problems"].is_empty()
    assert tables(location)["problems"].height == 5
    told = str(report(location, problems=2))
    assert "5 of 5 proxies are a problem; the 2 worst are listed" in told
    assert "5 of 5 proxies are a problem, worst first" in str(report(location))


def test_slow_proxies_are_degraded_and_the_worst_come_first(tmp_path: Path) -> None:
    slow = [check("http://192.0.2.9:80", NOON + n * timedelta(hours=1), 1, 1_000.0) for n in range(5)]
    dead = every(1, "---", "http://192.0.2.8:80")
    others = [row for n in range(1, 5) for row in every(1, "+++++", f"http://192.0.2.{n}:80")]
    found = tables(stored(tmp_path, [*slow, *dead, *others, *every(1, "+----", "http://192.0.2.7:80")]))
    assert found["problems"].select("url", "status", "reasons").rows() == [
        ("http://192.0.2.8:80", "dead", "none of 3 checks succeeded"),
        (
            "http://192.0.2.7:80",
            "failing",
            "the last 4 checks failed; 80.0 % of 5 checks failed; out for 3.0 hours at a stretch",
        ),
        ("http://192.0.2.9:80", "degraded", "its median response time is 9.8 times that of all"),
    ]


# --- Time -----------------------------------------------------------------------------------------------------------


def test_hours_and_days_go_by_the_clock() -> None:
    warsaw = "Europe/Warsaw"
    night = pl.Series([datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1, 2)])
    # 02:30 comes twice, and each has an hour of its own.
    assert [at.hour for at in buckets(night, AN_HOUR, warsaw)] == [0, 1, 2]
    day = every_bucket(night[:1], night[-1:] + timedelta(hours=24), DAY, warsaw)
    assert day.to_list() == [datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)]
    # A day that begins at one o'clock, because the clock is put forward at midnight.
    havana = pl.Series([datetime(2026, 3, 8, 12, tzinfo=UTC)])
    assert buckets(havana, DAY, "America/Havana").to_list() == [datetime(2026, 3, 8, 5, tzinfo=UTC)]
    assert buckets(pl.Series([NOON + MINUTE]), AN_HOUR, "Asia/Kolkata").to_list() == [NOON - 30 * MINUTE]
    rng = random.Random(5)
    for zone in ("UTC", warsaw, "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu"):
        moments = pl.Series([datetime(2026, 1, 1, tzinfo=UTC) + rng.random() * timedelta(days=365) for _ in range(300)])
        moments = moments.dt.cast_time_unit("us").sort()
        for step in STEPS[1:]:
            begins = buckets(moments, step, zone)
            assert ((begins <= moments) & (moments - begins < timedelta(seconds=step, hours=1))).all()
            assert set(begins) <= set(every_bucket(moments[:1], moments[-1:], step, zone))
        local = datetime.combine(moments[0].astimezone(ZoneInfo(zone)).date(), datetime.min.time(), ZoneInfo(zone))
        assert buckets(moments[:1], DAY, zone).item() == local.astimezone(UTC)


def test_missing_runs_are_gaps_and_never_zero(tmp_path: Path) -> None:
    # Runs of three minutes every three hours, two of which are missing.
    seen = "+-+-+ + -+-+-+-+"
    checks = [row for n in range(4) for row in every(3, seen, f"http://192.0.2.{n}:80", NOON + n * MINUTE)]
    found = tables(stored(tmp_path, checks))
    coverage = found["coverage"]
    assert coverage.filter(pl.col("kind") == "run").height == 14
    assert coverage.filter(pl.col("kind") == "gap").rows() == [
        ("gap", NOON + timedelta(hours=12, minutes=3), NOON + timedelta(hours=18), None, 1),
        ("gap", NOON + timedelta(hours=18, minutes=3), NOON + timedelta(hours=24), None, 1),
    ]
    availability = found["availability"]
    assert availability["availability_percent"].to_list() == [
        *(100.0, 0.0, 100.0, 0.0, 100.0, None, 100.0, None, 0.0, 100.0, 0.0, 100.0, 0.0, 100.0, 0.0, 100.0)
    ]
    assert availability["checks"].to_list() == [4, 4, 4, 4, 4, 0, 4, 0, 4, 4, 4, 4, 4, 4, 4, 4]
    told = report(tmp_path)
    assert told.covers[1] == "14 of 16 runs that were expected, about every 3 hours, are in it; there are 2 gaps."
    (table,) = [panel.content for panel in told.sections[-1].panels if isinstance(panel.content, ReportTable)]
    assert [row[2] for row in table.rows] == [1, 1]


def test_a_range_that_lasts_until_now_says_what_was_due_since_the_last_check(tmp_path: Path) -> None:
    path = stored(tmp_path, [check("http://192.0.2.1:80", NOON + n * HOUR, 1, 5.0) for n in range(10)])
    now = NOON + 13 * HOUR
    told = report(path, window=TimeRange(NOON, now), moment=now)
    said = [
        "10 of 13 runs that were expected, about every hour, are in it; there is 1 gap.",
        (
            "3 of them were due after the last check (2026-08-15 21:00): the range lasts until now; "
            "--until ends it where the data does."
        ),
    ]
    assert list(told.covers[1:3]) == said
    (panel, _gaps) = told.sections[-1].panels
    assert isinstance(panel.content, Prose)
    assert list(panel.content.paragraphs[:2]) == said
    asked_for = report(path, window=TimeRange(NOON, now), moment=now + HOUR)
    assert list(asked_for.covers[1:2]) == said[:1]
    assert not any("--until" in text for text in asked_for.covers)


def test_years_that_no_clock_should_show_are_told_of(tmp_path: Path) -> None:
    never = datetime(9999, 12, 31, tzinfo=UTC)
    path = stored(tmp_path, [check("http://192.0.2.1:80", at, 1, 5.0) for at in (NOON, NOON + HOUR, never)])
    assert tables(path)["proxies"]["last_checked"].to_list() == [never]
    told = report(path, window=TimeRange(datetime(1, 1, 2, tzinfo=UTC), never))
    assert told.basis.rows == 2


def test_whoever_needs_only_the_checks_is_spared_the_analysis() -> None:
    with opened(SAMPLE, needed={"checks"}) as bare, opened(SAMPLE, checks=True) as whole:
        assert [table.name for table in bare.tables] == ["checks"]
        assert bare.report is None
        assert whole.report is not None
        assert_frame_equal(bare.tables[0].frame.collect(), whole.tables[-1].frame.collect())
    with opened(SAMPLE, needed={"checks", "proxies"}) as both:
        assert {"checks", "proxies"} <= {table.name for table in both.tables}
    with opened(SAMPLE, needed={"proxies"}) as few:
        assert "checks" not in {table.name for table in few.tables}


def test_checks_spread_over_the_day_are_runs_as_well(tmp_path: Path) -> None:
    # Each proxy every twelve hours, one of them each minute: nothing is ever quiet.
    checks = [
        check(f"http://192.0.2.{n % 240}:{n}", NOON + n * MINUTE + half * timedelta(hours=12), 1, 5.0)
        for n in range(720)
        for half in range(4)
    ]
    coverage = tables(stored(tmp_path, checks))["coverage"]
    assert coverage["kind"].to_list() == ["run"] * 4
    assert coverage["checks"].to_list() == [720] * 4


def test_the_length_of_buckets_follows_the_range(tmp_path: Path) -> None:
    lengths = {}
    for hours, count in ((0.25, 40), (1, 60), (5, 60), (24, 300), (24, 900), (0.25, 5000)):
        times = tables(stored(tmp_path, every(hours, "+" * count)))["availability"]["begins"]
        lengths[hours, count] = times.diff().drop_nulls().unique().dt.total_hours().to_list()
    assert lengths == {
        (0.25, 40): [1],
        (1, 60): [1],
        (5, 60): [6],
        (24, 300): [24],
        (24, 900): [7 * 24],
        (0.25, 5000): [6],
    }


# --- Response times -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        [5.0],
        [0.0],
        [0.0, 0.0],
        [1.0, 1.0, 2.0],
        [float(n) for n in range(1000)],
        [*([10.0] * 500), 1e6],
        [0.001, 0.002],
    ],
)
def test_bins_hold_what_lies_in_them(values: list[float]) -> None:
    times = pl.Series(sorted(values))
    rows, width = distribution(times, Percentiles.of(times))
    assert rows["checks"].sum() == len(values)
    assert rows.height <= 62
    for low, high, count, share in rows.rows():
        inside = [value for value in values if value >= low and (high is None or value < high)]
        assert count == len(inside)
        assert share == pytest.approx(100 * len(inside) / len(values), abs=0.001)
        assert high is None or high - low == pytest.approx(width)


# --- The report where there is little or nothing --------------------------------------------------------------------


def panels(told: Report) -> Mapping[str, list[Panel]]:
    return {section.heading: list(section.panels) for section in told.sections}


def words(panel: Panel) -> tuple[str, str]:
    assert isinstance(panel.content, Prose)
    return panel.title, " ".join(panel.content.paragraphs)


def test_no_checks_at_all(tmp_path: Path) -> None:
    path = stored(tmp_path, [])
    assert {name: frame.height for name, frame in tables(path, checks=True).items()} == dict.fromkeys(
        ("proxies", "problems", "availability", "response_times", "failures", "coverage", "checks"), 0
    )
    told = report(path)
    assert told.covers == ("There are no checks in this range.",)
    assert words(panels(told)["Summary"][0]) == ("There are no checks", "Nothing can be said of the proxies.")
    assert (told.basis.rows, told.basis.since, told.basis.until) == (0, None, None)


def test_one_check(tmp_path: Path) -> None:
    told = report(stored(tmp_path, every(1, "+")))
    assert told.covers[1] == "No proxy was checked twice: how often runs are made is not known."
    found = panels(told)
    assert words(found["Availability over time"][0]) == (
        "Availability was 100.0 %",
        "All checks were made within 1 hour: there is no course of time to draw.",
    )
    assert words(found["Response times"][0])[0] == "The only response time is 100 ms"
    assert words(found["Failures"][0]) == ("No check failed", "All 1 check succeeded.")
    assert words(found["Problem proxies"][0])[0] == "No proxy is a problem"
    assert found["Every proxy"][0].title == "The only proxy"
    assert not any(isinstance(panel.content, Chart) for section in found.values() for panel in section)


def test_nothing_but_failures(tmp_path: Path) -> None:
    found = panels(report(stored(tmp_path, [*every(1, "----"), *every(1, "----", B)])))
    figures = {panel.title: panel.content for panel in found["Summary"]}
    assert figures["Median response time"] == Figure(None, "ms")
    assert figures["Availability"] == Figure(0.0, "%", "0.0 % in the first half", "bad")
    assert figures["Problem proxies"] == Figure(2, detail="2 dead", mark="bad")
    assert words(found["Response times"][0]) == ("There are no response times", "No check succeeded.")
    assert words(found["Failures"][0]) == ("8 checks failed in one way", "No error is given for any of them.")
    assert words(found["Failures"][-1])[0] == "Failures by country are not known"


def test_every_chart_is_told_in_words_and_every_panel_has_its_basis(tmp_path: Path) -> None:
    errors = [check(B, NOON + n * timedelta(hours=7), 0, None, f"error {n % 12}") for n in range(24)]
    told = report(stored(tmp_path, [*every(7, "+-" * 12), *errors]), zone="Europe/Warsaw")
    charts = []
    for section in told.sections:
        assert section.panels
        for panel in section.panels:
            assert panel.basis is not None
            assert panel.basis.rows == 48
            if isinstance(panel.content, Chart):
                charts.append(panel.content.kind)
                assert panel.description.endswith(".")
    assert charts == ["line", "histogram", "line", "donut", "bar", "heatmap"]
    found = panels(told)
    (donut,) = [
        panel for panel in found["Failures"] if isinstance(panel.content, Chart) and panel.content.kind == "donut"
    ]
    assert isinstance(donut.content, Chart)
    assert donut.title == "33.3 % of failures are: no error given"
    assert donut.content.series[0].x[-1] == "others"
    assert sum(donut.content.series[0].y) == 36  # type: ignore[arg-type]  # counts
    (table,) = [panel.content for panel in found["Response times"] if isinstance(panel.content, ReportTable)]
    assert [row[0] for row in table.rows] == ["http", "socks5"]


def test_a_fall_of_availability_is_the_title(tmp_path: Path) -> None:
    told = report(stored(tmp_path, every(1, "+" * 30 + "+-" * 15)))
    assert panels(told)["Availability over time"][0].title == (
        "Availability fell from 100.0 % in the first half to 50.0 % in the second"
    )
