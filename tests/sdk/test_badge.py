"""The badge line: what it counts, and when it says that a plugin conforms."""

from collections.abc import Sequence

import pytest
from tailrace_sdk.conformance.badge import Outcome, Result, Suite, badge_lines, outcome_of, suite_of
from tailrace_sdk.conformance.plugin import PluginConformance
from tailrace_sdk.conformance.standard import Conformance

SUITE = Suite("format tin", "tests.TestTin", ("a", "b", "c"))


def line(*outcomes: Outcome, suite: Suite = SUITE) -> str:
    """The badge of a suite whose tests ended so, in order."""
    results = [Result(suite.where, test, outcome) for test, outcome in zip(suite.asked_for, outcomes, strict=False)]
    (only,) = badge_lines([suite], results)
    return only


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        (("passed", "passed", "passed"), "conforms: 3 passed"),
        (("passed", "not applicable", "expected failure"), "conforms: 1 passed, 1 expected failure, 1 not applicable"),
        (("passed", "passed", "failed"), "does not conform: 2 passed, 1 failed"),
        (("passed", "passed", "skipped"), "incomplete: 2 passed, 1 skipped"),
        (("passed", "passed"), "incomplete: 2 passed, 1 not run"),
        ((), "incomplete: 0 passed, 3 not run"),
        (("expected failure",) * 3, "incomplete: 0 passed, 3 expected failure"),
        (("not applicable",) * 3, "incomplete: 0 passed, 3 not applicable"),
    ],
)
def test_it_says_what_there_was_and_whether_that_is_enough(outcomes: Sequence[Outcome], told: str) -> None:
    assert line(*outcomes) == f"format tin: {told}"


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        (("passed", "failed", "passed"), "failed"),
        (("passed", "skipped"), "skipped"),
        (("expected failure", "passed"), "expected failure"),
        (("not applicable", "passed"), "passed"),
        (("skipped", "failed"), "failed"),
    ],
)
def test_a_test_of_several_cases_is_as_good_as_the_worst(outcomes: Sequence[Outcome], worst: Outcome) -> None:
    suite = Suite("format tin", "tests.TestTin", ("a",))
    results = [Result(suite.where, "a", outcome) for outcome in outcomes]
    assert list(badge_lines([suite], results)) == [line(worst, suite=suite)]


def test_capabilities_are_told_once_in_order() -> None:
    suites = [
        Suite("format tin", "tests.TestOne", ("a",), ("streams", "pours")),
        Suite("format tin", "tests.TestTwo", ("a",), ("pours", "boils")),
    ]
    results = [Result(suite.where, "a", "passed") for suite in suites]
    assert list(badge_lines(suites, results)) == ["format tin (boils, pours, streams): conforms: 1 passed"]


def test_what_one_class_leaves_out_is_missing_though_another_of_the_plugin_runs_it() -> None:
    other = Suite("format tin", "tests.TestOther", ("a", "b", "c"))
    results = [Result(SUITE.where, test, "passed") for test in SUITE.asked_for]
    told = list(badge_lines([SUITE, other], results))
    assert told == ["format tin: incomplete: 3 passed, 3 not run"]


def test_a_class_that_only_others_stand_on_is_not_missed() -> None:
    built = Suite("format tin", "tests.TestBuilt", ("a", "b", "c"), (), (SUITE.where,))
    results = [Result(built.where, test, "passed") for test in built.asked_for]
    assert list(badge_lines([SUITE, built], results)) == ["format tin: conforms: 3 passed"]
    assert list(badge_lines([SUITE, built], [])) == ["format tin: incomplete: 0 passed, 3 not run"]


def test_lines_are_ordered_by_plugin_whatever_came_first() -> None:
    suites = [Suite(f"sink {name}", name, ("a",)) for name in ("b", "c", "a")]
    assert [told.partition(":")[0] for told in badge_lines(suites, [])] == ["sink a", "sink b", "sink c"]


@pytest.mark.parametrize(
    ("outcome", "expected_failure", "reason", "marked", "said"),
    [
        ("passed", False, "", False, "passed"),
        ("failed", False, "", False, "failed"),
        ("failed", True, "", False, "failed"),
        ("error", False, "", False, "failed"),
        ("skipped", True, "", False, "expected failure"),
        ("passed", True, "", False, "expected failure"),
        ("skipped", False, "not applicable: reads is false", False, "not applicable"),
        ("skipped", False, "not applicable: so we say", True, "skipped"),
        ("skipped", False, "no time", False, "skipped"),
    ],
)
def test_pytests_words_become_ours(
    outcome: str, *, expected_failure: bool, reason: str, marked: bool, said: Outcome
) -> None:
    assert outcome_of(outcome, expected_failure=expected_failure, reason=reason, marked=marked) == said


def test_only_classes_about_a_plugin_are_suites() -> None:
    class Kettle(Conformance):
        kind = "kettle"

    class Tin(Kettle):
        name, target = "tin", "kettles:tin"

    assert [suite_of(cls) for cls in (int, Conformance, PluginConformance, Kettle)] == [None] * 4
    suite = suite_of(Tin)
    assert suite is not None
    assert (suite.subject, suite.where.rpartition(".")[2]) == ("kettle tin", "Tin")
    assert suite.ancestors[0].endswith("Kettle")
