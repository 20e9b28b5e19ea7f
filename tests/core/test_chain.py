import gzip
import json
import os
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest
from tailrace_sdk.fakes import memory_table

from tailrace import CancelledError, Context, Engine, ExportRequest, SinkRequest, SourceError
from tailrace.files.publish import manifest_path
from tailrace.model.manifest import IncrementRecord, Manifest, PreviousFile
from tailrace.pipeline.chain import Chain, ChainVerification, readable_moment
from tailrace.pipeline.export import run
from tailrace.settings import Settings, VaultSettings
from tailrace.vault.keys import SigningKey
from tailrace.vault.trust import Trust

DAY, MOMENT = timedelta(days=1), timedelta(microseconds=1)
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = [FIRST + DAY * number for number in range(6)]
LOG = "timestamp,endpoint,success,response_time_ms\n" + "".join(
    f"{moment:%Y-%m-%dT%H:%M:%S.%fZ},{endpoint},{success},{number}\n"
    for number, (moment, endpoint, success) in enumerate(
        [
            (FIRST - MOMENT, "/before", "true"),
            (FIRST, "/first", "true"),
            (FIRST + DAY - MOMENT, "/last", "false"),
            *((FIRST + DAY, f"/at-once/{number}", "true") for number in range(3)),
            (FIRST + DAY + MOMENT, "/behind", "false"),
            (FIRST + 2 * DAY - MOMENT, '"/a ""b"", c"', "true"),
            (FIRST + 2 * DAY, "/bound", "true"),
            (FIRST + 3 * DAY + timedelta(hours=5), "/later", "false"),
            (FIRST + 4 * DAY + timedelta(hours=5), "/latest", "true"),
        ]
    )
)
TIMELESS = ",/timeless,true,99\n"


def exported(engine: Engine, request: ExportRequest, increment: IncrementRecord) -> list[tuple[Path, Manifest]]:
    """Export as a schedule does: a request made ready, and which part of which chain it is."""
    prepared = engine._preparation.ready(request, engine.system_user)  # noqa: SLF001 - what schedules are built of
    made = run(attrs.evolve(prepared, increment=increment), context=Context(), scratch=engine.settings.home)
    return [(one.path, one.manifest) for one in made.result.artifacts if one.path]


def as_previous(manifests: Sequence[Manifest]) -> tuple[PreviousFile, ...]:
    return tuple(
        PreviousFile(one.file.name, one.file.sha256, tuple(table.name for table in one.tables)) for one in manifests
    )


@attrs.define
class Diary:
    """Exports a request log day by day.

    Args:
        root: Folder of the test.
        signing_key: Reference to the key that signs.
    """

    root: Path
    signing_key: str = ""

    def __attrs_post_init__(self) -> None:
        self.log.write_text(LOG)

    @property
    def log(self) -> Path:
        return self.root / "requests.csv"

    @property
    def folder(self) -> Path:
        return self.root / "increments"

    def engine(self, now: datetime = FIRST, **vault: Any) -> Engine:
        settings = Settings(home=self.root / "home", user="kim", vault=VaultSettings(**vault))
        return Engine(settings, clock=lambda: now)

    def request(self, **changes: Any) -> ExportRequest:
        wanted = ExportRequest("analytics", str(self.log), "csv", sinks=(SinkRequest("disk", str(self.folder)),))
        return attrs.evolve(wanted, **changes)

    def add(
        self,
        number: int,
        since: datetime | None,
        until: datetime,
        *before: Path,
        chain: str = "daily",
        later: timedelta = timedelta(hours=1),
        **changes: Any,
    ) -> Path:
        """An increment behind the file before; its name says when it was made: an hour behind its end."""
        engine = self.engine(until + later, signing_key=self.signing_key)
        previous = as_previous([engine.inspect(path).manifest for path in before])
        bounds = {"since": since and since.isoformat(), "until": until.isoformat()}
        record = IncrementRecord(chain, number, since, until, previous)
        ((path, _manifest),) = exported(engine, self.request(**bounds, **changes), record)
        return path

    def days(self, *, first: datetime | None = FIRST, chain: str = "daily", **changes: Any) -> list[Path]:
        """Five increments, from the first day on, or from the beginning."""
        paths: list[Path] = []
        bounds = [first, *DAYS[1:]]
        for number, (since, until) in enumerate(pairwise(bounds), start=1):
            assert until is not None
            paths.append(self.add(number, since, until, *paths[-1:], chain=chain, **changes))
        return paths

    def verified(self, *places: Path, **options: Any) -> ChainVerification:
        return self.engine().verify_chain(places or [self.folder], **options)

    def chain(self, *places: Path) -> Chain:
        (chain,) = self.verified(*places).chains
        return chain


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path)


