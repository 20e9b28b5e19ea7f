"""What exports cost a program that answers requests and hands them in: ``host.py [--quick]``.

The host is a threaded HTTP server on loopback. A request is a hundred numbers as JSON that are looked up in a SQLite
database, 1 to 2 ms of work. A process of its own sends a fixed number of requests per second, whether earlier ones were
answered or not, and takes the time of each from when it was due. In each round the same load is measured three times
with an engine in the host: without any export; while the host hands in exports (a million rows from Parquet to csv.gz),
which ``tailrace worker`` carries out with ``worker.nice = 19`` and ``worker.threads = 1``; and without again. Then, for
contrast, in a second host that exports in a thread of its own.

A machine is rarely ours alone: seconds in which programs that are none of these took more than a twentieth of it are
left out, and how many stayed is printed. Figures are those of all requests of the seconds that stayed; the noise is how
far the stretches without an export are apart. A missed goal makes the exit code 1.
"""

import argparse
import contextlib
import json
import math
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs

RATE, CLIENTS, LOOKUPS, ROWS = 100, 16, 100, 100_000
HEAD_START, FOREIGN = 0.5, 0.05
P99_RATIO = 1.1
WITHOUT, WORKER, INSIDE = "without an export", "export by a worker", "export inside of the host"


# --- the host ---


