"""Charts as operators of a PDF page: lines stay lines, and text stays text in the fonts of the document.

A figure of matplotlib draws itself through a renderer; the one here writes what it is asked to draw as the content of a
page. It measures texts by the fonts that the document embeds, so that what a figure is laid out for is what is drawn.

Importing this module takes matplotlib with it.
"""

import math
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, Protocol

import attrs
import numpy as np
from matplotlib.backend_bases import FigureCanvasBase, GraphicsContextBase, RendererBase
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import FT2Font
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform, Transform

from tailrace import chart_drawing
from tailrace_format_pdf.outlines import number, outline

_POINTS = 72
_BOLD_FROM = 600
_BOLD = frozenset(("semibold", "demibold", "demi", "bold", "heavy", "extra bold", "black"))
"""Names of the weights from there on."""
_CAPS = {"butt": 0, "projecting": 2, "round": 1}
_JOINS = {"miter": 0, "round": 1, "bevel": 2}
_SEAM = 0.2
"""Points of line around a triangle, lest the page shines through where two of them touch."""
_OPAQUE = "A100"
_RGB = 3
_HATCHES: Mapping[str, Any] = (
    {"hatchcolors": []} if "hatchcolors" in signature(RendererBase.draw_path_collection).parameters else {}
)
"""What matplotlib's generator wants to be told from 3.11 on, and may leave out itself."""
_TRIANGLE = (Path.MOVETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY)


class FaceLike(Protocol):
    """The fonts of the document."""

    def show(self, text: str, *, size: float, bold: bool = False) -> bytes:
        """Operators that choose fonts and show a text where the text position is."""
        ...

    def width(self, text: str, *, size: float, bold: bool = False) -> float:
        """Width of a text in points."""
        ...


@attrs.frozen
class Drawn:
    """A figure on a page.

    Args:
        content: Operators, which leave the graphics state as it was.
        alphas: Opacities by the name under which the page has to offer them as graphics states (``CA`` and ``ca``).
    """

    content: bytes = attrs.field(repr=False)
    alphas: Mapping[str, float]


def figure_content(figure: Figure, faces: FaceLike, *, left: float, bottom: float) -> Drawn:
    """Draw a figure once.

    Args:
        figure: Without images, hatches and TeX; it is as before afterwards, but laid out. Dollar signs mean themselves.
        faces: Fonts of the document.
        left: Points from the left edge of the page.
        bottom: Points from the lower edge of the page.

    Raises:
        NotImplementedError: The figure holds something else.
    """
    canvas, resolution = figure.canvas, figure.dpi
    renderer = _Renderer(faces, figure.get_figwidth() * _POINTS, figure.get_figheight() * _POINTS)
    try:
        figure.dpi = _POINTS
        # What lays a figure out asks its canvas for something to measure with.
        _Canvas(figure, renderer)
        # Matplotlib's fonts and settings are those of the process: one thread at a time.
        with chart_drawing():
            figure.draw(renderer)
    finally:
        figure.set_canvas(canvas)
        figure.dpi = resolution
    return renderer.drawn(left, bottom)


class _Canvas(FigureCanvasBase):
    def __init__(self, figure: Figure, renderer: "_Renderer") -> None:
        self._renderer = renderer
        super().__init__(figure)

    def get_renderer(self) -> "_Renderer":
        return self._renderer


