"""The XML validates: nobody has to repair anything."""

import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from .conftest import BOOKS, Book, write
from .validity import audit, problems

SHEET, STRINGS, STYLES = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml"
WORKBOOK, RELATIONSHIPS, TYPES = "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "[Content_Types].xml"


def series(rows: int) -> pl.DataFrame:
    """A table that is worth a chart."""
    return pl.DataFrame(
        {
            "at": [datetime(2026, 8, 15, tzinfo=UTC) + timedelta(minutes=7 * row) for row in range(rows)],
            "ms": [row * 1.5 if row % 3 else None for row in range(rows)],
            "kind": [f"kind {row % 3} <&> '" for row in range(rows)],
        }
    )


VARIANTS: Mapping[str, Callable[[], tuple[bytes, list[str]]]] = {
    "chart": lambda: write({"requests": series(500)}),
    "chart and several sheets": lambda: write({"requests": series(500)}, rows_per_sheet=90),
    "a sheet for each value": lambda: write({"requests": series(500)}, sheet_per="kind"),
    "streamed": lambda: write({"requests": series(45_000), "more": series(5)}, rows_per_sheet=30_000),
    "nothing": lambda: write({"requests": series(0)}),
    "wide": lambda: write({"wide": pl.DataFrame({f"c{column}": [column] for column in range(300)})}),
    "names of sheets": lambda: write(
        {
            name: series(2)
            for name in ("a'b", "[x]:*?/\\y", "'q'", "History", "summary", "R1C1", "=1+1", "é" * 40, "😀" * 20)
        }
    ),
}


def check(content: bytes, folder: Path, *, schemas: bool = True) -> None:
    path = folder / "checked.xlsx"
    path.write_bytes(content)
    assert problems(content) == []
    if schemas:
        assert audit(path) == []
    for command in (["unzip", "-tqq"], ["7z", "t"]):
        if shutil.which(command[0]):
            done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False, timeout=60)
            assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", BOOKS)
def test_every_workbook_is_valid(name: str, books: Mapping[str, Book], tmp_path: Path) -> None:
    check(books[name].path.read_bytes(), tmp_path, schemas=name != "links")


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_is_valid(name: str, tmp_path: Path) -> None:
    check(VARIANTS[name]()[0], tmp_path, schemas=name != "streamed")


_OUTSIDE = 'Id="rId99" Type="a/hyperlink" Target="https://example.com" TargetMode="External"'
DAMAGES: Mapping[str, tuple[str, str, str]] = {
    "not well-formed": (SHEET, "</sheetData>", ""),
    "elements in another order": (SHEET, "(<sheetViews>.*</sheetViews>)(<sheetFormatPr[^>]*/>)", r"\2\1"),
    "a filter before the rows": (SHEET, "(<sheetData>.*</sheetData>)(<autoFilter[^>]*/>)", r"\2\1"),
    "a filter of other rows": (SHEET, '<autoFilter ref="[^"]*"', '<autoFilter ref="A1:C9"'),
    "an unknown element": (SHEET, "<row>", "<rogue/><row>"),
    "an unknown attribute of a row": (SHEET, "<row>", '<row rogue="1">'),
    "an unknown type of cell": (SHEET, 't="s"', 't="q"'),
    "a style that is not there": (SHEET, '<c s="1"', '<c s="999"'),
    "a text that is not there": (SHEET, 't="s"><v>0<', 't="s"><v>99999<'),
    "no number": (SHEET, "<v>4[^<]*</v>", "<v>forty</v>"),
    "NaN": (SHEET, "<v>4[^<]*</v>", "<v>NaN</v>"),
    "a flag of two": (SHEET, "<c/>", '<c t="b"><v>2</v></c>'),
    "an error": (SHEET, "<c/>", '<c t="e"><v>#NUM!</v></c>'),
    "a formula": (SHEET, "<c/>", "<c><f>1+1</f><v>2</v></c>"),
    "an address twice": (SHEET, "<row>", '<row r="1"><c r="A1"/><c r="A1"/></row><row>'),
    "a row twice": (SHEET, "<row>", '<row r="1"></row><row r="1">'),
    "a dimension that is too small": (SHEET, "<sheetViews>", '<dimension ref="A1:A1"/><sheetViews>'),
    "blanks that are not kept": (STRINGS, '<si><t xml:space="preserve">[^<]*', "<si><t> x"),
    "rich text": (STRINGS, "<si><t[^>]*>([^<]*)</t>", r"<si><r><t>\1</t></r>"),
    "a count of texts that is too small": (STRINGS, "<sst ", '<sst count="1" uniqueCount="1" '),
    "a number format that is not there": (STYLES, '<numFmt numFmtId="165"', '<numFmt numFmtId="199"'),
    "no cell styles": (STYLES, "cellXfs", "cellXfz"),
    "a number of a sheet twice": (WORKBOOK, 'sheetId="2"', 'sheetId="1"'),
    "a name of a sheet twice": (WORKBOOK, 'name="Summary"', 'name="REQUESTS"'),
    "a name that is none": (WORKBOOK, 'name="Summary"', 'name="a/b"'),
    "a filter by another name": (WORKBOOK, r"\$A\$1:\$C\$\d+", "$A$1:$C$7"),
    "a relationship that is not there": (WORKBOOK, 'r:id="rId1"', 'r:id="rId77"'),
    "a part that is not there": (RELATIONSHIPS, "sharedStrings.xml", "strings.xml"),
    "a part that nothing leads to": (RELATIONSHIPS, "<Relationship [^>]*theme[^>]*/>", ""),
    "a link": (RELATIONSHIPS, "</Relationships>", f"<Relationship {_OUTSIDE}/></Relationships>"),
    "a part without a type": (TYPES, '<Override PartName="/xl/sharedStrings.xml"[^>]*/>', ""),
    "a part of another type": (TYPES, "spreadsheetml.sharedStrings", "spreadsheetml.shared"),
    "a type without a part": (
        TYPES,
        "</Types>",
        '<Override PartName="/xl/a.xml" ContentType="application/xml"/></Types>',
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_would_be_found(name: str, tmp_path: Path) -> None:
    part, pattern, replacement = DAMAGES[name]
    content, _notes = VARIANTS["chart"]()
    path = tmp_path / "damaged.xlsx"
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(path, "w") as new:
        for each in old.namelist():
            text = old.read(each).decode()
            if each == part:
                text, times = re.subn(pattern, replacement, text, flags=re.DOTALL)
                assert times
            new.writestr(each, text)
    assert audit(path) or problems(path.read_bytes())
