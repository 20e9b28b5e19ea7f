"""Undo records: what an import is about to replace, on disk before it does.

``<home>/imports/<id>.undo`` is the line ``tailrace-undo 1``, and behind it two sealed parts, each with its length (8
bytes, big-endian) before it: a summary as JSON, and the frames (below). A sealed part is a random nonce (24 bytes) and
what libsodium's ``crypto_aead_xchacha20poly1305_ietf`` makes of it under a key that is derived from
``<home>/undo.key``. The associated data are the line, the name of the part, and, for the frames, the sealed summary:
neither can be changed or combined with that of another record.

The frames are Arrow IPC files one after the other, each with its length before it, in the order of :class:`Frames`.
"""

import json
import os
import re
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import attrs

from tailrace.files.publish import publish
from tailrace.files.staging import staged_file
from tailrace.files.storage import storage_errors
from tailrace.model.convert import StructureError, structure, unstructure
from tailrace.model.errors import NewerVersionError, RequestError, SourceError, TailraceError, TamperedError

if TYPE_CHECKING:
    import polars as pl

VERSION: Final = 1
_LINE: Final = re.compile(rb"\Atailrace-undo ([0-9]{1,9})\n")
_ID: Final = re.compile(r"\A[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}\Z")
_NONCE, _TAG = 24, 16
_LENGTH: Final = struct.Struct(">Q")

State = Literal["prepared", "applied", "undone", "unreadable"]


@attrs.frozen
class ImportRecord:
    """An import that was made.

    Args:
        import_id: Its id, for ``tailrace undo``.
        created: When it began, UTC.
        location: Where the pool is, as an absolute path or URI; None for a pool of the host.
        kind: What it is.
        file: The file that was imported.
        added: Entries that were added.
        updated: Entries that were changed.
        state: ``"prepared"`` until the pool was written to, and where that never came to an end; ``"applied"``;
            ``"undone"``. ``"unreadable"`` for one whose record cannot be opened: then only id and time are known.
        before: Keyed digest of the pool before.
        undone: When it was taken back, UTC.
        dialect: What the pool is, where that had to be said.
        template: The line of dialect ``template``.
    """

    import_id: str
    created: datetime
    location: str | None
    kind: str
    file: str
    added: int
    updated: int
    state: State
    before: str
    undone: datetime | None = None
    dialect: str | None = None
    template: str | None = None


@attrs.frozen
class Frames:
    """What is needed to take an import back.

    Args:
        previous: Records of the pool as they were, with ``key``, and ``changed``: the columns that the import writes.
        touched: ``key``, ``before`` and ``after`` of every entry touched: digests of its record, null where it was not
            there yet. Of those added, only known once the pool was written to.
        known: ``key`` of every entry before; empty once the pool was written to.
        add: What is going to be added; empty once it was.
        update: What the others become, with ``key`` and ``changed``; empty once they did.
    """

    previous: "pl.DataFrame" = attrs.field(repr=False)
    touched: "pl.DataFrame" = attrs.field(repr=False)
    known: "pl.DataFrame" = attrs.field(repr=False)
    add: "pl.DataFrame" = attrs.field(repr=False)
    update: "pl.DataFrame" = attrs.field(repr=False)


@attrs.frozen
class UndoRecords:
    """The undo records of an engine.

    Args:
        folder: Where they lie.
        key: What they are sealed with.
    """

    folder: Path
    key: bytes = attrs.field(repr=False)

    def write(self, record: ImportRecord, frames: Frames) -> None:
        """Write a record, or write it anew; it is on disk when this returns.

        Raises:
            StorageError: It cannot be written.
        """
        path = self._path(record.import_id)
        content = self._sealed(record, frames)
        with storage_errors(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with staged_file(self.folder) as (descriptor, staged):
            with storage_errors(path), os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            publish(staged, path, overwrite=True)

    def read(self, import_id: str) -> tuple[ImportRecord, Frames]:
        """Read a record.

        Raises:
            RequestError: There is none of that id.
            SourceError: It cannot be read.
            TamperedError: It was changed or damaged, or sealed with another key.
            NewerVersionError: A newer Tailrace wrote it.
        """
        with _damage_told(import_id):
            sealed = _Sealed.of(self._content(import_id))
            return self._summary(sealed, import_id), _frames(sealed.opened_frames(self.key))

    def forget(self, import_id: str) -> None:
        """Remove a record."""
        self._path(import_id).unlink()

    def all(self) -> Iterator[ImportRecord]:
        """Every record, the latest first."""
        names = (path.stem for path in self.folder.glob("*.undo") if _ID.match(path.stem))
        for import_id in sorted(names, reverse=True):
            try:
                with _damage_told(import_id):
                    yield self._summary(_Sealed.of(self._content(import_id)), import_id)
            except TailraceError:
                began = datetime.strptime(import_id[:16], "%Y%m%dT%H%M%S%z")
                yield ImportRecord(import_id, began, None, "", "", 0, 0, "unreadable", "")

    def _summary(self, sealed: "_Sealed", import_id: str) -> ImportRecord:
        record: ImportRecord = structure(json.loads(sealed.opened_summary(self.key)), ImportRecord)
        if record.import_id != import_id:
            raise ValueError
        return record

    def _path(self, import_id: str) -> Path:
        if not _ID.match(import_id):
            message = "That is no id of an import: ids look like 20260815T120000Z-1f2e3d4c."
            raise RequestError(message, hint="List the imports: tailrace undo --list")
        return self.folder / f"{import_id}.undo"

    def _content(self, import_id: str) -> bytes:
        path = self._path(import_id)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            message = f"There is no import {import_id}."
            raise RequestError(message, hint="List the imports: tailrace undo --list") from None
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}.", hint="Let this user read it.") from None

    def _sealed(self, record: ImportRecord, frames: Frames) -> bytes:
        body = b"".join(_with_length(_packed(frame)) for frame in attrs.astuple(frames, recurse=False))
        return _Sealed.made(json.dumps(unstructure(record)).encode(), body, self.key).content


