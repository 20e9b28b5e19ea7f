"""The redaction proof with the sources that keep something out: pools and request logs."""

import base64
import json
import random
import shutil
import sqlite3
import string
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from tailrace_source_analytics import removed as removed_module
from tailrace_source_analytics.credentials import Ids, Members, Nothing, is_person
from tailrace_source_analytics.removed import Removed
from tailrace_source_pool.kept_out import kept_out
from tailrace_source_pool.logins import Logins
from tailrace_source_pool.redaction import Redactor

from tailrace import CredentialMode, Engine, ExportRequest, LeakError, SinkRequest
from tailrace.settings import Settings

DATA = Path(__file__).parents[1] / "data"


def export(tmp_path: Path, source: str, location: Path, format_: str = "csv", **more: Any) -> tuple[str, Any]:
    """The text of an export, and its record."""
    asked = ExportRequest(
        source, str(location), format_, sinks=(SinkRequest("disk", str(tmp_path / "out")),), compress=False, **more
    )
    (artifact,) = Engine(Settings(home=tmp_path / "home", user="kim")).export(asked).artifacts
    assert artifact.path is not None
    return artifact.path.read_text(), artifact.manifest.redaction


def pool_of(tmp_path: Path, proxies: list[dict[str, Any]]) -> Path:
    path = tmp_path / "pool.json"
    path.write_text(json.dumps(proxies))
    return path


def canaries(count: int) -> list[dict[str, Any]]:
    """Proxies whose logins are in their texts as well, in the ways that are taken out of them."""
    rng = random.Random(11)
    letters = string.ascii_letters + string.digits
    signs = letters + "!@#$%&+/=:?<>\"'\\ äß"
    proxies = []
    for number in range(count):
        user = "user-" + "".join(rng.choices(letters, k=rng.randint(1, 12)))
        password = "".join(rng.choices(signs, k=rng.randint(4, 24)))
        at = f"192.0.2.{number % 250}:{8000 + number % 1000}"
        proxies.append(
            {
                "url": f"http://{quote(user)}:{quote(password, safe='')}@{at}" if number % 3 == 0 else f"http://{at}",
                "username": None if number % 3 == 0 else user,
                "password": None if number % 3 == 0 else password,
                "last_health_error": f"407 {user} {quote(password, safe='')} {password}" if number % 7 == 0 else None,
                "metadata": {"note": f"{user}/{password}", "n": number} if number % 11 == 0 else None,
            }
        )
    return proxies


@pytest.mark.parametrize(
    ("format_", "credentials"), [("csv", CredentialMode.SANITIZED), ("json", CredentialMode.REFERENCE)]
)
def test_no_canary_leaves_a_pool_and_none_is_seen_where_there_is_none(
    tmp_path: Path, format_: str, credentials: CredentialMode
) -> None:
    proxies = canaries(5_000)
    text, record = export(tmp_path, "pool", pool_of(tmp_path, proxies), format_, credentials=credentials)
    assert len(text) > 500_000
    assert record.searched > 9_900
    assert record.bytes == len(text.encode())


@pytest.mark.parametrize("format_", ["csv", "json"])
def test_the_sample_pools_are_exported(tmp_path: Path, format_: str) -> None:
    for name in ("proxywhirl-sample.db", "proxywhirl-file-storage-sample.json"):
        _text, record = export(tmp_path / name, "pool", DATA / name, format_)
        assert record is not None


def test_a_login_that_the_redactor_overlooks_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "overlooked-secret"
    proxies = [
        {"url": "http://192.0.2.1:80", "username": "u", "password": secret},
        {
            "url": "http://192.0.2.2:80",
            "last_health_error": f"Basic {base64.b64encode(f'u:{secret}'.encode()).decode()}",
        },
    ]
    pool = pool_of(tmp_path, proxies)
    monkeypatch.setattr(Redactor, "texts", lambda _self, *columns: list(columns))
    with pytest.raises(LeakError) as caught:
        export(tmp_path, "pool", pool)
    assert caught.value.message.startswith("A secret (password) is in the finished file: table proxies, line 3, byte ")
    assert caught.value.form == "Base64"
    assert not list((tmp_path / "out").glob("*"))


