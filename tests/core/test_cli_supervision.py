import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tailrace.cli.supervision import supervise


def nothing() -> None:
    pass


def watch(do: Callable[[], Any], **calls: Callable[[], None]) -> Any:
    steps = {"cancel": nothing, "tick": nothing, "stopping": nothing, "abort": nothing, **calls}
    return supervise(do, interval=0.01, **steps)


def test_the_work_is_done_in_another_thread_while_this_one_ticks() -> None:
    ticks: list[int] = []

    def work() -> int:
        time.sleep(0.1)
        return threading.get_ident()

    assert watch(work, tick=lambda: ticks.append(threading.get_ident())) != threading.get_ident()
    assert set(ticks) == {threading.get_ident()}
    assert len(ticks) >= 3


def test_what_the_work_raises_arrives_here_even_system_exit() -> None:
    for error in (ValueError("no"), SystemExit(3)):

        def work(error: BaseException = error) -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            watch(work)
        assert caught.value is error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks_the_work_to_stop_and_tells_it_once(number: int) -> None:
    stop, told, before = threading.Event(), [], signal.getsignal(number)

    def work() -> str:
        os.kill(os.getpid(), number)
        assert stop.wait(5)
        time.sleep(0.05)
        return "stopped"

    assert watch(work, cancel=stop.set, stopping=lambda: told.append(1)) == "stopped"
    assert told == [1]
    assert signal.getsignal(number) is before


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    cancelled: list[int] = []
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert watch(lambda: os.kill(os.getpid(), signal.SIGHUP), cancel=lambda: cancelled.append(1)) is None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert cancelled == []


def test_the_second_signal_aborts() -> None:
    aborted = threading.Event()

    def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)
        assert aborted.wait(5)

    watch(work, abort=aborted.set)
    assert aborted.is_set()


def test_ending_now_ends_the_process_whatever_threads_do() -> None:
    code = (
        "import threading, time; from tailrace.cli.supervision import end_now\n"
        "threading.Thread(target=time.sleep, args=(60,)).start(); end_now(7)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=10).returncode == 7


def test_outside_of_the_main_thread_signals_are_left_alone() -> None:
    before, results = signal.getsignal(signal.SIGINT), []

    def ask() -> None:
        results.append(watch(lambda: signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert results == [before]
