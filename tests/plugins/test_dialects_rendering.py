"""Every dialect, written: byte for byte, and what it cannot hold, counted."""

import csv
import io
import json
import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
import yaml
from tailrace_source_pool.dialects.rendering import render

from tailrace import Loss, OptionError, RenderPoolCall, RequestError, UnknownNameError

SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
POOL = pl.DataFrame(
    {
        "place": ["line 1", "line 2", "line 3", "line 4"],
        "protocol": ["http", "http", "http", "http"],
        "host": ["192.0.2.7", "proxy.example.org", "2001:db8::1", "192.0.2.7"],
        "port": [8080, 80, 1080, 8080],
        "username": ["ada", None, "eve", None],
        "password": ["p@s: s%", "", None, "x"],
    }
)
WRITTEN = {
    "hostport": "192.0.2.7:8080\nproxy.example.org:80\n[2001:db8::1]:1080\n192.0.2.7:8080\n",
    "colon": "192.0.2.7:8080:ada:p@s: s%\nproxy.example.org:80\n[2001:db8::1]:1080:eve:\n192.0.2.7:8080::x\n",
    "userinfo": "ada:p%40s%3A%20s%25@192.0.2.7:8080\nproxy.example.org:80\neve@[2001:db8::1]:1080\n:x@192.0.2.7:8080\n",
    "colon-userfirst": "ada:p@s: s%:192.0.2.7:8080\nproxy.example.org:80\neve::[2001:db8::1]:1080\n:x:192.0.2.7:8080\n",
    "url": (
        "http://ada:p%40s%3A%20s%25@192.0.2.7:8080\nhttp://proxy.example.org:80\n"
        "http://eve@[2001:db8::1]:1080\nhttp://:x@192.0.2.7:8080\n"
    ),
    "proxychains": "[ProxyList]\nhttp proxy.example.org 80\nhttp 2001:db8::1 1080 eve\n",
    "clash": (
        "proxies:\n"
        '  - {name: "192.0.2.7:8080", type: http, server: "192.0.2.7", port: 8080, username: "ada", '
        'password: "p@s: s%"}\n'
        '  - {name: "proxy.example.org:80", type: http, server: "proxy.example.org", port: 80}\n'
        '  - {name: "[2001:db8::1]:1080", type: http, server: "2001:db8::1", port: 1080, username: "eve"}\n'
        '  - {name: "192.0.2.7:8080 (2)", type: http, server: "192.0.2.7", port: 8080, password: "x"}\n'
    ),
    "json": (
        "[\n"
        '{"protocol":"http","host":"192.0.2.7","port":8080,"username":"ada","password":"p@s: s%"},\n'
        '{"protocol":"http","host":"proxy.example.org","port":80,"username":null,"password":""},\n'
        '{"protocol":"http","host":"2001:db8::1","port":1080,"username":"eve","password":null},\n'
        '{"protocol":"http","host":"192.0.2.7","port":8080,"username":null,"password":"x"}\n'
        "]\n"
    ),
    "csv": (
        "protocol,host,port,username,password\n"
        "http,192.0.2.7,8080,ada,p@s: s%\n"
        'http,proxy.example.org,80,,""\n'
        "http,2001:db8::1,1080,eve,\n"
        "http,192.0.2.7,8080,,x\n"
    ),
}
LOST: dict[str, Collection[Loss]] = {
    "hostport": [Loss("credentials", 3, "hostport has no place for them")],
    "proxychains": [
        Loss("credentials", 2, "proxychains cannot say their user name or password", proxies=True),
    ],
}


@pytest.mark.parametrize("dialect", WRITTEN)
def test_what_is_written(dialect: str) -> None:
    rendered = render(RenderPoolCall(POOL, dialect))
    assert rendered.content.decode() == WRITTEN[dialect]
    losses = LOST.get(dialect, [])
    assert list(rendered.losses) == losses
    assert rendered.written == 4 - sum(loss.count for loss in losses if loss.proxies)


def test_a_template_is_filled_in() -> None:
    rendered = render(RenderPoolCall(POOL, "template", "{{{scheme}}}|{host}|{port}|{username}|{password:url}|"))
    assert rendered.content.decode() == (
        "{http}|192.0.2.7|8080|ada|p%40s%3A%20s%25|\n{http}|proxy.example.org|80|||\n"
        "{http}|[2001:db8::1]|1080|eve||\n{http}|192.0.2.7|8080||x|\n"
    )
    assert rendered.losses == ()


def test_a_template_loses_what_it_has_no_place_for() -> None:
    assert render(RenderPoolCall(POOL, "template", "{host} {port}")).losses == (
        Loss("credentials", 3, "template has no place for them"),
    )
    assert render(RenderPoolCall(POOL, "template", "{host} {port} {username}|")).losses == (
        Loss("password", 2, "template has no place for them"),
    )


