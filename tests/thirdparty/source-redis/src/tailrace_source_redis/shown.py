"""From proxies as they are stored to what may be shown: no password passes through here."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

import attrs
import polars as pl

from tailrace import (
    Column,
    CredentialMode,
    Meaning,
    NotAllowedError,
    RemovedLogins,
    SealedColumns,
    SourceCall,
    without_userinfo,
)
from tailrace_source_redis.records import Records

TABLE = "proxies"
REDACTED = "[redacted]"
_SHORT = 3
"""Characters of a password that is replaced only where it stands as a word: elsewhere it is everywhere."""
_DONE = {
    CredentialMode.FULL: "are sealed",
    CredentialMode.SANITIZED: "were removed",
    CredentialMode.REFERENCE: "are replaced by stable ids",
}
_BOUND_TO = ("proxy",)
_SECRETS = ("username", "password")

COLUMNS = (
    Column("proxy", Meaning.KEY, "", "Address as host:port, without any login"),
    Column("username", Meaning.SECRET, "", "Sealed in mode full, a stable id in mode reference, else empty"),
    Column("password", Meaning.SECRET, "", "Sealed in mode full, a stable id in mode reference, else empty"),
    Column("https", Meaning.FLAG, "", "Whether it takes HTTPS"),
    Column("fail_count", Meaning.MEASURE, "", "Checks that failed and were not made good since"),
    Column("region", Meaning.CATEGORY, "", "Where it is"),
    Column("anonymous", Meaning.CATEGORY, "", "How anonymous it is, by whoever offered it"),
    Column("source", Meaning.CATEGORY, "", "Who offered it"),
    Column("check_count", Meaning.MEASURE, "", "Checks so far"),
    Column("last_status", Meaning.FLAG, "", "Whether the last check went well"),
    Column("last_time", Meaning.TIMESTAMP, "", "When that was"),
)
_TYPES: dict[str, pl.DataType] = {
    "https": pl.Boolean(),
    "fail_count": pl.Int64(),
    "region": pl.String(),
    "anonymous": pl.String(),
    "source": pl.String(),
    "check_count": pl.Int64(),
    "last_status": pl.Boolean(),
    "last_time": pl.Datetime("us", "UTC"),
}


@attrs.frozen(repr=False)
class Shown:
    """What may be shown of a pool.

    Args:
        frame: The proxies.
        notes: What was done, in sentences.
        removed: What was kept out.
        sealed: What was sealed, in mode ``full``.
    """

    frame: pl.DataFrame
    notes: tuple[str, ...]
    removed: RemovedLogins
    sealed: SealedColumns | None = None


def check_mode(call: SourceCall) -> None:
    """See that the credentials mode can be kept.

    Raises:
        NotAllowedError: It is ``full``, and there is nothing to seal with.
    """
    if call.credentials is CredentialMode.FULL and call.seal is None:
        raise NotAllowedError(
            "Credential mode 'full' seals user names and passwords, and there is nothing to seal them with.",
            hint="Use --credentials sanitized (removed) or reference (an id for each).",
        )


def show(records: Records, call: SourceCall) -> Shown:
    """Show of each proxy what the credentials mode allows.

    Args:
        records: The proxies.
        call: The credentials mode, and what makes ids or seals.
    """
    rows = records.rows
    addresses = pl.Series("proxy", [row.address for row in rows], dtype=pl.String)
    removed = RemovedLogins(public=tuple(addresses.unique()))
    for username, password in records.logins:
        if password is not None:
            removed.add(password, "password" if username is not None else "token")
    facts = pl.DataFrame({name: [row.facts[name] for row in rows] for name in _TYPES}, schema=_TYPES)
    clean = _without_secrets(facts, {password for _name, password in records.logins if password}, removed)
    call.context.check()
    logins, sealed = _logins(records, addresses, call)
    frame = pl.DataFrame([addresses]).with_columns(logins).with_columns(clean.get_columns())
    return Shown(frame, tuple(_notes(records, facts, clean, call.credentials)), removed, sealed)


def _logins(records: Records, addresses: pl.Series, call: SourceCall) -> tuple[list[pl.Series], SealedColumns | None]:
    rows = records.rows
    stored = {
        "username": pl.Series("username", [row.username for row in rows], dtype=pl.String),
        "password": pl.Series("password", [row.password for row in rows], dtype=pl.String),
    }
    if call.credentials is CredentialMode.SANITIZED:
        return [series.clear(len(series)) for series in stored.values()], None
    if call.credentials is CredentialMode.FULL:
        assert call.seal is not None, "check_mode has seen it"
        bound = addresses.to_frame()
        sealed = [call.seal(TABLE, name, series, bound).alias(name) for name, series in stored.items()]
        return sealed, SealedColumns(_SECRETS, _BOUND_TO)
    ids = [
        pl.Series(
            name,
            [
                None if own is None else call.reference(name, row.address, row.username or "", row.password or "")
                for own, row in zip(series, rows, strict=True)
            ],
            dtype=pl.String,
        )
        for name, series in stored.items()
    ]
    return ids, None


def _without_secrets(facts: pl.DataFrame, passwords: set[str], removed: RemovedLogins) -> pl.DataFrame:
    """The facts without passwords of this pool, and without logins in addresses of others."""
    long = sorted({form for text in passwords if len(text) > _SHORT for form in _spellings(text)})
    short = "|".join(re.escape(text) for text in sorted(passwords) if len(text) <= _SHORT)
    texts = [name for name, dtype in facts.schema.items() if isinstance(dtype, pl.String)]
    columns = []

    def tell(found: pl.Series) -> None:
        # What was replaced before is no secret, and is in the file.
        removed.logins(found.filter(~found.str.contains(REDACTED, literal=True)))

    for name in texts:
        # One by one and at once: what is lazy has a plan, and a plan shows the passwords in it.
        series = facts[name]
        if long:
            series = series.to_frame().select(_replaced(pl.col(name), long)).to_series()
        if short:
            pattern = rf"(^|[^\pL\pN])(?:{short})($|[^\pL\pN])"
            for _ in range(2):
                series = series.str.replace_all(pattern, f"${{1}}{REDACTED}${{2}}")
        columns.append(series.to_frame().select(without_userinfo(pl.col(name), removed=tell).alias(name)).to_series())
    return facts.with_columns(columns)


def _replaced(text: pl.Expr, secrets: list[str]) -> pl.Expr:
    forms, marks = pl.Series(secrets), pl.Series([REDACTED] * len(secrets))
    return text.str.replace_many(pl.lit(forms).implode(), pl.lit(marks).implode(), leftmost=True)


def _spellings(text: str) -> Iterator[str]:
    """The ways in which others write a password down."""
    encoded = (text, quote(text), quote(text, safe=""), quote_plus(text))
    yield from encoded
    yield from (json.dumps(form)[1:-1] for form in encoded)
    yield base64.b64encode(text.encode()).decode().rstrip("=")


def _notes(records: Records, facts: pl.DataFrame, clean: pl.DataFrame, mode: CredentialMode) -> Iterable[str]:
    yield f"A pool of proxy_pool with {len(records.rows):,} proxies."
    count = sum(row.username is not None or row.password is not None for row in records.rows)
    if count:
        yield f"User names and passwords of {count:,} proxies {_DONE[mode]}."
    cells = sum(int(series.ne_missing(clean[series.name]).sum()) for series in facts.get_columns())
    if cells:
        yield f"{cells:,} cells of other columns held a login or part of one: it was removed."
    if records.further:
        yield f"{records.further:,} proxies have further fields, which are not exported."
