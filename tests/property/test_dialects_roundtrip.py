"""What is written in a dialect is read back, or said to be left out; whatever the lines are, nothing crashes."""

import random
from pathlib import Path
from urllib.parse import quote, unquote

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tailrace_source_pool import tailrace_source
from tailrace_source_pool.dialects import percent
from tailrace_source_pool.dialects.inference import infer_dialect
from tailrace_source_pool.dialects.names import LINE_DIALECTS
from tailrace_source_pool.dialects.reading import read_lines
from tailrace_source_pool.dialects.rendering import render

from tailrace import PoolKeeper, ReadPoolCall, RenderPoolCall

WITH_LOGIN = [dialect for dialect in LINE_DIALECTS if dialect != "hostport"]
TEMPLATE = "{host} {port} {scheme} {username}|{password:url}|"
NASTY = st.text(
    st.one_of(st.sampled_from("@:/%# \t'\"\\|,;[]{}?&=+\n\x00\x7f\u0085\u2028éß中😀ab1"), st.characters(codec="utf-8")),
    min_size=1,
    max_size=12,
)
SCHEMES = st.sampled_from(["http", "https", "socks4", "socks4a", "socks5", "socks5h"])
HOSTS = st.sampled_from(["192.0.2.7", "gate.example.org", "2001:db8::1", "fe", "cafe", "::1"])
PROXIES = st.lists(
    st.tuples(SCHEMES, HOSTS, st.integers(1, 65535), st.none() | NASTY, st.none() | NASTY), min_size=1, max_size=8
)
SCHEMA = {
    "protocol": pl.String,
    "host": pl.String,
    "port": pl.Int64,
    "username": pl.String,
    "password": pl.String,
}
NAMED_OTHERWISE = {"socks4a": "socks4", "socks5h": "socks5"}


