"""What a reader has to give for a value, worked out from the documentation and from nothing of the writer."""

import base64
import ctypes
import math
import re
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal
from zoneinfo import ZoneInfo

import attrs
import polars as pl

from .readers import Either, Serial, Shown, micros_of

SECOND, DAY = 10**9, 86_400 * 10**9
"""In nanoseconds, as all numbers here."""
NANOS = {"ms": 10**6, "us": 10**3, "ns": 1}
UNIX = 25_569 * DAY
"""1970-01-01 since 1899-12-30."""
FIRST, END = 61 * DAY, 2_958_466 * DAY
"""1900-03-01, before which nobody agrees, and 10000-01-01."""
FINE = 65_536
"""Days up to which a double tells microseconds apart."""
MILLION_BILLIONS = 10**15


@attrs.frozen
class Time:
    """A time that is a number in the file.

    Args:
        kind: Since 1899-12-30 a day or a moment; else a time of day or a length of time.
        nanos: Nanoseconds.
    """

    kind: Literal["day", "moment", "clock", "span"]
    nanos: int


@attrs.frozen
class Single:
    """A number of which only the first half of a double matters."""

    value: float


@attrs.frozen
class Forgives:
    """In what a reader sees less than there is.

    Args:
        nothing: It has one thing for null and for an empty text.
        breaks: Carriage return and line feed are one line feed to it.
    """

    nothing: bool = False
    breaks: bool = False


def expected(values: pl.Series, *, iso: bool = False) -> list[Any]:
    """What readers have to give for values.

    Args:
        values: The values.
        iso: Whether all times are text.
    """
    dtype = values.dtype
    plain = values.alias("").to_physical().to_list() if dtype.is_temporal() else values.to_list()
    return [None if value is None else _expected(value, dtype, iso=iso) for value in plain]


def _expected(value: Any, dtype: pl.DataType, *, iso: bool) -> Any:
    if dtype.is_temporal():
        time = None if iso else _time(value, dtype)
        return iso_text(value, dtype) if time is None else time
    if isinstance(dtype, pl.Binary):
        return base64.b64encode(value).decode()
    return value if isinstance(value, bool | str) else _number(value, dtype)


def _number(value: float | Decimal, dtype: pl.DataType) -> Any:
    """Text for what Excel would take digits from, or does not have."""
    if isinstance(value, int):
        return value if abs(value) < MILLION_BILLIONS else str(value)
    if isinstance(value, Decimal):
        scale = dtype.scale if isinstance(dtype, pl.Decimal) else 0
        return float(value) if abs(value.scaleb(scale)) < MILLION_BILLIONS else f"{value:.{scale}f}"
    if not math.isfinite(value):
        return {"nan": "NaN", "inf": "inf", "-inf": "-inf"}[str(value)]
    return Single(value) if isinstance(dtype, pl.Float32) else value


def _time(ticks: int, dtype: pl.DataType) -> Time | None:
    """None for what no number in a workbook tells."""
    if isinstance(dtype, pl.Date):
        return Time("day", ticks * DAY + UNIX) if FIRST <= ticks * DAY + UNIX < END else None
    if isinstance(dtype, pl.Time):
        return Time("clock", ticks)
    assert isinstance(dtype, pl.Duration | pl.Datetime)
    nanos = ticks * NANOS[dtype.time_unit]
    grain = 10**3
    if isinstance(dtype, pl.Duration):
        if nanos >= FINE * DAY:
            grain = 10**6
        return Time("span", nanos) if 0 <= nanos < END and nanos % grain == 0 else None
    nanos += UNIX
    # A time that is somewhere within a day of the ends is text in every zone.
    margin = DAY if dtype.time_zone else 0
    if nanos >= (FINE - 1) * DAY:
        grain = 10**6
    if not FIRST + margin <= nanos < END - margin or nanos % grain:
        return None
    if dtype.time_zone:
        local = _local(nanos, dtype.time_zone)
        if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
            return None
        offset = local.utcoffset()
        assert offset is not None
        nanos += offset // timedelta(microseconds=1) * 1000
    return Time("moment", nanos)


