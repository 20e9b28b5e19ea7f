"""The sources of Tailrace with one fault each, and the conformance classes that are to find it.

Tests of the kit run them in a pytest of their own, which has this folder on its import path.
"""

import hashlib
import importlib
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, cast

import attrs
import polars as pl
from tailrace_sdk.conformance import SourceConformance

from tailrace import (
    Column,
    Context,
    CredentialMode,
    Dataset,
    Partition,
    PartitionedSource,
    Secrets,
    Source,
    SourceCall,
    SourceError,
    Table,
    TimeRange,
    filter_expression,
    hookimpl,
)

LEAKED: list[int] = []


class Mutant:
    """A source that works, with what a subclass changes about it; the plugin and the source in one."""

    of: ClassVar[str] = "tailrace_source_analytics"
    plugin: ClassVar["Mutant"]

    def __init_subclass__(cls) -> None:
        cls.plugin = cls()

    @hookimpl
    def tailrace_source(self) -> Source:
        return self

    @property
    def real(self) -> Source:
        return cast("Source", importlib.import_module(self.of).tailrace_source())

    @property
    def summary(self) -> str:
        return self.real.summary

    @property
    def options_type(self) -> type:
        return self.real.options_type

    @contextmanager
    def open(self, call: SourceCall) -> Iterator[Dataset]:
        with self.real.open(self.asked(call)) as dataset:
            yield self.made(dataset, call)

    def asked(self, call: SourceCall) -> SourceCall:
        return call

    def made(self, dataset: Dataset, call: SourceCall) -> Dataset:
        return attrs.evolve(dataset, tables=[self.table(table, call) for table in dataset.tables])

    def table(self, table: Table, call: SourceCall) -> Table:
        return table


class OfHealth(Mutant):
    of = "tailrace_source_health"


class OfPool(Mutant):
    of = "tailrace_source_pool"


class IgnoresTheRange(OfHealth):
    def asked(self, call: SourceCall) -> SourceCall:
        return attrs.evolve(call, window=None)


class IgnoresFilters(OfHealth):
    def asked(self, call: SourceCall) -> SourceCall:
        return attrs.evolve(call, where=())


class EndsTheRangeLate(OfHealth):
    def asked(self, call: SourceCall) -> SourceCall:
        if call.window is None:
            return call
        until = call.window.until.replace(microsecond=999_999)
        return attrs.evolve(call, window=TimeRange(call.window.since, until))


class BeginsTheRangeLate(Mutant):
    def table(self, table: Table, call: SourceCall) -> Table:
        if call.window is None or call.window.since is None:
            return table
        return attrs.evolve(table, frame=table.frame.filter(pl.col("timestamp") > call.window.since))


class LosesTheLastRow(Mutant):
    def table(self, table: Table, call: SourceCall) -> Table:
        height = table.frame.collect().height
        return attrs.evolve(table, frame=table.frame.head(max(0, height - 1)))


class LetsAPasswordThroughInANote(OfPool):
    def made(self, dataset: Dataset, call: SourceCall) -> Dataset:
        assert dataset.secrets is not None
        quoted = next((text for text in sorted(dataset.secrets().texts) if len(text) > 5), "")
        return attrs.evolve(dataset, notes=[*dataset.notes, f"Removed {quoted}."])


class KeepsAPasswordInARow(OfPool):
    def table(self, table: Table, call: SourceCall) -> Table:
        lines = [line for line in (call.folder / call.location).read_text().splitlines() if line[:1] != "#"]
        frame = table.frame.with_columns(pl.lit(lines[0] if lines else "").alias("url"))
        return attrs.evolve(table, frame=frame)


class TellsNothingOfWhatItKeptOut(OfPool):
    def made(self, dataset: Dataset, call: SourceCall) -> Dataset:
        return attrs.evolve(dataset, secrets=lambda: Secrets(()))


class MakesIdsOfItsOwn(OfPool):
    def asked(self, call: SourceCall) -> SourceCall:
        def own(*parts: str) -> str:
            return "ref-" + hashlib.sha256("".join(parts).encode()).hexdigest()[:20]

        return attrs.evolve(call, reference=own)


class SanitizesWhatIsAskedForInFull(Mutant):
    def asked(self, call: SourceCall) -> SourceCall:
        return attrs.evolve(call, credentials=CredentialMode.SANITIZED)


class HasAnotherOrderEachTime(Mutant):
    def table(self, table: Table, call: SourceCall) -> Table:
        return attrs.evolve(table, frame=table.frame.collect().sample(fraction=1.0, shuffle=True).lazy())


class GoesThroughASet(Mutant):
    def table(self, table: Table, call: SourceCall) -> Table:
        frame = table.frame.collect()
        order = {note: at for at, note in enumerate(set(frame["note"]))}
        return attrs.evolve(table, frame=frame.sort(pl.col("note").replace_strict(order)).lazy())


