"""The sink ``webhook`` never connects to what is inside: not in any spelling, and not when names change their mind."""

import base64
import contextlib
import ipaddress
import random
import socket
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import httpx
import pytest
import trustme
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from tailrace_sink_webhook.addresses import Address, inward_reason
from tailrace_sink_webhook.allowing import AllowList
from tailrace_sink_webhook.destination import parse_destination
from tailrace_sink_webhook.sink import WebhookSink

from tailrace import (
    Context,
    CredentialMode,
    DeliverCall,
    Manifest,
    Parcel,
    Receipt,
    RequestError,
    StagingCall,
)
from tailrace.model.convert import structure
from tailrace.model.manifest import FileRecord, PluginRecord, SourceRecord
from tailrace.model.options import build_options

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
MANIFEST = Manifest(
    schema_version=2,
    tailrace_version="0.1.0",
    export_id="0198c0de",
    created=datetime(2026, 11, 23, 10, 15, tzinfo=UTC),
    user="alice",
    source=SourceRecord(PluginRecord("pool", "tailrace-source-pool", "0.1.0"), "proxywhirl:///pool.db", "1"),
    format=PluginRecord("csv", "tailrace-format-csv", "0.1.0"),
    format_options={},
    parameters={},
    time_range=None,
    time_zone="UTC",
    credentials=CredentialMode.SANITIZED,
    tables=(),
    file=FileRecord("pool.csv", "text/csv", 0, "0" * 64, 0, "0" * 64, None),
)
PUBLIC = "93.184.215.14"

# Hosts as they stand in a URL.
SPELLINGS = (
    # IPv4 in the ways that inet_aton(3) reads
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.1.2.3",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7F.1",
    "0x7f.0.0.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "017700000001",
    "0177.0x0.0.1",
    "127.0.0.01",
    "00127.0.0.1",
    "127.0.0.1.",
    "127.0.0.0x1",
    "0",
    "0.0.0.0",
    "0x0",
    "1.65793",
    # other networks inside
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    # IPv6
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:0001]",
    "[0:0:0:0:0:ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[100::1]",
    "[100:0:0:1::1]",
    "[2001::1]",
    "[2001:0:7f00:1::]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[2001:20::1]",
    "[2001:db8::1]",
    "[2002:7f00:1::]",
    "[2002:7f00:0001::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[4000::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[2a00::5efe:7f00:1]",
    "[2a00::200:5efe:127.0.0.1]",
    "[::1%lo]",
    "[fe80::1%25lo]",
    "[::1",
    "::1",
    # hosts that readers of URLs understand differently
    "\uff11\uff12\uff17.0.0.1",
    "①②⑦.0.0.1",
    "127。0。0。1",
    "127\uff0e0.0.1",
    "ⓛocalhost",
    "%31%32%37.0.0.1",
    "127.0.0.1%00.example.com",
    "127.0.0.1%2f.example.com",
    "127.0.0.1\\.example.com",
    "127.0.0.1\t",
    "127.0.0.1 ",
    " 127.0.0.1",
    "127.0.0.1\n",
    "example.com@127.0.0.1",
    "user:password@127.0.0.1",
    "example.com:80@127.0.0.1",
    "127.0.0.1#@example.com",
    "example.com\\@127.0.0.1",
    # names that the system knows
    "localhost",
    "LOCALHOST",
    "localhost.",
)


def settings(**given: Any) -> Any:
    return structure({"secrets": ["env:S"], "timeout": 0.5, "total_timeout": 1, **given}, WebhookSink().settings_type)


def call_for(url: str, **given: Any) -> DeliverCall:
    sink, chosen = WebhookSink(), settings(**given)
    options = build_options(sink.options_type, {}, owner="sink webhook")
    return DeliverCall(
        Parcel(Path("unused"), MANIFEST, {}),
        url,
        options,
        Context(),
        settings=chosen,
        secret=lambda _reference: SECRET,
        delivery="1",
        recipients=tuple(sink.recipients(StagingCall(url, options, {}, settings=chosen))),
    )