def _local(nanos: int, zone: str) -> datetime:
    moment = datetime(1899, 12, 30, tzinfo=ZoneInfo("UTC")) + timedelta(microseconds=nanos // 1000)
    return moment.astimezone(ZoneInfo(zone))


def iso_text(ticks: int, dtype: pl.DataType) -> str:
    """The text that the format ``csv`` has for a time."""
    if isinstance(dtype, pl.Date):
        return (datetime(1970, 1, 1) + timedelta(days=ticks)).date().isoformat()  # noqa: DTZ001 - a day has no zone
    if isinstance(dtype, pl.Time):
        return f"{_clock(ticks)}.{ticks % SECOND:09}"
    assert isinstance(dtype, pl.Duration | pl.Datetime)
    per_second = SECOND // NANOS[dtype.time_unit]
    if isinstance(dtype, pl.Duration):
        return _length(ticks, per_second)
    zone = dtype.time_zone
    digits = f"{ticks % per_second:0{len(str(per_second)) - 1}}"
    local = _local(ticks * NANOS[dtype.time_unit] + UNIX, zone or "UTC").replace(microsecond=0)
    whole, _, offset = local.isoformat().partition("T")
    clock = offset[:8]
    suffix = "" if zone is None else "Z" if zone == "UTC" else offset[8:]
    return f"{whole}T{clock}.{digits}{suffix}"


def _clock(nanos: int) -> str:
    seconds = nanos // SECOND
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _length(ticks: int, per_second: int) -> str:
    seconds, rest = divmod(abs(ticks), per_second)
    fraction = f".{rest:0{len(str(per_second)) - 1}}".rstrip("0").rstrip(".")
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    clock = "".join(f"{number}{letter}" for number, letter in ((hours, "H"), (minutes, "M")) if number)
    if seconds % 60 or rest:
        clock += f"{seconds % 60}{fraction}S"
    text = (f"{days}D" if days else "") + (f"T{clock}" if clock else "")
    return f"{'-' if ticks < 0 else ''}P{text or 'T0S'}"


def same(wanted: Any, got: Any, forgives: Forgives) -> bool:
    """Whether a reader gave what was wanted."""
    if isinstance(got, Either):
        return same(wanted, got.first, forgives) or same(wanted, got.second, forgives)
    if isinstance(got, Shown):
        return _same_shown(wanted, got, forgives)
    if isinstance(wanted, Time):
        return _same_serial(wanted, got) if isinstance(got, Serial) else _same_time(wanted, got)
    if wanted is None or isinstance(wanted, str):
        return _same_text(wanted, got, forgives)
    return got is wanted if isinstance(wanted, bool) else _same_number(wanted, got)


def _same_text(wanted: str | None, got: Any, forgives: Forgives) -> bool:
    if forgives.nothing and not wanted:
        return got is None or got == ""
    if forgives.breaks and isinstance(wanted, str) and isinstance(got, str):
        wanted, got = _broken(wanted), _broken(got)
    return type(got) is type(wanted) and bool(got == wanted)


def _same_number(wanted: float | Single, got: Any) -> bool:
    if not isinstance(got, int | float) or isinstance(got, bool):
        return False
    return ctypes.c_float(got).value == wanted.value if isinstance(wanted, Single) else got == wanted


def _broken(text: str) -> str:
    # LibreOffice takes both orders for one end of a line.
    return re.sub("\r\n|\n\r|\r", "\n", text)


def _same_time(wanted: Time, got: Any) -> bool:
    """Whole milliseconds are exact; what is finer is shown in milliseconds, and the last one of a day as midnight."""
    micros = micros_of(got)
    if micros is None or (wanted.kind == "span") != isinstance(got, timedelta):
        return False
    off = micros * 1000 - wanted.nanos
    if wanted.kind == "clock":
        off = (off + DAY // 2) % DAY - DAY // 2
    return abs(off) <= 10**6 if wanted.nanos % 10**6 else off == 0


def _same_serial(wanted: Time, got: Serial) -> bool:
    """Every digit, to the nanosecond for times of day, and to the microsecond while a double has room for them."""
    code = {"day": "yyyy-mm-dd", "moment": "yyyy-mm-dd hh:mm:ss.000", "clock": "hh:mm:ss.000", "span": "[h]:mm:ss.000"}
    grain = 1 if wanted.kind == "clock" else 10**3 if wanted.nanos < FINE * DAY else 10**6
    return got.code == code[wanted.kind] and round(got.value * Fraction(DAY, grain)) * grain == wanted.nanos


def _same_shown(wanted: Any, got: Shown, forgives: Forgives) -> bool:
    """fastexcel shows numbers with nine decimals, so that the number itself is asked for."""
    if isinstance(wanted, bool):
        return got.text == str(wanted).lower()
    if isinstance(wanted, int | float | Single):
        return got.text is not None and same(wanted, got.number, forgives)
    if isinstance(wanted, Time):
        try:
            shown = datetime.fromisoformat(got.text or "")
        except ValueError:
            return False
        micros = micros_of(shown) or 0
        if wanted.kind != "span":
            return _same_time(wanted, shown)
        # It counts as Excel does, from 1899-12-31, and shows a day that never was, 1900-02-29, as the day before.
        early = shown < datetime(1900, 3, 1)  # noqa: DTZ001 - has no zone
        days = {0} if not early else {-1, 0} if shown >= datetime(1900, 2, 28) else {-1}  # noqa: DTZ001
        return any(_same_time(wanted, timedelta(days=day, microseconds=micros)) for day in days)
    return same(wanted, got.text, forgives)
