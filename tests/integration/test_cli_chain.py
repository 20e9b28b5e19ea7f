from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from tailrace import Context, Engine, ExportRequest, SinkRequest
from tailrace.files.publish import manifest_path
from tailrace.model.manifest import IncrementRecord, PreviousFile
from tailrace.pipeline.export import run
from tailrace.settings import Settings, VaultSettings

FIRST = datetime(2026, 11, 1, tzinfo=UTC)
LATER = timedelta(hours=1)
Cli = Callable[..., Any]
Make = Callable[..., list[Path]]


def _given(moment: datetime) -> datetime:
    return moment


@pytest.fixture
def increments(elsewhere: Path, tmp_path: Path) -> Make:
    """Makes increments into the folder ``kept``; by the hour, the first from the beginning."""
    (elsewhere / "log.csv").write_text(
        "timestamp,success\n"
        + "".join(f"{FIRST + timedelta(minutes=20 * number):%Y-%m-%dT%H:%M:%SZ},true\n" for number in range(-3, 12))
    )

    def make(*bounds: datetime, chain: str = "hourly", signing_key: str = "", **changes: Any) -> list[Path]:
        made: list[Path] = []
        previous: tuple[PreviousFile, ...] = ()
        for number, until in enumerate(bounds, start=1):
            settings = Settings(home=tmp_path / "home", user="tester", vault=VaultSettings(signing_key=signing_key))
            engine = Engine(settings, clock=partial(_given, until))
            since = bounds[number - 2] if number > 1 else None
            request = ExportRequest(
                "analytics",
                "log.csv",
                "csv",
                sinks=(SinkRequest("disk", "kept"),),
                since=since.isoformat() if since else None,
                until=until.isoformat(),
            )
            prepared = engine._preparation.ready(attrs.evolve(request, **changes), engine.system_user)  # noqa: SLF001
            increment = IncrementRecord(chain, number, since, until, previous)
            job = attrs.evolve(prepared, increment=increment)
            (artifact,) = run(job, context=Context(), scratch=tmp_path).result.artifacts
            assert artifact.path is not None
            file = artifact.manifest.file
            previous = (PreviousFile(file.name, file.sha256, ("requests",)),)
            made.append(artifact.path)
        return made

    return make


def remove(path: Path) -> None:
    path.unlink()
    manifest_path(path).unlink()


def test_a_chain_that_is_whole(cli: Cli, increments: Make) -> None:
    increments(*(FIRST + LATER * hour for hour in range(3)))
    answer = cli("verify", "--chain", "kept")
    assert answer.err == ""
    assert answer.code == 0
    assert answer.out.splitlines() == [
        "Chain hourly, table requests",
        "    no.  from (UTC)        until (UTC)       rows  file",
        "ok    1  the beginning     2026-11-01 00:00     3  …101T000000Z_tester.csv.gz",
        "ok    2  2026-11-01 00:00  2026-11-01 01:00     3  …101T010000Z_tester.csv.gz",
        "ok    3  2026-11-01 01:00  2026-11-01 02:00     3  …101T020000Z_tester.csv.gz",
        "Chain of 3 increments, the beginning to 2026-11-01 02:00Z without gap or",
        "overlap: 9 rows.",
        "",
        "Trust: unsigned, nobody vouches for it: digests tell damage, not forgery.",
    ]


def test_what_is_wrong_is_told_in_eighty_columns(cli: Cli, increments: Make) -> None:
    first, second, third = increments(*(FIRST + timedelta(hours=hour, seconds=5) for hour in range(3)))
    remove(second)
    third.write_bytes(b"")
    cli("export", "analytics", "--from", "log.csv", "--format", "csv", "--to", "kept", "--quiet")
    (first.parent / "odd.csv.manifest.json").write_text("{")
    answer = cli("verify", "--chain", "kept")
    assert answer.code == 3
    assert max(map(len, answer.out.splitlines())) <= 80
    lines = answer.out.splitlines()
    assert lines[2].split()[:2] == ["ok", "1"]
    assert lines[3].split()[:3] == ["wrong", "3", "2026-11-01"]
    told = " ".join(answer.out.split())
    assert "missing Increment 2 is missing: nothing is here from 2026-11-01 00:00:05Z to 2026-11-01 01:00:05Z." in told
    assert f"damaged {third.name}: size: 0 bytes instead of " in told
    assert "Not a whole chain: 2 problems." in told
    assert "unreadable odd.csv.manifest.json: The manifest is not valid JSON." in told
    assert "1 file cannot be read: whether it belongs to a chain is not known." in told
    assert "Left aside, as no increment: analytics_" in told


