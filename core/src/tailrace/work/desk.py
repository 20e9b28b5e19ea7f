"""Where requests are handed in, and given out to those who carry them out."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from tailrace.model.audit import AuditEntry
from tailrace.model.convert import unstructure
from tailrace.model.errors import ConfigurationError
from tailrace.model.job import Estimate
from tailrace.model.notify import Notify
from tailrace.model.request import ExportRequest
from tailrace.model.work import ExportJob, RetryPolicy
from tailrace.store import audit, facts, jobs, users
from tailrace.store.database import Store
from tailrace.vault.requests import RequestSealer
from tailrace.work.access import Operation
from tailrace.work.request_forms import from_whole_form, shown_form, whole_form

if TYPE_CHECKING:
    from tailrace.pipeline.job import Job

_KEY = "request-key"


@attrs.frozen
class Desk:
    """Takes requests in, sealed, and gives them out again.

    Args:
        store: Where jobs are.
        sealer: Seals requests.
        shown: A wish to be told as it is shown; raises where nobody can be told like that.
    """

    store: Store
    sealer: RequestSealer
    shown: Callable[[Notify], Notify] = attrs.field(repr=False)

    def check_key(self) -> None:
        """See that all who use the store seal with one key: whoever comes first says which.

        Raises:
            ConfigurationError: This one has another.
        """
        with self.store.writing() as connection:
            now = self.store.now(connection)
            known = facts.settled(connection, _KEY, self.sealer.key_id, now=now)
        if known != self.sealer.key_id:
            message = f"Requests in the store {self.store.place} are sealed with another key than the one here."
            hint = "Copy store.key from the home of a machine that uses it, or name it in the setting store.key."
            raise ConfigurationError(message, hint=hint)

    def enter(
        self,
        prepared: "Job",
        *,
        template: str | None,
        timeout: float | None,
        retry: RetryPolicy,
        estimate: Estimate | None,
        holder: str | None = None,
        lease: float = 0.0,
        schedule: str | None = None,
    ) -> ExportJob:
        """Take a request in, with an entry in the audit trail.

        Args:
            prepared: The request, made ready: nothing is wrong with it.
            template: The template that it is made from.
            timeout: Seconds that an attempt may take.
            retry: How often it is tried.
            estimate: What it will probably take.
            holder: Who carries it out itself; None for a job that waits for a worker.
            lease: Seconds that the holder has it without being heard of.
            schedule: The schedule that asks for it; None where somebody does.

        Raises:
            RequestError: Somebody is to be told who cannot be.
        """
        user = prepared.user
        shown = shown_form(prepared, self.shown)
        new = jobs.NewJob(
            id=prepared.export_id,
            creator=user.id,
            source=prepared.source.name,
            format=prepared.format.name,
            template=template,
            request=shown,
            sealed=self.sealer.seal("job", prepared.export_id, whole_form(prepared.request)),
            folder=str(prepared.folder.absolute()),
            timeout=timeout,
            retry=retry,
            estimate=None if estimate is None else unstructure(estimate),
            schedule=schedule,
        )
        window = prepared.selection.window
        with self.store.writing() as connection:
            now = self.store.now(connection)
            users.note(connection, user, now=now)
            job = jobs.enter(connection, new, now=now, holder=holder, lease=lease)
            entry = AuditEntry(
                user=user.id,
                operation=Operation.JOB_SUBMIT.value if holder is None else "export.begun",
                outcome="ok",
                job=job.id,
                source=job.source,
                format=job.format,
                since=None if window is None else window.since,
                until=None if window is None else window.until,
                parameters=shown,
                address=user.address,
                agent=user.agent,
            )
            audit.append(connection, entry, now=now)
        return job

    def request_of(self, claim: jobs.Claim) -> ExportRequest | None:
        """The request of a job; None where its schedule could not say it when the job was entered.

        Raises:
            TamperedError: It was changed, or sealed with another key.
            RequestError: A newer program wrote it.
        """
        values = self.sealer.open("job", claim.id, claim.sealed)
        return from_whole_form(values, f"The request of job {claim.id}") if values else None
