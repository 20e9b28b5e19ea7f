"""Values of canonical columns in their canonical types: strictly, batch by batch, and only where they are not yet."""

from collections.abc import Callable, Mapping, Sequence

import attrs
import polars as pl

from tailrace import BadRow
from tailrace_source_analytics.log import ROW
from tailrace_source_analytics.rejects import Rejects

_TRUE = ("true", "t", "yes", "y", "on", "1", "1.0")
_FALSE = ("false", "f", "no", "n", "off", "0", "0.0")
_LISTED = 100


@attrs.frozen
class Cast:
    """How a column becomes what it should be.

    Args:
        column: Its name.
        dtype: What it becomes.
        convert: Converts a batch of it; null where a value does not fit.
        reason: Why a value does not fit, as the end of a sentence.
    """

    column: str
    dtype: pl.DataType
    convert: Callable[[pl.Series], pl.Series]
    reason: str


def cast_for(column: str, dtype: pl.DataType, wanted: pl.DataType) -> Cast | None:
    """How a canonical column of type ``dtype`` becomes what it should be; None when it is good as it is.

    Numbers stay the numbers they are, whatever their width; texts stay texts.
    """
    if dtype == wanted or isinstance(dtype, pl.Categorical | pl.Enum):
        return None
    if wanted == pl.String:
        # A number in the place of a text keeps its type: nothing is gained by hiding that.
        return None
    if wanted == pl.Boolean:
        return Cast(column, wanted, _flag, "it is neither true nor false")
    if dtype.is_numeric():
        return None
    if wanted == pl.Int64:
        return Cast(column, wanted, _whole, "it is not a whole number")
    return Cast(column, wanted, _number, "it is not a number")


def apply_casts(
    numbered: pl.LazyFrame, schema: Mapping[str, pl.DataType], casts: Sequence[Cast], rejects: Rejects
) -> pl.LazyFrame:
    """Convert columns, and part with the rows that do not fit.

    Args:
        numbered: The rows, with :data:`ROW` first.
        schema: Their types, without :data:`ROW`.
        casts: What to convert.
        rejects: Where rows go whose values do not fit.
    """

    def convert(batch: pl.DataFrame) -> pl.DataFrame:
        return cast_batch(batch, casts, rejects)

    result = {
        name: next((cast.dtype for cast in casts if cast.column == name), dtype) for name, dtype in schema.items()
    }
    return numbered.map_batches(
        convert,
        predicate_pushdown=False,
        projection_pushdown=False,
        slice_pushdown=False,
        schema=pl.Schema({ROW: pl.UInt64(), **result}),
        streamable=True,
    ).drop(ROW)


def cast_batch(batch: pl.DataFrame, casts: Sequence[Cast], rejects: Rejects) -> pl.DataFrame:
    """Convert the columns of one batch."""
    good: pl.Series | None = None
    found: list[BadRow] = []
    converted = []
    for cast in casts:
        # Methods of a series go by its name, which polars takes for a pattern where it is ``*`` or ``^…$``.
        values = batch[cast.column].alias("")
        result = cast.convert(values)
        converted.append(result.alias(cast.column))
        if result.null_count() == values.null_count():
            continue
        fits = result.is_not_null() | values.is_null()
        rows = batch[ROW].filter(~fits if good is None else ~fits & good)
        found += [BadRow(row, cast.column, cast.reason) for row in rows.head(_LISTED)]
        good = fits if good is None else good & fits
    batch = batch.with_columns(converted)
    if good is None:
        return batch
    rejects.add(found, count=batch.filter(~good).height)
    return batch.filter(good)


def _flag(values: pl.Series) -> pl.Series:
    if values.dtype.is_numeric():
        only = values.is_in([0, 1])
        return (values == 1).zip_with(only.fill_null(value=False), pl.Series([None], dtype=pl.Boolean))
    text = values.cast(pl.String).str.strip_chars().str.to_lowercase()
    known = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}
    return text.replace_strict(known, default=None, return_dtype=pl.Boolean)


def _whole(values: pl.Series) -> pl.Series:
    result = values.cast(pl.Int64, strict=False)
    if result.null_count() > values.null_count():
        # pandas writes whole numbers as 200.0 where some are missing.
        point = values.cast(pl.String).str.strip_suffix(".0").cast(pl.Int64, strict=False)
        result = result.zip_with(result.is_not_null(), point)
    return result


def text_cast(column: str) -> Cast:
    """How a column of bytes becomes text: some writers of Parquet do not say that their bytes are."""
    return Cast(column, pl.String(), _decoded, "it is not UTF-8 text")


def _decoded(values: pl.Series) -> pl.Series:
    try:
        return values.cast(pl.String)
    except pl.exceptions.PolarsError:
        # polars has no cast that leaves the others alone; this is a batch with a row that cannot be read.
        return pl.Series([_text(value) for value in values], dtype=pl.String)


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _number(values: pl.Series) -> pl.Series:
    return values.cast(pl.Float64, strict=False)
