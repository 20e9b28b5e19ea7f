"""Changing who opens an export that exists: its data key is wrapped for others, or replaced.

Adding and removing openers leaves every sealed value, and every row, as it is. Who could open the file before can still
open copies that were made before: to shut somebody out of what is sealed from now on, *rotate*, which seals every value
anew under another data key, and then change what is worth stealing.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from tailrace.files.publish import publish
from tailrace.files.staging import staged_file
from tailrace.files.storage import storage_errors
from tailrace.model.context import Context
from tailrace.model.convert import unstructure
from tailrace.model.errors import RefusedError, RequestError, SourceError, TamperedError, UnknownNameError
from tailrace.model.manifest import Manifest, SealRecord, encode_manifest
from tailrace.pipeline.encode import Encoded, Encoder, into_descriptor
from tailrace.pipeline.reread import FileReader
from tailrace.pipeline.verify import inspect
from tailrace.plugins.kinds import CarriesManifest
from tailrace.plugins.pools import PoolFile
from tailrace.plugins.registry import Registry
from tailrace.restore.unlocking import TABLE, header_of, unlock
from tailrace.vault.header import Header, KeyHolder, Opener, OpenerKey, PasswordOpener, make_header, open_header
from tailrace.vault.keys import SigningKey
from tailrace.vault.sealing import seal_content
from tailrace.vault.signing import signed
from tailrace.vault.values import DataKey, is_sealed, seal_values

PASSWORD: Final = "password"  # noqa: S105 - what stands for passwords where others have an id
_GZIP = b"\x1f\x8b"
_TOKEN = re.compile(rb'(?<=")sealed:1:[A-Za-z0-9+/]+={0,2}(?=")')
_CARRYING = "json"
"""The format of files that hold their manifest inside, where no manifest beside them says which it is."""


@attrs.frozen
class Rekeyed:
    """What was done to a file.

    Args:
        path: The file.
        openers: Ids of the keys that open it now; ``"password"`` for each password.
        resealed: Number of values that were sealed anew.
        notes: What people should know.
    """

    path: Path
    openers: tuple[str, ...]
    resealed: int = 0
    notes: tuple[str, ...] = ()


def opener_ids(header: Header) -> tuple[str, ...]:
    """What the openers of a header are called."""
    return tuple(_id(opener) for opener in header.openers)


def change_openers(
    file: PoolFile,
    path: Path,
    *,
    keys: Sequence[KeyHolder],
    add: Sequence[OpenerKey] = (),
    remove: Sequence[str] = (),
    registry: Registry,
    signing_key: SigningKey | None,
    context: Context,
) -> Rekeyed:
    """Let others open a file, or some no longer.

    Args:
        file: The export, as it was read.
        path: Where it is.
        keys: Keys that open it.
        add: Keys to wrap its data key for.
        remove: Ids of openers to leave out; ``"password"`` for all passwords.
        registry: Where the format comes from.
        signing_key: Signs the manifest anew; without one it is unsigned from now on.
        context: Cancellation and deadline.

    Raises:
        UnknownNameError: An id to remove that the file does not have.
        UnknownKeyError: None of the keys opens it.
        TamperedError: It was changed.
        ConfigurationError: Nobody could open it any more.
    """
    header = sealed_header(file, path)
    for name in remove:
        if name not in opener_ids(header):
            raise UnknownNameError("opener", name, dict.fromkeys(opener_ids(header)), where=path.name)
    key = open_header(header, keys)
    unlock(file, keys=lambda: keys)
    kept = [opener for opener in header.openers if _id(opener) not in remove]
    changed = make_header(key, header.tables, [*kept, *add])
    notes = _rewrite(path, changed, key, lambda content: content, registry, signing_key, context)
    return Rekeyed(path, opener_ids(changed), notes=notes)


def rotate(
    file: PoolFile,
    path: Path,
    *,
    keys: Sequence[KeyHolder],
    openers: Sequence[OpenerKey],
    registry: Registry,
    signing_key: SigningKey | None,
    context: Context,
) -> Rekeyed:
    """Seal every value anew under another data key.

    Args:
        file: The export, as it was read.
        path: Where it is.
        keys: Keys that open it.
        openers: Who opens it from now on.
        registry: Where the format comes from.
        signing_key: Signs the manifest anew; without one it is unsigned from now on.
        context: Cancellation and deadline.

    Raises:
        RequestError: A file whose header lies beside it: the two cannot be replaced in one step.
        UnknownKeyError: None of the keys opens it.
        TamperedError: It was changed.
    """
    header = sealed_header(file, path)
    if not _carries(_plain(path, context)):
        message = f"{path.name} has its header in the manifest beside it, and both cannot be replaced in one step."
        raise RequestError(message, hint="Import it and export it again, or keep full exports as JSON documents.")
    open_header(header, keys)
    clear = unlock(file, keys=lambda: keys)
    fresh = DataKey.generate(header.export_id)
    tokens = _resealed(file, clear, fresh, header.tables[TABLE].bound_to if TABLE in header.tables else ())

    def replace(content: bytes) -> bytes:
        # In the middle of a text, something may only look like one.
        replaced = _TOKEN.sub(lambda found: tokens.get(found[0], found[0]), content)
        if not set(tokens) <= set(_TOKEN.findall(content)):
            message = f"Not every sealed value of {path.name} was found where it was read."
            raise TamperedError(message, hint="Nothing was changed. Import it and export it again.")
        return replaced

    changed = make_header(fresh, header.tables, openers)
    notes = _rewrite(path, changed, fresh, replace, registry, signing_key, context)
    return Rekeyed(path, opener_ids(changed), len(tokens), notes)


def sealed_header(file: PoolFile, path: Path) -> Header:
    """The header of an export.

    Args:
        file: The export, as it was read.
        path: Where it is, for messages.

    Raises:
        RefusedError: It has problems.
        RequestError: It holds nothing that is sealed.
        TamperedError: Its header was changed.
    """
    if file.problem_count:
        message = f"{path.name} cannot be used: {file.problems[0]}."
        raise RefusedError(message, hint="Check it: tailrace verify")
    if file.credentials is None or (file.manifest or {}).get("vault") is None:
        message = f"{path.name} holds nothing that is sealed."
        raise RequestError(message, hint="Exports in credential mode full have openers.")
    return header_of(file)


def _id(opener: Opener) -> str:
    return PASSWORD if isinstance(opener, PasswordOpener) else opener.key_id


def _resealed(file: PoolFile, clear: PoolFile, key: DataKey, bound_to: Sequence[str]) -> Mapping[bytes, bytes]:
    """The new sealed value for each old one."""
    import polars as pl

    bound = file.frame.select(bound_to)
    tokens: dict[bytes, bytes] = {}
    for column in file.frame.select(pl.col(pl.String)).get_columns():
        which = is_sealed(column).arg_true()
        if len(which):
            fresh = seal_values(key, TABLE, column.name, clear.frame[column.name][which], bound[which])
            tokens |= {old.encode(): new.encode() for old, new in zip(column[which], fresh, strict=True)}
    return tokens


def _rewrite(
    path: Path,
    header: Header,
    key: DataKey,
    change: Callable[[bytes], bytes],
    registry: Registry,
    signing_key: SigningKey | None,
    context: Context,
) -> tuple[str, ...]:
    """Put a header, and what ``change`` makes of the rows, into a file and the manifest beside it."""
    manifest = _manifest(path)
    content = change(_plain(path, context))
    document = header.document()
    if _carries(content):
        format_ = registry.format(manifest.format.name if manifest else _CARRYING).object
        if not isinstance(format_, CarriesManifest):
            message = f"The format of {path.name} cannot put another manifest into it."
            raise RequestError(message, hint="Update the format's distribution.")
        content = format_.with_manifest(
            content,
            lambda old: {**old, "vault": document},
            lambda sealed: unstructure(seal_content(key, _sha256(sealed))),
        )
        return _publish(path, content, manifest, document, key, signing_key, context)
    if manifest is None:  # pragma: no cover - a file without header would have been refused
        return ()
    manifest, notes = _signed(attrs.evolve(manifest, vault=document), signing_key)
    # The file stays as it is; only what lies beside it is replaced, in one step.
    with storage_errors(path), staged_file(path.parent) as (descriptor, staged):
        into_descriptor(descriptor)(encode_manifest(manifest))
        os.fsync(descriptor)
        publish(staged, path.with_name(path.name + ".manifest.json"), overwrite=True)
    return notes


def _publish(
    path: Path,
    content: bytes,
    manifest: Manifest | None,
    vault: Mapping[str, Any],
    key: DataKey,
    signing_key: SigningKey | None,
    context: Context,
) -> tuple[str, ...]:
    compressed = _is_gzip(path)
    record = manifest.file.compression if manifest else None
    level = (record.level if record else 6) if compressed else None
    with storage_errors(path), staged_file(path.parent) as (descriptor, staged):
        with Encoder(into_descriptor(descriptor), level=level, context=context.quiet(), digest=True) as encoder:
            encoder.write(content)
            plain_sha256 = encoder.plain_sha256
            encoded = encoder.finish()
        os.fsync(descriptor)
        notes: tuple[str, ...] = ()
        if manifest is not None:
            manifest, notes = _signed(
                _recorded(manifest, encoded, plain_sha256, vault, seal_content(key, plain_sha256)), signing_key
            )
        publish(staged, path, manifest=encode_manifest(manifest) if manifest else None, overwrite=True)
    return notes


def _recorded(
    manifest: Manifest, encoded: Encoded, plain_sha256: str, vault: Mapping[str, Any], seal: SealRecord
) -> Manifest:
    file = attrs.evolve(
        manifest.file,
        size=encoded.size,
        sha256=encoded.sha256 or plain_sha256,
        plain_size=encoded.plain_size,
        plain_sha256=plain_sha256,
    )
    return attrs.evolve(manifest, file=file, vault=vault, seal=seal)


def _signed(manifest: Manifest, signing_key: SigningKey | None) -> tuple[Manifest, tuple[str, ...]]:
    if manifest.signature is None:
        # Whoever wrote it is not known: to sign it now would vouch for somebody else's words.
        note = "The manifest was not signed before, and is not signed now."
        return manifest, (note,) if signing_key is not None else ()
    if signing_key is not None:
        return signed(manifest, signing_key), ()
    note = "The manifest is no longer signed: there was no key to sign it with again."
    return attrs.evolve(manifest, signature=None), (note,)


def _manifest(path: Path) -> Manifest | None:
    try:
        return inspect(path).manifest
    except SourceError:
        return None


def _plain(path: Path, context: Context) -> bytes:
    return b"".join(FileReader(path, compressed=_is_gzip(path), context=context.quiet()).blocks())


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def _carries(content: bytes) -> bool:
    return content.startswith(b'{\n"manifest": ')


def _sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()
