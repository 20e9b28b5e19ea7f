"""Imports planned, applied and taken back, on a pool that is a file."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.model.context import Context
from tailrace.model.convert import StructureError
from tailrace.model.errors import (
    AlreadyExistsError,
    CancelledError,
    NewerVersionError,
    PluginContractError,
    RefusedError,
    RequestError,
    SourceError,
    StorageError,
    TamperedError,
)
from tailrace.plugins.pools import OpenPoolCall, PoolChanges, PoolFile, PoolTarget, Problem
from tailrace.references import reference_ids
from tailrace.restore.digests import pool_digest, row_digests
from tailrace.restore.document import ImportPlan, read_plan, write_plan
from tailrace.restore.errors import ClashError, InvalidImportError
from tailrace.restore.fields import FIELDS, typed
from tailrace.restore.importing import (
    ImportResult,
    UndoResult,
    absolute_location,
    apply_import,
    imports_of,
    plan_import,
    undo_import,
)
from tailrace.restore.request import ImportRequest, OnDuplicate

NOW = datetime(2026, 8, 15, 12, tzinfo=UTC)
LATER = datetime(2026, 8, 16, 12, tzinfo=UTC)
CANARY = "hunter2-canary"
SCHEMA = {"key": pl.String(), **{name: field.dtype for name, field in FIELDS.items()}}


@attrs.define
class FileTarget:
    """A pool in a JSON file, which is replaced at once."""

    path: Path
    kind: str = "json-file"
    holds: Any = frozenset(FIELDS)
    unique: str | None = None
    notes: Any = ()
    crash: str = ""

    def read(self) -> pl.DataFrame:
        rows = [json.loads(row) for row in self.path.read_text().splitlines()]
        frame = pl.DataFrame(
            rows, schema={name: pl.String() if is_time(name) else dtype for name, dtype in SCHEMA.items()}
        )
        return frame.with_columns(pl.col(name).str.to_datetime(time_zone="UTC") for name in SCHEMA if is_time(name))

    def write(self, changes: PoolChanges) -> tuple[str, ...]:
        if self.crash == "fails at once":
            raise StorageError("The disk is gone.")
        if self.crash == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        rows = {row["key"]: row for row in self.read().iter_rows(named=True)}
        for key in changes.remove:
            del rows[key]
        for row in changes.update.iter_rows(named=True):
            rows[row["key"]] |= {name: row[name] for name in row["changed"]}
        number = max((int(key) for key in rows), default=0)
        keys = tuple(str(number + extra) for extra in range(1, changes.add.height + 1))
        for key, row in zip(keys, changes.add.iter_rows(named=True), strict=True):
            rows[key] = {name: value for name, value in row.items() if name in SCHEMA} | {"key": key}
        new = self.path.with_suffix(".new")
        with new.open("w") as file:
            for number, row in enumerate(rows.values()):
                if self.crash == "during" and number == len(rows) // 2:
                    file.flush()
                    os.kill(os.getpid(), signal.SIGKILL)
                file.write(json.dumps(row, default=datetime.isoformat) + "\n")
        new.replace(self.path)
        if self.crash == "fails":
            raise StorageError("The disk is gone.")
        if self.crash == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return keys


def is_time(name: str) -> bool:
    return isinstance(SCHEMA[name], pl.Datetime)


@attrs.define
class Keeper:
    """Opens pools in files, and remembers how it was asked to."""

    options: dict[str, Any] = attrs.field(factory=dict)
    calls: list[OpenPoolCall] = attrs.field(factory=list)

    def read_pool(self, call: Any) -> Any:
        raise NotImplementedError

    def render_pool(self, call: Any) -> Any:
        raise NotImplementedError

    @contextmanager
    def open_pool(self, call: OpenPoolCall) -> Iterator[PoolTarget]:
        self.calls.append(call)
        yield FileTarget(Path(call.location), **self.options)


@attrs.define
class Bench:
    """A pool in a file, and a home."""

    folder: Path
    keeper: Keeper = attrs.field(factory=Keeper)
    request: ImportRequest = attrs.field(init=False)
    now: datetime = NOW

    def __attrs_post_init__(self) -> None:
        self.pool.parent.mkdir(parents=True, exist_ok=True)
        self.pool.touch()
        self.request = ImportRequest(path=self.folder / "file.json", into=str(self.pool))

    @property
    def pool(self) -> Path:
        return self.folder / "pool.jsonl"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def fill(self, *rows: dict[str, Any]) -> None:
        FileTarget(self.pool).write(PoolChanges(add=frame(*rows), update=frame().with_columns(key=None, changed=None)))

    def read(self) -> pl.DataFrame:
        return FileTarget(self.pool).read()

    def common(self) -> dict[str, Any]:
        return {"keeper": self.keeper, "home": self.home, "now": self.now, "context": Context()}

    def plan(self, file: PoolFile, **options: Any) -> ImportPlan:
        request = attrs.evolve(self.request, **options)
        return plan_import(request, file, reference=reference_ids(self.home), **self.common())

    def apply(self, file: PoolFile, plan: ImportPlan | None = None, **options: Any) -> ImportResult:
        request = attrs.evolve(self.request, **options)
        return apply_import(request, file, plan, reference=reference_ids(self.home), **self.common())

    def undo(self, import_id: str | None, target: PoolTarget | None = None) -> UndoResult:
        assert import_id is not None
        return undo_import(import_id, target=target, **self.common())


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    values = [{"protocol": "http", "host": "h", "port": number, **row} for number, row in enumerate(rows, 1)]
    names = list(dict.fromkeys(["protocol", "host", "port", *(name for row in values for name in row)]))
    return pl.DataFrame(values, schema={name: SCHEMA.get(name, pl.String()) for name in names})


def file_of(*rows: dict[str, Any], **options: Any) -> PoolFile:
    proxies = frame(*rows).with_columns(place=pl.format("$.proxies[{}]", pl.int_range(pl.len())))
    values = {"dialect": "json", "frame": proxies, "problems": (), "problem_count": 0, "digest": "d1", **options}
    return PoolFile(**values)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


LOGIN = {"username": "kim-canary", "password": CANARY}
OLD = {**LOGIN, "ttl": 1, "region": "north", "health_status": "dead", "updated_at": NOW}
NEW = {
    **LOGIN,
    "ttl": 2,
    "region": "south",
    "health_status": "healthy",
    "updated_at": LATER,
    "last_health_error": CANARY,
}


def test_an_import_is_planned_applied_and_taken_back(bench: Bench) -> None:
    bench.fill(OLD, {"host": "other"})
    before = bench.read()
    file = file_of(NEW, {"port": 9, **LOGIN})
    plan = bench.plan(file, on_duplicate="merge")
    assert bench.read().equals(before)
    assert not (bench.home / "imports").exists()
    result = bench.apply(file, plan, on_duplicate="merge")
    assert (result.counts.add, result.counts.update) == (1, 1)
    assert result.counts == plan.counts
    rows = bench.read().select("host", "port", "password", "ttl", "region").rows()
    assert rows == [("h", 1, CANARY, 2, "south"), ("other", 2, None, None, None), ("h", 9, CANARY, None, None)]
    assert result.target.digest != plan.target.digest
    undone = bench.undo(result.import_id)
    assert undone == UndoResult(result.import_id or "", "undone", removed=1, restored=1, undone=NOW)
    assert bench.read().equals(before)
    assert bench.plan(file, on_duplicate="merge").target.digest == plan.target.digest
    assert [call.write for call in bench.keeper.calls] == [False, True, True, False]


def test_undoing_twice_says_so(bench: Bench) -> None:
    made = bench.apply(file_of({}))
    bench.undo(made.import_id)
    bench.now = LATER
    assert bench.undo(made.import_id).outcome == "already"
    assert bench.undo(made.import_id).undone == NOW
    assert bench.read().is_empty()


def test_an_import_of_nothing_new_leaves_no_record(bench: Bench) -> None:
    bench.fill({})
    result = bench.apply(file_of({}))
    assert result.import_id is None
    assert imports_of(bench.home) == ()


def test_a_plan_shows_differences_but_no_secrets(bench: Bench, tmp_path: Path) -> None:
    bench.fill(OLD, {"source": CANARY, "country_code": "DE", "updated_at": NOW, "latency_ms": float("nan")})
    newer = {"source": "user", "country_code": "FR", "updated_at": LATER, "latency_ms": 1.5}
    plan = bench.plan(file_of(NEW, newer, {"port": 2}), on_duplicate="merge")
    changed = plan.proxies[0].changes
    assert changed["ttl"] == (1, 2)
    assert changed["health_status"] == ("dead", "healthy")
    assert changed["updated_at"] == ("2026-08-15T12:00:00.000000Z", "2026-08-16T12:00:00.000000Z")
    assert changed["region"] == "changed"
    assert changed["last_health_error"] == "changed"
    second = plan.proxies[1].changes
    assert second["source"] == "changed"
    assert second["country_code"] == ("DE", "FR")
    assert second["latency_ms"] == ("nan", 1.5)
    assert plan.proxies[2].action == "merged"
    assert plan.proxies[2].of == "$.proxies[1]"
    write_plan(plan, tmp_path / "plan.json")
    text = (tmp_path / "plan.json").read_text()
    assert CANARY not in text
    assert "kim-canary" not in text
    assert CANARY not in repr(plan)
    assert stat.S_IMODE((tmp_path / "plan.json").stat().st_mode) == 0o600
    assert read_plan(tmp_path / "plan.json") == plan


def test_the_same_proxy_has_the_same_id_in_every_plan(bench: Bench, tmp_path: Path) -> None:
    first = bench.plan(file_of(LOGIN, {}))
    again = bench.plan(file_of({}, {**LOGIN, "port": 1}))
    assert first.proxies[0].identity == again.proxies[1].identity
    assert first.proxies[0].identity != again.proxies[0].identity
    assert Bench(tmp_path / "elsewhere").plan(file_of(LOGIN)).proxies[0].identity != first.proxies[0].identity


def test_a_plan_is_the_same_whenever_it_is_made(bench: Bench) -> None:
    bench.fill(OLD)
    file = file_of(NEW, NEW, {})
    assert bench.plan(file, on_duplicate="merge") == bench.plan(file, on_duplicate="merge")


def after(_done: object) -> dict[str, Any]:
    return {}


def fill(bench: Bench) -> dict[str, Any]:
    bench.fill({"host": "x"})
    return {}


STALE: list[tuple[Callable[[Bench], dict[str, Any]], str]] = [
    (lambda _: {"file": file_of(NEW, digest="d2")}, "the file has changed since"),
    (lambda _: {"on_duplicate": "skip"}, "it was made with other options"),
    (lambda _: {"leave_out_clashes": True}, "it was made with other options"),
    (lambda bench: {"into": str(bench.folder / "other")}, "it was made for another pool"),
    (lambda bench: {"into": FileTarget(bench.pool)}, "it was made for another pool"),
    (fill, "the pool has changed since"),
    (lambda bench: after(bench.keeper.options.update(kind="x")), "the pool has changed since"),
    (
        lambda bench: after(bench.keeper.options.update(holds={"username", "password"})),
        "what would be done now is not what it says",
    ),
]


@pytest.mark.parametrize(("change", "reason"), STALE, ids=[f"{reason}-{at}" for at, (_, reason) in enumerate(STALE)])
def test_a_plan_whose_ground_has_changed_is_refused(
    bench: Bench, change: Callable[[Bench], dict[str, Any]], reason: str
) -> None:
    bench.fill(OLD)
    plan = bench.plan(file_of(NEW), on_duplicate="merge")
    options = {"file": file_of(NEW), "on_duplicate": "merge", **change(bench)}
    before = bench.read()
    with pytest.raises(RefusedError) as caught:
        bench.apply(plan=plan, **options)
    assert caught.value.message == f"The plan cannot be applied: {reason}."
    assert caught.value.exit_code == 3
    assert bench.read().equals(before)
    assert not (bench.home / "imports").exists()


def test_a_plan_that_was_edited_is_refused(bench: Bench) -> None:
    plan = bench.plan(file_of({}, {}))
    edited = attrs.evolve(plan, proxies=(plan.proxies[0], attrs.evolve(plan.proxies[1], address="http://good:1")))
    with pytest.raises(RefusedError, match="the plan itself was changed"):
        bench.apply(file_of({}, {}), edited)
    elsewhere = attrs.evolve(plan.file, path="elsewhere.json")
    moved = attrs.evolve(plan, file=elsewhere, tailrace_version="0", notes=("It will be made.",))
    assert bench.apply(file_of({}, {}), moved).counts.add == 2


def test_plans_that_are_none_are_refused_with_every_reason(tmp_path: Path, bench: Bench) -> None:
    path = tmp_path / "plan.json"
    with pytest.raises(SourceError, match="No such file"):
        read_plan(path)
    for content in ("{", "[" * 100_000, "\xff"):
        path.write_text(content, encoding="latin-1")
        with pytest.raises(SourceError, match="is not a plan: it is not JSON"):
            read_plan(path)
    path.unlink()
    write_plan(bench.plan(file_of({})), path)
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "schema_version": 2, "news": 1}))
    with pytest.raises(NewerVersionError) as newer:
        read_plan(path)
    assert newer.value.version == 2
    document["proxies"][0]["port"] = "8080"
    document["counts"]["add"] = "1"
    path.write_text(json.dumps(document))
    with pytest.raises(StructureError) as wrong:
        read_plan(path)
    assert "expected a whole number, got text @ $.counts.add" in wrong.value.problems
    assert any(problem.startswith("unknown key 'port'") for problem in wrong.value.problems)
    path.write_text("[]")
    with pytest.raises(StructureError):
        read_plan(path)


def test_a_plan_does_not_replace_a_file(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text("mine")
    with pytest.raises(AlreadyExistsError) as caught:
        write_plan(bench.plan(file_of({})), tmp_path / "plan.json")
    assert caught.value.hint == "Choose another name for the plan."
    assert (tmp_path / "plan.json").read_text() == "mine"


def test_a_file_with_problems_is_refused_with_all_of_them(bench: Bench) -> None:
    problems = tuple(Problem(f"line {number}", "it is no address") for number in range(1, 1001))
    file = file_of({}, problems=problems, problem_count=1500)
    for do in (bench.plan, bench.apply):
        with pytest.raises(InvalidImportError) as caught:
            do(file)
        lines = caught.value.message.splitlines()
        assert lines[0] == f"{bench.request.path} has 1,500 problems:"
        assert lines[1] == "  line 1: it is no address"
        assert lines[20:] == ["  line 20: it is no address", "  … and 1,480 more"]
        assert caught.value.problems == problems
        assert caught.value.exit_code == 3
    assert bench.keeper.calls == []
    one = InvalidImportError("f", problems[:1])
    assert one.message == "f has 1 problem:\n  line 1: it is no address"


def test_clashes_stop_an_import_unless_they_are_left_out(bench: Bench) -> None:
    bench.keeper.options = {"unique": "stored_url"}
    gateway = [{"port": 1, "username": f"u{number}"} for number in range(30)]
    with pytest.raises(ClashError) as caught:
        bench.apply(file_of(*gateway))
    lines = caught.value.message.splitlines()
    assert lines[0] == "The pool cannot hold 29 proxies of the file:"
    assert lines[1] == "  $.proxies[1]: $.proxies[0] of the file has this URL"
    assert lines[21] == "  … and 9 more"
    assert len(caught.value.clashes) == 29
    assert bench.read().is_empty()
    result = bench.apply(file_of(*gateway), leave_out_clashes=True)
    assert (result.counts.add, result.counts.clash) == (1, 29)
    assert bench.read().height == 1
    assert bench.apply(file_of(*gateway), on_duplicate="rename").counts.rename == 30
    assert bench.read()["stored_url"].drop_nulls().len() == 30


def test_one_clash_is_told_as_one() -> None:
    assert ClashError([("line 1", "why")]).message == "The pool cannot hold 1 proxy of the file:\n  line 1: why"


@pytest.mark.parametrize("who", ["added", "updated", "removed"])
def test_what_was_changed_since_is_not_taken_back(bench: Bench, who: str) -> None:
    bench.fill(OLD, {"host": "other"})
    result = bench.apply(file_of(NEW, {"port": 9}), on_duplicate="merge")
    target, rows = FileTarget(bench.pool), bench.read()
    change = rows[[0 if who == "updated" else 2]].with_columns(latency_ms=pl.lit(7.0), changed=["latency_ms"])
    nothing = rows.clear().with_columns(changed=pl.lit(None, pl.List(pl.String)))
    target.write(
        PoolChanges(add=rows.clear(), update=nothing, remove=("3",))
        if who == "removed"
        else PoolChanges(add=rows.clear(), update=change.with_columns(changed=pl.Series([["latency_ms"]])))
    )
    now = bench.read()
    with pytest.raises(RefusedError) as caught:
        bench.undo(result.import_id)
    assert caught.value.message == f"1 of 2 proxies that import {result.import_id} touched were changed since."
    assert bench.read().equals(now)
    assert imports_of(bench.home)[0].state == "applied"


def test_what_others_did_to_other_proxies_stays(bench: Bench) -> None:
    bench.fill(OLD)
    result = bench.apply(file_of(NEW), on_duplicate="merge")
    bench.fill({"host": "later"})
    assert bench.undo(result.import_id).outcome == "undone"
    assert bench.read().select("host", "ttl").rows() == [("h", 1), ("later", None)]


def test_a_pool_that_is_as_before_needs_no_undo(bench: Bench) -> None:
    bench.fill(OLD)
    saved = bench.pool.read_bytes()
    result = bench.apply(file_of(NEW, {"port": 9}), on_duplicate="merge")
    bench.pool.write_bytes(saved)
    assert bench.undo(result.import_id).outcome == "nothing"
    assert bench.undo(result.import_id).outcome == "already"


def test_another_pool_in_its_place_is_refused(bench: Bench) -> None:
    result = bench.apply(file_of({}))
    bench.keeper.options = {"kind": "other"}
    with pytest.raises(RefusedError, match="went into json-file, and there is other now"):
        bench.undo(result.import_id)


def test_a_cancelled_import_changes_nothing(bench: Bench) -> None:
    context = Context()
    context.cancel()
    with pytest.raises(CancelledError):
        apply_import(
            bench.request,
            file_of({}),
            None,
            reference=reference_ids(bench.home),
            **bench.common() | {"context": context},
        )
    assert bench.read().is_empty()


def test_imports_are_listed_the_latest_first(bench: Bench) -> None:
    first = bench.apply(file_of({})).import_id
    bench.now = LATER
    second = bench.apply(file_of({"host": "x"}, {"host": "y"})).import_id
    bench.undo(first)
    latest, earliest = imports_of(bench.home)
    assert (latest.import_id, latest.state, latest.added, latest.updated) == (second, "applied", 2, 0)
    assert (latest.created, latest.location, latest.kind) == (LATER, str(bench.pool), "json-file")
    assert (earliest.import_id, earliest.state, earliest.undone) == (first, "undone", LATER)


def test_records_are_sealed_and_for_their_owner_only(bench: Bench) -> None:
    bench.fill(OLD)
    made = bench.apply(file_of(NEW), on_duplicate="merge").import_id
    path = bench.home / "imports" / f"{made}.undo"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((bench.home / "undo.key").stat().st_mode) == 0o600
    content = path.read_bytes()
    for secret in (CANARY, "kim-canary", "north", "pool.jsonl"):
        assert secret.encode() not in content


def test_every_flipped_bit_and_every_cut_of_a_record_is_refused(bench: Bench) -> None:
    made = bench.apply(file_of({})).import_id or ""
    path = bench.home / "imports" / f"{made}.undo"
    content = path.read_bytes()
    damaged = [content[:at] for at in range(0, len(content), 97)]
    for at in range(0, len(content), 61):
        changed = bytearray(content)
        changed[at] ^= 1 << at % 8
        damaged.append(bytes(changed))
    line = content[: content.index(b"\n") + 1]
    for each in [*damaged, content + b"x", content + content, line + bytes(16), b"", line]:
        path.write_bytes(each)
        with pytest.raises((TamperedError, NewerVersionError)):
            bench.undo(made)
        assert imports_of(bench.home)[0].state in {"unreadable", "applied"}
    path.write_bytes(content.replace(b"undo 1\n", b"undo 2\n"))
    with pytest.raises(NewerVersionError) as newer:
        bench.undo(made)
    assert newer.value.version == 2
    assert imports_of(bench.home)[0].created == NOW


def test_records_are_bound_to_their_id_and_key(bench: Bench) -> None:
    made = bench.apply(file_of({})).import_id or ""
    path = bench.home / "imports" / f"{made}.undo"
    other = "20260815T120000Z-00000000"
    path.with_name(f"{other}.undo").write_bytes(path.read_bytes())
    with pytest.raises(TamperedError, match=f"The record of import {other} was changed or damaged"):
        bench.undo(other)
    (bench.home / "undo.key").write_bytes(bytes(32))
    with pytest.raises(TamperedError, match="or sealed with another undo key"):
        bench.undo(made)
    assert bench.read().height == 1


def test_ids_that_are_none_are_told(bench: Bench) -> None:
    for wrong in ("", "../x", "x", "20260815T120000Z-0000000g"):
        with pytest.raises(RequestError, match="no id of an import"):
            bench.undo(wrong)
    with pytest.raises(RequestError, match="There is no import 20260815T120000Z-00000000"):
        bench.undo("20260815T120000Z-00000000")
    (bench.home / "imports" / "20260815T120000Z-00000000.undo").mkdir(parents=True)
    with pytest.raises(SourceError, match="Is a directory"):
        bench.undo("20260815T120000Z-00000000")


def test_a_pool_of_the_host_is_handed_in_again(bench: Bench) -> None:
    target = FileTarget(bench.pool)
    plan = bench.plan(file_of(LOGIN), into=target)
    assert plan.target.location is None
    made = bench.apply(file_of(LOGIN), plan, into=target).import_id
    with pytest.raises(RequestError, match="went into a pool of the application"):
        bench.undo(made)
    assert bench.undo(made, target).outcome == "undone"
    assert bench.read().is_empty()
    assert bench.keeper.calls == []


def test_a_target_that_does_not_write_is_found_out(bench: Bench) -> None:
    class Lazy(FileTarget):
        def write(self, changes: PoolChanges) -> tuple[str, ...]:
            return tuple("x" for _ in range(changes.add.height))

    with pytest.raises(PluginContractError) as caught:
        bench.apply(file_of({}), into=Lazy(bench.pool))
    assert caught.value.message == "json-file did not write what it was given: entries are missing after the import."


def failing(bench: Bench, how: str) -> None:
    with pytest.raises(StorageError, match="The disk is gone"):
        bench.apply(file_of({}), into=FileTarget(bench.pool, crash=how))


def test_an_import_that_fails_before_it_changes_anything_leaves_no_record(bench: Bench) -> None:
    failing(bench, "fails at once")
    assert imports_of(bench.home) == ()


def test_an_import_that_fails_when_it_is_written_can_be_taken_back(bench: Bench) -> None:
    failing(bench, "fails")
    (record,) = imports_of(bench.home)
    assert record.state == "prepared"
    assert bench.undo(record.import_id, FileTarget(bench.pool)).outcome == "undone"
    assert bench.read().is_empty()


def test_locations_mean_the_same_in_every_folder() -> None:
    folder = Path("/a b")
    assert absolute_location("pool.db", folder) == "/a b/pool.db"
    assert absolute_location("/x/pool.db", folder) == "/x/pool.db"
    assert absolute_location("proxywhirl://x/pool.db", folder) == "proxywhirl:///a%20b/x/pool.db"
    assert absolute_location("proxywhirl:///x/pool.db", folder) == "proxywhirl:///x/pool.db"
    assert absolute_location("other://x", folder) == "other://x"


def test_requests_are_checked_and_show_no_secrets() -> None:
    request = ImportRequest("f", "postgres://u:hunter2@h", "merge", resolver=lambda _: "hunter2")
    assert request.path == Path("f")
    assert request.on_duplicate is OnDuplicate.MERGE
    assert "hunter2" not in repr(request)
    assert "lambda" not in repr(request)
    with pytest.raises(ValueError, match="never"):
        ImportRequest(Path("f"), "x", "never")


# Killed with -9 between the undo record and the write, in the middle of the write, and behind it.

KILLED = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("kit", sys.argv[1])
kit = importlib.util.module_from_spec(spec)
sys.modules["kit"] = kit
spec.loader.exec_module(kit)
bench = kit.Bench(Path(sys.argv[2]))
bench.keeper.options = {"crash": sys.argv[3]}
if sys.argv[3] == "undo":
    bench.keeper.options = {"crash": "during"}
    bench.undo(sys.argv[4])
bench.apply(kit.file_of(kit.NEW, {"port": 9, **kit.LOGIN}, {"port": 9, **kit.LOGIN}), on_duplicate=sys.argv[4])
"""


