"""Reading a workbook, from the side of the host: nothing of it is decompressed here."""

import io
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import polars as pl

from tailrace import Limits, ReadTablesCall, RefusedError, SourceError, run_apart
from tailrace_format_excel.reading.directory import BLOCK, read_directory
from tailrace_format_excel.reading.pieces import TABLE
from tailrace_format_excel.reading.refusals import DAMAGED, UnsafeWorkbookError
from tailrace_format_excel.zip_records import LOCAL_SIGNATURE

LARGEST_FILE = 128 << 20
SMALL = 10 << 20
"""Bytes of a file up to which the least limits hold, if there is not much in it, either."""
LIGHT = 24 << 20
"""Bytes that it decompresses to up to which the least memory is enough."""
QUICK = 12 << 20
"""Bytes that it decompresses to up to which the least time is enough."""
MOST_MEMORY = 1 << 30

_LEAST = Limits()
_PER_BYTE = 5
"""Bytes of memory that a byte of XML may take: a cell of 40 bytes takes about 130, and its text."""


def recognises(head: bytes) -> bool:
    """Whether a file that begins with these bytes may be a workbook: whether it is a ZIP archive with members."""
    return head.startswith(LOCAL_SIGNATURE)


def read_tables(call: ReadTablesCall) -> dict[str, pl.DataFrame]:
    """The tables of a workbook by name; see :class:`tailrace.TableReader`.

    Of a workbook of ours, its tables; of another one, each visible sheet in which there is something.

    Raises:
        RefusedError: It is no workbook, is damaged, or costs more than one of its size should.
        SourceError: It cannot be read.
    """
    with _opened(call.path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_FILE:
            reason = f"it has more than {LARGEST_FILE:,} bytes"
            raise UnsafeWorkbookError(reason, "Split it into several files.").to_error(str(call.path))
        try:
            inside = read_directory(file, call.context.check).size
        except UnsafeWorkbookError as error:
            raise error.to_error(str(call.path)) from None
        pieces = run_apart(
            "tailrace_format_excel.reading.apart:read",
            _blocks(file, call),
            argument={"path": str(call.path)},
            limits=limits_for(size, inside),
            context=call.context,
            what=f"Reading {call.path}",
        )
        return gathered(pieces, call.path)


def limits_for(size: int, inside: int) -> Limits:
    """What reading a workbook may cost.

    Args:
        size: Its bytes.
        inside: Bytes that it decompresses to.
    """
    beyond = max(0, inside - LIGHT)
    memory = _LEAST.memory + _PER_BYTE * beyond + 3 * max(0, size - SMALL)
    return Limits(
        memory=min(memory, MOST_MEMORY),
        seconds=_LEAST.seconds * max(1.0, inside / QUICK, size / SMALL),
        output=(64 << 20) + 4 * inside,
    )


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
    file.seek(0)
    while block := file.read(BLOCK):
        call.context.check()
        yield block


def gathered(pieces: Iterator[bytes], path: Path) -> dict[str, pl.DataFrame]:
    """The tables that pieces are of, by name.

    Args:
        pieces: What :func:`~tailrace_format_excel.reading.apart.read` yields.
        path: The workbook, for messages.

    Raises:
        RefusedError: Two tables have one name, or the sheets of one do not fit together.
    """
    tables: dict[str, list[pl.DataFrame]] = {}
    name = ""
    for piece in pieces:
        if piece.startswith(TABLE):
            name = str(json.loads(piece[1:]))
            if name in tables:
                raise _damaged(path, "two of its tables have one name")
            tables[name] = []
        else:
            tables[name].append(pl.read_ipc_stream(io.BytesIO(memoryview(piece)[1:])))
    return {name: _whole(frames, path) for name, frames in tables.items()}


def _whole(frames: list[pl.DataFrame], path: Path) -> pl.DataFrame:
    """One table of the rows of all its sheets."""
    if any(frame.columns != frames[0].columns for frame in frames):
        raise _damaged(path, "the sheets of a table have different headers")
    return pl.concat(frames)


def _damaged(path: Path, reason: str) -> RefusedError:
    return UnsafeWorkbookError(reason, DAMAGED).to_error(str(path))
