"""Charts as operators of a page: real matplotlib figures, real embedded fonts, looked at by poppler."""

import io
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import plotnine
import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.backends import backend_agg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, PathPatch, Rectangle
from matplotlib.path import Path as Outline
from matplotlib.transforms import IdentityTransform
from PIL import Image
from tailrace_format_pdf.faces import Faces
from tailrace_format_pdf.figures import Drawn, figure_content
from tailrace_format_pdf.inside import Book
from tailrace_format_pdf.metadata import Metadata

from tailrace import Brand, Chart, Series, document_fonts, draw_chart

WIDTH, HEIGHT = 360.0, 180.0
PIXELS = 144
FONTS = document_fonts(Brand())


def needs(tool: str) -> None:
    if shutil.which(tool) is None:
        if os.environ.get("REQUIRE_POPPLER") == "1":
            pytest.fail(f"there is no {tool}, and REQUIRE_POPPLER=1")
        pytest.skip(f"there is no {tool} (poppler)")


class Wide:
    """Fonts in which each character is as wide as the font is high."""

    def show(self, text: str, *, size: float, bold: bool = False) -> bytes:
        return f"/{'Bold' if bold else 'Plain'} {size:g} Tf ({text}) Tj".encode()

    def width(self, text: str, *, size: float, bold: bool = False) -> float:
        return size * len(text)


def figure(width: float = WIDTH, height: float = HEIGHT) -> Figure:
    """A figure of that many points, with nothing in it that is seen."""
    made = Figure(figsize=(width / 72, height / 72), dpi=100)
    made.patch.set_visible(False)
    return made


def drawn(made: Figure) -> Drawn:
    return figure_content(made, Wide(), left=0, bottom=0)


def lines(made: Figure) -> list[str]:
    return drawn(made).content.decode("ascii").splitlines()


def page(made: Figure, *, left: float = 0, bottom: float = 0) -> bytes:
    """A document of one page with the figure on it, with the fonts of real documents."""
    book = Book((float(made.get_figwidth() * 72) + left, float(made.get_figheight() * 72) + bottom))
    number = book.add_page()
    faces = Faces(book, FONTS.regular, FONTS.bold, FONTS.fallbacks)
    content = figure_content(made, faces, left=left, bottom=bottom)
    book.add_alphas(content.alphas)
    book.write(content.content, number)
    return bytes(book.finished(Metadata("A chart"), []))


def text_of(document: bytes, folder: Path, *how: str) -> str:
    needs("pdftotext")
    (folder / "page.pdf").write_bytes(document)
    done = subprocess.run(["pdftotext", *how, folder / "page.pdf", "-"], check=True, capture_output=True, text=True)
    assert not done.stderr
    return done.stdout


