"""Standard tests: what arrives is what was sent, all of it, once, and under its name."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tailrace import (
    Engine,
    ExportRequest,
    PermanentError,
    RefusedError,
    RequestError,
    Settings,
    SinkRequest,
    encode_manifest,
    structure,
)
from tailrace_sdk.conformance.apart import done_apart
from tailrace_sdk.conformance.sinks.apart import plain_parcel
from tailrace_sdk.conformance.sinks.base import CONTENT, MIB, OTHER, SinkBase, claims, files_below
from tailrace_sdk.conformance.sinks.parcel import NAME
from tailrace_sdk.conformance.sinks.receiver import Receiver
from tailrace_sdk.conformance.sinks.sending import Sending
from tailrace_sdk.conformance.standard import standard
from tailrace_sdk.fakes import LinesFormat, MemorySource, memory_table

_APART = "tailrace_sdk.conformance.sinks.apart"
_HOSTILE = {
    "a path": "../../outside/of.it",
    "an absolute path": "/outside/absolute.jsonl.gz",
    "line breaks": "a\r\nBcc: eve@example.com\r\n\r\nb.jsonl.gz",
    "quotes": "\"; filename='x' %22%0d%0a.jsonl.gz",
    "the other direction": "words\u202egz.exe.jsonl.gz",
    "all of Unicode": "wörter_词_\U0001f4a7.jsonl.gz",
    "half a character": "words\udc80.jsonl.gz",
    "NUL": "words\x00.jsonl.gz",
    "a dot": ".",
    "braces": "{user.__class__}{0}%s$(id)`id`.jsonl.gz",
}
_UNHARMED = (RequestError, RefusedError, PermanentError)


class Arriving(SinkBase):
    """What arrives is what was sent."""

    @standard()
    def test_what_arrives_is_the_file_byte_for_byte(self, sending: Sending, receiver: Receiver) -> None:
        """A receipt that says ``delivered`` is true: the file is there, every byte of it.

        Send all of ``call.parcel.path`` in binary mode, and say ``delivered=True`` only when the other side confirmed.
        """
        tried = sending.tried(sending.call(sending.parcel(CONTENT)))
        assert tried.delivered, claims(tried)
        self.arrived_once(receiver, CONTENT)

    @standard()
    def test_its_receipt_says_who_and_where(self, sending: Sending) -> None:
        """A receipt of success names the sink and the place, and no error; one for each recipient, by name.

        ``place`` is what people look for later, in words or as a path; ``path`` is for files on this machine only.
        """
        call = sending.call(sending.parcel(CONTENT))
        receipts = sending.deliver(call)
        assert [receipt.sink for receipt in receipts] == [self.name] * len(receipts)
        assert [receipt.recipient for receipt in receipts] == list(call.recipients or [""])
        for receipt in receipts:
            assert receipt.place.strip(), "it says no place"
            assert (receipt.error, receipt.transient, receipt.unwanted) == ("", False, False)
            if receipt.path is not None:
                assert receipt.path.is_absolute()
                assert receipt.path.read_bytes() == CONTENT

    @standard()
    def test_an_empty_file_arrives(self, sending: Sending, receiver: Receiver) -> None:
        """A file of no bytes is a file: an export without rows may have one.

        Look for ``if content:`` and loops that send a first block only when there is one.
        """
        tried = sending.tried(sending.call(sending.parcel(b"")))
        assert tried.delivered, claims(tried)
        self.arrived_once(receiver, b"")

    @standard(needs="carries_files")
    def test_it_has_the_name_that_was_suggested(self, sending: Sending, receiver: Receiver) -> None:
        """The file arrives under ``call.parcel.manifest.file.name``, where the other side has names for files.

        The engine's names are safe, and tell exports apart. Options may say otherwise; the default does not.
        """
        sending.deliver(sending.call(sending.parcel(CONTENT)))
        arrival = self.arrived_once(receiver, CONTENT)
        assert arrival.name in {NAME, ""}

    @standard()
    def test_it_brings_what_it_claims_and_no_less(self, sending: Sending, receiver: Receiver) -> None:
        """``carries_files``, ``describes`` and ``idempotent`` are true exactly where that is what is seen.

        What your sink can is worth saying: set the attribute, and have it asked for.
        """
        call = sending.call(sending.parcel(CONTENT))
        sending.deliver(call)
        (arrival,) = receiver.arrived()
        assert (arrival.content is not None) == self.carries_files
        assert (arrival.manifest is not None) == self.describes
        if not self.idempotent and sending.tried(call).delivered:
            keys = {arrival.key for arrival in receiver.arrived()}
            assert len(keys) > 1 or keys == {""}, "what is repeated can be told: it is idempotent"

    @standard(needs="describes")
    def test_the_manifest_comes_with_it(self, sending: Sending, receiver: Receiver) -> None:
        """The manifest arrives beside the file, and names it as it is called there.

        Write ``tailrace.encode_manifest(call.parcel.manifest, name=…)`` beside it; ``tailrace.publish`` does.
        """
        call = sending.call(sending.parcel(CONTENT))
        sending.deliver(call)
        arrival = self.arrived_once(receiver, CONTENT)
        assert arrival.manifest == encode_manifest(call.parcel.manifest, name=arrival.name)

    @standard()
    @pytest.mark.parametrize("kind", list(_HOSTILE))
    def test_hostile_names_do_no_harm(self, kind: str, sending: Sending, receiver: Receiver, tmp_path: Path) -> None:
        """A file whose name, or whose user, is hostile arrives as what it is and where it should, or is refused.

        Never let a name out of your hands as part of a path, header or command without making it harmless.
        """
        name = _HOSTILE[kind]
        outside = _outside(tmp_path, receiver)
        try:
            call = sending.call(sending.parcel(CONTENT, name=name, user=name))
            tried = sending.tried(call)
        except RequestError:
            assert list(receiver.arrived()) == []
            return
        if tried.delivered:
            self.arrived_once(receiver, CONTENT)
        else:
            assert tried.error is None or isinstance(tried.error, _UNHARMED), claims(tried)
            assert list(receiver.arrived()) == []
        made = files_below(sending.folder).keys()
        new = _outside(tmp_path, receiver) - outside
        assert [path for path in new if not any(path.endswith(own) for own in made)] == []

    @standard()
    def test_a_large_file_arrives_in_bounded_memory(self, sending: Sending, receiver: Receiver) -> None:
        """A file of ``LARGE`` bytes takes hardly more memory than a small one, and arrives whole.

        Read it in blocks of a fixed size, and send each before the next is read.
        """
        content = os.urandom(MIB) * (self.LARGE // MIB)
        place = sending.place.plain()
        ended = [done_apart(f"{_APART}:deliver", place, plain_parcel(sending.parcel(one))) for one in (OTHER, content)]
        for work in ended:
            assert work.said is not None, work.stderr
            assert work.said["delivered"], work.said["told"]
        arrivals = receiver.arrived()
        for one in (OTHER, content):
            assert [arrival for arrival in arrivals if self.is_it(arrival, one)], "it did not arrive as it was sent"
        more = ended[1].peak - ended[0].peak
        assert more < max(self.LARGE // 4, 8 * MIB), f"{more / MIB:.1f} MiB more for {self.LARGE / MIB:.0f} MiB"

    @standard()
    def test_the_parcel_is_left_alone(self, sending: Sending) -> None:
        """The file at ``call.parcel.path`` stays where and what it is: it is the engine's, and others get it, too.

        Copy or link it; never move, change or delete it.
        """
        parcel = sending.parcel(CONTENT)
        before = parcel.path.stat()
        sending.deliver(sending.call(parcel))
        assert parcel.path.exists(), "it is gone"
        after = parcel.path.stat()
        assert parcel.path.read_bytes() == CONTENT
        assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)

    @standard(needs="carries_files")
    def test_without_its_file_nothing_is_delivered(self, sending: Sending, receiver: Receiver) -> None:
        """Where the parcel's file is gone, the delivery fails, for ever, and says so.

        Do not claim what you could not read; a file that is gone does not come back by trying again.
        """
        parcel = sending.parcel(CONTENT)
        parcel.path.unlink()
        tried = sending.tried(sending.call(parcel))
        assert tried.permanent, claims(tried)
        assert list(receiver.arrived()) == []

    @standard()
    def test_two_at_once_do_not_mix(self, sending: Sending, receiver: Receiver) -> None:
        """Two deliveries from two threads bring both files, each whole.

        One sink object serves the whole process: keep what belongs to one delivery in its call, not in the object.
        """
        contents = [bytes([number]) * MIB + CONTENT for number in range(4)]
        calls = [sending.call(sending.parcel(content)) for content in contents]
        with ThreadPoolExecutor(4) as pool:
            tried = list(pool.map(sending.tried, calls))
        assert [one.delivered for one in tried] == [True] * 4, [claims(one) for one in tried]
        arrivals = receiver.arrived()
        if self.overwrites:
            assert all(any(self.is_it(arrival, content) for content in contents) for arrival in arrivals)
            return
        for content in contents:
            assert len([arrival for arrival in arrivals if self.is_it(arrival, content)]) == 1
        assert len({arrival.key for arrival in arrivals}) == 4, "the other side cannot tell them apart"

    @standard(needs="carries_files")
    def test_what_is_there_is_not_replaced_unasked(self, sending: Sending, receiver: Receiver) -> None:
        """A file of a name that is taken gets another name or is refused; where it ``overwrites``, it is there whole.

        Ask the other side to create and not to replace: ``O_EXCL``, ``If-None-Match: *``.
        """
        sending.deliver(sending.call(sending.parcel(CONTENT)))
        tried = sending.tried(sending.call(sending.parcel(OTHER)))
        arrivals = receiver.arrived()
        if self.overwrites:
            assert tried.delivered, claims(tried)
            assert [self.is_it(arrival, OTHER) for arrival in arrivals] == [True]
            return
        assert [arrival for arrival in arrivals if self.is_it(arrival, CONTENT)], "the first is gone"
        there = [arrival for arrival in arrivals if self.is_it(arrival, OTHER)]
        assert tried.delivered == bool(there), claims(tried)

    @standard(needs="finishes")
    def test_finishing_again_changes_nothing(self, sending: Sending, receiver: Receiver) -> None:
        """``finish`` may be called again for the same file: after a crash nobody knows whether it was.

        Let it bring about a state, and do nothing where that is reached.
        """
        call = sending.call(sending.parcel(CONTENT))
        for receipt in sending.deliver(call):
            for _ in range(2):
                sending.sink.finish(call, receipt)
        self.arrived_once(receiver, CONTENT)

    @standard()
    def test_a_whole_export_arrives(self, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An export by the engine arrives: made, proven, delivered, recorded.

        What fails here and passes everywhere else depends on how it is called: look at the error.
        """
        for reference, text in receiver.secrets.items():
            assert reference.startswith("env:"), "a receiver's secrets are references of the kind env:NAME"
            monkeypatch.setenv(reference.removeprefix("env:"), text)
        sinks = {"sinks": {self.name: receiver.settings}} if receiver.settings else {}
        engine = Engine(
            structure({"home": str(tmp_path / "home"), **sinks}, Settings),
            plugins=[
                (self.name, self.plugin()),
                ("memory", MemorySource([memory_table("words", {"word": ["pump", "wheel"]})])),
                ("lines", LinesFormat()),
            ],
            discover=False,
        )
        request = ExportRequest("memory", "", "lines", sinks=(SinkRequest(self.name, receiver.target, self.options),))
        result = engine.export(request)
        (artifact,) = result.artifacts
        assert result.complete, [receipt.error for receipt in artifact.receipts]
        (arrival,) = receiver.arrived()
        if self.carries_files:
            assert arrival.sha256 == artifact.manifest.file.sha256
        else:
            assert artifact.manifest.file.sha256 in arrival.text


def _outside(folder: Path, receiver: Receiver) -> set[str]:
    """Files of the test, but for those at the receiver."""
    home = str(receiver.target)
    return {str(path) for path in folder.rglob("*") if path.is_file() and not str(path).startswith(home)}
