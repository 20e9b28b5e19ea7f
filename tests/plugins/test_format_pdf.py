"""The format ``pdf``: documents as poppler and pypdf read them, counted and searched by the format itself."""

import hashlib
import io
import json
import math
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pypdf import PdfReader
from tailrace_format_pdf import PdfFormat, PdfOptions

from tailrace import (
    Basis,
    Brand,
    Chart,
    Column,
    ConfigurationError,
    Context,
    Figure,
    IntegrityError,
    Meaning,
    OutgoingTable,
    Panel,
    Prose,
    Report,
    ReportTable,
    RereadCall,
    SearchCall,
    Section,
    Series,
    TableView,
    WriteCall,
    attached_csv,
)

FORMAT = PdfFormat()
MOMENT = datetime(2026, 8, 20, 6, 23, 17, tzinfo=UTC)
EMBEDDED = {"source": "health", "parameters": {"where": ["status != 'ok'"]}}
START = datetime(2026, 8, 13, tzinfo=UTC)
BASIS = Basis(1_408_231, START, START + timedelta(days=7), ["status != 'ok'"], "3 of 168 runs are missing.")
REASONS = ["", "slow", "Zażółć gęślą jaźń", "Ελληνικά", "Русский", ") Tj ET (x", "a\nb", "3 failures in a row " * 6]
ROWS = 130
CHECKS = pl.DataFrame(
    {
        "proxy": [f"http://10.{number % 250}.{number % 7}.1:{8000 + number}" for number in range(ROWS)],
        "checked": [START + timedelta(minutes=11 * number) for number in range(ROWS)],
        "ms": [None if number % 9 == 0 else 3.0 + number * 37 for number in range(ROWS)],
        "checks": [number * 131 for number in range(ROWS)],
        "reason": [REASONS[number % len(REASONS)] for number in range(ROWS)],
        "mark": [[None, "bad", None, "warning", "good"][number % 5] for number in range(ROWS)],
    }
)
MEANINGS = [
    Column("proxy", Meaning.URL),
    Column("checked", Meaning.TIMESTAMP),
    Column("ms", Meaning.MEASURE, "ms"),
    Column("checks", Meaning.MEASURE),
    Column("reason"),
    Column("mark", Meaning.CATEGORY),
]
VIEW = TableView(
    "checks",
    [("proxy", "Proxy"), ("checked", "Last checked"), ("ms", "Response"), ("checks", "Checks"), ("reason", "Reason")],
    mark="mark",
)
LINE = Chart(
    "line",
    [
        Series(
            "ok", [START + timedelta(hours=hour) for hour in range(48)], [90 + 8 * math.sin(hour) for hour in range(48)]
        )
    ],
    y_label="Availability",
    unit="%",
    y_range=(0, 100),
)
REPORT = Report(
    "Health of the proxies",
    "29,055 proxies of the pool main",
    ["Covers every check of the week.", "Proxies with fewer than 20 checks are not ranked."],
    [
        Section(
            "What to know",
            [
                Panel("Proxies that work", Figure(24012, detail="1.2 % fewer", mark="warning"), 3, basis=Basis(29055)),
                Panel("Availability", Figure(82.64, "%", mark="bad"), 3),
                Panel("Longest outage", Figure(None, "h"), 3),
                Panel("Availability fell", LINE, 8, description="A line that falls from 98 to 82.", basis=BASIS),
                Panel("In short", Prose(["The pool is well.", "But for one night."]), 4),
            ],
            text="The week on one page.",
        ),
        Section(
            "Failures",
            [
                Panel(
                    "By kind",
                    ReportTable(
                        ["Kind", "Count", "Share"],
                        [["timeout", 51200, 60.53], ["refused", 210, None], ["bad \ud800 text", 0, float("nan")]],
                        ["bad", None, "good"],
                        ["", "", "%"],
                    ),
                    6,
                    basis=BASIS,
                ),
                Panel("Nothing", ReportTable(["Kind"], []), 6),
            ],
        ),
        Section("All checks", [Panel("Every check", VIEW, basis=BASIS)], new_page=True),
    ],
    BASIS,
)
BRAND = Brand(name="Rivermill Networks", footer="Internal \N{EM DASH} do not pass on", accent="#7a1f5c")


