"""The first-party plugins by name, so that a plugin that is not installed can be told from one that does not exist."""

_KINDS = {
    "source": ("pool", "analytics", "health", "dashboard"),
    "format": ("csv", "json", "excel", "pdf", "html"),
    "sink": ("disk", "email", "webhook"),
}


def first_party_distribution(kind: str, name: str) -> str | None:
    """The distribution of Tailrace's own that offers a plugin; None when there is no such plugin."""
    return f"tailrace-{kind}-{name}" if name in _KINDS.get(kind, ()) else None