def test_base64_of_something_around_a_login_is_found_though_the_redactor_cannot_know(tmp_path: Path) -> None:
    wrapped = base64.b64encode(b"{'password': 'canary-secret'}").decode()
    proxies = [
        {"url": "http://192.0.2.1:80", "username": "u", "password": "canary-secret"},
        {"url": "http://192.0.2.2:80", "last_health_error": wrapped},
    ]
    with pytest.raises(LeakError, match="Base64"):
        export(tmp_path, "pool", pool_of(tmp_path, proxies))


def test_a_pool_of_everyday_words_can_be_exported(tmp_path: Path) -> None:
    words = ["user", "http", "healthy", "password", "proxies", "manifest", "sanitized", "redacted", "basic", "number"]
    words += [
        "none",
        "true",
        "null",
        "String",
        "unknown",
        "192.0.2.1",
        "gateway",
        "gateway.example",
        "8080",
        "12345678",
    ]
    proxies = [
        {"url": f"http://{host}:8080", "username": word, "password": word, "total_requests": 12345}
        for word in words
        for host in ("192.0.2.1", "gateway.example")
    ]
    for format_ in ("csv", "json"):
        _text, record = export(tmp_path / format_, "pool", pool_of(tmp_path, proxies), format_)
        assert record.left_out_public >= 10
        assert record.left_out_short == 1


