import errno
import fcntl
import hashlib
import json
import logging
import os
import random
import re
import secrets
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest

from tailrace import publish
from tailrace.files import attempts
from tailrace.files import publish as publishing
from tailrace.files.attempts import Leftover, Revoked, leftovers, release, revoke, settle
from tailrace.files.publish import manifest_path
from tailrace.files.staging import FileTag, Role, role_of, staged_file, staged_name, sweep, tag_of, variant
from tailrace.model.errors import StorageError

JOB = "0b6f1c9e-6d0e-4f7b-9c53-2d1d7a2f4e11"
OTHER = "7d3d6a52-93b5-4a35-8a3c-0c8c1a9f0d22"
NEW = b"new"
OLD = b"old"


def manifest_of(job: str, content: bytes) -> bytes:
    """As much of a manifest as matters here."""
    file = {"name": "x", "sha256": hashlib.sha256(content).hexdigest()}
    return json.dumps({"export_id": job, "file": file}).encode()


def make(folder: Path, tag: FileTag | None, content: bytes = NEW) -> Path:
    """A staged file whose maker is gone."""
    path = folder / staged_name(tag)
    path.write_bytes(content)
    return path


def published(folder: Path, tag: FileTag, target: Path, *, overwrite: bool = False) -> Path:
    """Publish as an attempt that ends before what it did is written down; return the evidence."""
    with staged_file(folder, tag=tag) as (descriptor, path):
        os.write(descriptor, NEW)
        publish(path, target, manifest=manifest_of(tag.job, NEW), overwrite=overwrite)
    return path


def visible(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file() and path.name[0] != "."}


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


BOTH_NEW = {"x": NEW, "x.manifest.json": manifest_of(JOB, NEW)}
BOTH_OLD = {"x": OLD, "x.manifest.json": manifest_of(OTHER, OLD)}


# Names.


def test_names_without_a_tag_are_as_ever(tmp_path: Path) -> None:
    with staged_file(tmp_path) as (_descriptor, path):
        assert re.fullmatch(r"\.tailrace-[0-9a-f]{16}\.part", path.name)
        assert tag_of(path) is None
    assert list(tmp_path.iterdir()) == []


def test_names_tell_the_attempt(tmp_path: Path) -> None:
    tag = FileTag(JOB, 7)
    with staged_file(tmp_path, tag=tag) as (_descriptor, path):
        assert re.fullmatch(rf"\.tailrace-{JOB}\.7\.[0-9a-f]{{16}}\.part", path.name)
        assert (tag_of(path), role_of(path)) == (tag, Role.MADE)
        for role in (Role.NEW, Role.OLD):
            assert variant(path, role).name == path.name.replace(".part", f"-{role}.part")
            assert (tag_of(variant(path, role)), role_of(variant(path, role))) == (tag, role)
    # It was not published.
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.part", ".tailrace-{job}.1.part", ".tailrace-{job}.01.ab.part", "{job}.1.ab.part"])
def test_other_names_have_no_tag(name: str) -> None:
    assert tag_of(Path(name.format(job=JOB))) is None


@pytest.mark.parametrize(
    ("job", "fence"), [("", 1), (JOB.upper(), 1), (f"{JOB}0", 1), ("../" * 12, 1), (JOB, -1), (JOB, 10**19)]
)
def test_tags_that_cannot_be_part_of_a_name(job: str, fence: int) -> None:
    with pytest.raises(ValueError, match=r"'job'|'fence'"):
        FileTag(job, fence)


@pytest.mark.parametrize("fence", [0, 10**19 - 1])
def test_every_fence_can_be_read_again(fence: int) -> None:
    tag = FileTag(str(uuid.uuid4()), fence)
    assert tag_of(Path(staged_name(tag))) == tag


def test_everything_on_the_way_carries_the_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (tmp_path / "x").write_bytes(OLD)
    manifest_path(tmp_path / "x").write_bytes(manifest_of(OTHER, OLD))
    seen = set[Path]()

    def watch(name: str) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **more: Any) -> Any:
            seen.update(path for path in tmp_path.iterdir() if path.name.startswith("."))
            return real(*arguments, **more)

        monkeypatch.setattr(os, name, call)

    for name in ("link", "rename", "replace", "unlink"):
        watch(name)
    published(scratch, FileTag(JOB, 3), tmp_path / "x", overwrite=True)
    assert {tag_of(path) for path in seen} == {FileTag(JOB, 3)}
    assert {role_of(path) for path in seen} == {Role.MADE, Role.NEW, Role.OLD}


