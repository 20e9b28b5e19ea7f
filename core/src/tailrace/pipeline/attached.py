"""Tables as the data that documents carry with them: CSV, guarded against spreadsheets, and counted again.

RFC 4180 in UTF-8 with a header; texts in quotes where they need them or are empty, nothing at all for null. What is not
text is exact: numbers in full, moments in ISO 8601 with their offset, bytes in Base64, lists and records as JSON. Texts
are guarded as :mod:`tailrace.pipeline.guard` says.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING

from tailrace.model.errors import IntegrityError
from tailrace.pipeline.guard import guarded, guarded_names
from tailrace.pipeline.timestamps import iso_text

if TYPE_CHECKING:
    import polars as pl


def attached_csv(frame: "pl.DataFrame") -> bytes:
    """The rows of a table as CSV."""
    texts = frame.select(_exact(frame.schema))
    texts.columns = guarded_names(frame.columns)
    content = BytesIO()
    texts.write_csv(content)
    return content.getvalue()


def attached_rows(content: bytes) -> int:
    """How many rows such a CSV has, without its header.

    Raises:
        IntegrityError: It is none.
    """
    import polars as pl

    try:
        return pl.read_csv(content, infer_schema=False, truncate_ragged_lines=False).height
    except pl.exceptions.PolarsError as error:
        message = "The data in the document is no table."
        raise IntegrityError(message, hint="Export it again.") from error


def _exact(schema: "Mapping[str, pl.DataType]") -> "list[pl.Expr]":
    import polars as pl

    expressions = []
    for number, (name, dtype) in enumerate(schema.items()):
        values = pl.nth(number)
        if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
            values = guarded(values.cast(pl.String))
        elif isinstance(dtype, pl.Binary):
            values = guarded(values.bin.encode("base64"))
        elif isinstance(dtype, pl.Duration):
            values = guarded(iso_text(values, dtype))
        elif dtype.is_temporal():
            values = iso_text(values, dtype)
        elif isinstance(dtype, pl.Struct):
            # Null is "null" to JSON, and nothing to a table.
            values = pl.when(values.is_not_null()).then(guarded(values.struct.json_encode()))
        elif isinstance(dtype, pl.List | pl.Array):
            boxed = pl.struct(values.alias("values")).struct.json_encode()
            text = guarded(boxed.str.strip_prefix('{"values":').str.strip_suffix("}"))
            values = pl.when(values.is_not_null()).then(text)
        elif dtype.is_float():
            values = pl.when(values == float("-inf")).then(pl.lit("'-inf")).otherwise(values.cast(pl.String))
        expressions.append(values.alias(name))
    return expressions
