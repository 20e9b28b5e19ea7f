"""Checks in memory: read, restricted to what was asked for, without credentials, by proxy and time."""

from collections.abc import Collection, Mapping, Sequence

import attrs
import polars as pl

from tailrace import (
    BadRowError,
    RemovedLogins,
    SourceCall,
    UnknownNameError,
    columns_of,
    filter_expression,
    without_userinfo,
)
from tailrace_source_health import columns
from tailrace_source_health.columns import (
    AT,
    COUNTRY,
    COUNTRY_CODE,
    COUNTRY_NAME,
    ERROR,
    MS,
    OK,
    PROTOCOL,
    PROXY,
    Names,
    exactly,
)
from tailrace_source_health.files import unreadable
from tailrace_source_health.options import HealthOptions
from tailrace_source_health.ordering import NUMBER, ordered
from tailrace_source_health.responses import LONGEST
from tailrace_source_health.stored import Stored

URL = "url"
_ROW, _BAD = "\x00row", "\x00bad"
"""Columns that travel along; no column of the data can be called so."""
_ADDRESS = r"^(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?P<host>\[[^\]]*\]|[^/:?#]*)(?::(?P<port>\d{1,5}))?"
_IN_ADDRESS = {
    PROTOCOL: pl.col("scheme").str.to_lowercase(),
    "host": pl.col("host").str.strip_chars("[]"),
    "port": pl.col("port").cast(pl.Int64),
}
_OF_RESULTS = ("status", "trend", "uptime_percent", "checks", "failures", "reasons", "last_seen", "longest_outage")


@attrs.frozen
class LeftOut:
    """Checks in range that are not part of the analysis, and why.

    Args:
        incomplete: Without a proxy, a time or an outcome.
        unreadable: With a value that cannot be read.
        repeated: The same as another check in all that is known of it.
        odd_times: Successful checks that count, but without their response time: it is negative, no number, or longer
            than three years.
    """

    incomplete: int = 0
    unreadable: int = 0
    repeated: int = 0
    odd_times: int = 0


@attrs.frozen
class Checks:
    """Checks, in the order of their proxy and time.

    Args:
        frame: ``number`` of the proxy, ``timestamp``, ``success``, ``response_time_ms`` (of successful checks, where it
            is one), ``error`` as it is stored: see :meth:`clean`.
        proxies: A row for each number, from 0 on: ``url``, ``protocol``, ``country_code``, ``country_name``,
            ``country`` (the name, or else the code), and what filters need beside them.
        left_out: What is not in it.
        with_identities: Whether anything was known of the proxies beside their addresses.
        removed: Is told the logins that are taken out of texts.
        notes: What was found.
    """

    frame: pl.DataFrame = attrs.field(repr=False)
    proxies: pl.DataFrame = attrs.field(repr=False)
    left_out: LeftOut
    with_identities: bool
    removed: RemovedLogins = attrs.field(repr=False)
    notes: Sequence[str] = ()

    def clean(self, errors: pl.Expr) -> pl.Expr:
        """Errors as they may be shown: without logins, null where they are empty."""
        return _clean(errors, self.removed)


