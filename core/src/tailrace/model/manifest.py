"""What a file says about itself: the manifest beside every export."""

import json
import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal, NoReturn

import attrs

from tailrace.model.columns import Meaning
from tailrace.model.convert import StructureError, structure, unstructure
from tailrace.model.errors import IntegrityError, NewerVersionError
from tailrace.model.request import CompressionLevel, CredentialMode

SCHEMA_VERSION = 2
"""Version of the manifest's own shape; raised when a reader of the old shape would misread the new one.

1. The first.
2. ``vault``, ``seal``, ``redaction``, ``audit`` and ``signature``; and ``increment``, which only increments have.
"""

_MOST = 2**63


@attrs.frozen
class ColumnRecord:
    """A column as it stands in the file."""

    name: str
    type: str
    meaning: Meaning
    unit: str = ""


@attrs.frozen
class RowCounts:
    """The proof that a table is complete.

    Args:
        source: Rows in the snapshot, counted by the source itself; None where it has no way to.
        rejected: Rows left out because they could not be read (``on_bad_rows=report``).
        written: Rows that the format was given, after filters, range and limit.
        reread: Rows counted in the finished file.
    """

    source: int | None
    rejected: int
    written: int
    reread: int


@attrs.frozen
class BadRowRecord:
    """A row that was left out, and why."""

    row: int | None
    column: str | None
    reason: str


@attrs.frozen
class TableRecord:
    """A table as it stands in the file."""

    name: str
    columns: tuple[ColumnRecord, ...]
    rows: RowCounts
    bad_rows: tuple[BadRowRecord, ...] = ()


@attrs.frozen
class PluginRecord:
    """A plugin that took part, with the distribution it came from."""

    name: str
    distribution: str
    version: str


@attrs.frozen
class SourceRecord:
    """Where the data came from; never with a password."""

    plugin: PluginRecord
    location: str
    version: str


@attrs.frozen
class RangeRecord:
    """The time range that was applied: ``since <= column < until``."""

    column: str
    since: datetime | None
    until: datetime


@attrs.frozen
class PreviousFile:
    """A file of the increment before, as an increment names it.

    Args:
        name: File name, without folder.
        sha256: SHA-256 of the bytes on disk, hexadecimal.
        tables: Names of the tables in it.
    """

    name: str
    sha256: str
    tables: tuple[str, ...]


@attrs.frozen
class IncrementRecord:
    """Which part of a chain of increments a file is: ``since <= time < until``, and what it goes on from.

    Args:
        chain: Id of the chain: that of its schedule.
        number: Counts the increments of the chain, from 1 on.
        since: Where it begins; None for the beginning of the data.
        until: Where it ends, exclusive, UTC: where the next one begins.
        previous: Files of the increment before; in a manifest, those that hold a table of this file: one, as long as
            tables are dealt out to files as before. None at all for the first of a chain.
    """

    chain: str
    number: int = attrs.field()
    since: datetime | None
    until: datetime
    previous: tuple[PreviousFile, ...] = ()

    @number.validator
    def _counts_from_one(self, attribute: "attrs.Attribute[int]", value: int) -> None:
        if value < 1:
            message = "expected a number from 1 on"
            raise ValueError(message, attribute)

    def beside(self, tables: Collection[str]) -> "IncrementRecord":
        """The same for a file with these tables: only with what it goes on from itself."""
        return attrs.evolve(
            self, previous=tuple(file for file in self.previous if not set(tables).isdisjoint(file.tables))
        )


@attrs.frozen
class CompressionRecord:
    """How the file is compressed."""

    method: str
    level: CompressionLevel


@attrs.frozen
class FileRecord:
    """The file as it lies on disk.

    Args:
        name: File name, without folder.
        media_type: Media type of the content before compression.
        plain_size: Bytes before compression.
        plain_sha256: SHA-256 of the bytes before compression, hexadecimal.
        size: Bytes on disk.
        sha256: SHA-256 of the bytes on disk, hexadecimal.
        compression: None when the file is not compressed.
    """

    name: str
    media_type: str
    plain_size: int
    plain_sha256: str
    size: int
    sha256: str
    compression: CompressionRecord | None


@attrs.frozen
class RedactionRecord:
    """The proof that no secret is in the file: what it was searched for before it was published.

    Args:
        secrets: User names, passwords and the like that the source kept out of it, each once.
        searched: Of them, looked for in every form.
        left_out_short: Not looked for, because they are too short to mean anything.
        left_out_public: Looked for in encoded forms only, because what is public holds them as they are: a host, the
            name of a column.
        forms: How they were looked for: ``"raw"``, ``"Base64"`` …
        bytes: Bytes that were searched, before compression.
    """

    secrets: int
    searched: int
    left_out_short: int
    left_out_public: int
    forms: tuple[str, ...]
    bytes: int


