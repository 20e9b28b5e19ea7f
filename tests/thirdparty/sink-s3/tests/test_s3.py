import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import tailrace_sink_s3
from storage_server import ACCESS_KEY, BUCKET, MANIFEST, SECRET_KEY, BucketReceiver
from tailrace_sdk.conformance.sinks import Fault
from tailrace_sdk.conformance.sinks.parcel import make_parcel
from tailrace_sdk.fakes import LinesFormat, MemorySource, memory_table
from tailrace_sink_s3.options import S3Options
from tailrace_sink_s3.settings import MEBIBYTE, TEBIBYTE, S3Settings
from tailrace_sink_s3.sink import S3Sink

from tailrace import (
    AlreadyExistsError,
    CancelledError,
    ConfigurationError,
    Context,
    DeliverCall,
    Engine,
    ExportRequest,
    FitCall,
    NotAllowedError,
    PermanentError,
    RequestError,
    Settings,
    SinkRequest,
    StagingCall,
    TransientError,
    UnknownNameError,
    structure,
)

Deliver = Callable[..., str]
PATTERN = f"s3://{BUCKET}/daily/{{year}}/{{source}}.{{ext}}"
KEY = "daily/2026/words.jsonl.gz"
FIELDS = {"source": "words", "year": "2026", "user": "a/../b", "ext": "csv.gz"}


def settings_of(receiver: BucketReceiver, **more: Any) -> S3Settings:
    return structure({**receiver.settings, "part_size": 5 * MEBIBYTE, **more}, S3Settings)


def call_of(receiver: BucketReceiver, folder: Path, content: bytes, **more: Any) -> DeliverCall:
    options = S3Options(overwrite=more.pop("overwrite", False))
    settings = settings_of(receiver, **more.pop("settings", {}))
    target = more.pop("target", PATTERN)
    context = more.pop("context", Context())
    return DeliverCall(
        make_parcel(folder, content), target, options, context, settings=settings, secret=receiver.secrets.__getitem__
    )


def uploads(receiver: BucketReceiver) -> list[str]:
    found = receiver.server.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    return [upload["Key"] for upload in found]


