"""What can be told to the source."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs

from tailrace import option


@attrs.frozen
class HealthOptions:
    """Options of the source ``health``."""

    identities: Path | None = option(
        default=None,
        help="File with the proxies themselves (protocol, country …), where it is not beside the checks.",
    )
    table: str | None = option(
        default=None, help="Table of a database that holds the checks; validation_results if not given."
    )
    map: Mapping[str, str] = option(
        factory=dict, help="Which column is which: proxy=url,timestamp=at,success=ok. The left names are fixed."
    )
    checks: bool = option(default=False, help="Also export the checks themselves, as table checks.")
    problems: int = option(
        1000,
        help="Most rows of the table problems, worst first; the table proxies says of each what is wrong with it.",
        validator=attrs.validators.ge(0),
    )
    on_bad_rows: Literal["stop", "report"] = option(
        "stop", help="A row that cannot be read stops the export, or is left out and counted."
    )
