"""Each of these formats has one fault, and the standard test that is for it finds it, where the whole one passes."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

STOPS = "test_it_stops_within_a_second[behind the last row]"
MUTANTS: Mapping[str, tuple[str, str]] = {
    "drops_the_last_row": ("Csv", "test_all_rows_are_there[2]"),
    "drops_rows_twice_the_same": ("Csv", "test_rows_stay_in_their_order"),
    "writes_its_header_twice": ("Csv", "test_all_rows_are_there[1]"),
    "sorts_rows": ("Csv", "test_rows_stay_in_their_order"),
    "takes_null_for_null": ("Csv", "test_hostile_texts_survive_or_are_refused"),
    "takes_empty_for_null": ("Csv", "test_null_and_empty_text_stay_apart"),
    "strips_texts": ("Csv", "test_hostile_texts_survive_or_are_refused"),
    "normalises_texts": ("Unread", "test_hostile_texts_survive_or_are_refused"),
    "changes_line_ends": ("Csv", "test_hostile_texts_survive_or_are_refused"),
    "cuts_long_texts": ("Csv", "test_hostile_texts_survive_or_are_refused"),
    "rounds_numbers": ("Unread", "test_values_that_differ_stay_different"),
    "forgets_fractions": ("Csv", "test_values_that_differ_stay_different"),
    "dates_what_has_no_date": ("Csv", "test_values_that_differ_stay_different"),
    "moves_days": ("Csv", "test_values_that_differ_stay_different"),
    "turns_truths_around": ("Csv", "test_values_that_differ_stay_different"),
    "excuses_blanks": ("Csv", "test_values_that_differ_stay_different"),
    "excuses_blanks_unread": ("Unread", "test_values_that_differ_stay_different"),
    "takes_null_for_na": ("Unread", "test_null_and_empty_text_stay_apart"),
    "names_no_column": ("Excel", "test_hostile_texts_survive_or_are_refused"),
    "tells_nothing": ("Json", "test_values_that_differ_stay_different"),
    "goes_by_the_clock": ("Json", "test_the_same_gives_the_same_bytes"),
    "goes_by_hashes": ("Json", "test_the_same_gives_the_same_bytes"),
    "writes_the_moment": ("Json", "test_the_same_gives_the_same_bytes"),
    "reads_nothing": ("Excel", "test_it_can_what_it_says_and_no_more"),
    "swallows_errors": ("Csv", "test_a_failing_output_is_not_swallowed[0.5]"),
    "ignores_cancelling": ("Csv", STOPS),
    "counts_from_memory": ("Csv", "test_counting_looks_at_the_file"),
    "prints": ("Csv", "test_it_prints_nothing"),
    "collects_twice": ("Csv", "test_each_frame_is_collected_once"),
    "overlooks_damage": ("Csv", "test_a_file_that_ends_early_is_found_out"),
    "breaks_on_damage": ("Csv", "test_no_damage_brings_it_down"),
    "stops_counting": ("Csv", "test_blocks_may_end_anywhere"),
    "collects_all": ("Csv", "test_it_writes_while_rows_come"),
    "quotes_values": ("Excel", "test_errors_name_columns_and_quote_no_value"),
    "leaves_files": ("Csv", "test_it_leaves_nothing_behind"),
    "hides_its_content": ("Csv", "test_what_is_in_a_file_can_be_searched"),
    "tells_its_secret": ("Locked", "test_secret_options_stay_secret"),
    # The module of the mutants imports polars, which this one inherits from it.
    "imports_polars": ("Csv", "test_importing_it_is_light"),
}


CODE = """
import test_conformance_formats as whole


class Unread(whole.TestCsv):
    def read_back(self, engine, path):
        return None


class Locked(whole.TestCsv):
    target = "mutated_formats:locked"


KINDS = {
    "Csv": whole.TestCsv,
    "Json": whole.TestJson,
    "Excel": whole.TestExcel,
    "Unread": Unread,
    "Locked": Locked,
}
"""


def outcomes(cases: Iterable[tuple[str, str, str]], folder: Path) -> Mapping[str, str]:
    """How standard tests end in a process of its own, each by ``class::test``.

    Args:
        cases: Target (none for the whole format), kind, and test.
        folder: An empty folder.
    """
    lines, chosen = [CODE], []
    for target, kind, test in cases:
        name = f"Test_{target or kind}"
        if f"class {name}(" not in "".join(lines):
            lines.append(f"class {name}(KINDS['{kind}']):\n    installed = False\n")
            lines.append(f"    target = 'mutated_formats:{target}'\n" if target else "")
        chosen.append(f"cases.py::{name}::{test}")
    (folder / "cases.py").write_text("\n".join(lines))
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=told.xml", *dict.fromkeys(chosen)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        check=False,
        timeout=250,
    )
    told = ET.parse(folder / "told.xml").iter("testcase")
    return {f"{case.get('classname', '').removeprefix('cases.')}::{case.get('name')}": outcome(case) for case in told}


def outcome(case: ET.Element) -> str:
    told = {child.tag for child in case} & {"failure", "error", "skipped"}
    return "passed" if not told else "failed" if told == {"failure"} else "neither"


def test_each_mutant_is_caught_and_the_whole_one_passes(tmp_path: Path) -> None:
    mutated = [(name, kind, test) for name, (kind, test) in MUTANTS.items()]
    whole = [("", kind, test) for kind, test in dict.fromkeys(MUTANTS.values())]
    expected = {f"Test_{name}::{test}": "failed" for name, _kind, test in mutated}
    expected |= {f"Test_{kind}::{test}": "passed" for _name, kind, test in whole}
    assert outcomes([*mutated, *whole], tmp_path) == expected


@pytest.mark.long
def test_a_format_that_keeps_all_rows_is_caught(tmp_path: Path) -> None:
    cases = [("collects_all", "Csv", "test_memory_has_a_ceiling")]
    assert list(outcomes(cases, tmp_path).values()) == ["failed"]
