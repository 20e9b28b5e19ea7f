"""The sink ``disk``."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tailrace import (
    AlreadyExistsError,
    DeliverCall,
    Receipt,
    RequestError,
    StagingCall,
    encode_manifest,
    publish,
)
from tailrace_sink_disk.folder import make_folder
from tailrace_sink_disk.naming import file_name, folders, is_constant, numbered
from tailrace_sink_disk.options import DiskOptions


class DiskSink:
    """Puts files into folders: whole or not at all, under names of their own, readable by their owner only."""

    summary: str = "A folder on this machine: atomic, never outside of its root, nothing overwritten unless told."
    options_type: type = DiskOptions

    def staging(self, call: StagingCall) -> Path:
        """The folder in which the file will be, made if it is missing: delivering from there copies nothing.

        Raises:
            RequestError: The target, or a pattern, cannot be used.
            NotAllowedError: A pattern leads out of the root, or over a symbolic link.
            StorageError: The folder cannot be made, or the name can never be had.
        """
        options: DiskOptions = call.options
        name = file_name(options.filename, call.fields)
        folder = _folder(call.target, options, call.fields)
        # Only where no table can change the name: what is refused now would be refused after all the work.
        if is_constant(options.filename) and "{source}" not in options.filename and not options.overwrite:
            _refuse_taken(folder / name)
        return folder

    def deliver(self, call: DeliverCall) -> Receipt:
        """Put the file into its folder, and its manifest beside it.

        A name that holds the time of the export gets ``-2``, ``-3`` … where it is taken.

        Raises:
            AlreadyExistsError: A constant name is taken, or another file of this export has it.
            NotAllowedError: The name is taken by a link, folder or device.
            NoSpaceError: The disk is full.
            StorageError: Anything else that the file system refuses.
        """
        options: DiskOptions = call.options
        parcel = call.parcel
        name = file_name(options.filename, parcel.fields)
        folder = _folder(call.target, options, parcel.fields)
        for target in _candidates(folder, name, options, parcel.fields):
            if target in call.delivered:
                raise AlreadyExistsError(
                    f"{target} is another file of this export.",
                    hint="It makes one file per table: put {source} into the file's name.",
                )
            if _is_taken(target, parcel.path, options):
                continue
            try:
                publish(
                    parcel.path,
                    target,
                    manifest=encode_manifest(parcel.manifest, name=target.name) if options.manifest else None,
                    overwrite=options.overwrite,
                    mode=options.permissions,
                )
            except AlreadyExistsError:
                continue
            return Receipt("disk", delivered=True, place=str(target), path=target)
        raise _taken(folder / name)


def _folder(target: str | None, options: DiskOptions, fields: Mapping[str, str]) -> Path:
    names = folders(options.pattern, fields)
    try:
        root = (Path(target) if target else options.root).expanduser().absolute()
    except RuntimeError:
        raise RequestError(
            "The folder begins with ~, and there is no such home.", hint="Write the whole path."
        ) from None
    if "\x00" in str(root):
        raise RequestError("The folder's name holds a NUL character.", hint="Name another folder.")
    return make_folder(root, names)


def _candidates(folder: Path, name: str, options: DiskOptions, fields: Mapping[str, str]) -> Iterator[Path]:
    names = iter((name,)) if options.overwrite or is_constant(options.filename) else numbered(name, fields["ext"])
    return (folder / candidate for candidate in names)


def _is_taken(target: Path, staged: Path, options: DiskOptions) -> bool:
    """Whether another file has the name: asked first, because publishing may have to copy before it finds out."""
    if options.overwrite or target.is_symlink() or not target.is_file():
        return False
    return not target.samefile(staged)


def _refuse_taken(target: Path) -> None:
    if os.path.lexists(target):
        raise _taken(target)


def _taken(target: Path) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"{target} exists already.",
        hint="Choose another name, put {timestamp} into it, or replace it: --option overwrite=true",
    )
