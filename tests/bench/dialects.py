"""Converting a list of ``host:port:user:password`` to URLs, beside a loop over ``urllib.parse.urlsplit`` of them.

``python dialects.py``: both in one process, warm, taking turns; the median of each, and how many times as fast ours is.
Ours goes from file to file, with all checks; the loop has its URLs in memory. Then the command as a whole. A missed
goal makes the exit code 1.
"""

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from tailrace import Engine, ReadPoolCall
from tailrace.restore.convert import convert

PROXIES = 100_000
ROUNDS = 9
TIMES_AS_FAST, COMMAND_SECONDS = 5.0, 1.5
COMMAND = "import sys; from tailrace.cli.app import main; sys.exit(main(sys.argv[1:]))"


def colon_lines() -> list[str]:
    """Made-up proxies as vendors hand them out."""
    drawn = random.Random(7)
    return [
        f"10.{drawn.randrange(256)}.{drawn.randrange(256)}.{drawn.randrange(256)}:{drawn.randrange(1, 65536)}"
        f":customer-{number}-zone-x-session-{drawn.randrange(10**6)}:{drawn.randrange(16**12):x}"
        for number in range(PROXIES)
    ]


def as_urls(lines: list[str]) -> list[str]:
    """The same proxies as URLs."""
    parts = (line.split(":") for line in lines)
    return [f"http://{user}:{password}@{host}:{port}" for host, port, user, password in parts]


def split_all(urls: list[str]) -> None:
    """What everybody does: take the URLs apart, one by one."""
    for url in urls:
        parts = urlsplit(url)
        _ = (parts.scheme, parts.hostname, parts.port, parts.username, parts.password)


def seconds(do: Callable[[], object]) -> float:
    """How long something takes."""
    begin = time.perf_counter()
    do()
    return time.perf_counter() - begin


def main() -> int:
    """Measure and print."""
    lines = colon_lines()
    urls = as_urls(lines)
    keeper = Engine().keeper
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "vendor.txt"), Path(folder, "urls.txt")
        source.write_text("\n".join(lines) + "\n")

        def ours(dialect: str | None = "colon") -> None:
            made = convert(keeper, ReadPoolCall(source, dialect), target, dialect="url", overwrite=True)
            if made.written != PROXIES or made.losses:
                raise SystemExit("not everything was converted")

        ours()
        if target.read_text().splitlines() != urls:
            raise SystemExit("the URLs are other ones")
        named, told, loop, command = [], [], [], []
        for _ in range(ROUNDS):
            loop.append(seconds(lambda: split_all(urls)))
            named.append(seconds(ours))
            told.append(seconds(lambda: ours(None)))
        words = [sys.executable, "-c", COMMAND, "convert", str(source), str(target), "--overwrite", "--quiet"]
        command += [seconds(lambda: subprocess.run(words, check=True, capture_output=True)) for _ in range(3)]
    ratio = statistics.median(loop) / statistics.median(named)
    print(f"{PROXIES:,} proxies                           median")
    print(f"loop over urlsplit                     {statistics.median(loop):8.3f} s")
    print(f"convert, dialect named                 {statistics.median(named):8.3f} s  {ratio:.1f} times as fast")
    other = statistics.median(loop) / statistics.median(told)
    print(f"convert, dialect told by content       {statistics.median(told):8.3f} s  {other:.1f} times as fast")
    print(f"tailrace convert, as a command         {statistics.median(command):8.3f} s")
    good = ratio >= TIMES_AS_FAST and statistics.median(command) <= COMMAND_SECONDS
    print(f"goal: {TIMES_AS_FAST:g} times as fast, {COMMAND_SECONDS:g} s as a command: {'met' if good else 'missed'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
