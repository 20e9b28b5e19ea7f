"""Backing up and restoring pools against ProxyWhirl's own storage, as ratios. ``PROXYWHIRL_PYTHON=… pools.py``.

First the targets alone, then the commands as people run them: a full export, a plan and its application.

Every measurement is a process of its own; seconds are without imports, memory is the peak of the whole process. The
proxies, all with credentials, are the same for both sides. ``PROXYWHIRL_PYTHON`` is an interpreter that has ProxyWhirl;
what it does with fewer proxies (``--peer-rows``) is scaled up in proportion, and said so.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RATIO, PEAK_MB = 3.0, 400
KEY = "k3vF0aZ2mRr5Xb8yTq1wLs7uJd4gNh6cPoEi9tYxVaM="
POOLS = {"database": "pool.db", "file": "pool.json", "file encrypted": "pool.enc"}

PEER = """
import asyncio, json, os, resource, sys, time
from loguru import logger
logger.remove()
from proxywhirl.models import Proxy
from proxywhirl.storage import FileStorage, SQLiteStorage

what, path, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])

def proxies():
    return [
        Proxy(url=f"http://h{n}.example.com:8080",
              username=f"customer-{n}-zone-a", password=f"pass:{n:08}@/#", country_code="DE", tags={"a", "b"})
        for n in range(rows)
    ]

async def work():
    if what.startswith("database"):
        storage = SQLiteStorage(path)
        if what.endswith("write"):
            await storage.initialize()
    else:
        key = os.environ["PROXYWHIRL_CACHE_ENCRYPTION_KEY"].encode() if "encrypted" in what else None
        storage = FileStorage(path, encryption_key=key)
    made = proxies() if what.endswith("write") else None
    began = time.perf_counter()
    if made is None:
        assert len(await storage.load()) == rows
    else:
        await storage.save(made)
    return time.perf_counter() - began

seconds = asyncio.run(work())
print(json.dumps({"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def ours(what: str, path: Path, rows: int) -> float:
    """One measurement of ours, in this process."""
    import polars as pl
    from tailrace_source_pool.source import PoolSource
    from tailrace_source_pool.targets.opening import open_pool

    from tailrace import OpenPoolCall, PoolChanges

    source = PoolSource()
    if what.endswith("read"):
        began = time.perf_counter()
        with open_pool(OpenPoolCall(str(path), write=False), source) as target:
            assert target.read().height == rows
        return time.perf_counter() - began
    number = pl.int_range(rows)
    frame = pl.select(
        url=pl.format("http://h{}.example.com:8080", number),
        protocol=pl.lit("http"),
        host=pl.format("h{}.example.com", number),
        port=pl.lit(8080),
        username=pl.format("customer-{}-zone-a", number),
        password=pl.format("pass:{}@/#", number.cast(pl.String).str.zfill(8)),
        country_code=pl.lit("DE"),
        tags=pl.lit('["a","b"]'),
    )
    nothing = pl.DataFrame(schema={**frame.schema, "key": pl.String, "changed": pl.List(pl.String)})
    began = time.perf_counter()
    with open_pool(OpenPoolCall(str(path), write=True), source) as target:
        assert len(target.write(PoolChanges(frame, nothing))) == rows
    return time.perf_counter() - began


def measured(command: list[str]) -> dict[str, float]:
    """Run one measurement in a process of its own."""
    environment = {**os.environ, "PROXYWHIRL_CACHE_ENCRYPTION_KEY": KEY}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[-3:])} failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def commands(folder: Path, pool: str, name: str) -> list[tuple[str, float, float]]:
    """Export, plan and apply, each as a command: what, seconds and MB of the larger of its processes."""
    tailrace = str(Path(sys.executable).with_name("tailrace"))
    key, out, fresh = folder / "master.key", folder / f"out-{name}", folder / f"fresh-{name}"
    if not key.exists():
        subprocess.run([tailrace, "keys", "new", "master", str(key)], check=True, capture_output=True)
    export = [tailrace, "export", "pool", "--from", str(folder / name), "--credentials", "full", "--format", "json"]
    found = [(f"{pool} export", *timed([*export, "--opener", str(key), "--to", str(out), "--quiet"], folder))]
    (backup,) = out.glob("*.json.gz")
    restore = [tailrace, "import", str(backup), "--into", str(fresh), "--key", str(key), "--quiet"]
    plan = str(folder / f"plan-{name}.json")
    found.append((f"{pool} plan", *timed([*restore, "--plan", plan], folder)))
    found.append((f"{pool} apply", *timed([*restore, "--apply", plan], folder)))
    return found


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds and MB of a command."""
    environment = {**os.environ, "PROXYWHIRL_CACHE_ENCRYPTION_KEY": KEY, "TAILRACE_HOME": str(folder / "home")}
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as process:
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode and process.stderr is not None:
            raise SystemExit(f"{' '.join(command[1:3])} failed:\n{process.stderr.read().decode()}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def main() -> int:
    """Run all of it, or one measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--peer-rows", type=int, default=10_000)
    parser.add_argument("--one", nargs=2, metavar=("WHAT", "PATH"), help="one measurement of ours, in this process")
    asked = parser.parse_args()
    if asked.one:
        seconds = ours(asked.one[0], Path(asked.one[1]), asked.rows)
        print(json.dumps({"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return 0
    peer = os.environ.get("PROXYWHIRL_PYTHON")
    missed = 0
    scale = asked.rows / asked.peer_rows
    print(f"{asked.rows:,} proxies; ProxyWhirl: {asked.peer_rows:,}, times {scale:g}\n")
    with tempfile.TemporaryDirectory() as folder:
        peers: dict[str, float] = {}
        for pool, name in POOLS.items():
            for action in ("write", "read"):
                what = f"{pool} {action}"
                script = [sys.executable, __file__, "--rows", str(asked.rows), "--one", what, str(Path(folder, name))]
                mine = measured(script)
                line = f"{what:22} {mine['seconds']:7.2f} s {mine['peak_mb']:6.0f} MB"
                missed += mine["peak_mb"] > PEAK_MB
                if peer:
                    path = str(Path(folder, f"peer-{name}"))
                    other = measured([peer, "-c", PEER, what, path, str(asked.peer_rows)])
                    ratio = mine["seconds"] / (other["seconds"] * scale)
                    missed += ratio > RATIO
                    peers[what] = other["seconds"] * scale
                    line += (
                        f"   ProxyWhirl {other['seconds'] * scale:7.2f} s {other['peak_mb']:6.0f} MB   {ratio:.2f} x"
                    )
                print(line, flush=True)
        print("\nas commands, start of the interpreter included")
        for pool, name in POOLS.items():
            for what, seconds, peak in commands(Path(folder), pool, name):
                missed += peak > PEAK_MB
                line = f"{what:22} {seconds:7.2f} s {peak:6.0f} MB"
                like = f"{pool} {'write' if what.endswith('apply') else 'read'}"
                if like in peers:
                    missed += seconds / peers[like] > RATIO
                    line += f"   ProxyWhirl's {like.rsplit(maxsplit=1)[-1]} {seconds / peers[like]:.2f} x"
                print(line, flush=True)
    print(f"\ngoals: at most {RATIO:g} x, and {PEAK_MB} MB; {missed} missed")
    return int(missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
