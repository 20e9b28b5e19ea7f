"""A storage on loopback, by moto, with which something is wrong on demand."""

import io
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from tailrace_sdk.conformance.sinks import Arrival, Fault, Receiver
from werkzeug.serving import BaseWSGIServer, make_server

BUCKET = "exports"
ACCESS_KEY, SECRET_KEY = "AKIACANARYOFAKEY", "canary/of/a+secret+access+key"
MANIFEST = ".manifest.json"
_LIES = {
    "uploads": b"<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId>"
    b"</InitiateMultipartUploadResult>",
    "uploadId": b"<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><ETag>e</ETag>"
    b"</CompleteMultipartUploadResult>",
}
Start = Callable[..., Any]


class StorageServer:
    """A storage, and what is wrong with it."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        self.requests: list[tuple[str, str, str]] = []
        self.contacts = 0
        self.stalled, self.released = threading.Event(), threading.Event()
        self._fault: Fault | None = None
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._begin(0)
        self.port: int = self._server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self) -> Any:
        """Another's client, to look with."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="other",
            aws_secret_access_key="other",
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def be(self, fault: Fault) -> None:
        self.stalled.clear()
        self.released.clear()
        if fault == Fault.AWAY:
            self._end()
        self._fault = fault

    def recover(self) -> None:
        was, self._fault = self._fault, None
        self.released.set()
        if was == Fault.AWAY:
            self._begin(self.port)

    def stop(self) -> None:
        self.released.set()
        if self._fault != Fault.AWAY:
            self._end()

    def _begin(self, port: int) -> None:
        self._server: BaseWSGIServer = make_server("127.0.0.1", port, self._serve, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _end(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        self.contacts += 1
        self.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"]))
        return self._wrong(self._fault, environ, start) or self._moto(environ, start)

    def _wrong(self, fault: Fault | None, environ: dict[str, Any], start: Start) -> Iterable[bytes] | None:
        """What is wrong with the answer; None where nothing is."""
        changes = environ["REQUEST_METHOD"] in {"PUT", "POST"}
        if fault == Fault.SLOW:
            self.stalled.set()
            self.released.wait(60)
            _break_off(environ)
        elif fault == Fault.DROPPING:
            environ["wsgi.input"].read(min(1000, _length(environ)))
            _break_off(environ)
        elif fault == Fault.BABBLING:
            environ["werkzeug.socket"].sendall(b"220 mail.example.com ESMTP\r\n")
            _break_off(environ)
        elif fault == Fault.BUSY:
            return _answer(environ, start, "503 Service Unavailable", _error("SlowDown"))
        elif fault == Fault.REFUSING:
            return _answer(environ, start, "403 Forbidden", _error("AccessDenied"))
        elif fault == Fault.LYING and changes:
            query = environ["QUERY_STRING"]
            lie = next((said for word, said in _LIES.items() if query.startswith(word)), b"")
            return _answer(environ, start, "200 OK", lie if environ["REQUEST_METHOD"] == "POST" else b"")
        elif fault == Fault.DOUBLING and changes:
            body = environ["wsgi.input"].read(_length(environ))
            b"".join(self._moto({**environ, "wsgi.input": io.BytesIO(body)}, lambda *_answer: None))
            return self._moto({**environ, "wsgi.input": io.BytesIO(body)}, start)  # type: ignore[no-any-return]
        elif fault == Fault.MUTE and changes:
            b"".join(self._moto(environ, start))
            _break_off(environ)
        return None


def _length(environ: dict[str, Any]) -> int:
    return int(environ.get("CONTENT_LENGTH") or 0)


def _error(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()


def _answer(environ: dict[str, Any], start: Start, status: str, body: bytes) -> Iterable[bytes]:
    environ["wsgi.input"].read(_length(environ))
    start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body))), ("ETag", '"e"')])
    return [body]


def _break_off(environ: dict[str, Any]) -> NoReturn:
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError


@contextmanager
def storage_server() -> Iterator[StorageServer]:
    server = StorageServer()
    try:
        server.client.create_bucket(Bucket=BUCKET)
        yield server
    finally:
        server.stop()


class BucketReceiver(Receiver):
    """The bucket, as the conformance kit sees it."""

    target = f"s3://{BUCKET}/daily/{{year}}/"
    faults = frozenset(Fault)

    def __init__(self, server: StorageServer) -> None:
        self.server = server
        self.secrets = {"env:S3_KEY": ACCESS_KEY, "env:S3_SECRET": SECRET_KEY}
        self.settings: Mapping[str, Any] = {
            "endpoint": server.url,
            "access_key_id": "env:S3_KEY",
            "secret_access_key": "env:S3_SECRET",
            "timeout": 10.0,
        }
        client = server.client
        for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            client.delete_object(Bucket=BUCKET, Key=found["Key"])

    @property
    def contacts(self) -> int:
        return self.server.contacts

    def objects(self) -> dict[str, bytes]:
        client = self.server.client
        keys = [found["Key"] for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
        return {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}

    def arrived(self) -> Sequence[Arrival]:
        objects = self.objects()
        return [
            Arrival(key.rpartition("/")[2], content, objects.get(key + MANIFEST), key=key)
            for key, content in objects.items()
            if not key.endswith(MANIFEST)
        ]

    def be(self, fault: Fault, *, retry_after: float | None = None) -> None:
        self.server.be(fault)

    def recover(self) -> None:
        self.server.recover()

    def wait_until_stalled(self, seconds: float) -> bool:
        return self.server.stalled.wait(seconds)
