"""What a location says: a database, a file or a folder."""

from pathlib import Path

import tailrace
from tailrace import FilePlace, PostgresPlace
from tailrace_source_analytics.options import AnalyticsOptions

_EXAMPLES = (
    "Write sqlite:///path/to.db?table=t, postgresql://host/database?table=t, or a path to a file or folder "
    "(Parquet, CSV, NDJSON, SQLite, Squid's access.log)."
)


def read_location(location: str, options: AnalyticsOptions, folder: Path = Path()) -> PostgresPlace | FilePlace:
    """Read a location as the user wrote it.

    Args:
        location: URI or path.
        options: For ``table``, which may be given there instead.
        folder: Folder that relative paths count from.

    Raises:
        RequestError: It cannot be read; no part of it is repeated that could be a password.
    """
    return tailrace.read_location(location, examples=_EXAMPLES, table=options.table, folder=folder)
