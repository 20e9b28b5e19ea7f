"""Adding, removing and rotating the keys of exports that exist."""

import gzip
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import attrs
import pytest
from tailrace_sdk.fakes import LinesFormat

from tailrace import (
    ConfigurationError,
    CredentialMode,
    Engine,
    ExportRequest,
    RequestError,
    SinkRequest,
    UnknownNameError,
)
from tailrace.model.errors import RefusedError, TamperedError, UnknownKeyError, WrongKeyError
from tailrace.plugins.pools import ReadPoolCall
from tailrace.settings import Settings, VaultSettings
from tailrace.vault.header import open_header, read_header
from tailrace.vault.keyring import Keyring
from tailrace.vault.keys import KeyMaterial, MasterKey, Password, PrivateKey, SigningKey
from tailrace.vault.sealing import seal_content

MASTER, OTHER, PRIVATE, SIGNING = (
    MasterKey.generate(),
    MasterKey.generate(),
    PrivateKey.generate(),
    SigningKey.generate(),
)
KEYS: dict[str, KeyMaterial | Password] = {
    "mine": MASTER,
    "other": OTHER,
    "ben": PRIVATE,
    "ben-public": PRIVATE.public,
    "signing": SIGNING,
    "words": Password("correct horse"),
}
LIST = "http://ada:hunter2hunter2@192.0.2.1:8080\nsocks5://eve:s3cret-word@192.0.2.2:1080\nhttp://192.0.2.3:80\n"
TOKEN = re.compile(rb"sealed:1:[A-Za-z0-9+/]+=*")


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    settings = Settings(home=tmp_path / "home", user="ada", vault=VaultSettings(openers=("mine",), keys=("mine",)))
    return Engine(settings, keyring=Keyring(KEYS))


@pytest.fixture
def backup(engine: Engine, tmp_path: Path) -> Path:
    return export(engine, tmp_path)


def export(engine: Engine, folder: Path, **changes: Any) -> Path:
    pool = folder / "pool.txt"
    pool.write_text(LIST)
    request = ExportRequest(
        "pool",
        str(pool),
        "json",
        sinks=(SinkRequest("disk", str(folder / "out"), options={"overwrite": True}),),
        credentials=CredentialMode.FULL,
    )
    path = engine.export(attrs.evolve(request, **changes)).artifacts[0].path
    assert path is not None
    return path


def logins(engine: Engine, path: Path, *keys: str) -> list[tuple[Any, ...]]:
    frame = engine.open_pool_file(ReadPoolCall(path), keys=keys).frame
    return frame.select("username", "password").rows()


OPENED = [("ada", "hunter2hunter2"), ("eve", "s3cret-word"), (None, None)]


def rows(path: Path) -> bytes:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return rows_of(content)


def rows_of(content: bytes) -> bytes:
    return content[content.index(b'\n"proxies": [') : content.index(b'\n"seal": ')]


def test_another_key_is_added_without_touching_a_row(engine: Engine, backup: Path) -> None:
    before = rows(backup)
    done = engine.change_openers(backup, add=("ben-public", "words"))
    assert done.openers == (MASTER.id, PRIVATE.id, "password")
    assert engine.openers(backup) == done.openers
    assert rows(backup) == before
    for name in ("mine", "ben", "words"):
        assert logins(engine, backup, name) == OPENED
        assert engine.verify(backup, keys=[name]).ok
    assert backup.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in backup.parent.iterdir()} == {backup.name, f"{backup.name}.manifest.json"}


def test_a_removed_key_no_longer_opens(engine: Engine, backup: Path) -> None:
    engine.change_openers(backup, add=("ben-public", "words"))
    before = rows(backup)
    done = engine.change_openers(backup, remove=(MASTER.id, "password"), keys=("ben",))
    assert done.openers == (PRIVATE.id,)
    assert rows(backup) == before
    assert logins(engine, backup, "ben") == OPENED
    with pytest.raises(UnknownKeyError) as caught:
        logins(engine, backup, "mine")
    assert caught.value.needed == (PRIVATE.id,)
    with pytest.raises(UnknownKeyError):
        logins(engine, backup, "words")


