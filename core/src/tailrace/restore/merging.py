"""Merging records of the same proxy, by the rules of :mod:`tailrace.restore.fields`.

Frames are merged a column at a time, so that a merge of large pools costs little memory beyond them. Merging is
idempotent: a record that was merged into another changes nothing when it is merged again.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from tailrace.restore.fields import MOMENT, Rule, field_of
from tailrace.vault.canonical import canonical_json

_AGE = ("updated_at", "last_check_at")
"""What tells which of two records is newer; no time is older than any."""


def merged_groups(frame: pl.DataFrame, groups: str) -> pl.DataFrame:
    """Merge records of the same proxies: one record for each group.

    Args:
        frame: Records, in order: of two equally new ones the first one counts as newer.
        groups: The column that says what belongs together; it is kept.

    Returns:
        The merged records, in the order in which their groups begin.
    """
    columns = [name for name in frame.columns if name != groups]
    by_age = _times(frame).with_row_index("at").sort(_AGE, descending=True, nulls_last=True, maintain_order=True)["at"]
    kept = [name for name in columns if field_of(name).rule is Rule.KEPT]
    first = frame.group_by(groups, maintain_order=True).agg(pl.col(kept).first(ignore_nulls=True))
    newest = frame[by_age].group_by(groups).agg(_gathered(name) for name in columns if name not in kept)
    joined = first.join(newest, on=groups, maintain_order="left")
    documents = [name for name in columns if joined.schema[name] == pl.List(pl.String)]
    return joined.with_columns(_many(joined[name], field_of(name).rule) for name in documents).select(frame.columns)


def merged(pool: pl.Series, file: pl.Series, newer: pl.Series) -> pl.Series:
    """Merge one column of records of the pool with that of the same proxies in the file.

    Args:
        pool: Values of the pool; its name says the rule, which is not :attr:`Rule.KEPT`.
        file: Values of the file, in the same order.
        newer: Whether the file's record is the newer one.
    """
    rule = field_of(pool.name).rule
    frame = pl.DataFrame({"pool": pool, "file": file, "newer": newer})
    if rule in {Rule.UNION, Rule.MEMBERS}:
        return _documents(frame, rule).alias(pool.name)
    of_pool, of_file = pl.col("pool"), pl.col("file")
    by_rule = {
        Rule.NEWEST: pl.when("newer").then(pl.coalesce(of_file, of_pool)).otherwise(pl.coalesce(of_pool, of_file)),
        Rule.LARGER: pl.max_horizontal(of_pool, of_file),
        Rule.LATER: pl.max_horizontal(of_pool, of_file),
        Rule.EARLIER: pl.min_horizontal(of_pool, of_file),
    }
    return frame.select(by_rule[rule].alias(pool.name)).to_series()


def ages(frame: pl.DataFrame) -> pl.DataFrame:
    """What tells the age of each record, as numbers that compare."""
    return _times(frame).select(pl.all().cast(pl.Int64).fill_null(-(2**63)))


def newer(file: pl.DataFrame, pool: pl.DataFrame) -> pl.Series:
    """Whether the file's record is newer than the pool's, row by row, from the :func:`ages` of both."""
    (file_updated, file_checked), (pool_updated, pool_checked) = file.get_columns(), pool.get_columns()
    return (file_updated > pool_updated) | ((file_updated == pool_updated) & (file_checked > pool_checked))


def differs(pool: pl.Series, file: pl.Series) -> pl.Series:
    """Whether the file says something that is not in the pool; documents are compared by what they mean."""
    changed = file.is_not_null() & file.ne_missing(pool)
    if field_of(pool.name).rule in {Rule.UNION, Rule.MEMBERS} and changed.any():
        at = changed.arg_true()
        same = [_same(*texts) for texts in zip(pool[at].to_list(), file[at].to_list(), strict=True)]
        changed = changed.scatter(at, [not is_same for is_same in same])
    return changed


def _times(frame: pl.DataFrame) -> pl.DataFrame:
    missing = [name for name in _AGE if name not in frame.columns]
    return frame.with_columns(pl.lit(None, MOMENT).alias(name) for name in missing).select(_AGE)


def _gathered(column: str) -> pl.Expr:
    values = pl.col(column)
    match field_of(column).rule:
        case Rule.LARGER | Rule.LATER:
            return values.max()
        case Rule.EARLIER:
            return values.min()
        case Rule.UNION | Rule.MEMBERS:
            # The oldest first: what is newer goes over it.
            return values.drop_nulls().reverse().implode()
        case _:
            return values.first(ignore_nulls=True)


def _documents(frame: pl.DataFrame, rule: Rule) -> pl.Series:
    """Merge documents; only those that both have, and that differ, become Python objects."""
    one = frame.select(pl.coalesce("pool", "file")).to_series()
    both = frame.select((pl.col("pool") != pl.col("file")).fill_null(value=False)).to_series().arg_true()
    texts: list[str] = []
    for pool, file, is_newer in frame[both].rows():
        texts.append(_merged_texts([pool, file] if is_newer else [file, pool], rule, unchanged=pool))
    return one.scatter(both, pl.Series(texts, dtype=pl.String))


def _many(lists: pl.Series, rule: Rule) -> pl.Series:
    texts = [_merged_texts(each, rule, unchanged=each[-1]) if each else None for each in lists.to_list()]
    return pl.Series(lists.name, texts, dtype=pl.String)


def _merged_texts(texts: Sequence[str], rule: Rule, *, unchanged: str) -> str:
    """Merge JSON texts, the oldest first.

    Args:
        texts: The texts.
        rule: How.
        unchanged: The text that stays, letter for letter, where the others add nothing to it.
    """
    distinct = list(dict.fromkeys(reversed(texts)))[::-1]
    if len(distinct) == 1:
        return unchanged
    merge: Callable[[Sequence[Any]], Any] = _union if rule is Rule.UNION else _members
    try:
        result = merge([json.loads(text) for text in distinct])
        return unchanged if _meaning(unchanged) == canonical_json(result) else json.dumps(result, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):
        # Not the JSON that it should be: then it is a text like any other, and the newest stays.
        return texts[-1]


def _union(lists: Sequence[Any]) -> list[Any]:
    if not all(isinstance(each, list) for each in lists):
        raise TypeError
    items = {canonical_json(item): item for each in lists for item in each}
    return sorted(items.values(), key=lambda item: (not isinstance(item, str), str(item)))


def _members(documents: Sequence[Any]) -> dict[str, Any]:
    if not all(isinstance(each, dict) for each in documents):
        raise TypeError
    return {name: value for each in documents for name, value in each.items()}


def _same(first: str | None, second: str) -> bool:
    if first is None:
        return False
    try:
        return _meaning(first) == _meaning(second)
    except (ValueError, RecursionError):
        return False


def _meaning(text: str) -> bytes:
    """A JSON text in the one form that all texts of this meaning have."""
    return canonical_json(json.loads(text))
