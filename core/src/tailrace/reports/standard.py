"""Reports of data that comes without one: each table under a heading of its own, with what it is."""

from collections.abc import Mapping, Sequence

import attrs

from tailrace.model.report import Basis, Panel, Report, Section, TableView
from tailrace.plugins.kinds import OutgoingTable


def report_of(title: str, subtitle: str, tables: Sequence[OutgoingTable], basis: Basis) -> Report:
    """A report of tables, none of which has been read.

    Args:
        title: Its title.
        subtitle: What it is made from.
        tables: The tables.
        basis: Range and filters.
    """
    return Report(title, subtitle, sections=[_section(table, basis) for table in tables], basis=basis)


def as_written(report: Report, tables: Mapping[str, Mapping[str, str]]) -> Report:
    """The same report, with the columns of its views under the names that they are written with.

    Args:
        report: As the source made it.
        tables: By name of the table: the name of each column that is written, by its name in the source.

    Returns:
        Views without the columns that are not written.
    """

    def renamed(panel: Panel) -> Panel:
        view = panel.content
        if not isinstance(view, TableView) or view.table not in tables:
            return panel
        names = tables[view.table]
        columns = [(names[name], heading) for name, heading in view.columns if name in names]
        mark = names.get(view.mark) if view.mark else None
        return attrs.evolve(panel, content=attrs.evolve(view, columns=columns, mark=mark))

    sections = [attrs.evolve(one, panels=[renamed(panel) for panel in one.panels]) for one in report.sections]
    return attrs.evolve(report, sections=sections)


def _section(table: OutgoingTable, basis: Basis) -> Section:
    heading = table.name.replace("_", " ").capitalize()
    return Section(heading, [Panel(f"All {table.name.replace('_', ' ')}", TableView(table.name), basis=basis)])
