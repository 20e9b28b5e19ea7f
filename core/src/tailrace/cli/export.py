"""``tailrace export``."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from tailrace.cli.quantities import counted, size, span
from tailrace.cli.running import run
from tailrace.cli.session import COMMON, Common, Session, Shared
from tailrace.model.errors import OptionError
from tailrace.model.request import CredentialMode, ExportRequest, SinkRequest
from tailrace.plugins.catalogue import first_party_distribution

if TYPE_CHECKING:
    from tailrace.model.job import Artifact, Estimate, JobResult

FAILED, PARTLY_DELIVERED = 1, 4

_SELECT = Group.create_ordered("What to export")
_WRITE = Group.create_ordered("How to write it")
_RUN = Group.create_ordered("How to run")

Texts = tuple[str, ...]

# A type that admits None would take the word "none" for it.
_BY_POLICY = cast("CredentialMode", None)


def export(
    source: str,
    /,
    *,
    from_: Annotated[str, Parameter(name="--from", group=_SELECT)],
    columns: Annotated[Texts, Parameter(group=_SELECT, negative=())] = (),
    where: Annotated[Texts, Parameter(group=_SELECT, negative=(), allow_leading_hyphen=True)] = (),
    since: Annotated[str | None, Parameter(group=_SELECT)] = None,
    until: Annotated[str | None, Parameter(group=_SELECT)] = None,
    sort: Annotated[Texts, Parameter(group=_SELECT, negative=(), allow_leading_hyphen=True)] = (),
    limit: Annotated[int | None, Parameter(group=_SELECT, validator=Number(gte=0))] = None,
    map_: Annotated[Texts, Parameter(name="--map", group=_SELECT, negative=())] = (),
    credentials: Annotated[CredentialMode, Parameter(group=_SELECT)] = _BY_POLICY,
    opener: Annotated[Texts, Parameter(group=_SELECT, negative=())] = (),
    format_: Annotated[str, Parameter(name="--format", group=_WRITE)],
    to: Annotated[Texts, Parameter(group=_WRITE, negative=())] = (),
    tz: Annotated[str | None, Parameter(group=_WRITE)] = None,
    compress: Annotated[bool, Parameter(group=_WRITE)] = True,
    compress_level: Annotated[
        Literal[1, 2, 3, 4, 5, 6, 7, 8, 9, "fast"], Parameter(group=_WRITE, show_default=True)
    ] = 6,
    option: Annotated[Texts, Parameter(group=_WRITE, negative=())] = (),
    estimate: Annotated[bool | None, Parameter(group=_RUN)] = None,
    timeout: Annotated[float | None, Parameter(group=_RUN, validator=Number(gt=0))] = None,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Export a source as a file.

    Args:
        source: Name of the source: pool, analytics …
        from_: Where it reads: a URI such as proxywhirl:///path/to.db, or a path.
        columns: Columns to keep, in this order, separated by commas; new=old renames.
        where: Keep only rows for which this holds: "http_status >= 500". Several must all hold.
        since: From this time on: 2026-08-15, 2026-08-15T12:00Z, or 7d before now.
        until: Before this time.
        sort: Columns to sort by, separated by commas; -column sorts downwards.
        limit: Keep at most this many rows of each table.
        map_: canonical=column, where a column has a name of its own; as often as needed.
        credentials: What happens to user names and passwords: they are sealed (full), removed (sanitized, the default
            where it is allowed), or replaced by ids (reference).
        opener: Who can open what is sealed: file:PATH, env:NAME, keyring:NAME, password, or a recipient's public key;
            as often as needed. The setting vault.openers if not given.
        format_: Name of the format: csv, json …
        to: Where to deliver: a folder, or SINK:TARGET; as often as needed.
        tz: Time zone to show times in: Europe/Berlin. UTC if not given.
        compress: Gzip the file (the default), or leave it as it is.
        compress_level: 1 (quick) to 9 (small), or fast.
        option: name=value for source, format or sink; plugin.name=value where several have it.
        estimate: Only say how large it will be; --no-estimate exports without a word about it.
        timeout: Seconds after which to give up.
    """
    request = ExportRequest(
        source=source,
        location=from_,
        format=format_,
        sinks=tuple(_sink(text, session) for text in to) or (SinkRequest("disk"),),
        columns=_split(columns),
        where=where,
        since=since,
        until=until,
        time_zone=tz,
        sort=_split(sort),
        limit=limit,
        credentials=credentials or _default_mode(session),
        openers=opener,
        compress=compress,
        compress_level=compress_level,
        options=_options(option, map_),
    )
    terminal = session.terminal
    for reference in opener:
        # A password is asked for now, before anything else is shown.
        session.engine.keyring.opener(reference)
    expected = None
    if estimate is not False and (estimate or not terminal.quiet):
        exact = bool(estimate)
        expected = run(
            session,
            lambda context: session.engine.estimate(request, context=context, exact=exact),
            timeout=timeout,
        )
        if estimate:
            _tell_estimate(session, expected)
            return 0
        terminal.message(f"Estimated: {_expectation(expected)}.")
    result = run(
        session,
        lambda context: session.engine.export(request, context=context, estimate=expected),
        timeout=timeout,
    )
    if common.json:
        terminal.document(_as_document(result, expected))
    else:
        _tell_result(session, request, result)
    return _exit_code(result)


