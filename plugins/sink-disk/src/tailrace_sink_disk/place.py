"""Where a file goes, and the link to it, told by names alone: nothing is asked of the disk."""

from pathlib import Path

import attrs

from tailrace import OptionError, RequestError, StagingCall
from tailrace_sink_disk.naming import file_name, folders, is_constant
from tailrace_sink_disk.options import DiskOptions


@attrs.frozen
class Place:
    """Where a file goes.

    Args:
        root: Absolute path of the folder that nothing leaves.
        folders: Names of the folders below it, from the outermost.
        name: Name of the file.
        latest: Name, in the root, of the link to the newest file; empty for none.
    """

    root: Path
    folders: tuple[str, ...]
    name: str
    latest: str


def place_of(call: StagingCall) -> Place:
    """The place that a target and options mean.

    Raises:
        RequestError: The target, or a pattern, cannot be used.
        NotAllowedError: A pattern leads out of the root.
    """
    options: DiskOptions = call.options
    name = file_name(options.filename, call.fields)
    names = folders(options.pattern, call.fields)
    root = Path(call.target) if call.target else options.root
    # Before anything is asked of the system, which has errors of its own for it.
    if "\x00" in str(root):
        raise RequestError("The folder's name holds a NUL character.", hint="Name another folder.")
    try:
        root = (call.folder / root.expanduser()).absolute()
    except RuntimeError:
        raise RequestError(
            "The folder begins with ~, and there is no such home.", hint="Write the whole path."
        ) from None
    return Place(root, names, name, _latest(call, (*names, name)[0]))


def _latest(call: StagingCall, first: str) -> str:
    """The name of the link; ``first`` is what the root gets besides: the file, or the folder on the way to it."""
    pattern = call.options.latest
    if not pattern:
        return ""
    if not is_constant(pattern, option="latest"):
        raise OptionError(
            "latest",
            "a name with {timestamp} or {id} would be another one each time.",
            hint="Write latest-{source}.{ext}",
        )
    name = file_name(pattern, call.fields, option="latest")
    # Many shares do not tell large letters from small ones.
    if name.casefold() == first.casefold():
        raise OptionError(
            "latest", f"{name!r} is what the file, or its folder, is called.", hint="Write latest-{source}.{ext}"
        )
    return name
