"""Tables of the format ``pdf``: values that are hard to draw, long and wide tables, the fast way and the slow one."""

import io
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fontTools import subset
from pypdf import PdfReader
from tailrace_format_pdf import PdfFormat, PdfOptions
from tailrace_format_pdf.bulk import Setting, Texts, drawn
from tailrace_format_pdf.faces import Faces, visible
from tailrace_format_pdf.inside import Book, characters_of
from tailrace_format_pdf.wrapping import wrapped

from tailrace import (
    Brand,
    Column,
    ConfigurationError,
    Context,
    Figure,
    OutgoingTable,
    Panel,
    Prose,
    Report,
    ReportTable,
    RequestError,
    RereadCall,
    SearchCall,
    Section,
    TableView,
    WriteCall,
    document_fonts,
)

FONTS = document_fonts(Brand())
WORD = "w" * 10_000
CASES = {
    "nothing": pl.DataFrame(schema={"a": pl.String, "b": pl.Int64}),
    "one": pl.DataFrame({"a": ["x"], "b": [1]}),
    "numbers": pl.DataFrame({"n": [float("nan"), float("inf"), None, -0.5], "big": [10**17, -1, 0, None]}),
    "controls": pl.DataFrame({"t": ["", "\x00\x07\x7f\x85", "a\nb\r\nc", "\u200bzero\ufeff", "  two  spaces  "]}),
    "hostile": pl.DataFrame({"t": [") Tj", "endstream endobj", "<</JS (x)>>", "\\", "(((", "{total}", "%%EOF"]}),
    "word": pl.DataFrame({"before": ["b", "c"], "t": [WORD, "y"], "after": [1, 2]}),
    "paragraph": pl.DataFrame({"t": ["many words in a row " * 800, "y"], "after": [1, 2]}),
    "wide": pl.DataFrame({f"column {number}": [f"v{number}", f"w{number}"] for number in range(200)}),
    "types": pl.DataFrame(
        {
            "list": [[1, 2, None]],
            "bytes": [b"\xff\x00"],
            "day": [date(2026, 8, 15)],
            "struct": [{"a": 1}],
            "span": [timedelta(hours=26, seconds=5)],
            "flag": [True],
        }
    ),
    "scripts": pl.DataFrame(
        {"t": ["Zażółć", "Ελλάδα", "Привет", "中文字符", "مرحبا بالعالم", "שלום", "\U0001f600 ok"]}
    ),
}


def write(report: Report, frames: Mapping[str, pl.DataFrame], notes: list[str] | None = None, **options: Any) -> bytes:
    tables = [
        OutgoingTable(name, frame.lazy(), [Column(column) for column in frame.columns])
        for name, frame in frames.items()
    ]
    output, told = io.BytesIO(), [] if notes is None else notes
    PdfFormat().write(WriteCall(tables, output, PdfOptions(**options), {}, told.append, Context(), report=report))
    return output.getvalue()


def one_table(name: str) -> Report:
    return Report("R", sections=[Section("S", [Panel("P", TableView(name))])])