@pytest.mark.parametrize("dialect", [*WRITTEN, "template"])
def test_a_pool_of_nothing_is_a_valid_file(dialect: str) -> None:
    rendered = render(RenderPoolCall(POOL.clear(), dialect, "{host} {port}"))
    empty = {"json": "[]\n", "csv": WRITTEN["csv"].partition("\n")[0] + "\n", "clash": "proxies: []\n"}
    assert rendered.content.decode() == empty.get(dialect, "[ProxyList]\n" if dialect == "proxychains" else "")
    assert (rendered.written, rendered.losses) == (0, ())


# --- schemes

ALL_SCHEMES = pl.DataFrame({"protocol": SCHEMES, "host": ["h"] * 6, "port": range(1, 7)})


def schemes_lost(frame: pl.DataFrame, dialect: str) -> list[tuple[int, str, bool]]:
    losses = render(RenderPoolCall(frame, dialect, "{host} {port}")).losses
    assert {loss.field for loss in losses} <= {"scheme"}
    return [(loss.count, loss.reason, loss.proxies) for loss in losses]


def test_url_says_every_scheme() -> None:
    rendered = render(RenderPoolCall(ALL_SCHEMES, "url"))
    assert rendered.content == b"http://h:1\nhttps://h:2\nsocks4://h:3\nsocks4a://h:4\nsocks5://h:5\nsocks5h://h:6\n"
    assert rendered.losses == ()


def test_schemes_that_proxychains_and_clash_do_not_have() -> None:
    assert schemes_lost(ALL_SCHEMES, "proxychains") == [
        (1, "proxychains has no https", True),
        (1, "socks4a becomes socks4", False),
        (1, "socks5h becomes socks5", False),
    ]
    assert schemes_lost(ALL_SCHEMES, "clash") == [
        (1, "clash has no socks4", True),
        (1, "clash has no socks4a", True),
        (1, "socks5h becomes socks5", False),
    ]
    assert render(RenderPoolCall(ALL_SCHEMES, "proxychains")).content == (
        b"[ProxyList]\nhttp h 1\nsocks4 h 3\nsocks4 h 4\nsocks5 h 5\nsocks5 h 6\n"
    )
    assert yaml.safe_load(render(RenderPoolCall(ALL_SCHEMES, "clash")).content) == {
        "proxies": [
            {"name": "h:1", "type": "http", "server": "h", "port": 1},
            {"name": "h:2", "type": "http", "server": "h", "port": 2, "tls": True},
            {"name": "h:5", "type": "socks5", "server": "h", "port": 5},
            {"name": "h:6", "type": "socks5", "server": "h", "port": 6},
        ]
    }


@pytest.mark.parametrize("dialect", ["hostport", "colon", "userinfo", "colon-userfirst", "template"])
def test_a_dialect_without_schemes_loses_those_that_a_reader_would_not_assume(dialect: str) -> None:
    http = ALL_SCHEMES.with_columns(protocol=pl.lit("http"))
    assert schemes_lost(http, dialect) == []
    assert schemes_lost(http.with_columns(protocol=pl.lit("socks5")), dialect) == [
        (6, f"socks5 is not said in {dialect}, read it with --scheme socks5", False)
    ]
    assert schemes_lost(ALL_SCHEMES, dialect) == [
        (1, f"{scheme} is not said in {dialect}, and is read as http", False) for scheme in SCHEMES[1:]
    ]


# --- what is left out


def one(**values: Any) -> pl.DataFrame:
    proxy = {"protocol": "http", "host": "192.0.2.7", "port": 80, "username": "ada", "password": "x"} | values
    return pl.DataFrame(
        {name: [value] for name, value in proxy.items()}, schema_overrides={"username": pl.String, "port": pl.Int64}
    )


CANNOT = [
    ("colon", {"username": "a:b"}),
    ("colon", {"password": "x "}),
    ("colon", {"password": "x\t"}),
    ("colon", {"password": "a #b"}),
    ("colon", {"password": "a\nb"}),
    ("colon", {"password": "a\x00b"}),
    ("colon", {"password": "a\u0085b"}),
    ("colon", {"password": "x" * 8192}),
    ("colon", {"host": "fe80", "port": 80, "username": None, "password": "1:2"}),
    ("colon-userfirst", {"username": "a:b"}),
    ("colon-userfirst", {"username": "#a"}),
    ("colon-userfirst", {"username": " a"}),
    ("colon-userfirst", {"host": "cafe", "password": "x:1::2"}),
    ("proxychains", {"username": "a b"}),
    ("proxychains", {"username": "a\tb"}),
    ("proxychains", {"username": None}),
    ("proxychains", {"username": "#a"}),
    ("template", {"username": "a|b"}),
    ("template", {"password": "\r"}),
]


@pytest.mark.parametrize(("dialect", "values"), CANNOT)
def test_a_login_that_a_dialect_cannot_say_is_left_out_and_told(dialect: str, values: dict[str, Any]) -> None:
    rendered = render(RenderPoolCall(one(**values), dialect, "{host}|{port}|{username}|{password}|"))
    assert rendered.losses == (
        Loss("credentials", 1, f"{dialect} cannot say their user name or password", proxies=True),
    )
    assert rendered.written == 0
    assert rendered.content == (b"[ProxyList]\n" if dialect == "proxychains" else b"")


