"""Plugins made of memory and plain lines, to try the engine, or one real plugin, without the others.

::

    from tailrace import Engine, ExportRequest, SinkRequest
    from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

    source = MemorySource([memory_table("words", {"word": ["pump", "wheel"]})])
    engine = Engine(
        plugins=[("memory", source), ("lines", LinesFormat()), ("folder", FolderSink())], discover=False
    )
    engine.export(ExportRequest("memory", "", "lines", sinks=(SinkRequest("folder", "out"),)))

Each is a plugin and the object that the plugin offers in one. Each misbehaves on demand: ``instead`` names methods and
what they do in place of their work, such as ``LinesFormat(instead={"write": lambda call: sys.exit(3)})``.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

import attrs

from tailrace import (
    Column,
    Dataset,
    DeliverCall,
    FileLayout,
    IntegrityError,
    Meaning,
    Receipt,
    Report,
    RequestError,
    RereadCall,
    SourceCall,
    StagingCall,
    Table,
    WriteCall,
    encode_manifest,
    hookimpl,
    option,
    publish,
)

if TYPE_CHECKING:
    import polars as pl

C = TypeVar("C")
Instead = Mapping[str, Callable[[Any], Any]]
"""What methods do instead of their work, by their names; each gets what the method gets."""


def memory_table(
    name: str,
    data: "Mapping[str, Any] | pl.DataFrame",
    *,
    time_column: str | None = None,
    meanings: Mapping[str, Meaning] | None = None,
    **more: Any,
) -> Table:
    """A table that lies in memory, and counts its rows by itself.

    Args:
        name: Name of the table.
        data: Its columns.
        time_column: Name of the column that time ranges apply to.
        meanings: What columns mean; TEXT where it is not said.
        more: Further arguments of :class:`tailrace.Table`.
    """
    import polars as pl

    frame = data if isinstance(data, pl.DataFrame) else pl.DataFrame(data)
    columns = tuple(Column(column, (meanings or {}).get(column, Meaning.TEXT)) for column in frame.columns)
    more.setdefault("count_rows", partial(len, frame))
    return Table(name, frame.lazy(), columns, time_column=time_column, **more)


class _Fake:
    instead: Instead

    def _answer(self, method: str, call: C, work: Callable[[C], Any]) -> Any:
        does: Callable[[Any], Any] = self.instead.get(method, work)
        return does(call)


@attrs.frozen
class NoOptions:
    """No options at all."""


@attrs.define
class MemorySource(_Fake):
    """A source of tables that lie in memory; the location says nothing.

    Args:
        tables: What it offers.
        notes: Notes of its dataset.
        options_type: Its options; they change nothing.
        instead: For ``open`` and ``close``: what happens instead.
        calls: Every call that it got.
        report: The report of its dataset.
        restricted: Whether it says that it applied range and filters itself.
    """

    tables: Sequence[Table]
    notes: Sequence[str] = ()
    options_type: type = NoOptions
    instead: Instead = attrs.field(factory=dict)
    calls: list[SourceCall] = attrs.field(factory=list)
    summary: str = "Tables that lie in memory."
    report: Report | None = None
    restricted: bool = False

    @hookimpl
    def tailrace_source(self) -> "MemorySource":
        """Hand over the source, which is this very object."""
        return self

    def open(self, call: SourceCall) -> AbstractContextManager[Dataset]:
        """Open the tables."""
        self.calls.append(call)
        opened: AbstractContextManager[Dataset] = self._answer("open", call, self._open)
        return opened

    @contextmanager
    def _open(self, call: SourceCall) -> Iterator[Dataset]:
        try:
            notes = tuple(self.notes)
            yield Dataset(
                tuple(self.tables), version="memory-1", notes=notes, report=self.report, restricted=self.restricted
            )
        finally:
            self._answer("close", call, lambda _call: None)


@attrs.frozen
class LinesOptions:
    """Options of :class:`LinesFormat`."""

    together: bool = option(default=False, help="Write all tables into one file.")
    extension: str = option("jsonl", help="Extension of the files.")


@attrs.define
class LinesFormat(_Fake):
    """A format of one JSON object a line. With ``together``, a line that holds a table's name precedes its rows.

    Args:
        compressible: Whether the engine may compress its files.
        options_type: Its options.
        instead: For ``layout``, ``write`` and ``count_rows``: what happens instead.
        calls: Every call that it got to write.
    """

    compressible: bool = True
    options_type: type = LinesOptions
    instead: Instead = attrs.field(factory=dict)
    calls: list[WriteCall] = attrs.field(factory=list)
    summary: str = "One JSON object a line."

    @hookimpl
    def tailrace_format(self) -> "LinesFormat":
        """Hand over the format, which is this very object."""
        return self

    def layout(self, options: Any) -> FileLayout:
        """How its files look."""
        layout: FileLayout = self._answer("layout", options, self._layout)
        return layout

    def write(self, call: WriteCall) -> None:
        """Write the tables, one behind the other."""
        self.calls.append(call)
        self._answer("write", call, self._write)

    def count_rows(self, call: RereadCall) -> Mapping[str, int]:
        """Count lines; thoroughly: read each, and count its columns."""
        counted: Mapping[str, int] = self._answer("count_rows", call, self._count_rows)
        return counted

    def _layout(self, options: LinesOptions) -> FileLayout:
        return FileLayout(options.extension, "application/x-ndjson", self.compressible, many_tables=options.together)

    def _write(self, call: WriteCall) -> None:
        for table in call.tables:
            if call.options.together:
                call.output.write(json.dumps(table.name).encode() + b"\n")
            table.frame.sink_ndjson(cast("IO[bytes]", call.output))

    def _count_rows(self, call: RereadCall) -> dict[str, int]:
        counts = dict.fromkeys(call.tables, 0)
        current = None if call.options.together else call.tables[0]
        for line in _lines(call.blocks):
            if line.startswith(b'"'):
                current = json.loads(line)
            elif current not in counts:
                raise IntegrityError(f"There are rows of {current!r}, which is no table of this file.")
            else:
                counts[current] += 1
                if call.thorough and len(json.loads(line)) != call.columns[current]:
                    raise IntegrityError(f"Row {counts[current]} of {current} lacks columns.")
        return counts


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    if rest:
        raise IntegrityError("The last line has no end.")


@attrs.frozen
class FolderOptions:
    """Options of :class:`FolderSink`."""

    overwrite: bool = option(default=False, help="Replace a file of the same name.")
    name: str = option("", help="Name of the file, instead of the one that the engine suggests.")


@attrs.define
class FolderSink(_Fake):
    """A sink that publishes into the folder that is its target.

    Args:
        options_type: Its options.
        instead: For ``staging`` and ``deliver``: what happens instead.
        calls: Every call that it got to deliver.
    """

    options_type: type = FolderOptions
    instead: Instead = attrs.field(factory=dict)
    calls: list[DeliverCall] = attrs.field(factory=list)
    summary: str = "A folder."

    @hookimpl
    def tailrace_sink(self) -> "FolderSink":
        """Hand over the sink, which is this very object."""
        return self

    def staging(self, call: StagingCall) -> Path | None:
        """The folder, made if it is missing."""
        folder: Path | None = self._answer("staging", call, _folder)
        return folder

    def deliver(self, call: DeliverCall) -> Receipt:
        """Publish the file there, with its manifest."""
        self.calls.append(call)
        receipt: Receipt = self._answer("deliver", call, self._deliver)
        return receipt

    def _deliver(self, call: DeliverCall) -> Receipt:
        name = call.options.name or call.parcel.manifest.file.name
        path = _folder(call) / name
        publish(
            call.parcel.path,
            path,
            manifest=encode_manifest(call.parcel.manifest, name=name),
            overwrite=call.options.overwrite,
        )
        return Receipt("folder", delivered=True, place=str(path), path=path)


@attrs.define
class PostSink(_Fake):
    """A sink that brings files to those whom its target names, separated by commas, and remembers what it brought.

    Args:
        options_type: Its options.
        instead: For ``recipients`` and ``deliver_each``: what happens instead.
        answers: What recipients say at one try after the other, by name: a receipt, or an error. They take the file
            where nothing is left to say.
        calls: Every call that it got to deliver.
        arrived: Name of the delivery, recipient and content of what was taken, in order.
    """

    options_type: type = NoOptions
    instead: Instead = attrs.field(factory=dict)
    answers: dict[str, list[Receipt | Exception]] = attrs.field(factory=dict)
    calls: list[DeliverCall] = attrs.field(factory=list)
    arrived: list[tuple[str, str, bytes]] = attrs.field(factory=list)
    summary: str = "A messenger."

    @hookimpl
    def tailrace_sink(self) -> "PostSink":
        """Hand over the sink, which is this very object."""
        return self

    def staging(self, call: StagingCall) -> Path | None:
        """Nowhere: it brings what is kept."""
        return None

    def recipients(self, call: StagingCall) -> Sequence[str]:
        """Those whom the target names."""
        named: Sequence[str] = self._answer("recipients", call, _named)
        return named

    def deliver(self, call: DeliverCall) -> Receipt:
        """Never called: it tells recipients apart."""
        raise NotImplementedError

    def deliver_each(self, call: DeliverCall) -> Sequence[Receipt]:
        """Bring the file to each."""
        self.calls.append(call)
        receipts: Sequence[Receipt] = self._answer("deliver_each", call, self._deliver_each)
        return receipts

    def _deliver_each(self, call: DeliverCall) -> list[Receipt]:
        return [self._bring(call, recipient) for recipient in call.recipients]

    def _bring(self, call: DeliverCall, recipient: str) -> Receipt:
        left = self.answers.get(recipient)
        answer = left.pop(0) if left else Receipt("post", delivered=True, place=f"with {recipient}")
        if isinstance(answer, Exception):
            raise answer
        if answer.delivered:
            self.arrived.append((call.delivery, recipient, call.parcel.path.read_bytes()))
        return attrs.evolve(answer, recipient=recipient)


def _named(call: StagingCall) -> list[str]:
    return [name.strip() for name in (call.target or "").split(",") if name.strip()]


def _folder(call: StagingCall | DeliverCall) -> Path:
    if call.target is None:
        raise RequestError("The sink 'folder' needs a target.", hint="Name a folder.")
    folder = call.folder / call.target
    folder.mkdir(parents=True, exist_ok=True)
    return folder
