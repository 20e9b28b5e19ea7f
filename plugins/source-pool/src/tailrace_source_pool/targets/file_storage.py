"""ProxyWhirl's FileStorage as a target, in clear or encrypted as a whole: one replacement of the file."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import attrs
import polars as pl

from tailrace import ConfigurationError, Context, OpenPoolCall, PoolChanges, RequestError
from tailrace_source_pool import fernet
from tailrace_source_pool.file_storage import read_proxies
from tailrace_source_pool.location import Shape, read_bytes, text_of
from tailrace_source_pool.targets import token_stream
from tailrace_source_pool.targets.file_storage_text import HOLDS, changed, objects, with_ids
from tailrace_source_pool.targets.json_array import JsonArray
from tailrace_source_pool.targets.lasting_keys import lasting_keys
from tailrace_source_pool.targets.login_places import taken_apart, text_column
from tailrace_source_pool.targets.replacement import Place, held
from tailrace_source_pool.targets.rules import file_storage_refusals, raise_first, source_urls_left_out
from tailrace_source_pool.unreadable import Unreadable

_SLICE = 5_000
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@attrs.frozen
class _Content:
    """What is in a file.

    Args:
        array: Its text.
        frame: The proxies in it, with ``key``.
    """

    array: JsonArray = attrs.field(repr=False)
    frame: pl.DataFrame = attrs.field(repr=False)

    @classmethod
    def of(cls, place: Place, context: Context, *, encrypted: bool) -> Self:
        """Read a file; an empty array where there is none."""
        path = place.path
        text = "[]" if not place.taken else token_stream.decrypted(path) if encrypted else _clear(path)
        array = JsonArray.of(text, path)
        return cls(array, _with_keys(_frame(array, path, context)))


@attrs.define(eq=False)
class FileStorageTarget:
    """A file of FileStorage, held open.

    Args:
        place: Where it is.
        content: What is in it.
        encrypted: Whether it is encrypted as a whole.
        writable: Whether it was opened to be written to.
        context: Cancellation and deadline.
    """

    _place: Place
    _content: _Content | None = attrs.field(repr=False)
    _encrypted: bool
    _writable: bool
    _context: Context = attrs.field(repr=False)
    _without_source_url: int = attrs.field(default=0, init=False)
    kind: str = attrs.field(default=Shape.FILE_STORAGE.value, init=False)
    unique: None = attrs.field(default=None, init=False)
    holds: tuple[str, ...] = attrs.field(default=HOLDS, init=False)

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know about writing to it, in sentences."""
        encrypted = "The file is encrypted as a whole with ProxyWhirl's key, and will be again."
        clear = "The file holds credentials in clear, as ProxyWhirl's FileStorage does without a key."
        notes = [encrypted if self._encrypted else clear]
        if self._without_source_url:
            notes.append(
                f"{self._without_source_url:,} proxies come without their source_url: it is no http or https URL, "
                "and ProxyWhirl would not load the file."
            )
        return tuple(notes)

    def refusals(self, frame: pl.DataFrame) -> pl.Series:
        """Why proxies cannot be in it, one reason for each; null for those that can."""
        self._without_source_url = int(source_urls_left_out(frame).sum())
        return file_storage_refusals(frame)

    def read(self) -> pl.DataFrame:
        """All proxies in it, credentials in clear, with ``key``."""
        return self._read().frame

    def write(self, changes: PoolChanges) -> tuple[str, ...]:
        """Replace the file; see :class:`~tailrace.PoolTarget`."""
        if not self._writable:
            raise RequestError("This file was opened for reading.", hint="Open it for writing.")
        for frame in (changes.add, changes.update):
            raise_first(file_storage_refusals(frame))
        content, moment = self._read(), datetime.now(UTC)
        changes = attrs.evolve(
            changes, add=_without_source_urls(changes.add), update=_without_source_urls(changes.update)
        )
        add = with_ids(changes.add, content.frame["id"].drop_nulls())
        blocks = _blocks(self._entries(content, attrs.evolve(changes, add=add), moment))
        self._place.replace(token_stream.encrypted(blocks) if self._encrypted else blocks)
        # Read again when it is asked for.
        self._content = None
        return tuple(add["id"])

    def _read(self) -> _Content:
        if self._content is None:
            self._content = _Content.of(Place.of(self._place.path), self._context, encrypted=self._encrypted)
        return self._content

    def _entries(self, content: _Content, changes: PoolChanges, moment: datetime) -> Iterator[list[str]]:
        """The texts of all entries as they shall be, in order, some at a time."""
        positions = _positions(content.frame, changes)
        updated = self._updated(content.array, changes.update, positions, moment)
        removed = frozenset(positions[key] for key in changes.remove)
        count = len(content.array.spans)
        for first in range(0, count, _SLICE):
            self._context.check()
            indices = range(first, min(first + _SLICE, count))
            yield [updated.get(index) or content.array.entry(index) for index in indices if index not in removed]
        for part in changes.add.iter_slices(_SLICE):
            self._context.check()
            yield objects(part, moment).to_list()

    def _updated(
        self, array: JsonArray, update: pl.DataFrame, positions: Mapping[str, int], moment: datetime
    ) -> dict[int, str]:
        """The new texts of entries that are to be changed, by their place."""
        made: dict[int, str] = {}
        for part in update.iter_slices(_SLICE):
            self._context.check()
            for key, columns, proxy in zip(part["key"], part["changed"], objects(part, moment), strict=True):
                made[positions[key]] = changed(array.entry(positions[key]), proxy, frozenset(columns))
        return made