def picture_of(document: bytes, folder: Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    needs("pdftoppm")
    (folder / "page.pdf").write_bytes(document)
    command = f"pdftoppm -r {PIXELS} -png -singlefile page.pdf page".split()
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    assert not done.stderr
    with Image.open(folder / "page.png") as picture:
        return np.asarray(picture.convert("RGB"), dtype=float)


def hard() -> Figure:
    """What charts are made of, all at once, and nothing at a place that depends on how wide a text is."""
    made = figure()
    made.patch.set_visible(True)
    made.patch.set_facecolor("#fffdf5")
    left, right = made.add_axes((0.1, 0.15, 0.35, 0.7)), made.add_axes((0.55, 0.15, 0.4, 0.7))
    places = np.linspace(0, 6.28, 200)
    left.plot(places, np.where((places > 2) & (places < 3), np.nan, np.sin(places)), color="#0b5fae", label="sinus")
    left.plot(places, np.cos(places), "--", color="#d9822b", linewidth=2, label="Кириллица")
    left.plot(places[::20], np.cos(places[::20]), "o", color="#2a8c82", alpha=0.5, markersize=8, label="Ελλάδα")
    left.fill_between(places, -0.5, 0.5, color="#a33f6f", alpha=0.3)
    left.legend(loc="lower left", fontsize=7)
    left.grid(visible=True)
    wheel, _names = right.pie([3, 2, 1], colors=["#0b5fae", "#d9822b", "#2a8c82"], wedgeprops={"edgecolor": "w"})
    wheel[0].set_alpha(0.4)
    inside = Circle((0, 0), 0.6, transform=right.transData)
    stripes = LineCollection([[(-1, n / 10), (1, n / 10)] for n in range(-10, 11)], linewidths=3, colors="k")
    stripes.set_clip_path(inside)
    right.add_collection(stripes)
    rng = np.random.default_rng(20_260_815)
    across, upwards = rng.normal(0, 0.5, (2, 60))
    right.scatter(across, upwards, s=rng.uniform(5, 60, 60), c=rng.uniform(0, 1, 60), alpha=0.6)
    made.text(0.3, 0.93, "Verfügbarkeit Żółć", ha="center", weight="bold", fontsize=11)
    made.text(0.02, 0.5, "Millisekunden", rotation=90, va="center", fontsize=9)
    made.text(0.75, 0.9, "turned by thirty", rotation=30, ha="center", va="center", fontsize=8)
    return made


def test_a_figure_looks_as_matplotlib_itself_draws_it(tmp_path: Path) -> None:
    ours = picture_of(page(hard()), tmp_path)
    rendered = io.BytesIO()
    hard().savefig(rendered, format="png", dpi=PIXELS)
    with Image.open(rendered) as picture:
        theirs = np.asarray(picture.convert("RGB"), dtype=float)
    without = hard()
    without.axes[1].patches[0].remove()
    other = picture_of(page(without), tmp_path)
    assert ours.shape == theirs.shape == (360, 720, 3)
    # The edges of lines and letters are smoothed in different ways; one missing wedge of a pie is more than all of it.
    smoothing, wedge = np.abs(ours - theirs).mean(), np.abs(other - theirs).mean()
    assert smoothing < 3.5
    assert wedge > smoothing + 2


def test_all_text_can_be_found(tmp_path: Path) -> None:
    text = text_of(page(hard(), left=20, bottom=30), tmp_path, "-raw").split("\n")
    found = " ".join(text)
    for words in ("Verfügbarkeit Żółć", "Millisekunden", "turned by thirty", "Кириллица", "Ελλάδα", "sinus", "−1.0"):  # noqa: RUF001 - a minus
        assert words in found


def test_the_labels_of_a_chart_are_text(tmp_path: Path) -> None:
    countries = ("Germany", "France", "Ελλάδα", "Россия", "$5 and $6")
    chart = Chart("bar", [Series("checks", countries, [5, 4, 3, 2, 1])], y_label="Checks", horizontal=True)
    made = draw_chart(chart, width=120, height=60, zone="UTC", brand=Brand(), fonts=FONTS)
    found = text_of(page(made), tmp_path, "-raw")
    for words in (*countries, "Checks"):
        assert words in found


def test_a_plot_of_plotnine_with_facets_is_laid_out_and_drawn_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_args: object) -> None:
        pytest.fail("a raster was made")

    def counting(self: Line2D, renderer: RendererBase) -> None:
        counted.append(self)
        draw(self, renderer)

    counted: list[Line2D] = []
    draw = Line2D.draw
    monkeypatch.setattr(backend_agg.RendererAgg, "__init__", refused)
    frame = pd.DataFrame({"x": range(60), "y": np.arange(60) % 7, "group": np.tile(["Ängste", "Привет"], 30)})
    p9: Any = plotnine
    plot = (
        p9.ggplot(frame, p9.aes("x", "y", colour="y", shape="group"))
        + p9.geom_line(linetype="dashed")
        + p9.geom_point(alpha=0.5)
        + p9.facet_wrap("group")
        + p9.labs(title="Two of them")
        + p9.theme(figure_size=(5, 2.5))
    )
    made = plot.draw()
    gridlines = [line for axes in made.axes for line in axes.xaxis.get_gridlines()]
    monkeypatch.setattr(Line2D, "draw", counting)
    found = text_of(page(made), tmp_path, "-layout")
    for words in ("Two of them", "Ängste", "Привет"):
        assert words in found
    assert max(counted.count(line) for line in gridlines) == 1


def test_the_same_figure_gives_the_same_bytes() -> None:
    first, second = drawn(hard()), drawn(hard())
    assert first == second
    again = hard()
    assert drawn(again).content == drawn(again).content
    assert list(first.alphas.items()) == sorted(first.alphas.items())