def new_id(now: datetime) -> str:
    """An id for an import that begins now: ``20260815T120000Z-1f2e3d4c``."""
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


@attrs.frozen
class _Sealed:
    """The two sealed parts of a record, and the line before them."""

    line: bytes
    summary: bytes = attrs.field(repr=False)
    frames: bytes = attrs.field(repr=False)

    @classmethod
    def made(cls, summary: bytes, frames: bytes, key: bytes) -> "_Sealed":
        line = b"tailrace-undo %d\n" % VERSION
        sealed = _seal(key, summary, line + b"summary")
        return cls(line, sealed, _seal(key, frames, line + b"frames" + sealed))

    @classmethod
    def of(cls, content: bytes) -> "_Sealed":
        """Take a file apart; ValueError where it is none."""
        began = _LINE.match(content)
        if not began:
            raise ValueError
        if int(began[1]) > VERSION:
            message = f"The undo record has version {int(began[1])}, this Tailrace reads up to {VERSION}."
            raise NewerVersionError(message, version=int(began[1]))
        summary, frames = _parts(content[began.end() :])
        return cls(began[0], summary, frames)

    @property
    def content(self) -> bytes:
        return self.line + _with_length(self.summary) + _with_length(self.frames)

    def opened_summary(self, key: bytes) -> bytes:
        return _open(key, self.summary, self.line + b"summary")

    def opened_frames(self, key: bytes) -> bytes:
        return _open(key, self.frames, self.line + b"frames" + self.summary)


@contextmanager
def _damage_told(import_id: str) -> Iterator[None]:
    """Turn whatever a damaged record causes into the one error for it."""
    try:
        yield
    except (ValueError, StructureError):
        message = f"The record of import {import_id} was changed or damaged, or sealed with another undo key."
        raise TamperedError(message, hint="Restore the record, or the key, from a backup.") from None


def _seal(key: bytes, content: bytes, bound_to: bytes) -> bytes:
    from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

    nonce = secrets.token_bytes(_NONCE)
    return nonce + encrypt(content, bound_to, nonce, key)


def _open(key: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt
    from nacl.exceptions import CryptoError

    if len(sealed) < _NONCE + _TAG:
        raise ValueError
    try:
        return decrypt(sealed[_NONCE:], bound_to, sealed[:_NONCE], key)
    except CryptoError:
        raise ValueError from None


def _with_length(part: bytes) -> bytes:
    return _LENGTH.pack(len(part)) + part


def _parts(content: bytes) -> list[bytes]:
    """What :func:`_with_length` put together; ValueError where it is cut off."""
    parts = []
    while content:
        (length,) = _LENGTH.unpack_from(content.ljust(_LENGTH.size, b"\0"))
        parts.append(content[_LENGTH.size : _LENGTH.size + length])
        if len(parts[-1]) != length or len(content) < _LENGTH.size:
            raise ValueError
        content = content[_LENGTH.size + length :]
    return parts


def _packed(frame: "pl.DataFrame") -> bytes:
    buffer = BytesIO()
    frame.write_ipc(buffer, compression="zstd")
    return buffer.getvalue()


def _frames(body: bytes) -> Frames:
    import polars as pl

    return Frames(*(pl.read_ipc(BytesIO(part)) for part in _parts(body)))
