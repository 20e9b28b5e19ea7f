"""The rules of the ledger: what a receipt makes of a delivery, and what deliveries make of their job."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from tailrace.model.delivery import Delivery, DeliveryState, Standing
from tailrace.model.job import Receipt
from tailrace.model.states import JobState
from tailrace.model.work import RetryPolicy
from tailrace.pipeline.deliver import Handover
from tailrace.store.deliveries import Change, NewDelivery


def entered(handover: Handover, sink: str, policy: RetryPolicy, now: datetime) -> NewDelivery:
    """The row of a delivery as it is entered when the export is recorded."""
    said: Mapping[str, Any] = {"state": DeliveryState.WAITING, "due": now}
    if handover.receipt is not None:
        said = judged(handover.receipt, 0, policy, now)
    return NewDelivery(handover.file, handover.destination, sink, handover.recipient, **said)


def change(delivery: Delivery, receipt: Receipt, policy: RetryPolicy, now: datetime) -> Change:
    """What a try makes of a delivery."""
    return Change(delivery.id, **judged(receipt, delivery.tries, policy, now))


def judged(receipt: Receipt, tries: int, policy: RetryPolicy, now: datetime) -> Mapping[str, Any]:
    """What a try makes of something that is on its way: state, tries that failed, and when and why it goes on.

    Args:
        receipt: What the sink said.
        tries: Tries that failed before.
        policy: How often it is tried.
        now: What time it is.
    """
    if receipt.delivered:
        said = {"place": receipt.place, "note": receipt.note}
        return {"state": DeliveryState.DELIVERED, "tries": tries, **said}
    error = receipt.error or "The sink does not say why."
    delay = None
    if receipt.transient and not receipt.unwanted:
        delay = policy.delay(tries + 1, random.random())  # noqa: S311 - no secret
    if delay is None:
        if receipt.transient and tries:
            error = f"{error} It was tried {tries + 1} times."
        return {"state": DeliveryState.FAILED, "tries": tries + 1, "error": error}
    asked = min(receipt.retry_after or 0.0, policy.longest_delay)
    due = now + timedelta(seconds=max(delay, asked))
    return {"state": DeliveryState.WAITING, "tries": tries + 1, "due": due, "error": error}


def state_of(standing: Standing) -> JobState:
    """Where a job is whose files are made: completed when every delivery is confirmed."""
    if standing.waiting:
        return JobState.PENDING
    return JobState.PARTLY_DELIVERED if standing.failed else JobState.COMPLETED


def receipt_of(delivery: Delivery, before: Receipt | None = None) -> Receipt:
    """A delivery, told as a receipt.

    Args:
        delivery: The delivery.
        before: The sink's own receipt, which says more, where there is one.
    """
    if before is not None and before.delivered:
        return before
    arrived = delivery.state is DeliveryState.DELIVERED
    receipt = before or Receipt(delivery.sink, delivered=arrived, recipient=delivery.recipient)
    return attrs.evolve(
        receipt,
        delivered=arrived,
        place=delivery.place,
        note=delivery.note,
        error=delivery.error,
        transient=delivery.state is DeliveryState.WAITING,
    )
