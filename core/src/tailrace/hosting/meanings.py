"""What the columns of a frame mean, as their types say, and times that say which moment they mean."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import attrs

from tailrace.model.columns import Column, Meaning
from tailrace.model.errors import SourceError
from tailrace.pipeline.exact import exactly

if TYPE_CHECKING:
    import polars as pl


def described(
    schema: "pl.Schema", said: Mapping[str, Column | Meaning | str], secrets: Collection[str]
) -> tuple[Column, ...]:
    """The columns of a table.

    Args:
        schema: Their types.
        said: What some of them mean, by their names; wins over what their types say.
        secrets: Those that hold secrets.
    """
    return tuple(_column(name, dtype, said.get(name), secret=name in secrets) for name, dtype in schema.items())


def _column(name: str, dtype: "pl.DataType", said: Column | Meaning | str | None, *, secret: bool) -> Column:
    if secret:
        text = said.description if isinstance(said, Column) else ""
        return Column(name, Meaning.SECRET, description=text)
    if isinstance(said, Column):
        return attrs.evolve(said, name=name)
    return Column(name, _meaning(dtype) if said is None else Meaning(said))


def _meaning(dtype: "pl.DataType") -> Meaning:
    import polars as pl

    if isinstance(dtype, pl.Datetime | pl.Date):
        return Meaning.TIMESTAMP
    if isinstance(dtype, pl.Boolean):
        return Meaning.FLAG
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return Meaning.CATEGORY
    if dtype.is_numeric() or isinstance(dtype, pl.Duration):
        return Meaning.MEASURE
    return Meaning.TEXT


def told_apart(
    frame: "pl.LazyFrame", schema: "pl.Schema", *, table: str, source: str, zone: str | None
) -> "pl.LazyFrame":
    """The same rows with every moment in UTC.

    Args:
        frame: The rows.
        schema: Their types.
        table: Name of the table, for errors.
        source: Name of the source, for errors.
        zone: IANA zone that times without one are meant in; None to refuse them.

    Raises:
        SourceError: A time that does not say of which zone it is, or a type that cannot be exported.
    """
    import polars as pl

    changes = []
    for name, dtype in schema.items():
        if isinstance(dtype, pl.Object):
            message = f"Column {name!r} of table {table} of the source {source} holds Python objects."
            raise SourceError(message, hint="Give it a type of polars: numbers, texts, times, lists or structs.")
        if not isinstance(dtype, pl.Datetime) or dtype.time_zone == "UTC":
            continue
        column = exactly(name)
        if dtype.time_zone is None:
            if zone is None:
                message = f"Column {name!r} of table {table} of the source {source} holds times without a zone."
                hint = "Say which they are of: add_source(…, naive_zone='UTC'), or dt.replace_time_zone('UTC')."
                raise SourceError(message, hint=hint)
            column = column.dt.replace_time_zone(zone)
        changes.append(column.dt.convert_time_zone("UTC"))
    return frame.with_columns(changes) if changes else frame
