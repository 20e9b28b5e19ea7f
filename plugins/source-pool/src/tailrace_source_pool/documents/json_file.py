"""Pools in JSON: our own documents, ProxyWhirl's FileStorage, and lists of proxies as others write them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tailrace_source_pool.documents import foreign, ours, storage
from tailrace_source_pool.documents.entries import AT_ONCE, EntryReader, json_proxies
from tailrace_source_pool.documents.findings import BrokenOffError, Summary, chunks, summary_piece
from tailrace_source_pool.documents.json_text import JsonText, Value, step
from tailrace_source_pool.documents.manifest import TABLE, Layout, embedded_problems, layout, refuse_newer
from tailrace_source_pool.documents.rules import TYPES
from tailrace_source_pool.members import LABELS

_SEAL = {"sha256", "mac"}
_LISTS = (TABLE, "data")
"""Where others keep their proxies in a document."""


def read(blocks: Iterable[bytes], argument: Mapping[str, Any]) -> Iterator[bytes]:
    """Read a file.

    Args:
        blocks: Its content, UTF-8.
        argument: ``scheme`` of proxies that name none; ``whole_as_text`` as :func:`ours.json_reader` has it.

    Yields:
        Pieces as :mod:`~tailrace_source_pool.documents.findings` has them.

    Raises:
        NewerVersionError: It is an export of ours, of a newer version.
    """
    reading = _Reading(JsonText(blocks), argument)
    try:
        yield from reading.pieces()
    except BrokenOffError as error:
        reading.summary.problems.tell(error.where, f"{error.reason}; what follows was not read")
    reading.finish()
    yield summary_piece(reading.summary)


class _Reading:
    """Reading of one document."""

    def __init__(self, text: JsonText, argument: Mapping[str, Any]) -> None:
        self._text = text
        self._argument = argument
        self._layout: Layout | None = None
        self._seen: set[str] = set()
        self.summary = Summary("json")
        self._foreign = foreign.Reading(str(argument["scheme"]))

    def pieces(self) -> Iterator[bytes]:
        start = self._text.next_character()
        if start == "[":
            yield from self._list("$", None)
        elif start == "{":
            for name in self._text.names():
                yield from self._member(name)
                self._seen.add(name)
            self._check_members()
        else:
            self._tell("$", f"expected a list or an object, got {LABELS[type(self._text.value().content)]}")
        self._text.finish()

    def finish(self) -> None:
        """Add what is known at the end."""
        self.summary.notes += self._foreign.notes()

    def _member(self, name: str) -> Iterator[bytes]:
        path = "$" + step(name)
        if name in self._seen:
            self._tell(path, "it is there twice")
            self._skip()
        elif name == "manifest" and not self._seen:
            self._read_manifest(self._text.value())
        elif name == "seal" and self._layout is not None:
            self._read_seal(self._text.value())
        elif name in _LISTS and self._text.next_character() == "[" and (self._layout is None or name == TABLE):
            ours_reader = None
            if self._layout is not None:
                whole_as_text = bool(self._argument.get("whole_as_text"))
                ours_reader = ours.json_reader(self._layout.columns, whole_as_text=whole_as_text)
            yield from self._list(path, ours_reader)
        else:
            self._read_other(name, path)

    def _read_other(self, name: str, path: str) -> None:
        if name in _LISTS and (self._layout is None or name == TABLE):
            value = self._text.value()
            self._tell(path, f"expected a list, got {LABELS[type(value.content)]}")
            return
        self._skip()
        if self._layout is None:
            # Others say all sorts of things beside their list: pages, totals.
            return
        if name in self._layout.other_tables:
            self.summary.notes.append(f"The table {name} of the file is not imported.")
        else:
            self._tell(path, "nothing of that name belongs there")

    def _list(self, path: str, reader: EntryReader | None) -> Iterator[bytes]:
        offset = 0
        for values in chunks(self._text.elements(), AT_ONCE):
            if reader is None:
                reader = self._reader_of(values)
            yield json_proxies(values, path, offset, reader, self.summary.problems)
            offset += len(values)

    def _reader_of(self, values: list[Value]) -> EntryReader:
        """How to read the elements of a list, by the first of them that is an object."""
        entries = (value.content for value in values)
        first = next((entry for entry in entries if isinstance(entry, dict)), {})
        if foreign.is_foreign(first):
            return self._foreign.read
        if {"url", "host"} <= first.keys() <= TYPES.keys():
            return ours.json_reader(None, whole_as_text=False)
        self.summary.notes.append("It is a file of ProxyWhirl's FileStorage.")
        return storage.read

    def _read_manifest(self, value: Value) -> None:
        refuse_newer(value.content)
        for flaw in value.flaws:
            self._tell(f"$.manifest{flaw.path}", flaw.reason)
        flawed = {flaw.path for flaw in value.flaws}
        for path, reason in embedded_problems(value.content):
            if path not in flawed:
                self._tell(f"$.manifest{path}", reason)
        manifest = value.content if isinstance(value.content, dict) else {}
        self.summary.manifest = manifest
        self._layout = layout(manifest)

    def _read_seal(self, value: Value) -> None:
        seal = value.content
        if (
            not isinstance(seal, dict)
            or seal.keys() != _SEAL
            or not all(isinstance(part, str) for part in seal.values())
        ):
            self._tell("$.seal", "expected an object with sha256 and mac as texts")
        else:
            self.summary.seal = seal

    def _check_members(self) -> None:
        """See that an export of ours has all that belongs to it, and that anything else is a list at all."""
        if self._layout is None:
            if "manifest" in self._seen:
                self._tell("$.manifest", "it must come before everything else")
            if self._seen.isdisjoint(_LISTS):
                self._tell("$", f"there is no list in it: expected {' or '.join(_LISTS)}")
            return
        full = self._layout.credentials is not None and self._layout.credentials.value == "full"
        for name in (TABLE, *self._layout.other_tables, *(("seal",) if full else ())):
            if name not in self._seen:
                self._tell("$" + step(name), "it is missing")
        if "seal" in self._seen and not full:
            self._tell("$.seal", "nothing of that name belongs there")

    def _skip(self) -> None:
        """Pass over a value, however long its list is."""
        if self._text.next_character() == "[":
            for _ in self._text.elements():
                pass
        else:
            self._text.value()

    def _tell(self, where: str, message: str) -> None:
        self.summary.problems.tell(where, message)