class TakesTimesForLocal(Mutant):
    def table(self, table: Table, call: SourceCall) -> Table:
        offset = datetime(2029, 1, 1, tzinfo=UTC).astimezone().utcoffset()
        return attrs.evolve(table, frame=table.frame.with_columns(pl.col("timestamp") - offset))


class DoesNotSayThatItIsUtc(Mutant):
    def table(self, table: Table, call: SourceCall) -> Table:
        return attrs.evolve(table, frame=table.frame.with_columns(pl.col("timestamp").dt.replace_time_zone(None)))


class CountsTheFrameThatItHandsOver(Mutant):
    def table(self, table: Table, call: SourceCall) -> Table:
        frame = table.frame
        return attrs.evolve(table, count_rows=lambda: int(frame.select(pl.len()).collect().item()))


class ForgetsBadRowsInItsCount(Mutant):
    def table(self, table: Table, call: SourceCall) -> Table:
        count = cast("Callable[[], int]", table.count_rows)
        return attrs.evolve(table, count_rows=lambda: count() - table.bad_rows.count)


class SeesWhatIsWrittenLater(OfPool):
    def table(self, table: Table, call: SourceCall) -> Table:
        from polars.io.plugins import register_io_source

        schema = table.frame.collect_schema()

        def read(columns: list[str] | None, *_more: Any) -> Iterator[pl.DataFrame]:
            with self.real.open(call) as dataset:
                yield dataset.tables[0].frame.select(columns or list(schema)).collect()

        return attrs.evolve(table, frame=register_io_source(read, schema=schema))


class KeepsWhatItReadOnce(OfPool):
    def __init__(self) -> None:
        self.read: dict[str, pl.DataFrame] = {}

    def table(self, table: Table, call: SourceCall) -> Table:
        place = str(call.folder / call.location)
        if place not in self.read:
            self.read[place] = table.frame.collect()
        return attrs.evolve(table, frame=self.read[place].lazy(), count_rows=lambda: self.read[place].height)


class Partitioned(Mutant):
    def partitions(self, call: SourceCall, most: int) -> Sequence[Partition]:
        real = self.real
        assert isinstance(real, PartitionedSource)
        return self.changed(list(real.partitions(call, most)))

    def changed(self, parts: list[Partition]) -> Sequence[Partition]:
        return parts


class HasPartsThatOverlap(Partitioned):
    def changed(self, parts: list[Partition]) -> Sequence[Partition]:
        return [*parts[:-1], parts[0]]


class LosesAPart(Partitioned):
    def changed(self, parts: list[Partition]) -> Sequence[Partition]:
        return parts[:1] if len(parts) > 2 else parts


class TakesAnyPartForEverything(Partitioned):
    def asked(self, call: SourceCall) -> SourceCall:
        return attrs.evolve(call, partition=None)


class LosesRowsOfTheRangeInParts(Partitioned):
    def table(self, table: Table, call: SourceCall) -> Table:
        if call.partition is None or call.window is None:
            return table
        early = call.window.until - timedelta(seconds=1)
        return attrs.evolve(table, frame=table.frame.filter(pl.col("timestamp") < early))


class HasNoTablesInParts(Partitioned):
    def made(self, dataset: Dataset, call: SourceCall) -> Dataset:
        return attrs.evolve(dataset, tables=[]) if call.partition and call.tables else dataset


class LetsPasswordsThroughInParts(Partitioned):
    def table(self, table: Table, call: SourceCall) -> Table:
        if call.partition is None:
            return table
        start, stop = call.partition["start"], call.partition["stop"]
        log = pl.read_csv(call.folder / call.location, infer_schema=False)
        return attrs.evolve(table, frame=table.frame.with_columns(log["endpoint"][start:stop]))


class RestrictsItself(Partitioned):
    """No mutant yet: a source that splits, and applies ranges and filters itself, as no real one does both."""

    def made(self, dataset: Dataset, call: SourceCall) -> Dataset:
        return attrs.evolve(dataset, tables=[self.table(table, call) for table in dataset.tables], restricted=True)

    def table(self, table: Table, call: SourceCall) -> Table:
        frame, schema = table.frame, table.frame.collect_schema()
        for text in call.where:
            frame = frame.filter(filter_expression(text, schema, now=call.moment, time_zone=call.time_zone))
        if call.window is not None and call.window.since is not None:
            frame = frame.filter(pl.col("timestamp") >= call.window.since)
        if call.window is not None:
            frame = frame.filter(pl.col("timestamp") < call.window.until)
        return attrs.evolve(table, frame=frame)


class ForgetsFiltersInParts(RestrictsItself):
    def table(self, table: Table, call: SourceCall) -> Table:
        return super().table(table, call if call.partition is None else attrs.evolve(call, where=()))


class ReadsFromItsWorkingFolder(Mutant):
    def asked(self, call: SourceCall) -> SourceCall:
        return attrs.evolve(call, folder=Path())


