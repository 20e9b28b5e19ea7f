"""Workers that are killed at random, and claims of many processes at once: nothing is lost, nothing is done twice."""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import tailrace_sink_disk
from tailrace_sdk.fakes import LinesFormat, MemorySource, memory_table

from tailrace import Engine, ExportRequest, SinkRequest, User
from tailrace.files.attempts import leftovers
from tailrace.model.convert import unstructure
from tailrace.model.states import JobState
from tailrace.model.work import RetryPolicy
from tailrace.settings import JobSettings, Settings, StoreSettings, WorkerSettings
from tailrace.store.database import Store
from tailrace.store.tables import attempts, jobs

from .stalling import stalls
from .worker_forks import Workers, workers

ADMIN = User("root", is_admin=True)
LEASE = 1.0
WORDS = ["pump", "wheel", "sluice"]
CONTENT = "".join(f'{{"word":"{word}"}}\n' for word in WORDS)
SEEDS = (1967, random.SystemRandom().randrange(10**6))


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: what is tried here is who writes when, not the disk."""
    shm = Path("/dev/shm")
    folder = shm / f"tailrace-{os.getpid()}-{tmp_path.name}" if shm.is_dir() else tmp_path / "quick"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def in_memory(url: str, quick: Path) -> str:
    """The URL of a store on SQLite in a folder in memory; PostgreSQL stays where it is."""
    return f"sqlite:///{quick}/store.db" if url.startswith("sqlite") else url


def engine_on(settings: Settings) -> Engine:
    source = MemorySource([memory_table("rows", {"word": WORDS})])
    plugins = [("memory", source), ("lines", LinesFormat()), ("disk", tailrace_sink_disk)]
    return Engine(settings, plugins=plugins, discover=False)


def kill_now_and_then(crew: Workers, engine: Engine, *, kills: int, chance: random.Random) -> None:
    """Kill workers at random moments, and start others, until all is done."""
    while any(engine.jobs.unfinished().values()):
        time.sleep(chance.uniform(0.01, 0.25))
        if len(crew.killed) < kills:
            crew.kill(chance.choice(crew.running))
            crew.start()


@pytest.mark.timeout(170)
def test_a_hundred_kills_lose_and_double_nothing(store_url: str, tmp_path: Path, quick: Path) -> None:
    # One store runs with a seed that never changes, the other with a new one each time.
    seed = SEEDS[store_url.startswith("postgresql")]
    print(f"seed {seed}")  # noqa: T201 - to do it again
    chance = random.Random(seed)
    out = quick / "out"
    settings = Settings(
        home=tmp_path / "home",
        user="ada",
        store=StoreSettings(in_memory(store_url, quick)),
        jobs=JobSettings(lease=LEASE, most_losses=1000),
        worker=WorkerSettings(poll=0.1),
    )
    engine = engine_on(settings)
    engine.upgrade_store()
    request = ExportRequest("memory", "", "lines", sinks=(SinkRequest("disk", str(out)),), compress=False)
    # All of it on one of both; the other one has its own way to claim, and gets a third.
    count, kills = (1000, 100) if store_url.startswith("sqlite") else (300, 30)
    ids = [engine.submit(request, retry=RetryPolicy(first_delay=0.1)).id for _ in range(count)]
    with workers(tmp_path / "workers", unstructure(settings)) as crew:
        for _ in range(4):
            crew.start()
        with stalls() as stalled:
            kill_now_and_then(crew, engine, kills=kills, chance=chance)
    # One more start clears away what the last ones left.
    engine.worker().run(until_idle=True)

    with engine.store.reading() as connection:
        states = Counter(connection.execute(sa.select(jobs.c.state)).scalars())
        tried = connection.execute(sa.select(attempts).order_by(attempts.c.job, attempts.c.fence)).all()
    assert states == {JobState.COMPLETED: count}
    assert len(crew.killed) == kills
    lost = [attempt for attempt in tried if attempt.outcome == "lost"]
    print(f"{len(crew.killed)} killed, {len(lost)} attempts lost, {len(tried)} in all")  # noqa: T201 - what was tried
    assert lost, "no job was ever taken from anybody: this tried nothing"

    # Each is published once, by the attempt that completed it, and nothing else lies there.
    manifests = {path: json.loads(path.read_text()) for path in out.glob("*.manifest.json")}
    assert Counter(manifest["export_id"] for manifest in manifests.values()) == Counter(ids)
    expected = {path.name for path in manifests} | {path.name.removesuffix(".manifest.json") for path in manifests}
    assert {path.name for path in out.iterdir()} == expected
    contents = {(out / name).read_text() for name in expected if not name.endswith(".manifest.json")}
    assert contents == {CONTENT}
    assert list(leftovers(out)) == []
    recorded = {str(file.path) for job in ids for file in engine.jobs.files(job, ADMIN)}
    assert recorded == {str(out / name) for name in expected if not name.endswith(".manifest.json")}

    # Nobody waited longer than a lease and two seconds for somebody else to go on.
    following = {(attempt.job, attempt.fence): attempt for attempt in tried}
    waits = []
    for attempt in lost:
        fences = [fence for job, fence in following if job == attempt.job and fence > attempt.fence]
        if attempt.worker in crew.killed and fences:
            began = following[attempt.job, min(fences)].started.timestamp()
            waits.append(began - crew.killed[attempt.worker])
    assert waits
    print(f"taken over after {max(waits):.2f} s at most; the machine itself stood still for {max(stalled):.2f} s")  # noqa: T201
    # What a busy machine does not give to anybody is nobody's fault.
    assert max(waits) <= LEASE + 2.0 + 5 * max(stalled)
    assert statistics.median(waits) <= LEASE + 1.0 + max(stalled)

    report = engine.audit.verify(ADMIN, manifests=list(manifests)[:50])
    assert report.ok
    engine.store.close()


CLAIMER = """
import json, random, sys
from tailrace.store import jobs
from tailrace.store.database import Store
from tailrace.work.recovery import recover

