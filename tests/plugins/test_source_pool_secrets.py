"""Canaries: what somebody uses to log in must not be found in anything that a pool gives away."""

import base64
import json
import logging
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import attrs
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tailrace_source_pool import redaction, tailrace_source
from tailrace_source_pool.logins import Logins
from tailrace_source_pool.protection import ShownPool, StoredPool

from tailrace import Context, CredentialMode, Dataset, NotAllowedError, SourceCall, TailraceError

DATA = Path(__file__).parents[1] / "data"
SOURCE = tailrace_source()
MODES = ("sanitized", "reference")

USER = "customer-kestrel-zone-eu-session-4711"
PASSWORD = 'Ca/n&a"ry\\ 100%ä+x'
KNOWN = (USER, PASSWORD)
TOKEN = (
    "encrypted:"
    + base64.b64encode(b"gAAAAABrBGDysmFdGq0mhLjYwB5_SriZpO2b3uXA5_A-U6wyVKveXaoAy0Qo7Gk-C_6FqlfqP").decode()
)
BARE_TOKEN = "gAAAAABrBGDysmFdGq0mhLjYwB5_SriZpO2b3uXA5_A-U6wyVKveXaoAy0Qo7Gk-C_6FqlfqPkY7AVrveuEEwcfeh6yMXCJ0xxo-=="
"""Fernet tokens: what ProxyWhirl stores, and what is inside of that."""

URL = f"http://{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@192.0.2.7:8080"


def forms(secret: str) -> Iterator[str]:
    """How a secret may look in bytes that leave the process."""
    yield secret
    yield secret.upper()
    yield quote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield json.dumps(json.dumps(secret)[1:-1])[1:-1]
    yield repr(secret)[1:-1]
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
    yield base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")


def hits(text: str, secrets: Iterable[str]) -> list[str]:
    lowered = text.lower()
    pairs = [f"{USER}:{PASSWORD}"]
    return [form for secret in (*secrets, *pairs) for form in forms(secret) if form.lower() in lowered]


def reference(*parts: str) -> str:
    # As opaque as the engine's, which is keyed.
    return f"ref-{hash(parts) & 0xFFFFFFFF:08x}"


def call(location: Path, mode: str, **options: Any) -> SourceCall:
    return SourceCall(
        location=str(location),
        options=SOURCE.options_type(**options),
        credentials=CredentialMode(mode),
        moment=datetime(2026, 11, 23, tzinfo=UTC),
        window=None,
        reference=reference,
        context=Context(),
    )


def everything(dataset: Dataset) -> str:
    """All that a dataset gives away: rows, samples, plans, notes, and how it shows itself."""
    parts = [repr(dataset), *dataset.notes]
    for table in dataset.tables:
        frame = table.frame.collect()
        parts += [frame.write_csv(), frame.write_ndjson(), repr(frame), repr(table), repr(table.bad_rows)]
        parts += [table.frame.explain(), table.frame.explain(optimized=False), repr(table.frame)]
        parts += [repr(table.count_rows), repr(table.sample)]
        assert table.sample is not None
        parts.append(table.sample(1000).write_csv())
        with pytest.raises(pl.exceptions.PolarsError) as caught:
            table.frame.select("no such column").collect()
        parts.append(str(caught.value))
    return "\n".join(parts)


def read(path: Path, mode: str, caplog: pytest.LogCaptureFixture, **options: Any) -> tuple[str, list[pl.DataFrame]]:
    with caplog.at_level(logging.DEBUG), SOURCE.open(call(path, mode, **options)) as dataset:
        return everything(dataset) + caplog.text, [table.frame.collect() for table in dataset.tables]


