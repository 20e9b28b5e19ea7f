"""The options of the source ``redis``."""

from typing import Any, Literal
from zoneinfo import ZoneInfo

import attrs

from tailrace import option


def _zone(_options: object, attribute: "attrs.Attribute[Any]", value: str) -> None:
    try:
        ZoneInfo(value)
    except (LookupError, ValueError, OSError):
        message = "expected the name of a zone, such as Asia/Shanghai."
        raise ValueError(message, attribute) from None


def _positive(_options: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not value > 0:
        message = "expected more than 0 seconds."
        raise ValueError(message, attribute)


@attrs.frozen
class RedisOptions:
    """Options of the source ``redis``."""

    table: str = option("use_proxy", help="Key of the hash that holds the pool: TABLE_NAME of proxy_pool.")
    time_zone: str = option(
        "UTC", help="Zone of the pool's clock, such as Asia/Shanghai: its times are written without one.",
        validator=_zone,
    )  # fmt: skip
    allow_empty: bool = option(
        default=False,
        help="Take a hash that is not there for an empty pool: Redis cannot tell it from a wrong name.",
    )
    timeout: float = option(10.0, help="Seconds that Redis may be silent.", validator=_positive)
    on_bad_rows: Literal["stop", "report"] = option(
        "stop", help="A proxy that cannot be read stops the export, or is left out, counted and listed."
    )
