"""Tables that hypothesis makes up: a column of each kind, its values chosen to hurt."""

import warnings
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import attrs
import polars as pl
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

from .named import NAMED, NOT_XML, TAKEN_AWAY

_LONG = 300
_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters=[*NOT_XML])
_PIECES = st.sampled_from(
    [
        *("=", "+", "-", "@", "\t", "\r", "\n", "\r\n", "'", '"', "{", "}", "\uff1d", "\u2212", "\u200b", "\ufeff"),
        *(" ", "\u00a0", "&", "<", ">", "</t>", "<r>", "</r>", "]]>", "&#13;", "_x0041_", "_x000D_", "_x", "_x5_", "_"),
        *("x00", "41_", "_x005", "F", "http://", "mailto:", "internal:", "1", "0", "e5", ",", ";", "|", "😀"),
        *("e\u0301", "\u0085", "\u2028", "\x7f", "\U0010ffff"),
    ]
)
TEXTS = st.one_of(
    st.lists(_PIECES, max_size=8).map("".join),
    st.text(_CHARACTERS, max_size=12),
    st.sampled_from(
        [one.value for one in NAMED if one.dtype == pl.String() and not one.refused and len(one.value) < _LONG]
    ),
).filter(lambda text: TAKEN_AWAY not in text)
"""Texts that everybody reads back."""


@attrs.frozen
class Kind:
    """A kind of column.

    Args:
        dtype: Its type.
        values: How to make its values.
        ticks: Whether they are made as whole numbers.
    """

    dtype: pl.DataType
    values: st.SearchStrategy[Any]
    ticks: bool = False

    def series(self, name: str, values: Sequence[Any]) -> pl.Series:
        made = pl.Series(name, values, dtype=pl.Int64() if self.ticks else self.dtype)
        return made.cast(self.dtype) if self.ticks else made


def _whole(dtype: pl.DataType, bits: int, *, signed: bool = True) -> Kind:
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    near = st.integers(max(least, -(10**16)), min(most, 10**16))
    edges = [edge for edge in (10**15 - 1, 10**15, -(10**15)) if least <= edge <= most]
    return Kind(dtype, st.one_of(st.integers(least, most), near, st.sampled_from([least, most, 0, *edges])))


_EPOCH_DAYS, _LAST_DAY = 719_162, 2_932_896
"""Days from 0001-01-01 to 1970-01-01, and from there to 9999-12-31."""
_AUTUMNS = (1_792_886_400, 1_793_505_600)
"""Midnight of the days of 2026 on which clocks are set back in Berlin and in New York, in seconds since 1970."""
_TICKS: Mapping[Any, int] = {"ms": 10**3, "us": 10**6, "ns": 10**9}


def _moments(unit: Any, zone: str | None) -> Kind:
    day = 86_400 * _TICKS[unit]
    bound = 2**63 - 1 - day
    has_summers = zone not in {None, "UTC"}
    calendar = st.integers(max((1 - _EPOCH_DAYS) * day, -bound), min(_LAST_DAY * day, bound))
    # With summer time, only years for which every program has the same rules.
    lived = st.integers(-25_507 * day, (24_000 if has_summers else 40_000) * day)
    coarse = lived.map(lambda ticks: ticks // _TICKS[unit] * _TICKS[unit])
    twice = st.tuples(st.sampled_from(_AUTUMNS), st.integers(0, 8 * 3_600)).map(lambda both: sum(both) * _TICKS[unit])
    known = st.one_of(lived, coarse, twice)
    return Kind(pl.Datetime(unit, zone), known if has_summers else st.one_of(calendar, known), ticks=True)


def _durations(unit: Any) -> Kind:
    day = 86_400 * _TICKS[unit]
    short = st.integers(-2 * day, 70_000 * day)
    whole = short.map(lambda ticks: ticks // 10**3 * 10**3)
    values = st.one_of(short, whole, st.integers(0, day), st.integers(1 - 2**63, 2**63 - 1))
    return Kind(pl.Duration(unit), values, ticks=True)


def _floats(dtype: pl.DataType, width: Any) -> Kind:
    return Kind(dtype, st.one_of(st.floats(width=width), st.floats(-1000, 1000, width=width)))


def _decimals(precision: int, scale: int) -> Kind:
    most = 10**precision - 1
    digits = st.one_of(st.integers(-most, most), st.integers(-min(most, 10**16), min(most, 10**16)), st.integers(-9, 9))
    return Kind(pl.Decimal(precision, scale), digits.map(lambda number: Decimal(f"{number}e-{scale}")))


_DAYS = st.one_of(st.integers(1 - _EPOCH_DAYS, _LAST_DAY), st.integers(-26_000, 40_000))
_CLOCKS = st.one_of(
    st.integers(0, 86_400 * 10**9 - 1), st.integers(0, 86_399_999).map(lambda milliseconds: milliseconds * 10**6)
)
_CATEGORIES = ["=1+1", "", "_x0041_", "a", "<r>x</r>", "\u00e9", "@", "-1", " ", "\r"]
_ZONES = (None, "UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York")
KINDS: Sequence[Kind] = (
    *(Kind(pl.String(), TEXTS) for _ in range(8)),
    Kind(pl.Categorical(), TEXTS),
    Kind(pl.Enum(_CATEGORIES), st.sampled_from(_CATEGORIES)),
    *(_whole(dtype, bits) for dtype, bits in ((pl.Int8(), 8), (pl.Int16(), 16), (pl.Int32(), 32), (pl.Int64(), 64))),
    _whole(pl.Int128(), 127),
    *(_whole(dtype, bits, signed=False) for dtype, bits in ((pl.UInt8(), 8), (pl.UInt16(), 16), (pl.UInt32(), 32))),
    _whole(pl.UInt64(), 64, signed=False),
    _floats(pl.Float32(), 32),
    _floats(pl.Float64(), 64),
    Kind(pl.Boolean(), st.booleans()),
    *(_decimals(precision, scale) for precision, scale in ((10, 0), (10, 2), (38, 10), (38, 30))),
    Kind(pl.Date(), _DAYS.map(lambda days: date(1970, 1, 1) + timedelta(days))),
    *(_moments(unit, zone) for unit in _TICKS for zone in _ZONES),
    Kind(pl.Time(), _CLOCKS, ticks=True),
    *(_durations(unit) for unit in _TICKS),
    Kind(pl.Binary(), st.binary(max_size=40)),
    Kind(pl.Null(), st.none()),
)


def made_up(number: int, cells: int) -> pl.DataFrame:
    """A table of one column of each kind.

    Args:
        number: The same one makes the same table.
        cells: How many at least.
    """
    rows: dict[str, tuple[Any, ...]] = {}
    wanted = -(-cells // len(KINDS))
    row = st.tuples(*(st.one_of(st.none(), kind.values, kind.values, kind.values) for kind in KINDS))

    # Some of what hypothesis makes is a copy of what it made before.
    @seed(number)
    @settings(
        max_examples=3 * wanted,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(row)
    def collect(values: tuple[Any, ...]) -> None:
        if len(rows) < wanted:
            rows.setdefault(repr(values), values)

    with warnings.catch_warnings():
        # That it would take long to print what it is asked for, which nobody will.
        warnings.simplefilter("ignore", HypothesisWarning)
        collect()
    assert len(rows) == wanted
    columns = enumerate(zip(KINDS, zip(*rows.values(), strict=True), strict=True))
    return pl.DataFrame([kind.series(f"{index} {kind.dtype}", values) for index, (kind, values) in columns])