def problems(chain: Chain) -> list[tuple[str, str]]:
    return [(one.kind, one.detail) for one in chain.problems]


def notes(chain: Chain) -> list[tuple[str, str]]:
    return [(one.kind, one.detail) for one in chain.notes]


def remove(*paths: Path) -> None:
    for path in paths:
        path.unlink()
        manifest_path(path).unlink()


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(manifest_path(path).read_bytes())
    change(document)
    manifest_path(path).write_text(json.dumps(document))


def content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def test_increments_that_join(diary: Diary) -> None:
    paths = diary.days()
    found = diary.verified()
    assert found.ok
    assert (found.unreadable, found.others) == ((), ())
    (chain,) = found.chains
    assert (chain.id, chain.tables, chain.problems, chain.notes) == ("daily", ("requests",), (), ())
    assert (chain.since, chain.until, chain.rows) == (DAYS[0], DAYS[5], 10)
    assert [(one.number, one.since, one.until, one.rows, one.file, one.ok) for one in chain.increments] == [
        (number, DAYS[number - 1], DAYS[number], rows, paths[number - 1], True)
        for number, rows in enumerate([2, 5, 1, 1, 1], start=1)
    ]
    assert {one.trust.trust for one in chain.increments if one.trust} == {Trust.UNSIGNED}


def test_the_manifest_says_which_part_of_the_chain_it_is(diary: Diary) -> None:
    first, second, *_ = diary.days(first=None)
    document = json.loads(manifest_path(second).read_bytes())
    assert document["schema_version"] == 2
    assert document["increment"] == {
        "chain": "daily",
        "number": 2,
        "since": "2026-11-02T00:00:00.000000Z",
        "until": "2026-11-03T00:00:00.000000Z",
        "previous": [
            {
                "name": first.name,
                "sha256": json.loads(manifest_path(first).read_bytes())["file"]["sha256"],
                "tables": ["requests"],
            }
        ],
    }
    began = json.loads(manifest_path(first).read_bytes())["increment"]
    assert (began["since"], began["previous"]) == (None, [])
    (artifact,) = diary.engine().export(diary.request()).artifacts
    assert artifact.path is not None
    assert "increment" not in json.loads(manifest_path(artifact.path).read_bytes())


@pytest.mark.parametrize(
    ("format_", "options", "head"),
    [("csv", {}, 1), ("json", {"layout": "lines"}, 0), ("csv", {"delimiter": ";", "bom": True}, 1)],
)
@pytest.mark.parametrize("first", [None, FIRST])
def test_all_increments_together_are_one_full_export(
    first: datetime | None, format_: str, options: dict[str, Any], head: int, diary: Diary
) -> None:
    form: dict[str, Any] = {"format": format_, "options": options}
    paths = diary.days(first=first, **form)
    assert diary.verified().ok
    whole = diary.request(since=first and first.isoformat(), until=DAYS[5].isoformat(), **form)
    (artifact,) = diary.engine().export(whole).artifacts
    assert artifact.path is not None
    lines = content(artifact.path).splitlines(keepends=True)
    assert len(lines) - head == (11 if first is None else 10)
    together = [content(path).splitlines(keepends=True) for path in paths]
    assert [line for part in together for line in part[head:]] == lines[head:]
    assert all(part[:head] == lines[:head] for part in together)