class Host(ThreadingHTTPServer):
    """Answers requests, and has an engine once it is asked to hand in or to export.

    Args:
        database: What is looked up, with numbers from 0 on.
        parquet: What is exported.
        home: The home of the engine; files go to ``out`` below it.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, database: str, parquet: str, home: str) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.database, self.parquet, self.home = database, parquet, Path(home)
        self.connections = threading.local()
        self.exporting: threading.Thread | None = None
        self.enough = threading.Event()

    def look_up(self, body: bytes) -> Any:
        """What a request is for."""
        connection = getattr(self.connections, "it", None)
        if connection is None:
            connection = self.connections.it = sqlite3.connect(self.database)
        found = [
            connection.execute("SELECT name, size FROM things WHERE id = ?", (number,)).fetchone()
            for number in json.loads(body)["numbers"]
        ]
        return {"things": [{"name": name, "size": size} for name, size in found]}

    def usage(self, _body: bytes) -> Any:
        """CPU seconds and memory in MB so far."""
        lines = Path("/proc/self/status").read_text().splitlines()
        memory = next(line for line in lines if line.startswith("VmRSS"))
        return {"cpu": time.process_time(), "memory": int(memory.split()[1]) / 1024}

    def hand_in(self, body: bytes) -> Any:
        """Submit exports; milliseconds that each took."""
        engine, request = self._engine()
        taken = []
        for _ in range(json.loads(body)["count"]):
            begin = time.perf_counter()
            engine.submit(request)
            taken.append((time.perf_counter() - begin) * 1000)
        return taken

    def export(self, _body: bytes) -> Any:
        """Export again and again, until it is enough."""
        engine, request = self._engine()
        self.enough.clear()

        def work() -> None:
            from tailrace import CancelledError, Context

            context = Context()
            stopping = threading.Thread(target=self._cancel, args=(context,), daemon=True)
            stopping.start()
            with contextlib.suppress(CancelledError):
                while not self.enough.is_set():
                    engine.export(request, context=context)
            stopping.join()

        self.exporting = threading.Thread(target=work, daemon=True)
        self.exporting.start()

    def _cancel(self, context: Any) -> None:
        self.enough.wait()
        context.cancel()

    def stop(self, _body: bytes) -> Any:
        """End exporting."""
        self.enough.set()
        if self.exporting is not None:
            self.exporting.join()

    def _engine(self) -> Any:
        from tailrace import Engine, ExportRequest, SinkRequest
        from tailrace.settings import Settings

        if not hasattr(self, "engine"):
            self.engine = Engine(Settings(home=self.home))
            out = SinkRequest("disk", str(self.home / "out"))
            self.request = ExportRequest("analytics", self.parquet, "csv", sinks=(out,))
        return self.engine, self.request


class Answer(BaseHTTPRequestHandler):
    """Answers one connection; the path of a request names a method of the host."""

    server: Host
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet per answer
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer a request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = json.dumps(getattr(self.server, self.path[1:])(body)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


def call(port: int, method: str, **body: Any) -> Any:
    """Ask a host for something."""
    connection = HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request("POST", f"/{method}", json.dumps(body).encode())
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


# --- the load ---


def load(port: int, rate: float, seconds: float) -> list[float]:
    """Send requests at a fixed rate; milliseconds from when each was due to its answer, in the order of that.

    The first is due after :data:`HEAD_START` seconds.
    """
    count = int(rate * seconds)
    drawn = random.Random(7)
    bodies = [json.dumps({"numbers": drawn.sample(range(ROWS), LOOKUPS)}).encode() for _ in range(50)]
    taken = [0.0] * count
    begin = time.perf_counter() + HEAD_START
    print(flush=True)

    def client(first: int) -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.connect()
        for number in range(first, count, CLIENTS):
            due = begin + number / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            connection.request("POST", "/look_up", bodies[number % len(bodies)])
            connection.getresponse().read()
            taken[number] = (time.perf_counter() - due) * 1000
        connection.close()

    clients = [threading.Thread(target=client, args=(first,)) for first in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    return taken


# --- the measurement ---


@attrs.frozen
class Stretch:
    """What one stretch of load measured.

    Args:
        taken: Milliseconds that requests took, of those seconds that were not left out.
        seconds: How many seconds these are.
        cpu: Milliseconds of CPU that the host took per request, all that it did divided by all requests.
        memory: MB that the host had at the end.
    """

    taken: list[float]
    seconds: int
    cpu: float
    memory: float


def percentile(taken: list[float], percent: int) -> float:
    """Milliseconds within which so many in a hundred requests were answered; NaN for too few of them."""
    return statistics.quantiles(taken, n=100)[percent - 1] if len(taken) >= RATE else math.nan


def ticks(pids: Iterable[int]) -> tuple[int, int]:
    """CPU time so far, in ticks: of the whole machine, and of processes."""
    used = [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    own = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            own += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    # Of user, nice, system, idle, iowait, irq, softirq, steal: all in which somebody worked.
    return sum(used) - used[3] - used[4], own


def quiet_seconds(pids: Iterable[int], begin: float, seconds: int) -> set[int]:
    """Which seconds of a stretch belonged to these processes; returns at its end."""
    whole = os.sysconf("SC_CLK_TCK") * (os.cpu_count() or 1)
    quiet = set()
    time.sleep(max(0.0, begin - time.perf_counter()))
    machine, own = ticks(pids)
    for second in range(seconds):
        time.sleep(max(0.0, begin + second + 1 - time.perf_counter()))
        machine_now, own_now = ticks(pids)
        if (machine_now - machine) - (own_now - own) <= FOREIGN * whole:
            quiet.add(second)
        machine, own = machine_now, own_now
    return quiet


def measured(
    port: int, pids: Sequence[int], seconds: int, begin: Callable[[], object], end: Callable[[], object]
) -> Stretch:
    """Measure the host under load, while something else is going on."""
    before = call(port, "usage")["cpu"]
    begin()
    command = [sys.executable, __file__, "--load", str(port), str(RATE), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        quiet = quiet_seconds([process.pid, os.getpid(), *pids], time.perf_counter() + HEAD_START, seconds)
        taken = json.loads(process.stdout.read())
    after = call(port, "usage")
    end()
    kept = [one for number, one in enumerate(taken) if number // RATE in quiet]
    return Stretch(kept, len(quiet), (after["cpu"] - before) * 1000 / len(taken), after["memory"])


@contextmanager
def started(command: list[str], **more: Any) -> Iterator["subprocess.Popen[str]"]:
    """A process, which is ended at the end."""
    with subprocess.Popen(command, text=True, **more) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextmanager
def host(database: Path, parquet: Path, home: Path) -> Iterator[tuple[int, int]]:
    """A host; its port, and the number of its process."""
    command = [sys.executable, __file__, "--serve", str(database), str(parquet), str(home)]
    with started(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process.pid


def worker(home: Path) -> Any:
    """A worker that takes little of its machine."""
    environment = {**os.environ, "TAILRACE_HOME": str(home), "TAILRACE_RETENTION_DAILY": "false"}
    environment |= {"TAILRACE_WORKER_NICE": "19", "TAILRACE_WORKER_THREADS": "1"}
    command = [str(Path(sys.executable).with_name("tailrace")), "worker", "--concurrency", "1", "--quiet"]
    # Like a service: what is started by another session shares no group of the scheduler with the host.
    return started(command, env=environment, start_new_session=True)


def make_things(path: Path) -> None:
    """Make the database of the host."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, size INTEGER)")
        rows = ((number, f"thing {number} of many", number * 7919 % 10_007) for number in range(ROWS))
        connection.executemany("INSERT INTO things VALUES (?, ?, ?)", rows)
    connection.close()


