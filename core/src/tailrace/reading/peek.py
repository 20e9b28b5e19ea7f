"""Looking at the first bytes of a file without harming a database that this process has open.

POSIX locks belong to processes: closing *any* descriptor of a file drops all locks the process has on it. An
application with a SQLite database open would lose them to somebody who opened the file just to see how it begins.
"""

import os
from pathlib import Path

from tailrace.reading.sqlite_file import descriptors_of

_SIGNATURE = b"SQLite format 3\x00"


def is_sqlite(path: Path) -> bool:
    """Whether a file begins as SQLite databases do.

    Raises:
        OSError: It cannot be read.
    """
    status = path.stat()
    for descriptor in descriptors_of((status.st_dev, status.st_ino)):
        try:
            return os.pread(descriptor, len(_SIGNATURE), 0) == _SIGNATURE
        except OSError:
            continue  # closed meanwhile, or open for writing only
    with path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE
