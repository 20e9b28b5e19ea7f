import base64
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from nacl.signing import VerifyKey

from tailrace import SinkRequest
from tailrace.known_signers import TrustPolicy, known_signers
from tailrace.model.errors import ConfigurationError, StorageError, TamperedError
from tailrace.model.manifest import IncrementRecord, Manifest, PreviousFile, decode_manifest, encode_manifest
from tailrace.settings import Settings, VaultSettings
from tailrace.vault.keyring import Keyring
from tailrace.vault.keys import SigningKey
from tailrace.vault.signing import signed, signer_of
from tailrace.vault.trust import Trust

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
INCREMENT = IncrementRecord("daily", 2, None, NOW, (PreviousFile("a.csv", "aa", ("rows",)),))


@pytest.fixture
def manifest(bench: Any) -> Manifest:
    exported: Manifest = bench.export().artifacts[0].manifest
    return exported


def judge(home: Path, manifest: Manifest, *pinned: SigningKey) -> tuple[Trust, str]:
    policy = TrustPolicy(home, tuple(key.public for key in pinned), lambda: NOW)
    judgement = policy.judge(manifest)
    policy.remember(manifest, judgement)
    return judgement.trust, judgement.detail


def test_a_signature_says_who_signed_and_survives_the_file(manifest: Manifest) -> None:
    made = signed(manifest, KEY)
    assert signer_of(made) == KEY.public
    assert signer_of(decode_manifest(encode_manifest(made))) == KEY.public
    assert signer_of(decode_manifest(encode_manifest(made, name="renamed.csv"))) == KEY.public
    assert signer_of(manifest) is None
    assert signer_of(signed(made, OTHER)) == OTHER.public


def resigned(manifest: Manifest, **changes: Any) -> Manifest:
    assert manifest.signature is not None
    return attrs.evolve(manifest, signature=attrs.evolve(manifest.signature, **changes))