def needs(tool: str) -> None:
    if shutil.which(tool) is None:
        if os.environ.get("REQUIRE_POPPLER") == "1":
            pytest.fail(f"there is no {tool}, and REQUIRE_POPPLER=1")
        pytest.skip(f"there is no {tool}")


def write(
    report: Report,
    tables: Mapping[str, tuple[pl.DataFrame, Sequence[Column]]],
    *,
    notes: list[str] | None = None,
    brand: Brand | None = None,
    moment: datetime | None = MOMENT,
    zone: str = "Europe/Warsaw",
    **options: Any,
) -> bytes:
    outgoing = [OutgoingTable(name, frame.lazy(), columns, zone) for name, (frame, columns) in tables.items()]
    output = io.BytesIO()
    call = WriteCall(
        outgoing,
        output,
        PdfOptions(**options),
        EMBEDDED,
        ([] if notes is None else notes).append,
        Context(),
        moment=moment,
        report=report,
        brand=brand or Brand(),
        user="maria",
        time_zone=zone,
    )
    FORMAT.write(call)
    return output.getvalue()


def count(content: bytes, columns: Mapping[str, int], *, thorough: bool = True) -> Mapping[str, int]:
    blocks = (content[at : at + 4096] for at in range(0, len(content), 4096))
    return FORMAT.count_rows(RereadCall(blocks, PdfOptions(), list(columns), thorough, columns))


def found(content: bytes) -> bytes:
    return b"".join(FORMAT.searchable(SearchCall(iter([content]), PdfOptions())))


