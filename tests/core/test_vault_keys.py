import copy
import logging
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from tailrace.model.errors import ConfigurationError
from tailrace.vault.keyring import Keyring
from tailrace.vault.keys import (
    KINDS,
    KeyMaterial,
    MasterKey,
    Password,
    PrivateKey,
    Recipient,
    Signer,
    SigningKey,
    key_from_text,
)

ZEROS = bytes(32)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_reads_back_from_its_text(kind: type[KeyMaterial]) -> None:
    key = kind.generate()
    assert kind.from_text(key.text) == key
    assert key_from_text(f"# a comment\n\n  {key.text}  \n") == key
    assert hash(kind.from_text(key.text)) == hash(key)
    assert kind.generate() != key


def test_the_text_of_a_key_is_fixed() -> None:
    assert MasterKey(ZEROS).text == "TAILRACE-SECRET-MASTER-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAPX7LWYU"
    assert MasterKey(ZEROS).id == "mk-aa16bd98315a4ec7"
    # Curve25519 and Ed25519 of a secret of zeros, as other implementations have them.
    assert PrivateKey(ZEROS).public.content.hex() == "2fe57da347cd62431528daac5fbb290730fff684afc4cfc2ed90995f58cb3b74"
    assert PrivateKey(ZEROS).id == PrivateKey(ZEROS).public.id
    assert SigningKey(ZEROS).id == SigningKey(ZEROS).public.id
    assert SigningKey(ZEROS).public.content.hex() == "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"


@pytest.mark.parametrize("kind", KINDS)
def test_every_mistyped_letter_is_found_out(kind: type[KeyMaterial]) -> None:
    text = kind.generate().text
    for place in range(len(kind.prefix), len(text)):
        wrong = "7" if text[place] != "7" else "2"
        with pytest.raises(ConfigurationError) as caught:
            kind.from_text(text[:place] + wrong + text[place + 1 :])
        assert text[-20:] not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "1", "TAILRACE-SECRET-MASTER-", "TAILRACE-SECRET-MASTER-!!", "tailrace-signer-aaaa"]
)
def test_what_is_no_master_key_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="This is not the text of a master key"):
        MasterKey.from_text(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expected one line with a key, and found none."),
        ("# nothing", "Expected one line with a key, and found none."),
        ("a\nb", "Expected one line with a key, and found 2."),
        ("hunter2", "This is not a key of Tailrace."),
    ],
)
def test_a_key_file_holds_one_key(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        key_from_text(text)
    assert caught.value.message == message
    assert "hunter2" not in caught.value.hint


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="A master key has 32 bytes, this one has 31"):
        MasterKey(bytes(31))


@pytest.mark.parametrize(
    "key", [kind.generate() for kind in KINDS] + [Password("correct horse")], ids=lambda key: type(key).__name__
)
def test_a_key_does_not_show_itself(key: Any) -> None:
    secret = key.content
    shown = f"{key!r} {key} {key:} {[key]} {vars(type(key)).get('__dict__')}"
    assert secret.hex() not in shown
    assert repr(secret) not in shown
    assert "correct horse" not in shown
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="is not pickled or copied"):
            copied(key)
    # Slots: nothing that dumps attributes finds the secret.
    assert not hasattr(key, "__dict__")


def test_keys_of_different_kinds_differ() -> None:
    assert MasterKey(ZEROS) != PrivateKey(ZEROS)
    assert MasterKey(ZEROS) != ZEROS
    assert len({kind(ZEROS).id for kind in KINDS}) == 5


def test_a_password_is_the_same_however_it_was_typed() -> None:
    assert Password("Zu\u0308rich").content == Password("Z\u00fcrich").content
    assert Password("x" * 7).short
    assert not Password("x" * 8).short
    with pytest.raises(ConfigurationError, match="An empty password protects nothing"):
        Password("")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, KeyMaterial]:
    monkeypatch.chdir(tmp_path)
    made = {kind.__name__: kind.generate() for kind in KINDS}
    for name, key in made.items():
        path = tmp_path / f"{name}.key"
        path.write_text(f"# {name}\n{key.text}\n")
        path.chmod(0o600)
    return made


def test_keys_are_found_by_reference(files: dict[str, KeyMaterial]) -> None:
    variables = {"POOL_KEY": files["MasterKey"].text, "POOL_PASSWORD": "correct horse\r\nsecond line"}
    Path("words").write_text("from a file\nmore\n")
    ring = Keyring({"mine": files["MasterKey"]}, environ=variables)
    assert (
        ring.find("mine") == ring.find("file:MasterKey.key") == ring.find("MasterKey.key") == ring.find("env:POOL_KEY")
    )
    assert ring.find(files["Recipient"].text) == files["Recipient"]
    assert ring.find(files["Signer"].text) == files["Signer"]
    passwords = [ring.find("password:env:POOL_PASSWORD"), ring.find("password:file:words")]
    assert [found.content for found in passwords] == [b"correct horse", b"from a file"]
    assert repr(ring) == "Keyring(mine)"


