"""Writing proxies in a dialect, and saying what the dialect cannot hold.

A dialect that encodes nothing cannot say every user name and password. What cannot be said is not told by a list of
characters: each line that was written is taken apart again, and a proxy whose line would be read as another one is left
out.
"""

from collections.abc import Iterable, Iterator

import attrs
import polars as pl

from tailrace import Loss, RenderedPool, RenderPoolCall
from tailrace_source_pool.address import MAX_PORT, SCHEMES, all_ipv4, hosts
from tailrace_source_pool.columns import DERIVED
from tailrace_source_pool.dialects.addresses import bracketed
from tailrace_source_pool.dialects.document_writers import HELD, clash_document, csv_document, json_document
from tailrace_source_pool.dialects.line_writers import LINE_WRITERS, file_of
from tailrace_source_pool.dialects.names import DEFAULT_SCHEME, known_dialect
from tailrace_source_pool.dialects.reading import SECTION, STRIPPED, filled, shape_of, taken_apart
from tailrace_source_pool.dialects.shapes import Shape
from tailrace_source_pool.dialects.template import Template

_TEXT = pl.String()
_LOGIN = ("username", "password")
_ADDRESS = ("protocol", "host", "port", "url")
_ABOUT_FILES = frozenset({*DERIVED, "place", "key", "changed"})
_ABOUT_STORAGE = frozenset({"stored_url", "credentials_in"})
"""How a pool stores a login: nothing of the proxy."""
_NOTHING_SAID = ("", "[]", "{}")
_DOCUMENTS = {"json": json_document, "csv": csv_document}
_VERBATIM = ("colon", "colon-userfirst", "proxychains", "template")
"""Dialects in which not every login can be said."""
_SAID_AS = {
    "clash": {"http": "http", "https": "https", "socks5": "socks5", "socks5h": "socks5"},
    "proxychains": {"http": "http", "socks4": "socks4", "socks4a": "socks4", "socks5": "socks5", "socks5h": "socks5"},
}
"""What schemes are called, where not all of them can be said; the others are left out."""
_SAY_ALL = {scheme: scheme for scheme in SCHEMES}


@attrs.frozen
class _Target:
    """What a dialect of lines, or Clash, can say.

    Args:
        dialect: Which.
        schemes: Whether it names schemes.
        login: What of a login it has a place for.
        template: The template of the dialect of that name.
    """

    dialect: str
    schemes: bool
    login: tuple[str, ...]
    template: Template | None = None

    @classmethod
    def of(cls, dialect: str, template: str | None) -> "_Target":
        if dialect == "template":
            own = Template.of(template)
            return cls(dialect, "scheme" in own.names, tuple(name for name in _LOGIN if name in own.names), own)
        return cls(dialect, dialect in {"url", "clash", "proxychains"}, () if dialect == "hostport" else _LOGIN)

    def lines(self, parts: pl.DataFrame) -> pl.Series:
        return LINE_WRITERS[self.dialect](parts) if self.template is None else self.template.write(parts)

    def shape(self) -> Shape:
        return shape_of(self.dialect, None) if self.template is None else self.template.read


def render(call: RenderPoolCall) -> RenderedPool:
    """Write proxies as the content of a file.

    Raises:
        UnknownNameError: An unknown dialect.
        OptionError: A template that cannot be used.
        RequestError: A value that does not fit its column.
    """
    dialect = known_dialect(call.dialect)
    frame = call.frame
    if dialect in _DOCUMENTS:
        losses = _columns_lost(frame, HELD, "it is no column of a pool")
        return RenderedPool(_DOCUMENTS[dialect](frame), frame.height, tuple(losses))
    target = _Target.of(dialect, call.template)
    parts, losses = _carried(frame, target)
    if dialect == "clash":
        content = clash_document(parts)
    else:
        lines = target.lines(parts)
        if dialect in _VERBATIM:
            same = _read_back(lines, parts, target)
            losses += _left_out(~same, "credentials", f"{dialect} cannot say their user name or password")
            parts, lines = parts.filter(same), lines.filter(same)
        content = file_of(SECTION, lines) if dialect == "proxychains" else file_of(lines)
    written = frame[parts["row"]] if parts.height < frame.height else frame
    losses += [
        *_schemes_lost(parts, target),
        *_logins_lost(parts, target),
        *_paths_lost(written, parts),
        *_columns_lost(written, {*_ADDRESS, *_LOGIN, *_ABOUT_STORAGE}, f"{dialect} has no place for it"),
    ]
    return RenderedPool(content, parts.height, tuple(losses))


