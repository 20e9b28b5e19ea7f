"""What differs between a backup and a pool: who is only in one of them, and which columns say something else.

Pools are used while they are backed up. What a proxy *is* and how it is set up hardly ever changes by itself, while
health, counters and latencies change all the time: the two are told apart. Credentials are compared and never shown.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import attrs
import polars as pl

from tailrace.reading.userinfo import without_userinfo
from tailrace.restore import merging
from tailrace.restore.fields import DERIVED, IDENTITY, STORAGE
from tailrace.restore.identity import Identify, identities, numbered

RUNNING: Final = frozenset(
    {
        "health_status",
        "consecutive_successes",
        "consecutive_failures",
        "recovery_attempt",
        "avg_response_time_ms",
        "latency_ms",
        "ema_response_time_ms",
        "success_rate_7d",
        "window_start",
        "next_check_time",
        "last_health_error",
        "requests_active",
        "total_checks",
        "total_successes",
        "total_health_failures",
        "requests_started",
        "requests_completed",
        "requests_total",
        "requests_succeeded",
        "requests_failed",
        "last_success_at",
        "last_failure_at",
        "last_check_at",
        "updated_at",
    }
)
"""Columns that change while a pool is used; all others say what a proxy is and how it is set up."""

ONLY_IN_BACKUP: Final = "only in the backup"
ONLY_IN_POOL: Final = "only in the pool"
DIFFERS: Final = "differs"
RUNNING_STATE: Final = "running state"
"""What is the matter with a proxy; the last one: nothing but its running state differs."""

SCHEMA: Final[Mapping[str, pl.DataType]] = {
    "what": pl.String(),
    "protocol": pl.String(),
    "host": pl.String(),
    "port": pl.Int64(),
    "columns": pl.String(),
    "running": pl.String(),
    "place": pl.String(),
    "identity": pl.String(),
}
"""The columns of the differences: ``columns`` and ``running`` are names of columns that differ, ``place`` is where in
the backup the proxy is, ``identity`` a keyed id of address and login, that of the pool where it has the proxy."""

_ADDRESS = ("protocol", "host", "port")
_LOGIN = frozenset({"username", "password"})
_REDACTED = "[redacted]"
"""What exports without credentials have in the place of a login inside of a text."""


@attrs.frozen
class Comparison:
    """What differs between a backup and a pool.

    Args:
        differences: One row for each proxy that is only in one of them, or differs; see :data:`SCHEMA`.
        only_in_backup: How many proxies.
        only_in_pool: How many proxies.
        other_credentials: In both, with another user name or password.
        other_values: In both, with the same login, and other values that say what they are or how they are set up.
        value_columns: The columns that differ in those.
        running: In both, with another running state, whatever else differs.
        unsaid: Columns that the pool has values in and the backup does not have at all.
    """

    differences: pl.DataFrame = attrs.field(repr=False)
    only_in_backup: int
    only_in_pool: int
    other_credentials: int
    other_values: int
    value_columns: tuple[str, ...]
    running: int
    unsaid: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many proxies differ in more than their running state."""
        return self.only_in_backup + self.only_in_pool + self.other_credentials + self.other_values


def compare(backup: pl.DataFrame, pool: pl.DataFrame, identify: Identify, *, credentials: bool) -> Comparison:
    """Compare a backup with a pool.

    Args:
        backup: Proxies of the backup, with ``place``, in the types of :data:`~tailrace.restore.fields.FIELDS`,
            credentials in clear.
        pool: Likewise those of the pool.
        identify: Makes keyed ids of identities.
        credentials: Whether the backup has credentials; without, only whether there are any can be compared.
    """
    if not credentials:
        backup, pool = _without_logins(backup), _without_logins(pool)
    pairs, of_backup, of_pool = _paired(backup, pool, _STEPS if credentials else _STEPS_WITHOUT_LOGINS)
    differing = _differing(backup, pool, pairs, credentials=credentials)
    settled = {name: mask for name, mask in differing.items() if name not in RUNNING}
    running = {name: mask for name, mask in differing.items() if name in RUNNING}
    login = _any([mask for name, mask in settled.items() if name in _LOGIN], pairs.height)
    other = _any(list(settled.values()), pairs.height)
    state = _any(list(running.values()), pairs.height)
    differ = pairs.with_columns(
        what=pl.select(pl.when(other).then(pl.lit(DIFFERS)).otherwise(pl.lit(RUNNING_STATE))).to_series(),
        columns=_names(settled, pairs.height),
        running=_names(running, pairs.height),
    ).filter(other | state)
    differences = [
        _shown(backup, of_backup, ONLY_IN_BACKUP),
        _shown(pool.drop("place", strict=False), of_pool, ONLY_IN_POOL),
        *(_pairs_shown(backup, pool, differ.filter(pl.col("what") == what)) for what in (DIFFERS, RUNNING_STATE)),
    ]
    frame = pl.concat(differences).with_columns(without_userinfo(pl.col("host")))
    return Comparison(
        differences=frame.with_columns(pl.Series("identity", identities(frame, identify), dtype=pl.String)).select(
            pl.col(name).cast(dtype) for name, dtype in SCHEMA.items()
        ),
        only_in_backup=of_backup.len(),
        only_in_pool=of_pool.len(),
        other_credentials=int(login.sum()),
        other_values=int((other & ~login).sum()),
        value_columns=tuple(name for name, mask in settled.items() if (mask & ~login).any()),
        running=int(state.sum()),
        unsaid=tuple(_unsaid(backup, pool)),
    )


