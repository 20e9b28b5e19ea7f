"""Prepared rows become bytes, in several threads, and come back in their order."""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import IO, Any, Self, TypeVar, cast

import attrs
import polars as pl

from tailrace_format_excel.archive import deflated
from tailrace_format_excel.rows import ROW_END, PreparedRows

_FEW = 1_000
"""Rows for which a query costs more than it saves."""
_WAITING = 8
"""Pieces that may be worked on or wait: the same everywhere, because where a sheet ends may depend on it."""

T = TypeVar("T")


@attrs.frozen
class Rendered:
    """Rows as they stand in the archive.

    Args:
        plain: Their XML.
        piece: The same, deflated.
    """

    plain: bytes = attrs.field(repr=False)
    piece: bytes = attrs.field(repr=False)


class _Chunks:
    """Takes what polars writes."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def write(self, data: bytes, /) -> int:
        self.chunks.append(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing; polars' sinks call it."""


def xml_of(rows: pl.Series) -> bytes:
    """The XML of rows, each with its end."""
    if rows.null_count():  # pragma: no cover - every cell of a row is something, an empty one too
        message = "a row has become nothing"
        raise RuntimeError(message)
    if len(rows) < _FEW:
        return "".join(f"{row}{ROW_END}" for row in rows).encode()
    # polars' CSV writer puts together many rows seven times as quick as joining and encoding them.
    target = _Chunks()
    rows.to_frame().lazy().sink_csv(
        cast("IO[bytes]", target),
        include_header=False,
        quote_style="never",
        line_terminator=ROW_END,
        engine="streaming",
    )
    return b"".join(target.chunks)


def render(rows: PreparedRows) -> Rendered:
    """Make the XML of prepared rows, and deflate it."""
    plain = xml_of(rows.texts())
    return Rendered(plain, deflated(plain))


class InOrder:
    """Lets several threads work, and hands over what they made in the order of the orders.

    Args:
        take: Gets each result, in the thread of the caller.
    """

    def __init__(self, take: Callable[[Any], None]) -> None:
        threads = min(os.cpu_count() or 1, 4)
        self._take = take
        self._waiting: deque[Future[Any]] = deque()
        self._pool = ThreadPoolExecutor(threads, "tailrace-excel")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, work: Callable[[T], Any], argument: T) -> None:
        """Have some work done; waits where too much of it does."""
        self._waiting.append(self._pool.submit(work, argument))
        while len(self._waiting) > _WAITING:
            self._take(self._waiting.popleft().result())

    def settle(self) -> None:
        """Wait for all that was submitted."""
        while self._waiting:
            self._take(self._waiting.popleft().result())