def test_a_log_that_grows_meanwhile(diary: Diary) -> None:
    lines = LOG.splitlines(keepends=True)
    paths: list[Path] = []
    for number, (since, until) in enumerate(pairwise([None, *DAYS[1:]]), start=1):
        assert until is not None
        # What is behind the end when it is exported comes with the next one.
        diary.log.write_text("".join(line for line in lines if line[:10] <= f"{until:%Y-%m-%d}" or line == lines[0]))
        paths.append(diary.add(number, since, until, *paths[-1:]))
    assert diary.verified().ok
    (artifact,) = diary.engine().export(diary.request()).artifacts
    assert artifact.path is not None
    rows = [line for path in paths for line in content(path).splitlines()[1:]]
    assert rows == content(artifact.path).splitlines()[1:]
    assert len(rows) == 11


@pytest.mark.parametrize(
    ("bounds", "there"),
    [({}, True), ({"until": DAYS[5].isoformat()}, False), ({"since": FIRST.isoformat()}, False)],
)
def test_rows_without_a_time_are_in_no_range(
    bounds: dict[str, str],
    there: bool,  # noqa: FBT001 - a parameter
    diary: Diary,
) -> None:
    diary.log.write_text(LOG + TIMELESS)
    paths = diary.days(first=None)
    assert diary.chain().rows == 11
    assert b"/timeless" not in b"".join(content(path) for path in paths)
    (artifact,) = diary.engine(DAYS[5]).export(diary.request(**bounds)).artifacts
    assert artifact.path is not None
    assert (b"/timeless" in content(artifact.path)) is there


def test_a_number_that_is_missing(diary: Diary) -> None:
    paths = diary.days()
    remove(paths[1])
    chain = diary.chain()
    assert not chain.ok
    detail = "Increment 2 is missing: nothing is here from 2026-11-02 00:00Z to 2026-11-03 00:00Z."
    assert problems(chain) == [("missing", detail)]
    assert chain.problems[0].files == (paths[0], paths[2])
    assert all(one.ok for one in chain.increments)
    remove(paths[2])
    detail = "Increments 2 to 3 are missing: nothing is here from 2026-11-02 00:00Z to 2026-11-04 00:00Z."
    assert problems(diary.chain()) == [("missing", detail)]


def test_a_number_that_is_missing_and_no_time(diary: Diary) -> None:
    first = diary.add(1, DAYS[0], DAYS[1])
    diary.add(3, DAYS[1], DAYS[2], first)
    detail = "Increment 2 is missing, although 3 does not begin behind 1."
    assert problems(diary.chain()) == [("missing", detail)]


def test_a_chain_that_begins_later_is_whole_and_told(diary: Diary) -> None:
    paths = diary.days()
    remove(*paths[:2])
    found = diary.verified()
    assert found.ok
    (chain,) = found.chains
    detail = "The chain begins with increment 3: what was before 2026-11-03 00:00Z is not here."
    assert notes(chain) == [("begins", detail)]
    assert (chain.since, chain.rows) == (DAYS[2], 3)


def test_a_gap(diary: Diary) -> None:
    first = diary.add(1, None, DAYS[1])
    diary.add(2, DAYS[1] + MOMENT, DAYS[2], first)
    detail = "2 does not begin where 1 ends: nothing is here from 2026-11-02 00:00Z to 2026-11-02 00:00:00.000001Z."
    assert problems(diary.chain()) == [("gap", detail)]


@pytest.mark.parametrize(
    ("since", "span"),
    [
        (DAYS[1] - timedelta(seconds=90), "2026-11-01 23:58:30Z to 2026-11-02 00:00Z"),
        (None, "the beginning to 2026-11-02 00:00Z"),
    ],
)
def test_an_overlap(since: datetime | None, span: str, diary: Diary) -> None:
    first = diary.add(1, None, DAYS[1])
    diary.add(2, since, DAYS[2], first)
    detail = f"2 begins before 1 ends: what is from {span} is in both."
    assert problems(diary.chain()) == [("overlap", detail)]


