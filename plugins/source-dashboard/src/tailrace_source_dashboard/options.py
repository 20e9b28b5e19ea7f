"""What can be set when a dashboard is made."""

from collections.abc import Mapping

import attrs

from tailrace import option


@attrs.frozen
class DashboardOptions:
    """Options of the source ``dashboard``: each takes the place of what the file says."""

    pool: str | None = option(default=None, help="Where the pool is, as for the source pool.")
    analytics: str | None = option(default=None, help="Where the request log is, as for the source analytics.")
    health: str | None = option(default=None, help="Where the health checks are, as for the source health.")
    currency: str | None = option(default=None, help="Unit of costs, such as EUR.")
    inner: Mapping[str, str] = option(
        factory=dict, help="Options of those sources: analytics.time_unit=ms,pool.scheme=socks5."
    )
