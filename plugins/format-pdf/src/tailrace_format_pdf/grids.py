"""Tables of a report, made ready to be drawn."""

from collections.abc import Mapping

import attrs
import polars as pl

from tailrace import Column, Meaning, OutgoingTable, ReportTable, TableView, shown, shown_value
from tailrace_format_pdf.bulk import Texts
from tailrace_format_pdf.columns import Column as GridColumn
from tailrace_format_pdf.columns import Grid
from tailrace_format_pdf.faces import Faces
from tailrace_format_pdf.theme import MARKS


@attrs.frozen
class Collected:
    """A table with its rows.

    Args:
        table: What its columns mean.
        rows: The rows.
    """

    table: OutgoingTable
    rows: pl.DataFrame = attrs.field(repr=False)


def grid_of_view(view: TableView, tables: Mapping[str, Collected], faces: Faces, *, most: int) -> tuple[Grid, int]:
    """The rows that a view shows, and how many there are.

    Raises:
        RequestError: A column that cannot be shown.
    """
    known = tables[view.table]
    meant = {column.name: column for column in known.table.columns}
    pairs = list(view.columns) or [(name, name) for name in known.rows.columns]
    names = [name for name, _ in pairs]
    drawn = known.rows.head(most if view.most is None else min(most, view.most))
    columns = [meant.get(name, Column(name)) for name in names]
    # By number: polars takes "*" and "^…$" for patterns, not for names.
    own = drawn.select(pl.nth(drawn.columns.index(name)) for name in names)
    texts = shown(own, columns, known.table.time_zone)
    grid = Grid(
        [
            GridColumn(_heading(heading, column.unit), Texts.measured(series, faces), _is_right(dtype, column))
            for (_, heading), column, dtype, series in zip(pairs, columns, own.dtypes, texts, strict=True)
        ],
        drawn.height,
        _marks(drawn[view.mark].cast(pl.String)) if view.mark else None,
    )
    return grid, known.rows.height


def grid_of_table(table: ReportTable, zone: str, faces: Faces) -> Grid:
    """A table of the report's own."""
    units = table.units or [""] * len(table.headings)
    columns = []
    for number, (heading, unit) in enumerate(zip(table.headings, units, strict=True)):
        cells = [row[number] for row in table.rows]
        # What a text of a report holds besides Unicode is not for polars to take.
        texts = [_without_surrogates(shown_value(cell, zone, unit=unit)) for cell in cells]
        known = [cell for cell in cells if cell is not None]
        is_right = bool(known) and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in known)
        values = pl.Series(texts, dtype=pl.String)
        columns.append(GridColumn(_heading(heading, unit), Texts.measured(values, faces), is_right))
    marks = _marks(pl.Series(list(table.marks), dtype=pl.String)) if any(table.marks) else None
    return Grid(columns, len(table.rows), marks)


def _marks(marks: pl.Series) -> pl.Series | None:
    known = marks.set(~marks.is_in(list(MARKS)), None)
    return None if known.null_count() == len(known) else known


def _is_right(dtype: pl.DataType, column: Column) -> bool:
    is_figure = dtype.is_numeric() or isinstance(dtype, pl.Duration)
    return is_figure and column.meaning is not Meaning.FLAG


def _heading(heading: str, unit: str) -> str:
    return f"{heading} ({unit})" if unit and f"({unit})" not in heading else heading


def _without_surrogates(text: str) -> str:
    return text.encode(errors="replace").decode()
