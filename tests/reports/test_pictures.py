"""Every page of the report looks as it did when somebody looked at it.

``WRITE_PICTURES=1`` keeps the pages as they are now, to be looked at. With ``SHARED_WEEK``, the folder of the whole
week, the pictures in the documentation are compared, and written, too.
"""

import os
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tailrace_format_pdf import figures, panels

from tailrace import Chart, draw_chart

from .conftest import DOTS, SAMPLE
from .making import made
from .pictures import Difference, difference, keep, names, pixels, rendered

KEPT = Path(__file__).parents[2] / "docs" / "images"
WRITE = os.environ.get("WRITE_PICTURES") == "1"
WEEK = os.environ.get("SHARED_WEEK")
WEEK_PAGES, WEEK_DOTS = 9, 72
MEAN, WORST = 0.6, 8.0
"""What another build of poppler may make of the same page. The line of a chart that is lost is more than either."""


def _far(found: Difference) -> bool:
    return found.mean > MEAN or found.worst > WORST


def _compare(pictures: list[Path], kept: Path) -> None:
    places = names(kept, len(pictures))
    if WRITE:
        for old in kept.parent.glob(f"{kept.name}-[0-9]*.png"):
            old.unlink()
        for picture, place in zip(pictures, places, strict=True):
            keep(picture, place)
    assert sorted(kept.parent.glob(f"{kept.name}-[0-9]*.png")) == sorted(places)
    far = {
        place.name: apart
        for picture, place in zip(pictures, places, strict=True)
        if _far(apart := difference(pixels(picture), pixels(place)))
    }
    assert not far, "WRITE_PICTURES=1 keeps the pages as they are now"


def test_every_page_looks_as_it_did(pages: list[Path]) -> None:
    _compare(pages, KEPT / "health-sample")


@pytest.mark.skipif(not WEEK, reason="SHARED_WEEK does not name the folder of the week")
@pytest.mark.usefixtures("poppler")
def test_the_pages_in_the_documentation_are_those_of_the_week(tmp_path: Path) -> None:
    assert WEEK is not None
    document = made(Path(WEEK) / "validation_results-week.parquet", "pdf", tmp_path)
    _compare(rendered(document, tmp_path, dots=WEEK_DOTS, last=WEEK_PAGES), KEPT / "health")


def test_a_lost_panel_and_a_changed_chart_are_seen(pages: list[Path], tmp_path: Path) -> None:
    """The first chart is not drawn, the second has two of its values exchanged; nothing else is different."""
    drawn: list[Chart] = []
    draw_content = figures.figure_content

    def changed(chart: Chart, **how: Any) -> Any:
        drawn.append(chart)
        if len(drawn) == 2:
            (series,) = chart.series
            values = list(series.y)
            values[4:12] = [None] * 8
            chart = Chart(chart.kind, [type(series)(series.label, series.x, values)], y_range=chart.y_range)
        return draw_chart(chart, **how)

    def lost(figure: Any, faces: Any, **where: Any) -> figures.Drawn:
        content = draw_content(figure, faces, **where)
        return figures.Drawn(b"", {}) if len(drawn) == 1 else content

    with mock.patch.object(panels, "draw_chart", changed), mock.patch.object(figures, "figure_content", lost):
        document = made(SAMPLE, "pdf", tmp_path)
    apart = [
        difference(pixels(other), pixels(page))
        for page, other in zip(pages, rendered(document, tmp_path, dots=DOTS), strict=True)
    ]
    assert len(drawn) > 2
    assert [number for number, one in enumerate(apart, start=1) if one.mean] == [2, 3]
    assert all(map(_far, apart[1:3]))


def test_a_picture_of_another_size_is_another_picture(pages: list[Path]) -> None:
    page = pixels(pages[0])
    assert difference(page, page) == Difference(0, 0)
    assert _far(difference(page, page[:-1]))
    moved = page.copy()
    moved[:, 3:] = page[:, :-3]
    assert _far(difference(page, moved))