def killed(bench: Bench, *words: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, __file__, bench.folder, *words], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize("how", ["merge", "rename"])
@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_killed_anywhere_it_is_all_or_nothing_and_undo_finds_out(bench: Bench, when: str, how: str) -> None:
    bench.fill(OLD, {"host": "other"})
    before = bench.read()
    killed(bench, when, how)
    now = bench.read()
    (record,) = imports_of(bench.home)
    assert record.state == "prepared"
    assert now.height == (before.height if when != "after" else before.height + (1 if how == "merge" else 3))
    assert now.equals(before) == (when != "after")
    bench.fill({"host": "somebody else's"})
    result = bench.undo(record.import_id)
    assert result.outcome == ("undone" if when == "after" else "nothing")
    assert bench.read().head(before.height).equals(before)
    assert bench.read()["host"].to_list() == ["h", "other", "somebody else's"]
    assert imports_of(bench.home)[0].state == "undone"


def test_a_killed_import_whose_pool_nobody_touched_since(bench: Bench) -> None:
    bench.fill(OLD)
    killed(bench, "before", "merge")
    (record,) = imports_of(bench.home)
    assert bench.undo(record.import_id).outcome == "nothing"


def test_a_killed_import_whose_proxies_were_changed_since_is_not_taken_back(bench: Bench) -> None:
    bench.fill(OLD)
    killed(bench, "after", "merge")
    (record,) = imports_of(bench.home)
    rows = bench.read()[[1]].with_columns(host=pl.lit("moved"), changed=pl.Series([["host"]]))
    FileTarget(bench.pool).write(PoolChanges(add=rows.clear(), update=rows))
    with pytest.raises(RefusedError, match="1 of 2 proxies"):
        bench.undo(record.import_id)
    only = bench.read()[[0]].with_columns(ttl=pl.lit(77, pl.Int64), changed=pl.Series([["ttl"]]))
    FileTarget(bench.pool).write(PoolChanges(add=only.clear(), update=only))
    with pytest.raises(RefusedError, match="2 of 2 proxies"):
        bench.undo(record.import_id)
    FileTarget(bench.pool).write(PoolChanges(add=only.clear(), update=only.clear(), remove=("1", "2")))
    with pytest.raises(RefusedError, match="2 of 2 proxies"):
        bench.undo(record.import_id)


