"""From a log as it is stored to the table ``requests``: names, times, types, no credentials."""

from collections.abc import Mapping, Sequence
from functools import partial

import attrs
import polars as pl

from tailrace import BadRows, Column, Meaning, OptionError, SourceCall, SourceError, Table, UnknownNameError
from tailrace_source_analytics.canonical import CANONICAL, TYPES, guess, may_be_time
from tailrace_source_analytics.casts import Cast, apply_casts, cast_batch, cast_for, text_cast
from tailrace_source_analytics.credentials import is_secret, without_credentials
from tailrace_source_analytics.log import ROW, Log, exactly
from tailrace_source_analytics.options import AnalyticsOptions
from tailrace_source_analytics.parts import part_of
from tailrace_source_analytics.rejects import Rejects
from tailrace_source_analytics.removed import Removed
from tailrace_source_analytics.times import TimeReading, UnreadableTimesError, read_times

_LOOKED_AT = 2_000
"""Rows looked at to find out how times are written."""


@attrs.frozen
class _Plan:
    """What is done to the rows.

    Args:
        schema: Types as they are stored.
        casts: Conversions that a value may not fit, by stored name.
        native: Conversions that every value fits.
        names: Final names by stored name, where they differ.
        secrets: Final names of columns that are credentials.
        nested: Final names of columns of JSON text.
        call: For credentials.
        removed: Is told passwords and tokens as they are removed.
    """

    schema: pl.Schema
    casts: Sequence[Cast]
    native: Sequence[pl.Expr]
    names: Mapping[str, str]
    secrets: Sequence[str]
    nested: Sequence[str]
    call: SourceCall
    removed: Removed

    def rows(self, log: Log, rejects: Rejects) -> pl.LazyFrame:
        """The rows of the log; no Python runs per batch unless values must be converted."""
        return self._finish(apply_casts(log.numbered(), self.schema, self.casts, rejects) if self.casts else log.frame)

    def sample(self, log: Log, n: int) -> pl.DataFrame:
        """Some rows; those that cannot be read are left out, and not counted."""
        rows = log.sample(n).with_row_index(ROW, offset=1)
        return self._finish(cast_batch(rows, self.casts, Rejects(BadRows(keep=0))).drop(ROW).lazy()).collect()

    def _finish(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        if self.native:
            frame = frame.with_columns(self.native)
        if self.names:
            frame = frame.rename(self.names)
        return without_credentials(
            frame,
            frame.collect_schema(),
            secrets=self.secrets,
            nested=self.nested,
            mode=self.call.credentials,
            reference=self.call.reference,
            removed=self.removed,
        )


def interpret(log: Log, call: SourceCall, rejects: Rejects, removed: Removed) -> tuple[Table, list[str]]:
    """Give the columns of a log their names, types and meanings.

    Args:
        log: The log, as a whole: each part is read as all the others are.
        call: What is asked for.
        rejects: Where rows go that cannot be read.
        removed: Is told passwords and tokens as they are removed.

    Returns:
        The table ``requests``, and what was recognised and decided.

    Raises:
        RequestError: A partition is asked for that cannot be.
        UnknownNameError: A mapping names a column that is not there, or one that is not canonical.
        OptionError: Two columns would have one name.
        SourceError: It is not clear what the times are, or how to read them.
    """
    options: AnalyticsOptions = call.options
    schema = log.frame.collect_schema()
    names = _names(schema, options.map, log.place)
    notes = list(log.notes)
    time, reading, said = _times(log, schema, names, options)
    notes += said
    casts, native = _conversions(schema, names, time, reading, notes)
    final = [names.get(name, name) for name in schema]
    # A flag such as has_password is no credential.
    secrets = [
        name
        for name, dtype in zip(final, schema.dtypes(), strict=True)
        if name not in CANONICAL and is_secret(name) and dtype != pl.Boolean
    ]
    if secrets:
        done = "emptied" if call.credentials == "sanitized" else "replaced by ids"
        notes.append(f"credentials, {done}: " + ", ".join(secrets))
    stored_nested = [name for name, dtype in schema.items() if dtype.is_nested()]
    nested = [names.get(name, name) for name in (*stored_nested, *log.nested)]
    plan = _Plan(schema, casts, native, names, secrets, nested, call, removed)
    part = log if call.partition is None else part_of(log, call.partition)
    frame = plan.rows(part, rejects)
    table = Table(
        name="requests",
        frame=frame,
        columns=_columns(frame.collect_schema(), secrets, names.get(time, time) if time else None),
        count_rows=part.count,
        sample=partial(plan.sample, part),
        bad_rows=rejects.bad_rows if rejects.bad_rows is not None else BadRows(),
        time_column=names.get(time, time) if time else None,
    )
    return table, notes


def _names(schema: pl.Schema, mapping: Mapping[str, str], place: str) -> dict[str, str]:
    names: dict[str, str] = {}
    for canonical, column in mapping.items():
        if canonical not in CANONICAL:
            raise UnknownNameError("canonical column", canonical, CANONICAL)
        if column not in schema:
            raise UnknownNameError("column", column, schema, where=place)
        if column in names:
            raise OptionError("map", f"column {column!r} is mapped twice.", hint="Map each column once.")
        if canonical != column and canonical in schema and canonical not in mapping.values():
            raise OptionError(
                "map", f"there is a column {canonical!r} already.", hint=f"Map it away, or leave {column!r} as it is."
            )
        names[column] = canonical
    return {column: canonical for column, canonical in names.items() if column != canonical}


def _times(
    log: Log, schema: pl.Schema, names: Mapping[str, str], options: AnalyticsOptions
) -> tuple[str | None, TimeReading | None, list[str]]:
    """The column of times as it is stored, how to read it, and what there is to say about it."""
    chosen = next((column for column, name in names.items() if name == "timestamp"), None)
    if chosen is None and "timestamp" in schema and "timestamp" not in names:
        chosen = "timestamp"
    if chosen is not None:
        dtype = schema[chosen]
        sample = pl.Series(dtype=dtype) if dtype.is_temporal() else log.sample(_LOOKED_AT)[chosen]
        reading = read_times(names.get(chosen, chosen), dtype, sample, options)
        return chosen, reading, [reading.said] if reading.said else []
    candidates = [
        column
        for column, dtype in schema.items()
        if column not in names
        and column not in log.partitions
        and may_be_time(column, dtype, log.declared.get(column, ""))
    ]
    readings: dict[str, TimeReading] = {}
    if candidates:
        looked_at = log.sample(_LOOKED_AT)
        for column in candidates:
            try:
                readings[column] = read_times(column, schema[column], looked_at[column], options)
            except UnreadableTimesError:
                # Its name alone made it a candidate: a column `time` may as well hold seconds that something took.
                continue
    if not readings:
        return None, None, ["no column of times was found: name it with --map timestamp=<column>"]
    if len(readings) > 1:
        message = "Several columns can be the time of the request: " + ", ".join(readings) + "."
        raise SourceError(message, hint="Say which: " + " or ".join(f"--map timestamp={name}" for name in readings))
    column, reading = next(iter(readings.items()))
    notes = [f"{column}: taken as the time of the request, as the only column of times"]
    return column, reading, [*notes, *([reading.said] if reading.said else [])]


def _conversions(
    schema: pl.Schema, names: Mapping[str, str], time: str | None, reading: TimeReading | None, notes: list[str]
) -> tuple[list[Cast], list[pl.Expr]]:
    """What is done to the columns that are not yet what they should be: value by value, and wholesale."""
    casts: list[Cast] = []
    native: list[pl.Expr] = []
    for column, dtype in schema.items():
        wanted = TYPES.get(names.get(column, column))
        if isinstance(dtype, pl.Datetime) and column != time:
            other = read_times(column, dtype, pl.Series(dtype=dtype), AnalyticsOptions())
            native += _native(column, dtype, other)
            notes += [other.said] if other.said else []
        elif column == time and reading is not None:
            native += _native(column, dtype, reading)
            if reading.convert is not None:
                how = reading.said.partition(": ")[2]
                casts.append(Cast(column, reading.dtype, reading.convert, f"it is no time ({how})"))
        elif dtype == pl.Null:
            native.append(exactly(column).cast(wanted or pl.String()))
        elif dtype == pl.Binary:
            casts.append(text_cast(column))
            notes.append(f"{column}: bytes, read as UTF-8 text")
        elif dtype.is_nested():
            native.append(_json_text(column, dtype))
            notes.append(f"{column}: {'an object' if dtype == pl.Struct else 'a list'}, written as JSON text")
        elif wanted is not None and (cast := cast_for(column, dtype, wanted)) is not None:
            casts.append(cast)
    return casts, native


def _native(column: str, dtype: pl.DataType, reading: TimeReading) -> list[pl.Expr]:
    return [] if reading.native is None or dtype == reading.dtype else [reading.native(exactly(column))]


def _json_text(column: str, dtype: pl.DataType) -> pl.Expr:
    value = exactly(column)
    if dtype == pl.Struct:
        text = value.struct.json_encode()
    else:
        text = pl.struct(value.alias("v")).struct.json_encode().str.strip_prefix('{"v":').str.strip_suffix("}")
    return pl.when(value.is_not_null()).then(text).alias(column)


def _columns(schema: pl.Schema, secrets: Sequence[str], time: str | None) -> list[Column]:
    columns = []
    for name, dtype in schema.items():
        column = CANONICAL.get(name) or guess(name, dtype)
        if name in secrets:
            column = Column(name, Meaning.SECRET, description="A credential.")
        elif name == time and name not in CANONICAL:
            column = attrs.evolve(CANONICAL["timestamp"], name=name)
        columns.append(column)
    return columns
