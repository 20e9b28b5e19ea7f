"""The profile ``excel`` of the format ``csv`` with the same table: no formula, no link, and the exact texts again."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from tailrace_format_csv import CsvFormat, CsvOptions

from tailrace import Column, Context, OutgoingTable, WriteCall

from .cells import expected, same
from .conftest import OFFICE
from .named import NAMED, frame_of, series_of
from .readers import Either, Office, read_fods, read_office

NAMES = ["number", "=1+1", "@SUM(1)", "plain"]
DELIMITERS = {"comma": ",", "semicolon": ";"}
AS_TEXT, AS_IT_GUESSES = "2", ""
"""How LibreOffice is to read columns."""


def write(frame: pl.DataFrame, **options: Any) -> bytes:
    output = io.BytesIO()
    table = OutgoingTable("named", frame.lazy(), tuple(map(Column, frame.columns)))
    CsvFormat().write(WriteCall((table,), output, CsvOptions(**options), {}, lambda _note: None, Context()))
    return output.getvalue()


def source(delimiter: str, columns: int, read_as: str) -> str:
    """The filter of LibreOffice: UTF-8, special numbers detected, formulas evaluated, which is as bad as it can get."""
    formats = "/".join(f"{number}/{read_as}" for number in range(1, columns + 1)) if read_as else ""
    detect = "false" if read_as else "true"
    return (
        f"Text - txt - csv (StarCalc):{ord(delimiter)},34,76,1,{formats},1033,false,{detect},false,false,false,-1,true"
    )


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    frame = frame_of(series_of(NAMED))
    return frame.rename({old: new for old, new in zip(frame.columns, NAMES, strict=False) if new != "plain"})


@pytest.fixture(scope="module")
def texts(frame: pl.DataFrame) -> Sequence[Sequence[Any]]:
    """What every field has to say, row by row; numbers are left as numbers."""
    columns = []
    for column in frame:
        if column.dtype.is_numeric() or column.dtype == pl.Boolean():
            columns.append(column.to_list())
        else:
            columns.append([value or "" for value in expected(column, iso=True)])
    return list(zip(*columns, strict=True))


@pytest.fixture(scope="module")
def files(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("csv")
    made = {name: write(frame, profile="excel", delimiter=delimiter) for name, delimiter in DELIMITERS.items()}
    made["control"] = write(frame)
    for name, content in made.items():
        (folder / f"{name}.csv").write_bytes(content)
    return {name: folder / f"{name}.csv" for name in made}


def restored(field: str) -> str:
    return field.removeprefix("'")


def equal(wanted: Any, field: str) -> bool:
    text = restored(field)
    if wanted is None or isinstance(wanted, str):
        return text == (wanted or "")
    if isinstance(wanted, bool):
        return text == str(wanted).lower()
    if isinstance(wanted, float) and math.isnan(wanted):
        return text == "NaN"
    return bool(type(wanted)(text) == wanted)


def differences(wanted: Sequence[Sequence[Any]], rows: Sequence[Sequence[str]]) -> list[str]:
    assert len(rows) == len(wanted)
    return [
        f"row {number}: wanted {value!r}, got {field!r}"[:300]
        for number, (values, fields) in enumerate(zip(wanted, rows, strict=True), start=1)
        for value, field in zip(values, fields, strict=True)
        if not equal(value, field)
    ]


@pytest.mark.parametrize("name", DELIMITERS)
def test_the_standard_library_gives_everything_back(
    name: str, files: Mapping[str, Path], frame: pl.DataFrame, texts: Sequence[Sequence[Any]]
) -> None:
    with files[name].open(newline="", encoding="utf-8-sig") as file:
        headers, *rows = csv.reader(file, delimiter=DELIMITERS[name])
    assert list(map(restored, headers)) == frame.columns
    assert differences(texts, rows) == []
    assert not [field for row in rows for field in row if field.startswith(("=", "+", "@", "\t", "\r", "\n"))]
    assert not [field for row in rows for field in row if field.startswith("-") and not is_number(field)]


def is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except ArithmeticError:
        return False


@pytest.mark.parametrize("engine", ["c", "python"])
@pytest.mark.parametrize("name", DELIMITERS)
def test_pandas_gives_everything_back(
    name: str, engine: Any, files: Mapping[str, Path], frame: pl.DataFrame, texts: Sequence[Sequence[Any]]
) -> None:
    read = pd.read_csv(
        files[name], sep=DELIMITERS[name], dtype=str, keep_default_na=False, encoding="utf-8-sig", engine=engine
    )
    assert list(map(restored, read.columns)) == frame.columns
    assert differences(texts, read.to_numpy().tolist()) == []


def test_libreoffice_gives_every_text_back(
    files: Mapping[str, Path], frame: pl.DataFrame, texts: Sequence[Sequence[Any]], office: Office, tmp_path: Path
) -> None:
    for extension in ("fods", "xls"):
        office.convert([files["comma"]], extension, tmp_path, source=source(",", frame.width, AS_TEXT))
    seen = read_office(tmp_path / "comma.fods", tmp_path / "comma.xls")
    assert (seen.formulas, seen.links) == (0, 0)
    ((headers, *rows),) = seen.sheets.values()
    assert list(map(restored, headers)) == frame.columns
    lost = []
    for wanted, row in zip(texts, rows, strict=True):
        for value, got in zip(wanted, [*row, *[None] * (len(wanted) - len(row))], strict=True):
            found = (got.first or "", got.second) if isinstance(got, Either) else (got or "",)
            if not any(equal(value, one) or same(value, restored(one), OFFICE) for one in found):
                lost.append(value)
    # It has no NUL at all.
    assert lost == ["a\0b"]


def test_libreoffice_runs_nothing_whatever_it_guesses(
    files: Mapping[str, Path], frame: pl.DataFrame, office: Office, tmp_path: Path
) -> None:
    for delimiter, names in {",": ("comma", "control"), ";": ("semicolon",)}.items():
        paths = [files[name] for name in names]
        office.convert(paths, "fods", tmp_path, source=source(delimiter, frame.width, AS_IT_GUESSES))
    seen = {name: read_fods(tmp_path / f"{name}.fods") for name in files}
    assert [(seen[name].formulas, seen[name].links) for name in DELIMITERS] == [(0, 0), (0, 0)]
    # The same without the guard, to see that there would have been something to run.
    assert (seen["control"].formulas or 0) >= 5
