"""The badge line: what the standard tests of each plugin in a test run came to."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import attrs

from tailrace_sdk.conformance.standard import NOT_APPLICABLE

Outcome = Literal["passed", "failed", "not applicable", "expected failure", "skipped"]

_ORDER: tuple[Outcome, ...] = ("failed", "skipped", "expected failure", "passed", "not applicable")
"""Of several outcomes of a parametrized test, the first of these is what the test came to."""


@attrs.frozen
class Result:
    """How one standard test of a plugin ended.

    Args:
        subject: Kind and name of the plugin: ``"format parquet"``.
        test: Name of the standard test.
        outcome: How it ended; a parametrized test gives several.
        asked_for: Names of all standard tests of its kind: those that did not run are told.
        claimed: The capabilities that the plugin says it has.
    """

    subject: str
    test: str
    outcome: Outcome
    asked_for: Sequence[str] = ()
    claimed: Sequence[str] = ()


def outcome_of(outcome: str, *, expected_failure: bool, reason: str) -> Outcome:
    """How a test ended, in the badge's words.

    Args:
        outcome: pytest's word: passed, failed or skipped.
        expected_failure: Whether it was marked ``xfail``.
        reason: Why it was skipped.
    """
    if outcome == "passed":
        return "passed"
    if outcome == "skipped":
        if expected_failure:
            return "expected failure"
        return "not applicable" if reason.startswith(NOT_APPLICABLE) else "skipped"
    return "failed"


def badge_lines(results: Iterable[Result]) -> Iterator[str]:
    """A line for each plugin whose standard tests ran."""
    by_subject: dict[str, list[Result]] = {}
    for result in results:
        by_subject.setdefault(result.subject, []).append(result)
    for subject, own in sorted(by_subject.items()):
        yield _line(subject, own)


def _line(subject: str, results: Sequence[Result]) -> str:
    outcomes: dict[str, list[Outcome]] = {}
    for result in results:
        outcomes.setdefault(result.test, []).append(result.outcome)
    worst = {test: min(seen, key=_ORDER.index) for test, seen in outcomes.items()}
    counts = Counter(worst.values())
    not_run = len({test for result in results for test in result.asked_for} - set(worst))
    conforms = not (counts["failed"] or counts["skipped"] or not_run) and counts["passed"] > 0
    others: tuple[Outcome, ...] = ("failed", "expected failure", "not applicable", "skipped")
    told = [f"{counts['passed']} passed", *(f"{counts[outcome]} {outcome}" for outcome in others if counts[outcome])]
    if not_run:
        told.append(f"{not_run} not run")
    claimed = sorted({capability for result in results for capability in result.claimed})
    can = f" ({', '.join(claimed)})" if claimed else ""
    return f"{subject}{can}: {'conforms' if conforms else 'does not conform'}: {', '.join(told)}"