def test_a_killed_undo_is_finished_by_the_next_one(bench: Bench) -> None:
    bench.fill(OLD)
    before = bench.read()
    made = bench.apply(file_of(NEW, {}), on_duplicate="merge").import_id or ""
    killed(bench, "undo", made)
    assert imports_of(bench.home)[0].state == "applied"
    assert bench.undo(made).outcome == "undone"
    assert bench.read().equals(before)


def test_digests_see_every_value_and_not_the_order() -> None:
    rows = frame({"username": "a", "password": "b", "latency_ms": 0.1}, {"host": "x", "tags": '["a"]'})
    digest = pool_digest(rows, b"k")
    assert digest == pool_digest(rows.reverse(), b"k")
    assert digest == pool_digest(rows.with_columns(city=pl.lit(None, pl.String), place=pl.lit("p")), b"k")
    assert digest == pool_digest(rows.select(sorted(rows.columns)), b"k")
    assert digest != pool_digest(rows, b"l")
    assert digest != pool_digest(rows.head(1), b"k")
    assert digest != pool_digest(pl.concat([rows, rows.head(1)]), b"k")
    others = [
        rows.with_columns(username=pl.lit("ab"), password=pl.lit("")),
        rows.with_columns(username="password", password="username"),
        rows.with_columns(latency_ms=pl.col("latency_ms") + 1e-16),
        rows.with_columns(own=pl.lit("x")),
        rows.with_columns(city=pl.lit("")),
        rows.with_columns(stored_url=pl.lit("http://h:1")),
    ]
    assert len({pool_digest(each, b"k") for each in others} | {digest}) == len(others) + 1
    assert row_digests(rows.clear(), b"k").is_empty()
    assert pool_digest(rows.clear(), b"k") == pool_digest(pl.DataFrame({"key": []}, schema={"key": pl.String}), b"k")


