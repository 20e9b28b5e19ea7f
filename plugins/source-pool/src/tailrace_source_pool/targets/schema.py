"""The tables of ProxyWhirl 0.3 in SQLite, word for word as ProxyWhirl makes them, and what it fills in.

Source: ``ProxyIdentityTable``, ``ProxyStatusTable`` and ``ValidationResultTable`` in ``proxywhirl/storage.py``.
"""

from collections.abc import Iterator, Mapping

_TABLES: Mapping[str, tuple[str, ...]] = {
    "proxy_identities": (
        "url VARCHAR NOT NULL",
        "protocol VARCHAR NOT NULL",
        "host VARCHAR NOT NULL",
        "port INTEGER NOT NULL",
        "username VARCHAR",
        "password VARCHAR",
        "country_code VARCHAR",
        "country_name VARCHAR",
        "region VARCHAR",
        "city VARCHAR",
        "latitude FLOAT",
        "longitude FLOAT",
        "asn INTEGER",
        "isp_name VARCHAR",
        "is_residential BOOLEAN NOT NULL",
        "is_datacenter BOOLEAN NOT NULL",
        "source VARCHAR NOT NULL",
        "source_url VARCHAR",
        "discovered_at DATETIME NOT NULL",
        "PRIMARY KEY (url)",
    ),
    "validation_results": (
        "id INTEGER NOT NULL",
        "proxy_url VARCHAR NOT NULL",
        "validated_at DATETIME NOT NULL",
        "is_valid BOOLEAN NOT NULL",
        "response_time_ms FLOAT",
        "error_type VARCHAR",
        "error_message VARCHAR",
        "PRIMARY KEY (id)",
    ),
    "proxy_statuses": (
        "proxy_url VARCHAR NOT NULL",
        "health_status VARCHAR NOT NULL",
        "last_success_at DATETIME",
        "last_failure_at DATETIME",
        "last_check_at DATETIME",
        "consecutive_successes INTEGER NOT NULL",
        "consecutive_failures INTEGER NOT NULL",
        "total_checks INTEGER NOT NULL",
        "total_successes INTEGER NOT NULL",
        "avg_response_time_ms FLOAT",
        "success_rate_7d FLOAT",
        "updated_at DATETIME NOT NULL",
        "PRIMARY KEY (proxy_url)",
    ),
}
_INDICES: Mapping[str, tuple[str, ...]] = {
    "proxy_identities": ("host", "source", "protocol", "country_code"),
    "validation_results": ("validated_at", "proxy_url"),
    "proxy_statuses": ("last_success_at", "success_rate_7d", "health_status"),
}

DEFAULTS: Mapping[str, object] = {
    "is_residential": False,
    "is_datacenter": False,
    "source": "user",
    "health_status": "unknown",
    "consecutive_successes": 0,
    "consecutive_failures": 0,
    "total_checks": 0,
    "total_successes": 0,
}
"""What ProxyWhirl stores in columns that must not be null, where it was told nothing."""

DEFAULT_MOMENTS = ("discovered_at", "updated_at")
"""Likewise; there it is the moment of writing."""


def statements() -> Iterator[str]:
    """The statements that make an empty database."""
    for table, parts in _TABLES.items():
        # SQLAlchemy leaves a blank at the end of each line.
        lines = ", \n\t".join(parts)
        yield f"CREATE TABLE {table} (\n\t{lines}\n)"
    for table, columns in _INDICES.items():
        for column in columns:
            yield f"CREATE INDEX ix_{table}_{column} ON {table} ({column})"