# Evidence.


@pytest.mark.parametrize("where", [".", "scratch"])
def test_what_was_published_is_known_until_it_is_settled(where: str, tmp_path: Path) -> None:
    folder = tmp_path / where
    folder.mkdir(exist_ok=True)
    tag = FileTag(JOB, 1)
    published(folder, tag, tmp_path / "x")
    assert visible(tmp_path) == BOTH_NEW
    (left,) = leftovers(tmp_path)
    assert (left.tag, left.published, left.alive) == (tag, True, False)
    assert left.path.samefile(tmp_path / "x")
    assert folder == tmp_path or list(folder.iterdir()) == []
    assert sweep(tmp_path) == 0
    assert settle(tmp_path, FileTag(JOB, 2)) == 0
    assert settle(tmp_path, tag) == 1
    assert hidden(tmp_path) == []
    assert visible(tmp_path) == BOTH_NEW
    assert settle(tmp_path / "gone", tag) == 0


def test_settling_while_the_maker_is_at_it(tmp_path: Path) -> None:
    tag = FileTag(JOB, 1)
    with staged_file(tmp_path, tag=tag) as (_descriptor, path):
        publish(path, tmp_path / "x")
        assert settle(tmp_path, tag) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_sweeping_keeps_evidence_only(tmp_path: Path) -> None:
    evidence = published(tmp_path, FileTag(JOB, 1), tmp_path / "x")
    aside = variant(make(tmp_path, FileTag(JOB, 1)), Role.OLD)
    aside.write_bytes(b"{}")
    make(tmp_path, FileTag(JOB, 2))
    make(tmp_path, None)
    with staged_file(tmp_path, tag=FileTag(JOB, 3)) as (_descriptor, alive):
        assert sweep(tmp_path) == 3
        assert hidden(tmp_path) == sorted([evidence.name, aside.name, alive.name])
    # Once the published file is gone, there is nothing left to know.
    (tmp_path / "x").unlink()
    assert sweep(tmp_path) == 1
    assert hidden(tmp_path) == [aside.name]


def test_leftovers(tmp_path: Path) -> None:
    make(tmp_path, None)
    (tmp_path / "user").write_bytes(b"")
    dead = make(tmp_path, FileTag(JOB, 1))
    second = variant(dead, Role.NEW)
    second.hardlink_to(dead)
    evidence = published(tmp_path, FileTag(OTHER, 1), tmp_path / "x")
    with staged_file(tmp_path, tag=FileTag(JOB, 2)) as (_descriptor, alive):
        aside = variant(alive, Role.OLD)
        aside.write_bytes(b"{}")
        aside.with_name("linked").hardlink_to(aside)
        found = {left.path: left for left in leftovers(tmp_path)}
    assert found == {
        # Two staged names of one file: nobody sees it.
        dead: Leftover(dead, FileTag(JOB, 1), published=False, alive=False),
        second: Leftover(second, FileTag(JOB, 1), published=False, alive=False),
        evidence: Leftover(evidence, FileTag(OTHER, 1), published=True, alive=False),
        alive: Leftover(alive, FileTag(JOB, 2), published=False, alive=True),
        # It is as alive as its attempt, and never counts as published by it.
        aside: Leftover(aside, FileTag(JOB, 2), published=False, alive=True),
    }
    assert list(leftovers(tmp_path / "gone")) == []
    with pytest.raises(StorageError, match="a part of the path is not a folder"):
        leftovers(tmp_path / "user")


def test_who_cannot_be_asked_counts_as_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    path = make(tmp_path, FileTag(JOB, 1))
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert list(leftovers(tmp_path)) == [Leftover(path, FileTag(JOB, 1), published=False, alive=True)]


