"""Pools of an application by name: exported like any other, imported into, and taken back."""

import gzip
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from tailrace import (
    AlreadyExistsError,
    BadRowError,
    CancelledError,
    Context,
    CredentialMode,
    Engine,
    ExportRequest,
    ImportRequest,
    JobResult,
    MasterKey,
    OptionError,
    PluginContractError,
    PoolTarget,
    RecordsTarget,
    RefusedError,
    RequestError,
    SinkRequest,
    SourceError,
    UnknownNameError,
)
from tailrace.settings import Settings

CANARY = "hunter2-canary"
NOW = datetime(2026, 8, 15, 12, tzinfo=UTC)
PROXIES: dict[str, dict[str, Any]] = {
    "a": {
        "protocol": "http",
        "host": "192.0.2.1",
        "port": 8080,
        "username": "kim",
        "password": CANARY,
        "tags": '["fast"]',
        "discovered_at": NOW,
        "updated_at": NOW,
        "health_status": "healthy",
        "total_successes": 7,
    },
    "b": {"protocol": "socks5", "host": "2001:db8::1", "port": 1080, "city": "Bremen", "zone": "eu-1"},
    "c": {"host": "192.0.2.3", "port": 3128, "last_health_error": f"refused kim:{CANARY}"},
}


@attrs.define
class Shelf:
    """An application's pool: a dictionary."""

    held: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    asked: int = 0

    def proxies(self) -> Iterable[Mapping[str, Any]]:
        self.asked += 1
        return [{"key": key, **proxy} for key, proxy in self.held.items()]

    def apply(self, add: list[dict[str, Any]], update: list[dict[str, Any]], remove: list[str]) -> list[str]:
        for key in remove:
            del self.held[key]
        for record in update:
            self.held[record.pop("key")] |= record
        keys = [f"{record['host']}:{record['port']}" for record in add]
        self.held |= dict(zip(keys, add, strict=True))
        return keys


@pytest.fixture
def shelf() -> Shelf:
    return Shelf({key: dict(proxy) for key, proxy in PROXIES.items()})


@pytest.fixture
def engine(tmp_path: Path, shelf: Shelf) -> Iterator[Engine]:
    engine = Engine(Settings(home=tmp_path / "home", user="kim"))
    engine.add_pool("live", shelf)
    yield engine
    engine.store.close()


@pytest.fixture
def key(tmp_path: Path) -> str:
    path = tmp_path / "master.key"
    path.write_text(MasterKey.generate().text)
    path.chmod(0o600)
    return f"file:{path}"


def export(engine: Engine, folder: Path, *, location: str = "host:live", **more: Any) -> JobResult:
    request = ExportRequest("pool", location, "json", sinks=(SinkRequest("disk", str(folder)),), **more)
    return engine.export(request)


def rows(result: JobResult) -> list[dict[str, Any]]:
    (artifact,) = result.artifacts
    assert artifact.path is not None
    document = json.loads(gzip.decompress(artifact.path.read_bytes()))
    found: list[dict[str, Any]] = document["proxies"]
    return found


def test_a_pool_is_exported_without_credentials(engine: Engine, shelf: Shelf, tmp_path: Path) -> None:
    result = export(engine, tmp_path)
    first, second, third = rows(result)
    assert shelf.asked == 1
    assert (first["url"], first["username"], first["password"]) == ("http://192.0.2.1:8080", None, None)
    assert (first["has_credentials"], first["auth_type"], first["tags"]) == (True, "basic", '["fast"]')
    assert (second["url"], second["host"], second["city"]) == ("socks5://[2001:db8::1]:1080", "2001:db8::1", "Bremen")
    # What is no column of a pool goes along as what the pool says beyond them.
    assert (second["extra"], "zone" in second) == ('{"zone":"eu-1"}', False)
    # The login of another proxy is taken out of texts, as in any other pool.
    assert (third["protocol"], third["last_health_error"]) == ("http", "refused [redacted]:[redacted]")
    (artifact,) = result.artifacts
    assert artifact.manifest.source.version == "tailrace-host-pool-1"
    assert artifact.manifest.source.location == "host:live"
    assert artifact.manifest.redaction is not None
    assert artifact.manifest.redaction.secrets >= 1
    assert artifact.manifest.tables[0].rows.source == 3


