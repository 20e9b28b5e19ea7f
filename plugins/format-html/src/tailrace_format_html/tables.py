"""Tables as HTML, made by polars: whole columns at a time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from tailrace import Column, OutgoingTable, ReportTable, TableView, shown, shown_value
from tailrace_format_html.escaping import escaped, escaped_column
from tailrace_format_html.marks import MARKS, sign

if TYPE_CHECKING:
    import polars as pl


@attrs.frozen
class Shown:
    """The rows of a view, as texts.

    Args:
        headings: Of its columns, with units.
        texts: The rows, all String.
        numbers: Which columns are numbers, which stand on the right.
        marks: The marks of the rows, String; None where they have none.
        total: How many rows there are altogether.
    """

    headings: Sequence[str]
    texts: "pl.DataFrame"
    numbers: Sequence[bool]
    marks: "pl.Series | None"
    total: int


def rows_of(view: TableView, table: OutgoingTable, frame: "pl.DataFrame", *, most: int, zone: str) -> Shown:
    """The first rows of a table, as a view wants them.

    Args:
        view: Which columns, how many rows.
        table: The table.
        frame: Its rows.
        most: How many rows at most.
        zone: IANA zone of moments.

    Raises:
        RequestError: A column that cannot be shown.
    """
    import polars as pl

    by_name = {column.name: column for column in table.columns}
    pairs = list(view.columns) or [(name, name) for name in frame.columns if name != view.mark]
    pairs = [(name, heading) for name, heading in pairs if name in frame.columns]
    head = frame.head(min(most, view.most) if view.most is not None else most)
    columns = [by_name.get(name, Column(name)) for name, _heading in pairs]
    # By number: polars takes "*" and "^…$" for patterns, not for names.
    chosen = head.select(pl.nth(head.columns.index(name)) for name, _heading in pairs)
    texts = shown(chosen, columns, zone) if pairs else chosen
    return Shown(
        headings=[_heading_of(heading, column.unit) for (_name, heading), column in zip(pairs, columns, strict=True)],
        texts=texts,
        numbers=[dtype.is_numeric() or dtype == _duration() for dtype in chosen.dtypes],
        marks=None if view.mark is None or view.mark not in frame.columns else _as_text(head[view.mark]),
        total=frame.height,
    )


def as_table(rows: Shown) -> str:
    """A table of rows that were chosen."""
    import polars as pl

    parts: list[pl.Expr] = []
    if rows.marks is not None:
        cells = {mark: f'<tr class="{mark}"><td class="m">{sign(mark)}' for mark in MARKS}
        parts.append(pl.lit(rows.marks).replace_strict(cells, default='<tr><td class="m">', return_dtype=pl.String))
    else:
        parts.append(pl.lit("<tr>"))
    for place, number in enumerate(rows.numbers):
        parts += [pl.lit('<td class="n">' if number else "<td>"), escaped_column(pl.nth(place))]
    lines = rows.texts.select(pl.concat_str(parts).alias("line"))["line"].to_list()
    head = ["<th>Mark</th>"] if rows.marks is not None else []
    head += [_head_cell(heading, number=number) for heading, number in zip(rows.headings, rows.numbers, strict=True)]
    return _table(head, "\n".join(lines))


@attrs.frozen
class Small:
    """A table of the report's own, as texts.

    Args:
        headings: Of its columns, with units.
        rows: The rows.
        numbers: Which columns are numbers, which stand on the right.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[bool]


def small(table: ReportTable, zone: str, *, most: int | None = None) -> Small:
    """The first rows of a table of the report's own.

    Args:
        table: The table.
        zone: IANA zone of moments.
        most: How many rows at most; all when None.
    """
    units = table.units or [""] * len(table.headings)
    return Small(
        headings=[_heading_of(heading, unit) for heading, unit in zip(table.headings, units, strict=True)],
        rows=[
            [shown_value(value, zone, unit=unit) for value, unit in zip(row, units, strict=True)]
            for row in table.rows[:most]
        ],
        numbers=[
            any(isinstance(row[n], int | float) and not isinstance(row[n], bool) for row in table.rows)
            for n in range(len(table.headings))
        ],
    )


def as_small_table(table: ReportTable, zone: str) -> str:
    """A table of the report's own."""
    texts = small(table, zone)
    head = ["<th>Mark</th>"] if table.marks else []
    head += [_head_cell(one, number=number) for one, number in zip(texts.headings, texts.numbers, strict=True)]
    lines = []
    for row, mark in zip(texts.rows, table.marks or [None] * len(texts.rows), strict=True):
        first = f'<td class="m">{sign(mark)}' if table.marks else ""
        cells = zip(row, texts.numbers, strict=True)
        lines.append(
            _opening("tr", mark)
            + first
            + "".join(_opening("td", "n" if number else None) + escaped(text) for text, number in cells)
        )
    return _table(head, "\n".join(lines))


def _table(head: Sequence[str], body: str) -> str:
    # The ends of rows and cells may be left out, and a page of a thousand rows is a good deal smaller without them.
    return (
        f'<div class="scroll" tabindex="0"><table class="rows"><thead><tr>{"".join(head)}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _head_cell(heading: str, *, number: bool) -> str:
    kind = ' class="n"' if number else ""
    return f'<th scope="col"{kind}>{escaped(heading)}</th>'


def _opening(tag: str, kind: str | None) -> str:
    return f'<{tag} class="{kind}">' if kind else f"<{tag}>"


def _heading_of(heading: str, unit: str) -> str:
    return f"{heading} ({unit})" if unit and unit not in heading else heading


def _as_text(marks: "pl.Series") -> "pl.Series":
    import polars as pl

    return marks.cast(pl.String).fill_null("")


def _duration() -> "type[pl.Duration]":
    import polars as pl

    return pl.Duration
