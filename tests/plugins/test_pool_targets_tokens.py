"""Fernet tokens made and opened piece by piece, against those that ``cryptography`` makes and opens as a whole."""

import base64
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from tailrace_source_pool.targets import token_stream

from tailrace import ConfigurationError, SourceError, WrongKeyError

CURRENT, PREVIOUS = (Fernet(key.encode()) for key in ("A" * 43 + "=", "B" * 42 + "A="))
LENGTHS = (0, 1, 15, 16, 17, 31, 32, 33, 1000)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", "A" * 43 + "=")
    monkeypatch.setenv("PROXYWHIRL_CACHE_KEY_PREVIOUS", "B" * 42 + "A=")


@pytest.mark.parametrize("length", LENGTHS)
def test_a_token_made_in_pieces_is_one(length: int) -> None:
    text = b"0123456789" * 100
    blocks = [text[:length][start : start + 7] for start in range(0, length, 7)]
    assert CURRENT.decrypt(b"".join(token_stream.encrypted(blocks)), ttl=60) == text[:length]


@pytest.mark.parametrize("at_once", [4, 8, 44, 1 << 20])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_token_is_opened_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, length: int
) -> None:
    # A first piece is never smaller than what stands in front.
    monkeypatch.setattr(token_stream, "_AT_ONCE", max(at_once, 36))
    text = ("é€😀x" * 300)[:length]
    for cipher in (CURRENT, PREVIOUS):
        (tmp_path / "token").write_bytes(cipher.encrypt(text.encode()))
        assert token_stream.decrypted(tmp_path / "token") == text
    (tmp_path / "token").write_bytes(CURRENT.encrypt(b"\xef\xbb\xbf[]") + b"\n")
    assert token_stream.decrypted(tmp_path / "token") == "[]"


def test_every_change_of_a_token_is_found(tmp_path: Path) -> None:
    token = CURRENT.encrypt(b"[]")
    raw = base64.urlsafe_b64decode(token)
    for bit in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        (tmp_path / "token").write_bytes(base64.urlsafe_b64encode(changed))
        with pytest.raises(WrongKeyError):
            token_stream.decrypted(tmp_path / "token")
    for length in range(len(token)):
        (tmp_path / "token").write_bytes(token[:length])
        with pytest.raises(WrongKeyError) as caught:
            token_stream.decrypted(tmp_path / "token")
        assert caught.value.__context__ is None


def test_what_is_no_text_is_told_without_showing_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(CURRENT.encrypt(b"secret\xff"))
    with pytest.raises(SourceError, match="no UTF-8 text") as caught:
        token_stream.decrypted(tmp_path / "token")
    assert caught.value.__context__ is None
    with pytest.raises(SourceError, match="cannot be read"):
        token_stream.decrypted(tmp_path / "nothing")


def test_a_key_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", "secret")
    with pytest.raises(ConfigurationError, match="is not a key of Fernet") as caught:
        next(token_stream.encrypted([b"[]"]))
    assert "secret" not in str(caught.value)
