"""Which plugins may be used, and whose plugin wins when two distributions offer the same name."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

import attrs


def normalized(distribution: str) -> str:
    """The name of a distribution as it is compared: ``Tailrace.Format_CSV`` is ``tailrace-format-csv``."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@attrs.frozen
class PluginSelection:
    """Allow and deny lists, and preferences; they work on metadata, before any plugin is imported.

    An item of ``allow`` and ``deny`` is the public name of a plugin (``"csv"``), its kind and name (``"format.csv"``)
    or the distribution it comes from (``"tailrace-format-csv"``); ``*`` stands for any characters.

    Args:
        allow: Only these plugins are used; None allows all.
        deny: These are not, even when they are allowed.
        prefer: The distribution that wins, by kind and name: ``{"format.csv": "tailrace-format-csv"}``.
    """

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()
    prefer: Mapping[str, str] = attrs.field(factory=dict)

    def refusal(self, kind: str, name: str, distribution: str) -> str:
        """Why a plugin must not be used, as the rest of a sentence; empty when it may."""
        for item in self.deny:
            if _matches(item, kind, name, distribution):
                return f"denied by {item!r} in plugins.deny"
        if self.allow is not None and not any(_matches(item, kind, name, distribution) for item in self.allow):
            return "not listed in plugins.allow"
        return ""

    def preferred(self, kind: str, name: str) -> str | None:
        """The distribution that the settings pick for a plugin, if they do."""
        return self.prefer.get(f"{kind}.{name}")


def _matches(item: str, kind: str, name: str, distribution: str) -> bool:
    return (
        fnmatchcase(name, item)
        or fnmatchcase(f"{kind}.{name}", item)
        or fnmatchcase(normalized(distribution), normalized(item))
    )
