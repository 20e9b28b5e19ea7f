"""What the standard tests of every kind of plugin have in common.

An author subclasses the class of the kind and says what the plugin is and can; the tests come with it::

    from tailrace_sdk.conformance import FormatConformance


    class TestParquet(FormatConformance):
        target = "tailrace_format_parquet"
        name = "parquet"
        streams = True

A standard test cannot be dropped silently. To override one, mark the override as an expected failure, with the reason;
a test that needs a capability which the plugin says it lacks is told as *not applicable*. Both are in the badge line
that the run ends with.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import attrs
import pytest

F = TypeVar("F", bound=Callable[..., None])

PROPERTY = "tailrace_conformance"
"""Name of the pytest property by which a standard test tells the badge what it is."""
NOT_APPLICABLE = "not applicable"
"""How the reason begins for which a standard test that needs a lacking capability is skipped."""

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


def _expected_failure(test: object) -> str:
    """The reason of an override's ``xfail``; empty where it has none."""
    marks = getattr(test, "pytestmark", [])
    reasons = (str(mark.kwargs.get("reason", "")).strip() for mark in marks if mark.name == "xfail")
    return next(filter(None, reasons), "")


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
            test = getattr(cls, name)
            if not isinstance(getattr(test, _MARK, None), Standard) and not _expected_failure(test):
                message = (
                    f"{cls.__name__}.{name} takes the place of a standard test. Give it another name; or, if the "
                    f"plugin cannot pass that test, mark yours with @pytest.mark.xfail(reason=…) and say why."
                )
                raise TypeError(message)

    @pytest.fixture(autouse=True)
    def _applies(self, request: pytest.FixtureRequest) -> None:
        """Tell the badge which test this is, and leave it out where a capability is lacking."""
        known = standard_tests(type(self)).get(request.node.originalname)
        if known is None:
            return
        about = {
            "subject": f"{self.kind} {self.name}",
            "test": request.node.originalname,
            "asked_for": list(standard_tests(type(self))),
            "claimed": list(self.claimed()),
        }
        request.node.user_properties.append((PROPERTY, about))
        for capability in known.needs:
            if capability not in self.claimed():
                pytest.skip(f"{NOT_APPLICABLE}: {capability} is false")

    @classmethod
    def claimed(cls) -> tuple[str, ...]:
        """The capabilities that the plugin says it has, in the order of :attr:`CAPABILITIES`."""
        return tuple(name for name in cls.CAPABILITIES if getattr(cls, name))
