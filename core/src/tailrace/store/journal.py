"""Which journal SQLite may keep: some of its versions can corrupt a database in WAL mode.

From 3.7.0 to 3.51.2, two connections that write or checkpoint at once can corrupt a database in WAL mode (the WAL reset
bug, https://sqlite.org/wal.html#walresetbug); mended in 3.51.3, 3.50.7 and 3.44.6. Many Pythons are still linked with
such a version.
"""

_MENDED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))


def wal_is_safe(version: tuple[int, int, int]) -> bool:
    """Whether a version of SQLite has the WAL reset bug mended.

    Args:
        version: As ``sqlite3.sqlite_version_info`` has it.
    """
    return version >= _MENDED[-1] or any(version[:2] == mended[:2] and version >= mended for mended in _MENDED)


def journal_for(version: tuple[int, int, int]) -> str:
    """The journal mode for a version of SQLite: ``"wal"`` where it is safe, otherwise a rollback journal.

    Of these it is ``"persist"``, whose end of a transaction is a write to the journal that is synchronised like any
    other; where the journal is deleted instead, it may be back after a power cut, and undo what was told done.
    """
    return "wal" if wal_is_safe(version) else "persist"
