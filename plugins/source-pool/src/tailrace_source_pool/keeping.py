"""What makes the source ``pool`` a keeper of pools: reading pool files, writing them, opening pools to change them."""

from contextlib import AbstractContextManager

from tailrace import OpenPoolCall, PoolFile, PoolTarget, ReadPoolCall, RenderedPool, RenderPoolCall


class PoolKeeping:
    """The methods of :class:`tailrace.PoolKeeper`, for a source; each imports what it needs when it is called."""

    def read_pool(self, call: ReadPoolCall) -> PoolFile:
        """Read a file; every problem in it, not only the first.

        Raises:
            SourceError: It is not there, or cannot be read at all.
            RequestError: An unknown dialect, or one that needs a template.
        """
        from tailrace_source_pool.documents.reading import read_pool

        return read_pool(call)

    def render_pool(self, call: RenderPoolCall) -> RenderedPool:
        """Write proxies as the content of a file.

        Raises:
            RequestError: An unknown dialect, a template that cannot be used, or a value that does not fit its column.
        """
        from tailrace_source_pool.dialects.rendering import render

        return render(call)

    def open_pool(self, call: OpenPoolCall) -> AbstractContextManager[PoolTarget]:
        """Open a pool to plan an import into it, or to apply one.

        Raises:
            RequestError: A location of another kind.
            SourceError: What is there cannot be read.
            TransientError: Somebody else is writing to it.
            ConfigurationError: Credentials would have to be encrypted, and no key is at hand.
        """
        from tailrace_source_pool.targets.opening import open_pool

        return open_pool(call, self)