# Properties.

text = st.text(st.characters(codec="utf-8"), max_size=6)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - as hypothesis wants them
documents = st.dictionaries(text, st.integers(0, 3) | text | st.none(), max_size=3).map(json.dumps)
proxies = st.fixed_dictionaries(
    {
        "protocol": st.sampled_from(["http", "socks5"]),
        "host": st.sampled_from(["h", "H", "g", "2001:db8::1"]),
        "port": st.integers(1, 3),
        "username": st.none() | st.sampled_from(["", "u", "v"]) | text,
        "password": st.none() | st.sampled_from(["", "p"]) | text,
        "stored_url": st.none() | st.sampled_from(["http://u:p@h:1", "http://x"]),
        "id": st.none() | st.sampled_from(["1", "2"]),
        "region": st.none() | text,
        "ttl": st.none() | st.integers(0, 5),
        "latency_ms": st.none() | st.floats(allow_infinity=False, allow_nan=False),
        "total_checks": st.none() | st.integers(0, 5),
        "discovered_at": st.none() | moments,
        "updated_at": st.none() | moments,
        "last_check_at": st.none() | moments,
        "tags": st.none() | st.lists(text, max_size=3).map(json.dumps) | st.just("["),
        "metadata": st.none() | documents,
    }
)
pools = st.lists(proxies, max_size=6)
PROPERTY = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def distinct(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first of each identity."""
    known: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        login = (row["username"] or "", row["password"] or "")
        known.setdefault((row["protocol"], row["host"].lower(), row["port"], *login), row)
    return list(known.values())


@PROPERTY
@given(rows=pools)
def test_an_export_applied_to_an_empty_pool_gives_an_equal_pool(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    ids = iter(range(100))
    rows = [{**row, "id": str(next(ids))} for row in distinct(rows)]
    with_fresh_bench(tmp_path, lambda bench: check_restored(bench, rows))


def check_restored(bench: Bench, rows: list[dict[str, Any]]) -> None:
    result = bench.apply(file_of(*rows))
    key = b"any key"
    assert pool_digest(typed(bench.read(), whose="x"), key) == pool_digest(frame(*rows), key)
    assert result.counts.add == len(rows)


@PROPERTY
@given(pool=pools, rows=pools, how=st.sampled_from(OnDuplicate), unique=st.sampled_from([None, "stored_url"]))
def test_undo_brings_back_what_was(
    pool: list[dict[str, Any]], rows: list[dict[str, Any]], how: OnDuplicate, unique: str | None, tmp_path: Path
) -> None:
    def check(bench: Bench) -> None:
        bench.fill(*pool)
        bench.keeper.options = {"unique": unique}
        before = bench.read()
        plan = bench.plan(file_of(*rows), on_duplicate=how, leave_out_clashes=True)
        result = bench.apply(file_of(*rows), plan, on_duplicate=how, leave_out_clashes=True)
        assert result.counts.written == 0 or result.import_id
        if result.import_id:
            assert bench.undo(result.import_id).outcome == "undone"
        assert bench.read().equals(before)

    with_fresh_bench(tmp_path, check)


@PROPERTY
@given(pool=pools, rows=pools, how=st.sampled_from(OnDuplicate), crash=st.sampled_from(["fails", "fails at once"]))
def test_an_interrupted_import_is_told_from_one_that_never_began(
    pool: list[dict[str, Any]], rows: list[dict[str, Any]], how: OnDuplicate, crash: str, tmp_path: Path
) -> None:
    def check(bench: Bench) -> None:
        bench.fill(*pool)
        before = bench.read()
        written = crash == "fails"
        bench.keeper.options = {"crash": crash}
        if bench.plan(file_of(*rows), on_duplicate=how).counts.written == 0:
            return
        with pytest.raises(StorageError):
            bench.apply(file_of(*rows), on_duplicate=how)
        bench.keeper.options = {}
        assert bench.read().equals(before) != written
        for record in imports_of(bench.home):
            assert written
            bench.fill({"host": "somebody else's"})
            assert bench.undo(record.import_id).outcome == "undone"
            assert bench.read().head(before.height).equals(before)
            assert bench.read().height == before.height + 1

    with_fresh_bench(tmp_path, check)


@PROPERTY
@given(pool=pools, rows=pools, held=st.sets(st.sampled_from(sorted(FIELDS))))
def test_merging_the_same_file_twice_changes_nothing_the_second_time(
    pool: list[dict[str, Any]], rows: list[dict[str, Any]], held: set[str], tmp_path: Path
) -> None:
    def check(bench: Bench) -> None:
        bench.fill(*pool)
        bench.keeper.options = {"holds": held | {"username", "password"}}
        bench.apply(file_of(*rows), on_duplicate="merge")
        after = bench.read()
        again = bench.apply(file_of(*rows), on_duplicate="merge")
        assert again.import_id is None
        assert again.counts.written == 0
        assert bench.read().equals(after)

    with_fresh_bench(tmp_path, check)


def with_fresh_bench(tmp_path: Path, check: Callable[[Bench], None]) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        check(Bench(Path(folder)))
