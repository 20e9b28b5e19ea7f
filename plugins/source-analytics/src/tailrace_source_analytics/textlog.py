"""Reading text in blocks of whole records: streaming, bounded, and no record lost on the way.

polars' own readers of text fill up short rows, cut long ones, drop unknown keys or give up with a message that quotes
the data. Here each block is parsed by polars at full speed and *checked*; only a block that does not add up is taken
apart line by line, to find the records that cannot be read and to say why.
"""

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate, chain
from typing import Protocol, TypeVar

import attrs
import polars as pl
from polars.io.plugins import register_io_source

from tailrace import BadRow, BadRows, Context
from tailrace_source_analytics.files import DataFile, read_errors
from tailrace_source_analytics.log import ROW, Log, exactly
from tailrace_source_analytics.parts import changed
from tailrace_source_analytics.rejects import Rejects

Item = TypeVar("Item")
Result = TypeVar("Result")

BLOCK = 4 << 20
"""Bytes read at a time."""
LONGEST_RECORD = 64 << 20
"""A record without end is cut here: memory stays bounded, whatever the file holds."""


@attrs.frozen
class Parsed:
    """What a block holds.

    Args:
        frame: The records that could be read, in order.
        records: How many there are, counting those that could not be read.
        kept: Zero-based positions of the rows of ``frame`` among them; None when every record was read.
        bad: Position, column and reason of those that could not be read.
    """

    frame: pl.DataFrame
    records: int
    kept: Sequence[int] | None = None
    bad: Sequence[tuple[int, str | None, str]] = ()


class Grammar(Protocol):
    """How records are written in one kind of text."""

    @property
    def name(self) -> str:
        """Name of the kind."""
        ...

    @property
    def record(self) -> str:
        """What a position counts: ``"line"`` or ``"record"``."""
        ...

    @property
    def schema(self) -> pl.Schema:
        """Columns that it yields."""
        ...

    @property
    def by_line(self) -> bool:
        """Whether each line is a record, so that reading may begin at any line."""
        ...

    @property
    def nested(self) -> frozenset[str]:
        """Columns that hold JSON text."""
        ...

    def skip(self, file: DataFile) -> int:
        """Bytes before the first record: byte order mark, header."""
        ...

    def cut(self, buffer: bytes) -> int:
        """Where the last whole record ends; 0 when there is none."""
        ...

    def parse(self, block: bytes) -> Parsed:
        """Read a block of whole records."""
        ...

    def count(self, block: bytes) -> int:
        """Count the records of a block without parsing it."""
        ...


def blocks(stream: io.BufferedIOBase, cut: Callable[[bytes], int], *, size: int | None = None) -> Iterator[bytes]:
    """Read a stream in blocks of whole records; what is left at the end is the last block."""
    size = size or BLOCK
    rest, chunk = b"", stream.read(size)
    while following := stream.read(size):
        buffer = rest + chunk if rest else chunk
        end = cut(buffer)
        if end == 0 and len(buffer) >= LONGEST_RECORD:
            end = buffer.rfind(b"\n") + 1 or len(buffer)
        rest, chunk = buffer[end:], following
        if end:
            yield buffer[:end]
    if rest or chunk:
        yield rest + chunk


def in_parallel(work: Callable[[Item], Result], content: Iterable[Item]) -> Iterator[Result]:
    """Work on blocks in two threads, in order, with no more than three of them in memory."""
    pool = ThreadPoolExecutor(2, thread_name_prefix="tailrace-analytics")
    try:
        waiting: deque[Future[Result]] = deque()
        for block in content:
            waiting.append(pool.submit(work, block))
            if len(waiting) > 2:  # noqa: PLR2004 - as the first sentence says
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # Not waiting: whoever has enough drops this, and it may be collected in a thread of the pool, which cannot wait
        # for itself.
        pool.shutdown(wait=False, cancel_futures=True)


@attrs.frozen
class _Piece:
    """A block of a part: of which file, and how many records come before it, in all files and in its own."""

    file: int
    before: int
    within: int
    records: int
    block: bytes


