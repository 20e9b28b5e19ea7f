"""Standard tests: the contract of a sink, and what it says before anything is delivered."""

import time
from pathlib import Path

import attrs
import pytest

from tailrace import (
    Addressed,
    Configurable,
    Finisher,
    Fit,
    Messenger,
    RefusedError,
    RequestError,
    Sink,
    SizeJudge,
    TargetChecker,
)
from tailrace_sdk.conformance.sinks.base import MIB, SinkBase, files_below
from tailrace_sdk.conformance.sinks.receiver import Receiver
from tailrace_sdk.conformance.sinks.sending import Sending
from tailrace_sdk.conformance.standard import NotApplicable, standard

PROTOCOLS = {
    "checks_targets": TargetChecker,
    "configurable": Configurable,
    "addressed": Addressed,
    "judges_sizes": SizeJudge,
    "finishes": Finisher,
    "messages": Messenger,
}
_UNTIL_COUNTED = 0.2
"""Seconds after which a server has seen whoever connected."""
_TELLING = ("password", "secret", "token", "key")


class Contract(SinkBase):
    """What a sink is, and what it says before anything is delivered."""

    @standard()
    def test_it_can_what_it_claims(self, sending: Sending) -> None:
        """The capabilities in your class are the protocols that the sink implements, no more and no fewer.

        Set the attribute of the same name in your class, or complete (or remove) the methods of the protocol.
        """
        assert isinstance(sending.sink, Sink)
        found = {name: isinstance(sending.sink, protocol) for name, protocol in PROTOCOLS.items()}
        assert found == {name: getattr(self, name) for name in PROTOCOLS}

    @standard()
    def test_staging_offers_a_folder_or_does_not(self, sending: Sending, receiver: Receiver) -> None:
        """``staging`` returns an existing folder, the same each time (``staged``), or None each time (not ``staged``).

        Return the folder in which the file will be, so that delivering is a rename; None if that is elsewhere.
        """
        folders = [sending.sink.staging(sending.staging_call()) for _ in range(2)]
        assert folders[0] == folders[1]
        assert (folders[0] is not None) == self.staged
        if folders[0] is not None:
            assert isinstance(folders[0], Path)
            assert folders[0].is_absolute(), "it counts from the process's own folder: return call.folder / path"
            assert folders[0].is_dir(), "it is not there: make it"

    @standard()
    def test_before_it_delivers_nothing_arrives(self, sending: Sending, receiver: Receiver) -> None:
        """``staging``, ``check_target``, ``recipients`` and ``fits`` bring nothing to the other side.

        They are called when a request is saved, and again before each try. Leave the work to ``deliver``.
        """
        self._ask_everything(sending)
        assert list(receiver.arrived()) == []

    @standard()
    def test_what_is_only_asked_contacts_nobody(self, sending: Sending, receiver: Receiver, tmp_path: Path) -> None:
        """``check_target``, ``recipients``, ``fits`` and ``addressee`` ask nobody and make nothing, be it a folder.

        They answer by names alone: requests are saved long before they run, and on machines that reach nothing.
        """
        before = (receiver.contacts, files_below(tmp_path), sorted(tmp_path.rglob("*")))
        self._ask_by_name(sending)
        time.sleep(_UNTIL_COUNTED)
        assert (receiver.contacts, files_below(tmp_path), sorted(tmp_path.rglob("*"))) == before

    @standard()
    def test_a_hopeless_target_is_refused_at_once(self, sending: Sending) -> None:
        """``staging`` and ``check_target`` raise ``RequestError`` for targets that can never work: ``HOPELESS``.

        Refuse there what no delivery could reach: no target at all, one that is none, one that is forbidden. Name a few
        in ``HOPELESS``.
        """
        if not self.HOPELESS:
            raise NotApplicable("HOPELESS names no target")
        for target in self.HOPELESS:
            call = attrs.evolve(sending.staging_call(), target=target)
            with pytest.raises((RequestError, RefusedError)):
                sending.sink.staging(call)
            if isinstance(sending.sink, TargetChecker):
                with pytest.raises((RequestError, RefusedError)):
                    sending.sink.check_target(call)

    @standard(needs="configurable")
    def test_its_settings_have_defaults_and_are_frozen(self, sending: Sending) -> None:
        """``settings_type`` is a frozen attrs class that can be made of nothing: an operator may have set nothing.

        Give each setting a default, and refuse an incomplete configuration in ``staging``, with ``ConfigurationError``.
        """
        kind = sending.sink.settings_type
        settings = kind()
        for field in attrs.fields(kind):
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                setattr(settings, field.name, getattr(settings, field.name))

    @standard(needs="configurable")
    def test_secret_settings_are_never_shown(self, sending: Sending) -> None:
        """A setting whose name says that it is secret is in no ``repr``.

        Declare it with ``tailrace.option(…, secret=True)`` or ``attrs.field(repr=False)``, and let it be a reference.
        """
        shown = [
            field.name
            for field in attrs.fields(sending.sink.settings_type)
            if any(word in field.name.lower() for word in _TELLING) and field.repr and field.type is not bool
        ]
        assert shown == []

    @standard(needs="addressed")
    def test_recipients_are_names_that_can_be_shown(self, sending: Sending, receiver: Receiver) -> None:
        """``recipients`` gives lines of text, each once, and the same each time.

        They are stored, shown and audited: one line of at most 400 characters each, without a secret.
        """
        for target in filter(None, (receiver.target, receiver.crowd)):
            named = [list(sending.sink.recipients(sending.staging_call(target))) for _ in range(2)]
            assert named[0] == named[1]
            assert named[0], f"nobody for {target!r}"
            assert len(set(named[0])) == len(named[0])
            for name in named[0]:
                assert isinstance(name, str)
                assert 0 < len(name) <= 400
                assert name.isprintable()
                assert name.strip() == name
        if receiver.crowd is not None:
            assert len(sending.sink.recipients(sending.staging_call(receiver.crowd))) > 1

    @standard(needs="judges_sizes")
    def test_it_says_what_fits(self, sending: Sending) -> None:
        """``fits`` answers with a ``Fit`` for every size, in a sentence with the figures, and the same each time.

        A small file that goes through has to fit; what never fits is to be said in words, and not raised.
        """
        small = sending.sink.fits(sending.fit_call(100))
        assert isinstance(small, Fit)
        assert small.fits is not False, small.text
        for size in (0, 1, MIB, 1 << 40):
            fit = sending.sink.fits(sending.fit_call(size))
            assert isinstance(fit, Fit)
            assert fit == sending.sink.fits(sending.fit_call(size))
            assert fit.channel
            assert fit.text.strip()
            assert fit.text.rstrip().endswith((".", "!"))

    def _ask_by_name(self, sending: Sending) -> None:
        sink, call = sending.sink, sending.staging_call()
        if isinstance(sink, TargetChecker):
            sink.check_target(call)
        if isinstance(sink, Addressed):
            sink.recipients(call)
        if isinstance(sink, SizeJudge):
            sink.fits(sending.fit_call(MIB))
        if isinstance(sink, Messenger):
            sink.addressee(sending.place.target or "", sending.settings)

    def _ask_everything(self, sending: Sending) -> None:
        self._ask_by_name(sending)
        sending.sink.staging(sending.staging_call())
