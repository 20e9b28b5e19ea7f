"""Finding out what became of an import, and what takes it back.

An import that was interrupted left a record that says ``"prepared"``: whether the pool was written to can only be told
by looking at it. All functions here compute; none reads or writes.
"""

from typing import Literal

import attrs
import polars as pl

from tailrace.plugins.pools import PoolChanges
from tailrace.restore.digests import pool_digest, row_digests
from tailrace.restore.fields import DERIVED, IDENTITY, SETTLED
from tailrace.restore.identity import numbered
from tailrace.restore.merging import differs
from tailrace.restore.records import Frames, ImportRecord


@attrs.frozen
class Finding:
    """What the pool looks like to an undo.

    Args:
        state: ``"before"``: as before the import. ``"after"``: as the import left it. ``"changed"``: neither.
        changed: How many of the entries touched are not as the import left them.
        touched: As in :class:`~tailrace.restore.records.Frames`.
    """

    state: Literal["before", "after", "changed"]
    changed: int
    touched: pl.DataFrame = attrs.field(repr=False)


def touched_before(previous: pl.DataFrame, key: bytes) -> pl.DataFrame:
    """The table of entries touched, as far as it is known before the pool is written to.

    Args:
        previous: Records that are going to change.
        key: Of the digests.
    """
    before = row_digests(previous.drop("changed"), key)
    return pl.DataFrame({"key": previous["key"], "before": before}).with_columns(after=pl.lit(None, pl.String))


def touched_after(touched: pl.DataFrame, added: pl.Series, pool: pl.DataFrame, key: bytes) -> pl.DataFrame:
    """The table of entries touched, from the pool as the import left it.

    Args:
        touched: As it was known before.
        added: Keys of the entries added.
        pool: The pool.
        key: Of the digests.
    """
    known = pl.DataFrame({"key": added.cast(pl.String)}).with_columns(before=pl.lit(None, pl.String))
    keys = pl.concat([touched.select("key", "before"), known])
    now = _digests_of(pool, keys["key"], key).rename({"digest": "after"})
    return keys.join(now, on="key", how="left", maintain_order="left")


def find_out(record: ImportRecord, frames: Frames, pool: pl.DataFrame, key: bytes) -> Finding:
    """Compare a pool with what an import left.

    Args:
        record: The import.
        frames: What it touched.
        pool: The pool now, typed.
        key: Of the digests.
    """
    if record.state == "prepared":
        return _after_interruption(record, frames, pool, key)
    now = frames.touched.join(
        _digests_of(pool, frames.touched["key"], key), on="key", how="left", maintain_order="left"
    )
    changed = int(now["digest"].ne_missing(now["after"]).sum())
    if not changed:
        return Finding("after", 0, frames.touched)
    state: Literal["before", "changed"] = "before" if now["digest"].equals(now["before"]) else "changed"
    return Finding(state, changed, frames.touched)


def taking_back(finding: Finding, frames: Frames) -> PoolChanges:
    """The changes that take an import back."""
    added = finding.touched.filter(pl.col("before").is_null())["key"]
    nothing = frames.previous.clear().drop("key", "changed")
    return PoolChanges(add=nothing, update=frames.previous, remove=tuple(added))


def _after_interruption(record: ImportRecord, frames: Frames, pool: pl.DataFrame, key: bytes) -> Finding:
    """Tell whether the pool was written to before the import was interrupted."""
    if pool_digest(pool, key) == record.before:
        return Finding("before", 0, frames.touched)
    new = pool.join(frames.known, on="key", how="anti", maintain_order="left")
    added, missing = _found(frames.add, new)
    updated = _updated(frames.update, pool)
    touched = touched_after(frames.touched, added["key"], pool, key)
    changed = missing + int((~updated).sum())
    if not changed:
        return Finding("after", 0, touched)
    old = touched.head(frames.touched.height)
    untouched = added.is_empty() and old["before"].equals(old["after"].rename("before"))
    return Finding("before" if untouched else "changed", changed, frames.touched)


def _found(planned: pl.DataFrame, new: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The new entries that are those planned, and how many of the planned ones are not there as planned."""
    planned_who, new_who = numbered(planned, new, IDENTITY)
    wanted = pl.DataFrame({"who": planned_who}).with_row_index("planned")
    there = pl.DataFrame({"who": new_who}).with_row_index("new")
    # The same proxy may have been added several times: the first of those planned is the first of those there.
    turn = pl.int_range(pl.len()).over("who").alias("turn")
    pairs = wanted.with_columns(turn).join(there.with_columns(turn), on=["who", "turn"], maintain_order="left")
    found, there_now = planned[pairs["planned"]], new[pairs["new"]]
    other = _others(found, there_now)
    return there_now, planned.height - pairs.height + int(other.sum())


def _updated(planned: pl.DataFrame, pool: pl.DataFrame) -> pl.Series:
    """Whether each record that was to change is as it was to become."""
    at = planned.select("key").join(pool.with_row_index("at"), on="key", how="left", maintain_order="left")["at"]
    present = at.is_not_null()
    there = pool[at.fill_null(0)] if pool.height else pool.clear(planned.height)
    other = pl.repeat(value=False, n=planned.height, eager=True)
    for name in _values(planned, there):
        concerned = planned["changed"].list.contains(name)
        other |= concerned & differs(there[name], planned[name])
    return present & ~other


def _others(planned: pl.DataFrame, there: pl.DataFrame) -> pl.Series:
    """Whether records are not as planned; what was not planned may be anything."""
    other = pl.repeat(value=False, n=planned.height, eager=True)
    for name in _values(planned, there):
        other |= differs(there[name], planned[name])
    return other


def _values(planned: pl.DataFrame, there: pl.DataFrame) -> list[str]:
    """Columns that tell whether a record is as planned; how a login is stored is the target's own business."""
    return [name for name in planned.columns if name in there.columns and name not in DERIVED | SETTLED]


def _digests_of(pool: pl.DataFrame, keys: pl.Series, key: bytes) -> pl.DataFrame:
    """Key and digest of the entries of these keys."""
    touched = pool.filter(pl.col("key").is_in(keys.implode()))
    return pl.DataFrame({"key": touched["key"], "digest": row_digests(touched, key)})
