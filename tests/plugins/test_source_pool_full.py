"""Credential mode full: everything that the pool holds comes back, and nothing of a login is there in between."""

import base64
import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import attrs
import polars as pl
import pytest
from cryptography.fernet import Fernet, MultiFernet

from tailrace import (
    ConfigurationError,
    CredentialMode,
    Engine,
    ExportRequest,
    NotAllowedError,
    RequestError,
    SinkRequest,
    SourceError,
    WrongKeyError,
)
from tailrace.settings import CredentialSettings, Settings, VaultSettings
from tailrace.vault.header import open_header, read_header
from tailrace.vault.keyring import Keyring
from tailrace.vault.keys import MasterKey
from tailrace.vault.values import open_values

DATA = Path(__file__).parents[1] / "data"
# The key of the made-up credentials in the sample.
SAMPLE_KEY = "k3vF0aZ2mRr5Xb8yTq1wLs7uJd4gNh6cPoEi9tYxVaM="
MASTER = MasterKey.generate()


@attrs.define
class Bench:
    folder: Path

    def engine(self, **changes: Any) -> Engine:
        settings = Settings(home=self.folder / "home", user="ada", vault=VaultSettings(openers=("mine",)))
        return Engine(attrs.evolve(settings, **changes), keyring=Keyring({"mine": MASTER}))

    def export(self, location: Path, *, engine: Engine | None = None, **changes: Any) -> Path:
        request = ExportRequest(
            "pool",
            str(location),
            "json",
            sinks=(SinkRequest("disk", str(self.folder / "out"), options={"overwrite": True}),),
            credentials=CredentialMode.FULL,
            compress=False,
        )
        path = (engine or self.engine()).export(attrs.evolve(request, **changes)).artifacts[0].path
        assert path is not None
        return path


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    for name in ("PROXYWHIRL_CACHE_ENCRYPTION_KEY", "PROXYWHIRL_CACHE_KEY_PREVIOUS"):
        monkeypatch.delenv(name, raising=False)
    return Bench(tmp_path)


def opened(path: Path) -> pl.DataFrame:
    """The proxies of a full export, opened by the description of the format alone."""
    document = json.loads(path.read_text())
    frame = pl.DataFrame(document["proxies"], infer_schema_length=None)
    header = read_header(document["manifest"]["vault"])
    key = open_header(header, [MASTER])
    table = header.tables["proxies"]
    for name in table.columns:
        clear, bad = open_values(key, "proxies", name, frame[name].cast(pl.String), frame.select(table.bound_to))
        assert not bad.any()
        frame = frame.with_columns(clear)
    return frame


def entry(**members: Any) -> dict[str, Any]:
    return {"url": "http://192.0.2.1:8080", "protocol": "http", **members}


@pytest.fixture
def storage(tmp_path: Path) -> Callable[..., Path]:
    def write(*entries: dict[str, Any]) -> Path:
        path = tmp_path / "pool.json"
        path.write_text(json.dumps(list(entries)))
        return path

    return write


def test_proxywhirls_own_encryption_is_opened_and_sealed_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", SAMPLE_KEY)
    path = bench.export(DATA / "proxywhirl-sample.db")
    frame = opened(path)
    cipher = Fernet(SAMPLE_KEY)
    with sqlite3.connect(f"file:{DATA / 'proxywhirl-sample.db'}?mode=ro&immutable=1", uri=True) as database:
        stored = database.execute(
            "SELECT username, password FROM proxy_identities WHERE username IS NOT NULL ORDER BY url"
        ).fetchall()
    logins = [
        tuple(cipher.decrypt(base64.b64decode(text.removeprefix("encrypted:"))).decode() for text in pair)
        for pair in stored
    ]
    assert len(logins) == 10
    assert frame.filter("has_credentials").select("username", "password").rows() == logins
    assert set(frame["credentials_in"]) == {"columns", None}
    assert frame["stored_url"].null_count() == 30
    content = path.read_text()
    for secret in [secret for pair in logins for secret in pair] + [text for pair in stored for text in pair]:
        assert secret not in content


