from typing import Any

import attrs
import pytest
from tailrace_sdk.fakes import FolderSink, MemorySource

from tailrace.model.errors import RequestError
from tailrace.model.options import option
from tailrace.model.request import ExportRequest, SinkRequest
from tailrace.plugins.registry import Registry
from tailrace.plugins.selection import PluginSelection
from tailrace.work.overrides import overridden

SAVED = ExportRequest(
    "analytics",
    "log.csv",
    "csv",
    sinks=(SinkRequest("disk", "out", {"mode": "0640"}),),
    columns=("a", "b"),
    where=("a > 1", "b > 1"),
    limit=3,
    options={"delimiter": ";", "disk.pattern": "{year}", "on_bad_rows": "report"},
)


def changed(**changes: Any) -> ExportRequest:
    return overridden(SAVED, changes, Registry())


def test_nothing_given_changes_nothing() -> None:
    assert changed() == SAVED


def test_what_is_given_takes_the_place_of_the_whole() -> None:
    request = changed(columns=("c",), where=("c > 1",), limit=None, sinks=(SinkRequest("disk", "other"),))
    assert request == attrs.evolve(
        SAVED, columns=("c",), where=("c > 1",), limit=None, sinks=(SinkRequest("disk", "other"),)
    )


def test_options_are_merged_by_name() -> None:
    assert changed(options={"nulls": "NULL"}).options == {**SAVED.options, "nulls": "NULL"}
    assert changed(options={"delimiter": ","}).options == {**SAVED.options, "delimiter": ","}


@pytest.mark.parametrize("name", ["csv.delimiter", "format.csv.delimiter"])
def test_an_option_is_the_same_with_the_name_of_its_plugin(name: str) -> None:
    options = changed(options={name: ","}).options
    assert options == {"disk.pattern": "{year}", "on_bad_rows": "report", name: ","}
    again = overridden(attrs.evolve(SAVED, options=options), {"options": {"delimiter": "|"}}, Registry())
    assert again.options == {"disk.pattern": "{year}", "on_bad_rows": "report", "delimiter": "|"}


def test_options_of_a_plugin_that_takes_no_part_any_more_fall_away() -> None:
    assert changed(format="json").options == {"disk.pattern": "{year}", "on_bad_rows": "report"}
    assert changed(format="json", options={"layout": "lines"}).options["layout"] == "lines"
    assert changed(source="pool").options == {"delimiter": ";", "disk.pattern": "{year}"}
    assert changed(format="csv").options == SAVED.options


@attrs.frozen
class SecretOptions:
    token: str = option("", help="Opens the door.", secret=True)
    door: str = option("", help="Which one.")


def test_a_secret_is_not_sent_where_its_owner_did_not_send_it() -> None:
    source, sink = MemorySource([], options_type=SecretOptions), FolderSink(options_type=SecretOptions)
    registry = Registry(explicit=[("memory", source), ("folder", sink)])
    options = {"memory.token": "a", "memory.door": "b", "folder.token": "c", "folder.door": "d"}
    saved = ExportRequest("memory", "here", "csv", sinks=(SinkRequest("folder", "out"),), options=options)

    def names(**changes: Any) -> set[str]:
        return set(overridden(saved, changes, registry).options)

    assert names(limit=1, where=("a > 1",)) == set(options)
    assert names(location="elsewhere") == set(options) - {"memory.token"}
    assert names(sinks=(SinkRequest("folder", "other"),)) == set(options) - {"folder.token"}
    assert names(sinks=(SinkRequest("folder", "other"),), options={"folder.token": "mine"}) == set(options)


def test_what_cannot_be_told_apart_is_kept() -> None:
    registry = Registry(PluginSelection(deny=("format.csv",)))
    assert overridden(SAVED, {"format": "json"}, registry).options == SAVED.options


def test_a_value_that_cannot_be_is_an_error() -> None:
    with pytest.raises(RequestError, match="limit is 0 or more"):
        changed(limit=-1)
