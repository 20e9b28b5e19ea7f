"""What each kind of document becomes: proxies, places, problems, notes."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from cryptography.fernet import Fernet
from tailrace_source_pool.documents import apart
from tailrace_source_pool.documents.content import BLOCK
from tailrace_source_pool.documents.findings import Summary, gathered
from tailrace_source_pool.documents.json_text import JsonText
from tailrace_source_pool.documents.reading import limits_for, read_pool, scheme_of

from tailrace import (
    ConfigurationError,
    Context,
    CredentialMode,
    NewerVersionError,
    PoolFile,
    Problem,
    ReadPoolCall,
    RequestError,
    SourceError,
    WrongKeyError,
)

DATA = Path(__file__).parents[1] / "data"
FILE_STORAGE = DATA / "proxywhirl-file-storage-sample.json"
URL = "http://192.0.2.1:8080"

File = Callable[..., Path]


@pytest.fixture
def file(tmp_path: Path) -> File:
    def written(content: object, name: str = "pool") -> Path:
        path = tmp_path / name
        data = (
            content
            if isinstance(content, bytes)
            else (content if isinstance(content, str) else json.dumps(content)).encode()
        )
        path.write_bytes(data)
        return path

    return written


def read(path: Path, **members: Any) -> PoolFile:
    return read_pool(ReadPoolCall(path, **members))


def parsed(content: object, dialect: str = "json", **argument: Any) -> tuple[pl.DataFrame, Summary]:
    """What the process of its own makes of a file, in this one."""
    data = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    blocks = [data[start : start + 7] for start in range(0, len(data), 7)]
    return gathered(apart.read(blocks, {"dialect": dialect, "scheme": "http", **argument}))


def problems(content: object, dialect: str = "json", **argument: Any) -> list[str]:
    return [str(problem) for problem in parsed(content, dialect, **argument)[1].problems.kept]


def mistakes(content: object, dialect: str = "json") -> list[str]:
    """Problems, without the words for where reading ends."""
    return [problem.removesuffix("; what follows was not read") for problem in problems(content, dialect)]


def embedded(*columns: str, mode: str = "sanitized", **members: Any) -> dict[str, Any]:
    tables = [{"name": "proxies", "columns": [{"name": name} for name in columns]}]
    return {"schema_version": 2, "source": "pool", "credentials": mode, "parameters": {}, "tables": tables, **members}


def document(*rows: Any, columns: tuple[str, ...] | None = None) -> dict[str, Any]:
    return {"manifest": embedded(*(rows[0] if columns is None else columns)), "proxies": list(rows)}


# --- ProxyWhirl's FileStorage


def test_file_storage_has_every_proxy_with_its_login() -> None:
    entries = json.loads(FILE_STORAGE.read_text())
    found = read(FILE_STORAGE)
    assert found.problems == ()
    assert found.problem_count == 0
    assert found.dialect == "json"
    assert found.credentials is None
    assert found.notes == ("It is a file of ProxyWhirl's FileStorage.",)
    assert found.digest == hashlib.sha256(FILE_STORAGE.read_bytes()).hexdigest()
    frame = found.frame
    assert frame["place"].to_list() == [f"$[{number}]" for number in range(len(entries))]
    for column, member in {
        "url": "url",
        "username": "username",
        "password": "password",
        "id": "id",
        "requests_total": "total_requests",
        "ema_alpha": "ema_alpha",
        "health_status": "health_status",
        "allow_local": "allow_local",
    }.items():
        assert frame[column].to_list() == [entry[member] for entry in entries], column
    assert frame["discovered_at"].to_list() == [datetime.fromisoformat(entry["created_at"]) for entry in entries]
    assert frame["metadata"].to_list() == ["{}"] * len(entries)
    assert frame["stored_url"].null_count() == len(entries)


def test_file_storage_tells_where_logins_stand_and_keeps_what_it_does_not_know() -> None:
    frame, summary = parsed(
        [
            {
                "url": "http://ada:s%40cret@192.0.2.1:1",
                "tags": ["b", "a"],
                "metadata": {"a": [1, None]},
                "colour": "red",
            },
            {"url": "socks5://192.0.2.2:2", "username": "bob", "password": "pw", "protocol": "socks5h", "tags": None},
            {"url": "http://eve:x@192.0.2.3:3", "username": "bob"},
        ]
    )
    assert summary.problems.count == 0
    columns = ("url", "protocol", "username", "password", "credentials_in", "stored_url", "tags", "metadata", "extra")
    assert frame.select(columns).rows() == [
        (
            "http://192.0.2.1:1",
            "http",
            "ada",
            "s@cret",
            "url",
            "http://ada:s%40cret@192.0.2.1:1",
            '["a","b"]',
            '{"a":[1,null]}',
            '{"colour":"red"}',
        ),
        ("socks5://192.0.2.2:2", "socks5h", "bob", "pw", "columns", None, None, None, None),
        ("http://192.0.2.3:3", "http", "bob", None, "both", "http://eve:x@192.0.2.3:3", None, None, None),
    ]


def test_file_storage_lists_every_problem_with_its_path() -> None:
    entries = [
        {"url": URL},
        7,
        {"url": "nonsense", "ttl": "1"},
        {
            "url": URL,
            "total_checks": -1,
            "ema_alpha": 1.5,
            "health_status": "well",
            "source": "them",
            "protocol": "ftp",
        },
        {"url": "http://192.0.2.1"},
        {"url": "http://192.0.2.1:0", "created_at": "yesterday", "tags": {}, "metadata": []},
        {"url": URL, "region": "a\0b", "total_checks": 2**70, "username": 5},
        {"url": "http://a<b:1"},
        {},
    ]
    assert problems(entries) == [
        "$[1]: it is a whole number instead of an object",
        "$[2].ttl: expected a whole number, got text",
        "$[2].url: it is not scheme://[user:password@]host:port",
        "$[3].protocol: expected one of http, https, socks4, socks4a, socks5, socks5h",
        "$[3].source: expected one of user, fetched, api, file",
        "$[3].health_status: expected one of unknown, healthy, degraded, unhealthy, dead",
        "$[3].total_checks: it is too small",
        "$[3].ema_alpha: it is not between 0 and 1",
        "$[4].url: its port is missing",
        "$[5].created_at: it is not a time such as 2026-08-15T00:24:09.297504Z",
        "$[5].tags: expected a list, got an object",
        "$[5].metadata: expected an object, got a list",
        "$[5].url: its port is not between 1 and 65535",
        "$[6].username: expected text, got a whole number",
        "$[6].total_checks: it is too large",
        "$[6].region: it holds a NUL character",
        "$[7].url: its host is not an address",
        "$[8].url: it is missing",
    ]
    frame, _summary = parsed(entries)
    assert frame["place"].to_list() == ["$[0]"]


def test_the_first_thousand_problems_are_listed_and_all_are_counted(file: File) -> None:
    found = read(file([{"url": URL}, *([[]] * 5000)]))
    assert found.problem_count == 5000
    assert len(found.problems) == 1000
    assert found.problems[-1] == Problem("$[1000]", "it is a list instead of an object")
    assert found.frame["place"].to_list() == ["$[0]"]


# --- ProxyWhirl's encryption of a whole file


def test_an_encrypted_file_storage_is_read_with_its_key(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    key, older = Fernet.generate_key(), Fernet.generate_key()
    path = file(Fernet(older).encrypt(FILE_STORAGE.read_bytes()))
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", key.decode())
    monkeypatch.setenv("PROXYWHIRL_CACHE_KEY_PREVIOUS", older.decode())
    found = read(path)
    assert found.frame.equals(read(FILE_STORAGE).frame)
    assert found.notes[0] == "ProxyWhirl had encrypted the file as a whole."
    assert found.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_encrypted_file_may_be_compressed(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    key = Fernet.generate_key()
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", key.decode())
    path = file(gzip.compress(Fernet(key).encrypt(FILE_STORAGE.read_bytes())))
    assert read(path).frame.equals(read(FILE_STORAGE).frame)


def test_an_encrypted_file_needs_its_key(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(Fernet(Fernet.generate_key()).encrypt(b"[]"))
    monkeypatch.delenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", raising=False)
    monkeypatch.delenv("PROXYWHIRL_CACHE_KEY_PREVIOUS", raising=False)
    with pytest.raises(ConfigurationError, match="its key is not at hand"):
        read(path)
    key = Fernet.generate_key().decode()
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", key)
    with pytest.raises(WrongKeyError) as error:
        read(path)
    assert key not in repr(error.getrepr(style="long"))


# --- our own JSON


def test_our_json_is_read_column_by_column() -> None:
    row = {
        "number": 3,
        "url": URL,
        "protocol": "http",
        "host": "192.0.2.1",
        "port": 8080,
        "auth_type": "none",
        "has_credentials": False,
        "username": None,
        "password": None,
        "latitude": 1,
        "is_datacenter": True,
        "discovered_at": "2026-08-15T00:24:09.297504Z",
        "last_check_at": "2026-08-15T02:24:09.5+02:00",
        "tags": '["x"]',
    }
    frame, summary = parsed(document(row))
    assert summary.problems.count == 0
    assert summary.manifest == document(row)["manifest"]
    moments = (datetime(2026, 8, 15, 0, 24, 9, 297504, tzinfo=UTC), datetime(2026, 8, 15, 0, 24, 9, 500000, tzinfo=UTC))
    assert frame.row(0, named=True) == {
        **row,
        "discovered_at": moments[0],
        "last_check_at": moments[1],
        "place": "$.proxies[0]",
    }


@pytest.mark.parametrize(
    ("row", "url"),
    [
        ({"url": "socks5://[2001:db8::1]:1080"}, "socks5://[2001:db8::1]:1080"),
        ({"protocol": "socks5", "host": "2001:db8::1", "port": 1080}, "socks5://[2001:db8::1]:1080"),
        ({"url": None, "protocol": "socks5", "host": "2001:db8::1", "port": 1080}, "socks5://[2001:db8::1]:1080"),
        ({"url": "socks5://[2001:db8::1]:1080", "host": None}, "socks5://[2001:db8::1]:1080"),
    ],
)
def test_an_address_is_completed_from_what_is_there(row: dict[str, Any], url: str) -> None:
    frame, summary = parsed(document(row))
    assert summary.problems.kept == []
    assert frame.select("url", "protocol", "host", "port").row(0) == (url, "socks5", "2001:db8::1", 1080)


@pytest.mark.parametrize(
    ("member", "value", "reason"),
    [
        ("port", True, "expected a whole number, got true or false"),
        ("port", 0, "it is not between 1 and 65535"),
        ("port", 65536, "it is not between 1 and 65535"),
        ("port", "80", "expected a whole number, got text"),
        ("port", 80.0, "expected a whole number, got a number"),
        ("port", None, "it is missing"),
        ("port", 10**30, "it is too large"),
        ("protocol", "gopher", "expected one of http, https, socks4, socks4a, socks5, socks5h"),
        ("host", "a b", "it is not a host"),
        ("host", "999.1.1.1", "it is not a host"),
        ("host", "x" * 254, "it is not a host"),
        ("host", "user@host", "it is not a host"),
        ("host", "[::1]", "it is not a host"),
        ("host", "1::2::3", "it is not a host"),
        ("number", 0, "it is too small"),
        ("latitude", 91, "it is not between -90 and 90"),
        ("success_rate_7d", -0.1, "it is not between 0 and 1"),
        ("total_checks", -1, "it is too small"),
        ("avg_response_time_ms", "1", "expected a number, got text"),
        ("is_residential", 1, "expected true or false, got a whole number"),
        ("updated_at", "2026-02-30T00:00:00Z", "it is not a time such as 2026-08-15T00:24:09.297504Z"),
        ("updated_at", 5, "expected text, got a whole number"),
        ("tags", "{}", "expected a list as JSON, got an object"),
        ("tags", "[1", "it is not JSON: Expecting ',' delimiter in line 1, column 3"),
        ("metadata", "[]", "expected an object as JSON, got a list"),
        ("extra", '{"a":' * 70 + "1" + "}" * 70, "it is nested more than 64 deep"),
        ("credentials_in", "nowhere", "expected one of columns, url, both"),
        ("auth_type", "magic", "expected one of none, basic, userid, userpass"),
        ("username", "a\0", "it holds a NUL character"),
    ],
)
def test_our_json_is_strict_about_values(member: str, value: object, reason: str) -> None:
    row = {"protocol": "http", "host": "192.0.2.1", "port": 80, member: value}
    assert problems(document(row)) == [f"$.proxies[0].{member}: {reason}"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://ada:pw@192.0.2.1:80", "it holds a login, which does not belong there"),
        ("nonsense", "it is not scheme://[user:password@]host:port"),
        ("http://192.0.2.1:99999", "its port is not between 1 and 65535"),
    ],
)
def test_our_json_is_strict_about_urls(url: str, reason: str) -> None:
    assert problems(document({"url": url})) == [f"$.proxies[0].url: {reason}"]


def test_rows_have_the_members_that_the_manifest_names() -> None:
    good = {"url": URL, "region": "x"}
    told = problems(document(good, {"url": URL}, {**good, "colour": 1}, [], {"url": URL, "reg ion": 1}, {}))
    assert told == [
        "$.proxies[1].region: it is missing",
        "$.proxies[2].colour: no pool has a member of that name",
        "$.proxies[3]: it is a list instead of an object",
        "$.proxies[4][…]: no pool has a member of that name",
        "$.proxies[4].region: it is missing",
        "$.proxies[5].protocol: it is missing",
        "$.proxies[5].host: it is missing",
        "$.proxies[5].port: it is missing",
    ]


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ([], ["$.manifest: expected an object, got a list"]),
        (embedded("url", colour="red"), ["$.manifest.colour: nothing of that name belongs there"]),
        (
            embedded("url", "hue"),
            [
                "$.manifest.tables[0].columns[1].name: no pool has a column of that name",
                "$.proxies[0].hue: it is missing",
            ],
        ),
        (embedded("url", "url"), ["$.manifest.tables[0].columns[1].name: there is another column of that name"]),
        (embedded("url", mode="open"), ["$.manifest.credentials: expected one of full, sanitized, reference"]),
        (embedded("url", vault={}), ["$.manifest.vault: it is there, and credentials are not 'full'"]),
        ({**embedded("url"), "schema_version": "2"}, ["$.manifest.schema_version: expected a whole number, got text"]),
        (
            {**embedded("url"), "schema_version": True},
            ["$.manifest.schema_version: expected a whole number, got true or false"],
        ),
        ({**embedded("url"), "schema_version": 0}, ["$.manifest.schema_version: there is no such version"]),
        (
            {**embedded("url"), "tables": [{"name": 1}]},
            [
                "$.manifest.tables[0]: expected an object with name and columns",
                "$.manifest.tables: there is no table proxies",
            ],
        ),
        (
            {**embedded("url"), "tables": embedded("url")["tables"] * 2},
            ["$.manifest.tables[1]: there is another table of that name"],
        ),
        (
            {**embedded(), "tables": [{"name": "proxies", "columns": [1, {"name": "url", "type": 5, "x": 1}]}]},
            [
                "$.manifest.tables[0].columns[0]: expected an object, got a whole number",
                "$.manifest.tables[0].columns[1].type: expected text, got a whole number",
                "$.manifest.tables[0].columns[1].x: nothing of that name belongs there",
            ],
        ),
        ({"schema_version": 1, "credentials": "sanitized"}, ["$.manifest.tables: it is missing"]),
    ],
)
def test_the_manifest_inside_is_checked(manifest: object, told: list[str]) -> None:
    assert problems({"manifest": manifest, "proxies": [{"url": URL}]}) == told


def test_an_older_version_is_read_and_a_newer_one_refused(file: File) -> None:
    old = {"manifest": {**embedded("url"), "schema_version": 1}, "proxies": [{"url": URL}]}
    assert read(file(old)).frame["url"].to_list() == [URL]
    with pytest.raises(NewerVersionError) as error:
        read(file({"manifest": {"schema_version": 3, "something": "new"}, "rows": []}))
    assert error.value.message == "The file needs Tailrace with schema version 3; this one reads up to 2."
    assert error.value.version == 3


def test_other_tables_are_noted_and_other_members_refused() -> None:
    content = document({"url": URL})
    content["manifest"]["tables"].append({"name": "checks", "columns": [{"name": "id"}]})
    frame, summary = parsed({**content, "checks": [{"id": 1}], "more": 1, "seal": {}})
    assert frame.height == 1
    assert summary.notes == ["The table checks of the file is not imported."]
    assert [str(problem) for problem in summary.problems.kept] == [
        "$.more: nothing of that name belongs there",
        "$.seal: expected an object with sha256 and mac as texts",
        "$.seal: nothing of that name belongs there",
    ]
    text = json.dumps(content)[:-1]
    assert problems(text + ', "proxies": [1]}') == ["$.proxies: it is there twice", "$.checks: it is missing"]
    assert problems({"manifest": embedded("url")}) == ["$.proxies: it is missing"]
    assert problems({"manifest": embedded("url"), "proxies": 5}) == ["$.proxies: expected a list, got a whole number"]


def test_flaws_inside_of_the_manifest_are_told_once() -> None:
    content = json.dumps({"manifest": embedded("url"), "proxies": []}).replace('"source": "pool"', '"source": NaN')
    assert problems(content) == ["$.manifest.source: NaN and Infinity are not JSON"]


# --- sealed exports


def sealed_document(*rows: dict[str, Any], mode: str = "full") -> bytes:
    manifest = embedded(*rows[0], mode=mode, vault={"version": 1})
    before = b'{\n"manifest": ' + json.dumps(manifest).encode() + b',\n"proxies": [\n'
    before += b",\n".join(json.dumps(row).encode() for row in rows) + b"\n]"
    seal = {"sha256": hashlib.sha256(before).hexdigest(), "mac": "ab" * 32}
    return before + b',\n"seal": ' + json.dumps(seal).encode() + b"\n}\n"


ROW = {
    "number": 1,
    "protocol": "http",
    "host": "192.0.2.1",
    "port": 80,
    "password": "sealed:1:AAAA",
    "tags": "sealed:1:BBBB",
}


@pytest.mark.parametrize("compress", [False, True])
def test_sealed_values_are_left_as_they_are_and_the_seal_is_handed_over(file: File, compress: bool) -> None:  # noqa: FBT001 - a test
    content = sealed_document(ROW, {**ROW, "number": 2, "password": None})
    found = read(file(gzip.compress(content) if compress else content))
    assert found.problems == ()
    assert found.credentials is CredentialMode.FULL
    assert found.frame.select("password", "tags").rows() == [
        ("sealed:1:AAAA", "sealed:1:BBBB"),
        (None, "sealed:1:BBBB"),
    ]
    digest = hashlib.sha256(content[: content.rindex(b',\n"seal"')]).hexdigest()
    assert found.seal == {"sha256": digest, "mac": "ab" * 32}
    assert found.manifest is not None
    assert found.manifest["vault"] == {"version": 1}


@pytest.mark.parametrize(
    ("old", "new"), [(b'"port": 80', b'"port": 81'), (b'{"number"', b' {"number"'), (b"]\n", b"]")]
)
def test_content_that_was_changed_is_told(file: File, old: bytes, new: bytes) -> None:
    found = read(file(sealed_document(ROW).replace(old, new) if old != b"]\n" else sealed_document(ROW)[1:-1] + b"}"))
    if old == b"]\n":
        assert found.problem_count
        return
    assert [str(problem) for problem in found.problems] == [
        "$.seal.sha256: the content was changed: it is not what was sealed"
    ]
    assert found.seal is None


def test_a_full_export_without_its_seal_is_told() -> None:
    content = {"manifest": embedded(*ROW, mode="full", vault={}), "proxies": [ROW]}
    assert problems(content) == ["$.seal: it is missing"]
    assert problems({"manifest": embedded(*ROW, mode="full"), "proxies": [ROW], "seal": {"sha256": "", "mac": ""}}) == [
        "$.manifest.vault: it is missing"
    ]


# --- CSV of ours


def with_manifest(path: Path, columns: list[str], mode: str = "sanitized", **members: Any) -> Path:
    content = path.read_bytes()
    manifest = {
        "schema_version": 2,
        "credentials": mode,
        "tables": [{"name": "proxies", "columns": [{"name": name, "type": "String"} for name in columns]}],
        "file": {"name": path.name, "sha256": hashlib.sha256(content).hexdigest()},
        "format_options": {"profile": "machine", "delimiter": ",", "nulls": "", "header": True},
        **members,
    }
    path.with_name(f"{path.name}.manifest.json").write_text(json.dumps(manifest))
    return path


def test_our_csv_is_read_without_its_manifest() -> None:
    content = (
        "number,url,region,port,is_datacenter,latitude,discovered_at,tags\n"
        f'1,{URL},"a ""quoted"", long\nname",8080,true,1.5e1,2026-08-15T06:00:00.000000Z,"[""x""]"\r\n'
        f'\n2,{URL},"",8080,,,,\n'
    )
    frame, summary = parsed(content, "csv")
    assert summary.problems.kept == []
    assert frame.select(
        "number", "region", "port", "is_datacenter", "latitude", "discovered_at", "tags", "place"
    ).rows() == [
        (1, 'a "quoted", long\nname', 8080, True, 15.0, datetime(2026, 8, 15, 6, tzinfo=UTC), '["x"]', "line 2"),
        (2, "", 8080, None, None, None, None, "line 5"),
    ]


def test_csv_problems_have_line_and_column() -> None:
    content = (
        "host,protocol,port,is_datacenter,latitude,ttl,updated_at\n"
        "192.0.2.1,http,007,yes,nan,9999999999999999999,never\n"
        "192.0.2.1,http,80\n"
        '192.0.2.1,http,8"0,,,,\n'
        'x,http,1,,,,,,"\n",,\n'
        "192.0.2.1,http,+80,True,1e400,1.0,\n"
        ",,,,,,\n"
    )
    assert problems(content, "csv") == [
        "line 2, column latitude: expected a number",
        "line 2, column is_datacenter: expected true or false",
        "line 2, column updated_at: it is not a time such as 2026-08-15T00:24:09.297504Z",
        "line 2, column ttl: it is too large",
        "line 3: it has 3 fields instead of 7",
        "line 4: its quotes are not closed, or stand inside of a field",
        "line 5: it has 11 fields instead of 7",
        "line 7, column port: expected a whole number",
        "line 7, column latitude: it is too large",
        "line 7, column is_datacenter: expected true or false",
        "line 7, column ttl: expected a whole number",
        "line 8, column protocol: it is missing",
        "line 8, column host: it is missing",
        "line 8, column port: it is missing",
    ]


def test_our_csv_for_spreadsheets_gives_back_the_exact_texts(file: File) -> None:
    content = "\ufeffurl;region;'=city\r\n" + f"{URL};'=1+1;NULL\r\n{URL};''quoted;'-5\r\n"
    path = file(content.replace("'=city", "city"), "pool.csv")
    options = {"profile": "excel", "delimiter": ";", "nulls": "NULL", "header": True}
    found = read(with_manifest(path, ["url", "region", "city"], format_options=options))
    assert found.problems == ()
    assert found.dialect == "csv"
    assert found.credentials is CredentialMode.SANITIZED
    assert found.notes == ("It is an export of Tailrace.",)
    assert found.frame.select("region", "city").rows() == [("=1+1", None), ("'quoted", "-5")]


def test_our_csv_without_header_takes_the_names_of_its_manifest(file: File) -> None:
    options = {"header": False, "delimiter": "|"}
    path = with_manifest(file(f"{URL}|x\n", "p.csv"), ["url", "region"], format_options=options)
    assert read(path, dialect="csv").frame.select("region", "place").rows() == [("x", "line 1")]


def test_a_column_alone_has_something_to_hold_on_to_for_null() -> None:
    assert problems('number\n1\n""\n', "csv", is_ours=True, spelling={})[-3:] == [
        "line 3, column protocol: it is missing",
        "line 3, column host: it is missing",
        "line 3, column port: it is missing",
    ]


def test_a_full_export_in_csv_needs_its_manifest(file: File) -> None:
    content = b"number,protocol,host,port,password\n1,http,192.0.2.1,80,sealed:1:AAAA\n"
    path = file(content, "pool.csv")
    alone = read(path)
    assert [str(problem) for problem in alone.problems] == [
        "file: it holds sealed values, and its manifest, <name>.manifest.json, is not beside it"
    ]
    names = ["number", "protocol", "host", "port", "password"]
    seal = {"sha256": hashlib.sha256(content).hexdigest(), "mac": "cd" * 32}
    found = read(with_manifest(path, names, "full", vault={"version": 1}, seal=seal))
    assert found.problems == ()
    assert found.credentials is CredentialMode.FULL
    assert found.seal == seal
    assert found.manifest is not None
    assert found.manifest["vault"] == {"version": 1}
    told = [
        str(problem) for problem in read(with_manifest(path, names, "full", seal={"sha256": "00", "mac": ""})).problems
    ]
    assert told == [
        "pool.csv.manifest.json, $.vault: it is missing",
        "pool.csv.manifest.json, $.seal.sha256: the content was changed: it is not what was sealed",
    ]
    told = [str(problem) for problem in read(with_manifest(path, names, "full", vault={}, seal=5)).problems]
    assert told == ["pool.csv.manifest.json, $.seal: it is missing, or no seal"]


def test_sealed_values_without_their_manifest_are_told(file: File) -> None:
    found = read(file([{"url": URL, "password": "sealed:1:AAAA"}]))
    assert [str(problem) for problem in found.problems] == [
        "file: it holds sealed values, and its manifest is not in it"
    ]
    content = {"proxies": [{"url": URL}], "manifest": embedded("url")}
    assert problems(content) == ["$.manifest: it must come before everything else"]


def test_references_are_known_without_a_manifest(file: File) -> None:
    found = read(file(f"url,username\n{URL},ref_{'a2' * 13}\n"))
    assert found.credentials is CredentialMode.REFERENCE
    assert found.notes == ("User names and passwords are ids as credential mode 'reference' writes them.",)


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (b"[" * 100_000, "pool.csv.manifest.json: it is not valid JSON: it is nested too deeply"),
        (b"\xff", "pool.csv.manifest.json: it is not UTF-8"),
        (b'{"a": 1, "a": 2}', "pool.csv.manifest.json: it is not valid JSON: an object has the same name twice"),
        (b"[]", "pool.csv.manifest.json: it is not a manifest of an export"),
        (b'{"credentials": "none"}', "pool.csv.manifest.json: it is not a manifest of an export"),
        (b" " * (5 << 20), "pool.csv.manifest.json: it has more than 4,194,304 bytes"),
    ],
)
def test_a_manifest_beside_it_that_is_none_is_told(file: File, manifest: bytes, told: str) -> None:
    path = file(f"url\n{URL}\n", "pool.csv")
    path.with_name("pool.csv.manifest.json").write_bytes(manifest)
    found = read(path)
    assert [str(problem) for problem in found.problems] == [told]
    assert found.frame.height == 0


@pytest.mark.parametrize(
    ("members", "told"),
    [
        (
            {"file": {"sha256": "00" * 32}},
            "file: the content was changed: it is not the file that its manifest describes",
        ),
        ({"file": 5}, "pool.csv.manifest.json, $.file.sha256: it is missing, or no SHA-256"),
        (
            {"format_options": {"delimiter": "ab"}},
            "pool.csv.manifest.json, $.format_options.delimiter: it cannot be that",
        ),
        ({"format_options": {"nulls": 5}}, "pool.csv.manifest.json, $.format_options.nulls: it cannot be that"),
        ({"tables": []}, "pool.csv.manifest.json, $.tables: there is no table proxies"),
    ],
)
def test_a_manifest_that_does_not_fit_is_told(file: File, members: dict[str, Any], told: str) -> None:
    path = with_manifest(file(f"url\n{URL}\n", "pool.csv"), ["url"], **members)
    assert [str(problem) for problem in read(path).problems] == [told]


def test_a_json_export_is_held_against_its_manifest_and_its_options(file: File) -> None:
    content = document({"url": URL, "number": "12"})
    path = with_manifest(file(content, "pool.json"), ["url", "number"], format_options={"big_integers": "text"})
    assert read(path).frame["number"].to_list() == [12]
    path.write_text(path.read_text() + " ")
    found = read(path)
    assert [str(problem) for problem in found.problems] == [
        "file: the content was changed: it is not the file that its manifest describes"
    ]
    with_manifest(path, ["url"], schema_version=9)
    with pytest.raises(NewerVersionError):
        read(path)


# --- what others write


def test_geonode_becomes_a_proxy_for_each_protocol() -> None:
    entry = {
        "_id": "1",
        "ip": "192.0.2.1",
        "port": "8080",
        "protocols": ["http", "socks4"],
        "country": "de",
        "city": "Ulm",
        "isp": "Acme",
        "asn": "AS64500",
        "anonymityLevel": "elite",
        "upTime": 97.5,
    }
    frame, summary = parsed({"data": [entry, {**entry, "protocols": ["SOCKS5"]}], "total": 2, "page": 1})
    assert summary.problems.kept == []
    assert frame.select("url", "country_code", "city", "isp_name", "asn", "place").rows() == [
        ("http://192.0.2.1:8080", "DE", "Ulm", "Acme", 64500, "$.data[0]"),
        ("socks4://192.0.2.1:8080", "DE", "Ulm", "Acme", 64500, "$.data[0]"),
        ("socks5://192.0.2.1:8080", "DE", "Ulm", "Acme", 64500, "$.data[1]"),
    ]
    assert summary.notes == [
        "Entries with several protocols became one proxy for each: 1 more than entries.",
        "Not imported, because no pool holds it: _id, anonymityLevel, upTime.",
    ]


def test_proxybroker_is_read_with_its_types_and_places() -> None:
    geo = {
        "country": {"code": "US", "name": "United States"},
        "region": {"code": "CA", "name": "California"},
        "city": "Unknown",
    }
    entry = {
        "host": "192.0.2.1",
        "port": 80,
        "geo": geo,
        "error_rate": 0.1,
        "types": [
            {"type": "HTTP", "level": "High"},
            {"type": "CONNECT:80", "level": ""},
            {"type": "SOCKS5", "level": ""},
        ],
    }
    frame, summary = parsed([entry, {"host": "192.0.2.2", "port": 81, "types": [], "geo": {}}], scheme="socks4")
    assert summary.problems.kept == []
    assert frame.select("url", "country_code", "country_name", "region", "city").rows() == [
        ("http://192.0.2.1:80", "US", "United States", "California", None),
        ("socks5://192.0.2.1:80", "US", "United States", "California", None),
        ("socks4://192.0.2.2:81", None, None, None, None),
    ]


def test_other_lists_are_read_by_the_names_of_their_members() -> None:
    entries = [
        {"IP": " 192.0.2.1 ", "Port": 1, "User": "ada", "Pass": "p:w", "Country Name": "Chile"},
        {"proxy": "socks5://bob:x%40y@192.0.2.2:2", "country": "Peru"},
        {"server": "[2001:db8::1]", "port": "0080", "type": "HTTPS", "login": ""},
        {"proxy": "192.0.2.3:3"},
    ]
    frame, summary = parsed({"proxies": entries})
    assert summary.problems.kept == []
    assert frame.select("url", "username", "password", "country_name", "credentials_in").rows() == [
        ("http://192.0.2.1:1", "ada", "p:w", "Chile", "columns"),
        ("socks5://192.0.2.2:2", "bob", "x@y", "Peru", "url"),
        ("https://[2001:db8::1]:80", None, None, None, None),
        ("http://192.0.2.3:3", None, None, None, None),
    ]


def test_other_lists_have_every_problem_told() -> None:
    entries = [
        {"ip": "192.0.2.1", "port": True},
        {"ip": "192.0.2.1", "port": "many"},
        {"ip": "192.0.2.1"},
        {"port": 80},
        {"ip": "192.0.2.1", "port": 65536, "protocol": "ftp"},
        {"ip": "a b", "port": 0},
        {"proxy": "nonsense"},
        {"proxy": "http://a b:1"},
        {"ip": "192.0.2.1", "port": 80, "protocols": [1]},
        "192.0.2.1:80",
    ]
    assert problems(entries) == [
        "$[0].port: expected text, got true or false",
        "$[1].port: expected a number",
        "$[2].port: it is missing",
        "$[3].host: it is missing",
        "$[4].port: it is not between 1 and 65535",
        "$[4].protocol: expected one of http, https, socks4, socks4a, socks5, socks5h",
        "$[5].port: it is not between 1 and 65535",
        "$[5].host: it is not a host",
        "$[6].url: its port is missing",
        "$[7].url: it is not an address",
        "$[8].protocols: expected text, got a list",
        "$[9]: it is text instead of an object",
    ]


def test_a_list_of_our_own_members_is_read_as_ours() -> None:
    frame, _summary = parsed([{"url": URL, "host": "192.0.2.1", "city": "Ulm", "username": "ada"}])
    assert frame.select("city", "username", "port").row(0) == ("Ulm", "ada", 8080)


@pytest.mark.parametrize("content", ['"text"', "5", "null"])
def test_json_that_is_no_list_is_told(content: str) -> None:
    (told,) = problems(content)
    assert told.startswith("$: expected a list or an object, got ")


def test_a_document_without_a_list_is_told() -> None:
    assert problems({"items": [1, 2], "total": 5}) == ["$: there is no list in it: expected proxies or data"]
    assert problems({"data": {}}) == ["$.data: expected a list, got an object"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_other_csv_is_read_as_text_by_the_names_of_its_columns(delimiter: str) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerow(["IP", "Port", "user", "PASS", "Protocol", "Country", "speed"])
    writer.writerow(["192.0.2.1", "0080", "007", 'p"w,;', "socks4|http", "US", "9"])
    writer.writerow(["192.0.2.2", "81", "", "", "", "", ""])
    frame, summary = parsed(buffer.getvalue(), "csv", scheme="socks5")
    assert summary.problems.kept == []
    assert frame.select("url", "username", "password", "country_code", "place").rows() == [
        ("socks4://192.0.2.1:80", "007", 'p"w,;', "US", "line 2"),
        ("http://192.0.2.1:80", "007", 'p"w,;', "US", "line 2"),
        ("socks5://192.0.2.2:81", None, None, None, "line 3"),
    ]
    assert summary.notes[-1] == "Not imported, because no pool holds it: speed."


def test_csv_with_whole_addresses_is_read() -> None:
    frame, _summary = parsed("proxy,note\nhttp://a:b@192.0.2.1:80,x\n192.0.2.2:81,y\n", "csv")
    assert frame.select("url", "username", "place").rows() == [
        ("http://192.0.2.1:80", "a", "line 2"),
        ("http://192.0.2.2:81", None, "line 3"),
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "line 1: there is no header"),
        ("colour,size\n1,2\n", "line 1: it is no header with ip or host and port, or with proxy or url"),
        ("ip,host,port\n1,2,3\n", "line 1, column 2: another column says the same"),
        ("url,url\n1,2\n", "line 1, column 2: another column says the same"),
        (",".join(["x"] * 2000), "line 1: it has more than 1000 columns"),
        ('url\n"open\n', "line 2: a quote is not closed; what follows was not read"),
        (b"url\nhttp://192.0.2.1:80\n\xff\n", "line 3: it is not UTF-8; what follows was not read"),
    ],
)
def test_csv_that_is_none_is_told(content: str | bytes, told: str) -> None:
    assert problems(content, "csv")[-1] == told


# --- Clash


CLASH = """
mixed-port: 7890
proxies:
  - {name: one, type: http, server: 192.0.2.1, port: 80, username: ada, password: 0123, tls: true}
  - name: two
    type: socks5
    server: 2001:db8::1
    port: "1080"
    password: "null"
    username: null
    udp: true
    dialer-proxy: one
  - {name: three, type: vmess, server: 192.0.2.3, port: 443, uuid: x}
  - {name: four, type: ss, server: 192.0.2.4, port: 443}
  - {name: five, type: vmess}
