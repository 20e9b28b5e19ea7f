"""Numbers as people read them: sizes, counts, spans of time."""

from tailrace.model.quantities import readable_size as size

__all__ = ["counted", "deviation", "roughly", "size", "span"]

_KILO = 1000
_MINUTE = 60
_HOUR = 3600
_DAY = 86_400
_FEW = 10
_SHORTEST = 0.05
_MANY = 100


def counted(count: int, singular: str, plural: str = "") -> str:
    """A number of things: ``"1 row"``, ``"1,234 rows"``."""
    return f"{count:,} {singular if count == 1 else plural or f'{singular}s'}"


def span(seconds: float) -> str:
    """A span of time: ``"0.4 s"``, ``"12 s"``, ``"3 min 05 s"``, ``"2 h 10 min"``."""
    if seconds < _SHORTEST:
        return "less than 0.1 s"
    if seconds < _FEW:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"


def deviation(expected: int, actual: int) -> str:
    """How far off an expectation was, signed: ``"+2.1 %"``."""
    if expected == actual:
        return "exact"
    return f"{(expected - actual) / actual:+.1%}".replace("%", " %") if actual else "none came"


def roughly(seconds: float) -> str:
    """A span of time in its largest unit, rounded down: ``"5 hours"``, ``"3 days"``, ``"less than a minute"``."""
    for unit, length in (("day", _DAY), ("hour", _HOUR), ("minute", _MINUTE)):
        if seconds >= length:
            return counted(int(seconds // length), unit)
    return "less than a minute"
