"""Standard tests: several recipients, and messages to one of them."""

from collections.abc import Iterator

import pytest

from tailrace import Receipt
from tailrace_sdk.conformance.sinks.base import CONTENT, SinkBase, claims
from tailrace_sdk.conformance.sinks.parcel import MESSAGE
from tailrace_sdk.conformance.sinks.receiver import Receiver
from tailrace_sdk.conformance.sinks.sending import Sending
from tailrace_sdk.conformance.standard import NotApplicable, standard
from tailrace_sdk.servers.faults import Fault


class Recipients(SinkBase):
    """Who gets what."""

    @standard(needs="addressed")
    def test_each_recipient_has_a_receipt(self, sending: Sending, receiver: Receiver) -> None:
        """``deliver_each`` returns one receipt for each recipient of the call, by its name.

        ``Receipt(…, recipient=name)`` with the names of ``call.recipients``, as they are.
        """
        call = sending.call(sending.parcel(CONTENT), target=_crowd(receiver))
        receipts = sending.deliver(call)
        assert sorted(receipt.recipient for receipt in receipts) == sorted(call.recipients)
        assert all(receipt.delivered for receipt in receipts), receipts
        assert _reached(receiver) <= {*call.recipients, ""}

    @standard(needs="addressed")
    def test_only_those_get_it_who_are_asked_for(self, sending: Sending, receiver: Receiver) -> None:
        """A try is for ``call.recipients`` only: the others have it already, or want it no more.

        Go by ``call.recipients``, and not by all that the target means.
        """
        target = _crowd(receiver)
        everybody = sending.sink.recipients(sending.staging_call(target))
        call = sending.call(sending.parcel(CONTENT), target=target, recipients=everybody[:1])
        receipts = sending.deliver(call)
        assert [receipt.recipient for receipt in receipts] == list(everybody[:1])
        assert _reached(receiver) <= {everybody[0], ""}, "others got it, too"
        assert receiver.arrived()

    @standard(needs="addressed")
    def test_one_who_is_refused_keeps_nobody_from_theirs(self, sending: Sending, receiver: Receiver) -> None:
        """Where one recipient is refused, the others have the file, and the receipts say so of each.

        Return a receipt for each; raise only while nobody has it.
        """
        target = _crowd(receiver)
        call = sending.call(sending.parcel(CONTENT), target=target)
        refused, *others = call.recipients
        receiver.refuse(refused)
        receipts = {receipt.recipient: receipt for receipt in sending.deliver(call)}
        assert not receipts[refused].delivered
        assert not receipts[refused].transient, "it is refused for ever"
        assert receipts[refused].error
        assert all(receipts[other].delivered for other in others), receipts
        reached = _reached(receiver)
        assert refused not in reached
        assert set(others) <= reached or reached == {""}

    @standard(needs="messages")
    def test_a_message_arrives(self, sending: Sending, receiver: Receiver) -> None:
        """``send`` brings what there is to say, and its receipt is true; the same delivery has the same key.

        What people need is in ``subject``, ``text`` and ``facts``; leave none of it out.
        """
        for _ in range(2):
            receipt = sending.sink.send(sending.message_call(MESSAGE, delivery="message-1"))
            assert isinstance(receipt, Receipt)
            assert (receipt.sink, receipt.delivered, receipt.error) == (self.name, True, ""), receipt
        arrivals = receiver.arrived()
        assert arrivals, "nothing arrived"
        for text in (MESSAGE.subject, MESSAGE.text, *MESSAGE.facts.values()):
            assert text in arrivals[0].text, f"it does not say {text!r}"
        if self.idempotent:
            assert len({arrival.key for arrival in arrivals}) == 1

    @standard(needs="messages")
    @pytest.mark.parametrize("fault", [Fault.BUSY, Fault.AWAY, Fault.REFUSING])
    def test_a_message_that_does_not_arrive_is_not_claimed(
        self, fault: Fault, sending: Sending, receiver: Receiver
    ) -> None:
        """A message is refused as a file is: for now, or for ever.

        Let ``send`` and ``deliver`` judge answers by the same code.
        """
        self.can_be(receiver, fault)
        receiver.be(fault)
        tried = sending.tried_message(sending.message_call(MESSAGE, delivery="message-1"))
        assert not tried.delivered, claims(tried)
        assert tried.transient == (fault is not Fault.REFUSING), claims(tried)
        receiver.recover()
        assert list(receiver.arrived()) == []

    @standard(needs="messages")
    def test_a_message_has_an_addressee(self, sending: Sending, receiver: Receiver) -> None:
        """``addressee`` names whom a target means, in one line, the same each time.

        It is stored and shown: the name of an endpoint, an address; no URL with a secret in it.
        """
        named = {sending.sink.addressee(receiver.target or "", sending.settings) for _ in range(2)}
        assert len(named) == 1
        (name,) = named
        assert name.isprintable()
        assert 0 < len(name) <= 400
        assert not [secret for secret in _secrets(receiver) if secret in name]


def _crowd(receiver: Receiver) -> str:
    if receiver.crowd is None:
        raise NotApplicable("its targets mean one recipient each")
    return receiver.crowd


def _reached(receiver: Receiver) -> set[str]:
    """Names of all whom something arrived for; empty names where that cannot be told."""
    return {name for arrival in receiver.arrived() for name in arrival.recipients or ("",)}


def _secrets(receiver: Receiver) -> Iterator[str]:
    yield from receiver.secrets.values()
    yield from receiver.hidden
