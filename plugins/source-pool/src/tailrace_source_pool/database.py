"""ProxyWhirl's SQLite database: identities and their current status as one table, health checks as another."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import attrs
import polars as pl

from tailrace import BadRows, Dataset, Secrets, SourceCall, SourceError, SqliteSnapshot, Table
from tailrace_source_pool.address import take_apart
from tailrace_source_pool.checks import CHECKS, KnownProxies, checks_table
from tailrace_source_pool.columns import DERIVED
from tailrace_source_pool.location import Shape
from tailrace_source_pool.logins import decrypted
from tailrace_source_pool.offering import proxies_table
from tailrace_source_pool.protection import StoredPool, protect
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

IDENTITIES, STATUSES = "proxy_identities", "proxy_statuses"

IDENTITY_COLUMNS: Mapping[str, pl.DataType] = {
    "url": TEXT,
    "protocol": TEXT,
    "host": TEXT,
    "port": WHOLE,
    "username": TEXT,
    "password": TEXT,
    "country_code": TEXT,
    "country_name": TEXT,
    "region": TEXT,
    "city": TEXT,
    "latitude": NUMBER,
    "longitude": NUMBER,
    "asn": WHOLE,
    "isp_name": TEXT,
    "is_residential": FLAG,
    "is_datacenter": FLAG,
    "source": TEXT,
    "source_url": TEXT,
    "discovered_at": TIME,
}
STATUS_COLUMNS: Mapping[str, pl.DataType] = {
    "proxy_url": TEXT,
    "health_status": TEXT,
    "last_success_at": TIME,
    "last_failure_at": TIME,
    "last_check_at": TIME,
    "consecutive_successes": WHOLE,
    "consecutive_failures": WHOLE,
    "total_checks": WHOLE,
    "total_successes": WHOLE,
    "avg_response_time_ms": NUMBER,
    "success_rate_7d": NUMBER,
    "updated_at": TIME,
}
_LOGIN: Mapping[str, pl.DataType] = {"url": TEXT, "username": TEXT, "password": TEXT}
_HAS_STATUS = "has status"
_URLS_WITH_LOGINS = (
    "SELECT DISTINCT proxy_url AS url FROM {table} WHERE instr(proxy_url, '@') > 0 AND typeof(proxy_url) = 'text'"
)

# Groups by the index on proxy_url: one look-up per proxy, not per check.
_STRAY_CHECKS = f"""
    SELECT coalesce(sum(n), 0) AS checks, count(*) AS proxies
    FROM (SELECT proxy_url, count(*) AS n FROM {CHECKS} GROUP BY proxy_url) AS g
    WHERE NOT EXISTS (SELECT 1 FROM {IDENTITIES} AS i WHERE i.url = g.proxy_url)
