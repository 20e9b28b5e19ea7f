"""What the standard tests of every kind of plugin have in common.

An author subclasses the class of the kind and says what the plugin is and can; the tests come with it::

    from tailrace_sdk.conformance import FormatConformance


    class TestParquet(FormatConformance):
        target = "tailrace_format_parquet"
        name = "parquet"
        streams = True

A standard test cannot be dropped silently. To override one, mark the override as an expected failure, with the reason;
a test that needs a capability which the plugin says it lacks is told as *not applicable*. Both are in the badge line
that the run ends with; so is what a run left out, whichever way: by ``-k``, by a mark, or by not collecting a class.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import attrs
import pytest

F = TypeVar("F", bound=Callable[..., None])

NOT_APPLICABLE = "not applicable"
"""How the reason begins for which a standard test that needs a lacking capability is skipped."""


class NotApplicable(pytest.skip.Exception):  # type: ignore[name-defined, misc]  # pytest has it as an attribute only
    """The kit itself leaves a test out; a skip of the author's is told as such, whatever its reason."""

    __module__ = "builtins"  # pytest shows it as it shows its own

    def __init__(self, why: str) -> None:
        super().__init__(f"{NOT_APPLICABLE}: {why}")


_MARK = "__tailrace_standard__"


@attrs.frozen
class Standard:
    """What is known of a standard test.

    Args:
        needs: The capabilities (class attributes) without which it does not apply.
    """

    needs: tuple[str, ...] = ()


def standard(*, needs: str | tuple[str, ...] = ()) -> Callable[[F], F]:
    """Make a method of a conformance class a standard test, which no subclass can drop silently.

    Its docstring is shown when it fails: first what is asked for, then what to mend.

    Args:
        needs: The capabilities without which it does not apply; each a class attribute that is true or false.
    """

    def mark(test: F) -> F:
        if not inspect.getdoc(test):
            message = f"{test.__qualname__} has no docstring to say what to mend"
            raise TypeError(message)
        setattr(test, _MARK, Standard((needs,) if isinstance(needs, str) else needs))
        return test

    return mark


def standard_tests(cls: type) -> Mapping[str, Standard]:
    """The standard tests that a conformance class has to pass, by name."""
    found: dict[str, Standard] = {}
    for ancestor in reversed(cls.__mro__):
        for name, value in vars(ancestor).items():
            if isinstance(known := getattr(value, _MARK, None), Standard):
                found[name] = known
    return found


def _reason(mark: pytest.Mark) -> str:
    """The reason of an ``xfail`` that always applies; empty where it has none, or applies at times only."""
    if mark.args or "condition" in mark.kwargs:
        return ""
    return str(mark.kwargs.get("reason") or "").strip()


def _takes_the_place(cls: type, name: str) -> bool:
    """Whether what a class has under the name of a standard test is another test, of somebody else."""
    owners = [ancestor for ancestor in cls.__mro__ if name in vars(ancestor)]
    if len(owners) == 1:
        return False
    latest, first = owners[0], owners[-1]
    of_one_house = latest.__module__.partition(".")[0] == first.__module__.partition(".")[0]
    return not (of_one_house and isinstance(getattr(vars(latest)[name], _MARK, None), Standard))


def refuse_silent_override(cls: type, name: str) -> None:
    """Refuse a class that puts something in the place of a standard test without saying why.

    Raises:
        TypeError: It does.
    """
    marks = getattr(getattr(cls, name), "pytestmark", [])
    if _takes_the_place(cls, name) and not any(mark.name == "xfail" and _reason(mark) for mark in marks):
        message = (
            f"{cls.__name__}.{name} takes the place of a standard test. Give it another name; or, if the "
            f"plugin cannot pass that test, mark yours with @pytest.mark.xfail(reason=…) and say why."
        )
        raise TypeError(message)


class Conformance:
    """Standard tests for one plugin; subclass the class of its kind.

    Attributes:
        kind: ``"source"``, ``"format"`` or ``"sink"``; the class of the kind says it.
        CAPABILITIES: What plugins of this kind can or cannot: for each capability, an attribute of the class that is
            true or false, what it means.
        target: What the entry point names: ``"package.module"`` or ``"package.module:object"``. A text, since some
            tests import the plugin in a process of its own.
        name: Public name of the plugin.
        installed: Whether its distribution is installed, so that its entry point can be looked for.
        options: Options by name that all tests run with; those that have no default have to be here.
        settings: Settings that engines of these tests have, by group and name, as in a settings file; without ``home``.
    """

    kind: ClassVar[str] = ""
    CAPABILITIES: ClassVar[Mapping[str, str]] = {}
    target: ClassVar[str]
    name: ClassVar[str]
    installed: ClassVar[bool] = True
    options: ClassVar[Mapping[str, Any]] = {}
    settings: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls, **more: Any) -> None:
        """Refuse a subclass that overrides a standard test without saying why."""
        super().__init_subclass__(**more)
        for name, known in standard_tests(cls).items():
            unknown = set(known.needs) - set(cls.CAPABILITIES)
            if unknown:
                message = f"{cls.__name__}.{name} needs {min(unknown)}, which is no capability of its kind"
                raise TypeError(message)
            refuse_silent_override(cls, name)

    @pytest.fixture(autouse=True)
    def _applies(self, request: pytest.FixtureRequest) -> None:
        """Leave a standard test out where a capability is lacking; fail where it was done away with."""
        name = request.node.originalname
        known = standard_tests(type(self)).get(name)
        if known is None:
            return
        # Once more: an attribute of a class can be changed after the class was made.
        refuse_silent_override(type(self), name)
        if any(not mark.kwargs.get("reason") for mark in request.node.iter_markers("xfail")):
            pytest.fail(f"{type(self).__name__}.{name} is expected to fail, and nothing says why: xfail(reason=…)")
        for capability in known.needs:
            if capability not in self.claimed():
                raise NotApplicable(f"{capability} is false")

    @classmethod
    def claimed(cls) -> tuple[str, ...]:
        """The capabilities that the plugin says it has, in the order of :attr:`CAPABILITIES`."""
        return tuple(name for name in cls.CAPABILITIES if getattr(cls, name))
