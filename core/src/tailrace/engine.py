"""The engine: the one object that a host application needs."""

import getpass
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailrace.model.context import Context
from tailrace.model.job import Estimate, JobResult, User
from tailrace.model.request import ExportRequest
from tailrace.plugins.kinds import ExportEvent
from tailrace.plugins.registry import Registry
from tailrace.references import reference_ids
from tailrace.settings import Settings, load_settings

if TYPE_CHECKING:
    from tailrace.pipeline.job import Job
    from tailrace.pipeline.verify import Inspection, Verification


class Engine:
    """Exports data: from sources, through polars, into formats, on to sinks.

    An engine has no global state; several live in one process. It prints nothing and configures no logging.

    Args:
        settings: Settings; by default those of ``tailrace.toml`` in the working folder and ``TAILRACE_…`` variables.
        plugins: Plugins to use, given by the host; see :class:`~tailrace.plugins.registry.Registry`.
        discover: Whether installed plugins are found by their entry points.
        clock: Says what time it is, with its zone.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        plugins: Sequence[Any] = (),
        discover: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = load_settings() if settings is None else settings
        self.registry = Registry(self.settings.plugins, explicit=plugins, discover=discover)
        self._clock = clock

    @cached_property
    def _reference(self) -> Callable[..., str]:
        return reference_ids(self.settings.home)

    def export(
        self,
        request: ExportRequest,
        *,
        user: User | None = None,
        context: Context | None = None,
        estimate: Estimate | None = None,
    ) -> JobResult:
        """Carry out an export, here and now.

        Args:
            request: What to export, as what, where to.
            user: Who asks; the operating system's user by default.
            context: Progress, cancellation and deadline.
            estimate: What :meth:`estimate` said, for progress and to refuse early when the disk has less space.

        Returns:
            The files with their manifests, and a receipt of every sink for each.

        Raises:
            RequestError: The request cannot be carried out as it is.
            TailraceError: See :mod:`tailrace.model.errors`; nothing was published.
        """
        from tailrace.pipeline.export import run

        who = user or self._default_user()
        job = self._job(request, who)
        self._tell("started", job)
        try:
            result = run(job, context=context or Context(), scratch=self.settings.home / "staging", estimate=estimate)
        except BaseException as error:
            self._tell("failed", job, error)
            raise
        self._tell("finished", job)
        return result

    def estimate(
        self, request: ExportRequest, *, user: User | None = None, context: Context | None = None, exact: bool = True
    ) -> Estimate:
        """Say how many rows and bytes an export will take, from the row count and a sample.

        Args:
            request: The export.
            user: Who asks.
            context: Cancellation and deadline.
            exact: Count the rows that filters keep; otherwise project their share from the sample.

        Raises:
            TailraceError: The same problems that the export would meet before its first row.
        """
        from tailrace.pipeline.estimate import estimate

        return estimate(self._job(request, user or self._default_user()), context=context or Context(), exact=exact)

    def verify(self, path: Path, *, context: Context | None = None) -> "Verification":
        """Check a finished export against its manifest: sizes, digests, every row.

        Raises:
            SourceError: File or manifest do not exist.
            IntegrityError: The manifest cannot be read.
        """
        from tailrace.pipeline.verify import verify

        return verify(Path(path), registry=self.registry, context=context or Context())

    def inspect(self, path: Path) -> "Inspection":
        """Say what is in a finished export, on the word of its manifest.

        Raises:
            SourceError: There is no manifest.
            IntegrityError: It cannot be read.
        """
        from tailrace.pipeline.verify import inspect

        return inspect(Path(path))

    def _job(self, request: ExportRequest, user: User) -> "Job":
        from tailrace.pipeline.job import Job

        return Job.prepare(
            request,
            registry=self.registry,
            export_id=str(uuid.uuid4()),
            user=user,
            now=self._clock().astimezone(UTC),
            reference=self._reference,
        )

    def _default_user(self) -> User:
        if self.settings.user:
            return User(self.settings.user)
        try:
            return User(getpass.getuser())
        except (KeyError, OSError):
            # A container may run under a number that has no name.
            return User("unknown")

    def _tell(self, name: Any, job: "Job", error: BaseException | None = None) -> None:
        event = ExportEvent(
            name=name,
            export_id=job.export_id,
            source=job.source.name,
            format=job.format.name,
            user=job.user.id,
            moment=self._clock().astimezone(UTC),
            error=error,
        )
        self.registry.notify(event)