def test_the_last_key_cannot_be_removed_and_unknown_ones_are_told(engine: Engine, backup: Path) -> None:
    content = backup.read_bytes()
    with pytest.raises(ConfigurationError, match="Nobody could open it"):
        engine.change_openers(backup, remove=(MASTER.id,))
    with pytest.raises(UnknownNameError) as caught:
        engine.change_openers(backup, remove=("mk-0000000000000000",))
    assert caught.value.known == (MASTER.id,)
    with pytest.raises(UnknownKeyError):
        engine.change_openers(backup, add=("other",), keys=("other",))
    with pytest.raises(UnknownKeyError):
        engine.change_openers(backup, add=("other",), keys=("words",))
    engine.change_openers(backup, add=("words",))
    wrong = Engine(engine.settings, keyring=Keyring({**KEYS, "wrong": Password("not the one")}))
    with pytest.raises(WrongKeyError):
        wrong.change_openers(backup, add=("other",), keys=("wrong",))
    assert content != backup.read_bytes()


def test_rotating_seals_every_value_anew(engine: Engine, backup: Path) -> None:
    engine.change_openers(backup, add=("ben-public",))
    before = set(TOKEN.findall(rows(backup)))
    old = backup.read_bytes()
    done = engine.rotate(backup, openers=("other",))
    after = set(TOKEN.findall(rows(backup)))
    assert (done.resealed, len(before), len(after)) == (4, 4, 4)
    assert before.isdisjoint(after)
    assert TOKEN.sub(b"", rows(backup)) == TOKEN.sub(b"", rows_of(gzip.decompress(old)))
    assert engine.openers(backup) == (OTHER.id,)
    assert logins(engine, backup, "other") == OPENED
    assert engine.verify(backup, keys=["other"]).ok
    with pytest.raises(UnknownKeyError):
        logins(engine, backup, "mine")
    assert engine.rotate(backup, keys=("other",)).openers == (MASTER.id,)


