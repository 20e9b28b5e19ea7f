"""``tailrace retention``."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

AT_ONCE = "0.0000001"


@pytest.fixture(autouse=True)
def administered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user of these tests is an admin."""
    monkeypatch.setenv("TAILRACE_ADMINS", "tester")


@pytest.fixture
def exported(cli: Call, lines_file: Path, elsewhere: Path) -> Callable[..., Path]:
    """Exports, and gives the file."""

    def export(name: str) -> Path:
        words = ("--to", "kept", "--option", f"filename={name}", "--no-compress", "--quiet")
        answer = cli("export", "lines", "--from", lines_file, "--format", "csv", *words)
        assert answer.code == 0, answer.err
        return elsewhere / "kept" / name

    return export


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def day() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def test_a_dry_run_says_what_goes_and_what_stays(cli: Call, exported: Callable[..., Path]) -> None:
    old, new = exported("a.csv"), exported("b.csv")
    answer = cli("retention", "apply", "--dry-run", "--days", AT_ONCE, "--keep-last", 1)
    assert answer.code == 0
    assert answer.err == ""
    first, file, kept, rule = answer.out.splitlines()
    assert first == "Would remove 1 export, 19 bytes:"
    assert file.startswith(f"  {old} (19 bytes, {day()}")
    assert file.endswith("): older than 1e-07 days")
    assert (kept, rule) == ("Would keep 1 export, 19 bytes:", "  1 by keep-last")
    assert old.exists()
    assert new.exists()


def test_files_are_removed_and_the_job_has_expired(cli: Call, exported: Callable[..., Path]) -> None:
    old, new = exported("a.csv"), exported("b.csv")
    answer = cli("retention", "apply", "--days", AT_ONCE, "--keep-daily", 1)
    assert answer.code == 0
    assert answer.out.splitlines()[0] == "Removed 1 file, 19 bytes freed:"
    assert names(new.parent) == ["b.csv", "b.csv.manifest.json"]
    assert not old.exists()
    assert "expired" in cli("jobs", "list").out
    assert cli("retention", "apply").out.splitlines()[0] == "Removed nothing."


def test_the_rules_in_force_are_those_of_the_settings(
    cli: Call, exported: Callable[..., Path], elsewhere: Path
) -> None:
    (elsewhere / "tailrace.toml").write_text("[retention]\ntotal_size = 25\nkeep_weekly = 4\ndaily = false\n")
    shown = cli("retention", "show").out
    assert "removed when older than 30 days" in shown
    assert "the oldest removed over 25 bytes" in shown
    assert "the newest of each of 4 weeks kept" in shown
    assert "applied by hand only" in shown
    assert cli("retention", "show", "--json").document["keep_weekly"] == 4
    exported("a.csv")
    exported("b.csv")
    (gone,) = cli("retention", "apply", "--json").document["removed"]
    assert Path(gone["path"]).name == "a.csv"


def test_sizes_are_written_as_people_write_them(cli: Call, exported: Callable[..., Path]) -> None:
    exported("a.csv")
    for text, expected in {"5GB": 5 * 10**9, "500 MB": 5 * 10**8, "1.5k": 1500, "18": 18}.items():
        document = cli("retention", "apply", "--dry-run", "--total-size", text, "--json").document
        assert document["total_size"] == expected
        assert len(document["remove"]) == (expected < 19)
    wrong = cli("retention", "apply", "--total-size", "much")
    assert (wrong.code, wrong.err) == (
        2,
        "error: Option 'total-size': 'much' is no size.\nhint:  Write 500MB, or 5GB.\n",
    )


def test_what_must_be_kept_and_does_not_fit_is_told(cli: Call, exported: Callable[..., Path]) -> None:
    exported("a.csv")
    answer = cli("retention", "apply", "--total-size", "10", "--keep-last", "1")
    assert "Note: What must be kept is 9 bytes more than the total size of 10 bytes." in answer.out


def test_a_file_that_cannot_be_removed_is_told_and_fails(cli: Call, exported: Callable[..., Path]) -> None:
    file = exported("a.csv")
    if subprocess.run(["chattr", "+i", file], capture_output=True, check=False).returncode:
        pytest.skip("files cannot be made immutable here")
    try:
        answer = cli("retention", "apply", "--days", AT_ONCE)
        left = cli("retention", "apply", "--dry-run").out
        document = cli("retention", "apply", "--json").document
    finally:
        subprocess.run(["chattr", "-i", file], check=True)
    said = f"  {file} cannot be deleted: the operation is not permitted; it may be immutable, or another user's"
    assert answer.code == 1
    assert answer.out.splitlines()[-2:] == ["Could not be removed:", said]
    assert left.splitlines()[1:3] == ["Left by an earlier run, and tried again:", said]
    assert [problem["path"] for problem in document["problems"]] == [str(file)]
    answer = cli("retention", "apply")
    assert answer.code == 0
    assert answer.out.splitlines()[1].endswith(": left by an earlier run")
    assert names(file.parent) == []


def test_what_a_later_export_replaced_is_not_said_to_go(
    cli: Call, exported: Callable[..., Path], lines_file: Path
) -> None:
    file = exported("a.csv")
    words = ("--option", "filename=a.csv", "--option", "overwrite=true", "--no-compress", "--to", "kept")
    assert cli("export", "lines", "--from", lines_file, "--format", "csv", *words).code == 0
    plan = cli("retention", "apply", "--dry-run", "--days", AT_ONCE, "--keep-last", "1").out
    assert "replaced by a later export, which stays; older than" in plan
    answer = cli("retention", "apply", "--days", AT_ONCE, "--keep-last", "1")
    assert answer.code == 0
    assert answer.out.splitlines()[:2] == [
        "Removed nothing.",
        "1 file had been replaced by later exports, which stay.",
    ]
    assert file.exists()


def test_only_admins_may(cli: Call, exported: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    file = exported("a.csv")
    monkeypatch.setenv("TAILRACE_ADMINS", "kim")
    for words in (("apply", "--days", AT_ONCE), ("apply", "--dry-run"), ("show",)):
        answer = cli("retention", *words)
        assert (answer.code, answer.err.splitlines()[-1]) == (3, "hint:  Only admins may.")
    assert file.exists()
