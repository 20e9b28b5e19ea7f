"""Recognising how times are written, and reading them as moments in UTC."""

import re
from collections.abc import Callable

import attrs
import polars as pl

from tailrace import OptionError, SourceError
from tailrace_source_analytics.log import is_text
from tailrace_source_analytics.options import AnalyticsOptions, TimeUnit

_UNITS: dict[TimeUnit, tuple[str, int, int, int]] = {
    # Name, first and last value that is recognised (1973 to 5138, in nanoseconds to 2262), microseconds in a unit.
    "s": ("seconds", 10**8, 10**11, 10**6),
    "ms": ("milliseconds", 10**11, 10**14, 10**3),
    "us": ("microseconds", 10**14, 10**17, 1),
    "ns": ("nanoseconds", 10**17, 2**63, 0),
}
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999
"""Years 1 to 9999, in microseconds since 1970."""

_SHAPES = {
    "iso zoned": re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)? ?(Z|[+-]\d\d(:?\d\d)?)"),
    "iso naive": re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?"),
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
    "common log": re.compile(r"\d\d?/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"),
    "epoch": re.compile(r"-?\d+(\.\d+)?"),
}
_FORMATS = {
    "iso zoned": tuple(f"%Y-%m-%d{sep}{time}%#z" for sep in "T " for time in ("%H:%M:%S%.f", "%H:%M")),
    "iso naive": tuple(f"%Y-%m-%d{sep}{time}" for sep in "T " for time in ("%H:%M:%S%.f", "%H:%M")),
    "date": ("%Y-%m-%d",),
    "common log": ("%d/%b/%Y:%H:%M:%S %z",),
}
_SAID = {
    "iso zoned": "ISO 8601 text with its zone",
    "iso naive": "ISO 8601 text without a zone, read as UTC",
    "date": "ISO 8601 dates, read as midnight UTC",
    "common log": "text of the common log format with its zone",
}
_LONGEST_US = {"iso zoned": 27, "iso naive": 26, "date": 10, "common log": 26}
"""Length up to which a text cannot have more than six decimals."""


class UnreadableTimesError(SourceError):
    """A column whose values are not recognised as times."""


@attrs.frozen
class TimeReading:
    """How the times of a column are read.

    Args:
        dtype: What they become.
        said: What was recognised, for people.
        native: The expression, where every value can be read; then rows need not be looked at one by one.
        convert: Reads a batch; null where a value cannot be read.
    """

    dtype: pl.Datetime
    said: str
    native: Callable[[pl.Expr], pl.Expr] | None = None
    convert: Callable[[pl.Series], pl.Series] | None = None


def read_times(column: str, dtype: pl.DataType, sample: pl.Series, options: AnalyticsOptions) -> TimeReading:
    """Find out how to read a column of times.

    Args:
        column: Its name, for messages.
        dtype: Its type.
        sample: Some of its values, spread over it.
        options: For ``time_format`` and ``time_unit``, which decide where nothing is recognised.

    Raises:
        UnreadableTimesError: They are not recognised, or are written in more than one way.
        OptionError: An option that does not fit.
    """
    if isinstance(dtype, pl.Datetime):
        return _datetimes(column, dtype)
    if dtype == pl.Date:
        return TimeReading(
            _US,
            f"{column}: dates, read as midnight UTC",
            lambda expr: expr.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        )
    sample = sample.alias("").drop_nulls()
    if dtype == pl.Null or ((dtype.is_numeric() or is_text(dtype)) and sample.is_empty()):
        return _nothing_seen(column, dtype, options)
    if dtype.is_numeric():
        if options.time_format is not None:
            return _formatted(column, options.time_format, sample)
        return _numbers(column, dtype, sample, options.time_unit)
    if is_text(dtype):
        return _texts(column, sample.cast(pl.String), options)
    message = f"Column {column!r} is of type {dtype}, which is no time."
    raise UnreadableTimesError(message, hint="Name the column of times: --map timestamp=<column>")


_US = pl.Datetime("us", "UTC")
_NS = pl.Datetime("ns", "UTC")


def shape(text: str) -> str:
    """What a text looks like, without saying what it is: digits become 9, letters a."""
    drawn = re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", text))
    return drawn if len(drawn) <= 40 else drawn[:40] + "…"  # noqa: PLR2004 - as much as a time may take, and some more


