"""Plugins that run wild on demand, and the processes of ``tailrace worker`` that have to live with them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from tailrace import Engine, ExportRequest, SinkRequest, User
from tailrace.model.states import JobState
from tailrace.model.work import ExportJob
from tailrace.settings import load_settings

ADMIN = User("root", is_admin=True)
LOG = Path(__file__).parents[1] / "data" / "request-log-sample.csv"

FORMAT = """
import ctypes, os, re, sys, time
from pathlib import Path
import attrs
from tailrace import FileLayout, hookimpl, option

@attrs.frozen
class Options:
    how: str = option("well", help="What it does when it has written half of its lines.")
    mark: str = option("", help="A file that it writes its process number into before.")

class Wild:
    summary = "One line a row, and anything in between."
    options_type = Options

    def layout(self, options):
        return FileLayout("txt", "text/plain")

    def write(self, call):
        first, *rest = call.tables[0].frame.collect().rows() or [None]
        if first is None:
            return
        call.output.write(f"{first[0]}\\n".encode())
        first_time = bool(call.options.mark) and not Path(call.options.mark).exists()
        if call.options.mark:
            noted = Path(call.options.mark + ".new")
            noted.write_text(str(os.getpid()))
            noted.rename(call.options.mark)
        getattr(self, call.options.how)(call, first_time)
        for row in rest:
            call.output.write(f"{row[0]}\\n".encode())

    def count_rows(self, call):
        return {call.tables[0]: sum(block.count(b"\\n") for block in call.blocks)}

    def well(self, call, first_time):
        pass

    def exit(self, call, first_time):
        os._exit(3)

    def segfault(self, call, first_time):
        ctypes.string_at(0)

    def eat(self, call, first_time):
        eaten = []
        while True:
            eaten.append(bytearray(os.urandom(1 << 20)) * 32)

    def leave(self, call, first_time):
        sys.exit(7)

    def chat(self, call, first_time):
        print("{", flush=True)
        os.write(1, b'{"outcome": {"completed": true}}\\n')

    def hang(self, call, first_time):
        while True:
            time.sleep(0.01)

    def hang_once(self, call, first_time):
        while first_time:
            time.sleep(0.01)

    def lock_up_once(self, call, first_time):
        # Neither another thread nor a signal handler of Python gets its turn meanwhile.
        if first_time:
            re.fullmatch("(a+)+", "a" * 64 + "b")

    def wait_once(self, call, first_time):
        while first_time and not Path(call.options.mark + ".go").exists():
            time.sleep(0.01)

@hookimpl
def tailrace_format():
    return Wild()
"""

SINK = """
import os, time
from pathlib import Path
import attrs
from tailrace import Receipt, encode_manifest, hookimpl, option, publish

@attrs.frozen
class Options:
    how: str = option("well", help="What it does around publishing.")
    mark: str = option("", help="A file that it writes its process number into when it is about to publish.")

class Late:
    summary = "A folder, after a while."
    options_type = Options

    def staging(self, call):
        folder = Path(call.target)
        folder.mkdir(exist_ok=True)
        return folder

    def deliver(self, call):
        mark = Path(call.options.mark)
        first_time = not mark.exists()
        mark.write_text(str(os.getpid()))
        while call.options.how == "wait_once" and first_time and not Path(f"{mark}.go").exists():
            time.sleep(0.01)
        path = Path(call.target) / f"{call.parcel.manifest.export_id}.csv"
        publish(call.parcel.path, path, manifest=encode_manifest(call.parcel.manifest))
        if call.options.how == "exit":
            os._exit(3)
        while call.options.how == "hang":
            time.sleep(0.01)
        return Receipt("late", delivered=True, place=str(path), path=path)

@hookimpl
def tailrace_sink():
    return Late()
