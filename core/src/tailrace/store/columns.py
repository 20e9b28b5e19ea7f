"""Column types that are the same on SQLite and PostgreSQL, for programs and for people who look with a shell."""

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator


class Moment(TypeDecorator[datetime]):
    """A point in time, UTC, in microseconds: ``timestamptz`` on PostgreSQL, ISO 8601 text of one length on SQLite.

    Texts of one length are in the order of time, so that they can be compared and indexed.
    """

    impl = sa.String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """The type in the database."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.String(27))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        """What is stored."""
        if value is None or dialect.name == "postgresql":
            return value
        # Not strftime, which writes the year 1 as "1" on some systems.
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """What was stored."""
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        # Several times as fast as to parse it by a pattern; a list of jobs has ten for each.
        return datetime.fromisoformat(value)


class Document(TypeDecorator[Any]):
    """A JSON-like value, as text: nobody searches in it, and a shell shows it as it is."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        """What is stored."""
        return None if value is None else json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        """What was stored."""
        return None if value is None else json.loads(value)
