"""The health checks of a ProxyWhirl database: any number of them, in bounded memory."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import attrs
import polars as pl

from tailrace import BadRows, SqliteSnapshot, Table
from tailrace_source_pool.address import take_apart
from tailrace_source_pool.columns import described
from tailrace_source_pool.protection import public_url
from tailrace_source_pool.redaction import Redactor
from tailrace_source_pool.stored_table import (
    BAD_COLUMN,
    BAD_REASON,
    FLAG,
    NUMBER,
    ROW,
    TEXT,
    TIME,
    WHOLE,
    StoredTable,
)
from tailrace_source_pool.unreadable import Unreadable

CHECKS = "validation_results"

_COLUMNS: Mapping[str, pl.DataType] = {
    "id": WHOLE,
    "proxy_url": TEXT,
    "validated_at": TIME,
    "is_valid": FLAG,
    "response_time_ms": NUMBER,
    "error_type": TEXT,
    "error_message": TEXT,
}
_NUMBER, _SHOWN = "proxy_number", "shown proxy_url"


@attrs.frozen(repr=False)
class KnownProxies:
    """The proxies by the URL that they are stored under.

    Args:
        frame: ``proxy_url`` (as stored, logins included), ``proxy_number``, ``shown proxy_url``.
        redactor: Takes the pool's logins out of texts.
    """

    frame: pl.DataFrame
    redactor: Redactor

    @classmethod
    def of(cls, stored_urls: pl.Series, shown: pl.DataFrame, redactor: Redactor) -> "KnownProxies":
        """Remember proxies by their stored URL; ``shown`` has ``number`` and ``url`` in the same order."""
        frame = pl.DataFrame({"proxy_url": stored_urls, _NUMBER: shown["number"], _SHOWN: shown["url"]})
        return cls(frame.unique("proxy_url", keep="first", maintain_order=True), redactor)


def checks_table(snapshot: SqliteSnapshot, known: KnownProxies, path: Path, *, report: bool) -> tuple[Table, list[str]]:
    """The table ``checks``, read while it is written, and notes on it.

    Args:
        snapshot: The open database.
        known: The proxies of the pool.
        path: The file, for messages.
        report: Whether unreadable rows are left out and listed, rather than an error.
    """
    stored = StoredTable.of(snapshot, CHECKS, _COLUMNS, reserved=(_NUMBER, ROW))
    bad_rows = BadRows()
    where = f"{path}, table {CHECKS}"
    show = partial(
        _shown, stored=stored, known=known, unreadable=Unreadable(where, "row", bad_rows if report else None)
    )
    # A sample may be drawn any number of times: what is wrong in it is not counted.
    glance = partial(_shown, stored=stored, known=known, unreadable=Unreadable(where, "row", BadRows()))
    schema = glance(stored.empty()).schema
    table = Table(
        name="checks",
        # A function, not expressions: a plan, and any error that quotes it, shows the literals of expressions.
        frame=stored.scan(bad_rows if report else None).map_batches(show, streamable=True, schema=schema),
        columns=described(schema),
        count_rows=partial(snapshot.count, CHECKS),
        sample=lambda n: glance(stored.sample(n)),
        bad_rows=bad_rows,
        time_column="validated_at",
    )
    return table, list(stored.notes())


def _shown(rows: pl.DataFrame, *, stored: StoredTable, known: KnownProxies, unreadable: Unreadable) -> pl.DataFrame:
    """Some checks as they may be shown, without those that cannot be read."""
    rows = stored.tidy(rows).join(known.frame, on="proxy_url", how="left", maintain_order="left")
    stranger = rows[_NUMBER].is_null()
    if stranger.any():
        urls = rows["proxy_url"].filter(stranger).unique()
        address = take_apart(urls)
        others = pl.DataFrame(
            {"proxy_url": urls, "other": public_url(address, known.redactor), "no address": address["reason"]}
        )
        rows = rows.join(others, on="proxy_url", how="left", maintain_order="left", nulls_equal=True).with_columns(
            pl.coalesce(_SHOWN, "other").alias(_SHOWN),
            pl.coalesce(BAD_COLUMN, pl.when(pl.col("no address").is_not_null()).then(pl.lit("proxy_url"))).alias(
                BAD_COLUMN
            ),
            pl.coalesce(BAD_REASON, "no address").alias(BAD_REASON),
        )
    rows = rows.filter(unreadable.leave_out(rows[ROW], rows[BAD_COLUMN], rows[BAD_REASON]))
    names = [name for name in (*stored.shown.values(), *stored.absent) if name != "proxy_url"]
    texts = known.redactor.texts(*(rows[name] for name in names if rows.schema[name] == TEXT))
    first, *others_shown = names
    return rows.with_columns(texts).select(first, _NUMBER, pl.col(_SHOWN).alias("proxy_url"), *others_shown)