def read_checks(stored: Stored, call: SourceCall, removed: RemovedLogins) -> Checks:
    """Read the checks that a call asks for.

    Args:
        stored: As they are stored.
        call: Range and filters.
        removed: Is told the logins that are taken out of addresses.

    Raises:
        SourceError: A column that is needed is missing or of another type; the data is damaged.
        BadRowError: A value cannot be read, and such rows are not to be left out.
        RequestError: A filter or the map does not fit the data.
    """
    options: HealthOptions = call.options
    with unreadable(stored.place):
        schema = stored.checks.collect_schema()
        known = None if stored.identities is None else stored.identities.collect_schema()
    names = Names.of(list(schema), None if known is None else list(known), options.map, stored.place)
    filters = _Filters.of(call, schema, names)
    wanted = {PROTOCOL, COUNTRY_CODE, COUNTRY_NAME, *filters.of_proxies} - {PROXY, URL, COUNTRY}
    with unreadable(stored.place, stored.check_unchanged):
        rows = _selected(stored, schema, names, filters, call, removed).collect()
        identities = None if stored.identities is None else _identities(stored.identities, names, wanted).collect()
    stored.check_unchanged()
    call.context.check()
    rows, incomplete, bad = _complete(rows, stop=options.on_bad_rows == "stop")
    rows, addresses, repeated = ordered(rows)
    known_of_rows = _known_of_rows(rows)
    rows = rows.drop(known_of_rows.columns, strict=False)
    proxies, unknown = _described(addresses, known_of_rows, identities, wanted, removed)
    rows = filters.applied(rows, proxies, removed)
    frame, odd = _with_sound_times(rows)
    notes = []
    if identities is not None and unknown:
        notes.append(f"Nothing is known of {unknown:,} of {proxies.height:,} proxies but their addresses.")
    return Checks(
        frame.select(NUMBER, AT, OK, MS, ERROR),
        proxies,
        LeftOut(incomplete, bad + stored.bad_rows.count, repeated, odd),
        identities is not None,
        removed,
        notes,
    )