@contextmanager
def open_file_storage(path: Path, call: OpenPoolCall, *, encrypted: bool) -> Iterator[FileStorageTarget]:
    """Open a file that is there, or the name of one that is not.

    Args:
        path: Its path.
        call: What is wanted.
        encrypted: Whether it is encrypted as a whole, or shall be.

    Raises:
        SourceError: Damaged, or of another shape.
        BadRowError: An entry that cannot be read.
        TransientError: Somebody else is writing to it.
        ConfigurationError: It is, or shall be, encrypted, and ProxyWhirl's key is not at hand.
    """
    if encrypted and not fernet.available():
        raise ConfigurationError(
            f"{path} is, or shall be, encrypted with ProxyWhirl's key, which is not at hand.", hint=fernet.HINT
        )
    with held(path, write=call.write) as place:
        content = _Content.of(place, call.context, encrypted=encrypted)
        yield FileStorageTarget(place, content, encrypted=encrypted, writable=call.write, context=call.context)


def _positions(frame: pl.DataFrame, changes: PoolChanges) -> Mapping[str, int]:
    """Where the entries are that are to be changed or removed.

    Raises:
        RequestError: One is not there.
    """
    wanted = {*changes.remove, *text_column(changes.update, "key")}
    positions = {key: index for index, key in enumerate(frame["key"]) if key in wanted} if wanted else {}
    if len(positions) < len(wanted):
        raise RequestError(
            "A proxy that is to be changed or removed is not in the file.",
            hint="Nothing was changed. Plan the import anew.",
        )
    return positions


def _clear(path: Path) -> str:
    return text_of(read_bytes(path) or b"", path)


def _frame(array: JsonArray, path: Path, context: Context) -> pl.DataFrame:
    """All proxies, in the columns of ``docs/reference/pool.md``."""
    parts = [_part([], 0, path)]
    for first, entries in array.batches():
        context.check()
        parts.append(_part(entries, first, path))
    return pl.concat(parts)


def _part(entries: list[object], first: int, path: Path) -> pl.DataFrame:
    pool = read_proxies(entries, Unreadable(path, "proxy", None), before=first)
    apart = taken_apart(pool.logins)
    protocol = pool.facts["protocol"]
    return apart.with_columns(protocol.zip_with(protocol.is_not_null(), apart["protocol"])).hstack(
        [
            *pool.facts.drop("protocol").get_columns(),
            *(pl.Series(name, map(_compact, values), dtype=pl.String) for name, values in pool.documents.items()),
        ]
    )


def _compact(value: object) -> str | None:
    return None if value is None else _COMPACT.encode(value)


def _without_source_urls(frame: pl.DataFrame) -> pl.DataFrame:
    """The proxies without those that keep ProxyWhirl from loading the file; :attr:`FileStorageTarget.notes` tell it."""
    left_out = source_urls_left_out(frame)
    if not left_out.any():
        return frame
    return frame.with_columns(source_url=frame["source_url"].clone().scatter(left_out.arg_true(), None))


def _with_keys(frame: pl.DataFrame) -> pl.DataFrame:
    """With ``key``: the id, or what tells proxies apart where there is none, or the same one twice."""
    usable = pl.col("id").is_unique() & pl.col("id").is_not_null()
    if frame.select(usable.all()).item():
        return frame.with_columns(key="id")
    others = pl.format("#{}", pl.lit(lasting_keys(frame)))
    return frame.with_columns(key=pl.when(usable & ~pl.col("id").str.starts_with("#")).then("id").otherwise(others))


def _blocks(entries: Iterator[list[str]]) -> Iterator[bytes]:
    """The array around the texts of its entries, laid out as ProxyWhirl does."""
    before = "[\n  "
    for texts in entries:
        if texts:
            yield (before + ",\n  ".join(texts)).encode()
            before = ",\n  "
    yield b"\n]" if before.startswith(",") else b"[]"
