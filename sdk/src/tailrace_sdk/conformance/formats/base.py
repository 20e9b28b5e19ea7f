"""What the standard tests of formats have in common: what a format can, and how it is asked to write and count."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from tailrace import (
    ByteWriter,
    Context,
    Engine,
    ExportRequest,
    FileLayout,
    JobResult,
    OutgoingTable,
    Panel,
    ReadTablesCall,
    Report,
    RequestError,
    RereadCall,
    SearchCall,
    Section,
    SinkRequest,
    Table,
    TableView,
    WriteCall,
)
from tailrace_sdk.conformance.plugin import PluginConformance
from tailrace_sdk.datasets import DatasetFactory
from tailrace_sdk.fakes import FolderSink, MemorySource

if TYPE_CHECKING:
    import polars as pl

MOMENT = datetime(2026, 8, 20, 6, 23, 17, tzinfo=UTC)
"""When the exports of these tests began."""
BLOCK = 1 << 20

_SEALED = {"sha256": "0" * 64, "mac": "0" * 64}


class Output:
    """Where formats write in these tests: keeps the bytes, and fails when told.

    Args:
        fails: Called with the number of the write, from 1, and with all bytes so far; raises to let the write fail.
    """

    def __init__(self, fails: Callable[[int, int], None] | None = None) -> None:
        self.blocks: list[bytes] = []
        self.size = 0
        self._fails = fails

    def write(self, data: Any, /) -> int:
        """Take bytes."""
        block = bytes(data)
        if self._fails is not None:
            self._fails(len(self.blocks) + 1, self.size + len(block))
        self.blocks.append(block)
        self.size += len(block)
        return len(block)

    def flush(self) -> None:
        """Do nothing; polars' sinks call it."""


@attrs.frozen
class Written:
    """What a format wrote.

    Args:
        content: The bytes.
        notes: What it had to say.
        columns: Number of columns of each table.
    """

    content: bytes = attrs.field(repr=False)
    notes: tuple[str, ...]
    columns: Mapping[str, int]

    def tells_of(self, column: str) -> bool:
        """Whether a note names a column."""
        return any(column in note for note in self.notes)


