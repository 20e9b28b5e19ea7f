"""``--notify`` and when: who wishes to be told, as the command line has it."""

from collections.abc import Collection, Iterator
from typing import Final

from tailrace.model.errors import OptionError, RequestError
from tailrace.model.notify import Notify, NotifyOn

NOBODY: Final = "nobody"
"""What is written in place of a channel where nobody is to be told."""

_EVENTS: Final = {event.value.replace(" ", "-"): event for event in NotifyOn}


def wishes_of(channels: Collection[str], events: Collection[str], *, flag: str) -> tuple[Notify, ...] | None:
    """What ``--notify`` means.

    Args:
        channels: Each ``CHANNEL`` or ``CHANNEL:TARGET``, or ``nobody``.
        events: What they are told about; several may be in one text, separated by commas. Everything where none is.
        flag: Name of the option that ``events`` come from, for errors.

    Returns:
        The wishes; None where nothing was said.

    Raises:
        RequestError: ``nobody`` and somebody, or events without anybody.
        OptionError: An event that there is not.
    """
    about = tuple(dict.fromkeys(_events(events, flag))) or tuple(NotifyOn)
    if NOBODY in channels:
        if len(channels) > 1 or events:
            message = f"--notify {NOBODY} tells nobody, and something else is said besides."
            raise RequestError(message, hint="Leave one of them out.")
        return ()
    if not channels:
        if events:
            raise RequestError(f"{flag} says about what, and nobody is to be told.", hint="Say whom: --notify in-app")
        return None
    return tuple(_wish(text, about) for text in channels)


def words_of(wish: Notify) -> str:
    """A wish as the command line has it: ``email:ann@example.com (failed)``."""
    whom = f"{wish.channel}:{wish.target}" if wish.target else wish.channel
    events = "" if set(wish.on) == set(NotifyOn) else f" ({', '.join(event.value for event in wish.on)})"
    return f"{whom}{events}"


def _wish(text: str, about: tuple[NotifyOn, ...]) -> Notify:
    channel, _colon, target = text.partition(":")
    return Notify(channel.strip(), target or None, about)


def _events(texts: Collection[str], flag: str) -> Iterator[NotifyOn]:
    for name in (part.strip() for text in texts for part in text.split(",")):
        if name not in _EVENTS:
            raise OptionError(flag, f"there is no {name!r}.", hint=f"There is: {', '.join(_EVENTS)}.")
        yield _EVENTS[name]
