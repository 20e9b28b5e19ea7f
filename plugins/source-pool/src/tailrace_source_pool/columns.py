"""The columns of a pool: names, meanings, units, and where each kind of pool has them.

The three kinds of pools use the same name where they mean the same:

=========================  ============================  ===================================  ==========
here                       ProxyWhirl's database         ProxyWhirl's FileStorage             proxy list
=========================  ============================  ===================================  ==========
number                     (order of addresses)          (order in the file)                  (order)
url                        proxy_identities.url          url                                  the line
protocol                   protocol                      protocol, else from url              from line
host, port                 host, port                    from url                             from line
auth_type                  (from protocol and login)     (likewise)                           (likewise)
has_credentials            username, password, url       username, password, url              from line
username, password         username, password, else url  username, password, else url         from line
discovered_at              discovered_at                 created_at                           -
last_check_at              proxy_statuses.last_check_at  last_health_check                    -
avg_response_time_ms       proxy_statuses.avg_...          average_response_time_ms             -
requests_total             -                             total_requests                       -
requests_succeeded         -                             total_successes                      -
requests_failed            -                             total_failures                       -
=========================  ============================  ===================================  ==========

Every other column keeps ProxyWhirl's name. The database's ``total_successes`` counts health checks and FileStorage's
counts requests, hence the last three. What FileStorage holds beyond the fields known here is kept in ``extra``.
"""

from collections.abc import Iterable

import polars as pl

from tailrace import Column, Meaning

HEALTH_STATES = ("unknown", "healthy", "degraded", "unhealthy", "dead")
ORIGINS = ("user", "fetched", "api", "file")
DERIVED = ("number", "auth_type", "has_credentials")
"""Columns that are ours, and not in any pool."""
AUTH_TYPES = {"http": "basic", "https": "basic", "socks4": "userid", "socks4a": "userid"}
"""How a protocol logs in; the others (SOCKS5) with ``userpass``."""