LEAKS = (
    f"failed for {USER}",
    f"407 for {PASSWORD}!",
    f"Proxy-Authorization: Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}",
    f"connect {URL}/ refused",
    f"connect http://{USER}:{PASSWORD}@192.0.2.7:8080 refused",
    f"x={quote_plus(PASSWORD)}&y={quote(PASSWORD)}",
    f"dump: {json.dumps({'user': USER, 'password': PASSWORD})}",
    f"{USER.upper()} was rejected",
    f"stored as {TOKEN}",
    f"stored as {BARE_TOKEN}",
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database in which logins are everywhere that ProxyWhirl, or somebody with an editor, could put them."""
    path = tmp_path / "pool.db"
    shutil.copy(DATA / "proxywhirl-sample.db", path)
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE proxy_identities ADD COLUMN remark TEXT")
    connection.execute("ALTER TABLE proxy_statuses ADD COLUMN last_error TEXT")
    connection.execute("ALTER TABLE validation_results ADD COLUMN trace TEXT")
    urls = [
        url for (url,) in connection.execute("SELECT url FROM proxy_identities WHERE password IS NULL ORDER BY url")
    ]
    # In clear, as ProxyWhirl stores them without a key.
    connection.execute("UPDATE proxy_identities SET username=?, password=? WHERE url=?", (USER, PASSWORD, urls[0]))
    # In the URL, and nowhere else.
    for table, column in (
        ("proxy_identities", "url"),
        ("proxy_statuses", "proxy_url"),
        ("validation_results", "proxy_url"),
    ):
        connection.execute(f"UPDATE {table} SET {column}=? WHERE {column}=?", (URL, urls[1]))
    # In texts.
    for url, leak in zip(urls[2:], LEAKS, strict=False):
        connection.execute(
            "UPDATE proxy_identities SET remark=?, source_url=?, source=?, isp_name=?, country_name=?, protocol=?, "
            "host=? WHERE url=?",
            (leak, f"https://u:{quote(PASSWORD, safe='')}@lists.example.org/{leak}", leak, leak, leak, leak, leak, url),
        )
        connection.execute(
            "UPDATE proxy_statuses SET health_status=?, last_error=? WHERE proxy_url=?", (leak, leak, url)
        )
        connection.execute(
            "UPDATE validation_results SET error_type=?, error_message=?, trace=? WHERE proxy_url=?",
            (leak, leak, leak, url),
        )
    stray = f"http://{quote(USER)}:{quote(PASSWORD, safe='')}@192.0.2.99:1/{USER}"
    connection.execute(
        "INSERT INTO validation_results VALUES (9001, ?, '2026-08-20 00:00:00.000000', 0, NULL, ?, ?, ?)",
        (stray, USER, f"via {URL}", PASSWORD),
    )
    connection.execute(
        "UPDATE proxy_identities SET url = url || '/' || ? WHERE url = ?", (f"?who={quote(USER)}", urls[-1])
    )
    connection.commit()
    connection.close()
    return path


@pytest.mark.parametrize("mode", MODES)
def test_database_gives_no_login_away(database: Path, mode: str, caplog: pytest.LogCaptureFixture) -> None:
    with sqlite3.connect(database) as connection:
        stored = connection.execute(
            "SELECT username, password FROM proxy_identities WHERE username IS NOT NULL"
        ).fetchall()
    connection.close()
    encrypted = [value for row in stored for value in row if value.startswith("encrypted:")]
    assert len(encrypted) == 20
    tokens = [value.removeprefix("encrypted:") for value in encrypted]
    inner = [base64.b64decode(token).decode() for token in tokens]

    told, (proxies, checks) = read(database, mode, caplog, checks=True)

    assert hits(told, [*KNOWN, *encrypted, *tokens, *inner, TOKEN.removeprefix("encrypted:"), BARE_TOKEN]) == []
    assert proxies.height == 30
    assert checks.height == 458
    assert proxies["has_credentials"].sum() == 12
    assert proxies["username"].is_not_null().to_list() == (
        proxies["has_credentials"].to_list() if mode == "reference" else [False] * 30
    )
    # What was around a login is still there.
    assert "failed for [redacted]" in proxies["remark"].to_list()
    assert "407 for [redacted]!" in checks["trace"].to_list()
    assert checks.filter(id=9001).select("proxy_url", "error_type", "error_message", "trace").row(0) == (
        "http://192.0.2.99:1/[redacted]",
        "[redacted]",
        "via http://192.0.2.7:8080",
        "[redacted]",
    )


@pytest.mark.parametrize("mode", MODES)
def test_file_storage_gives_no_login_away(tmp_path: Path, mode: str, caplog: pytest.LogCaptureFixture) -> None:
    entries: list[dict[str, Any]] = [
        {"url": "http://192.0.2.1:80", "username": USER, "password": PASSWORD},
        {"url": URL},
        {"url": f"http://192.0.2.2:80/{quote(USER)}?k={quote(PASSWORD, safe='')}#{USER}"},
    ]
    for number, leak in enumerate(LEAKS):
        entries.append(
            {
                "url": f"http://192.0.2.{number + 3}:80",
                "id": leak,
                "protocol": leak,
                "health_status": leak,
                "region": leak,
                "source": leak,
                "source_url": leak,
                "last_health_error": leak,
                "tags": [leak, "fine"],
                "metadata": {leak: [leak, {"deeper": leak}], "fine": 1},
                "unknown": leak,
                leak: leak,
            }
        )
    path = tmp_path / "pool.json"
    path.write_text(json.dumps(entries))

    told, (proxies,) = read(path, mode, caplog)

    assert hits(told, [*KNOWN, TOKEN, BARE_TOKEN]) == []
    assert proxies["has_credentials"].sum() == 2
    assert proxies["url"][2] == "http://192.0.2.2:80/[redacted]?k=[redacted]#[redacted]"
    row = proxies.row(3, named=True)
    assert json.loads(row["tags"]) == ["failed for [redacted]", "fine"]
    assert json.loads(row["metadata"]) == {
        "failed for [redacted]": ["failed for [redacted]", {"deeper": "failed for [redacted]"}],
        "fine": 1,
    }
    assert json.loads(row["extra"]) == {
        "unknown": "failed for [redacted]",
        "failed for [redacted]": "failed for [redacted]",
    }


@pytest.mark.parametrize("mode", MODES)
def test_list_gives_no_login_away(tmp_path: Path, mode: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "pool.txt"
    raw = f"socks5://{USER}:s%40cret@word@192.0.2.8:1080"
    path.write_text(f"{URL}\n# {USER}\n192.0.2.1:80 # {PASSWORD}\n{raw}\n")
    told, (proxies,) = read(path, mode, caplog)
    assert hits(told, [*KNOWN, "s@cret@word", "s%40cret@word"]) == []
    assert proxies["url"].to_list() == ["http://192.0.2.7:8080", "http://192.0.2.1:80", "socks5://192.0.2.8:1080"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("colons", f"192.0.2.1:80:{USER}:{PASSWORD}"),
        ("no scheme", f"{USER}:{PASSWORD}@192.0.2.1:80"),
        ("words", f"192.0.2.1 80 {USER} {PASSWORD}"),
        ("no port", f"http://{USER}:word@192.0.2.1"),
        ("odd scheme", f"ftp://{USER}:word@192.0.2.1:80"),
        ("password as port", f"http://192.0.2.1:{USER}"),
        ("broken json", f'[{{"url": "{USER}" "x"}}]'),
        ("json of another shape", json.dumps({"username": USER, "password": PASSWORD})),
        ("no url", json.dumps([{"username": USER, "password": PASSWORD}])),
        ("odd url", json.dumps([{"url": f"192.0.2.1:80:{USER}:{PASSWORD}"}])),
        ("odd type", json.dumps([{"url": URL, "port": 1, "password": [USER]}])),
        ("name twice", f'[{{"{USER}": 1, "{USER}": 2}}]'),
        ("odd time", json.dumps([{"url": URL, "created_at": f"{USER}"}])),
        ("deep", f'[{{"url": "{"http://h:1"}", "metadata": {"{"}"{USER}": {"[" * 80}1{"]" * 80}{"}"}}}]'),
    ],
)
def test_no_error_quotes_a_login(tmp_path: Path, name: str, content: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "pool"
    path.write_text(content)
    with caplog.at_level(logging.DEBUG), pytest.raises(TailraceError) as caught, SOURCE.open(call(path, "sanitized")):
        pytest.fail(name)
    told: list[str] = [caplog.text]
    error: BaseException | None = caught.value
    while error is not None:
        told += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    assert hits("\n".join(told), KNOWN) == []


def test_reported_rows_do_not_quote_a_login(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "pool.txt"
    path.write_text(f"192.0.2.1:80\n192.0.2.1:80:{USER}:{PASSWORD}\n")
    told, (proxies,) = read(path, "sanitized", caplog, on_bad_rows="report")
    assert hits(told, KNOWN) == []
    assert proxies.height == 1


@pytest.mark.parametrize("location", ["proxywhirl-sample.db", "proxywhirl-file-storage-sample.json"])
def test_mode_full_is_refused_where_there_is_nothing_to_seal_with(location: str) -> None:
    with (
        pytest.raises(NotAllowedError, match="nothing to seal them with") as caught,
        SOURCE.open(call(DATA / location, "full")),
    ):
        pass
    assert "sanitized" in caught.value.hint
    assert "reference" in caught.value.hint
    assert caught.value.exit_code == 3


def test_ids_are_stable_and_differ_by_field_proxy_and_login(tmp_path: Path) -> None:
    path = tmp_path / "pool.txt"
    lines = [f"http://user-{n}:same-word@192.0.2.1:80" for n in range(1000)]
    path.write_text(
        "\n".join([*lines, "http://user-0:other-word@192.0.2.1:80", "http://user-0:same-word@192.0.2.2:80"])
    )
    with SOURCE.open(call(path, "reference")) as dataset:
        frame = dataset.tables[0].frame.collect()
    with SOURCE.open(call(path, "reference")) as dataset:
        assert dataset.tables[0].frame.collect().equals(frame)
    ids = pl.concat([frame["username"], frame["password"]])
    assert ids.null_count() == 0
    assert ids.n_unique() == 2004


def test_the_same_login_has_the_same_id_in_every_shape(tmp_path: Path) -> None:
    listed, stored, own = tmp_path / "pool.txt", tmp_path / "pool.json", tmp_path / "own.json"
    listed.write_text(URL)
    stored.write_text(json.dumps([{"url": URL}]))
    own.write_text(json.dumps([{"url": "http://192.0.2.7:8080", "username": USER, "password": PASSWORD}]))
    rows = []
    for path in (listed, stored, own):
        with SOURCE.open(call(path, "reference")) as dataset:
            rows.append(dataset.tables[0].frame.select("username", "password").collect().row(0))
    assert rows[0] == rows[1] == rows[2]
    assert None not in rows[0]


def test_an_encrypted_login_keeps_its_id_when_it_is_encrypted_anew(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    shutil.copy(DATA / "proxywhirl-sample.db", path)
    found = []
    for _ in range(2):
        with SOURCE.open(call(path, "reference")) as dataset:
            found.append(dataset.tables[0].frame.select("url", "username", "password").collect())
        with sqlite3.connect(path) as connection:
            connection.execute(
                "UPDATE proxy_identities SET username = ?, password = ? WHERE username IS NOT NULL", (TOKEN,) * 2
            )
        connection.close()
    assert found[0].equals(found[1])
    assert found[0]["username"].drop_nulls().n_unique() == 10


def test_half_a_login_is_one(tmp_path: Path) -> None:
    path = tmp_path / "pool.json"
    path.write_text(
        json.dumps(
            [
                {"url": "http://192.0.2.1:80", "username": "only-a-user", "password": None},
                {"url": "http://192.0.2.1:80", "username": "", "password": "only-a-word"},
                {"url": "http://192.0.2.1:80", "username": "", "password": ""},
                {"url": "http://@192.0.2.1:80"},
                {"url": "http://in-url:and-word@192.0.2.1:80", "username": "in-column"},
            ]
        )
    )
    with SOURCE.open(call(path, "reference")) as dataset:
        frame = dataset.tables[0].frame.collect()
    assert frame["has_credentials"].to_list() == [True, True, False, False, True]
    assert frame["auth_type"].to_list() == ["basic", "basic", "none", "none", "basic"]
    assert frame["username"].is_not_null().to_list() == [True, False, False, False, True]
    assert frame["password"].is_not_null().to_list() == [False, True, False, False, False]
    assert frame["url"].unique().to_list() == ["http://192.0.2.1:80"]


def text_after(tmp_path: Path, *, logins: list[tuple[str, str]], text: str) -> str:
    path = tmp_path / "pool.json"
    entries: list[dict[str, Any]] = [
        {"url": f"http://192.0.2.{n}:80", "username": user, "password": password}
        for n, (user, password) in enumerate(logins)
    ]
    path.write_text(json.dumps([*entries, {"url": "http://192.0.2.9:80", "last_health_error": text}]))
    with SOURCE.open(call(path, "sanitized")) as dataset:
        return str(dataset.tables[0].frame.collect()["last_health_error"][-1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a banana a a, A", "[redacted] banana [redacted] [redacted], A"),
        ("a", "[redacted]"),
        ("cat a.b concat (b)", "cat [redacted].[redacted] concat ([redacted])"),
        ("über aä ab", "über aä ab"),
    ],
)
def test_short_logins_are_found_as_words_only(tmp_path: Path, text: str, expected: str) -> None:
    assert text_after(tmp_path, logins=[("a", "b")], text=text) == expected


def test_the_longest_login_is_taken_out_whole(tmp_path: Path) -> None:
    logins = [("user1", "word"), ("user12", "word"), ("user1234", "words")]
    assert text_after(tmp_path, logins=logins, text="user12345 user12 words") == "[redacted]5 [redacted] [redacted]"


def test_words_that_a_column_may_always_hold_stay(tmp_path: Path) -> None:
    path = tmp_path / "pool.json"
    path.write_text(
        json.dumps(
            [
                {
                    "url": "http://http.example.org:80/http",
                    "username": "http",
                    "password": "healthy",
                    "source": "user",
                    "health_status": "healthy",
                    "region": "healthy",
                }
            ]
        )
    )
    with SOURCE.open(call(path, "sanitized")) as dataset:
        row = dataset.tables[0].frame.collect().row(0, named=True)
        assert "1 cells of other columns held a login or part of one: it was replaced by [redacted]." in dataset.notes
    assert row["url"] == "http://http.example.org:80/[redacted]"
    assert (row["protocol"], row["source"], row["health_status"], row["region"]) == (
        "http",
        "user",
        "healthy",
        "[redacted]",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://lists.example.org/?api_key=k-123&page=2", "https://lists.example.org/?api_key=[redacted]&page=2"),
        ("https://lists.example.org/?page=2&Token=t#x", "https://lists.example.org/?page=2&Token=[redacted]#x"),
        ("https://lists.example.org/?monkey=1&tokens_left=2", "https://lists.example.org/?monkey=1&tokens_left=2"),
    ],
)
def test_parameters_named_like_a_credential_lose_their_values(tmp_path: Path, text: str, expected: str) -> None:
    assert text_after(tmp_path, logins=[], text=text) == expected


def test_members_named_like_a_credential_lose_their_values(tmp_path: Path) -> None:
    path = tmp_path / "pool.json"
    metadata = {
        "api_key": "k-123",
        "auth": {"user": "who", "tries": 3, "none": None, "empty": ""},
        "monkey": "banana",
        "number": 12345678,
        "list": [{"proxy-password": "pw"}, {"proxyPassword": 7, "accessKey": "a", "next_token": "t", "tokens": 1}],
    }
    path.write_text(
        json.dumps(
            [
                {"url": "http://192.0.2.1:80", "username": "12345678", "password": "true", "metadata": metadata},
                {"url": "http://192.0.2.1:80", "metadata": {"x-true": 1, "X-true": 2, "x-TRUE": True}, "Login": "who"},
            ]
        )
    )
    with SOURCE.open(call(path, "sanitized")) as dataset:
        frame = dataset.tables[0].frame.collect()
    assert json.loads(frame["metadata"][0]) == {
        "api_key": "[redacted]",
        "auth": {"user": "[redacted]", "tries": "[redacted]", "none": None, "empty": ""},
        "monkey": "banana",
        "number": "[redacted]",
        "list": [
            {"proxy-password": "[redacted]"},
            {"proxyPassword": "[redacted]", "accessKey": "[redacted]", "next_token": "[redacted]", "tokens": 1},
        ],
    }
    assert json.loads(frame["metadata"][1]) == {"x-[redacted]": 1, "X-[redacted]": 2, "x-[redacted] 2": "[redacted]"}
    assert json.loads(frame["extra"][1]) == {"Login": "[redacted]"}


def test_logins_of_rows_that_are_left_out_are_taken_out_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    shutil.copy(DATA / "proxywhirl-sample.db", path)
    secrets = ["misfit-login", "untimely-login", "status-login", "check-login", "url-login"]
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE proxy_identities SET username='misfit-login', port='eighty' WHERE rowid = 1")
        connection.execute("UPDATE proxy_identities SET password='untimely-login', discovered_at='x' WHERE rowid = 2")
        connection.execute(
            "INSERT INTO proxy_identities SELECT 'http://url-login:/@192.0.2.1:1', protocol, host, port, NULL, NULL, "
            "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, source, NULL, discovered_at "
            "FROM proxy_identities LIMIT 1"
        )
        connection.execute(
            "INSERT INTO proxy_statuses SELECT 'http://status-login:w@192.0.2.1:1', health_status, last_success_at, "
            "last_failure_at, last_check_at, 1, 2, 3, 4, 5.0, 0.5, updated_at FROM proxy_statuses LIMIT 1"
        )
        connection.execute(
            "INSERT INTO validation_results VALUES (9001, 'http://check-login:w@192.0.2.1:1', "
            "'2026-08-20 00:00:00.000000', 0, NULL, NULL, NULL)"
        )
        connection.execute("UPDATE proxy_identities SET isp_name = ?", (" ".join(secrets),))
    connection.close()
    with SOURCE.open(call(path, "sanitized", checks=True, on_bad_rows="report")) as dataset:
        frame = dataset.tables[0].frame.collect()
        assert dataset.tables[0].bad_rows.count == 3
    assert frame.height == 28
    assert frame["isp_name"].unique().to_list() == [" ".join(["[redacted]"] * 5)]


def test_logins_of_entries_that_are_left_out_are_taken_out_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "pool.json"
    good = {"url": "http://192.0.2.1:80", "region": "left-out and in-url"}
    bad = {"url": "http://in-url:w@192.0.2.1:99999", "username": "left-out", "password": "word"}
    path.write_text(json.dumps([good, bad]))
    with SOURCE.open(call(path, "sanitized", on_bad_rows="report")) as dataset:
        assert dataset.tables[0].frame.collect()["region"].to_list() == ["[redacted] and [redacted]"]


def test_a_login_is_found_as_oddly_encoded_as_its_url_has_it(tmp_path: Path) -> None:
    path = tmp_path / "pool.json"
    proxy = {"url": "http://odd%6Cogin:odd%77ord@192.0.2.1:80"}
    text = {"url": "http://192.0.2.2:80", "last_health_error": "odd%6Cogin, oddlogin, odd%77ord, oddword"}
    path.write_text(json.dumps([proxy, text]))
    with SOURCE.open(call(path, "sanitized")) as dataset:
        assert dataset.tables[0].frame.collect()["last_health_error"][1] == ", ".join(["[redacted]"] * 4)


def test_forgetting_what_was_found_changes_nothing(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = []
    for remembered in (200_000, 0):
        monkeypatch.setattr(redaction, "_REMEMBERED", remembered)
        with SOURCE.open(call(database, "sanitized", checks=True)) as dataset:
            frames.append([table.frame.collect() for table in dataset.tables])
    assert all(first.equals(second) for first, second in zip(*frames, strict=True))


def test_nothing_of_the_plugin_shows_a_login_in_its_representation() -> None:
    for secretive in (Logins, StoredPool, ShownPool):
        assert secretive.__repr__ is object.__repr__
        assert attrs.has(secretive)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pools")


SECRETS = st.text(min_size=4, max_size=30).filter(lambda text: "redacted" not in text.lower())


@settings(max_examples=60, deadline=None)
@given(user=SECRETS, password=SECRETS, around=st.text(max_size=10))
def test_no_login_survives_in_any_text(folder: Path, user: str, password: str, around: str) -> None:
    path = folder / "pool.json"
    leak = around.join(
        ["", user, quote(password, safe=""), base64.b64encode(f"{user}:{password}".encode()).decode(), ""]
    )
    path.write_text(
        json.dumps(
            [
                {"url": "http://192.0.2.1:80", "username": user, "password": password},
                {"url": "http://192.0.2.2:80", "last_health_error": leak, "tags": [leak], "metadata": {leak: leak}},
            ]
        )
    )
    with SOURCE.open(call(path, "sanitized")) as dataset:
        row = dataset.tables[0].frame.collect().row(1, named=True)
    told = [row["last_health_error"], *json.loads(row["tags"]), *json.loads(row["metadata"]).keys()]
    for text in told:
        for secret in (user, password):
            assert secret not in text.replace("[redacted]", "\x00" * 40)
            assert quote(secret, safe="") not in text.replace("[redacted]", "\x00" * 40)
