"""Plans written down: what an import is going to do, for people to review and for ``--apply`` to hold on to.

A plan holds neither passwords nor user names. It is bound to the file, to the pool and to the decisions by digests;
those of the pool and of the decisions have a key, which stays with the installation that made the plan.
"""

import json
import math
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import attrs
import polars as pl

from tailrace.files.publish import publish
from tailrace.files.staging import staged_file
from tailrace.files.storage import storage_errors
from tailrace.model.convert import structure, unstructure
from tailrace.model.errors import AlreadyExistsError, NewerVersionError, SourceError
from tailrace.plugins.pools import Loss
from tailrace.restore.digests import digest_of, row_digests
from tailrace.restore.fields import field_of, typed
from tailrace.restore.identity import Identify, identities
from tailrace.restore.plan import Action, Counts, Difference, Plan
from tailrace.restore.request import OnDuplicate

SCHEMA_VERSION: Final = 1
_LARGEST = 1 << 30

CHANGED: Final = "changed"
"""What is said of a value that is not shown."""

Value = bool | int | float | str | None
Change = Literal["changed"] | tuple[Value, ...]
"""The old and the new value, or :data:`CHANGED` for texts of a kind that may hold a login."""


@attrs.frozen
class PlannedFile:
    """The file that was planned.

    Args:
        path: Where it was.
        sha256: SHA-256 of its bytes, hexadecimal.
    """

    path: str
    sha256: str


@attrs.frozen
class PlannedTarget:
    """The pool that was planned for.

    Args:
        location: Where it is, without any password; None for a pool of the host.
        kind: What it is: ``"proxywhirl-sqlite"``.
        digest: Keyed digest of all proxies in it.
    """

    location: str | None
    kind: str
    digest: str


@attrs.frozen
class PlannedProxy:
    """What becomes of one proxy of the file.

    Args:
        action: What.
        place: Where in the file it is.
        address: ``scheme://host:port``, without login.
        identity: A keyed id of address and login: the same in all plans of one installation.
        of: The place of the proxy of the file that it repeats or clashes with.
        reason: Why, where the action does not say it.
        changes: What changes in the pool's record, by column, for ``update``.
    """

    action: Action
    place: str
    address: str
    identity: str
    of: str | None = None
    reason: str | None = None
    changes: Mapping[str, Change] = attrs.field(factory=dict)


@attrs.frozen
class ImportPlan:
    """What an import is going to do.

    Args:
        schema_version: :data:`SCHEMA_VERSION` of the writer.
        tailrace_version: Version of the writer.
        created: When it was made, UTC.
        file: The file.
        target: The pool, as it was then.
        on_duplicate: What becomes of proxies that are there already.
        leave_out_clashes: Whether clashes are left out; otherwise they stop the import.
        counts: How many proxies.
        losses: What the pool cannot hold.
        notes: What people should know.
        proxies: Every proxy of the file, in order.
        decisions: Keyed digest of all that is going to be written, user names and passwords included.
    """

    schema_version: int
    tailrace_version: str
    created: datetime
    file: PlannedFile
    target: PlannedTarget
    on_duplicate: OnDuplicate
    leave_out_clashes: bool
    counts: Counts
    losses: tuple[Loss, ...]
    notes: tuple[str, ...]
    proxies: tuple[PlannedProxy, ...] = attrs.field(repr=False)
    decisions: str


def planned_proxies(plan: Plan, file: pl.DataFrame, identify: Identify) -> tuple[PlannedProxy, ...]:
    """Every proxy of the file, for people.

    Args:
        plan: The plan.
        file: The proxies that it was made for.
        identify: Makes keyed ids.
    """
    changes: dict[int, dict[str, Change]] = {}
    for difference in plan.differences:
        for row, change in zip(difference.rows, _changes(difference), strict=True):
            changes.setdefault(row, {})[difference.column] = change
    rows = plan.decisions.select("action", "place", "address", "of", "reason").rows()
    ids = identities(typed(file, whose="the file"), identify)
    return tuple(
        PlannedProxy(Action(action), place, address, identity, of, reason, changes.get(number, {}))
        for number, ((action, place, address, of, reason), identity) in enumerate(zip(rows, ids, strict=True))
    )


def decisions_digest(plan: Plan, key: bytes) -> str:
    """The keyed digest of all that a plan decides and writes."""
    decided = plan.decisions.select(pl.concat_str("action", pl.lit(" "), "place")).to_series()
    # Which entry is changed, and in what columns, is a part of it.
    update = plan.changes.update.with_columns(of_key="key", of_changed=pl.col("changed").list.join(","))
    return digest_of([*decided, "add", *row_digests(plan.changes.add, key), "update", *row_digests(update, key)], key)


def _changes(difference: Difference) -> list[Change]:
    field = field_of(difference.column)
    old, new = (_plain(values) for values in (difference.old, difference.new))
    if field.words:
        pattern = f"^(?:{field.words})$"
        known = [values.str.contains(pattern).fill_null(value=True) for values in (difference.old, difference.new)]
        shown = known[0] & known[1]
        return [
            (before, after) if is_shown else CHANGED for before, after, is_shown in zip(old, new, shown, strict=True)
        ]
    return list(zip(old, new, strict=True)) if field.shown else [CHANGED] * len(old)


def _plain(values: pl.Series) -> list[Value]:
    """Values as JSON has them: times as ISO 8601 in UTC, and numbers that JSON does not have as text."""
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_list()
    plain: list[Value] = values.to_list()
    if values.dtype == pl.Float64 and not values.is_finite().all():
        return [str(value) if isinstance(value, float) and not math.isfinite(value) else value for value in plain]
    return plain


def write_plan(plan: ImportPlan, path: Path) -> None:
    """Write a plan, readable for its owner only.

    Raises:
        AlreadyExistsError: The name is taken.
        StorageError: It cannot be written.
    """
    path = path.absolute()
    content = json.dumps(unstructure(plan), indent=1, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
    with staged_file(path.parent) as (descriptor, staged):
        with storage_errors(path), os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        try:
            publish(staged, path)
        except AlreadyExistsError as error:
            raise AlreadyExistsError(error.message, hint="Choose another name for the plan.") from None


def read_plan(path: Path) -> ImportPlan:
    """Read a plan that :func:`write_plan` wrote.

    Raises:
        SourceError: It is not there, or is not JSON.
        NewerVersionError: A newer Tailrace wrote it.
        StructureError: It is not a plan: every unknown key and wrong type, with its path.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.", hint="Name a plan: --apply PLAN") from None
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise SourceError(f"{path} is not a plan: it is not JSON.", hint="Make a new one with --plan.") from None
    version = value.get("schema_version") if isinstance(value, dict) else None
    if type(version) is int and version > SCHEMA_VERSION:
        message = f"{path} has schema version {version}, this Tailrace reads up to {SCHEMA_VERSION}."
        raise NewerVersionError(message, version=version)
    plan: ImportPlan = structure(value, ImportPlan, what=f"The plan {path}")
    return plan
