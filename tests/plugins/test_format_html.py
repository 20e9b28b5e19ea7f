"""The format ``html``: what the page shows, what is inside, and that values of others do nothing."""

import base64
import csv
import gzip
import hashlib
import html
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tailrace_format_html import HtmlFormat, HtmlOptions
from tailrace_format_html.escaping import escaped, escaped_column

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
    UnknownNameError,
    WriteCall,
)
from tailrace.model.options import build_options

FORMAT = HtmlFormat()
START = datetime(2026, 8, 15, tzinfo=UTC)
HOSTILE = "</script><script>alert(1)</script>\"'&<!--\x00\u202e]]>"
EMBEDDED = {"schema_version": 2, "source": "health", "note": HOSTILE}
COLUMNS = [
    Column("proxy", Meaning.KEY),
    Column("checks", Meaning.MEASURE),
    Column("uptime", Meaning.MEASURE, "%"),
    Column("seen", Meaning.TIMESTAMP),
    Column("reason"),
    Column("mark"),
]


def proxies(rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "proxy": [f"http://192.0.2.{n % 250}:{8000 + n}" for n in range(rows)],
            "checks": [n * 1000 for n in range(rows)],
            "uptime": [None if n % 3 == 0 else n % 100 + 0.25 for n in range(rows)],
            "seen": [START + timedelta(minutes=n) for n in range(rows)],
            "reason": [HOSTILE if n == 1 else f"reason {n}" for n in range(rows)],
            "mark": [("bad", "warning", "good", None, "other")[n % 5] for n in range(rows)],
        },
        schema_overrides={"seen": pl.Datetime("us", "UTC")},
    )


def week() -> Report:
    """A report with every kind of content, as health has it."""
    hours = [START + timedelta(hours=n) for n in range(168)]
    days = [START + timedelta(days=n) for n in range(7)]
    line = Chart(
        "line",
        [Series("Availability", hours, [None if 60 <= n < 66 else 50.0 + n % 24 for n in range(168)])],
        unit="%",
        y_range=(0, 100),
        x_step=3600,
    )
    stacked = Chart("stacked", [Series(name, days, list(range(1, 8))) for name in ("timeout", HOSTILE)])
    heat = Chart("heatmap", [Series(name, list(range(6)), [1.0, 2.0, None, 4.0, 5.0, 6.0]) for name in ("DE", "US")])
    donut = Chart("donut", [Series("Failures", ["timeout", "refused"], [30.0, 10.0])])
    bars = Chart("bar", [Series("Checks", ["HTTP", "SOCKS"], [1.0, None])], y_label="Checks")
    counts = Chart("histogram", [Series("Checks", [0.0, 50.0, 100.0], [5.0, 3.0, 1.0])], x_step=50)
    basis = Basis(1_400_000, START, START + timedelta(days=7), ["country = 'DE'"], "6 hours without checks")
    return Report(
        f"Health {HOSTILE}",
        "From a pool",
        covers=["Every check of the week.", "Missing: 6 of 168 hours."],
        basis=basis,
        sections=[
            Section(
                "Summary",
                [
                    Panel("Proxies", Figure(29055, detail="1,204 more"), width=4),
                    Panel("Availability", Figure(61.234, "%", mark="warning"), width=4),
                    Panel("Longest outage", Figure(None, "h", "not measured", mark="bad"), width=4),
                    Panel("What happened", Prose(["It fell.", HOSTILE])),
                ],
            ),
            Section(
                "Charts",
                [
                    Panel("It fell on 20 August", line, description="Low on 20 August.", basis=basis),
                    Panel("Failures by day", stacked, width=6),
                    Panel("By hour", heat, width=6),
                    Panel("By type", donut, width=4, height=4),
                    Panel("By protocol", bars, width=4, height=4),
                    Panel("Response time", counts, width=4, height=4),
                ],
                text="All of the week.",
                new_page=True,
            ),
            Section(
                "Problems",
                [
                    Panel(
                        "Look at these",
                        TableView(
                            "proxies",
                            [("proxy", "Proxy"), ("checks", "Checks"), ("uptime", "Uptime"), ("reason", "Why")],
                            most=40,
                            mark="mark",
                        ),
                    ),
                    Panel(
                        "Coverage",
                        ReportTable(["Day", "Runs"], [["Mon", 24], ["Tue", None]], marks=[None, "bad"]),
                        width=6,
                        column=3,
                        row=5,
                    ),
                    Panel("Everything", TableView("proxies")),
                    Panel("Not here", TableView("runs")),
                ],
            ),
        ],
    )