def test_an_overlap_beside_a_missing_number(diary: Diary) -> None:
    first = diary.add(1, None, DAYS[2])
    diary.add(4, DAYS[0], DAYS[1], first)
    assert problems(diary.chain()) == [
        ("missing", "Increments 2 to 3 are missing, although 4 does not begin behind 1."),
        ("overlap", "4 begins before 1 ends: what is from 2026-11-01 00:00Z to 2026-11-02 00:00Z is in both."),
    ]


def test_two_files_of_one_number(diary: Diary) -> None:
    first, second, *_ = diary.days()
    diary.log.write_text(LOG.replace("/behind", "/changed"))
    again = diary.add(2, DAYS[1], DAYS[2], first, later=timedelta(minutes=1))
    assert again < second
    chain = diary.chain()
    assert problems(chain) == [("twice", f"Increment 2 is here as 2 files that differ: {again.name}, {second.name}")]
    # The one that the third goes on from counts.
    assert chain.rows == 10
    assert [one.number for one in chain.increments] == [1, 2, 2, 3, 4, 5]


def test_the_newest_number_twice(diary: Diary) -> None:
    first = diary.add(1, DAYS[0], DAYS[1])
    one = diary.add(2, DAYS[1], DAYS[2], first)
    other = diary.add(2, DAYS[1], DAYS[3], first)
    chain = diary.chain()
    assert problems(chain) == [("twice", f"Increment 2 is here as 2 files that differ: {one.name}, {other.name}")]
    assert (chain.until, chain.rows) == (DAYS[2], 7)


def test_equal_copies_are_no_problem(diary: Diary, tmp_path: Path) -> None:
    paths = diary.days()
    shutil.copytree(diary.folder, tmp_path / "far")
    found = diary.verified(diary.folder, tmp_path / "far")
    assert found.ok
    (chain,) = found.chains
    assert chain.rows == 10
    assert chain.increments[0].copies == (tmp_path / "increments" / paths[0].name,)
    assert chain.increments[0].file == tmp_path / "far" / paths[0].name
    detail = f"Increment 1 is here 2 times, the same each time: {tmp_path / 'far' / paths[0].name}, {paths[0]}"
    assert notes(chain)[0] == ("copies", detail)
    # A copy that is spoiled is told, and the sound one stands for both.
    spoiled = tmp_path / "far" / paths[1].name
    spoiled.write_bytes(b"")
    (chain,) = diary.verified(diary.folder, tmp_path / "far").chains
    assert [(one.kind, one.files) for one in chain.problems] == [("damaged", (spoiled,))]
    assert (chain.increments[1].file, chain.increments[1].copies) == (paths[1], (spoiled,))
    assert [one.ok for one in chain.increments] == [True, False, True, True, True]


def test_equal_data_made_again_is_the_same_file(diary: Diary, tmp_path: Path) -> None:
    first, second, *_ = diary.days()
    remove(second)
    diary.add(2, DAYS[1], DAYS[2], first, later=timedelta(days=20))
    assert diary.verified().ok
    assert second.parent == tmp_path / "increments"


def test_the_same_file_by_several_names_is_there_once(diary: Diary, tmp_path: Path) -> None:
    paths = diary.days()
    (tmp_path / "latest.csv.gz").symlink_to(paths[-1])
    (tmp_path / "other").symlink_to(diary.folder)
    places = [*paths, *map(manifest_path, paths), diary.folder, tmp_path / "latest.csv.gz", tmp_path / "other"]
    found = diary.verified(*places)
    assert found.ok
    assert found.chains[0].notes == ()
    assert [one.file for one in found.chains[0].increments] == paths


def test_a_file_that_was_replaced(diary: Diary) -> None:
    first, second, third, *_ = diary.days()
    old = json.loads(manifest_path(second).read_bytes())["file"]["sha256"]
    remove(second)
    diary.log.write_text(LOG.replace("/behind", "/changed"))
    again = diary.add(2, DAYS[1], DAYS[2], first)
    new = json.loads(manifest_path(again).read_bytes())["file"]["sha256"]
    assert again == second
    detail = (
        f"Before {third.name} was {second.name} with SHA-256 {old}, and here is {second.name} with SHA-256 {new}: "
        "replaced, or made again."
    )
    chain = diary.chain()
    assert problems(chain) == [("replaced", detail)]
    assert chain.problems[0].files == (second, third)


