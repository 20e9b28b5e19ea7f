"""The whole way, with the real plugins: a pool is backed up, restored, and taken back."""

import sqlite3
from pathlib import Path
from typing import Any

import attrs
import pytest

from tailrace import (
    CredentialMode,
    Engine,
    ExportRequest,
    ImportRequest,
    Keyring,
    MasterKey,
    NotAllowedError,
    RefusedError,
    RequestError,
    SigningKey,
    SinkRequest,
    SourceError,
    TailraceError,
    TamperedError,
)
from tailrace.settings import Settings, VaultSettings

SAMPLE = Path(__file__).parents[1] / "data" / "proxywhirl-sample.db"
# The key of the made-up credentials in the sample.
SAMPLE_KEY = "k3vF0aZ2mRr5Xb8yTq1wLs7uJd4gNh6cPoEi9tYxVaM="
VAULT = VaultSettings(openers=("mine",), keys=("mine",))
KEYS = {"mine": MasterKey.generate(), "signing": SigningKey.generate(), "other": SigningKey.generate()}


def engine_in(folder: Path, **vault: Any) -> Engine:
    settings = Settings(home=folder / "home", user="ada", vault=attrs.evolve(VAULT, **vault))
    return Engine(settings, keyring=Keyring(KEYS))


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", SAMPLE_KEY)
    monkeypatch.delenv("PROXYWHIRL_CACHE_KEY_PREVIOUS", raising=False)
    return engine_in(tmp_path)


def backup(engine: Engine, pool: Path, target: Path, **changes: Any) -> Path:
    request = ExportRequest(
        "pool", str(pool), "json", sinks=(SinkRequest("disk", str(target)),), credentials=CredentialMode.FULL
    )
    path = engine.export(attrs.evolve(request, **changes)).artifacts[0].path
    assert path is not None
    return path


