"""What is wrong with a dashboard: everything at once, each with its place in the file."""

import difflib
import re
from collections.abc import Iterable, Sequence

import attrs

from tailrace import RequestError


class DashboardError(RequestError):
    """A dashboard that cannot be made as it is written.

    Args:
        name: Which dashboard.
        problems: One ``"$.path: what is wrong"`` for each problem.
    """

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        told = "\n".join(f"  - {problem}" for problem in problems)
        super().__init__(
            f"The dashboard {name} cannot be made:\n{told}",
            hint="Each line begins with the place in the file: $.pages[0] is the first [[pages]].",
        )


@attrs.define
class Problems:
    """Collects what is wrong.

    Args:
        name: Which dashboard it is about.
    """

    name: str
    _found: list[str] = attrs.field(factory=list, init=False)

    def add(self, path: str, what: str) -> None:
        """Take note of a problem; told twice, it is one."""
        told = f"{path}: {what}"
        if told not in self._found:
            self._found.append(told)

    def unknown(self, path: str, kind: str, name: str, known: Iterable[str]) -> None:
        """Take note of a name that does not exist."""
        self.add(path, unknown(kind, name, known))

    def __len__(self) -> int:
        """How many there are."""
        return len(self._found)

    def stop(self) -> None:
        """Go on only if nothing is wrong.

        Raises:
            DashboardError: With all that is.
        """
        if self._found:
            raise DashboardError(self.name, sorted(self._found, key=_place))


def _place(problem: str) -> list[tuple[int, str]]:
    """Where a problem stands in the file: what is said of the whole first, the tenth panel behind the second."""
    path = problem.partition(": ")[0]
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path)]


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """What to say about a name that does not exist."""
    there = sorted(known)
    close = difflib.get_close_matches(name, there, n=1, cutoff=0.6)
    if close:
        return f"there is no {kind} {name!r}; did you mean {close[0]!r}?"
    return f"there is no {kind} {name!r}; there is {', '.join(there) or 'none at all'}."
