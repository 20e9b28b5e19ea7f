"""Reading lists: lines to proxies, every bad line told with its number.

A list is read in slices, so that what a line costs beyond its text is paid for a slice at a time.
"""

import re
from collections.abc import Iterator

import polars as pl

from tailrace import Problem, UnknownNameError
from tailrace_source_pool.dialects.addresses import judged
from tailrace_source_pool.dialects.names import LINE_DIALECTS, known_scheme
from tailrace_source_pool.dialects.shapes import LINE_SHAPES, Shape, mixed
from tailrace_source_pool.dialects.template import Template

MAX_LINES = 1_000_000
"""Lines with something in them that a list may have: all that is said about a proxy costs a hundred bytes and more."""
MAX_LINE = 8192
"""Bytes that a line may have."""
PROBLEMS_LISTED = 1000
"""Problems that are listed one by one, as :class:`tailrace.PoolFile` has it; all are counted."""

SCHEMA = {
    "place": pl.String,
    "protocol": pl.String,
    "host": pl.String,
    "port": pl.Int64,
    "url": pl.String,
    "username": pl.String,
    "password": pl.String,
}
"""The columns that lines have."""

_NO_LINES = pl.DataFrame(schema=SCHEMA | {"number": pl.Int64, "reason": pl.String})
_AT_ONCE = 100_000
"""Lines that are taken apart together: enough to make what each step costs by itself vanish."""
_BLOCK = 1 << 18
_CONTROL = r"[\x00-\x08\x0a-\x1f\x7f-\x9f]"
_CONTROL_BYTES = bytes([*range(0x09), *range(0x0B, 0x20), 0x7F])
_FIRST_OF_C1 = b"\xc2"
"""What control characters beyond ASCII begin with in UTF-8, and some others."""
STRIPPED = " \t\x0b\x0c"
"""What does not count around a line."""
SECTION = "[ProxyList]"
"""The line that the proxies of dialect ``proxychains`` follow."""
_SECTION = re.compile(r"^[ \t]*\[ProxyList\][ \t]*$", re.MULTILINE)