def test_it_has_the_columns_of_the_reference_whatever_it_holds(engine: Engine, tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "pool.md"
    (table,) = (part for part in page.read_text().split("\n## ") if part.startswith("The table `proxies`"))
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    said = {name for cell in cells for name in cell.split("`")[1::2]} - {"credentials_in", "stored_url"}
    assert len(said) > 50
    engine.add_pool("empty", Shelf())
    for location in ("host:live", "host:empty"):
        (artifact,) = export(engine, tmp_path / location, location=location).artifacts
        assert {column.name for column in artifact.manifest.tables[0].columns} == said


def test_ids_are_those_of_the_same_proxies_elsewhere(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"http://kim:{CANARY}@192.0.2.1:8080\n")
    first, *_others = rows(export(engine, tmp_path / "a", credentials=CredentialMode.REFERENCE))
    (same,) = rows(
        export(engine, tmp_path / "b", location=str(tmp_path / "list.txt"), credentials=CredentialMode.REFERENCE)
    )
    assert first["password"].startswith("ref_")
    assert (first["username"], first["password"]) == (same["username"], same["password"])


def test_a_backup_is_restored_into_another_pool_and_taken_back(
    engine: Engine, shelf: Shelf, key: str, tmp_path: Path
) -> None:
    result = export(engine, tmp_path, credentials=CredentialMode.FULL, openers=(key,))
    (artifact,) = result.artifacts
    assert artifact.path is not None
    assert CANARY.encode() not in gzip.decompress(artifact.path.read_bytes())
    other = Shelf()
    engine.add_pool("other", other)
    request = ImportRequest(artifact.path, "host:other", keys=(key,))
    plan = engine.plan_import(request)
    assert (plan.target.location, plan.counts.add, other.held) == ("host:other", 3, {})
    made = engine.apply_import(request, plan=plan)
    known = ("protocol", "host", "port", "username", "password", "city", "tags", "discovered_at", "total_successes")
    restored = [{name: proxy[name] for name in known if name in proxy} for proxy in other.held.values()]
    expected = [
        {"protocol": "http"} | {name: proxy[name] for name in known if name in proxy} for proxy in shelf.held.values()
    ]
    assert restored == expected
    (record,) = engine.imports()
    assert (record.location, record.kind) == ("host:other", "host:other")
    undone = engine.undo(made.import_id or "")
    assert (undone.outcome, undone.removed, other.held) == ("undone", 3, {})


def test_what_is_there_already_is_merged(engine: Engine, shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "more.csv"
    path.write_text("protocol,host,port,city\nsocks5,2001:db8::1,1080,Bonn\nhttp,192.0.2.9,1,Kiel\n")
    made = engine.apply_import(ImportRequest(path, "host:live", on_duplicate="merge"))
    assert (made.counts.add, made.counts.file) == (1, 2)
    assert shelf.held["192.0.2.9:1"]["city"] == "Kiel"
    shelf.held["192.0.2.9:1"]["city"] = "Ulm"
    with pytest.raises(RefusedError, match="changed since"):
        engine.undo(made.import_id or "")


def test_two_imports_into_one_pool_take_turns(engine: Engine, tmp_path: Path) -> None:
    inside, go_on = threading.Event(), threading.Event()

    class Slow(Shelf):
        def apply(self, add: list[dict[str, Any]], update: list[dict[str, Any]], remove: list[str]) -> list[str]:
            inside.set()
            assert go_on.wait(20)
            return super().apply(add, update, remove)

    pool = Slow()
    engine.add_pool("slow", pool)
    path = tmp_path / "list.txt"
    path.write_text("http://192.0.2.1:8080\n")
    request = ImportRequest(path, "host:slow")
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.append(engine.apply_import(request).counts.add)) for _number in range(2)
    ]
    threads[0].start()
    assert inside.wait(20)
    threads[1].start()
    # A third that is told to stop while it waits for its turn does.
    context = Context(timeout=0.2)
    with pytest.raises(Exception, match="longer than its"):
        engine.apply_import(request, context=context)
    cancelled = Context()
    cancelled.cancel()
    with pytest.raises(CancelledError):
        engine.apply_import(request, context=cancelled)
    go_on.set()
    for thread in threads:
        thread.join(20)
    # The second saw what the first had done.
    assert sorted(results) == [0, 1]
    assert len(pool.held) == 1


def test_a_pool_can_say_more_of_itself(engine: Engine, shelf: Shelf, tmp_path: Path) -> None:
    target = RecordsTarget(shelf, holds=frozenset({"protocol", "host", "port", "city"}), kind="proxy-shelf")
    assert isinstance(target, PoolTarget)
    engine.add_pool("typed", target)
    (artifact,) = export(engine, tmp_path, location="host:typed").artifacts
    names = {column.name for column in artifact.manifest.tables[0].columns}
    assert {"city", "total_successes"} <= names  # what it holds, and what it has
    assert "latitude" not in names


