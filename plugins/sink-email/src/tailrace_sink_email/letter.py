"""What a mail says, before it is text or HTML: everything in here is one harmless line each."""

import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime

import attrs

from tailrace import DeliverCall, Manifest, Message, readable_size
from tailrace_sink_email.harmless import one_line
from tailrace_sink_email.report import InlineReport, inline_report

_MOST_FACTS = 40
_MOST_NOTES = 10
_COMMAND = re.compile(r"([^:]+): (tailrace .+)")
"""A line that ends in a command, and what that is for."""
_MOST_PARAGRAPHS = 20
_MOST_LINK = 2000


@attrs.frozen
class Letter:
    """A mail as plain data.

    Args:
        heading: What it is about.
        paragraphs: Sentences to begin with.
        link: Where to go on from here: an address and what is there; None where there is nowhere to go.
        facts: Names and values, in order.
        commands: What can be done, and the command that does it.
        notes: What people should know.
        foot: Where the mail comes from.
        report: The report that the file is, as far as it goes into a mail; None where it is no report.
    """

    heading: str
    paragraphs: tuple[str, ...]
    link: tuple[str, str] | None
    facts: tuple[tuple[str, str], ...]
    commands: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    foot: str
    report: InlineReport | None = None


def about_file(call: DeliverCall, heading: str, *, why_not_attached: str) -> Letter:
    """The letter that goes with a file.

    Args:
        call: What is delivered.
        heading: What it is about.
        why_not_attached: One sentence that says why the file is not attached; empty where it is.
    """
    manifest = call.parcel.manifest
    name = one_line(manifest.file.name)
    told = one_line(call.options.message)
    link = _link(call.link, "Download the file") if why_not_attached else None
    if not why_not_attached:
        where = f"The file {name} is attached."
    elif link:
        where = f"{why_not_attached} It can be downloaded instead."
    else:
        where = f"{why_not_attached} It can be fetched by a command instead: see below."
    return Letter(
        heading=heading,
        paragraphs=tuple(paragraph for paragraph in (told, where) if paragraph),
        link=link,
        facts=tuple(_facts(manifest)),
        commands=tuple(_commands(manifest, fetch=bool(why_not_attached) and link is None)),
        notes=_lines(manifest.notes, _MOST_NOTES),
        foot=_foot(f"export {one_line(manifest.export_id)}"),
        report=inline_report(call.parcel.path, manifest),
    )


def about_event(message: Message) -> Letter:
    """The letter that carries a message."""
    lines = message.text.splitlines()
    # On lines of their own, which are not broken: somebody copies them.
    commands = [found for line in lines if (found := _COMMAND.fullmatch(line))]
    told = [line for line in lines if not _COMMAND.fullmatch(line)]
    facts = [(one_line(name[:1].upper() + name[1:], most=60), one_line(value)) for name, value in message.facts.items()]
    return Letter(
        heading=one_line(message.subject, most=200),
        paragraphs=_lines(told, _MOST_PARAGRAPHS),
        link=_link(message.link, "See more"),
        facts=(*facts[:_MOST_FACTS], ("When", _moment(message.moment))),
        commands=tuple((one_line(one[1]), one_line(one[2])) for one in commands[:_MOST_PARAGRAPHS]),
        notes=(),
        foot=_foot(one_line(message.event)),
    )


def _facts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    file = manifest.file
    yield "Source", one_line(f"{manifest.source.plugin.name}: {manifest.source.location}", most=300)
    if manifest.time_range:
        since = manifest.time_range.since
        begin = f"from {_moment(since)}" if since else "everything"
        yield "Range", one_line(f"{manifest.time_range.column} {begin} until {_moment(manifest.time_range.until)}")
    for name, filters in (("Filter", "where"), ("Columns", "columns"), ("Sorted by", "sort"), ("At most", "limit")):
        text = _parameter(manifest.parameters, filters)
        if text:
            yield name, text
    tables = manifest.tables[:_MOST_FACTS]
    for table in tables:
        label = "Rows" if len(manifest.tables) == 1 else f"Rows of {one_line(table.name, most=30)}"
        left_out = f", {table.rows.rejected:,} left out" if table.rows.rejected else ""
        yield label, f"{table.rows.written:,}" + left_out
    if len(tables) < len(manifest.tables):
        yield "More tables", f"{len(manifest.tables) - len(tables):,}"
    yield "Credentials", one_line(manifest.credentials.value)
    yield "File", one_line(file.name)
    yield "Format", one_line(manifest.format.name + (f", {file.compression.method}" if file.compression else ""))
    yield "Size", f"{readable_size(file.size)} ({file.size:,} bytes)"
    yield "SHA-256", one_line(file.sha256)
    yield "Created", _moment(manifest.created)
    yield "By", one_line(manifest.user, most=100)


def _commands(manifest: Manifest, *, fetch: bool) -> Iterator[tuple[str, str]]:
    if fetch:
        yield "To fetch it", f"tailrace jobs download {shlex.quote(one_line(manifest.export_id))}"
    yield "To compare its SHA-256", f"sha256sum {shlex.quote(one_line(manifest.file.name))}"


def _parameter(parameters: Mapping[str, object], name: str) -> str:
    value = parameters.get(name)
    if value in (None, (), [], ""):
        return ""
    values = value if isinstance(value, list | tuple) else [value]
    return one_line(" and ".join(map(str, values)) if name == "where" else ", ".join(map(str, values)), most=500)


def _lines(texts: "tuple[str, ...] | list[str]", most: int) -> tuple[str, ...]:
    lines = tuple(line for line in map(one_line, texts[: most + 1]) if line)
    return lines if len(lines) <= most else (*lines[:most], "…")


def _link(address: str, label: str) -> tuple[str, str] | None:
    # Anything else, such as javascript:, has no business behind something that people click on.
    usable = address.startswith(("https://", "http://")) and one_line(address, most=_MOST_LINK) == address
    return (address, label) if usable and " " not in address else None


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC".replace(":00 UTC", " UTC")


def _foot(subject: str) -> str:
    return f"Sent by Tailrace, automatically: {subject}."
