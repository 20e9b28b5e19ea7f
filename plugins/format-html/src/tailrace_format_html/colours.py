"""Colours on dark paper: the same, with as much white as they need to be seen."""

_WHITE = 255


def lighter(colour: str, share: float = 0.38) -> str:
    """A colour ``#rrggbb`` with a share of white."""
    parts = (int(colour[n : n + 2], 16) for n in (1, 3, 5))
    return "#" + "".join(f"{round(part + (_WHITE - part) * share):02x}" for part in parts)