proxy-groups: [{name: all, type: select, proxies: [one]}]
"""


def test_clash_is_read_as_it_stands(file: File) -> None:
    found = read(file(CLASH))
    assert found.dialect == "clash"
    assert found.problems == ()
    assert found.frame.select("url", "username", "password", "place").rows() == [
        ("https://192.0.2.1:80", "ada", "0123", "line 4"),
        ("socks5://[2001:db8::1]:1080", None, "null", "line 5"),
    ]
    assert found.notes == (
        "Not imported, because no pool holds their type: 1 of type ss, 2 of type vmess.",
        "Not imported, because no pool holds it: dialer-proxy.",
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("proxies: [", ["line 2, column 1: it is not YAML; what follows was not read"]),
        ("proxies: {}", ["line 1: there is no list proxies in it"]),
        ("- 1", ["line 1: there is no list proxies in it"]),
        ("", ["line 1: there is no list proxies in it"]),
        ("proxies:\n- x\n", ["line 2: it is no mapping"]),
        (
            "proxies:\n- {type: http, server: 192.0.2.1, port: 99999, tls: maybe, type: http}\n"  # noqa: ISC004 - one text
            "- {type: socks5, server: [a]}\n",
            [
                "line 2, column tls: expected true or false",
                "line 2, column type: it is there twice",
                "line 2, column port: it is not between 1 and 65535",
            ],
        ),
    ],
)
def test_clash_problems_have_their_line(content: str, told: list[str]) -> None:
    assert sorted(problems(content, "clash"))[: len(told)] == sorted(told)


# --- lines, and what a file is


def test_lines_are_read_with_the_scheme_of_the_name_of_the_file(file: File) -> None:
    found = read(file("192.0.2.1:80\nhttp://ada:pw@192.0.2.2:81\nnonsense\n", "socks5-list.txt"))
    assert found.frame.select("url", "username", "place").rows() == [
        ("socks5://192.0.2.1:80", None, "line 1"),
        ("http://192.0.2.2:81", "ada", "line 2"),
    ]
    assert found.problem_count == 1
    assert found.problems[0].where == "line 3"
    assert [str(problem) for problem in read(file(b"192.0.2.1:80\n\xff")).problems] == ["line 2: it is not UTF-8"]


def test_the_scheme_is_as_asked_for_or_as_the_name_says() -> None:
    assert scheme_of(ReadPoolCall(Path("lists/Socks4.txt"))) == "socks4"
    assert scheme_of(ReadPoolCall(Path("https_proxies.txt"))) == "https"
    assert scheme_of(ReadPoolCall(Path("socks5/all.txt"))) == "http"
    assert scheme_of(ReadPoolCall(Path("socks5.txt"), scheme="socks5h")) == "socks5h"
    with pytest.raises(RequestError):
        scheme_of(ReadPoolCall(Path("x"), scheme="ftp"))


def test_a_dialect_that_does_not_exist_is_refused(file: File) -> None:
    with pytest.raises(RequestError, match="There is no dialect 'jsom'"):
        read(file("[]"), dialect="jsom")


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no file"):
        read(tmp_path / "nothing")
    with pytest.raises(SourceError, match="is a folder"):
        read(tmp_path)


def test_larger_files_may_cost_more_in_proportion() -> None:
    assert (limits_for(10 << 20).memory, limits_for(10 << 20).seconds) == (256 << 20, 2.0)
    assert (limits_for(100 << 20).memory, limits_for(100 << 20).seconds) == (346 << 20, 20.0)


# --- JSON in pieces


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, BLOCK])
def test_json_is_the_same_in_pieces_of_any_size(size: int) -> None:
    value = [{"a": [1, -2.5e3, 'é\u2028"\\', None, True]}, 12345678901234567890, "x" * 500, {}, [], 0]
    data = json.dumps(value, ensure_ascii=False).encode()

    def blocks() -> Iterator[bytes]:
        yield from (data[start : start + size] for start in range(0, len(data), size))

    text = JsonText(blocks())
    assert [element.content for element in text.elements()] == value
    text.finish()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            '[{"url": "x", "url": "y", "a": {"b": 1, "b": 2}}]',
            ["$[0].url: it is there twice", "$[0].a.b: it is there twice"],
        ),
        (f'[{{"url": "{URL}", "ttl": 1e999, "a": [1, NaN]}}]',
         ["$[0].ttl: the number is too large", "$[0].a[1]: NaN and Infinity are not JSON"]),
        (f'[{{"url": "{URL}", "ttl": {"9" * 5000}, "n": 12}}]', ["$[0].ttl: the number is too large"]),
        (f'[{{"url": "{URL}", "region": "\\ud800", "\\udc00": 1, "city": "\\ud83d\\ude00"}}]',
         [f"$[0]{place}: a text holds half a character (a lone surrogate)" for place in (".region", "[…]")]),
        ('[{"metadata": ' + '{"a":' * 150 + '1, "b": NaN' + "}" * 150 + "}]", ["$[0]: it is nested too deeply"]),
        ("[" * 100_000, ["line 1, column 2: it is nested too deeply"]),
        ("[1}", ["line 1, column 3: expected ','", "$[0]: it is a whole number instead of an object"]),
        ("[", ["line 1, column 2: it ends in the middle"]),
        ("[tru", ["line 1, column 2: it is not valid JSON (expecting value)"]),
        ('["ab', ["line 1, column 2: it ends in the middle"]),
        (b'["ab\xff"]', ["line 1, column 2: it is not UTF-8 from here on"]),
        (b"[] \xff", ["line 1, column 4: it is not UTF-8 from here on"]),
        ("[]\n []", ["line 2, column 2: something follows the end of the document"]),
        ("{1: 2}", ["line 1, column 2: expected a name in double quotes"]),
        ('{"a" 1}', ["line 1, column 6: expected ':'"]),
        ('{"a": 1 "b": 2}', ["line 1, column 9: expected ','"]),
        ("{}", ["$: there is no list in it: expected proxies or data"]),
        ("", ["line 1, column 1: it ends in the middle"]),
        ('{"\\ud800": [1, 2], "data": []}', []),
        ('[\n{"a": \n  "' + "x" * 200 + '",\n nope' + " " * 200 + "}]",
         ["line 4, column 2: it is not valid JSON (expecting property name enclosed in double quotes)"]),
    ],
)  # fmt: skip
def test_what_is_no_strict_json_is_told(content: str | bytes, told: list[str]) -> None:
    assert sorted(mistakes(content)) == sorted(told)


def test_a_value_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailrace_source_pool.documents.json_text.LARGEST_VALUE", 1000)
    for content in ('["' + "x" * 5000, '["' + "x" * 5000 + '"]'):
        assert mistakes(content) == ["line 1, column 2: a single value has more than 1,000 characters"]


def test_a_line_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailrace_source_pool.documents.csv_file.LONGEST_RECORD", 1000)
    assert mistakes(f"url\n{URL}\n" + "x" * 2000, "csv") == ["line 3: it has more than 1,000 characters"]
    assert mistakes("url\n" + '"' + "x\n" * 1000, "csv") == [
        "line 2: it has more than 1,000 characters, or a quote that is not closed"
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            "a: &x [1]\nproxies: [{type: http, server: *x, port: 1}]",
            ["line 2, column server: expected a text; aliases are not read"],
        ),
        ("proxies: []\n---\nproxies: []\n", ["line 2: there is a second document, which was not read"]),
        ("proxies: []\nproxies: [1, {a: b}]\n", ["line 2: there is a second list proxies"]),
        ("[a, b]: {c: d}\nproxies:\n- {[a]: 1, type: http, server: h, port: 1}\n", []),
        (
            "proxies:\n- *nothing\n- {server: h, port: 1}\n",
            ["line 2: it is no mapping", "line 3, column type: it is missing"],
        ),
        ("proxies:\n- {type: http, server: h, port: 1}\n- {a: b\n", ["line 4, column 1: it is not YAML"]),
    ],
)  # fmt: skip
def test_clash_is_strict_about_yaml(content: str, told: list[str]) -> None:
    assert [line for line in mistakes(content, "clash") if "host" not in line] == told


def test_what_is_no_text_is_read_by_a_format_that_knows_it(file: File) -> None:
    path = file(b"PAR1\0\0\0 of somebody else")
    asked: list[tuple[Path, bytes]] = []

    def read_tables(path: Path, head: bytes, _context: Context) -> dict[str, pl.DataFrame] | None:
        asked.append((path, head))
        return {"proxies": pl.DataFrame({"ip": ["192.0.2.1"], "port": ["8080"]})}

    found = read(path, read_tables=read_tables)
    assert (found.dialect, found.problem_count, found.frame["url"].to_list()) == (
        "tables",
        0,
        ["http://192.0.2.1:8080"],
    )
    assert asked == [(path, path.read_bytes())]
    for members in (
        {"read_tables": lambda *_: None},
        {"read_tables": read_tables, "dialect": "csv"},
        {"read_tables": lambda *_: {"others": pl.DataFrame({"x": ["1"]})}},
    ):
        assert read(path, **members).problem_count == 1
