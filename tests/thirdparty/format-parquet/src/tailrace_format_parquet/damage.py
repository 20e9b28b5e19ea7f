"""How a file is refused that is not what was written."""

from tailrace import IntegrityError


def damaged(reason: str) -> IntegrityError:
    """The error for a file that is not what was written.

    Args:
        reason: What is wrong, as the end of a sentence; no values of it.
    """
    return IntegrityError(f"It is no Parquet file as it was written: {reason}.", hint="Export again.")
