"""How values read in a document: whole columns by polars, single ones the same.

====================  =====================================================================================
nothing               a dash
text, categories      as they are
true, false           ``yes``, ``no``
whole numbers         as they are; measures with commas between thousands
``%``                 one digit behind the point
``ms``                whole, from 10 on; else one digit behind the point
other measures        four significant digits, with commas between thousands; other numbers as they are
very large or small   four significant digits and a power of ten: ``1.5e+15``, ``2e-07``
moments               ``2026-08-15 06:23:17`` in the zone of the document
dates, durations      ``2026-08-15``; ``26:03:20`` for hours, minutes, seconds
lists                 their values, with commas between
====================  =====================================================================================

The exact values are in the data that goes with a document.
"""

import math
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tailrace.model.columns import Column, Meaning
from tailrace.model.errors import RequestError
from tailrace.model.report import Cell

if TYPE_CHECKING:
    import polars as pl

NOTHING = "\N{EN DASH}"
_DIGITS = 4
_WHOLE_FROM = 10
_LARGE, _SMALL = 1e15, 1e-6
_ROUNDED = frozenset({"%", "ms"})


def shown(frame: "pl.DataFrame", columns: Sequence[Column], zone: str) -> "pl.DataFrame":
    """The texts of a table as a document shows them.

    Args:
        frame: The rows.
        columns: What the columns mean, in the order of the frame.
        zone: IANA zone of moments.

    Returns:
        A frame of the same columns, all String, without nulls.

    Raises:
        RequestError: A column that cannot be shown.
    """
    import polars as pl

    texts = []
    for number, (column, dtype) in enumerate(zip(columns, frame.dtypes, strict=True)):
        text = _text(pl.nth(number), dtype, column, zone)
        if text is None:
            message = f"Column {column.name!r} holds {dtype}, which a document cannot show."
            raise RequestError(message, hint="Leave it out (--columns), or choose --format json.")
        texts.append(text.fill_null(NOTHING).alias(column.name))
    return frame.select(texts)


def shown_value(value: Cell | date | timedelta, zone: str, *, unit: str = "") -> str:  # noqa: PLR0911 - a case for each type
    """One value as a document shows it, a number as a measure."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _number(value, unit)
    if isinstance(value, datetime):
        try:
            local = value.astimezone(ZoneInfo(zone)) if value.tzinfo else value
        except OverflowError:  # a year that the zone has and dates do not; with its offset it is as true
            return value.isoformat(" ", "seconds")
        return local.replace(tzinfo=None).isoformat(" ", "seconds")
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
        return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return value.isoformat() if isinstance(value, date) else value


def _number(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    if abs(value) >= _LARGE or 0 < abs(value) < _SMALL:
        return f"{value:.{_DIGITS}g}" if abs(value) >= _LARGE or unit not in _ROUNDED else "0.0"
    if unit in _ROUNDED:
        whole = unit == "ms" and round(abs(value), 1) >= _WHOLE_FROM
        text = f"{value:,.{0 if whole else 1}f}"
        return text.removeprefix("-") if text == "-0.0" else text
    if not value:
        return "0"
    places = max(0, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    text = f"{round(value, _DIGITS - 1 - math.floor(math.log10(abs(value)))):,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _text(values: "pl.Expr", dtype: "pl.DataType", column: Column, zone: str) -> "pl.Expr | None":  # noqa: C901, PLR0911 - a case for each type
    import polars as pl

    measure = column.meaning is Meaning.MEASURE
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Null):
        return values.cast(pl.String)
    if isinstance(dtype, pl.Boolean):
        return pl.when(values).then(pl.lit("yes")).when(~values).then(pl.lit("no"))
    if dtype.is_integer() or (dtype.is_numeric() and not measure and not column.unit):
        text = values.cast(pl.String)
        return _with_commas(text) if measure else text
    if dtype.is_numeric():
        # As many different values as there are rows, and rules that polars does not have: once for each value.
        def texts(part: pl.Series) -> pl.Series:
            distinct = part.unique()
            spelt = [None if one is None else _number(float(one), column.unit) for one in distinct]
            shown_as = pl.Series(spelt, dtype=pl.String)
            # Polars gives back numbers where there are none to replace.
            return part.replace_strict(distinct, shown_as, return_dtype=pl.String).cast(pl.String)

        return values.map_batches(texts, return_dtype=pl.String)
    if isinstance(dtype, pl.Datetime):
        local = values.dt.convert_time_zone(zone) if dtype.time_zone else values
        return local.dt.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(dtype, pl.Date):
        return values.dt.strftime("%Y-%m-%d")
    if isinstance(dtype, pl.Time):
        return values.dt.strftime("%H:%M:%S")
    if isinstance(dtype, pl.Duration):
        return values.map_elements(lambda span: shown_value(span, zone), return_dtype=pl.String)
    if isinstance(dtype, pl.Binary):
        return values.bin.encode("base64")
    if isinstance(dtype, pl.List) and not dtype.inner.is_nested():
        return values.cast(pl.List(pl.String)).list.join(", ", ignore_nulls=True)
    if isinstance(dtype, pl.Struct):
        return pl.when(values.is_not_null()).then(values.struct.json_encode())
    return None


def _with_commas(digits: "pl.Expr") -> "pl.Expr":
    """Commas between thousands: polars' patterns do not look ahead, so that it goes from the end."""
    threes = digits.str.reverse().str.replace_all(r"(\d{3})", "${1},").str.reverse()
    return threes.str.replace(r"^(-?),", "${1}")
