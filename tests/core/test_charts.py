"""Charts: what is in the figures, and that nothing but a figure is left behind."""

import io
import itertools
import re
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pytest
from matplotlib import font_manager
from matplotlib._pylab_helpers import Gcf
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from tailrace import (
    CHART_INKS,
    Brand,
    Chart,
    ConfigurationError,
    DocumentFonts,
    Series,
    chart_drawing,
    document_fonts,
    draw_chart,
)
from tailrace.model.report import Cell, ChartKind
from tailrace.reports.charts.axes import Axis, number_axis, time_axis

BRAND = Brand()
FONTS = document_fonts(BRAND)
START = datetime(2026, 8, 15, tzinfo=UTC)
CROSS = "\N{MULTIPLICATION SIGN}"
SVG = "{http://www.w3.org/2000/svg}"
KINDS: tuple[ChartKind, ...] = ("line", "bar", "stacked", "pie", "donut", "histogram", "heatmap")


def drawn(chart: Chart, width: float = 110, height: float = 60, zone: str = "UTC", brand: Brand = BRAND) -> Figure:
    return draw_chart(chart, width=width, height=height, zone=zone, brand=brand, fonts=document_fonts(brand))


def svg(figure: Figure) -> str:
    with chart_drawing({"svg.fonttype": "none", "svg.hashsalt": "fixed"}):
        content = io.StringIO()
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def texts(figure: Figure) -> list[str]:
    return ["".join(text.itertext()) for text in ET.fromstring(svg(figure)).iter(f"{SVG}text")]


def one(kind: ChartKind, x: Sequence[Cell], y: Sequence[float | None], **given: Any) -> Chart:
    return Chart(kind, [Series("Series", x, y)], **given)


def boxes(figure: Figure) -> list[tuple[float, float, float, float]]:
    """Left, right, low, high of the bars or tiles."""
    axes: Any = figure.axes[0]
    paths = [path for found in axes.collections if isinstance(found, PolyCollection) for path in found.get_paths()]
    corners = [path.get_extents() for path in paths]
    return [(round(box.x0, 6), round(box.x1, 6), round(box.y0, 6), round(box.y1, 6)) for box in corners]


def lines_of(figure: Figure) -> list[list[tuple[float, float]]]:
    axes: Any = figure.axes[0]
    plotted = [line.get_xydata() for line in axes.lines]
    plotted += [
        part for found in axes.collections if isinstance(found, LineCollection) for part in found.get_segments()
    ]
    return [[(float(x), float(y)) for x, y in points] for points in plotted]


def points_of(figure: Figure) -> list[tuple[float, float]]:
    axes: Any = figure.axes[0]
    scattered: list[Any] = [found for found in axes.collections if isinstance(found, PathCollection)]
    return [(float(x), float(y)) for found in scattered for x, y in found.get_offsets()]


def test_lines_break_at_gaps_and_a_lone_point_is_seen() -> None:
    figure = drawn(one("line", list(range(50)), [1.0] * 10 + [None] * 5 + [2.0] + [None, float("nan")] + [3.0] * 32))
    assert [len(points) for points in lines_of(figure)] == [10, 32]
    assert points_of(figure) == [(15.0, 2.0)]


def test_lines_break_where_places_were_left_out() -> None:
    hours = [START + timedelta(hours=n) for n in (*range(20), *range(30, 60))]
    figure = drawn(one("line", hours, [1.0 + n % 3 for n in range(50)], x_step=3600))
    assert [len(points) for points in lines_of(figure)] == [20, 30]


def test_series_are_told_apart_without_colour() -> None:
    days = [START + timedelta(days=n) for n in range(7)]
    figure = drawn(
        Chart("line", [Series(f"Part {n}", days, [float(n)] * 7) for n in range(4)], y_label="Time", unit="ms")
    )
    dashes = re.findall(r"stroke-dasharray: ([\d.,]+);", svg(figure))
    assert len(set(dashes)) == 3
    assert {"Part 0", "Part 1", "Part 2", "Part 3", "Time (ms)"} <= set(texts(figure))


