"""The contract of sources that also take pools back: reading pool files, writing them, and changing a pool in place.

A source object that has these three methods beside :class:`~tailrace.plugins.kinds.Source` is a :class:`PoolKeeper`;
``tailrace import`` and ``tailrace convert`` look for the one called ``pool``.

Proxies travel as polars frames with the columns of ``docs/reference/pool.md`` (``protocol``, ``host``, ``port``,
``username``, ``password``, ``country_code`` …) and these beside them:

- ``place`` (String): where in the file the proxy stands: ``"$.proxies[3]"``, ``"line 12"``; for messages.
- ``stored_url`` (String): the URL as the pool stores it, where that is not ``url``: with its login.
- ``credentials_in`` (String): ``"columns"``, ``"url"`` or ``"both"``: where the pool holds the login; null without one.
- ``key`` (String), in frames of a target only: the target's own handle of the row, unique in it.

A column that a frame does not have was not said; null means that there is no value. ``url`` never holds a login.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import attrs

from tailrace.model.context import Context
from tailrace.model.errors import UnknownNameError
from tailrace.model.request import CredentialMode

if TYPE_CHECKING:
    import polars as pl

HOST_PREFIX = "host:"
"""What the location of a pool of the application that embeds the engine begins with, before its name."""
PROBLEMS_LISTED = 1000
"""Problems that are listed one by one; all are counted."""


def named_pool(location: str, pools: "Mapping[str, PoolTarget]") -> "PoolTarget | None":
    """The pool of the application that a location names; None where it names none.

    Args:
        location: Where a pool is.
        pools: The pools of the application, by name.

    Raises:
        UnknownNameError: The application has none of that name.
    """
    if not location.startswith(HOST_PREFIX):
        return None
    name = location.removeprefix(HOST_PREFIX)
    if name not in pools:
        hint = "The application has to give it to this engine: Engine.add_pool(name, pool)"
        raise UnknownNameError("pool of the application", name, sorted(pools), hint=hint)
    return pools[name]


@attrs.frozen
class Problem:
    """Something in a file that cannot be.

    Args:
        where: Its place: ``"$.proxies[3].port"``, ``"line 12"``.
        message: What is wrong, as a clause; never the value, which may be a secret.
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@attrs.frozen
class ReadPoolCall:
    """A pool file to read.

    Args:
        path: The file.
        dialect: What it is, by a name of ``docs/reference/dialects.md``; None to tell by its content.
        scheme: Protocol of lines that name none; None to take it from the file's name (``socks5.txt``), else http.
        template: The line of dialect ``template``: ``"{scheme}://{username}:{password}@{host}:{port}"``.
        context: Progress, cancellation, deadline.
        read_tables: Reads the tables of a file that only a format can read, such as a workbook: takes the path, the
            beginning of the file (up to 64 KiB) and the context, and returns what
            :meth:`tailrace.TableReader.read_tables` does; None where no format knows such a file. The engine gives it;
            None where there is no engine.
    """

    path: Path
    dialect: str | None = None
    scheme: str | None = None
    template: str | None = None
    context: Context = attrs.field(factory=Context, repr=False)
    read_tables: "Callable[[Path, bytes, Context], Mapping[str, pl.DataFrame] | None] | None" = attrs.field(
        default=None, repr=False, eq=False
    )


@attrs.frozen(eq=False)
class PoolFile:
    """A pool file that was read and checked as far as possible without any key.

    Args:
        dialect: What it is.
        frame: Its proxies in order. Credentials as the file has them: in clear, sealed, or as references. With
            problems, only the proxies that have none.
        problems: What is wrong, the first :data:`PROBLEMS_LISTED`, in order of the file.
        problem_count: How many there are.
        digest: SHA-256 of the bytes on disk, hexadecimal.
        manifest: The manifest of an export of ours: inside a JSON document (with its ``vault``), beside a CSV file.
        credentials: What was done to credentials; None where they are in clear, as in every dialect but ours.
        seal: What authenticates the content of a full export: ``{"sha256": …, "mac": …}``, and ``sha256`` here is
            known to be that of the content.
        notes: What was recognised or left aside, in sentences.
    """

    dialect: str
    frame: "pl.DataFrame" = attrs.field(repr=False)
    problems: tuple[Problem, ...]
    problem_count: int
    digest: str
    manifest: Mapping[str, Any] | None = None
    credentials: CredentialMode | None = None
    seal: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


