"""How long the machine itself stands still: what it does not give to anybody is the fault of nobody."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stalls() -> Iterator[list[float]]:
    """Seconds by which a thread that only wants to sleep is woken too late, the worst of them."""
    worst, over = [0.0], threading.Event()

    def tick() -> None:
        last = time.monotonic()
        while not over.wait(0.02):
            now = time.monotonic()
            worst.append(max(worst.pop(), now - last - 0.02))
            last = now

    thread = threading.Thread(target=tick)
    thread.start()
    yield worst
    over.set()
    thread.join()
