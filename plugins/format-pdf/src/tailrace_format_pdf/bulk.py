"""Many texts at once: how wide each is, and the operators that draw it, a column at a time.

What is in the document's font, and reads from the left, is measured and written by looking characters up; the rest is
set value by value, each different one once.
"""

from collections.abc import Mapping, Sequence

import attrs
import numpy as np
import numpy.typing as npt
import polars as pl

from tailrace_format_pdf.arabic import is_from_the_right
from tailrace_format_pdf.faces import Faces, visible
from tailrace_format_pdf.wrapping import wrapped

_UNITS = 1000
Widths = npt.NDArray[np.int64]


@attrs.frozen
class Texts:
    """A column of texts, measured.

    Args:
        values: The texts.
        widths: How wide each is, of several lines the widest, in thousandths of the type's size.
        characters: All characters of those that are written by looking characters up.
        special: Which texts are set one by one; None where none is.
    """

    values: pl.Series = attrs.field(repr=False)
    widths: Widths = attrs.field(repr=False)
    characters: Sequence[str] = attrs.field(repr=False)
    special: pl.Series | None = attrs.field(repr=False)

    @classmethod
    def measured(cls, values: pl.Series, faces: Faces) -> "Texts":
        """Measure texts, none of which is null."""
        joined: str = (values.str.join("\n").item() or "") + "\n"
        found = set(joined)
        font = faces.primary()
        plain = {one for one in found if font.has(ord(one)) and visible(one) == one and not is_from_the_right(one)}
        advances = {ord(one): round(font.advance(ord(one)) * _UNITS) for one in plain}
        widths = _sums(joined, values, advances)
        strange = sorted(found - plain - {"\n"})
        # Line breaks in a text are told from those between texts by their number.
        is_broken = joined.count("\n") != len(values)
        if not strange and not is_broken:
            return cls(values, widths, sorted(plain), None)
        special = values.str.contains_any([*strange, "\n"])
        where = special.arg_true().to_numpy()
        own = values.filter(special)
        distinct = own.unique(maintain_order=True)
        known = [
            max(round(_UNITS * faces.width(line, size=1)) for line in one.splitlines() or [""]) for one in distinct
        ]
        widths[where] = own.replace_strict(distinct, known, return_dtype=pl.Int64).to_numpy()
        return cls(values, widths, sorted(plain), special)


@attrs.frozen
class Cells:
    """How the texts of a column are drawn.

    Args:
        shows: Operators of each, which end where they began.
        widths: How wide the first line of each is, in points.
        lines: How many lines each has; None where all have one.
        tall: Of texts with more lines than a page: the operators of each part, and how wide its first line is.
    """

    shows: pl.Series = attrs.field(repr=False)
    widths: npt.NDArray[np.float64] = attrs.field(repr=False)
    lines: npt.NDArray[np.int64] | None = attrs.field(repr=False)
    tall: Mapping[str, Sequence[tuple[str, float, int]]] = attrs.field(repr=False)


@attrs.frozen
class Setting:
    """How a column is set.

    Args:
        size: Size of the type.
        room: How wide a line may be.
        lead: From one line to the next.
        most_lines: How many lines there may be on a page.
        is_right: Whether lines end at the right.
    """

    size: float
    room: float
    lead: float
    most_lines: int
    is_right: bool


def drawn(columns: Sequence[Texts], faces: Faces, settings: Sequence[Setting]) -> list[Cells]:
    """The operators for the columns of a table."""
    written = _written(columns, faces)
    return [_cells(*one, faces) for one in zip(columns, written, settings, strict=True)]


def _written(columns: Sequence[Texts], faces: Faces) -> list[pl.Series]:
    """All texts in the codes of the document's font; polars takes several columns at a time."""
    font = faces.primary()
    shows = []
    for number, one in enumerate(columns):
        codes = [f"{font.code(ord(character)):04X}" for character in one.characters]
        text = pl.col(str(number))
        shows.append(
            pl.lit("<") + (text.str.replace_many(list(one.characters), codes) if codes else text) + pl.lit("> Tj")
        )
    return (
        pl.DataFrame([one.values.alias(str(number)) for number, one in enumerate(columns)])
        .select(one.alias(str(number)) for number, one in enumerate(shows))
        .get_columns()
    )


def _cells(texts: Texts, shows: pl.Series, setting: Setting, faces: Faces) -> Cells:
    widths = np.asarray(texts.widths * (setting.size / _UNITS), dtype=np.float64)
    is_single = widths <= setting.room
    if texts.special is not None:
        is_single &= ~texts.special.to_numpy()
    if is_single.all():
        return Cells(shows, widths, None, {})
    where = np.flatnonzero(~is_single)
    own = texts.values.gather(where)
    distinct = own.unique(maintain_order=True)
    pieces = {value: _pieces(value, faces, setting) for value in distinct}
    firsts = pl.DataFrame(
        [(parts[0][0], parts[0][1], sum(part[2] for part in parts)) for parts in pieces.values()],
        schema={"show": pl.String, "width": pl.Float64, "lines": pl.Int64},
        orient="row",
    )
    numbers = own.replace_strict(distinct, range(len(distinct)), return_dtype=pl.UInt32)
    known = firsts[numbers]
    shows = shows.scatter(where, known["show"])
    widths[where] = known["width"].to_numpy()
    lines = np.ones(len(shows), dtype=np.int64)
    lines[where] = known["lines"].to_numpy()
    return Cells(shows, widths, lines, {value: parts for value, parts in pieces.items() if len(parts) > 1})


def _pieces(text: str, faces: Faces, setting: Setting) -> Sequence[tuple[str, float, int]]:
    lines = wrapped(text, faces, size=setting.size, width=setting.room)
    parts = [lines[at : at + setting.most_lines] for at in range(0, len(lines), setting.most_lines)]
    return [_piece(part, faces, setting) for part in parts]


def _piece(lines: Sequence[str], faces: Faces, setting: Setting) -> tuple[str, float, int]:
    size, name = setting.size, faces.primary().name
    widths = [faces.width(line, size=size) for line in lines]
    operators, at = [], 0.0
    for number, line in enumerate(lines):
        if number:
            move = widths[number - 1] - widths[number] if setting.is_right else 0.0
            at += move
            operators.append(f"{move:.2f} {-setting.lead:.2f} Td")
        operators.append(faces.shown(line, size=size))
    if len(lines) > 1:
        operators.append(f"{-at:.2f} {setting.lead * (len(lines) - 1):.2f} Td")
    operators.append(f"/{name} {size:g} Tf")
    return " ".join(one for one in operators if one), widths[0], len(lines)


def _sums(joined: str, values: pl.Series, advances: Mapping[int, int]) -> Widths:
    """The sum of the advances of each text; ``joined`` has a line break behind each."""
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    if joined.isascii():
        codes: npt.NDArray[np.unsignedinteger] = np.frombuffer(joined.encode("ascii"), dtype=np.uint8)
    else:
        codes = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32)
    table = np.zeros(int(codes.max()) + 1, dtype=np.int32)
    for code, advance in advances.items():
        table[code] = advance
    lengths = values.str.len_chars().to_numpy().astype(np.int64) + 1
    starts = np.cumsum(lengths) - lengths
    return np.add.reduceat(table[codes], starts).astype(np.int64)
