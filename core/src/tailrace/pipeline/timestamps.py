"""ISO 8601 text of dates, times and durations: one spelling, without loss, for every format that writes text.

==================  ==========================================================================================
Datetime            ``2026-08-15T06:00:00.000000Z``; 3, 6 or 9 digits for units ms, us, ns, always all of them
…, another zone     ``2026-08-15T08:00:00.000000+02:00``; seconds of an offset (before time zones were agreed
                    on) are written too: ``-00:44:30``
…, without a zone   ``2026-08-15T06:00:00.000000``
Date                ``2026-08-15``
Time                ``06:00:00.000000000``
Duration            ``P1DT2H``, ``-PT0.001S``
==================  ==========================================================================================
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_DIGITS = {"ms": 3, "us": 6, "ns": 9}
_UTC = frozenset({"UTC", "Etc/UTC"})
_FIRST_DAY = -719_162
"""0001-01-01, in days since 1970."""
_LAST_DAY = 2_932_896
"""9999-12-31, in days since 1970."""
_LEAST = -(2**63)


def iso_text(values: "pl.Expr", dtype: "pl.DataType") -> "pl.Expr":
    """ISO 8601 text of dates, times or durations.

    Values for which :func:`beyond_iso` holds must be kept out: they give text that nobody reads, or panics of polars.

    Args:
        values: Expression of type ``dtype``.
        dtype: A temporal type.

    Returns:
        Expression of type String; nulls stay null.
    """
    import polars as pl

    if isinstance(dtype, pl.Duration):
        return values.dt.to_string("iso")
    if isinstance(dtype, pl.Date):
        return values.dt.to_string("%Y-%m-%d")
    if isinstance(dtype, pl.Time):
        return values.dt.to_string("%H:%M:%S%.9f")
    if not isinstance(dtype, pl.Datetime):
        message = f"{dtype} is not a temporal type"
        raise TypeError(message)
    clock = f"%Y-%m-%dT%H:%M:%S%.{_DIGITS[dtype.time_unit]}f"
    if dtype.time_zone is None:
        return values.dt.to_string(clock)
    if dtype.time_zone in _UTC:
        # Formatting a zone costs more than formatting the time: it is known to be Z.
        return values.dt.replace_time_zone(None).dt.to_string(f"{clock}Z")
    # "%:z" would round away the seconds of an offset.
    return values.dt.to_string(f"{clock}%::z").str.strip_suffix(":00")


def beyond_iso(values: "pl.Series") -> bool:
    """Whether there is a value that has no agreed ISO 8601 text, such as a date outside of the years 1 to 9999.

    Args:
        values: Of any type; those that are not temporal are never beyond.
    """
    import polars as pl

    # polars turns methods of a series into expressions on its name, and takes "*" and "^…$" for patterns.
    values = values.alias("")
    dtype = values.dtype
    if isinstance(dtype, pl.Duration):
        return values.to_physical().min() == _LEAST
    if isinstance(dtype, pl.Date):
        return _outside(values.to_physical(), _FIRST_DAY, _LAST_DAY)
    if not isinstance(dtype, pl.Datetime) or dtype.time_unit == "ns":
        return False
    day = 86_400 * 10 ** _DIGITS[dtype.time_unit]
    first, last = _FIRST_DAY * day, (_LAST_DAY + 1) * day - 1
    instants = values.to_physical()
    if dtype.time_zone is None or dtype.time_zone in _UTC:
        return _outside(instants, first, last)
    # Only what is surely within polars' own range may be converted to local time.
    if _outside(instants, first - day, last + day):
        return True
    ends = pl.Series([instants.min(), instants.max()], dtype=pl.Int64).cast(dtype)
    return _outside(ends.dt.replace_time_zone(None).to_physical(), first, last)


def _outside(numbers: "pl.Series", first: int, last: int) -> bool:
    least, most = numbers.min(), numbers.max()
    return isinstance(least, int) and isinstance(most, int) and (least < first or most > last)