def test_an_export_arrives_with_its_manifest(
    receiver: BucketReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_KEY", ACCESS_KEY)
    monkeypatch.setenv("S3_SECRET", SECRET_KEY)
    plugins = [
        ("s3", tailrace_sink_s3),
        (
            "memory",
            MemorySource([memory_table("words", {"word": ["pump"]}), memory_table("more", {"word": ["wheel"]})]),
        ),
        ("lines", LinesFormat()),
    ]
    settings = structure({"home": str(tmp_path), "sinks": {"s3": dict(receiver.settings)}}, Settings)
    engine = Engine(settings, plugins=plugins, discover=False)
    request = ExportRequest("memory", "", "lines", sinks=(SinkRequest("s3", f"s3://{BUCKET}/all/{{table}}/"),))
    result = engine.export(request)
    assert result.complete
    objects = receiver.objects()
    for artifact in result.artifacts:
        (receipt,) = artifact.receipts
        assert receipt.path is None
        key = receipt.place.removeprefix(f"s3://{BUCKET}/")
        assert key == f"all/{artifact.manifest.tables[0].name}/{artifact.manifest.file.name}"
        assert hashlib.sha256(objects.pop(key)).hexdigest() == artifact.manifest.file.sha256
        assert json.loads(objects.pop(key + MANIFEST))["file"]["name"] == artifact.manifest.file.name
        head = receiver.server.client.head_object(Bucket=BUCKET, Key=key)
        assert head["ContentType"] == "application/gzip"
        assert "ContentEncoding" not in head
    assert objects == {}


@pytest.mark.parametrize("size", [1_000, 11 * MEBIBYTE])
def test_a_file_is_there_once_however_often_it_is_sent(receiver: BucketReceiver, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    call = call_of(receiver, tmp_path, content)
    sink = S3Sink()
    before = len(receiver.server.requests)
    assert sink.deliver(call).place == f"s3://{BUCKET}/{KEY}"
    first = receiver.server.requests[before:]
    assert any("partNumber=3" in query for _method, _path, query in first) == (size > 5 * MEBIBYTE)
    assert sink.deliver(call).delivered
    again = receiver.server.requests[before + len(first) :]
    assert [path for method, path, _query in again if method != "HEAD"] == [f"/{BUCKET}/{KEY}{MANIFEST}"]
    objects = receiver.objects()
    assert set(objects) == {KEY, KEY + MANIFEST}
    assert objects[KEY] == content
    assert uploads(receiver) == []


@pytest.mark.parametrize("size", [1_000, 11 * MEBIBYTE])
def test_what_is_there_stays_unless_it_is_to_be_replaced(receiver: BucketReceiver, tmp_path: Path, size: int) -> None:
    receiver.server.client.put_object(Bucket=BUCKET, Key=KEY, Body=b"of somebody else")
    content = os.urandom(size)
    with pytest.raises(AlreadyExistsError, match="there already"):
        S3Sink().deliver(call_of(receiver, tmp_path, content))
    assert receiver.objects() == {KEY: b"of somebody else"}
    assert S3Sink().deliver(call_of(receiver, tmp_path, content, overwrite=True)).delivered
    assert receiver.objects()[KEY] == content
    # One key for two files of an export is a mistake, and not a wish to lose one of them.
    with pytest.raises(PermanentError, match="another file of this export"):
        S3Sink().deliver(call_of(receiver, tmp_path, b"another table", overwrite=True))


def test_a_name_that_was_only_suggested_gives_way(receiver: BucketReceiver, tmp_path: Path) -> None:
    contents = [b"one", b"two", b"three"]
    calls = [call_of(receiver, tmp_path, content, target=f"{BUCKET}/daily/") for content in contents]
    places = [S3Sink().deliver(call).place for call in [*calls, *calls]]
    stem = f"s3://{BUCKET}/daily/words_20261130T081500Z_ada"
    assert places == [f"{stem}.jsonl.gz", f"{stem}-2.jsonl.gz", f"{stem}-3.jsonl.gz"] * 2
    objects = receiver.objects()
    assert sorted(value for key, value in objects.items() if not key.endswith(MANIFEST)) == sorted(contents)
    assert [json.loads(objects[key])["file"]["name"] + MANIFEST for key in objects if key.endswith(MANIFEST)] == [
        key.rpartition("/")[2] for key in objects if key.endswith(MANIFEST)
    ]


@pytest.mark.parametrize("size", [1_000, 11 * MEBIBYTE])
def test_a_key_that_somebody_takes_meanwhile_is_not_taken_away(
    receiver: BucketReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    from tailrace_sink_s3.storage import Bucket

    def put_in_between(inner: Callable[..., None]) -> Callable[..., None]:
        def put(self: Bucket, place: Any, *rest: Any, **more: Any) -> None:
            receiver.server.client.put_object(Bucket=BUCKET, Key=place.key, Body=b"of somebody quicker")
            inner(self, place, *rest, **more)

        return put

    for name in ("put", "put_parts"):
        monkeypatch.setattr(Bucket, name, put_in_between(getattr(Bucket, name)))
    with pytest.raises(AlreadyExistsError):
        S3Sink().deliver(call_of(receiver, tmp_path, os.urandom(size)))
    assert receiver.objects() == {KEY: b"of somebody quicker"}
    assert uploads(receiver) == []


@pytest.mark.flaky(reruns=1)
@pytest.mark.parametrize("size", [1_000, 40 * MEBIBYTE])
def test_a_stalled_upload_ends_within_a_second_when_it_is_cancelled(
    receiver: BucketReceiver, tmp_path: Path, size: int
) -> None:
    context = Context()
    call = call_of(receiver, tmp_path, os.urandom(size), context=context)
    receiver.be(Fault.SLOW)
    ended: list[tuple[float, BaseException]] = []

    def deliver() -> None:
        try:
            S3Sink().deliver(call)
        except BaseException as error:  # noqa: BLE001 - looked at below
            ended.append((time.monotonic(), error))

    thread = threading.Thread(target=deliver)
    thread.start()
    assert receiver.wait_until_stalled(10)
    asked = time.monotonic()
    context.cancel()
    thread.join(10)
    ((when, error),) = ended
    assert isinstance(error, CancelledError)
    assert when - asked < 1.0
    receiver.recover()
    assert receiver.objects() == {}


def test_parts_are_taken_back_when_an_upload_is_cancelled_on_its_way(receiver: BucketReceiver, tmp_path: Path) -> None:
    class AfterParts(Context):
        def check(self) -> None:
            if any("partNumber" in query for _method, _path, query in receiver.server.requests[before:]):
                self.cancel()
            super().check()

    before = len(receiver.server.requests)
    call = call_of(receiver, tmp_path, os.urandom(60 * MEBIBYTE), context=AfterParts())
    with pytest.raises(CancelledError):
        S3Sink().deliver(call)
    until = time.monotonic() + 20
    while uploads(receiver) and time.monotonic() < until:
        time.sleep(0.05)
    assert uploads(receiver) == []
    assert receiver.objects() == {}


def test_a_file_that_is_damaged_before_it_is_sent_never_appears(receiver: BucketReceiver, tmp_path: Path) -> None:
    for size in (1_000, 11 * MEBIBYTE):
        call = call_of(receiver, tmp_path, os.urandom(size))
        with call.parcel.path.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last[0] ^ 1]))
        with pytest.raises(PermanentError, match="not what its manifest says"):
            S3Sink().deliver(call)
        assert receiver.objects() == {}
        assert uploads(receiver) == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.BUSY, TransientError),
        (Fault.AWAY, TransientError),
        (Fault.DROPPING, TransientError),
        (Fault.BABBLING, TransientError),
        (Fault.LYING, TransientError),
        (Fault.REFUSING, PermanentError),
    ],
)
def test_what_fails_for_now_is_told_from_what_fails_for_ever(
    receiver: BucketReceiver, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: Fault, error: type[Exception]
) -> None:
    caplog.set_level(logging.DEBUG)
    for size in (1_000, 11 * MEBIBYTE):
        call = call_of(receiver, tmp_path, os.urandom(size))
        receiver.be(fault)
        with pytest.raises(error) as failed:
            S3Sink().deliver(call)
        receiver.recover()
        said = f"{failed.value!r} {getattr(failed.value, 'hint', '')} {caplog.text} {call!r}"
        assert not [secret for secret in receiver.secrets.values() if secret in said]
        assert receiver.objects() == {}
    assert S3Sink().deliver(call).delivered