class _Renderer(RendererBase):
    """Writes operators. Its unit is a point, counted from the lower left corner of the figure."""

    def __init__(self, faces: FaceLike, width: float, height: float) -> None:
        super().__init__()
        self._faces = faces
        self._width, self._height = width, height
        self._parts: list[str] = []
        self._alphas: dict[str, float] = {}
        self._heights: dict[Any, tuple[float, float, float]] = {}
        # What holds at this point of the content; a new clip undoes all of it.
        self._clip = ""
        self._state: dict[str, str] = {}
        self._place = (0.0, 0.0)

    def drawn(self, left: float, bottom: float) -> Drawn:
        """All of it, at its place on the page."""
        begin = f"q\n1 0 0 1 {number(left)} {number(bottom)} cm\nq\n"
        content = "".join([begin, *self._parts, "Q\nQ\n"]).encode("latin-1")
        return Drawn(content, dict(sorted(self._alphas.items())))

    def flipy(self) -> bool:
        """Upwards, as on a page."""
        return False

    def get_canvas_width_height(self) -> tuple[float, float]:
        """In points."""
        return self._width, self._height

    def get_text_width_height_descent(
        self,
        s: str,
        prop: FontProperties,
        ismath: bool | str,  # noqa: FBT001 - the signature is matplotlib's
    ) -> tuple[float, float, float]:
        """The width by the fonts of the document; how high letters are is much the same in the figure's own."""
        _width, height, descent = super().get_text_width_height_descent(s, prop, ismath=False)
        size = float(prop.get_size_in_points())
        return self._faces.width(s, size=size, bold=_bold(prop)), height, descent

    def _get_font_height_metrics(self, prop: FontProperties) -> tuple[float, float, float]:
        """Ascent, descent and line gap of a font.

        Matplotlib (from 3.11 on) asks for them each time that it measures a text, and searches for the font each time
        unless the renderer knows: a third of what a chart costs. An older one never asks.
        """
        key = (tuple(prop.get_family()), prop.get_weight(), prop.get_style())
        if key not in self._heights:
            self._heights[key] = _heights(get_font(findfont(prop)))
        size = float(prop.get_size_in_points())
        ascent, descent, gap = self._heights[key]
        return ascent * size, descent * size, gap * size

    def draw_path(
        self,
        gc: GraphicsContextBase,
        path: Path,
        transform: Transform,
        rgbFace: Any = None,  # noqa: N803 - the name is matplotlib's
    ) -> None:
        """Fill a path, or draw its line, or both."""
        within = None if rgbFace is not None else (0.0, 0.0, self._width, self._height)
        self._enter(gc)
        self._paint(gc, outline(path, transform, within), rgbFace)

    def draw_markers(
        self,
        gc: GraphicsContextBase,
        marker_path: Path,
        marker_trans: Transform,
        path: Path,
        trans: Transform,
        rgbFace: Any = None,  # noqa: N803 - the name is matplotlib's
    ) -> None:
        """Draw the same marker at each point of a path."""
        shape = outline(marker_path, marker_trans)
        self._enter(gc)
        for points, _code in path.iter_segments(trans, simplify=False):
            self._paint(gc, shape, rgbFace, (points[-2], points[-1]))

    def draw_path_collection(
        self,
        gc: GraphicsContextBase,
        master_transform: Transform,
        paths: Sequence[Any],
        all_transforms: Any,
        *looks: Any,
        **more: Any,
    ) -> None:
        """Draw many paths, each of which is worked out once, however often it comes."""
        # Renderers are meant to share these two generators; only the annotations of matplotlib lack them.
        base: Any = super()
        raw = base._iter_collection_raw_paths(master_transform, paths, all_transforms)  # noqa: SLF001 - see above
        shapes = [outline(path, transform) for path, transform in raw]
        self._enter(gc)
        looked = base._iter_collection(gc, shapes, *looks, **{**_HATCHES, **more})  # noqa: SLF001 - see above
        for x, y, shape, context, face in looked:
            self._paint(context, shape, face, (x, y))

    def draw_gouraud_triangles(
        self, gc: GraphicsContextBase, triangles_array: Any, colors_array: Any, transform: Transform
    ) -> None:
        """Draw the shades of a legend: triangles that are small enough to have one colour each."""
        self._enter(gc)
        context = self.new_gc()
        context.copy_properties(gc)
        context.set_linewidth(_SEAM)
        for corners, colours in zip(triangles_array, colors_array, strict=True):
            colour = tuple(np.mean(colours, axis=0).tolist())
            context.set_foreground(colour, isRGBA=True)
            self._paint(context, outline(Path(corners[[0, 1, 2, 0]], _TRIANGLE), transform), colour)

    def draw_text(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: bool | str = False,  # noqa: FBT001, FBT002 - the signature is matplotlib's
        mtext: Text | None = None,
    ) -> None:
        """Show a text; dollar signs mean themselves."""
        if not s:
            return
        self._enter(gc)
        self._move((0.0, 0.0))
        colour = gc.get_rgb()
        self._opacity(colour[3])
        self._say("fill", _colour(colour, "g", "rg"))
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        turned = " ".join(f"{round(value, 4) + 0.0:g}" for value in (cos, sin, -sin, cos))
        shown = self._faces.show(s, size=float(prop.get_size_in_points()), bold=_bold(prop)).decode("latin-1")
        self._parts.append(f"BT\n{turned} {number(x)} {number(y)} Tm\n{shown.rstrip()}\nET\n")

    def draw_image(self, gc: Any, x: Any, y: Any, im: Any, transform: Any = None) -> None:
        """Refuse."""
        raise NotImplementedError("A chart with an image cannot be drawn as lines.")

    def draw_tex(self, gc: Any, x: Any, y: Any, s: Any, prop: Any, angle: Any, *, mtext: Any = None) -> None:
        """Refuse."""
        raise NotImplementedError("A chart with TeX cannot be drawn with the document's fonts.")

    def _enter(self, gc: GraphicsContextBase) -> None:
        """Let what follows be seen where the figure wants it only."""
        clip = ""
        box = gc.get_clip_rectangle()
        if box is not None:
            clip = f"{number(box.x0)} {number(box.y0)} {number(box.width)} {number(box.height)} re W n\n"
        path: Any
        path, transform = gc.get_clip_path()
        if path is not None:
            # An empty path lets nothing through.
            clip += (outline(path, transform or IdentityTransform()) or "0 0 0 0 re\n") + "W n\n"
        if clip != self._clip:
            self._parts.append(f"Q\nq\n{clip}")
            self._clip, self._place = clip, (0.0, 0.0)
            self._state.clear()

    def _paint(self, gc: GraphicsContextBase, shape: str, face: Any, place: tuple[float, float] = (0.0, 0.0)) -> None:
        if gc.get_hatch():
            raise NotImplementedError("A chart with a hatch cannot be drawn as lines.")
        line = gc.get_rgb()
        line_alpha = line[3] if gc.get_linewidth() else 0.0
        face_alpha = 0.0
        if face is not None:
            face_alpha = gc.get_alpha() if gc.get_forced_alpha() or len(face) <= _RGB else face[3]
        if not shape or not (line_alpha or face_alpha) or not math.isfinite(place[0] + place[1]):
            return
        self._move(place)
        if face_alpha:
            self._say("fill", _colour(face, "g", "rg"))
        if line_alpha:
            self._line(gc)
            self._say("stroke", _colour(line, "G", "RG"))
        if face_alpha and line_alpha and face_alpha != line_alpha:
            self._opacity(face_alpha)
            self._parts.append(f"{shape}f\n")
            self._opacity(line_alpha)
            self._parts.append(f"{shape}S\n")
            return
        self._opacity(face_alpha or line_alpha)
        self._parts.append(f"{shape}{'B' if face_alpha and line_alpha else 'f' if face_alpha else 'S'}\n")

    def _line(self, gc: GraphicsContextBase) -> None:
        """How lines look from here on."""
        self._say("width", f"{number(gc.get_linewidth())} w\n")
        self._say("cap", f"{_CAPS[gc.get_capstyle()]} J\n")
        self._say("join", f"{_JOINS[gc.get_joinstyle()]} j\n")
        # Annotated as anything that can be made an array; both are numbers.
        start: Any
        dashes: Any
        start, dashes = gc.get_dashes()
        lengths = " ".join(number(length) for length in dashes) if dashes is not None else ""
        self._say("dash", f"[{lengths}] {number(start or 0)} d\n")

    def _opacity(self, alpha: float) -> None:
        name = f"A{round(alpha * 100)}"
        if name != self._state.get("opacity", _OPAQUE):
            self._alphas[name] = round(alpha * 100) / 100
            self._state["opacity"] = name
            self._parts.append(f"/{name} gs\n")

    def _move(self, place: tuple[float, float]) -> None:
        """Put the origin somewhere."""
        x, y = (round(value, 2) for value in place)
        if (x, y) != self._place:
            self._parts.append(f"1 0 0 1 {number(x - self._place[0])} {number(y - self._place[1])} cm\n")
            self._place = x, y

    def _say(self, what: str, operators: str) -> None:
        """Set a part of the graphics state, unless it is that already."""
        if self._state.get(what) != operators:
            self._state[what] = operators
            self._parts.append(operators)


def _heights(font: FT2Font) -> tuple[float, float, float]:
    """Ascent, descent and line gap for a size of 1, from where matplotlib itself takes them."""
    head, table = font.get_sfnt_table("head"), font.get_sfnt_table("OS/2")
    unit = head["unitsPerEm"] if head else font.units_per_EM
    if table is not None:
        found = table["sTypoAscender"], -table["sTypoDescender"], table["sTypoLineGap"]
    else:
        found = font.ascender, -font.descender, font.height - font.ascender + font.descender
    return found[0] / unit, found[1] / unit, found[2] / unit


def _bold(prop: FontProperties) -> bool:
    weight = prop.get_weight()
    return weight in _BOLD if isinstance(weight, str) else weight >= _BOLD_FROM


def _colour(colour: Sequence[float], grey: str, rgb: str) -> str:
    parts = [f"{round(float(part), 3) + 0.0:g}" for part in colour[:_RGB]]
    return f"{parts[0]} {grey}\n" if len(set(parts)) == 1 else f"{' '.join(parts)} {rgb}\n"