def test_releasing_leaves_the_published_file(tmp_path: Path) -> None:
    evidence = published(tmp_path, FileTag(JOB, 1), tmp_path / "x")
    (left,) = leftovers(tmp_path)
    release(left)
    release(evidence)
    assert hidden(tmp_path) == []
    assert visible(tmp_path) == BOTH_NEW
    untagged = make(tmp_path, None)
    for path in (tmp_path / "x", untagged):
        with pytest.raises(ValueError, match="is not a staged file of an attempt at a job"):
            release(path)
        assert path.exists()


# Revoking what is dead.


def test_revoking_nothing(tmp_path: Path) -> None:
    assert revoke(tmp_path / "gone", JOB, below=9) == Revoked()
    assert revoke(tmp_path, JOB, below=9) == Revoked()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="a part of the path is not a folder"):
        revoke(tmp_path / "file", JOB, below=9)


def test_revoking_removes_the_manifest_first(tmp_path: Path) -> None:
    published(tmp_path, FileTag(JOB, 1), tmp_path / "x")
    make(tmp_path, FileTag(JOB, 1))
    target = tmp_path / "x"
    assert revoke(tmp_path, JOB, below=2) == Revoked(2, (manifest_path(target), target))
    assert list(tmp_path.iterdir()) == []
    assert revoke(tmp_path, JOB, below=2) == Revoked()