def poppler(content: bytes, *flags: str) -> str:
    if shutil.which("pdftotext") is None:
        if os.environ.get("REQUIRE_POPPLER") == "1":
            pytest.fail("there is no pdftotext, and REQUIRE_POPPLER=1")
        pytest.skip("there is no pdftotext")
    done = subprocess.run(["pdftotext", *flags, "-", "-"], input=content, capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode()


def squashed(texts: Iterable[str]) -> str:
    """Texts without white space, and without the marks that poppler puts around text from the right."""
    return re.sub(r"[\s\u202a-\u202e\u2066-\u2069]", "", "".join(texts))


@pytest.fixture(scope="module")
def content() -> bytes:
    """All cases in one document: opening fonts takes longer than drawing tables."""
    sections = [Section(name, [Panel(f"Table {name}", TableView(name))], new_page=True) for name in CASES]
    return write(Report("Hard to draw", sections=sections), CASES, orientation="portrait", contents=False)


@pytest.fixture(scope="module")
def texts(content: bytes) -> dict[str, list[str]]:
    """The pages of each case, in the order in which they are drawn."""
    pages = poppler(content, "-raw").split("\f")[:-1]
    texts: dict[str, list[str]] = {}
    name = ""
    for page in pages:
        begun = re.search(r"^Table (\w+)$", page, re.MULTILINE)
        name = begun[1] if begun else name
        texts.setdefault(name, []).append(page)
    return texts


def test_all_is_counted(content: bytes) -> None:
    widths = {name: frame.width for name, frame in CASES.items()}
    call = RereadCall(iter([content]), PdfOptions(), list(CASES), thorough=True, columns=widths)
    assert PdfFormat().count_rows(call) == {name: frame.height for name, frame in CASES.items()}


def test_nothing_is_outside_of_the_pages(content: bytes) -> None:
    for width, height, page in re.findall(
        r'<page width="([\d.]+)" height="([\d.]+)">(.*?)</page>', poppler(content, "-bbox"), re.DOTALL
    ):
        for box, word in re.findall(r"<word ([^>]*)>([^<]*)</word>", page):
            left, top, right, bottom = (float(value) for value in re.findall(r'"([-\d.]+)"', box))
            assert 20 < left <= right < float(width) - 20, word
            assert 20 < top <= bottom < float(height) - 20, word


def test_no_rows(texts: dict[str, list[str]]) -> None:
    assert "abNorows" in squashed(texts["nothing"])


def test_numbers_that_are_none(texts: dict[str, list[str]]) -> None:
    assert "NaN100000000000000000" in squashed(texts["numbers"])
    assert "inf-1\N{EN DASH}0-0.5\N{EN DASH}" in squashed(texts["numbers"])


def test_control_characters_leave_the_page_whole(texts: dict[str, list[str]]) -> None:
    page = "".join(texts["controls"])
    assert "\x07" not in page
    assert "a\nb\nc\n" in page
    assert "zero" in page


@pytest.mark.parametrize("text", CASES["hostile"]["t"].to_list())
def test_operators_in_texts_are_texts(texts: dict[str, list[str]], text: str) -> None:
    assert text in "".join(texts["hostile"]).splitlines()


def test_a_word_longer_than_a_page_is_there_letter_by_letter(texts: dict[str, list[str]]) -> None:
    pages = texts["word"]
    assert len(pages) > 2
    assert (
        sum(line.count("w") for page in pages for line in page.splitlines() if set(line.split()[-1]) <= {"w"}) >= 9_900
    )
    assert (
        squashed(pages).replace("wordTablewordHardtodraw", "").count("w") == 10_000 + squashed(pages).count("draw") - 1
    )
    assert "cy2" in squashed(pages)


def test_a_text_longer_than_a_page_is_there_word_by_word(texts: dict[str, list[str]]) -> None:
    assert len(texts["paragraph"]) > 2
    words = " ".join(texts["paragraph"]).split()
    assert [words.count(word) for word in ("many", "words", "in", "row")] == [800] * 4


def test_two_hundred_columns_are_all_there(texts: dict[str, list[str]]) -> None:
    lines = [line for page in texts["wide"] for line in page.splitlines()]
    values = [word for line in lines for word in line.split()]
    for number in range(1, 200):
        assert values.count(f"v{number}") == values.count(f"w{number}") == 1
    # Each block begins with the first column.
    assert values.count("v0") == values.count("w0") > 5


def test_all_kinds_of_values(texts: dict[str, list[str]]) -> None:
    page = "".join(texts["types"])
    for value in ("1, 2", "/wA=", "2026-08-15", '{"a":1}', "26:00:05", "yes"):
        assert value in page


@pytest.mark.parametrize("text", CASES["scripts"]["t"].to_list())
def test_scripts_read_as_they_were_written(content: bytes, text: str) -> None:
    known = frozenset().union(*map(characters_of, (FONTS.regular, *FONTS.fallbacks)))
    if not set(map(ord, text)) <= known:
        pytest.skip("this machine has no font for it")
    # Words from the right are in the order of reading where poppler looks at places, and not at operators.
    assert squashed([text]) in squashed([poppler(content, "-f", str(len(PdfReader(io.BytesIO(content)).pages)))])


def test_characters_without_a_font_are_shown_and_told() -> None:
    notes: list[str] = []
    frame = pl.DataFrame({"t": ["a\U0010fffdb", "\U0010fffd", "c"]})
    content = write(one_table("t"), {"t": frame}, notes=notes)
    assert notes == [
        (
            "1 different characters are in none of the fonts, and drawn as a stand-in (U+10FFFD); the attached data "
            "has them. Name fonts that have them: fallback_fonts in [brand]."
        )
    ]
    assert "a\N{REPLACEMENT CHARACTER}b" in poppler(content, "-raw")
    assert "a\U0010fffdb".encode() in PdfReader(io.BytesIO(content)).attachments["t.csv"][0]


def test_what_cannot_be_shown_is_named() -> None:
    frame = pl.DataFrame({"deep": [[[1]]]})
    with pytest.raises(RequestError, match="'deep' holds"):
        write(one_table("t"), {"t": frame})


def test_tables_beside_each_other_go_on_beside_each_other() -> None:
    rows = [[f"left {number}"] for number in range(150)]
    others = [[f"right {number}"] for number in range(90)]
    report = Report(
        "R",
        sections=[
            Section("S", [Panel("L", ReportTable(["One"], rows), 6), Panel("R", ReportTable(["Two"], others), 6)]),
            Section("Next", [Panel("P", ReportTable(["Three"], [["below"]]))]),
        ],
    )
    content = write(report, {}, contents=False)
    pages = poppler(content, "-raw").split("\f")[:-1]
    assert "left 0" in pages[0]
    assert "right 0" in pages[0]
    assert "left 80" in pages[1]
    assert "right 80" in pages[1]
    words = " ".join(pages)
    assert all(words.count(f"left {number}\n") == 1 for number in range(100, 150))
    assert "below" in pages[-1]
    assert "left 149" in pages[-1] or "left 149" in pages[-2]


def test_a_long_table_goes_on_beside_what_is_shorter() -> None:
    rows = [[f"row {number}"] for number in range(150)]
    panels = [
        Panel("L", ReportTable(["One"], rows), 6),
        Panel("Top", Figure(12.5, "%"), 6, column=6, row=0),
        Panel("Low", Prose(["beside it"]), 6, column=6, row=2),
    ]
    content = write(Report("R", sections=[Section("S", panels), Section("Next", text="then this")]), {})
    pages = poppler(content, "-raw").split("\f")[:-1]
    assert "12.5 %" in pages[0]
    assert "beside it" in pages[0]
    assert "row 0\n" in pages[0]
    assert "row 149\n" in pages[-1]
    assert pages[-1].index("row 149") < pages[-1].index("then this")
    assert len(pages) == 4


def test_panels_that_are_too_high_for_a_page_come_one_below_the_other() -> None:
    panels = [
        Panel("L", ReportTable(["One"], [["left"]]), 6),
        Panel("Tall", Figure(1), 6, height=60),
        Panel("Long", Prose(["a paragraph with some words in it " * 900]), 6),
    ]
    long = "text of the section " * 900
    content = write(Report("R", sections=[Section("S", panels, text=long), Section("Next")]), {}, contents=False)
    text = " ".join(poppler(content, "-raw").split())
    assert text.count("text of the section") + text.count("text of the") > 900
    assert len(re.findall(r"paragraph", text)) == 900
    assert text.index("left") < text.index("Tall") < text.index("Long") < text.index("Next")


@pytest.mark.parametrize("name", ["missing.ttf", "no font.ttf"])
def test_a_font_that_is_none_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "no font.ttf").write_bytes(b"nothing of the kind")
    with pytest.raises(ConfigurationError, match=f"The font {name} cannot be used") as told:
        Faces(Book(), tmp_path / name, FONTS.bold, ())
    assert "[brand]" in str(told.value.hint)


