"""A pool that an application keeps itself, as a target of imports: the application writes two functions."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import attrs

from tailrace.model.errors import PluginContractError, TailraceError
from tailrace.plugins.pools import PoolChanges

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")

Record = dict[str, Any]
"""A proxy: values by the columns of ``docs/reference/pool.md``; times with their zone, documents as JSON text."""


class HostPool(Protocol):
    """What an application says about its pool."""

    def proxies(self) -> Iterable[Mapping[str, Any]]:
        """All proxies, credentials in clear, each with ``key``: a text that only this proxy has."""
        ...

    def apply(self, add: list[Record], update: list[Record], remove: list[str]) -> list[str]:
        """Make changes, all or none of them.

        Args:
            add: New proxies; values that they do not have are left out.
            update: Proxies that change, with ``key`` and the values to set; None takes a value away.
            remove: Keys of proxies to remove.

        Returns:
            The keys of the new proxies, in their order.
        """
        ...


def _all_columns() -> Collection[str]:
    from tailrace.restore.fields import FIELDS

    return frozenset(FIELDS)


@attrs.frozen
class RecordsTarget:
    """A pool of an application, as an import sees it.

    Args:
        pool: The application's side.
        holds: The columns that it can hold; by default all.
        unique: A column of which it cannot hold one value twice; see :class:`~tailrace.plugins.pools.PoolTarget`.
        kind: What it is, for plans and messages.
        notes: What people should know about writing to it.
    """

    pool: HostPool = attrs.field(repr=False)
    holds: Collection[str] = attrs.field(factory=_all_columns)
    unique: str | None = None
    kind: str = "application"
    notes: Collection[str] = ()

    def read(self) -> "pl.DataFrame":
        """All proxies in it, credentials in clear, with ``key``."""
        import polars as pl

        from tailrace.restore.fields import FIELDS, field_of

        rows = _asked(self.kind, lambda: [dict(proxy) for proxy in self.pool.proxies()])
        names = dict.fromkeys(["key", *FIELDS, *sorted({name for row in rows for name in row})])
        columns = [self._column(name, [row.get(name) for row in rows], field_of(name).dtype) for name in names]
        return pl.DataFrame([column for column in columns if column.name == "key" or column.count()])

    def write(self, changes: PoolChanges) -> tuple[str, ...]:
        """Make the changes, all or none of them."""
        from tailrace.restore.fields import DERIVED

        add = [
            {name: value for name, value in row.items() if value is not None and name not in DERIVED}
            for row in changes.add.iter_rows(named=True)
        ]
        update = [
            {"key": row["key"], **{name: row[name] for name in row["changed"]}}
            for row in changes.update.iter_rows(named=True)
        ]
        keys = _asked(self.kind, lambda: tuple(self.pool.apply(add, update, list(changes.remove)) or ()))
        if len(set(keys)) != len(add) or not all(isinstance(key, str) for key in keys):
            message = f"apply of {self.kind} gave no key of its own, as a text, for each of the new proxies."
            raise PluginContractError(self.kind, message, hint="Look at the pool: its changes were made.")
        return keys

    def _column(self, name: str, values: list[Any], dtype: "pl.DataType") -> "pl.Series":
        import polars as pl

        try:
            return pl.Series(name, values, dtype=dtype, strict=True)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
            # Their messages quote values.
            wrong = {type(value).__name__ for value in values}
        found = ", ".join(sorted(wrong - {"NoneType"}))
        raise PluginContractError(self.kind, f"{self.kind} gave {found} for {name!r}, which is {dtype}.")


def _asked(kind: str, function: Callable[[], T]) -> T:
    """Call the application's code; what it raises becomes our error without its text, which may quote a password."""
    try:
        return function()
    except TailraceError:
        raise
    except Exception as error:  # noqa: BLE001 - anything may come from there
        failed = type(error).__name__
    # Raised out here so that the error of the application is not attached.
    raise PluginContractError(kind, f"The code of {kind} failed with {failed}.")
