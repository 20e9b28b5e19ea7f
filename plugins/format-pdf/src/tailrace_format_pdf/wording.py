"""What is told about a report and its panels, in words."""

from collections.abc import Sequence
from datetime import datetime

from tailrace import Basis, shown_value

_MIDDLE = " \N{MIDDLE DOT} "
_MIDNIGHT = " 00:00:00"


def range_text(basis: Basis, zone: str) -> str:
    """The time range; empty where there is none."""
    since, until = _moment(basis.since, zone), _moment(basis.until, zone)
    if since and until:
        return f"{since} \N{EN DASH} {until}"
    return f"since {since}" if since else f"until {until}" if until else ""


def basis_text(basis: Basis | None, zone: str) -> str:
    """What a panel is about, in a line."""
    if basis is None:
        return ""
    rows = "" if basis.rows is None else f"{basis.rows:,} {'row' if basis.rows == 1 else 'rows'}"
    return _MIDDLE.join(filter(None, [range_text(basis, zone), *basis.filters, rows, basis.note]))


def facts(basis: Basis, zone: str, moment: datetime | None, user: str) -> Sequence[tuple[str, str]]:
    """What stands below the title of a report, as pairs of a name and a text."""
    told = range_text(basis, zone)
    pairs = [
        ("Range", f"{told}, {zone}" if told else ""),
        ("Filters", "; ".join(basis.filters)),
        ("Rows", "" if basis.rows is None else f"{basis.rows:,}"),
        ("Generated", "" if moment is None else f"{shown_value(moment, zone)}, {zone}"),
        ("By", user),
        ("Note", basis.note),
    ]
    return [(name, text) for name, text in pairs if text]


def rows_drawn(drawn: int, rows: int, name: str) -> str:
    """What is told below a table that is not drawn as a whole; empty for one that is."""
    if drawn == rows:
        return ""
    return f"First {drawn:,} of {rows:,} rows; all of them are attached to this document as {name}."


def _moment(moment: datetime | None, zone: str) -> str:
    return "" if moment is None else shown_value(moment, zone).removesuffix(_MIDNIGHT)
