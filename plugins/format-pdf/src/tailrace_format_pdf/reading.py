"""A finished document read back: how many rows it carries, and everything that somebody who reads it could see."""

import functools
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any, TypeVar

import attrs
import polars as pl
from pypdf import PdfReader
from pypdf.generic import (
    ArrayObject,
    ByteStringObject,
    DictionaryObject,
    IndirectObject,
    StreamObject,
    TextStringObject,
)

from tailrace import IntegrityError, RereadCall, attached_rows
from tailrace_format_pdf.attachments import MANIFEST, table_file

_LAST_TABLE = re.compile(rb"startxref\n(\d{1,19})\n%%EOF\n\Z")
"""Where the table of all objects begins, which is the last thing in a document."""
_LONGEST_END = 64
_BEGIN, _END = b"%PDF-1.7\n", b"%%EOF\n"
_SHOWN = re.compile(rb"/(F\d+) [\d.]+ Tf|<([0-9A-F]*)> Tj")
_PLACED = re.compile(_SHOWN.pattern + rb"|(-?[\d.]+ -[\d.]+ Td|BT|[\d.]+ 0 Td|Tm)")
"""The same, and where the next text is: on the next line of the same when it is ``Td`` down, else somewhere else."""
_IN_PIECES = re.compile(rb"\d -[\d.]+ Td|Tj /F")
_MAPPED = re.compile(rb"<([0-9A-Fa-f]{4})> <([0-9A-Fa-f]+)>\n")
_PAGE = re.compile(r"Page (\d+) of (\d+)$")
_UNREADABLE = frozenset({"/FontFile2", "/FontFile3"})
_HINT = "Export it again."
T = TypeVar("T")


def count_rows(call: RereadCall) -> Mapping[str, int]:
    """The rows of each table in a finished document: those of the data attached.

    Raises:
        IntegrityError: It is damaged, or no document of ours.
    """
    document = Document.read(call.blocks)
    files = document.files()
    if MANIFEST not in files:
        raise IntegrityError("The document has no manifest inside.", hint=_HINT)
    counts = {}
    for name in call.tables:
        stream = files.get(table_file(name))
        if stream is None:
            raise IntegrityError(f"The document lacks the data of the table {name}.", hint=_HINT)
        content = inflated(stream)
        counts[name] = attached_rows(content)
        _check_columns(name, content, call.columns.get(name))
    if call.thorough:
        _check_pages(document)
        for stream in files.values():
            inflated(stream)
    return counts