url, seed = sys.argv[1:]
store, chance = Store(url), random.Random(seed)
empty = 0
while empty < 3:
    # One in twenty is not heard of again.
    lease = -1.0 if chance.random() < 0.05 else 600.0
    with store.writing() as connection:
        claims = jobs.claim(connection, seed, now=store.now(connection), lease=lease, limit=chance.randint(1, 20))
    for claim in claims:
        print(claim.id, claim.fence)
    empty = 0 if claims or recover(store, most_losses=10**6) else empty + 1
"""


def test_four_processes_make_twenty_thousand_claims_without_overlap(store_url: str, quick: Path) -> None:
    url = in_memory(store_url, quick)
    store = Store(url)
    store.upgrade()
    count = 19_000
    with store.writing() as connection:
        now = store.now(connection)
        new = {
            "state": "pending",
            "creator": "ada",
            "source": "pool",
            "format": "csv",
            "request": {},
            "sealed": b"",
            "folder": "/",
            "inline": False,
            "retry": unstructure(RetryPolicy()),
            "created": now,
        }
        rows = [new | {"id": f"{number:036}", "due": now - timedelta(microseconds=number)} for number in range(count)]
        connection.execute(sa.insert(jobs), rows)
    claimers = [
        subprocess.Popen([sys.executable, "-c", CLAIMER, url, f"{seed}"], stdout=subprocess.PIPE, text=True)
        for seed in range(4)
    ]
    said = [claimer.communicate(timeout=150)[0].splitlines() for claimer in claimers]
    assert [claimer.returncode for claimer in claimers] == [0, 0, 0, 0]
    claims = [line.split() for lines in said for line in lines]
    # A fence is given out once: whoever holds a job under it holds it alone.
    assert len(claims) == len({tuple(claim) for claim in claims})
    assert {job for job, _fence in claims} == {f"{number:036}" for number in range(count)}
    assert len(claims) >= count
    print(f"{len(claims)} claims: {[len(lines) for lines in said]}")  # noqa: T201 - what was tried
    assert all(lines for lines in said), "one process made all the claims: nothing was tried"
    for lines in said:
        # What one process saw of a job rose, too.
        seen: dict[str, int] = {}
        for job, fence in map(str.split, lines):
            assert int(fence) > seen.get(job, 0)
            seen[job] = int(fence)
    with store.reading() as connection:
        held = connection.execute(sa.select(sa.func.count()).where(jobs.c.state == "processing")).scalar()
        latest = dict(connection.execute(sa.select(jobs.c.id, jobs.c.fence)).all())
    assert held == count
    assert all(latest[job] >= int(fence) for job, fence in claims)
    store.close()
