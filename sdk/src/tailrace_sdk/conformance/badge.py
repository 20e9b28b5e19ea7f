"""The badge line: what the standard tests of each plugin in a test run came to."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import attrs

from tailrace_sdk.conformance.standard import NOT_APPLICABLE, Conformance, standard_tests

Outcome = Literal["passed", "failed", "not applicable", "expected failure", "skipped", "not run"]

_ORDER: tuple[Outcome, ...] = ("failed", "not run", "skipped", "expected failure", "passed", "not applicable")
"""Of several outcomes of a parametrized test, the first of these is what the test came to."""


@attrs.frozen
class Suite:
    """A conformance class that pytest came across, whether or not it took tests out of it.

    Args:
        subject: Kind and name of the plugin: ``"format parquet"``.
        where: Module and name of the class.
        asked_for: Names of all standard tests of its kind: those that did not run are told.
        claimed: The capabilities that the plugin says it has.
        ancestors: Modules and names of the classes that it stands on.
    """

    subject: str
    where: str
    asked_for: Sequence[str]
    claimed: Sequence[str] = ()
    ancestors: Sequence[str] = ()


@attrs.frozen
class Result:
    """How one standard test of a suite ended; a parametrized test gives several.

    Args:
        where: Module and name of the class.
        test: Name of the standard test.
        outcome: How it ended.
    """

    where: str
    test: str
    outcome: Outcome


def suite_of(cls: type) -> Suite | None:
    """What there is to know of a conformance class; None for one that is about no plugin yet."""
    if not (issubclass(cls, Conformance) and cls.kind and hasattr(cls, "name") and hasattr(cls, "target")):
        return None
    ancestors = [_full_name(ancestor) for ancestor in cls.__mro__[1:] if issubclass(ancestor, Conformance)]
    return Suite(f"{cls.kind} {cls.name}", _full_name(cls), tuple(standard_tests(cls)), cls.claimed(), tuple(ancestors))


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def outcome_of(outcome: str, *, expected_failure: bool, reason: str, marked: bool = False) -> Outcome:
    """How a test ended, in the badge's words.

    Args:
        outcome: pytest's word: passed, failed or skipped.
        expected_failure: Whether it was marked ``xfail``; what then passes all the same has shown nothing.
        reason: Why it was skipped.
        marked: Whether a mark of the author skipped it, and not the kit.
    """
    if outcome not in {"passed", "skipped"}:
        return "failed"
    if expected_failure:
        return "expected failure"
    if outcome == "passed":
        return "passed"
    return "not applicable" if reason.startswith(NOT_APPLICABLE) and not marked else "skipped"


def badge_lines(suites: Iterable[Suite], results: Iterable[Result]) -> Iterator[str]:
    """A line for each plugin, by its subject.

    Args:
        suites: The conformance classes that pytest came across, in any order, each perhaps several times.
        results: How their tests ended.
    """
    known = {suite.where: suite for suite in suites}
    by_suite: dict[str, list[Result]] = {}
    for result in results:
        by_suite.setdefault(result.where, []).append(result)
    # What others are built upon need not run itself.
    built_upon = {where for ran in by_suite if ran in known for where in known[ran].ancestors}
    by_subject: dict[str, list[Suite]] = {}
    for suite in known.values():
        if suite.where in by_suite or suite.where not in built_upon:
            by_subject.setdefault(suite.subject, []).append(suite)
    for subject, own in sorted(by_subject.items()):
        yield _line(subject, own, [result for suite in own for result in by_suite.get(suite.where, ())])


def _line(subject: str, suites: Sequence[Suite], results: Sequence[Result]) -> str:
    outcomes: dict[str, list[Outcome]] = {}
    for result in results:
        outcomes.setdefault(result.test, []).append(result.outcome)
    worst = {test: min(seen, key=_ORDER.index) for test, seen in outcomes.items()}
    counts = Counter(worst.values())
    ran = {(result.where, result.test) for result in results}
    not_run = counts["not run"] + len(
        {test for suite in suites for test in suite.asked_for if (suite.where, test) not in ran}
    )
    complete = counts["passed"] > 0 and not (counts["skipped"] or not_run)
    verdict = "does not conform" if counts["failed"] else "conforms" if complete else "incomplete"
    others: tuple[Outcome, ...] = ("failed", "expected failure", "not applicable", "skipped")
    told = [f"{counts['passed']} passed", *(f"{counts[outcome]} {outcome}" for outcome in others if counts[outcome])]
    if not_run:
        told.append(f"{not_run} not run")
    claimed = sorted({capability for suite in suites for capability in suite.claimed})
    can = f" ({', '.join(claimed)})" if claimed else ""
    return f"{subject}{can}: {verdict}: {', '.join(told)}"
