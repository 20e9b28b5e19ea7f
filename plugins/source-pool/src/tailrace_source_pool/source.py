"""The source ``pool``."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tailrace import BadRows, Dataset, OptionError, SourceCall
from tailrace_source_pool import file_storage, proxy_list
from tailrace_source_pool.database import open_database
from tailrace_source_pool.host_pool import open_host_pool
from tailrace_source_pool.keeping import PoolKeeping
from tailrace_source_pool.location import Shape, path_of, read_bytes, shape_of, text_of
from tailrace_source_pool.offering import proxies_table
from tailrace_source_pool.options import PoolOptions
from tailrace_source_pool.protection import protect, sealing
from tailrace_source_pool.unreadable import Unreadable


class PoolSource(PoolKeeping):
    """Reads proxy pools: ProxyWhirl's SQLite database, its FileStorage JSON, and lists of addresses.

    What a file is, is told by its content. User names and passwords are removed or replaced by ids before anything
    leaves the source, so that no filter, sorting or error can tell anything about them.
    """

    summary: str = "Proxy pools: ProxyWhirl's database, its JSON file, and lists of host:port or URLs."
    options_type: type = PoolOptions

    def open(self, call: SourceCall) -> AbstractContextManager[Dataset]:
        """Open a pool.

        Args:
            call: ``location`` is ``proxywhirl:///path/to/pool.db``, a path, which counts from ``folder`` where it is
                relative, or ``host:NAME`` for a pool of the application; ``options`` a
                :class:`~tailrace_source_pool.options.PoolOptions`.

        Raises:
            NotAllowedError: Mode ``full``, and nothing to seal with.
            ConfigurationError: Mode ``full``, where logins are encrypted and ProxyWhirl's key is not at hand.
            RequestError: The location is of another scheme, or an option does not fit the pool.
            SourceError: Missing, damaged or of another shape.
        """
        sealing(call)
        call.context.check()
        pool = call.host_pool()
        if pool is not None:
            return open_host_pool(pool, call)
        path = call.folder / path_of(call.location)
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
    call.context.check()
    if shape is Shape.FILE_STORAGE:
        pool, count = file_storage.read_pool(text, path, Unreadable(path, "proxy", report), call.context)
        what, time_column = "A file of ProxyWhirl's FileStorage", "discovered_at"
    else:
        pool = proxy_list.read_list(text, call.options.scheme, Unreadable(path, "line", report))
        count, what, time_column = proxy_list.count_lines(content), "A proxy list", None
    # Nothing needs them any more, and they are as large as all the rest.
    del content, text
    shown = protect(pool, call)
    frame = shown.frame
    table = proxies_table(shown, count_rows=lambda: count, bad_rows=bad_rows, time_column=time_column)
    notes = [f"{what} with {frame.height or 'no'} proxies.", *shown.notes]
    yield Dataset(tables=[table], version=shape.value, notes=notes, secrets=shown.secrets)
