"""The health report of a week, made by the engine as anybody has it made."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs
import polars as pl
from tailrace_source_health import source
from tailrace_source_health.options import HealthOptions

from tailrace import (
    Context,
    CredentialMode,
    Engine,
    ExportRequest,
    Report,
    ReportTable,
    SinkRequest,
    SourceCall,
    Table,
    TableView,
    User,
    shown,
    shown_value,
)
from tailrace.settings import Settings

MOMENT = datetime(2026, 8, 22, 6, 0, tzinfo=UTC)
ZONE = "Europe/Berlin"


def made(checks: Path, form: str, folder: Path) -> Path:
    """Export the health report, at a fixed time and for the same user; the file."""
    engine = Engine(Settings(home=folder / "home"), clock=lambda: MOMENT)
    sinks = (SinkRequest("disk", target=str(folder)),)
    request = ExportRequest("health", str(checks), form, sinks=sinks, time_zone=ZONE, compress=False)
    result = engine.export(request, user=User("reader"))
    return folder / result.artifacts[0].manifest.file.name


@attrs.frozen
class Expected:
    """What a report has to say.

    Args:
        report: The report as its source made it.
        tables: The rows of each table in it, as texts, by the title of its panel.
    """

    report: Report
    tables: dict[str, list[list[str]]]


def expected(checks: Path) -> Expected:
    """What has to be in the report."""
    with _opened(checks) as (report, tables):
        panels = [panel for section in report.sections for panel in section.panels]
        rows: dict[str, list[list[str]]] = {}
        for panel in panels:
            content = panel.content
            if isinstance(content, TableView):
                rows[panel.title] = _view(content, tables[content.table])
            elif isinstance(content, ReportTable):
                units = content.units or [""] * len(content.headings)
                rows[panel.title] = [
                    [shown_value(value, ZONE, unit=unit) for value, unit in zip(row, units, strict=True)]
                    for row in content.rows
                ]
        return Expected(report, rows)


def _view(view: TableView, table: Table) -> list[list[str]]:
    frame = table.frame.collect()
    names = [name for name, _heading in view.columns] or frame.columns
    columns = {column.name: column for column in table.columns}
    texts: pl.DataFrame = shown(frame.head(view.most or frame.height).select(names), [columns[n] for n in names], ZONE)
    return [list(row) for row in texts.rows()]


@contextmanager
def _opened(checks: Path) -> Iterator[tuple[Report, dict[str, Table]]]:
    def reference(*_parts: str) -> str:
        raise AssertionError

    call = SourceCall(
        str(checks), HealthOptions(), CredentialMode.SANITIZED, MOMENT, None, reference, Context(), time_zone=ZONE
    )
    with source.HealthSource().open(call) as dataset:
        assert dataset.report is not None
        yield dataset.report, {table.name: table for table in dataset.tables}