def deliver(url: str, sink: WebhookSink | None = None, **given: Any) -> Receipt:
    call = call_for(url, **given)
    (receipt,) = (sink or WebhookSink()).deliver_each(call)
    return receipt


def read_request(connection: socket.socket) -> bytes:
    data = b""
    # What is closed with something unread is reset, and the answer may be lost.
    while not data.endswith(b"}}}") and (block := connection.recv(65536)):
        data += block
    return data


@attrs.define
class Counter:
    """Counts who connects to loopback, and tells the port, which is the same for IPv4 and IPv6."""

    port: int = 0
    connections: int = 0


@contextlib.contextmanager
def counting() -> Iterator[Counter]:
    counter = Counter()
    with contextlib.ExitStack() as stack:
        # All addresses, so that every spelling of this machine would be heard.
        listener = stack.enter_context(
            socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
            if socket.has_dualstack_ipv6()
            else socket.create_server(("", 0))
        )
        counter.port = listener.getsockname()[1]

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _address = listener.accept()
                    counter.connections += 1
                    with connection:
                        read_request(connection)
                        connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield counter
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.fixture(scope="module")
def loopback() -> Iterator[Counter]:
    with counting() as counter:
        yield counter


@pytest.fixture(scope="module")
def proxy() -> Iterator[Counter]:
    with counting() as counter:
        yield counter


