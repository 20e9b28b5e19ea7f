"""What a column means, apart from what type it has."""

from enum import StrEnum

import attrs


class Meaning(StrEnum):
    """What a column is for. Formats choose styles by it, sources redact by it."""

    KEY = "key"
    """Identifies the row."""
    TIMESTAMP = "timestamp"
    """A moment in time; always UTC inside the engine."""
    MEASURE = "measure"
    """A number that is measured or summed."""
    CATEGORY = "category"
    """One of few values."""
    FLAG = "flag"
    """True or false."""
    TEXT = "text"
    """Free text."""
    URL = "url"
    """An address; any user and password in it are credentials."""
    SECRET = "secret"  # noqa: S105 - the name of a meaning, not a password
    """A credential: never leaves the engine as it is."""


@attrs.frozen
class Column:
    """One column of a table.

    Args:
        name: Name in the table.
        meaning: What it is for.
        unit: Unit of a measure, such as ``"ms"`` or ``"B"``; empty when it has none.
        description: One sentence for people.
    """

    name: str
    meaning: Meaning = Meaning.TEXT
    unit: str = ""
    description: str = ""
