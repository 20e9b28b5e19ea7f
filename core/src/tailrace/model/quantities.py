"""Numbers as sentences have them."""

_KILO = 1000
_FEW = 10
_MANY = 100


def readable_size(count: float) -> str:
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
