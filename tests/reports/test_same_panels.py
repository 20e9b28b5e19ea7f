"""Paper and screen show the same panels, in the same order, at the same places of the grid."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from tailrace import Chart, Place, Section, places

from .making import Expected
from .positions import Read, Spot

MARGIN = 42.52
"""Points: 15 mm."""


def _placed(sections: list[Section]) -> Iterator[tuple[Section, str, Place]]:
    for section in sections:
        for panel, place in zip(section.panels, places(section), strict=True):
            yield section, panel.title, place


def _spots(said: Expected, words: Read) -> list[Spot]:
    """Where the titles of panels are in the PDF."""
    spots = []
    for section in said.report.sections:
        heading = words.heading(section.heading)
        assert heading, section.heading
        for panel in section.panels:
            spot = words.find(panel.title, behind=heading)
            assert spot, panel.title
            spots.append(spot)
    return spots


def test_the_browser_has_all_panels_in_order(said: Expected, browsed: list[dict[str, Any]]) -> None:
    placed = list(_placed(list(said.report.sections)))
    assert [(one["section"], one["title"]) for one in browsed] == [
        (section.heading, title) for section, title, _place in placed
    ]
    assert [tuple(int(one["data"][key]) for key in ("column", "row", "width", "height")) for one in browsed] == [
        (place.column, place.row, place.width, place.height) for _section, _title, place in placed
    ]


def test_the_browser_shows_them_in_their_cells(browsed: list[dict[str, Any]]) -> None:
    for one in browsed:
        cell = one["grid"]["width"] / 12
        column = (one["box"]["left"] - one["grid"]["left"]) / cell
        assert abs(column - int(one["data"]["column"])) < 0.3, one["title"]
        assert abs(one["box"]["width"] / cell - int(one["data"]["width"])) < 0.3, one["title"]
        for chart in one["charts"]:
            assert chart["left"] >= one["box"]["left"]
            assert chart["left"] + chart["width"] <= one["box"]["left"] + one["box"]["width"] + 0.5
    for one, other in pairwise(browsed):
        if one["section"] == other["section"]:
            same = one["data"]["row"] == other["data"]["row"]
            assert (one["box"]["top"] == other["box"]["top"]) is same, other["title"]
            assert other["box"]["top"] >= one["box"]["top"]


def test_the_pages_show_them_in_order_and_in_the_same_columns(said: Expected, words: Read) -> None:
    spots = _spots(said, words)
    placed = list(_placed(list(said.report.sections)))
    column = (words.width - 2 * MARGIN) / 12
    assert [round((spot.left - MARGIN) / column) for spot in spots] == [place.column for *_, place in placed]
    for (section, _title, place), (next_section, title, next_place), spot, next_spot in zip(
        placed, placed[1:], spots, spots[1:], strict=False
    ):
        if section is next_section and place.row == next_place.row:
            assert (spot.page, spot.top) == (next_spot.page, next_spot.top), title
        else:
            assert (spot.page, spot.top) < (next_spot.page, next_spot.top), title


def test_every_chart_is_there(said: Expected, browsed: list[dict[str, Any]]) -> None:
    charts = [
        panel.title for section in said.report.sections for panel in section.panels if isinstance(panel.content, Chart)
    ]
    assert len(charts) >= 5
    drawn = [one["title"] for one in browsed if one["charts"]]
    assert [title for title in drawn if title in charts] == charts
    assert all(box["height"] > 50 for one in browsed if one["title"] in charts for box in one["charts"])