def test_all_that_one_attempt_published_goes(tmp_path: Path) -> None:
    tag = FileTag(JOB, 1)
    with staged_file(tmp_path, tag=tag) as (_descriptor, path):
        for name in ("a", "b"):
            publish(path, tmp_path / name, manifest=manifest_of(JOB, NEW))
    published(tmp_path, tag, tmp_path / "c")
    result = revoke(tmp_path, JOB, below=2)
    assert {path.name for path in result.published} == {
        f"{name}{more}" for name in "abc" for more in ("", ".manifest.json")
    }
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_the_attempts_stays(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    published(tmp_path, FileTag(OTHER, 1), tmp_path / "other")
    published(tmp_path, FileTag(JOB, 2), tmp_path / "later")
    make(tmp_path, FileTag(JOB, 10))
    make(tmp_path, None)
    published(tmp_path, FileTag(JOB, 1), tmp_path / "x")
    # Of another export, or of nobody: whose they are is said inside.
    for name, content in (("x", manifest_of(OTHER, NEW)), ("y", b"[]"), ("z", b"{"), ("zz", b"[" * 100_000)):
        if name != "x":
            with staged_file(tmp_path, tag=FileTag(JOB, 1)) as (_descriptor, path):
                publish(path, tmp_path / name)
        manifest_path(tmp_path / name).write_bytes(content)
    gone = {"x", "y", "z", "zz"}
    before = {path.name for path in tmp_path.iterdir()}
    before -= {left.path.name for left in leftovers(tmp_path) if left.tag == FileTag(JOB, 1)}
    assert {path.name for path in revoke(tmp_path, JOB, below=2).published} == gone
    assert {path.name for path in tmp_path.iterdir()} == before - gone


def test_links_and_folders_of_such_a_name_are_left(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    link, folder = (tmp_path / staged_name(FileTag(JOB, 1)) for _ in range(2))
    link.symlink_to(victim)
    folder.mkdir()
    published(tmp_path, FileTag(JOB, 1), tmp_path / "x")
    # Nor is a manifest that is none.
    manifest_path(tmp_path / "x").unlink()
    manifest_path(tmp_path / "x").symlink_to(victim)
    assert revoke(tmp_path, JOB, below=2).published == (tmp_path / "x",)
    assert link.is_symlink()
    assert folder.is_dir()
    assert manifest_path(tmp_path / "x").is_symlink()
    assert victim.read_bytes() == b"precious"
    assert [left.path for left in leftovers(tmp_path)] == []


def test_a_name_elsewhere_is_left_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "out").mkdir()
    published(tmp_path / "out", FileTag(JOB, 1), tmp_path / "out" / "x")
    (tmp_path / "backup").hardlink_to(tmp_path / "out" / "x")
    revoke(tmp_path / "out", JOB, below=2)
    assert list((tmp_path / "out").iterdir()) == []
    assert (tmp_path / "backup").read_bytes() == NEW
    assert caplog.messages == [
        f"job {JOB}: a file that was taken back from {tmp_path / 'out'} has another name elsewhere"
    ]


def test_without_hard_links_only_what_is_staged_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    published(tmp_path, FileTag(JOB, 1), tmp_path / "x")
    assert (hidden(tmp_path), visible(tmp_path)) == ([], BOTH_NEW)
    aside = variant(make(tmp_path, FileTag(JOB, 1)), Role.OLD)
    manifest_path(tmp_path / "x").rename(aside)
    assert revoke(tmp_path, JOB, below=2) == Revoked(1, (), (manifest_path(tmp_path / "x"),))
    assert (hidden(tmp_path), visible(tmp_path)) == ([], BOTH_NEW)


@pytest.mark.parametrize("name", ["../x", "", ".", "x/y", "gone", None, 3, "x\x00", "link"])
def test_a_manifest_goes_back_to_nothing_but_its_file(name: object, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(OLD)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "x")
    aside = variant(folder / staged_name(FileTag(JOB, 1)), Role.OLD)
    aside.write_text(json.dumps({"file": {"name": name, "sha256": hashlib.sha256(OLD).hexdigest()}}))
    assert revoke(folder, JOB, below=2) == Revoked(1)
    assert [path.name for path in folder.iterdir()] == ["link"]
    assert not manifest_path(tmp_path / "x").exists()


@pytest.mark.parametrize("content", [b"{}", b"[]", b'{"file": 1}', manifest_of(OTHER, b"another")])
def test_a_manifest_that_describes_another_file_does_not_go_back(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(OLD)
    variant(tmp_path / staged_name(FileTag(JOB, 1)), Role.OLD).write_bytes(content)
    assert revoke(tmp_path, JOB, below=2) == Revoked(1)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_manifest_that_is_there_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_bytes(OLD)
    aside = variant(tmp_path / staged_name(FileTag(JOB, 1)), Role.OLD)
    aside.write_bytes(manifest_of(OTHER, OLD))
    link = os.link

    def late(source: Path, target: Path) -> None:
        target.write_bytes(b"of this moment")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    revoke(tmp_path, JOB, below=2)
    assert visible(tmp_path) == {"x": OLD, "x.manifest.json": b"of this moment"}
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("name", ["x", f".tailrace-{JOB}.1.00-new.part"])
@pytest.mark.parametrize("moment", ["fsync", "unlink"])
def test_a_link_that_was_under_way_is_found(
    moment: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a system call that had found the staged file before its name was taken."""
    make(tmp_path, FileTag(JOB, 1))
    real, made = getattr(os, moment), list[Path]()

    def late(*arguments: Any, **more: Any) -> Any:
        if not made:
            (part,) = tmp_path.iterdir()
            assert role_of(part) is Role.TAKEN
            os.link(part, tmp_path / name)
            made.append(part)
        return real(*arguments, **more)

    monkeypatch.setattr(os, moment, late)
    assert revoke(tmp_path, JOB, below=2).published == ((tmp_path / "x",) if name == "x" else ())
    assert made
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_anothers_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(tmp_path, FileTag(JOB, 1), tmp_path / "x")
    real = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        """Whoever overwrites has the folder's lock, and revoking waits for it."""
        (tmp_path / "mine").write_bytes(b"mine")
        (tmp_path / "mine").replace(tmp_path / "x")
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    revoke(tmp_path, JOB, below=2)
    assert visible(tmp_path)["x"] == b"mine"
    assert hidden(tmp_path) == []


def test_names_that_are_guessed_twice_replace_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(tmp_path, FileTag(JOB, 1), tmp_path / "x")
    published(tmp_path, FileTag(JOB, 1), tmp_path / "y")
    numbers = iter([1, 1, 1, 2])
    monkeypatch.setattr(secrets, "token_hex", lambda size: f"{next(numbers):0{2 * size}}")
    revoke(tmp_path, JOB, below=2)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_removed_is_still_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(tmp_path, FileTag(JOB, 1), tmp_path / "x")
    real = os.unlink

    def refuse(path: Path, **more: Any) -> None:
        if Path(path).name == "x":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        real(path, **more)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(StorageError, match="permission is denied"):
        revoke(tmp_path, JOB, below=2)
    (left,) = leftovers(tmp_path)
    assert (left.tag, left.published) == (FileTag(JOB, 1), True)
    monkeypatch.setattr(os, "unlink", real)
    assert revoke(tmp_path, JOB, below=2).published == (tmp_path / "x",)
    assert list(tmp_path.iterdir()) == []


# Revoking what is stopped or killed, at every step of publishing.

# Each case is a fork. It stops or kills itself before a step: a call that changes something, or its return.
STEPS = """
import fcntl, json, os, shutil, signal, sys
from pathlib import Path
from tailrace import TailraceError, publish
from tailrace.files import attempts
from tailrace.files.attempts import revoke
from tailrace.files.staging import FileTag, staged_file

attempts._PATIENCE = 0.01
steps = 0

def step():
    global steps
    if steps == case["at"]:
        os.kill(os.getpid(), signal.SIGSTOP if case["how"] == "stop" else signal.SIGKILL)
    steps += 1

def stepwise(module, name):
    real = getattr(module, name)
    def call(*arguments, **more):
        step()
        try:
            return real(*arguments, **more)
        finally:
            step()
    setattr(module, name, call)

def copy_stepwise(source, sink, size):
    content = source.read()
    for half in (content[:1], content[1:]):
        step()
        sink.write(half)
        sink.flush()

def watch():
    for name in ("open", "chmod", "fchmod", "link", "rename", "replace", "unlink", "fsync", "close"):
        stepwise(os, name)
    stepwise(fcntl, "flock")
    shutil.copyfileobj = copy_stepwise

def attempt():
    with staged_file(Path(case["scratch"]), tag=FileTag(case["job"], 1)) as (descriptor, path):
        os.write(descriptor, case["content"].encode())
        watch()
        step()
        target = Path(case["folder"]) / "x"
        publish(path, target, manifest=case["manifest"].encode(), overwrite=case["overwrite"])
        step()

def revocation():
    watch()
    revoke(Path(case["folder"]), case["job"], below=2)

for line in sys.stdin:
    case = json.loads(line)
    pid = os.fork()
    if pid == 0:
        error = message = None
        try:
            {"attempt": attempt, "revocation": revocation}[case["work"]]()
        except TailraceError as raised:
            error, message = type(raised).__name__, raised.message
        except BaseException as raised:
            error, message = repr(raised), ""
        sys.stdout.write(json.dumps({"error": error, "message": message, "steps": steps}) + "\\n")
        sys.stdout.flush()
        os._exit(0)
    status = os.waitpid(pid, os.WUNTRACED)[1]
    if os.WIFSTOPPED(status):
        print('"stopped"', flush=True)
        os.kill(pid, getattr(signal, sys.stdin.readline().strip()))
        status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        print('"killed"', flush=True)
"""


@attrs.frozen
class Server:
    process: "subprocess.Popen[str]"

    def say(self, text: str) -> Any:
        """Say something; return the answer."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def run(self, work: str, folder: Path, **case: Any) -> Any:
        """Start it; return how it ended, or ``"stopped"``, ``"killed"``."""
        usual = {
            "folder": str(folder),
            "scratch": str(folder),
            "job": JOB,
            "content": NEW.decode(),
            "manifest": manifest_of(JOB, NEW).decode(),
            "overwrite": False,
            "at": None,
            "how": "stop",
        }
        return self.say(json.dumps(usual | {"work": work} | case))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    process = subprocess.Popen(
        [sys.executable, "-c", STEPS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    yield Server(process)
    process.communicate()


@attrs.frozen
class Case:
    """An attempt that publishes from a folder, into one that holds nothing or the old file."""

    server: Server
    folder: Path
    scratch: Path
    overwrite: bool

    def start(self, at: int | None = None, how: str = "stop") -> Any:
        """Start it anew."""
        for folder in (self.folder, self.scratch):
            folder.mkdir(exist_ok=True)
            for path in folder.iterdir():
                path.unlink()
        if self.overwrite:
            (self.folder / "x").write_bytes(OLD)
            manifest_path(self.folder / "x").write_bytes(manifest_of(OTHER, OLD))
        return self.server.run(
            "attempt", self.folder, scratch=str(self.scratch), overwrite=self.overwrite, at=at, how=how
        )

    def revoke(self) -> None:
        """Revoke it, where it was staged first."""
        for folder in dict.fromkeys((self.scratch, self.folder)):
            revoke(folder, JOB, below=2)

    def check_revoked(self, *, at: int) -> None:
        """What must hold from now on: nothing is visible, or the old file as it was."""
        seen = visible(self.folder)
        assert seen == {} or (self.overwrite and seen == BOTH_OLD), at

    def take_over(self) -> None:
        """Publish as the next attempt."""
        published(self.scratch, FileTag(JOB, 2), self.folder / "x", overwrite=self.overwrite)
        for folder in (self.scratch, self.folder):
            settle(folder, FileTag(JOB, 2))

    def check_taken_over(self, *, at: int) -> None:
        """The file is there, once, and nothing else."""
        assert visible(self.folder) == BOTH_NEW, at
        assert (hidden(self.folder), hidden(self.scratch)) == ([], []), at


@pytest.fixture(params=["beside", "beside, overwriting", "copied", "copied, overwriting"])
def case(request: pytest.FixtureRequest, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setattr(attempts, "_PATIENCE", 0.01)
    monkeypatch.setattr(publishing, "_PATIENCE", 0.01)
    folder = tmp_path / "out"
    scratch = folder if "beside" in request.param else tmp_path / "scratch"
    return Case(server, folder, scratch, "overwriting" in request.param)


def steps_of(case: Case) -> range:
    """The steps of an attempt that nobody disturbs."""
    done = case.start()
    assert done["error"] is None
    assert visible(case.folder) == BOTH_NEW
    return range(done["steps"])


def test_stopped_anywhere_and_going_on(case: Case) -> None:
    told = list[str]()
    steps = steps_of(case)
    for at in steps:
        assert case.start(at) == "stopped", at
        case.revoke()
        case.check_revoked(at=at)
        ended = case.server.say("SIGCONT")
        case.check_revoked(at=at)
        assert hidden(case.folder) == [], at
        told.append(ended["error"])
        assert ended["error"] in {"StorageError", None}, ended
    # Once everything has its name, there is nothing left that could fail.
    assert told == sorted(told, key=lambda error: error is None)
    assert told[0] == "StorageError"
    assert told[-1] is None


@pytest.mark.parametrize("signal", ["SIGCONT", "SIGKILL"])
def test_stopped_anywhere_and_going_on_or_killed_after_the_next_attempt(case: Case, signal: str) -> None:
    for at in steps_of(case):
        assert case.start(at) == "stopped", at
        case.revoke()
        case.take_over()
        assert visible(case.folder) == BOTH_NEW, at
        case.server.say(signal)
        case.check_taken_over(at=at)


def test_killed_anywhere(case: Case) -> None:
    for at in steps_of(case):
        assert case.start(at, "kill") == "killed", at
        for folder in (case.scratch, case.folder):
            sweep(folder)
        case.revoke()
        case.check_revoked(at=at)
        assert (hidden(case.folder), hidden(case.scratch)) == ([], []), at
        case.take_over()
        case.check_taken_over(at=at)


def test_a_stopped_attempt_is_told_why(server: Server, tmp_path: Path) -> None:
    assert server.run("attempt", tmp_path, at=0) == "stopped"
    (left,) = leftovers(tmp_path)
    assert (left.tag, left.published, left.alive) == (FileTag(JOB, 1), False, True)
    assert sweep(tmp_path) == 0
    assert revoke(tmp_path, JOB, below=2) == Revoked(1)
    ended = server.say("SIGCONT")
    assert ended["error"] == "StorageError"
    assert ended["message"] == (
        f"{left.path} was taken away before it was published: another attempt has job {JOB} by now."
    )
    assert list(tmp_path.iterdir()) == []


def test_whoever_overwrites_does_not_wait_for_the_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    monkeypatch.setattr(publishing, "_PATIENCE", 0.1)
    started = time.monotonic()
    with staged_file(tmp_path) as (_descriptor, path):
        publish(path, tmp_path / "x", overwrite=True)
    assert 0.1 < time.monotonic() - started < 5
    os.close(holder)


def test_a_revocation_that_is_killed_anywhere_can_be_done_again(case: Case) -> None:
    steps = steps_of(case)

    def killed(stage: int) -> None:
        """An attempt that was killed there."""
        assert case.start(stage, "kill") == "killed"
        if case.scratch != case.folder:
            revoke(case.scratch, JOB, below=2)

    for stage in (0, len(steps) // 2, len(steps) * 3 // 4, len(steps) - 1):
        killed(stage)
        whole = case.server.run("revocation", case.folder)
        assert whole["error"] is None
        for at in range(whole["steps"]):
            killed(stage)
            assert case.server.run("revocation", case.folder, at=at, how="kill") == "killed", at
            for left in leftovers(case.folder):
                assert left.tag == FileTag(JOB, 1), at
            sweep(case.folder)
            revoke(case.folder, JOB, below=2)
            case.check_revoked(at=at)
            assert hidden(case.folder) == [], at
            assert revoke(case.folder, JOB, below=2) == Revoked()


RACER = """
import os, sys
from pathlib import Path
from tailrace import StorageError, publish
from tailrace.files.staging import FileTag, staged_file
folder, job, manifest, overwrite = Path(sys.argv[1]), sys.argv[2], sys.argv[3].encode(), sys.argv[4] == "True"
while True:
    with staged_file(folder, tag=FileTag(job, 1)) as (descriptor, path):
        os.write(descriptor, b"new")
        print("ready", flush=True)
        if not sys.stdin.readline():
            break
        try:
            publish(path, folder / "x", manifest=manifest, overwrite=overwrite)
            said = "published"
        except StorageError as error:
            said = f"refused: {error.message}"
    print(said, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("overwrite", [False, True])
def test_revoking_and_publishing_at_once(tmp_path: Path, *, overwrite: bool) -> None:
    racer = subprocess.Popen(
        [sys.executable, "-c", RACER, tmp_path, JOB, manifest_of(JOB, NEW).decode(), str(overwrite)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert racer.stdin
    assert racer.stdout
    chance, span = random.Random(20), 0.0
    told = {"published": 0, "refused": 0}
    end = time.monotonic() + 4
    for number in range(200):
        assert racer.stdout.readline() == "ready\n"
        started = time.monotonic()
        racer.stdin.write("go\n")
        if number == 0:
            # How long it takes, when nobody interferes.
            assert racer.stdout.readline() == "published\n"
            span = min(time.monotonic() - started, 0.05)
            revoke(tmp_path, JOB, below=2)
        else:
            delay = span * 1.2 * chance.random()
            while time.monotonic() - started < delay:
                pass
            revoke(tmp_path, JOB, below=2)
            assert visible(tmp_path) == {}, number
            told[racer.stdout.readline().strip().partition(":")[0]] += 1
        assert visible(tmp_path) == {}, number
        assert hidden(tmp_path) == [], number
        racer.stdin.write("on\n")
        if time.monotonic() > end:
            break
    with suppress(BrokenPipeError):
        racer.communicate()
    assert told["refused"] > 0


def test_sweepers_revokers_and_publishers_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Two who revoke the same do not get into each other's way."""
    import threading

    caplog.set_level(logging.ERROR)
    problems = list[BaseException]()
    end = time.monotonic() + 0.5

    def again(work: Any) -> None:
        try:
            while time.monotonic() < end:
                work()
        except BaseException as error:  # noqa: BLE001 - it is the result
            problems.append(error)

    def attempt() -> None:
        with suppress(StorageError):
            published(tmp_path, FileTag(JOB, 1), tmp_path / secrets.token_hex(4))

    works = [attempt, attempt, *[lambda: revoke(tmp_path, JOB, below=2)] * 2, lambda: sweep(tmp_path)]
    threads = [threading.Thread(target=again, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    revoke(tmp_path, JOB, below=2)
    assert list(tmp_path.iterdir()) == []