def poppler(content: bytes, *flags: str, tool: str = "pdftotext") -> str:
    needs(tool)
    into = ["-"] if tool == "pdftotext" else []
    done = subprocess.run([tool, *flags, "-", *into], input=content, capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode()


def squashed(texts: Iterable[str]) -> str:
    """Texts without white space, and without the marks that poppler puts around text from the right."""
    return re.sub(r"[\s\u202a-\u202e\u2066-\u2069]", "", "".join(texts))


@pytest.fixture(scope="module")
def content() -> bytes:
    return write(REPORT, {"checks": (CHECKS, MEANINGS)}, brand=BRAND)


@pytest.fixture(scope="module")
def reader(content: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(content), strict=True)


@pytest.fixture(scope="module")
def raw(content: bytes) -> list[str]:
    """The text of each page in the order in which it is drawn."""
    return poppler(content, "-raw").split("\f")[:-1]


def test_first_page_says_what_it_is_about(raw: list[str]) -> None:
    for line in (
        "Rivermill Networks",
        "Health of the proxies",
        "29,055 proxies of the pool main",
        "Range 2026-08-13 02:00:00 \N{EN DASH} 2026-08-20 02:00:00, Europe/Warsaw",
        "Filters status != 'ok'",
        "Rows 1,408,231",
        "Generated 2026-08-20 08:23:17, Europe/Warsaw",
        "By maria",
        "Note 3 of 168 runs are missing.",
        "Covers every check of the week.",
        "Proxies with fewer than 20 checks are not ranked.",
        "The week on one page.",
        "But for one night.",
    ):
        assert line in raw[0].splitlines()


def test_key_figures_have_value_unit_sign_detail_and_basis(raw: list[str]) -> None:
    page = squashed(raw[0])
    assert "Proxiesthatwork24,012\N{BLACK UP-POINTING TRIANGLE}1.2%fewer29,055rows" in page
    assert "Availability82.6%\N{MULTIPLICATION X}" in page
    assert "Longestoutage\N{EN DASH}Availabilityfell" in page


def test_panels_tell_their_basis(raw: list[str]) -> None:
    span = "2026-08-13 02:00:00 \N{EN DASH} 2026-08-20 02:00:00"
    told = f"{span} \N{MIDDLE DOT} status != 'ok' \N{MIDDLE DOT} 1,408,231 rows"
    assert squashed([told, " \N{MIDDLE DOT} 3 of 168 runs are missing."]) in squashed(raw[-1])
    assert squashed([told]) in squashed(raw[0])


def test_pages_are_numbered_and_headed(raw: list[str]) -> None:
    assert len(raw) > 3
    for number, page in enumerate(raw, start=1):
        assert f"Internal \N{EM DASH} do not pass on Page {number} of {len(raw)}\n" in page
        head = "Rivermill Networks Health of the proxies\n"
        assert page.count(head) == int(number > 1)
        assert page.startswith("Rivermill Networks\nHealth of the proxies\n") == (number == 1)


def test_contents_lead_to_the_sections(reader: PdfReader, raw: list[str]) -> None:
    headings = ["What to know", "Failures", "All checks"]
    # The first page has the contents too, below which the first section begins.
    pages = [max(number for number, page in enumerate(raw) if heading in page.splitlines()) for heading in headings]
    links = [annotation.get_object() for annotation in reader.pages[0]["/Annots"]]  # type: ignore[attr-defined]
    targets = [reader.get_page_number(link["/Dest"][0].get_object()) for link in links]
    assert targets == pages
    for heading, page in zip(headings, pages, strict=True):
        assert f"{heading}{page + 1}" in squashed(raw[0]).replace(squashed([heading]), heading).replace(".", "")


def test_bookmarks_are_sections_and_panels(reader: PdfReader) -> None:
    def titles(outline: Any) -> list[Any]:
        return [titles(one) if isinstance(one, list) else one.title for one in outline]

    assert titles(reader.outline) == [
        "What to know", ["Availability fell", "In short"],
        "Failures", ["By kind", "Nothing"],
        "All checks", ["Every check"],
    ]  # fmt: skip


def test_every_table_reads_as_its_data(raw: list[str]) -> None:
    text, at = squashed(raw[page] for page in range(len(raw))), 0
    signs = {"bad": "\N{MULTIPLICATION X}", "warning": "\N{BLACK UP-POINTING TRIANGLE}", "good": "\N{CHECK MARK}"}
    local = CHECKS["checked"].dt.convert_time_zone("Europe/Warsaw").dt.strftime("%Y-%m-%d %H:%M:%S")
    assert text.count("ProxyLastcheckedResponse(ms)ChecksReason") == len(raw) - 2
    for number, (proxy, _, ms, checks, reason, mark) in enumerate(CHECKS.iter_rows()):
        shown = "\N{EN DASH}" if ms is None else f"{ms:,.0f}" if ms >= 10 else f"{ms:,.1f}"
        row = squashed([signs.get(mark, ""), proxy, local[number], shown, f"{checks:,}", reason])
        where = text.find(row, at)
        assert where >= at, row
        at = where + len(row)
    assert "KindCountShare(%)\N{MULTIPLICATION X}timeout51,20060.5refused210\N{EN DASH}" in text
    assert "\N{CHECK MARK}bad?text0NaN" in text
    assert "NothingKindNorows" in text


def test_figures_stand_at_the_right_and_nothing_outside_the_page(content: bytes) -> None:
    boxes = poppler(content, "-bbox")
    ends = set()
    for width, height, page in re.findall(r'<page width="([\d.]+)" height="([\d.]+)">(.*?)</page>', boxes, re.DOTALL):
        for box, word in re.findall(r"<word ([^>]*)>([^<]*)</word>", page):
            left, top, right, bottom = (float(value) for value in re.findall(r'"([-\d.]+)"', box))
            assert 20 < left < right < float(width) - 20, word
            assert 20 < top < bottom < float(height) - 20, word
            if re.fullmatch(r"1\d,\d{3}", word):
                ends.add(round(right, 1))
    # The column of checks, on three pages.
    assert len(ends) == 1


def test_the_smallest_type_can_be_read(reader: PdfReader) -> None:
    sizes = {
        float(size)
        for page in reader.pages
        for size in re.findall(rb"/F\d+ ([\d.]+) Tf", page.get_contents().get_data())  # type: ignore[union-attr]  # there is one
    }
    assert min(sizes) >= 6.5


def test_zebra_and_marks_are_behind_rows(reader: PdfReader) -> None:
    page = reader.pages[-2].get_contents()
    assert page is not None
    data = page.get_data().decode("latin-1")
    # Zebra, warning, bad and good: a colour each, beside the sign.
    for shade in ("0.962 0.968 0.976", "1 0.961 0.875", "0.995 0.918 0.912", "0.925 0.967 0.937"):
        assert f"{shade} rg" in data


def test_data_is_attached_in_full(reader: PdfReader) -> None:
    assert sorted(reader.attachments) == ["chart-01.csv", "checks.csv", "manifest.json"]
    assert reader.attachments["checks.csv"] == [attached_csv(CHECKS)]
    assert json.loads(reader.attachments["manifest.json"][0]) == EMBEDDED
    chart = pl.read_csv(reader.attachments["chart-01.csv"][0])
    assert chart.columns == ["series", "x", "Availability"]
    assert chart["Availability"].to_list() == list(LINE.series[0].y)
    specs = [one.get_object() for one in reader.root_object["/AF"]]  # type: ignore[attr-defined]
    assert {str(one["/UF"]): str(one["/AFRelationship"]) for one in specs} == {
        "chart-01.csv": "/Data", "checks.csv": "/Source", "manifest.json": "/Data",
    }  # fmt: skip
    kinds = {str(one["/UF"]): str(one["/EF"]["/F"]["/Subtype"]) for one in specs}
    assert kinds == {"chart-01.csv": "/text/csv", "checks.csv": "/text/csv", "manifest.json": "/application/json"}


def test_document_says_what_it_is(reader: PdfReader) -> None:
    told = reader.metadata
    assert told is not None
    assert (told.title, told.author, told.subject) == (
        "Health of the proxies", "Rivermill Networks", "29,055 proxies of the pool main",
    )  # fmt: skip
    assert told.creation_date == MOMENT
    assert str(told.creator).startswith("Tailrace ")
    root = reader.root_object
    assert str(root["/Lang"]) == "en"
    assert root["/MarkInfo"]["/Marked"].value is True  # type: ignore[index]


def test_document_keeps_to_pdf_a(reader: PdfReader) -> None:
    root = reader.root_object
    xmp = root["/Metadata"].get_object().get_data().decode()  # type: ignore[union-attr]
    assert "<pdfaid:part>3</pdfaid:part><pdfaid:conformance>U</pdfaid:conformance>" in xmp
    assert "<xmp:CreateDate>2026-08-20T06:23:17+00:00</xmp:CreateDate>" in xmp
    assert root["/OutputIntents"][0].get_object()["/S"] == "/GTS_PDFA1"  # type: ignore[index]
    assert reader.trailer["/ID"]
    for font in reader.pages[0]["/Resources"]["/Font"].values():  # type: ignore[index]
        descendant = font.get_object()["/DescendantFonts"][0].get_object()
        assert "/FontFile2" in descendant["/FontDescriptor"].get_object()


def test_what_is_drawn_has_words(reader: PdfReader) -> None:
    elements = [one.get_object() for one in reader.root_object["/StructTreeRoot"]["/K"][0].get_object()["/K"]]  # type: ignore[index]
    assert [str(one["/Alt"]) for one in elements if one["/S"] == "/Figure"] == ["A line that falls from 98 to 82."]
    kinds = [str(one["/S"]) for one in elements]
    assert kinds.count("/H1") == 4
    assert kinds.count("/H2") == 5


def test_rows_are_counted_from_the_document(content: bytes) -> None:
    assert count(content, {"checks": 6}) == {"checks": ROWS}
    assert count(content, {"checks": 6}, thorough=False) == {"checks": ROWS}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: content[: len(content) // 2], "its end is missing"),
        (lambda _: b"", "its end is missing"),
        (lambda _: b"%PDF-1.7\n" + b"x" * 100 + b"%%EOF\n", "damaged"),
        (lambda content: content.replace(b"(checks.csv)", b"(chicks.csv)"), "lacks the data of the table checks"),
        (lambda content: content.replace(b"(manifest.json)", b"(manifold.json)"), "no manifest"),
        (lambda content: content.replace(b"(chart-01.csv)", b"(checks.csv)  "), "one name"),
    ],
)  # fmt: skip
def test_damage_is_seen(content: bytes, damage: Any, words: str) -> None:
    with pytest.raises(IntegrityError, match=words):
        count(damage(content), {"checks": 6})


