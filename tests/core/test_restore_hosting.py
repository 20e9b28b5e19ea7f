"""An application's own pool as the target of imports."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

from tailrace.model.context import Context
from tailrace.model.errors import PluginContractError, TransientError
from tailrace.plugins.pools import PoolFile, PoolTarget
from tailrace.references import reference_ids
from tailrace.restore.fields import FIELDS
from tailrace.restore.hosting import Record, RecordsTarget
from tailrace.restore.importing import ImportResult, apply_import, undo_import
from tailrace.restore.request import ImportRequest

NOW = datetime(2026, 8, 15, tzinfo=UTC)
CANARY = "hunter2-canary"


@attrs.define
class Shelf:
    """An application's pool: a dictionary."""

    proxies_by_key: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    asked: list[tuple[list[Record], list[Record], list[str]]] = attrs.field(factory=list)

    def proxies(self) -> Iterable[Mapping[str, Any]]:
        return [{"key": key, **proxy} for key, proxy in self.proxies_by_key.items()]

    def apply(self, add: list[Record], update: list[Record], remove: list[str]) -> list[str]:
        self.asked.append((add, update, remove))
        for key in remove:
            del self.proxies_by_key[key]
        for record in update:
            self.proxies_by_key[record.pop("key")] |= record
        keys = [f"{record['host']}-{record.get('username')}" for record in add]
        self.proxies_by_key |= dict(zip(keys, add, strict=True))
        return keys


class NoKeeper:
    """Is never asked: the pool is handed in."""

    read_pool = render_pool = open_pool = None


def imported(target: PoolTarget, proxies: list[dict[str, Any]], home: Path) -> ImportResult:
    rows = pl.DataFrame(
        proxies, schema={name: FIELDS[name].dtype for name in FIELDS if any(name in row for row in proxies)}
    )
    file = PoolFile("json", rows, (), 0, "digest")
    request = ImportRequest(Path("f"), target, on_duplicate="merge")
    return apply_import(
        request,
        file,
        None,
        keeper=NoKeeper(),  # type: ignore[arg-type]  # never asked
        reference=reference_ids(home),
        home=home,
        now=NOW,
        context=Context(),
    )


def test_an_application_writes_two_functions(tmp_path: Path) -> None:
    old = {"protocol": "http", "host": "a", "port": 1, "username": "kim", "password": CANARY, "ttl": 1}
    shelf = Shelf({"a-kim": dict(old)})
    target = RecordsTarget(shelf)
    assert isinstance(target, PoolTarget)
    new = {"protocol": "socks5", "host": "b", "port": 2, "tags": '["x"]', "updated_at": NOW}
    made = imported(target, [{**old, "ttl": 2, "updated_at": NOW}, new], tmp_path)
    added, updated, removed = shelf.asked[0]
    assert added == [new]
    assert updated == [{"ttl": 2, "updated_at": NOW}]
    assert removed == []
    assert made.target.location is None
    assert made.target.kind == "application"
    assert shelf.proxies_by_key["a-kim"] == {**old, "ttl": 2, "updated_at": NOW}
    undone = undo_import(
        made.import_id or "",
        target=target,
        keeper=NoKeeper(),  # type: ignore[arg-type]  # never asked
        home=tmp_path,
        now=NOW,
        context=Context(),
    )
    assert undone.outcome == "undone"
    assert shelf.proxies_by_key == {"a-kim": {**old, "updated_at": None}}


def test_an_empty_pool_has_no_columns_but_its_key() -> None:
    assert RecordsTarget(Shelf()).read().schema == {"key": pl.String}


def test_columns_of_its_own_are_kept() -> None:
    frame = RecordsTarget(Shelf({"k": {"host": "h", "zone": "z"}})).read()
    assert frame.to_dicts() == [{"key": "k", "host": "h", "zone": "z"}]


@pytest.mark.parametrize("proxy", [{"password": 5}, {"port": CANARY}, {"updated_at": CANARY}, {"zone": {CANARY}}])
def test_values_of_another_type_are_told_without_quoting_them(proxy: dict[str, Any]) -> None:
    with pytest.raises(PluginContractError) as caught:
        RecordsTarget(Shelf({"k": proxy, "l": {"zone": 5}})).read()
    (name, value), *_ = proxy.items()
    assert caught.value.message.startswith("application gave ")
    assert f"{type(value).__name__} for {name!r}, which is " in caught.value.message
    assert CANARY not in repr(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("error", "expected"), [(KeyError(CANARY), PluginContractError), (TransientError("busy"), None)]
)
def test_what_the_application_raises_is_told_by_its_type(error: Exception, expected: Any, tmp_path: Path) -> None:
    class Broken(Shelf):
        def apply(self, add: list[Record], update: list[Record], remove: list[str]) -> list[str]:
            raise error

    with pytest.raises(expected or type(error)) as caught:
        imported(RecordsTarget(Broken()), [{"protocol": "http", "host": "a", "port": 1}], tmp_path)
    if expected:
        assert str(caught.value) == "The code of application failed with KeyError."
        assert caught.value.__context__ is None