def lost(backup: pl.DataFrame, restored: pl.DataFrame, holds: Collection[str]) -> tuple[pl.Series, dict[str, int]]:
    """What does not come back when a backup is imported into an empty pool.

    Args:
        backup: Proxies of the backup, with ``place``, each identity once.
        restored: What is in the pool afterwards.
        holds: The columns that the pool can hold; others are known to be lost.

    Returns:
        The places of the proxies that are not there, and by column how many of the others say something else.
    """
    told_apart = tuple(name for name in IDENTITY if name in holds or name in _ADDRESS)
    pairs, missing, _more = _paired(backup, restored, (_Step(told_apart),))
    counts = {}
    for name in _comparable(backup, restored):
        if name in {*IDENTITY, *STORAGE} or name not in holds:
            continue
        # What the backup does not say, a pool may fill in.
        old, new = _two(backup, restored, name, pairs)
        counts[name] = int(merging.differs(new, old).sum())
    return backup["place"][missing], {name: count for name, count in counts.items() if count}


def firsts(frame: pl.DataFrame, holds: Collection[str]) -> pl.DataFrame:
    """Each proxy once, for a pool that can tell them apart by what it holds: as an import takes them."""
    who, _none = numbered(frame, frame.clear(), [name for name in IDENTITY if name in holds or name in _ADDRESS])
    return frame.filter(who.is_first_distinct())


@attrs.frozen
class _Step:
    """What two records have in common that are taken for the same proxy.

    Args:
        columns: Parts of the identity.
        by_id: Whether ProxyWhirl's own id has to be the same, too.
        alone: Whether it must be the only one with these, in the backup and in the pool.
    """

    columns: tuple[str, ...]
    by_id: bool = False
    alone: bool = False


_STEPS: Final = (
    _Step(IDENTITY),
    _Step(_ADDRESS, by_id=True),
    _Step((*_ADDRESS, "username")),
    # A gateway has many users on one address: one that is gone and one that is new are not the same.
    _Step(_ADDRESS, alone=True),
)
_STEPS_WITHOUT_LOGINS: Final = (_Step(_ADDRESS, by_id=True), _Step(_ADDRESS))


def _paired(
    backup: pl.DataFrame, pool: pl.DataFrame, steps: Sequence[_Step]
) -> tuple[pl.DataFrame, pl.Series, pl.Series]:
    """Find the proxies that are in both.

    Args:
        backup: The one frame.
        pool: The other.
        steps: What is tried; what one step leaves is tried with the next.

    Returns:
        Positions of the same proxies, ``backup`` and ``pool``; and of those that are only in one of them.
    """
    left, right = (pl.int_range(frame.height, dtype=pl.UInt32, eager=True) for frame in (backup, pool))
    pairs = [pl.DataFrame(schema={"backup": pl.UInt32, "pool": pl.UInt32})]
    for step in steps:
        if step.by_id and not ("id" in backup.columns and "id" in pool.columns):
            continue
        of_backup, of_pool = numbered(backup, pool, step.columns)
        first = _known_by(step, of_backup, backup, left.alias("backup"))
        second = _known_by(step, of_pool, pool, right.alias("pool"))
        found = first.join(second, on=["who", "id", "turn"], nulls_equal=True, maintain_order="left")
        pairs.append(found.select("backup", "pool"))
        left = left.filter(~left.is_in(found["backup"].implode()))
        right = right.filter(~right.is_in(found["pool"].implode()))
    return pl.concat(pairs).sort("backup"), left, right


