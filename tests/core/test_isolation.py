"""Work in a process of its own: what goes in and comes out, what ends it, and that nothing is left of it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tailrace import (
    CancelledError,
    ConfigurationError,
    Context,
    DeadlineError,
    Limits,
    NewerVersionError,
    RefusedError,
    SourceError,
    UnknownNameError,
    run_apart,
)
from tailrace import _apart as apart_module

WORK = """
import ctypes, json, os, resource, signal, sys, time
from tailrace import NewerVersionError, SourceError, UnknownNameError

def echo(blocks, argument):
    print("this is not a frame", flush=True)
    for block in blocks:
        yield block[::-1]
    yield json.dumps(argument).encode()

def surroundings(blocks, argument):
    open_files = sorted(int(name) for name in os.listdir("/dev/fd"))
    yield json.dumps({
        "environment": sorted(os.environ), "files": open_files, "arguments": sys.orig_argv,
        "core": resource.getrlimit(resource.RLIMIT_CORE), "size": resource.getrlimit(resource.RLIMIT_FSIZE),
        "cpu": resource.getrlimit(resource.RLIMIT_CPU), "path": sys.path, "pid": os.getpid(),
    }).encode()

def ours(blocks, argument):
    if argument == "source":
        raise SourceError("It is damaged.", hint="Mend it.")
    if argument == "name":
        raise UnknownNameError("dialect", "jsom", ["json", "csv"])
    raise NewerVersionError("It is too new.", version=7)
    yield b""

def theirs(blocks, argument):
    yield b"one"
    raise ValueError("s3cret in the message")

def memory(blocks, argument):
    kept = []
    while True:
        kept.append(bytearray(1 << 20))
    yield b""

def at_once(blocks, argument):
    import polars as pl
    yield str(pl.int_range(0, 1_000_000_000, eager=True).sum()).encode()

def processor(blocks, argument):
    while True:
        pass
    yield b""

def sleeper(blocks, argument):
    yield str(os.getpid()).encode()
    time.sleep(60)

def talker(blocks, argument):
    while True:
        yield b"x" * (1 << 20)

def nonsense(blocks, argument):
    os.write(int(argument), b"\\xff" * 64)
    time.sleep(60)
    yield b""

def crash(blocks, argument):
    if argument == "segfault":
        ctypes.string_at(0)
    if argument == "exit":
        os._exit(5)
    os.kill(os.getpid(), getattr(signal, argument))
    time.sleep(60)
    yield b""