@pytest.mark.parametrize(
    ("proxy", "error", "words"),
    [
        ({"host": "192.0.2.1", "port": 70000}, BadRowError, "port is not between"),
        ({"host": "not a host", "port": 1}, BadRowError, "host:live, proxy 1"),
        ({"port": 1}, BadRowError, "proxy 1"),
        ({"host": "192.0.2.1", "port": 1, "tags": "not json"}, BadRowError, "tags are not JSON"),
        ({"host": "192.0.2.1", "port": "one"}, PluginContractError, "gave str for 'port'"),
    ],
)
def test_proxies_that_cannot_be_read(tmp_path: Path, proxy: dict[str, Any], error: type[Exception], words: str) -> None:
    engine = Engine(Settings(home=tmp_path / "home"))
    engine.add_pool("live", Shelf({"x": {**proxy, "password": CANARY}}))
    with pytest.raises(error, match=words) as caught:
        export(engine, tmp_path)
    assert CANARY not in str(caught.value)
    engine.store.close()


def test_rows_that_cannot_be_read_are_reported_where_that_is_asked(
    engine: Engine, shelf: Shelf, tmp_path: Path
) -> None:
    shelf.held["d"] = {"host": "192.0.2.4", "port": 0}
    result = export(engine, tmp_path, options={"on_bad_rows": "report"})
    assert len(rows(result)) == 3
    assert result.artifacts[0].manifest.tables[0].rows.rejected == 1
    with pytest.raises(OptionError, match="health checks"):
        export(engine, tmp_path / "b", options={"checks": True})


def test_names_of_pools(engine: Engine, shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="'life'") as caught:
        export(engine, tmp_path, location="host:life")
    assert "add_pool" in caught.value.hint
    path = tmp_path / "list.txt"
    path.write_text("http://192.0.2.1:8080\n")
    with pytest.raises(UnknownNameError, match="'life'"):
        engine.plan_import(ImportRequest(path, "host:life"))
    with pytest.raises(RequestError, match="no dialect"):
        engine.plan_import(ImportRequest(path, "host:live", into_dialect="csv"))
    with pytest.raises(RequestError, match="cannot be copied"):
        engine.drill(path, "host:live")
    with pytest.raises(AlreadyExistsError, match="a pool 'live' already"):
        engine.add_pool("live", shelf)
    with pytest.raises(RequestError, match="name of a pool"):
        engine.add_pool("Live", shelf)
    with pytest.raises(RequestError, match="list is no pool"):
        engine.add_pool("list", [])  # type: ignore[arg-type]  # the point
    remove = engine.add_pool("live", Shelf(), replace=True)
    assert rows(export(engine, tmp_path / "b")) == []
    remove()
    with pytest.raises(UnknownNameError):
        export(engine, tmp_path / "c")


def test_what_the_application_raises_is_told_by_its_type(engine: Engine, tmp_path: Path) -> None:
    class Broken(Shelf):
        def proxies(self) -> Iterable[Mapping[str, Any]]:
            raise KeyError(CANARY)

    engine.add_pool("broken", Broken())
    with pytest.raises(PluginContractError, match="host:broken failed with KeyError") as caught:
        export(engine, tmp_path, location="host:broken")
    assert CANARY not in repr(caught.value)
    assert not issubclass(PluginContractError, SourceError)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param([1, 2], id="numbers"),
        pytest.param(["a", "a"], id="one key twice"),
        pytest.param(["a"], id="too few"),
        pytest.param(None, id="none"),
    ],
)
def test_an_application_that_gives_no_key_for_each_new_proxy_is_told(
    engine: Engine, tmp_path: Path, given: Any
) -> None:
    class Careless(Shelf):
        def apply(self, add: list[dict[str, Any]], update: list[dict[str, Any]], remove: list[str]) -> list[str]:
            super().apply(add, update, remove)
            answer: list[str] = given
            return answer

    engine.add_pool("careless", Careless())
    path = tmp_path / "more.csv"
    path.write_text("protocol,host,port\nhttp,192.0.2.8,1080\nhttp,192.0.2.9,1080\n")
    with pytest.raises(PluginContractError, match="gave no key of its own, as a text, for each of the new proxies"):
        engine.apply_import(ImportRequest(path, "host:careless"))