def test_more_series_than_can_be_told_apart_are_others() -> None:
    figure = drawn(Chart("line", [Series(f"Part {n}", [0, 1], [0.0, float(n)]) for n in range(13)]))
    assert len(lines_of(figure)) == 13
    assert "3 others" in texts(figure)


def test_bars_begin_at_zero_and_a_missing_one_has_a_mark() -> None:
    figure = drawn(one("bar", ["a", "b", "c"], [1200.0, None, -300.0], y_label="Checks"))
    assert [(low, high) for _left, _right, low, high in boxes(figure)] == [(0, 1200), (-300, 0)]
    found = texts(figure)
    assert {"a", "b", "c", "Checks", "1,200", "-300", CROSS, f"{CROSS} no data"} <= set(found)


def test_bars_of_several_series_stand_side_by_side() -> None:
    figure = drawn(Chart("bar", [Series("one", ["a", "b"], [1, 2]), Series("two", ["b", "c"], [3, 4])]))
    found = sorted(boxes(figure))
    assert [high for _left, _right, _low, high in found] == [1, 2, 3, 4]
    assert all(right <= left + 1e-6 for (_l, right, *_), (left, *_rest) in itertools.pairwise(found))
    assert texts(figure).count(CROSS) == 2


def test_lying_bars_have_the_first_name_on_top() -> None:
    figure = drawn(one("bar", ["first", "a very long name of a category " * 9], [2.0, 1.0], horizontal=True))
    assert [(left, right) for left, right, _low, _high in sorted(boxes(figure), key=lambda box: -box[3])] == [
        (0, 2),
        (0, 1),
    ]
    (long,) = [text for text in texts(figure) if text.startswith("a very")]
    assert re.fullmatch(r"a very long name.*….*ategory", long)


def test_stacked_bars_stand_on_each_other() -> None:
    days = [START, START + timedelta(days=1)]
    chart = Chart("stacked", [Series("one", days, [1, 2]), Series("two", days, [3, None])], x_step=86400)
    figure = drawn(chart)
    assert sorted((low, high) for *_, low, high in boxes(figure)) == [(0, 1), (0, 2), (1, 4)]
    assert CROSS in texts(figure)


def test_missing_days_of_bars_are_seen() -> None:
    days = [START + timedelta(days=n) for n in (0, 1, 4)]
    figure = drawn(one("bar", days, [1, 2, 3], x_step=86400))
    assert len(boxes(figure)) == 3
    assert texts(figure).count(CROSS) == 2


def test_shares_have_names_and_percentages() -> None:
    chart = one("donut", ["timeout", 404, "gone", "none", "back"], [600.0, 200.0, None, 0.0, -1.0])
    found = texts(drawn(chart))
    assert {"timeout 75.0%", "404 25.0%", "800", "Without gone: no data; Without back: below zero"} <= set(found)
    assert not any(text.startswith("none") for text in found)


def test_many_parts_become_others() -> None:
    # Of parts that are equal in name and value, too, each is in one place or the other.
    found = texts(drawn(one("pie", ["same"] * 30, [1.0] * 30)))
    assert sorted(found) == ["22 others 73.3%", *["same 3.3%"] * 8]


def test_the_bars_of_a_histogram_lie_between_their_bounds() -> None:
    figure = drawn(one("histogram", [0.0, 50.0, 100.0], [3.0, 2.0, 1.0], x_step=50, x_label="Time (ms)"))
    assert sorted(boxes(figure)) == [(0, 50, 0, 3), (50, 100, 0, 2), (100, 150, 0, 1)]


def test_tiles_have_classes_and_a_missing_one_has_a_cross() -> None:
    rows = [Series("DE", [0, 1, 2], [5.0, 50.0, 95.0]), Series("US", [0, 1], [None, 100.0])]
    figure = drawn(Chart("heatmap", rows, unit="%", y_label="Share"))
    assert len(boxes(figure)) == 6
    assert {"DE", "US", "0 to 20%", "80 to 100%", f"{CROSS} no data", "Share"} <= set(texts(figure))
    assert len(lines_of(figure)) == 4  # two tiles, two strokes each
    assert "<image" not in svg(figure)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_there_is_said(kind: ChartKind) -> None:
    charts = [one(kind, ["a", "b"], [None, float("inf")])]
    # Bars, lying or not, and both kinds of shares go the same way.
    charts += [Chart(kind, [])] if kind in {"line", "bar", "pie", "histogram", "heatmap"} else []
    for chart in charts:
        assert any(text.get_text().startswith("No data") for text in drawn(chart).findobj(Text))


