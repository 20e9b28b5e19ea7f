"""The source ``redis``."""

from collections.abc import Iterator
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from tailrace import Dataset, SourceCall, Table
from tailrace_source_redis.options import RedisOptions


class RedisSource:
    """Reads the pools that proxy_pool keeps in Redis, at one moment."""

    summary = "Pools of jhao104's proxy_pool in Redis."
    options_type: type = RedisOptions

    @contextmanager
    def open(self, call: SourceCall) -> Iterator[Dataset]:
        """Open a pool.

        Args:
            call: ``location`` is ``redis://[USER:PASSWORD@]HOST[:PORT]/DATABASE``; ``options`` a
                :class:`~tailrace_source_redis.options.RedisOptions`.

        Raises:
            NotAllowedError: Mode ``full``, and nothing to seal with.
            RequestError: The location is of another kind.
            SourceError: The pool is not there, cannot be read or may not be.
            TransientError: Redis is away.
        """
        from tailrace_source_redis.place import read_place
        from tailrace_source_redis.records import read_records
        from tailrace_source_redis.shown import COLUMNS, TABLE, check_mode, show
        from tailrace_source_redis.snapshot import read_snapshot

        options: RedisOptions = call.options
        check_mode(call)
        snapshot = read_snapshot(read_place(call.location), options, call.context)
        count = snapshot.count
        records = read_records(
            snapshot.fields,
            ZoneInfo(options.time_zone),
            report=options.on_bad_rows == "report",
            context=call.context,
        )
        del snapshot
        shown = show(records, call)
        frame = shown.frame
        table = Table(
            TABLE,
            frame.lazy(),
            COLUMNS,
            count_rows=lambda: count,
            sample=lambda n: frame.gather_every(max(1, frame.height // max(1, n))).head(n),
            bad_rows=records.bad_rows,
            time_column="last_time",
            sealed=shown.sealed,
        )
        secrets = None if shown.sealed else shown.removed.secrets
        yield Dataset([table], version="proxy_pool", notes=shown.notes, secrets=secrets)
