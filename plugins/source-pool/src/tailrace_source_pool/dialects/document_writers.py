"""Proxies as documents: JSON, CSV, and the proxies of a Clash configuration. One proxy on each line, none in a loop."""

from collections.abc import Mapping

import polars as pl

from tailrace import iso_text
from tailrace_source_pool.columns import DERIVED
from tailrace_source_pool.dialects.line_writers import file_of
from tailrace_source_pool.documents.rules import TYPES
from tailrace_source_pool.targets.fitting import fitted

HELD = tuple(name for name in TYPES if name not in DERIVED)
"""The columns that JSON and CSV hold."""

# YAML 1.2, section 5.1: what must be escaped there, beyond what JSON escapes; and line ends of YAML 1.1.
_YAML_ESCAPES: Mapping[str, str] = {
    chr(code): f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF)
}


def json_document(frame: pl.DataFrame) -> bytes:
    """A JSON array with an object for each proxy: the columns as they are called here, times as ISO 8601.

    Raises:
        RequestError: A value that does not fit its column.
    """
    if not frame.height:
        return b"[]\n"
    objects = _columns(frame).select(pl.struct(pl.all()).struct.json_encode()).to_series()
    return file_of("[", objects.head(-1) + ",", objects.tail(1), "]")


def csv_document(frame: pl.DataFrame) -> bytes:
    """CSV (RFC 4180) with a header of the same names; null is an empty field, an empty text is ``""``.

    Raises:
        RequestError: A value that does not fit its column.
    """
    return _columns(frame).write_csv().encode()


def clash_document(parts: pl.DataFrame) -> bytes:
    """The list ``proxies`` of a Clash or mihomo configuration, each proxy as a flow mapping on a line of its own.

    Args:
        parts: As writers of lines take them, with the scheme ``http``, ``https`` or ``socks5``.
    """
    if not parts.height:
        return b"proxies: []\n"
    tls = pl.when(pl.col("scheme") == "https").then(pl.lit(", tls: true")).otherwise(pl.lit(""))
    lines = (
        parts.with_columns(_name(), server=pl.col("host").str.strip_chars("[]"))
        .with_columns(_quoted(name) for name in ("name", "server", "username", "password"))
        .select(
            pl.concat_str(
                pl.lit("  - {name: "),
                "name",
                pl.lit(", type: "),
                pl.when(pl.col("scheme") == "socks5").then(pl.lit("socks5")).otherwise(pl.lit("http")),
                pl.lit(", server: "),
                "server",
                pl.lit(", port: "),
                "port",
                *(_member(name) for name in ("username", "password")),
                tls,
                pl.lit("}"),
            )
        )
        .to_series()
    )
    return file_of("proxies:", lines)


def _columns(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns that are held, each in its type, times as texts."""
    columns = pl.DataFrame([fitted(frame, name, TYPES[name]).alias(name) for name in HELD if name in frame.columns])
    return columns.with_columns(
        iso_text(pl.col(name), dtype).alias(name)
        for name, dtype in columns.schema.items()
        if isinstance(dtype, pl.Datetime)
    )


def _name() -> pl.Expr:
    """``host:port``; from the second proxy of that address on with its number, because names must differ."""
    address = pl.concat_str("host", pl.lit(":"), "port")
    number = pl.int_range(1, pl.len() + 1).over("host", "port")
    return pl.when(number == 1).then(address).otherwise(pl.format("{} ({})", address, number)).alias("name")


def _quoted(name: str) -> pl.Expr:
    """A text in double quotes, as JSON and YAML both have it; null stays null."""
    text = pl.struct(name).struct.json_encode().str.strip_prefix(f'{{"{name}":').str.strip_suffix("}")
    return pl.when(pl.col(name).is_not_null()).then(text.str.replace_many(_YAML_ESCAPES)).alias(name)


def _member(name: str) -> pl.Expr:
    return pl.when(pl.col(name).is_not_null()).then(pl.format(f", {name}: {{}}", pl.col(name))).otherwise(pl.lit(""))
