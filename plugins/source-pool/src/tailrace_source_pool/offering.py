"""The table of proxies, as every kind of pool offers it."""

from collections.abc import Callable

from tailrace import BadRows, Table
from tailrace_source_pool.columns import described
from tailrace_source_pool.protection import ShownPool


def proxies_table(
    shown: ShownPool, *, count_rows: Callable[[], int], bad_rows: BadRows, time_column: str | None
) -> Table:
    """The table ``proxies``.

    Args:
        shown: The pool, with its credentials as the mode has them.
        count_rows: Counts the proxies independently of reading them.
        bad_rows: Where proxies went that could not be read.
        time_column: The column that time ranges apply to; None where there is none.
    """
    frame = shown.frame
    return Table(
        name="proxies",
        frame=frame.lazy(),
        columns=described(frame.columns),
        count_rows=count_rows,
        sample=lambda n: frame.gather_every(max(1, frame.height // max(1, n))).head(n),
        bad_rows=bad_rows,
        time_column=time_column,
        sealed=shown.sealed,
    )
