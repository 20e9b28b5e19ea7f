"""The restore drill as a source: an export of it says whether the newest backup of a pool can be restored."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from tailrace.model.columns import Column, Meaning
from tailrace.model.dataset import Dataset, Table
from tailrace.model.options import option
from tailrace.plugins.hookspecs import hookimpl
from tailrace.plugins.kinds import SourceCall

if TYPE_CHECKING:
    from tailrace.restore.drill import DrillResult

NAME: Final = "drill"
"""Name of the source."""
TABLE: Final = "differences"
"""Name of its one table."""

COLUMNS: Final = (
    Column(
        "what",
        Meaning.CATEGORY,
        description="only in the backup, only in the pool, differs; running state where nothing else differs.",
    ),
    Column("protocol", Meaning.CATEGORY, description="Protocol of the proxy."),
    Column("host", Meaning.TEXT, description="Host name or IP address."),
    Column("port", Meaning.CATEGORY, description="Port, 1 to 65535."),
    Column("columns", Meaning.TEXT, description="What differs of what the proxy is and how it is set up; no values."),
    Column("running", Meaning.TEXT, description="What differs of its health, counters and latencies; no values."),
    Column("place", Meaning.TEXT, description="Where in the backup it is."),
    Column("identity", Meaning.KEY, description="Keyed id of address and login, as in plans of imports."),
)
"""The columns of the table, those of the differences by the same names."""


@attrs.frozen
class DrillOptions:
    """Which backups are meant; what the pool is, is told by its content."""

    template: str = option("", help="Id of the template whose exports are the backups.")
    creator: str = option("", help="Whose exports they are.")


@attrs.frozen
class DrillSource:
    """Carries out a restore drill when it is opened, and offers what differs; a drill that fails is an error.

    Its location is that of the live pool. It is no plugin that everybody can name: whoever hands it to a registry says
    which backups there are, and has asked :class:`~tailrace.work.access.Access` before.

    Args:
        newest: Finds the newest backup, by the options of the call; raises where there is none.
        drill: Carries out the drill on a backup: the call has location, folder and context.
    """

    newest: Callable[[SourceCall], Path] = attrs.field(repr=False)
    drill: "Callable[[Path, SourceCall], DrillResult]" = attrs.field(repr=False)
    summary: str = attrs.field(default="The restore drill: what differs between backup and pool.", init=False)
    options_type: type = attrs.field(default=DrillOptions, init=False)

    @hookimpl
    def tailrace_source(self) -> "DrillSource":
        """Itself, for a registry."""
        return self

    @contextmanager
    def open(self, call: SourceCall) -> Iterator[Dataset]:
        """Carry out the drill. Nothing of it is left when this yields but what differs.

        Raises:
            TailraceError: There is no backup, or it cannot be restored, and why.
        """
        result = self.drill(self.newest(call), call)
        frame = result.differences
        table = Table(
            name=TABLE,
            frame=frame.lazy(),
            columns=COLUMNS,
            count_rows=lambda: frame.height,
            sample=frame.head,
        )
        yield Dataset([table], version="tailrace-drill-1", notes=[result.sentence, *result.notes])
