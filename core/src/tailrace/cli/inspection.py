"""``tailrace inspect``."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tailrace.cli.quantities import counted, size
from tailrace.cli.session import COMMON, Common, Shared

if TYPE_CHECKING:
    from tailrace.model.manifest import Manifest


def inspect(file: Path, /, *, common: Common = COMMON, session: Shared) -> int:
    """Say what is in an export, on the word of its manifest.

    Args:
        file: The file, or its manifest.
    """
    found = session.engine.inspect(file)
    terminal = session.terminal
    if common.json:
        from tailrace.model.convert import unstructure

        terminal.document(unstructure(found))
        return 0
    terminal.line(str(found.file), "bold")
    if not found.present:
        terminal.text("The file itself is not here, only its manifest.", indent="  ")
    terminal.table((), list(_facts(found.manifest)), indent="  ")
    for table in found.manifest.tables:
        terminal.line()
        terminal.line(f"Table {table.name}: {counted(table.rows.written, 'row')}", "bold")
        rows = [
            (column.name, _type(column.type), f"{column.meaning}{f' in {column.unit}' if column.unit else ''}")
            for column in table.columns
        ]
        terminal.table(("column", "type", "meaning"), rows, indent="  ")
        for bad in table.bad_rows:
            place = ", ".join(filter(None, [f"row {bad.row}" if bad.row else "", bad.column or ""]))
            terminal.text(f"Left out: {place}: {bad.reason}", indent="  ")
    return 0


def _type(name: str) -> str:
    """The type without what polars says about it in code."""
    return re.sub(r"^Datetime\(.*time_zone='?([^')]+)'?\)$", r"Datetime, \1", name)


def _facts(manifest: "Manifest") -> Iterator[tuple[str, str]]:
    yield "made", f"{manifest.created:%Y-%m-%d %H:%M:%S} UTC by {manifest.user}"
    yield "with", f"Tailrace {manifest.tailrace_version}, manifest version {manifest.schema_version}"
    source = manifest.source
    version = f" ({source.version})" if source.version else ""
    yield "from", f"{source.plugin.name}{version}: {source.location}"
    if manifest.time_range:
        since = manifest.time_range.since
        began = f"{since:%Y-%m-%d %H:%M:%S}" if since else "the beginning"
        yield "times", f"{began} up to {manifest.time_range.until:%Y-%m-%d %H:%M:%S} UTC"
    if manifest.increment:
        behind = ", ".join(file.name for file in manifest.increment.previous)
        after = f", after {behind}" if behind else ""
        yield "increment", f"{manifest.increment.number} of chain {manifest.increment.chain}{after}"
    yield "zone", manifest.time_zone
    yield "credentials", str(manifest.credentials)
    file = manifest.file
    packed = ""
    if file.compression:
        packed = f", {file.compression.method} {file.compression.level} of {size(file.plain_size)}"
    yield "file", f"{manifest.format.name} ({file.media_type}), {size(file.size)}{packed}"
    yield "SHA-256", file.sha256
    for note in manifest.notes:
        yield "note", note