def test_flipped_bytes_of_data_are_seen(content: bytes, reader: PdfReader) -> None:
    where = content.index(reader.root_object["/AF"][1].get_object()["/EF"]["/F"].get_object()._data)  # type: ignore[index]  # noqa: SLF001 - the bytes in the file
    flipped = bytearray(content)
    flipped[where + 40] ^= 0x10
    with pytest.raises(IntegrityError):
        count(bytes(flipped), {"checks": 6})


def test_other_columns_are_seen(content: bytes) -> None:
    with pytest.raises(IntegrityError, match="has 6 columns, not 5"):
        count(content, {"checks": 5})


def test_a_page_that_is_gone_is_seen_when_looked_at_closely(content: bytes) -> None:
    kids = re.search(rb"/Kids \[(\d+ 0 R)\s(\d+ 0 R)", content)
    assert kids is not None
    fewer = content.replace(kids[0], kids[0].replace(kids[2], kids[1]), 1)
    assert count(fewer, {"checks": 6}, thorough=False) == {"checks": ROWS}
    with pytest.raises(IntegrityError, match="Page 2 of the document is not"):
        count(fewer, {"checks": 6})


def test_everything_that_can_be_read_is_searched(content: bytes) -> None:
    text = found(content)
    for word in (
        "Zażółć gęślą jaźń", ") Tj ET (x", "http://10.100.2.1:8100", "Rivermill Networks", "Page 2 of", "maria",
        "A line that falls from 98 to 82.", "What to know", "status != 'ok'", "Internal", "Availability",
        "All 130 rows of the table checks",
    ):  # fmt: skip
        assert word.encode() in text, word
    # A cell is in the pages, and not only in the data.
    assert text.index(b"2026-08-13 02:11:00") < text.index(attached_csv(CHECKS)[:100])


