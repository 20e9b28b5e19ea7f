"""What can be set for one export that goes out as mail."""

from typing import Literal

import attrs

from tailrace import option


@attrs.frozen
class EmailOptions:
    """Options of the sink ``email``."""

    attach: Literal["auto", "never"] = option(
        "auto", help="Attach the file where the mail server takes its size; never: always send a link."
    )
    subject: str = option("", help="Subject, such as 'Proxies of {date}'; empty for the operator's.")
    message: str = option("", help="A sentence to begin the mail with.")
