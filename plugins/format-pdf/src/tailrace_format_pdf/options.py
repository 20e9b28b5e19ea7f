"""The options of the format ``pdf``."""

from typing import Literal

import attrs

from tailrace import option


def _check_rows(_options: "PdfOptions", attribute: "attrs.Attribute[int]", value: int) -> None:
    if value < 1:
        message = "expected a number of rows, 1 or more."
        raise ValueError(message, attribute)


@attrs.frozen
class PdfOptions:
    """Options of the format ``pdf``."""

    most_rows: int = option(
        10_000, help="Rows of a table that are drawn; all of them are attached as data.", validator=_check_rows
    )
    stamped: bool = option(
        default=True, help="Say when it was made; without that, equal data gives equal bytes on any day."
    )
    orientation: Literal["auto", "portrait", "landscape"] = option(
        "auto", help="How pages lie; auto: landscape when a table is too wide for the other."
    )
    paper: Literal["brand", "A4", "Letter"] = option("brand", help="Size of pages; brand: as in the settings [brand].")
    contents: bool = option(default=True, help="List the sections on the first page, where there are several.")
