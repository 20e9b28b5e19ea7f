"""A clock that stands still until somebody sets it."""

import threading
from datetime import UTC, datetime, timedelta


class Clock:
    """Says what time it is; goes only when it is told to. An engine takes it as its ``clock``.

    Args:
        moment: What it shows, with its zone.
    """

    def __init__(self, moment: datetime = datetime(2026, 8, 20, 6, 23, 17, tzinfo=UTC)) -> None:
        self._lock = threading.Lock()
        self._moment = _zoned(moment)

    def __call__(self) -> datetime:
        """What it shows, in UTC."""
        with self._lock:
            return self._moment

    def set(self, moment: datetime) -> None:
        """Set it, forwards or backwards.

        Raises:
            ValueError: The moment has no zone.
        """
        moment = _zoned(moment)
        with self._lock:
            self._moment = moment

    def advance(self, by: timedelta | float) -> None:
        """Set it forwards.

        Args:
            by: By how much; a number is seconds.
        """
        with self._lock:
            self._moment += by if isinstance(by, timedelta) else timedelta(seconds=by)


def _zoned(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        message = f"{moment} has no zone: say which, such as tzinfo=datetime.UTC"
        raise ValueError(message)
    return moment.astimezone(UTC)
