"""The redaction proof: bytes per second against a loop of ``in``, and its share of an export.

``python tests/bench/redaction.py``; takes about half a minute. A missed goal makes the exit code 1.
"""

import argparse
import base64
import json
import random
import string
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tailrace import Engine, ExportRequest, SinkRequest
from tailrace.settings import Settings
from tailrace.vault.forms import forms_of
from tailrace.vault.search import SecretSearch

SEED = 7
SECRETS = 10_000
GOAL_MB_PER_SECOND = 100
MEBIBYTE = 1 << 20
_LETTERS = string.ascii_letters + string.digits
_ROUNDS = 3


def secrets(count: int) -> list[str]:
    """Passwords of letters, digits and signs, 10 to 24 characters long."""
    rng = random.Random(SEED)
    return ["".join(rng.choices(_LETTERS + "!@#$%&+/=:?", k=rng.randint(10, 24))) for _ in range(count)]


def random_text(size: int) -> bytes:
    """Base64 of random bytes: nothing repeats, and every byte could begin a secret."""
    return base64.b64encode(random.Random(SEED).randbytes(size * 3 // 4))


def proxies(count: int, logins: list[str]) -> Iterator[dict[str, object]]:
    """A pool in ProxyWhirl's FileStorage, each login used as often as the others."""
    rng = random.Random(SEED)
    for number in range(count):
        host = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        yield {
            "url": f"http://{host}:8080",
            "username": f"customer-{number % (SECRETS // 2)}-zone-eu",
            "password": logins[number % (SECRETS // 2)],
            "health_status": "healthy",
            "country_code": "PL",
            "average_response_time_ms": rng.random() * 900,
            "total_requests": rng.randrange(100_000),
            "created_at": f"2026-08-15T00:24:09.{rng.randrange(1_000_000):06d}Z",
        }


def rate(size: int, work: Callable[[], object]) -> float:
    """Megabytes per second, the best of some rounds."""
    best = float("inf")
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return size / best / 1e6


def search_rate(wanted: list[str], text: bytes) -> float:
    """Megabytes per second of a search that is made already, in blocks of a mebibyte."""
    search = SecretSearch(wanted)
    search.first_in(text[:MEBIBYTE])
    return rate(
        len(text), lambda: search.watch(text[at : at + MEBIBYTE] for at in range(0, len(text), MEBIBYTE)).drain()
    )


def loop_rate(wanted: list[str], text: bytes) -> float:
    """The same of a loop of ``in``, over a part of the text and of the forms, scaled up to all forms."""
    forms = list(dict.fromkeys(written for secret in wanted for _, written in forms_of(secret)))
    part, piece = forms[::100], text[: MEBIBYTE // 2]
    return rate(len(piece), lambda: any(form in piece for form in part)) * len(part) / len(forms)


def proof_share(folder: Path, count: int, format_: str) -> tuple[float, float, bytes]:
    """Seconds of the proof and of the rest of an export of a pool, and what was exported."""
    pool = folder / "pool.json"
    if not pool.exists():
        pool.write_text(json.dumps(list(proxies(count, secrets(SECRETS)))))
    sinks = (SinkRequest("disk", str(folder / format_), {"overwrite": True}),)
    request = ExportRequest("pool", str(pool), format_, sinks=sinks, compress=False)
    result = Engine(Settings(home=folder / "home", user="bench")).export(request)
    (artifact,) = result.artifacts
    took = result.timings
    content = b"" if artifact.path is None else artifact.path.read_bytes()
    return took.proving, took.opening + took.writing + took.syncing + took.delivering, content


def main() -> int:
    """Measure, and compare with the goals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--proxies", type=int, default=100_000)
    asked = parser.parse_args()
    wanted, missed = secrets(SECRETS), 0

    def goal(text: str, reached: float, least: float) -> None:
        nonlocal missed
        missed += reached < least
        print(f"{'met   ' if reached >= least else 'MISSED'}  {text}: {reached:.3g}, goal at least {least:.3g}")

    start = time.perf_counter()
    SecretSearch(wanted).first_in(b"")
    print(f"{SECRETS:,} secrets made ready in {time.perf_counter() - start:.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        shares = {format_: proof_share(Path(folder), asked.proxies, format_) for format_ in ("csv", "json")}
    for name, text in {"random text": random_text(32 * MEBIBYTE), "a pool as JSON": shares["json"][2]}.items():
        ours, loop = search_rate(wanted, text), loop_rate(wanted, text)
        print(f"{name}: {ours:.0f} MB/s; a loop of `in`: {loop:.3g} MB/s")
        goal(f"MB/s on {name}", ours, GOAL_MB_PER_SECOND)
    for format_, (proof, rest, content) in shares.items():
        print(f"{asked.proxies:,} proxies as {format_}, {len(content) / 1e6:.0f} MB: {rest:.2f} s, proof {proof:.2f} s")
        goal(f"export / proof, {format_}", rest / proof, 1)
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
