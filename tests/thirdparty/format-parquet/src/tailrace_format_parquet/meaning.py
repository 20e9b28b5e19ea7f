"""What Parquet has no place for, as JSON in the key/value metadata of the file."""

import json
from collections.abc import Mapping

from tailrace import OutgoingTable

KEY = "tailrace"
"""The key of the metadata."""
VERSION = 1


def metadata_of(table: OutgoingTable) -> dict[str, str]:
    """Key and JSON: name, zone and time column of the table; of each column meaning, unit and description.

    It is made of what is the same from run to run, so that equal tables give equal files.
    """
    told = {
        "version": VERSION,
        "table": table.name,
        "time_zone": table.time_zone,
        "time_column": table.time_column,
        "columns": [
            {
                "name": column.name,
                "meaning": column.meaning.value,
                "unit": column.unit,
                "description": column.description,
            }
            for column in table.columns
        ],
    }
    return {KEY: json.dumps(told, ensure_ascii=False)}


def name_in(metadata: Mapping[str, str]) -> str | None:
    """The name of the table by the metadata of a file; None where it says nothing of the kind."""
    try:
        told = json.loads(metadata.get(KEY, "null"))
    except ValueError:
        return None
    name = told.get("table") if isinstance(told, dict) else None
    return name if isinstance(name, str) and name else None