@pytest.mark.parametrize("dialect", ["hostport", "url", "clash", "proxychains"])
@pytest.mark.parametrize(
    "values",
    [
        {"host": "a b"},
        {"host": None},
        {"host": "1.2.3"},
        {"port": 0},
        {"port": 65536},
        {"port": None},
        {"protocol": "x"},
    ],
)
def test_proxies_whose_address_is_none_are_left_out(dialect: str, values: dict[str, Any]) -> None:
    frame = pl.concat([one(**values), one(username=None, password=None)], how="vertical_relaxed")
    rendered = render(RenderPoolCall(frame, dialect))
    assert rendered.losses[0] == Loss("host", 1, "their address is none", proxies=True)
    assert rendered.written == 1


def test_columns_that_lines_have_no_place_for_are_counted() -> None:
    frame = pl.concat([one(), one(), one()]).with_columns(
        url=pl.Series(["http://192.0.2.7:80/a?b", "http://192.0.2.7:80/", None]),
        number=pl.Series([1, 2, 3]),
        key=pl.Series(["a", "b", "c"]),
        stored_url=pl.Series(["http://ada:x@192.0.2.7:80/a?b", None, None]),
        credentials_in=pl.lit("url"),
        tags=pl.Series(['["a"]', "[]", None]),
        metadata=pl.lit("{}"),
        country_code=pl.Series(["DE", "DE", ""]),
        total_checks=pl.Series([0, None, 7]),
    )
    losses = render(RenderPoolCall(frame, "url")).losses
    assert [(loss.field, loss.count, loss.reason) for loss in losses] == [
        ("url", 1, "nothing can follow the port"),
        ("tags", 1, "url has no place for it"),
        ("country_code", 2, "url has no place for it"),
        ("total_checks", 2, "url has no place for it"),
    ]


# --- documents

FACTS = pl.DataFrame(
    {
        "number": [1],
        "url": ["http://192.0.2.7:80"],
        "protocol": ["http"],
        "host": ["192.0.2.7"],
        "port": [80],
        "username": ['a"b\\c'],
        "password": ["x\ny,ü😀\x7f\u2028"],
        "latitude": [1e-7],
        "is_residential": [True],
        "discovered_at": [datetime(2026, 8, 15, 6, tzinfo=UTC)],
        "tags": ['["a"]'],
        "place": ["$[0]"],
    }
)
AS_TEXT = {"discovered_at": "2026-08-15T06:00:00.000000Z", "tags": '["a"]', "username": 'a"b\\c'}


def test_json_holds_every_column_of_a_pool() -> None:
    rendered = render(RenderPoolCall(FACTS, "json"))
    assert json.loads(rendered.content) == [
        {name: value for name, value in FACTS.to_dicts()[0].items() if name not in {"number", "place"}} | AS_TEXT
    ]
    assert (rendered.written, rendered.losses) == (1, ())


def test_csv_holds_every_column_of_a_pool() -> None:
    rendered = render(RenderPoolCall(FACTS, "csv"))
    (row,) = csv.DictReader(io.StringIO(rendered.content.decode(), newline=""))
    assert (
        row
        == {
            "url": "http://192.0.2.7:80",
            "protocol": "http",
            "host": "192.0.2.7",
            "port": "80",
            "password": "x\ny,ü😀\x7f\u2028",
            "latitude": row["latitude"],
            "is_residential": "true",
        }
        | AS_TEXT
    )
    assert float(row["latitude"]) == 1e-7
    assert rendered.losses == ()


def test_columns_that_no_pool_has_are_told() -> None:
    for dialect in ("json", "csv"):
        assert render(RenderPoolCall(FACTS.with_columns(colour=pl.lit("red")), dialect)).losses == (
            Loss("colour", 1, "it is no column of a pool"),
        )


@pytest.mark.parametrize("dialect", ["json", "csv"])
def test_values_that_documents_cannot_hold_are_refused(dialect: str) -> None:
    with pytest.raises(RequestError, match="column latitude"):
        render(RenderPoolCall(FACTS.with_columns(latitude=pl.lit(float("nan"))), dialect))


def test_clash_says_texts_as_yaml_reads_them() -> None:
    nasty = [
        '"',
        "\\",
        "\n\t\x00\x1b",
        "\x7f\x85\x9f",
        "\u2028\u2029\ufeff\ufffe\uffff",
        "{}[]#:,&*!|>'%@` ",
        "ü😀",
        "null",
        "0",
    ]
    frame = pl.DataFrame(
        {"protocol": "http", "host": "192.0.2.7", "port": 80, "username": nasty, "password": nasty[::-1]}
    )
    proxies = yaml.safe_load(render(RenderPoolCall(frame, "clash")).content)["proxies"]
    assert [proxy["username"] for proxy in proxies] == nasty
    assert [proxy["password"] for proxy in proxies] == nasty[::-1]
    assert len({proxy["name"] for proxy in proxies}) == len(nasty)


def test_dialects_and_templates_that_are_none_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="There is no dialect 'squid'"):
        render(RenderPoolCall(POOL, "squid"))
    with pytest.raises(OptionError, match=re.escape("it has no {port}.")):
        render(RenderPoolCall(POOL, "template", "{host}"))
