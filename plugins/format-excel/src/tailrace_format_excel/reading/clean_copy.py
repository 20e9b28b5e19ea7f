"""The archive that the reader gets: made anew, of members that were checked, as they are compressed.

Two programs may see two different archives in one file. Here there is nothing to see but what was looked at. It also
has its own styles, by which a number shows as a time or stays the number that it is.
"""

import io
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from typing import IO

from tailrace_format_excel.reading.directory import BLOCK, Member
from tailrace_format_excel.zip_records import (
    CENTRAL_HEADER,
    CENTRAL_SIGNATURE,
    END,
    END_SIGNATURE,
    FIRST_DAY,
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
    VERSION,
)

_PACKAGE = "http://schemas.openxmlformats.org/package/2006/"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_AS_TIME = 22
"""Id of a number format that every program has: a day and a time."""


def clean_copy(file: IO[bytes], sheets: Sequence[Member], strings: Member | None, times: Iterable[bool]) -> bytes:
    """A workbook of some members of another one.

    Args:
        file: The other one.
        sheets: Its sheets; the copy calls them by their index: ``"0"``, ``"1"`` …
        strings: The texts that cells share.
        times: For each style whether a number in it is shown as a time.
    """
    copy = _Archive()
    names = [f"worksheets/sheet{number}.xml" for number in range(len(sheets))]
    related = [("worksheet", name) for name in names]
    copy.write("[Content_Types].xml", f'<Types xmlns="{_PACKAGE}content-types"/>')
    copy.write("_rels/.rels", _relationships([("officeDocument", "xl/workbook.xml")]))
    if strings is not None:
        related.append(("sharedStrings", "sharedStrings.xml"))
        copy.take("xl/sharedStrings.xml", file, strings)
    styles = list(times)
    if any(styles):
        related.append(("styles", "styles.xml"))
        copy.write("xl/styles.xml", _styles(styles))
    for name, member in zip(names, sheets, strict=True):
        copy.take(f"xl/{name}", file, member)
    listed = "".join(f'<sheet name="{index}" sheetId="{index + 1}" r:id="r{index}"/>' for index in range(len(sheets)))
    copy.write("xl/workbook.xml", f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>')
    copy.write("xl/_rels/workbook.xml.rels", _relationships(related))
    return copy.finish()


def _relationships(related: Sequence[tuple[str, str]]) -> str:
    each = "".join(
        f'<Relationship Id="r{index}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for index, (kind, target) in enumerate(related)
    )
    return f'<Relationships xmlns="{_PACKAGE}relationships">{each}</Relationships>'


def _styles(times: Sequence[bool]) -> str:
    each = "".join(f'<xf numFmtId="{_AS_TIME if is_time else 0}"/>' for is_time in times)
    return f'<styleSheet xmlns="{_MAIN}"><cellXfs count="{len(times)}">{each}</cellXfs></styleSheet>'


class _Archive:
    def __init__(self) -> None:
        self._file = io.BytesIO()
        self._central: list[bytes] = []

    def write(self, name: str, text: str) -> None:
        """Write a member that is not compressed."""
        content = text.encode()
        self._begin(name, zipfile.ZIP_STORED, zlib.crc32(content), len(content), len(content))
        self._file.write(content)

    def take(self, name: str, file: IO[bytes], member: Member) -> None:
        """Copy a member of another archive, which was decompressed before and has what it claims."""
        self._begin(name, member.method, member.crc, member.stored, member.size)
        file.seek(member.start)
        left = member.stored
        while left and (block := file.read(min(BLOCK, left))):
            self._file.write(block)
            left -= len(block)

    def finish(self) -> bytes:
        """All of it."""
        start, central = self._file.tell(), b"".join(self._central)
        count = len(self._central)
        self._file.write(central)
        self._file.write(END.pack(END_SIGNATURE, 0, 0, count, count, len(central), start, 0))
        return self._file.getvalue()

    def _begin(self, name: str, method: int, crc: int, stored: int, size: int) -> None:
        raw, start = name.encode(), self._file.tell()
        facts = (VERSION, 0, method, 0, FIRST_DAY, crc, stored, size, len(raw), 0)
        self._file.write(LOCAL_HEADER.pack(LOCAL_SIGNATURE, *facts) + raw)
        self._central.append(CENTRAL_HEADER.pack(CENTRAL_SIGNATURE, VERSION, *facts, 0, 0, 0, 0, start) + raw)