def test_bounds_with_microseconds_fit_too(cli: Cli, increments: Make) -> None:
    increments(*(FIRST + timedelta(hours=hour, microseconds=1) for hour in range(2)))
    answer = cli("verify", "--chain", "kept")
    assert answer.code == 0
    assert max(map(len, answer.out.splitlines())) <= 80
    assert "the beginning to 2026-11-01 01:00:00.000001Z without gap" in " ".join(answer.out.split())


def test_several_chains_and_places(cli: Cli, increments: Make) -> None:
    hours = [FIRST + LATER * hour for hour in range(3)]
    one = increments(*hours)
    other = increments(*hours, chain="other", sinks=(SinkRequest("disk", "far"),))
    remove(other[1])
    answer = cli("verify", "--chain", "far", *one)
    assert answer.code == 3
    assert "Chain of 3 increments" in answer.out
    assert "Not a whole chain: 1 problem." in answer.out
    document = cli("verify", "--chain", "far", *one, "--json").document
    assert (document["ok"], [(chain["id"], chain["ok"]) for chain in document["chains"]]) == (
        False,
        [("hourly", True), ("other", False)],
    )
    assert document["chains"][0]["rows"] == 9
    assert document["chains"][0]["increments"][1] == {
        "number": 2,
        "since": "2026-11-01T00:00:00.000000Z",
        "until": "2026-11-01T01:00:00.000000Z",
        "rows": 3,
        "file": str(one[1]),
        "copies": [],
        "ok": True,
        "trust": {"trust": "unsigned", "detail": "nobody vouches for it: digests tell damage, not forgery"},
    }
    assert [problem["kind"] for problem in document["chains"][1]["problems"]] == ["missing"]
    assert cli("verify", "--chain", "kept").code == 0


def test_one_increment_is_a_chain_and_an_ordinary_file(cli: Cli, increments: Make) -> None:
    (path,) = increments(FIRST)
    assert "Chain of 1 increment, the beginning to 2026-11-01 00:00Z" in cli("verify", "--chain", path).out
    assert cli("verify", path).code == 0
    assert "  increment    1 of chain hourly\n" in cli("inspect", path).out
    assert cli("inspect", path, "--json").document["manifest"]["increment"]["number"] == 1


def test_different_grounds_of_trust_are_counted(cli: Cli, increments: Make) -> None:
    assert cli("keys", "new", "signing", "signing.key").code == 0
    increments(*(FIRST + LATER * hour for hour in range(3)), signing_key="file:signing.key")
    assert cli("verify", "--chain", "kept").out.splitlines()[-1] == "Trust: first use (1), known (2)."
    assert cli("verify", "--chain", "kept").out.splitlines()[-1].startswith("Trust: known, signed by sk-")


def test_many_others_are_counted(cli: Cli, increments: Make, elsewhere: Path) -> None:
    increments(FIRST, FIRST + LATER)
    (elsewhere / "lines.csv").write_text("timestamp,success\n2026-11-01T00:00:00Z,true\n")
    for number in range(12):
        options = ("--option", f"filename={number}.csv.gz", "--to", "kept", "--quiet")
        assert cli("export", "analytics", "--from", "lines.csv", "--format", "csv", *options).code == 0
    answer = cli("verify", "--chain", "kept")
    assert answer.code == 0
    assert ".csv.gz, and 2 more." in " ".join(answer.out.split())


def test_places_without_increments(cli: Cli, elsewhere: Path) -> None:
    (elsewhere / "empty").mkdir()
    answer = cli("verify", "--chain", "empty")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("error: Nothing in empty is an increment.\n")
    assert cli("verify", "--chain", "nowhere").code == 1
