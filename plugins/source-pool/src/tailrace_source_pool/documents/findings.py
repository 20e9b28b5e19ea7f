"""What reading a file gives, piece by piece: how the process that reads tells it to the one that asked.

A piece is a byte that says what it is, and then either a frame as an Arrow stream, or a JSON object.
"""

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
import polars as pl

from tailrace import Problem

PROBLEMS_LISTED = 1000
"""Problems that are listed one by one, as :class:`tailrace.PoolFile` has it; all are counted."""

FRAME, SUMMARY = b"F", b"S"


class BrokenOffError(Exception):
    """A file cannot be read from here on.

    Args:
        where: ``"line 3, column 7"``.
        reason: Why not, as a clause.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


@attrs.define
class Problems:
    """Problems in order of the file: all are counted, the first of them are kept."""

    kept: list[Problem] = attrs.field(factory=list)
    count: int = 0

    def tell(self, where: str, message: str) -> None:
        """Add one."""
        self.count += 1
        if len(self.kept) < PROBLEMS_LISTED:
            self.kept.append(Problem(where, message))


@attrs.define
class Summary:
    """What is known at the end.

    Args:
        dialect: What the file is.
        problems: What is wrong.
        notes: What was recognised or left aside.
        manifest: The manifest inside of it, if it is an export of ours.
        seal: The seal at its end.
    """

    dialect: str
    problems: Problems = attrs.field(factory=Problems)
    notes: list[str] = attrs.field(factory=list)
    manifest: Mapping[str, Any] | None = None
    seal: Mapping[str, Any] | None = None


def frame_piece(frame: pl.DataFrame) -> bytes:
    """Some proxies."""
    buffer = io.BytesIO(FRAME)
    buffer.seek(len(FRAME))
    frame.write_ipc_stream(buffer)
    return buffer.getvalue()


def summary_piece(summary: Summary) -> bytes:
    """What is known at the end."""
    content = attrs.asdict(summary, recurse=True)
    return SUMMARY + json.dumps(content, ensure_ascii=False).encode()


def gathered(pieces: Iterable[bytes]) -> tuple[pl.DataFrame, Summary]:
    """All proxies, and what is known at the end."""
    frames: list[pl.DataFrame] = []
    summary = Summary("")
    for piece in pieces:
        if piece.startswith(FRAME):
            frames.append(pl.read_ipc_stream(io.BytesIO(memoryview(piece)[len(FRAME) :])))
        else:
            summary = _summary(json.loads(piece[len(SUMMARY) :]))
    return (pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()), summary


def _summary(content: dict[str, Any]) -> Summary:
    problems = content.pop("problems")
    kept = [Problem(**problem) for problem in problems["kept"]]
    return Summary(**content, problems=Problems(kept, problems["count"]))


def chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """The items, some at a time; those before the place where a file is broken, too."""
    chunk: list[Any] = []
    broken = None
    try:
        for item in items:
            chunk.append(item)
            if len(chunk) == size:
                yield chunk
                chunk = []
    except BrokenOffError as error:
        broken = error
    if chunk:
        yield chunk
    if broken is not None:
        raise broken
