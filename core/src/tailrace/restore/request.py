"""What a caller asks an import for."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import attrs

from tailrace.plugins.pools import PoolTarget

Resolver = str | Callable[[str], str | None]
"""Where the secrets behind ids lie: ``"env"``, ``"file:PATH"``, or a function of the host."""


class OnDuplicate(StrEnum):
    """What becomes of a proxy that is there already."""

    SKIP = "skip"
    """The pool's stays as it is."""
    RENAME = "rename"
    """Both are kept, as entries of their own."""
    MERGE = "merge"
    """They become one, by the rules of :mod:`tailrace.restore.fields`."""


@attrs.frozen
class ImportRequest:
    """One import: which file, into which pool, and what becomes of proxies that are there already.

    Its ``repr`` leaves out what may hold a password or key: target and resolver.

    Args:
        path: The file.
        into: Where the pool is, as for ``--from``; or an opened pool of the host.
        on_duplicate: What becomes of a proxy that is there already.
        dialect: What the file is, by a name of ``docs/reference/dialects.md``; None to tell by its content.
        scheme: Protocol of lines that name none.
        template: The line of dialect ``template``.
        keys: Who opens a sealed file: references to keys (``"file:master.key"``), never keys.
        resolver: What turns the ids of mode ``reference`` back into secrets.
        into_dialect: What the pool is, or a new one shall be, where neither content nor name tell.
        clear: Whether credentials may be stored in clear where the pool would encrypt them and no key is at hand.
        leave_out_clashes: Whether proxies that the target cannot hold are left out; otherwise they stop
            the import.
    """

    path: Path = attrs.field(converter=Path)
    into: str | PoolTarget = attrs.field(repr=False)
    on_duplicate: OnDuplicate = attrs.field(default=OnDuplicate.SKIP, converter=OnDuplicate)
    dialect: str | None = None
    scheme: str | None = None
    template: str | None = None
    keys: tuple[str, ...] = ()
    resolver: Resolver | None = attrs.field(default=None, repr=False)
    into_dialect: str | None = None
    clear: bool = False
    leave_out_clashes: bool = False
