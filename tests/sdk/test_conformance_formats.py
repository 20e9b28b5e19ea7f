"""First-party formats, and the fake one, against the conformance kit; each file is read by somebody else, too."""

import base64
import csv
import gzip
import html
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
from pypdf import PdfReader
from tailrace_sdk.conformance import FormatConformance

from tailrace import Engine

_LINK = re.compile(r'<a data-table="([^"]*)" [^>]*href="data:application/gzip;base64,([^"]*)">')


class TestCsv(FormatConformance):
    target = "tailrace_format_csv"
    name = "csv"
    streams = True

    def read_back(self, engine: Engine, path: Path) -> Mapping[str, pl.DataFrame]:
        return {"rows": read_csv(path.read_bytes())}


class TestJson(FormatConformance):
    target = "tailrace_format_json"
    name = "json"
    streams = True
    many_tables = True
    carries_manifest = True
    nested = True

    def read_back(self, engine: Engine, path: Path) -> Mapping[str, pl.DataFrame]:
        document = json.loads(path.read_text(encoding="utf-8"), parse_float=str, parse_int=str)
        tables = {name: rows for name, rows in document.items() if name != "manifest"}
        return {name: as_frame(rows) for name, rows in tables.items()}


class TestExcel(FormatConformance):
    target = "tailrace_format_excel"
    name = "excel"
    streams = True
    reads = True
    many_tables = True
    container = True
    checksummed = True
    # A workbook of ten million rows is one that no program opens.
    rows_at_most = 1_000_000
    # Each different text is kept, up to a limit: here all are.
    memory_at_most = 512 << 20


class TestHtml(FormatConformance):
    target = "tailrace_format_html"
    name = "html"
    options: ClassVar[Mapping[str, Any]] = {"stamped": False}
    many_tables = True
    container = True
    documents = True
    nested = True
    rows_at_most = 50_000

    def read_back(self, engine: Engine, path: Path) -> Mapping[str, pl.DataFrame]:
        found = _LINK.findall(path.read_text(encoding="utf-8"))
        return {html.unescape(name): attached(gzip.decompress(base64.b64decode(data))) for name, data in found}


class TestPdf(FormatConformance):
    target = "tailrace_format_pdf"
    name = "pdf"
    options: ClassVar[Mapping[str, Any]] = {"stamped": False}
    many_tables = True
    container = True
    documents = True
    nested = True
    rows_at_most = 50_000

    def read_back(self, engine: Engine, path: Path) -> Mapping[str, pl.DataFrame]:
        files = PdfReader(path).attachments
        return {name.removesuffix(".csv"): attached(data) for name, (data,) in files.items() if name.endswith(".csv")}


def as_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of JSON as texts."""

    def text(value: object) -> str | None:
        if isinstance(value, bool):
            return str(value).lower()
        return value if value is None or isinstance(value, str) else json.dumps(value)

    return pl.DataFrame([{name: text(value) for name, value in row.items()} for row in rows], infer_schema_length=None)


def attached(content: bytes) -> pl.DataFrame:
    """A table that a document carries, without the guard against spreadsheets."""
    frame = read_csv(content)
    plain = [values.alias("").str.strip_prefix("'") for values in frame]
    names = [name.removeprefix("'") for name in frame.columns]
    return pl.DataFrame([values.alias(name) for name, values in zip(names, plain, strict=True)])


def read_csv(content: bytes) -> pl.DataFrame:
    """A CSV by polars, which tells null from an empty text; its header by Python, which takes quotes out of it."""
    frame = pl.read_csv(content, infer_schema=False)
    frame.columns = next(csv.reader(io.StringIO(content.decode(), newline="")))
    return frame