class LeaksADescriptor(Mutant):
    def asked(self, call: SourceCall) -> SourceCall:
        LEAKED.append(os.open(call.folder / call.location, os.O_RDONLY))
        return call


class TouchesWhatItReads(Mutant):
    def made(self, dataset: Dataset, call: SourceCall) -> Dataset:
        (call.folder / call.location).touch()
        return dataset


class LeavesAFileBeside(Mutant):
    def made(self, dataset: Dataset, call: SourceCall) -> Dataset:
        (call.folder / f"{call.location}.index").write_text("0")
        return dataset


class QuotesWhatItCannotRead(OfPool):
    @contextmanager
    def open(self, call: SourceCall) -> Iterator[Dataset]:
        try:
            with self.real.open(call) as dataset:
                yield dataset
        except SourceError as error:
            content = (call.folder / call.location).read_text(errors="replace")
            raise SourceError(f"{error.message} It says: {content[-80:]!r}.", hint=error.hint) from None


class TakesWhatItCannotReadForEmpty(OfPool):
    @contextmanager
    def open(self, call: SourceCall) -> Iterator[Dataset]:
        try:
            with self.real.open(call) as dataset:
                yield dataset
        except SourceError:
            yield Dataset([Table("proxies", pl.LazyFrame({"host": []}, schema={"host": pl.String}), [Column("host")])])


class Trims(Mutant):
    def table(self, table: Table, call: SourceCall) -> Table:
        return attrs.evolve(table, frame=table.frame.with_columns(pl.col(pl.String).str.strip_chars()))


class SamplesWhatIsNotThere(Mutant):
    def table(self, table: Table, call: SourceCall) -> Table:
        sample = cast("Callable[[int], pl.DataFrame]", table.sample)
        return attrs.evolve(table, sample=lambda n: sample(n).with_columns(pl.lit("sample").alias("note")))


class DescribesColumnsInAnotherOrder(Mutant):
    def table(self, table: Table, call: SourceCall) -> Table:
        return attrs.evolve(table, columns=random.Random(3).sample(list(table.columns), len(table.columns)))


class Prints(Mutant):
    def made(self, dataset: Dataset, call: SourceCall) -> Dataset:
        print(f"reading {call.location}")  # noqa: T201 - the fault
        return dataset


class HearsNobody(Mutant):
    def asked(self, call: SourceCall) -> SourceCall:
        time.sleep(1.2)
        return attrs.evolve(call, context=Context())


class KeepsEverythingInMemory(Mutant):
    def table(self, table: Table, call: SourceCall) -> Table:
        return attrs.evolve(table, frame=table.frame.collect().lazy())


class KeepsWhatIsOpenInItself(OfPool):
    def __init__(self) -> None:
        self.frames: dict[str, pl.DataFrame] = {}

    @contextmanager
    def open(self, call: SourceCall) -> Iterator[Dataset]:
        with self.real.open(call) as dataset:
            table = dataset.tables[0]
            self.frames["proxies"] = table.frame.collect()
            yield attrs.evolve(
                dataset,
                tables=[
                    attrs.evolve(
                        table, frame=pl.defer(lambda: self.frames["proxies"], schema=table.frame.collect_schema())
                    )
                ],
            )


_sources = importlib.import_module("test_conformance_sources")
TestCsvLog, TestHealth, TestProxyList = _sources.TestCsvLog, _sources.TestHealth, _sources.TestProxyList
TestSqliteLog = _sources.TestSqliteLog


class TestRestrictingLog(TestCsvLog):  # type: ignore[misc, valid-type]  # a class of a module that is loaded by name
    target = "mutant_sources:RestrictsItself.plugin"
    installed = False
    restricts = True

    def chosen(self, numbers: Sequence[int]) -> tuple[str, Sequence[int]]:
        return "not success", [number for number in numbers if number % 7 == 0]


WHOLE = {Mutant, OfHealth, OfPool, Partitioned, RestrictsItself}
"""Those that have no fault."""

MUTANTS: Mapping[type[Mutant], type[SourceConformance]] = {
    mutant: TestRestrictingLog
    if issubclass(mutant, RestrictsItself)
    else {"tailrace_source_analytics": TestCsvLog, "tailrace_source_health": TestHealth}.get(mutant.of, TestProxyList)
    for mutant in list(vars().values())
    if isinstance(mutant, type) and issubclass(mutant, Mutant) and mutant not in WHOLE
}
"""Which conformance class each is to be found by."""

for _mutant, _conformance in {**MUTANTS, KeepsEverythingInMemory: TestSqliteLog}.items():
    _members = {"target": f"mutant_sources:{_mutant.__name__}.plugin", "installed": False}
    vars()[f"Test{_mutant.__name__}"] = type(f"Test{_mutant.__name__}", (_conformance,), _members)
