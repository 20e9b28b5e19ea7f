"""What a source hands to the engine: named tables and, optionally, a report."""

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import attrs

from tailrace.model.columns import Column, Meaning
from tailrace.model.report import Report

if TYPE_CHECKING:
    import polars as pl


@attrs.frozen
class BadRow:
    """A row that could not be read, and why; never the value itself.

    Args:
        row: Its position, from 1, where that is known.
        column: The column that cannot be read, where that is known.
        reason: What is wrong with it.
    """

    row: int | None
    column: str | None
    reason: str


@attrs.define
class BadRows:
    """Rows that were left out because they cannot be read, counted and (the first of them) listed.

    Safe to add to from several threads; polars calls back from its own.

    Args:
        keep: How many are listed; all are counted.
        count: How many there are by now.
    """

    keep: int = 100
    count: int = attrs.field(default=0, init=False)
    _examples: list[BadRow] = attrs.field(factory=list, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False, eq=False)

    def add(self, examples: Sequence[BadRow], *, count: int | None = None) -> None:
        """Add rows; ``count`` when there are more of them than examples given."""
        with self._lock:
            self.count += len(examples) if count is None else count
            self._examples = sorted(
                [*self._examples, *examples], key=lambda bad: (bad.row is None, bad.row or 0, bad.column or "")
            )[: self.keep]

    @property
    def examples(self) -> tuple[BadRow, ...]:
        """The first ``keep`` of them, by row."""
        return tuple(self._examples)


@attrs.frozen
class SealedColumns:
    """What is sealed in a table, in credential mode ``full``.

    Args:
        columns: Columns that may hold sealed values.
        bound_to: The columns that a row is known by; a sealed value opens only beside the same values of them.
    """

    columns: tuple[str, ...]
    bound_to: tuple[str, ...]


@attrs.frozen
class Secrets:
    """What must not be found in an export without credentials: the engine searches the finished file for it.

    Args:
        texts: The secrets in clear, or, as a mapping, what kind of secret each is (``"password"``) by its text.
        public: Texts that a file may hold although a secret is contained in them: hosts of a pool, words that a column
            may always hold. Names of tables and columns need not be told.
    """

    texts: Collection[str] = attrs.field(repr=False)
    public: Collection[str] = attrs.field(default=(), repr=False)


def _columns(columns: Iterable[Column]) -> tuple[Column, ...]:
    return tuple(columns)


@attrs.frozen
class Table:
    """A table on its way: a lazy frame, and what its columns mean.

    Timestamps in ``frame`` are ``Datetime`` with time zone UTC. Rows come in an order that is the same each time the
    same data is read.

    Args:
        name: Name of the table, also the key of its rows in a JSON document (``"proxies"``).
        frame: The rows, lazily; collecting it reads from the source's snapshot.
        columns: One entry per column of ``frame``, in the same order.
        count_rows: Counts the rows of the snapshot independently of reading them (``SELECT count(*)``, Parquet
            metadata). Called after the table was written, while the source is still open. None: there is no such way.
        sample: Returns up to n rows, spread over the table where that is cheap, for estimates. None: the first n.
        bad_rows: Where rows go that cannot be read, if the source was told to report them.
        time_column: Name of the column that time ranges apply to, if any.
        sealed: What the source sealed, in credential mode ``full``.
    """

    name: str
    frame: "pl.LazyFrame" = attrs.field(repr=False)
    columns: Sequence[Column] = attrs.field(converter=_columns)
    count_rows: Callable[[], int] | None = attrs.field(default=None, repr=False)
    sample: "Callable[[int], pl.DataFrame] | None" = attrs.field(default=None, repr=False)
    bad_rows: BadRows = attrs.field(factory=BadRows)
    time_column: str | None = None
    sealed: SealedColumns | None = None

    def meaning(self, column: str) -> Meaning:
        """The meaning of a column, TEXT where the source did not say."""
        return next((known.meaning for known in self.columns if known.name == column), Meaning.TEXT)


def _tables(tables: Iterable[Table]) -> tuple[Table, ...]:
    return tuple(tables)


def _notes(notes: Iterable[str]) -> tuple[str, ...]:
    return tuple(notes)


@attrs.frozen
class Dataset:
    """Everything a source offers for one export, from one consistent snapshot.

    Args:
        tables: The tables; at least one, unless there is a report.
        report: What a document format draws.
        version: Version of the source's data format (``"proxywhirl-sqlite"``, ``"squid"`` …).
        notes: What the source recognised or decided, in sentences for people and the manifest.
        restricted: Whether the source itself applied the range and the filters of its call to all that it read, so that
            tables and report are about the same; the engine then does not apply them to the tables.
        secrets: Tells what was removed or replaced, in modes other than ``full``. Asked after all rows have passed,
            while the source is still open; not asked by an estimate. None: the source knows of no secrets.
        private: Whether what polars raises while the tables are read may quote secrets: its texts are then told nobody.
    """

    tables: Sequence[Table] = attrs.field(converter=_tables)
    report: Report | None = None
    version: str = ""
    notes: Sequence[str] = attrs.field(default=(), converter=_notes)
    restricted: bool = False
    secrets: Callable[[], Secrets] | None = attrs.field(default=None, repr=False)
    private: bool = False
