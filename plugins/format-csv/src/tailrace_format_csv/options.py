"""The options of the format ``csv``."""

import re
from typing import Any, Literal

import attrs

from tailrace import option
from tailrace_format_csv.guard import is_guarded

LINE_ENDINGS = {"lf": "\n", "crlf": "\r\n"}
_DELIMITER = re.compile(r"[\t !#$%&()*,/;<=>?@\[\\\]^_`{|}~]")
"""Everything that no number, time or word of ours holds: letters, digits and ``+-.:'"`` would need quotes there."""
_LIKE_A_VALUE = re.compile(r"[+-]?\d|[+-]?(?:nan|inf)$|true$|false$", re.IGNORECASE)


def _spelled_out(delimiter: str) -> str:
    # A shell makes a lone tab hard to type.
    return "\t" if delimiter in {"tab", "\\t"} else delimiter


def _by_profile(**defaults: Any) -> Any:
    """A converter that takes the default of the profile where nothing is given: what is in force can be recorded."""

    def choose(value: Any, options: Any) -> Any:
        return defaults[options.profile] if value is None else value

    return attrs.Converter(choose, takes_self=True)


def _check_delimiter(_options: "CsvOptions", attribute: "attrs.Attribute[str]", value: str) -> None:
    if not _DELIMITER.fullmatch(value):
        message = "expected one ASCII character that is no letter, digit, quote or one of + - . :, or 'tab'."
        raise ValueError(message, attribute)


def _check_nulls(options: "CsvOptions", attribute: "attrs.Attribute[str]", value: str) -> None:
    if any(character in value for character in ('"', "\r", "\n", options.delimiter)):
        message = "expected a text without quotes, line ends and the delimiter."
        raise ValueError(message, attribute)
    if _LIKE_A_VALUE.match(value):
        message = "expected a text that is not taken for a number, a date, true or false."
        raise ValueError(message, attribute)
    if options.profile == "excel" and is_guarded(value):
        message = "expected a text that a spreadsheet does not take for a formula."
        raise ValueError(message, attribute)


@attrs.frozen
class CsvOptions:
    """Options of the format ``csv``; those without a value follow the profile."""

    profile: Literal["machine", "excel"] = option(
        "machine", help="For machines, or for spreadsheets: formulas neutralised, byte order mark, CRLF."
    )
    delimiter: str = option(
        ",",
        help="Character between two fields; 'tab' for a tab.",
        converter=_spelled_out,
        validator=_check_delimiter,
    )
    nulls: str = option(
        "",
        help='Text that stands for null; by default nothing, while an empty text is "".',
        validator=_check_nulls,
    )
    header: bool = option(default=True, help="Begin with a line of column names.")
    bom: bool | None = option(
        None,
        help="Begin with a byte order mark; only profile excel does by default.",
        converter=_by_profile(machine=False, excel=True),
    )
    line_ending: Literal["lf", "crlf"] | None = option(
        None,
        help="How lines end: by default lf, with profile excel crlf.",
        converter=_by_profile(machine="lf", excel="crlf"),
    )

    @property
    def line_end(self) -> str:
        """The characters that end a line."""
        return LINE_ENDINGS[self.line_ending or "lf"]
