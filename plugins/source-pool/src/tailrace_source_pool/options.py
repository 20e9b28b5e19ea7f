"""What can be set when a pool is read."""

from typing import Literal

import attrs

from tailrace import option


@attrs.frozen
class PoolOptions:
    """Options of the source ``pool``."""

    scheme: Literal["http", "https", "socks4", "socks4a", "socks5", "socks5h"] = option(
        "http", help="Protocol of the lines of a list that name none (host:port)."
    )
    checks: bool = option(
        default=False, help="Also export the health checks of a ProxyWhirl database, as table checks."
    )
    on_bad_rows: Literal["stop", "report"] = option(
        "stop", help="A row that cannot be read stops the export, or is left out, counted and listed."
    )
