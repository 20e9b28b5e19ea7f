"""Workers as processes that can be killed for real, made quickly: forks of one that has everything imported.

polars starts its threads when it is first used, which is behind the fork.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import attrs

IMPORTS = """
import json, os, sys, time
from pathlib import Path

import polars, sqlalchemy, sqlalchemy.dialects.postgresql, sqlalchemy.dialects.sqlite, psycopg
import tailrace.pipeline.export, tailrace.pipeline.estimate, tailrace.work.worker, tailrace.work.local
import tailrace.work.jobs, tailrace.work.desk, tailrace.known_signers, tailrace_sink_disk, nacl.bindings
from tailrace import Engine
from tailrace.model.convert import structure
from tailrace.settings import Settings
from tailrace_sdk.fakes import LinesFormat, MemorySource, memory_table
"""
EXPORTING = """
def work(settings, concurrency):
    source = MemorySource([memory_table("rows", {"word": ["pump", "wheel", "sluice"]})])
    plugins = [("memory", source), ("lines", LinesFormat()), ("disk", tailrace_sink_disk)]
    engine = Engine(structure(settings, Settings), plugins=plugins, discover=False)
    worker = engine.worker(concurrency=concurrency)
    Path(f"{os.environ['WORKERS']}/{os.getpid()}").write_text(worker.id)
    worker.run()
"""
"""What a worker does: it takes the settings and the concurrency."""
FORKS = """
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        try:
            work(**json.loads(line))
        finally:
            os._exit(0)
    print(pid, flush=True)
"""

_NONE: Mapping[str, str] = {}


@attrs.define
class Workers:
    """Worker processes.

    Args:
        zygote: What they are forks of.
        folder: Where each writes its id into a file that is called as its number.
        settings: Of their engines, as JSON-like values.
        concurrency: Jobs at a time of each.
    """

    zygote: "subprocess.Popen[str]"
    folder: Path
    settings: Any
    concurrency: int
    running: list[int] = attrs.field(factory=list)
    killed: dict[str, float] = attrs.field(factory=dict)
    """When each was killed, in seconds since 1970, by its id."""

    def start(self) -> Self:
        """Start one more."""
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        order = {"settings": self.settings, "concurrency": self.concurrency}
        self.zygote.stdin.write(json.dumps(order) + "\n")
        self.zygote.stdin.flush()
        self.running.append(int(self.zygote.stdout.readline()))
        return self

    def kill(self, pid: int) -> None:
        """Kill one with -9; its id is known if it came far enough to have one."""
        os.kill(pid, signal.SIGKILL)
        moment = time.time()
        self.running.remove(pid)
        note = self.folder / str(pid)
        if note.exists() and (worker := note.read_text()):
            self.killed[worker] = moment


@contextmanager
def workers(
    folder: Path, settings: Any, *, concurrency: int = 2, work: str = EXPORTING, environment: Mapping[str, str] = _NONE
) -> Iterator[Workers]:
    """Workers on a store, none at first; whatever still runs is killed at the end.

    Args:
        folder: Where each writes its id.
        settings: Of their engines.
        concurrency: Jobs at a time of each.
        work: Source code of what they do.
        environment: Variables besides those of this process.
    """
    folder.mkdir()
    environ = {**os.environ, "WORKERS": str(folder), **environment}
    zygote = subprocess.Popen(
        [sys.executable, "-c", IMPORTS + work + FORKS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    )
    made = Workers(zygote, folder, settings, concurrency)
    try:
        yield made
    finally:
        for pid in made.running:
            os.kill(pid, signal.SIGKILL)
        zygote.kill()
        zygote.wait()
        for pipe in (zygote.stdin, zygote.stdout):
            assert pipe is not None
            pipe.close()
