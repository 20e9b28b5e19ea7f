import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace import redacted, without_userinfo

CASES = {
    "http://u:p@h:80": "http://h:80",
    "http://u:p@ss@h:80/x": "http://h:80/x",
    "http://u:pa/ss@h:80/x": "http://h:80/x",
    "http://u:pa#ss?w@h": "http://h",
    "http://u:80a/b@h": "http://h",
    "http://u:p'w@h": "http://h",
    "http://token@h": "http://h",
    "http://u:@h": "http://h",
    "http://:p@h": "http://h",
    "http://@h": "http://h",
    "http://u%40corp.com:pw@h": "http://h",
    "http://u:p%40q%2Fr@h": "http://h",
    "http://u:p@[::1]:80": "http://[::1]:80",
    "socks5h://u:p@h": "socks5h://h",
    "postgresql+psycopg://u:p@h/db": "postgresql+psycopg://h/db",
    "see http://u:p@h, socks5://u2:p2@h2; done": "see http://h, socks5://h2; done",
    "http://u:p@h1,http://u2:p2@h2": "http://h1,http://h2",
    "{'http': 'http://u:p@h'}": "{'http': 'http://h'}",
    '{"http":"http://u:p@h","m":"a@b"}': '{"http":"http://h","m":"a@b"}',
    r"http:\/\/u:p@h\/x": r"http:\/\/h\/x",
    "http%3A%2F%2Fu%3Ap%40h%3A80": "http%3A%2F%2Fh%3A80",
    "http%3a%2f%2fu%3ap%40h": "http%3a%2f%2fh",
    "http%253A%252F%252Fu%253Ap%2540h": "http%253A%252F%252Fh",
    "http%3A//u:p%40h": "http%3A//h",
    "http://h/?next=http%3A%2F%2Fu%3Ap%40c&mail=a%40b": "http://h/?next=http%3A%2F%2Fc&mail=a%40b",
    "user:pass@1.2.3.4:8080": "1.2.3.4:8080",
    "user:12345@h:1": "h:1",
    "user:p@ss@h": "h",
    "user:pa/ss@h:1": "h:1",
    "u:p@h:1\nu2:p2@h2:2": "h:1\nh2:2",
    "proxy u:p@1.2.3.4:80 failed (x:y@z)": "proxy 1.2.3.4:80 failed (z)",
    "proxy=u:p@h": "proxy=h",
    "éhttp://u:p@h": "éhttp://h",
    "1http://u:p@h": "1http://h",
    "http://u:p\x1cw@h": "http://h",
    "http://u:p\u00a0w@h": "http://h",
}
"""What has credentials, and what is left of it."""

KEPT = (
    "",
    "@",
    "plain text",
    "https://medium.com/@name",
    "https://h/a?x=@y#@z",
    "https://h:80/a:b@c",
    "http://[::1]:80/@x",
    "localhost:8080/@name",
    "joe@example.com",
    "Contact: joe@example.com",
    "2026-01-01T10:20:30Z",
    "proxywhirl:///a/b@c.db",
    "http://h/?mail=a%40b",
    "100%40",
)
"""What has none, and stays as it is."""


@pytest.mark.parametrize(("text", "left"), [*CASES.items(), *((text, text) for text in KEPT)])
def test_credentials_are_removed_and_nothing_else(text: str, left: str) -> None:
    assert redacted(text) == left
    assert pl.select(without_userinfo(pl.lit(text))).item() == left


def test_a_column_keeps_its_nulls_its_order_and_its_source() -> None:
    frame = pl.DataFrame({"url": [None, "http://u:p@h", "http://h", None, "a:b@c"]})
    out = frame.lazy().with_columns(clean=without_userinfo(pl.col("url"))).collect(engine="streaming")
    assert out["clean"].to_list() == [None, "http://h", "http://h", None, "c"]
    assert out["url"].to_list() == frame["url"].to_list()


def test_a_column_without_credentials_comes_back_as_it_was() -> None:
    frame = pl.DataFrame({"url": ["http://h", None]}, schema={"url": pl.String})
    assert frame.select(without_userinfo(pl.col("url"))).equals(frame)
    empty = frame.clear()
    assert empty.select(without_userinfo(pl.col("url"))).equals(empty)


@pytest.mark.parametrize("name", ["*", "^a$", "^.*$", ""])
def test_columns_whose_names_look_like_patterns(name: str) -> None:
    frame = pl.LazyFrame({name: ["http://u:p@h/"], "a": ["other"]})
    cleaned = frame.with_columns(without_userinfo(pl.nth(0)).name.keep()).collect()
    assert cleaned.rows() == [("http://h/", "other")]


_SIGNS = r"""http socks5 :// %3A%2F%2F %253A @ %40 %2540 : / ? # , ' " \ u p host 80 [::1] é %2F ( = ;"""
_PIECES = st.sampled_from(_SIGNS.split()) | st.sampled_from(" \n\u2028\x85\x1c\u00a0")


@given(st.lists(_PIECES, max_size=14).map("".join))
def test_texts_and_columns_are_treated_alike(text: str) -> None:
    assert pl.select(without_userinfo(pl.lit(text))).item() == redacted(text)


_SAFE = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)
_PASSWORD = st.text(st.sampled_from("abcXYZ019!$&*+-._~@'%"), min_size=1, max_size=10)
_SCHEMES = st.sampled_from(["http", "https", "socks4", "socks5", "socks5h", "postgresql"])


@given(_SCHEMES, _SAFE, _PASSWORD, _SAFE, st.integers(1, 65535), st.sampled_from(["", "/", "/@x", "?a=b@c", "#@"]))
def test_no_password_survives_in_an_address(
    scheme: str, user: str, password: str, host: str, port: int, rest: str
) -> None:
    place = f"{host}:{port}"
    assert redacted(f"{scheme}://{user}:{password}@{place}{rest}") == f"{scheme}://{place}{rest}"
    assert redacted(f"{user}:{password}@{place} x") == f"{place} x"


def test_long_texts_take_no_longer_than_they_are_long() -> None:
    for text in ("a:" * 50_000, "http://" * 20_000 + "@", "%25" * 50_000 + "@", " a:b" * 50_000, "x" * 100_000):
        redacted(text)


def test_what_is_removed_can_be_told() -> None:
    told: list[str] = []
    texts = pl.Series(
        [
            "https://kim:pa:ss@h/x",
            None,
            "a mail to kim@example.org",
            "kim:pw@h and socks5://to%2Fken@h, or kim:pw@h",
            "https%3A%2F%2Fkim%3Apw%40h",
            "nothing",
        ]
    )
    left = pl.select(without_userinfo(pl.lit(texts), removed=told.extend)).to_series()
    assert left.to_list() == [
        "https://h/x",
        None,
        "a mail to kim@example.org",
        "h and socks5://h, or h",
        "https%3A%2F%2Fh",
        "nothing",
    ]
    assert set(told) == {"kim%3Apw%40", "kim:pa:ss@", "kim:pw@", "to%2Fken@"}