@attrs.frozen(eq=False)
class RenderPoolCall:
    """Proxies to write as a file in some dialect.

    Args:
        frame: The proxies, credentials in clear.
        dialect: Which.
        template: The line of dialect ``template``.
    """

    frame: "pl.DataFrame" = attrs.field(repr=False)
    dialect: str
    template: str | None = None


@attrs.frozen
class Loss:
    """What a dialect cannot hold.

    Args:
        field: What is lost: a column, ``"scheme"``, ``"credentials"``.
        count: Of how many proxies.
        reason: Why, as a clause.
        proxies: Whether whole proxies are lost, rather than something of them.
    """

    field: str
    count: int
    reason: str
    proxies: bool = False


@attrs.frozen
class RenderedPool:
    """A file's content, and what is not in it.

    Args:
        content: The bytes.
        written: Number of proxies in it.
        losses: What could not be carried over.
    """

    content: bytes = attrs.field(repr=False)
    written: int
    losses: tuple[Loss, ...]


@attrs.frozen(eq=False)
class PoolChanges:
    """What an import, or taking one back, does to a pool.

    Args:
        add: Proxies to add; without ``key``.
        update: Proxies as they shall be, with ``key``, and ``changed`` (List of String): the columns to write.
        remove: Keys of proxies to remove.
    """

    add: "pl.DataFrame" = attrs.field(repr=False)
    update: "pl.DataFrame" = attrs.field(repr=False)
    remove: tuple[str, ...] = attrs.field(default=(), repr=False)

    @property
    def count(self) -> int:
        """How many proxies are touched."""
        return self.add.height + self.update.height + len(self.remove)


@runtime_checkable
class PoolTarget(Protocol):
    """A pool that an import writes to, opened: it stays as it is until it is written to or left."""

    @property
    def kind(self) -> str:
        """What it is: ``"proxywhirl-sqlite"``."""
        ...

    @property
    def holds(self) -> Collection[str]:
        """The columns that it can hold."""
        ...

    @property
    def unique(self) -> str | None:
        """A column of which it cannot hold one value twice, such as ``"stored_url"``; None where there is none.

        For ``stored_url``, a proxy without one counts by its ``url``.
        """
        ...

    @property
    def notes(self) -> Collection[str]:
        """What people should know about writing to it, in sentences."""
        ...

    def read(self) -> "pl.DataFrame":
        """All proxies in it, credentials in clear, with ``key``."""
        ...

    def write(self, changes: PoolChanges) -> tuple[str, ...]:
        """Make the changes, all or none of them, on disk when this returns.

        Returns:
            The keys of the proxies added, in their order.
        """
        ...


@runtime_checkable
class ChoosyTarget(Protocol):
    """What a :class:`PoolTarget` also has that cannot hold every proxy."""

    def refusals(self, frame: "pl.DataFrame") -> "pl.Series":
        """Say of proxies that are to be added why they cannot be.

        Args:
            frame: The proxies.

        Returns:
            One text for each, a clause without any value; null where the proxy can be added.
        """
        ...


@attrs.frozen
class OpenPoolCall:
    """A pool to open as a target.

    Args:
        location: Where it is: a URI or path, as for ``--from``.
        write: Whether it is going to be written to: nobody else may do so meanwhile.
        dialect: What a new file shall be; None for what it is, or what its name says.
        template: The line of dialect ``template``.
        clear: Whether credentials may be stored in clear where the pool would encrypt them, and no key is at hand.
        context: Progress, cancellation, deadline.
        existing: Whether it has to be there already.
    """

    location: str
    write: bool
    dialect: str | None = None
    template: str | None = None
    clear: bool = False
    context: Context = attrs.field(factory=Context, repr=False)
    existing: bool = False


@runtime_checkable
class PoolKeeper(Protocol):
    """A source that also reads and writes pool files, and opens pools to change them."""

    def read_pool(self, call: ReadPoolCall) -> PoolFile:
        """Read a file; every problem in it, not only the first.

        Raises:
            SourceError: It is not there, or cannot be read at all.
            RequestError: An unknown dialect, or one that needs a template.
        """
        ...

    def render_pool(self, call: RenderPoolCall) -> RenderedPool:
        """Write proxies as the content of a file.

        Raises:
            RequestError: An unknown dialect, or a template that cannot be used.
        """
        ...

    def open_pool(self, call: OpenPoolCall) -> AbstractContextManager[PoolTarget]:
        """Open a pool to plan an import into it, or to apply one.

        Raises:
            RequestError: A location of another kind.
            SourceError: What is there cannot be read.
            TransientError: Somebody else is writing to it.
            ConfigurationError: Credentials would have to be encrypted, and no key is at hand.
        """
        ...
