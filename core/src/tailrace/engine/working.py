"""Carrying out in the background what was handed in."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from tailrace.engine.asking import Asking
from tailrace.model.context import Context
from tailrace.model.errors import NotAllowedError
from tailrace.model.job import User

if TYPE_CHECKING:
    from tailrace.work.outcome import Outcome
    from tailrace.work.runner import Order, Runner
    from tailrace.work.worker import Duty, Worker


class Working(Asking):
    """Makes workers."""

    def carry_out(self, order: "Order", context: Context) -> "Outcome":
        """Carry out an attempt that was claimed by a worker in another process.

        Args:
            order: The attempt.
            context: Progress and cancellation.
        """
        return self._carrier.ordered(order, context)

    def worker(self, *, concurrency: int | None = None, runner: "Runner | None" = None) -> "Worker":
        """A worker that carries out what is handed in to this engine's store, whose tables are brought up to date.

        Args:
            concurrency: Jobs at a time; as the settings say by default.
            runner: What carries them out; by default threads and processes on this machine.
        """
        from tailrace.work.local import LocalRunner
        from tailrace.work.worker import Duty, Worker

        self.store.upgrade()
        limits = self.settings.worker
        local = LocalRunner(
            here=self._carrier.here,
            apart=self._carrier.apart,
            isolated=self._carrier.isolated,
            concurrency=concurrency or limits.concurrency,
        )
        # By the rules that are set, and for everybody: not because this user asks.
        keeper = User(self.system_user.id, is_admin=True, agent="tailrace worker")
        keeping = Duty(f"retention {self._place}", timedelta(days=1), lambda: self.retention.apply(keeper))
        return Worker(
            store=self.store,
            runner=runner or local,
            claimed=self._carrier.claimed,
            jobs=self.settings.jobs,
            settings=limits,
            scratch=self._carrier.scratch,
            place=self._carrier.place,
            duties=(*((keeping,) if self.settings.retention.daily else ()), *self._forgetting()),
            post=self.post,
            firing=self._firing,
            offers=self._offers,
        )

    def _forgetting(self) -> "Iterator[Duty]":
        """What removes the history of schedules that is too old."""
        from tailrace.work.firing import forget_history
        from tailrace.work.worker import Duty

        days = self.settings.schedules.history
        if days:
            yield Duty("history of schedules", timedelta(days=1), lambda: forget_history(self.store, days))

    def upgrade_store(self, user: User | None = None) -> tuple[str | None, str]:
        """Make the tables of the store, or bring them up to date.

        Args:
            user: Who asks; the operating system's user by default.

        Returns:
            The revision before, None where there were no tables, and after.

        Raises:
            NewerVersionError: A newer program made them.
            NotAllowedError: The user may not.
        """
        from tailrace.work.access import Operation, decide

        decision = decide(Operation.STORE_UPGRADE, self._user(user))
        if not decision.allowed:
            raise NotAllowedError(decision.reason)
        return self.store.upgrade()
