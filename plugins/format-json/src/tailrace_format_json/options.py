"""The options of the format ``json``."""

from typing import Literal

import attrs

from tailrace import option


@attrs.frozen
class JsonOptions:
    """Options of the format ``json``."""

    layout: Literal["document", "lines"] = option(
        "document", help="One document with manifest and all tables, or NDJSON: a row per line, a file per table."
    )
    nonfinite: Literal["null", "refuse"] = option(
        "null", help="What becomes of NaN and infinities, which JSON does not have: null and a note, or an error."
    )
    big_integers: Literal["number", "text"] = option(
        "number",
        help="How whole numbers of 64 bits and more are written; JavaScript loses digits of numbers over 2^53.",
    )