def test_fonts_are_embedded_when_they_are_needed(tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"nothing of the kind")
    book = Book()
    # The bold font stands for one that has what the first does not have.
    lacks = next(
        code
        for code in sorted(characters_of(FONTS.bold) | {0x1F600})
        if code > 0x2FF and code in characters_of(FONTS.regular)
    )
    small = tmp_path / "small.ttf"
    options = subset.Options(notdef_outline=True)
    with subset.load_font(str(FONTS.regular), options) as font:
        cut = subset.Subsetter(options)
        cut.populate(unicodes=[*range(0x20, 0x7F)])
        cut.subset(font)
        subset.save_font(font, str(small), options)
    faces = Faces(book, small, small, [tmp_path / "broken.ttf", FONTS.regular, FONTS.bold])
    assert [run.font for run in faces.runs("plain")] == ["F1"]
    assert [run.font for run in faces.runs(f"x{chr(lacks)}y")] == ["F3"]
    assert [run.font for run in faces.runs(f"{chr(lacks)}\U0010fffd")] == ["F3", "F1"]
    assert faces.missing == {0x10FFFD: 1}
    assert faces.show(f"x{chr(lacks)}y", size=8).startswith(b"/F3 8 Tf <")
    assert faces.width("xy", size=10) == pytest.approx(sum(faces.advances("xy")) * 10)


def test_pages_are_full_and_rows_whole() -> None:
    """A thousand rows of one line each: every page but the last has as many as the one before."""
    frame = pl.DataFrame({"n": range(1000), "t": [f"row {number}" for number in range(1000)]})
    content = write(one_table("t"), {"t": frame})
    pages = poppler(content, "-raw").split("\f")[:-1]
    counts = [len(re.findall(r"^\d+ row \d+$", page, re.MULTILINE)) for page in pages]
    assert sum(counts) == 1000
    assert len(set(counts[1:-1])) == 1
    assert counts[1] > 45
    assert all(page.count("n t\n") == 1 for page in pages)


