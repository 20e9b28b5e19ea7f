"""How columns of SQLite become columns of polars, exactly or not at all.

SQLite checks types per value, not per column: what a column declares only sets a preference ("affinity"). The driver in
turn takes each column's type from the rows of its first batch: there it widens (and loses digits on the way), later it
converts or fails. So a table is read by queries that each fit into the driver's first batch:

- the *quick* form renders values so that one that does not fit changes the type of its column. A result of the types
  expected holds nothing but exact values.
- The *careful* form reads what the quick one found unsound, and what has to come in more than one batch. It takes only
  values that fit, says beside each column what did not, and begins with a row of typed literals, the *sentinel*.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from tailrace.reading.misfits import Decoded, Misfit, checked_text

if TYPE_CHECKING:
    import polars as pl

EXACT = 2**53
"""Integers up to here, either way, are exact as floating-point numbers."""

_TEXT_AFFINITY = ("CHAR", "CLOB", "TEXT")


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def declared_type(declared: str) -> "type[pl.DataType] | None":
    """The polars type that a declared column type promises; None where only the stored values can tell.

    The order of the tests is SQLite's own. ``DATETIME`` and the like are text, as applications store them.
    """
    import polars as pl

    name = declared.upper()
    if "INT" in name:
        # SQLite takes FLOATING POINT for an integer type; whoever declared it did not.
        return None if "POINT" in name else pl.Int64
    promises: tuple[tuple[tuple[str, ...], type[pl.DataType]], ...] = (
        (_TEXT_AFFINITY, pl.String),
        (("BLOB",), pl.Binary),
        (("REAL", "FLOA", "DOUB"), pl.Float64),
        (("BOOL",), pl.Boolean),
        (("DATE", "TIME"), pl.String),
    )
    return next((dtype for words, dtype in promises if any(word in name for word in words)), None)


@attrs.frozen
class Kinds:
    """Which kinds of values a column holds.

    Args:
        integers: Integers.
        inexact: Integers beyond :data:`EXACT`.
        reals: Floating-point numbers.
        texts: Texts.
        blobs: Blobs.
    """

    integers: bool
    inexact: bool
    reals: bool
    texts: bool
    blobs: bool

    @staticmethod
    def found_in(name: str) -> tuple[str, ...]:
        """SQL that finds the kinds in a column: one aggregate per field of this class, 0 or 1."""
        column = quoted(name)
        conditions = (
            f"typeof({column}) = 'integer'",
            f"typeof({column}) = 'integer' AND {column} NOT BETWEEN -{EXACT} AND {EXACT}",
            f"typeof({column}) = 'real'",
            f"typeof({column}) = 'text'",
            f"typeof({column}) = 'blob'",
        )
        return tuple(f"coalesce(max({condition}), 0)" for condition in conditions)

    @property
    def narrowest(self) -> "type[pl.DataType]":
        """The narrowest type that holds them all exactly; blobs beside anything else do not fit."""
        import polars as pl

        if self.blobs and not (self.integers or self.reals or self.texts):
            return pl.Binary
        if self.texts or (self.reals and self.inexact) or not (self.integers or self.reals):
            return pl.String
        return pl.Float64 if self.reals else pl.Int64


@attrs.frozen
class StoredColumn:
    """A column of a table or view, and the polars type that it is read as.

    Args:
        name: Its name.
        declared: Its declared type.
        dtype: ``pl.Int64``, ``pl.Float64``, ``pl.String``, ``pl.Boolean`` or ``pl.Binary``.
        converted: Whether SQLite converted the values to the declared type when they were stored: so for tables, not
            for views, which declare what their first part declares.
    """

    name: str
    declared: str
    dtype: "type[pl.DataType]"
    converted: bool

    @property
    def transport(self) -> "type[pl.DataType]":
        """The type in which the driver delivers values that fit."""
        import polars as pl

        return pl.Int64 if self.dtype == pl.Boolean else self.dtype

    @property
    def sentinel(self) -> str:
        """A literal of that type."""
        import polars as pl

        literals: dict[type[pl.DataType], str] = {pl.Int64: "0", pl.Float64: "0.0", pl.String: "''", pl.Binary: "x''"}
        return literals[self.transport]

    @property
    def value(self) -> str:
        """SQL for the value, and for something of another type where it does not fit (but for Binary)."""
        import polars as pl

        column = quoted(self.name)
        if self.dtype == pl.Boolean:
            return f"CASE WHEN typeof({column}) = 'integer' AND {column} NOT IN (0, 1) THEN '' ELSE {column} END"
        if self.dtype == pl.Float64 and not (self.converted and declared_type(self.declared) == pl.Float64):
            inexact = f"typeof({column}) = 'integer' AND {column} NOT BETWEEN -{EXACT} AND {EXACT}"
            return f"CASE WHEN {inexact} THEN '' ELSE {column} END"
        if self.dtype == pl.String and not (self.converted and _has_text_affinity(self.declared)):
            return f"CASE WHEN typeof({column}) IN ('integer', 'real') THEN CAST({column} AS TEXT) ELSE {column} END"
        return column

    @property
    def fits(self) -> str:
        """SQL condition, never null: the value is exact in this column's type."""
        import polars as pl

        column = quoted(self.name)
        kind = f"typeof({column})"
        conditions: dict[type[pl.DataType], str] = {
            pl.Int64: f"{kind} IN ('null', 'integer')",
            pl.Boolean: f"({kind} = 'null' OR {kind} = 'integer' AND {column} IN (0, 1))",
            pl.Float64: f"({kind} IN ('null', 'real') OR {kind} = 'integer' AND {column} BETWEEN -{EXACT} AND {EXACT})",
            pl.String: f"{kind} <> 'blob'",
            pl.Binary: f"{kind} IN ('null', 'blob')",
        }
        return conditions[self.dtype]

    def is_sound(self, series: "pl.Series") -> bool:
        """Whether a series of the quick form holds nothing but exact values."""
        import polars as pl

        # Without any value the driver says Int64; and integers that are exact may come where numbers are expected.
        return (
            series.dtype == self.transport
            or (series.dtype == pl.Int64 and self.dtype == pl.Float64)
            or series.null_count() == len(series)
        )