@attrs.define
class Rounds:
    """All that was measured.

    Args:
        stretches: By what went on.
        exports: Exports that the worker completed meanwhile.
        bare: MB that a host has that answered requests for some seconds, without an engine.
        engine: MB that it has more once it has handed in its first export.
        first_ms: Milliseconds that the first export took to be handed in.
    """

    stretches: dict[str, list[Stretch]] = attrs.field(factory=lambda: {WITHOUT: [], WORKER: [], INSIDE: []})
    exports: int = 0
    bare: float = 0.0
    engine: float = 0.0
    first_ms: float = 0.0


@attrs.frozen
class Queue:
    """What hosts and workers of one home have handed in, for whoever measures.

    Args:
        jobs: The jobs of the store.
    """

    jobs: Any

    @classmethod
    def of(cls, home: Path) -> "Queue":
        """That of an engine's home."""
        from tailrace import Engine
        from tailrace.settings import Settings

        return cls(Engine(Settings(home=home)).jobs)

    def in_states(self, *states: str) -> Any:
        """Jobs in these states."""
        from tailrace import User
        from tailrace.model.states import JobState

        wanted = [JobState(state) for state in states]
        return self.jobs.list(User("root", is_admin=True), everybody=True, states=wanted, limit=10_000).jobs

    def wait(self, *, cancel: bool = False) -> None:
        """Wait until nothing waits or runs any more."""
        from tailrace import RequestError, User

        while left := self.in_states("pending", "processing"):
            for job in left if cancel else ():
                # It may end this very moment.
                with contextlib.suppress(RequestError):
                    self.jobs.cancel(job.id, User("root", is_admin=True))
            time.sleep(0.2)


def measure(folder: Path, parquet: Path, rounds: int, seconds: int) -> Rounds:
    """Measure all rounds."""
    things, home = folder / "things.db", folder / "home"
    make_things(things)
    queue, found = Queue.of(home), Rounds()
    with host(things, parquet, home) as (port, pid), host(things, parquet, folder / "other") as (other, other_pid):
        ways: dict[str, tuple[int, Callable[[], object], Callable[[], object]]] = {
            WITHOUT: (port, lambda: None, lambda: None),
            WORKER: (port, lambda: call(port, "hand_in", count=seconds), lambda: queue.wait(cancel=True)),
            INSIDE: (other, lambda: call(other, "export"), lambda: call(other, "stop")),
        }
        measured(port, (pid,), 3, *ways[WITHOUT][1:])
        found.bare = call(port, "usage")["memory"]
        found.first_ms = call(port, "hand_in", count=1)[0]
        found.engine = call(port, "usage")["memory"] - found.bare
        with worker(home) as process:
            pids = (pid, other_pid, process.pid)
            queue.wait()
            # What is only done once is not to be measured: imports, connections.
            for at, begin, end in ways.values():
                measured(at, pids, 1, begin, end)
            before = len(queue.in_states("completed"))
            for turn in range(rounds):
                for what in (WITHOUT, WORKER, WITHOUT, INSIDE):
                    print(f"\rround {turn + 1} of {rounds}: {what:30}", end="", file=sys.stderr, flush=True)
                    at, begin, end = ways[what]
                    found.stretches[what].append(measured(at, pids, seconds, begin, end))
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
        found.exports = len(queue.in_states("completed")) - before
    return found