def writer(blocks, argument):
    with open(argument, "w") as file:
        file.write("x")
    yield b""
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Iterator[bytes]]:
    (tmp_path / "work_apart.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)

    def start(
        name: str,
        *blocks: bytes,
        argument: object = None,
        limits: Limits | None = None,
        context: Context | None = None,
    ) -> Iterator[bytes]:
        return run_apart(
            f"work_apart:{name}",
            blocks,
            argument=argument,
            limits=limits or Limits(),
            context=context or Context(),
            what="Reading pool.json",
        )

    return start


def open_files() -> set[str]:
    return {path.name for path in Path("/dev/fd").iterdir()}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No process, thread or open file outlives its test."""
    files, threads = open_files(), threading.active_count()
    yield
    assert open_files() == files
    assert threading.active_count() == threads
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_blocks_go_in_and_come_out_in_their_order(work: Callable[..., Iterator[bytes]]) -> None:
    large = bytes(range(256)) * 20_000
    found = list(work("echo", b"abc", b"", large, argument={"n": [1, None, "é"]}))
    assert found == [b"cba", large[::-1], b'{"n": [1, null, "\\u00e9"]}']


def test_it_gets_no_keys_no_files_and_no_room_to_write(
    work: Callable[..., Iterator[bytes]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", "a-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-key")
    with (tmp_path / "open").open("wb"):
        (told,) = work("surroundings", argument="s3cret", limits=Limits(seconds=7))
    found = json.loads(told)
    # Python may add its locale, and polars the settings of its allocator.
    assert set(found["environment"]) <= {
        "PATH",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TMPDIR",
        "SYSTEMROOT",
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONUTF8",
        "POLARS_MAX_THREADS",
        "_RJEM_MALLOC_CONF",
        "__CF_USER_TEXT_ENCODING",
    }
    # Standard input, output and error, the private copy of output, and the folder that is being listed.
    assert len(found["files"]) <= 6
    assert str(tmp_path) not in " ".join(found["arguments"])
    assert "s3cret" not in " ".join(found["arguments"])
    assert found["path"] == sys.path
    assert found["core"] == [0, 0]
    assert found["size"] == [0, 0]
    assert found["cpu"] == [7, 8]
    with pytest.raises(RefusedError, match=r"^Reading pool\.json failed with OSError\.$"):
        list(work("writer", argument=str(tmp_path / "written")))
    assert (tmp_path / "written").read_text() == ""


def test_our_errors_come_back_as_they_were(work: Callable[..., Iterator[bytes]]) -> None:
    with pytest.raises(SourceError) as source:
        list(work("ours", argument="source"))
    assert (source.value.message, source.value.hint) == ("It is damaged.", "Mend it.")
    with pytest.raises(UnknownNameError) as name:
        list(work("ours", argument="name"))
    assert (name.value.name, name.value.known, name.value.suggestion) == ("jsom", ("json", "csv"), "json")
    with pytest.raises(NewerVersionError) as newer:
        list(work("ours", argument="newer"))
    assert newer.value.version == 7


def test_other_errors_are_named_and_never_quoted(work: Callable[..., Iterator[bytes]]) -> None:
    results = work("theirs")
    assert next(results) == b"one"
    with pytest.raises(RefusedError) as error:
        next(results)
    assert error.value.message == "Reading pool.json failed with ValueError."
    assert "s3cret" not in repr(error.getrepr(style="long"))


def test_a_target_that_is_not_there_is_an_error(work: Callable[..., Iterator[bytes]]) -> None:
    with pytest.raises(RefusedError, match="failed with AttributeError"):
        list(work("nothing"))


@pytest.mark.parametrize("name", ["memory", "at_once"])
def test_too_much_memory_ends_it(work: Callable[..., Iterator[bytes]], name: str) -> None:
    with pytest.raises(RefusedError) as error:
        list(work(name, limits=Limits(memory=150 << 20)))
    assert error.value.message in {
        "Reading pool.json took more than 150 MB of memory, and was stopped.",
        # polars gives up by itself when it gets no more.
        "Reading pool.json ended the process that did it (SIGABRT); nothing else was hurt.",
    }
    assert error.value.hint


def test_too_much_processor_time_ends_it(work: Callable[..., Iterator[bytes]]) -> None:
    began = time.monotonic()
    with pytest.raises(RefusedError) as error:
        list(work("processor", limits=Limits(seconds=1)))
    assert error.value.message == "Reading pool.json took more than 1 seconds of processor time, and was stopped."
    assert time.monotonic() - began < 20


def test_too_much_time_by_the_clock_ends_it(work: Callable[..., Iterator[bytes]]) -> None:
    results = work("sleeper", limits=Limits(seconds=0.2))
    next(results)
    with pytest.raises(RefusedError) as error:
        next(results)
    assert error.value.message == "Reading pool.json took more than 1 seconds, and was stopped."


def test_the_clock_stands_still_while_nobody_waits(work: Callable[..., Iterator[bytes]]) -> None:
    results = work("echo", b"abc", limits=Limits(seconds=0.5))
    assert next(results) == b"cba"
    time.sleep(3)
    assert list(results) == [b"null"]


def test_too_many_results_end_it(work: Callable[..., Iterator[bytes]]) -> None:
    with pytest.raises(RefusedError) as error:
        list(work("talker", limits=Limits(output=5 << 20)))
    assert error.value.message == "Reading pool.json took more than 5 MB of results, and was stopped."


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("segfault", "SIGSEGV"),
        ("exit", "status 5"),
        ("SIGKILL", "SIGKILL"),
        ("SIGTERM", "SIGTERM"),
        ("SIGABRT", "SIGABRT"),
    ],
)
def test_whatever_kills_it_is_told(work: Callable[..., Iterator[bytes]], how: str, told: str) -> None:
    with pytest.raises(RefusedError) as error:
        list(work("crash", b"x" * (4 << 20), argument=how))
    assert error.value.message == f"Reading pool.json ended the process that did it ({told}); nothing else was hurt."


def test_what_is_no_frame_ends_it(work: Callable[..., Iterator[bytes]]) -> None:
    descriptors = json.loads(next(work("surroundings")))["files"]
    # The private copy of standard output, whatever its number.
    with pytest.raises(RefusedError, match="SIGKILL"):
        list(work("nonsense", argument=str(descriptors[3])))


def test_cancelling_ends_it(work: Callable[..., Iterator[bytes]]) -> None:
    context = Context()
    results = work("sleeper", context=context)
    process = int(next(results))
    threading.Timer(0.1, context.cancel).start()
    began = time.monotonic()
    with pytest.raises(CancelledError):
        next(results)
    assert time.monotonic() - began < 3
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_the_deadline_ends_it(work: Callable[..., Iterator[bytes]]) -> None:
    with pytest.raises(DeadlineError):
        list(work("sleeper", context=Context(timeout=0.5)))


def test_what_is_cancelled_already_does_not_begin(work: Callable[..., Iterator[bytes]]) -> None:
    context = Context()
    context.cancel()
    with pytest.raises(CancelledError):
        next(work("echo", context=context))


def test_results_that_nobody_wants_end_it(work: Callable[..., Iterator[bytes]]) -> None:
    results = work("sleeper")
    process = int(next(results))
    results.close()  # type: ignore[attr-defined]  # it is a generator
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@pytest.mark.usefixtures("work")
def test_what_goes_wrong_while_feeding_is_raised() -> None:
    def feed() -> Iterator[bytes]:
        yield b"abc"
        message = "The file was changed."
        raise SourceError(message)

    results = run_apart("work_apart:echo", feed(), argument=None, limits=Limits(), context=Context())
    with pytest.raises(SourceError, match="The file was changed"):
        list(results)


def test_without_an_interpreter_it_says_so(
    work: Callable[..., Iterator[bytes]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(ConfigurationError, match="does not know its Python interpreter"):
        list(work("echo"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(ConfigurationError, match="could not be started: No such file"):
        list(work("echo"))


@pytest.mark.usefixtures("work")
def test_it_ends_by_itself_when_whoever_asked_is_gone(tmp_path: Path) -> None:
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from tailrace import Context, Limits, run_apart\n"
        "import itertools\n"
        "def feed():\n"
        "    import time\n"
        "    while True: time.sleep(0.05); yield b'x'\n"
        "results = run_apart('work_apart:surroundings', feed(), argument=None, limits=Limits(), context=Context())\n"
        "import json; print(json.loads(next(results))['pid'], flush=True); os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    process = int(ended.stdout)
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{process}/stat").exists() and " Z " in Path(f"/proc/{process}/stat").read_text():
            return
        time.sleep(0.05)
    pytest.fail("it is still there")


def test_it_looks_after_itself_where_nobody_else_can(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from tailrace import _apart\n"
        "_apart._STATUS = Path('/nowhere')\n"
        "_apart.limit(100 << 20, 20)\n"
        "kept = []\n"
        "while True: kept.append(bytes(1 << 20) * 2)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False, cwd=tmp_path)
    assert ended.returncode == apart_module.OUT_OF_MEMORY


def test_a_limit_that_is_lower_already_stays() -> None:
    program = (
        "import resource\n"
        "from tailrace import _apart\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (5, 5))\n"
        "_apart.limit(1 << 30, 20)\n"
        "print(resource.getrlimit(resource.RLIMIT_CPU))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == "(5, 5)\n"
