"""What a file is, told by its content; its name counts only where there is nothing in it."""

import pytest
from tailrace_source_pool.dialects.inference import LOOKED_AT, infer_dialect, scheme_of_name

FILES = [
    ("192.0.2.7:80\n192.0.2.8:80\n", "hostport"),
    ("[2001:db8::1]:80\n", "hostport"),
    ("# mine\n\n192.0.2.7:80:ada:S3cret\n", "colon"),
    ("ada:S3cret:192.0.2.7:80", "colon-userfirst"),
    ("ada:S3cret@192.0.2.7:80", "userinfo"),
    ("http://192.0.2.7:80\r\nhttp://192.0.2.8:80\r\n192.0.2.9:80", "url"),
    ("host:81:user:82\n192.0.2.7:80:ada:x", "colon"),
    ("host:81:user:82", "colon"),
    ("nothing of the kind", "colon"),
    ('[{"url": "http://192.0.2.7:80"}]', "json"),
    ('\ufeff {"proxies": []}', "json"),
    ('{"manifest": {"schema_version": 2}, "proxies": []}', "json"),
    ("[]", "json"),
    ("ip,port,country\n192.0.2.7,80,DE", "csv"),
    ('"Host";"Port"\n', "csv"),
    ("url\nhttp://192.0.2.7:80", "csv"),
    ("mixed-port: 7890\nproxies:\n  - {name: a, type: http}\n", "clash"),
    ("proxies: []", "clash"),
    ("strict_chain\n[ProxyList]\nhttp 192.0.2.7 80", "proxychains"),
]


@pytest.mark.parametrize(("content", "dialect"), FILES)
def test_the_content_tells(content: str, dialect: str) -> None:
    assert infer_dialect(content, "proxies.csv") == dialect
    assert infer_dialect(content.encode(), "proxies.json") == dialect


@pytest.mark.parametrize(
    ("name", "dialect"),
    [("a.json", "json"), ("a.CSV", "csv"), ("a.yml", "clash"), ("a.conf", "proxychains"), ("socks5.txt", "hostport")],
)
def test_the_name_tells_where_the_content_says_nothing(name: str, dialect: str) -> None:
    for content in ("", "\n# nothing yet\n"):
        assert infer_dialect(content, name) == dialect


def test_a_last_line_that_is_cut_is_left_out() -> None:
    line = "192.0.2.7:80\n"
    text = line * (LOOKED_AT // len(line) + 2)
    assert infer_dialect(text, "") == "hostport"
    assert infer_dialect("x" * LOOKED_AT * 2, "") == "colon"


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("socks5.txt", "socks5"),
        ("/lists/http/fresh-SOCKS4.txt", "socks4"),
        ("https_proxies", "https"),
        ("http-and-socks5.txt", None),
        ("proxies.txt", None),
    ],
)
def test_the_protocol_that_a_name_says(name: str, scheme: str | None) -> None:
    assert scheme_of_name(name) == scheme
