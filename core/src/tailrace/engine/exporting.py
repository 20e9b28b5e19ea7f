"""Exporting: at once, handed in for a worker, or only estimated."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from tailrace.engine.asking import Asking
from tailrace.model.context import Context
from tailrace.model.job import Estimate, JobResult, User
from tailrace.model.request import ExportRequest, SinkRequest
from tailrace.model.work import RetryPolicy

if TYPE_CHECKING:
    from tailrace.model.work import ExportJob


class Exporting(Asking):
    """Exports."""

    def export(
        self,
        request: ExportRequest,
        *,
        user: User | None = None,
        context: Context | None = None,
        estimate: Estimate | None = None,
        template: str | None = None,
        retry: RetryPolicy | None = None,
    ) -> JobResult:
        """Carry out an export, here and now. The store has it as a job, like those that workers carry out.

        Args:
            request: What to export, as what, where to.
            user: Who asks; the operating system's user by default.
            context: Progress, cancellation and deadline.
            estimate: What :meth:`estimate` said, for progress and to refuse early when the disk has less space.
            template: Name of the template that it was made from.
            retry: How often to try when it fails for now; once by default.

        Returns:
            The files with their manifests, and a receipt of every sink for each.

        Raises:
            RequestError: The request cannot be carried out as it is.
            TailraceError: See :mod:`tailrace.model.errors`; nothing was published.
        """
        from tailrace.work.access import Operation

        self._check_process()
        who = self._user(user)
        prepared = self._prepared(request, who, Operation.EXPORT)
        try:
            return self._carrier.at_once(
                prepared, context or Context(), estimate=estimate, template=template, retry=retry
            )
        finally:
            if request.notify:
                self.post.send_about(prepared.export_id)

    def export_audit(
        self, request: ExportRequest, *, user: User | None = None, context: Context | None = None
    ) -> JobResult:
        """Export the audit trail, here and now, like any other data.

        Args:
            request: Its source is ``"audit"``, its location ``"store"``.
            user: Who asks; the operating system's user by default.
            context: Progress, cancellation and deadline.

        Raises:
            NotAllowedError: The user is no admin.
            TailraceError: As for :meth:`export`.
        """
        from tailrace.work.access import Operation

        registry = self._with_inner_sources()
        prepared = self._prepared(request, self._user(user), Operation.AUDIT_EXPORT, registry=registry)
        return self._carrier.at_once(prepared, context or Context())

    def submit(
        self,
        request: ExportRequest,
        *,
        user: User | None = None,
        template: str | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        estimate: Estimate | None = None,
        folder: Path | None = None,
        schedule: str | None = None,
    ) -> "ExportJob":
        """Hand in an export for a worker to carry out, and return at once.

        What is wrong with the request itself is said now; what is wrong with the data, by the job.

        Args:
            request: What to export, as what, where to.
            user: Who asks; the operating system's user by default.
            template: Name of the template that it was made from.
            timeout: Seconds that an attempt may take over all its phases; those of the settings by default.
            retry: How often it is tried when it fails for now; as the settings say by default.
            estimate: What :meth:`estimate` said, for progress and to refuse early when the disk has less space.
            folder: What relative paths count from; the working folder by default.
            schedule: Name of the schedule that asks for it, where nobody does: admins are told when it fails.

        Returns:
            The job, which waits.

        Raises:
            RequestError: The request cannot be carried out as it is, or needs somebody to type a password.
            NotAllowedError: A rule forbids it.
            TailraceError: See :mod:`tailrace.model.errors`; nothing was handed in.
        """
        from tailrace.work.access import Operation

        here = (folder or Path()).absolute()
        wanted = self._preparation.for_background(request, here)
        prepared = self._prepared(wanted, self._user(user), Operation.JOB_SUBMIT, folder=here)
        prepared.check_targets()
        limits = self.settings.jobs
        return self.desk.enter(
            prepared,
            template=template,
            timeout=timeout or limits.timeout or None,
            retry=retry or self.retry_policy,
            estimate=estimate,
            schedule=schedule,
        )

    def asks_for_password(self, request: ExportRequest) -> bool:
        """Whether somebody has to type a password for an export, which nobody can in the background."""
        return self._preparation.asks_for_password(request)

    def for_background(self, request: ExportRequest) -> ExportRequest:
        """A request as :meth:`submit` hands it in: key files as absolute paths.

        Raises:
            RequestError: It needs somebody to type a password.
        """
        return self._preparation.for_background(request, Path().absolute())

    def estimate(
        self,
        request: ExportRequest,
        *,
        user: User | None = None,
        context: Context | None = None,
        exact: bool = True,
        template: str | None = None,
        fits: bool = False,
    ) -> Estimate:
        """Say how many rows and bytes an export will take, from the row count and a sample.

        Args:
            request: The export.
            user: Who asks.
            context: Cancellation and deadline.
            exact: Count the rows that filters keep; otherwise project their share from the sample.
            template: Name of the template that it was made from: earlier runs of it by this user correct the size.
            fits: Say as well whether it will fit mails, webhooks, the disk, Excel, and when retention removes it.

        Raises:
            TailraceError: The same problems that the export would meet before its first row.
        """
        from tailrace.pipeline.estimate import estimate

        self._check_process()
        who = self._user(user)
        prepared = self._preparation.ready(request, who)
        prepared.check_targets()
        expected = estimate(prepared, context=context or Context(), exact=exact)
        if template is not None:
            expected = self._forecast(expected, request, who, template)
        if not fits:
            return expected
        from tailrace.pipeline.preflight import preflight

        judged = preflight(prepared, expected, registry=self.registry, settings=self.settings)
        return attrs.evolve(expected, fits=judged)

    def _forecast(self, expected: Estimate, request: ExportRequest, user: User, template: str) -> Estimate:
        """An estimate, corrected by what this user's earlier runs of a template taught."""
        from tailrace.store.past_runs import past_runs
        from tailrace.work.forecast import MOST_RUNS, corrected, learn

        with self.store.reading() as connection:
            runs = past_runs(connection, creator=user.id, template=template, request=request, most=MOST_RUNS)
        return corrected(expected, learn(runs))

    def test_schedule(
        self,
        name: str,
        *,
        sinks: Sequence[SinkRequest],
        user: User | None = None,
        context: Context | None = None,
    ) -> JobResult:
        """Carry out, here and now, what a schedule would export; it goes to nobody but whoever asks.

        Nothing is noted in its history. Of one with increments, all of the data is exported.

        Args:
            name: Its name, or ``owner/name``.
            sinks: Where to deliver.
            user: Who asks; the operating system's user by default.
            context: Progress, cancellation and deadline.

        Raises:
            UnknownNameError: There is none of that name.
            NotAllowedError: It is not theirs.
            TailraceError: As for :meth:`export`.
        """
        from tailrace.model.schedule import ScheduleKind
        from tailrace.work.access import Operation

        who = self._user(user)
        schedule, request, folder = self.schedules.trial(name, who, sinks)
        registry = self._with_inner_sources() if schedule.kind is ScheduleKind.DRILL else None
        prepared = self._prepared(request, who, Operation.SCHEDULE_TEST, folder=folder, registry=registry)
        return self._carrier.at_once(prepared, context or Context())
