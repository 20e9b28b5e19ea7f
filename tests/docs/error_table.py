"""Every error that Tailrace raises on purpose, as the reference has it."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator, Mapping

import tailrace
from tailrace import TailraceError

from .docstrings import described, items, table

_SHARED = ("message", "hint")
_RUN_AT_ONCE = ("tailrace.__main__", "tailrace._apart", "tailrace.store.migrations")


def error_classes() -> list[type[TailraceError]]:
    """All of them, those below behind those above: public ones, and those that are known by a public class above."""
    for module in pkgutil.walk_packages(tailrace.__path__, "tailrace."):
        # What runs when it is imported is for others to import.
        if not module.name.startswith(_RUN_AT_ONCE):
            importlib.import_module(module.name)
    return list(_below(TailraceError))


def error_table(classes: Iterable[type[TailraceError]], what_to_do: Mapping[str, str]) -> str:
    """A table of errors.

    Args:
        classes: The errors, each behind the one that it is a kind of.
        what_to_do: By the name of the error as the table has it; written by hand.
    """
    rows = []
    for cls in classes:
        depth = len(cls.__mro__) - len(TailraceError.__mro__)
        name = f"`{cls.__name__}`"
        facts = [f"`{fact}`: {text}" for fact, text in items(cls).items() if fact not in _SHARED]
        when = "<br>".join([described(cls), *facts])
        rows.append((name, cls.exit_code, cls.__base__.__name__ if depth else "", when, what_to_do.get(name, "")))  # type: ignore[union-attr]
    return table(("error", "exit code", "a kind of", "when", "what to do"), rows)


def public(cls: type) -> bool:
    """Whether a class is a public name."""
    return getattr(tailrace, cls.__name__, None) is cls if cls.__name__ in tailrace.__all__ else False


def _below(cls: type[TailraceError]) -> Iterator[type[TailraceError]]:
    yield cls
    for below in cls.__subclasses__():
        if below.__module__.partition(".")[0] == "tailrace" and inspect.isclass(below):
            yield from _below(below)
