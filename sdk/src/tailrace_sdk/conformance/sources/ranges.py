"""Standard tests of sources: time ranges and filters, which must never cost a row that belongs."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from tailrace import TimeRange
from tailrace_sdk.conformance.sources.case import SOME, SourceCase
from tailrace_sdk.conformance.sources.opening import Opener, digest
from tailrace_sdk.conformance.standard import standard


class RangeTests(SourceCase):
    """What a source does with ranges and filters."""

    @standard(needs="time_ranges")
    def test_every_row_of_the_range_comes_out_and_no_other(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """A range begins with its first moment and ends before ``until``: every row inside comes out, and no other.

        For a source that does not restrict, ``call.window`` is a hint to read less, and the engine filters: whatever is
        skipped must not cost a row that belongs. One that restricts (``Dataset.restricted``) gives what it would give
        if there were no other rows in the data. Mind rows at the very beginning and end, to the microsecond.
        """
        whole = make("whole")
        placed = self.place(whole, SOME)
        for number, (what, window) in enumerate(self._windows().items()):
            inside = [row for row in SOME if within(self.moment(row), window.since, window.until)]
            folder = make(f"inside-{number}")
            only = self.place(folder, inside)
            read = opener.read(placed, whole, window=window)
            if self.restricts:
                assert digest(read) == digest(opener.read(only, folder, window=window)), what
                continue
            with opener.opened(placed, whole) as dataset:
                timed = {table.name: table.time_column for table in dataset.tables if table.time_column}
                everything = {table.name: table.frame.collect() for table in dataset.tables}
            for name, frame in everything.items():
                expected = frame
                if name in timed:
                    mask = [at is not None and within(at, window.since, window.until) for at in frame[timed[name]]]
                    expected = frame.filter(mask)
                assert digest({name: read[name]}) == digest({name: expected}), f"table {name}, {what}"
            assert any(read[name].height == len(inside) for name in timed), (
                f"no table has the rows of the range: {what}"
            )

    @standard(needs="restricts")
    def test_a_filter_keeps_the_rows_that_it_means_and_no_other(
        self, opener: Opener, make: Callable[[str], Path]
    ) -> None:
        """With filters, everything is as if the data had only the rows that they keep.

        Read them with ``tailrace.filter_expression``, and apply them to all that is read before anything is made of it.
        """
        whole, folder = make("whole"), make("kept")
        text, kept = self.chosen(SOME)
        assert 0 < len(kept) < len(SOME), "chosen() keeps all rows, or none: nothing would be seen"
        read = opener.read(self.place(whole, SOME), whole, where=(text,))
        assert digest(read) == digest(opener.read(self.place(folder, kept), folder))

    @standard(needs="restricts")
    def test_a_filter_that_cannot_be_is_refused(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """A filter by a column that is not there, or that cannot be read, is an error, and does not keep everything.

        ``tailrace.filter_expression`` raises it.
        """
        import pytest

        from tailrace import RequestError

        folder = make("data")
        placed = self.place(folder, SOME)
        for text in ("no_such_column_anywhere == 1", "this is no filter =="):
            with pytest.raises(RequestError):
                opener.read(placed, folder, where=(text,))

    def _windows(self) -> dict[str, TimeRange]:
        """Ranges by what is special to them."""
        tick = timedelta(microseconds=1)
        at: list[datetime] = [self.moment(number) for number in SOME]
        middle = len(SOME) // 2
        return {
            "from one row to before another": TimeRange(at[40], at[middle]),
            "without a beginning": TimeRange(None, at[middle]),
            "a microsecond behind one row to a microsecond behind another": TimeRange(at[40] + tick, at[middle] + tick),
            "everything, to the microsecond": TimeRange(at[0], at[-1] + tick),
            "one row alone": TimeRange(at[middle], at[middle] + tick),
            "nothing, behind the last row": TimeRange(at[-1] + tick, at[-1] + timedelta(days=1)),
        }


def within(moment: datetime, since: datetime | None, until: datetime) -> bool:
    """Whether a moment is inside of a range, as :class:`tailrace.TimeRange` has it."""
    return (since is None or since <= moment) and moment < until
