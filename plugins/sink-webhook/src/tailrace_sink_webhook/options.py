"""What a request can say about how it goes to a webhook."""

from typing import Literal

import attrs

from tailrace import option


@attrs.frozen
class WebhookOptions:
    """Options of the sink ``webhook``."""

    send: Literal["notice", "put", "multipart"] = option(
        "notice", help="What is sent: a notice only, the file by PUT, or both as one form."
    )
    resume: bool = option(
        default=False, help="With send=put, ask first how much the receiver has, and send the rest: see the reference."
    )
