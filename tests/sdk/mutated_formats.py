"""First-party formats with one fault each, for the conformance kit to find; see test_mutants_formats.py."""

import base64
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import polars as pl
from tailrace_format_csv import CsvFormat, CsvOptions
from tailrace_format_excel import ExcelFormat
from tailrace_format_json import JsonFormat

from tailrace import FileLayout, IntegrityError, OutgoingTable, RequestError, RereadCall, WriteCall, hookimpl, option

Frames = Callable[[pl.LazyFrame], pl.LazyFrame]


class Output:
    """Passes bytes on to another output, changed."""

    def __init__(self, output: Any, change: Callable[[bytes], bytes]) -> None:
        self._output = output
        self._change = change

    def write(self, data: Any, /) -> int:
        self._output.write(self._change(bytes(data)))
        return len(data)

    def flush(self) -> None:
        pass


class Mutant:
    """A format that does as another does, which may be wrapped once more."""

    def __init__(self, whole: Any) -> None:
        self._whole = whole
        self.summary = whole.summary
        self.options_type = whole.options_type

    @hookimpl
    def tailrace_format(self) -> "Mutant":
        return self

    def layout(self, options: Any) -> FileLayout:
        layout: FileLayout = self._whole.layout(options)
        return layout

    def write(self, call: WriteCall) -> None:
        self._whole.write(call)

    def count_rows(self, call: RereadCall) -> Mapping[str, int]:
        counts: Mapping[str, int] = self._whole.count_rows(call)
        return counts


class Changed(Mutant):
    """Changes the rows of each table."""

    def __init__(self, whole: Any, change: Frames) -> None:
        super().__init__(whole)
        self._change = change

    def write(self, call: WriteCall) -> None:
        tables = [attrs.evolve(table, frame=self._change(table.frame)) for table in call.tables]
        self._whole.write(attrs.evolve(call, tables=tables))


def texts(change: Callable[[pl.Expr], pl.Expr]) -> Frames:
    """Changes every text."""
    return lambda frame: frame.with_columns(change(pl.selectors.string()))


class WritesItsHeaderTwice(Mutant):
    def write(self, call: WriteCall) -> None:
        (table,) = call.tables
        call.output.write((",".join(table.frame.collect_schema()) + "\n").encode())
        self._whole.write(call)


class GoesByTheClock(Mutant):
    def write(self, call: WriteCall) -> None:
        self._whole.write(attrs.evolve(call, embedded={**call.embedded, "made": time.time_ns()}))


class WritesTheMoment(Mutant):
    def write(self, call: WriteCall) -> None:
        self._whole.write(attrs.evolve(call, embedded={**call.embedded, "made": str(call.moment)}))


class GoesByHashes(Mutant):
    def write(self, call: WriteCall) -> None:
        self._whole.write(attrs.evolve(call, embedded={**call.embedded, "id": hash("tables")}))


class SwallowsErrors(Mutant):
    def write(self, call: WriteCall) -> None:
        class Deaf(Output):
            def write(self, data: Any, /) -> int:
                try:
                    return super().write(data)
                except OSError:
                    return len(data)

        self._whole.write(attrs.evolve(call, output=Deaf(call.output, bytes)))


class IgnoresCancelling(Mutant):
    def write(self, call: WriteCall) -> None:
        try:
            self._whole.write(call)
        finally:
            time.sleep(2)


class CountsFromMemory(Mutant):
    _counts: Mapping[str, int] = {}

    def write(self, call: WriteCall) -> None:
        frames = [table.frame.collect() for table in call.tables]
        self._counts = {table.name: len(frame) for table, frame in zip(call.tables, frames, strict=True)}
        tables = [attrs.evolve(table, frame=frame.lazy()) for table, frame in zip(call.tables, frames, strict=True)]
        self._whole.write(attrs.evolve(call, tables=tables))

    def count_rows(self, call: RereadCall) -> Mapping[str, int]:
        for _block in call.blocks:
            pass
        return self._counts


class Prints(Mutant):
    def write(self, call: WriteCall) -> None:
        print("writing", [table.name for table in call.tables])  # noqa: T201 - that is its fault
        self._whole.write(call)


class CollectsTwice(Mutant):
    def write(self, call: WriteCall) -> None:
        for table in call.tables:
            table.frame.head(1).collect()
        self._whole.write(call)


class OverlooksDamage(Mutant):
    def count_rows(self, call: RereadCall) -> Mapping[str, int]:
        try:
            return super().count_rows(call)
        except IntegrityError:
            for _block in call.blocks:
                pass
            return dict.fromkeys(call.tables, 200)


class BreaksOnDamage(Mutant):
    def count_rows(self, call: RereadCall) -> Mapping[str, int]:
        try:
            return super().count_rows(call)
        except IntegrityError:
            raise KeyError from None


class StopsCounting(Mutant):
    def count_rows(self, call: RereadCall) -> Mapping[str, int]:
        first = next(call.blocks, b"")
        return dict.fromkeys(call.tables, first.count(b"\n") - 1)


class CollectsAll(Mutant):
    def write(self, call: WriteCall) -> None:
        kept: list[bytes] = []

        class Keeping(Output):
            def write(self, data: Any, /) -> int:
                kept.append(bytes(data))
                return len(data)

        self._whole.write(attrs.evolve(call, output=Keeping(call.output, bytes)))
        call.output.write(b"".join(kept))