@attrs.frozen
class TextFiles:
    """Text files of one kind, as one log.

    Args:
        files: In order.
        grammar: How they are written.
        partitions: Columns that folders give, with the value of each file.
        rejects: Where records go that cannot be read.
        context: Checked between blocks.
        part: The records to read, from the bound of a block to another; None for all.
    """

    files: Sequence[DataFile]
    grammar: Grammar
    partitions: Sequence[pl.Series]
    rejects: Rejects
    context: Context
    part: range | None = None

    def log(self, *, notes: Sequence[str] = ()) -> Log:
        """The log that they are."""
        return Log(
            kind=self.grammar.name,
            place=_place(self.files),
            frame=self._scan(numbered=False),
            numbered=lambda: self._scan(numbered=True),
            count=self.count,
            sample=self.sample,
            is_empty=self.is_empty,
            partitions=frozenset(series.name for series in self.partitions),
            nested=self.grammar.nested,
            notes=notes,
            bounds=self.bounds,
            part=lambda rows: attrs.evolve(self, part=rows).log(),
        )

    def count(self) -> int:
        """Count all records, good or bad, by going through the bytes again."""
        if self.part is not None:
            return sum(piece.records for piece in self._pieces(self.part))
        return self.bounds()[-1]

    def bounds(self) -> list[int]:
        """How many records come before each block, and at last how many there are."""
        content = chain.from_iterable(map(self._blocks, self.files))
        return list(accumulate(in_parallel(self.grammar.count, content), initial=0))

    def is_empty(self) -> bool:
        """Whether there is no record at all."""
        return all(self.grammar.count(block) == 0 for file in self.files for block in self._blocks(file, size=1 << 16))

    def sample(self, n: int) -> pl.DataFrame:
        """Up to ``n`` rows from the beginning, middle and end; of a part, from its beginning."""
        quiet = attrs.evolve(self, rejects=Rejects(BadRows(keep=0)))
        if self.part is not None:
            return quiet._scan(numbered=False).head(n).collect()  # noqa: SLF001 - itself
        windows = self._windows()
        wanted = -(-n // len(windows))
        frames = [pl.DataFrame(schema=self._schema())]
        for index, offset in windows:
            rows = 0
            for block in self._blocks(self.files[index], offset=offset, size=BLOCK // len(windows)):
                frame = quiet._frame(index, self.grammar.parse(block), 0, 0, numbered=False)  # noqa: SLF001 - itself
                frames.append(frame.head(wanted - rows))
                rows += frame.height
                if rows >= wanted:
                    break
        return pl.concat(frames)

    def _windows(self) -> list[tuple[int, int]]:
        """Where samples are taken: file and offset, a few of them, spread."""
        if len(self.files) > 1:
            last = len(self.files) - 1
            return sorted({(0, 0), (last // 2, 0), (last, 0)})
        size = self.files[0].size
        if not self.grammar.by_line or size < 2 * BLOCK or self.files[0].gzipped:
            return [(0, 0)]
        return [(0, size * part // 4) for part in range(4)]

    def _schema(self, *, numbered: bool = False) -> pl.Schema:
        extra = {series.name: series.dtype for series in self.partitions}
        return pl.Schema({**({ROW: pl.UInt64()} if numbered else {}), **self.grammar.schema, **extra})

    def _scan(self, *, numbered: bool) -> pl.LazyFrame:
        schema = self._schema(numbered=numbered)

        def read(
            columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _batch_size: int | None
        ) -> Iterator[pl.DataFrame]:
            left = n_rows
            for batch in self.batches(numbered=numbered):
                frame = batch if left is None else batch.head(left)
                left = None if left is None else left - frame.height
                if predicate is not None:
                    frame = frame.filter(predicate)
                yield frame if columns is None else frame.select(map(exactly, columns))
                if left == 0:
                    return

        return register_io_source(read, schema=schema)

    def batches(self, *, numbered: bool) -> Iterator[pl.DataFrame]:
        """All rows in order, block by block."""
        if self.part is not None:
            pieces = self._pieces(self.part)
            for piece, parsed in in_parallel(lambda piece: (piece, self.grammar.parse(piece.block)), pieces):
                yield self._frame(piece.file, parsed, piece.before + 1, piece.within + 1, numbered=numbered)
            return
        row = 1
        for index, file in enumerate(self.files):
            within = 1
            for parsed in in_parallel(self.grammar.parse, self._blocks(file)):
                yield self._frame(index, parsed, row, within, numbered=numbered)
                row, within = row + parsed.records, within + parsed.records

    def _pieces(self, part: range) -> Iterator[_Piece]:
        """The blocks of a part; those before it are counted, which is much less work than parsing them."""
        before = 0
        for index, file in enumerate(self.files):
            within = 0
            for block in self._blocks(file):
                if before >= part.stop:
                    return
                records = self.grammar.count(block)
                if any(before < bound < before + records for bound in (part.start, part.stop)):
                    raise changed(_place(self.files))
                if before >= part.start:
                    yield _Piece(index, before, within, records, block)
                before, within = before + records, within + records
        if before < part.stop:
            raise changed(_place(self.files))

    def _blocks(self, file: DataFile, *, offset: int = 0, size: int | None = None) -> Iterator[bytes]:
        with read_errors(file.path):
            stream = file.open(offset=offset) if offset else file.open_plain()
            with stream:
                # A window into the middle begins behind the line that it hit.
                stream.readline() if offset else stream.read(self.grammar.skip(file))
                for block in blocks(stream, self.grammar.cut, size=size):
                    self.context.check()
                    yield block

    def _frame(self, index: int, parsed: Parsed, row: int, within: int, *, numbered: bool) -> pl.DataFrame:
        place = f" ({self.grammar.record} {{}} of {self.files[index].path.name})" if len(self.files) > 1 else ""
        self.rejects.add(
            [
                BadRow(row + position, column, reason + place.format(within + position))
                for position, column, reason in parsed.bad
            ]
        )
        frame = parsed.frame
        if self.partitions:
            frame = frame.with_columns(
                pl.lit(series[index], dtype=series.dtype).alias(series.name) for series in self.partitions
            )
        if numbered:
            if parsed.kept is None:
                numbers = pl.int_range(row, row + frame.height, dtype=pl.UInt64, eager=True)
            else:
                numbers = pl.Series(parsed.kept, dtype=pl.UInt64) + row
            frame = frame.select(numbers.alias(ROW), pl.all())
        return frame


def _place(files: Sequence[DataFile]) -> str:
    return files[0].path.name if len(files) == 1 else f"{files[0].path.name} and {len(files) - 1} more files"
