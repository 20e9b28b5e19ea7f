"""What a panel, or the whole report, is about, in words."""

from collections.abc import Iterator

from tailrace import Basis, shown_value


def in_words(basis: Basis, zone: str) -> Iterator[str]:
    """Range, filters, rows and what else one has to know, one after the other.

    Args:
        basis: The facts.
        zone: IANA zone of moments.
    """
    since, until = (None if one is None else shown_value(one, zone) for one in (basis.since, basis.until))
    if since and until:
        yield f"{since} to {until}, end not included"
    elif since:
        yield f"from {since}"
    elif until:
        yield f"before {until}"
    if basis.filters:
        yield f"where {' and '.join(basis.filters)}"
    if basis.rows is not None:
        yield f"{basis.rows:,} row{'' if basis.rows == 1 else 's'}"
    if basis.note:
        yield basis.note
