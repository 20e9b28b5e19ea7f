"""The sink ``disk``."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tailrace import (
    AlreadyExistsError,
    DeliverCall,
    Receipt,
    StagingCall,
    encode_manifest,
    publish,
    storage_errors,
)
from tailrace_sink_disk.folder import make_folder
from tailrace_sink_disk.latest import Latest
from tailrace_sink_disk.naming import is_constant, numbered
from tailrace_sink_disk.options import DiskOptions
from tailrace_sink_disk.place import place_of


class DiskSink:
    """Puts files into folders: whole or not at all, under names of their own, readable by their owner only."""

    summary: str = "A folder on this machine: atomic, never outside of its root, nothing overwritten unless told."
    options_type: type = DiskOptions

    def staging(self, call: StagingCall) -> Path:
        """The folder in which the file will be, made if it is missing: delivering from there copies nothing.

        Raises:
            RequestError: The target, or a pattern, cannot be used.
            NotAllowedError: A pattern leads out of the root, or over a symbolic link; or the name of the link to the
                newest file is not ours.
            StorageError: The folder cannot be made, or the name can never be had.
        """
        options: DiskOptions = call.options
        place = place_of(call)
        folder = make_folder(place.root, place.folders)
        if place.latest:
            with storage_errors(place.root / place.latest):
                Latest(place.root, place.latest).check()
        # Only where no table can change the name: what is refused now would be refused after all the work.
        if is_constant(options.filename) and "{source}" not in options.filename and not options.overwrite:
            _refuse_taken(folder / place.name)
        return folder

    def check_target(self, call: StagingCall) -> None:
        """Refuse what no folder could make right: a pattern, a file's name, or a target that is no path.

        Raises:
            RequestError: The target, or a pattern, cannot be used.
            NotAllowedError: A pattern leads out of the root.
        """
        place_of(call)

    def deliver(self, call: DeliverCall) -> Receipt:
        """Put the file into its folder, and its manifest beside it.

        A name that holds the time of the export gets ``-2``, ``-3`` … where it is taken.

        Raises:
            CancelledError: Somebody asked to stop before it began.
            DeadlineError: The time was up before it began.
            AlreadyExistsError: A constant name is taken, or another file of this export has it.
            NotAllowedError: The name is taken by a link, folder or device.
            NoSpaceError: The disk is full.
            StorageError: Anything else that the file system refuses.
        """
        call.context.check()
        options: DiskOptions = call.options
        parcel = call.parcel
        place = place_of(StagingCall(call.target, options, parcel.fields, call.folder))
        folder = make_folder(place.root, place.folders)
        for target in _candidates(folder, place.name, options, parcel.fields):
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
            return Receipt(
                "disk",
                delivered=True,
                place=str(target),
                path=target,
                root=place.root,
                note=_note(target, options.permissions),
                keep=options.keep,
            )
        raise _taken(folder / place.name)

    def finish(self, call: DeliverCall, receipt: Receipt) -> None:
        """Let the link ``latest`` lead to the file, unless it leads to a newer one by now.

        Raises:
            AlreadyExistsError: Its name is a file's, or it leads to another file of this export.
            NotAllowedError: Its name is a folder's, or a link's of somebody else.
            NoSpaceError: The disk is full.
            StorageError: Anything else that the file system refuses.
        """
        options: DiskOptions = call.options
        parcel = call.parcel
        place = place_of(StagingCall(call.target, options, parcel.fields, call.folder))
        if not place.latest or receipt.path is None:
            return
        latest = Latest(receipt.root or place.root, place.latest)
        described = encode_manifest(parcel.manifest, name=latest.name) if options.manifest else None
        with storage_errors(latest.root / latest.name):
            latest.lead_to(receipt.path, parcel.manifest, described=described, mode=options.permissions)


def _candidates(folder: Path, name: str, options: DiskOptions, fields: Mapping[str, str]) -> Iterator[Path]:
    names = iter((name,)) if options.overwrite or is_constant(options.filename) else numbered(name, fields["ext"])
    return (folder / candidate for candidate in names)


def _is_taken(target: Path, staged: Path, options: DiskOptions) -> bool:
    """Whether another file has the name: asked first, because publishing may have to copy before it finds out."""
    if options.overwrite or target.is_symlink() or not target.is_file():
        return False
    try:
        return not target.samefile(staged)
    except FileNotFoundError:
        # One of them went away meanwhile: publishing finds out which, and says so.
        return False


def _note(target: Path, mode: int) -> str:
    """What there is to say of a file whose permissions are not those that were asked for."""
    found = mode
    # It is delivered: whoever takes it away in this moment makes no failure of that.
    with suppress(OSError):
        found = stat.S_IMODE(target.stat().st_mode)
    if found == mode:
        return ""
    return f"Its permissions are {found:04o} instead of {mode:04o}: the file system decides on them."


def _refuse_taken(target: Path) -> None:
    if os.path.lexists(target):
        raise _taken(target)


def _taken(target: Path) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"{target} exists already.",
        hint="Choose another name, put {timestamp} into it, or replace it: --option overwrite=true",
    )
