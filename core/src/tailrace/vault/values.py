"""Sealing single values: each under its own nonce, each bound to its place.

A sealed value is the text ``sealed:1:`` and the Base64 of

====================  ==================================================================================
24 bytes              nonce, random
32 n bytes            the value's UTF-8, the byte 0x80, and zero bytes up to a multiple of 32, encrypted
16 bytes              tag
====================  ==================================================================================

with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03, libsodium's ``crypto_aead_xchacha20poly1305_ietf``). The
associated data are netstrings: ``tailrace.value.1``, the id of the export, the table, the column, and the values of the
columns that the row is known by, as text (null is ``-,``). So a value that is moved to another row, column, table or
export does not open. The padding (ISO/IEC 7816-4) hides the length of passwords of up to 31 bytes.
"""

import hashlib
import secrets
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from tailrace.vault.canonical import netstrings
from tailrace.vault.keys import KEY_SIZE

if TYPE_CHECKING:
    import polars as pl

PREFIX: Final = "sealed:1:"
"""What every sealed value begins with."""
_FAMILY = "sealed:"
_NONCE, _TAG, _BLOCK = 24, 16, 32
_CONTEXT = "tailrace.value.1"
_SLICE = 20_000


@attrs.frozen(repr=False, eq=False)
class DataKey:
    """The key of one export, from which every other key in it is derived.

    Args:
        content: 32 random bytes.
        export_id: The export that it belongs to.
    """

    content: bytes
    export_id: str

    @classmethod
    def generate(cls, export_id: str) -> "DataKey":
        """Make a new one, at random."""
        return cls(secrets.token_bytes(KEY_SIZE), export_id)

    def derived(self, purpose: str) -> bytes:
        """A key for one purpose: ``"values"``, ``"header"``, ``"content"``."""
        person = f"tlr-{purpose}".encode()
        return hashlib.blake2b(self.export_id.encode(), key=self.content, digest_size=KEY_SIZE, person=person).digest()

    def authenticate(self, purpose: str, content: bytes) -> str:
        """The keyed digest (BLAKE2b, 32 bytes, hexadecimal) of something, under the key for that purpose."""
        return hashlib.blake2b(content, key=self.derived(purpose), digest_size=32).hexdigest()


def seal_values(key: DataKey, table: str, column: str, values: "pl.Series", bound: "pl.DataFrame") -> "pl.Series":
    """Seal the values of one column; null stays null.

    Args:
        key: Of the export.
        table: Name of the table.
        column: Name of the column.
        values: Texts.
        bound: The columns that a row is known by, in order, as many rows as values.
    """
    import polars as pl

    # In slices: a hundred thousand values at once would be ten times their size in Python objects.
    slices = range(0, values.len(), _SLICE)
    seal = partial(_seal_slice, key, table, column)
    sealed = [seal(values.slice(start, _SLICE), bound.slice(start, _SLICE)) for start in slices]
    return pl.concat(sealed).alias(values.name) if sealed else values


def _seal_slice(key: DataKey, table: str, column: str, values: "pl.Series", bound: "pl.DataFrame") -> "pl.Series":
    import polars as pl
    from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

    value_key = key.derived("values")
    places = _places(key.export_id, table, column, bound)
    plain = values.cast(pl.Binary).to_list()
    nonces = secrets.token_bytes(_NONCE * len(plain))
    sealed: list[bytes | None] = [None] * len(plain)
    for row, (content, place) in enumerate(zip(plain, places, strict=True)):
        if content is not None:
            nonce = nonces[row * _NONCE : (row + 1) * _NONCE]
            padded = content + b"\x80" + bytes(-(len(content) + 1) % _BLOCK)
            sealed[row] = nonce + encrypt(padded, place, nonce, value_key)
    return PREFIX + pl.Series(sealed, dtype=pl.Binary).bin.encode("base64")


def open_values(
    key: DataKey, table: str, column: str, values: "pl.Series", bound: "pl.DataFrame"
) -> "tuple[pl.Series, pl.Series]":
    """Open the sealed values of one column; others, and null, stay as they are.

    Args:
        key: Of the export.
        table: Name of the table.
        column: Name of the column.
        values: Texts, sealed or not.
        bound: The columns that a row is known by, in order, as many rows as values.

    Returns:
        The values in clear, null where one does not open, and a mask of those that do not open: changed, moved, cut, or
        of a version that is not known.
    """
    import polars as pl

    sealed = is_sealed(values).arg_true()
    clear, mask = values.clone(), pl.repeat(value=False, n=values.len(), eager=True)
    for start in range(0, sealed.len(), _SLICE):
        which = sealed.slice(start, _SLICE)
        opened = _open_slice(key, table, column, values[which], bound[which])
        clear = clear.scatter(which, opened)
        mask = mask.scatter(which, opened.is_null())
    return clear, mask


def _open_slice(key: DataKey, table: str, column: str, tokens: "pl.Series", bound: "pl.DataFrame") -> "pl.Series":
    import polars as pl
    from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt
    from nacl.exceptions import CryptoError

    value_key = key.derived("values")
    places = _places(key.export_id, table, column, bound)
    raw = tokens.str.strip_prefix(PREFIX).str.decode("base64", strict=False)
    # Base64 has several spellings for some bytes; only the one that we write is taken.
    written = (PREFIX + raw.bin.encode("base64")).eq_missing(tokens)
    opened: list[str | None] = [None] * tokens.len()
    for row, (content, known, place) in enumerate(zip(raw.to_list(), written.to_list(), places, strict=True)):
        if not known or len(content) < _NONCE + _TAG + _BLOCK:
            continue
        try:
            padded = decrypt(content[_NONCE:], place, content[:_NONCE], value_key)
        except CryptoError:
            continue
        opened[row] = _unpadded(padded)
    return pl.Series(opened, dtype=pl.String)


def _unpadded(padded: bytes) -> str | None:
    text = padded.rstrip(b"\0")
    try:
        return text[:-1].decode() if text.endswith(b"\x80") else None
    except UnicodeDecodeError:
        return None


def is_sealed(values: "pl.Series") -> "pl.Series":
    """Which values are sealed, in this version or another; false for null."""
    return values.str.starts_with(_FAMILY).fill_null(value=False)


def _places(export_id: str, table: str, column: str, bound: "pl.DataFrame") -> list[bytes]:
    """The associated data of each row."""
    import polars as pl

    head = netstrings((_CONTEXT, export_id, table, column)).decode()
    texts = [pl.col(name).cast(pl.String) for name in bound.columns]
    parts = [
        pl.concat_str(text.str.len_bytes().cast(pl.String), pl.lit(":"), text, pl.lit(",")).fill_null("-,")
        for text in texts
    ]
    joined = bound.select(place=pl.concat_str(pl.lit(head), *parts)).to_series()
    return list(joined.cast(pl.Binary))


def bound_columns_missing(sealed: Sequence[str], bound: Sequence[str], kept: Sequence[str]) -> list[str]:
    """Columns without which the sealed ones among those kept cannot be opened."""
    return [name for name in bound if name not in kept] if any(name in kept for name in sealed) else []
