"""Where the panels of a section lie on its grid."""

import itertools
from collections.abc import Mapping, Sequence

import attrs

from tailrace.model.report import COLUMNS, Chart, Figure, Panel, Prose, ReportTable, Section, TableView

_USUAL: Mapping[type, int] = {Figure: 2, Chart: 5, ReportTable: 4, TableView: 4, Prose: 1}


@attrs.frozen
class Place:
    """The cells of a panel: columns from 0 to 11, rows of the section from 0."""

    column: int
    row: int
    width: int
    height: int

    def meets(self, other: "Place") -> bool:
        """Whether two places have a cell in common."""
        return (
            self.column < other.column + other.width
            and other.column < self.column + self.width
            and self.row < other.row + other.height
            and other.row < self.row + self.height
        )


def places(section: Section) -> Sequence[Place]:
    """Where each panel of a section lies, in their order.

    A panel without a place of its own follows the one before it in the same row, or begins the next row where there is
    no room; below everything that is there already.

    Raises:
        ValueError: Two panels overlap; both are named.
    """
    placed: list[Place] = []
    column = top = below = 0
    for panel in section.panels:
        height = panel.height or _USUAL[type(panel.content)]
        if panel.column is not None and panel.row is not None:
            place = Place(panel.column, panel.row, panel.width, height)
            column, top = panel.column + panel.width, panel.row
        else:
            place = Place(column, top, panel.width, height)
            if column + panel.width > COLUMNS or any(place.meets(other) for other in placed):
                top = below
                place = Place(0, top, panel.width, height)
            column = place.column + panel.width
        below = max(below, place.row + place.height)
        placed.append(place)
    _check(section.panels, placed)
    return tuple(placed)


def _check(panels: Sequence[Panel], placed: Sequence[Place]) -> None:
    for (one, first), (other, second) in itertools.combinations(zip(panels, placed, strict=True), 2):
        if first.meets(second):
            message = f"The panels {one.title!r} and {other.title!r} overlap."
            raise ValueError(message)
