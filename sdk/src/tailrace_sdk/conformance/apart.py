"""Work in a process of its own: to measure its memory, to see what it prints, and to kill it.

The process is a fresh interpreter with the import path of this one. What a function returns comes back as JSON through
a file, so that its standard output is free for whatever the plugin should not have printed there.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

_START = """
import importlib, json, sys
path, function, arguments, answer = json.load(sys.stdin)
sys.path[:] = path
module, _, name = function.partition(":")
said = getattr(importlib.import_module(module), name)(*arguments)
peak = 0
try:
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
except OSError:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open(answer, "w") as file:
    json.dump({"said": said, "peak": peak}, file)
"""


@attrs.frozen
class Ended:
    """How work in a process of its own ended.

    Args:
        returncode: Its exit code; negative where a signal ended it.
        stdout: What it printed.
        stderr: What it complained about.
        said: What the function returned; None where it did not get so far.
        peak: Bytes of memory that it took at most; 0 where that is not known.
    """

    returncode: int
    stdout: str
    stderr: str
    said: Any = None
    peak: int = 0


@attrs.frozen
class Apart:
    """A process that works.

    Args:
        process: The process.
        answer: The file that it answers in.
    """

    process: "subprocess.Popen[str]"
    answer: Path

    def kill(self) -> None:
        """End it as a power cut would: it gets to do nothing more."""
        self.process.send_signal(signal.SIGKILL)

    def wait_for(self, path: Path, *, seconds: float = 30.0) -> bool:
        """Wait for a file that the work makes; False where the work, or the time, ended before."""
        end = time.monotonic() + seconds
        while not path.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                return False
            time.sleep(0.002)
        return True

    def end(self, *, seconds: float = 120.0) -> Ended:
        """Wait for its end, and say how it ended.

        Raises:
            subprocess.TimeoutExpired: It did not end in time; it is killed.
        """
        try:
            stdout, stderr = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            self.process.communicate()
            raise
        heard = json.loads(self.answer.read_text()) if self.answer.exists() else {}
        return Ended(self.process.returncode, stdout, stderr, **heard)


@contextmanager
def begun_apart(
    function: str, *arguments: Any, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Apart]:
    """Have a function work in a process of its own, which does not outlive the block.

    Args:
        function: ``"package.module:function"``.
        arguments: What it takes, JSON-like.
        folder: Its working folder; this process's by default.
        environment: Variables beside those of this process.
    """
    with tempfile.TemporaryDirectory(prefix="conformance-") as scratch:
        answer = Path(scratch) / "answer.json"
        process = subprocess.Popen(  # noqa: S603 - this interpreter, and code from above
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, **(environment or {})},
        )
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps([sys.path, function, arguments, str(answer)]))
            process.stdin.close()
            process.stdin = None
            yield Apart(process, answer)
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


def done_apart(function: str, *arguments: Any, folder: Path | None = None, seconds: float = 120.0) -> Ended:
    """Have a function work in a process of its own, and wait for it; see :func:`begun_apart`."""
    with begun_apart(function, *arguments, folder=folder) as work:
        return work.end(seconds=seconds)
