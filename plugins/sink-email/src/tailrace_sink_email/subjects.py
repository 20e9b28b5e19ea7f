"""Subjects from patterns such as ``Export of {source}, {date}``."""

import string
from collections.abc import Mapping

from tailrace import Manifest, OptionError, UnknownNameError
from tailrace_sink_email.harmless import one_line

PLACEHOLDERS = frozenset(
    {"source", "table", "timestamp", "user", "format", "ext", "year", "month", "day", "id", "date", "rows"}
)
"""What patterns can hold; all but the last two are those of :attr:`tailrace.Parcel.fields`."""

_MOST = 200
_MOST_VALUE = 100


def check_pattern(option: str, pattern: str) -> None:
    """Refuse a pattern that can never be filled in.

    Args:
        option: Name of the option, for the error.
        pattern: The pattern.

    Raises:
        OptionError: Its braces do not match, or a placeholder is more than a name.
        UnknownNameError: A placeholder that does not exist.
    """
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise OptionError(
            option, f"its braces do not match: {error}.", hint="Write placeholders as {source}."
        ) from None
    for _literal, name, spec, conversion in parts:
        if name is None:
            continue
        if spec or conversion:
            raise OptionError(option, "a placeholder is a name in braces and nothing else.", hint="Write {source}.")
        if name not in PLACEHOLDERS:
            raise UnknownNameError("placeholder", name, sorted(PLACEHOLDERS), where=f"option {option!r}")


def subject(pattern: str, fields: Mapping[str, str], manifest: Manifest) -> str:
    """A subject: one line, whatever the pattern and the values hold.

    Args:
        pattern: A pattern that passed :func:`check_pattern`.
        fields: Values as in :attr:`tailrace.Parcel.fields`; ``date`` and ``rows`` are found in the manifest.
        manifest: What the file is.
    """
    values = dict.fromkeys(PLACEHOLDERS, "") | {name: one_line(text, most=_MOST_VALUE) for name, text in fields.items()}
    values["date"] = f"{manifest.created:%Y-%m-%d}"
    values["rows"] = f"{sum(table.rows.written for table in manifest.tables):,}"
    return one_line(pattern.format_map(values), most=_MOST)