def test_a_chart_is_text_and_lines(raw: list[str], reader: PdfReader) -> None:
    assert "Availability" in raw[0]
    assert "100%" in squashed(raw[0])
    assert "/XObject" not in reader.pages[0]["/Resources"]  # type: ignore[operator]


def test_equal_data_gives_equal_bytes() -> None:
    report = Report("R", sections=[Section("S", [Panel("P", VIEW), Panel("Q", Prose(["中文 مرحبا \U0001f600"]))])])
    one, other = (
        write(report, {"checks": (CHECKS, MEANINGS)}, stamped=False, moment=MOMENT + timedelta(days=days))
        for days in (0, 40)
    )
    assert one == other
    assert b"/CreationDate" not in one
    assert "Generated" not in found(one).decode(errors="replace").split("Page 1 of")[0]


def test_bytes_do_not_depend_on_the_seed_of_hashes() -> None:
    script = (
        "import hashlib, sys; sys.path.insert(0, sys.argv[1]); import test_format_pdf as tests;"
        "print(hashlib.sha256(tests.seedless()).hexdigest())"
    )
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-c", script, str(Path(__file__).parent)]
    other = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip()
    assert other == hashlib.sha256(seedless()).hexdigest()


def test_more_rows_than_are_drawn_are_told_and_attached() -> None:
    notes: list[str] = []
    report = Report("R", sections=[Section("S", [Panel("Every check", VIEW)])])
    content = write(report, {"checks": (CHECKS, MEANINGS)}, notes=notes, most_rows=40)
    told = "First 40 of 130 rows; all of them are attached to this document as checks.csv."
    assert told in poppler(content, "-raw").replace("\n", " ")
    assert notes == [f"Every check: f{told[1:]}"]
    assert count(content, {"checks": 6}) == {"checks": 130}
    assert "http://10.40.5.1:8040" not in poppler(content, "-raw")


