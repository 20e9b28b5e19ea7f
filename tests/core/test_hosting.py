"""Frames of an application as a source: what they may be, what becomes of secrets in them, and what goes wrong."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest
import tailrace_format_csv
import tailrace_format_json
from tailrace_sdk.fakes import FolderSink

from tailrace import (
    AlreadyExistsError,
    CancelledError,
    Column,
    Context,
    CredentialMode,
    Dataset,
    Engine,
    ExportRequest,
    JobResult,
    LeakError,
    MasterKey,
    Meaning,
    NotAllowedError,
    PluginContractError,
    RequestError,
    SinkRequest,
    SourceCall,
    SourceError,
    Table,
    TailraceError,
    TransientError,
    UnknownNameError,
    option,
)
from tailrace.settings import Settings
from tailrace.vault.header import open_header, read_header
from tailrace.vault.values import open_values

NOW = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)
CANARY, OTHER = "hunter2-canary", "swordfish-canary"
TIMES = [NOW - timedelta(days=days) for days in (3, 2, 1)]
ROWS = {"id": [1, 2, 3], "price": [1.5, None, 3.0], "paid": [True, False, None], "at": TIMES}
LOGINS = pl.DataFrame({"id": [1, 2, 3], "login": [CANARY, None, OTHER]})


@attrs.define
class Desk:
    """An engine that exports frames into a folder."""

    folder: Path
    engine: Engine

    def request(self, source: str = "orders", kind: str = "csv", **more: Any) -> ExportRequest:
        sinks = (SinkRequest("folder", str(self.folder)),)
        return ExportRequest(source, more.pop("location", ""), kind, **{"compress": False, "sinks": sinks, **more})

    def export(self, source: str = "orders", **more: Any) -> JobResult:
        return self.engine.export(self.request(source, **more))

    def text(self, source: str = "orders", **more: Any) -> str:
        (artifact,) = self.export(source, **more).artifacts
        assert artifact.path is not None
        text = artifact.path.read_text()
        # The clock stands still: the next export has the same name.
        artifact.path.unlink()
        return text


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    plugins = [("csv", tailrace_format_csv), ("json", tailrace_format_json), ("folder", FolderSink())]
    engine = Engine(Settings(home=tmp_path / "home", user="kim"), plugins=plugins, discover=False, clock=lambda: NOW)
    yield Desk(tmp_path / "out", engine)
    engine.store.close()


@contextmanager
def entered(given: Any) -> Iterator[Any]:
    yield given


async def awaited(given: Any) -> Any:
    await asyncio.sleep(0)
    return given


IDS = pl.DataFrame({"id": [1, 2]})


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(lambda: IDS, id="frame"),
        pytest.param(IDS.lazy, id="lazy"),
        pytest.param(lambda: {"orders": IDS}, id="mapping"),
        pytest.param(lambda: awaited(IDS), id="awaited"),
        pytest.param(lambda: entered(IDS.lazy()), id="entered"),
        pytest.param(lambda: awaited(entered({"orders": IDS})), id="awaited and entered"),
        pytest.param(lambda: Dataset([Table("orders", IDS.lazy(), [Column("id", Meaning.KEY)])]), id="dataset"),
    ],
)
def test_a_function_gives_frames_in_many_ways(desk: Desk, given: Callable[[], Any]) -> None:
    desk.engine.add_source("orders", lambda _call: given())
    assert desk.text() == "id\n1\n2\n"


def test_the_function_gets_the_call_and_is_asked_once(desk: Desk) -> None:
    @attrs.frozen
    class Options:
        region: str = option("eu", help="Which orders.")

    calls: list[SourceCall] = []

    def orders(call: SourceCall) -> pl.DataFrame:
        calls.append(call)
        return pl.DataFrame({"region": [call.options.region], "where": [call.location]})

    desk.engine.add_source("orders", orders, options_type=Options)
    text = desk.text(location="shop-7", options={"region": "us"})
    assert text == "region,where\nus,shop-7\n"
    (call,) = calls
    assert (call.moment, call.credentials) == (NOW, CredentialMode.SANITIZED)


def test_columns_mean_what_their_types_and_the_application_say(desk: Desk) -> None:
    frame = pl.DataFrame({**ROWS, "kind": pl.Series(["a", "b", "a"], dtype=pl.Categorical), "word": ["x", "y", "z"]})
    said: dict[str, Column | Meaning | str] = {
        "id": Meaning.KEY,
        "price": Column("price", Meaning.MEASURE, "EUR", "What it cost."),
    }
    desk.engine.add_source("orders", lambda _call: frame, columns=said)
    (artifact,) = desk.export().artifacts
    (table,) = artifact.manifest.tables
    assert [(column.name, column.meaning.value, column.unit) for column in table.columns] == [
        ("id", "key", ""),
        ("price", "measure", "EUR"),
        ("paid", "flag", ""),
        ("at", "timestamp", ""),
        ("kind", "category", ""),
        ("word", "text", ""),
    ]
    assert (artifact.manifest.source.plugin.distribution, artifact.manifest.source.version) == (
        __name__,
        "tailrace-host-frames-1",
    )
    # The height of a frame is counted apart from its rows.
    assert table.rows.source == 3


def test_ranges_filters_and_columns_apply(desk: Desk) -> None:
    desk.engine.add_source("orders", lambda _call: pl.LazyFrame(ROWS), time_column="at")
    text = desk.text(since="2026-08-18T12:00:00Z", where=("id > 1",), columns=("id", "at"))
    assert text == "id,at\n2,2026-08-18T12:00:00.000000Z\n3,2026-08-19T12:00:00.000000Z\n"


def test_a_lazy_frame_is_evaluated_once(desk: Desk) -> None:
    asked: list[int] = []

    def noted(batch: pl.DataFrame) -> pl.DataFrame:
        asked.append(batch.height)
        return batch

    schema = pl.Schema({"id": pl.Int64, "login": pl.String})
    frame = LOGINS.lazy().map_batches(noted, schema=schema)
    desk.engine.add_source("orders", lambda _call: frame, secrets=("login",))
    assert desk.text() == "id,login\n1,\n2,\n3,\n"
    assert asked == [3]


def test_tables_become_files_and_only_some_have_times_or_secrets(desk: Desk) -> None:
    frames = {"paid": pl.DataFrame(ROWS), "open": LOGINS.lazy()}
    desk.engine.add_source("orders", lambda _call: frames, time_column="at", secrets=("login",))
    result = desk.export(since="2026-08-19")
    assert [len(artifact.manifest.tables) for artifact in result.artifacts] == [1, 1]
    rows = {table.name: table.rows.written for one in result.artifacts for table in one.manifest.tables}
    assert rows == {"paid": 1, "open": 3}
    assert any("does not apply to open" in note for note in result.notes)


def test_times_without_a_zone_are_refused_or_taken_as_said(desk: Desk) -> None:
    frame = pl.DataFrame({"at": [datetime(2026, 7, 1, 12), datetime(2026, 1, 1, 12)]})  # noqa: DTZ001 - the point
    desk.engine.add_source("naive", lambda _call: frame)
    with pytest.raises(SourceError, match=r"'at' of table naive .* times without a zone") as caught:
        desk.export("naive")
    assert "naive_zone" in caught.value.hint
    desk.engine.add_source("berlin", lambda _call: frame, naive_zone="Europe/Berlin")
    assert desk.text("berlin") == "at\n2026-07-01T10:00:00.000000Z\n2026-01-01T11:00:00.000000Z\n"
    away = pl.DataFrame({"at": [datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))]})
    zoned = away.select(pl.col("at").dt.convert_time_zone("Asia/Tokyo"))
    desk.engine.add_source("tokyo", lambda _call: zoned)
    assert desk.text("tokyo") == "at\n2026-07-01T10:00:00.000000Z\n"


def test_python_objects_are_no_data(desk: Desk) -> None:
    frame = pl.DataFrame({"thing": pl.Series([object()], dtype=pl.Object)})
    desk.engine.add_source("orders", lambda _call: frame)
    with pytest.raises(SourceError, match=r"'thing' of table orders .* Python objects"):
        desk.export()


# Secrets.


def test_secrets_are_left_out_and_searched_for(desk: Desk) -> None:
    desk.engine.add_source("orders", lambda _call: LOGINS.lazy(), secrets=("login",))
    result = desk.export()
    (artifact,) = result.artifacts
    assert artifact.manifest.redaction is not None
    assert artifact.manifest.redaction.secrets == 2
    assert result.notes == ("What login hold was left out.",)


def test_a_secret_that_shows_elsewhere_stops_the_export(desk: Desk) -> None:
    leaking = LOGINS.with_columns(note=pl.lit(f"use {CANARY}"))
    desk.engine.add_source("orders", lambda _call: leaking, secrets=("login",))
    with pytest.raises(LeakError) as caught:
        desk.export()
    assert CANARY not in str(caught.value)
    assert not list(desk.folder.glob("*"))


@pytest.mark.parametrize(
    "narrowed", [{"columns": ("id", "note")}, {"where": ("id = 2",)}, {"limit": 2, "sort": ("-id",)}]
)
def test_secrets_are_known_whatever_is_asked_for(desk: Desk, narrowed: dict[str, Any]) -> None:
    leaking = LOGINS.with_columns(note=pl.lit(f"use {CANARY}"))
    desk.engine.add_source("orders", lambda _call: leaking.lazy(), secrets=("login",))
    with pytest.raises(LeakError):
        desk.export(**narrowed)


def test_ids_take_the_place_of_secrets(desk: Desk) -> None:
    desk.engine.add_source("orders", lambda _call: pl.concat([LOGINS, LOGINS]), secrets=("login",))
    lines = [line.split(",")[1] for line in desk.text(credentials=CredentialMode.REFERENCE).splitlines()[1:]]
    assert lines[0].startswith("ref_")
    assert lines[:3] == lines[3:]
    assert len(set(lines)) == 3
    assert lines[1] == ""


def test_secrets_that_are_numbers_are_kept_out_as_well(desk: Desk) -> None:
    frame = pl.DataFrame({"pin": [12345678, 87654321], "id": [1, 2]})
    desk.engine.add_source("orders", lambda _call: frame, columns={"pin": "secret"})
    assert desk.text() == "pin,id\n,1\n,2\n"


@pytest.mark.parametrize(
    "logins",
    [
        pytest.param([{"p": CANARY}, {"p": OTHER}], id="structs"),
        pytest.param([[CANARY], [OTHER]], id="lists"),
        pytest.param([CANARY.encode(), OTHER.encode()], id="bytes"),
    ],
)
def test_secrets_that_could_not_be_searched_for_are_refused(desk: Desk, logins: list[Any]) -> None:
    frame = pl.DataFrame({"login": logins, "note": [f"it is {CANARY}", ""]})
    desk.engine.add_source("orders", lambda _call: frame, secrets=("login",))
    with pytest.raises(SourceError, match="Secrets in login of table orders of the source orders are no single texts"):
        desk.export()


def test_what_polars_says_of_addresses_is_told_nobody(desk: Desk) -> None:
    frame = pl.LazyFrame({"url": [f"http://kim:{CANARY}@192.0.2.1/"], "n": [1]})
    frame = frame.with_columns(n=pl.col("url").cast(pl.Int64))
    desk.engine.add_source("orders", lambda _call: frame, columns={"url": Meaning.URL})
    with pytest.raises(SourceError) as caught:
        desk.export()
    chain: BaseException | None = caught.value
    while chain is not None:
        assert CANARY not in repr(chain)
        chain = chain.__cause__ or chain.__context__


def test_logins_are_removed_from_addresses(desk: Desk) -> None:
    frame = pl.DataFrame({"url": [f"http://kim:{CANARY}@192.0.2.1:8080/x", "http://192.0.2.2/"]})
    desk.engine.add_source("orders", lambda _call: frame, columns={"url": Meaning.URL})
    (artifact,) = desk.export().artifacts
    assert artifact.path is not None
    assert artifact.path.read_text() == "url\nhttp://192.0.2.1:8080/x\nhttp://192.0.2.2/\n"
    assert artifact.manifest.redaction is not None
    assert artifact.manifest.redaction.secrets == 1


def test_secrets_are_sealed_beside_what_a_row_is_known_by(desk: Desk, tmp_path: Path) -> None:
    key = MasterKey.generate()
    path = tmp_path / "master.key"
    path.write_text(key.text)
    path.chmod(0o600)
    reference = f"file:{path}"
    desk.engine.add_source("orders", lambda _call: LOGINS.lazy(), secrets=("login",), bound=("id",))
    result = desk.export(kind="json", credentials=CredentialMode.FULL, openers=(reference,))
    (artifact,) = result.artifacts
    assert artifact.path is not None
    text = artifact.path.read_text()
    assert CANARY not in text
    document = json.loads(text)
    frame = pl.DataFrame(document["orders"])
    header = read_header(document["manifest"]["vault"])
    opened = open_header(header, [desk.engine.keyring.holder(reference)])
    clear, _wrong = open_values(opened, "orders", "login", frame["login"], frame.select("id"))
    assert clear.to_list() == [CANARY, None, OTHER]
    moved, wrong = open_values(opened, "orders", "login", frame["login"], frame.select(pl.col("id").reverse()))
    assert wrong.to_list() == [True, False, True]
    assert moved.null_count() == 3
    assert desk.engine.verify(artifact.path, keys=[reference]).ok


@pytest.mark.parametrize(
    ("bound", "error", "words"),
    [
        ((), NotAllowedError, "no other columns that they could be bound to"),
        (("login",), NotAllowedError, "no other columns"),
        (("price",), SourceError, "cannot be bound to price"),
        (("nothing",), SourceError, "no column 'nothing'"),
    ],
)
def test_what_secrets_cannot_be_bound_to(
    desk: Desk, tmp_path: Path, bound: tuple[str, ...], error: type[TailraceError], words: str
) -> None:
    path = tmp_path / "master.key"
    path.write_text(MasterKey.generate().text)
    path.chmod(0o600)
    frame = LOGINS.with_columns(price=pl.lit(1.5))
    desk.engine.add_source("orders", lambda _call: frame, secrets=("login",), bound=bound)
    with pytest.raises(error, match=words):
        desk.export(kind="json", credentials=CredentialMode.FULL, openers=(f"file:{path}",))


# What goes wrong.


def broken(error: BaseException) -> Callable[[SourceCall], Any]:
    def function(_call: SourceCall) -> Any:
        raise error

    return function


async def _fails() -> Any:
    await asyncio.sleep(0)
    raise KeyError(CANARY)


@pytest.mark.parametrize(
    "function",
    [broken(KeyError(CANARY)), lambda _call: _fails(), broken(RuntimeError(f"postgresql://kim:{CANARY}@db"))],
    ids=["raises", "raises when awaited", "quotes an address"],
)
def test_what_the_function_raises_is_told_by_its_type(
    desk: Desk, function: Callable[[SourceCall], Any], caplog: pytest.LogCaptureFixture
) -> None:
    desk.engine.add_source("orders", function)
    with (
        caplog.at_level(logging.INFO),
        pytest.raises(SourceError, match=r"orders failed with (KeyError|RuntimeErr)") as c,
    ):
        desk.export()
    chain: BaseException | None = c.value
    while chain is not None:
        assert CANARY not in repr(chain)
        chain = chain.__cause__ or chain.__context__
    assert CANARY not in caplog.text


def test_errors_of_ours_pass_as_they_are(desk: Desk) -> None:
    desk.engine.add_source("orders", broken(TransientError("The shop is closed.")))
    with pytest.raises(TransientError, match="The shop is closed"):
        desk.export()


@pytest.mark.parametrize("given", [[1, 2], None, {}, {"orders": "rows"}])
def test_what_are_no_frames(desk: Desk, given: Any) -> None:
    desk.engine.add_source("orders", lambda _call: given)
    with pytest.raises(PluginContractError, match="The function of the source orders gives"):
        desk.export()


@pytest.mark.parametrize("how", [{"secrets": ("login", "nope")}, {"time_column": "nope"}, {"columns": {"nope": "key"}}])
def test_columns_that_are_not_there_are_told(desk: Desk, how: dict[str, Any]) -> None:
    desk.engine.add_source("orders", lambda _call: LOGINS, **how)
    with pytest.raises(SourceError, match="have no column 'nope'"):
        desk.export()


@pytest.mark.parametrize("ask", ["export", "estimate"])
def test_what_polars_says_of_secrets_is_told_nobody(desk: Desk, ask: str) -> None:
    frame = LOGINS.lazy().with_columns(pl.col("login").cast(pl.Int64))
    desk.engine.add_source("orders", lambda _call: frame, secrets=("login",))
    with pytest.raises(SourceError, match=r"cannot be read to its end: InvalidOperationError") as caught:
        getattr(desk.engine, ask)(desk.request())
    chain: BaseException | None = caught.value
    while chain is not None:
        assert CANARY not in repr(chain)
        chain = chain.__cause__ or chain.__context__
    desk.engine.add_source("others", lambda _call: frame)
    with pytest.raises(SourceError, match="conversion from"):
        desk.export("others")


def test_a_coroutine_is_cancelled_with_the_export(desk: Desk) -> None:
    begun, ended = threading.Event(), threading.Event()

    async def orders(_call: SourceCall) -> pl.DataFrame:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return IDS

    desk.engine.add_source("orders", orders)
    context = Context()

    def cancel() -> None:
        assert begun.wait(10)
        context.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(CancelledError):
        desk.engine.export(desk.request(), context=context)
    assert ended.is_set()
    canceller.join()


def test_a_coroutine_is_awaited_where_a_loop_runs_already(desk: Desk) -> None:
    desk.engine.add_source("orders", lambda _call: awaited(IDS))

    async def main() -> str:
        # Not how it should be called in a loop; it must not lock up for that.
        return desk.text()

    assert asyncio.run(main()) == "id\n1\n2\n"


def test_what_is_entered_is_left_when_all_is_read(desk: Desk) -> None:
    left: list[str] = []

    @contextmanager
    def connected(_call: SourceCall) -> Iterator[pl.LazyFrame]:
        yield IDS.lazy().map_batches(lambda batch: batch if not left else batch.clear(), schema=IDS.schema)
        left.append("left")

    desk.engine.add_source("orders", connected)
    assert desk.text() == "id\n1\n2\n"
    assert left == ["left"]


def test_what_fails_to_be_left_quotes_nothing(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    @contextmanager
    def connected(_call: SourceCall) -> Iterator[pl.DataFrame]:
        yield IDS
        raise KeyError(CANARY)

    desk.engine.add_source("orders", connected)
    with caplog.at_level(logging.INFO):
        # All was read by then.
        assert desk.text() == "id\n1\n2\n"
    assert "The function of the source orders failed with KeyError" in caplog.text
    assert CANARY not in caplog.text


def test_a_context_manager_sees_what_ends_the_export_and_cannot_hide_it(desk: Desk) -> None:
    seen: list[str] = []

    @contextmanager
    def connected(_call: SourceCall) -> Iterator[pl.DataFrame]:
        try:
            yield IDS
        except TailraceError as error:
            seen.append(type(error).__name__)

    desk.engine.add_source("orders", connected)
    with pytest.raises(UnknownNameError):
        desk.export(columns=("nope",))
    assert seen == ["UnknownNameError"]


@pytest.mark.parametrize("said", [{"secrets": ("id",)}, {"time_column": "id"}, {"columns": {"id": "key"}}])
def test_nothing_that_was_said_is_ignored(desk: Desk, said: dict[str, Any]) -> None:
    dataset = Dataset([Table("orders", IDS.lazy(), [Column("id")])])
    desk.engine.add_source("orders", lambda _call: dataset, **said)
    with pytest.raises(PluginContractError, match="gives a Dataset, for which"):
        desk.export()


# Names.


@pytest.mark.parametrize(
    "name", ["", "Orders", "my orders", "a.b", "x" * 65, "-a", "a/b", "\N{LATIN SMALL LETTER A WITH ACUTE}"]
)
def test_names_that_cannot_be(desk: Desk, name: str) -> None:
    with pytest.raises(RequestError, match="cannot be the name of a source"):
        desk.engine.add_source(name, lambda _call: IDS)


def test_names_that_are_taken(desk: Desk, tmp_path: Path) -> None:
    desk.engine.add_source("orders", lambda _call: IDS)
    with pytest.raises(AlreadyExistsError, match="a source of the application 'orders' already"):
        desk.engine.add_source("orders", lambda _call: IDS)
    for inner in ("audit", "drill"):
        with pytest.raises(AlreadyExistsError, match="already"):
            desk.engine.add_source(inner, lambda _call: IDS, replace=True)
    found = Engine(Settings(home=tmp_path / "other"))
    with pytest.raises(AlreadyExistsError, match="a source 'pool' already"):
        found.add_source("pool", lambda _call: IDS, replace=True)


def test_a_source_is_replaced_and_taken_away(desk: Desk) -> None:
    first = desk.engine.add_source("orders", lambda _call: IDS)
    assert desk.text() == "id\n1\n2\n"
    second = desk.engine.add_source("orders", lambda _call: IDS.head(1), replace=True)
    assert desk.text() == "id\n1\n"
    first()  # is not there any more: the one that took its place stays
    assert desk.text() == "id\n1\n"
    assert any(entry.name == "orders" for entry in desk.engine.registry.entries())
    second()
    second()
    with pytest.raises(UnknownNameError):
        desk.export()


def test_estimates_of_frames(desk: Desk) -> None:
    desk.engine.add_source("orders", lambda _call: pl.DataFrame({"id": range(30_000)}))
    expected = desk.engine.estimate(desk.request())
    real = desk.export()
    assert expected.rows == 30_000
    assert expected.bytes == pytest.approx(real.artifacts[0].manifest.file.size, rel=0.2)
