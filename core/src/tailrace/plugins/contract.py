"""The version of the contract between engine and plugins: hooks, protocols and the records that calls take.

A plugin may say which version it was written for, beside its hook::

    tailrace_contract = "1.0"


    @hookimpl
    def tailrace_format() -> Format: ...

The *minor* number grows when something is added: a hook, a protocol that a plugin may have beside its own, an attribute
of a call record. A plugin needs at least the minor number that it says. The *major* number grows when something is
taken away or asked for that plugins of before do not have. Plugins of the major version before the current one still
work; see ``docs/reference/plugin-contracts.md`` for how long. A plugin that says nothing is taken as it is.
"""

import re
from typing import Final

CONTRACT: Final = "1.0"
"""The version that this engine has."""
OLDEST_MAJOR: Final = 1
"""The oldest major version whose plugins it takes."""
STATEMENT: Final = "tailrace_contract"
"""Name of the attribute by which the module or object of an entry point says what it was written for."""


def is_newer(stated: object, *, offered: str = CONTRACT) -> bool:
    """Whether a plugin was written for a version that this engine does not have yet."""
    wanted, ours = _numbers(stated), _numbers(offered)
    return wanted is not None and ours is not None and wanted > ours


def refusal(stated: object, *, offered: str = CONTRACT, oldest_major: int = OLDEST_MAJOR) -> str:
    """Why a plugin that was written for a version cannot be used, as a clause; empty where it can.

    Args:
        stated: What it says, ``"1.0"``; None where it says nothing.
        offered: The version that the engine has.
        oldest_major: The oldest major version whose plugins it takes.
    """
    if stated is None:
        return ""
    numbers = _numbers(stated)
    if numbers is None:
        return f"its {STATEMENT} is not a version such as {offered!r}"
    if numbers < (oldest_major, 0):
        taken = f"{oldest_major}.0 to {offered}" if offered != f"{oldest_major}.0" else offered
        return f"it was written for the contract {stated} of plugins, and this Tailrace takes {taken}"
    if is_newer(stated, offered=offered):
        return f"it was written for the contract {stated} of plugins, and this Tailrace has {offered}"
    return ""


def _numbers(stated: object) -> tuple[int, int] | None:
    """Major and minor; None for what is no version."""
    found = re.fullmatch(r"(\d{1,4})\.(\d{1,4})", stated) if isinstance(stated, str) else None
    return None if found is None else (int(found[1]), int(found[2]))
