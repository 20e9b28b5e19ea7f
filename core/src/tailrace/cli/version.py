"""``tailrace --version``."""

from tailrace import __version__
from tailrace.cli.session import COMMON, Common, Shared


def version(*, common: Common = COMMON, session: Shared) -> int:
    """Show the version."""
    if common.json:
        session.terminal.document({"version": __version__})
    else:
        session.terminal.line(f"tailrace {__version__}")
    return 0
