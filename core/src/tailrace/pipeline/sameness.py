"""What tells the data of an export from other data: two exports of the same data have the same, whenever they are made.

Files say it by themselves, since the same data makes the same bytes. Those that say when they were made do not: then it
is taken of the rows. Nor do those in which credentials are sealed, as every seal is another one: then it is taken of
the rows without what is sealed, and of what was sealed as it went through the vault, under a key, so that nobody can
try passwords against it.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tailrace.pipeline.exact import exactly
from tailrace.vault.canonical import netstrings

if TYPE_CHECKING:
    from tailrace.model.dataset import Table
    from tailrace.pipeline.export import Proven
    from tailrace.pipeline.job import Job


def data_digest(job: "Job", finished: Sequence["Proven"]) -> str:
    """What tells the data of these files from other; 64 hexadecimal digits.

    Args:
        job: The export; in mode ``full``, its vault has taken note of what it sealed.
        finished: Its files.
    """
    digest = hashlib.sha256()
    for proven in finished:
        digest.update(netstrings((proven.name,)))
        if job.vault is None and not job.layout.dated:
            digest.update(bytes.fromhex(proven.digests[0]))
            continue
        for table in proven.tables:
            digest.update(_rows(job, table))
    if job.vault is not None:
        digest.update(job.vault.noted)
    return digest.hexdigest()


def _rows(job: "Job", table: "Table") -> bytes:
    """A digest of the rows of a table, without columns in which something is sealed."""
    frame, columns = job.selection.apply(table)
    sealed = set(table.sealed.columns) if table.sealed else set()
    open_columns = [column.name for column in columns if column.name not in sealed]
    digest = hashlib.sha256(netstrings((table.name, *open_columns)))
    sink: Any = _Sink(digest)
    frame.select(exactly(name) for name in open_columns).collect(engine="streaming").write_ndjson(sink)
    return digest.digest()


class _Sink:
    """A file that is only digested."""

    def __init__(self, digest: Any) -> None:
        self._digest = digest

    def write(self, block: bytes) -> int:
        self._digest.update(block)
        return len(block)

    def flush(self) -> None:
        """Nothing is kept back."""