def test_an_increment_that_names_nothing_before_it(diary: Diary) -> None:
    first = diary.add(1, DAYS[0], DAYS[1])
    second = diary.add(2, DAYS[1], DAYS[2])
    ((kind, detail),) = problems(diary.chain())
    assert kind == "replaced"
    assert detail.startswith(f"Before {second.name} was no file, and here is {first.name} with SHA-256 ")


def test_a_file_that_was_changed(diary: Diary) -> None:
    path = diary.days()[1]
    sound = content(path)
    path.write_bytes(gzip.compress(sound.replace(b"/behind", b"/changd")))
    chain = diary.chain()
    ((kind, detail),) = problems(chain)
    assert kind == "damaged"
    assert detail.startswith(f"{path.name}: ")
    assert "digest: SHA-256 " in detail
    assert [one.ok for one in chain.increments] == [True, False, True, True, True]


def test_a_file_that_is_gone_while_its_manifest_is_here(diary: Diary) -> None:
    path = diary.days()[1]
    path.unlink()
    chain = diary.chain()
    assert problems(chain) == [("damaged", f"{path.name}: {path} does not exist, only its manifest does.")]
    assert chain.increments[1].trust is None


def test_other_columns_and_filters(diary: Diary) -> None:
    first = diary.add(1, DAYS[0], DAYS[1])
    second = diary.add(2, DAYS[1], DAYS[2], first, columns=("timestamp", "endpoint"), where=("success",))
    diary.add(3, DAYS[2], DAYS[3], second, columns=("timestamp", "endpoint"), where=("success",))
    detail = f"{second.name} was made with other columns and filters than {first.name}: together they are no table."
    assert problems(diary.chain()) == [("differs", detail)]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"columns": ("when=timestamp", "endpoint")}, "columns"),
        ({"limit": 1}, "limit"),
        ({"time_zone": "Europe/Warsaw"}, "time zone"),
        ({"options": {"on_bad_rows": "report"}}, "options of the source"),
        ({"where": ("response_time_ms > 0",)}, "filters"),
    ],
)
def test_what_makes_another_table_of_it(changes: dict[str, Any], what: str, diary: Diary) -> None:
    first = diary.add(1, DAYS[0], DAYS[1])
    diary.add(2, DAYS[1], DAYS[2], first, **changes)
    ((kind, detail),) = problems(diary.chain())
    assert kind == "differs"
    assert f"was made with other {what} than" in detail


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"format": "json", "options": {"layout": "lines"}}, "format and options of the format"),
        ({"options": {"delimiter": ";"}}, "options of the format"),
        ({"sort": ("endpoint",)}, "order"),
    ],
)
def test_what_looks_otherwise_is_told_only(changes: dict[str, Any], what: str, diary: Diary) -> None:
    first = diary.add(1, DAYS[0], DAYS[1])
    second = diary.add(2, DAYS[1], DAYS[2], first, **changes)
    chain = diary.chain()
    assert chain.ok
    assert notes(chain) == [("form", f"{second.name} was made with other {what} than {first.name}.")]


def test_another_type_of_a_column_is_told_only(diary: Diary) -> None:
    # As with a log whose numbers are whole on one day.
    first = diary.add(1, DAYS[0], DAYS[1])
    second = diary.add(2, DAYS[1], DAYS[2], first)
    edit(second, lambda manifest: manifest["tables"][0]["columns"][3].update(type="Int64"))
    chain = diary.chain()
    assert chain.ok
    assert notes(chain) == [("form", f"{second.name} was made with other types of columns than {first.name}.")]


def test_chains_beside_each_other_and_what_is_none(diary: Diary) -> None:
    diary.days()
    remove(*diary.days(chain="other", later=timedelta(hours=2))[1:2])
    (artifact,) = diary.engine().export(diary.request()).artifacts
    found = diary.verified()
    assert not found.ok
    assert [(chain.id, chain.ok, len(chain.increments)) for chain in found.chains] == [
        ("daily", True, 5),
        ("other", False, 4),
    ]
    assert found.others == (artifact.path,)


