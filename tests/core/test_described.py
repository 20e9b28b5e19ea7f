"""What a format is told to draw, and what the engine leaves to sources that restrict themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import attrs
import polars as pl
import pytest
from tailrace_sdk.fakes import MemorySource, memory_table

from tailrace import (
    Basis,
    Brand,
    Dataset,
    Engine,
    Figure,
    Panel,
    Report,
    RequestError,
    Section,
    SourceCall,
    TableView,
    UnknownNameError,
)
from tailrace.settings import Settings

REPORT = Report(
    "Wheels",
    sections=[
        Section(
            "All",
            [
                Panel("Three words", Figure(3)),
                Panel("Rows", TableView("rows", [("id", "Number"), ("word", "Word")], mark="word")),
                Panel("Elsewhere", TableView("others", [("id", "Number")])),
            ],
        )
    ],
)


def view(report: Report, panel: int) -> TableView:
    content = report.sections[0].panels[panel].content
    assert isinstance(content, TableView)
    return content


def test_data_without_a_report_gets_one_that_shows_each_table(bench: Any) -> None:
    bench.export(where=("id > 1",), since="2026-08-16", until="2026-08-20", time_zone="Europe/Warsaw")
    (call,) = bench.format.calls
    basis = Basis(
        since=datetime(2026, 8, 15, 22, tzinfo=UTC), until=datetime(2026, 8, 19, 22, tzinfo=UTC), filters=["id > 1"]
    )
    section = Section("Rows", [Panel("All rows", TableView("rows"), basis=basis)])
    assert call.report == Report("Memory export", "memory://", sections=[section], basis=basis)
    assert (call.user, call.time_zone, call.brand) == ("kim", "Europe/Warsaw", Brand())


def test_passwords_in_a_location_are_not_in_the_report(bench: Any) -> None:
    bench.export(location="postgresql://ada:hunter2@localhost/pool")
    assert "hunter2" not in str(bench.format.calls[0].report)


def test_the_report_of_a_source_names_columns_as_they_are_written(bench: Any) -> None:
    bench.source.report = REPORT
    bench.export()
    assert bench.format.calls[0].report == REPORT
    bench.folder = bench.folder / "again"
    bench.export(columns=("n=id", "t"))
    report = bench.format.calls[1].report
    assert view(report, 1) == TableView("rows", [("n", "Number")])
    assert view(report, 2) == TableView("others", [("id", "Number")])
    assert report.sections[0].panels[0] == REPORT.sections[0].panels[0]


def test_the_brand_is_that_of_the_settings(bench: Any) -> None:
    brand = Brand("Millers", accent="#102030")
    plugins = [("memory", bench.source), ("lines", bench.format), ("folder", bench.sink)]
    Engine(Settings(home=bench.home, brand=brand), plugins=plugins, discover=False).export(bench.request())
    assert bench.format.calls[0].brand == brand


def test_a_source_that_restricts_itself_is_told_how_and_believed(bench: Any) -> None:
    bench.source.tables = [memory_table("sums", {"total": [7, 8]})]
    bench.source.restricted = True
    (artifact,) = bench.export(where=("id > 1", "word is null"), since="2026-08-16").artifacts
    (call,) = bench.source.calls
    assert call.where == ("id > 1", "word is null")
    assert call.window.since == datetime(2026, 8, 16, tzinfo=UTC)
    assert artifact.path.read_text().splitlines() == ['{"total":7}', '{"total":8}']
    assert (artifact.manifest.tables[0].rows.source, artifact.manifest.tables[0].rows.written) == (2, 2)
    assert artifact.manifest.parameters["where"] == ["id > 1", "word is null"]
    assert not any("does not apply" in note for note in artifact.manifest.notes)
    # Columns and limits are the engine's all the same.
    bench.folder = bench.folder / "again"
    assert bench.text(where=("id > 1",), columns=("n=total",), limit=1) == '{"n":7}\n'


def test_a_source_that_does_not_is_restricted_by_the_engine(bench: Any) -> None:
    bench.source.tables = [memory_table("sums", {"total": [7, 8]})]
    with pytest.raises(UnknownNameError):
        bench.export(where=("id > 1",))
    with pytest.raises(RequestError):
        bench.export(since="2026-08-16")


def test_an_estimate_believes_it_as_well(bench: Any) -> None:
    bench.source.tables = [memory_table("sums", {"total": [7, 8]})]
    bench.source.restricted = True
    found = bench.engine().estimate(bench.request(where=("id > 1",), since="2026-08-16"))
    assert [table.rows for table in found.tables] == [2]


@attrs.define
class Doubling(MemorySource):
    """A source that is made of another."""

    asked: str = "memory"

    @contextmanager
    def _open(self, call: SourceCall) -> Iterator[Dataset]:
        assert call.open_source is not None
        with call.open_source(self.asked, "there://", {}, tables=["memory"]) as other:
            frame = pl.concat([table.frame for table in other.tables] * 2).collect()
            yield Dataset((memory_table("twice", frame),), restricted=True)


def test_a_source_can_be_made_of_others(bench: Any) -> None:
    bench.plugins = [("doubling", Doubling([]))]
    (artifact,) = bench.export(source="doubling", location="x", where=("id = 3",), since="2026-08-16").artifacts
    assert artifact.manifest.tables[0].rows.written == 8
    (call,) = bench.source.calls
    assert (call.location, call.where, call.open_source) == ("there://", (), None)
    assert call.tables == ["memory"]
    assert call.window.since == datetime(2026, 8, 16, tzinfo=UTC)


def test_a_source_cannot_be_made_of_itself_or_of_one_that_is_not_there(bench: Any) -> None:
    bench.plugins = [("doubling", Doubling([], asked="doubling"))]
    with pytest.raises(RequestError, match="cannot be made of itself"):
        bench.export(source="doubling", location="x")
    bench.plugins = [("doubling", Doubling([], asked="memroy"))]
    with pytest.raises(UnknownNameError, match="memroy"):
        bench.export(source="doubling", location="x")
