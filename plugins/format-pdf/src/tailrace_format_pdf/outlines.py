"""Paths of matplotlib as path operators of a PDF page."""

from collections.abc import Iterator

import numpy as np
from matplotlib.path import Path
from matplotlib.transforms import Transform

_DIGITS = 2
_FAR = 30_000
"""Points beyond any page; old readers take no greater numbers."""
_MOVE, _LINE, _QUADRATIC, _CUBIC, _CLOSE = Path.MOVETO, Path.LINETO, Path.CURVE3, Path.CURVE4, Path.CLOSEPOLY
_STRAIGHT = {int(Path.STOP): "", int(_MOVE): "%g %g m\n", int(_LINE): "%g %g l\n", int(_CLOSE): "h\n"}

Box = tuple[float, float, float, float]


def number(value: float) -> str:
    """A number in its shortest form, to a hundredth; never with an exponent, as far as a page reaches."""
    # Adding nothing takes the sign from zero.
    return f"{round(value, _DIGITS) + 0.0:g}"


def outline(path: Path, transform: Transform, within: Box | None = None) -> str:
    """The operators that make a path the current one; nothing for a path without points.

    Args:
        path: Any path; what is not a number is a gap in it.
        transform: To points.
        within: Where an open line is to be seen: what lies elsewhere is left out, and so are points that nobody could
            tell from a straight line. None for a shape, which needs all of its points.
    """
    simplify = within is not None and path.should_simplify
    clean = path.cleaned(transform, remove_nans=True, clip=within, simplify=simplify, curves=True)
    points = np.clip(np.asarray(clean.vertices, dtype=float), -_FAR, _FAR)
    kinds = np.asarray(clean.codes)
    codes = kinds.tolist()
    if _CUBIC in codes or _QUADRATIC in codes:
        return "".join(_curved(points.tolist(), codes))
    drawn = (kinds == _MOVE) | (kinds == _LINE)
    values = points[drawn].round(_DIGITS) + 0.0
    return "".join([_STRAIGHT[code] for code in codes]) % tuple(values.ravel().tolist())


def _curved(points: list[list[float]], codes: list[int]) -> Iterator[str]:
    x = y = 0.0
    place = 0
    while place < len(codes):
        code = codes[place]
        if code == _CUBIC:
            (a, b), (c, d), (x, y) = points[place : place + 3]
            yield f"{number(a)} {number(b)} {number(c)} {number(d)} {number(x)} {number(y)} c\n"
            place += 3
        elif code == _QUADRATIC:
            (a, b), (c, d) = points[place : place + 2]
            # A page has cubic curves only; this one is the same.
            first = f"{number(x + (a - x) * 2 / 3)} {number(y + (b - y) * 2 / 3)}"
            x, y = c, d
            yield f"{first} {number(x + (a - x) * 2 / 3)} {number(y + (b - y) * 2 / 3)} {number(x)} {number(y)} c\n"
            place += 2
        else:
            if code in {_MOVE, _LINE}:
                x, y = points[place]
                yield f"{number(x)} {number(y)} {'m' if code == _MOVE else 'l'}\n"
            elif code == _CLOSE:
                yield "h\n"
            place += 1
