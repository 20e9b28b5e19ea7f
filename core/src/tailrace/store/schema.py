"""The version of the store's tables: looked at by everyone, raised by ``tailrace store upgrade`` and by workers."""

from importlib.resources import files
from typing import Final

import sqlalchemy as sa

from tailrace.model.errors import ConfigurationError, NewerVersionError

HEAD: Final = "0002"
"""The revision that this program works with; a test holds it to the newest migration."""
_TABLE = sa.table("alembic_version", sa.column("version_num", sa.String))
_UPGRADE = "Run: tailrace store upgrade"


def revision(connection: sa.Connection) -> str | None:
    """The revision of a store; None where it has no tables yet."""
    # Not by asking for it and failing: on PostgreSQL that would end the transaction.
    if not sa.inspect(connection).has_table(_TABLE.name):
        return None
    return connection.execute(sa.select(_TABLE.c.version_num)).scalar()


def check(found: str | None, place: str) -> None:
    """Let a store be used whose tables are those that this program knows.

    Args:
        found: Its revision.
        place: Where it is, for messages.

    Raises:
        NewerVersionError: A newer program made them.
        ConfigurationError: They have to be made, or brought up to date, first.
    """
    if found == HEAD:
        return
    if found is None:
        raise ConfigurationError(f"The store {place} has no tables yet.", hint=f"{_UPGRADE}, or start a worker.")
    if found > HEAD:
        message = f"The store {place} is of revision {found}, this Tailrace knows revisions up to {HEAD}."
        raise NewerVersionError(message, version=int(found))
    message = f"The store {place} is of revision {found}, this Tailrace needs {HEAD}."
    raise ConfigurationError(message, hint=f"{_UPGRADE}, or start a worker.")


def make_on_sqlite(connection: sa.Connection) -> None:
    """Make the tables of a new store on SQLite, as all migrations together do, in a twentieth of their time.

    Every home has one, and it is made by whichever command comes first. A test holds the file to the migrations.
    """
    script = files("tailrace.store").joinpath("sqlite.sql").read_text(encoding="utf-8")
    for statement in script.split("\n\n"):
        connection.exec_driver_sql(statement)


def upgrade(connection: sa.Connection, place: str) -> tuple[str | None, str]:
    """Bring a store's tables up to date, in the transaction of the connection.

    Args:
        connection: In a transaction that holds the lock for writing.
        place: Where it is, for messages.

    Returns:
        The revision before and after.

    Raises:
        NewerVersionError: A newer program made them.
    """
    before = revision(connection)
    if before is not None and before > HEAD:
        check(before, place)
    if before is None and connection.dialect.name == "sqlite":
        make_on_sqlite(connection)
    elif before != HEAD:
        migrate(connection)
    return before, HEAD


def migrate(connection: sa.Connection) -> None:
    """Do all migrations that were not done yet."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "tailrace.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
