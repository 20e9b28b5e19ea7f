"""What ``tailrace export --estimate`` says beside rows and bytes."""

from pathlib import Path
from typing import Any

import pytest

from tailrace.cli.export import lesson
from tailrace.model.job import Learnt

Cli = Any


@pytest.fixture
def words(lines_file: Path) -> tuple[str | Path, ...]:
    return ("lines", "--from", lines_file, "--format", "csv", "--to", "out")


def test_what_it_fits_is_said_below_the_table(cli: Cli, words: Any, elsewhere: Path) -> None:
    answer = cli("export", *words, "--estimate")
    assert (answer.code, answer.err) == (0, "")
    table, fits = answer.out.split("\n\n")
    assert len(table.splitlines()) == 2
    assert all(len(line) <= 80 for line in fits.splitlines())
    by_channel = {line.split()[1]: line for line in fits.splitlines() if not line.startswith(" ")}
    assert by_channel["Excel"].startswith("✓  Excel ")
    assert by_channel["disk"].startswith("✓  disk ")
    assert "Removed from 20" in by_channel["retention"]
    assert not (elsewhere / "out").exists()


def test_each_judgement_has_a_mark_of_its_own(cli: Cli, lines_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILRACE_RETENTION_TOTAL_SIZE", "1")
    words = ("lines", "--from", lines_file, "--format", "json", "--to", "x")
    fits = cli("export", *words, "--estimate").out.split("\n\n")[1]
    marks = {line.split()[1]: line[0] for line in fits.splitlines() if not line.startswith(" ")}
    assert (marks["Excel"], marks["disk"], marks["retention"]) == ("✗", "✓", "✗")


def test_programs_get_the_same(cli: Cli, words: Any) -> None:
    estimate = cli("export", *words, "--estimate", "--json").document["estimate"]
    excel = estimate["fits"][0]
    assert (excel["channel"], excel["fits"]) == ("Excel", True)
    assert estimate["learnt"] is None
    assert estimate["sampled_bytes"] is None
    assert estimate["tables"][0]["columns"] == 1
    # Nobody asked what it fits.
    assert cli("export", *words, "--json").document["estimate"]["fits"] == []


def test_an_estimate_tells_what_earlier_runs_of_the_template_taught(cli: Cli, words: Any) -> None:
    assert cli("templates", "save", "nightly", *words, "--option", "overwrite=true").code == 0
    asked = ("export", "--template", "nightly")
    assert "Learnt" not in cli(*asked, "--estimate").out
    for _ in range(3):
        assert cli(*asked).code == 0
    told = cli(*asked, "--estimate").out.split("\n\n")[2]
    assert " ".join(told.split()) == (
        "Learnt from 3 earlier runs of template nightly: ×1, within ±0 % of what came out (all of them)."  # noqa: RUF001 - as it is printed
    )
    learnt = cli(*asked, "--estimate", "--json").document["estimate"]["learnt"]
    assert learnt == {"runs": 3, "factor": 1.0, "error": 0.0}
    # Of other columns, too; but not of another format.
    assert "Learnt" in cli(*asked, "--limit", "1", "--estimate").out
    assert "Learnt" not in cli(*asked, "--format", "json", "--estimate").out


@pytest.mark.parametrize(
    ("learnt", "said"),
    [
        (Learnt(12, 0.93, 0.04), "0.93, within ±4 % of what came out (9 of 10)"),
        (Learnt(11, 1.0, 0.0412), "1, within ±4.2 % of what came out (9 of 10)"),
        (Learnt(10, 12.345, 0.00001), "12.3, within ±0.1 % of what came out (all of them)"),
        (Learnt(3, 0.0052, 1.5), "0.0052, within ±150 % of what came out (all of them)"),
    ],
)
def test_the_error_is_rounded_so_that_it_stays_true(learnt: Learnt, said: str) -> None:
    assert lesson(learnt) == f"\N{MULTIPLICATION SIGN}{said}"