_COLUMNS = (
    Column("number", Meaning.KEY, "", "Position of the proxy in the pool, from 1; the table checks refers to it"),
    Column("url", Meaning.URL, "", "Address as scheme://host:port, without any login"),
    Column("protocol", Meaning.CATEGORY, "", "http, https, socks4, socks4a, socks5 or socks5h"),
    Column("host", Meaning.TEXT, "", "Host name or IP address, IPv6 without brackets"),
    Column("port", Meaning.CATEGORY, "", "Port, 1 to 65535"),
    Column("auth_type", Meaning.CATEGORY, "", "none, basic (HTTP), userid (SOCKS4) or userpass (SOCKS5)"),
    Column("has_credentials", Meaning.FLAG, "", "Whether the pool holds a user name or password for the proxy"),
    Column("username", Meaning.SECRET, "", "Sealed in mode full, a stable id in mode reference, else empty"),
    Column("password", Meaning.SECRET, "", "Sealed in mode full, a stable id in mode reference, else empty"),
    Column("credentials_in", Meaning.CATEGORY, "", "Mode full: whether the login stands in columns, url or both"),
    Column("stored_url", Meaning.SECRET, "", "Mode full: the address as the pool stores it, where it holds a login"),
    Column("id", Meaning.KEY, "", "ProxyWhirl's own id of the proxy"),
    Column("allow_local", Meaning.FLAG, "", "Whether local addresses are allowed"),
    Column("country_code", Meaning.CATEGORY, "", "ISO 3166-1 alpha-2 code of the country"),
    Column("country_name", Meaning.CATEGORY, "", "Name of the country"),
    Column("region", Meaning.CATEGORY, "", "Region or state within the country"),
    Column("city", Meaning.CATEGORY, "", "City"),
    Column("latitude", Meaning.MEASURE, "°", "Latitude"),
    Column("longitude", Meaning.MEASURE, "°", "Longitude"),
    Column("asn", Meaning.CATEGORY, "", "Number of the autonomous system"),
    Column("isp_name", Meaning.TEXT, "", "Name of the internet provider"),
    Column("is_residential", Meaning.FLAG, "", "Whether the address is of a household"),
    Column("is_datacenter", Meaning.FLAG, "", "Whether the address is of a data centre"),
    Column("source", Meaning.CATEGORY, "", "Where the proxy came from: user, fetched, api or file"),
    Column("source_url", Meaning.URL, "", "Address or name of the list it came from, without any login"),
    Column("discovered_at", Meaning.TIMESTAMP, "", "When the pool first had the proxy"),
    Column("health_status", Meaning.CATEGORY, "", "unknown, healthy, degraded, unhealthy or dead"),
    Column("last_success_at", Meaning.TIMESTAMP, "", "When it last worked"),
    Column("last_failure_at", Meaning.TIMESTAMP, "", "When it last failed"),
    Column("last_check_at", Meaning.TIMESTAMP, "", "When its health was last checked"),
    Column("consecutive_successes", Meaning.MEASURE, "", "Successful checks in a row"),
    Column("consecutive_failures", Meaning.MEASURE, "", "Failures in a row"),
    Column("total_checks", Meaning.MEASURE, "", "Health checks so far"),
    Column("total_successes", Meaning.MEASURE, "", "Health checks that succeeded"),
    Column("total_health_failures", Meaning.MEASURE, "", "Health checks that failed"),
    Column("avg_response_time_ms", Meaning.MEASURE, "ms", "Average response time"),
    Column("success_rate_7d", Meaning.MEASURE, "", "Share of successful checks in seven days, 0 to 1"),
    Column("updated_at", Meaning.TIMESTAMP, "", "When the pool last changed its record"),
    Column("requests_started", Meaning.MEASURE, "", "Requests begun"),
    Column("requests_completed", Meaning.MEASURE, "", "Requests finished, well or badly"),
    Column("requests_active", Meaning.MEASURE, "", "Requests under way when the pool was saved"),
    Column("requests_total", Meaning.MEASURE, "", "Requests so far"),
    Column("requests_succeeded", Meaning.MEASURE, "", "Requests that succeeded"),
    Column("requests_failed", Meaning.MEASURE, "", "Requests that failed"),
    Column("latency_ms", Meaning.MEASURE, "ms", "Latency measured last"),
    Column("ema_response_time_ms", Meaning.MEASURE, "ms", "Exponential moving average of the response time"),
    Column("ema_alpha", Meaning.MEASURE, "", "Weight of the newest value in that average, 0 to 1"),
    Column("window_start", Meaning.TIMESTAMP, "", "Start of the counting window"),
    Column("window_duration_seconds", Meaning.MEASURE, "s", "Length of the counting window"),
    Column("recovery_attempt", Meaning.MEASURE, "", "Attempts to recover so far"),
    Column("next_check_time", Meaning.TIMESTAMP, "", "When the next health check is due"),
    Column("last_health_error", Meaning.TEXT, "", "Error of the last health check, logins removed"),
    Column("tags", Meaning.TEXT, "", "Tags, sorted, as a JSON list"),
    Column("metadata", Meaning.TEXT, "", "Further facts, as a JSON object"),
    Column("ttl", Meaning.MEASURE, "s", "Time to live"),
    Column("expires_at", Meaning.TIMESTAMP, "", "When the proxy expires"),
    Column("cost_per_request", Meaning.MEASURE, "", "Cost of a request, in the pool's own unit"),
    Column("extra", Meaning.TEXT, "", "What the file says beyond the fields known, as a JSON object"),
    Column(
        "proxy_number", Meaning.CATEGORY, "", "Number of the proxy in the table proxies; empty when it is not there"
    ),
    Column("proxy_url", Meaning.URL, "", "Address of the proxy, without any login"),
    Column("validated_at", Meaning.TIMESTAMP, "", "When the check was made"),
    Column("is_valid", Meaning.FLAG, "", "Whether the proxy worked"),
    Column("response_time_ms", Meaning.MEASURE, "ms", "Response time"),
    Column("error_type", Meaning.CATEGORY, "", "Kind of error"),
    Column("error_message", Meaning.TEXT, "", "What went wrong, logins removed"),
)
_BY_NAME = {column.name: column for column in _COLUMNS}


def described(names: Iterable[str]) -> tuple[Column, ...]:
    """What the columns of these names mean; one that is not known here is text without a description."""
    return tuple(_BY_NAME.get(name, Column(name)) for name in names)


def auth_types(protocols: pl.Expr, present: pl.Series) -> pl.Expr:
    """How each proxy wants to be logged in to, told by its protocol and whether there is a login."""
    kinds = protocols.replace_strict(AUTH_TYPES, default="userpass", return_dtype=pl.String)
    return pl.when(present).then(kinds).otherwise(pl.lit("none"))