def test_a_range_that_is_not_the_increments(diary: Diary) -> None:
    first, second, third, *_ = diary.days()
    edit(first, lambda manifest: manifest.update(time_range=None))
    edit(second, lambda manifest: manifest["time_range"].update(until="2026-11-02T12:00:00Z"))
    edit(third, lambda manifest: manifest["increment"].update(until="2026-11-02T00:00:00Z"))
    told = [detail for kind, detail in problems(diary.chain()) if kind == "range"]
    increment = "is increment {}, from 2026-11-0{} 00:00Z to 2026-11-0{} 00:00Z"
    assert told == [
        f"{first.name} {increment.format(1, 1, 2)}, and holds rows of any time: no range was applied.",
        f"{second.name} {increment.format(2, 2, 3)}, and holds rows from 2026-11-02 00:00Z to 2026-11-02 12:00Z.",
        f"{third.name} {increment.format(3, 3, 2)}: it ends before it begins.",
        f"{third.name} {increment.format(3, 3, 2)}, and holds rows from 2026-11-03 00:00Z to 2026-11-04 00:00Z.",
    ]


def test_signed_increments(diary: Diary) -> None:
    key = SigningKey.generate()
    (diary.root / "signing.key").write_text(key.text)
    (diary.root / "signing.key").chmod(0o600)
    diary.signing_key = f"file:{diary.root / 'signing.key'}"
    paths = diary.days()
    first = diary.chain()
    assert first.ok
    assert [one.trust.trust for one in first.increments if one.trust] == [Trust.FIRST_USE, *[Trust.KNOWN] * 4]
    # Whoever takes one out cannot hide it: the manifests behind it are signed.
    remove(paths[1])
    edit(paths[2], lambda manifest: manifest["increment"].update(number=2, since=DAYS[1].isoformat()))
    chain = diary.chain()
    ((kind, detail), *_) = problems(chain)
    assert (kind, detail) == (
        "damaged",
        f"{paths[2].name}: The signature does not belong to this manifest: one of them was changed.",
    )
    assert not chain.increments[1].ok
    remove(paths[2])
    edit(paths[3], lambda manifest: manifest.pop("increment"))
    found = diary.verified()
    assert found.others == (paths[3],)
    assert "missing" in [one.kind for one in found.chains[0].problems]


def test_an_increment_that_nobody_signed_among_signed_ones(diary: Diary) -> None:
    key = SigningKey.generate()
    (diary.root / "signing.key").write_text(key.text)
    (diary.root / "signing.key").chmod(0o600)
    diary.signing_key = f"file:{diary.root / 'signing.key'}"
    first = diary.add(1, DAYS[0], DAYS[1])
    diary.signing_key = ""
    second = diary.add(2, DAYS[1], DAYS[2], first)
    assert problems(diary.chain()) == [
        ("damaged", f"{second.name}: distrusted: not signed, although earlier exports of this source were")
    ]


def test_what_cannot_be_read_is_told(diary: Diary) -> None:
    paths = diary.days()
    manifest_path(paths[1]).write_text("{")
    edit(paths[2], lambda manifest: manifest.update(schema_version=9))
    edit(paths[3], lambda manifest: manifest["increment"].update(number=0))
    found = diary.verified(diary.folder, diary.log)
    assert not found.ok
    assert [one.detail.partition(": ")[2].splitlines()[0] for one in found.unreadable] == [
        "The manifest is not valid JSON.",
        "The manifest has schema version 9, this Tailrace reads up to 2.",
        "The manifest is not valid:",
        f"{diary.log} has no manifest beside it.",
    ]
    assert [one.files for one in found.unreadable] == [*((manifest_path(path),) for path in paths[1:4]), (diary.log,)]
    assert [one.kind for one in found.chains[0].problems] == ["missing"]
    only = diary.verified(diary.log)
    assert (only.ok, only.chains) == (False, ())