def _known_by(step: _Step, who: pl.Series, frame: pl.DataFrame, rest: pl.Series) -> pl.DataFrame:
    """What the proxies that are left are known by in a step, and of several which it is.

    Args:
        step: The step.
        who: Numbers of all proxies, by the columns of the step.
        frame: All proxies.
        rest: Positions of those that are left, by the name that they shall have.
    """
    own_id = frame["id"] if step.by_id else pl.lit(None, pl.String)
    known = pl.DataFrame([who.alias("who")]).with_columns(own_id.alias("id"))
    known = known.with_columns(alone=pl.len().over("who") == 1)[rest].with_columns(rest)
    if step.by_id:
        known = known.filter(pl.col("id").is_not_null())
    if step.alone:
        known = known.filter("alone")
    return known.with_columns(turn=pl.int_range(pl.len()).over("who", "id"))


def _differing(
    backup: pl.DataFrame, pool: pl.DataFrame, pairs: pl.DataFrame, *, credentials: bool
) -> dict[str, pl.Series]:
    """By column, which pairs differ in it."""
    found: dict[str, pl.Series] = {}
    for name in _comparable(backup, pool):
        if name in _ADDRESS or (name in STORAGE and not credentials):
            continue
        old, new = _two(backup, pool, name, pairs)
        if name in _LOGIN:
            # An empty user name or password is none.
            found[name] = old.fill_null("").ne_missing(new.fill_null(""))
            continue
        mask = merging.differs(old, new) | merging.differs(new, old)
        if not credentials and old.dtype == pl.String and mask.any():
            mask &= ~_taken_out(old, new)
        found[name] = mask
    login = _any([mask for name, mask in found.items() if name in _LOGIN], pairs.height)
    # How a login is stored says nothing new where it is another one.
    found |= {name: found[name] & ~login for name in STORAGE if name in found}
    return {name: mask for name, mask in found.items() if mask.any()}


def _taken_out(backup: pl.Series, pool: pl.Series) -> pl.Series:
    """Which texts differ because the backup was made without the logins in them."""
    frame = pl.DataFrame({"backup": backup, "pool": pool})
    clean = frame.select(
        pl.col("backup").str.contains(_REDACTED, literal=True)
        | without_userinfo(pl.col("pool")).eq_missing(pl.col("backup"))
    )
    return clean.to_series().fill_null(value=False)


def _comparable(backup: pl.DataFrame, pool: pl.DataFrame) -> Iterator[str]:
    """Columns that both have."""
    own = DERIVED - {"has_credentials"}
    yield from (name for name in backup.columns if name in pool.columns and name not in own)


def _unsaid(backup: pl.DataFrame, pool: pl.DataFrame) -> Iterator[str]:
    for name in pool.columns:
        if name not in backup.columns and name not in {*DERIVED, *STORAGE} and pool[name].count():
            yield name


def _two(backup: pl.DataFrame, pool: pl.DataFrame, name: str, pairs: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    old, new = backup[name][pairs["backup"]], pool[name][pairs["pool"]]
    # Columns that are not known may be of any type.
    return (old, new) if old.dtype == new.dtype else (old.cast(pl.String), new.cast(pl.String))


def _without_logins(frame: pl.DataFrame) -> pl.DataFrame:
    """The proxies without logins, and whether they had any."""
    if "has_credentials" not in frame.columns:
        has = pl.any_horizontal((pl.col(name) != "").fill_null(value=False) for name in sorted(_LOGIN))
        frame = frame.with_columns(has_credentials=has)
    return frame.with_columns(pl.lit(None, pl.String).alias(name) for name in sorted(_LOGIN)).drop(
        STORAGE, strict=False
    )


def _any(masks: Sequence[pl.Series], height: int) -> pl.Series:
    found = pl.repeat(value=False, n=height, eager=True)
    for mask in masks:
        found |= mask
    return found


def _names(masks: Mapping[str, pl.Series], height: int) -> pl.Series:
    """The names of the columns that differ, for each pair; null where none does."""
    if not masks:
        return pl.repeat(None, height, dtype=pl.String, eager=True)
    names = pl.DataFrame(masks).select(
        text=pl.concat_str([pl.when(name).then(pl.lit(name)) for name in masks], separator=", ", ignore_nulls=True)
    )["text"]
    return names.set(names == "", None)


def _shown(frame: pl.DataFrame, rows: pl.Series, what: str) -> pl.DataFrame:
    """Proxies that are only in one of the two."""
    chosen = frame[rows]
    nothing = pl.lit(None, pl.String)
    place = pl.col("place") if "place" in frame.columns else nothing
    return chosen.select(*IDENTITY, place.alias("place")).with_columns(
        what=pl.lit(what), columns=nothing, running=nothing
    )


def _pairs_shown(backup: pl.DataFrame, pool: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    return (
        pool[pairs["pool"]]
        .select(IDENTITY)
        .with_columns(backup["place"][pairs["backup"]], pairs["what"], pairs["columns"], pairs["running"])
    )