@pytest.fixture(autouse=True)
def _proxies(proxy: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv(name.lower(), f"http://127.0.0.1:{proxy.port}")


def test_there_are_enough_spellings() -> None:
    assert len(SPELLINGS) == len(set(SPELLINGS)) >= 60


@pytest.mark.parametrize("host", SPELLINGS, ids=[ascii(host)[1:-1] for host in SPELLINGS])
def test_no_spelling_leads_inside(loopback: Counter, proxy: Counter, host: str) -> None:
    for scheme in ("https", "http"):
        url = f"{scheme}://{host}:{loopback.port}/x"
        try:
            receipt = deliver(url)
        except RequestError as error:
            assert error.hint  # noqa: PT017 - refused before, or in a receipt: both will do
        else:
            assert not receipt.delivered
            # A name that this machine does not know is no refusal, and nothing else may be one for now.
            assert not receipt.transient or "cannot be found" in receipt.error
    assert loopback.connections == 0
    assert proxy.connections == 0


def test_the_same_listener_hears_what_is_allowed() -> None:
    with counting() as own:
        for host in ("127.0.0.1", "127.0.0.1.", "localhost"):
            assert deliver(f"http://{host}:{own.port}/x", allow=["127.0.0.0/8", "::1"]).delivered
        assert own.connections == 3


def test_ipv6_works_where_it_is_allowed() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with counting() as own:
        receipt = deliver(f"http://[::1]:{own.port}/x", allow=["::1"])
        assert receipt.place == f"http://[::1]:{own.port}/… answered 204"
        assert own.connections == 1


_USUAL = st.from_regex(
    r"https://(([a-z]{1,3}\.){0,3}[a-z]{1,4}|127(\.[0-9]{1,3}){3}|\[::[0-9a-f]{1,3}\])\.?(:[0-9]{1,5})?([/?][a-z@:]*)?",
    fullmatch=True,
)
_ODD = st.sampled_from(
    ["", "", *"@\\/:?#[]%.;&= \t\u3002\uff11\xad", "%2e", "::1", "0x7f", "1", "//", "https://", "xn--", "a:b@"]
)


@settings_of_hypothesis(max_examples=500, deadline=None, derandomize=True, database=None)
@given(_USUAL, _ODD, st.integers(8, 30))
def test_what_is_accepted_means_the_same_host_to_every_reader(usual: str, odd: str, place: int) -> None:
    url = usual[:place] + odd + usual[place:]
    try:
        found = parse_destination(url)
    except RequestError:
        return
    for host, port in (
        (urlsplit(url).hostname, urlsplit(url).port),
        (httpx.URL(url).raw_host.decode(), httpx.URL(url).port),
    ):
        assert host is not None
        with contextlib.suppress(ValueError):
            host = str(ipaddress.ip_address(host))  # noqa: PLW2901 - two spellings of one address
        assert host.removesuffix(".") == found.host
        assert (port or 443) == found.port


@pytest.mark.parametrize("host", [host for host in SPELLINGS if "[" in host or host[0].isdigit()])
def test_what_needs_no_resolving_is_told_when_the_request_is_made(host: str) -> None:
    sink = WebhookSink()
    options = build_options(sink.options_type, {}, owner="sink webhook")
    with pytest.raises(RequestError):
        sink.check_target(StagingCall(f"https://{host}/x", options, {}, settings=settings()))


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1.nip.io", ["127.0.0.1"]),
        ("7f000001.example.com", ["127.0.0.1"]),
        ("rebind.example.com", [PUBLIC, "127.0.0.1"]),
        ("rebind.example.com", ["127.0.0.1", PUBLIC]),
        ("rebind.example.com", [PUBLIC, "::1"]),
        ("mapped.example.com", ["::ffff:127.0.0.1"]),
        ("nat64.example.com", ["64:ff9b::7f00:1"]),
        ("sixtofour.example.com", ["2002:7f00:1::"]),
        ("zone.example.com", ["fe80::1%lo"]),
        ("zone.example.com", ["2a00::1%lo"]),
        ("metadata.example.com", ["169.254.169.254"]),
        ("any.example.com", ["0.0.0.0"]),
        ("any.example.com", ["::"]),
    ],
)
def test_names_that_lead_inside_are_refused(loopback: Counter, host: str, addresses: list[str]) -> None:
    tried: list[Address] = []

    def connector(address: Address, _port: int) -> socket.socket:
        tried.append(address)
        raise ConnectionRefusedError

    sink = WebhookSink(resolver=lambda _host: addresses, connector=connector)
    receipt = deliver(f"https://{host}:{loopback.port}/x", sink)
    assert receipt.error.startswith(f"{host} leads to an address inside, ")
    assert "sinks.webhook.allow" in receipt.error
    assert not receipt.transient
    # With the real connector, too.
    assert not deliver(f"https://{host}:{loopback.port}/x", WebhookSink(resolver=lambda _host: addresses)).delivered
    assert tried == []
    assert loopback.connections == 0


def test_a_name_that_changes_its_mind_leads_to_what_was_checked(loopback: Counter) -> None:
    asked: list[str] = []
    tried: list[tuple[str, int]] = []

    def resolver(host: str) -> Sequence[str]:
        asked.append(host)
        return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

    def connector(address: Address, port: int) -> socket.socket:
        tried.append((str(address), port))
        raise ConnectionRefusedError

    sink = WebhookSink(resolver=resolver, connector=connector)
    first = deliver(f"https://rebind.example.com:{loopback.port}/x", sink)
    assert first.error == "rebind.example.com cannot be reached: connectionrefusederror."
    assert first.transient
    assert asked == ["rebind.example.com"]
    assert tried == [(PUBLIC, loopback.port)]
    second = deliver(f"https://rebind.example.com:{loopback.port}/x", sink)
    assert "leads to an address inside" in second.error
    assert len(tried) == 1
    assert loopback.connections == 0


