"""The header of a sealed export: which columns are sealed, and the data key, wrapped for each of its openers.

An *opener* is a way to the data key: a master key, a password, or the secret half of a recipient's key. Any one of them
opens. The header is JSON (``docs/reference/pool-file.md`` has every member) and is protected twice: ``digest``, which
needs no key, tells damage from a wrong password; ``mac``, under a key derived from the data key, tells forgery.

What comes from a header is not to be trusted before that: its numbers are capped before they cost anything.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import attrs

from tailrace.model.convert import StructureError, structure, unstructure
from tailrace.model.dataset import SealedColumns
from tailrace.model.errors import (
    ConfigurationError,
    NewerVersionError,
    TamperedError,
    UnknownKeyError,
    WrongKeyError,
)
from tailrace.vault.canonical import canonical_json, netstrings
from tailrace.vault.keys import KEY_SIZE, SHORTEST_PASSWORD, MasterKey, Password, PrivateKey, Recipient
from tailrace.vault.values import DataKey

VERSION: Final = 1
CIPHER: Final = "xchacha20-poly1305"
MOST_OPENERS: Final = 64
MOST_PASSWORDS: Final = 4
"""Each password that is tried costs a key derivation for each of these."""
LARGEST_HEADER: Final = 256 << 10
"""Bytes of the largest header that is read, as canonical JSON."""

OPERATIONS: Final = 3
MEMORY: Final = 64 << 20
"""Cost of a password: RFC 9106's second recommendation (3 passes over 64 MiB), with the one lane of libsodium."""
MOST_OPERATIONS: Final = 8
MOST_MEMORY: Final = 128 << 20
MOST_WORK: Final = 1 << 30
"""Passes times bytes, of all passwords of a file together: about two seconds."""
_LEAST_MEMORY = 8 << 20

_NONCE, _TAG, _SALT, _CHECK = 24, 16, 16, 16
_WRAPPED = _NONCE + KEY_SIZE + _TAG
_TO_RECIPIENT = 32 + _TAG + KEY_SIZE
_HINT = "Restore the file from another copy."

KeyHolder = MasterKey | PrivateKey | Password
"""What opens."""
OpenerKey = MasterKey | PrivateKey | Recipient | Password
"""What can be sealed to."""


@attrs.frozen
class MasterOpener:
    """The data key under a master key."""

    type: Literal["master"]
    key_id: str
    wrapped: str


@attrs.frozen
class RecipientOpener:
    """The data key for the holder of a secret key: libsodium's sealed box (X25519, XSalsa20-Poly1305)."""

    type: Literal["recipient"]
    key_id: str
    wrapped: str


@attrs.frozen
class PasswordOpener:
    """The data key under a password.

    Args:
        type: ``"password"``.
        kdf: ``"argon2id"``, version 1.3, one lane.
        operations: Passes.
        memory: Bytes.
        salt: 16 bytes, Base64.
        check: 16 bytes, Base64, by which a wrong password is known from a damaged key.
        wrapped: The data key.
    """

    type: Literal["password"]
    kdf: Literal["argon2id"]
    operations: int
    memory: int
    salt: str
    check: str
    wrapped: str


Opener = MasterOpener | RecipientOpener | PasswordOpener
_OPENERS: Mapping[str, type[Opener]] = {
    "master": MasterOpener,
    "recipient": RecipientOpener,
    "password": PasswordOpener,
}


