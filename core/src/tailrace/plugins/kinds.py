"""The contracts of sources, formats and sinks.

Each method takes one *call* record, so that it can grow without breaking the plugins that exist. The engine calls these
objects itself; pluggy only hands them over.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import attrs

from tailrace.model.columns import Column
from tailrace.model.context import Context
from tailrace.model.dataset import Dataset
from tailrace.model.job import Receipt
from tailrace.model.manifest import Manifest
from tailrace.model.request import CredentialMode, TimeRange

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["source", "format", "sink", "hook"]
KINDS: tuple[Kind, ...] = ("source", "format", "sink", "hook")

Seal = Callable[[str, str, "pl.Series", "pl.DataFrame"], "pl.Series"]
"""``seal(table, column, values, bound)``: the values, sealed; null stays null."""


@attrs.frozen
class SourceCall:
    """What a source is asked to open.

    Args:
        location: Where to read, as the user wrote it.
        options: Instance of the source's ``options_type``.
        credentials: What to do to user names and passwords; the source does it, before anyone else sees a row.
        moment: When the export began, UTC: the "now" of everything relative.
        window: The time range asked for; a hint to read less. The engine filters by it in any case.
        reference: ``reference(*parts)`` gives the stable keyed id that stands for a secret in mode ``reference``;
            ``parts`` identify the secret (field, proxy …). Equal parts give equal ids under one key.
        context: Progress, cancellation, deadline.
        seal: ``seal(table, column, values, bound)`` seals texts in mode ``full``, each to the values of the frame
            ``bound`` in its row; None in the other modes. What was sealed is told in :attr:`tailrace.Table.sealed`.
    """

    location: str
    options: Any
    credentials: CredentialMode
    moment: datetime
    window: TimeRange | None
    reference: Callable[..., str] = attrs.field(repr=False)
    context: Context = attrs.field(repr=False)
    seal: "Seal | None" = attrs.field(default=None, repr=False)


@runtime_checkable
class Source(Protocol):
    """Reads data from somewhere."""

    @property
    def summary(self) -> str:
        """One sentence for ``tailrace plugins list``; a plain attribute will do."""
        ...

    @property
    def options_type(self) -> type:
        """The attrs class of its options; a plain attribute will do."""
        ...

    def open(self, call: SourceCall) -> AbstractContextManager[Dataset]:
        """Open one consistent snapshot; it stays readable until the context manager is left.

        Raises:
            SourceError: Missing, damaged, of another shape. The message names what was expected.
            TransientError: Locked or away for now.
            NotAllowedError: A credential mode that this source cannot keep.
        """
        ...


@attrs.frozen
class FileLayout:
    """How a format lays out its files, for given options.

    Args:
        extension: Without dot: ``"csv"``.
        media_type: Before compression: ``"text/csv"``.
        compressible: Whether the engine may gzip it; False for formats that are compressed by nature.
        many_tables: Whether one file holds all tables. Otherwise each table gets a file of its own.
    """

    extension: str
    media_type: str
    compressible: bool = True
    many_tables: bool = False


@attrs.frozen
class OutgoingTable:
    """A table that a format writes: transformed, counted, in its final columns and order.

    Args:
        name: Name of the table.
        frame: The rows, lazily. To be collected **once**: the engine counts what passes.
        columns: What its columns mean.
        time_zone: IANA zone of its timestamps.
        time_column: Name of the column by which its rows are a series in time, where it is among the columns.
    """

    name: str
    frame: "pl.LazyFrame" = attrs.field(repr=False)
    columns: Sequence[Column]
    time_zone: str = "UTC"
    time_column: str | None = None


class ByteWriter(Protocol):
    """Where a format writes: takes bytes in order, and compresses them on the way."""

    def write(self, data: Any, /) -> int:
        """Take bytes; raises when the export was cancelled, or the disk is full."""
        ...

    def flush(self) -> None:
        """Do nothing; polars' sinks call it."""
        ...


@attrs.frozen
class WriteCall:
    """What a format is asked to write.

    Args:
        tables: The tables of this file; exactly one unless the layout says ``many_tables``.
        output: Where to write, without compression.
        options: Instance of the format's ``options_type``.
        embedded: The part of the manifest that does not change from run to run, as JSON-like values, for formats that
            carry their manifest inside.
        note: Call it with a sentence that the manifest should keep (a guard applied, values replaced).
        context: Progress, cancellation, deadline. Rows and bytes are counted already.
        seal: In mode ``full``, for formats that carry their manifest inside: gives JSON-like values that authenticate
            all bytes written so far, to be written at the end of the file.
        moment: When the export began, UTC: the manifest's ``created``. A file that holds it is another one each day, so
            it is for those who ask for it.
    """

    tables: Sequence[OutgoingTable]
    output: ByteWriter = attrs.field(repr=False)
    options: Any
    embedded: Mapping[str, Any]
    note: Callable[[str], None] = attrs.field(repr=False)
    context: Context = attrs.field(repr=False)
    seal: Callable[[], Mapping[str, Any]] | None = attrs.field(default=None, repr=False)
    moment: datetime | None = None


@attrs.frozen
class RereadCall:
    """A finished file to count again.

    Args:
        blocks: The plain bytes in order, in blocks of about a megabyte that end anywhere.
        options: Instance of the format's ``options_type``, as it was when the file was written.
        tables: Names of the tables expected.
        thorough: Whether to parse everything (``tailrace verify``) rather than only count (after each export).
        columns: Number of columns expected per table.
    """

    blocks: Iterator[bytes] = attrs.field(repr=False)
    options: Any
    tables: Sequence[str]
    thorough: bool
    columns: Mapping[str, int]