def test_the_name_is_in_host_and_in_tls_while_the_address_is_connected_to(tmp_path: Path) -> None:
    import ssl

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.example.com").configure_cert(context)
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def serve() -> None:
        connection, _address = listener.accept()
        with context.wrap_socket(connection, server_side=True) as secure:
            heard.append(read_request(secure))
            secure.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    tried: list[str] = []

    def connector(address: Address, port: int) -> socket.socket:
        tried.append(str(address))
        return socket.create_connection(("127.0.0.1", port))

    sink = WebhookSink(resolver=lambda _host: [PUBLIC], connector=connector)
    patient: dict[str, Any] = {"ca_file": str(tmp_path / "ca.pem"), "timeout": 10, "total_timeout": 20}
    receipt = deliver(f"https://hooks.example.com:{port}/x", sink, **patient)
    thread.join(5)
    listener.close()
    assert receipt.delivered
    assert tried == [PUBLIC]
    assert names == ["hooks.example.com"]
    assert f"\r\nHost: hooks.example.com:{port}\r\n".encode() in heard[0]


@pytest.mark.parametrize(
    ("allow", "addresses", "delivered"),
    [
        (["hooks.internal"], ["127.0.0.1"], True),
        (["HOOKS.internal."], ["127.0.0.1"], True),
        (["127.0.0.1"], ["127.0.0.1"], True),
        (["127.0.0.0/8"], ["127.0.0.1"], True),
        (["::ffff:127.0.0.1"], ["::ffff:127.0.0.1"], True),
        (["internal"], ["127.0.0.1"], False),
        (["other.internal"], ["127.0.0.1"], False),
        (["sub.hooks.internal"], ["127.0.0.1"], False),
        (["127.0.0.2/32"], ["127.0.0.1"], False),
        (["127.0.0.0/8"], ["127.0.0.1", "10.0.0.1"], False),
        (["127.0.0.0/8"], ["::ffff:127.0.0.1"], False),
        (["127.0.0.0/8"], [PUBLIC], False),
        (["::/0"], ["127.0.0.1"], False),
    ],
)
def test_only_what_the_list_names_is_allowed(allow: list[str], addresses: list[str], delivered: bool) -> None:  # noqa: FBT001 - of a table
    with counting() as own:
        receipt = deliver(
            f"http://hooks.internal:{own.port}/x", WebhookSink(resolver=lambda _host: addresses), allow=allow
        )
        assert receipt.delivered == delivered
        assert own.connections == delivered
    if not delivered:
        assert "inside" in receipt.error or "without TLS" in receipt.error


@pytest.mark.parametrize(
    "address",
    [
        PUBLIC,
        "8.8.8.8",
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2606:4700:4700::1111",
        "2a00:1450:4001:830::200e",
        "3ffe::1",
    ],
)
def test_the_internet_is_not_inside(address: str) -> None:
    assert inward_reason(ipaddress.ip_address(address)) == ""


def test_the_table_knows_all_that_the_standard_library_knows() -> None:
    chance = random.Random(7)
    heads = (0, 0x64, 0x0100, 0x2001, 0x2002, 0x3FFF, 0x5F00, 0xFC00, 0xFE80, 0xFEC0, 0xFF02, 0x2A00)
    addresses: list[Address] = [ipaddress.IPv4Address(chance.getrandbits(32)) for _ in range(5000)]
    for head in heads:
        for bits in (16, 96, 112):
            addresses += [ipaddress.IPv6Address(head << 112 | chance.getrandbits(bits)) for _ in range(100)]
    passed = [address for address in addresses if not inward_reason(address)]
    assert [address for address in passed if not address.is_global] == []
    assert len(passed) > 1000


def test_an_allow_list_takes_networks_and_names_only() -> None:
    found = AllowList.parse(["10.0.0.0/8", "fd00::/8", "Hooks.Internal.", "under_score"])
    assert [str(network) for network in found.networks] == ["10.0.0.0/8", "fd00::/8"]
    assert found.names == {"hooks.internal", "under_score"}
    for bad in ("", "a b", "*.internal", "10.0.0.0/33", "10.1", "https://x", "a..b", "-x"):
        with pytest.raises(ValueError, match=r".*"):
            AllowList.parse([bad])
