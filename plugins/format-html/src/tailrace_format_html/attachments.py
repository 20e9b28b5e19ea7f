"""The data inside a page: CSV, packed, as links that save it."""

import base64
import gzip
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from tailrace import attached_csv, readable_size
from tailrace_format_html.escaping import escaped

if TYPE_CHECKING:
    import polars as pl

GZIP = "data:application/gzip;base64,"
PLAIN = "data:application/json;base64,"
_LEVEL = 9


@attrs.frozen
class Attachment:
    """A file inside the page.

    Args:
        kind: ``table``, ``panel`` or ``manifest``.
        of: Name of the table or number of the panel; empty for the manifest.
        label: What people read.
        name: What it is called when it is saved.
        rows: How many rows it has.
        href: Its content as an address.
        size: Bytes of the content.
    """

    kind: str
    of: str
    label: str
    name: str
    rows: int
    href: str = attrs.field(repr=False)
    size: int = 0

    def link(self) -> str:
        """The link that saves it."""
        told = f"{self.rows:,} rows, " if self.kind != "manifest" else ""
        return (
            f'<a data-{self.kind}="{escaped(self.of)}" data-rows="{self.rows}" download="{escaped(self.name)}" '
            f'href="{self.href}">{escaped(self.label)}</a> <small>{told}{escaped(readable_size(self.size))}</small>'
        )


def table_attachment(name: str, frame: "pl.DataFrame") -> Attachment:
    """All rows of a table."""
    return _packed("table", name, f"Table {name}", f"{_file_name(name)}.csv", frame)


def panel_attachment(number: int, title: str, frame: "pl.DataFrame") -> Attachment:
    """The data behind a chart."""
    return _packed("panel", str(number), f"Chart: {title}", f"panel-{number}.csv", frame)


def manifest_attachment(embedded: Mapping[str, Any]) -> Attachment:
    """What the export was asked for and is made of."""
    content = json.dumps(embedded, ensure_ascii=False, indent=2, default=str).encode(errors="replace")
    href = PLAIN + base64.b64encode(content).decode()
    return Attachment("manifest", "", "Manifest", "manifest.json", 0, href, len(content))


def _packed(kind: str, of: str, label: str, name: str, frame: "pl.DataFrame") -> Attachment:
    plain = attached_csv(frame)
    # Pages go by mail: what Base64 adds is worth the time that a high level takes.
    content = gzip.compress(plain, _LEVEL, mtime=0)
    href = GZIP + base64.b64encode(content).decode()
    return Attachment(kind, of, label, f"{name}.gz", frame.height, href, len(content))


def _file_name(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name)
    return re.sub(r"[^\w.-]+", "_", plain).strip("._")[:80] or "table"
