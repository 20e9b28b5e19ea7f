"""The source ``pool``."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tailrace import BadRows, Dataset, OptionError, SourceCall, Table
from tailrace_source_pool import file_storage, proxy_list
from tailrace_source_pool.columns import described
from tailrace_source_pool.database import open_database
from tailrace_source_pool.location import Shape, path_of, read_bytes, shape_of, text_of
from tailrace_source_pool.logins import refuse_full
from tailrace_source_pool.options import PoolOptions
from tailrace_source_pool.protection import protect
from tailrace_source_pool.unreadable import Unreadable


class PoolSource:
    """Reads proxy pools: ProxyWhirl's SQLite database, its FileStorage JSON, and lists of addresses.

    What a file is, is told by its content. User names and passwords are removed or replaced by ids before anything
    leaves the source, so that no filter, sorting or error can tell anything about them.
    """

    summary: str = "Proxy pools: ProxyWhirl's database, its JSON file, and lists of host:port or URLs."
    options_type: type = PoolOptions

    def open(self, call: SourceCall) -> AbstractContextManager[Dataset]:
        """Open a pool.

        Args:
            call: ``location`` is ``proxywhirl:///path/to/pool.db``, or a path; ``options`` a
                :class:`~tailrace_source_pool.options.PoolOptions`.

        Raises:
            NotAllowedError: Credential mode ``full``.
            RequestError: The location is of another scheme, or an option does not fit the pool.
            SourceError: Missing, damaged or of another shape.
        """
        refuse_full(call.credentials)
        path = path_of(call.location)
        content = read_bytes(path)
        return open_database(path, call) if content is None else _open_file(path, content, call)


@contextmanager
def _open_file(path: Path, content: bytes, call: SourceCall) -> Iterator[Dataset]:
    shape = shape_of(content)
    text = text_of(content, path)
    if call.options.checks:
        raise OptionError("checks", "only ProxyWhirl's database holds health checks.", hint="Leave it out.")
    bad_rows = BadRows()
    report = bad_rows if call.options.on_bad_rows == "report" else None
    if shape is Shape.FILE_STORAGE:
        entries = file_storage.read_entries(text, path)
        pool = file_storage.read_pool(entries, Unreadable(path, "proxy", report))
        count, what, time_column = len(entries), "A file of ProxyWhirl's FileStorage", "discovered_at"
    else:
        pool = proxy_list.read_list(text, call.options.scheme, Unreadable(path, "line", report))
        count, what, time_column = proxy_list.count_lines(content), "A proxy list", None
    shown = protect(pool, call.credentials, call.reference)
    frame = shown.frame
    table = Table(
        name="proxies",
        frame=frame.lazy(),
        columns=described(frame.columns),
        count_rows=lambda: count,
        sample=lambda n: frame.gather_every(max(1, frame.height // max(1, n))).head(n),
        bad_rows=bad_rows,
        time_column=time_column,
    )
    notes = [f"{what} with {frame.height or 'no'} proxies.", *shown.notes]
    yield Dataset(tables=[table], version=shape.value, notes=notes)