def write(
    report: Report, *tables: OutgoingTable, brand: Brand | None = None, moment: Any = None, **options: Any
) -> str:
    output = io.BytesIO()
    call = WriteCall(
        tables,
        output,
        build_options(HtmlOptions, options, owner="format html"),
        EMBEDDED,
        lambda _note: None,
        Context(),
        moment=moment or datetime(2026, 8, 22, 6, tzinfo=UTC),
        report=report,
        brand=brand or Brand(name="Example House", footer="For internal use"),
        user="alice",
        time_zone="Europe/Berlin",
    )
    FORMAT.write(call)
    return output.getvalue().decode()


def table_of(frame: pl.DataFrame | pl.LazyFrame, name: str = "proxies") -> OutgoingTable:
    names = frame.collect_schema().names()
    return OutgoingTable(name, frame.lazy(), COLUMNS if names[0] == "proxy" else [Column(one) for one in names])


def plain(frame: pl.DataFrame, name: str = "t", **options: Any) -> str:
    """A page without charts."""
    report = Report("All", sections=[Section("Part", [Panel("All rows", TableView(name))])])
    return write(report, table_of(frame, name), **options)


class Reader(HTMLParser):
    """Reads a page the way a browser does: elements with their attributes, and the texts of some."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.cells: list[list[str]] = []
        self.texts: list[str] = []
        self._into: list[str] | None = None
        self.feed(page.replace(page[page.index("<template") : page.index("</template>")], ""))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag == "tr":
            self.cells.append([])
        if tag in {"td", "th"}:
            self.cells[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.cells.append([])

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.cells and self.cells[-1]:
            self.cells[-1][-1] += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [
            found
            for name, found in self.elements
            if name == tag and all(found.get(key.replace("_", "-")) == value for key, value in attributes.items())
        ]


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return proxies(3000)


@pytest.fixture(scope="module")
def page(frame: pl.DataFrame) -> str:
    return write(week(), table_of(frame), most_rows=50)


@pytest.fixture(scope="module")
def reader(page: str) -> Reader:
    return Reader(page)


def blocks(content: str | bytes) -> Iterator[bytes]:
    raw = content.encode() if isinstance(content, str) else content
    return iter([raw[:1000], raw[1000:]])


def count(content: str | bytes, columns: Mapping[str, int]) -> Mapping[str, int]:
    return FORMAT.count_rows(RereadCall(blocks(content), HtmlOptions(), list(columns), thorough=True, columns=columns))


def attached(page: str, kind: str, of: str) -> list[list[str]]:
    (link,) = Reader(page).all("a", **{f"data_{kind}": of})
    content = gzip.decompress(base64.b64decode(link["href"].removeprefix("data:application/gzip;base64,")))
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


# --- what the page shows


def test_the_heading_says_what_it_is_about_and_who_made_it(page: str) -> None:
    header = page[page.index("<header>") : page.index("</header>")]
    told = [html.unescape(text) for text in re.findall(r">([^<>]+)<", header) if text.strip()]
    assert told == [
        "Example House",
        f"Health {HOSTILE}".replace("\x00", "\ufffd").replace("\u202e", "\ufffd"),
        "From a pool",
        "About", "2026-08-15 02:00:00 to 2026-08-22 02:00:00, end not included",
        "where country = 'DE'",
        "1,400,000 rows",
        "6 hours without checks",
        "Generated", "2026-08-22 08:00:00 Europe/Berlin",
        "By", "alice",
        "Time zone", "Europe/Berlin",
        "Every check of the week.",
        "Missing: 6 of 168 hours.",
    ]  # fmt: skip
    assert "For internal use" in page[page.index("<footer>") :]


def test_the_contents_lead_to_the_sections(reader: Reader) -> None:
    targets = [link["href"] for link in reader.all("a") if link["href"].startswith("#")]
    assert targets[:4] == ["#section-1", "#section-2", "#section-3", "#data"]
    assert {target[1:] for target in targets} <= {found.get("id") for _tag, found in reader.elements}


def test_panels_say_where_they_lie(reader: Reader) -> None:
    keys = ("data-panel", "data-column", "data-row", "data-width", "data-height")
    assert [" ".join(found[key] for key in keys) for found in reader.all("article")] == [
        "1 0 0 4 2", "2 4 0 4 2", "3 8 0 4 2", "4 0 2 12 1",
        "5 0 0 12 5", "6 0 5 6 5", "7 6 5 6 5", "8 0 10 4 4", "9 4 10 4 4", "10 8 10 4 4",
        "11 0 0 12 4", "12 3 5 6 4", "13 0 9 12 4", "14 0 13 12 4",
    ]  # fmt: skip


def test_panels_lie_there(page: str) -> None:
    assert "#panel-2{grid-column:5/span 4;grid-row:1/span 2}" in page
    assert "#panel-12{grid-column:4/span 6;grid-row:6/span 4}" in page


def test_figures_have_units_and_marks_for_everybody(page: str) -> None:
    values = re.findall(r'<p class="value (\w*)">(.*?)</p>', page)
    told = [(mark, re.sub(r"<[^>]+>", "|", content).replace("||", "|")) for mark, content in values]
    assert told == [
        ("", "|29,055|"),
        ("warning", "|◆|warning|61.2| |%|"),
        ("bad", "|▲|bad|–|"),  # noqa: RUF001 - the dash for nothing
    ]


def test_charts_can_be_heard(page: str, reader: Reader) -> None:
    drawings = reader.all("svg", role="img")
    assert [found["aria-labelledby"] for found in drawings] == [f"panel-{n}-t panel-{n}-d" for n in range(5, 11)]
    assert '<title id="panel-5-t">It fell on 20 August</title><desc id="panel-5-d">Low on 20 August.</desc>' in page


def test_a_panel_says_its_basis(page: str) -> None:
    told = (
        "2026-08-15 02:00:00 to 2026-08-22 02:00:00, end not included · where country = &#39;DE&#39; · 1,400,000 rows"
    )
    assert f'<p class="basis">{told} · 6 hours without checks</p></article>' in page


def test_tables_show_their_first_rows_as_texts(reader: Reader) -> None:
    rows = [row for row in reader.cells if row]
    assert [text.strip() for text in rows[0]] == ["Mark", "Proxy", "Checks", "Uptime (%)", "Why"]
    assert [text.strip() for text in rows[1]] == ["▲bad", "http://192.0.2.0:8000", "0", "–", "reason 0"]  # noqa: RUF001
    shown = HOSTILE.replace("\x00", "\ufffd").replace("\u202e", "\ufffd")
    assert [text.strip() for text in rows[2]] == ["◆warning", "http://192.0.2.1:8001", "1,000", "1.2", shown]
    assert [text.strip() for text in rows[40]] == ["", "http://192.0.2.39:8039", "39,000", "–", "reason 39"]  # noqa: RUF001
    assert [[text.strip() for text in row] for row in rows[41:44]] == [
        ["Mark", "Day", "Runs"],
        ["", "Mon", "24"],
        ["▲bad", "Tue", "–"],  # noqa: RUF001 - the dash for nothing
    ]
    assert rows[45][3].strip() == "2026-08-15 02:00:00"
    assert len(rows) == 41 + 3 + 51


def test_numbers_stand_on_the_right(page: str) -> None:
    body = page[page.index('id="panel-11"') : page.index('id="panel-12"')]
    assert body.count('<td class="n">') == 2 * 40
    assert re.findall(r'<th scope="col"( class="n")?>', body) == ["", ' class="n"', ' class="n"', ""]


def test_what_is_not_shown_is_told(page: str) -> None:
    assert "Shown: first 40 of 3,000 rows; all of them are in" in page
    assert "Shown: first 50 of 3,000 rows; all of them are in" in page
    assert "The table runs is not part of this export." in page


def test_a_table_without_rows_says_so() -> None:
    page = plain(pl.DataFrame({"a": pl.Series([], dtype=pl.Int64)}))
    assert '<p class="none">No rows.</p>' in page
    assert count(page, {"t": 1}) == {"t": 0}


# --- values of others


def test_nothing_of_a_value_is_ever_markup(page: str, reader: Reader) -> None:
    scripts = re.findall(r"<script[^>]*>", page)
    assert scripts == ["<script>"]
    assert "alert(1)</script>" not in page
    assert not {"\x00", "\u202e"} & set(page)
    assert {tag for tag, _found in reader.elements} <= {
        "html", "head", "meta", "title", "style", "body", "template", "header", "h1", "h2", "h3", "p", "dl", "dt", "dd",
        "nav", "ol", "ul", "li", "a", "main", "section", "div", "article", "span", "strong", "small", "table", "thead",
        "tbody", "tr", "th", "td", "footer", "script", "svg", "desc", "g", "defs", "path", "rect", "text", "use",
        "clippath", "tspan",
    }  # fmt: skip
    assert not [name for _tag, found in reader.elements for name in found if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("text", ["plain", HOSTILE, "\x7f\x85\u2066a\u2069", "\ufffe\ufdd0", "é中\U0001f600\n\t", ""])
def test_columns_are_escaped_like_single_texts(text: str) -> None:
    column = pl.DataFrame({"text": [text, None]}).select(escaped_column(pl.col("text"))).to_series()
    assert column.to_list() == [escaped(text), None]
    assert not set(escaped(text)) & set("<>\"'\x00\x85\u2066\ufffe\u202e")


def test_the_policy_allows_the_one_style_and_the_one_script(page: str, reader: Reader) -> None:
    (policy,) = [found["content"] for found in reader.all("meta", http_equiv="Content-Security-Policy")]
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    hashes = {}
    for kind in ("style", "script"):
        ((content,),) = [re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)]
        hashes[kind] = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    assert allowed == {
        "default-src": "'none'",
        "style-src": f"'sha256-{hashes['style']}'",
        "script-src": f"'sha256-{hashes['script']}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_nothing_is_fetched(page: str, reader: Reader) -> None:
    addresses = [value for _tag, found in reader.elements for name, value in found.items() if name in {"href", "src"}]
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert "url(" not in page[: page.index("<body>")]
    assert "@import" not in page


# --- what is inside


def test_all_of_every_table_is_inside(page: str, frame: pl.DataFrame) -> None:
    rows = attached(page, "table", "proxies")
    assert rows[0] == frame.columns
    assert len(rows) == 3001
    assert rows[2][:3] == ["http://192.0.2.1:8001", "1000", "1.25"]
    assert rows[2][4] == HOSTILE
    (link,) = Reader(page).all("a", data_table="proxies")
    assert (link["download"], link["data-rows"]) == ("proxies.csv.gz", "3000")


def test_the_data_of_every_chart_is_inside(page: str) -> None:
    rows = attached(page, "panel", "5")
    assert rows[0] == ["series", "x", "y"]
    assert rows[1] == ["Availability", "2026-08-15T00:00:00.000000Z", "50.0"]
    assert rows[61] == ["Availability", "2026-08-17T12:00:00.000000Z", ""]
    assert attached(page, "panel", "8")[1:] == [["Failures", "timeout", "30.0"], ["Failures", "refused", "10.0"]]
    assert {found["data-panel"] for found in Reader(page).all("a") if "data-panel" in found} == set("56789") | {"10"}


def test_places_that_no_file_takes_stop_no_page() -> None:
    odd = Chart("bar", [Series("a\ud800", ["b\udfff", 10**30, None, True], [1.0, 2.0, 3.0, 4.0])])
    numbers = Chart("bar", [Series("n", [1, 10**30], [1.0, 2.0])])
    page = write(Report("All", sections=[Section("Part", [Panel("Odd", odd), Panel("Large", numbers)])]))
    assert attached(page, "panel", "1")[1:] == [
        ["a?", "b?", "1.0"], ["a?", f"{10**30:,}", "2.0"], ["a?", "", "3.0"], ["a?", "yes", "4.0"],
    ]  # fmt: skip
    assert attached(page, "panel", "2")[2][1:] == ["1e+30", "2.0"]
    said = html.unescape(reduced(page))
    assert f"<td>{10**30}</td>" in said
    assert "<td>yes</td>" in said


def test_the_manifest_is_inside(reader: Reader) -> None:
    (link,) = reader.all("a", data_manifest="")
    assert json.loads(base64.b64decode(link["href"].removeprefix("data:application/json;base64,"))) == EMBEDDED
    assert link["download"] == "manifest.json"


def test_each_table_is_collected_once() -> None:
    seen = []

    def look(batch: pl.DataFrame) -> pl.DataFrame:
        seen.append(batch.height)
        return batch

    frame = pl.LazyFrame({"a": [1, 2, 3]}).map_batches(look)
    report = Report("All", sections=[Section("Part", [Panel("One", TableView("t")), Panel("Two", TableView("t"))])])
    write(report, table_of(frame, "t"))
    assert sum(seen) == 3


def test_rows_are_counted_from_the_data(page: str) -> None:
    assert count(page, {"proxies": 6}) == {"proxies": 3000}


def test_names_of_tables_may_be_anything() -> None:
    name = "a/b <\"'&\u4e2d\u202e\x01"
    page = plain(pl.DataFrame({"=1": ["x\ny", "", None]}), name)
    assert count(page, {name: 1}) == {name: 3}
    (link,) = [found for found in Reader(page).all("a") if "data-table" in found]
    assert link["download"] == "a_b_\u4e2d.csv.gz"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda page: page[:-10], "its beginning or its end is missing"),
        (lambda page: page.replace('data-rows="3"', 'data-rows="4"'), "its data of table t has 3 rows, and says 4"),
        (lambda page: page.replace('data-table="t"', 'data-table="u"'), "it has the tables u, expected t"),
        (
            lambda page: page.replace('data-table="t"', "data-table=t"),
            "the links to its data are not as they are written",
        ),
        (lambda page: page.replace("data:application/gzip", "data:text/plain"), "is of another kind"),
        (lambda page: page.replace("gzip;base64,", "gzip;base64,!"), "its data of table t is no Base64"),
        (lambda page: page.replace("gzip;base64,", "gzip;base64,AAAA"), "cannot be unpacked"),
        (lambda page: re.sub(r"(gzip;base64,.{16})....", r"\1AAAA", page), "cannot be unpacked"),
        (lambda page: re.sub(r"(<li><a data-table.*\n)", r"\1\1", page), "it has the data of table t twice"),
        (lambda page: re.sub(r"<li><a data-table.*\n", "", page), "it has the tables none, expected t"),
    ],
)
def test_a_page_that_was_changed_is_told(change: Callable[[str], str], why: str) -> None:
    page = plain(pl.DataFrame({"a": [1, 2, 3]}))
    with pytest.raises(IntegrityError, match=re.escape(why)):
        count(change(page), {"t": 1})


def test_a_column_that_is_missing_is_told() -> None:
    with pytest.raises(IntegrityError, match="its data of table t has 1 columns, expected 2"):
        count(plain(pl.DataFrame({"a": [1, 2, 3]})), {"t": 2})


def test_everything_in_the_page_can_be_searched(page: str) -> None:
    found = b"".join(FORMAT.searchable(SearchCall(blocks(page), HtmlOptions()))).decode()
    # A row far below those that are shown, a text with quotes, the manifest, a label in a chart, the reduced form.
    for text in ["http://192.0.2.249:10999", "</script><script>alert(1)</script>\"'&<!--", '"source": "health"']:
        assert text in found
    assert re.search(r"<text [^>]*>100%</text>", found)


# --- the same bytes, sizes, options


def test_the_same_data_gives_the_same_bytes_on_any_day() -> None:
    frame = proxies(100)
    donut = Chart("donut", [Series("Failures", ["timeout", "refused"], [30.0, 10.0])])
    report = Report("All", sections=[Section("Part", [Panel("Types", donut), Panel("All", TableView("proxies"))])])
    pages = [
        write(report, table_of(frame), stamped=stamped, moment=datetime(2026, 8, day, tzinfo=UTC))
        for day, stamped in ((1, False), (2, False), (2, True))
    ]
    assert pages[0] == pages[1]
    assert "Generated" not in pages[0]
    assert "2026-08-02 02:00:00 Europe/Berlin" in pages[2]


def test_a_report_of_a_large_table_and_eight_charts_is_small(page: str) -> None:
    large = plain(proxies(30_000), "proxies")
    charts = len(page) - page.count("<tr") * 200
    assert len(large) + charts < 2_000_000
    assert Reader(large).cells[-1] == []
    assert len([row for row in Reader(large).cells if row]) == 1001


@pytest.mark.parametrize("value", ["0", "-5"])
def test_there_is_a_row_at_least(value: str) -> None:
    with pytest.raises(Exception, match="expected a number of rows, 1 or more"):
        build_options(HtmlOptions, {"most_rows": value}, owner="format html")
    with pytest.raises(UnknownNameError):
        build_options(HtmlOptions, {"rows": "5"}, owner="format html")


# --- the brand


def test_a_logo_is_an_image_so_that_nothing_in_it_runs(tmp_path: Path) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    page = plain(pl.DataFrame({"a": [1]}), brand=Brand(name="House", logo=logo, accent="#123456"))
    (image,) = Reader(page).all("img")
    assert image["alt"] == "House"
    assert base64.b64decode(image["src"].removeprefix("data:image/svg+xml;base64,")) == logo.read_bytes()
    assert "--accent:#123456" in page


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("none.png", None, r"none\.png cannot be read: no such file or directory"),
        ("logo.gif", b"GIF89a", r"logo\.gif is neither PNG nor SVG"),
        (
            "large.png",
            b"\x89PNG\r\n\x1a\n" + bytes(600_000),
            r"large\.png has 600,008 bytes; a page takes up to 524,288",
        ),
    ],
)
def test_a_logo_that_cannot_be_used_is_told(tmp_path: Path, name: str, content: bytes | None, why: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=why):
        plain(pl.DataFrame({"a": [1]}), brand=Brand(logo=tmp_path / name))


# --- the reduced form


def reduced(page: str) -> str:
    start = page.index('<template id="tailrace-mail">') + len('<template id="tailrace-mail">')
    return page[start : page.index("</template>")]


def test_the_reduced_form_is_near_the_beginning_and_small(page: str) -> None:
    assert page.index("<template") < 50_000
    assert len(reduced(page).encode()) < 24_500


def test_the_reduced_form_is_made_of_few_elements(page: str) -> None:
    tags = set(re.findall(r"<(/?\w+(?: class=\"\w+\")?)>", reduced(page)))
    assert reduced(page).count("<") == len(re.findall(r"</?\w+(?: class=\"\w+\")?>", reduced(page)))
    assert {tag for tag in tags if not tag.startswith("/")} == {
        "h2", "h3", "p", 'p class="quiet"', "table", 'table class="figures"', "tr", "th", 'th class="n"', "td",
        'td class="n"', "b", 'span class="warning"', 'span class="bad"', 'span class="good"', 'span class="quiet"',
    }  # fmt: skip


def test_the_reduced_form_says_the_most_important(page: str) -> None:
    said = html.unescape(re.sub(r"(<[^>]+>)+", "|", reduced(page)))
    for text in [
        "|Availability|◆ warning| |61.2%|",
        "|Low on 20 August.|",
        "|timeout: 1 (2026-08-15 02:00) to 7 (2026-08-21 02:00), last 7.|",
        "|DE: 1 (0) to 6 (5). 1 without data.|",
        "|timeout|30|",
        "|SOCKS|–|",  # noqa: RUF001 - the dash for nothing
        "|▲ bad| |http://192.0.2.0:8000|0|–|reason 0|",  # noqa: RUF001
        "|Shown: first 10 of 3,000 rows.|",
    ]:
        assert text in said


def test_a_reduced_form_that_would_be_large_is_cut() -> None:
    report = Report("All", sections=[Section(f"Part {n}", [Panel("P", Prose(["long " * 100]))]) for n in range(200)])
    page = write(report)
    assert len(reduced(page)) < 24_500
    assert reduced(page).endswith('<p class="quiet">There is more in the page itself.</p>\n')
    assert count(page, {}) == {}
