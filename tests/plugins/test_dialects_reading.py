"""Every dialect of lines, read: what a line is taken for, and what is refused, with its number, never with its text."""

import re
import subprocess
import sys

import pytest
from tailrace_source_pool.dialects import reading
from tailrace_source_pool.dialects.reading import MAX_LINES, PROBLEMS_LISTED, read_lines

from tailrace import OptionError, Problem, UnknownNameError

Proxy = tuple[str, str, int, str | None, str | None]


def proxies(text: str, dialect: str | None, **more: str) -> list[Proxy]:
    frame, problems, count = read_lines(text, dialect=dialect, **more)
    assert (problems, count) == ([], 0)
    return frame.select("protocol", "host", "port", "username", "password").rows()


def reasons(text: str, dialect: str | None, **more: str) -> list[str]:
    _frame, problems, count = read_lines(text, dialect=dialect, **more)
    assert count == len(problems)
    return [str(problem) for problem in problems]


GOOD = [
    ("hostport", "192.0.2.7:8080", ("http", "192.0.2.7", 8080, None, None)),
    ("hostport", "Proxy.Example.ORG:080", ("http", "proxy.example.org", 80, None, None)),
    ("hostport", "[2001:DB8::1]:1", ("http", "2001:db8::1", 1, None, None)),
    ("hostport", "  192.0.2.7:65535\t# note", ("http", "192.0.2.7", 65535, None, None)),
    ("colon", "192.0.2.7:8080:ada:S3cret", ("http", "192.0.2.7", 8080, "ada", "S3cret")),
    ("colon", "192.0.2.7:8080", ("http", "192.0.2.7", 8080, None, None)),
    ("colon", "192.0.2.7:8080:ada:", ("http", "192.0.2.7", 8080, "ada", None)),
    ("colon", "192.0.2.7:8080::x", ("http", "192.0.2.7", 8080, None, "x")),
    ("colon", "192.0.2.7:8080:a@b/c:%41#d e:f@ü", ("http", "192.0.2.7", 8080, "a@b/c", "%41#d e:f@ü")),
    ("colon", "host:81:user:82", ("http", "host", 81, "user", "82")),
    ("colon", "[2001:db8::1]:8080:ada:x:y", ("http", "2001:db8::1", 8080, "ada", "x:y")),
    ("colon", "[2001:db8::1]:8080", ("http", "2001:db8::1", 8080, None, None)),
    ("colon", "fe:80:ada:x", ("http", "fe", 80, "ada", "x")),
    ("colon-userfirst", "ada:S3cret:192.0.2.7:8080", ("http", "192.0.2.7", 8080, "ada", "S3cret")),
    ("colon-userfirst", "ada:x:y:z:192.0.2.7:8080", ("http", "192.0.2.7", 8080, "ada", "x:y:z")),
    ("colon-userfirst", "ada:x:[2001:db8::1]:8080", ("http", "2001:db8::1", 8080, "ada", "x")),
    ("colon-userfirst", "::192.0.2.7:8080", ("http", "192.0.2.7", 8080, None, None)),
    ("colon-userfirst", "192.0.2.7:8080", ("http", "192.0.2.7", 8080, None, None)),
    ("colon-userfirst", "host:81:user:82", ("http", "user", 82, "host", "81")),
    ("userinfo", "ada:S3cret@192.0.2.7:8080", ("http", "192.0.2.7", 8080, "ada", "S3cret")),
    ("userinfo", "ada@192.0.2.7:8080", ("http", "192.0.2.7", 8080, "ada", None)),
    ("userinfo", ":x@192.0.2.7:8080", ("http", "192.0.2.7", 8080, None, "x")),
    ("userinfo", "a%3Ab:p%40s%2f%25%23%20%C3%bc%zz@h:1", ("http", "h", 1, "a:b", "p@s/%# ü%zz")),
    ("userinfo", "ada:p@ss:w@[2001:db8::1]:8080 # note", ("http", "2001:db8::1", 8080, "ada", "p@ss:w")),
    ("userinfo", "192.0.2.7:8080", ("http", "192.0.2.7", 8080, None, None)),
    ("url", "http://ada:S3cret@192.0.2.7:8080", ("http", "192.0.2.7", 8080, "ada", "S3cret")),
    ("url", "SOCKS5H://[2001:db8::1]:1080/ # note", ("socks5h", "2001:db8::1", 1080, None, None)),
    ("url", "socks4://ada@h:1", ("socks4", "h", 1, "ada", None)),
    ("url", "https://%E2%82%AC%F0%9F%98%80:%@h:1", ("https", "h", 1, "€😀", "%")),
    ("url", "http://a:b@c:d@h:1", ("http", "h", 1, "a", "b@c:d")),
]


