"""Standard tests: cancellation, deadline, a kill in the middle, and what is left behind."""

import os
import signal
import time

import pytest

from tailrace import CancelledError, Context, DeadlineError, TailraceError
from tailrace_sdk.conformance.apart import begun_apart, done_apart
from tailrace_sdk.conformance.sinks.apart import plain_parcel
from tailrace_sdk.conformance.sinks.base import (
    CONTENT,
    MIB,
    OTHER,
    PATIENCE,
    SOON,
    SinkBase,
    claims,
    in_another_thread,
)
from tailrace_sdk.conformance.sinks.parcel import MESSAGE
from tailrace_sdk.conformance.sinks.receiver import Receiver
from tailrace_sdk.conformance.sinks.sending import Sending
from tailrace_sdk.conformance.standard import NotApplicable, standard
from tailrace_sdk.servers.faults import Fault

_APART = "tailrace_sdk.conformance.sinks.apart"
_LONG_ENOUGH = 0.3
"""Seconds after which a sink whose receiver stalls is at its waiting."""


class Stopping(SinkBase):
    """How it ends before its time."""

    @standard()
    @pytest.mark.parametrize("size", [0, 4 * MIB], ids=["while it waits", "while it sends"])
    def test_cancelling_ends_it_within_a_second(self, size: int, sending: Sending, receiver: Receiver) -> None:
        """Cancelled while the other side neither reads nor answers, it raises ``CancelledError`` within a second.

        Wait in slices: a timeout of a fraction of a second on each operation, and ``call.context.check()`` between
        them; or watch the context from another thread, and shut the connection down.
        """
        self.can_be(receiver, Fault.SLOW)
        context = Context()
        call = sending.call(sending.parcel(os.urandom(size) + CONTENT), context=context)
        receiver.be(Fault.SLOW)
        with in_another_thread(lambda: sending.tried(call), receiver) as work:
            assert receiver.wait_until_stalled(PATIENCE), "it did not get in touch"
            time.sleep(_LONG_ENOUGH)
            assert not work.done(), claims(work.result())
            begun = time.monotonic()
            context.cancel()
            tried = work.result(SOON)
            taken = time.monotonic() - begun
        assert isinstance(tried.error, CancelledError), claims(tried)
        assert taken < SOON

    @standard()
    def test_the_deadline_ends_it(self, sending: Sending, receiver: Receiver) -> None:
        """When the time is up while the other side says nothing, it raises ``DeadlineError`` within a second.

        ``call.context.check()`` raises it; see to it that it is asked while you wait.
        """
        self.can_be(receiver, Fault.SLOW)
        parcel = sending.parcel(CONTENT)
        receiver.be(Fault.SLOW)
        begun = time.monotonic()
        call = sending.call(parcel, context=Context(timeout=_LONG_ENOUGH))
        with in_another_thread(lambda: sending.tried(call), receiver) as work:
            tried = work.result(_LONG_ENOUGH + SOON)
        assert isinstance(tried.error, DeadlineError), claims(tried)
        assert time.monotonic() - begun < _LONG_ENOUGH + SOON

    @standard()
    @pytest.mark.parametrize("error", [CancelledError, DeadlineError], ids=["cancelled", "too late"])
    def test_what_was_called_off_is_not_begun(
        self, error: type[TailraceError], sending: Sending, receiver: Receiver
    ) -> None:
        """Called when somebody has cancelled, or the time is up, it raises that error, and nothing arrives.

        Begin ``deliver``, and ``send`` if you have it, with ``call.context.check()``, and ask again between the steps
        of what takes long.
        """
        parcel, context = sending.parcel(CONTENT), Context()
        if error is CancelledError:
            context.cancel()
        else:
            context = Context(timeout=0.0)
            time.sleep(0.001)  # until its clock has moved on
        call = sending.call(parcel, context=context)
        tried = sending.tried(call)
        assert isinstance(tried.error, error), claims(tried)
        if self.messages:
            tried = sending.tried_message(sending.message_call(MESSAGE, delivery="message-1", context=context))
            assert isinstance(tried.error, error), claims(tried)
        assert list(receiver.arrived()) == []
        tried = sending.tried(sending.call(parcel, delivery=call.delivery))
        assert tried.delivered, claims(tried)
        self.arrived_once(receiver, CONTENT)

    @standard()
    def test_after_it_was_stopped_the_next_try_arrives(self, sending: Sending, receiver: Receiver) -> None:
        """What was cut short leaves nothing that is in the way of the next try of the same delivery.

        Close and forget a connection that was given up in the middle; never hand it on to the next delivery.
        """
        self.can_be(receiver, Fault.SLOW)
        parcel = sending.parcel(CONTENT)
        call = sending.call(parcel, context=Context(timeout=_LONG_ENOUGH))
        receiver.be(Fault.SLOW)
        with in_another_thread(lambda: sending.tried(call), receiver) as work:
            work.result(PATIENCE)
        tried = sending.tried(sending.call(parcel, delivery=call.delivery))
        assert tried.delivered, claims(tried)
        self.arrived_once(receiver, CONTENT)

    @standard(needs="transactional")
    def test_killed_in_the_middle_nothing_looks_whole(self, sending: Sending, receiver: Receiver) -> None:
        """Killed while it delivers, it leaves nothing that looks like the file and is not, and the next try arrives.

        Write under a name that nobody takes for a finished file, and rename (``tailrace.publish``); or use a transfer
        that the other side takes for whole only at its end.
        """
        content = os.urandom(4 * MIB)
        parcel = sending.parcel(content)
        place, file = sending.place.plain(), plain_parcel(parcel)
        if Fault.SLOW in receiver.faults:
            receiver.be(Fault.SLOW)
            with begun_apart(f"{_APART}:deliver", place, file) as work:
                assert receiver.wait_until_stalled(PATIENCE), "it did not get in touch"
                work.kill()
                assert work.end().returncode == -signal.SIGKILL
            receiver.recover()
        elif self.on_disk:
            ended = done_apart(f"{_APART}:deliver_and_die", place, file, 0 if self.staged else len(content) // 2)
            # What delivers by links alone is through before it can be killed by what it writes.
            assert ended.returncode in {-signal.SIGXFSZ, 0}, ended.stderr
        else:
            raise NotApplicable("its receiver cannot be slow")
        for arrival in receiver.arrived():
            assert self.is_it(arrival, content), self.difference(arrival, content)
        tried = sending.tried(sending.call(parcel))
        assert tried.delivered, claims(tried)
        for arrival in receiver.arrived():
            assert self.is_it(arrival, content), self.difference(arrival, content)

    @standard()
    def test_nothing_is_left_behind(self, sending: Sending) -> None:
        """Deliveries leave no thread, socket or file open for longer than ``LINGERS`` seconds.

        Close what you open, in ``finally`` or ``with``; connections that are kept for the next delivery have to be
        given up after a while.
        """
        files = [plain_parcel(sending.parcel(content)) for content in (OTHER, CONTENT, CONTENT * 2, OTHER * 2)]
        ended = done_apart(f"{_APART}:deliver_and_look_around", sending.place.plain(), files, self.LINGERS)
        assert ended.said == {"delivered": True, "threads": [], "descriptors": []}, ended.stderr

    @standard()
    def test_it_prints_nothing(self, sending: Sending) -> None:
        """It prints nothing, neither to standard output nor to standard error, whether it delivers or fails.

        Use ``logging``: standard output belongs to the host, which may be writing an export there.
        """
        parcel = sending.parcel(CONTENT)
        place, file = sending.place.plain(), plain_parcel(parcel)
        ended = done_apart(f"{_APART}:deliver_and_fail", place, file)
        assert ended.said is not None, ended.stderr
        assert ended.said["delivered"], ended.said["told"]
        assert (ended.stdout, ended.stderr) == ("", "")
