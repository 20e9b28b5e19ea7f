"""What is stored at a location, before anyone gave it a meaning."""

from collections.abc import Callable, Sequence

import attrs
import polars as pl

from tailrace import BadRows


def _nothing() -> None:
    """There is nothing to see to."""


@attrs.frozen
class Stored:
    """Checks as they are stored, and the proxies beside them.

    Args:
        kind: What they are stored as: ``"parquet"``, ``"csv"``, ``"sqlite"`` or ``"postgresql"``.
        place: Where, for messages: a file name, a table.
        checks: The rows, lazily.
        identities: The proxies, lazily; None where there are none.
        notes: What was recognised.
        bad_rows: Where rows go that a database's reader cannot read.
        check_unchanged: Called when everything was read: raises where it has changed meanwhile.
    """

    kind: str
    place: str
    checks: pl.LazyFrame = attrs.field(repr=False)
    identities: pl.LazyFrame | None = attrs.field(default=None, repr=False)
    notes: Sequence[str] = ()
    bad_rows: BadRows = attrs.field(factory=BadRows, repr=False)
    check_unchanged: Callable[[], None] = attrs.field(default=_nothing, repr=False)