@pytest.mark.parametrize("compress", [True, False])
def test_a_file_without_its_manifest_is_enough(compress: bool, engine: Engine, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    path = export(engine, tmp_path, compress=compress)
    alone = tmp_path / f"alone{path.suffix}"
    alone.write_bytes(path.read_bytes())
    engine.change_openers(alone, add=("other",))
    assert logins(engine, alone, "other") == OPENED
    engine.rotate(alone, keys=("other",), openers=("other",))
    assert logins(engine, alone, "other") == OPENED
    assert not list(tmp_path.glob("alone*.manifest.json"))


def test_a_csv_keeps_its_bytes_and_its_manifest_gets_the_header(engine: Engine, tmp_path: Path) -> None:
    path = export(engine, tmp_path, format="csv")
    content = path.read_bytes()
    done = engine.change_openers(path, add=("other",))
    assert done.openers == (MASTER.id, OTHER.id)
    assert path.read_bytes() == content
    assert logins(engine, path, "other") == OPENED
    assert engine.verify(path, keys=["other"]).ok
    with pytest.raises(RequestError, match="has its header in the manifest beside it"):
        engine.rotate(path)
    assert path.read_bytes() == content


def signing_engine(engine: Engine) -> Engine:
    vault = VaultSettings(openers=("mine",), keys=("mine",), signing_key="signing")
    return Engine(attrs.evolve(engine.settings, vault=vault), keyring=Keyring(KEYS))


def test_a_signature_is_made_anew_or_told_to_be_gone(engine: Engine, tmp_path: Path) -> None:
    signing = signing_engine(engine)
    path = export(signing, tmp_path)
    assert signing.change_openers(path, add=("other",)).notes == ()
    assert signing.verify(path).trust.trust == "known"
    assert engine.change_openers(path, add=("ben",)).notes == (
        "The manifest is no longer signed: there was no key to sign it with again.",
    )
    assert signing.verify(path).trust.trust == "distrusted"


def test_nothing_is_signed_that_nobody_vouched_for(engine: Engine, tmp_path: Path) -> None:
    signing, path = signing_engine(engine), export(engine, tmp_path)
    assert signing.change_openers(path, add=("other",)).notes == (
        "The manifest was not signed before, and is not signed now.",
    )
    assert signing.verify(path).trust.trust == "unsigned"


def test_a_manifest_that_was_forged_is_not_signed_anew(engine: Engine, tmp_path: Path) -> None:
    signing = signing_engine(engine)
    path = export(signing, tmp_path)
    beside = path.with_name(path.name + ".manifest.json")
    document = json.loads(beside.read_text())
    document["notes"] = ["Audited and approved."]
    beside.write_text(json.dumps(document))
    for change in (signing.change_openers, signing.rotate):
        with pytest.raises(TamperedError, match="The signature does not belong to this manifest"):
            change(path)
    assert json.loads(beside.read_text()) == document


def test_what_only_looks_sealed_in_the_middle_of_a_text_survives_rotating(engine: Engine, tmp_path: Path) -> None:
    pool = tmp_path / "pool.json"
    pool.write_text(json.dumps([{"url": "http://h.example.com:80", "last_health_error": "see sealed:1:QUJD in log"}]))
    path = export(engine, tmp_path, location=str(pool))
    assert engine.rotate(path, openers=("other",)).resealed == 0
    frame = engine.open_pool_file(ReadPoolCall(path), keys=("other",)).frame
    assert frame["last_health_error"].to_list() == ["see sealed:1:QUJD in log"]


def test_a_file_that_was_changed_is_not_rewrapped(engine: Engine, backup: Path, tmp_path: Path) -> None:
    path = tmp_path / "changed.json"
    path.write_bytes(gzip.decompress(backup.read_bytes()).replace(b"192.0.2.1", b"192.0.2.9"))
    content = path.read_bytes()
    with pytest.raises(RefusedError):
        engine.change_openers(path, add=("other",))
    with pytest.raises(RefusedError):
        engine.rotate(path)
    assert path.read_bytes() == content


def test_what_is_not_sealed_has_no_openers(engine: Engine, tmp_path: Path) -> None:
    path = export(engine, tmp_path, credentials=CredentialMode.SANITIZED)
    with pytest.raises(RequestError, match="holds nothing that is sealed"):
        engine.openers(path)
    broken = tmp_path / "broken.json"
    broken.write_text('{"manifest": {"schema_version": 2, "source": "pool"}, "proxies": [5]}')
    with pytest.raises(RefusedError):
        engine.openers(broken)


def test_a_forged_header_is_not_believed(engine: Engine, tmp_path: Path) -> None:
    path = export(engine, tmp_path, compress=False)
    alone = tmp_path / "alone.json"
    document = json.loads(path.read_text())
    document["manifest"]["vault"]["openers"] *= 2
    alone.write_text(json.dumps(document))
    with pytest.raises((TamperedError, RefusedError)):
        engine.openers(alone)


def test_a_full_disk_leaves_the_old_file(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = export(engine, tmp_path)
    content = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exception, match="the disk is full"):
        engine.change_openers(path, add=("other",))
    monkeypatch.undo()
    assert path.read_bytes() == content
    assert logins(engine, path, "mine") == OPENED
    assert len(list(path.parent.iterdir())) == 2


def test_a_format_that_cannot_change_its_manifest_is_told(engine: Engine, backup: Path) -> None:
    content = backup.read_bytes()
    other = Engine(engine.settings, plugins=[("json", LinesFormat())], keyring=Keyring(KEYS))
    with pytest.raises(RequestError, match="cannot put another manifest into it"):
        other.change_openers(backup, add=("other",))
    assert backup.read_bytes() == content


def test_values_that_are_not_written_as_we_write_them_stop_a_rotation(engine: Engine, tmp_path: Path) -> None:
    pool = tmp_path / "many.txt"
    pool.write_text("".join(f"http://user-{n}:password-{n}@h.example.com:{n}\n" for n in range(1, 40)))
    path = export(engine, tmp_path, location=str(pool), compress=False)
    header = read_header(json.loads(path.read_text())["manifest"]["vault"])
    content = path.read_bytes()
    # Another spelling of the same JSON, sealed anew by somebody who has the key.
    sealed = TOKEN.sub(lambda found: found[0].replace(b"/", b"\\/"), content[: content.rindex(b',\n"seal": ')])
    seal = attrs.asdict(seal_content(open_header(header, [MASTER]), hashlib.sha256(sealed).hexdigest()))
    alone = tmp_path / "alone.json"
    alone.write_bytes(sealed + b',\n"seal": ' + json.dumps(seal).encode() + b"\n}\n")
    content = alone.read_bytes()
    assert len(logins(engine, alone)) == 39
    with pytest.raises(TamperedError, match="Not every sealed value"):
        engine.rotate(alone)
    assert alone.read_bytes() == content
