"""Numbers as people read them: sizes, counts, spans of time."""

_KILO = 1000
_MINUTE = 60
_HOUR = 3600
_FEW = 10
_SHORTEST = 0.05
_MANY = 100


def size(count: float) -> str:
    """A number of bytes with three digits, in powers of 1,000: ``"45.1 MB"``."""
    if count < _KILO:
        return "1 byte" if count == 1 else f"{count:.0f} bytes"
    value, units = count / _KILO, ["TB", "GB", "MB", "kB"]
    # 999.5 would be rounded to four digits.
    while value >= _KILO - 0.5 and len(units) > 1:
        value /= _KILO
        units.pop()
    unit = units[-1]
    decimals = 2 if value < _FEW - 0.005 else 1 if value < _MANY - 0.05 else 0
    return f"{value:.{decimals}f} {unit}"


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
