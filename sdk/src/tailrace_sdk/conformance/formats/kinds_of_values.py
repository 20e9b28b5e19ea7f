"""Standard tests of values of all types."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tailrace import Column, Engine, Table
from tailrace_sdk.conformance.formats.base import FormatTests, Written
from tailrace_sdk.conformance.formats.reading_back import assert_reads_back, hard_ones
from tailrace_sdk.conformance.standard import standard
from tailrace_sdk.datasets import NESTED, VALUES

if TYPE_CHECKING:
    import polars as pl

_MEASURED = "measured"


class ValueTests(FormatTests):
    """Values of all types of polars, with their extremes."""

    @standard()
    def test_values_are_written_or_refused(self, engine: Engine) -> None:
        """Columns of every type are written, or refused with a RequestError that names the column.

        Refuse by the schema where the type cannot be held at all, and while rows pass where single values cannot.
        """
        kept = self._kept(engine)
        assert kept, "It refuses every type."
        table = _table(kept)
        written = self.write(engine, table)
        rows = table.count_rows() if table.count_rows else 0
        assert self.count(engine, written, thorough=False) == {"rows": rows}
        assert self.count(engine, written) == {"rows": rows}

    @standard()
    def test_values_that_differ_stay_different(self, engine: Engine, tmp_path: Path) -> None:
        """What differs in the data differs in the file, and null is null; a note excuses what is hard to hold.

        Extremes of integers, all digits of decimals, fractions of seconds, the two hours of a night in autumn, NaN and
        infinities: write them all, refuse them, or tell with ``call.note`` what was replaced, and in which column.
        Nothing excuses that an ordinary value is another, or is gone; see ``reading_back.hard_ones``.

        Texts of moments have the digits of their day and minute, here or in UTC, and null reads back as null.
        """
        import polars as pl

        kept = self._kept(engine)
        written = self.write(engine, _table(kept))
        found = self._columns(engine, written, kept, tmp_path)
        for name, values in kept.items():
            excused = written.tells_of(name)
            if found is not None:
                assert_reads_back(values, found[name][: len(values)], excused=excused)
                continue
            hard = hard_ones(values) if excused else [False] * len(values)
            compared = values.filter(pl.Series([not one for one in hard], dtype=pl.Boolean))
            originals = set(map(repr, compared.to_physical().to_list()))
            assert len(set(self._by_files(engine, name, compared))) == len(originals), values.dtype

    @pytest.mark.parametrize("kind", NESTED)
    @standard()
    def test_nested_values_are_written_where_it_says_so(self, engine: Engine, kind: str) -> None:
        """Lists and structs are written by a format that claims ``nested``, and refused by name by others.

        Arrays of a fixed size may be refused by either.

        Look at the schema before the first row is written, and at what is inside of such a type.
        """
        values = NESTED[kind]()
        written = self.written_or_refused(engine, _table({_MEASURED: values}), _MEASURED)
        assert (written is not None) is self.nested or (kind == "Array" and written is None)
        if written is not None:
            assert self.count(engine, written) == {"rows": len(values)}

    def _kept(self, engine: Engine) -> "dict[str, pl.Series]":
        """The columns that are not refused, under names of which none is part of another."""
        columns = {f"column_{number:02}_": make() for number, make in enumerate(VALUES.values())}
        if self.written_or_refused(engine, _table(columns), *columns) is not None:
            return columns
        return {
            name: values
            for name, values in columns.items()
            if self.written_or_refused(engine, _table({name: values}), name) is not None
        }

    def _columns(
        self, engine: Engine, written: Written, kept: "Mapping[str, pl.Series]", folder: Path
    ) -> "dict[str, pl.Series] | None":
        """The values of each column as another reads them; None where nobody does."""
        path = folder / f"file.{self.layout(engine).extension}"
        path.write_bytes(written.content)
        found = self.read_back(engine, path)
        if found is None:
            return None
        frame = found["rows"] if "rows" in found else next(iter(found.values()))
        # By their place: a header may say more than the name.
        return {name: frame.to_series(place) for place, name in enumerate(kept, start=1)}

    def _by_files(self, engine: Engine, name: str, values: "pl.Series") -> list[bytes]:
        """A file for each value, where nobody reads them."""
        return [self.write(engine, _table({name: values.slice(number, 1)})).content for number in range(len(values))]


def _table(columns: "Mapping[str, pl.Series]") -> Table:
    """A table of these columns behind the numbers of rows; the shorter ones are filled up with null."""
    import polars as pl

    rows = max(map(len, columns.values()))
    whole = [values.extend_constant(None, rows - len(values)).alias(name) for name, values in columns.items()]
    frame = pl.DataFrame([pl.Series("row", range(rows)), *whole])
    return Table("rows", frame.lazy(), [Column(name) for name in frame.columns], count_rows=lambda: rows)
