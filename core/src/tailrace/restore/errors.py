"""What can be wrong with an import."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tailrace.model.errors import RefusedError

if TYPE_CHECKING:
    from tailrace.plugins.pools import Problem

SHOWN = 20
"""Problems, or clashes, that a message lists; the attributes have all that were listed."""


class InvalidImportError(RefusedError):
    """A file that has problems; nothing of it was applied.

    Args:
        path: The file, as text.
        problems: What is wrong, each with its place.
        count: How many problems there are, where that is more than those listed.
    """

    def __init__(self, path: str, problems: "Sequence[Problem]", *, count: int | None = None) -> None:
        self.problems = tuple(problems)
        self.count = len(self.problems) if count is None else count
        what = "1 problem" if self.count == 1 else f"{self.count:,} problems"
        super().__init__(
            _listed(f"{path} has {what}:", map(str, self.problems), self.count),
            hint="Nothing was applied. Mend the file, or export it again.",
        )


class ClashError(RefusedError):
    """Proxies that the target cannot hold, or not beside each other; nothing was applied.

    Args:
        clashes: One ``(place, reason)`` for each.
    """

    def __init__(self, clashes: Sequence[tuple[str, str]]) -> None:
        self.clashes = tuple(clashes)
        count = len(self.clashes)
        what = "1 proxy" if count == 1 else f"{count:,} proxies"
        super().__init__(
            _listed(
                f"The pool cannot hold {what} of the file:",
                (f"{place}: {reason}" for place, reason in self.clashes[:SHOWN]),
                count,
            ),
            hint="Nothing was applied. Leave them out (--leave-out-clashes), or take a target that can hold them; "
            "of several with one URL, --on-duplicate rename keeps the login in the URL.",
        )


def _listed(headline: str, lines: Iterable[str], count: int) -> str:
    shown = [f"  {line}" for line, _number in zip(lines, range(SHOWN), strict=False)]
    more = [f"  … and {count - len(shown):,} more"] if count > len(shown) else []
    return "\n".join([headline, *shown, *more])
