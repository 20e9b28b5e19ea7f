"""The colours of charts that do not stand for data, so that a page can have them follow light and dark."""

from collections.abc import Mapping
from types import MappingProxyType

CHART_INKS: Mapping[str, str] = MappingProxyType(
    {"text": "#2b3036", "quiet": "#5d6670", "rule": "#c3c9d0", "grid": "#e4e7eb", "paper": "#fefefe"}
)
"""``text``, ``quiet`` text, ``rule`` for marks of missing data, ``grid`` lines, ``paper`` between what touches."""