def test_without_proxywhirls_key_full_says_so_and_writes_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bench.export(DATA / "proxywhirl-sample.db")
    assert caught.value.message == "ProxyWhirl has encrypted the logins of 10 proxies, and its key is not at hand."
    assert caught.value.hint.startswith("Set PROXYWHIRL_CACHE_ENCRYPTION_KEY to ProxyWhirl's key")
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", Fernet.generate_key().decode())
    with pytest.raises(WrongKeyError, match="ProxyWhirl's key does not open a stored login") as wrong:
        bench.export(DATA / "proxywhirl-sample.db")
    assert wrong.value.__cause__ is None
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", "hunter2")
    with pytest.raises(ConfigurationError, match="is not a key of Fernet") as malformed:
        bench.export(DATA / "proxywhirl-sample.db")
    assert "hunter2" not in str(malformed.value) + malformed.value.hint
    assert not list((bench.folder / "out").glob("*"))


def test_the_key_before_the_last_change_of_keys_is_used_as_well(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", Fernet.generate_key().decode())
    monkeypatch.setenv("PROXYWHIRL_CACHE_KEY_PREVIOUS", SAMPLE_KEY)
    assert opened(bench.export(DATA / "proxywhirl-sample.db"))["username"].null_count() == 20


def test_with_proxywhirls_key_the_other_modes_look_for_what_it_hides(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "copy.db"
    shutil.copy(DATA / "proxywhirl-sample.db", path)
    cipher = Fernet(SAMPLE_KEY)
    with sqlite3.connect(path) as database:
        (url, password) = database.execute(
            "SELECT url, password FROM proxy_identities WHERE username IS NOT NULL LIMIT 1"
        ).fetchone()
        secret = cipher.decrypt(base64.b64decode(password.removeprefix("encrypted:"))).decode()
        database.execute("UPDATE proxy_identities SET isp_name = ? WHERE url = ?", (f"isp of {secret}", url))
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", SAMPLE_KEY)
    exported = bench.export(path, credentials=CredentialMode.SANITIZED)
    rows = json.loads(exported.read_text())["proxies"]
    assert [row["isp_name"] for row in rows if row["isp_name"]] == ["isp of [redacted]"]
    assert [row["username"] for row in rows if row["username"]] == []
    sealed = opened(bench.export(path))
    assert sealed.filter(pl.col("isp_name").is_not_null())["isp_name"].to_list() == [f"isp of {secret}"]


def test_everything_comes_back_as_it_was(bench: Bench, storage: Callable[..., Path]) -> None:
    path = storage(
        entry(username="ada", password="hunter2", last_health_error="407 for ada: hunter2", tags=["ada", "b"]),
        entry(username="", password="", metadata={"token": "t-1", "n": 1}, quota={"password": "x"}),
        entry(url="http://eve:p%40ss@192.0.2.2:8080/?key=1"),
        entry(url="http://eve:old@192.0.2.3:8080", username="eve", password="new"),
        entry(url="http://192.0.2.4:8080", last_health_error="sealed:1:looks like it"),
        entry(url="http://192.0.2.5:8080", last_health_error="timeout"),
    )
    exported = bench.export(path)
    frame = opened(exported)
    assert frame["username"].to_list() == ["ada", "", "eve", "eve", None, None]
    assert frame["password"].to_list() == ["hunter2", "", "p@ss", "new", None, None]
    assert frame["credentials_in"].to_list() == ["columns", "columns", "url", "both", None, None]
    assert frame["stored_url"].to_list() == [
        None,
        None,
        "http://eve:p%40ss@192.0.2.2:8080/?key=1",
        "http://eve:old@192.0.2.3:8080",
        None,
        None,
    ]
    assert frame["url"].to_list()[2:4] == ["http://192.0.2.2:8080/?key=1", "http://192.0.2.3:8080"]
    assert frame["has_credentials"].to_list() == [True, False, True, True, False, False]
    assert frame["last_health_error"].to_list()[0] == "407 for ada: hunter2"
    assert frame["last_health_error"].to_list()[4:] == ["sealed:1:looks like it", "timeout"]
    assert frame["tags"].to_list()[0] == '["ada","b"]'
    assert frame["metadata"].to_list()[1] == '{"token":"t-1","n":1}'
    assert json.loads(frame["extra"][1]) == {"quota": {"password": "x"}}
    content = exported.read_text()
    for secret in ("hunter2", "p%40ss", "p@ss", "t-1", "407 for", '"eve', "looks like"):
        assert secret not in content
    assert '"timeout"' in content


def test_a_list_has_its_logins_in_columns(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("http://ada:hunter2@192.0.2.1:80\nsocks5://192.0.2.2:1080\n")
    frame = opened(bench.export(path))
    assert frame.select("url", "username", "password", "credentials_in", "stored_url").rows() == [
        ("http://192.0.2.1:80", "ada", "hunter2", "columns", None),
        ("socks5://192.0.2.2:1080", None, None, None, None),
    ]


def test_ten_thousand_users_of_one_gateway_are_told_apart(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("".join(f"http://user-{n}:pass-{n % 7}@192.0.2.1:80\n" for n in range(10_000)))
    frame = opened(bench.export(path))
    assert frame["username"].to_list() == [f"user-{n}" for n in range(10_000)]
    assert frame["password"].to_list() == [f"pass-{n % 7}" for n in range(10_000)]


def test_the_notes_say_what_is_sealed(bench: Bench, storage: Callable[..., Path]) -> None:
    path = bench.export(storage(entry(username="ada", password="hunter2", last_health_error="no hunter2")))
    notes = json.loads(path.with_name(path.name + ".manifest.json").read_text())["notes"]
    assert "User names and passwords of 1 proxies are sealed." in notes
    assert "1 cells of other columns held a login or part of one: they are sealed, too." in notes


def test_without_anybody_to_open_it_nothing_is_made(bench: Bench, storage: Callable[..., Path]) -> None:
    with pytest.raises(ConfigurationError, match="there is no key to seal them to") as caught:
        bench.export(storage(entry()), engine=bench.engine(vault=VaultSettings()))
    assert "tailrace keys new master master.key" in caught.value.hint


@pytest.mark.parametrize("mode", CredentialMode)
def test_a_policy_forbids_modes(mode: CredentialMode, bench: Bench, storage: Callable[..., Path]) -> None:
    others = tuple(other.value for other in CredentialMode if other is not mode)
    engine = bench.engine(credentials=CredentialSettings(allowed=cast("Any", others)))
    with pytest.raises(NotAllowedError) as caught:
        bench.export(storage(entry()), engine=engine, credentials=mode)
    assert caught.value.message == f"Credential mode {mode.value!r} is not allowed here."
    assert caught.value.hint == f"The setting credentials.allowed permits: {', '.join(others)}."
    allowed = bench.engine(credentials=CredentialSettings(allowed=cast("Any", (mode.value,))))
    assert bench.export(storage(entry()), engine=allowed, credentials=mode).exists()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("url", "username"), "could not be opened again: without number, protocol, host, port."),
        (("number", "protocol", "host", "p=port", "password"), "could not be opened again: without port."),
        (("number", "protocol", "host", "port", "user=username"), "could not be opened again: username renamed."),
    ],
)
def test_columns_that_it_takes_to_open_must_be_kept(
    columns: tuple[str, ...], message: str, bench: Bench, storage: Callable[..., Path]
) -> None:
    path = storage(entry(username="ada", password="hunter2"))
    with pytest.raises(RequestError) as caught:
        bench.export(path, columns=columns)
    assert caught.value.message == f"Sealed columns of proxies {message}"
    assert caught.value.hint == "Keep these columns under their names: number, protocol, host, port."
    kept = bench.export(path, columns=("port", "host", "protocol", "number", "password"))
    assert opened_password(kept) == ["hunter2"]
    assert "hunter2" not in bench.export(path, columns=("url",)).read_text()


def opened_password(path: Path) -> list[str | None]:
    document = json.loads(path.read_text())
    frame = pl.DataFrame(document["proxies"])
    header = read_header(document["manifest"]["vault"])
    bound = frame.select(header.tables["proxies"].bound_to)
    return open_values(open_header(header, [MASTER]), "proxies", "password", frame["password"], bound)[0].to_list()


def test_filters_and_order_leave_what_is_sealed_openable(bench: Bench, storage: Callable[..., Path]) -> None:
    path = storage(*(entry(url=f"http://192.0.2.{n}:80", username=f"u{n}", password=f"pw-{n}-x") for n in range(1, 9)))
    kept = bench.export(path, where=("number > 5",), sort=("-number",))
    assert opened_password(kept) == ["pw-8-x", "pw-7-x", "pw-6-x"]


@pytest.mark.parametrize("name", ["csv", "json"])
def test_the_manifest_beside_the_file_has_header_and_seal(
    name: str, bench: Bench, storage: Callable[..., Path]
) -> None:
    engine = bench.engine()
    path = bench.export(storage(entry(username="ada", password="hunter2")), format=name, engine=engine)
    manifest = json.loads(path.with_name(path.name + ".manifest.json").read_text())
    assert manifest["vault"]["openers"][0]["key_id"] == MASTER.id
    assert "openers" not in manifest["parameters"]
    assert manifest["seal"]["sha256"] == manifest["file"]["plain_sha256"]
    found = engine.verify(path, keys=["mine"])
    assert found.ok
    assert [check.name for check in found.checks if check.name == "seal"] == ["seal"]
    manifest["seal"]["mac"] = "0" * 64
    path.with_name(path.name + ".manifest.json").write_text(json.dumps(manifest))
    assert [check.name for check in engine.verify(path, keys=["mine"]).checks if not check.ok] == ["seal"]


def test_a_json_document_carries_its_own_header_and_seal(bench: Bench, storage: Callable[..., Path]) -> None:
    path = bench.export(storage(entry(username="ada", password="hunter2")))
    content = path.read_bytes()
    document = json.loads(content)
    beside = json.loads(path.with_name(path.name + ".manifest.json").read_text())
    assert list(document) == ["manifest", "proxies", "seal"]
    assert document["manifest"]["vault"] == beside["vault"]
    import hashlib

    assert document["seal"]["sha256"] == hashlib.sha256(content[: content.rindex(b',\n"seal": ')]).hexdigest()


def test_an_encrypted_file_storage_is_read_with_its_key(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Fernet.generate_key()
    path = tmp_path / "pool.enc"
    path.write_bytes(Fernet(key).encrypt(json.dumps([entry(username="ada", password="hunter2")] * 2).encode()))
    with pytest.raises(SourceError, match="is encrypted as a whole") as caught:
        bench.export(path)
    assert caught.value.hint.startswith("Set PROXYWHIRL_CACHE_ENCRYPTION_KEY")
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", Fernet.generate_key().decode())
    with pytest.raises(WrongKeyError, match="does not open the file"):
        bench.export(path)
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", key.decode())
    assert opened(bench.export(path))["password"].to_list() == ["hunter2", "hunter2"]


def test_keys_and_secrets_are_in_no_log_and_no_error(
    bench: Bench, storage: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = storage(entry(username="ada-lovelace", password="hunter2hunter2"))
    with caplog.at_level(logging.DEBUG):
        bench.export(path)
    engine = bench.engine()
    told = caplog.text + repr(engine) + repr(engine.keyring) + repr(vars(engine))
    for secret in ("hunter2", "ada-lovelace", MASTER.text, MASTER.content.hex()):
        assert secret not in told
    for file in bench.folder.rglob("*"):
        if file.is_file() and file != path:
            content = file.read_bytes()
            assert b"hunter2" not in content
            assert MASTER.content not in content
            assert MASTER.text.encode() not in content


def test_values_are_encrypted_as_proxywhirl_does() -> None:
    from tailrace_source_pool import fernet

    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    environ = {"PROXYWHIRL_CACHE_ENCRYPTION_KEY": new, "PROXYWHIRL_CACHE_KEY_PREVIOUS": old}
    values = pl.Series("username", ["ada", None, "", "ada"])
    with pytest.MonkeyPatch.context() as patch:
        for name, text in environ.items():
            patch.setitem(os.environ, name, text)
        stored = fernet.encrypt_values(values)
        assert fernet.decrypt_values(stored).to_list() == ["ada", None, None, "ada"]
        assert fernet.decrypt_file(fernet.encrypt_file(b"[]")) == b"[]"
        assert fernet.decrypt_values(values).to_list() == values.to_list()
        with pytest.raises(WrongKeyError):
            fernet.decrypt_values(pl.Series(["encrypted:!"]))
    assert stored[0].startswith("encrypted:")
    assert stored[0] != stored[3]
    assert MultiFernet([Fernet(new)]).decrypt(base64.b64decode(stored[0].removeprefix("encrypted:"))) == b"ada"


def test_without_the_package_cryptography_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from tailrace_source_pool import fernet

    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", SAMPLE_KEY)
    assert fernet.available()
    # None is how an import is forbidden.
    monkeypatch.setitem(sys.modules, "cryptography.fernet", None)
    assert not fernet.available()
    with pytest.raises(ConfigurationError, match="the package cryptography is not installed") as caught:
        fernet.encrypt_values(pl.Series(["ada"]))
    assert "pip install 'tailrace-source-pool[proxywhirl]'" in caught.value.hint
    monkeypatch.delenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY")
    assert not fernet.available()


def test_without_any_key_it_is_told_which_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    from tailrace_source_pool import fernet

    for name in fernet.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match="its key is not at hand") as caught:
        fernet.encrypt_values(pl.Series(["ada"]))
    assert caught.value.hint.startswith("Set PROXYWHIRL_CACHE_ENCRYPTION_KEY")