def test_logins_of_a_database_are_searched_for(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    shutil.copy(DATA / "proxywhirl-sample.db", path)
    connection = sqlite3.connect(path)
    wrapped = base64.b64encode(b"xx canary-secret xx").decode()
    connection.execute("UPDATE proxy_identities SET password='canary-secret', isp_name=? WHERE rowid = 1", (wrapped,))
    connection.commit()
    connection.close()
    with pytest.raises(LeakError):
        export(tmp_path, "pool", path)
    _text, record = export(tmp_path, "pool", path, columns=("number", "host"))
    assert record.searched > 0


def test_a_pool_tells_names_passwords_and_pairs_that_nothing_else_would_find() -> None:
    address = pl.DataFrame(
        {name: ["x"] * 3 for name in ("scheme", "host", "port")}
        | {
            "login_user": ["in url", None, None],
            "login_password": ["w ord", None, None],
            "login": ["in%20url:w%20ord", None, None],
        }
    )
    stored = pl.DataFrame(
        {
            "url": ["http://x"] * 3,
            "username": ["kim", "kim-12345", "gAAAAA" + "x" * 40],
            "password": ["pw", "word", "hidden"],
        }
    )
    told = kept_out(
        Logins.of(stored, address), pl.Series(["h.example", None, "h.example"]), pl.Series(["http://h.example:80"])
    )
    assert told.texts == {
        "kim": "user name",
        "pw": "password",
        "kim:pw": "user name and password",
        "kim-12345": "user name",
        "word": "password",
        "in url": "user name",
        "w ord": "password",
        "in url:w ord": "user name and password",
        "in%20url": "user name",
        "w%20ord": "password",
        "hidden": "password",
    }
    assert "h.example" in told.public
    assert "[redacted]" in told.public


# Request logs.


def log_of(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    path = tmp_path / "requests.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


ROWS: list[dict[str, Any]] = [
    {
        "timestamp": "2026-08-15T06:00:00Z",
        "endpoint": "https://kim:first-secret@192.0.2.1/a",
        "api_key": "key-0815",
        "username": "admin",
    },
    {
        "timestamp": "2026-08-15T06:00:01Z",
        "endpoint": "https://second%2Dsecret@192.0.2.1/admin",
        "api_key": None,
        "username": "admin",
    },
    {"timestamp": "2026-08-15T06:00:02Z", "endpoint": "https://192.0.2.1/kim", "api_key": "key-0815", "username": None},
]


@pytest.mark.parametrize("credentials", [CredentialMode.SANITIZED, CredentialMode.REFERENCE])
def test_what_is_removed_from_a_log_is_searched_for(tmp_path: Path, credentials: CredentialMode) -> None:
    _text, record = export(tmp_path, "analytics", log_of(tmp_path, ROWS), credentials=credentials)
    assert (record.secrets, record.searched) == (4, 4)


@pytest.mark.parametrize("text", ["see first-secret", "second-secret", "key-0815", "c2Vjb25kLXNlY3JldA=="])
@pytest.mark.parametrize("credentials", [CredentialMode.SANITIZED, CredentialMode.REFERENCE])
def test_what_is_removed_in_one_place_of_a_log_must_not_be_in_another(
    tmp_path: Path, text: str, credentials: CredentialMode
) -> None:
    rows = [{"error_code": text, **ROWS[2], "api_key": None}, *ROWS]
    with pytest.raises(LeakError) as caught:
        export(tmp_path, "analytics", log_of(tmp_path, rows), credentials=credentials)
    assert caught.value.line == 2
    _text, record = export(tmp_path, "analytics", log_of(tmp_path, rows), columns=("timestamp", "endpoint"))
    assert record.searched == 3


def test_members_of_json_are_searched_for_where_they_are_no_names(tmp_path: Path) -> None:
    auth = {"token": "token-4711", "user": "admin", "list": ["item-4711", 5, None]}
    extra = {"password": "member-secret", "auth": auth, "n": 1}
    rows = [{**ROWS[2], "extra": extra, "error_code": "admin"}]
    text, record = export(tmp_path, "analytics", log_of(tmp_path, rows))
    assert "member-secret" not in text
    assert "4711" not in text
    assert record.secrets == 4
    for leak in ("member-secret", "token-4711", "item-4711"):
        with pytest.raises(LeakError):
            export(tmp_path, "analytics", log_of(tmp_path, [{**rows[0], "error_code": leak}]))


def test_a_log_without_credentials_has_nothing_to_search_for(tmp_path: Path) -> None:
    _text, record = export(tmp_path, "analytics", DATA / "request-log-sample.csv", columns=("endpoint", "success"))
    assert record.bytes in {0, len(_text.encode())}


def test_removed_secrets_are_bounded_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removed_module, "REMEMBERED", 3)
    removed = Removed()
    removed.values(pl.Series(["secret-1", None, "secret-1", "secret-2"]))
    removed.logins(pl.Series(["kim:secret-3@", "kim:secret-4@"]))
    removed.values(pl.Series(["secret-5"]))
    removed.members(pl.Series(['"token": "secret-6"', '"token": {"cut']), is_person)
    assert len(removed.secrets().texts) == 3
    assert {"secret-1", "secret-2"} <= set(removed.secrets().texts)
    assert "secret" not in repr(removed).replace("Removed", "")
    assert removed.secrets().texts is not removed.secrets().texts


def test_logins_are_remembered_as_written_and_decoded() -> None:
    removed = Removed()
    removed.logins(pl.Series(["a:b%2Fc@", "only-a-token@", "x:@", "kim%3Apw%40", None]))
    assert removed.secrets().texts == {
        "b%2Fc": "password",
        "b/c": "password",
        "only-a-token": "token",
        "kim%3Apw": "token",
        "pw": "password",
    }


def test_members_that_cannot_be_read_are_left() -> None:
    removed = Removed()
    removed.members(pl.Series(['"token": {"cut', '"pwd": 5', '"pwd": [[[', None]), is_person)
    assert removed.secrets().texts == {}


def test_what_is_emptied_is_told() -> None:
    removed = Removed()
    texts = pl.Series(['{"token": {"user": "kim", "words": ["one", 2]}, "n": 1}', None, '{"n": 1}'])
    assert Members(removed)(texts).to_list() == ['{"token": null, "n": 1}', None, '{"n": 1}']
    assert Members(removed)(texts[1:]).to_list() == [None, '{"n": 1}']
    assert Nothing(removed)(pl.Series(["key", None])).to_list() == [None, None]
    assert Ids("key", lambda *parts: "-".join(parts), removed)(pl.Series(["other", None])).to_list() == [
        "key-other",
        None,
    ]
    assert removed.secrets().texts == {"one": "credential", "key": "credential", "other": "credential"}
