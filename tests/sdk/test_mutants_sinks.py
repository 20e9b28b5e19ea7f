"""Each fault of a sink is found by the standard test that is meant for it, which the sink without the fault passes."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FOUND_BY = {
    # class of the tests, mutant: what finds it
    ("TestDisk", "ReportsWithoutSending"): "test_what_arrives_is_the_file_byte_for_byte",
    ("TestCopies", "LosesTheLastByte"): "test_what_arrives_is_the_file_byte_for_byte",
    ("TestCopies", "ReadsItAsText"): "test_what_arrives_is_the_file_byte_for_byte",
    ("TestCopies", "LeavesHalfOfIt"): "test_killed_in_the_middle_nothing_looks_whole",
    ("TestCopies", "MovesTheParcel"): "test_the_parcel_is_left_alone",
    ("TestCopies", "BelievesNames"): "test_hostile_names_do_no_harm",
    ("TestDisk", "ForgetsTheManifest"): "test_the_manifest_comes_with_it",
    ("TestDisk", "ReplacesWhatIsThere"): "test_what_is_there_is_not_replaced_unasked",
    ("TestDisk", "Prints"): "test_it_prints_nothing",
    ("TestDisk", "SwallowsErrors"): "test_whichever_call_fails_nothing_half_is_there",
    ("TestDisk", "CallsFullDisksTransient"): "test_a_full_disk_is_said_and_leaves_nothing",
    ("TestDisk", "DeliversWhatWasCalledOff"): "test_what_was_called_off_is_not_begun",
    ("TestDisk", "RemembersWhatItPut"): "test_it_believes_what_it_is_told_and_no_more",
    ("TestDisk", "LogsItsSecretOption"): "test_no_secret_is_told",
    ("TestDisk", "NotesItsSecretOption"): "test_no_secret_is_told",
    ("TestDisk", "DeliversTooEarly"): "test_before_it_delivers_nothing_arrives",
    ("TestWebhookPut", "IgnoresCancellation"): "test_cancelling_ends_it_within_a_second",
    ("TestWebhookPut", "TriesForEver"): "test_what_stays_as_it_is_is_given_up",
    ("TestWebhookPut", "GivesUpAtOnce"): "test_what_may_be_better_later_is_tried_again",
    ("TestWebhookPut", "ClaimsWhatIsLikely"): "test_what_was_not_confirmed_is_not_claimed",
    ("TestWebhookPut", "TakesSilenceForYes"): "test_silence_is_no_success",
    ("TestWebhookPut", "QuotesTheUrl"): "test_no_secret_is_told",
    ("TestWebhookPut", "LogsTheUrl"): "test_no_secret_is_told",
    ("TestWebhookPut", "QuotesTheSecretInACause"): "test_no_secret_is_told",
    ("TestWebhookPut", "NamesEachTryAnew"): "test_repeating_a_delivery_doubles_nothing",
    ("TestWebhookPut", "DoesNotHearHowLong"): "test_it_says_how_long_to_wait",
    ("TestWebhookPut", "RemembersWhatItBrought"): "test_it_believes_what_it_is_told_and_no_more",
    ("TestWebhookPut", "LeavesOutEmptyFiles"): "test_an_empty_file_arrives",
    ("TestWebhookPut", "ReadsAllOfIt"): "test_a_large_file_arrives_in_bounded_memory",
    ("TestWebhookPut", "LeavesThreads"): "test_nothing_is_left_behind",
    ("TestWebhookPut", "LeavesSockets"): "test_nothing_is_left_behind",
    ("TestWebhookPut", "AsksBeforehand"): "test_what_is_only_asked_contacts_nobody",
    ("TestWebhookPut", "TakesAnyTarget"): "test_a_hopeless_target_is_refused_at_once",
    ("TestWebhookPut", "MixesThreads"): "test_two_at_once_do_not_mix",
    ("TestEmail", "SendsToAll"): "test_only_those_get_it_who_are_asked_for",
    ("TestEmail", "FailsForAll"): "test_one_who_is_refused_keeps_nobody_from_theirs",
    ("TestEmail", "LosesReceipts"): "test_each_recipient_has_a_receipt",
}
FALSE_CLAIMS = {
    # what a class says of the sink disk: what finds it
    "messages = True": "test_it_can_what_it_claims",
    "finishes = False": "test_it_can_what_it_claims",
    "staged = False": "test_staging_offers_a_folder_or_does_not",
    "describes = False": "test_it_brings_what_it_claims_and_no_less",
    "carries_files = False": "test_it_brings_what_it_claims_and_no_less",
    "idempotent = False": "test_it_brings_what_it_claims_and_no_less",
}
SETTINGS = """
[pytest]
filterwarnings = error
markers = long: as in the settings of this repository
addopts = --import-mode=importlib -p no:cacheprovider
timeout = 120
"""
KEEPS_OUTCOMES = """
import json, os
from pathlib import Path

