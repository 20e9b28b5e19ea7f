"""The contracts of sources and formats; those of sinks are in :mod:`tailrace.plugins.sinks`.

Each method takes one *call* record, so that it can grow without breaking the plugins that exist. The engine calls these
objects itself; pluggy only hands them over.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import attrs

from tailrace.model.brand import Brand
from tailrace.model.columns import Column
from tailrace.model.context import Context, Progress
from tailrace.model.dataset import Dataset
from tailrace.model.job import JobResult
from tailrace.model.metric import Metric
from tailrace.model.report import Report
from tailrace.model.request import CredentialMode, TimeRange

if TYPE_CHECKING:
    import polars as pl

    from tailrace.plugins.pools import PoolTarget

Kind = Literal["source", "format", "sink", "hook"]
KINDS: tuple[Kind, ...] = ("source", "format", "sink", "hook")

Seal = Callable[[str, str, "pl.Series", "pl.DataFrame"], "pl.Series"]
"""``seal(table, column, values, bound)``: the values, sealed; null stays null."""


class SourceOpener(Protocol):
    """Opens another source for one that is made of others."""

    def __call__(
        self,
        name: str,
        location: str,
        options: Mapping[str, Any],
        *,
        window: TimeRange | None = None,
        tables: Collection[str] | None = None,
    ) -> AbstractContextManager[Dataset]:
        """Open it.

        Args:
            name: Its name.
            location: Where it reads.
            options: Its options, by name; texts are converted to the option's type.
            window: What must be read at least; the window of the call if not given.
            tables: The tables that are needed; None: all of them, and the report.

        Raises:
            RequestError: It is asked for itself, or an option does not fit.
            PluginError: The other cannot be used.
        """
        ...


def no_metrics() -> Mapping[str, Sequence[Metric]]:
    """Stands in for :attr:`SourceCall.metrics` where no plugin offers any."""
    return {}


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
        folder: Folder that relative paths count from: the working folder of whoever asked for the export.
        partition: The token of the one part to open, out of what :meth:`PartitionedSource.partitions` gave; None for
            everything. Sources that do not split never get one.
        where: The filters asked for, for sources that apply them themselves (:attr:`tailrace.Dataset.restricted`);
            :func:`tailrace.filter_expression` reads them. The others leave them to the engine.
        time_zone: IANA zone that days and hours are meant in.
        open_source: ``open_source(name, location, options)`` opens another source, with the credentials mode, window
            and folder of this call and without its filters; for sources that are made of others.
        metrics: ``metrics()`` gives the metrics that plugins offer for dashboards, by who offers them.
        tables: The tables that are needed, and no report; a hint to spare work for what nobody looks at. None:
            everything.
        pools: Pools that the application which embeds the engine keeps itself, by name; :meth:`host_pool` gives the one
            that a location ``host:NAME`` means.
    """

    location: str
    options: Any
    credentials: CredentialMode
    moment: datetime
    window: TimeRange | None
    reference: Callable[..., str] = attrs.field(repr=False)
    context: Context = attrs.field(repr=False)
    seal: "Seal | None" = attrs.field(default=None, repr=False)
    folder: Path = Path()
    partition: Mapping[str, Any] | None = None
    where: Sequence[str] = ()
    time_zone: str = "UTC"
    open_source: SourceOpener | None = attrs.field(default=None, repr=False)
    metrics: Callable[[], Mapping[str, Sequence[Metric]]] = attrs.field(default=no_metrics, repr=False)
    tables: Collection[str] | None = None
    pools: "Mapping[str, PoolTarget]" = attrs.field(factory=dict, repr=False)

    def host_pool(self) -> "PoolTarget | None":
        """The pool of the application that the location names; None where it names none.

        Raises:
            UnknownNameError: The application has none of that name.
        """
        from tailrace.plugins.pools import named_pool

        return named_pool(self.location, self.pools)


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
class Example:
    """A document that a source can read, ready for use and to start one's own from.

    Args:
        name: Name by which the source knows it as a location.
        title: What it is about, in a few words.
        text: What stands in it.
    """

    name: str
    title: str
    text: str = attrs.field(repr=False)


@runtime_checkable
class WithExamples(Protocol):
    """What a :class:`Source` also has that reads documents which people write, and comes with some."""

    def examples(self) -> Sequence[Example]:
        """The documents, by name."""
        ...


@attrs.frozen
class Partition:
    """A part of what a source offers, to be opened on its own, perhaps by another process.

    Args:
        token: Names the part, in JSON-like values that only the source understands; see :attr:`SourceCall.partition`.
        rows: How many rows it has, those that cannot be read included; None where that is not known.
    """

    token: Mapping[str, Any]
    rows: int | None = None


@runtime_checkable
class PartitionedSource(Protocol):
    """What a :class:`Source` also has that can be read in parts, so that several processes can share the work."""

    def partitions(self, call: SourceCall, most: int) -> Sequence[Partition]:
        """How a request splits into parts.

        The parts have no row in common, are everything together, and come in the order of the source: the rows of all
        parts, one behind the other, are those of the whole, and every part has the columns of the whole. They are
        valid as long as the data does not change.

        Args:
            call: The request, without a partition.
            most: How many parts there may be at most, at least 1; fewer where the data has no more places to cut at.

        Returns:
            The parts; an empty sequence where it cannot be split.

        Raises:
            SourceError: As for :meth:`Source.open`, which also raises RequestError for a token that is none of its own.
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
        dated: Whether its files say when they were made, so that the same data gives other bytes each time.
    """

    extension: str
    media_type: str
    compressible: bool = True
    many_tables: bool = False
    dated: bool = False


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
        report: What documents draw: the source's own report, or one that shows each table. Its views name tables and
            columns as they are written.
        brand: How documents of this house look.
        user: Who asked for the export.
        time_zone: IANA zone of all moments that are shown.
    """

    tables: Sequence[OutgoingTable]
    output: ByteWriter = attrs.field(repr=False)
    options: Any
    embedded: Mapping[str, Any]
    note: Callable[[str], None] = attrs.field(repr=False)
    context: Context = attrs.field(repr=False)
    seal: Callable[[], Mapping[str, Any]] | None = attrs.field(default=None, repr=False)
    moment: datetime | None = None
    report: Report = attrs.field(factory=lambda: Report("Export"), repr=False)
    brand: Brand = attrs.field(factory=Brand, repr=False)
    user: str = ""
    time_zone: str = "UTC"


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
class ExportEvent:
    """What observers are told of an export, by the thread that carries it out.

    An attempt at an export is ``started``, its ``progress`` is told when a phase begins and then at most once a second,
    and it has ``finished`` or ``failed``. One that is tried again starts again, with the same ``export_id``. What a
    worker cannot even make ready (a plugin that is missing, a key) has failed without having started.

    Args:
        name: What happened.
        export_id: Which export.
        source: Name of its source.
        format: Name of its format.
        user: Id of the user who asked for it.
        moment: When it happened, UTC.
        error: What it failed with.
        progress: How far it is.
        result: What came of it, when it has finished.
    """

    name: Literal["started", "progress", "finished", "failed"]
    export_id: str
    source: str
    format: str
    user: str
    moment: datetime
    error: BaseException | None = None
    progress: Progress | None = None
    result: JobResult | None = None
