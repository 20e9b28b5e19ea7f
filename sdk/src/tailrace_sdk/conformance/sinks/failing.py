"""Standard tests: what the other side does wrong, and what a sink may say about it.

What can be asked of a sink whose receiver lies or doubles: that it tells what it was told, keeps no memory of its own
of what it once delivered, and gives every try of a delivery the same name. Whether a receiver forgot what it
acknowledged, nobody can know from here.
"""

import uuid
from concurrent.futures import wait

import pytest

from tailrace_sdk.conformance.sinks.base import CONTENT, MIB, OTHER, PATIENCE, SinkBase, claims, in_another_thread
from tailrace_sdk.conformance.sinks.receiver import Receiver
from tailrace_sdk.conformance.sinks.sending import Sending
from tailrace_sdk.conformance.standard import standard
from tailrace_sdk.servers.faults import Fault

_WAIT = 7.0
_SILENCE = 6.0
"""Seconds after which a receiver that says nothing hangs up: more than people wait who are not patient."""


class Failing(SinkBase):
    """What is said and done when the other side fails."""

    @standard()
    @pytest.mark.parametrize("fault", [Fault.BUSY, Fault.AWAY, Fault.DROPPING])
    def test_what_may_be_better_later_is_tried_again(self, fault: Fault, sending: Sending, receiver: Receiver) -> None:
        """Busy, away or broken off in the middle is transient, and the next try of the same delivery arrives, once.

        Raise ``TransientError``, or return a receipt with ``transient=True``, and start afresh at the next try.
        """
        self.can_be(receiver, fault)
        content = CONTENT * 16
        call = sending.call(sending.parcel(content))
        receiver.be(fault)
        tried = sending.tried(call)
        assert not tried.delivered, claims(tried)
        assert tried.transient, claims(tried)
        assert tried.told, "it does not say why"
        receiver.recover()
        assert list(receiver.arrived()) == []
        tried = sending.tried(call)
        assert tried.delivered, claims(tried)
        self.arrived_once(receiver, content)

    @standard()
    def test_what_stays_as_it_is_is_given_up(self, sending: Sending, receiver: Receiver) -> None:
        """A refusal for ever is permanent: nobody is to be asked again and again.

        Raise ``PermanentError``, or return a receipt with ``transient=False``, and say what can be done about it.
        """
        self.can_be(receiver, Fault.REFUSING)
        call = sending.call(sending.parcel(CONTENT))
        receiver.be(Fault.REFUSING)
        tried = sending.tried(call)
        assert tried.permanent, claims(tried)
        assert tried.told, "it does not say why"
        receiver.recover()
        assert list(receiver.arrived()) == []

    @standard()
    def test_an_answer_that_is_none_is_no_success(self, sending: Sending, receiver: Receiver) -> None:
        """An answer that is not of the kind it should be is not taken for a yes, and is an error of Tailrace's.

        Count as a success only what the protocol calls one.
        """
        self.can_be(receiver, Fault.BABBLING)
        call = sending.call(sending.parcel(CONTENT))
        receiver.be(Fault.BABBLING)
        tried = sending.tried(call)
        assert not tried.delivered, claims(tried)

    @standard()
    def test_what_was_not_confirmed_is_not_claimed(self, sending: Sending, receiver: Receiver) -> None:
        """Where the connection ends before the other side confirmed, it is not delivered, and tried again.

        The other side may have it; so the next try may double, which an ``idempotent`` sink lets it see.
        """
        self.can_be(receiver, Fault.MUTE)
        call = sending.call(sending.parcel(CONTENT))
        receiver.be(Fault.MUTE)
        tried = sending.tried(call)
        assert tried.transient, claims(tried)
        receiver.recover()
        assert sending.tried(call).delivered
        arrivals = receiver.arrived()
        assert all(self.is_it(arrival, CONTENT) for arrival in arrivals)
        if self.idempotent:
            assert len({arrival.key for arrival in arrivals}) == 1, "nobody can tell that it is the same"

    @standard()
    def test_silence_is_no_success(self, sending: Sending, receiver: Receiver) -> None:
        """Where the other side takes everything and never answers, it is not delivered, and tried again.

        A time-out, your own or that of a library, is a ``TransientError``: nobody knows whether it arrived. Name what
        makes it short in ``IMPATIENT``; without that, only time-outs of less than six seconds are seen.
        """
        self.can_be(receiver, Fault.SLOW)
        parcel, sending = sending.parcel(CONTENT), self.impatient(sending)
        call = sending.call(parcel)
        receiver.be(Fault.SLOW)
        with in_another_thread(lambda: sending.tried(call), receiver) as work:
            assert receiver.wait_until_stalled(PATIENCE), "it did not get in touch"
            wait([work], timeout=_SILENCE)
            gave_up = work.done()
        assert gave_up or not self.IMPATIENT, f"it still waits after {_SILENCE:g} seconds: IMPATIENT makes it give up"
        tried = work.result()
        if tried.delivered:
            # After the receiver hung up, it may have come again, all by itself.
            self.arrived_once(receiver, CONTENT)
            return
        assert tried.transient, claims(tried)
        assert tried.told, "it does not say why"
        tried = sending.tried(call)
        assert tried.delivered, claims(tried)
        self.arrived_once(receiver, CONTENT)

    @standard(needs="idempotent")
    def test_repeating_a_delivery_doubles_nothing(self, sending: Sending, receiver: Receiver) -> None:
        """A delivery that is repeated under its name is one at the other side, and another name is another delivery.

        Hand on ``call.delivery`` as what the other side tells repetitions by: an id, a key, a file name.
        """
        parcel, name = sending.parcel(CONTENT), str(uuid.uuid4())
        for _ in range(2):
            tried = sending.tried(sending.call(parcel, delivery=name))
            assert tried.delivered, claims(tried)
        first = self.arrived_once(receiver, CONTENT).key
        assert first, "there is nothing to tell it by"
        if not self.overwrites:
            sending.deliver(sending.call(sending.parcel(OTHER)))
            assert len({arrival.key for arrival in receiver.arrived()}) == 2

    @standard()
    def test_it_believes_what_it_is_told_and_no_more(self, sending: Sending, receiver: Receiver) -> None:
        """A receiver that lost what it had acknowledged gets it again when the delivery is repeated.

        Keep no memory of your own of what was delivered: the engine has one, and knows when to send again.
        """
        self.can_be(receiver, Fault.LYING)
        call = sending.call(sending.parcel(CONTENT))
        receiver.be(Fault.LYING)
        sending.tried(call)
        receiver.recover()
        tried = sending.tried(call)
        assert tried.delivered, claims(tried)
        self.arrived_once(receiver, CONTENT)

    @standard()
    def test_a_receiver_that_doubles_changes_no_receipt(self, sending: Sending, receiver: Receiver) -> None:
        """Where the other side has it twice, there is one receipt for each recipient all the same.

        Say what became of each recipient, not of each acknowledgement.
        """
        self.can_be(receiver, Fault.DOUBLING)
        call = sending.call(sending.parcel(CONTENT))
        receiver.be(Fault.DOUBLING)
        tried = sending.tried(call)
        assert tried.delivered, claims(tried)
        assert len(tried.receipts) == max(1, len(call.recipients))
        if self.idempotent:
            assert len({arrival.key for arrival in receiver.arrived()}) == 1

    @standard(needs="hears_retry_after")
    def test_it_says_how_long_to_wait(self, sending: Sending, receiver: Receiver) -> None:
        """Where the other side asks to wait, the receipt's ``retry_after`` says for how long.

        The engine waits that long before the next try; without it, it goes by its own rules.
        """
        self.can_be(receiver, Fault.BUSY)
        call = sending.call(sending.parcel(CONTENT))
        receiver.be(Fault.BUSY, retry_after=_WAIT)
        tried = sending.tried(call)
        assert tried.transient, claims(tried)
        assert [receipt.retry_after for receipt in tried.receipts] == [pytest.approx(_WAIT, abs=1.5)]

    @standard(needs="resumable")
    def test_what_arrived_before_is_not_sent_again(self, sending: Sending, receiver: Receiver) -> None:
        """After a break in the middle, the next try goes on from there, and the file is whole.

        Ask the other side how much it has, and believe nothing else.
        """
        self.can_be(receiver, Fault.DROPPING)
        content = CONTENT * (2 * MIB // len(CONTENT))
        call = sending.call(sending.parcel(content))
        receiver.be(Fault.DROPPING)
        assert sending.tried(call).transient
        receiver.recover()
        tried = sending.tried(call)
        assert tried.delivered, claims(tried)
        arrival = self.arrived_once(receiver, content)
        assert "content-range" in arrival.text.lower(), "it was sent from the beginning"
