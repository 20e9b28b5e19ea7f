"""Sources with one fault each: each is found by the standard test that is there for it, which the real one passes."""

from collections.abc import Mapping
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CSV, LIST, HEALTH = "TestCsvLog", "TestProxyList", "TestHealth"
FOUND_BY = {
    ("IgnoresTheRange", HEALTH): "test_every_row_of_the_range_comes_out_and_no_other",
    ("EndsTheRangeLate", HEALTH): "test_every_row_of_the_range_comes_out_and_no_other",
    ("BeginsTheRangeLate", CSV): "test_every_row_of_the_range_comes_out_and_no_other",
    ("IgnoresFilters", HEALTH): "test_a_filter_keeps_the_rows_that_it_means_and_no_other",
    ("LosesTheLastRow", CSV): "test_every_row_comes_out_as_it_is_and_in_order",
    ("Trims", CSV): "test_hostile_texts_come_out_as_they_are",
    ("HasAnotherOrderEachTime", CSV): "test_the_same_data_gives_the_same_each_time",
    ("GoesThroughASet", CSV): "test_the_same_data_gives_the_same_to_another_process",
    ("TakesTimesForLocal", CSV): "test_the_same_data_gives_the_same_to_another_process",
    ("DoesNotSayThatItIsUtc", CSV): "test_timestamps_are_utc",
    ("CountsTheFrameThatItHandsOver", CSV): "test_counts_agree_with_the_rows_and_do_not_come_from_them",
    ("ForgetsBadRowsInItsCount", CSV): "test_rows_that_cannot_be_read_are_counted",
    ("SamplesWhatIsNotThere", CSV): "test_samples_are_rows_of_the_table",
    ("DescribesColumnsInAnotherOrder", CSV): "test_columns_are_described_as_they_are_in_the_frame",
    ("SeesWhatIsWrittenLater", LIST): "test_what_is_written_meanwhile_is_not_seen",
    ("KeepsWhatItReadOnce", LIST): "test_what_is_written_meanwhile_is_not_seen",
    ("KeepsWhatIsOpenInItself", LIST): "test_it_can_be_open_several_times_at_once",
    ("HasPartsThatOverlap", CSV): "test_parts_are_together_the_whole",
    ("LosesAPart", CSV): "test_parts_are_together_the_whole",
    ("TakesAnyPartForEverything", CSV): "test_a_part_that_is_none_of_its_own_is_refused",
    ("LosesRowsOfTheRangeInParts", CSV): "test_parts_of_a_request_are_together_what_it_asks_for",
    ("HasNoTablesInParts", CSV): "test_parts_of_a_request_are_together_what_it_asks_for",
    ("ForgetsFiltersInParts", "TestRestrictingLog"): "test_parts_of_a_request_are_together_what_it_asks_for",
    ("LetsPasswordsThroughInParts", CSV): "test_no_secret_is_in_a_part[sanitized]",
    ("ReadsFromItsWorkingFolder", CSV): "test_relative_locations_count_from_the_folder_of_whoever_asks",
    ("LeaksADescriptor", CSV): "test_closing_gives_back_files_and_threads",
    ("TouchesWhatItReads", CSV): "test_nothing_is_written_to_what_it_reads",
    ("LeavesAFileBeside", CSV): "test_nothing_is_written_to_what_it_reads",
    ("LetsAPasswordThroughInANote", LIST): "test_no_secret_is_in_what_it_offers[sanitized]",
    ("KeepsAPasswordInARow", LIST): "test_no_secret_is_in_what_it_offers[sanitized]",
    ("TellsNothingOfWhatItKeptOut", LIST): "test_it_tells_what_it_kept_out[sanitized]",
    ("MakesIdsOfItsOwn", LIST): "test_equal_secrets_have_equal_ids_under_one_key",
    ("SanitizesWhatIsAskedForInFull", CSV): "test_in_full_secrets_are_sealed_or_it_is_refused",
    ("QuotesWhatItCannotRead", LIST): "test_damaged_data_is_told_and_not_quoted",
    ("TakesWhatItCannotReadForEmpty", LIST): "test_damaged_data_is_told_and_not_quoted",
    ("Prints", CSV): "test_it_prints_nothing",
    ("KeepsEverythingInMemory", "TestSqliteLog"): "test_huge_data_is_read_in_bounded_memory",
    ("HearsNobody", CSV): "test_what_was_cancelled_before_is_not_read",
}
"""The standard test that finds each mutant, by its name and the conformance class of the real source."""


class Outcomes:
    """Gathers how tests ended, by class and test."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self.classes: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            self.seen[report.nodeid.partition("::")[2]] = report.outcome

    def pytest_pycollect_makeitem(self, name: str) -> None:
        self.classes.add(name)


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """How the standard tests end with all mutants, and with the real sources, in one run of pytest of its own."""
    folder = tmp_path_factory.mktemp("mutants")
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = {HERE}\n")
    chosen = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    pairs = [pair for one in chosen if (pair := (str(one.get("mutant")), str(one.get("real")))) in FOUND_BY]
    asked = {f"{name}::{FOUND_BY[mutant, real]}": None for mutant, real in pairs for name in (f"Test{mutant}", real)}
    told = Outcomes()
    left_out = [
        part for plugin in ("timeout", "hypothesispytest", "cacheprovider", "xdist") for part in ("-p", f"no:{plugin}")
    ]
    pytest.main(
        ["-q", "-c", str(folder / "pytest.ini"), "--rootdir", str(HERE), "--confcutdir", str(HERE)]
        + ["--import-mode=importlib", "--basetemp", str(folder / "made"), *left_out]
        + [f"{HERE / 'mutant_sources.py'}::{name}" for name in asked],
        plugins=[told],
    )
    return told


@pytest.mark.parametrize(("mutant", "real"), FOUND_BY)
def test_the_mutant_is_found_and_the_real_source_passes(outcomes: Outcomes, mutant: str, real: str) -> None:
    test = FOUND_BY[mutant, real]
    ended: Mapping[str, str | None] = {name: outcomes.seen.get(f"{name}::{test}") for name in (f"Test{mutant}", real)}
    assert ended == {f"Test{mutant}": "failed", real: "passed"}


def test_every_mutant_that_there_is_is_looked_for(outcomes: Outcomes) -> None:
    real = {"TestCsvLog", "TestHealth", "TestProxyList", "TestSqliteLog", "TestRestrictingLog"}
    made = {name.removeprefix("Test") for name in outcomes.classes - real if name.startswith("Test")}
    assert made == {mutant for mutant, _real in FOUND_BY}