def test_columns_are_written_as_single_texts_are() -> None:
    """Looking characters up a column at a time gives what setting each text gives."""
    values = ["", "plain", "Zażółć", "1,234.5", "a b", "AVAWA", "\u2014", "(x)"] * 3
    faces = Faces(Book(), FONTS.regular, FONTS.bold, ())
    texts = Texts.measured(pl.Series(values), faces)
    assert texts.special is None
    (cells,) = drawn([texts], faces, [Setting(8.0, 500.0, 10.0, 40, is_right=False)])
    for text, show, width in zip(values, cells.shows, cells.widths, strict=True):
        runs = faces.runs(text)
        assert show == f"<{''.join(run.codes for run in runs)}> Tj"
        assert width == pytest.approx(faces.width(text, size=8.0), abs=0.01)


def test_only_what_is_hard_is_set_one_by_one() -> None:
    faces = Faces(Book(), FONTS.regular, FONTS.bold, ())
    texts = Texts.measured(pl.Series(["plain", "مرحبا", "two\nlines", "x\u200by", ""]), faces)
    assert texts.special is not None
    assert texts.special.to_list() == [False, True, True, True, False]
    assert texts.widths[2] == np.round(1000 * faces.width("lines", size=1))


def test_lines_are_no_wider_than_they_may_be() -> None:
    faces = Faces(Book(), FONTS.regular, FONTS.bold, ())
    text = "The proxy http://proxy.example.net:8080/a/very/long/path did not answer: " + "x" * 80 + " end"
    lines = wrapped(text, faces, size=8.0, width=120.0)
    assert all(faces.width(line, size=8.0) <= 120.01 for line in lines)
    assert squashed(lines) == squashed([text])
    assert lines[0] == "The proxy http://proxy."
    assert wrapped("", faces, size=8.0, width=10.0) == [""]
    assert wrapped("one\n\ntwo", faces, size=8.0, width=100.0) == ["one", "", "two"]


def test_what_has_no_look_is_left_out_or_shown_by_a_sign() -> None:
    assert visible("a\u200b\u202eb\ufe0f") == "ab"
    assert visible("\x07\x7f\t") == "\u2407\u2421 "


def test_arabic_letters_join() -> None:
    faces = Faces(Book(), FONTS.regular, FONTS.bold, ())
    font = faces.primary()
    if not font.has(0xFEE1):
        pytest.skip("the font of documents has no Arabic here")
    (run,) = faces.runs("سلام")
    # From the left: meem alone, lam and alef in one, seen at the beginning.
    codes = [
        font.code_of_form(form, letters)
        for form, letters in ((0xFEE1, (0x645,)), (0xFEFC, (0x644, 0x627)), (0xFEB3, (0x633,)))
    ]
    assert run.codes == "".join(f"{code:04X}" for code in codes)
    (mixed,) = faces.runs("(سلام) 12")
    assert len(mixed.codes) == 4 * 8


def test_pages_can_be_drawn(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "c.pdf").write_bytes(content)
    done = subprocess.run(
        ["pdftoppm", "-r", "30", "-png", str(tmp_path / "c.pdf"), str(tmp_path / "page")],
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    assert len(list(tmp_path.glob("page-*.png"))) == len(PdfReader(io.BytesIO(content)).pages)


def test_wrapped_texts_are_searched_as_they_were() -> None:
    secret = "correct-horse-battery-staple-" * 4
    report = Report("R", sections=[Section("S", [
        Panel("P", ReportTable(["Cell", "Other"], [[secret, "12"], ["34", "56"]]), 2),
        Panel("Q", Prose([f"It is {secret.upper()} and that is all."]), 2),
    ])])  # fmt: skip
    text = b"".join(PdfFormat().searchable(SearchCall(iter([write(report, {})]), PdfOptions())))
    assert secret.encode() in text
    assert secret.upper().encode() in text
    # Cells beside and below each other are no text.
    assert b"1234" not in text
    assert b"3456" not in text


def test_cells_of_other_fonts_are_searched(content: bytes) -> None:
    text = b"".join(PdfFormat().searchable(SearchCall(iter([content]), PdfOptions())))
    # Text from the right is in the pages as it is drawn; in the data as it was written.
    assert {"שלום"[::-1].encode(), "שלום".encode()} <= {word for line in text.splitlines() for word in line.split(b",")}
