"""What an import is going to do, worked out in memory; see :mod:`tailrace.restore.planner`."""

from collections.abc import Mapping
from enum import StrEnum

import attrs
import polars as pl

from tailrace.plugins.pools import Loss, PoolChanges


class Action(StrEnum):
    """What becomes of a proxy of the file."""

    ADD = "add"
    UPDATE = "update"
    """It is in the pool, and the pool's record changes."""
    UNCHANGED = "unchanged"
    """It is in the pool, and there is nothing to write."""
    SKIP = "skip"
    """It is in the pool, or in the file before, and stays as it is there."""
    MERGED = "merged"
    """It is in the file before, and its record is merged into that one."""
    RENAME = "rename"
    """It is in the pool, or in the file before, or its URL is taken: it is added as an entry of its own."""
    CLASH = "clash"
    """The target cannot hold it beside another proxy."""


@attrs.frozen
class Counts:
    """How many proxies.

    Args:
        file: In the file.
        pool: In the pool, before.
        add: Added as they are.
        update: Changed in the pool.
        unchanged: In the pool, with nothing to write.
        skip: Left as they are in the pool, or in the file before.
        merged: Of the file, merged into another one of the file.
        rename: Added as an entry of their own beside another.
        clash: That the target cannot hold.
        duplicates_in_file: Proxies that the file has before; of these many.
        duplicates_with_pool: Proxies of the file that the pool has already, each counted once.
    """

    file: int
    pool: int
    add: int = 0
    update: int = 0
    unchanged: int = 0
    skip: int = 0
    merged: int = 0
    rename: int = 0
    clash: int = 0
    duplicates_in_file: int = 0
    duplicates_with_pool: int = 0

    @property
    def written(self) -> int:
        """How many entries of the pool are added or changed."""
        return self.add + self.update + self.rename


@attrs.frozen
class Difference:
    """What changes in one column of the pool.

    Args:
        column: Its name.
        rows: Which proxies of the file bring the change, by their position, from 0.
        old: The pool's values.
        new: What they become.
    """

    column: str
    rows: pl.Series = attrs.field(repr=False)
    old: pl.Series = attrs.field(repr=False)
    new: pl.Series = attrs.field(repr=False)


@attrs.frozen
class Plan:
    """What an import is going to do.

    Args:
        decisions: A row for each proxy of the file, in order: ``place``, ``action``, ``address`` (without login),
            ``of`` (the place of the proxy that it is a duplicate of, or clashes with; null where that is in the pool,
            or there is none), ``reason`` (null where the action says it).
        differences: What changes in proxies that are updated.
        changes: What is written.
        losses: What the target cannot hold.
        notes: What people should know about it.
        counts: How many proxies.
    """

    decisions: pl.DataFrame = attrs.field(repr=False)
    differences: tuple[Difference, ...] = attrs.field(repr=False)
    changes: PoolChanges
    losses: tuple[Loss, ...]
    notes: tuple[str, ...]
    counts: Counts

    def clashes(self) -> list[tuple[str, str]]:
        """Place and reason of every clash."""
        found = self.decisions.filter(pl.col("action") == Action.CLASH).select("place", "reason")
        return [(place, reason) for place, reason in found.rows()]


def counted(decisions: pl.DataFrame, *, pool: int, duplicates: Mapping[str, int]) -> Counts:
    """The counts of a plan.

    Args:
        decisions: A row with its ``action`` for each proxy of the file.
        pool: Proxies in the pool.
        duplicates: Duplicates ``in_file`` and ``with_pool``.
    """
    by_action = dict(decisions["action"].value_counts().rows())
    return Counts(
        file=decisions.height,
        pool=pool,
        **{str(action): by_action.get(str(action), 0) for action in Action},
        **{f"duplicates_{name}": count for name, count in duplicates.items()},
    )
