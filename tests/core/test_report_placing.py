"""Where the panels of a section lie."""

import pytest

from tailrace import Chart, Figure, Panel, Place, Prose, ReportTable, Section, TableView, places
from tailrace.model.report import Content


def laid(*panels: Panel) -> list[tuple[int, int, int, int]]:
    return [(one.column, one.row, one.width, one.height) for one in places(Section("Part", panels))]


def panel(width: int = 12, height: int | None = None, *, at: tuple[int, int] | None = None) -> Panel:
    column, row = at or (None, None)
    return Panel("A panel", Figure(1), width=width, height=height, column=column, row=row)


def test_panels_follow_each_other_and_begin_a_row_where_there_is_no_room() -> None:
    assert laid(panel(4), panel(4), panel(4), panel(6), panel(7)) == [
        (0, 0, 4, 2),
        (4, 0, 4, 2),
        (8, 0, 4, 2),
        (0, 2, 6, 2),
        (0, 4, 7, 2),
    ]


def test_a_row_is_as_high_as_its_highest_panel() -> None:
    assert laid(panel(3, 5), panel(3, 1), panel(12, 1)) == [(0, 0, 3, 5), (3, 0, 3, 1), (0, 5, 12, 1)]


def test_a_panel_follows_one_with_a_place_of_its_own() -> None:
    assert laid(panel(4, at=(2, 3)), panel(6), panel(1)) == [(2, 3, 4, 2), (6, 3, 6, 2), (0, 5, 1, 2)]


def test_a_panel_without_a_place_never_meets_one_that_is_there() -> None:
    assert laid(panel(6, at=(6, 0)), panel(3, at=(0, 0)), panel(6)) == [(6, 0, 6, 2), (0, 0, 3, 2), (0, 2, 6, 2)]


def test_heights_are_usual_for_the_content() -> None:
    contents: list[Content] = [Figure(1), Chart("line", []), ReportTable(["a"], []), TableView("t"), Prose(["text"])]
    found = places(Section("Part", [Panel("A panel", content) for content in contents]))
    assert [place.height for place in found] == [2, 5, 4, 4, 1]


def test_panels_that_overlap_are_named() -> None:
    one = Panel("The first", Figure(1), width=6, column=0, row=0)
    other = Panel("The second", Figure(1), width=6, column=5, row=1)
    with pytest.raises(ValueError, match="The panels 'The first' and 'The second' overlap"):
        places(Section("Part", [one, other]))


def test_places_that_touch_do_not_meet() -> None:
    place = Place(2, 2, 3, 3)
    assert not any(place.meets(other) for other in (Place(5, 2, 3, 3), Place(2, 5, 3, 3), Place(0, 0, 2, 9)))
    assert place.meets(Place(4, 4, 9, 9))


def test_a_section_without_panels_has_no_places() -> None:
    assert laid() == []
