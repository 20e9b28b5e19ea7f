"""Faults of the disk and kills, injected by strace into the system calls of some work.

The calls are counted in a first, traced run (:func:`calls_of`); then the same work is done again and again, and each
time one of them fails with an error of the disk or kills the process (:func:`faults_at`). By default each call is tried
with a kill and one error, the errors taking turns; with ``ALL_FAULTS=1`` with all of them.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

ALL = bool(os.environ.get("ALL_FAULTS"))
KILL = "SIGKILL"

# Everything is imported once; each piece of work is done by a fork, which waits for its tracer. polars starts its
# threads when it is first used, which is behind the fork.
FORKS = """
import itertools, json, os, secrets, sys, time
from pathlib import Path
from tailrace import TailraceError

def fork(case, result):
    numbers = itertools.count(1)
    secrets.token_hex = lambda size: f"{next(numbers):0{2 * size}}"
    work = prepare(**case)
    while "TracerPid:\\t0\\n" in Path("/proc/self/status").read_text():
        time.sleep(0.001)
    try:
        work()
        said = {"error": None}
    except TailraceError as error:
        said = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    except BaseException as error:
        said = {"error": repr(error), "message": "", "hint": ""}
    Path(result).write_text(json.dumps(said))

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        try:
            fork(**json.loads(line))
        finally:
            os._exit(0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""

STAGED = tuple(f".tailrace-{number:016}{more}.part" for number in range(1, 5) for more in ("", "-new", "-old"))
"""Names that files in the making have where ``secrets.token_hex`` counts."""


@attrs.frozen
class Call:
    """A system call of the first run: the ``number``-th of its name in its thread, which is how strace counts."""

    name: str
    number: int
    text: str

    def is_in(self, outcome: "Outcome") -> bool:
        """Whether a thread of another run made so many calls of that name."""
        made = Counter((thread, name) for thread, name, _text in _called(outcome))
        return any(name == self.name and count >= self.number for (_thread, name), count in made.items())


@attrs.frozen
class Outcome:
    """How traced work ended.

    Args:
        killed: Whether SIGKILL ended it.
        said: What it raised: ``error`` (None where all went well), ``message`` and ``hint``; None if it got to say
            nothing.
        trace: What strace wrote.
    """

    killed: bool
    said: dict[str, Any] | None
    trace: str


@attrs.frozen
class Fault:
    """What happens at a call.

    Args:
        call: Where.
        kind: ``SIGKILL``, or the name of an error, such as ``EIO``.
        onwards: Whether it happens at all calls of that name, from the first on.
    """

    call: Call
    kind: str
    onwards: bool = False

    @property
    def kills(self) -> bool:
        """Whether it ends the process."""
        return self.kind == KILL

    @property
    def expression(self) -> str:
        """What strace is told to inject."""
        what = f"signal={self.kind}" if self.kills else f"error={self.kind}"
        return f"{self.call.name}:{what}:when={'1+' if self.onwards else self.call.number}"

    def story(self, outcome: Outcome) -> str:
        """What there is to know where an assertion fails."""
        call = self.call
        return f"{self.kind} at {call.name} {call.number}: {call.text}\n{outcome.said}\n{outcome.trace}"


@attrs.frozen
class Forks:
    """A process whose forks work under a tracer; made by :func:`forks`.

    Args:
        process: The one that forks.
    """

    process: "subprocess.Popen[str]"

    def run(
        self,
        case: Mapping[str, Any],
        *,
        scratch: Path,
        calls: str,
        folder: Path,
        names: Sequence[str],
        fault: Fault | None = None,
    ) -> Outcome:
        """Do the work once.

        Args:
            case: Arguments of ``prepare``.
            scratch: Folder for what the work says and for the trace.
            calls: The system calls to trace, as strace's option ``trace`` takes them.
            folder: Where they count: at this folder, at ``names`` and at files in the making in it.
            names: Names of files in it.
            fault: What to inject.
        """
        result, trace = scratch / "result", scratch / "trace"
        result.unlink(missing_ok=True)
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"case": dict(case), "result": str(result)}) + "\n")
        self.process.stdin.flush()
        pid = self.process.stdout.readline().strip()
        command = ["strace", "-f", "-y", "-p", pid, "-o", str(trace), "-e", f"trace={calls}"]
        for path in (folder, *(folder / name for name in (*names, *STAGED))):
            command += ["-P", str(path)]
        if fault is not None:
            command += ["-e", f"inject={fault.expression}"]
        tracer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        status = int(self.process.stdout.readline())
        assert trace.exists(), tracer.stderr
        said = json.loads(result.read_text()) if result.exists() else None
        return Outcome(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, said, trace.read_text())


@contextmanager
def forks(prepare: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Forks]:
    """Start the process that forks; without strace the test is skipped, but fails where ``CI`` is set.

    Args:
        prepare: Source code that imports everything, and defines ``prepare``: it takes a case, does what is not to be
            traced, and returns the function that works.
        arguments: Its ``sys.argv[1:]``.
        environment: Its environment; by default that of the tests.
    """
    if shutil.which("strace") is None:
        if os.environ.get("CI"):
            pytest.fail("strace is not installed")
        pytest.skip("strace is not installed")
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", prepare + FORKS, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield Forks(process)
    finally:
        process.communicate()


def calls_of(outcome: Outcome) -> list[Call]:
    """The calls of work that went well."""
    assert outcome.said == {"error": None}, outcome.said
    counts = Counter[tuple[str, str]]()
    found: list[Call] = []
    for thread, name, text in _called(outcome):
        counts[thread, name] += 1
        found.append(Call(name, counts[thread, name], text))
    return found


def _called(outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    """Thread, name and the rest of each call that strace saw."""
    for line in outcome.trace.splitlines():
        if match := re.match(r"(\d+) +(\w+)\((.*)", line):
            yield match[1], match[2], match[3]


def faults_at(calls: Iterable[Call], errors: Sequence[str]) -> Iterator[Fault]:
    """At each call a kill, and one of the errors in turn or all of them.

    Args:
        calls: Those of the first run.
        errors: Their names.
    """
    tried = {(call.name, call.number): call for call in calls}
    for turn, call in enumerate(tried.values()):
        for kind in (KILL, *(errors if ALL else (errors[turn % len(errors)],))):
            yield Fault(call, kind)
