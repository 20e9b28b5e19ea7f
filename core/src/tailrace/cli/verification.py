"""``tailrace verify``."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tailrace.cli.layout import Styled
from tailrace.cli.running import run
from tailrace.cli.session import COMMON, Common, Shared

if TYPE_CHECKING:
    from tailrace.pipeline.verify import Check

REFUSED = 3

_WORDS = {True: Styled("ok", "green"), False: Styled("wrong", "bold red"), None: Styled("unchecked", "yellow")}


def verify(
    file: Path,
    /,
    *,
    key: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Check an export against its manifest: sizes, checksums, every row; and who signed it.

    Args:
        file: The file, or its manifest.
        key: What opens its sealed credentials, to check that nothing in it was forged: file:PATH, env:NAME,
            keyring:NAME or password.
    """
    for reference in key:
        session.engine.keyring.holder(reference)
    found = run(session, lambda context: session.engine.verify(file, keys=key, context=context))
    terminal = session.terminal
    if common.json:
        from tailrace.model.convert import unstructure

        terminal.document({**unstructure(found), "ok": found.ok})
    else:
        terminal.line(str(found.file), "bold")
        terminal.table(
            (), [(_WORDS[check.ok], check.name, _short(check.detail)) for check in found.checks], indent="  "
        )
        terminal.line(_verdict(found.checks), "green" if all(check.ok for check in found.checks) else "bold red")
        trust = found.trust
        distrusted = trust.trust == "distrusted"
        terminal.line(f"Trust: {trust.trust}, {trust.detail}.", "bold red" if distrusted else "")
    return 0 if found.ok else REFUSED


def _short(detail: str) -> str:
    """The detail with checksums cut to what an eye compares; ``--json`` and ``tailrace inspect`` give them whole."""
    return re.sub(r"\b([0-9a-f]{16})[0-9a-f]{48}\b", r"\1…", detail)


def _verdict(checks: "tuple[Check, ...]") -> str:
    wrong = sum(check.ok is False for check in checks)
    if wrong:
        return f"Not what its manifest says: {wrong} of {len(checks)} checks failed."
    unchecked = sum(check.ok is None for check in checks)
    if unchecked:
        return f"Not fully verified: {unchecked} of {len(checks)} checks could not be made."
    return f"Verified: it is complete and unchanged ({len(checks)} checks)."
