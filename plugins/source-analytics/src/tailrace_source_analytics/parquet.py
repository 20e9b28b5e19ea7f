"""Parquet files: scanned by polars as they are, so that filters and columns are pushed down into them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import attrs
import polars as pl

from tailrace import SourceError
from tailrace_source_analytics.files import DataFile, read_errors
from tailrace_source_analytics.log import ROW, Log
from tailrace_source_analytics.parts import changed

_PLACES = 8


def open_parquet(files: Sequence[DataFile], partitions: Sequence[pl.Series]) -> Log:
    """Open Parquet files of one shape.

    Args:
        files: In order.
        partitions: Columns that folders give, with the value of each file.

    Raises:
        SourceError: A file is damaged, or is not of the shape of the first one.
    """
    schemas = [_schema(file) for file in files]
    for file, schema in zip(files, schemas, strict=True):
        _same(files[0], schemas[0], file, schema)
    added = [series for series in partitions if series.name not in schemas[0]]
    frame, count = _scan(files, added), partial(_count, files)
    place = files[0].path.name if len(files) == 1 else f"{files[0].path.name} and {len(files) - 1} more files"
    whole = Log(
        kind="parquet",
        place=place,
        frame=frame,
        numbered=partial(_numbered, frame),
        count=count,
        sample=partial(_sample, files, frame, count),
        is_empty=lambda: count() == 0,
        partitions=frozenset(series.name for series in added),
        bounds=lambda: range(count() + 1),
    )
    return attrs.evolve(whole, part=partial(_part, files, whole))


def _part(files: Sequence[DataFile], whole: Log, rows: range) -> Log:
    if rows.stop > whole.count():
        raise changed(whole.place)
    frame = whole.frame.slice(rows.start, len(rows))

    def count() -> int:
        return len(range(whole.count())[rows.start : rows.stop])

    return attrs.evolve(
        whole,
        frame=frame,
        numbered=partial(_numbered, frame, rows.start),
        count=count,
        sample=partial(_sample, files, frame, count),
    )


def _numbered(frame: pl.LazyFrame, before: int = 0) -> pl.LazyFrame:
    return frame.with_row_index(ROW, offset=before + 1).with_columns(pl.col(ROW).cast(pl.UInt64))


def _scan(files: Sequence[DataFile], added: Sequence[pl.Series]) -> pl.LazyFrame:
    if not added:
        return pl.scan_parquet([file.path for file in files], hive_partitioning=False, glob=False)
    return pl.concat(
        pl.scan_parquet(file.path, hive_partitioning=False, glob=False).with_columns(
            pl.lit(series[index], dtype=series.dtype).alias(series.name) for series in added
        )
        for index, file in enumerate(files)
    )


def _schema(file: DataFile) -> pl.Schema:
    with read_errors(file.path), _sound(file.path):
        return pl.scan_parquet(file.path, hive_partitioning=False, glob=False).collect_schema()


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    """Turn what polars says about Parquet files that are not as they should be into one clear message."""
    try:
        yield
    except pl.exceptions.PolarsError:
        message = f"{path} is a damaged or cut off Parquet file."
        raise SourceError(
            message, hint="Copy it again from where it comes from; its end holds what is needed to read it."
        ) from None


def _same(first: DataFile, wanted: pl.Schema, file: DataFile, schema: pl.Schema) -> None:
    if schema == wanted:
        return
    name = next((name for name in [*schema, *wanted] if schema.get(name) != wanted.get(name)), None)
    if name is None:
        message = f"{file.path} has the columns of {first.path} in another order."
    else:
        types = [str(found.get(name)) if name in found else "missing" for found in (schema, wanted)]
        message = (
            f"{file.path} is not of the shape of {first.path}: column {name!r} is {types[0]} instead of {types[1]}."
        )
    raise SourceError(message, hint="Export files of one shape at a time.")


def _count(files: Sequence[DataFile]) -> int:
    total = 0
    for file in files:
        # A file that was written anew would be counted anew, and the proof of completeness would prove nothing.
        file.check_unchanged()
        total += pl.scan_parquet(file.path, hive_partitioning=False, glob=False).select(pl.len()).collect().item()
    return total


def _sample(files: Sequence[DataFile], frame: pl.LazyFrame, count: Callable[[], int], n: int) -> pl.DataFrame:
    rows = count()
    with _sound(files[0].path if len(files) == 1 else files[0].path.parent):
        if rows <= n:
            return frame.collect()
        part = max(n // _PLACES, 1)
        places = {rows * place // _PLACES for place in range(_PLACES)}
        return pl.concat(pl.collect_all([frame.slice(place, part) for place in sorted(places)])).head(n)