@attrs.frozen
class Projection:
    """Columns that are read together, in the two forms.

    Args:
        columns: The columns, in order.
        number: SQL for an integer that numbers the rows.
    """

    columns: Sequence[StoredColumn]
    number: str

    def quick(self, source: str) -> str:
        """SQL that reads from ``source`` (``FROM …``) and gives misfits away by the types of its result."""
        import polars as pl

        values = [self.number, *(column.value for column in self.columns)]
        # Anything goes into a Binary column of the driver without changing its type: a witness changes instead.
        fits = [column.fits for column in self.columns if column.dtype == pl.Binary]
        values.append(f"CASE WHEN {' AND '.join(fits)} THEN 0 ELSE '' END" if fits else "0")
        return f"SELECT {_named(values)} {source}"

    def careful(self, source: str) -> str:
        """SQL that reads from ``source`` behind a sentinel: values that fit, and beside each what did not."""
        literals, values = ["0"], [self.number]
        for column in self.columns:
            literals += [column.sentinel, "''"]
            values += [
                f"CASE WHEN {column.fits} THEN {column.value} END",
                f"CASE WHEN NOT ({column.fits}) THEN typeof({quoted(column.name)}) END",
            ]
        return f"SELECT {_named(literals)} UNION ALL SELECT {', '.join(values)} {source}"

    def decode_quick(self, frame: "pl.DataFrame") -> Decoded | None:
        """Decode a result of the quick form; None where it is unsound."""
        import polars as pl

        number, *series, witness = frame.get_columns()
        if witness.dtype != pl.Int64:
            return None
        if not all(column.is_sound(one) for column, one in zip(self.columns, series, strict=True)):
            return None
        return self._decoded(number, series, [])

    def decode_careful(self, frame: "pl.DataFrame") -> Decoded:
        """Decode a result of the careful form, without its sentinel."""
        number, *others = frame.get_columns()
        misfits = [
            Misfit(index, column.name, f"a value of type {kinds[index]}, which does not fit {_wanted(column)}")
            for column, kinds in zip(self.columns, others[1::2], strict=True)
            for index in kinds.is_not_null().arg_true().to_list()
        ]
        return self._decoded(number, others[::2], misfits)

    def _decoded(self, number: "pl.Series", series: "Sequence[pl.Series]", misfits: list[Misfit]) -> Decoded:
        import polars as pl

        final: list[pl.Series] = []
        for column, one in zip(self.columns, series, strict=True):
            taken = one
            if one.dtype != column.transport and one.null_count() == len(one):
                taken = pl.Series(values=[None], dtype=column.dtype).new_from_index(0, len(one))
            elif column.dtype == pl.String:
                taken, broken = checked_text(one)
                misfits += [Misfit(index, column.name, "text that is not UTF-8") for index in broken]
            final.append(taken.cast(column.dtype).alias(column.name))
        misfits.sort(key=lambda misfit: misfit.index)
        # By name: of a list, polars would give a column without a name another one.
        return Decoded(number, pl.DataFrame({one.name: one for one in final}, height=len(number)), misfits)


def _named(values: Sequence[str]) -> str:
    # Names of our own: those of SQLite would be the expressions, and need not differ.
    return ", ".join(f"{value} AS c{place}" for place, value in enumerate(values))


def _has_text_affinity(declared: str) -> bool:
    name = declared.upper()
    return "INT" not in name and any(word in name for word in _TEXT_AFFINITY)


def _wanted(column: StoredColumn) -> str:
    return column.declared if column.declared and declared_type(column.declared) == column.dtype else str(column.dtype)
