"""What people are told about the end of an export, before it is on its way to anybody."""

from collections.abc import Mapping
from datetime import datetime

import attrs

from tailrace.model.notify import NotifyOn


@attrs.frozen
class Announcement:
    """What is told, in words and in facts; it holds nothing that is secret.

    Args:
        event: What happened.
        subject: One line.
        text: A few sentences.
        command: What to do next where there is only the command line, as a sentence; may be empty.
        facts: More of it as names and values, in order: job, source, format, rows, size …
        moment: When it happened, UTC.
    """

    event: NotifyOn
    subject: str
    text: str
    command: str
    facts: Mapping[str, str]
    moment: datetime
