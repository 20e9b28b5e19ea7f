"""Why a workbook is not read."""

from tailrace import RefusedError

DAMAGED = "Save it again with the program that made it."
HARMFUL = "No program writes workbooks like that: do not trust it."
TOO_LARGE = "Split it into several files, or save the sheet as CSV."


class UnsafeWorkbookError(Exception):
    """Nothing is going to read it.

    Args:
        reason: Why, as a clause; never a value.
        hint: What to do.
    """

    def __init__(self, reason: str, hint: str = HARMFUL) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint

    def to_error(self, path: str) -> RefusedError:
        """The error that is told."""
        return RefusedError(f"The workbook {path} is not read: {self.reason}.", hint=self.hint)