ODD_TEXTS = (["$a$ $b", "<b>&", "\u202e\x00\n\ud800", "\U0001f600"], [7.0, 7.0, 7.0, float("nan")])
ODD_NUMBERS = ([0, 1, 2, 10**400], [-1e299, 1e-300, float("-inf"), 1e299])
NO_SPAN = ([0, 1, 2], [0.3, 0.1 + 0.2, 0.3])
LEAST_SPAN = ([-1e308, 1e308], [0.0, 5e-324])
EVER = ([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)], [1e16, 1e16 + 2])


@pytest.mark.parametrize(
    "chart",
    [
        *(one(kind, *ODD_TEXTS) for kind in KINDS if kind not in {"stacked", "pie"}),  # as bars and donuts
        *(one(kind, *ODD_NUMBERS, unit="%", y_range=(0, 100), x_step=1) for kind in ("line", "stacked", "heatmap")),
        *(one(kind, [START], [5.0]) for kind in ("line", "bar")),
        one("line", *NO_SPAN),
        one("bar", *LEAST_SPAN, x_step=1),
        one("line", *EVER),
        Chart("bar", [Series(f"long name {n} " * 9, [f"{m} name " * 9 for m in "abcd"], [n] * 4) for n in range(14)]),
    ],
    ids=lambda chart: f"{chart.kind}-{len(chart.series[0].x)}",
)
def test_odd_data_is_drawn_without_a_warning(chart: Chart) -> None:
    svg(drawn(chart, 40, 26, "Asia/Tokyo"))


def test_texts_stand_as_they_are_and_are_no_mathematics() -> None:
    found = texts(drawn(one("bar", ["$a$ $b$", r"\frac{1}{2}", "<b>&amp;"], [1, 2, 3])))
    assert {"$a$ $b$", r"\frac{1}{2}", "<b>&amp;"} <= set(found)


def test_many_categories_are_drawn_and_some_are_named() -> None:
    figure = drawn(one("bar", [f"category {n}" for n in range(200)], [1.0] * 200), 170)
    assert len(boxes(figure)) == 200
    named = [text for text in texts(figure) if text.startswith("category")]
    assert named[0] == "category 0"
    assert 20 <= len(named) <= 60


def in_zone(start: datetime, span: timedelta, zone: str = "Europe/Berlin", room: float = 90) -> Axis:
    return time_axis(start.timestamp(), (start + span).timestamp(), zone, room=room, title="Time")


@pytest.mark.parametrize(
    ("span", "labels", "title"),
    [
        (timedelta(hours=1), ["02:00", "02:10", "02:20", "02:30", "02:40", "02:50", "03:00"],
         "Time, 15 August 2026, Europe/Berlin"),
        (timedelta(days=1), ["06:00", "12:00", "18:00", "16 Aug"], "Time, 2026, Europe/Berlin"),
        (timedelta(days=7), ["16 Aug", "18 Aug", "20 Aug", "22 Aug"], "Time, 2026"),
        (timedelta(days=365), ["Oct 2026", "Jan 2027", "Apr", "Jul"], "Time"),
        (timedelta(days=3650), ["2028", "2030", "2032", "2034", "2036"], "Time"),
        (timedelta(seconds=20), ["02:00", "02:00:05", "02:00:10", "02:00:15", "02:00:20"],
         "Time, 15 August 2026, Europe/Berlin"),
    ],
)  # fmt: skip
def test_axes_of_time_are_round_in_the_zone(span: timedelta, labels: list[str], title: str) -> None:
    axis = in_zone(START, span)
    assert axis.labels == labels
    assert axis.title == title


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), START])
def test_an_axis_of_seconds_or_at_the_end_of_time_has_few_labels(moment: datetime) -> None:
    place = moment.timestamp()
    began = time.process_time()
    for span in (0.9, 86400.0 * 40):
        axis = time_axis(place - span, place + span, "Asia/Tokyo", room=40)
        assert len(axis.labels) <= 3
    assert time.process_time() - began < 0.05