def test_an_answer_that_is_lost_costs_nothing(receiver: BucketReceiver, tmp_path: Path) -> None:
    call = call_of(receiver, tmp_path, b"content")
    receiver.be(Fault.MUTE)
    with pytest.raises(TransientError):
        S3Sink().deliver(call)
    receiver.recover()
    assert S3Sink().deliver(call).delivered
    assert set(receiver.objects()) == {KEY, KEY + MANIFEST}


def test_a_bucket_that_does_not_exist_is_for_ever(receiver: BucketReceiver, tmp_path: Path) -> None:
    for size in (1_000, 11 * MEBIBYTE):
        with pytest.raises(PermanentError, match="404 NoSuchBucket"):
            S3Sink().deliver(call_of(receiver, tmp_path, os.urandom(size), target="no-such-bucket/x"))


def test_the_environment_has_no_say(receiver: BucketReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT": "http://127.0.0.1:1",
        "AWS_METADATA_ENDPOINT": "http://127.0.0.1:1",
        "AWS_SESSION_TOKEN": "stale",
        "AWS_ACCESS_KEY_ID": "AKIAOFTHEENVIRONMENT",
        "AWS_REGION": "mars-north-1",
        "AWS_SKIP_SIGNATURE": "true",
    }.items():
        monkeypatch.setenv(name, value)
    seen: list[tuple[str, str]] = []
    inner = receiver.server._moto  # noqa: SLF001 - a look at what arrives

    def look(environ: dict[str, Any], start: Any) -> Any:
        seen.append((environ.get("HTTP_AUTHORIZATION", ""), environ.get("HTTP_X_AMZ_SECURITY_TOKEN", "")))
        return inner(environ, start)

    monkeypatch.setattr(receiver.server, "_moto", look)
    assert S3Sink().deliver(call_of(receiver, tmp_path, b"content")).delivered
    assert seen
    assert all(f"Credential={ACCESS_KEY}/" in signed and "/us-east-1/s3/" in signed for signed, _token in seen)
    assert {token for _signed, token in seen} == {""}


