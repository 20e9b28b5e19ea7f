"""Schedules of a pool with the real plugins: backups that are not sent twice, and drills that try them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest

from tailrace import (
    CredentialMode,
    Engine,
    ExportRequest,
    ImportRequest,
    Keyring,
    MasterKey,
    SinkRequest,
    User,
)
from tailrace.files.scratch import PREFIX
from tailrace.model.schedule import ScheduleDraft, ScheduleKind, ScheduleRules, SlotRecord
from tailrace.model.timing import Timing
from tailrace.settings import JobSettings, Settings, VaultSettings

ADA = User("ada")
BEGIN = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)
CANARY = "canary-Pa55word"
LIST = "".join(f"http://user{number}:{CANARY}-{number}@h{number}.example.com:8080\n" for number in range(10))
KEYS = {"mine": MasterKey.generate(), "other": MasterKey.generate()}


@attrs.define
class Yard:
    """An engine with a pool, a template ``backup`` for it, and a clock that is set by hand."""

    folder: Path
    now: datetime = BEGIN
    keys: tuple[str, ...] = ("mine",)

    def engine(self) -> Engine:
        settings = Settings(
            home=self.folder / "home",
            user="ada",
            vault=VaultSettings(openers=("mine",), keys=self.keys),
            jobs=JobSettings(attempts=1),
        )
        return Engine(settings, keyring=Keyring(KEYS), clock=lambda: self.now)

    def fill(self, text: str) -> None:
        listed = self.folder / "list.txt"
        listed.write_text(text)
        self.engine().apply_import(ImportRequest(listed, str(self.folder / "pool.json")), user=ADA)

    def schedule(self, name: str, kind: ScheduleKind, hour: int, *, unchanged: bool = False) -> None:
        timing = Timing(cron=f"0 {hour} * * *", start=BEGIN)
        draft = ScheduleDraft("backup", timing, kind, ScheduleRules(skip_unchanged=unchanged))
        self.engine().schedules.add(name, draft, user=ADA, folder=self.folder)

    def work(self, day: int, hour: int) -> None:
        self.now = datetime(2026, 11, day, hour, tzinfo=UTC)
        self.engine().worker().run(until_idle=True)

    def newest(self, name: str) -> SlotRecord:
        return self.engine().schedules.history(name, ADA)[0]

    def backups(self) -> list[Path]:
        return sorted(path for path in (self.folder / "backups").iterdir() if not path.name.endswith(".manifest.json"))


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    yard = Yard(tmp_path)
    yard.fill(LIST)
    request = ExportRequest(
        "pool",
        "pool.json",
        "json",
        sinks=(SinkRequest("disk", "backups"),),
        credentials=CredentialMode.FULL,
        compress=False,
    )
    yard.engine().templates.save("backup", request, user=ADA)
    yield yard
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name not in {"list.txt", "pool.json"}]
    assert [path for path in written if CANARY.encode() in path.read_bytes()] == []


def test_a_sealed_backup_of_an_unchanged_pool_is_not_sent_again(yard: Yard) -> None:
    yard.schedule("backups", ScheduleKind.EXPORT, 2, unchanged=True)
    yard.work(2, 2)
    yard.work(3, 2)
    assert yard.newest("backups").unchanged
    assert len(yard.backups()) == 1
    # Only a password: the columns that are not sealed are the same.
    pool = yard.folder / "pool.json"
    text = pool.read_text()
    assert f"{CANARY}-7" in text
    pool.write_text(text.replace(f"{CANARY}-7", f"{CANARY}-8x"))
    yard.work(4, 2)
    assert not yard.newest("backups").unchanged
    yard.work(5, 2)
    assert yard.newest("backups").unchanged
    assert len(yard.backups()) == 2


def test_a_drill_says_whether_the_newest_backup_can_be_restored(yard: Yard) -> None:
    yard.schedule("backups", ScheduleKind.EXPORT, 2)
    yard.schedule("drill", ScheduleKind.DRILL, 3)
    yard.work(2, 2)
    yard.work(2, 3)
    slot = yard.newest("drill")
    assert slot.outcome == "completed"
    assert slot.note.startswith("Restorable, 0 differences: 10 proxies of backup pool_20261102T020000Z_ada.json")
    yard.fill("http://late:one@new.example.com:8080\n")
    yard.work(3, 3)
    slot = yard.newest("drill")
    # The newest is of the slot at 2 that came first.
    assert "Restorable, 0 differences: 11 proxies" in slot.note
    yard.engine().schedules.pause("backups", ADA)
    yard.fill("http://later:one@newer.example.com:8080\n")
    yard.work(4, 3)
    slot = yard.newest("drill")
    assert (slot.outcome, "1 proxy only in the pool" in slot.note) == ("completed", True)
    reports = sorted((yard.folder / "drills").glob("drill_*.json.gz"))
    assert len(reports) == 3
    assert slot.job is not None
    assert yard.engine().jobs.show(slot.job, ADA).rows == 1


@pytest.mark.parametrize(
    ("harm", "said"),
    [("another key", "key"), ("a changed byte", ""), ("a file that is gone", "is not where it was put")],
)
def test_a_drill_that_cannot_restore_fails_with_the_reason(yard: Yard, harm: str, said: str) -> None:
    yard.schedule("backups", ScheduleKind.EXPORT, 2)
    yard.schedule("drill", ScheduleKind.DRILL, 3)
    yard.work(2, 2)
    (backup,) = yard.backups()
    if harm == "another key":
        yard.keys = ("other",)
    elif harm == "a changed byte":
        content = backup.read_bytes()
        backup.write_bytes(content.replace(b"h3.example.com", b"h3.example.net", 1))
    else:
        backup.unlink()
    before = (yard.folder / "pool.json").read_bytes()
    yard.work(2, 3)
    slot = yard.newest("drill")
    assert slot.outcome == "failed"
    assert said in slot.note
    assert len(slot.note) > len("failed: ")
    assert (yard.folder / "pool.json").read_bytes() == before
    assert not (yard.folder / "drills").exists() or list((yard.folder / "drills").iterdir()) == []


def test_a_drill_without_a_backup_fails_and_a_test_of_it_is_for_whoever_asks(yard: Yard) -> None:
    yard.schedule("drill", ScheduleKind.DRILL, 3)
    yard.work(2, 3)
    assert "There is no backup of ada by the template 'backup' on this machine" in yard.newest("drill").note
    engine = yard.engine()
    # By hand, with the template's name: it is a backup like those of a schedule.
    yard.now += timedelta(hours=1)
    request = engine.templates.request("backup", ADA)
    pool = str(yard.folder / "pool.json")
    sink = SinkRequest("disk", str(yard.folder / "backups"))
    engine.export(attrs.evolve(request, location=pool, sinks=(sink,)), user=ADA, template="backup")
    mine = SinkRequest("disk", str(yard.folder / "mine"))
    result = engine.test_schedule("drill", sinks=(mine,), user=ADA)
    assert result.notes[0].startswith("Restorable, 0 differences: 10 proxies")
    (report,) = (yard.folder / "mine").glob("*.json.gz.manifest.json")
    assert json.loads(report.read_text())["source"]["plugin"]["name"] == "drill"


def test_backups_are_known_by_what_they_are_and_not_by_a_name(yard: Yard) -> None:
    yard.schedule("backups", ScheduleKind.EXPORT, 2)
    yard.schedule("drill", ScheduleKind.DRILL, 3)
    yard.work(2, 2)
    engine = yard.engine()
    engine.templates.edit("backup", ADA, new_name="sealed")
    # With the template, and of one proxy only: no backup.
    request = attrs.evolve(engine.templates.request("sealed", ADA), where=("port = 1",))
    pool, sink = str(yard.folder / "pool.json"), SinkRequest("disk", str(yard.folder / "oneoff"))
    engine.export(attrs.evolve(request, location=pool, sinks=(sink,)), user=ADA, template="sealed")
    yard.work(2, 3)
    assert yard.newest("drill").note.startswith("Restorable, 0 differences: 10 proxies")


def test_what_a_killed_drill_left_is_gone_when_a_worker_starts(yard: Yard) -> None:
    left = yard.folder / "home" / "staging" / f"{PREFIX}abc" / "pool"
    left.mkdir(parents=True)
    (left / "pool.json").write_text(LIST)
    yard.work(2, 1)
    assert not left.parent.exists()
