"""Writing down what recipients said: in the ledger, among the files of this machine, and in the audit trail."""

import logging
from collections.abc import Iterable, Mapping, Sequence

import attrs
import sqlalchemy as sa

from tailrace.model.audit import AuditEntry
from tailrace.model.delivery import Delivery, DeliveryState
from tailrace.model.job import Receipt
from tailrace.model.manifest import Manifest
from tailrace.store import audit, deliveries, jobs
from tailrace.store.database import Store
from tailrace.store.errors import StoreError
from tailrace.work import ledger
from tailrace.work.attempt import Attempt, delivery_entry, outputs, patiently, rows_of
from tailrace.work.ending import end_delivering

log = logging.getLogger(__name__)

Said = tuple[Delivery, Receipt]
"""A delivery, and what came of a try of it."""


@attrs.define(eq=False)
class Recorder:
    """Records the deliveries of one attempt; whatever is done here may be done twice, as an answer may be lost.

    Args:
        attempt: Holds the job.
        store: Where the ledger is.
        manifests: What the files of the job are, by number.
    """

    attempt: Attempt
    store: Store
    manifests: Mapping[int, Manifest]
    receipts: dict[str, Receipt] = attrs.field(factory=dict, init=False)
    """What was recorded, by the id of the delivery."""

    def record(self, said: Iterable[Said]) -> None:
        """Write down what was said, together; where that cannot be stored, each by itself.

        Raises:
            LeaseLostError: Somebody else has the job.
            StoreBusyError: The store is away for longer than is waited for.
        """
        pairs = list(said)
        if not pairs:
            return
        try:
            patiently(lambda: self._record(pairs), lambda: None)
        except StoreError:
            # What one says must not be the end of what the others have.
            if len(pairs) == 1:
                ((row, receipt),) = pairs
                log.warning("what %s said cannot be written down", row.addressee, exc_info=True)
                plain = Receipt(row.sink, receipt.delivered, recipient=row.recipient, path=receipt.path)
                pairs = [(row, attrs.evolve(plain, error="" if receipt.delivered else "It said nothing readable."))]
                patiently(lambda: self._record(pairs), lambda: None)
            else:
                for pair in pairs:
                    self.record([pair])
                return
        self.receipts |= {row.id: receipt for row, receipt in pairs}
        for row, receipt in pairs:
            if not receipt.delivered:
                log.warning("job %s: %s has not got it: %s", row.job, row.addressee, receipt.error)

    def end(self) -> None:
        """Write down how the job stands now.

        Raises:
            LeaseLostError: Somebody else has the job.
            StoreBusyError: The store is away for longer than is waited for.
        """
        patiently(self._end, lambda: None)

    def _record(self, said: Sequence[Said]) -> None:
        claim, attempt = self.attempt.claim, self.attempt
        with self.store.writing() as connection:
            now = self.store.now(connection)
            jobs.still_held(connection, claim.id, claim.fence)
            new = deliveries.unchanged(connection, [row for row, _receipt in said])
            pairs = [(row, receipt) for row, receipt in said if row.id in new]
            changes = [ledger.change(row, receipt, attempt.redelivery, now) for row, receipt in pairs]
            deliveries.record(connection, changes, now=now)
            for row, receipt in pairs:
                if receipt.path is not None and row.file in self.manifests:
                    manifest = self.manifests[row.file]
                    jobs.add_files(connection, outputs(claim.id, attempt.place, row.file, manifest, [receipt], now))
            # In one order, as others may write down the same.
            for row, receipt in sorted(pairs, key=lambda pair: pair[0].addressee):
                if receipt.unwanted:
                    deliveries.refuse(connection, row.addressee, receipt.error, now=now)
            entries = [
                self._entry(row, change)
                for (row, _receipt), change in zip(pairs, changes, strict=True)
                if change.state is not DeliveryState.WAITING
            ]
            audit.append_all(connection, entries, now=now)

    def _entry(self, row: Delivery, change: deliveries.Change) -> AuditEntry:
        manifest = self.manifests.get(row.file)
        return delivery_entry(
            self.attempt.claim,
            self.attempt.user,
            row.addressee,
            change.error,
            rows=None if manifest is None else rows_of(manifest),
            size=None if manifest is None else manifest.file.size,
            file="" if manifest is None else manifest.file.name,
            parameters={"delivery": row.name, "failed_tries": change.tries},
        )

    def _end(self) -> None:
        claim = self.attempt.claim
        with self.attempt.settling, self.store.writing() as connection:
            if not jobs.has_ended(connection, claim.id, claim.fence):
                end_delivering(connection, self.attempt, now=self.store.now(connection))
        self.attempt.settled = True


def told(connection: sa.Connection) -> Mapping[str, str]:
    """Recipients that want nothing any more, and what is said of a delivery to each."""
    found = deliveries.unwanted(connection)
    return {
        addressee: f"It wants nothing any more since {since:%Y-%m-%d}: {why} To change that: tailrace jobs allow"
        for addressee, (since, why) in found.items()
    }
