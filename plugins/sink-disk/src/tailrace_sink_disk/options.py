"""What can be set when files go to a folder."""

import re
from pathlib import Path

import attrs

from tailrace import option

MAX_KEEP = 100_000
"""The most files that ``keep`` counts."""

_MODE = re.compile(r"0?[0-7]{3}")


def _permissions(_options: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    if not _MODE.fullmatch(value):
        message = f"{attribute.name} is three octal digits, such as 0600"
        raise ValueError(message, attribute)


def _count(_options: object, attribute: "attrs.Attribute[int]", value: int) -> None:
    if not 0 <= value <= MAX_KEEP:
        message = f"{attribute.name} is a number from 0 to {MAX_KEEP}"
        raise ValueError(message, attribute)


@attrs.frozen
class DiskOptions:
    """Options of the sink ``disk``."""

    root: Path = option(Path("exports"), help="Folder that files never leave; --to disk:DIR names another.")
    pattern: str = option("", help="Folders below the root, such as {source}/{year}/{month}/.")
    filename: str = option("{source}_{timestamp}_{user}.{ext}", help="Name of a file.")
    overwrite: bool = option(default=False, help="Replace a file of the same name.")
    mode: str = option("0600", help="Permissions of a file, in octal digits.", validator=_permissions)
    manifest: bool = option(default=True, help="Write NAME.manifest.json beside each file.")

    latest: str = option("", help="Name in the root that leads to the newest file, such as latest-{source}.{ext}.")
    keep: int = option(
        0, help="Files of this kind that stay in the folder, older ones are removed; 0 for all.", validator=_count
    )

    @property
    def permissions(self) -> int:
        """The mode as a number."""
        return int(self.mode, 8)
