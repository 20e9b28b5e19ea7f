"""Checking a finished export again, any time later, and saying what is inside."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from tailrace.files.publish import MANIFEST_SUFFIX, manifest_path
from tailrace.model.context import Context
from tailrace.model.errors import IntegrityError, SourceError, TailraceError
from tailrace.model.manifest import Manifest, decode_manifest
from tailrace.model.options import build_options
from tailrace.pipeline.foreign import foreign_errors
from tailrace.pipeline.reread import FileReader
from tailrace.plugins.kinds import Format, RereadCall
from tailrace.plugins.registry import LoadedPlugin, Registry
from tailrace.vault.header import KeyHolder, open_header, read_header
from tailrace.vault.sealing import seal_content
from tailrace.vault.trust import Judgement, Trust

_LARGEST_MANIFEST = 64 << 20


@attrs.frozen
class Check:
    """One thing that was checked.

    Args:
        name: What.
        ok: How it went; None when it could not be checked.
        detail: Facts, in words.
    """

    name: str
    ok: bool | None
    detail: str


@attrs.frozen
class Verification:
    """What ``tailrace verify`` found out about a file.

    Args:
        file: The file.
        manifest: What it says about itself.
        checks: What was checked, and how it went.
        trust: On what ground it is believed to come from whom it says, and why, in words.
    """

    file: Path
    manifest: Manifest
    checks: tuple[Check, ...]
    trust: Judgement

    @property
    def ok(self) -> bool:
        """Whether everything was checked and is right, and the signature is not one to distrust."""
        return all(check.ok for check in self.checks) and self.trust.trust is not Trust.DISTRUSTED

    def _repr_html_(self) -> str:
        from tailrace.notebook import verification_html

        return verification_html(self)


@attrs.frozen
class Inspection:
    """What ``tailrace inspect`` says about a file, on the word of its manifest."""

    file: Path
    manifest: Manifest
    present: bool


def inspect(path: Path) -> Inspection:
    """Read what a file's manifest says, without opening the file itself.

    Args:
        path: The data file, or its manifest. A symbolic link that has no manifest beside it stands for the file that
            it leads to, such as the link ``latest`` of the sink ``disk``.

    Raises:
        SourceError: There is no manifest.
        IntegrityError: It cannot be read.
    """
    name = path.name.removesuffix(MANIFEST_SUFFIX)
    if name in {"", ".."}:
        message = f"{path} is not the name of a file."
        raise SourceError(message, hint="Name the exported file, or its manifest.")
    file = path.with_name(name)
    if file.is_symlink() and not os.path.lexists(manifest_path(file)):
        file = Path(os.path.realpath(file))
    beside = manifest_path(file)
    try:
        status = beside.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _not_regular(beside)
        if status.st_size > _LARGEST_MANIFEST:
            message = f"{beside} is too large to be a manifest."
            raise IntegrityError(message, hint="It was changed or damaged: export again.")
        content = beside.read_bytes()
    except FileNotFoundError:
        what = "has no manifest beside it" if file.exists() else "does not exist"
        message = f"{file} {what}."
        hint = f"An export of Tailrace comes with {beside.name}; without it there is nothing to check it against."
        raise SourceError(message, hint=hint) from None
    except OSError as error:
        message = f"{beside} cannot be read: {error.strerror}."
        raise SourceError(message, hint="Let this user read it.") from error
    return Inspection(file, decode_manifest(content), file.exists())


def verify(
    path: Path,
    *,
    registry: Registry,
    context: Context,
    judge: Callable[[Manifest], Judgement],
    remember: Callable[[Manifest, Judgement], None] = lambda _manifest, _judgement: None,
    keys: Sequence[KeyHolder] = (),
) -> Verification:
    """Check a file against its manifest: sizes, digests, and the rows in it, parsed by the format that wrote it.

    Args:
        path: The data file, or its manifest.
        registry: Where the format plugin comes from.
        context: Progress, cancellation, deadline.
        judge: Judges its signature.
        remember: Told of the judgement, where the file is what its manifest says.
        keys: Open its sealed credentials, to check its seal.

    Raises:
        SourceError: File or manifest do not exist.
        IntegrityError: The manifest cannot be read, or its signature is not of it.
        UnknownKeyError: None of the keys opens it.
    """
    inspection = inspect(path)
    file, manifest = inspection.file, inspection.manifest
    if not inspection.present:
        message = f"{file} does not exist, only its manifest does."
        raise SourceError(message, hint="Put the file beside its manifest.")
    if not file.is_file():
        raise _not_regular(file)
    record = manifest.file
    context.phase("verifying", total_rows=None)
    reader = FileReader(file, compressed=record.compression is not None, context=context)
    blocks = reader.blocks()
    try:
        rows = _rows(manifest, blocks, registry)
        for _block in blocks:
            pass
        reader.drain()
        damage: tuple[Check, ...] = ()
    except IntegrityError as error:
        reader.drain()
        rows, damage = (), (Check("content", ok=False, detail=error.message),)
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}."
        raise SourceError(message, hint="Let this user read it; check the disk.") from error
    checks = [
        Check(
            "name", file.name == record.name, f"{file.name}" if file.name == record.name else f"made as {record.name}"
        ),
        Check("size", reader.size == record.size, _compared(reader.size, record.size, "bytes")),
        Check("digest", reader.sha256 == record.sha256, f"SHA-256 {reader.sha256}"),
        *damage,
    ]
    if record.compression is not None and not damage:
        checks += [
            Check(
                "plain size",
                reader.plain_size == record.plain_size,
                _compared(reader.plain_size, record.plain_size, "bytes"),
            ),
            Check("plain digest", reader.plain_sha256 == record.plain_sha256, f"SHA-256 {reader.plain_sha256}"),
        ]
    if keys:
        checks.append(_seal(manifest, reader.plain_sha256, keys))
    found = Verification(file, manifest, (*checks, *rows), judge(manifest))
    if found.ok:
        remember(manifest, found.trust)
    return found


def _seal(manifest: Manifest, plain_sha256: str, keys: Sequence[KeyHolder]) -> Check:
    """Whether the content is what the holder of the data key sealed."""
    if manifest.vault is None:
        return Check("seal", ok=False, detail="a key was given, and the manifest says that nothing is sealed")
    key = open_header(read_header(manifest.vault), keys)
    seal = manifest.seal
    # The reader has counted to the end: what it saw is what the seal is to be of.
    ok = seal is not None and seal.sha256 == plain_sha256 and seal_content(key, plain_sha256) == seal
    return Check("seal", ok, "made with the data key" if ok else "not made with the data key")


def _not_regular(path: Path) -> SourceError:
    # Opening a pipe would wait for its writer, without an end.
    return SourceError(f"{path} is not a regular file.", hint="Name the exported file, or its manifest.")


def _rows(manifest: Manifest, blocks: Iterator[bytes], registry: Registry) -> tuple[Check, ...]:
    try:
        plugin = registry.format(manifest.format.name)
        owner = f"format {plugin.name}"
        with foreign_errors("format", plugin.name):
            options: Any = build_options(plugin.object.options_type, manifest.format_options, owner=owner)
    except TailraceError as error:
        # Missing, denied, broken, or of another version than the one that wrote the file.
        return (Check("rows", ok=None, detail=f"not counted: {error.message} {error.hint}".strip()),)
    expected = {table.name: table.rows.reread for table in manifest.tables}
    counted = _count(plugin, options, manifest, blocks)
    return tuple(
        Check(f"rows of {name}", counted.get(name) == rows, _compared(counted.get(name, 0), rows, "rows"))
        for name, rows in expected.items()
    )


def _count(plugin: LoadedPlugin[Format], options: Any, manifest: Manifest, blocks: Iterator[bytes]) -> dict[str, int]:
    widths = {table.name: len(table.columns) for table in manifest.tables}
    call = RereadCall(blocks, options, list(widths), thorough=True, columns=widths)
    try:
        return {name: int(rows) for name, rows in plugin.object.count_rows(call).items()}
    except (TailraceError, OSError, KeyboardInterrupt):
        raise
    except BaseException as error:
        message = f"The rows cannot be parsed: {type(error).__name__}."
        raise IntegrityError(message, hint="The file is damaged, or another version of the format wrote it.") from error


def _compared(found: int, expected: int, unit: str) -> str:
    return f"{found:,} {unit}" if found == expected else f"{found:,} {unit} instead of {expected:,}"