"""

Distribute = Callable[..., Path]


def make_wild(distribute: Distribute) -> Path:
    """Make the distribution of the format ``wild`` and the sink ``late``; returns its folder."""
    return distribute(
        "wild-toys",
        plugins={"format": {"wild": "toy_wild"}, "sink": {"late": "toy_late"}},
        modules={"toy_wild": FORMAT, "toy_late": SINK},
    )


def eventually(holds: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be asked how it ended does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@attrs.define
class Plant:
    """A store, a folder to export into, and worker processes.

    Args:
        folder: Where everything is.
        path: Folders of distributions that the workers have.
        settings: Settings as environment variables, without the prefix.
    """

    folder: Path
    path: tuple[Path, ...] = ()
    settings: dict[str, str] = attrs.field(factory=dict)
    running: list["subprocess.Popen[str]"] = attrs.field(factory=list)

    @property
    def out(self) -> Path:
        """Where the files go."""
        return self.folder / "out"

    def environ(self, **more: str) -> dict[str, str]:
        """The variables of the settings."""
        given = {"HOME": str(self.folder / "home"), "USER": "ada", "WORKER_POLL": "0.05", **self.settings, **more}
        return {f"TAILRACE_{name}": value for name, value in given.items()}

    def engine(self) -> Engine:
        """An engine of this process; every time a new one."""
        return Engine(load_settings(environ=self.environ()))

    def request(self, format: str = "csv", sink: str = "disk", *, of: Any = None, **options: Any) -> ExportRequest:  # noqa: A002
        """A request for the sample of a request log, plain.

        Args:
            format: The format.
            sink: The sink.
            of: Options of the sink.
            options: Options of the format.
        """
        sinks = (SinkRequest(sink, str(self.out), of or {}),)
        return ExportRequest("analytics", str(LOG), format, sinks=sinks, compress=False, options=options)

    def submitter(self, engine: Engine) -> Callable[..., ExportJob]:
        """What submits requests, as :meth:`request` makes them, with an estimate, which no wild plugin is to make."""
        estimate = engine.estimate(self.request("csv"), exact=False)

        def submit(*names: str, of: Any = None, timeout: float | None = None, **options: Any) -> ExportJob:
            return engine.submit(self.request(*names, of=of, **options), timeout=timeout, estimate=estimate)

        return submit

    def start(self, *words: str, **settings: str) -> "Worker":
        """Start ``tailrace worker``."""
        log = self.folder / f"worker-{len(self.running)}.log"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TAILRACE_")}
        path = [*map(str, self.path), *filter(None, [os.environ.get("PYTHONPATH")])]
        with log.open("w") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "tailrace", "worker", *words],
                cwd=self.folder,
                env=clean | self.environ(**settings) | {"PYTHONPATH": os.pathsep.join(path)},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                text=True,
            )
        self.running.append(process)
        return Worker(process, log)

    def names(self) -> list[str]:
        """Names in the folder, hidden ones included."""
        return sorted(path.name for path in self.out.iterdir()) if self.out.exists() else []

    def files(self) -> list[Path]:
        """The files that everybody sees; each must have its manifest, and say the truth."""
        visible = [self.out / name for name in self.names() if not name.startswith(".")]
        files = [path for path in visible if not path.name.endswith(".manifest.json")]
        assert sorted([*files, *(path.with_name(f"{path.name}.manifest.json") for path in files)]) == visible
        return files


@attrs.frozen
class Worker:
    """A process of ``tailrace worker``.

    Args:
        process: The process.
        log: What it says.
    """

    process: "subprocess.Popen[str]"
    log: Path

    def said(self) -> str:
        """What it said until now, paragraphs on one line."""
        return " ".join(self.log.read_text().split())

    def ends(self, seconds: float = 60.0) -> int:
        """Wait for its end; returns its exit code."""
        return self.process.wait(timeout=seconds)


@contextmanager
def plant(folder: Path, *path: Path, **settings: str) -> Iterator[Plant]:
    """A plant whose processes are killed at the end."""
    made = Plant(folder, path, settings)
    try:
        yield made
    finally:
        for process in made.running:
            process.kill()
            process.wait()


def state_of(engine: Engine, job: ExportJob) -> JobState:
    """The state of a job."""
    return engine.jobs.show(job.id, ADMIN).state


def endings_of(engine: Engine, job: ExportJob) -> list[str | None]:
    """How the attempts at a job ended."""
    return [attempt.outcome for attempt in engine.jobs.attempts(job.id, ADMIN)]
