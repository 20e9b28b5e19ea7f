"""How columns of PostgreSQL become columns of polars, exactly or not at all."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import attrs

from tailrace.model.errors import SourceError
from tailrace.reading.misfits import Decoded, Misfit, checked_text

if TYPE_CHECKING:
    import polars as pl
    from polars.datatypes import DataTypeClass

    Type = pl.DataType | DataTypeClass

_EXACT = 2**53


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@attrs.frozen
class ServedColumn:
    """A column as the server sends it, and the type that it is read as.

    Args:
        name: Its name.
        sql: SQL for its value.
        sent: The type in which the driver delivers it.
        dtype: The type that it is read as.
    """

    name: str
    sql: str
    sent: "Type"
    dtype: "Type"

    @property
    def final(self) -> "pl.DataType":
        """The type that it is read as, complete."""
        import polars as pl

        # Datetime alone does not say its time zone; the server does.
        complete = self.sent if self.dtype.base_type() == self.sent.base_type() else self.dtype
        return complete if isinstance(complete, pl.DataType) else complete()


def served(name: str, base: str, asked: "Type | None") -> ServedColumn:
    """How to read a column.

    Args:
        name: Its name.
        base: Name of its type, in the catalogue; of the type under it where it is a domain.
        asked: The type to read it as; None for its own.

    Raises:
        SourceError: A type that has nothing in common with the column's own.
    """
    import polars as pl

    native: dict[str, Type] = {
        "bool": pl.Boolean,
        "int2": pl.Int16,
        "int4": pl.Int32,
        "int8": pl.Int64,
        "float4": pl.Float32,
        "float8": pl.Float64,
        "text": pl.String,
        "varchar": pl.String,
        "bpchar": pl.String,
        "name": pl.String,
        "bytea": pl.Binary,
        "date": pl.Date,
        "timestamp": pl.Datetime("us"),
        "timestamptz": pl.Datetime("us", "UTC"),
    }
    column = quoted(name)
    if base in native and not (asked == pl.String and native[base] != pl.String):
        found = ServedColumn(name, column, native[base], native[base] if asked is None else asked)
    elif base == "oid" and asked != pl.String:
        found = ServedColumn(name, f"{column}::int8", pl.Int64, asked or pl.Int64)
    elif base == "numeric" and asked == pl.Float64:
        found = ServedColumn(name, f"{column}::float8", pl.Float64, pl.Float64)
    else:
        found = ServedColumn(name, f"{column}::text", pl.String, asked or pl.String)
    if _conversion(found.sent, found.dtype) is None:
        raise SourceError(
            f"Column {name!r} is of type {base} and cannot be read as {found.dtype}.",
            hint="Map another column, or give it the type in a view.",
        )
    return found


def decoded(columns: "Sequence[ServedColumn]", sent: "Sequence[pl.Series]", height: int) -> Decoded:
    """Bring a batch into its final types.

    Args:
        columns: The columns.
        sent: What the driver delivered, in the same order.
        height: Number of rows.

    Raises:
        SourceError: There is no way from one type to the other.
    """
    import polars as pl

    final: list[pl.Series] = []
    misfits: list[Misfit] = []
    for column, series in zip(columns, sent, strict=True):
        convert = _conversion(series.dtype, column.dtype)
        if convert is None:
            raise SourceError(f"Column {column.name!r} is {series.dtype} and cannot be read as {column.dtype}.")
        converted = convert(series)
        misfits += [Misfit(index, column.name, converted.reason) for index in converted.broken]
        final.append(converted.series.alias(column.name))
    misfits.sort(key=lambda misfit: misfit.index)
    return Decoded(pl.int_range(height, eager=True), pl.DataFrame(final, height=height), misfits)


def _conversion(sent: "Type", dtype: "Type") -> "Callable[[pl.Series], _Converted] | None":
    """What turns a series of one type into another, and finds what does not fit; None where there is no such way."""
    import polars as pl

    if dtype.base_type() == sent.base_type():
        if sent == pl.String:
            return _text
        return _moments if sent.base_type() in (pl.Date, pl.Datetime) else _as_it_is
    if sent == pl.Float32 and dtype == pl.Float64:
        return lambda series: _Converted(series.cast(pl.Float64))
    if not sent.is_integer():
        return None
    conversions: dict[object, Callable[[pl.Series], _Converted]] = {
        pl.Int64: lambda series: _Converted(series.cast(pl.Int64)),
        pl.Float64: _exact_floats,
        pl.Boolean: _flags,
    }
    return conversions.get(dtype.base_type())


@attrs.frozen
class _Converted:
    """A series in its final type; null where a value does not fit, and why."""

    series: "pl.Series"
    broken: Sequence[int] = ()
    reason: str = ""


def _as_it_is(series: "pl.Series") -> _Converted:
    return _Converted(series)


def _text(series: "pl.Series") -> _Converted:
    return _Converted(*checked_text(series), "text that is not UTF-8")


def _moments(series: "pl.Series") -> _Converted:
    import polars as pl

    low: date = date.min
    high: date = date.max
    if isinstance(series.dtype, pl.Datetime):
        zone = UTC if series.dtype.time_zone else None
        low, high = datetime.min.replace(tzinfo=zone), datetime.max.replace(tzinfo=zone)
    return _where(series, series.is_between(low, high), "a time that is infinite, or not in the years 1 to 9999")


def _exact_floats(series: "pl.Series") -> _Converted:
    import polars as pl

    fits = series.cast(pl.Int64).is_between(-_EXACT, _EXACT)
    return _where(series, fits, "an integer that is not exact as a floating-point number", pl.Float64)


def _flags(series: "pl.Series") -> _Converted:
    import polars as pl

    return _where(series, series.is_in([0, 1]), "an integer other than 0 and 1, which does not fit Boolean", pl.Boolean)


def _where(series: "pl.Series", fits: "pl.Series", reason: str, dtype: "Type | None" = None) -> _Converted:
    import polars as pl

    fits = fits.fill_null(value=True)
    kept = series
    if not fits.all():
        kept = series.zip_with(fits, pl.Series([None], dtype=series.dtype).new_from_index(0, len(series)))
    return _Converted(kept if dtype is None else kept.cast(dtype), (~fits).arg_true().to_list(), reason)
