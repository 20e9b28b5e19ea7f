"""Work on foreign files in a process of its own, with limits: what kills it does not kill the host.

The process is a fresh interpreter, never a fork: a fork of a process with threads (those of polars, or of the host) may
lock up. It inherits no open file but its ends of two pipes, and of the environment only what Python needs: no keys. The
import path goes through the pipe, so that nothing of it shows in the list of processes.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, Self

import attrs

from tailrace import _apart
from tailrace.model import errors
from tailrace.model.context import Context
from tailrace.model.errors import ConfigurationError, RefusedError, TailraceError

_START: Final = (
    "import json,sys;i=sys.stdin.buffer;sys.path[:]=json.loads(i.read(int.from_bytes(i.read(4),'big')));"
    "from tailrace import _apart;_apart.serve()"
)
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "SYSTEMROOT", "TMPDIR", "PYTHONHOME", "PYTHONPATH", "PYTHONUTF8")
_LARGEST_FRAME: Final = 256 << 20
_LOOK_EVERY: Final = 0.02
_BY_THE_CLOCK: Final = 5
"""How many times the processor time it may take by the clock: on a busy machine it waits for its turn."""
_TO_DIE: Final = 1.0
"""Seconds from its last word to its end."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@attrs.frozen
class Limits:
    """What a process may cost.

    Args:
        memory: Bytes of memory altogether, with the interpreter and polars, which take about 70 MB.
        seconds: Seconds of processor time altogether, starting included; and five times that by the clock, while
            somebody waits for it.
        output: Bytes that it may hand back.
    """

    memory: int = 256 << 20
    seconds: float = 2.0
    output: int = 1 << 30


def run_apart(
    target: str,
    feed: Iterable[bytes],
    *,
    argument: object,
    limits: Limits,
    context: Context,
    what: str = "The work",
) -> Iterator[bytes]:
    """Run a function in a process of its own.

    Args:
        target: ``"module:function"``; called with ``(blocks, argument)`` there, ``blocks`` an iterator of ``feed``'s
            bytes; yields bytes objects.
        feed: What it reads; asked for in a thread.
        argument: A JSON-like value handed to it.
        limits: What it may cost.
        context: Cancellation and deadline.
        what: What is done, as the beginning of messages: ``"Reading pool.json"``.

    Yields:
        The bytes objects that it yields, one by one.

    Raises:
        RefusedError: It exceeded a limit, or died.
        TailraceError: What the function raised of our own errors, as it was raised there.
        ConfigurationError: There is no interpreter to start.
    """
    context.check()
    with _Process(limits, context, what) as process:
        process.feed(_first(target, argument, limits), feed)
        yield from process.results()


def _first(target: str, argument: object, limits: Limits) -> tuple[bytes, bytes]:
    order = {"target": target, "argument": argument, "memory": limits.memory, "seconds": limits.seconds}
    return json.dumps(sys.path).encode(), json.dumps(order).encode()


