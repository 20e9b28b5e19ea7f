"""The audit trail for those who use it: written to, looked at, and held against what left the house.

Whoever has the store can cut the trail at its end, or write all of it anew, and it holds together again. What they do
not have is every manifest: each says the hash of the newest entry when its export began. A manifest whose hash no entry
has is the proof.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import attrs

from tailrace.files.publish import manifests_below
from tailrace.model.audit import AuditEntry, AuditFilter, AuditRecord, ChainReport, Outcome
from tailrace.model.context import Context
from tailrace.model.errors import RefusedError, TailraceError
from tailrace.model.job import User
from tailrace.model.manifest import Manifest
from tailrace.reading.userinfo import redacted
from tailrace.store import audit, audit_chain
from tailrace.store.database import Store
from tailrace.work.access import Access, Operation

Facts = dict[str, Any]
"""Members of an entry."""
Verdict = Literal["known", "unknown", "none", "unreadable"]
"""An entry has the hash of the manifest, none has, it holds none, or it cannot be read."""


@attrs.frozen
class ManifestCheck:
    """A manifest, held against the trail.

    Args:
        path: The file that it is of, or what was named.
        verdict: How it came out.
        detail: Facts, in words.
    """

    path: Path
    verdict: Verdict
    detail: str

    @property
    def ok(self) -> bool:
        """Whether it does not speak against the trail."""
        return self.verdict in {"known", "none"}


@attrs.frozen
class TrailReport:
    """What came out of checking the trail."""

    chain: ChainReport
    manifests: tuple[ManifestCheck, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the trail holds together, and every manifest was made after one of its entries."""
        return self.chain.ok and all(check.ok for check in self.manifests)


@attrs.frozen
class AuditTrail:
    """The audit trail of a store.

    Args:
        store: The store.
        access: Decides who may look at it.
    """

    store: Store
    access: Access

    def record(self, entry: AuditEntry) -> str:
        """Append an entry, in a transaction of its own; returns its hash.

        Raises:
            StoreBusyError: The store is locked, or away.
        """
        with self.store.writing() as connection:
            return audit.append(connection, entry, now=self.store.now(connection))

    @contextmanager
    def recording(self, operation: str, user: User, *, only_failures: bool = False, **facts: Any) -> Iterator[Facts]:
        """Write down how something ends that is done inside of the block.

        Args:
            operation: What it is called.
            user: Who asks.
            only_failures: Whether what goes well is written down by somebody else.
            facts: What is known before; see :class:`~tailrace.model.audit.AuditEntry`.

        Yields:
            What is known behind: to be filled.

        Raises:
            StoreBusyError: The store is locked, or away: before anything was done, or behind it.
        """
        # Nothing is done that could not be written down.
        with self.store.reading():
            pass
        known: Facts = dict(facts)
        entry = AuditEntry(user.id, operation, "ok", address=user.address, agent=user.agent)
        try:
            yield known
        except BaseException as error:
            outcome: Outcome = "refused" if isinstance(error, RefusedError) else "failed"
            # Texts of foreign errors may quote anything.
            said = error.message if isinstance(error, TailraceError) else type(error).__name__
            self.record(attrs.evolve(entry, outcome=outcome, error=redacted(said), **known))
            raise
        if not only_failures:
            self.record(attrs.evolve(entry, **known))

    def list(self, user: User | None, asked: AuditFilter | None = None, *, limit: int = 100) -> tuple[AuditRecord, ...]:
        """Entries, the newest first; looking at them is not recorded itself.

        Args:
            user: Who asks.
            asked: Which: everybody's, if it names no user.
            limit: How many at most.

        Raises:
            NotAllowedError: Entries of others, and the user is no admin.
        """
        wanted = asked or AuditFilter()
        own = user is not None and wanted.user == user.id
        operation = Operation.AUDIT_LIST_OWN if own else Operation.AUDIT_LIST_ALL
        self.access.require(operation, user, owner=wanted.user)
        with self.store.reading() as connection:
            return tuple(audit.listing(connection, wanted, limit=limit))

    def verify(
        self, user: User | None, *, manifests: Iterable[Path] = (), context: Context | None = None
    ) -> TrailReport:
        """Check the whole trail, and hold manifests against it; that it was checked is recorded.

        Args:
            user: Who asks.
            manifests: Exports, their manifests, or folders that are looked through for manifests.
            context: Progress, cancellation, deadline.

        Raises:
            NotAllowedError: The user is no admin.
        """
        self.access.require(Operation.AUDIT_VERIFY, user)
        watched = context or Context()
        chain = self._chain(watched)
        report = TrailReport(chain, tuple(self._held_against(manifests, chain, watched)))
        self.record(_verified(user or User(""), report))
        return report

    def _chain(self, context: Context) -> ChainReport:
        with self.store.reading() as connection:
            last, _hash = audit.head(connection)
        context.phase("verifying", total_rows=last)
        check = audit_chain.ChainCheck()
        read = 1
        while read:
            # A transaction each: on SQLite, an open one may keep those who append waiting.
            with self.store.reading() as connection:
                read = check.read(connection)
            context.advance(rows=read)
        return check.report

    def _held_against(self, paths: Iterable[Path], chain: ChainReport, context: Context) -> Iterator[ManifestCheck]:
        from tailrace.pipeline.verify import inspect

        for path in paths:
            for named in manifests_below(path):
                context.check()
                try:
                    found = inspect(named)
                except TailraceError as error:
                    yield ManifestCheck(named, "unreadable", error.message)
                    continue
                yield self._judged(found.file, found.manifest, chain)

    def _judged(self, file: Path, manifest: Manifest, chain: ChainReport) -> ManifestCheck:
        if manifest.audit is None:
            return ManifestCheck(file, "none", "made without an audit trail")
        with self.store.reading() as connection:
            number = audit_chain.numbers(connection, [manifest.audit]).get(manifest.audit)
        if number is not None:
            return ManifestCheck(file, "known", f"made after entry {number}" if number else "made before any entry")
        made = f"made on {manifest.created:%Y-%m-%d at %H:%M:%S} UTC"
        if chain.moment is None or manifest.created > chain.moment:
            detail = f"{made}, after the newest entry there is: the trail was cut at its end"
        else:
            detail = f"{made} after an entry that is not there: the trail was rewritten"
        return ManifestCheck(file, "unknown", f"{detail}, or the file comes from another store")


def _verified(user: User, report: TrailReport) -> AuditEntry:
    chain, wrong = report.chain, [check for check in report.manifests if not check.ok]
    problems = [
        *([f"the chain is broken from entry {chain.first} on"] if chain.first is not None else ()),
        *([f"{len(wrong)} of {len(report.manifests)} manifests do not fit"] if wrong else ()),
    ]
    return AuditEntry(
        user=user.id,
        operation=Operation.AUDIT_VERIFY.value,
        outcome="ok" if report.ok else "failed",
        error="; ".join(problems),
        parameters={"entries": chain.entries, "newest": chain.newest, "manifests": len(report.manifests)},
        address=user.address,
        agent=user.agent,
    )