def rows(database: Path, table: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        shown = ", ".join(name for name in names if name not in {"username", "password"})
        return connection.execute(f"SELECT {shown} FROM {table} ORDER BY 1").fetchall()


@pytest.mark.parametrize("name", ["json", "csv"])
def test_a_restored_database_is_the_one_that_was_backed_up(name: str, engine: Engine, tmp_path: Path) -> None:
    path = backup(engine, SAMPLE, tmp_path / "out", format=name)
    fresh = tmp_path / "fresh.db"
    done = engine.apply_import(ImportRequest(path, str(fresh)))
    assert (done.counts.add, done.losses) == (30, ())
    for table in ("proxy_identities", "proxy_statuses"):
        assert rows(fresh, table) == rows(SAMPLE, table)
    # Credentials included: the digest is of everything, in clear.
    again = engine.plan_import(ImportRequest(backup(engine, fresh, tmp_path / "again"), str(fresh)))
    assert again.counts.unchanged == 30
    assert again.target.digest == done.target.digest


def test_a_plan_is_applied_as_it_is_or_not_at_all(engine: Engine, tmp_path: Path) -> None:
    path, fresh = backup(engine, SAMPLE, tmp_path / "out"), tmp_path / "fresh.db"
    request = ImportRequest(path, str(fresh))
    plan = engine.plan_import(request)
    assert not fresh.exists()
    done = engine.apply_import(request, plan=plan)
    with pytest.raises(RefusedError, match="the pool has changed since"):
        engine.apply_import(request, plan=plan)
    assert done.import_id is not None
    assert engine.undo(done.import_id).removed == 30
    assert rows(fresh, "proxy_identities") == []
    assert engine.undo(done.import_id).outcome == "already"


def test_imports_into_a_list_are_taken_back_in_any_order(engine: Engine, tmp_path: Path) -> None:
    one, two, target = tmp_path / "one.txt", tmp_path / "two.txt", tmp_path / "pool.txt"
    one.write_text("http://ada:S3cret-word@h.example.com:1\nhttp://h.example.com:2\n")
    two.write_text("http://h.example.com:3\n")
    first, second = (engine.apply_import(ImportRequest(path, str(target))).import_id or "" for path in (one, two))
    assert engine.undo(first).removed == 2
    assert target.read_text() == "http://h.example.com:3\n"
    assert engine.undo(second).outcome == "undone"
    assert target.read_text() == ""
    assert engine.apply_import(ImportRequest(two, str(target))).counts.add == 1
    assert target.read_text() == "http://h.example.com:3\n"


def test_what_is_not_signed_by_whom_it_has_to_be_is_not_imported(engine: Engine, tmp_path: Path) -> None:
    trusting = engine_in(tmp_path, trusted=("signing",))
    unsigned = backup(engine, SAMPLE, tmp_path / "unsigned")
    signed = backup(engine_in(tmp_path, signing_key="signing"), SAMPLE, tmp_path / "signed")
    forged = backup(engine_in(tmp_path, signing_key="other"), SAMPLE, tmp_path / "forged")
    assert trusting.plan_import(ImportRequest(signed, str(tmp_path / "fresh.db"))).counts.add == 30
    for path, reason in ((unsigned, "not signed"), (forged, "none of the trusted signers")):
        with pytest.raises(NotAllowedError, match=f"is not trusted: .*{reason}"):
            trusting.plan_import(ImportRequest(path, str(tmp_path / "fresh.db")))
    alone = tmp_path / "alone.json.gz"
    alone.write_bytes(signed.read_bytes())
    with pytest.raises(NotAllowedError, match="there is no manifest beside it"):
        trusting.plan_import(ImportRequest(alone, str(tmp_path / "fresh.db")))
    assert engine.plan_import(ImportRequest(alone, str(tmp_path / "fresh.db"))).counts.add == 30


def test_a_signed_source_that_is_suddenly_signed_by_another_is_not_imported(engine: Engine, tmp_path: Path) -> None:
    signed = backup(engine_in(tmp_path, signing_key="signing"), SAMPLE, tmp_path / "signed")
    forged = backup(engine_in(tmp_path, signing_key="other"), SAMPLE, tmp_path / "forged")
    assert engine.plan_import(ImportRequest(signed, str(tmp_path / "fresh.db"))).counts.add == 30
    with pytest.raises(NotAllowedError, match="and before by another key"):
        engine.plan_import(ImportRequest(forged, str(tmp_path / "fresh.db")))


def test_a_manifest_beside_another_file_vouches_for_nothing(engine: Engine, tmp_path: Path) -> None:
    signed = backup(engine_in(tmp_path, signing_key="signing"), SAMPLE, tmp_path / "signed")
    other = tmp_path / "evil.txt"
    other.write_text("http://evil:evilpass@h.example.com:8080\n")
    beside = signed.with_name(signed.name + ".manifest.json")
    other.with_name("evil.txt.manifest.json").write_bytes(beside.read_bytes())
    for one in (engine, engine_in(tmp_path, trusted=("signing",))):
        with pytest.raises(TamperedError, match=r"The manifest beside evil\.txt is that of another file"):
            one.apply_import(ImportRequest(other, str(tmp_path / "fresh.txt")))
    assert not (tmp_path / "fresh.txt").exists()


def test_an_import_is_not_given_up_because_its_pool_is_away(engine: Engine, tmp_path: Path) -> None:
    one, target, away = tmp_path / "one.txt", tmp_path / "pool.txt", tmp_path / "away.txt"
    one.write_text("http://h.example.com:1\n")
    import_id = engine.apply_import(ImportRequest(one, str(target))).import_id or ""
    target.rename(away)
    with pytest.raises(SourceError, match="is not there"):
        engine.undo(import_id)
    away.rename(target)
    assert engine.undo(import_id).removed == 1


def test_what_is_sealed_chooses_and_orders_nothing(engine: Engine, tmp_path: Path) -> None:
    for change in ({"where": ("username = 'adalovelace'",)}, {"sort": ("-password",)}):
        with pytest.raises(RequestError, match="Nothing can be chosen or ordered by what is sealed") as caught:
            backup(engine, SAMPLE, tmp_path / "out", **change)
        assert "adalovelace" not in str(caught.value)
    assert not list((tmp_path / "out").glob("*"))


def test_a_key_that_is_given_and_nothing_sealed_is_no_good_file(engine: Engine, tmp_path: Path) -> None:
    path = backup(engine, SAMPLE, tmp_path / "out", credentials=CredentialMode.SANITIZED)
    assert engine.verify(path).ok
    assert [check.name for check in engine.verify(path, keys=["mine"]).checks if not check.ok] == ["seal"]


@pytest.mark.parametrize("key", ["junk", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="])
def test_a_wrong_key_of_proxywhirl_does_not_stop_exports_without_credentials(
    key: str, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", key)
    path = backup(engine, SAMPLE, tmp_path / "out", credentials=CredentialMode.SANITIZED)
    assert "10 of them are stored encrypted" in path.with_name(path.name + ".manifest.json").read_text()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("list.colon", "the list does not say protocols, and is read as http"),
        ("list.yaml", "clash"),
        ("list.conf", "proxychains"),
    ],
)
def test_what_a_list_cannot_say_is_told_in_the_plan(name: str, reason: str, engine: Engine, tmp_path: Path) -> None:
    file, target = tmp_path / "file.txt", tmp_path / name
    file.write_text("socks4a://ada:two words@h.example.com:2\nhttp://n:1@h.example.com:3\n".replace(" ", "%20"))
    dialect = "colon" if name.endswith("colon") else None
    plan = engine.plan_import(ImportRequest(file, str(target), into_dialect=dialect))
    refused = [one for one in plan.proxies if one.action == "clash"]
    assert len(refused) == 1
    if name.endswith("colon"):
        assert refused[0].reason == reason
    done = engine.apply_import(ImportRequest(file, str(target), into_dialect=dialect, leave_out_clashes=True))
    assert done.counts.add == 1
    assert engine.undo(done.import_id or "").removed == 1


def test_the_sample_goes_into_proxywhirls_file_storage(engine: Engine, tmp_path: Path) -> None:
    path = backup(engine, SAMPLE, tmp_path / "out")
    done = engine.apply_import(ImportRequest(path, str(tmp_path / "pool.json")))
    assert done.counts.add == 30
    assert any("come without their source_url" in note for note in done.notes)


def test_a_sealed_csv_needs_its_header(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="a CSV without header has none"):
        backup(engine, SAMPLE, tmp_path / "out", format="csv", options={"header": False})


@pytest.mark.parametrize("name", ["json", "csv"])
def test_a_sealed_file_with_a_flipped_bit_or_cut_short_is_not_imported(
    name: str, engine: Engine, tmp_path: Path
) -> None:
    path = backup(engine, SAMPLE, tmp_path / "out", format=name, compress=False)
    content, fresh = path.read_bytes(), tmp_path / "fresh.db"
    places = range(0, len(content) - 3, len(content) // 7)
    flipped = [content[:at] + bytes([content[at] ^ (1 << at % 7)]) + content[at + 1 :] for at in places]
    for changed in (*flipped, content[: len(content) // 2], content[:-4]):
        path.write_bytes(changed)
        with pytest.raises(TailraceError):
            engine.apply_import(ImportRequest(path, str(fresh)))
    assert not fresh.exists()
    path.write_bytes(content)
    assert engine.apply_import(ImportRequest(path, str(fresh))).counts.add == 30