def test_days_are_those_of_the_zone_when_clocks_change() -> None:
    axis = in_zone(datetime(2026, 10, 23, 22, tzinfo=UTC), timedelta(days=4), room=140)
    assert axis.labels == ["24 Oct", "12:00", "25 Oct", "12:00", "26 Oct", "12:00", "27 Oct", "12:00"]
    midnights = [place for place, label in zip(axis.breaks, axis.labels, strict=True) if label.endswith("Oct")]
    assert [b - a for a, b in itertools.pairwise(midnights)] == [86400, 90000, 86400]


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0, 5e6, ["0", "1M", "2M", "3M", "4M", "5M"]),
        (-30, 20, ["−30", "−20", "−10", "0", "10", "20"]),  # noqa: RUF001 - a minus sign
        (7, 7, ["4", "6", "8", "10"]),
        (0, 3e-7, ["0", "1e-07", "2e-07", "3e-07"]),
        (0.3, 0.1 + 0.2, ["0.2", "0.3", "0.4"]),
        (0.3, 0.300002, ["0.3", "0.3000005", "0.300001", "0.3000015", "0.300002"]),
        (0, 1e300, ["0", "2e+299", "4e+299", "6e+299", "8e+299", "1e+300"]),
    ],
)
def test_axes_of_numbers_are_round(low: float, high: float, labels: list[str]) -> None:
    assert number_axis(low, high, room=60, per_label=11).labels == labels


def test_a_host_that_uses_matplotlib_notices_nothing() -> None:
    before = dict(mpl.rcParams)
    with mpl.rc_context({"font.size": 40.0, "axes.facecolor": "red", "text.usetex": True}):
        mine = svg(drawn(one("bar", ["a"], [1])))
        assert mpl.rcParams["font.size"] == 40
        assert mpl.rcParams["text.usetex"] is True
    assert dict(mpl.rcParams) == before
    assert mine == svg(drawn(one("bar", ["a"], [1])))
    assert Gcf.figs == {}
    found = font_manager.findfont("DejaVu Sans", fallback_to_default=False)
    assert found.endswith("DejaVuSans.ttf")


def test_texts_are_set_in_the_fonts_of_the_document_only() -> None:
    figure = drawn(one("line", [1, 2], [1, 2], y_label="Å 中 \U0010ffff"))
    families = {tuple(text.get_fontfamily()) for text in figure.findobj(Text) if text.get_text()}
    assert len(families) == 1
    assert all(name.startswith("tailrace-") for name in families.pop())
    # What no font has is seen to be something that cannot be shown.
    assert any(text.startswith("Å ") and text.endswith("\N{REPLACEMENT CHARACTER}") for text in texts(figure))


def test_a_figure_has_the_size_that_was_asked_for_and_no_paper() -> None:
    figure = drawn(one("bar", ["a"], [1]), 85, 47)
    assert [round(side * 25.4, 3) for side in figure.get_size_inches()] == [85, 47]
    assert not figure.patch.get_visible()


def test_colours_are_those_of_the_brand() -> None:
    content = svg(drawn(one("bar", ["a"], [1]), brand=Brand(palette=("#123456",))))
    assert "#123456" in content
    assert {CHART_INKS["grid"], CHART_INKS["quiet"]} <= set(re.findall(r"#[0-9a-f]{6}", content))


def test_the_same_data_gives_the_same_bytes_in_threads_too() -> None:
    chart = one("line", [START + timedelta(hours=n) for n in range(9)], list(range(9)))
    expected, found = svg(drawn(chart)), []
    threads = [threading.Thread(target=lambda: found.append(svg(drawn(chart)))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [expected] * 2


def test_a_file_that_is_no_font_is_told(tmp_path: Any) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    fonts = DocumentFonts(tmp_path / "broken.ttf", FONTS.bold, ())
    with pytest.raises(ConfigurationError, match=r"broken\.ttf is no font that charts can be set in"):
        draw_chart(one("bar", ["a"], [1]), width=50, height=50, zone="UTC", brand=BRAND, fonts=fonts)