class _Process:
    """One process, from its start until nothing is left of it."""

    def __init__(self, limits: Limits, context: Context, what: str) -> None:
        self._limits, self._context, self._what = limits, context, what
        self._failure: BaseException | None = None
        self._waited = 0.0
        self._waiting_since: float | None = None
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._process = self._started()

    def _started(self) -> "subprocess.Popen[bytes]":
        if not sys.executable:
            message = f"{self._what} takes a process of its own, and this program does not know its Python interpreter."
            raise ConfigurationError(message, hint="Set sys.executable to the path of python.")
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        # -P: nothing is imported from the folder that somebody happens to be in; -B: nothing is written.
        command = [sys.executable, "-P", "-B", "-c", _START]
        try:
            return subprocess.Popen(  # noqa: S603 - the interpreter itself, with a constant program
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**environment, "POLARS_MAX_THREADS": "1"},
                close_fds=True,
                # Ctrl-C is for us, who then end it; by itself it ends when its pipe does.
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            message = f"{self._what} takes a process of its own, which could not be started: {error.strerror}."
        raise ConfigurationError(message, hint=f"Check that {sys.executable} can be run.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        self._ended.set()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def feed(self, first: Iterable[bytes], blocks: Iterable[bytes]) -> None:
        """Begin to hand over what it reads, and to look after it."""
        for work, arguments in ((self._hand_over, (first, blocks)), (self._look_after, ())):
            thread = threading.Thread(target=work, args=arguments, name="tailrace-apart", daemon=True)
            thread.start()
            self._threads.append(thread)

    def results(self) -> Iterator[bytes]:
        """What it hands back; raises how it ended."""
        left = self._limits.output
        while (frame := self._next_frame()) is not None:
            kind, content = frame[:1], frame[1:]
            if kind == _apart.END:
                return
            if kind == _apart.ERROR:
                self._raise_told(json.loads(content))
            left -= len(content)
            if left < 0:
                raise self._too_much(f"{self._limits.output >> 20:,} MB of results")
            yield content
        raise self._reason()

    def _next_frame(self) -> bytes | None:
        """The next frame; None where it ended without one."""
        self._waiting_since = time.monotonic()
        try:
            head = self._read(_apart.LENGTH.size)
            size = _apart.LENGTH.unpack(head)[0] if len(head) == _apart.LENGTH.size else 0
            if not 0 < size <= _LARGEST_FRAME:
                return None
            frame = self._read(size)
            return frame if len(frame) == size else None
        finally:
            self._waited += time.monotonic() - self._waiting_since
            self._waiting_since = None

    def _read(self, size: int) -> bytes:
        pipe = self._pipe(self._process.stdout)
        parts = []
        while size and (part := pipe.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _hand_over(self, first: Iterable[bytes], blocks: Iterable[bytes]) -> None:
        pipe = self._pipe(self._process.stdin)
        try:
            for content in first:
                self._write(pipe, content)
            for block in blocks:
                if block:
                    self._write(pipe, block)
            self._write(pipe, b"")
        except BrokenPipeError:
            # It ended, and results() finds out why.
            pass
        except BaseException as error:  # noqa: BLE001 - raised where the results are asked for
            self._fail(error)

    @staticmethod
    def _write(pipe: IO[bytes], content: bytes) -> None:
        for part in (_apart.LENGTH.pack(len(content)), content):
            rest = memoryview(part)
            while rest:
                rest = rest[pipe.write(rest) :]

    def _look_after(self) -> None:
        """Stop it when it takes too much, or when nobody wants it any more."""
        statm = Path(f"/proc/{self._process.pid}/statm")
        while not self._ended.wait(_LOOK_EVERY):
            try:
                self._context.check()
            except TailraceError as error:
                self._fail(error)
                return
            since = self._waiting_since
            waited = self._waited + (0.0 if since is None else time.monotonic() - since)
            if waited > _BY_THE_CLOCK * self._limits.seconds:
                self._fail(self._too_much(f"{_BY_THE_CLOCK * self._limits.seconds:g} seconds"))
                return
            # Neither on systems without /proc, where it looks after itself, nor once it has ended.
            with contextlib.suppress(OSError, IndexError):
                if int(statm.read_text().split()[1]) * _PAGE > self._limits.memory:
                    self._fail(self._too_much(f"{self._limits.memory >> 20:,} MB of memory"))
                    return

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._kill()

    def _kill(self) -> None:
        # Popen looks whether it still runs, so that no other process is hit.
        self._process.kill()

    def _reason(self) -> BaseException:
        """Why it ended without a word."""
        try:
            status = self._process.wait(_TO_DIE)
        except subprocess.TimeoutExpired:
            self._kill()
            status = self._process.wait()
        if self._failure is not None:
            return self._failure
        if status == -signal.SIGXCPU:
            return self._too_much(f"{self._limits.seconds:g} seconds of processor time")
        if status == _apart.OUT_OF_MEMORY:
            return self._too_much(f"{self._limits.memory >> 20:,} MB of memory")
        name = signal.Signals(-status).name if -status in set(signal.Signals) else f"status {status}"
        message = f"{self._what} ended the process that did it ({name}); nothing else was hurt."
        return RefusedError(
            message, hint="The file is damaged, made to do harm, or needs more memory than there is: do not trust it."
        )

    def _too_much(self, amount: str) -> RefusedError:
        message = f"{self._what} took more than {amount}, and was stopped."
        return RefusedError(
            message, hint="The file costs more than one of its size should. Split it into several if you trust it."
        )

    def _raise_told(self, told: Mapping[str, Any]) -> None:
        """Raise an error that came as data."""
        if told.get("kind") == MemoryError.__name__:
            raise self._too_much(f"{self._limits.memory >> 20:,} MB of memory")
        cls = getattr(errors, str(told.get("class")), None)
        if not isinstance(cls, type) or not issubclass(cls, TailraceError):
            message = f"{self._what} failed with {told.get('kind')}."
            raise RefusedError(message, hint="The file is damaged, or of a kind that nobody thought of.")
        error = cls.__new__(cls)
        TailraceError.__init__(error, str(told["message"]), hint=str(told["hint"]))
        facts = {name: tuple(value) if isinstance(value, list) else value for name, value in told["facts"].items()}
        vars(error).update(facts)
        raise error

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        if pipe is None:  # pragma: no cover - both are asked for
            raise RuntimeError
        return pipe