@attrs.frozen
class SealRecord:
    """What authenticates the content of an export with sealed credentials.

    Args:
        sha256: SHA-256 of the content, hexadecimal.
        mac: Its keyed digest (BLAKE2b, 32 bytes, hexadecimal) under a key derived from the data key.
    """

    sha256: str
    mac: str


@attrs.frozen
class SignatureRecord:
    """A signature of the manifest.

    Args:
        algorithm: ``"ed25519"``.
        signer: The signer's public key, as text.
        signature: 64 bytes, Base64.
    """

    algorithm: Literal["ed25519"]
    signer: str
    signature: str


@attrs.frozen
class Manifest:
    """What an export is, who made it when, and the digests and counts that prove it.

    Args:
        schema_version: :data:`SCHEMA_VERSION` of the writer.
        tailrace_version: Version of the writer.
        export_id: Unique to this run; all files of one export share it.
        created: When the export began, UTC.
        user: Who asked for it.
        source: Where the data came from.
        format: The format plugin that wrote the file.
        format_options: Its options, as they were in force.
        parameters: The request as it was made: columns, filters, range, zone, sort, limit, options.
        time_range: The range as it was applied; None when none was asked for.
        time_zone: Zone in which timestamps are displayed.
        credentials: What was done to user names and passwords.
        tables: The tables in this file.
        file: The file itself.
        notes: What was recognised, decided or reported on the way.
        increment: Which part of a chain of increments it is; None when it is none.
        vault: The header of the sealed credentials, in mode ``full``: see :mod:`tailrace.vault.header`.
        seal: What authenticates the file, in mode ``full``.
        redaction: What the file was searched for, in modes other than ``full``; None if the source knows of no secrets.
        audit: Hash of the newest entry of the audit trail when the export began: whoever cuts or rewrites the trail
            before it has this manifest against them. None where there was no trail.
        signature: Who vouches for this manifest; None when nobody does.
    """

    schema_version: int
    tailrace_version: str
    export_id: str
    created: datetime
    user: str
    source: SourceRecord
    format: PluginRecord
    format_options: Mapping[str, Any]
    parameters: Mapping[str, Any]
    time_range: RangeRecord | None
    time_zone: str
    credentials: CredentialMode
    tables: tuple[TableRecord, ...]
    file: FileRecord
    notes: tuple[str, ...] = ()
    increment: IncrementRecord | None = None
    vault: Mapping[str, Any] | None = None
    seal: SealRecord | None = None
    redaction: RedactionRecord | None = None
    audit: str | None = None
    signature: SignatureRecord | None = None


def manifest_document(manifest: Manifest) -> dict[str, Any]:
    """The manifest as the JSON-like values that stand in its file, and that a signature is of."""
    document: dict[str, Any] = unstructure(manifest)
    if manifest.increment is None:
        # So manifests from before there were increments stay what they are, and so do their signatures.
        del document["increment"]
    return document


def encode_manifest(manifest: Manifest, *, name: str | None = None) -> bytes:
    """The manifest as the JSON document that lies beside the file.

    Args:
        manifest: The manifest.
        name: Name under which the file really lies, where that differs from ``manifest.file.name``.
    """
    if name is not None:
        manifest = attrs.evolve(manifest, file=attrs.evolve(manifest.file, name=name))
    document = json.dumps(manifest_document(manifest), indent=2, ensure_ascii=False) + "\n"
    # Half characters, as in a path that is not UTF-8, become JSON's own escapes.
    return document.encode(errors="backslashreplace")


def decode_manifest(content: bytes) -> Manifest:
    """Read a manifest that :func:`encode_manifest` wrote.

    Raises:
        IntegrityError: It is not JSON, or not a manifest.
        NewerVersionError: It is of a newer schema version.
    """
    try:
        value = json.loads(
            content,
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_countable,
        )
    except (ValueError, RecursionError) as error:
        message = "The manifest is not valid JSON."
        raise IntegrityError(message, hint="It was changed or damaged: export again.") from error
    version = value.get("schema_version") if isinstance(value, dict) else None
    if type(version) is int and version > SCHEMA_VERSION:
        message = f"The manifest has schema version {version}, this Tailrace reads up to {SCHEMA_VERSION}."
        raise NewerVersionError(message, version=version)
    try:
        return structure(value, Manifest, what="The manifest")
    except StructureError as error:
        raise IntegrityError(error.message, hint="It was changed or damaged: export again.") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _value in pairs]
    if len(set(keys)) < len(keys):
        message = "duplicate key"
        raise ValueError(message)
    return dict(pairs)


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _refuse(number)


def _countable(number: str) -> int:
    value = int(number)
    # Nothing has so many bytes or rows, and arithmetic with it would fail somewhere else.
    return value if abs(value) < _MOST else _refuse(number[:20])


def _refuse(constant: str) -> NoReturn:
    message = f"{constant} is not JSON"
    raise ValueError(message)
