"""What the conformance kit asks for, and offers, as Markdown."""

from types import ModuleType

import pytest
from tailrace_sdk.conformance.standard import Conformance, standard_tests

from .docstrings import as_markdown, first_sentence, table


@pytest.fixture
def any_fixture() -> None:
    """Any fixture: what pytest makes of a function."""


def capabilities(cls: type[Conformance]) -> str:
    """What plugins of a kind may claim, and what that means."""
    return table(("claim", "when"), [(f"`{name}`", meaning) for name, meaning in cls.CAPABILITIES.items()])


def tests(cls: type[Conformance]) -> str:
    """The standard tests of a kind, those of all kinds first, with what each asks for."""
    rows = [
        (f"`{name}`", first_sentence(getattr(cls, name)), ", ".join(f"`{need}`" for need in known.needs) or "all")
        for name, known in standard_tests(cls).items()
    ]
    return table(("standard test", "asks for", "of plugins that claim"), rows)


def fixtures(plugin: ModuleType) -> str:
    """The fixtures of a pytest plugin."""
    found = {name: value for name, value in vars(plugin).items() if isinstance(value, type(any_fixture))}
    return table(
        ("fixture", "what it is"),
        [(f"`{name}`", as_markdown(one.__doc__ or "")) for name, one in sorted(found.items())],
    )
