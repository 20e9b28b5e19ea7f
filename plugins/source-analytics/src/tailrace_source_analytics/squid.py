"""Squid's native access log (``logformat squid``).

::

    time elapsed client code/status bytes method URL rfc931 peerstatus/peerhost type

It becomes the canonical columns and what else a line says. What is decided here:

- ``proxy_source`` is the peer's host where Squid asked a parent or sibling cache, and null where it went to the origin
  or answered by itself: only then another proxy was used. The peer is in ``peer`` in any case.
- ``success`` is a status of 200 to 399 that Squid itself did not deny, abort or time out; ``error_code`` is Squid's
  result code (``TCP_DENIED``) where there was no success. Status 000, which means that none was sent, is null.
- ``user`` is the name that a client logged in with: a credential.
"""

import polars as pl

from tailrace_source_analytics.files import DataFile
from tailrace_source_analytics.lines import count_lines, cut_at_line
from tailrace_source_analytics.textlog import Parsed

_FIELDS = ("time", "elapsed", "client", "result", "bytes", "method", "url", "user", "peer", "type")
_RAW = pl.Schema(dict.fromkeys(_FIELDS, pl.String()))
_WRONG = {
    "timestamp": "the time is not seconds with three decimals",
    "response_time_ms": "the elapsed time is not a whole number of milliseconds",
    "http_status": "the result is not written as CODE/status",
    "bytes_transferred": "the size is not a whole number of bytes",
    "hierarchy": "the peer is not written as CODE/host",
}


class Squid:
    """Grammar of Squid's native access log."""

    name = "squid"
    record = "line"
    by_line = True
    nested: frozenset[str] = frozenset()
    schema = pl.Schema(
        {
            "timestamp": pl.Datetime("us", "UTC"),
            "proxy_source": pl.String(),
            "endpoint": pl.String(),
            "http_method": pl.String(),
            "success": pl.Boolean(),
            "response_time_ms": pl.Float64(),
            "http_status": pl.Int64(),
            "bytes_transferred": pl.Int64(),
            "error_code": pl.String(),
            "client": pl.String(),
            "cache_result": pl.String(),
            "user": pl.String(),
            "hierarchy": pl.String(),
            "peer": pl.String(),
            "content_type": pl.String(),
        }
    )

    def skip(self, _file: DataFile) -> int:
        """Nothing comes before the first line."""
        return 0

    def cut(self, buffer: bytes) -> int:
        """Behind the last whole line."""
        return cut_at_line(buffer)

    def count(self, block: bytes) -> int:
        """Count the lines that are not blank."""
        return count_lines(block)

    def parse(self, block: bytes) -> Parsed:
        """Read lines."""
        raw = _split(block)
        if raw is not None:
            frame, bad = _interpret(raw)
            kept = None if not bad else _without(range(raw.height), bad)
            return Parsed(frame, raw.height, kept, bad)
        return _parse_line_by_line(block)


def _split(block: bytes) -> pl.DataFrame | None:
    """The ten fields of each line; None when some line has another number of them."""
    while b"  " in block:
        block = block.replace(b"  ", b" ")
    try:
        raw = pl.read_csv(
            block, separator=" ", quote_char=None, has_header=False, schema=_RAW, empty_string_is_null=False
        )
    except pl.exceptions.PolarsError:
        return None
    # polars fills up short lines without a word: the separators tell.
    complete = block.count(b" ") == raw.height * (len(_FIELDS) - 1) and not (raw["type"] == "").any()
    return raw if complete else None


def _parse_line_by_line(block: bytes) -> Parsed:
    good: list[bytes] = []
    positions: list[int] = []
    bad: list[tuple[int, str | None, str]] = []
    lines = block.removesuffix(b"\n").split(b"\n")
    for position, line in enumerate(lines):
        fields = line.split()
        if not fields:
            continue
        try:
            line.decode()
        except UnicodeDecodeError:
            bad.append((position, None, "it is not UTF-8 text"))
            continue
        if len(fields) != len(_FIELDS):
            bad.append((position, None, f"it has {len(fields)} fields instead of {len(_FIELDS)}"))
            continue
        good.append(b" ".join(fields))
        positions.append(position)
    raw = _split(b"\n".join(good)) if good else _RAW.to_frame()
    if raw is None:  # pragma: no cover - ten fields of UTF-8 text each
        raise AssertionError
    frame, wrong = _interpret(raw)
    kept = _without(positions, wrong)
    bad = sorted([*bad, *((positions[index], column, reason) for index, column, reason in wrong)])
    return Parsed(frame, len(lines), kept, bad)


def _without(positions: "range | list[int]", bad: list[tuple[int, str | None, str]]) -> list[int]:
    left_out = {index for index, _column, _reason in bad}
    return [position for index, position in enumerate(positions) if index not in left_out]


def _interpret(raw: pl.DataFrame) -> tuple[pl.DataFrame, list[tuple[int, str | None, str]]]:
    """Give the fields their meaning; which rows do not fit, and why."""
    field = {name: pl.col(name) for name in _FIELDS}
    known = {name: pl.when(field[name] != "-").then(field[name]) for name in ("user", "type")}
    frame = (
        raw.lazy()
        .select(
            pl.when(field["time"].str.contains(r"^\d{8,11}\.\d{3}$"))
            .then(field["time"].str.replace(".", "", literal=True, n=1))
            .cast(pl.Int64)
            .cast(pl.Datetime("ms", "UTC"))
            .cast(pl.Datetime("us", "UTC"))
            .alias("timestamp"),
            endpoint=field["url"],
            http_method=field["method"],
            response_time_ms=field["elapsed"].cast(pl.Int64, strict=False).cast(pl.Float64),
            bytes_transferred=field["bytes"].cast(pl.Int64, strict=False),
            client=field["client"],
            result=field["result"].str.split_exact("/", 1),
            user=known["user"],
            by=field["peer"].str.splitn("/", 2),
            content_type=known["type"],
        )
        .with_columns(
            cache_result=pl.col("result").struct[0],
            http_status=pl.col("result").struct[1].cast(pl.Int64, strict=False),
            hierarchy=pl.col("by").struct[0],
            host=pl.col("by").struct[1],
        )
    )
    done = (
        frame.with_columns(peer=pl.when(pl.col("host") != "-").then("host"))
        .with_columns(
            status=pl.when(pl.col("http_status") != 0).then("http_status"),
            proxy_source=pl.when(pl.col("hierarchy").str.contains("PARENT|SIBLING|CARP")).then("peer"),
            success=pl.col("http_status").is_between(200, 399)
            & ~pl.col("cache_result").str.contains("DENIED|ABORTED|TIMEOUT|^ERR_"),
        )
        .with_columns(error_code=pl.when(~pl.col("success")).then("cache_result"))
    )
    checked = done.with_columns(hierarchy=pl.when(pl.col("host").is_not_null()).then("hierarchy")).collect()
    wrong = checked.select(
        pl.any_horizontal(pl.col(list(_WRONG)).is_null()).alias("any"), pl.col(list(_WRONG)).is_null()
    )
    bad: list[tuple[int, str | None, str]] = []
    if wrong["any"].any():
        for row in wrong.with_row_index("row").filter("any").iter_rows(named=True):
            column = next(name for name in _WRONG if row[name])
            bad.append((row["row"], column, _WRONG[column]))
        checked = checked.filter(~wrong["any"])
    return checked.with_columns(http_status="status").select(list(Squid.schema)), bad