def show(found: Rounds, seconds: int) -> int:
    """The figures, the noise and the goal; returns how many goals were missed."""
    print(f"{'':26}{'p50 ms':>8}{'':>7}{'p99 ms':>8}{'':>7}{'CPU ms':>8}{'':>7}{'MB':>6}{'seconds':>9}")
    base = figures(found.stretches[WITHOUT])
    for what, stretches in found.stretches.items():
        row = figures(stretches)
        line = "".join(
            f"{value:8.2f}" + (f" {value / other:5.2f}x" if what is not WITHOUT else " " * 7)
            for value, other in zip(row[:3], base[:3], strict=True)
        )
        kept = sum(stretch.seconds for stretch in stretches)
        print(f"{what:26}{line}{row[3]:6.0f}{kept:4} of {seconds * len(stretches)}")
    print(
        f"\na host without an engine has {found.bare:.0f} MB, and {found.engine:.0f} MB more once it has handed in an"
    )
    print(f"export; the first one within {found.first_ms:.0f} ms, as it imports what that needs")
    print(f"{found.exports} exports completed by the worker in {seconds * len(found.stretches[WORKER])} s")
    each = [percentile(stretch.taken, 99) for stretch in found.stretches[WITHOUT]]
    known = [value for value in each if not math.isnan(value)]
    if known:
        print(f"noise: p99 of the stretches without an export: {min(known):.2f} to {max(known):.2f} ms")
    ratio = figures(found.stretches[WORKER])[1] / base[1]
    met = ratio <= P99_RATIO
    words = "met   " if met else "NOT MEASURED, no second was quiet" if math.isnan(ratio) else "MISSED"
    print(f"{words}  p99 with a worker / without: {ratio:.2f}, goal at most {P99_RATIO}")
    return int(not met)


def figures(stretches: Sequence[Stretch]) -> tuple[float, float, float, float]:
    """p50 and p99 of all requests in milliseconds, CPU per request in milliseconds, memory in MB."""
    taken = [one for stretch in stretches for one in stretch.taken]
    cpu, memory = (statistics.median(getattr(stretch, name) for stretch in stretches) for name in ("cpu", "memory"))
    return percentile(taken, 50), percentile(taken, 99), cpu, memory


def main() -> int:
    """Run all of it, or one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, two short rounds: for trying it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "tailrace-bench")
    parser.add_argument("--serve", nargs=3, metavar=("DATABASE", "PARQUET", "HOME"), help="be the host")
    parser.add_argument("--load", nargs=3, metavar=("PORT", "RATE", "SECONDS"), help="be the load")
    given = parser.parse_args()
    if given.serve:
        server = Host(*given.serve)
        print(server.server_address[1], flush=True)
        server.serve_forever()
    if given.load:
        print(json.dumps(load(int(given.load[0]), float(given.load[1]), float(given.load[2]))))
        return 0
    import workload

    rows, rounds, seconds = (100_000, 2, 3) if given.quick else (1_000_000, given.rounds, 10)
    parquet, _database = workload.make(given.data, rows)
    print(f"{rows:,} rows, {RATE} requests per second, {rounds} rounds of {seconds} s each")
    print(f"load average {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory(dir=given.data) as folder:
        found = measure(Path(folder), parquet, rounds, seconds)
    missed = show(found, seconds)
    print(f"\n{missed} goal(s) missed; load average {os.getloadavg()[0]:.1f}")
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