def test_places_without_increments(diary: Diary, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere does not exist"):
        diary.verified(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    for count, start in enumerate(("Nothing in", "Nothing in", "None of the 2 exports in")):
        if count:
            diary.engine(DAYS[count]).export(diary.request(sinks=(SinkRequest("disk", str(tmp_path / "empty")),)))
        with pytest.raises(SourceError) as caught:
            diary.verified(tmp_path / "empty")
        assert caught.value.message == f"{start} {tmp_path / 'empty'} is an increment."


def test_a_folder_that_cannot_be_looked_through(diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
    diary.days()
    closed = diary.folder / "closed"
    closed.mkdir()
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(closed))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceError) as caught:
        diary.verified()
    assert caught.value.message == f"{closed} cannot be looked through: Permission denied."


def test_checking_can_be_cancelled(diary: Diary) -> None:
    diary.days()
    context = Context()
    context.cancel()
    with pytest.raises(CancelledError):
        diary.verified(context=context)


def two_tables(bench: Any, **second: Any) -> None:
    bench.source.tables = [
        memory_table("a", {"id": [1, 2], "t": DAYS[:2]}, time_column="t"),
        memory_table("b", {"id": [3, 4], "t": DAYS[:2]}, **{"time_column": "t", **second}),
    ]


def increments_of(bench: Any, *, count: int = 3, options: dict[str, Any]) -> list[list[tuple[Path, Manifest]]]:
    made: list[list[tuple[Path, Manifest]]] = []
    for number, (since, until) in enumerate(pairwise(DAYS[: count + 1]), start=1):
        bench.clock = lambda until=until: until
        request = bench.request(since=since.isoformat(), until=until.isoformat(), options=options)
        previous = as_previous([manifest for _path, manifest in made[-1]]) if made else ()
        made.append(exported(bench.engine(), request, IncrementRecord("daily", number, since, until, previous)))
    return made


def test_a_file_per_table_is_a_chain_per_table(bench: Any) -> None:
    two_tables(bench)
    made = increments_of(bench, options={"together": False})
    assert [path.name for path, _manifest in made[0]] == [
        "memory-a_20261102T000000Z_kim.jsonl",
        "memory-b_20261102T000000Z_kim.jsonl",
    ]
    # Each names the one file that holds its table.
    for before, after in pairwise(made):
        for (path, old), (_path, new) in zip(before, after, strict=True):
            assert new.increment is not None
            assert new.increment.previous == as_previous([old])
            assert path.exists()
    found = bench.engine().verify_chain([bench.folder])
    assert found.ok
    assert [(chain.tables, chain.rows) for chain in found.chains] == [(("a",), 2), (("b",), 2)]
    remove(made[1][0][0], made[2][1][0])
    found = bench.engine().verify_chain([bench.folder])
    assert [problems(chain) for chain in found.chains] == [
        [("missing", "Increment 2 is missing: nothing is here from 2026-11-02 00:00Z to 2026-11-03 00:00Z.")],
        [],
    ]
    detail = "It ends with increment 2; other tables are here up to 3."
    assert [notes(chain) for chain in found.chains] == [[], [("ends", detail)]]


def test_tables_in_one_file_are_one_chain(bench: Any) -> None:
    two_tables(bench)
    increments_of(bench, options={"together": True})
    (chain,) = bench.engine().verify_chain([bench.folder]).chains
    assert (chain.ok, chain.tables, chain.rows) == (True, ("a", "b"), 4)


def test_a_table_without_times_is_whole_in_each_increment(bench: Any) -> None:
    two_tables(bench, time_column=None)
    increments_of(bench, options={"together": False})
    with_times, without = bench.engine().verify_chain([bench.folder]).chains
    assert with_times.ok
    assert [kind for kind, _detail in problems(without)] == ["range"] * 3


def test_moments_are_as_exact_as_they_are() -> None:
    assert readable_moment(None) == "the beginning"
    assert readable_moment(FIRST) == "2026-11-01 00:00Z"
    assert readable_moment(FIRST + timedelta(seconds=5)) == "2026-11-01 00:00:05Z"
    assert readable_moment(FIRST + MOMENT) == "2026-11-01 00:00:00.000001Z"