@attrs.frozen
class _Filters:
    """The filters of a call: those that apply to rows as they are read, and those that need the proxies.

    Args:
        early: Filters of columns of checks only.
        late: The others.
        further: Stored columns that filters need, and nothing else does.
        texts: Columns of text that early filters compare, which must not tell what is in addresses.
        of_proxies: What must be known of proxies.
        call: For what "now" and days are.
    """

    early: Sequence[str]
    late: Sequence[str]
    further: Sequence[str]
    texts: Sequence[str]
    of_proxies: Collection[str]
    call: SourceCall

    @classmethod
    def of(cls, call: SourceCall, schema: Mapping[str, pl.DataType], names: Names) -> "_Filters":
        taken = {*names.checks.values()}
        of_proxies = {
            PROXY,
            URL,
            PROTOCOL,
            "host",
            "port",
            COUNTRY_CODE,
            COUNTRY_NAME,
            COUNTRY,
            *names.checks,
            *names.identities,
        }
        of_proxies -= {AT, OK, MS, ERROR, "identity"}
        own = {AT, OK, MS, ERROR}
        further = {name for name in schema if name not in taken and name not in of_proxies | own}
        early: list[str] = []
        late: list[str] = []
        needed: set[str] = set()
        known: set[str] = set()
        for text in call.where:
            mentioned = columns_of(text)
            for name in sorted(mentioned - own - of_proxies - further):
                every = sorted(own | of_proxies | further)
                hint = "Filters choose checks, before they are analysed." if name in _OF_RESULTS else ""
                raise UnknownNameError("column", name, every, where="the checks and their proxies", hint=hint)
            needed |= mentioned & further
            known |= mentioned & of_proxies
            (late if mentioned & of_proxies else early).append(text)
        compared = {name for text in early for name in columns_of(text)} | needed
        texts = [name for name in compared if name == ERROR or schema.get(name) == pl.String]
        return cls(early, late, sorted(needed), sorted(texts), known, call)

    def early_ones(self, schema: Mapping[str, pl.DataType]) -> list[pl.Expr]:
        return [self._expression(text, schema) for text in self.early]

    def applied(self, rows: pl.DataFrame, proxies: pl.DataFrame, removed: RemovedLogins) -> pl.DataFrame:
        """The rows that fit the filters which need the proxies."""
        if any(ERROR in columns_of(text) for text in self.late):
            rows = rows.with_columns(_clean(pl.col(ERROR), removed))
        known = proxies.with_columns(pl.col(URL).alias(PROXY))
        for text in self.late:
            mentioned = columns_of(text)
            of_proxies = sorted(mentioned & set(known.columns))
            if mentioned <= set(known.columns):
                fits = known.select(self._expression(text, known.schema).fill_null(value=False)).to_series()
                rows = rows.filter(fits.gather(rows[NUMBER]))
                continue
            wide = rows.with_columns(known[name].gather(rows[NUMBER]) for name in of_proxies)
            rows = rows.filter(wide.select(self._expression(text, wide.schema).fill_null(value=False)).to_series())
        return rows

    def _expression(self, text: str, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        return filter_expression(text, schema, now=self.call.moment, time_zone=self.call.time_zone)


def _selected(
    stored: Stored,
    schema: Mapping[str, pl.DataType],
    names: Names,
    filters: _Filters,
    call: SourceCall,
    removed: RemovedLogins,
) -> pl.LazyFrame:
    """The columns that are needed, under our names, of the rows that were asked for."""
    of = names.checks
    at = columns.moment(of[AT], schema[of[AT]], stored.place)
    ok = columns.flag(of[OK], schema[of[OK]], stored.place)
    ms = columns.number(of[MS], schema[of[MS]], stored.place) if MS in of else pl.lit(None, pl.Float64)
    error = exactly(of[ERROR]).cast(pl.String) if ERROR in of else pl.lit(None, pl.String)
    taken = [exactly(of[PROXY]).cast(pl.String).alias(PROXY), at.alias(AT), ok.alias(OK), ms.alias(MS)]
    taken.append(error.alias(ERROR))
    taken += [
        exactly(of[name]).cast(pl.String).alias(name) for name in (PROTOCOL, COUNTRY_CODE, COUNTRY_NAME) if name in of
    ]
    taken += [exactly(name) for name in filters.further]
    # Values that cannot be read can only be where something else than their own type is stored.
    suspects = {
        name: f"\x00{name}"
        for name in (AT, OK, MS)
        if name in of and not (schema[of[name]] in (pl.Boolean, pl.Float64) or schema[of[name]].is_temporal())
    }
    rows = stored.checks
    if suspects:
        rows = rows.with_row_index(_ROW, offset=1)
        taken += [pl.col(_ROW), *(exactly(of[name]).alias(raw) for name, raw in suspects.items())]
    rows = rows.select(taken)
    if suspects:
        wrong = (_wrong(raw, name) for name, raw in suspects.items())
        rows = rows.with_columns(pl.coalesce(pl.lit(None, pl.String), *wrong).alias(_BAD)).drop(suspects.values())
    kept = [pl.col(_BAD).is_not_null()] if suspects else []
    # A row whose time cannot be read is in no range, and in none it is told.
    if call.window is not None:
        inside = pl.col(AT) < call.window.until
        if call.window.since is not None:
            inside = inside & (pl.col(AT) >= call.window.since)
        rows = rows.filter(pl.any_horizontal(inside, *kept) if kept else inside)
    if filters.texts:
        rows = rows.with_columns(without_userinfo(exactly(name), removed=removed.logins) for name in filters.texts)
    for expression in filters.early_ones(rows.collect_schema()):
        rows = rows.filter(pl.any_horizontal(expression, *kept) if kept else expression)
    return rows


def _wrong(raw: str, name: str) -> pl.Expr:
    stored = pl.col(raw)
    return pl.when(pl.col(name).is_null() & stored.is_not_null() & (stored.cast(pl.String) != "")).then(pl.lit(name))


def _complete(rows: pl.DataFrame, *, stop: bool) -> tuple[pl.DataFrame, int, int]:
    """The rows that can be read and have a proxy, a time and an outcome; and how many have none, or cannot be read."""
    bad = 0
    if _BAD in rows.columns:
        wrong = rows.filter(pl.col(_BAD).is_not_null()).select(_ROW, _BAD)
        if stop and wrong.height:
            row, column = wrong.row(0)
            what = {AT: "a time such as 2026-08-15T06:23:17Z", OK: "true or false", MS: "a number"}[column]
            message = f"Row {row:,}, column {column!r}: it is not {what}."
            raise BadRowError(message, row=row, column=column)
        bad = wrong.height
        rows = (rows.filter(pl.col(_BAD).is_null()) if bad else rows).drop(_ROW, _BAD)
    before = rows.height
    if any(rows[name].null_count() for name in (PROXY, AT, OK)):
        rows = rows.drop_nulls([PROXY, AT, OK])
    return rows, before - rows.height, bad


def _known_of_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """What the checks themselves say of their proxies, the first value of each."""
    names = [name for name in (PROTOCOL, COUNTRY_CODE, COUNTRY_NAME) if name in rows.columns]
    if not names:
        return pl.DataFrame()
    first = [pl.col(name).filter(pl.col(name) != "").first() for name in names]
    return rows.group_by(NUMBER, maintain_order=True).agg(first).drop(NUMBER)


def _identities(stored: pl.LazyFrame, names: Names, wanted: Collection[str]) -> pl.LazyFrame:
    wanted = {"identity", *wanted}
    return stored.select(exactly(column).alias(name) for name, column in names.identities.items() if name in wanted)


def _described(
    addresses: pl.Series,
    of_rows: pl.DataFrame,
    identities: pl.DataFrame | None,
    wanted: Collection[str],
    removed: RemovedLogins,
) -> tuple[pl.DataFrame, int]:
    """What is known of each proxy, and of how many there is nothing but the address."""
    stored = pl.DataFrame({"identity": addresses})
    unknown = stored.height
    if identities is not None and "identity" in identities.columns:
        found = identities.with_columns(pl.col("identity").cast(pl.String), pl.lit(value=True).alias(_BAD))
        if found["identity"].n_unique() < found.height:
            found = found.unique("identity", keep="first", maintain_order=True)
        stored = stored.join(found, on="identity", how="left", maintain_order="left")
        unknown = stored[_BAD].null_count()
        stored = stored.drop(_BAD)
    shown = stored.with_columns(
        _clean(exactly(name), removed) for name, dtype in stored.schema.items() if dtype == pl.String
    ).rename({"identity": URL})
    values = {name: [frame[name] for frame in (shown, of_rows) if name in frame.columns] for name in sorted(wanted)}
    if any(name in _IN_ADDRESS and not _is_full(known) for name, known in values.items()):
        parts = shown.select(pl.col(URL).str.extract_groups(_ADDRESS)).to_series().struct.unnest()
        for name, part in _IN_ADDRESS.items():
            if name in values:
                values[name].append(parts.select(part).to_series())
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, shown.height)
    described = shown.select(URL, *(_first_filled(known or [nothing]).alias(name) for name, known in values.items()))
    return described.with_columns(pl.coalesce(COUNTRY_NAME, COUNTRY_CODE).alias(COUNTRY)), unknown


def _is_full(values: Sequence[pl.Series]) -> bool:
    return any(not one.null_count() for one in values)


def _first_filled(values: Sequence[pl.Series]) -> pl.Series:
    first, *others = values
    for other in others:
        if first.null_count():
            first = first.zip_with(first.is_not_null(), other.cast(first.dtype, strict=False))
    return first


def _clean(texts: pl.Expr, removed: RemovedLogins) -> pl.Expr:
    """Texts without logins; null where they are empty."""
    return without_userinfo(pl.when(texts != "").then(texts), removed=removed.logins)


def _with_sound_times(rows: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The rows with response times only of successful checks, and how many of these were not possible."""
    sound = pl.col(OK) & pl.col(MS).is_between(0, LONGEST)
    given = pl.col(MS).is_not_null()
    counts = rows.select(
        given.sum().alias("every"), (pl.col(OK) & given).sum().alias("given"), sound.sum().alias("sound")
    )
    every, successful, kept = counts.row(0)
    if every != kept:
        rows = rows.with_columns(pl.when(sound).then(pl.col(MS)).alias(MS))
    return rows, successful - kept
