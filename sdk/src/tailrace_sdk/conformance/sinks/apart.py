"""What standard tests of sinks have done in a process of its own."""

import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from tailrace import Parcel
from tailrace_sdk.conformance.sinks.parcel import fields_of, manifest_of
from tailrace_sdk.conformance.sinks.sending import Place, Sending, Tried

_DESCRIPTORS = next((path for path in ("/proc/self/fd", "/dev/fd") if os.path.isdir(path)), "")  # noqa: PTH112 - cheap


def deliver(place: Mapping[str, Any], file: Mapping[str, Any], delivery: str = "") -> Mapping[str, Any]:
    """Deliver once.

    Args:
        place: A :class:`Place`, plain.
        file: Path, name, size and SHA-256 of the parcel.
        delivery: Name of the delivery.
    """
    sending = Sending.to(Place.of(place))
    return _plain(sending.tried(sending.call(_parcel(file), delivery=delivery)))


def deliver_and_fail(place: Mapping[str, Any], file: Mapping[str, Any]) -> Mapping[str, Any]:
    """Deliver twice; the second time the file is not there."""
    sending = Sending.to(Place.of(place))
    parcel = _parcel(file)
    tried = sending.tried(sending.call(parcel))
    sending.tried(sending.call(attrs.evolve(parcel, path=parcel.path.with_name(".tailrace-missing.part"))))
    return _plain(tried)


def deliver_with_little_room(place: Mapping[str, Any], file: Mapping[str, Any], room: int) -> Mapping[str, Any]:
    """Deliver once, where no file can have more than some bytes: to write more is an error, as on a full disk."""
    sending = Sending.to(Place.of(place))
    call = sending.call(_parcel(file))
    with _most_bytes(room):
        tried = sending.tried(call)
    return _plain(tried)


def deliver_and_die(place: Mapping[str, Any], file: Mapping[str, Any], room: int) -> Mapping[str, Any]:
    """Deliver once, and be killed by the system in the middle of writing more than some bytes to a file."""
    sending = Sending.to(Place.of(place))
    call = sending.call(_parcel(file))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    with _most_bytes(room):
        tried = sending.tried(call)
    return _plain(tried)


def deliver_and_look_around(
    place: Mapping[str, Any], files: list[Mapping[str, Any]], lingers: float
) -> Mapping[str, Any]:
    """Deliver several files, and say which threads and file descriptors are still there a while later.

    Args:
        place: A :class:`Place`, plain.
        files: The parcels. What the first one leaves does not count: it may be what all of them share.
        lingers: Seconds that things may stay.
    """
    sending = Sending.to(Place.of(place))
    first, *others = files
    tried = [sending.tried(sending.call(_parcel(first)))]
    threads, descriptors = set(threading.enumerate()), _descriptors()
    tried += [sending.tried(sending.call(_parcel(file))) for file in others]

    def more() -> tuple[list[str], list[str]]:
        return (
            sorted(thread.name for thread in set(threading.enumerate()) - threads),
            sorted(set(_descriptors()) - set(descriptors)),
        )

    _wait_for(lambda: more() == ([], []), lingers)
    left = more()
    return {"delivered": all(one.delivered for one in tried), "threads": left[0], "descriptors": left[1]}


class _most_bytes:  # noqa: N801 - used like a function
    """No file that is written to gets larger than this."""

    def __init__(self, room: int) -> None:
        import resource

        self._room = room
        self._resource = resource
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def __enter__(self) -> None:
        self._resource.setrlimit(self._resource.RLIMIT_FSIZE, (self._room, self._before[1]))

    def __exit__(self, *_raised: object) -> None:
        self._resource.setrlimit(self._resource.RLIMIT_FSIZE, self._before)


def _parcel(file: Mapping[str, Any]) -> Parcel:
    manifest = manifest_of(file["name"], file["size"], file["sha256"])
    return Parcel(Path(file["path"]), manifest, fields_of())


def plain_parcel(parcel: Parcel) -> dict[str, Any]:
    """A parcel as the functions above take it."""
    file = parcel.manifest.file
    return {"path": str(parcel.path), "name": file.name, "size": file.size, "sha256": file.sha256}


def _plain(tried: Tried) -> Mapping[str, Any]:
    return {
        "delivered": tried.delivered,
        "transient": tried.transient,
        "told": tried.told,
    }


def _descriptors() -> list[str]:
    """The open file descriptors, each with what it is of where the system can say so."""
    if not _DESCRIPTORS:
        return []
    found = []
    for link in Path(_DESCRIPTORS).iterdir():
        try:
            found.append(f"{link.name} {link.readlink()}")
        except FileNotFoundError:
            continue  # that of the listing itself
        except OSError:
            found.append(link.name)
    return [name for name in found if not name.endswith(_DESCRIPTORS) and "/proc/" not in name]


def _wait_for(true: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