def _default_mode(session: Session) -> CredentialMode:
    """``sanitized``, or what the policy allows instead; never ``full`` without being asked for."""
    allowed = session.settings.credentials.allowed
    others = [CredentialMode(mode) for mode in allowed if mode != "full"]
    return CredentialMode.SANITIZED if not others or CredentialMode.SANITIZED in others else others[0]


def _split(texts: Texts) -> Texts:
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())


def _sink(text: str, session: Session) -> SinkRequest:
    """What ``--to`` means: ``NAME:TARGET``, the name of a sink, or a path."""
    name, colon, target = text.partition(":")
    # One letter and a colon is a drive.
    if colon and re.fullmatch(r"[a-z][a-z0-9_-]+", name):
        return SinkRequest(name, target or None)
    installed = {entry.name for entry in session.engine.registry.entries() if entry.kind == "sink"}
    # The name of a sink that could be installed is not taken for a folder either: the engine says how to get it.
    if text in installed or first_party_distribution("sink", text):
        return SinkRequest(text)
    return SinkRequest("disk", text)


def _options(pairs: Collection[str], mappings: Collection[str]) -> Mapping[str, str]:
    options = dict(_pair(text, "--option", "name=value") for text in pairs)
    if mappings:
        renamed = dict(_pair(text, "--map", "canonical=column") for text in mappings)
        given = [options["map"]] if "map" in options else []
        options["map"] = ",".join([*given, *(f"{name}={column}" for name, column in renamed.items())])
    return options


def _pair(text: str, flag: str, shape: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise OptionError(flag, f"expected {shape}.", hint=f"For example: {flag} {shape}")
    return name.strip(), value


def _exit_code(result: "JobResult") -> int:
    if result.complete:
        return 0
    receipts = [receipt for artifact in result.artifacts for receipt in artifact.receipts]
    return PARTLY_DELIVERED if any(receipt.delivered for receipt in receipts) else FAILED


def _expectation(expected: "Estimate") -> str:
    about = "" if all(table.exact_rows for table in expected.tables) else "about "
    return f"{about}{counted(expected.rows, 'row')}, {size(expected.bytes)}"


def _as_document(result: "JobResult", expected: "Estimate | None") -> dict[str, Any]:
    from tailrace.model.convert import unstructure

    document: dict[str, Any] = unstructure(result) | {"complete": result.complete}
    for values, artifact in zip(document["artifacts"], result.artifacts, strict=True):
        values["path"] = str(artifact.path) if artifact.path else None
    return document | ({"estimate": _estimate_document(expected)} if expected else {})


def _estimate_document(expected: "Estimate") -> dict[str, Any]:
    from tailrace.model.convert import unstructure

    return {"rows": expected.rows, "bytes": expected.bytes, **unstructure(expected)}


def _tell_estimate(session: Session, expected: "Estimate") -> None:
    terminal = session.terminal
    if session.common.json:
        terminal.document({"estimate": _estimate_document(expected)})
        return
    rows = [
        (
            table.table,
            f"{'' if table.exact_rows else '≈ '}{table.rows:,}",
            size(table.plain_bytes),
            size(table.bytes),
        )
        for table in expected.tables
    ]
    terminal.table(("table", "rows", "uncompressed", "as a file"), rows, right={1, 2, 3})
    for note in expected.notes:
        terminal.text(note)


def _tell_result(session: Session, request: ExportRequest, result: "JobResult") -> None:
    terminal = session.terminal
    files = counted(len(result.artifacts), "file")
    seconds = (result.finished - result.started).total_seconds()
    delivered = "" if result.complete else ", but not delivered everywhere"
    terminal.line(f"Exported {request.source} as {files} in {span(seconds)}{delivered}.", "bold")
    for artifact in result.artifacts:
        terminal.line()
        for line in _about(artifact):
            terminal.line(line)
    if result.notes:
        terminal.line()
    for note in result.notes:
        terminal.text(f"Note: {note}")


def _about(artifact: "Artifact") -> Iterator[str]:
    manifest = artifact.manifest
    for receipt in artifact.receipts:
        if receipt.delivered:
            yield f"  {receipt.path or receipt.place or receipt.sink}"
        else:
            again = " Trying again may help." if receipt.transient else ""
            yield f"  not delivered by {receipt.sink}: {receipt.error}{again}"
    rows = sum(table.rows.written for table in manifest.tables)
    packed = f" ({size(manifest.file.plain_size)} uncompressed)" if manifest.file.compression else ""
    yield f"    {counted(rows, 'row')}, all proven to be in the file · {size(manifest.file.size)}{packed}"
