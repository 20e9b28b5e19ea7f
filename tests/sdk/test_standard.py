"""The mechanism of the conformance kit: what pytest shows of standard tests, and that none is dropped silently."""

import re
from typing import Any

import pytest
from tailrace_sdk.conformance.standard import Conformance, standard, standard_tests

pytest_plugins = ["pytester"]

KIT = '''
from typing import ClassVar
import pytest
from tailrace_sdk.conformance.standard import Conformance, standard

class KettleConformance(Conformance):
    kind = "kettle"
    CAPABILITIES: ClassVar = {"whistles": "It tells when the water boils.", "pours": "It has a spout."}
    whistles = False
    pours = False

    @standard()
    def test_it_boils(self):
        """Water boils in it.

        Put it on the stove.
        """
        assert self.name != "cold"

    @standard(needs="whistles")
    def test_it_whistles(self):
        """It whistles once the water boils."""

    @standard()
    @pytest.mark.parametrize("cups", [1, 2, 3])
    def test_it_holds(self, cups):
        """It holds three cups."""
        assert self.name != "small" or cups < 3
'''
"""A kit of four standard tests (one of them in three cases), as somebody else may have it."""


def kit(pytester: pytest.Pytester, tests: str) -> None:
    """A kit, and a file of tests of somebody who uses it."""
    pytester.makepyfile(
        kettle_kit=KIT,
        test_kettle=f"import pytest\nfrom kettle_kit import KettleConformance\nfrom tailrace_sdk.conformance.standard "
        f"import standard\n\n{tests}",
    )