def _carried(frame: pl.DataFrame, target: _Target) -> tuple[pl.DataFrame, list[Loss]]:
    """Parts of the proxies that the dialect can hold at all, with ``row`` and ``own_scheme``; the others, counted."""
    columns = {name: _column(frame, name, _TEXT) for name in ("protocol", "host", *_LOGIN)}
    host = columns["host"]
    simple = all_ipv4(host)
    parts = pl.DataFrame(
        [
            columns["protocol"].fill_null(DEFAULT_SCHEME).alias("scheme"),
            host if simple else bracketed(host),
            _column(frame, "port", pl.Int64()),
            *(filled(columns[name]) for name in _LOGIN),
        ]
    ).with_row_index("row")
    schemes = _SAID_AS.get(target.dialect, _SAY_ALL)
    good = (host if simple else hosts(parts["host"])).is_not_null() & parts["port"].is_between(1, MAX_PORT)
    address = (good & parts["scheme"].is_in(SCHEMES)).fill_null(value=False)
    losses = _left_out(~address, "host", "their address is none")
    sayable = parts["scheme"].is_in(tuple(schemes))
    for scheme in parts["scheme"].filter(address & ~sayable).unique().sort():
        losses += _left_out(address & (parts["scheme"] == scheme), "scheme", f"{target.dialect} has no {scheme}")
    keep = address & sayable
    parts = parts if keep.all() else parts.filter(keep)
    own = parts["scheme"].alias("own_scheme")
    if schemes is not _SAY_ALL:
        parts = parts.with_columns(pl.col("scheme").replace_strict(schemes, return_dtype=_TEXT))
    return parts.with_columns(own), losses


def _read_back(lines: pl.Series, parts: pl.DataFrame, target: _Target) -> pl.Series:
    """Whether a reader would take each line for the proxy that it is."""
    plain = (lines == lines.str.strip_chars(STRIPPED)) & ~lines.str.starts_with("#") & (lines != "")
    read = taken_apart(lines, target.shape())
    same = plain & read["reason"].is_null()
    expected = {"host": hosts(parts["host"]), "port": parts["port"]}
    expected |= {name: parts[name] for name in target.login}
    expected |= {"scheme": parts["scheme"]} if target.schemes else {}
    for name, values in expected.items():
        same &= (filled(read[name]) if name in _LOGIN else read[name]).eq_missing(values)
    return same


def _schemes_lost(parts: pl.DataFrame, target: _Target) -> Iterator[Loss]:
    own = parts["own_scheme"]
    if target.schemes:
        changed = parts.filter(pl.col("own_scheme") != pl.col("scheme"))
        for was, becomes, count in changed.group_by("own_scheme", "scheme").len().sort("own_scheme").rows():
            yield Loss("scheme", count, f"{was} becomes {becomes}")
        return
    several = own.n_unique() > 1
    for scheme, count in own.to_frame().group_by("own_scheme").len().sort("own_scheme").rows():
        if scheme == DEFAULT_SCHEME:
            continue
        how = f"and is read as {DEFAULT_SCHEME}" if several else f"read it with --scheme {scheme}"
        yield Loss("scheme", count, f"{scheme} is not said in {target.dialect}, {how}")


def _logins_lost(parts: pl.DataFrame, target: _Target) -> Iterator[Loss]:
    reason = f"{target.dialect} has no place for them"
    missing = [name for name in _LOGIN if name not in target.login]
    if len(missing) == len(_LOGIN):
        count = parts.select((pl.col("username").is_not_null() | pl.col("password").is_not_null()).sum()).item()
        yield from _some("credentials", count, reason)
        return
    for name in missing:
        yield from _some(name, parts.height - parts[name].null_count(), reason)


def _paths_lost(frame: pl.DataFrame, parts: pl.DataFrame) -> Iterator[Loss]:
    """What stands behind the port in the URL of a proxy."""
    if "url" not in frame.columns:
        return
    # Where something follows the port, the URL is longer than what makes it up.
    made_up = parts.select(
        pl.col("own_scheme").str.len_bytes()
        + pl.col("host").str.len_bytes()
        + pl.col("port").cast(_TEXT).str.len_bytes()
    ).to_series()
    longer = frame["url"].filter(frame["url"].str.len_bytes() > made_up + len("://:"))
    paths = longer.str.extract(r"^[^:]*://[^/?#]*([/?#].*)$", 1)
    yield from _some("url", int((paths != "/").sum()), "nothing can follow the port")


def _columns_lost(frame: pl.DataFrame, held: Iterable[str], reason: str) -> list[Loss]:
    kept = {*held, *_ABOUT_FILES}
    losses: list[Loss] = []
    for column in frame.get_columns():
        if column.name not in kept:
            count = len(column) - column.null_count()
            if column.dtype == _TEXT:
                count -= int(column.is_in(_NOTHING_SAID).sum())
            losses += _some(column.name, count, reason)
    return losses


def _some(field: str, count: int, reason: str) -> Iterator[Loss]:
    if count:
        yield Loss(field, count, reason)


def _left_out(which: pl.Series, field: str, reason: str) -> list[Loss]:
    count = int(which.sum())
    return [Loss(field, count, reason, proxies=True)] if count else []


def _column(frame: pl.DataFrame, name: str, dtype: pl.DataType) -> pl.Series:
    if name in frame.columns:
        return frame[name].cast(dtype, strict=False)
    return pl.Series(name, [None], dtype=dtype).new_from_index(0, frame.height)
