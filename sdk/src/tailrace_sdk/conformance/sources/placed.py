"""What an author's class hands to the standard tests of sources: data at a place, and what must come out of it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    import polars as pl


@attrs.frozen
class Placed:
    """Data at a place of the source's kind.

    Args:
        location: As a user would write it whose working folder is the folder that the data was made in: a path in that
            folder is written relative to it.
        tables: The tables that have to come out of it, by name, in order; of each a frame, or the number of its rows,
            or None where that is not to be foretold. Of a frame, the columns that are there are compared.
        options: Options of the source by name, beside those of the class.
    """

    location: str
    tables: "Mapping[str, pl.DataFrame | int | None]"
    options: Mapping[str, Any] = attrs.field(factory=dict)


HOSTILE: tuple[str, ...] = (
    *(
        "",
        " ",
        "  leading and trailing  ",
        "null",
        "NULL",
        "None",
        "NaN",
        "true",
        "007",
        "1e999",
        "12345678901234567890",
    ),
    *('"', '""', "'", "\\", "\\N", ",", ";", "a,b", 'say "no"', "a\tb", "a\nb", "a\r\nb", "\r", "#", "--", "/* */"),
    *("=1+1", "+1", "-1", "@SUM(A1)", "{{7*7}}", "<b>&amp;</b>", "$(id)", "%s%n", "'; DROP TABLE t; --"),
    *("ä", "a\u0308", "日本語", "\U0001f980", "\u202eabc", "\u200b", "\ufeffbom", "\x7f", "x" * 5000),
)
"""Texts that are easily changed on their way: by quoting, trimming, guessing at types, or what is special to others."""