"""  # noqa: S608 - made of constants


@contextmanager
def open_database(path: Path, call: SourceCall) -> Iterator[Dataset]:
    """Open a snapshot of the database.

    Raises:
        SourceError: A table or column that a pool needs is not there.
        BadRowError: A row that cannot be read.
    """
    with SqliteSnapshot(path, context=call.context) as snapshot:
        _require((IDENTITIES, STATUSES, *((CHECKS,) if call.options.checks else ())), snapshot, path)
        proxies, known, secrets, notes = _proxies(snapshot, call, path)
        tables = [proxies]
        if call.options.checks:
            checks, more = checks_table(snapshot, known, path, report=call.options.on_bad_rows == "report")
            tables.append(checks)
            notes += more
            strays, strangers = snapshot.query(_STRAY_CHECKS).row(0)
            if strays:
                notes.append(
                    f"{strays} checks are of {strangers} proxies that are not in the pool: their proxy_number is empty."
                )
        elif CHECKS in snapshot.tables() and (count := snapshot.count(CHECKS)):
            notes.append(f"The database also holds {count} health checks: --option checks=true exports them.")
        yield Dataset(tables=tables, version=Shape.DATABASE.value, notes=notes, secrets=secrets)


def _require(tables: Iterable[str], snapshot: SqliteSnapshot, path: Path) -> None:
    present = snapshot.tables()
    missing = [name for name in tables if name not in present]
    if not missing:
        return
    message = f"{path} is no ProxyWhirl database: it has no table {', '.join(missing)}."
    hint = f"Its tables: {', '.join(present)}." if present else "It has no tables at all."
    if "request_logs" in present:
        hint += " A request log is read by the source analytics."
    raise SourceError(message, hint=hint)


def _proxies(
    snapshot: SqliteSnapshot, call: SourceCall, path: Path
) -> tuple[Table, KnownProxies, Callable[[], Secrets] | None, list[str]]:
    """The table ``proxies``, what the checks need to know of it, what was kept out, and notes."""
    report = call.options.on_bad_rows == "report"
    bad_rows, bad_statuses = BadRows(), BadRows()
    identities = StoredTable.of(snapshot, IDENTITIES, IDENTITY_COLUMNS, reserved=(*DERIVED, *STATUS_COLUMNS))
    statuses = StoredTable.of(
        snapshot, STATUSES, STATUS_COLUMNS, reserved=(*DERIVED, *identities.shown.values(), *identities.absent)
    )
    for stored, needed in ((identities, "url"), (statuses, "proxy_url")):
        if needed in stored.absent:
            message = f"{path} is no ProxyWhirl database: {stored.name} has no column {needed}."
            raise SourceError(message, hint=f"Its columns: {', '.join(stored.stored)}.")
    rows, lost, statusless = _joined(
        identities.tidy(identities.scan(bad_rows if report else None).collect()),
        statuses.tidy(statuses.scan(bad_statuses if report else None).collect()),
        path,
    )
    others = _further_logins(snapshot, checks=call.options.checks, misfits=bad_rows.count > 0)
    unreadable = Unreadable(f"{path}, table {IDENTITIES}", "row", bad_rows if report else None)
    pool, urls = _pool(rows, others, unreadable)
    # In the database single values are encrypted; elsewhere, a password that looks like it is one.
    pool = attrs.evolve(pool, logins=decrypted(pool.logins, call.credentials))
    # As large as the pool itself, and no longer needed.
    del rows, others
    shown = protect(pool, call)
    notes = [f"A database of ProxyWhirl with {urls.len() or 'no'} proxies.", *shown.notes]
    if statusless:
        notes.append(f"{statusless} proxies have no status yet: its columns are empty.")
    if lost:
        notes.append(f"{lost} rows of {STATUSES} are of proxies that are not in the pool: they are not exported.")
    if bad_statuses.count:
        first = bad_statuses.examples[0]
        notes.append(
            f"{bad_statuses.count} rows of {STATUSES} cannot be read and are left out; "
            f"the first is row {first.row}, column {first.column}: {first.reason}"
        )
    notes += [*identities.notes(), *statuses.notes()]
    frame = shown.frame
    table = proxies_table(
        shown, count_rows=partial(snapshot.count, IDENTITIES), bad_rows=bad_rows, time_column="discovered_at"
    )
    return table, KnownProxies.of(urls, frame, shown.redactor), shown.secrets, notes


def _joined(identities: pl.DataFrame, statuses: pl.DataFrame, path: Path) -> tuple[pl.DataFrame, int, int]:
    """Each identity with its status; how many statuses have no identity, and how many identities no status."""
    if statuses["proxy_url"].is_duplicated().any():
        message = f"{path} has several rows in {STATUSES} for one proxy."
        raise SourceError(message, hint="ProxyWhirl keeps one for each: proxy_url is the primary key there.")
    lost = statuses.join(identities, left_on="proxy_url", right_on="url", how="anti").height
    statuses = statuses.drop(ROW).with_columns(pl.lit(value=True).alias(_HAS_STATUS))
    rows = identities.join(
        statuses, left_on="url", right_on="proxy_url", how="left", maintain_order="left", suffix=" of status"
    )
    bad = (pl.coalesce(name, f"{name} of status").alias(name) for name in (BAD_COLUMN, BAD_REASON))
    rows = rows.with_columns(bad).drop(f"{BAD_COLUMN} of status", f"{BAD_REASON} of status")
    return rows.drop(_HAS_STATUS), lost, rows[_HAS_STATUS].null_count()


def _further_logins(snapshot: SqliteSnapshot, *, checks: bool, misfits: bool) -> pl.DataFrame:
    """Logins of proxies that are not shown, for they may be in texts that are.

    Args:
        snapshot: The open database.
        checks: Whether checks are exported.
        misfits: Whether there are identities that could not be read.

    Returns:
        ``url``, ``username``, ``password``.
    """
    found = [pl.DataFrame(schema=_LOGIN)]
    for table in (STATUSES, CHECKS) if checks else (STATUSES,):
        urls = snapshot.query(_URLS_WITH_LOGINS.format(table=table), columns={"url": TEXT})
        found.append(urls.with_columns(pl.lit(None, dtype=TEXT).alias(name) for name in ("username", "password")))
    if misfits:
        present = {name: dtype for name, dtype in _LOGIN.items() if name in snapshot.columns(IDENTITIES)}
        found.append(snapshot.scan(IDENTITIES, columns=present, bad_rows=BadRows()).collect())
    return pl.concat(found, how="diagonal")


def _pool(rows: pl.DataFrame, others: pl.DataFrame, unreadable: Unreadable) -> tuple[StoredPool, pl.Series]:
    """The readable rows, by address; as a pool, and the URLs that they are stored under."""
    logins = pl.concat([rows.select(*_LOGIN), others])
    everybody = take_apart(logins["url"])
    address = everybody.head(rows.height)
    no_address = address["reason"]
    good = unreadable.leave_out(
        rows[ROW],
        rows.select(pl.coalesce(BAD_COLUMN, pl.when(no_address.is_not_null()).then(pl.lit("url")))).to_series(),
        rows.select(pl.coalesce(BAD_REASON, no_address)).to_series(),
    )
    # By the public part of the address: the order is not to tell anything about logins.
    order = address.with_row_index(ROW).filter(good).sort("url", maintain_order=True)[ROW]
    rows = rows[order]
    facts = rows.drop(ROW, BAD_COLUMN, BAD_REASON, *_LOGIN)
    return StoredPool(logins, everybody, order, facts), rows["url"]