def test_a_figure_and_matplotlib_are_as_before() -> None:
    made = hard()
    canvas, resolution, settings = made.canvas, made.dpi, dict(mpl.rcParams)
    drawn(made)
    assert (made.canvas, made.dpi, dict(mpl.rcParams)) == (canvas, resolution, settings)
    made.axes[0].imshow(np.zeros((4, 4)))
    with pytest.raises(NotImplementedError, match="image"):
        drawn(made)
    assert (made.canvas, made.dpi) == (canvas, resolution)


def test_numbers_are_short() -> None:
    made = figure()
    places = [1e-9, 1 / 3, 1e9], [0, 2 / 3, -1e9]
    made.add_artist(Line2D(*places, transform=IdentityTransform(), linewidth=1 / 3, color="0.5"))
    made.add_artist(Rectangle((-1e12, -1e-7), 2e12, 1e-3, transform=IdentityTransform(), color="k"))
    content = drawn(made).content.decode()
    assert not re.search(r"\d[eE]|\.\d{3}|-0\b(?!\.)|nan|inf", content)
    assert "0.33 w" in content
    assert "-30000 0 m" in content


def test_a_path_is_filled_and_its_line_is_drawn() -> None:
    made = figure()
    square = Rectangle((10, 20), 30, 40, transform=IdentityTransform(), facecolor="#0b5fae", edgecolor="k", linewidth=2)
    made.add_artist(square)
    assert lines(made) == [
        "q", "1 0 0 1 0 0 cm", "q", "0.043 0.373 0.682 rg", "2 w", "0 J", "0 j", "[] 0 d", "0 G",
        "10 20 m", "40 20 l", "40 60 l", "10 60 l", "h", "B", "Q", "Q",
    ]  # fmt: skip


def test_two_opacities_are_painted_apart() -> None:
    made = figure()
    made.add_artist(
        Rectangle((0, 0), 1, 1, transform=IdentityTransform(), facecolor=(1, 0, 0, 0.5), edgecolor=(0, 0, 1, 0.25))
    )
    found = drawn(made)
    assert found.alphas == {"A25": 0.25, "A50": 0.5}
    content = found.content.decode()
    assert [one for one in content.split("\n") if one in {"f", "S", "B"} or one.endswith(" gs")] == [
        "/A50 gs", "f", "/A25 gs", "S",
    ]  # fmt: skip


def test_what_cannot_be_seen_is_left_out() -> None:
    made = figure()
    made.add_artist(Rectangle((0, 0), 9, 9, transform=IdentityTransform(), facecolor="none", edgecolor="none"))
    made.add_artist(Line2D([np.nan, np.nan], [1, 2], transform=IdentityTransform()))
    made.text(0.5, 0.5, "")
    assert lines(made) == ["q", "1 0 0 1 0 0 cm", "q", "Q", "Q"]


def test_a_gap_is_a_gap_and_dashes_are_dashes() -> None:
    made = figure()
    places = [1.0, 2.0, np.nan, 4.0, 5.0]
    line = Line2D(places, places, transform=IdentityTransform(), linestyle=(0, (4, 1.5)), linewidth=1, color="0.5")
    line.set_dash_capstyle("round")
    made.add_artist(line)
    found = lines(made)
    assert "[4 1.5] 0 d" in found
    assert "1 J" in found
    assert "0.5 G" in found
    assert [one for one in found if re.fullmatch(r".* [ml]", one)] == ["1 1 m", "2 2 l", "4 4 m", "5 5 l"]


def test_curves_are_curves() -> None:
    made = figure()
    codes = [Outline.MOVETO, Outline.CURVE3, Outline.CURVE3, Outline.CURVE4, Outline.CURVE4, Outline.CURVE4]
    points = [(0, 0), (30, 30), (60, 0), (70, 10), (80, 10), (90, 0)]
    made.add_artist(PathPatch(Outline(points, codes), transform=IdentityTransform(), fill=False))
    found = lines(made)
    assert [one for one in found if one.endswith((" c", " m"))] == ["0 0 m", "20 20 40 20 60 0 c", "70 10 80 10 90 0 c"]


