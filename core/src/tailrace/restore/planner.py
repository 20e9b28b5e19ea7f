"""Working out what an import does: the one planner behind plans, dry runs and the import itself.

A pure function of two frames. Rows never become Python objects here, but for the few documents that are merged.

Each proxy of the file is a row of ``rows``, and has there

- ``who``: the number of its identity,
- ``first``: the row of the file that has this identity first,
- ``mate``: the row of the pool that has it, the first if there are several; null if there is none,
- ``action``, ``of`` and ``reason``, as in :class:`~tailrace.restore.plan.Plan`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import attrs
import polars as pl

from tailrace.plugins.pools import Loss, PoolChanges
from tailrace.restore import merging
from tailrace.restore.fields import DERIVED, IDENTITY, SETTLED, STORAGE, typed
from tailrace.restore.identity import addresses, numbered, urls_with_login
from tailrace.restore.plan import Action, Difference, Plan, counted
from tailrace.restore.request import OnDuplicate

_LOGIN = ("username", "password")


def plan(
    file: pl.DataFrame,
    pool: pl.DataFrame,
    *,
    on_duplicate: OnDuplicate,
    holds: Collection[str],
    unique: str | None,
    refuses: Callable[[pl.DataFrame], pl.Series] | None = None,
) -> Plan:
    """Work out what an import does.

    Args:
        file: Proxies of the file, in order, credentials in clear.
        pool: Proxies of the pool, with ``key``.
        on_duplicate: What becomes of a proxy that is there already.
        holds: Columns that the pool can hold.
        unique: A column of which it cannot hold one value twice.
        refuses: Says of proxies to add why it cannot hold one at all; null where it can.

    Raises:
        PluginContractError: A column of a type that it cannot have.
    """
    case = _Case.of(file, pool, holds)
    outcome = _STRATEGIES[on_duplicate](case)
    rows, stored = _refused(_explain(outcome.rows, case), outcome.records, refuses), None
    if unique is not None:
        rename = on_duplicate is OnDuplicate.RENAME
        rows, stored = _settle_clashes(rows, outcome.records, case, unique, rename=rename)
    rows = rows.with_columns(reason=pl.coalesce("refused", "reason"))
    add, notes = _additions(rows, outcome.records, case, stored)
    return Plan(
        decisions=rows.select(
            place=case.places, action="action", address=addresses(case.file), of="of", reason="reason"
        ),
        differences=outcome.differences,
        changes=PoolChanges(add=add, update=outcome.update),
        losses=_losses(case, rows),
        notes=notes,
        counts=counted(rows, pool=case.pool.height, duplicates=_duplicates(rows)),
    )


@attrs.frozen(repr=False)
class _Case:
    """The two frames, typed, and who is who in them.

    Args:
        file: Proxies of the file.
        pool: Proxies of the pool.
        kept: Columns of the file that the pool can hold.
        lost: Columns of the file that it cannot hold.
        rows: ``row``, ``who``, ``first``, ``mate`` and ``look_alike`` (whether the proxy differs from its first one,
            in a part of the identity that the pool cannot hold).
        places: Where in the file each proxy is.
    """

    file: pl.DataFrame
    pool: pl.DataFrame
    kept: tuple[str, ...]
    lost: tuple[str, ...]
    rows: pl.DataFrame
    places: pl.Series

    @classmethod
    def of(cls, file: pl.DataFrame, pool: pl.DataFrame, holds: Collection[str]) -> "_Case":
        file, pool = typed(file, whose="the file"), typed(pool, whose="the pool")
        if "place" not in file.columns:
            file = file.with_columns(place=pl.format("proxy {}", pl.int_range(1, pl.len() + 1)))
        # Address and way of storing are what makes an entry: no pool is without them.
        always = {"protocol", "host", "port", *STORAGE}
        kept = [name for name in file.columns if name not in DERIVED and (name in holds or name in always)]
        lost = [name for name in file.columns if name not in DERIVED and name not in kept]
        told_apart = [name for name in IDENTITY if name not in lost]
        file_who, pool_who = numbered(file, pool, told_apart)
        mates = pl.DataFrame({"who": pool_who}).with_row_index("mate").unique("who", keep="first")
        rows = (
            pl.DataFrame({"who": file_who})
            .with_row_index("row")
            .with_columns(first=pl.col("row").first().over("who"))
            .join(mates, on="who", how="left", maintain_order="left")
        )
        return cls(file, pool, tuple(kept), tuple(lost), _with_look_alikes(rows, file, told_apart), file["place"])


def _with_look_alikes(rows: pl.DataFrame, file: pl.DataFrame, told_apart: Sequence[str]) -> pl.DataFrame:
    if len(told_apart) == len(IDENTITY):
        return rows.with_columns(look_alike=pl.lit(value=False))
    whole, _none = numbered(file, file.clear(), IDENTITY)
    return rows.with_columns(look_alike=whole != whole[rows["first"]])


@attrs.frozen(repr=False)
class _Outcome:
    """What a strategy makes of duplicates.

    Args:
        rows: The rows, each with its ``action``.
        records: The file's proxies as they are to be added.
        update: Records of the pool that change, as they become, with ``key`` and ``changed``.
        differences: What changes in them.
    """

    rows: pl.DataFrame
    records: pl.DataFrame
    update: pl.DataFrame
    differences: tuple[Difference, ...] = ()


def _skip(case: _Case) -> _Outcome:
    rows = _decide(case.rows, taken=Action.SKIP, repeated=Action.SKIP)
    has_news = pl.col("row").is_in(_rows_with_news(case, rows).implode()) | (pl.col("row") != pl.col("first"))
    rows = _only_where(rows, Action.SKIP, has_news, Action.UNCHANGED)
    return _Outcome(rows, case.file, _no_update(case.pool))


def _rename(case: _Case) -> _Outcome:
    rows = _decide(case.rows, taken=Action.RENAME, repeated=Action.RENAME)
    return _Outcome(rows, case.file, _no_update(case.pool))


def _merge(case: _Case) -> _Outcome:
    rows = _decide(case.rows, taken=Action.UPDATE, repeated=Action.MERGED)
    records = _merged_within(case.file, rows)
    differences, update = _merged_into_pool(case, records, rows)
    changing = pl.concat([pl.Series([], dtype=pl.UInt32), *(each.rows for each in differences)])
    rows = _only_where(rows, Action.UPDATE, pl.col("row").is_in(changing.unique().implode()), Action.UNCHANGED)
    return _Outcome(rows, records, update, differences)


_STRATEGIES: Final[Mapping[OnDuplicate, Callable[[_Case], _Outcome]]] = {
    OnDuplicate.SKIP: _skip,
    OnDuplicate.RENAME: _rename,
    OnDuplicate.MERGE: _merge,
}


def _decide(rows: pl.DataFrame, *, taken: Action, repeated: Action) -> pl.DataFrame:
    """The first action of each row.

    Args:
        rows: The rows.
        taken: Of a proxy that the pool has.
        repeated: Of one that the file has before.
    """
    action = (
        pl.when(pl.col("look_alike"))
        .then(pl.lit(Action.SKIP.value))
        .when(pl.col("row") != pl.col("first"))
        .then(pl.lit(repeated.value))
        .when(pl.col("mate").is_not_null())
        .then(pl.lit(taken.value))
        .otherwise(pl.lit(Action.ADD.value))
    )
    return rows.with_columns(action=action)


def _only_where(rows: pl.DataFrame, action: Action, holds: pl.Expr, otherwise: Action) -> pl.DataFrame:
    """Keep an action where something holds; elsewhere it becomes another."""
    turned = (pl.col("action") == action.value) & ~holds
    return rows.with_columns(action=pl.when(turned).then(pl.lit(otherwise.value)).otherwise("action"))


def _explain(rows: pl.DataFrame, case: _Case) -> pl.DataFrame:
    """Say of duplicates inside the file which one they repeat."""
    repeated = pl.col("row") != pl.col("first")
    reason = (
        pl.when("look_alike")
        .then(pl.lit("the target cannot tell it from that one: it does not hold what they differ in"))
        .when(repeated)
        .then(pl.lit("the file has it before"))
    )
    first = pl.lit(case.places).gather(pl.col("first"))
    return rows.with_columns(reason=reason, of=pl.when(repeated).then(first))


def _refused(
    rows: pl.DataFrame, records: pl.DataFrame, refuses: Callable[[pl.DataFrame], pl.Series] | None
) -> pl.DataFrame:
    """Turn what the target cannot hold at all into clashes; why is in the column ``refused``."""
    rows = rows.with_columns(refused=pl.lit(None, pl.String))
    if refuses is None:
        return rows
    adding = rows.filter(pl.col("action").is_in([Action.ADD, Action.RENAME]))["row"]
    reasons = pl.DataFrame({"row": adding, "refused": refuses(records[adding])})
    rows = rows.drop("refused").join(reasons, on="row", how="left", maintain_order="left")
    follows = (pl.col("action") == Action.MERGED) & pl.col("refused").gather("first").is_not_null()
    rows = rows.with_columns(
        refused=pl.when(follows)
        .then(pl.lit("the file has it before, and there it cannot be held"))
        .otherwise("refused")
    )
    clash = pl.col("refused").is_not_null()
    return rows.with_columns(action=pl.when(clash).then(pl.lit(Action.CLASH.value)).otherwise("action"))


def _duplicates(rows: pl.DataFrame) -> dict[str, int]:
    repeated = (pl.col("row") != pl.col("first")) & ~pl.col("look_alike")
    known = (pl.col("row") == pl.col("first")) & pl.col("mate").is_not_null()
    in_file, with_pool = rows.select(repeated.sum(), known.sum().alias("known")).row(0)
    return {"in_file": in_file, "with_pool": with_pool}


def _pairs(rows: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Which rows of the file are in the pool, and where there."""
    pairs = rows.filter((pl.col("row") == pl.col("first")) & pl.col("mate").is_not_null())
    return pairs["row"], pairs["mate"]