@pytest.mark.parametrize(("dialect", "line", "proxy"), GOOD)
def test_what_a_line_is_taken_for(dialect: str, line: str, proxy: Proxy) -> None:
    assert proxies(line, dialect) == [proxy]


BAD_PORT, NO_PORT = "its port is not a number from 1 to 65535", "its port is missing"
BAD_HOST, BLANKS = "its host is not an address", "it holds blanks; in a user name or password they are written as %20"
BRACKETS = "it may begin or end with an IPv6 address, which needs brackets: [2001:db8::1]:8080"
HALF = (
    "it has three parts, and could be host:user:password without a port or host:port:user without a password; "
    "write all four parts"
)
HASH = "what follows its # could be a comment or belong to the password; write it as a URL, with %23"
SCHEMES = "its scheme is none of http, https, socks4, socks4a, socks5, socks5h"
NOT_URL = "it is not scheme://[user:password@]host:port"
NOT_UTF_8 = "its user name or password is not UTF-8 when its percent signs are decoded"
CONTROL = "it holds control characters"
BAD = [
    ("hostport", "192.0.2.7", "it is not host:port"),
    ("hostport", "192.0.2.7:", NO_PORT),
    ("hostport", "192.0.2.7:0", BAD_PORT),
    ("hostport", "192.0.2.7:65536", BAD_PORT),
    ("hostport", "192.0.2.7:+80", BAD_PORT),
    ("hostport", "192.0.2.7:-80", BAD_PORT),
    ("hostport", "192.0.2.7:000080", BAD_PORT),
    ("hostport", "192.0.2.7:8_0", BAD_PORT),
    ("hostport", "192.0.2.7:1e3", BAD_PORT),
    ("hostport", "192.0.2.7:\u0663", BAD_PORT),
    ("hostport", "256.0.2.7:80", BAD_HOST),
    ("hostport", "192.0.2:80", BAD_HOST),
    ("hostport", ":80", BAD_HOST),
    ("hostport", "h/x:80", BAD_HOST),
    ("hostport", f"{'h' * 254}:80", BAD_HOST),
    ("hostport", "[]:80", BAD_HOST),
    ("hostport", "[1::2::3]:80", BAD_HOST),
    ("hostport", "[2001:db8::1:80", "it is not host:port"),
    ("hostport", "2001:db8::1:80", "it is not host:port"),
    ("hostport", "a b:80", BLANKS),
    ("hostport", "a\u2003b:80", BLANKS),
    ("hostport", "a\x00b:80", CONTROL),
    ("hostport", "a\x7f:80", CONTROL),
    ("hostport", "a\x85:80", CONTROL),
    ("hostport", "ada:x@192.0.2.7:80", "it is not host:port"),
    ("hostport", "http://192.0.2.7:80", "it is not host:port"),
    ("hostport", f"{'x' * 8190}:80", "it has more than 8,192 bytes"),
    ("colon", "192.0.2.7", "it is not host:port:user:password"),
    ("colon", "192.0.2.7:ada:x", HALF),
    ("colon", "192.0.2.7:80:ada", HALF),
    ("colon", "[::1]:80:ada", HALF),
    ("colon", "[::1]80:ada:x", "it is not host:port:user:password"),
    ("colon", "[::1]", "it is not host:port:user:password"),
    ("colon", "2001:db8::1:8080:ada:x", BRACKETS),
    ("colon", "fe80:80::1:8080:ada:x", BRACKETS),
    ("colon", "::1:8080", BRACKETS),
    ("colon", "1:2:3:4:5:6:7:8:8080:ada:x", BRACKETS),
    ("colon", "ada:x:192.0.2.7:80", BAD_PORT),
    ("colon", "192.0.2.7:80:ada:x # y", HASH),
    ("colon", "192.0.2.7:80:ada:x\t#y", HASH),
    ("colon", "192.0.2.7:80:ada:x\x01", CONTROL),
    ("colon-userfirst", "ada:x", BAD_PORT),
    ("colon-userfirst", "ada:192.0.2.7:80", HALF),
    ("colon-userfirst", "ada:x:2001:db8::cafe:8080", BRACKETS),
    ("colon-userfirst", "ada:x:1:2:3:4:5:6:7:cafe:8080", BRACKETS),
    ("colon-userfirst", "192.0.2.7:80:ada:x", BAD_PORT),
    ("colon-userfirst", "ada:x #y:192.0.2.7:80", HASH),
    ("userinfo", "ada:x@192.0.2.7", "it is not user:password@host:port"),
    ("userinfo", "ada:x@:80", BAD_HOST),
    ("userinfo", "ada:x@2001:db8::1:80", "it is not user:password@host:port"),
    ("userinfo", "ada:%ff@192.0.2.7:80", NOT_UTF_8),
    ("userinfo", "%c0%80:x@192.0.2.7:80", NOT_UTF_8),
    ("userinfo", "%ed%a0%80@192.0.2.7:80", NOT_UTF_8),
    ("userinfo", "ada:x y@192.0.2.7:80", BLANKS),
    ("url", "192.0.2.7:80", NOT_URL),
    ("url", "http:/192.0.2.7:80", NOT_URL),
    ("url", "http://192.0.2.7", NO_PORT),
    ("url", "http://192.0.2.7:/", NO_PORT),
    ("url", "http://192.0.2.7:80/path", "something follows its port"),
    ("url", "http://192.0.2.7:80?x", "something follows its port"),
    (
        "url",
        "http://192.0.2.7:80/x@h:1",
        "it has an @ behind a slash, and what is a login there could only be guessed; write / as %2F",
    ),
    ("url", "ftp://192.0.2.7:80", SCHEMES),
    ("url", "http://2001:db8::1:80", NOT_URL),
    ("url", "http://ada:x y@192.0.2.7:80", BLANKS),
    ("url", "http://ada:x@192.0.2.7:x", BAD_PORT),
]


