"""The engine for programs that run in an event loop: the same calls, to be awaited."""

from collections.abc import Callable, Sequence
from functools import partial
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tailrace.engine.exporting import Exporting
from tailrace.engine.once import once
from tailrace.engine.pools import Pools
from tailrace.model.context import Context
from tailrace.model.errors import RequestError
from tailrace.model.job import Estimate, JobResult, User
from tailrace.model.request import ExportRequest
from tailrace.model.work import RetryPolicy

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from tailrace.pipeline.verify import Verification
    from tailrace.restore.document import ImportPlan
    from tailrace.restore.importing import ImportResult
    from tailrace.restore.request import ImportRequest

T = TypeVar("T")

_THREADS = 32
"""Calls that run side by side; more wait for their turn."""


class Awaiting(Exporting, Pools):
    """Does its work in threads of its own, while the loop goes on.

    The context variables of whoever waits are seen there. Cancelling the task cancels the work, which ends within a
    second, before the task does; so does ``asyncio.timeout``. Progress and observers are told in the thread.
    """

    async def aexport(
        self,
        request: ExportRequest,
        *,
        user: User | None = None,
        context: Context | None = None,
        estimate: Estimate | None = None,
        template: str | None = None,
        retry: RetryPolicy | None = None,
    ) -> JobResult:
        """Carry out an export; takes, returns and raises what :meth:`export` does."""
        call = partial(self.export, request, user=user, estimate=estimate, template=template, retry=retry)
        return await self._awaited(call, context)

    async def aestimate(
        self,
        request: ExportRequest,
        *,
        user: User | None = None,
        context: Context | None = None,
        exact: bool = True,
        template: str | None = None,
        fits: bool = False,
    ) -> Estimate:
        """Estimate an export; takes, returns and raises what :meth:`estimate` does."""
        call = partial(self.estimate, request, user=user, exact=exact, template=template, fits=fits)
        return await self._awaited(call, context)

    async def averify(self, path: Path, *, keys: Sequence[str] = (), context: Context | None = None) -> "Verification":
        """Check a finished export; takes, returns and raises what :meth:`verify` does."""
        return await self._awaited(partial(self.verify, path, keys=keys), context)

    async def aplan_import(self, request: "ImportRequest", *, context: Context | None = None) -> "ImportPlan":
        """Plan an import; takes, returns and raises what :meth:`plan_import` does."""
        return await self._awaited(partial(self.plan_import, request), context)

    async def aapply_import(
        self,
        request: "ImportRequest",
        *,
        plan: "ImportPlan | None" = None,
        user: User | None = None,
        context: Context | None = None,
    ) -> "ImportResult":
        """Import a pool file; takes, returns and raises what :meth:`apply_import` does.

        A cancelled import either changed nothing or is made as a whole: see :meth:`imports`.
        """
        return await self._awaited(partial(self.apply_import, request, plan=plan, user=user), context)

    async def _awaited(self, call: Callable[..., T], context: Context | None) -> T:
        from tailrace.hosting.awaiting import carried_out

        self._check_process()
        given = context or Context()
        if iscoroutinefunction(given.on_progress):
            message = "Progress is told to a plain function, in the thread that exports."
            hint = "Hand it to the loop from there: loop.call_soon_threadsafe(queue.put_nowait, progress)"
            raise RequestError(message, hint=hint)
        return await carried_out(self._threads, partial(call, context=given), given)

    @once
    def _threads(self) -> "Executor":
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="tailrace-async")