def _rows_with_news(case: _Case, rows: pl.DataFrame) -> pl.Series:
    """Rows of the file that say something which the pool's record of that proxy does not say."""
    of_file, of_pool = _pairs(rows)
    news = pl.repeat(value=False, n=of_file.len(), eager=True)
    for name in case.kept:
        if name not in SETTLED:
            news |= merging.differs(_column(case.pool, name, case.file)[of_pool], case.file[name][of_file])
    return of_file.filter(news)


def _merged_within(file: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The file's records, those that are the same proxy merged into the first of them."""
    several = rows.filter(pl.len().over("first") > 1, ~pl.col("look_alike"))
    if several.is_empty():
        return file
    records = file.drop("place", "url", strict=False)
    groups = merging.merged_groups(records[several["row"]].with_columns(first=several["first"]), "first")
    at = groups["first"]
    return file.with_columns(file[name].clone().scatter(at, groups[name]) for name in records.columns)


def _merged_into_pool(
    case: _Case, records: pl.DataFrame, rows: pl.DataFrame
) -> tuple[tuple[Difference, ...], pl.DataFrame]:
    """Merge records of the file into those of the pool.

    Returns:
        What changes, by column; and the pool's records that change, as they become, with ``key`` and ``changed``.
    """
    of_file, of_pool = _pairs(rows)
    is_newer = merging.newer(merging.ages(records)[of_file], merging.ages(case.pool)[of_pool])
    differences, becoming = [], {}
    touched = pl.repeat(value=False, n=of_file.len(), eager=True)
    for name in case.kept:
        if name in SETTLED:
            continue
        old = _column(case.pool, name, case.file)[of_pool]
        new = merging.merged(old, records[name][of_file], is_newer)
        changed = new.ne_missing(old)
        if changed.any():
            touched |= changed
            becoming[name] = new
            differences.append(Difference(name, of_file.filter(changed), old.filter(changed), new.filter(changed)))
    if not differences:
        return (), _no_update(case.pool)
    update = case.pool[of_pool.filter(touched)].with_columns(
        *(new.filter(touched).alias(name) for name, new in becoming.items()),
        changed=_changed(differences, of_file.filter(touched)),
    )
    return tuple(differences), update


def _no_update(pool: pl.DataFrame) -> pl.DataFrame:
    return pool.clear().with_columns(changed=pl.lit(None, pl.List(pl.String)))


def _column(frame: pl.DataFrame, name: str, like: pl.DataFrame) -> pl.Series:
    """A column; null all the way, in the other frame's type, where the frame does not have it."""
    if name in frame.columns:
        return frame[name]
    return pl.repeat(None, frame.height, dtype=like.schema[name], eager=True).alias(name)


def _changed(differences: Sequence[Difference], touched: pl.Series) -> pl.Series:
    """The names of the columns that change, for each of the touched rows."""
    names = [pl.DataFrame({"row": each.rows}).with_columns(column=pl.lit(each.column)) for each in differences]
    by_row = pl.concat(names).group_by("row", maintain_order=True).agg("column")
    return pl.DataFrame({"row": touched}).join(by_row, on="row", how="left", maintain_order="left")["column"]


def _settle_clashes(
    rows: pl.DataFrame, records: pl.DataFrame, case: _Case, unique: str, *, rename: bool
) -> tuple[pl.DataFrame, pl.Series | None]:
    """Find the entries to add whose place in the target is taken.

    Args:
        rows: The rows, with their actions.
        records: The records of the file.
        case: The frames.
        unique: The column of which no value may be there twice.
        rename: Whether a login may be put into the URL to make it another one.

    Returns:
        The rows, and the URLs with a login in them, null where none is needed.
    """
    adding = rows.filter(pl.col("action").is_in([Action.ADD, Action.RENAME]))["row"]
    wanted = pl.DataFrame({"row": adding, "value": _unique_values(records[adding], unique)})
    held = pl.DataFrame({"value": _unique_values(case.pool, unique)}).with_columns(of=pl.lit(None, pl.UInt32))
    placed, left = _placed(wanted, held)
    with_login = None
    if rename and unique == "stored_url":
        again = pl.DataFrame({"row": left["row"], "value": urls_with_login(records[left["row"]])})
        renamed, still_left = _placed(again, pl.concat([held, placed]))
        left = left.join(still_left.select("row"), on="row", how="semi", maintain_order="left")
        with_login = pl.repeat(None, rows.height, dtype=pl.String, eager=True).scatter(renamed["of"], renamed["value"])
        rows = _turned(rows, renamed["of"], Action.RENAME)
    rows = _turned(rows, left["row"], Action.CLASH)
    return _with_clashes(rows, left.select("row", clash_of="of"), case, unique), with_login


def _placed(wanted: pl.DataFrame, held: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give values to those who want them, first come first served.

    Args:
        wanted: ``row`` and ``value``; null for one that cannot have any.
        held: ``value`` and ``of``: values that are taken, and by which row of the file, null for the pool.

    Returns:
        ``value`` and ``of`` of what was given; ``row`` and ``of`` (who has it) of those who got nothing.
    """
    taken = held.drop_nulls("value").unique("value", keep="first").with_columns(taken=pl.lit(value=True))
    asked = wanted.join(taken, on="value", how="left", maintain_order="left").with_columns(
        first=pl.col("row").first().over("value")
    )
    free = pl.col("value").is_not_null() & pl.col("taken").is_null()
    given = asked.filter(free & (pl.col("row") == pl.col("first")))
    left = asked.filter(~(free & (pl.col("row") == pl.col("first"))))
    by = pl.when(free).then("first").otherwise("of")
    return given.select("value", of="row"), left.select("row", of=by)


def _unique_values(frame: pl.DataFrame, unique: str) -> pl.Series:
    stored = frame[unique] if unique in frame.columns else None
    if unique != "stored_url":
        return pl.repeat(None, frame.height, dtype=pl.String, eager=True) if stored is None else stored
    plain = addresses(frame)
    return plain if stored is None else pl.select(pl.coalesce(stored, plain)).to_series()


def _turned(rows: pl.DataFrame, which: pl.Series, action: Action) -> pl.DataFrame:
    turned = pl.col("row").is_in(which.implode())
    return rows.with_columns(action=pl.when(turned).then(pl.lit(action.value)).otherwise("action"))


def _with_clashes(rows: pl.DataFrame, clashes: pl.DataFrame, case: _Case, unique: str) -> pl.DataFrame:
    """Say of clashes what they clash with; what was to be merged into one of them clashes, too."""
    what = "URL" if unique == "stored_url" else unique
    rows = rows.join(clashes, on="row", how="left", maintain_order="left")
    follows = (pl.col("action") == Action.MERGED) & (pl.col("action").gather("first") == Action.CLASH)
    clash = pl.col("action") == Action.CLASH
    place = pl.lit(case.places).gather(pl.col("clash_of"))
    reason = (
        pl.when(follows)
        .then(pl.lit("the file has it before, and there it clashes"))
        .when(clash & pl.col("clash_of").is_null())
        .then(pl.lit(f"the pool holds another entry under this {what}"))
        .when(clash)
        .then(pl.format(f"{{}} of the file has this {what}", place))
        .otherwise("reason")
    )
    return rows.with_columns(
        reason=reason,
        of=pl.when(clash).then(place).otherwise("of"),
        action=pl.when(follows).then(pl.lit(Action.CLASH.value)).otherwise("action"),
    )


def _additions(
    rows: pl.DataFrame, records: pl.DataFrame, case: _Case, stored: pl.Series | None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The entries to add, and what is to be said about them."""
    notes = []
    at = rows.filter(pl.col("action").is_in([Action.ADD, Action.RENAME]))["row"]
    add = records[at].select(case.kept).with_columns(url=addresses(records[at]))
    if stored is not None and (in_url := stored[at]).count():
        has = in_url.is_not_null()
        old = [_column(add, name, pl.DataFrame(schema={name: pl.String})) for name in STORAGE]
        add = add.with_columns(
            pl.select(stored_url=pl.when(has).then(in_url).otherwise(old[0])).to_series(),
            pl.select(credentials_in=pl.when(has).then(pl.lit("url")).otherwise(old[1])).to_series(),
        )
        notes.append(
            f"{_proxies(in_url.count())} stored under a URL with the login in it, because the plain one is taken: "
            "the pool then holds these passwords in clear, in its URLs."
        )
    if "id" in add.columns:
        known = case.pool["id"] if "id" in case.pool.columns else pl.Series([], dtype=pl.String)
        again = add["id"].is_in(known.drop_nulls().implode()) | ~add["id"].is_first_distinct()
        again &= add["id"].is_not_null()
        if again.any():
            add = add.with_columns(id=pl.when(~again).then("id"))
            notes.append(f"{_proxies(int(again.sum()))} given a new id, because another entry has theirs.")
    return add, tuple(notes)


def _losses(case: _Case, rows: pl.DataFrame) -> tuple[Loss, ...]:
    """What the target cannot hold of the proxies that are written."""
    written = rows.filter(pl.col("action").is_in([Action.ADD, Action.UPDATE, Action.MERGED, Action.RENAME]))["row"]
    counts = {name: case.file[name][written].count() for name in case.lost}
    losses = [Loss(name, count, "the target has no place for it") for name, count in sorted(counts.items()) if count]
    alike = int(rows["look_alike"].sum())
    if alike:
        what = " and ".join(name for name in _LOGIN if name in case.lost) or "what they differ in"
        reason = f"without {what} the target cannot tell it from another one"
        losses.append(Loss("proxies", alike, reason, proxies=True))
    return tuple(losses)


def _proxies(count: int) -> str:
    return "1 proxy is" if count == 1 else f"{count:,} proxies are"
