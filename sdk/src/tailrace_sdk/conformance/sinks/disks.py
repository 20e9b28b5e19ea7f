"""Standard tests of sinks that write to disks of this machine: full ones, and broken ones."""

import os
import sys
from pathlib import Path

import pytest

from tailrace_sdk.conformance.apart import done_apart
from tailrace_sdk.conformance.sinks.apart import plain_parcel
from tailrace_sdk.conformance.sinks.base import CONTENT, MIB, SinkBase, claims
from tailrace_sdk.conformance.sinks.receiver import Receiver
from tailrace_sdk.conformance.sinks.sending import Sending
from tailrace_sdk.conformance.standard import NotApplicable, standard
from tailrace_sdk.faults import FaultyFilesystem, Operation

_APART = "tailrace_sdk.conformance.sinks.apart"
_MOST_PLACES = 12
"""So many calls of a kind are made to fail, the first ones."""


class Disks(SinkBase):
    """What it does when the system refuses."""

    @standard(needs="on_disk")
    @pytest.mark.parametrize("room", [0, len(CONTENT) * 2], ids=["nothing fits", "a part fits"])
    def test_a_full_disk_is_said_and_leaves_nothing(
        self, room: int, sending: Sending, receiver: Receiver, tmp_path: Path
    ) -> None:
        """Where the disk is full, that is a permanent error, and nothing is there that looks like the file.

        Turn ``OSError`` into errors of Tailrace (``tailrace.storage_errors``), and clean up what was begun.
        """
        content = CONTENT * 4
        parcel, disk = sending.parcel(content), FaultyFilesystem(tmp_path)
        disk.full_after(room)
        with disk.active():
            tried = sending.tried(sending.call(parcel))
        disk.heal()
        self._is_whole_or_not_there(receiver, content)
        # What is linked, and has a small manifest or none, may fit.
        assert tried.permanent or receiver.arrived(), claims(tried)
        assert not tried.transient, "a disk that is full stays so until somebody frees some space"
        tried = sending.tried(sending.call(parcel))
        assert tried.delivered, claims(tried)

    @standard(needs="on_disk")
    @pytest.mark.parametrize("operation", ["open", "write", "fsync", "rename", "link", "mkdir"])
    def test_whichever_call_fails_nothing_half_is_there(
        self, operation: Operation, sending: Sending, receiver: Receiver, tmp_path: Path
    ) -> None:
        """Whichever call of the system fails, the file is there whole or not at all, and that is what is said.

        Leave the order of things to ``tailrace.publish``; with your own: write, synchronise, then give it its name.
        """
        disk = FaultyFilesystem(tmp_path)
        with disk.active():
            tried = sending.tried(sending.call(sending.parcel(CONTENT, tag="first")))
        assert tried.delivered, claims(tried)
        count = disk.calls[operation]
        if not count:
            raise NotApplicable(f"it does not {operation}")
        for at in range(1, min(count, _MOST_PLACES) + 1):
            call = sending.call(sending.parcel(CONTENT, tag=f"at-{at}"))
            before = len(receiver.arrived())
            disk.fail(operation, at=at)
            with disk.active():
                tried = sending.tried(call)
            disk.heal()
            self._is_whole_or_not_there(receiver, CONTENT)
            if tried.delivered and not self.overwrites:
                assert len(receiver.arrived()) > before, (
                    f"{operation} {at} failed, nothing is there, and {claims(tried)}"
                )
            tried = sending.tried(call)
            assert tried.delivered, f"after {operation} {at} had failed, {claims(tried)}"

    @standard(needs="on_disk")
    @pytest.mark.parametrize("room", [0, MIB], ids=["nothing fits", "a part fits"])
    def test_the_same_goes_for_what_the_system_copies(self, room: int, sending: Sending, receiver: Receiver) -> None:
        """Files may have so many bytes, and the delivery fails or succeeds as a whole, whoever does the copying.

        This holds for code in other languages, too, and for ``sendfile``: look at what they return.
        """
        if sys.platform == "win32":
            pytest.skip("there is no such limit here")
        content = os.urandom(4 * MIB)
        parcel = sending.parcel(content)
        done = f"{_APART}:deliver_with_little_room"
        ended = done_apart(done, sending.place.plain(), plain_parcel(parcel), room)
        assert ended.said is not None, ended.stderr
        self._is_whole_or_not_there(receiver, content)
        assert ended.said["delivered"] == bool(receiver.arrived()), ended.said["told"]
        tried = sending.tried(sending.call(parcel))
        assert tried.delivered, claims(tried)

    def _is_whole_or_not_there(self, receiver: Receiver, content: bytes) -> None:
        for arrival in receiver.arrived():
            assert self.is_it(arrival, content), self.difference(arrival, content)