def test_markers_are_worked_out_once_and_moved() -> None:
    made = figure()
    made.add_artist(
        Line2D([10, 20, 40], [5, 5, 25], transform=IdentityTransform(), linestyle="none", marker="s", markersize=4)
    )
    found = lines(made)
    assert [one for one in found if one.endswith("cm")] == [
        "1 0 0 1 0 0 cm", "1 0 0 1 10 5 cm", "1 0 0 1 10 0 cm", "1 0 0 1 20 20 cm",
    ]  # fmt: skip
    assert found.count("-2 -2 m") == found.count("B") == 3


def test_collections_have_their_colours_and_places() -> None:
    made = figure()
    square = Outline([(0, 0), (3, 0), (3, 3), (0, 0)], closed=True)
    dots = PathCollection(
        [square],
        sizes=None,
        offsets=[(10, 10), (30, 10), (np.nan, 0)],
        offset_transform=IdentityTransform(),
        facecolors=["#ff0000", "#0000ff", "#00ff00"],
        linewidths=0,
    )
    dots.set_transform(IdentityTransform())
    made.add_artist(dots)
    found = lines(made)
    assert [one for one in found if one.endswith((" rg", " cm")) or one == "f"] == [
        "1 0 0 1 0 0 cm", "1 0 0 1 10 10 cm", "1 0 0 rg", "f", "1 0 0 1 20 0 cm", "0 0 1 rg", "f",
    ]  # fmt: skip


def test_clips_hold_for_what_they_are_for_only() -> None:
    made = figure()
    for number in range(3):
        line = Line2D([0, 99], [number, number], transform=IdentityTransform())
        if number == 1:
            line.set_clip_path(Circle((50, 50), 20, transform=IdentityTransform()))
        made.add_artist(line)
    made.artists[0].set_clip_box(mpl.transforms.Bbox.from_bounds(1, 2, 30, 40))
    found = lines(made)
    assert found.count("q") == found.count("Q") == 5
    clips = [number for number, one in enumerate(found) if one.endswith("W n")]
    strokes = [number for number, one in enumerate(found) if one == "S"]
    assert (found[clips[0]], found[clips[1] - 1]) == ("1 2 30 40 re W n", "h")
    assert any(one.endswith(" c") for one in found[strokes[0] : clips[1]])
    assert found[strokes[1] + 1 : strokes[1] + 3] == ["Q", "q"]
    # The state is said anew behind a clip, since the one before is gone with it.
    assert sum(one.endswith(" w") for one in found) == 3


def test_text_stands_where_the_widths_of_the_document_put_it() -> None:
    made = figure(200, 100)
    made.text(1, 0.5, "abcd", ha="right", va="baseline", fontsize=10, weight="bold", color="#ff0000")
    made.text(0.5, 0, "ab", rotation=90, rotation_mode="anchor", fontsize=8, parse_math=True)
    made.text(0, 0, "$5 to $6", fontsize=10, va="baseline")
    found = lines(made)
    shown = [found[number + 1 : number + 3] for number, one in enumerate(found) if one == "BT"]
    assert shown == [
        ["1 0 0 1 160 50 Tm", "/Bold 10 Tf (abcd) Tj"],
        ["0 1 -1 0 100 0 Tm", "/Plain 8 Tf (ab) Tj"],
        ["1 0 0 1 0 0 Tm", "/Plain 10 Tf ($5 to $6) Tj"],
    ]
    assert found[found.index("BT") - 1] == "1 0 0 rg"


def test_shades_of_a_legend_are_small_pieces() -> None:
    made = figure(100, 100)
    axes = made.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.pcolormesh([[0, 0], [1, 1], [2, 2]], shading="gouraud", cmap="Greys_r")
    found = lines(made)
    assert found.count("B") == 8
    assert {one for one in found if one.endswith((" g", " G"))} >= {"0.098 g", "0.098 G", "0.932 g"}


def test_what_charts_do_not_have_is_refused() -> None:
    made = figure()
    made.add_artist(Rectangle((0, 0), 9, 9, transform=IdentityTransform(), hatch="//"))
    with pytest.raises(NotImplementedError, match="hatch"):
        drawn(made)
