"""``tailrace import`` and ``tailrace undo``: their words, and what they say, on a pool that is a JSON file."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

from tailrace.cli.app import app
from tailrace.cli.session import Session
from tailrace.model.context import Context
from tailrace.model.job import User
from tailrace.plugins.pools import OpenPoolCall, PoolFile, PoolTarget, Problem
from tailrace.references import reference_ids
from tailrace.restore import importing
from tailrace.restore.document import ImportPlan
from tailrace.restore.fields import FIELDS
from tailrace.restore.hosting import RecordsTarget
from tailrace.restore.records import ImportRecord
from tailrace.restore.request import ImportRequest, OnDuplicate

Cli = Callable[..., Any]
CANARY = "hunter2-canary"
PROXY = {"protocol": "http", "host": "h", "username": "kim-canary", "password": CANARY}


@attrs.define
class JsonPool:
    """A pool in a JSON file: an object of proxies by their keys."""

    path: Path

    def load(self) -> dict[str, dict[str, Any]]:
        return dict(json.loads(self.path.read_text())) if self.path.exists() else {}

    def proxies(self) -> list[dict[str, Any]]:
        return [{"key": key, **proxy} for key, proxy in self.load().items()]

    def apply(self, add: list[dict[str, Any]], update: list[dict[str, Any]], remove: list[str]) -> list[str]:
        pool = {key: proxy for key, proxy in self.load().items() if key not in remove}
        for record in update:
            pool[record["key"]] |= {name: value for name, value in record.items() if name != "key"}
        keys = [str(len(pool) + number) for number in range(len(add))]
        self.path.write_text(json.dumps(pool | dict(zip(keys, add, strict=True))))
        return keys


@attrs.define
class PoolEngine:
    """The part of the engine that imports: reads JSON lists, and opens pools in JSON files."""

    home: Path
    requests: list[ImportRequest] = attrs.field(factory=list)
    options: dict[str, Any] = attrs.field(factory=dict)

    def read(self, request: ImportRequest) -> PoolFile:
        self.requests.append(request)
        rows = json.loads(request.path.read_text())
        names = ["protocol", "host", "port", *FIELDS]
        frame = pl.DataFrame(
            rows, schema={name: FIELDS[name].dtype for name in dict.fromkeys(names) if any(name in row for row in rows)}
        ).with_columns(place=pl.format("$[{}]", pl.int_range(pl.len())))
        problems = [Problem(f"$[{at}].port", "it is missing") for at, row in enumerate(rows) if "port" not in row]
        return PoolFile("json", frame, tuple(problems), len(problems), "d" * 64, notes=("It is a list.",))

    def read_pool(self, call: Any) -> Any:
        raise NotImplementedError

    def render_pool(self, call: Any) -> Any:
        raise NotImplementedError

    @contextmanager
    def open_pool(self, call: OpenPoolCall) -> Iterator[PoolTarget]:
        yield RecordsTarget(JsonPool(Path(call.location)), **self.options)

    def common(self, context: Context | None) -> dict[str, Any]:
        now = datetime(2026, 8, 15, 12, tzinfo=UTC)
        return {"keeper": self, "home": self.home, "now": now, "context": context or Context()}

    def plan_import(self, request: ImportRequest, *, context: Context | None = None) -> ImportPlan:
        reference = reference_ids(self.home)
        return importing.plan_import(request, self.read(request), reference=reference, **self.common(context))

    @property
    def system_user(self) -> User:
        return User("tester")

    def apply_import(
        self,
        request: ImportRequest,
        *,
        plan: ImportPlan | None = None,
        user: User | None = None,
        context: Context | None = None,
    ) -> importing.ImportResult:
        reference = reference_ids(self.home)
        return importing.apply_import(request, self.read(request), plan, reference=reference, **self.common(context))

    def undo(
        self,
        import_id: str,
        *,
        target: PoolTarget | None = None,
        user: User | None = None,
        context: Context | None = None,
    ) -> importing.UndoResult:
        return importing.undo_import(import_id, target=target, **self.common(context))

    def imports(self) -> tuple[ImportRecord, ...]:
        return importing.imports_of(self.home)


@pytest.fixture(autouse=True)
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PoolEngine:
    made = PoolEngine(tmp_path / "home")
    monkeypatch.setattr(Session, "engine", made)
    known = set(app)
    for name, function in (("import", "import_"), ("undo", "undo")):
        if name not in known:
            app.command(f"tailrace.cli.imports:{function}", name=name)
    return made


@pytest.fixture
def file(elsewhere: Path) -> Path:
    """A pool file of two proxies; the first one is in the pool, where it is older."""
    pool = {"a": {**PROXY, "port": 1, "ttl": 1, "region": "north"}}
    (elsewhere / "pool.json").write_text(json.dumps(pool))
    path = elsewhere / "backup.json"
    first = {**PROXY, "port": 1, "ttl": 2, "region": "south", "last_check_at": None, "latency_ms": 1.5, "asn": 7}
    rows = [{**first, "total_checks": 5, "allow_local": True}, {**PROXY, "port": 2}]
    path.write_text(json.dumps(rows))
    return path


def pool_of(file: Path) -> Any:
    return json.loads((file.parent / "pool.json").read_text())


def test_an_import_says_what_it_did_and_how_to_take_it_back(cli: Cli, engine: PoolEngine, file: Path) -> None:
    before = pool_of(file)
    answer = cli("import", "backup.json", "--into", "pool.json")
    assert answer.code == 0, answer.err
    *lines, last = answer.out.splitlines()
    assert lines == [
        "Imported backup.json: 1 proxy of the pool changed.",
        "  1  added",
        "  1  left as they are",
        "  1 proxy of the file is in the pool already.",
        "",
        "Note: It is a list.",
        "",
    ]
    undo = re.fullmatch(r"To take it back: tailrace undo (20260815T120000Z-[0-9a-f]{8})", last)
    assert undo is not None
    assert len(pool_of(file)) == 2
    listed = cli("undo", "--list").out.splitlines()
    assert listed[0].split() == ["import", "state", "added", "changed", "into"]
    assert listed[1].split()[:4] == [undo[1], "applied", "1", "0"]
    answer = cli("undo", undo[1])
    assert answer.out.splitlines() == [f"Undid import {undo[1]}.", "  1 proxy removed, 0 proxies as before."]
    assert pool_of(file) == before
    assert cli("undo", undo[1]).out == f"Import {undo[1]} was undone on 2026-08-15 at 12:00:00 UTC already.\n"
    assert engine.requests[0] == ImportRequest(Path("backup.json"), "pool.json")


def test_a_plan_is_written_reviewed_and_applied(cli: Cli, file: Path) -> None:
    before = pool_of(file)
    words = ("import", "backup.json", "--into", "pool.json", "--on-duplicate", "merge")
    answer = cli(*words, "--plan", "plan.json")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == [
        "Importing backup.json would change 2 proxies of the pool.",
        "  1  added",
        "  1  changed",
        "  1 proxy of the file is in the pool already.",
        "",
        "What changes:",
        "  $[0]  http://h:1  allow_local (none) → True",
        "                    asn (none) → 7",
        "                    latency_ms (none) → 1.5",
        "                    total_checks (none) → 5",
        "",
        "Note: It is a list.",
        "",
        "Nothing was changed. The plan is in:",
        "  plan.json",
    ]
    assert pool_of(file) == before
    assert CANARY not in (file.parent / "plan.json").read_text()
    document = cli(*words, "--apply", "plan.json", "--json").document
    assert document["counts"]["update"] == 1
    assert pool_of(file)["a"]["latency_ms"] == 1.5
    answer = cli(*words, "--apply", "plan.json")
    assert answer.code == 3
    assert answer.err.splitlines()[0] == "error: The plan cannot be applied: the pool has changed since."


def test_a_dry_run_changes_nothing_and_makes_no_record(cli: Cli, file: Path) -> None:
    before = pool_of(file)
    answer = cli("import", "backup.json", "--into", "pool.json", "--dry-run")
    assert answer.out.splitlines()[-1] == "Nothing was changed."
    assert pool_of(file) == before
    assert cli("undo", "--list").out == "Nothing was imported yet.\n"
    document = cli("import", "backup.json", "--into", "pool.json", "--dry-run", "--json").document
    assert [proxy["action"] for proxy in document["proxies"]] == ["skip", "add"]
    assert document["target"]["kind"] == "application"


def test_many_changes_are_cut_and_hidden_ones_said(cli: Cli, elsewhere: Path) -> None:
    count = 12
    pool = {str(at): {**PROXY, "port": at, "region": CANARY} for at in range(1, count + 1)}
    (elsewhere / "pool.json").write_text(json.dumps(pool))
    news = {"ttl": 1, "asn": 2, "total_checks": 3, "latency_ms": 4.0, "city": CANARY, "isp_name": CANARY}
    rows = [{**PROXY, "port": at, **news} for at in range(1, count + 1)]
    (elsewhere / "backup.json").write_text(json.dumps(rows))
    answer = cli("import", "backup.json", "--into", "pool.json", "--dry-run", "--on-duplicate", "merge")
    lines = answer.out.splitlines()
    assert "  … and 2 more; --plan and --json have all" in lines
    assert sum("city changes" in line for line in lines) == 10
    assert sum("… and 2 more columns" in line for line in lines) == 10
    assert CANARY not in answer.out
    assert max(map(len, lines)) <= 80


def test_clashes_and_losses_are_told_and_refused(cli: Cli, engine: PoolEngine, elsewhere: Path) -> None:
    engine.options = {"unique": "stored_url", "holds": {"username", "password"}, "notes": ("Mind the gap.",)}
    rows = [{**PROXY, "port": 1, "username": f"u{at}", "ttl": 5} for at in range(30)]
    (elsewhere / "backup.json").write_text(json.dumps(rows))
    words = ("import", "backup.json", "--into", "pool.json")
    answer = cli(*words, "--dry-run")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert "  29  that the pool cannot hold" in lines
    assert "What the pool cannot hold:" in lines
    assert "  $[1]   http://h:1  $[0] of the file has this URL" in lines
    assert "  … and 19 more; --plan and --json have all" in lines
    assert "  ttl  1  the target has no place for it" in lines
    assert lines[lines.index("Note: It is a list.") + 1] == "Note: Mind the gap."
    assert "As it is, the import would be refused: leave these out" in answer.out
    refused = cli(*words)
    assert refused.code == 3
    assert refused.err.splitlines()[0] == "error: The pool cannot hold 29 proxies of the file:"
    assert not (elsewhere / "pool.json").exists()
    assert cli(*words, "--leave-out-clashes").code == 0
    assert len(json.loads((elsewhere / "pool.json").read_text())) == 1


def test_a_file_with_problems_is_refused_with_all_of_them(cli: Cli, elsewhere: Path) -> None:
    (elsewhere / "backup.json").write_text(json.dumps([{"host": "h"}] * 25))
    answer = cli("import", "backup.json", "--into", "pool.json")
    assert answer.code == 3
    lines = answer.err.splitlines()
    assert lines[0] == "error: backup.json has 25 problems:"
    assert lines[1].strip() == "$[0].port: it is missing"
    assert lines[21].strip() == "… and 5 more"


def test_nothing_to_import_is_said(cli: Cli, elsewhere: Path) -> None:
    (elsewhere / "backup.json").write_text("[]")
    answer = cli("import", "backup.json", "--into", "pool.json")
    assert answer.out.splitlines()[:2] == ["Nothing of backup.json had to be imported.", "  0  proxies in the file"]
    assert "tailrace undo" not in answer.out


def test_duplicates_inside_the_file_are_told_apart(cli: Cli, file: Path) -> None:
    rows = json.loads(file.read_text())
    file.write_text(json.dumps([*rows, *rows, rows[1]]))
    answer = cli("import", "backup.json", "--into", "pool.json")
    assert (
        "  1 proxy of the file is in the pool already and 3 proxies of the file are in\n  the file more than once."
    ) in answer.out


@pytest.mark.usefixtures("file")
def test_every_word_reaches_the_request(cli: Cli, engine: PoolEngine) -> None:
    cli(
        "import", "backup.json", "--into", "pool.json", "--from-dialect", "colon", "--scheme", "socks5",
        "--template", "{host}:{port}", "--key", "file:a", "--key", "env:B", "--resolve", "env",
        "--on-duplicate", "rename", "--leave-out-clashes", "--clear-credentials",
    )  # fmt: skip
    assert engine.requests == [
        ImportRequest(
            path=Path("backup.json"),
            into="pool.json",
            on_duplicate=OnDuplicate.RENAME,
            dialect="colon",
            scheme="socks5",
            template="{host}:{port}",
            keys=("file:a", "env:B"),
            resolver="env",
            clear=True,
            leave_out_clashes=True,
        )
    ]


@pytest.mark.parametrize(
    "words", [("--plan", "a", "--dry-run"), ("--plan", "a", "--apply", "a"), ("--apply", "a", "--dry-run")]
)
def test_plan_apply_and_dry_run_exclude_each_other(words: tuple[str, ...], cli: Cli, engine: PoolEngine) -> None:
    answer = cli("import", "backup.json", "--into", "pool.json", *words)
    assert answer.code == 2
    assert answer.err.splitlines()[0] == "error: --plan, --apply and --dry-run exclude each other."
    assert engine.requests == []


def test_undo_needs_to_know_what(cli: Cli) -> None:
    for words in ((), ("x", "--list")):
        answer = cli("undo", *words)
        assert answer.code == 2
        assert answer.err.splitlines()[0] == "error: tailrace undo needs the id of an import, or --list."
    assert cli("undo", "x").code == 2


def test_undo_and_its_list_as_json(cli: Cli, file: Path) -> None:
    made = cli("import", "backup.json", "--into", "pool.json", "--json").document["import_id"]
    (listed,) = cli("undo", "--list", "--json").document["imports"]
    assert (listed["import_id"], listed["state"], listed["location"]) == (
        made,
        "applied",
        str(file.parent / "pool.json"),
    )
    assert cli("undo", made, "--json").document["outcome"] == "undone"


def test_an_undo_that_finds_nothing_says_so(cli: Cli, file: Path) -> None:
    before = (file.parent / "pool.json").read_text()
    made = cli("import", "backup.json", "--into", "pool.json", "--json").document["import_id"]
    (file.parent / "pool.json").write_text(before)
    answer = cli("undo", made)
    assert answer.out == f"There is nothing to undo: the pool is as it was before import {made}.\n"


def test_unreadable_records_and_pools_of_applications_are_listed(
    cli: Cli, engine: PoolEngine, file: Path, tmp_path: Path
) -> None:
    target = RecordsTarget(JsonPool(file.parent / "pool.json"), kind="shop")
    engine.apply_import(ImportRequest(file, target))
    (tmp_path / "home" / "imports" / "20260101T000000Z-00000000.undo").write_bytes(b"")
    lines = cli("undo", "--list").out.splitlines()
    assert lines[1].endswith("(shop)")
    assert lines[2].split() == ["20260101T000000Z-00000000", "unreadable", "0", "0"]