def tried(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """A run of pytest; without hypothesis, which takes longer to import than all the rest."""
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest", *arguments)


def badge(result: pytest.RunResult) -> list[str]:
    """The badge lines of a run."""
    lines = [line.strip() for line in result.outlines]
    heading = next((number for number, line in enumerate(lines) if "Tailrace conformance" in line), len(lines))
    return [line for line in lines[heading + 1 :] if line.startswith("kettle ")]


def run(pytester: pytest.Pytester, tests: str, *arguments: str) -> list[str]:
    """The badge lines of a run of these tests."""
    kit(pytester, tests)
    return badge(tried(pytester, *arguments))


TIN = "class TestTin(KettleConformance):\n    name, target = 'tin', 'kettles:tin'\n"


def test_what_a_plugin_lacks_is_told_as_not_applicable_and_no_failure(pytester: pytest.Pytester) -> None:
    assert run(pytester, TIN) == ["kettle tin: conforms: 2 passed, 1 not applicable"]


def test_what_a_plugin_can_is_tested_and_told(pytester: pytest.Pytester) -> None:
    assert run(pytester, f"{TIN}    whistles = True") == ["kettle tin (whistles): conforms: 3 passed"]


def test_a_failure_shows_what_the_test_asks_for_and_what_to_mend(pytester: pytest.Pytester) -> None:
    kit(pytester, "class TestCold(KettleConformance):\n    name, target = 'cold', 'kettles:cold'\n")
    result = tried(pytester)
    result.stdout.fnmatch_lines(
        ["*What this standard test asks for*", "Water boils in it.", "", "Put it on the stove."], consecutive=True
    )
    assert badge(result) == ["kettle cold: does not conform: 1 passed, 1 failed, 1 not applicable"]


def test_a_parametrized_test_is_one_test_and_as_good_as_its_worst_case(pytester: pytest.Pytester) -> None:
    tests = "class TestSmall(KettleConformance):\n    name, target = 'small', 'kettles:small'\n"
    assert run(pytester, tests) == ["kettle small: does not conform: 1 passed, 1 failed, 1 not applicable"]


@pytest.mark.parametrize(
    "override",
    [
        "def test_it_boils(self): pass",
        "test_it_boils = None",
        "@standard()\n    def test_it_boils(self):\n        'Mine is standard, too.'",
        "@pytest.mark.xfail\n    def test_it_boils(self): assert False",
        "@pytest.mark.xfail(reason='')\n    def test_it_boils(self): assert False",
        "@pytest.mark.xfail(False, reason='never')\n    def test_it_boils(self): pass",
        "@pytest.mark.xfail(condition=False, reason='never')\n    def test_it_boils(self): pass",
        "@pytest.mark.skip(reason='no time')\n    def test_it_boils(self): pass",
    ],
)
def test_an_override_that_does_not_say_why_is_refused(pytester: pytest.Pytester, override: str) -> None:
    kit(pytester, f"{TIN}    {override}")
    result = tried(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*TypeError: TestTin.test_it_boils takes the place of a standard test. *xfail(reason=*"]
    )


def test_it_is_refused_through_a_mixin_too(pytester: pytest.Pytester) -> None:
    mixin = "class Mixin:\n    def test_it_boils(self): pass\n\n"
    kit(pytester, mixin + TIN.replace("(KettleConformance)", "(Mixin, KettleConformance)"))
    result = tried(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*TestTin.test_it_boils takes the place of a standard test.*"])


def test_it_is_refused_once_the_class_is_made_too(pytester: pytest.Pytester) -> None:
    kit(pytester, f"{TIN}\nTestTin.test_it_boils = lambda self: None")
    result = tried(pytester)
    result.stdout.fnmatch_lines(["*TestTin.test_it_boils takes the place of a standard test.*"])
    assert badge(result) == ["kettle tin: does not conform: 1 passed, 1 failed, 1 not applicable"]


def test_an_expected_failure_with_its_reason_is_counted_as_one(pytester: pytest.Pytester) -> None:
    override = "    @pytest.mark.xfail(reason='The stove is broken.')\n    def test_it_boils(self): assert False"
    assert run(pytester, TIN + override) == ["kettle tin: conforms: 1 passed, 1 expected failure, 1 not applicable"]


def test_an_expected_failure_that_passes_has_shown_nothing(pytester: pytest.Pytester) -> None:
    override = "    @pytest.mark.xfail(reason='The stove is broken.')\n    def test_it_boils(self): pass"
    assert run(pytester, TIN + override) == ["kettle tin: conforms: 1 passed, 1 expected failure, 1 not applicable"]


def test_a_whole_class_is_not_expected_to_fail_without_a_reason(pytester: pytest.Pytester) -> None:
    kit(pytester, f"@pytest.mark.xfail(raises=AssertionError)\n{TIN}")
    result = tried(pytester)
    assert badge(result) == ["kettle tin: does not conform: 0 passed, 3 failed"]
    result.stdout.fnmatch_lines(["*TestTin.test_it_boils is expected to fail, and nothing says why*"])


@pytest.mark.parametrize(
    ("tests", "arguments", "told"),
    [
        (TIN, ["-k", "not boils"], "1 passed, 1 not applicable, 1 not run"),
        (TIN, ["-k", "nothing_of_the_kind"], "0 passed, 3 not run"),
        (TIN, ["--deselect", "test_kettle.py::TestTin::test_it_holds"], "1 passed, 1 not applicable, 1 not run"),
        (f"@pytest.mark.skip\n{TIN}", [], "0 passed, 3 skipped"),
        (f"@pytest.mark.skip('not applicable: really')\n{TIN}", [], "0 passed, 3 skipped"),
        (f"@pytest.mark.skipif(True, reason='not applicable: really')\n{TIN}", [], "0 passed, 3 skipped"),
        (f"pytestmark = pytest.mark.skip(reason='no time')\n{TIN}", [], "0 passed, 3 skipped"),
        (f"{TIN}    pytestmark = [pytest.mark.skip(reason='no time')]", [], "0 passed, 3 skipped"),
        (f"{TIN}    __test__ = False", [], "0 passed, 3 not run"),
        (f"{TIN}    def __init__(self): pass", [], "0 passed, 3 not run"),
        (TIN.replace("TestTin", "Tin"), [], "0 passed, 3 not run"),
        (f"{TIN}{TIN.replace('TestTin', 'TestOther')}    __test__ = False", [],
         "2 passed, 1 not applicable, 3 not run"),
        (f"{TIN}    @pytest.fixture(autouse=True)\n    def broken(self):\n        yield\n        raise OSError", [],
         "0 passed, 2 failed, 1 not applicable"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_in_the_badge(
    pytester: pytest.Pytester, tests: str, arguments: list[str], told: str
) -> None:
    verdict = "does not conform" if "failed" in told else "incomplete"
    assert run(pytester, tests, *arguments) == [f"kettle tin: {verdict}: {told}"]


def test_a_case_that_is_left_out_leaves_out_its_test(pytester: pytest.Pytester) -> None:
    told = ["kettle tin: incomplete: 1 passed, 1 not applicable, 1 not run"]
    assert run(pytester, TIN, "--deselect", "test_kettle.py::TestTin::test_it_holds[3]") == told
    assert (
        badge(pytester.runpytest_subprocess("-n2", "--deselect", "test_kettle.py::TestTin::test_it_holds[3]")) == told
    )


def test_a_skip_of_the_authors_does_not_pass_for_one_of_the_kit(pytester: pytest.Pytester) -> None:
    skipping = (
        "    @pytest.fixture(autouse=True)\n    def left_out(self):\n        pytest.skip('not applicable: not now')"
    )
    assert run(pytester, f"{TIN}{skipping}") == ["kettle tin: incomplete: 0 passed, 1 not applicable, 2 skipped"]


def test_tests_are_not_exchanged_behind_the_back_of_the_kit(pytester: pytest.Pytester) -> None:
    behind = (
        "    @pytest.fixture(autouse=True)\n    def _applies(self):\n        pass\n\n"
        "for name in ('test_it_boils', 'test_it_whistles', 'test_it_holds'):\n"
        "    setattr(TestTin, name, lambda self: None)"
    )
    assert run(pytester, f"{TIN}{behind}") == ["kettle tin: does not conform: 0 passed, 3 failed"]


def test_a_class_that_others_stand_on_need_not_run_itself(pytester: pytest.Pytester) -> None:
    tests = TIN.replace("TestTin", "Tin") + "\nclass TestWhistling(Tin):\n    whistles = True"
    assert run(pytester, tests) == ["kettle tin (whistles): conforms: 3 passed"]


def test_two_classes_of_one_plugin_are_one_line(pytester: pytest.Pytester) -> None:
    tests = f"{TIN}\nclass TestWhistling(KettleConformance):\n    name, target, whistles = 'tin', 'kettles:tin', True"
    assert run(pytester, tests) == ["kettle tin (whistles): conforms: 3 passed"]
    tests += "\n\nclass TestCopper(KettleConformance):\n    name, target = 'copper', 'kettles:copper'"
    assert run(pytester, tests) == [
        "kettle copper: conforms: 2 passed, 1 not applicable",
        "kettle tin (whistles): conforms: 3 passed",
    ]


def test_the_badge_is_the_same_from_several_processes(pytester: pytest.Pytester) -> None:
    tests = (
        f"{TIN}\nclass TestCold(KettleConformance):\n    name, target = 'cold', 'kettles:cold'\n"
        "    @pytest.mark.xfail(reason='It leaks.')\n    def test_it_holds(self): assert False\n"
        "\nclass TestUnseen(KettleConformance):\n    name, target = 'unseen', 'kettles:unseen'\n    __test__ = False"
    )
    kit(pytester, tests)
    alone = badge(pytester.runpytest_subprocess())
    together = badge(pytester.runpytest_subprocess("-n2"))
    assert together == alone
    assert alone == [
        "kettle cold: does not conform: 0 passed, 1 failed, 1 expected failure, 1 not applicable",
        "kettle tin: conforms: 2 passed, 1 not applicable",
        "kettle unseen: incomplete: 0 passed, 3 not run",
    ]


def test_a_run_without_conformance_classes_or_without_tests_has_no_badge(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_other="def test_nothing(): pass")
    tried(pytester).stdout.no_fnmatch_line("*Tailrace conformance*")
    kit(pytester, TIN)
    tried(pytester, "--collect-only").stdout.no_fnmatch_line("*Tailrace conformance*")


def test_a_base_without_a_plugin_is_nothing_to_tell_of(pytester: pytest.Pytester) -> None:
    assert run(pytester, "class TestNothingYet(KettleConformance):\n    __test__ = False") == []


def test_a_kit_may_refine_its_own_tests_and_others_may_add_to_it(pytester: pytest.Pytester) -> None:
    tests = f"{TIN}    @standard()\n    def test_it_shines(self):\n        'It shines.'\n"
    assert run(pytester, tests) == ["kettle tin: conforms: 3 passed, 1 not applicable"]

    class Base(Conformance):
        @standard()
        def test_it_shines(self) -> None:
            """It shines."""

    class Refined(Base):
        @standard()
        def test_it_shines(self) -> None:
            """It shines more."""

    assert list(standard_tests(Refined)) == ["test_it_shines"]


def test_a_standard_test_has_to_say_what_to_mend() -> None:
    def test_it_boils(self: Any) -> None:
        pass

    with pytest.raises(TypeError, match="has no docstring to say what to mend"):
        standard()(test_it_boils)


def test_a_standard_test_needs_capabilities_that_there_are() -> None:
    message = "Kettle.test_it_boils needs fire, which is no capability of its kind"
    with pytest.raises(TypeError, match=re.escape(message)):

        class Kettle(Conformance):
            CAPABILITIES = {"whistles": "It tells when the water boils."}  # noqa: RUF012 - as authors may write it

            @standard(needs="fire")
            def test_it_boils(self) -> None:
                """Water boils in it."""
