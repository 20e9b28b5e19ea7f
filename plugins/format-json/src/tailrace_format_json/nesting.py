"""Walking through types and values that hold others: lists, arrays and structs."""

from collections.abc import Iterator

import polars as pl


def inner(dtype: pl.List | pl.Array) -> pl.DataType:
    """Type of the elements of a list or array."""
    return _instance(dtype.inner)


def fields(dtype: pl.Struct) -> dict[str, pl.DataType]:
    """Types of the fields of a struct."""
    return {field.name: _instance(field.dtype) for field in dtype.fields}


def leaf_types(dtype: pl.DataType) -> Iterator[pl.DataType]:
    """The types that hold no others, found anywhere inside of a type."""
    if isinstance(dtype, pl.List | pl.Array):
        yield from leaf_types(inner(dtype))
    elif isinstance(dtype, pl.Struct):
        for kind in fields(dtype).values():
            yield from leaf_types(kind)
    else:
        yield dtype


def leaves(values: pl.Series) -> Iterator[pl.Series]:
    """The values that hold no others, found anywhere inside of a column; one series for each type that holds them."""
    # polars turns methods of a series into expressions on its name, and takes "*" and "^…$" for patterns.
    values = values.alias("")
    dtype = values.dtype
    if isinstance(dtype, pl.List | pl.Array):
        yield from leaves(values.explode())
    elif isinstance(dtype, pl.Struct):
        for part in values.struct.unnest():
            yield from leaves(part)
    else:
        yield values


def _instance(dtype: object) -> pl.DataType:
    # Types are written with and without arguments: List(Int8) and List(Int8()) are the same.
    return dtype() if isinstance(dtype, type) else dtype  # type: ignore[return-value]  # polars: DataType or its class
