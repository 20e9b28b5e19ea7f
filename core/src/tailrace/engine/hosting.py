"""What an application gives to its engine while it runs: frames, pools, and observers."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tailrace.engine.parts import EngineParts
from tailrace.hosting.observers import Observer
from tailrace.model.columns import Column, Meaning

if TYPE_CHECKING:
    from tailrace.hosting.frames import FrameFunction
    from tailrace.plugins.pools import PoolTarget
    from tailrace.restore.hosting import HostPool


class Hosting(EngineParts):
    """Takes what an application gives."""

    def add_source(
        self,
        name: str,
        function: "FrameFunction",
        *,
        time_column: str | None = None,
        columns: Mapping[str, Column | Meaning | str] | None = None,
        secrets: Sequence[str] = (),
        bound: Sequence[str] = (),
        naive_zone: str | None = None,
        summary: str = "Frames of the application.",
        options_type: type | None = None,
        replace: bool = False,
    ) -> Callable[[], None]:
        """Let requests name frames of the application as their source.

        The function is asked once each time that the source is opened, in the thread that exports: it may look at the
        location, options and time range of the call, which it gets as a :class:`~tailrace.SourceCall`. It returns a
        ``LazyFrame``, a ``DataFrame``, a mapping of them by table, or a whole :class:`~tailrace.Dataset`, which says
        itself what is said below of columns. It may be a coroutine function, which is awaited in the loop that waits
        for the export, or else in one of its own; and it may return a context manager, which is left when all is read.
        One that takes long calls ``call.context.check()`` now and then, which ends an export that was cancelled.

        Jobs of such a source that are handed in wait for a worker that has a source of this name from its application.

        Args:
            name: Name of the source, and of its table where the function gives one frame.
            function: Gives the frames.
            time_column: The column that time ranges apply to, in each table that has it.
            columns: What columns mean, by their names, where it is not what their types say. Logins in addresses
                (:attr:`~tailrace.Meaning.URL`) are removed.
            secrets: Columns that hold secrets, in each table that has them: empty in credential mode ``sanitized``, ids
                in mode ``reference``, sealed in mode ``full``. The finished file is searched for what was kept out.
            bound: The columns that a row is known by, in mode ``full``: whole numbers, texts, true or false. Sealed
                secrets open only beside the same values of them.
            naive_zone: IANA zone that times without a zone are meant in; they are refused where it is not given.
            summary: One sentence about it.
            options_type: The attrs class of its options; none by default.
            replace: Whether it takes the place of a source of that name that the application gave before.

        Returns:
            A function that takes the source away again. What is being exported from it goes on.

        Raises:
            RequestError: A name that cannot be one.
            AlreadyExistsError: There is a source of that name, from a plugin or the application.
        """
        # Not before: it needs pluggy, which listing plugins does not.
        from tailrace.hosting.frames import HostSource, NoOptions

        source = HostSource(
            name,
            function,
            time_column=time_column,
            columns=dict(columns or {}),
            secrets=tuple(secrets),
            bound=tuple(bound),
            naive_zone=naive_zone,
            summary=summary,
            options_type=options_type or NoOptions,
        )
        return self._host_sources.add(source, replace=replace)

    def add_pool(self, name: str, pool: "HostPool | PoolTarget", *, replace: bool = False) -> Callable[[], None]:
        """Let exports and imports name a pool of the application by ``host:NAME``.

        It is read and written to in the thread that exports or imports; imports into one pool do not run side by side.
        Its proxies are exported by the source ``pool``, like those of any other pool.

        Args:
            name: Its name.
            pool: Lists proxies and makes changes; or an opened target, which says more of itself.
            replace: Whether it takes the place of a pool of that name.

        Returns:
            A function that takes the pool away again.

        Raises:
            RequestError: A name that cannot be one, or something that is no pool.
            AlreadyExistsError: There is a pool of that name.
        """
        return self._host_pools.add(name, pool, replace=replace)

    def add_observer(self, observer: Observer) -> Callable[[], None]:
        """Let somebody watch the exports of this engine from now on, those of its workers included.

        Args:
            observer: Called with each :class:`~tailrace.ExportEvent`, in the thread that exports, which waits for it:
                keep it short. What it raises is logged and changes nothing.

        Returns:
            A function that ends it.

        Raises:
            RequestError: It is no plain function.
        """
        return self._observers.add(observer)
