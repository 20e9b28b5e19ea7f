"""Standard tests of values of all types."""

import math
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tailrace import Column, Engine, Table
from tailrace_sdk.conformance.formats.base import FormatTests, Written
from tailrace_sdk.conformance.standard import standard
from tailrace_sdk.datasets import NESTED, VALUES

if TYPE_CHECKING:
    import polars as pl

_MEASURED = "measured"
_SINGLE = 1e-6


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
        """What differs in the data differs in the file, or is told in a note that names the column.

        Extremes of integers, all digits of decimals, fractions of seconds, the two hours of a night in autumn, null
        beside NaN: write them all, refuse them, or tell with ``call.note`` what was replaced.
        """
        kept = self._kept(engine)
        written = self.write(engine, _table(kept))
        found = self._columns(engine, written, kept, tmp_path)
        for name, values in kept.items():
            if written.tells_of(name):
                continue
            originals = dict.fromkeys(map(repr, values.to_physical().to_list()))
            if found is None:
                read: list[Any] = self._by_files(engine, name, values)
            elif found[name].dtype == values.dtype:
                assert found[name][: len(values)].equals(values.alias(found[name].name), null_equal=True), values.dtype
                continue
            else:
                read = found[name][: len(values)].to_list()
                _same_numbers(values, read)
            assert len(dict.fromkeys(map(repr, read))) == len(originals), f"{values.dtype}: {read}"

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


def _same_numbers(values: "pl.Series", read: list[Any]) -> None:
    """See that numbers read back as the numbers that they were, however they are spelt."""
    if not values.dtype.is_numeric():
        return
    for value, back in zip(values.to_list(), read, strict=True):
        if value is None:
            assert back is None, f"null of {values.dtype} came back as {back!r}"
        elif values.dtype.is_integer() or isinstance(value, Decimal):
            assert Decimal(str(back)) == value
        else:
            # What is single is spelt with the digits of a single.
            exact = _SINGLE if str(values.dtype) == "Float32" else 0.0
            assert math.isnan(value) or math.isclose(float(back), value, rel_tol=exact, abs_tol=0.0)
