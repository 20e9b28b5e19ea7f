"""The rules of retention, as a pure function."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.errors import ConfigurationError
from tailrace.model.retention import FinishedExport, RetentionPlan, Rule
from tailrace.model.work import OutputFile
from tailrace.settings import RetentionSettings
from tailrace.work.keeping import decide

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
NOTHING = RetentionSettings(days=0)


def export(job: str, age: timedelta, *, size: int = 10, path: str = "", **more: Any) -> FinishedExport:
    """An export of one file."""
    file = OutputFile(
        place="here",
        id=f"file of {job}",
        job=job,
        sink="disk",
        path=Path(path or f"/exports/{job}.csv"),
        root=Path("/exports"),
        size=size,
        sha256="0" * 64,
        rows=1,
        created=NOW - age,
    )
    values = {"creator": "ada", "source": "pool", "location": "a.db", "format": "csv", "template": None}
    return FinishedExport(job=job, files=(file,), **{**values, "pinned": False, **more})


def days(*ages: float) -> list[FinishedExport]:
    """Exports of these ages, called by them."""
    return [export(f"{age:g}", timedelta(days=age)) for age in ages]


def kept(plan: RetentionPlan) -> list[str]:
    return sorted((decision.export.job for decision in plan.kept), key=float)


def why(plan: RetentionPlan) -> dict[str, str]:
    return {decision.export.job: decision.why for decision in plan.decisions}


def test_files_go_when_they_are_thirty_days_old() -> None:
    plan = decide(days(0, 29.99, 30, 31), RetentionSettings(), NOW)
    assert kept(plan) == ["0", "29.99"]
    assert why(plan) == {
        "0": "younger than 30 days",
        "29.99": "younger than 30 days",
        "30": "older than 30 days",
        "31": "older than 30 days",
    }
    assert (plan.kept_size, plan.removed_size, plan.excess) == (20, 20, 0)


def test_without_rules_nothing_goes() -> None:
    plan = decide(days(0, 10_000), NOTHING, NOW)
    assert kept(plan) == ["0", "10000"]
    assert why(plan)["10000"] == "no limit of age"


def test_an_export_made_by_a_clock_that_is_ahead_is_young() -> None:
    assert kept(decide(days(-1), RetentionSettings(days=0.5), NOW)) == ["-1"]


def test_half_a_day_and_one_day_are_told_as_such() -> None:
    assert why(decide(days(1), RetentionSettings(days=0.5), NOW)) == {"1": "older than 0.5 days"}
    assert why(decide(days(1), RetentionSettings(days=1), NOW)) == {"1": "older than 1 day"}


def test_the_newest_are_kept_of_each_kind() -> None:
    exports = [
        export("1", timedelta(days=41)),
        export("2", timedelta(days=42)),
        export("3", timedelta(days=43), format="json"),
        export("4", timedelta(days=44), location="b.db"),
        export("5", timedelta(days=45), creator="kim"),
        export("6", timedelta(days=46), template="nightly"),
        # A template is one kind, wherever it reads and whatever it writes.
        export("7", timedelta(days=47), template="nightly", format="json", location="b.db"),
    ]
    plan = decide(exports, RetentionSettings(keep_last=1), NOW)
    assert kept(plan) == ["1", "3", "4", "5", "6"]
    assert why(plan)["1"] == "one of the newest 1"


def test_the_newest_of_each_day_is_kept_for_days_that_have_one() -> None:
    # Twice on the 27th, then a gap: only days with exports count.
    exports = days(2, 2.2, 10, 20, 30)
    plan = decide(exports, RetentionSettings(days=0.1, keep_daily=3), NOW)
    assert kept(plan) == ["2", "10", "20"]
    assert why(plan)["2"] == "newest of 2026-11-27"


def test_days_and_weeks_are_those_of_utc() -> None:
    # 2026-11-29 is a Sunday: the week ends at midnight, and not two hours earlier, as in Helsinki.
    sunday = datetime(2026, 11, 29, 23, 30, tzinfo=UTC)
    exports = [
        export("1", NOW - sunday),
        export("2", NOW - (sunday - timedelta(hours=1))),
        export("3", NOW - (sunday + timedelta(hours=1))),
    ]
    late = sunday + timedelta(days=60)
    assert kept(decide(exports, RetentionSettings(keep_weekly=2), late)) == ["1", "3"]
    assert kept(decide(exports, RetentionSettings(keep_daily=2), late)) == ["1", "3"]
    assert why(decide(exports, RetentionSettings(keep_weekly=2), late))["3"] == "newest of week 2026-W49"


def test_a_time_in_another_zone_is_of_the_day_that_it_is_in_utc() -> None:
    (file,) = export("1", timedelta(0)).files
    late = NOW.replace(hour=23).astimezone(timezone(timedelta(hours=2)))
    abroad = attrs.evolve(export("1", timedelta(0)), files=(attrs.evolve(file, created=late),))
    assert why(decide([abroad], RetentionSettings(keep_daily=1), NOW)) == {"1": "newest of 2026-11-29"}


def test_the_week_of_the_new_year_belongs_to_the_year_that_has_most_of_it() -> None:
    exports = [
        export("1", NOW - datetime(2027, 1, 1, tzinfo=UTC)),
        export("2", NOW - datetime(2026, 12, 31, tzinfo=UTC)),
    ]
    plan = decide(exports, RetentionSettings(keep_weekly=5, keep_yearly=5), NOW + timedelta(days=300))
    assert why(plan) == {"1": "newest of week 2026-W53, newest of 2027", "2": "newest of 2026"}


def test_months_and_years() -> None:
    exports = days(1, 40, 41, 80, 400, 800)
    assert kept(decide(exports, RetentionSettings(days=0.1, keep_monthly=3), NOW)) == ["1", "40", "80"]
    assert kept(decide(exports, RetentionSettings(days=0.1, keep_yearly=2), NOW)) == ["1", "400"]


def test_several_rules_keep_what_each_of_them_keeps() -> None:
    plan = decide(days(1, 2, 40), RetentionSettings(days=0.1, keep_last=1, keep_monthly=2), NOW)
    assert why(plan) == {
        "1": "one of the newest 1, newest of 2026-11",
        "2": "older than 0.1 days",
        "40": "newest of 2026-10",
    }


def test_too_much_goes_the_oldest_first_however_young_it_is() -> None:
    plan = decide(days(1, 2, 3, 4), RetentionSettings(total_size=25), NOW)
    assert kept(plan) == ["1", "2"]
    assert why(plan)["3"] == "over the total size"
    assert plan.excess == 0


def test_what_is_protected_counts_and_stays_and_the_plan_says_that_it_does_not_fit() -> None:
    exports = [export("9", timedelta(days=9), size=70, pinned=True), *days(1, 2)]
    plan = decide(exports, RetentionSettings(total_size=75, keep_last=1), NOW)
    assert kept(plan) == ["1", "9"]
    assert why(plan)["9"] == "pinned"
    assert plan.excess == 5


def test_files_of_one_job_go_together_when_the_last_of_them_is_old() -> None:
    old, young = export("1", timedelta(days=40)), export("1", timedelta(days=20), path="/exports/other.csv")
    both = attrs.evolve(old, files=(*old.files, *young.files))
    assert kept(decide([both], RetentionSettings(), NOW)) == ["1"]
    assert kept(decide([both], RetentionSettings(days=20), NOW)) == []


def test_what_a_later_export_replaced_takes_no_room_and_no_place() -> None:
    # A nightly export that overwrites its file, and one of the same kind under a name of its own.
    nightly = [export(str(age), timedelta(days=age)) for age in (1, 2, 3)]
    nightly = [nightly[0], *(attrs.evolve(made, replaced=frozenset({made.files[0].id})) for made in nightly[1:])]
    plan = decide([*nightly, *days(50)], RetentionSettings(total_size=20, keep_last=2), NOW)
    assert kept(plan) == ["1", "2", "3", "50"]
    assert plan.kept_size == 20
    assert why(plan)["2"] == "younger than 30 days"


@pytest.mark.parametrize("name", ["days", "total_size", "keep_last", "keep_weekly"])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_rules_that_make_no_sense_are_refused(name: str, value: float) -> None:
    given: dict[str, Any] = {name: value}
    with pytest.raises(ConfigurationError) as caught:
        RetentionSettings(**given)
    assert caught.value.message == f"{name} is at least 0"


def test_a_limit_of_age_that_no_file_reaches() -> None:
    assert kept(decide(days(1e5), RetentionSettings(days=float("inf")), NOW)) == ["100000"]


# For whatever there is, and whatever the rules.

COUNTS = st.integers(0, 4)
RULES = st.builds(
    RetentionSettings,
    days=st.sampled_from([0.0, 0.5, 3.0, 30.0, 400.0]),
    total_size=st.sampled_from([0, 1, 25, 60, 1000]),
    keep_last=COUNTS,
    keep_daily=COUNTS,
    keep_weekly=COUNTS,
    keep_monthly=COUNTS,
    keep_yearly=COUNTS,
)


@st.composite
def stocks(draw: st.DrawFn) -> list[FinishedExport]:
    """Some exports, of few kinds and names."""
    found = []
    for number in range(draw(st.integers(0, 14))):
        age = timedelta(hours=draw(st.integers(0, 24 * 900)))
        replaced = draw(st.sampled_from([frozenset(), frozenset(), frozenset({f"file of {number}"})]))
        made = export(
            f"{number}",
            age,
            size=draw(st.integers(0, 30)),
            replaced=replaced,
            creator=draw(st.sampled_from(["ada", "kim"])),
            template=draw(st.sampled_from([None, "nightly"])),
            pinned=draw(st.integers(0, 7)) == 0,
        )
        found.append(made)
    return found


@given(stocks(), RULES)
def test_every_export_is_decided_once_and_pins_always_hold(
    exports: list[FinishedExport], rules: RetentionSettings
) -> None:
    plan = decide(exports, rules, NOW)
    assert Counter(decision.export.job for decision in plan.decisions) == Counter(made.job for made in exports)
    assert all(decision.reasons for decision in plan.decisions)
    assert not [decision for decision in plan.removed if decision.export.pinned or decision.protected]


@given(stocks(), RULES)
def test_after_it_was_applied_there_is_nothing_left_to_do(
    exports: list[FinishedExport], rules: RetentionSettings
) -> None:
    left = [decision.export for decision in decide(exports, rules, NOW).kept]
    again = decide(left, rules, NOW)
    assert again.removed == ()


@given(stocks(), RULES, st.randoms(use_true_random=False))
def test_the_order_in_which_exports_are_found_does_not_matter(
    exports: list[FinishedExport], rules: RetentionSettings, random: Any
) -> None:
    shuffled = list(exports)
    random.shuffle(shuffled)
    assert decide(shuffled, rules, NOW) == decide(exports, rules, NOW)


@given(stocks(), RULES)
def test_all_fits_or_only_what_is_protected_is_left(exports: list[FinishedExport], rules: RetentionSettings) -> None:
    plan = decide(exports, rules, NOW)
    if plan.excess:
        assert all(decision.protected for decision in plan.kept if decision.export.size)
    elif rules.total_size:
        assert plan.kept_size <= rules.total_size
    gone = [one for one in plan.removed if one.reasons[0].rule is Rule.TOTAL_SIZE]
    spared = [one for one in plan.kept if not one.protected and one.export.size]
    assert all(lost.export.created <= stays.export.created for lost in gone for stays in spared)


def groups(exports: Sequence[FinishedExport]) -> list[list[FinishedExport]]:
    found = defaultdict(list)
    for made in exports:
        found[made.group].append(made)
    return list(found.values())


@given(stocks(), st.integers(0, 5))
def test_keep_last_keeps_as_many_as_there_are_up_to_its_number(exports: list[FinishedExport], number: int) -> None:
    alone = [attrs.evolve(made, pinned=False, replaced=frozenset()) for made in exports]
    plan = decide(alone, RetentionSettings(days=1e-9, keep_last=number), NOW + timedelta(days=1))
    stays = {decision.export.job for decision in plan.kept}
    for group in groups(alone):
        newest = sorted(group, key=lambda made: (made.created, made.job), reverse=True)[:number]
        assert {made.job for made in group} & stays == {made.job for made in newest}


@given(stocks(), RULES, st.sampled_from(["ada", "kim"]), st.sampled_from([None, "nightly"]))
def test_a_newer_export_brings_nothing_back_that_had_to_go(
    exports: list[FinishedExport], rules: RetentionSettings, creator: str, template: str | None
) -> None:
    # Of age and periods only: by size, what loses its protection can make room for something else.
    rules = attrs.evolve(rules, total_size=0)
    before = {decision.export.job for decision in decide(exports, rules, NOW).removed}
    newer = export("new", timedelta(hours=-1), creator=creator, template=template)
    after = {decision.export.job for decision in decide([*exports, newer], rules, NOW).removed}
    assert before <= after
    assert "new" not in after


@given(stocks(), RULES, st.integers(0, 14))
def test_a_pin_more_takes_nothing_from_what_was_kept_by_age(
    exports: list[FinishedExport], rules: RetentionSettings, which: int
) -> None:
    rules = attrs.evolve(rules, total_size=0)
    pinned = [attrs.evolve(made, pinned=made.pinned or number == which) for number, made in enumerate(exports)]
    before = {decision.export.job for decision in decide(exports, rules, NOW).kept}
    after = {decision.export.job for decision in decide(pinned, rules, NOW).kept}
    assert before <= after