@pytest.mark.parametrize(("dialect", "line", "reason"), BAD)
def test_lines_that_are_refused(dialect: str, line: str, reason: str) -> None:
    assert reasons(f"192.0.2.1:1\n{line}" if dialect != "url" else f"http://h:1\n{line}", dialect) == [
        f"line 2: {reason}"
    ]


UNAMBIGUOUS = [
    ("192.0.2.7:8080", ("http", "192.0.2.7", 8080, None, None)),
    ("[2001:db8::1]:8080 # note", ("http", "2001:db8::1", 8080, None, None)),
    ("socks5://ada:x%20y@192.0.2.7:8080", ("socks5", "192.0.2.7", 8080, "ada", "x y")),
    ("ada:x:y@192.0.2.7:8080", ("http", "192.0.2.7", 8080, "ada", "x:y")),
    ("192.0.2.7:8080:ada:S3cret", ("http", "192.0.2.7", 8080, "ada", "S3cret")),
    ("192.0.2.7:8080:ada:p@ss", ("http", "192.0.2.7", 8080, "ada", "p@ss")),
    ("192.0.2.7:8080:ada:99999", ("http", "192.0.2.7", 8080, "ada", "99999")),
    ("[2001:db8::1]:8080:ada:x", ("http", "2001:db8::1", 8080, "ada", "x")),
    ("ada:S3cret:192.0.2.7:8080", ("http", "192.0.2.7", 8080, "ada", "S3cret")),
    ("ada:x:[2001:db8::1]:8080", ("http", "2001:db8::1", 8080, "ada", "x")),
]


def test_lines_of_several_shapes_are_read_as_they_are() -> None:
    lines = [line for line, _proxy in UNAMBIGUOUS]
    assert proxies("\n".join(lines), None) == [proxy for _line, proxy in UNAMBIGUOUS]


COLON_OR_FIRST = "it could be host:port:user:password or user:password:host:port; say by its dialect which it is"
NEITHER = (
    "it is neither host:port:user:password nor user:password:host:port with a host that is an address and a port from "
    "1 to 65535"
)
AMBIGUOUS = [
    ("host:81:user:82", COLON_OR_FIRST),
    ("192.0.2.7:8080:192.0.2.8:8081", COLON_OR_FIRST),
    ("[2001:db8::1]:80:[2001:db8::2]:80", COLON_OR_FIRST),
    (
        "192.0.2.7:80:ada:p@ss:8080",
        "it could be user:password@host:port or host:port:user:password; say by its dialect which it is",
    ),
    (
        "192.0.2.7:80:ada:p@192.0.2.8:81",
        "it could be user:password@host:port or host:port:user:password; say by its dialect which it is",
    ),
    ("192.0.2.7:ada:x", HALF),
    ("192.0.2.7:80:ada", HALF),
    ("2001:db8::1:8080", BRACKETS),
    ("2001:db8::1:8080:ada:x", BRACKETS),
    ("ada:x:2001:db8::1:8080", BRACKETS),
    (
        "192.0.2.7:80:ada:x:y",
        "it has more than four parts; as dialect colon, or colon-userfirst, the password may hold colons",
    ),
    ("192.0.2.7:80:ada:x # y", HASH),
    ("192.0.2.7:80:ada:x y", BLANKS),
    ("192.0.2.7:99999", BAD_PORT),
    ("192.0.2.7:99999:ada:x", NEITHER),
    ("ada:x@192.0.2.7:99999", BAD_PORT),
    ("nothing", "it is not host:port"),
    ("socks9://192.0.2.7:80", SCHEMES),
]


