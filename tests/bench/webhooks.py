"""What delivering notices costs beside a bare httpx loop that sends the same bodies. ``webhooks.py [--quick]``.

By the sink alone, and by the whole engine: one export for a thousand receivers, each delivery signed, recorded in the
ledger and entered in the audit trail, on disk.

The receiver is a process of its own on loopback: a thread for each connection, which is kept, and the smallest answer
there is. In each round the contenders send as many notices, in an order that changes; the figures are medians of the
rounds' ratios. A missed goal makes the exit code 1.
"""

import argparse
import base64
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from run import Verdict
from tailrace_sdk.fakes import LinesFormat, MemorySource, memory_table
from tailrace_sink_webhook.notice import file_notice
from tailrace_sink_webhook.options import WebhookOptions
from tailrace_sink_webhook.settings import WebhookSettings
from tailrace_sink_webhook.sink import WebhookSink

from tailrace import (
    Context,
    CredentialMode,
    DeliverCall,
    Engine,
    ExportRequest,
    Manifest,
    Parcel,
    SinkRequest,
    User,
)
from tailrace.model.convert import unstructure
from tailrace.model.manifest import FileRecord, PluginRecord, RowCounts, SourceRecord, TableRecord
from tailrace.settings import Settings
from tailrace.work import carrier, delivering

TIMES, TIMES_RECORDED = 1.5, 2.5
NOTICES = 1000
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
SETTINGS_BY_NAME = WebhookSettings(secrets=("env:HOOK_SECRET",), allow=("127.0.0.0/8",))
SETTINGS = WebhookSettings(secrets=("env:SECRET",), allow=("127.0.0.0/8",))
MANIFEST = Manifest(
    schema_version=2,
    tailrace_version="0.1.0",
    export_id="0198c0de-0000-7000-8000-000000000000",
    created=datetime(2026, 11, 23, 10, 15, tzinfo=UTC),
    user="alice",
    source=SourceRecord(PluginRecord("pool", "tailrace-source-pool", "0.1.0"), "proxywhirl:///pool.db", "1"),
    format=PluginRecord("csv", "tailrace-format-csv", "0.1.0"),
    format_options={},
    parameters={},
    time_range=None,
    time_zone="UTC",
    credentials=CredentialMode.SANITIZED,
    tables=tuple(TableRecord(name, (), RowCounts(9, 0, 9, 9)) for name in ("proxies", "sources", "checks")),
    file=FileRecord("pool.csv.gz", "text/csv", 900, "1" * 64, 600, "2" * 64, None),
)


def receive() -> None:
    """Take requests and answer each with 204, until standard input closes."""

    def serve(connection: socket.socket) -> None:
        with connection:
            data = b""
            while block := connection.recv(65536):
                data += block
                while b"\r\n\r\n" in data:
                    head, _, body = data.partition(b"\r\n\r\n")
                    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
                    if len(body) < length:
                        break
                    data = body[length:]
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    def accept() -> None:
        while True:
            connection, _address = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


@contextmanager
def receiver() -> Iterator[str]:
    """A receiver in another process; gives its URL."""
    command = [sys.executable, __file__, "--receive"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/hook"
        assert process.stdin is not None
        process.stdin.close()


def with_sink(url: str, count: int) -> float:
    """Seconds that the sink takes, from nothing: connecting is part of it."""
    sink, options = WebhookSink(), WebhookOptions()
    began = time.perf_counter()
    for number in range(count):
        call = DeliverCall(
            Parcel(Path("unused"), MANIFEST, {}),
            url,
            options,
            Context(),
            settings=SETTINGS,
            secret=lambda _reference: SECRET,
            delivery=str(number),
        )
        assert sink.deliver(call).delivered
    return time.perf_counter() - began


def with_engine(url: str, count: int) -> float:
    """Seconds that the whole engine takes to deliver what is made, and to record it."""
    os.environ["HOOK_SECRET"] = SECRET
    sinks = tuple(SinkRequest("webhook", f"{url}/{number}") for number in range(count))
    request = ExportRequest("memory", "", "lines", sinks=sinks, compress=False)
    plugins = [("memory", MemorySource([memory_table("rows", {"word": ["pump"]})])), ("lines", LinesFormat())]
    seconds: list[float] = []
    carry_out = delivering.deliver_waiting

    def timed(*arguments: Any, **keywords: Any) -> Any:
        began = time.perf_counter()
        try:
            return carry_out(*arguments, **keywords)
        finally:
            seconds.append(time.perf_counter() - began)

    with tempfile.TemporaryDirectory() as folder, mock.patch.object(carrier, "deliver_waiting", timed):
        engine = Engine(Settings(Path(folder), sinks={"webhook": unstructure(SETTINGS_BY_NAME)}), plugins=plugins)
        result = engine.export(request, user=User("ann"))
        assert result.complete
        engine.store.close()
    return sum(seconds)


def with_httpx(url: str, count: int) -> float:
    """Seconds that a client of httpx takes that neither signs, checks nor writes down anything."""
    body = file_notice(MANIFEST, "")
    # Nothing is encrypted here, and loading authorities takes long.
    client = httpx.Client(trust_env=False, verify=False)
    began = time.perf_counter()
    with client:
        for number in range(count):
            headers = {"content-type": "application/json", "webhook-id": f"msg_{number}"}
            assert client.post(url, content=body, headers=headers).status_code == httpx.codes.NO_CONTENT
        return time.perf_counter() - began


def main() -> int:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.receive:
        receive()
        return 0
    rounds = 3 if arguments.quick else 9
    ratios: list[float] = []
    contenders: list[Callable[[str, int], float]] = [with_sink, with_httpx, with_engine]
    whole: list[float] = []
    with receiver() as url:
        for contender in contenders:
            contender(url, NOTICES // 10)
        for turn in range(rounds):
            order = contenders[turn % 3 :] + contenders[: turn % 3]
            seconds = {contender: contender(url, NOTICES) for contender in order}
            ratios.append(seconds[with_sink] / seconds[with_httpx])
            whole.append(seconds[with_engine] / seconds[with_httpx])
            print(
                f"round {turn + 1}: {NOTICES:,} notices by httpx {seconds[with_httpx]:.3f} s,"
                f" by the sink {seconds[with_sink]:.3f} s ({ratios[-1]:.2f}),"
                f" by the engine {seconds[with_engine]:.3f} s ({whole[-1]:.2f})"
            )
    verdict = Verdict()
    verdict.goal(f"{NOTICES:,} notices: the sink / bare httpx, median", statistics.median(ratios), TIMES)
    verdict.goal(f"{NOTICES:,} notices: the engine / bare httpx, median", statistics.median(whole), TIMES_RECORDED)
    return 1 if verdict.missed else 0


if __name__ == "__main__":
    sys.exit(main())