def _datetimes(column: str, dtype: pl.Datetime) -> TimeReading:
    target = _NS if dtype.time_unit == "ns" else _US
    if dtype.time_zone is None:
        return TimeReading(
            target,
            f"{column}: times without a zone, read as UTC",
            lambda expr: expr.cast(pl.Datetime(target.time_unit)).dt.replace_time_zone("UTC"),
        )
    if dtype == target:
        return TimeReading(target, "", lambda expr: expr)
    said = "" if dtype.time_zone == "UTC" else f"{column}: times of zone {dtype.time_zone}, converted to UTC"
    return TimeReading(target, said, lambda expr: expr.dt.convert_time_zone("UTC").cast(target))


def _nothing_seen(column: str, dtype: pl.DataType, options: AnalyticsOptions) -> TimeReading:
    """A column of nulls so far: a value that turns up later must be what the options say, or ISO text."""
    if options.time_format is not None:
        return _formatted(column, options.time_format, pl.Series(dtype=pl.String))
    if dtype.is_numeric():
        return _epoch(column, dtype, options.time_unit or "s", forced=options.time_unit is not None)
    if dtype == pl.Null:
        return TimeReading(_US, f"{column}: no times in it", lambda expr: expr.cast(_US))
    return TimeReading(
        _US,
        f"{column}: no times seen in it, read as ISO 8601 text",
        convert=_text_reader("iso zoned", _US, pl.Series(dtype=pl.String)),
    )


def _numbers(column: str, dtype: pl.DataType, sample: pl.Series, unit: TimeUnit | None) -> TimeReading:
    if unit is not None:
        return _epoch(column, dtype, unit, forced=True)
    values = sample.cast(pl.Float64)
    counts: dict[TimeUnit, int] = {
        name: values.filter((values >= first) & (values < last)).len()
        for name, (_said, first, last, _us) in _UNITS.items()
    }
    fitting = [name for name, count in counts.items() if count]
    # A few numbers that are no time in any unit are rows that cannot be read; two units are a question.
    if len(fitting) == 1 and 2 * counts[fitting[0]] > values.len():
        return _epoch(column, dtype, fitting[0], forced=False)
    looks = ", ".join(dict.fromkeys(shape(f"{value:.0f}") for value in values.sort().gather([0, -1])))
    how = "count in more than one unit" if len(fitting) > 1 else "are not recognised as times"
    message = f"Column {column!r} has numbers that {how}: they look like {looks}."
    raise UnreadableTimesError(
        message, hint="Say what they count since 1970: --option time_unit=s (or ms, us, ns), or name another column."
    )


def _texts(column: str, sample: pl.Series, options: AnalyticsOptions) -> TimeReading:
    if options.time_format is not None:
        return _formatted(column, options.time_format, sample)
    if options.time_unit is not None:
        return _epoch(column, pl.String(), options.time_unit, forced=True)
    found: dict[str, str] = {}
    unknown: list[str] = []
    for text in sample:
        # A common log has its times in brackets; some tools leave them there.
        name = next((name for name, pattern in _SHAPES.items() if pattern.fullmatch(text.strip("[]"))), None)
        if name is None:
            unknown.append(text)
        else:
            found.setdefault(name, text)
    # A few texts that are no time are rows that cannot be read; two ways of writing are a question.
    if len(found) != 1 or 2 * len(unknown) >= sample.len():
        looks = ", ".join(dict.fromkeys(repr(shape(text)) for text in [*found.values(), *unknown[:2]]))
        how = "in more than one way" if len(found) > 1 else "in a way that is not recognised"
        message = f"Column {column!r} has times written {how}: they look like {looks}."
        raise UnreadableTimesError(
            message,
            hint="Say how: --option time_format='%d.%m.%Y %H:%M:%S', or name another column: --map timestamp=<column>",
        )
    name = next(iter(found))
    if name == "epoch":
        return _numbers(column, pl.String(), sample.cast(pl.Float64, strict=False).drop_nulls(), None)
    finer = name.startswith("iso") and bool(sample.str.contains(r"\.\d{6}\d*[1-9]").any())
    dtype = _NS if finer else _US
    return TimeReading(dtype, f"{column}: {_SAID[name]}", convert=_text_reader(name, dtype, sample))


