"""Charts as SVG inside a page: no identifiers that two of them share, no styles that a policy forbids."""

import io
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tailrace import CHART_INKS, Brand, Chart, DocumentFonts, Place, chart_drawing, draw_chart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAP = 4.0
"""Millimetres between two cells of the grid."""
GRID = 240.0
"""Millimetres that the grid is wide; a page on the screen is scaled, so that this is for proportions only."""
_CELL = (GRID - 11 * GAP) / 12
_FRAME = 7.0
"""What title, basis and padding of a panel take, to the left and right …"""
_HEAD = 17.0
"""… and above and below."""
_LEAST = 26.0
_WIDE = 400
"""Points: more than a telephone shows at once."""
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_UNTURNED = re.compile(r"^rotate\(-?0(?:\.0+)? [^)]*\)$")
_DROPPED = frozenset({"font-family", "font"})


def drawn(chart: Chart, place: Place, *, zone: str, brand: Brand, fonts: DocumentFonts, key: str, told: str) -> str:
    """A chart as an element ``<svg>``.

    Args:
        chart: The data.
        place: The cells that its panel has.
        zone: IANA zone of moments.
        brand: Colours.
        fonts: Fonts that it is measured with.
        key: What its identifiers begin with.
        told: Escaped elements that say what it shows.
    """
    width = place.width * _CELL + (place.width - 1) * GAP - _FRAME
    height = max(_LEAST, place.height * _CELL + (place.height - 1) * GAP - _HEAD)
    settings = {"svg.fonttype": "none", "svg.hashsalt": "tailrace", "svg.image_inline": True}
    with chart_drawing(settings):
        figure = draw_chart(chart, width=max(30.0, width), height=height, zone=zone, brand=brand, fonts=fonts)
        content = _saved(figure)
    if chart.kind == "heatmap":
        # Its shades go from the paper's lightness away; where the paper is dark, the page turns all of them round.
        return _inlined(content, {}, key, told, "heat")
    inks = {colour: f"var(--{name},{colour})" for name, colour in CHART_INKS.items()}
    series = {colour.lower(): f"var(--series-{n},{colour})" for n, colour in enumerate(brand.palette)}
    return _inlined(content, {**series, **inks}, key, told)


def _saved(figure: "Figure") -> str:
    content = io.StringIO()
    figure.savefig(content, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return content.getvalue()


def _inlined(content: str, colours: Mapping[str, str], key: str, told: str, kind: str = "") -> str:
    root = ET.fromstring(content)  # noqa: S314 - written by matplotlib a moment ago
    _plain(root, colours, key)
    width, height = (math.ceil(float(number)) for number in root.attrib["viewBox"].split()[2:])
    body = "".join(ET.tostring(child, encoding="unicode") for child in root)
    kinds = [*([kind] if kind else []), *(["wide"] if width > _WIDE else [])]
    classes = f' class="{" ".join(kinds)}"' if kinds else ""
    return (
        f'<svg{classes} role="img" aria-labelledby="{key}-t {key}-d" viewBox="0 0 {width} {height}">{told}{body}</svg>'
    )


def _plain(element: ET.Element, colours: Mapping[str, str], key: str) -> None:
    """Turn an element and what is in it to what a page takes: attributes instead of styles, and little of them."""
    element.tag = _local(element.tag)
    element.text = element.text if element.text and element.tag == "text" else None
    element.tail = None
    given = {_local(name): value for name, value in element.attrib.items()}
    for declaration in given.pop("style", "").split(";"):
        name, _colon, value = declaration.partition(":")
        if name.strip() and name.strip() not in _DROPPED:
            given[name.strip()] = colours.get(value.strip(), value.strip())
    given = {name: _shorter(name, value, key) for name, value in given.items() if not _needless(name, value, element)}
    if "id" in given:
        given["id"] = f"{key}-{given['id']}"
    if given.get("href", "").startswith("#"):
        given["href"] = f"#{key}-{given['href'][1:]}"
    element.attrib.clear()
    element.attrib.update(given)
    for child in list(element):
        _plain(child, colours, key)
        if child.tag in {"metadata", "style"} or (child.tag in {"g", "defs"} and not len(child)):
            element.remove(child)
    _unwrap(element)


def _unwrap(element: ET.Element) -> None:
    """Take groups away that group nothing."""
    children = []
    for child in element:
        children += list(child) if child.tag == "g" and not child.attrib else [child]
    element[:] = children


def _needless(name: str, value: str, element: ET.Element) -> bool:
    if name == "id":
        # Groups are named by what matplotlib drew them for; only what is referred to needs a name.
        return element.tag == "g"
    return name == "transform" and bool(_UNTURNED.match(value))


def _shorter(name: str, value: str, key: str) -> str:
    if name == "clip-path":
        return _REFERENCE.sub(rf"url(#{key}-\1)", value)
    if name in {"d", "x", "y", "width", "height", "transform", "points", "stroke-width", "stroke-dasharray"}:
        value = _NUMBER.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), value)
        return " ".join(value.split()) if name == "d" else value
    return value


def _local(name: str) -> str:
    return name.rpartition("}")[2]
