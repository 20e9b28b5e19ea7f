"""Converting: a pool file in one dialect becomes a file in another, and what the other cannot hold is said."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

from tailrace.files.publish import publish
from tailrace.files.staging import staged_file
from tailrace.files.storage import storage_errors
from tailrace.model.context import Context
from tailrace.model.errors import AlreadyExistsError, RefusedError, RequestError
from tailrace.model.request import CredentialMode
from tailrace.plugins.pools import Loss, PoolFile, PoolKeeper, ReadPoolCall, RenderPoolCall
from tailrace.restore.errors import InvalidImportError

DEFAULT_DIALECT: Final = "url"
"""What a file becomes whose name says nothing: of the lists, the one that loses least."""

_TIMES: Final = "\N{MULTIPLICATION SIGN}"
_WORKBOOKS: Final = frozenset({".xlsx", ".xlsm", ".xls"})
_BY_SUFFIX: Final = {".json": "json", ".csv": "csv", ".yaml": "clash", ".yml": "clash", ".conf": "proxychains"}


@attrs.frozen
class Conversion:
    """A conversion that was made.

    Args:
        path: The file that was written.
        from_dialect: What the other file is.
        to_dialect: What this one is.
        read: Number of proxies read.
        written: Number of proxies written.
        losses: What could not be carried over.
        notes: What reading has recognised or left aside, in sentences.
    """

    path: Path
    from_dialect: str
    to_dialect: str
    read: int
    written: int
    losses: tuple[Loss, ...]
    notes: tuple[str, ...]


class InvalidListError(InvalidImportError):
    """A file with lines or entries that cannot be read, or only guessed; nothing was written."""

    def __init__(self, path: str, file: PoolFile) -> None:
        super().__init__(path, file.problems, count=file.problem_count)
        self.hint = "Nothing was written. Mend the file, or say what it is: --from-dialect."


class LossyError(RefusedError):
    """A dialect that cannot hold everything, where nothing may be lost; nothing was written.

    Args:
        dialect: The dialect.
        losses: What it cannot hold.
        read: Number of proxies.
    """

    def __init__(self, dialect: str, losses: Sequence[Loss], *, read: int) -> None:
        super().__init__(
            f"The dialect {dialect} cannot hold everything. Not carried over: {in_words(losses, read=read)}.",
            hint="Nothing was written. Choose another dialect (json and csv hold all that is known of a proxy), "
            "or leave --strict out.",
        )
        self.dialect = dialect
        self.losses = tuple(losses)


def dialect_of_name(name: str) -> str:
    """What a new file of that name shall be, where nobody says it."""
    return _BY_SUFFIX.get(Path(name).suffix.lower(), DEFAULT_DIALECT)


def convert(
    source: PoolKeeper,
    call: ReadPoolCall,
    target: Path,
    *,
    dialect: str | None = None,
    template: str | None = None,
    strict: bool = False,
    overwrite: bool = False,
) -> Conversion:
    """Read a pool file and write it in another dialect.

    Args:
        source: Reads and writes.
        call: What to read.
        target: The file to write; its folder exists.
        dialect: What it shall be; None for what its name says.
        template: The line of dialect ``template``.
        strict: Whether nothing may be lost.
        overwrite: Whether a file of that name may be replaced.

    Raises:
        InvalidListError: The file has problems.
        LossyError: Something would be lost, and ``strict`` is set.
        RefusedError: Its credentials are sealed, or references.
        AlreadyExistsError: The name is taken.
        TailraceError: It cannot be read or written.
    """
    file = source.read_pool(call)
    if file.credentials in {CredentialMode.FULL, CredentialMode.REFERENCE} and not file.problem_count:
        raise RefusedError(
            f"The credentials in {call.path} are not in clear.", hint="Open them first: Engine.open_pool_file."
        )
    return convert_file(
        source,
        file,
        target,
        path=call.path,
        dialect=dialect,
        template=template,
        strict=strict,
        overwrite=overwrite,
        context=call.context,
    )


def convert_file(
    source: PoolKeeper,
    file: PoolFile,
    target: Path,
    *,
    path: Path,
    dialect: str | None = None,
    template: str | None = None,
    strict: bool = False,
    overwrite: bool = False,
    context: Context | None = None,
) -> Conversion:
    """Write a pool file that was read, and whose credentials are in clear, in another dialect.

    Args:
        source: Writes.
        file: What was read.
        target: As for :func:`convert`.
        path: Where the file was, for messages.
        dialect: As for :func:`convert`.
        template: As for :func:`convert`.
        strict: As for :func:`convert`.
        overwrite: As for :func:`convert`.
        context: Cancellation and deadline.

    Raises:
        InvalidListError: The file has problems.
        LossyError: Something would be lost, and ``strict`` is set.
        AlreadyExistsError: The name is taken.
        TailraceError: It cannot be written.
    """
    if file.problem_count:
        raise InvalidListError(str(path), file)
    context = context or Context()
    if target.suffix.lower() == ".gz":
        message = f"{target.name} would not be compressed."
        raise RequestError(message, hint="Leave .gz out of the name, and compress the file afterwards: gzip")
    if target.suffix.lower() in _WORKBOOKS:
        message = f"{target.name} would be no workbook: lists are written as text."
        raise RequestError(message, hint="Call it .csv, .txt or .json; spreadsheets open .csv files.")
    wanted = dialect or dialect_of_name(target.name)
    context.phase("writing", total_rows=file.frame.height)
    rendered = source.render_pool(RenderPoolCall(file.frame, wanted, template))
    read = file.frame.height
    if strict and rendered.losses:
        raise LossyError(wanted, rendered.losses, read=read)
    context.advance(rows=rendered.written, size=len(rendered.content))
    try:
        _write(rendered.content, target.absolute(), overwrite=overwrite)
    except AlreadyExistsError as error:
        raise AlreadyExistsError(
            error.message, hint="Choose another name, or allow replacing it: --overwrite"
        ) from None
    return Conversion(target, file.dialect, wanted, read, rendered.written, rendered.losses, file.notes)


def in_words(losses: Sequence[Loss], *, read: int) -> str:
    """What was not carried over: ``"412 credentials, 38 x scheme (socks5h becomes socks5), all tags"``.

    Args:
        losses: What.
        read: Number of proxies there were.
    """
    return ", ".join(_each_in_words(losses, read))


def _each_in_words(losses: Sequence[Loss], read: int) -> Iterator[str]:
    for loss in losses:
        number = "all" if loss.count == read else f"{loss.count:,}"
        if loss.proxies:
            yield f"{number} {'proxy' if loss.count == 1 and read > 1 else 'proxies'} ({loss.reason})"
        elif loss.field == "credentials":
            yield f"{number} credentials"
        elif loss.field == "scheme":
            yield f"{loss.count:,} {_TIMES} scheme ({loss.reason})"
        else:
            yield f"all {loss.field}" if loss.count == read else f"{loss.count:,} {_TIMES} {loss.field}"


def _write(content: bytes, target: Path, *, overwrite: bool) -> None:
    with storage_errors(target), staged_file(target.parent) as (descriptor, staged):
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        publish(staged, target, overwrite=overwrite)
