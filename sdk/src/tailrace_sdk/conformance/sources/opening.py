"""Opening a source as the engine does, without the engine: by the standard tests, and in processes of their own."""

import hashlib
import hmac
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from tailrace import (
    Context,
    CredentialMode,
    Dataset,
    Engine,
    PartitionedSource,
    Source,
    SourceCall,
    Table,
    TimeRange,
    build_options,
)
from tailrace_sdk.conformance.sources.placed import Placed

if TYPE_CHECKING:
    import polars as pl

MOMENT = datetime(2030, 1, 1, tzinfo=UTC)
"""When the exports of these tests begin: after everything that is in the data."""


def reference_by(key: bytes) -> Any:
    """What makes ids that stand for secrets, under a key."""

    def reference(*parts: str) -> str:
        return "ref-" + hmac.new(key, "\0".join(parts).encode(), hashlib.sha256).hexdigest()[:20]

    return reference


@attrs.frozen
class Opener:
    """Opens one source, at any place.

    Args:
        engine: Has its plugin, and those of the sources that it is made of.
        name: Its name.
        options: Options that it always has, by name.
    """

    engine: Engine
    name: str
    options: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def source(self) -> Source:
        """The source itself."""
        return self.engine.registry.source(self.name).object

    def call(self, placed: Placed, folder: Path, **more: Any) -> SourceCall:
        """What the engine would ask.

        Args:
            placed: Where to read.
            folder: The folder that relative locations count from.
            more: Further arguments of :class:`tailrace.SourceCall`.
        """
        given = {**self.options, **placed.options}
        call = SourceCall(
            **{
                "location": placed.location,
                "options": build_options(self.source.options_type, given, owner=self.name),
                "credentials": CredentialMode.SANITIZED,
                "moment": MOMENT,
                "window": None,
                "reference": reference_by(b"one"),
                "context": Context(),
                "folder": folder,
                **more,
            }
        )

        def open_source(
            name: str,
            location: str,
            options: Mapping[str, Any],
            *,
            window: TimeRange | None = None,
            tables: Collection[str] | None = None,
        ) -> AbstractContextManager[Dataset]:
            other = self.engine.registry.source(name).object
            built: Any = build_options(other.options_type, options, owner=name)
            asked: dict[str, Any] = {
                "location": location,
                "options": built,
                "where": (),
                "open_source": None,
                "tables": tables,
            }
            return other.open(attrs.evolve(call, window=window or call.window, **asked))

        return attrs.evolve(call, open_source=open_source)

    @contextmanager
    def opened(self, placed: Placed, folder: Path, **more: Any) -> Iterator[Dataset]:
        """The data at a place; arguments as for :meth:`call`."""
        with self.source.open(self.call(placed, folder, **more)) as dataset:
            yield dataset

    def read(self, placed: Placed, folder: Path, **more: Any) -> "dict[str, pl.DataFrame]":
        """All tables at a place in full, by name; arguments as for :meth:`call`.

        What the range and filters of the call leave out is left out, whoever has to do it.
        """
        call = self.call(placed, folder, **more)
        with self.source.open(call) as dataset:
            return {table.name: rows_of(table, dataset, call).collect() for table in dataset.tables}

    def tokens(self, call: SourceCall, most: int) -> list[tuple[Mapping[str, Any], int | None]]:
        """The tokens of the parts that a request splits into, with their rows."""
        source = self.source
        assert isinstance(source, PartitionedSource)
        return [(part.token, part.rows) for part in source.partitions(call, most)]


def opener_of(name: str, target: str, options: Mapping[str, Any], others: Mapping[str, str]) -> Opener:
    """What opens a source, in any process.

    Args:
        name: Its name.
        target: What its entry point names.
        options: Options that it always has.
        others: What the entry points of the sources name that it is made of, by their names.
    """
    plugins = [(each, imported(where)) for each, where in {name: target, **others}.items()]
    return Opener(Engine(plugins=plugins, discover=False), name, options)


def imported(target: str) -> object:
    """What ``"package.module"`` or ``"package.module:object"`` names."""
    import importlib

    module, _, attribute = target.partition(":")
    found: object = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        found = getattr(found, part)
    return found


def rows_of(table: Table, dataset: Dataset, call: SourceCall) -> "pl.LazyFrame":
    """The rows of a table that are inside of the range asked for, whether the source or the engine sees to that."""
    import polars as pl

    if dataset.restricted or call.window is None or table.time_column is None:
        return table.frame
    times = pl.col(table.time_column)
    inside = table.frame if call.window.since is None else table.frame.filter(times >= call.window.since)
    return inside.filter(times < call.window.until)


def digest(frames: "Mapping[str, pl.DataFrame]") -> dict[str, str]:
    """A digest of each table: its columns, types, and rows in their order."""
    return {
        name: hashlib.sha256(f"{frame.schema}\n{text_of(frame)}".encode()).hexdigest() for name, frame in frames.items()
    }


def text_of(frame: "pl.DataFrame") -> str:
    """All that is in a frame, a row a line."""
    import polars as pl

    return frame.with_columns(pl.selectors.binary().bin.encode("hex")).write_ndjson()