CHANGES: dict[str, Callable[[Manifest], Manifest]] = {
    "the user": lambda m: attrs.evolve(m, user="mallory"),
    "a digest": lambda m: attrs.evolve(m, file=attrs.evolve(m.file, sha256="0" * 64)),
    "a note": lambda m: attrs.evolve(m, notes=("all is well",)),
    "the time": lambda m: attrs.evolve(m, created=NOW.replace(year=2020)),
    "rows": lambda m: attrs.evolve(m, tables=()),
    "a place in a chain": lambda m: attrs.evolve(m, increment=INCREMENT),
    "the signer": lambda m: resigned(m, signer=OTHER.public.text),
    "the signature": lambda m: resigned(m, signature="AAAA"),
    "its Base64": lambda m: resigned(m, signature="!"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_changed_in_a_signed_manifest_is_found_out(change: str, manifest: Manifest) -> None:
    with pytest.raises(TamperedError, match="The signature does not belong to this manifest"):
        signer_of(CHANGES[change](signed(manifest, KEY)))


@pytest.mark.parametrize(
    "changes", [{"number": 1}, {"chain": "weekly"}, {"since": NOW}, {"until": NOW.replace(year=2027)}, {"previous": ()}]
)
def test_the_place_in_a_chain_is_signed(changes: dict[str, Any], manifest: Manifest) -> None:
    made = signed(attrs.evolve(manifest, increment=INCREMENT), KEY)
    assert signer_of(decode_manifest(encode_manifest(made))) == KEY.public
    for instead in (attrs.evolve(INCREMENT, **changes), None):
        with pytest.raises(TamperedError):
            signer_of(attrs.evolve(made, increment=instead))


@pytest.mark.parametrize("increment", [None, INCREMENT])
def test_what_is_signed_is_what_the_file_says(increment: IncrementRecord | None, manifest: Manifest) -> None:
    document = json.loads(encode_manifest(signed(attrs.evolve(manifest, increment=increment), KEY)))
    assert ("increment" in document) is (increment is not None)
    signature = base64.b64decode(document.pop("signature")["signature"])
    del document["file"]["name"]
    message = b"tailrace.manifest.1\0" + json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    VerifyKey(KEY.public.content).verify(message, signature)


def test_a_signer_that_cannot_be_read_is_told(manifest: Manifest) -> None:
    made = signed(manifest, KEY)
    assert made.signature is not None
    with pytest.raises(TamperedError, match="The signature does not belong to this manifest"):
        signer_of(attrs.evolve(made, signature=attrs.evolve(made.signature, signer="tailrace-signer-x")))


def test_pinned_keys_decide(tmp_path: Path, manifest: Manifest) -> None:
    made = signed(manifest, KEY)
    assert judge(tmp_path, made, OTHER, KEY) == (Trust.PINNED, f"signed by {KEY.id}, which is set as trusted")
    assert judge(tmp_path, made, OTHER) == (
        Trust.DISTRUSTED,
        f"signed by {KEY.id}, which is none of the trusted signers",
    )
    assert judge(tmp_path, manifest, KEY) == (Trust.DISTRUSTED, "not signed, although trusted signers are set")
    assert list(tmp_path.glob("*.json")) == []


def test_the_first_signer_of_a_source_is_remembered_and_another_one_distrusted(
    tmp_path: Path, manifest: Manifest
) -> None:
    home = tmp_path / "verifier"
    assert judge(home, manifest) == (Trust.UNSIGNED, "nobody vouches for it: digests tell damage, not forgery")
    assert not home.exists()
    first = judge(home, signed(manifest, KEY))
    assert first == (Trust.FIRST_USE, f"signed by {KEY.id}, seen for the first time")
    assert judge(home, signed(manifest, KEY)) == (
        Trust.KNOWN,
        f"signed by {KEY.id}, the signer of this source since 2026-08-20",
    )
    assert judge(home, signed(manifest, OTHER)) == (
        Trust.DISTRUSTED,
        f"signed by {OTHER.id}, and before by another key",
    )
    assert judge(home, manifest) == (Trust.DISTRUSTED, "not signed, although earlier exports of this source were")
    elsewhere = attrs.evolve(manifest, source=attrs.evolve(manifest.source, location="elsewhere"))
    assert judge(home, signed(elsewhere, OTHER))[0] is Trust.FIRST_USE
    assert [entry.signer for entry in known_signers(home)] == [KEY.public.text, OTHER.public.text]
    assert (home / "known-signers.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"{", b"{}", b'[{"source": 5}]', b"\xff"])
def test_a_memory_that_cannot_be_read_is_told(content: bytes, tmp_path: Path, manifest: Manifest) -> None:
    (tmp_path / "known-signers.json").write_bytes(content)
    with pytest.raises(ConfigurationError, match="it is not known whose signatures were seen before"):
        judge(tmp_path, signed(manifest, KEY))


def test_a_home_that_cannot_be_written_to_is_told(tmp_path: Path, manifest: Manifest) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((StorageError, ConfigurationError)):
        judge(tmp_path / "file" / "home", signed(manifest, KEY))


def test_exports_are_signed_and_verified_where_a_key_is_set(bench: Any, tmp_path: Path) -> None:
    key = tmp_path / "signing.key"
    descriptor = os.open(key, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(descriptor, KEY.text.encode())
    os.close(descriptor)
    plain = bench.engine()
    settings = attrs.evolve(plain.settings, vault=VaultSettings(signing_key=f"file:{key}", trusted=(KEY.public.text,)))
    engine = with_settings(bench, settings)
    path = engine.export(bench.request()).artifacts[0].path
    assert path is not None
    found = engine.verify(path)
    assert (found.ok, found.trust.trust) == (True, Trust.PINNED)
    assert plain.verify(path).trust.trust is Trust.FIRST_USE
    assert plain.verify(path).trust.trust is Trust.KNOWN
    elsewhere = (SinkRequest("folder", str(tmp_path / "elsewhere")),)
    unsigned = plain.export(bench.request(sinks=elsewhere)).artifacts[0].path
    distrusted = engine.verify(unsigned)
    assert all(check.ok for check in distrusted.checks)
    assert not distrusted.ok
    assert plain.verify(unsigned).trust.trust is Trust.DISTRUSTED


def test_a_damaged_file_teaches_nobody_whom_to_trust(bench: Any) -> None:
    vault = VaultSettings(signing_key="me")
    settings = attrs.evolve(bench.engine().settings, vault=vault)
    path = with_settings(bench, settings, keyring=Keyring({"me": OTHER})).export(bench.request()).artifacts[0].path
    with path.open("ab") as file:
        file.write(b"x")
    assert not bench.engine().verify(path).ok
    assert known_signers(bench.home) == ()


def test_a_signed_file_whose_manifest_was_changed_is_refused(bench: Any) -> None:
    engine = with_settings(
        bench,
        attrs.evolve(bench.engine().settings, vault=VaultSettings(signing_key="me")),
        keyring=Keyring({"me": KEY}),
    )
    path = engine.export(bench.request()).artifacts[0].path
    beside = path.with_name(path.name + ".manifest.json")
    document = json.loads(beside.read_text())
    document["user"] = "mallory"
    beside.write_text(json.dumps(document))
    with pytest.raises(TamperedError):
        engine.verify(path)


def with_settings(bench: Any, settings: Settings, **more: Any) -> Any:
    from tailrace import Engine

    plugins = [("memory", bench.source), ("lines", bench.format), ("folder", bench.sink)]
    return Engine(settings, plugins=plugins, discover=False, clock=bench.clock, **more)
