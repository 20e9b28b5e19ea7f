"""The options of the format ``html``."""

import attrs

from tailrace import option


def _check_rows(_options: "HtmlOptions", attribute: "attrs.Attribute[int]", value: int) -> None:
    if value < 1:
        message = "expected a number of rows, 1 or more."
        raise ValueError(message, attribute)


@attrs.frozen
class HtmlOptions:
    """Options of the format ``html``."""

    most_rows: int = option(
        1000, help="Rows of a table that the page shows; all of them are in it as data.", validator=_check_rows
    )
    stamped: bool = option(
        default=True, help="Say when it was made; without that, equal data gives equal bytes on any day."
    )
