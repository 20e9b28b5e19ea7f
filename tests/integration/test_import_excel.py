"""Pools in workbooks: exported and restored, and taken from others."""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter
from polars.testing import assert_frame_equal

from tailrace import (
    CredentialMode,
    Engine,
    ExportRequest,
    ImportRequest,
    InvalidImportError,
    SinkRequest,
    SourceError,
    TamperedError,
)
from tailrace.cli import main
from tailrace.plugins.selection import PluginSelection
from tailrace.settings import Settings

PROXIES = (
    "http://ada:S3cret-word@192.0.2.1:8080\n"
    "socks5://=cmd:007@gw.example.com:1080\n"
    "https://%22quoted%22:line%20two@[2001:db8::1]:443\n"
    "http://192.0.2.9:3128\n"
)


SAMPLE = Path(__file__).parents[1] / "data" / "proxywhirl-sample.db"
# The key of the made-up credentials in the sample.
SAMPLE_KEY = "k3vF0aZ2mRr5Xb8yTq1wLs7uJd4gNh6cPoEi9tYxVaM="


@pytest.fixture(autouse=True)
def _files(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", SAMPLE_KEY)
    (elsewhere / "proxies.txt").write_text(PROXIES)
    assert main(["keys", "new", "master", "master.key", "--quiet"]) == 0


def exported(
    mode: CredentialMode, *, pool: str = "proxies.txt", name: str = "excel", options: Mapping[str, object] | None = None
) -> Path:
    request = ExportRequest(
        source="pool",
        location=pool,
        format=name,
        credentials=mode,
        openers=("file:master.key",) if mode is CredentialMode.FULL else (),
        sinks=(SinkRequest("disk", target="exports"),),
        options=dict(options or {}),
    )
    path = Engine().export(request).artifacts[0].path
    assert path is not None
    return path


def converted(path: Path, *words: str, to: str = "out.json") -> pl.DataFrame:
    assert main(["convert", str(path), to, "--overwrite", *words]) == 0
    return pl.read_json(io.BytesIO(Path(to).read_bytes()))


@pytest.fixture
def clear() -> pl.DataFrame:
    return converted(Path("proxies.txt"), to="clear.json")


ADDRESS = ["url", "protocol", "host", "port"]
LOGIN = [*ADDRESS, "username", "password"]


# --- our own exports


@pytest.mark.parametrize("options", [{}, {"about": False}, {"rows_per_sheet": 2}, {"cell_references": True}])
def test_a_full_export_is_restored(clear: pl.DataFrame, options: dict[str, object]) -> None:
    path = exported(CredentialMode.FULL, options=options)
    assert_frame_equal(converted(path, "--key", "file:master.key").select(LOGIN), clear.select(LOGIN))


def test_a_full_export_is_imported(clear: pl.DataFrame) -> None:
    path = exported(CredentialMode.FULL)
    assert main(["import", str(path), "--into", "restored.txt", "--key", "file:master.key"]) == 0
    assert_frame_equal(converted(Path("restored.txt")).select(LOGIN), clear.select(LOGIN))
    result = Engine().plan_import(ImportRequest(path, "restored.txt", keys=("file:master.key",)))
    assert (result.counts.add, result.counts.file) == (0, 4)


def test_a_sanitized_export_has_no_logins(clear: pl.DataFrame) -> None:
    frame = converted(exported(CredentialMode.SANITIZED))
    assert_frame_equal(frame.select(ADDRESS), clear.select(ADDRESS))
    assert frame.select("username", "password").null_count().row(0) == (4, 4)


def test_references_are_resolved(clear: pl.DataFrame) -> None:
    path = exported(CredentialMode.REFERENCE)
    engine = Engine()
    file = engine.keeper.read_pool(engine.read_pool_call(path))
    assert (file.dialect, file.credentials) == ("excel", CredentialMode.REFERENCE)
    names = ("username", "password")
    secrets = {
        reference: secret
        for name in names
        for reference, secret in zip(file.frame[name], clear[name], strict=True)
        if reference is not None
    }
    opened = engine.open_pool_file(engine.read_pool_call(path), resolver=secrets.get)
    assert_frame_equal(opened.frame.select(LOGIN), clear.select(LOGIN), check_dtypes=False)


def test_a_full_export_without_its_manifest_is_refused() -> None:
    path = exported(CredentialMode.FULL)
    path.with_name(path.name + ".manifest.json").unlink()
    with pytest.raises(InvalidImportError, match=r"manifest\.json, is not beside it"):
        Engine().plan_import(ImportRequest(path, "restored.txt", keys=("file:master.key",)))


@pytest.mark.parametrize("mode", [CredentialMode.FULL, CredentialMode.SANITIZED])
def test_a_changed_export_is_refused(mode: CredentialMode) -> None:
    path = exported(mode)
    content = bytearray(path.read_bytes())
    content[-1:] = b"\1\0"
    path.write_bytes(content)
    engine = Engine()
    problems = engine.keeper.read_pool(engine.read_pool_call(path)).problems
    assert [problem.where for problem in problems] == ["file"]
    assert "the content was changed" in problems[0].message
    with pytest.raises(TamperedError):
        engine.plan_import(ImportRequest(path, "restored.txt", keys=("file:master.key",)))


def test_a_seal_of_another_file_is_refused() -> None:
    path = exported(CredentialMode.FULL)
    place = path.with_name(path.name + ".manifest.json")
    manifest = json.loads(place.read_text())
    manifest["seal"]["sha256"] = "0" * 64
    place.write_text(json.dumps(manifest))
    with pytest.raises(InvalidImportError, match="not what was sealed"):
        Engine().plan_import(ImportRequest(path, "restored.txt", keys=("file:master.key",)))


@pytest.mark.parametrize("mode", [CredentialMode.FULL, CredentialMode.SANITIZED, CredentialMode.REFERENCE])
def test_a_workbook_holds_what_csv_holds(mode: CredentialMode) -> None:
    engine = Engine()
    read = [
        engine.keeper.read_pool(engine.read_pool_call(exported(mode, pool=str(SAMPLE), name=name)))
        for name in ("csv", "excel")
    ]
    assert [file.problems for file in read] == [(), ()]
    sealed = ["username", "password"] if mode is CredentialMode.FULL else []
    assert_frame_equal(*(file.frame.drop("place", *sealed) for file in read))
    assert read[0].frame["place"].str.replace("line", "row").to_list() == read[1].frame["place"].to_list()


def test_a_restored_database_is_the_one_that_was_exported() -> None:
    path = exported(CredentialMode.FULL, pool=str(SAMPLE))
    done = Engine().apply_import(ImportRequest(path, "fresh.db", keys=("file:master.key",)))
    assert (done.counts.add, done.losses) == (30, ())
    # Credentials included: the digest is of everything, in clear.
    again = exported(CredentialMode.FULL, pool=str(SAMPLE), name="json")
    plan = Engine().plan_import(ImportRequest(again, "fresh.db", keys=("file:master.key",)))
    assert plan.counts.unchanged == plan.counts.file == 30


# --- those of others


def foreign(path: Path, *tables: tuple[str, list[list[object]]]) -> Path:
    with xlsxwriter.Workbook(path, {"strings_to_formulas": False, "strings_to_urls": False}) as book:
        for name, rows in tables:
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return path


def test_a_list_of_others() -> None:
    rows: list[list[object]] = [
        ["IP Address", "Port", "Username", "Password", "Protocol", "Checked"],
        ["192.0.2.1", 8080, "ada", "=S3cret", "http", True],
        ["192.0.2.2", "1080", "", None, "socks5", False],
    ]
    path = foreign(Path("list.xlsx"), ("About", [["A list"], ["made by hand"]]), ("Proxies 2026", rows))
    assert main(["convert", str(path), "list.txt"]) == 0
    assert Path("list.txt").read_text() == "http://ada:%3DS3cret@192.0.2.1:8080\nsocks5://192.0.2.2:1080\n"


def test_whole_addresses_of_others() -> None:
    path = foreign(Path("socks5.xlsx"), ("x", [["Proxy"], ["192.0.2.1:8080"], ["http://a:b@192.0.2.2:80"]]))
    assert main(["convert", str(path), "list.txt"]) == 0
    assert Path("list.txt").read_text() == "socks5://192.0.2.1:8080\nhttp://a:b@192.0.2.2:80\n"


def test_problems_are_told_with_their_row() -> None:
    rows: list[list[object]] = [["ip", "port", "note"], ["192.0.2.1", 80, "two\nlines"], [], ["192.0.2.2", 0], ["", 81]]
    path = foreign(Path("list.xlsx"), ("x", rows))
    with pytest.raises(InvalidImportError) as raised:
        Engine().plan_import(ImportRequest(path, "restored.txt"))
    places = [problem.where for problem in raised.value.problems]
    assert places == ["row 4, column port", "row 5, column host"]


def test_rows_are_those_of_the_sheet() -> None:
    rows: list[list[object]] = [[], [], [], [], ["ip", "port"], ["192.0.2.1", 80], ["192.0.2.2", 0], [], ["", 81]]
    engine = Engine()
    path = foreign(Path("list.xlsx"), ("x", rows))
    file = engine.keeper.read_pool(engine.read_pool_call(path))
    assert [problem.where for problem in file.problems] == ["row 7, column port", "row 9, column host"]
    assert file.frame["place"].to_list() == ["row 6"]
    path = foreign(Path("list.xlsx"), ("x", [[], [], ["ip", "port", "IP"], ["192.0.2.1", 80]]))
    problems = engine.keeper.read_pool(engine.read_pool_call(path)).problems
    assert [problem.where for problem in problems] == ["header, column 3"]


def test_a_workbook_without_proxies() -> None:
    path = foreign(Path("list.xlsx"), ("x", [["name", "amount"], ["a", 1]]))
    with pytest.raises(InvalidImportError, match="no sheet begins with the names of columns"):
        Engine().plan_import(ImportRequest(path, "restored.txt"))


def test_the_dialect_decides() -> None:
    path = foreign(Path("list.xlsx"), ("x", [["ip", "port"], ["192.0.2.1", 80]]))
    assert main(["convert", str(path), "a.txt", "--from-dialect", "excel"]) == 0
    with pytest.raises(InvalidImportError, match="a zip archive"):
        Engine().plan_import(ImportRequest(path, "restored.txt", dialect="csv"))
    with pytest.raises(InvalidImportError, match="no workbook"):
        Engine().plan_import(ImportRequest(Path("proxies.txt"), "restored.txt", dialect="excel"))


def test_without_the_format_it_says_what_to_install() -> None:
    path = foreign(Path("list.xlsx"), ("x", [["ip", "port"], ["192.0.2.1", 80]]))
    engine = Engine(Settings(plugins=PluginSelection(deny=("format.excel",))))
    with pytest.raises(SourceError) as raised:
        engine.plan_import(ImportRequest(path, "restored.txt"))
    assert "pip install tailrace-format-excel" in raised.value.hint


def test_a_workbook_is_no_target() -> None:
    path = foreign(Path("list.xlsx"), ("x", [["ip", "port"], ["192.0.2.1", 80]]))
    before = path.read_bytes()
    with pytest.raises(SourceError, match="a zip archive"):
        Engine().apply_import(ImportRequest(Path("proxies.txt"), str(path)))
    assert path.read_bytes() == before


def test_a_list_is_not_written_under_the_name_of_a_workbook(elsewhere: Path, cli: Callable[..., Any]) -> None:
    (elsewhere / "list.txt").write_text("http://192.0.2.1:8080\n")
    for words in (["convert", "list.txt", "list.xlsx"], ["import", "list.txt", "--into", "new.xlsx"]):
        answer = cli(*words)
        assert answer.code == 2
        assert "would be no workbook" in " ".join(answer.err.split())
    assert not list(elsewhere.glob("*.xlsx"))