def read_lines(
    text: str, *, dialect: str | None, scheme: str | None = None, template: str | None = None
) -> tuple[pl.DataFrame, list[Problem], int]:
    """Read a list.

    Blank lines are skipped, and lines that begin with ``#``.

    Args:
        text: All of it.
        dialect: One of :data:`~tailrace_source_pool.dialects.names.LINE_DIALECTS`, as somebody who knows has said; None
            to take each line in the only shape that makes sense of it (behind ``[ProxyList]``, that of proxychains).
            What was only inferred is not to be given here: it would decide on lines that are ambiguous.
        scheme: Protocol of lines that name none; None for http.
        template: The line of dialect ``template``.

    Returns:
        The proxies of good lines, with the columns of :data:`SCHEMA`; the first problems; how many there are.

    Raises:
        UnknownNameError: An unknown scheme, or no dialect of lines.
        OptionError: Dialect ``template`` without a template, or with one that cannot be used.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    if dialect is None and SECTION in text and _SECTION.search(text):
        dialect = "proxychains"
    shape = shape_of(dialect, template)
    default = known_scheme(scheme)
    start, number = 0, 1
    problems = _Problems()
    if dialect == "proxychains":
        section = _SECTION.search(text)
        if section is None:
            problems.tell(1, f"there is no line {SECTION} in it")
            return pl.DataFrame(schema=SCHEMA), problems.listed, problems.count
        start, number = section.end(), 1 + text.count("\n", 0, section.start())
    frames = [pl.DataFrame(schema=SCHEMA)]
    left = MAX_LINES
    for numbered, suspicious in _numbered(text, start, number):
        lines = _judged_lines(numbered, shape, default, suspicious=suspicious)
        told = lines.head(left)
        good = told["reason"].is_null()
        if not good.all():
            problems.tell_all(told.filter(~good))
            told = told.filter(good)
        frames.append(told.select(SCHEMA.keys()))
        if lines.height > left:
            problems.tell(lines["number"][left], f"it is beyond {MAX_LINES:,} lines; no further line was read")
            break
        left -= lines.height
    return pl.concat(frames), problems.listed, problems.count


class _Problems:
    def __init__(self) -> None:
        self.listed: list[Problem] = []
        self.count = 0

    def tell(self, number: int, reason: str) -> None:
        self.count += 1
        if len(self.listed) < PROBLEMS_LISTED:
            self.listed.append(Problem(f"line {number}", reason))

    def tell_all(self, bad: pl.DataFrame) -> None:
        listed = bad.head(PROBLEMS_LISTED - len(self.listed))
        self.listed += [
            Problem(f"line {number}", reason) for number, reason in listed.select("number", "reason").rows()
        ]
        self.count += bad.height


def shape_of(dialect: str | None, template: str | None) -> Shape:
    """What takes lines of a dialect apart; None for whatever makes sense.

    Raises:
        UnknownNameError: It is no dialect of lines.
        OptionError: Dialect ``template`` without a template, or with one that cannot be used.
    """
    if dialect is None:
        return mixed
    if dialect == "template":
        return Template.of(template).read
    if dialect not in LINE_SHAPES:
        raise UnknownNameError("dialect of lines", dialect, LINE_DIALECTS)
    return LINE_SHAPES[dialect]


def _numbered(text: str, start: int, number: int) -> Iterator[tuple[pl.DataFrame, bool]]:
    """The lines, many at a time, without blanks around them, each with its ``number``.

    Yields:
        The lines, and whether there may be control characters in them.
    """
    waiting: list[pl.Series] = []
    suspicious = False
    for block in _blocks(text, start):
        suspicious |= _suspicious(block.encode())
        lines = pl.Series([block]).str.split("\n")[0]
        if any(character in block for character in STRIPPED):
            lines = lines.str.strip_chars(STRIPPED)
        waiting.append(lines)
        if sum(map(len, waiting)) >= _AT_ONCE:
            yield _with_numbers(waiting, number), suspicious
            number += sum(map(len, waiting))
            waiting, suspicious = [], False
    if waiting:
        yield _with_numbers(waiting, number), suspicious


def _with_numbers(several: list[pl.Series], number: int) -> pl.DataFrame:
    lines = pl.concat(several, rechunk=True).alias("line")
    return pl.DataFrame([pl.int_range(number, number + lines.len(), eager=True).alias("number"), lines])


def _blocks(text: str, start: int) -> Iterator[str]:
    """Some lines at a time: small enough that the memory of one serves for the next."""
    while start <= len(text):
        end = text.find("\n", start + _BLOCK)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end + 1


def _judged_lines(numbered: pl.DataFrame, shape: Shape, scheme: str, *, suspicious: bool) -> pl.DataFrame:
    """Lines that hold something, with the columns of :data:`SCHEMA`, ``number``, and ``reason``: why it is no proxy."""
    lines = numbered["line"]
    kept = (lines != "") & ~lines.str.starts_with("#")
    if not kept.all():
        numbered = numbered.filter(kept)
    # Very short lines are many more than wanted at once.
    several = numbered.head(MAX_LINES + 1).iter_slices(_AT_ONCE)
    return pl.concat([_NO_LINES, *(_proxies(some, shape, scheme, suspicious=suspicious) for some in several)])


def _suspicious(block: bytes) -> bool:
    """Whether there may be control characters in it, told much faster than where."""
    return len(block.translate(None, _CONTROL_BYTES)) < len(block) or _FIRST_OF_C1 in block


def taken_apart(lines: pl.Series, shape: Shape, *, suspicious: bool = True) -> pl.DataFrame:
    """The parts of lines, judged; none of the lines is blank, or has blanks around it.

    Args:
        lines: The lines.
        shape: What takes them apart.
        suspicious: Whether there may be control characters in them.
    """
    odd = _unreadable(lines, suspicious=suspicious)
    if odd is None:
        return judged(shape(lines))
    parts = judged(shape(lines.set(odd.is_not_null(), "")))
    return parts.with_columns(odd.zip_with(odd.is_not_null(), parts["reason"]).alias("reason"))


def _proxies(numbered: pl.DataFrame, shape: Shape, scheme: str, *, suspicious: bool) -> pl.DataFrame:
    parts = taken_apart(numbered["line"], shape, suspicious=suspicious)
    parts = parts.with_columns(numbered["number"], pl.col("scheme").fill_null(scheme))
    return parts.select(
        pl.format("line {}", "number").alias("place"),
        pl.col("scheme").alias("protocol"),
        "host",
        "port",
        pl.concat_str("scheme", pl.lit("://"), "standing", pl.lit(":"), "port").alias("url"),
        filled(parts["username"]),
        filled(parts["password"]),
        "number",
        "reason",
    )


def filled(texts: pl.Series) -> pl.Series:
    """User names or passwords: an empty one is none."""
    empty = texts == ""
    return texts.set(empty.fill_null(value=False), None) if empty.any() else texts


def _unreadable(lines: pl.Series, *, suspicious: bool) -> pl.Series | None:
    """Why lines are not even looked at; None where all are."""
    reason = None
    too_long = lines.str.len_bytes() > MAX_LINE
    if too_long.any():
        reason = _nothing(lines).set(too_long, f"it has more than {MAX_LINE:,} bytes")
    if suspicious and (control := lines.str.contains(_CONTROL)).any():
        reason = _nothing(lines) if reason is None else reason
        reason = reason.set(control & ~too_long, "it holds control characters")
    return reason


def _nothing(lines: pl.Series) -> pl.Series:
    return pl.Series("reason", [None], dtype=pl.String).new_from_index(0, lines.len())
