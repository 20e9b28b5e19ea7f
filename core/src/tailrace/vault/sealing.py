"""What an export with sealed credentials has in hand while it is made."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from tailrace.model.dataset import SealedColumns
from tailrace.model.manifest import SealRecord
from tailrace.vault.canonical import netstrings
from tailrace.vault.header import Header, OpenerKey, make_header
from tailrace.vault.values import DataKey, seal_values

if TYPE_CHECKING:
    import polars as pl

_NOTED = "sealed value"
"""No column that a row is known by is called so."""


@attrs.define(repr=False, eq=False)
class Vault:
    """Seals what one export holds.

    Args:
        key: Its data key.
        openers: Who is going to open it.
    """

    key: DataKey
    openers: tuple[OpenerKey, ...]
    _headers: dict[str, Header] = attrs.field(factory=dict, init=False)
    _notes: Any = attrs.field(default=None, init=False)

    def seal(self, table: str, column: str, values: "pl.Series", bound: "pl.DataFrame") -> "pl.Series":
        """Seal the values of a column; see :func:`tailrace.vault.values.seal_values`."""
        if self._notes is not None:
            self._notes.update(netstrings((table, column)))
            self._notes.update(bound.with_columns(values.alias(_NOTED)).write_ndjson().encode())
        return seal_values(self.key, table, column, values, bound)

    def take_note(self, key: bytes) -> None:
        """Take note, from now on, of what is sealed, so that the same can be told from other by :attr:`noted`.

        Args:
            key: 16 to 64 bytes, without which nobody can compare what was noted with what they guess.
        """
        self._notes = hashlib.blake2b(key=key, person=b"tailrace-noted")

    @property
    def noted(self) -> bytes:
        """A keyed digest (BLAKE2b, 64 bytes) of what was sealed since :meth:`take_note`, in its order; or nothing."""
        return b"" if self._notes is None else bytes(self._notes.digest())

    def header(self, tables: Mapping[str, SealedColumns]) -> Header:
        """The header; the same one however often it is asked for, since each wraps the key anew.

        Raises:
            ConfigurationError: Nobody could open it.
        """
        name = repr(tables)
        if name not in self._headers:
            self._headers[name] = make_header(self.key, tables, self.openers)
        return self._headers[name]

    def seal_content(self, sha256: str) -> SealRecord:
        """Authenticate content by its digest."""
        return seal_content(self.key, sha256)


def seal_content(key: DataKey, sha256: str) -> SealRecord:
    """Authenticate content by its digest.

    Args:
        key: The data key.
        sha256: SHA-256 of the content, hexadecimal.
    """
    return SealRecord(sha256, key.authenticate("content", sha256.encode()))
