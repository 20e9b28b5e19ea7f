"""Keeping polars' buffers small while an export streams.

polars decides by itself how many rows travel together and how many row groups of a Parquet file it reads ahead; on wide
rows of text its defaults take most of a gigabyte. Both are settings of the process, kept in environment variables, and
change speed and memory, never results. They are set while at least one export runs, unless the host has set them.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ROWS_TOGETHER = "POLARS_IDEAL_MORSEL_SIZE"
_SETTINGS = {_ROWS_TOGETHER: "20000", "POLARS_ROW_GROUP_PREFETCH_SIZE": "2"}

_lock = threading.Lock()
_exports = 0
_ours: frozenset[str] = frozenset()


@contextmanager
def small_buffers() -> Iterator[None]:
    """Hold polars' buffers small; any number of exports may do so at once."""
    global _exports, _ours  # noqa: PLW0603 - the settings are the process's, and so is the count of their users
    with _lock:
        _exports += 1
        if _exports == 1:
            _ours = frozenset(_SETTINGS) - os.environ.keys()
            os.environ.update({name: _SETTINGS[name] for name in _ours})
            _tell_polars()
    try:
        yield
    finally:
        with _lock:
            _exports -= 1
            if _exports == 0:
                for name in _ours:
                    os.environ.pop(name, None)
                _tell_polars()


def _tell_polars() -> None:
    """Let polars read the one setting that it has read before; the other it reads with each query."""
    import polars as pl

    if _ROWS_TOGETHER in _ours:
        size = os.environ.get(_ROWS_TOGETHER)
        pl.Config.set_streaming_chunk_size(None if size is None else int(size))
