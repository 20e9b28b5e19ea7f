"""A file of a dialect as a target: read whole, changed, and written anew as a whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import polars as pl

from tailrace import (
    OpenPoolCall,
    PoolChanges,
    PoolFile,
    PoolKeeper,
    ReadPoolCall,
    RenderPoolCall,
    RequestError,
    SourceError,
)
from tailrace_source_pool.database import IDENTITY_COLUMNS, STATUS_COLUMNS
from tailrace_source_pool.dialects.inference import scheme_of_name
from tailrace_source_pool.dialects.names import known_dialect
from tailrace_source_pool.dialects.template import Template
from tailrace_source_pool.targets.file_storage_text import HOLDS
from tailrace_source_pool.targets.lasting_keys import lasting_keys
from tailrace_source_pool.targets.login_places import LOGIN_COLUMNS, text_column
from tailrace_source_pool.targets.replacement import Place, held

_ADDRESS = ("url", "host", "port")
_WITH_LOGIN = (*_ADDRESS, "username", "password")
_HOLDS = {
    "hostport": _ADDRESS,
    "colon": _WITH_LOGIN,
    "userinfo": _WITH_LOGIN,
    "colon-userfirst": _WITH_LOGIN,
    "url": (*_WITH_LOGIN, "protocol"),
    "clash": (*_WITH_LOGIN, "protocol"),
    "proxychains": (*_WITH_LOGIN, "protocol"),
}
_EVERYTHING = tuple(dict.fromkeys([*HOLDS, *IDENTITY_COLUMNS, *STATUS_COLUMNS.keys() - {"proxy_url"}]))
_OF_PLACEHOLDER = {"scheme": "protocol"}
_NOT_WRITTEN = ("key", "place", "changed")
_EMPTY = pl.DataFrame(
    schema={"url": pl.String, "protocol": pl.String, "host": pl.String, "port": pl.Int64}
    | {"username": pl.String, "password": pl.String, "key": pl.String}
)


@attrs.define(eq=False)
class DialectFileTarget:
    """A file of a dialect, held open.

    Args:
        place: Where it is.
        kind: Its dialect.
        frame: The proxies in it, with ``key``, which says who a proxy is and not where it stands.
        call: How it was opened.
        keeper: Reads and writes files of dialects.
    """

    _place: Place
    kind: str
    _frame: pl.DataFrame | None = attrs.field(repr=False)
    _call: OpenPoolCall = attrs.field(repr=False)
    _keeper: PoolKeeper = attrs.field(repr=False)
    unique: None = attrs.field(default=None, init=False)

    @property
    def holds(self) -> tuple[str, ...]:
        """The columns that it can hold."""
        if self.kind == "template":
            names = Template.of(self._call.template).names
            return ("url", *(_OF_PLACEHOLDER.get(name, name) for name in names))
        return _HOLDS.get(self.kind, _EVERYTHING)

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know about writing to it, in sentences."""
        return ("The file is written anew, with credentials in clear: comments in it, and its layout, are not kept.",)

    def refusals(self, frame: pl.DataFrame) -> pl.Series:
        """Why proxies cannot be in it, one reason for each; null for those that can."""
        reasons = pl.Series([None], dtype=pl.String).new_from_index(0, frame.height)
        if "protocol" not in self.holds:
            scheme = scheme_of_name(self._place.path.name) or "http"
            others = (frame["protocol"] != scheme).fill_null(value=False)
            reasons = reasons.scatter(others.arg_true(), f"the list does not say protocols, and is read as {scheme}")
        which = reasons.is_null().arg_true()
        plain = frame.drop(_NOT_WRITTEN, strict=False)
        for row, reason in self._left_out(plain[which], which):
            reasons = reasons.scatter(row, reason)
        return reasons

    def _left_out(self, frame: pl.DataFrame, rows: pl.Series) -> Iterator[tuple[int, str]]:
        """The proxies that the dialect would leave out; found by halves, since nearly always there are none."""
        rendered = self._keeper.render_pool(RenderPoolCall(frame, self.kind, self._call.template))
        if rendered.written == frame.height:
            return
        if frame.height == 1:
            yield rows[0], next((loss.reason for loss in rendered.losses if loss.proxies), "it cannot be written")
            return
        half = frame.height // 2
        yield from self._left_out(frame[:half], rows[:half])
        yield from self._left_out(frame[half:], rows[half:])

    def read(self) -> pl.DataFrame:
        """All proxies in it, credentials in clear, with ``key``."""
        if self._frame is None:
            self._frame = _read(self._place.path, self._call, self.kind, self._keeper)[1]
        return self._frame

    def write(self, changes: PoolChanges) -> tuple[str, ...]:
        """Write the file anew; see :class:`~tailrace.PoolTarget`."""
        if not self._call.write:
            raise RequestError("This file was opened for reading.", hint="Open it for writing.")
        old = self.read()
        _check_found(old, changes)
        kept = _updated(old, changes.update).filter(~pl.col("key").is_in(list(changes.remove)))
        frame = pl.concat(
            [kept.drop(_NOT_WRITTEN, strict=False), changes.add.drop(_NOT_WRITTEN, strict=False)],
            how="diagonal_relaxed",
        )
        rendered = self._keeper.render_pool(RenderPoolCall(frame, self.kind, self._call.template))
        if rendered.written != frame.height:
            reasons = "; ".join(f"{loss.count}: {loss.reason}" for loss in rendered.losses if loss.proxies)
            raise RequestError(
                f"The dialect {self.kind} cannot hold {frame.height - rendered.written} of the proxies ({reasons}).",
                hint="Leave these proxies out, or choose another dialect. Nothing was changed.",
            )
        self._place.replace([rendered.content])
        self._frame = None
        # As they are read back: a dialect may say less of a proxy than was given.
        return tuple(self.read()["key"].tail(changes.add.height)) if changes.add.height else ()


