"""The side of :mod:`tailrace.isolation` that runs in the process of its own: takes the limits, does the work, reports.

Frames in both directions: four bytes of length (big-endian), then as many bytes. Towards here: first a JSON object with
``target``, ``argument``, ``memory`` and ``seconds``, then the blocks, then a frame of no bytes. From here the first
byte of a frame says what it is: a block, an error as JSON, or the end.
"""

import gc
import importlib
import json
import math
import os
import resource
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

BLOCK, ERROR, END = b"B", b"E", b"."
LENGTH = struct.Struct(">I")
OUT_OF_MEMORY = 97
"""What the process returns when it finds that it takes too much memory."""

_LAST_WORDS = 16 << 20
_STATUS = Path("/proc/self/status")
_LOOK_EVERY = 0.02


def serve() -> None:
    """Do what the first frame says."""
    source = sys.stdin.buffer
    # What the work prints must not get in between the frames.
    with os.fdopen(os.dup(1), "wb", buffering=0) as output, Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        order = json.loads(_read_frame(source))
        try:
            module, _colon, name = order["target"].partition(":")
            work = getattr(importlib.import_module(module), name)
            limit(order["memory"], order["seconds"])
            # It does not live long enough for looking for cycles to pay.
            gc.disable()
            for block in work(_blocks(source), order["argument"]):
                _write(output, BLOCK, block)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the other side is to know
            error.__traceback__ = None
            # A little more memory, to say that there was too little.
            resource.setrlimit(resource.RLIMIT_DATA, (resource.getrlimit(resource.RLIMIT_DATA)[1],) * 2)
            _write(output, ERROR, json.dumps(_told(error)).encode())
        else:
            _write(output, END, b"")


def limit(memory: int, seconds: float) -> None:
    """Take limits upon this process, once everything that it works with is loaded.

    Args:
        memory: Bytes of memory altogether.
        seconds: Seconds of processor time altogether.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # A second between both: the first is SIGXCPU, which says what it is, the second SIGKILL, which could be anything.
    _lower(resource.RLIMIT_CPU, max(1, math.ceil(seconds)), spare=1)
    if _STATUS.exists():
        sizes = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines() if ":" in line)
        reserved, used = (int(sizes[name].split()[0]) << 10 for name in ("VmData", "VmRSS"))
        # What is reserved and not used, such as the stacks of threads, is no memory.
        _lower(resource.RLIMIT_DATA, memory + max(0, reserved - used), spare=_LAST_WORDS)
    else:
        watch_memory(memory)


def _lower(which: int, value: int, *, spare: int = 0) -> None:
    """Lower a limit, the hard one to ``spare`` more; one that is lower already stays."""
    _soft, hard = resource.getrlimit(which)
    hard = value + spare if hard == resource.RLIM_INFINITY else min(value + spare, hard)
    resource.setrlimit(which, (min(value, hard), hard))


def watch_memory(memory: int) -> None:
    """End this process when it takes more memory than so many bytes, by itself, where nobody else can see it."""
    threading.Thread(target=_watch, args=(memory,), daemon=True).start()


def _watch(memory: int) -> None:
    """End this process when it has taken too much memory, where nobody else can see how much it takes."""
    unit = 1 if sys.platform == "darwin" else 1024
    while resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit <= memory:
        time.sleep(_LOOK_EVERY)
    os._exit(OUT_OF_MEMORY)


def _told(error: BaseException) -> dict[str, Any]:
    """An error as data: whole where it is one of ours, and only its kind where its text could quote something."""
    from tailrace.model.errors import TailraceError

    if not isinstance(error, TailraceError):
        return {"kind": type(error).__name__}
    facts = {name: value for name, value in vars(error).items() if _is_plain(value)}
    return {"class": type(error).__name__, "message": error.message, "hint": error.hint, "facts": facts}


def _is_plain(value: object) -> bool:
    plain = str | int | float | bool | None
    return isinstance(value, plain) or (isinstance(value, tuple) and all(isinstance(item, plain) for item in value))


def _blocks(source: IO[bytes]) -> Iterator[bytes]:
    while block := _read_frame(source):
        yield block


def _read_frame(source: IO[bytes]) -> bytes:
    head = source.read(LENGTH.size)
    content = source.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else b""
    if len(head) < LENGTH.size or len(content) < LENGTH.unpack(head)[0]:
        # Whoever asked for this is gone.
        os._exit(1)
    return content


def _write(output: IO[bytes], kind: bytes, content: bytes) -> None:
    for part in (LENGTH.pack(len(content) + 1) + kind, content):
        rest = memoryview(part)
        while rest:
            rest = rest[output.write(rest) :]
