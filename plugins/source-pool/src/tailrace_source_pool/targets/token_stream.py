"""Fernet tokens (https://github.com/fernet/spec) of any size in little memory.

``cryptography`` makes and opens a token as one piece, with several copies of it in memory at a time: for the file of a
large FileStorage that is many times its size.
"""

import base64
import codecs
import io
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import attrs

from tailrace import SourceError, TailraceError, WrongKeyError
from tailrace_source_pool import fernet

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.modes import CBC
    from cryptography.hazmat.primitives.hmac import HMAC

_VERSION = b"\x80"
_HEADER, _IV, _MAC, _BLOCK = 25, 16, 32, 16
"""Bytes of version, time and IV; of the IV, at its end; of the HMAC; of a block of AES."""
_AT_ONCE = 4 << 20
"""Characters of Base64 that are read at a time: a multiple of four."""


def encrypted(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The token of all blocks one after the other, under the current key, piece by piece.

    Raises:
        ConfigurationError: There is no key, or no package to use it.
    """
    from cryptography.hazmat.primitives.padding import PKCS7

    key = _keys()[0]
    iv = secrets.token_bytes(_IV)
    encryptor, padder = key.cipher(iv).encryptor(), PKCS7(8 * _BLOCK).padder()
    mac = key.mac()
    rest = _VERSION + int(time.time()).to_bytes(8, "big") + iv
    mac.update(rest)
    for block in blocks:
        piece = encryptor.update(padder.update(block))
        mac.update(piece)
        rest += piece
        # Base64 turns three bytes into four characters: what does not fill three waits for more.
        whole = len(rest) - len(rest) % 3
        yield base64.urlsafe_b64encode(rest[:whole])
        rest = rest[whole:]
    last = encryptor.update(padder.finalize()) + encryptor.finalize()
    mac.update(last)
    yield base64.urlsafe_b64encode(rest + last + mac.finalize())


def decrypted(path: Path) -> str:
    """The text in the token that a file is; nothing of it is returned before all of it was checked.

    Raises:
        ConfigurationError: There is no key, or no package to use it.
        WrongKeyError: The key is another one, or the file was changed.
        SourceError: It cannot be read, or is no UTF-8.
    """
    keys = _keys()
    try:
        # One descriptor for both passes: what ProxyWhirl puts in its place meanwhile is another file.
        with path.open("rb") as file:
            return _text(file, _key_of(file, keys))
    except OSError:
        raise SourceError(f"{path} cannot be read.", hint="Check its permissions.") from None
    except UnicodeDecodeError:
        reason: TailraceError = SourceError(
            f"{path} holds no UTF-8 text.", hint="ProxyWhirl's FileStorage writes UTF-8."
        )
    except ValueError:
        reason = WrongKeyError(
            f"ProxyWhirl's key does not open {path}: it is another key, or the file was changed.",
            hint="Set the key that it was encrypted with; one before goes into PROXYWHIRL_CACHE_KEY_PREVIOUS.",
        )
    # Out here, so that the decoder's error, which carries the text, is not attached.
    raise reason


@attrs.frozen(repr=False)
class _Key:
    """A key of Fernet: half of it signs, half of it encrypts."""

    _signing: bytes
    _encrypting: bytes

    def mac(self) -> "HMAC":
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.hmac import HMAC

        return HMAC(self._signing, SHA256())

    def cipher(self, iv: bytes) -> "Cipher[CBC]":
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import AES
        from cryptography.hazmat.primitives.ciphers.modes import CBC

        return Cipher(AES(self._encrypting), CBC(iv))


def _keys() -> list[_Key]:
    # Says what is wrong with them, if anything is.
    fernet.encrypt_file(b"")
    raw = [base64.urlsafe_b64decode(os.environ[name]) for name in fernet.VARIABLES if os.environ.get(name)]
    return [_Key(key[:_BLOCK], key[_BLOCK:]) for key in raw]


def _decoded(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while characters := file.read(_AT_ONCE):
        yield base64.b64decode(characters.rstrip(), altchars=b"-_", validate=True)


def _key_of(file: BinaryIO, keys: list[_Key]) -> _Key:
    """The key that signed a token.

    Raises:
        ValueError: None of them.
    """
    from cryptography.exceptions import InvalidSignature

    macs = [key.mac() for key in keys]
    held = b""
    for piece in _decoded(file):
        held += piece
        for mac in macs:
            mac.update(held[:-_MAC])
        held = held[-_MAC:]
    for key, mac in zip(keys, macs, strict=True):
        with suppress(InvalidSignature):
            mac.verify(held)
            return key
    raise ValueError


def _text(file: BinaryIO, key: _Key) -> str:
    """What is in a token, whose signature was checked."""
    from cryptography.hazmat.primitives.padding import PKCS7

    pieces = _decoded(file)
    held = next(pieces)
    decryptor = key.cipher(held[_HEADER - _IV : _HEADER]).decryptor()
    unpadder, decoder = PKCS7(8 * _BLOCK).unpadder(), codecs.getincrementaldecoder("utf-8")()
    text = io.StringIO()
    held = held[_HEADER:]
    for piece in chain([b""], pieces):
        held += piece
        text.write(decoder.decode(unpadder.update(decryptor.update(held[:-_MAC]))))
        held = held[-_MAC:]
    text.write(decoder.decode(unpadder.update(decryptor.finalize()) + unpadder.finalize(), final=True))
    return text.getvalue().removeprefix("\ufeff")