def _text_reader(name: str, dtype: pl.Datetime, sample: pl.Series) -> Callable[[pl.Series], pl.Series]:
    # The way that most of the sample is written comes first: a batch without failures is parsed once.
    formats = sorted(_FORMATS[name], key=lambda form: _parse(sample, form, dtype).null_count())

    def convert(column: pl.Series) -> pl.Series:
        text = column.cast(pl.String)
        if name == "common log":
            text = text.str.strip_chars("[]")
        nulls = text.null_count()
        result = _parse(text, formats[0], dtype)
        for other in formats[1:]:
            if result.null_count() == nulls:
                break
            result = result.zip_with(result.is_not_null(), _parse(text, other, dtype))
        return _nothing_lost(text, result, dtype, _LONGEST_US[name])

    return convert


def _nothing_lost(text: pl.Series, result: pl.Series, dtype: pl.Datetime, longest: int) -> pl.Series:
    """Null where polars would cut decimals off."""
    if dtype.time_unit == "ns":
        longest += 3
    if not (text.str.len_bytes() > longest).any():
        return result
    digits = 9 if dtype.time_unit == "ns" else 6
    lost = text.str.contains(rf"\.\d{{{digits}}}\d*[1-9]").fill_null(value=False)
    return _only(result, ~lost)


def _parse(text: pl.Series, form: str, dtype: pl.Datetime) -> pl.Series:
    parsed = text.str.to_datetime(form, time_unit=dtype.time_unit, strict=False)
    zone = parsed.dtype.time_zone if isinstance(parsed.dtype, pl.Datetime) else None
    return parsed.dt.replace_time_zone("UTC") if zone is None else parsed.dt.convert_time_zone("UTC")


def _formatted(column: str, form: str, sample: pl.Series) -> TimeReading:
    # Python's %f is what follows the point; to polars it counts nanoseconds.
    chrono = form.replace(".%f", "%.f")
    if not sample.is_empty() and _parse(sample.cast(pl.String), chrono, _US).is_null().all():
        looks = repr(shape(str(sample[0])))
        raise OptionError(
            "time_format",
            f"{form} does not fit column {column!r}, whose values look like {looks}.",
            hint="For example %d.%m.%Y %H:%M:%S fits 99.99.9999 99:99:99.",
        )

    def convert(values: pl.Series) -> pl.Series:
        text = values.cast(pl.String)
        return _nothing_lost(text, _parse(text, chrono, _US), _US, 0)

    zone = "with its zone" if re.search(r"%[#:]*z", form) else "read as UTC"
    return TimeReading(_US, f"{column}: text as {form}, {zone}", convert=convert)


def _epoch(column: str, dtype: pl.DataType, unit: TimeUnit, *, forced: bool) -> TimeReading:
    said, first, last, factor = _UNITS[unit]
    if not forced:
        bounds = first * (factor or 1), (last - 1) * (factor or 1)
    else:
        bounds = (_FIRST_US, _LAST_US) if factor else (-(2**63), 2**63 - 1)

    def convert(values: pl.Series) -> pl.Series:
        result = pl.Series([None], dtype=pl.Int64).new_from_index(0, values.len())
        if not dtype.is_float():
            result = _scaled(values.cast(pl.Int64, strict=False), factor)
        if result.null_count() > values.null_count():
            real = values.cast(pl.Float64, strict=False) * (factor or 1)
            result = result.zip_with(result.is_not_null(), real.round().cast(pl.Int64, strict=False))
        inside = result.is_between(*bounds).fill_null(value=False)
        return _only(result, inside).cast(_NS if unit == "ns" else _US)

    return TimeReading(_NS if unit == "ns" else _US, f"{column}: epoch {said}, read as UTC", convert=convert)


def _only(values: pl.Series, fitting: pl.Series) -> pl.Series:
    return values.zip_with(fitting, pl.Series([None], dtype=values.dtype))


def _scaled(whole: pl.Series, factor: int) -> pl.Series:
    """Whole numbers of a unit as microseconds; null where that is too much for 64 bits."""
    if factor in {0, 1}:
        return whole
    limit = (2**63 - 1) // factor
    return _only(whole, whole.is_between(-limit, limit).fill_null(value=False)) * factor