@contextmanager
def open_dialect_file(
    path: Path, call: OpenPoolCall, dialect: str | None, keeper: PoolKeeper
) -> Iterator[DialectFileTarget]:
    """Open a file that is there, or the name of one that is not.

    Args:
        path: Its path.
        call: What is wanted.
        dialect: Its dialect; None to find it out.
        keeper: Reads and writes files of dialects.

    Raises:
        SourceError: Lines that cannot be read: they would be lost.
        RequestError: An unknown dialect; or it is an export, not a pool.
        TransientError: Somebody else is writing to it.
    """
    with held(path, write=call.write) as place:
        kind, frame = _read(path, call, dialect, keeper) if place.taken else (known_dialect(dialect or "url"), _EMPTY)
        yield DialectFileTarget(place, kind, frame, call, keeper)


def _read(path: Path, call: OpenPoolCall, dialect: str | None, keeper: PoolKeeper) -> tuple[str, pl.DataFrame]:
    """The dialect of a file, and the proxies in it, with ``key``."""
    if not path.stat().st_size:
        # What is left when everything that was imported is taken back.
        return known_dialect(dialect or "url"), _EMPTY
    file = keeper.read_pool(ReadPoolCall(path, dialect, template=call.template, context=call.context))
    _check_whole(file, path)
    return file.dialect, file.frame.with_columns(key=lasting_keys(file.frame))


def _check_whole(file: PoolFile, path: Path) -> None:
    if file.manifest is not None or file.credentials is not None:
        raise RequestError(
            f"{path} is an export made by Tailrace, not a pool.",
            hint="Import it into a pool, or write to a file of another name.",
        )
    if file.problem_count:
        raise SourceError(
            f"{path} holds {file.problem_count} entries that cannot be read, and that would be lost; the first: "
            f"{file.problems[0]}.",
            hint="Mend or remove them.",
        )


def _check_found(frame: pl.DataFrame, changes: PoolChanges) -> None:
    if not set(frame["key"]) >= {*text_column(changes.update, "key"), *changes.remove}:
        raise RequestError(
            "A proxy that is to be changed or removed is not in the file.",
            hint="Nothing was changed. Plan the import anew.",
        )


def _updated(frame: pl.DataFrame, update: pl.DataFrame) -> pl.DataFrame:
    """The proxies with the columns changed that are to be changed."""
    if not update.height:
        return frame
    rows = frame.select("key").with_row_index("row")
    places = update.select("key", "changed").with_row_index("at").join(rows, on="key", maintain_order="left")
    pairs = places.explode("changed")
    for (name,), part in pairs.group_by("changed", maintain_order=True):
        values = update[str(name)][part["at"]]
        old = (
            frame[str(name)]
            if name in frame.columns
            else pl.Series(name, [None], values.dtype).new_from_index(0, frame.height)
        )
        frame = frame.with_columns(old.scatter(part["row"], values).alias(str(name)))
    moved = pairs.filter(pl.col("changed").is_in(LOGIN_COLUMNS))["row"]
    if "stored_url" in frame.columns and moved.len():
        # How the login stood in the URL says nothing about the new one.
        frame = frame.with_columns(frame["stored_url"].scatter(moved.unique(), None))
    return frame
