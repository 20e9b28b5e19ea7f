"""What the standard tests of sinks have in common: what a sink can, its receiver, and ways to deliver to it."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import attrs
import pytest

from tailrace_sdk.conformance.plugin import PluginConformance
from tailrace_sdk.conformance.sinks.receiver import Arrival, Receiver
from tailrace_sdk.conformance.sinks.sending import Place, Sending, Tried
from tailrace_sdk.conformance.standard import NotApplicable
from tailrace_sdk.servers.faults import Fault

T = TypeVar("T")

MIB = 1 << 20
CONTENT = bytes(range(256)) * 256 + b"\r\n.\r\n..\r\nFrom me\n\x1a\r\n" + bytes(reversed(range(256)))
"""A file with all bytes, and with what has a meaning of its own on the way: line ends, lone dots, ends of files."""
OTHER = b"Something else altogether.\n" * 100
SOON = 2.0
"""Seconds within which a sink ends that is told to: one, and another one for a machine that is busy."""
PATIENCE = 30.0
"""Seconds after which a test gives up waiting for what should come at once."""


class SinkBase(PluginConformance):
    """What a sink is and can, and how its tests deliver with it.

    Attributes:
        LARGE: Bytes of the large file; less only where the other side takes no more.
        LINGERS: Seconds that a sink may keep connections or threads after a delivery, for the next one.
        HOPELESS: Targets that can never work, for any reason that can be told without asking anybody.
        IMPATIENT: Options or settings, by name, with which it waits for an answer for a second or two at most, and
            then gives up by itself. Without any, silence ends when the receiver hangs up, after six seconds.
    """

    kind = "sink"
    CAPABILITIES: ClassVar[Mapping[str, str]] = {
        "staged": "offers a folder, so that the engine makes files where they will be",
        "checks_targets": "judges targets when a request is saved (TargetChecker)",
        "configurable": "has settings of the operator (Configurable)",
        "addressed": "tells recipients apart (Addressed)",
        "judges_sizes": "says what will fit (SizeJudge)",
        "finishes": "does something once a file is recorded (Finisher)",
        "messages": "carries messages (Messenger)",
        "carries_files": "brings the file itself, and not only word of it",
        "describes": "brings the manifest along",
        "transactional": "nothing looks whole at the other side before all of it is there",
        "idempotent": "what is delivered twice under one name is there once, or can be told to be the same",
        "resumable": "goes on where an earlier try was cut off",
        "overwrites": "a file takes the place of another one of its name",
        "on_disk": "writes to disks of this machine",
        "hears_retry_after": "passes on how long the other side asks to wait",
    }
    staged: ClassVar[bool] = False
    checks_targets: ClassVar[bool] = False
    configurable: ClassVar[bool] = False
    addressed: ClassVar[bool] = False
    judges_sizes: ClassVar[bool] = False
    finishes: ClassVar[bool] = False
    messages: ClassVar[bool] = False
    carries_files: ClassVar[bool] = True
    describes: ClassVar[bool] = False
    transactional: ClassVar[bool] = False
    idempotent: ClassVar[bool] = False
    resumable: ClassVar[bool] = False
    overwrites: ClassVar[bool] = False
    on_disk: ClassVar[bool] = False
    hears_retry_after: ClassVar[bool] = False

    LARGE: ClassVar[int] = 64 * MIB
    LINGERS: ClassVar[float] = 5.0
    HOPELESS: ClassVar[Sequence[str | None]] = ()
    IMPATIENT: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def receiver(self) -> Receiver:
        """Where the sink delivers; each subclass has its own."""
        pytest.fail(f"Give {type(self).__name__} a fixture `receiver` that returns a Receiver: where does it deliver?")

    @pytest.fixture
    def sending(self, receiver: Receiver, tmp_path: Path) -> Iterator[Sending]:
        """The sink, ready to deliver to the receiver."""
        yield self.sending_to(receiver, tmp_path / "work")
        # Whoever is still kept waiting would keep a thread from ending.
        receiver.recover()

    def sending_to(self, receiver: Receiver, folder: Path) -> Sending:
        """The sink, ready to deliver to a receiver.

        Args:
            receiver: The receiver.
            folder: Working folder; made if it is missing.
        """
        folder.mkdir(exist_ok=True)
        place = Place(
            plugin=self.target,
            name=self.name,
            options=self.options,
            target=receiver.target,
            settings=receiver.settings,
            secrets=receiver.secrets,
            folder=str(folder),
        )
        return Sending.to(place)

    def impatient(self, sending: Sending) -> Sending:
        """The same sink, which delivers to the same place and waits for less long: :attr:`IMPATIENT`."""
        known = {field.name for field in attrs.fields(sending.sink.options_type)}
        options = {name: value for name, value in self.IMPATIENT.items() if name in known}
        settings = {name: value for name, value in self.IMPATIENT.items() if name not in known}
        place = attrs.evolve(
            sending.place,
            options={**sending.place.options, **options},
            settings={**sending.place.settings, **settings},
        )
        return Sending.to(place)

    def can_be(self, receiver: Receiver, fault: Fault) -> None:
        """Leave the test out where the receiver cannot be like that."""
        if fault not in receiver.faults:
            raise NotApplicable(f"its receiver cannot be {fault}")

    def is_it(self, arrival: Arrival, content: bytes) -> bool:
        """Whether an arrival is this file, or word of it where the sink brings no files."""
        if self.carries_files:
            return arrival.content == content
        return arrival.content is None and hashlib.sha256(content).hexdigest() in arrival.text

    def arrived_once(self, receiver: Receiver, content: bytes) -> Arrival:
        """The one arrival there is, which has to be this file.

        Repetitions count as one where the sink lets the other side tell them.
        """
        arrivals = receiver.arrived()
        assert arrivals, "nothing arrived"
        if self.idempotent:
            assert len({arrival.key for arrival in arrivals}) == 1, f"it arrived {len(arrivals)} times: {arrivals}"
        else:
            assert len(arrivals) == 1, f"it arrived {len(arrivals)} times: {arrivals}"
        assert self.is_it(arrivals[0], content), self.difference(arrivals[0], content)
        return arrivals[0]

    def difference(self, arrival: Arrival, content: bytes) -> str:
        """How what arrived differs from what was sent, in few words."""
        if not self.carries_files:
            return "it holds no SHA-256 of the file, by which it could be known"
        if arrival.content is None:
            return "no file arrived"
        came = arrival.content
        position = next((at for at, (one, other) in enumerate(zip(came, content, strict=False)) if one != other), None)
        where = "" if position is None else f", the first difference at byte {position:,}"
        return f"{len(came):,} bytes arrived of {len(content):,}{where}"


@contextmanager
def in_another_thread(work: Callable[[], T], receiver: Receiver) -> Iterator[Future[T]]:
    """Something that is done meanwhile; at the end of the block, the receiver lets it go."""
    with ThreadPoolExecutor(1, thread_name_prefix="tailrace-sink-test") as pool:
        try:
            yield pool.submit(work)
        finally:
            receiver.recover()


def files_below(folder: Path) -> dict[str, bytes]:
    """Content of all files below a folder, by path."""
    return {
        os.path.relpath(os.path.join(parent, name), folder): Path(parent, name).read_bytes()  # noqa: PTH118 - quick
        for parent, _folders, names in os.walk(folder)
        for name in names
    }


def claims(tried: Tried) -> str:
    """What a sink claims, for the text of a failure."""
    return f"it said: delivered={tried.delivered}, transient={tried.transient}, {tried.told or 'no reason'}"
