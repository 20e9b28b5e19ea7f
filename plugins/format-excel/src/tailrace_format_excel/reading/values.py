"""From the cells of a sheet to texts as the format ``csv`` spells them.

Numbers come twice: as ``fastexcel`` shows them, which rounds after the ninth decimal and shows times in milliseconds,
and as the numbers that the file holds. What is shown says what a cell is, the number what its value is.
"""

import re
from collections.abc import Mapping

import polars as pl
from polars.exceptions import PolarsError

from tailrace_format_excel.reading.workbook import TimeKind

_SHOWN_AS_TIME = r"^\d{4,}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?$"
_ZONE = re.compile(r"^(.+) \(([A-Za-z][A-Za-z0-9_+\-/]*)\)$", re.DOTALL)
_DAY = 86_400_000_000
"""Microseconds."""
_EPOCH = -25_569 * _DAY
"""1899-12-30, from which days are counted: exact from 1900-03-01 on."""
_SHIFT_1904 = 1_462
_LEAP = 60
"""The day that Excel believes in and nobody else: 1900-02-29."""
_LAST = 2_958_466
"""The day after 9999-12-31."""


def zone_of(header: str) -> tuple[str, str | None]:
    """Name and zone of a column by its header, ``"created_at (UTC)"``; no zone where there is none."""
    parted = _ZONE.match(header)
    return (parted[1], parted[2]) if parted and _is_zone(parted[2]) else (header, None)


def texts(
    numbers: pl.Series, shown: pl.Series, times: Mapping[TimeKind, pl.Series], zone: str | None, *, since_1904: bool
) -> pl.Series:
    """The texts of a column.

    Args:
        numbers: The numbers in its cells.
        shown: What its cells show.
        times: What they show where numbers of a kind are shown as times, for each kind that there is.
        zone: IANA zone of its times.
        since_1904: Whether days are counted from 1904-01-01.
    """
    if numbers.null_count() == len(numbers):
        return shown
    number, text = pl.col("number"), pl.col("text")
    digits = number.cast(pl.String).str.strip_suffix(".0")
    frame = pl.DataFrame({"number": numbers, "text": shown})
    # What is no number, such as a time, is not rounded either.
    is_rounded = text.is_null() | (text.cast(pl.Float64, strict=False) != number).fill_null(value=False)
    frame = frame.with_columns(text=pl.when(number.is_not_null() & is_rounded).then(digits).otherwise(text))
    for kind, column in times.items():
        frame = frame.with_columns(as_time=column)
        is_time = pl.col("as_time").str.contains(_SHOWN_AS_TIME) & number.is_not_null()
        if not frame.select(is_time.any()).item():
            continue
        is_known = number.is_between(0, _LAST - (_SHIFT_1904 if since_1904 else 0), closed="left")
        spelt = pl.when(is_known).then(_spelt(kind, zone, since_1904=since_1904)).otherwise(digits)
        frame = frame.with_columns(text=pl.when(is_time).then(spelt).otherwise(text))
    return frame["text"]


def _spelt(kind: TimeKind, zone: str | None, *, since_1904: bool) -> pl.Expr:
    number = pl.col("number")
    days = number.floor()
    # Apart from the days, the product is small enough to be exact: a double tells 0.6 microseconds of today from the
    # next, and the product as a whole would lose one in thirty of them.
    micros = ((number - days) * _DAY).round().cast(pl.Int64)
    days = days.cast(pl.Int64)
    if kind == "duration":
        return _duration(days * _DAY + micros)
    since = days + _SHIFT_1904 if since_1904 else pl.when(days < _LEAP).then(days + 1).otherwise(days)
    moment = (since * _DAY + micros + _EPOCH).cast(pl.Datetime("us"))
    if kind == "date":
        return moment.dt.strftime("%Y-%m-%d")
    if kind == "time":
        return moment.dt.strftime("%H:%M:%S%.9f")
    as_written = moment.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
    if zone is None:
        return as_written
    # An hour that clocks leave out is no moment: it stays as it is written.
    placed = moment.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")
    return pl.coalesce(placed.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"), as_written)


def _duration(micros: pl.Expr) -> pl.Expr:
    """``P1DT2H``, ``PT0.001S``, ``PT0S``, as the format ``csv`` writes durations."""
    second = 1_000_000
    parts = (
        (micros // _DAY, "D"),
        (micros % _DAY // (3_600 * second), "H"),
        (micros % (3_600 * second) // (60 * second), "M"),
    )
    days, hours, minutes = (
        pl.when(value > 0).then(pl.format(f"{{}}{letter}", value)).otherwise(pl.lit("")) for value, letter in parts
    )
    rest = micros % (60 * second)
    fraction = (rest % second).cast(pl.String).str.zfill(6).str.strip_chars_end("0")
    seconds = (
        pl.when(rest == 0)
        .then(pl.lit(""))
        .when(rest % second == 0)
        .then(pl.format("{}S", rest // second))
        .otherwise(pl.format("{}.{}S", rest // second, fraction))
    )
    clock = pl.concat_str(hours, minutes, seconds)
    whole = pl.concat_str(
        pl.lit("P"), days, pl.when(clock != "").then(pl.concat_str(pl.lit("T"), clock)).otherwise(pl.lit(""))
    )
    return pl.when(micros == 0).then(pl.lit("PT0S")).otherwise(whole)


def _is_zone(name: str) -> bool:
    try:
        pl.Series([0]).cast(pl.Datetime("us")).dt.replace_time_zone(name)
    except PolarsError:
        return False
    return True