def seedless() -> bytes:
    report = Report("Zażółć \u4e2d\u6587", sections=[Section("S", [Panel("P", VIEW), Panel("Q", Figure(1.5))])])
    return write(report, {"checks": (CHECKS, MEANINGS)})


def png() -> bytes:
    """A picture of four points."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"\x00\xff\x00\x00\x00\x00\xff" * 2
    head = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("logo.png", png()),
        (
            "logo.svg",
            b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><rect width="40" height="20"/></svg>',
        ),
    ],
)
def test_logo_is_on_the_first_page(tmp_path: Path, name: str, picture: bytes) -> None:
    (tmp_path / name).write_bytes(picture)
    content = write(Report("R"), {}, brand=Brand(name="Rivermill", logo=tmp_path / name))
    assert b"Logo of Rivermill" in found(content)
    needs("pdftoppm")
    shot = subprocess.run(["pdftoppm", "-r", "20"], input=content, capture_output=True, check=True).stdout
    width, _, pixels = int(shot.split()[1]), int(shot.split()[2]), shot.split(b"\n255\n", 1)[1]
    corner = {pixels[3 * (y * width + x) : 3 * (y * width + x) + 3] for y in range(12, 22) for x in range(110, 150)}
    assert any(max(colour) < 255 or min(colour) < 40 for colour in corner)


def test_a_logo_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"no picture")
    with pytest.raises(ConfigurationError, match=r"The logo logo\.png cannot be drawn") as told:
        write(Report("R"), {}, brand=Brand(logo=tmp_path / "logo.png"))
    assert "[brand]" in str(told.value.hint)


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (595.28, 841.89)),
        ({"orientation": "landscape"}, (841.89, 595.28)),
        ({"paper": "Letter"}, (612.0, 792.0)),
        ({"paper": "Letter", "orientation": "landscape"}, (792.0, 612.0)),
    ],
)
def test_paper(options: dict[str, Any], size: tuple[float, float]) -> None:
    box = PdfReader(io.BytesIO(write(Report("R"), {}, **options))).pages[0].mediabox
    assert (float(box.width), float(box.height)) == size


def test_wide_tables_turn_the_pages() -> None:
    frame = pl.DataFrame({f"column_{number}": ["some longer text"] for number in range(9)})
    report = Report("R", sections=[Section("S", [Panel("P", TableView("t"))])])
    tables = {"t": (frame, [Column(name) for name in frame.columns])}
    assert PdfReader(io.BytesIO(write(report, tables))).pages[0].mediabox.width > 800
    upright = write(report, tables, orientation="portrait")
    assert PdfReader(io.BytesIO(upright)).pages[0].mediabox.width < 600
    assert squashed(["some longer text"] * 9) in squashed(poppler(upright, "-raw"))


@pytest.mark.parametrize("rows", [0, -5])
def test_no_rows_at_all_cannot_be_asked_for(rows: int) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        PdfOptions(most_rows=rows)