class QuotesValues(Mutant):
    def write(self, call: WriteCall) -> None:
        frames = [table.frame.collect() for table in call.tables]
        try:
            self._whole.write(attrs.evolve(call, tables=lazily(call.tables, frames)))
        except RequestError as error:
            raise RequestError(f"{error.message} {[frame.to_dicts() for frame in frames]}") from None


class NamesNoColumn(Mutant):
    def write(self, call: WriteCall) -> None:
        try:
            self._whole.write(call)
        except RequestError:
            raise RequestError("There is a value that cannot be written.") from None


class LeavesFiles(Mutant):
    def write(self, call: WriteCall) -> None:
        tempfile.mkstemp(prefix="rows-")
        self._whole.write(call)


class HidesItsContent(Mutant):
    def write(self, call: WriteCall) -> None:
        self._whole.write(attrs.evolve(call, output=Output(call.output, lambda data: base64.b64encode(data) + b"\n")))

    def count_rows(self, call: RereadCall) -> Mapping[str, int]:
        content = b"".join(base64.b64decode(line) for line in b"".join(call.blocks).splitlines())
        return super().count_rows(attrs.evolve(call, blocks=iter([content])))


@attrs.frozen
class LockedOptions(CsvOptions):
    word: str = option("", help="Opens the file.", secret=True)


class Locked(Mutant):
    def __init__(self, whole: Any) -> None:
        super().__init__(whole)
        self.options_type = LockedOptions


class TellsItsSecret(Locked):
    def write(self, call: WriteCall) -> None:
        call.note(f"Locked by {call.options.word}.")
        super().write(call)


class TellsOfEverything(Mutant):
    def write(self, call: WriteCall) -> None:
        for table in call.tables:
            call.note(f"Values may have been changed in: {', '.join(table.frame.collect_schema())}.")
        self._whole.write(call)


class TellsNothing(Mutant):
    def write(self, call: WriteCall) -> None:
        self._whole.write(attrs.evolve(call, note=lambda _note: None))


def lazily(tables: Any, frames: list[pl.DataFrame]) -> list[OutgoingTable]:
    return [attrs.evolve(table, frame=frame.lazy()) for table, frame in zip(tables, frames, strict=True)]


CSV, JSON, EXCEL = CsvFormat(), JsonFormat(), ExcelFormat()

drops_the_last_row = Changed(CSV, lambda frame: frame.reverse().slice(1).reverse())
drops_rows_twice_the_same = Changed(CSV, lambda frame: frame.unique(maintain_order=True))
sorts_rows = Changed(CSV, lambda frame: frame.sort(pl.first(), descending=True))
takes_null_for_null = Changed(CSV, texts(lambda text: pl.when(text != "null").then(text)))
takes_empty_for_null = Changed(CSV, texts(lambda text: pl.when(text != "").then(text)))
strips_texts = Changed(CSV, texts(lambda text: text.str.strip_chars(" \t\n")))
normalises_texts = Changed(CSV, texts(lambda text: text.str.normalize("NFC")))
changes_line_ends = Changed(CSV, texts(lambda text: text.str.replace_all("\r\n", "\n")))
cuts_long_texts = Changed(CSV, texts(lambda text: text.str.slice(0, 30_000)))
rounds_numbers = Changed(CSV, lambda frame: frame.with_columns(pl.selectors.float().round(12)))
forgets_fractions = Changed(CSV, lambda frame: frame.with_columns(pl.selectors.datetime().dt.truncate("1s")))
dates_what_has_no_date = Changed(
    CSV,
    lambda frame: frame.with_columns(
        (pl.selectors.date() | pl.selectors.datetime()).cast(pl.String).fill_null("1800-01-01")
    ),
)
moves_days = Changed(CSV, lambda frame: frame.with_columns(pl.selectors.datetime().dt.offset_by("1d")))
turns_truths_around = Changed(CSV, lambda frame: frame.with_columns(pl.selectors.boolean().not_()))
excuses_blanks = TellsOfEverything(
    Changed(CSV, lambda frame: frame.with_columns(pl.when(pl.lit(value=False)).then(pl.selectors.integer())))
)
excuses_blanks_unread = excuses_blanks
takes_null_for_na = Changed(CSV, texts(lambda text: text.fill_null("N/A")))
writes_its_header_twice = WritesItsHeaderTwice(CSV)
goes_by_the_clock = GoesByTheClock(JSON)
goes_by_hashes = GoesByHashes(JSON)
writes_the_moment = WritesTheMoment(JSON)
reads_nothing = Mutant(EXCEL)
swallows_errors = SwallowsErrors(CSV)
ignores_cancelling = IgnoresCancelling(CSV)
counts_from_memory = CountsFromMemory(CSV)
prints = Prints(CSV)
collects_twice = CollectsTwice(CSV)
overlooks_damage = OverlooksDamage(CSV)
breaks_on_damage = BreaksOnDamage(CSV)
stops_counting = StopsCounting(CSV)
collects_all = CollectsAll(CSV)
quotes_values = QuotesValues(EXCEL)
names_no_column = NamesNoColumn(EXCEL)
leaves_files = LeavesFiles(CSV)
hides_its_content = HidesItsContent(CSV)
tells_nothing = TellsNothing(JSON)
locked = Locked(CSV)
tells_its_secret = TellsItsSecret(CSV)
imports_polars = Mutant(CSV)