def searchable(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """What can be read in a document: texts of pages, files, properties, bookmarks, words for what is drawn.

    Raises:
        IntegrityError: It is damaged, or no document of ours.
    """
    document = Document.read(blocks)
    for page in document.pages():
        yield "\n".join([*page.texts, *page.wrapped]).encode(errors="replace") + b"\n"
    yield from document.other_content()


class _Meanings(dict[int, str]):
    """What each code of a font means."""

    def __missing__(self, code: int) -> str:
        return "\ufffd"


@attrs.define
class Page:
    """What is on a page.

    Args:
        texts: Its texts, line by line, in the order in which they are drawn.
        wrapped: Those of more than one line, as they were before they were wrapped: in the middle of a word, or at a
            space.
    """

    texts: list[str] = attrs.field(factory=list)
    wrapped: list[str] = attrs.field(factory=list)

    def add(self, lines: Sequence[str]) -> None:
        """Add the lines of a text."""
        self.texts.extend(line for line in lines if line)
        if len(lines) > 1:
            self.wrapped += ["".join(lines), " ".join(lines)]


@attrs.frozen
class Document:
    """A document of ours.

    Args:
        reader: What pypdf makes of it.
    """

    reader: PdfReader = attrs.field(repr=False)

    @classmethod
    def read(cls, blocks: Iterable[bytes]) -> "Document":
        """Open one.

        Raises:
            IntegrityError: It is damaged, or no document of ours.
        """
        content = b"".join(blocks)
        if not content.startswith(_BEGIN) or not content.endswith(_END):
            raise IntegrityError("This is no PDF document of this kind, or its end is missing.", hint=_HINT)
        last = _LAST_TABLE.search(content, len(content) - _LONGEST_END)
        if last is None or content.count(_END, int(last[1])) != 1:
            # A reader would take the last of several documents, or of its versions, and see nothing of the others.
            raise IntegrityError("The document is damaged: it goes on behind its end, or hides it.", hint=_HINT)
        return _careful(lambda: cls(PdfReader(BytesIO(content), strict=True)))

    def files(self) -> Mapping[str, StreamObject]:
        """The files inside, by name."""

        def found() -> Mapping[str, StreamObject]:
            tree = self.reader.root_object["/Names"]["/EmbeddedFiles"]["/Names"]  # type: ignore[index]  # dictionaries
            names = [str(tree[at]) for at in range(0, len(tree), 2)]
            specs = [tree[at].get_object() for at in range(1, len(tree), 2)]
            if len(set(names)) != len(names):
                raise IntegrityError("Two files in the document have one name.", hint=_HINT)
            return {name: spec["/EF"]["/F"].get_object() for name, spec in zip(names, specs, strict=True)}

        return _careful(found)

    def pages(self) -> Iterator["Page"]:
        """The texts of each page."""
        fonts = _careful(self._fonts)
        known: dict[tuple[bytes, bytes], str] = {}

        def meant(font: bytes, codes: bytes) -> str:
            text = known.get((font, codes))
            if text is None:
                meanings = fonts.get(font, _Meanings())
                text = known[font, codes] = _careful(functools.partial(_decoded, codes, meanings))
            return text

        for page in _careful(lambda: list(self.reader.pages)):
            content = inflated(_careful(functools.partial(_contents, page)))
            read, font, lines = Page(), b"", [""]
            # Texts of one line in one font, as most are, need no look at where they are.
            pattern = _PLACED if _IN_PIECES.search(content) else _SHOWN
            for name, codes, *moved in pattern.findall(content):
                if name:
                    font = name
                elif not moved:
                    read.texts.append(meant(font, codes))
                elif not moved[0]:
                    lines[-1] += meant(font, codes)
                elif moved[0].endswith(b"Td") and b" -" in moved[0]:
                    lines.append("")
                else:
                    read.add(lines)
                    lines = [""]
            read.add(lines)
            yield read

    def other_content(self) -> Iterator[bytes]:
        """Everything but pages and fonts: texts of all objects, and what streams hold."""
        pages = {id(page["/Contents"].get_object()) for page in self.reader.pages}
        fonts = set()
        objects = _careful(lambda: list(self._objects()))
        for one in objects:
            if isinstance(one, DictionaryObject):
                fonts |= {id(one[key].get_object()) for key in _UNREADABLE & one.keys()}
        for one in objects:
            yield "\n".join(_texts(one)).encode(errors="replace") + b"\n"
            if isinstance(one, StreamObject) and id(one) not in pages | fonts and one.get("/Subtype") != "/Image":
                yield inflated(one)
                yield b"\n"

    def _objects(self) -> Iterator[Any]:
        for number in sorted(self.reader.xref[0]):
            if number:
                yield self.reader.get_object(IndirectObject(number, 0, self.reader))

    def _fonts(self) -> dict[bytes, _Meanings]:
        """What the codes of each font mean; all pages share their fonts."""
        if not self.reader.pages:
            raise IntegrityError("The document has no pages.", hint=_HINT)
        fonts = self.reader.pages[0]["/Resources"].get_object()["/Font"]  # type: ignore[index]  # a dictionary
        return {name[1:].encode(): _meanings(font.get_object()) for name, font in fonts.items()}


def inflated(stream: StreamObject) -> bytes:
    """The content of a stream. pypdf would refuse more than 75 MB of it, and tables may have more.

    Raises:
        IntegrityError: It is damaged.
    """
    raw = bytes(stream._data)  # noqa: SLF001 - see above
    if "/Filter" not in stream:
        return raw
    machine = zlib.decompressobj()
    try:
        content = machine.decompress(raw)
    except zlib.error as error:
        raise IntegrityError("A part of the document is damaged.", hint=_HINT) from error
    if not machine.eof:
        raise IntegrityError("A part of the document is cut off.", hint=_HINT)
    return content


def _meanings(font: DictionaryObject) -> _Meanings:
    content = inflated(_stream(font["/ToUnicode"].get_object()))
    return _Meanings(
        (int(code, 16), bytes.fromhex(meant.decode()).decode("utf-16-be", errors="replace"))
        for code, meant in _MAPPED.findall(content)
    )


def _decoded(codes: bytes, meanings: _Meanings) -> str:
    # Codes have two bytes each, as characters have in UTF-16.
    return bytes.fromhex(codes.decode()).decode("utf-16-be", errors="surrogatepass").translate(meanings)


def _contents(page: DictionaryObject) -> StreamObject:
    return _stream(page["/Contents"].get_object())


def _stream(found: Any) -> StreamObject:
    if not isinstance(found, StreamObject):
        raise IntegrityError("A part of the document is missing.", hint=_HINT)
    return found


def _texts(one: Any) -> Iterator[str]:
    """Texts in an object, but not in those that it refers to."""
    if isinstance(one, TextStringObject):
        yield str(one)
    elif isinstance(one, ByteStringObject):
        yield bytes(one).decode("latin-1")
    elif isinstance(one, DictionaryObject):
        for key in one:
            yield from _texts(dict.__getitem__(one, key))
    elif isinstance(one, ArrayObject):
        for item in list.__iter__(one):
            yield from _texts(item)


def _check_columns(name: str, content: bytes, expected: int | None) -> None:
    found = pl.read_csv(content, infer_schema=False, n_rows=0).width
    if expected is not None and found != expected:
        raise IntegrityError(f"The data of the table {name} has {found} columns, not {expected}.", hint=_HINT)


def _check_pages(document: Document) -> None:
    """Each page says which it is, out of how many."""
    pages = list(document.pages())
    for number, page in enumerate(pages, start=1):
        told = _PAGE.match(page.texts[-1]) if page.texts else None
        if told is None or (int(told[1]), int(told[2])) != (number, len(pages)):
            raise IntegrityError(f"Page {number} of the document is not what was written.", hint=_HINT)


def _careful(read: Callable[[], T]) -> T:
    try:
        return read()
    except IntegrityError:
        raise
    except Exception as error:  # whatever is wrong with a damaged document; pypdf raises many kinds
        raise IntegrityError("The document is damaged, or no document of this kind.", hint=_HINT) from error
