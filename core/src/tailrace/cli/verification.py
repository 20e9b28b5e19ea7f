"""``tailrace verify``."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tailrace.cli.layout import GAP, Styled
from tailrace.cli.quantities import counted
from tailrace.cli.running import run
from tailrace.cli.session import COMMON, Common, Session, Shared
from tailrace.model.errors import RequestError

if TYPE_CHECKING:
    from tailrace.pipeline.chain import Chain, ChainVerification
    from tailrace.pipeline.verify import Check, Verification

REFUSED = 3

_WORDS = {True: Styled("ok", "green"), False: Styled("wrong", "bold red"), None: Styled("unchecked", "yellow")}
_PRECISIONS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")
_NARROWEST_NAME = 12
_SHOWN = 10


def verify(
    file: Path,
    /,
    *more: Path,
    chain: Annotated[bool, Parameter(negative=())] = False,
    key: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Check an export against its manifest: sizes, checksums, every row; and who signed it.

    With --chain, check increments, and that nothing between them is missing, there twice or replaced.

    Args:
        file: The file, or its manifest; with --chain also a folder that increments are in.
        more: With --chain, further files and folders.
        chain: Check that increments join.
        key: What opens its sealed credentials, to check that nothing in it was forged: file:PATH, env:NAME,
            keyring:NAME or password.
    """
    if more and not chain:
        message = f"One file is verified at a time, and {more[0]} is a second one."
        raise RequestError(message, hint="Increments are checked together: tailrace verify --chain PLACE...")
    for reference in key:
        session.engine.keyring.holder(reference)
    if chain:
        return _verify_chain(session, (file, *more), key, as_json=common.json)
    found = run(session, lambda context: session.engine.verify(file, keys=key, context=context))
    if common.json:
        from tailrace.model.convert import unstructure

        session.terminal.document({**unstructure(found), "ok": found.ok})
    else:
        _tell(session, found)
    return 0 if found.ok else REFUSED


def _tell(session: Session, found: "Verification") -> None:
    terminal = session.terminal
    terminal.line(str(found.file), "bold")
    terminal.table((), [(_WORDS[check.ok], check.name, _short(check.detail)) for check in found.checks], indent="  ")
    terminal.line(_verdict(found.checks), "green" if all(check.ok for check in found.checks) else "bold red")
    trust = found.trust
    distrusted = trust.trust == "distrusted"
    terminal.line(f"Trust: {trust.trust}, {trust.detail}.", "bold red" if distrusted else "")


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


def _verify_chain(session: Session, places: Sequence[Path], key: Sequence[str], *, as_json: bool) -> int:
    found = run(session, lambda context: session.engine.verify_chain(places, keys=key, context=context))
    if as_json:
        from tailrace.model.convert import unstructure

        document = unstructure(found)
        chains = [{**unstructure(chain), "ok": chain.ok} for chain in found.chains]
        session.terminal.document({**document, "chains": chains, "ok": found.ok})
    else:
        for chain in found.chains:
            _tell_chain(session, chain)
            session.terminal.line()
        _tell_rest(session, found)
    return 0 if found.ok else REFUSED


def _tell_chain(session: Session, chain: "Chain") -> None:
    """A line for each increment, then what is wrong, then the verdict."""
    terminal = session.terminal
    terminal.line(
        f"Chain {chain.id}, {'table' if len(chain.tables) == 1 else 'tables'} {', '.join(chain.tables)}", "bold"
    )
    precision = _precision(chain)
    rows = [
        (
            "" if one.ok else "wrong",
            f"{one.number}",
            "the beginning" if one.since is None else f"{one.since.astimezone(UTC):{precision}}",
            f"{one.until.astimezone(UTC):{precision}}",
            f"{one.rows:,}",
        )
        for one in chain.increments
    ]
    headings = ("", "no.", "from (UTC)", "until (UTC)", "rows")
    widths = [max(len(heading), *(len(row[at]) for row in rows)) for at, heading in enumerate(headings)]
    # "wrong" is set for "ok" too, so that the columns of two chains stand below each other.
    widths[0] = len("wrong")
    room = max(terminal.width - sum(widths) - len(GAP) * len(widths), _NARROWEST_NAME)
    lines = [
        (_WORDS[one.ok], *row[1:], _end_of(one.file.name, room))
        for one, row in zip(chain.increments, rows, strict=True)
    ]
    terminal.table((*headings, "file"), lines, right={1, 4})
    told = [(Styled(one.kind, "bold red"), _short(one.detail)) for one in chain.problems]
    noted = [(Styled(one.kind, "yellow"), _short(one.detail)) for one in chain.notes]
    terminal.table((), [*told, *noted], indent="  ")
    terminal.text(_chain_verdict(chain))


def _precision(chain: "Chain") -> str:
    """How times are written that stand in two columns beside each other: no more exact than they need be."""
    moments = [moment.astimezone(UTC) for one in chain.increments for moment in (one.since, one.until) if moment]
    for precision in _PRECISIONS:
        if all(_parsed(moment, precision) == moment for moment in moments):
            return precision
    # Microseconds have no room; where they matter, the problems have them.
    return _PRECISIONS[-1]


def _parsed(moment: datetime, precision: str) -> datetime:
    return datetime.strptime(moment.strftime(precision), precision).replace(tzinfo=UTC)


def _end_of(name: str, room: int) -> str:
    """The name, or its end, where the time stands that tells it from others."""
    return name if len(name) <= room else f"…{name[len(name) - room + 1 :]}"


def _chain_verdict(chain: "Chain") -> str:
    from tailrace.pipeline.chain import readable_moment

    if not chain.ok:
        return f"Not a whole chain: {counted(len(chain.problems), 'problem')}."
    increments = len({one.number for one in chain.increments})
    return (
        f"Chain of {counted(increments, 'increment')}, {readable_moment(chain.since)} to "
        f"{readable_moment(chain.until)} without gap or overlap: {counted(chain.rows, 'row')}."
    )


def _tell_rest(session: Session, found: "ChainVerification") -> None:
    terminal = session.terminal
    terminal.table((), [(Styled(one.kind, "bold red"), one.detail) for one in found.unreadable], indent="  ")
    if found.unreadable:
        it = "it belongs" if len(found.unreadable) == 1 else "they belong"
        terminal.text(f"{counted(len(found.unreadable), 'file')} cannot be read: whether {it} to a chain is not known.")
    if found.others:
        names = ", ".join(path.name for path in found.others[:_SHOWN])
        more = f", and {len(found.others) - _SHOWN:,} more" if len(found.others) > _SHOWN else ""
        terminal.text(f"Left aside, as no increment: {names}{more}.")
    trusts = [one.trust for chain in found.chains for one in chain.increments if one.trust is not None]
    if len(set(trusts)) == 1:
        terminal.line(f"Trust: {trusts[0].trust}, {trusts[0].detail}.")
    elif trusts:
        counts = Counter(str(one.trust) for one in trusts)
        terminal.line(f"Trust: {', '.join(f'{word} ({count:,})' for word, count in counts.items())}.")
