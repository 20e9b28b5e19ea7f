"""The options of the format ``excel``."""

from typing import Literal

import attrs

from tailrace import option
from tailrace_format_excel.limits import MAX_ROWS


def _check_rows(_options: "ExcelOptions", attribute: "attrs.Attribute[int]", value: int) -> None:
    if not 1 <= value < MAX_ROWS:
        message = f"expected 1 to {MAX_ROWS - 1:,} rows; a sheet has {MAX_ROWS:,}, and the header takes one."
        raise ValueError(message, attribute)


@attrs.frozen
class ExcelOptions:
    """Options of the format ``excel``."""

    sheet_per: str = option("", help="A sheet for each value of this column, in place of one for all rows.")
    rows_per_sheet: int = option(
        MAX_ROWS - 1, help="Rows of a sheet, without its header; more go to further sheets.", validator=_check_rows
    )
    datetimes: Literal["excel", "iso"] = option(
        "excel", help="Times as Excel has them, with their zone in the header, or as ISO 8601 text."
    )
    nonfinite: Literal["text", "refuse"] = option(
        "text", help="What becomes of NaN and infinities, which Excel does not have: text and a note, or an error."
    )
    control_characters: Literal["refuse", "escape"] = option(
        "refuse",
        help="Texts with characters that XML does not have: an error, or escapes that not every program reads.",
    )
    cell_references: bool = option(
        default=False, help="Write the address of each cell (A2), for readers that cannot count: a larger file."
    )
    about: bool = option(default=True, help="Add the sheets Summary and Manifest behind the data.")
    stamped: bool = option(
        default=False, help="Write when it was made into the file: then equal data gives no equal bytes."
    )