def test_each_use_takes_the_keys_that_fit(files: dict[str, KeyMaterial]) -> None:
    ring = Keyring(ask=lambda _prompt, _twice: "typed by hand")
    fitting = {
        "opener": {"MasterKey", "PrivateKey", "Recipient", "password"},
        "holder": {"MasterKey", "PrivateKey", "password"},
        "signing_key": {"SigningKey"},
        "signer": {"SigningKey", "Signer"},
    }
    for use, names in fitting.items():
        find = getattr(ring, use)
        for name in [*files, "password"]:
            reference = name if name == "password" else f"{name}.key"
            if name in names:
                assert find(reference) is not None
            else:
                with pytest.raises(ConfigurationError, match=r"^Nothing is "):
                    find(reference)
    assert ring.signer("SigningKey.key") == SigningKey(files["SigningKey"].content).public


def test_a_secret_key_given_itself_is_refused_without_being_repeated(files: dict[str, KeyMaterial]) -> None:
    for name in ("MasterKey", "PrivateKey", "SigningKey"):
        for text in (files[name].text, files[name].text.lower(), f"file:{files[name].text}"):
            with pytest.raises(ConfigurationError, match="A secret key was given itself") as caught:
                Keyring().find(text)
            assert files[name].text[-20:].lower() not in (str(caught.value) + caught.value.hint).lower()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("file:nowhere", "The key file nowhere cannot be read: No such file or directory."),
        ("env:NOTHING", "The environment variable NOTHING is not set"),
        ("hunter2hunter2", "A key was asked for that is neither a file nor a reference"),
        ("password", "A password is needed, and there is nobody to ask for it."),
        ("password:cloud:x", "A password was asked for from a place that does not exist."),
        ("env:", "A password was asked for from a place"),
        ("file:binary", "The key file binary is not text."),
    ],
)
def test_what_cannot_be_found_is_told(
    reference: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError) as caught:
        Keyring(environ={}).find(reference)
    assert caught.value.message.startswith(message)
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_a_password_is_asked_for_once_and_a_new_one_twice() -> None:
    asked: list[tuple[str, bool]] = []

    def ask(prompt: str, twice: bool) -> str:  # noqa: FBT001 - the signature of Ask
        asked.append((prompt, twice))
        return "correct horse"

    ring = Keyring(ask=ask)
    for _ in range(2):
        ring.holder("password")
        ring.opener("password")
    assert asked == [("Password", False), ("New password", True)]


def test_a_secret_key_that_others_can_read_is_told(
    files: dict[str, KeyMaterial], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        Keyring().find("MasterKey.key")
        assert caplog.messages == []
        Path("MasterKey.key").chmod(0o640)
        Path("Recipient.key").chmod(0o644)
        Keyring().find("MasterKey.key")
        Keyring().find("Recipient.key")
    assert caplog.messages == ["MasterKey.key can be read by other users than its owner: chmod 600 MasterKey.key"]
    assert files["MasterKey"].text not in caplog.text


class _System:
    """A system's keyring in memory: what stands behind the package ``keyring``."""

    priority = 1

    def __init__(self, content: dict[tuple[str, str], str]) -> None:
        self.content = content

    def get_password(self, service: str, name: str) -> str | None:
        if name == "locked":
            from keyring.errors import KeyringLocked

            raise KeyringLocked
        return self.content.get((service, name))


def test_the_systems_keyring_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    key = MasterKey.generate()
    system = _System({("tailrace", "backup"): key.text})
    monkeypatch.setattr(keyring, "get_password", system.get_password)
    assert Keyring().find("keyring:backup") == key
    with pytest.raises(ConfigurationError, match="nothing under service tailrace and name other"):
        Keyring().find("keyring:other")
    with pytest.raises(ConfigurationError, match="does not answer: KeyringLocked"):
        Keyring().find("keyring:locked")


def test_without_the_package_the_systems_keyring_is_told_to_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # None is how an import is forbidden.
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError) as caught:
        Keyring().find("keyring:backup")
    assert caught.value.hint == "pip install 'tailrace-core[keyring]'"


def test_public_and_secret_halves_are_of_a_kind() -> None:
    assert isinstance(PrivateKey.generate().public, Recipient)
    assert isinstance(SigningKey.generate().public, Signer)