@attrs.frozen
class Header:
    """A header whose form was checked.

    Args:
        export_id: The export that it belongs to.
        tables: What is sealed, by table.
        openers: The data key, wrapped.
        mac: Its keyed digest, hexadecimal; checked when it is opened.
    """

    export_id: str
    tables: Mapping[str, SealedColumns]
    openers: tuple[Opener, ...]
    mac: str

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of the keys that open it; passwords have none."""
        return tuple(opener.key_id for opener in self.openers if not isinstance(opener, PasswordOpener))

    @property
    def has_password(self) -> bool:
        """Whether a password opens it."""
        return any(isinstance(opener, PasswordOpener) for opener in self.openers)

    def document(self) -> dict[str, Any]:
        """The header as it stands in a manifest."""
        content = _content(self.export_id, self.tables, self.openers)
        return {**content, "digest": _digest(content), "mac": self.mac}


def make_header(key: DataKey, tables: Mapping[str, SealedColumns], openers: Iterable[Opener | OpenerKey]) -> Header:
    """A header for a data key.

    Args:
        key: The data key.
        tables: What is sealed.
        openers: Keys to wrap it for, and openers that were made for this very data key before.

    Raises:
        ConfigurationError: None, too many, or a password that is too short.
    """
    made: list[Opener] = []
    for opener in openers:
        stanza = opener if isinstance(opener, MasterOpener | RecipientOpener | PasswordOpener) else _wrap(key, opener)
        if isinstance(stanza, PasswordOpener) or stanza.key_id not in {getattr(one, "key_id", "") for one in made}:
            made.append(stanza)
    if not made:
        message = "Nobody could open it: there is no key or password to seal it to."
        raise ConfigurationError(message, hint="Name one: --opener file:master.key (tailrace keys new makes it).")
    passwords = sum(isinstance(opener, PasswordOpener) for opener in made)
    if len(made) > MOST_OPENERS or passwords > MOST_PASSWORDS:
        message = f"A file has at most {MOST_OPENERS} openers, {MOST_PASSWORDS} of them passwords."
        raise ConfigurationError(message, hint="Remove some, or seal to one master key that is shared.")
    content = _content(key.export_id, tables, made)
    return Header(key.export_id, tables, tuple(made), key.authenticate("header", canonical_json(content)))


def read_header(document: object) -> Header:
    """Check the form of a header: everything that can be checked without a key, at next to no cost.

    Args:
        document: JSON-like values, as they come from a file.

    Raises:
        NewerVersionError: It is of a newer version.
        TamperedError: It is not as a header was written.
    """
    if not isinstance(document, Mapping):
        raise _broken("it is missing")
    version = document.get("version")
    if type(version) is int and version > VERSION:
        message = f"The credentials are sealed in version {version}, this Tailrace opens up to {VERSION}."
        raise NewerVersionError(message, version=version)
    openers = document.get("openers")
    if not isinstance(openers, list) or not 0 < len(openers) <= MOST_OPENERS:
        raise _broken("it has no openers, or too many")
    try:
        size = len(canonical_json(document))
    except (ValueError, TypeError, RecursionError):
        size = LARGEST_HEADER + 1
    if size > LARGEST_HEADER:
        raise _broken("it is too large")
    content = {name: value for name, value in document.items() if name not in {"digest", "mac"}}
    if document.get("digest") != _digest(content):
        raise _broken("its digest is another one")
    try:
        record = structure(dict(document), _Document)
        stanzas = tuple(_opener(opener) for opener in record.openers)
    except StructureError as error:
        raise _broken(error.problems[0]) from None
    passwords = [opener for opener in stanzas if isinstance(opener, PasswordOpener)]
    if len(passwords) > MOST_PASSWORDS:
        raise _broken("it has too many passwords")
    if sum(opener.operations * opener.memory for opener in passwords) > MOST_WORK:
        raise _broken("its passwords together would cost too much")
    return Header(record.export_id, record.tables, stanzas, record.mac)


def open_header(header: Header, keys: Sequence[KeyHolder]) -> DataKey:
    """Get the data key, with any of the keys that opens it.

    Args:
        header: From :func:`read_header`.
        keys: Keys and passwords to try.

    Raises:
        UnknownKeyError: None of the keys has an id that the header names, and there is no password to try.
        WrongKeyError: A password was tried and is not the one.
        TamperedError: A key fits, and what it opens was changed.
    """
    for opener in header.openers:
        content = _unwrapped(opener, keys, header.export_id)
        if content is None:
            continue
        key = DataKey(content, header.export_id)
        expected = key.authenticate("header", canonical_json(_content(header.export_id, header.tables, header.openers)))
        if not hmac.compare_digest(expected, header.mac):
            raise _broken("its keyed digest is another one")
        return key
    if header.has_password and any(isinstance(key, Password) for key in keys):
        message = "The password is not the one that the credentials were sealed with."
        others = f", or use one of the keys {', '.join(header.key_ids)}" if header.key_ids else ""
        raise WrongKeyError(message, hint=f"Type it again{others}.")
    given = [key.id for key in keys if not isinstance(key, Password)]
    told = f"; tried: {', '.join(given)}" if given else ""
    message = f"None of the keys at hand opens the credentials{told}."
    raise UnknownKeyError(
        message,
        needed=header.key_ids,
        given=given,
        hint=f"It takes one of: {_ways(header)}. Name it: --key file:PATH, or the setting vault.keys.",
    )


@attrs.frozen
class _Document:
    """The members of a header."""

    version: int
    export_id: str
    cipher: Literal["xchacha20-poly1305"]
    tables: Mapping[str, SealedColumns]
    openers: tuple[Mapping[str, Any], ...]
    digest: str
    mac: str


def _content(export_id: str, tables: Mapping[str, SealedColumns], openers: Iterable[Opener]) -> dict[str, Any]:
    """What digest and mac are of."""
    return {
        "version": VERSION,
        "export_id": export_id,
        "cipher": CIPHER,
        "tables": unstructure(dict(tables)),
        "openers": [unstructure(opener) for opener in openers],
    }


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.blake2b(canonical_json(content), digest_size=32, person=b"tlr-header").hexdigest()


def _opener(document: Mapping[str, Any]) -> Opener:
    """One opener, with every length and number checked."""
    kind = _OPENERS.get(document["type"]) if isinstance(document.get("type"), str) else None
    if kind is None:
        raise _broken("it has an opener of an unknown type")
    opener = structure(dict(document), kind)
    sizes = {"wrapped": _TO_RECIPIENT if isinstance(opener, RecipientOpener) else _WRAPPED}
    if isinstance(opener, PasswordOpener):
        sizes |= {"salt": _SALT, "check": _CHECK}
        if not 1 <= opener.operations <= MOST_OPERATIONS or not _LEAST_MEMORY <= opener.memory <= MOST_MEMORY:
            raise _broken("a password in it would cost too much, or nothing")
    for name, size in sizes.items():
        if len(_decoded(getattr(opener, name))) != size:
            raise _broken(f"the {name} of an opener has another length")
    return opener


def _wrap(key: DataKey, opener: OpenerKey) -> Opener:
    if isinstance(opener, Password):
        if opener.short:
            message = f"The password is too short: {SHORTEST_PASSWORD} characters at least."
            raise ConfigurationError(message, hint="Several words are easy to remember and hard to guess.")
        salt = secrets.token_bytes(_SALT)
        derived = _derived(opener, salt, OPERATIONS, MEMORY)
        return PasswordOpener(
            type="password",
            kdf="argon2id",
            operations=OPERATIONS,
            memory=MEMORY,
            salt=_encoded(salt),
            check=_encoded(_check(derived)),
            wrapped=_wrapped(key, derived),
        )
    if isinstance(opener, MasterKey):
        return MasterOpener("master", opener.id, _wrapped(key, opener.content))
    from nacl.bindings import crypto_box_seal

    recipient = opener.public if isinstance(opener, PrivateKey) else opener
    return RecipientOpener("recipient", recipient.id, _encoded(crypto_box_seal(key.content, recipient.content)))


def _wrapped(key: DataKey, under: bytes) -> str:
    from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

    nonce = secrets.token_bytes(_NONCE)
    return _encoded(nonce + encrypt(key.content, _wrapping(key.export_id), nonce, under))


def _unwrapped(opener: Opener, keys: Sequence[KeyHolder], export_id: str) -> bytes | None:
    """The data key, or None where no key is for this opener.

    Raises:
        TamperedError: The key for this opener is there, and does not open it.
    """
    from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt
    from nacl.bindings import crypto_box_seal_open
    from nacl.exceptions import CryptoError

    wrapped = _decoded(opener.wrapped)
    for key in keys:
        under = _wrapping_key(opener, key)
        if under is None:
            continue
        try:
            if isinstance(key, PrivateKey):
                return bytes(crypto_box_seal_open(wrapped, key.public.content, under))
            return bytes(decrypt(wrapped[_NONCE:], _wrapping(export_id), wrapped[:_NONCE], under))
        except CryptoError:
            raise _broken("the wrapped data key does not open with its own key") from None
    return None


def _wrapping_key(opener: Opener, key: KeyHolder) -> bytes | None:
    """The key that the data key of this opener is wrapped under, if ``key`` is for it."""
    if isinstance(opener, PasswordOpener):
        if not isinstance(key, Password):
            return None
        derived = _derived(key, _decoded(opener.salt), opener.operations, opener.memory)
        return derived if hmac.compare_digest(_check(derived), _decoded(opener.check)) else None
    return None if isinstance(key, Password) or key.id != opener.key_id else key.content


def _derived(password: Password, salt: bytes, operations: int, memory: int) -> bytes:
    from nacl.pwhash.argon2id import kdf

    return bytes(kdf(KEY_SIZE, password.content, salt, opslimit=operations, memlimit=memory))


def _check(derived: bytes) -> bytes:
    return hashlib.blake2b(b"", key=derived, digest_size=_CHECK, person=b"tlr-check").digest()


def _wrapping(export_id: str) -> bytes:
    return netstrings(("tailrace.key.1", export_id))


def _ways(header: Header) -> str:
    return ", ".join([*header.key_ids, *(["its password"] if header.has_password else [])])


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decoded(text: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return content if _encoded(content) == text else b""


def _broken(what: str) -> TamperedError:
    return TamperedError(f"The header of the sealed credentials was changed or damaged: {what}.", hint=_HINT)
