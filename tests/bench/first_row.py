"""Milliseconds from ``Engine.export`` to the first row read, in a warm process: ``python first_row.py PARQUET``."""

import statistics
import sys
import tempfile
import time

from tailrace import CancelledError, Context, Engine, ExportRequest, Progress, SinkRequest

ROUNDS = 9


class Stopwatch:
    """Stops the export, and the clock, at the first row."""

    def __init__(self) -> None:
        self.context = Context(on_progress=self.see, interval=0)
        self.begin = time.perf_counter()
        self.first = 0.0

    def see(self, progress: Progress) -> None:
        """Take the time when rows begin to count."""
        if progress.rows and not self.first:
            self.first = time.perf_counter() - self.begin
            self.context.cancel()


def main() -> None:
    """Print the median."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine()
        request = ExportRequest("analytics", sys.argv[1], "csv", sinks=(SinkRequest("disk", target=folder),))
        for _ in range(ROUNDS + 1):
            watch = Stopwatch()
            try:
                engine.export(request, context=watch.context)
            except CancelledError:
                times.append(watch.first)
    print(statistics.median(times[1:]) * 1000)


if __name__ == "__main__":
    main()