class FormatTests(PluginConformance):
    """What every group of standard tests of formats stands on.

    Attributes:
        rows_at_most: Rows of the largest table that the format is for; None where there is no limit but the disk.
            Ten million rows are written where there is none.
        memory_at_most: Bytes of memory that the whole process may take while it exports that many rows.
        columns_at_most: Columns of the widest table that the format is for.
    """

    kind = "format"
    CAPABILITIES: ClassVar[Mapping[str, str]] = {
        "streams": "It writes rows as they come, in bounded memory whatever their number.",
        "reads": "It reads files of its kind, by whom they may be (TableReader).",
        "many_tables": "One file holds all tables (FileLayout.many_tables).",
        "carries_manifest": "Its files hold their manifest inside, where it can be changed (CarriesManifest).",
        "container": "Its files are packed or encoded inside: their bytes do not show what is in them (Container).",
        "checksummed": "A file tells by itself that a byte of it was changed, as a ZIP archive does.",
        "dated": "Its files say when they were made (FileLayout.dated).",
        "documents": "It draws the report, for people to look at, with the tables as data inside.",
        "nested": "It holds lists and structs.",
    }
    streams: ClassVar[bool] = False
    reads: ClassVar[bool] = False
    many_tables: ClassVar[bool] = False
    carries_manifest: ClassVar[bool] = False
    container: ClassVar[bool] = False
    checksummed: ClassVar[bool] = False
    dated: ClassVar[bool] = False
    documents: ClassVar[bool] = False
    nested: ClassVar[bool] = False

    rows_at_most: ClassVar[int | None] = None
    memory_at_most: ClassVar[int] = 384 << 20
    columns_at_most: ClassVar[int] = 1_000

    make: ClassVar[DatasetFactory] = DatasetFactory()

    def read_back(self, engine: Engine, path: Path) -> "Mapping[str, pl.DataFrame] | None":
        """The tables of a file, as somebody else reads them; override it with the best reader there is.

        Without it, and where the format reads no files itself, the tests can only compare files with each other.

        Args:
            engine: An engine that has the format.
            path: The file.

        Returns:
            Tables by name (the only one of a file may have any name), of the types that the reader gives, with null
            where there is no value, and moments either typed, or as texts that have their year, month, day, hour and
            minute in digits; None where nobody reads such files.
        """
        if not self.reads:
            return None
        found: Mapping[str, pl.DataFrame] = self.offered(engine).read_tables(ReadTablesCall(path))
        return found

    def layout(self, engine: Engine) -> FileLayout:
        """How files look with the options of these tests."""
        found: FileLayout = self.offered(engine).layout(self.plugin_options(engine))
        return found

    def rows(self, wanted: int) -> int:
        """So many rows, or as many as the format is for."""
        return wanted if self.rows_at_most is None else min(wanted, self.rows_at_most)

    def write(
        self, engine: Engine, *tables: Table, output: ByteWriter | None = None, is_sealed: bool = False, **more: Any
    ) -> Written:
        """Have the format write tables into one file.

        Args:
            engine: An engine that has it.
            tables: The tables; one, unless it puts many into a file.
            output: Where it writes; into memory by default, as only then there is a content.
            is_sealed: Whether a seal is asked for.
            more: Further arguments of :class:`tailrace.WriteCall`, in place of those that are usual here.
        """
        into = Output() if output is None else output
        notes: list[str] = []
        outgoing = [OutgoingTable(one.name, one.frame, one.columns, "UTC", one.time_column) for one in tables]
        call = WriteCall(
            **{
                "tables": outgoing,
                "output": into,
                "options": self.plugin_options(engine),
                "embedded": self.embedded(tables),
                "note": notes.append,
                "context": Context(),
                "seal": (lambda: dict(_SEALED)) if is_sealed else None,
                "moment": MOMENT,
                "report": report_of(tables),
                "user": "ada",
                **more,
            }
        )
        self.offered(engine).write(call)
        content = b"".join(into.blocks) if isinstance(into, Output) else b""
        return Written(content, tuple(notes), {one.name: len(one.columns) for one in tables})

    def written_or_refused(self, engine: Engine, table: Table, *columns: str) -> Written | None:
        """What was written; None where a table is refused, as it may be, with the name of one of the columns.

        Raises:
            AssertionError: The refusal names none of them.
        """
        try:
            return self.write(engine, table)
        except RequestError as error:
            said = f"{error.message} {error.hint}"
            assert any(name in said or repr(name) in said for name in columns), (
                f"The refusal names none of the columns {columns}: {said}"
            )
            return None

    def embedded(self, tables: Iterable[Table]) -> Mapping[str, Any]:
        """The part of the manifest that does not change, as the engine gives it."""
        described = [
            {"name": one.name, "columns": [{"name": column.name, "type": "String"} for column in one.columns]}
            for one in tables
        ]
        return {
            "schema_version": 1,
            "source": "memory",
            "credentials": "sanitized",
            "parameters": {},
            "tables": described,
        }

    def count(
        self,
        engine: Engine,
        written: Written,
        content: bytes | None = None,
        *,
        thorough: bool = True,
        block: int = BLOCK,
    ) -> Mapping[str, int]:
        """Have the format count the rows of a file.

        Args:
            engine: An engine that has it.
            written: The file.
            content: Its bytes, where they are not those that were written.
            thorough: As ``tailrace verify`` has it.
            block: Bytes that are handed over at once.
        """
        blocks = in_blocks(written.content if content is None else content, block)
        call = RereadCall(blocks, self.plugin_options(engine), tuple(written.columns), thorough, written.columns)
        found: Mapping[str, int] = self.offered(engine).count_rows(call)
        assert next(blocks, None) is None, "It stopped counting before the end of the file."
        return found

    def visible(self, engine: Engine, written: Written) -> bytes:
        """All that somebody who has the file could see in it: its bytes, and what is packed inside."""
        if not self.container:
            return written.content
        call = SearchCall(in_blocks(written.content, BLOCK), self.plugin_options(engine))
        return b"".join([written.content, b"\n", *self.offered(engine).searchable(call)])

    def exporting(self, home: Path, *tables: Table) -> Engine:
        """An engine with this format, a source ``memory`` that has these tables, and a sink ``folder``."""
        source = MemorySource(tables)
        return self.make_engine(home, ("memory", source), ("folder", FolderSink()))

    def export(self, engine: Engine, folder: Path, **more: Any) -> JobResult:
        """Export what the source of :meth:`exporting` has, into a folder."""
        return engine.export(request_for(self.name, self.options, folder), **more)


def request_for(name: str, options: Mapping[str, Any], folder: Path) -> ExportRequest:
    """The request of these tests: from the source ``memory``, into the sink ``folder``."""
    sink = SinkRequest("folder", str(folder))
    return ExportRequest("memory", "", name, options=dict(options), sinks=(sink,))


def report_of(tables: Sequence[Table], title: str = "Kit export") -> Report:
    """A report that shows each table, as the engine makes it where a source has none."""
    return Report(title, sections=[Section(one.name, [Panel(one.name, TableView(one.name))]) for one in tables])


def in_blocks(content: bytes, size: int) -> Iterator[bytes]:
    """Bytes in blocks of one size."""
    return (content[start : start + size] for start in range(0, len(content), size))
