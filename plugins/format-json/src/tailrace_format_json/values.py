"""What the values of a column look like in JSON."""

import polars as pl

from tailrace import RequestError, iso_text
from tailrace_format_json.nesting import fields, inner, leaf_types
from tailrace_format_json.options import JsonOptions

_BIG = (pl.Int64, pl.UInt64, pl.Int128, pl.UInt128)
_WORDS = (pl.String, pl.Categorical, pl.Enum, pl.Binary, pl.Boolean, pl.Null)


def changed_columns(table: str, schema: pl.Schema, options: JsonOptions) -> list[pl.Expr]:
    """Expressions for the columns that polars would not write as we want them, by types that it does.

    Args:
        table: Name of the table, for errors.
        schema: Its columns.
        options: Of the format.

    Raises:
        RequestError: A column that JSON cannot hold.
    """
    for name, dtype in schema.items():
        if not all(kind.is_numeric() or kind.is_temporal() or isinstance(kind, _WORDS) for kind in leaf_types(dtype)):
            raise RequestError(
                f"Column {name!r} of table {table} holds {dtype}, which JSON cannot hold.",
                hint="Leave it out: --columns with the names of the others.",
            )
    return [
        # By number: polars takes "*" and "^…$" for patterns, not for names.
        _value(pl.nth(number), dtype, options).alias(name)
        for number, (name, dtype) in enumerate(schema.items())
        if _is_changed(dtype, options)
    ]


def _is_changed(dtype: pl.DataType, options: JsonOptions) -> bool:
    return any(
        kind.is_temporal() or isinstance(kind, pl.Binary) or (options.big_integers == "text" and isinstance(kind, _BIG))
        for kind in leaf_types(dtype)
    )


def _value(value: pl.Expr, dtype: pl.DataType, options: JsonOptions) -> pl.Expr:
    if not _is_changed(dtype, options):
        return value
    if isinstance(dtype, pl.Array):
        return _value(value.arr.to_list(), pl.List(inner(dtype)), options)
    if isinstance(dtype, pl.List):
        return value.list.eval(_value(pl.element(), inner(dtype), options))
    if isinstance(dtype, pl.Struct):
        kinds = fields(dtype)
        # As with columns; and fields by number are a panic of polars in here.
        numbered = value.struct.rename_fields([str(number) for number in range(len(kinds))])
        parts = [
            _value(numbered.struct.field(str(number)), kind, options).alias(name)
            for number, (name, kind) in enumerate(kinds.items())
        ]
        return pl.when(value.is_not_null()).then(pl.struct(parts))
    if isinstance(dtype, pl.Binary):
        return value.bin.encode("base64")
    return iso_text(value, dtype) if dtype.is_temporal() else value.cast(pl.String)