@pytest.mark.parametrize(
    ("target", "error"),
    [
        (None, RequestError),
        ("s3://", RequestError),
        ("s3://Not_A_Bucket/x", RequestError),
        ("192.0.2.1/x", RequestError),
        ("exports/../x", RequestError),
        ("exports//x", RequestError),
        ("exports/a b", RequestError),
        ("exports/{no_such_field}", UnknownNameError),
        ("exports/x.manifest.json", RequestError),
        ("exports/" + "x" * 1_020, RequestError),
        ("private/x", NotAllowedError),
    ],
)
def test_targets_that_can_never_work_are_refused_before_anything_is_read(
    target: str | None, error: type[Exception]
) -> None:
    settings = S3Settings(access_key_id="env:A", secret_access_key="env:B", buckets=("exports",))
    with pytest.raises(error):
        S3Sink().staging(StagingCall(target, S3Options(), FIELDS, settings=settings))


def test_keys_are_made_of_fields_that_cannot_lead_elsewhere(receiver: BucketReceiver, tmp_path: Path) -> None:
    call = call_of(receiver, tmp_path, b"content", target=f"{BUCKET}/{{user}}/Ünï+(1)={{source}}'@,!.{{ext}}")
    parcel = attrs.evolve(call.parcel, fields=FIELDS)
    receipt = S3Sink().deliver(attrs.evolve(call, parcel=parcel))
    key = "a_.._b/Ünï+(1)=words'@,!.csv.gz"
    assert receipt.place == f"s3://{BUCKET}/{key}"
    assert set(receiver.objects()) == {key, key + MANIFEST}


@pytest.mark.parametrize(
    "given",
    [
        {"secret_access_key": SECRET_KEY},
        {"endpoint": f"https://{ACCESS_KEY}:x@storage.example"},
        {"endpoint": "http://storage.example"},
        {"endpoint": "storage.example"},
        {"endpoint": "https://storage.example:x"},
        {"region": "EU WEST"},
        {"part_size": 1_000},
        {"timeout": 0.0},
    ],
)
def test_settings_that_cannot_be_are_refused_without_quoting_them(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        S3Settings(**given)
    assert next(iter(given)) in refused.value.message
    assert not [secret for secret in (ACCESS_KEY, SECRET_KEY) if secret in str(refused.value)]


def test_without_credentials_nobody_is_asked_for_any() -> None:
    with pytest.raises(ConfigurationError, match="no credentials"):
        S3Sink().staging(StagingCall("exports/x", S3Options(), FIELDS, settings=None))


def test_sizes() -> None:
    def fits(size: int, settings: S3Settings | None = None) -> bool | None:
        return S3Sink().fits(FitCall(size, "x", None, S3Options(), settings)).fits

    assert fits(5 * TEBIBYTE)
    assert fits(5 * TEBIBYTE + 1) is False
    assert fits(1_001, S3Settings(limit=1_000)) is False
    assert S3Settings().part_size_for(80_000 * MEBIBYTE) == 8 * MEBIBYTE
    most = S3Settings().part_size_for(5 * TEBIBYTE)
    assert most * 10_000 >= 5 * TEBIBYTE
    assert most % MEBIBYTE == 0
