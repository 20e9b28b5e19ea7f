"""Download links: minted when asked for, short-lived, and no more than a way to say who asks for what.

A link gives nobody a right. Whoever uses it gets the file if the user for whom it was minted may have it at that
moment.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from typing import IO, Final

import attrs

from tailrace.model.audit import AuditEntry, Outcome
from tailrace.model.errors import NotAllowedError, RequestError, TailraceError, UnknownNameError
from tailrace.model.job import User
from tailrace.model.work import OutputFile
from tailrace.store import artifacts, audit
from tailrace.store import jobs as queue
from tailrace.store.database import Store
from tailrace.vault.link_tokens import InvalidTokenError, LinkClaim, LinkTokens
from tailrace.work.access import Access, Operation
from tailrace.work.jobs import Jobs

LONGEST: Final = 86_400.0
"""Seconds that a link can be used at most, where the settings do not say more."""
_AGENT: Final = "download link"
_NEW_ONE: Final = "Ask for a new one."


@attrs.frozen
class DownloadLink:
    """A link by which a file can be downloaded.

    Args:
        token: Says which file, for whom and until when; whoever has it can use it.
        url: Where the HTTP API serves it; empty where the setting ``delivery.link`` is.
        expires: Until when it can be used, UTC.
    """

    token: str = attrs.field(repr=False)
    url: str = attrs.field(repr=False)
    expires: datetime


@attrs.frozen
class Links:
    """Mints links and opens what they lead to.

    Args:
        store: Where jobs are, and whose clock counts.
        access: Who may do what.
        jobs: Opens the files.
        tokens: Signs links.
        admins: Users who are admins by the settings.
        address: The setting ``delivery.link``.
        lifetime: The setting ``delivery.link_lifetime``, in seconds.
    """

    store: Store
    access: Access
    jobs: Jobs
    tokens: LinkTokens = attrs.field(repr=False)
    admins: tuple[str, ...]
    address: str
    lifetime: float

    def mint(self, job: str, user: User, *, number: int = 1, lifetime: float | None = None) -> DownloadLink:
        """Make a link to a file of a job, for a user.

        Args:
            job: The job, by its whole id.
            user: For whom: who asks.
            number: Which of its files, from 1.
            lifetime: Seconds that it can be used, from 1 to a day, or what the settings say where that is more; as the
                settings say by default.

        Raises:
            UnknownNameError: There is no such job.
            NotAllowedError: The user may not.
            RequestError: The job has no such file any more, or the lifetime is out of bounds.
        """
        seconds = self.lifetime if lifetime is None else lifetime
        longest = max(LONGEST, self.lifetime)
        if not 1 <= seconds <= longest:
            message = f"A download link can be used for 1 to {longest:g} seconds."
            raise RequestError(message, hint=_NEW_ONE)
        with self.store.reading() as connection:
            found = queue.get(connection, job)
            files = artifacts.of_job(connection, job)
        if found is None:
            raise UnknownNameError("job", job, (), hint="A link needs the whole id of a job.")
        self.access.require(Operation.LINK_MINT, user, owner=found.creator, thing=job, job=job)
        if not 0 < number <= len(files) or files[number - 1].removed is not None:
            raise RequestError(f"Job {job} ({found.state.value}) has no file {number}.", hint="Export again.")
        with self.store.writing() as connection:
            now = self.store.now(connection)
            claim = LinkClaim(job, number, user.id, (now + timedelta(seconds=seconds)).replace(microsecond=0))
            entry = AuditEntry(
                user=user.id,
                operation=Operation.LINK_MINT.value,
                outcome="ok",
                job=job,
                source=found.source,
                format=found.format,
                file=str(files[number - 1].path),
                parameters={"number": number, "expires": claim.expires},
                address=user.address,
                agent=user.agent,
            )
            audit.append(connection, entry, now=now)
        token = self.tokens.write(claim)
        url = f"{self.address.rstrip('/')}/api/v1/downloads/{token}" if self.address else ""
        return DownloadLink(token, url, claim.expires)

    @contextmanager
    def open(
        self, token: str, user: User | None = None, *, is_admin: bool = False, address: str = ""
    ) -> Iterator[tuple[OutputFile, IO[bytes]]]:
        """Open the file that a link leads to; while it is open, retention leaves it alone.

        Args:
            token: Out of the link.
            user: Who uses it, where that is known; somebody else than it was minted for is refused.
            is_admin: Whether the one that it was minted for is an admin now, where ``user`` does not say.
            address: Where it is used from, where ``user`` does not say, for the audit trail.

        Raises:
            NotAllowedError: It is no link of this store, its time is over, it is somebody else's, or its user may not
                have the file any more.
            TailraceError: As for :meth:`~tailrace.work.jobs.Jobs.download`.
        """
        here = user or User("", is_admin=is_admin, address=address)
        try:
            claim = self.tokens.read(token)
        except InvalidTokenError:
            raise self._refused(here, None, "This is no download link of this store, or it was changed.") from None
        with self.store.reading() as connection:
            now = self.store.now(connection)
        if now >= claim.expires:
            raise self._refused(here, claim, "The time of this download link is over.")
        if user is not None and user.id != claim.user:
            raise self._refused(here, claim, "This download link is somebody else's.")
        who = User(
            claim.user,
            is_admin=here.is_admin or claim.user in self.admins,
            address=here.address,
            agent=f"{_AGENT}, {here.agent}" if here.agent else _AGENT,
        )
        with ExitStack() as stack:
            try:
                opened = stack.enter_context(self.jobs.download(claim.job, who, number=claim.number))
            except NotAllowedError:
                # Whoever decided that has written it down.
                raise
            except TailraceError as error:
                self._write_down(who, claim, "failed", error.message)
                raise
            yield opened

    def _refused(self, here: User, claim: LinkClaim | None, reason: str) -> NotAllowedError:
        agent = f"{_AGENT}, {here.agent}" if here.agent else _AGENT
        self._write_down(attrs.evolve(here, agent=agent), claim, "refused", reason)
        return NotAllowedError(reason, hint=_NEW_ONE)

    def _write_down(self, who: User, claim: LinkClaim | None, outcome: Outcome, reason: str) -> None:
        entry = AuditEntry(
            user=who.id,
            operation=Operation.FILE_DOWNLOAD.value,
            outcome=outcome,
            job=None if claim is None else claim.job,
            thing="" if claim is None else f"a link of {claim.user}",
            error=reason,
            address=who.address,
            agent=who.agent,
        )
        with self.store.writing() as connection:
            audit.append(connection, entry, now=self.store.now(connection))