@pytest.mark.parametrize(("line", "reason"), AMBIGUOUS)
def test_ambiguous_lines_are_refused_and_never_guessed(line: str, reason: str) -> None:
    assert reasons(line, None) == [f"line 1: {reason}"]


def test_the_dialect_decides_on_ambiguous_lines() -> None:
    line = "host:81:user:82"
    assert proxies(line, "colon") == [("http", "host", 81, "user", "82")]
    assert proxies(line, "colon-userfirst") == [("http", "user", 82, "host", "81")]


def test_no_reason_quotes_the_line() -> None:
    secret = "hunter2secret"
    for template in (
        "{0}",
        "{0}:x:y",
        "h:1:u:{0}:z",
        "u:{0}@h:0",
        "ftp://u:{0}@h:1",
        "h:{0}:u:x",
        "a:1:{0}:2",
        "{0}::1:2",
    ):
        found = reasons(template.format(secret), None)
        assert len(found) == 1
        assert secret not in found[0]


# --- the file around the lines


def test_every_bad_line_is_told_with_its_number() -> None:
    text = "# a list\r\n\r\n192.0.2.7:80\r\nbad\r192.0.2.8:80:x\n  # more\n\n192.0.2.9:80"
    frame, problems, count = read_lines(text, dialect=None)
    assert frame["place"].to_list() == ["line 3", "line 8"]
    assert problems == [Problem("line 4", "it is not host:port"), Problem("line 5", HALF)]
    assert count == 2


def test_the_columns_are_those_of_a_pool() -> None:
    frame, _problems, _count = read_lines("ada:x@[2001:DB8::1]:080", dialect=None, scheme="SOCKS5")
    assert frame.to_dicts() == [
        {
            "place": "line 1",
            "protocol": "socks5",
            "host": "2001:db8::1",
            "port": 80,
            "url": "socks5://[2001:db8::1]:80",
            "username": "ada",
            "password": "x",
        }
    ]


@pytest.mark.parametrize("text", ["", "\n", "# nothing", " \t\n\r\n#"])
def test_a_list_of_nothing_has_no_proxies(text: str) -> None:
    frame, problems, count = read_lines(text, dialect="colon")
    assert (frame.height, frame.width, problems, count) == (0, 7, [], 0)


def test_problems_are_listed_up_to_a_limit_and_all_counted() -> None:
    frame, problems, count = read_lines("bad\n" * 100_000 + "192.0.2.7:80", dialect=None)
    assert frame["place"].to_list() == ["line 100001"]
    assert len(problems) == PROBLEMS_LISTED
    assert problems[-1].where == "line 1000"
    assert count == 100_000


def test_lines_keep_their_order_and_numbers_across_slices() -> None:
    lines = [f"host-{number}.example:{1 + number % 65535}" for number in range(120_000)]
    frame, _problems, count = read_lines("\n".join(lines), dialect="hostport")
    assert count == 0
    assert frame["host"].to_list() == [line.partition(":")[0] for line in lines]
    assert frame["place"].to_list()[-1] == "line 120000"


def test_too_many_lines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_LINES", 3)
    frame, problems, count = read_lines("a:1\n\na:2\na:3\na:4\nbad\n", dialect=None)
    assert frame["port"].to_list() == [1, 2, 3]
    assert [str(problem) for problem in problems] == ["line 5: it is beyond 3 lines; no further line was read"]
    assert count == 1
    assert MAX_LINES == 1_000_000


def test_beyond_the_problems_listed_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_LINES", 1)
    monkeypatch.setattr(reading, "PROBLEMS_LISTED", 1)
    _frame, problems, count = read_lines("bad\na:1\n", dialect=None)
    assert [str(problem) for problem in problems] == ["line 1: it is not host:port"]
    assert count == 2


