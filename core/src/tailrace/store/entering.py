"""Entering a row unless there is one already, in either database."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def enter_if_new(connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> None:
    """Insert a row; where one with this primary key exists already, it stays as it is."""
    insert = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)
    keys = [column.name for column in table.primary_key]
    connection.execute(insert.values(values).on_conflict_do_nothing(index_elements=keys))