def frame_of(proxies: list[tuple[str, str, int, str | None, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(proxies, schema=SCHEMA, orient="row")


def identity(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    return frame.select(SCHEMA.keys()).rows()


@pytest.mark.parametrize("dialect", LINE_DIALECTS)
@given(proxies=PROXIES)
@settings(max_examples=60, deadline=None)
def test_lines_are_read_back_or_left_out_and_told(
    dialect: str, proxies: list[tuple[str, str, int, str | None, str | None]]
) -> None:
    rendered = render(RenderPoolCall(frame_of(proxies), dialect, TEMPLATE))
    read, problems, count = read_lines(rendered.content.decode(), dialect=dialect, template=TEMPLATE)
    assert (problems, count) == ([], 0)
    assert read.height == rendered.written
    left_out = sum(loss.count for loss in rendered.losses if loss.proxies)
    assert rendered.written + left_out == len(proxies)
    expected: list[tuple[object, ...]] = [
        (
            NAMED_OTHERWISE.get(scheme, scheme) if dialect == "proxychains" else scheme,
            host,
            port,
            *((None, None) if dialect == "hostport" else (user, password)),
        )
        for scheme, host, port, user, password in proxies
    ]
    if dialect not in {"url", "proxychains", "template"}:
        expected = [("http", *rest) for _scheme, *rest in expected]
    remaining = iter(expected)
    # In order, and none that was not there.
    assert all(proxy in remaining for proxy in identity(read))
    if not left_out:
        assert identity(read) == expected


@pytest.mark.parametrize("dialect", WITH_LOGIN)
def test_a_thousand_users_of_one_gateway_stay_a_thousand(dialect: str) -> None:
    drawn = random.Random(11)
    specials = "@:/%# 'ü€😀"
    users = [f"customer-{number}-zone-{drawn.choice(specials)}x-country-us" for number in range(1000)]
    passwords = [f"{drawn.choice(specials)}{number % 3}{drawn.choice(specials)}p" for number in range(1000)]
    pool = frame_of([("http", "gate.example.org", 7777, *login) for login in zip(users, passwords, strict=True)])
    rendered = render(RenderPoolCall(pool, dialect, TEMPLATE))
    read, _problems, count = read_lines(rendered.content.decode(), dialect=dialect, template=TEMPLATE)
    kept = set(identity(read))
    assert (count, len(kept)) == (0, rendered.written)
    assert kept <= set(identity(pool))
    lost = 1000 - rendered.written
    assert lost == sum(loss.count for loss in rendered.losses)
    if dialect in {"url", "userinfo"}:
        assert lost == 0
    else:
        without = [login for login in zip(users, passwords, strict=True) if not set(": #") & set("".join(login))]
        assert {("http", "gate.example.org", 7777, *login) for login in without} <= kept


@pytest.mark.parametrize(("dialect", "suffix"), [("clash", "yaml"), ("json", "json"), ("csv", "csv")])
def test_documents_give_every_login_back(dialect: str, suffix: str, tmp_path: Path) -> None:
    nasty = [*"@:/%# '\",;\\\n\t\u2028\u0085\x7fü中😀", "null", "0", "~", "true", "1e3", "=1+1", " x ", "a\r\nb"]
    logins = [(f"{user}{number}", f"{password}") for number, user in enumerate(nasty) for password in nasty]
    pool = frame_of([("http", "gate.example.org", 7777, *login) for login in logins])
    pool = pool.with_columns(url=pl.lit("http://gate.example.org:7777"))
    rendered = render(RenderPoolCall(pool, dialect))
    assert (rendered.written, rendered.losses) == (pool.height, ())
    path = tmp_path / f"pool.{suffix}"
    path.write_bytes(rendered.content)
    keeper = tailrace_source()
    assert isinstance(keeper, PoolKeeper)
    read = keeper.read_pool(ReadPoolCall(path))
    assert (read.dialect, read.problems) == (dialect, ())
    assert identity(read.frame) == identity(pool)


@given(text=st.text(st.characters(codec="utf-8")), dialect=st.none() | st.sampled_from(LINE_DIALECTS))
@settings(max_examples=120, deadline=None)
def test_any_text_is_read_or_refused(text: str, dialect: str | None) -> None:
    read, problems, count = read_lines(text, dialect=dialect, template=TEMPLATE)
    assert count == len(problems)
    assert read["port"].is_between(1, 65535).all()
    assert infer_dialect(text, "")


@given(
    line=st.sampled_from(
        [
            "192.0.2.7:8080",
            "192.0.2.7:8080:ada:S3cret",
            "ada:S3cret:192.0.2.7:8080",
            "ada:S3%63ret@[2001:db8::1]:8080 # x",
            "socks5://ada:S3cret@proxy.example.org:8080/",
            "[ProxyList]\nsocks5 192.0.2.7 1080 ada S3cret",
        ]
    ),
    changes=st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from([*":@/#%[] .\n\t\x000é", "", "::", "%ff"])),
        min_size=1,
        max_size=4,
    ),
    dialect=st.none() | st.sampled_from(LINE_DIALECTS),
)
@settings(max_examples=150, deadline=None)
def test_lines_that_were_changed_never_crash(line: str, changes: list[tuple[int, str]], dialect: str | None) -> None:
    for position, text in changes:
        line = line[:position] + text + line[position + 1 :]
    read, problems, count = read_lines(line, dialect=dialect, template=TEMPLATE)
    assert count == len(problems)
    written = render(RenderPoolCall(read, "url"))
    assert written.written == read.height
    assert identity(read_lines(written.content.decode(), dialect="url")[0]) == identity(read)


@given(texts=st.lists(st.none() | st.text(st.characters(codec="utf-8")), max_size=6))
@settings(max_examples=100, deadline=None)
def test_percent_encoding_is_that_of_the_standard_library(texts: list[str | None]) -> None:
    series = pl.Series(texts, dtype=pl.String)
    encoded = percent.encoded(series)
    assert encoded.to_list() == [None if text is None else quote(text, safe="") for text in texts]
    assert percent.decoded(encoded).to_list() == texts


@given(
    texts=st.lists(
        st.lists(st.sampled_from([*"%4fFaé0", "%c3", "%A9", "%e2%82%ac", "%41", "%ff"]), max_size=8).map("".join),
        max_size=6,
    )
)
@settings(max_examples=120, deadline=None)
def test_percent_decoding_is_that_of_the_standard_library(texts: list[str]) -> None:
    def strictly(text: str) -> str | None:
        try:
            return unquote(text, errors="strict")
        except UnicodeDecodeError:
            return None

    assert percent.decoded(pl.Series(texts, dtype=pl.String)).to_list() == [strictly(text) for text in texts]