@runtime_checkable
class Format(Protocol):
    """Writes tables (or a report) as bytes."""

    @property
    def summary(self) -> str:
        """One sentence for ``tailrace plugins list``; a plain attribute will do."""
        ...

    @property
    def options_type(self) -> type:
        """The attrs class of its options; a plain attribute will do."""
        ...

    def layout(self, options: Any) -> FileLayout:
        """How files look with these options."""
        ...

    def write(self, call: WriteCall) -> None:
        """Write the tables: the same tables and options give the same bytes, on any day and machine."""
        ...

    def count_rows(self, call: RereadCall) -> Mapping[str, int]:
        """Count the rows of each table in a finished file.

        Raises:
            IntegrityError: The bytes are not what this format writes.
        """
        ...


@attrs.frozen
class SearchCall:
    """A finished container whose content is to be searched for secrets.

    Args:
        blocks: The bytes of the file in order, in blocks of about a megabyte that end anywhere.
        options: Instance of the format's ``options_type``, as it was when the file was written.
    """

    blocks: Iterator[bytes] = attrs.field(repr=False)
    options: Any


@runtime_checkable
class Container(Protocol):
    """A format whose files are compressed inside (XLSX, PDF): the bytes of such a file do not show what is in it."""

    def searchable(self, call: SearchCall) -> Iterator[bytes]:
        """The content of a finished file: its parts unpacked, one behind the other, in blocks of any size.

        The engine searches this beside the bytes of the file itself. Whatever a reader of the file could see belongs
        here, properties and comments included.

        Raises:
            IntegrityError: The bytes are not what this format writes.
        """
        ...


@attrs.frozen
class ReadTablesCall:
    """A file of a format's kind whose tables are to be read, whoever wrote it.

    Args:
        path: A regular file.
        context: Progress, cancellation, deadline.
    """

    path: Path
    context: Context = attrs.field(factory=Context, repr=False)


@runtime_checkable
class TableReader(Protocol):
    """What a :class:`Format` also has that reads files of its kind, for import: its own, and those of others."""

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins with these bytes (up to 64 KiB) may be of this kind."""
        ...

    def read_tables(self, call: ReadTablesCall) -> "Mapping[str, pl.DataFrame]":
        """The tables of a file by name, in its order, with a file that means harm kept from doing any.

        Returns:
            Frames of String columns: each value spelt as ``docs/reference/csv.md`` has it, null where there is none.

        Raises:
            RefusedError: It is no such file, is damaged, or costs more than a file of its size should.
            SourceError: It cannot be read.
        """
        ...


@runtime_checkable
class CarriesManifest(Protocol):
    """What a :class:`Format` also has whose files hold their manifest inside, so that it can be changed there."""

    def with_manifest(
        self,
        content: bytes,
        change: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        seal: Callable[[bytes], Mapping[str, Any]],
    ) -> bytes:
        """The same file with another manifest inside, and sealed anew; all else stays, byte for byte.

        Args:
            content: The plain bytes of a file with a seal.
            change: Gives the new manifest for the old one.
            seal: Gives the seal for the bytes before it.

        Raises:
            IntegrityError: The file is not built as this format writes it.
        """
        ...


@attrs.frozen
class Parcel:
    """A finished, proven file that is to be delivered.

    Args:
        path: Where the file lies, under a temporary name; the engine removes it after the last delivery.
        manifest: What the file is; ``manifest.file.name`` is the name that the engine suggests.
        fields: Values for name patterns: source, table, timestamp, user, format, ext, year, month, day, id.
    """

    path: Path
    manifest: Manifest
    fields: Mapping[str, str]


@attrs.frozen
class StagingCall:
    """Asks a sink where it would like the file to be made."""

    target: str | None
    options: Any
    fields: Mapping[str, str]


@attrs.frozen
class DeliverCall:
    """What a sink is asked to deliver.

    Args:
        parcel: The file.
        target: What the user wrote behind ``--to NAME:``; None for the sink's default.
        options: Instance of the sink's ``options_type``.
        context: Progress, cancellation, deadline.
        delivered: Other files of this export on this machine, which must not be replaced, whatever the options say.
    """

    parcel: Parcel
    target: str | None
    options: Any
    context: Context = attrs.field(repr=False)
    delivered: frozenset[Path] = frozenset()


@runtime_checkable
class Sink(Protocol):
    """Takes a finished file somewhere: one attempt per call, and it says how it went."""

    @property
    def summary(self) -> str:
        """One sentence for ``tailrace plugins list``; a plain attribute will do."""
        ...

    @property
    def options_type(self) -> type:
        """The attrs class of its options; a plain attribute will do."""
        ...

    def staging(self, call: StagingCall) -> Path | None:
        """Folder in which the engine should make the file, so that delivering it is a rename; None for anywhere.

        Called before anything is read: the place to refuse a target that can never work.

        Raises:
            RequestError: The target or a pattern cannot be used.
            StorageError: The folder cannot be written to.
        """
        ...

    def deliver(self, call: DeliverCall) -> Receipt:
        """Deliver once.

        Raises:
            TransientError: Trying again may help.
            PermanentError: It will not.
        """
        ...


@attrs.frozen
class ExportEvent:
    """What observers are told: ``started``, ``finished`` or ``failed``."""

    name: Literal["started", "finished", "failed"]
    export_id: str
    source: str
    format: str
    user: str
    moment: datetime
    error: BaseException | None = None