def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        with Path(__file__).with_name("outcomes.jsonl").open("a") as file:
            print(json.dumps([report.nodeid.partition("[")[0], report.outcome]), file=file)
"""
CLASSES = """
import test_conformance_sinks as sinks

class TestDisk(sinks.TestDisk): pass
class TestCopies(sinks.TestDisk):
    target = 'mutant_sinks:plugin_WritesWell'
    installed = staged = idempotent = False

class TestEmail(sinks.TestEmail): pass
class TestWebhookPut(sinks.TestWebhookPut):
    LINGERS = 1.0
    LARGE = 32 << 20
"""

Outcomes = Mapping[str, set[str]]


def run(folder: Path) -> Outcomes:
    """Run the standard tests on the mutants, and on the sinks that they are mutants of."""
    mutants = [
        f"class Test{name}({base}):\n    target = 'mutant_sinks:plugin_{name}'\n    installed = False\n"
        for base, name in FOUND_BY
    ]
    claiming = [f"class TestClaim{number}(TestDisk):\n    {claim}\n" for number, claim in enumerate(FALSE_CLAIMS)]
    (folder / "pytest.ini").write_text(SETTINGS)
    (folder / "conftest.py").write_text(KEEPS_OUTCOMES)
    (folder / "test_mutants.py").write_text("\n".join([CLASSES, *mutants, *claiming]))
    chosen = dict.fromkeys(
        [
            *(f"{base}::{test}" for (base, _own), test in FOUND_BY.items()),
            *(f"Test{own}::{test}" for (_base, own), test in FOUND_BY.items()),
            *(f"TestDisk::{test}" for test in FALSE_CLAIMS.values()),
            *(f"TestClaim{number}::{test}" for number, test in enumerate(FALSE_CLAIMS.values())),
        ]
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--no-cov",
            "-p",
            "no:xdist",
            "--tb=line",
            "--basetemp=scratch",
            *(f"test_mutants.py::{test}" for test in chosen),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    outcomes: dict[str, set[str]] = {}
    for line in (folder / "outcomes.jsonl").read_text().splitlines():
        test, outcome = json.loads(line)
        outcomes.setdefault(test.partition("::")[2], set()).add(outcome)
    return outcomes


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """How the tests ended; run once, also where several processes share the tests."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return run(tmp_path_factory.mktemp("mutants"))
    shared = tmp_path_factory.getbasetemp().parent / "sink-mutants"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = shared / "kept.json"
        if not kept.exists():
            found = run(shared)
            kept.write_text(json.dumps({test: sorted(ended) for test, ended in found.items()}))
        return {test: set(ended) for test, ended in json.loads(kept.read_text()).items()}


@pytest.mark.parametrize(("base", "mutant"), list(FOUND_BY))
def test_it_is_found(outcomes: Outcomes, base: str, mutant: str) -> None:
    test = FOUND_BY[base, mutant]
    assert outcomes[f"{base}::{test}"] <= {"passed", "skipped"}
    assert "passed" in outcomes[f"{base}::{test}"]
    assert "failed" in outcomes[f"Test{mutant}::{test}"]


@pytest.mark.parametrize(("number", "claim"), list(enumerate(FALSE_CLAIMS)))
def test_a_false_claim_is_found(outcomes: Outcomes, number: int, claim: str) -> None:
    test = FALSE_CLAIMS[claim]
    assert outcomes[f"TestDisk::{test}"] == {"passed"}
    assert outcomes[f"TestClaim{number}::{test}"] == {"failed"}