MEASURED = """
import ast, resource, sys
from pathlib import Path
from tailrace_source_pool.dialects.reading import read_lines
line, times = ast.literal_eval(sys.argv[1])
read_lines(line * times, dialect=None)
def peak():
    # Linux lets a process begin with the largest size that whoever started it ever had, but for this figure.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) << 10

print(peak())
"""


@pytest.mark.parametrize(
    "content", ["('\\n', 10_000_000)", "('a:1:u:2\\n', 1_250_000)", "('[1::2]:1:u:x\\n', 720_000)"]
)
def test_hostile_lists_cost_little_memory(content: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            MEASURED,
            content,
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert 20 << 20 < int(done.stdout) < 256 << 20


@pytest.mark.parametrize(
    ("dialect", "message"),
    [("json", "There is no dialect of lines 'json'."), ("colons", "There is no dialect of lines 'colons'.")],
)
def test_dialects_that_are_no_lines_are_refused(dialect: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=re.escape(message)):
        read_lines("", dialect=dialect)


def test_schemes_that_no_proxy_has_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="There is no scheme 'ftp'"):
        read_lines("", dialect=None, scheme="ftp")


# --- proxychains

CHAINS = """\
strict_chain
proxy_dns
[ProxyList]
# one of mine
socks5  192.0.2.7 1080 ada S3cret
HTTP\t192.0.2.8\t8080
socks4 2001:db8::1 1080 ada
http [2001:db8::2] 80
"""


@pytest.mark.parametrize("dialect", ["proxychains", None])
def test_the_section_of_proxychains_is_read(dialect: str | None) -> None:
    assert proxies(CHAINS, dialect) == [
        ("socks5", "192.0.2.7", 1080, "ada", "S3cret"),
        ("http", "192.0.2.8", 8080, None, None),
        ("socks4", "2001:db8::1", 1080, "ada", None),
        ("http", "2001:db8::2", 80, None, None),
    ]


def test_bad_lines_of_proxychains_are_told_with_their_numbers() -> None:
    text = CHAINS + "raw 192.0.2.7 80\nhttp h\nhttp h x\nhttp h 80 u p x\nhttp h 80 u #p\n"
    assert reasons(text, "proxychains") == [
        f"line 9: {SCHEMES}",
        "line 10: it is not type host port [user [password]]",
        f"line 11: {BAD_PORT}",
        "line 12: it has more than five parts",
        f"line 13: {HASH}",
    ]


def test_a_file_without_the_section_is_no_proxychains() -> None:
    assert reasons("socks5 192.0.2.7 1080", "proxychains") == ["line 1: there is no line [ProxyList] in it"]


# --- templates


def test_lines_of_a_template_are_read() -> None:
    text = "192.0.2.7;8080;ada;p%3Bw\n# note\n[2001:db8::1];80;;"
    assert proxies(text, "template", template="{host};{port};{username};{password:url}") == [
        ("http", "192.0.2.7", 8080, "ada", "p;w"),
        ("http", "2001:db8::1", 80, None, None),
    ]
    assert proxies("{SOCKS5} h 80", "template", template="{{{scheme}}} {host} {port}") == [
        ("socks5", "h", 80, None, None)
    ]


def test_lines_that_a_template_fits_in_several_ways_are_refused() -> None:
    template = "{username}:{password}@{host}:{port}"
    assert proxies("a:b@h:1", "template", template=template) == [("http", "h", 1, "a", "b")]
    assert reasons("a:b:c@h:1\nx\nh:1", "template", template=template) == [
        "line 1: the template fits it in several ways: what is between two parts is also in one of them",
        "line 2: it is not as the template has it",
        "line 3: it is not as the template has it",
    ]
    assert reasons("%ff@h:1", "template", template="{username:url}@{host}:{port}") == [
        "line 1: a part is not UTF-8 when its percent signs are decoded"
    ]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "this dialect needs one."),
        ("{host}", "it has no {port}."),
        ("{port}", "it has no {host}."),
        ("{host}:{port}:{host}", "it has a part twice."),
        ("{host}{port}", "nothing stands between two of its parts."),
        ("{host}:{port}:{country}", "it has {country}."),
        ("{host}:{port}:{username:hex}", "it has {username:hex}."),
        ("{host}:{port}}", "a brace stands alone in it."),
        ("{host}:{port}\n", "it holds line ends or other control characters."),
    ],
)
def test_templates_that_cannot_be_used(template: str | None, message: str) -> None:
    with pytest.raises(OptionError, match=re.escape(message)) as caught:
        read_lines("", dialect="template", template=template)
    assert caught.value.hint
