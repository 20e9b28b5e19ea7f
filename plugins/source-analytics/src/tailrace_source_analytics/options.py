"""What can be told to the source."""

from collections.abc import Mapping
from typing import Literal

import attrs

from tailrace import option

Kind = Literal["auto", "sqlite", "postgresql", "parquet", "csv", "ndjson", "squid"]
TimeUnit = Literal["s", "ms", "us", "ns"]


@attrs.frozen
class AnalyticsOptions:
    """Options of the source ``analytics``."""

    table: str | None = option(
        default=None, help="Table to read from a database; found by its name and columns if not given."
    )
    map: Mapping[str, str] = option(
        factory=dict, help="Which column is which: timestamp=validated_at,success=is_valid. The left names are fixed."
    )
    kind: Kind = option("auto", help="What is at the location, where its content does not tell.")
    on_bad_rows: Literal["stop", "report"] = option(
        "stop", help="A row that cannot be read stops the export, or is left out, counted and listed."
    )
    time_format: str | None = option(
        default=None,
        help="How times are written, in strptime's words (%d.%m.%Y %H:%M:%S), where that is not recognised.",
    )
    time_unit: TimeUnit | None = option(default=None, help="What times count since 1970, where that is not recognised.")
    separator: str | None = option(
        default=None, help="Character between two fields of a CSV file, where it is not recognised."
    )
