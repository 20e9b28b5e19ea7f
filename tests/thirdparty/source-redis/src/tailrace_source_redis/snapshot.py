"""Reading a hash: all of it, at one moment.

``HGETALL`` is one command, and Redis does one after the other: what it gives was there at one moment. ``HSCAN`` would
give it in pieces, in little memory, but proxies that are deleted, entered or checked meanwhile may be in it or not, or
twice: that is no snapshot, and its count proves nothing. A copy of the hash on the server (``COPY``) could be scanned
in peace, but a source does not write. So the pool is in memory as a whole, a few hundred bytes for each proxy; pools of
this kind have thousands. ``HLEN``, in the same transaction, counts it independently.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004 - it is not that of Python, and named as everywhere
    InvalidResponse,
    RedisError,
    TimeoutError,  # noqa: A004
)
from redis.retry import Retry

from tailrace import Context, SourceError, TailraceError, TransientError
from tailrace_source_redis.options import RedisOptions
from tailrace_source_redis.place import PASSWORD_FROM, RedisPlace

_LOOK_EVERY = 0.05


@attrs.frozen
class Snapshot:
    """A hash at one moment.

    Args:
        fields: Its fields and values.
        count: How many it has, by the server's own count.
    """

    fields: Mapping[bytes, bytes] = attrs.field(repr=False)
    count: int


def read_snapshot(place: RedisPlace, options: RedisOptions, context: Context) -> Snapshot:
    """Read the hash.

    Raises:
        SourceError: It is not there, is none, or may not be read.
        TransientError: Redis is away, or does not answer.
        CancelledError: Somebody asked to stop.
        DeadlineError: The time is up.
    """
    client = Redis(
        host=place.host,
        port=place.port,
        db=place.database,
        username=place.username or None,
        password=place.password or None,
        ssl=place.tls,
        socket_timeout=options.timeout,
        socket_connect_timeout=options.timeout,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        kind, count, fields = _awaited(lambda: _asked(client, options.table), context)
    except RedisError as error:
        raise _failure(error, place) from None
    finally:
        client.close()
    if kind == b"none":
        if options.allow_empty:
            return Snapshot({}, 0)
        raise SourceError(
            f"There is no hash {options.table!r} in {place}, or the pool in it is empty.",
            hint="Check the database in --from and --option table=NAME; or allow that: --option allow_empty=true",
        )
    if kind != b"hash":
        raise SourceError(
            f"{options.table!r} in {place} is no hash.", hint="Name the one of proxy_pool: --option table=NAME"
        )
    for answer in (count, fields):
        if isinstance(answer, RedisError):
            raise _failure(answer, place)
    return Snapshot(fields, count)


def _asked(client: "Redis", table: str) -> "list[Any]":
    with client.pipeline(transaction=True) as together:
        together.type(table)
        together.hlen(table)
        together.hgetall(table)
        return together.execute(raise_on_error=False)


def _awaited(work: "Callable[[], list[Any]]", context: Context) -> "list[Any]":
    """What the work gives; it is done in a thread, which nobody waits for any more when the export is to stop."""
    given: list[list[Any]] = []
    failed: list[Exception] = []

    def do() -> None:
        try:
            given.append(work())
        except Exception as error:  # noqa: BLE001 - raised below, in the thread that waits
            failed.append(error)

    context.check()
    thread = threading.Thread(target=do, name="tailrace-redis", daemon=True)
    thread.start()
    while thread.is_alive():
        context.check()
        thread.join(_LOOK_EVERY)
    if failed:
        raise failed[0]
    return given[0]


def _failure(error: RedisError, place: RedisPlace) -> TailraceError:
    """The error that tells of another one, whose text may quote the password."""
    if isinstance(error, AuthenticationError | AuthorizationError) or "NOAUTH" in str(error)[:20]:
        return SourceError(
            f"{place} wants another user name or password.",
            hint=f"Write them into the URL, or set {PASSWORD_FROM} to the password.",
        )
    if isinstance(error, BusyLoadingError):
        return TransientError(f"{place} is still loading its data.", hint="Try again later.")
    if isinstance(error, TimeoutError):
        return TransientError(f"{place} did not answer in time.", hint="Try again, or allow more: --option timeout=30")
    if isinstance(error, ConnectionError):
        return TransientError(f"{place} cannot be reached.", hint="Check --from, and whether Redis runs there.")
    if isinstance(error, InvalidResponse):
        return SourceError(f"{place} answers as no Redis does.", hint="Check host and port in --from.")
    return SourceError(f"{place} refused to give the pool.", hint="Check what the user may do: TYPE, HLEN, HGETALL.")
