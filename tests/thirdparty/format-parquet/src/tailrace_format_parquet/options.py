"""The options of the format ``parquet``."""

from typing import Literal

import attrs

from tailrace import option

_LEVELS = {"zstd": (1, 22), "gzip": (0, 9), "brotli": (0, 11)}
_FEWEST, _MOST = 100, 10_000_000


def _check_level(options: "ParquetOptions", attribute: "attrs.Attribute[int | None]", value: int | None) -> None:
    if value is None:
        return
    if options.compression not in _LEVELS:
        message = f"the compression {options.compression} has no levels."
        raise ValueError(message, attribute)
    least, most = _LEVELS[options.compression]
    if not least <= value <= most:
        message = f"expected {least} to {most} for the compression {options.compression}."
        raise ValueError(message, attribute)


def _check_rows(_options: "ParquetOptions", attribute: "attrs.Attribute[int]", value: int) -> None:
    if not _FEWEST <= value <= _MOST:
        message = f"expected {_FEWEST:,} to {_MOST:,} rows."
        raise ValueError(message, attribute)


@attrs.frozen
class ParquetOptions:
    """Options of the format ``parquet``."""

    compression: Literal["zstd", "snappy", "lz4", "gzip", "brotli", "uncompressed"] = option(
        "zstd", help="How pages are compressed; old readers may know snappy and gzip only."
    )
    compression_level: int | None = option(
        None, help="Level of zstd (1 to 22), gzip (0 to 9) or brotli (0 to 11); their default if it is not given.",
        validator=_check_level,
    )  # fmt: skip
    statistics: bool = option(
        default=True, help="Write least and greatest value of each column per row group: readers can skip groups."
    )
    row_group_size: int = option(
        100_000, help="Rows of a row group, which are in memory together when they are written.", validator=_check_rows
    )
