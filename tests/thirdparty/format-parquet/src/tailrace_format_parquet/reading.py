"""Reading a Parquet file of anybody, from the side of the host: nothing of it is decompressed here."""

import io
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import polars as pl

from tailrace import Limits, ReadTablesCall, RefusedError, SourceError, run_apart

LARGEST_FILE = 128 << 20
_BLOCK = 1 << 20
_LEAST = Limits()
_PER_BYTE = 12
"""Bytes of memory that a byte of the file may take: pages decompress to several, and each value becomes a text."""
_MOST_MEMORY = 2 << 30


def read_tables(call: ReadTablesCall) -> dict[str, pl.DataFrame]:
    """The table of a Parquet file by its name; see :class:`tailrace.TableReader`.

    It is called as the metadata says in a file of ours, and otherwise like the file.

    Raises:
        RefusedError: It is no Parquet file, is damaged, or costs more than one of its size should.
        SourceError: It cannot be read.
    """
    with _opened(call.path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_FILE:
            raise RefusedError(
                f"{call.path} is not read: it has more than {LARGEST_FILE:,} bytes.",
                hint="Split it into several files.",
            )
        pieces = run_apart(
            "tailrace_format_parquet.apart:read",
            _blocks(file, call),
            argument={"path": str(call.path), "name": call.path.name.partition(".")[0]},
            limits=Limits(
                memory=min(_LEAST.memory + _PER_BYTE * size, _MOST_MEMORY),
                seconds=_LEAST.seconds * max(1.0, size / (10 << 20)),
            ),
            context=call.context,
            what=f"Reading {call.path}",
        )
        name = str(json.loads(next(pieces)))
        return {name: pl.concat([pl.read_ipc_stream(io.BytesIO(piece)) for piece in pieces])}


def _opened(path: Path) -> IO[bytes]:
    try:
        # Opening a FIFO would wait for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise SourceError(f"{path} cannot be read: {reason}.", hint="Check the path and its permissions.") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SourceError(f"{path} is not a regular file.", hint="Name a file.")
    return os.fdopen(descriptor, "rb")


def _blocks(file: IO[bytes], call: ReadTablesCall) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        call.context.check()
        yield block
