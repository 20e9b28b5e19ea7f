"""The columns of checks and of proxies: what they are called here, and what others call them."""

from collections.abc import Mapping, Sequence

import attrs
import polars as pl
import polars.selectors as cs

from tailrace import OptionError, SourceError, UnknownNameError, read_times

PROXY, AT, OK, MS, ERROR = "proxy", "timestamp", "success", "response_time_ms", "error"
PROTOCOL, COUNTRY_CODE, COUNTRY_NAME, COUNTRY = "protocol", "country_code", "country_name", "country"
TIME = pl.Datetime("us", "UTC")

_CHECK_NAMES: Mapping[str, Sequence[str]] = {
    PROXY: ("proxy", "proxy_url", "url"),
    AT: ("timestamp", "validated_at", "checked_at"),
    OK: ("success", "is_valid"),
    MS: ("response_time_ms",),
    ERROR: ("error", "error_type"),
}
"""What a column of checks may be called, the usual name first."""

_IDENTITY_NAMES: Mapping[str, Sequence[str]] = {
    "identity": ("url", "proxy_url", "proxy"),
    PROTOCOL: ("protocol",),
    "host": ("host",),
    "port": ("port",),
    COUNTRY_CODE: ("country_code",),
    COUNTRY_NAME: ("country_name", "country"),
    "region": ("region",),
    "city": ("city",),
    "asn": ("asn",),
    "isp_name": ("isp_name",),
    "is_residential": ("is_residential",),
    "is_datacenter": ("is_datacenter",),
    "source": ("source",),
    "discovered_at": ("discovered_at",),
}
"""What is known of proxies; user names and passwords are never read."""

_ALIASES = {COUNTRY: COUNTRY_NAME}
_NEEDED = {
    PROXY: "names the proxy",
    AT: "says when a check was made",
    OK: "says whether a check succeeded",
}
_WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1", "1.0"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0", "0.0"), False),
}


@attrs.frozen
class Names:
    """Which stored column is which.

    Args:
        checks: Stored column by our name, of the checks.
        identities: Stored column by our name, of the proxies.
    """

    checks: Mapping[str, str]
    identities: Mapping[str, str]

    @classmethod
    def of(
        cls, checks: Sequence[str], identities: Sequence[str] | None, asked: Mapping[str, str], place: str
    ) -> "Names":
        """Find out which column is which.

        Args:
            checks: Columns of the checks, as stored.
            identities: Columns of the proxies, as stored; None where there are none.
            asked: The option ``map``.
            place: What the checks are in, for messages.

        Raises:
            UnknownNameError: A name in the map that is not known, or a column that is not there.
            OptionError: A map that is not clear.
            SourceError: A column that is needed is not there.
        """
        asked = {_ALIASES.get(name, name): column for name, column in asked.items()}
        _check_map(asked, checks, identities or (), place)
        of_checks = _found(_CHECK_NAMES, checks, asked)
        for name, what in _NEEDED.items():
            if name not in of_checks:
                usual = " or ".join(_CHECK_NAMES[name])
                message = f"{place} has no column that {what} ({usual})."
                hint = f"It has: {', '.join(checks) or 'none at all'}. Say which it is: --map {name}=<column>"
                raise SourceError(message, hint=hint)
        others = [column for column in checks if column not in of_checks.values()]
        # Logs of one table hold what is known of the proxy in each row.
        of_checks |= {
            name: column
            for name, column in _found(_IDENTITY_NAMES, others, asked).items()
            if name in {PROTOCOL, COUNTRY_CODE, COUNTRY_NAME}
        }
        return cls(of_checks, {} if identities is None else _found(_IDENTITY_NAMES, identities, asked))


def _check_map(asked: Mapping[str, str], checks: Sequence[str], identities: Sequence[str], place: str) -> None:
    for name, column in asked.items():
        if name not in _CHECK_NAMES and name not in _IDENTITY_NAMES:
            raise UnknownNameError("column of a check", name, [*_CHECK_NAMES, *_IDENTITY_NAMES], where="--map")
        if column not in checks and (name in _CHECK_NAMES or column not in identities):
            known = checks if name in _CHECK_NAMES else [*checks, *identities]
            raise UnknownNameError("column", column, known, where=place)
    columns = [column for name, column in asked.items() if name in _CHECK_NAMES]
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise OptionError("map", f"the column {twice!r} is mapped twice.", hint="Map each column to one name.")


def _found(names: Mapping[str, Sequence[str]], columns: Sequence[str], asked: Mapping[str, str]) -> dict[str, str]:
    found = {}
    taken = set(asked.values())
    for name, usual in names.items():
        if name in asked:
            if asked[name] in columns:
                found[name] = asked[name]
            continue
        column = next((one for one in usual if one in columns and one not in taken), None)
        if column is not None:
            found[name] = column
    return found


def exactly(name: str) -> pl.Expr:
    """The column of exactly that name; ``pl.col`` reads ``*`` and ``^…$`` as patterns for several."""
    return cs.by_name(name).as_expr()


def moment(column: str, dtype: pl.DataType, place: str) -> pl.Expr:
    """A column as moments in UTC; null where it cannot be read.

    Raises:
        SourceError: It is of a type that is no time.
    """
    values = exactly(column)
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is None:
            values = values.dt.replace_time_zone("UTC")
        elif dtype.time_zone != "UTC":
            values = values.dt.convert_time_zone("UTC")
        return values if dtype.time_unit == "us" else values.dt.cast_time_unit("us")
    if dtype == pl.Date:
        return values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if dtype in (pl.String, pl.Null):
        return values.cast(pl.String).map_batches(_times, return_dtype=TIME, is_elementwise=True)
    message = f"Column {column!r} of {place} holds {dtype}, and no times."
    raise SourceError(message, hint="Times are written 2026-08-15T06:23:17Z, or are of a type for them.")


def _times(texts: pl.Series) -> pl.Series:
    # Methods of a series go by its name, which polars takes for a pattern where it is ``*`` or ``^…$``.
    plain = texts.alias("")
    # polars and others write offsets without a colon.
    return read_times(plain.str.replace(r"([+-]\d{2})(\d{2})$", "${1}:${2}")).alias(texts.name)


def flag(column: str, dtype: pl.DataType, place: str) -> pl.Expr:
    """A column as true or false; null where it cannot be read.

    Raises:
        SourceError: It is of a type that is neither.
    """
    values = exactly(column)
    if dtype in (pl.Boolean, pl.Null):
        return values.cast(pl.Boolean)
    if dtype.is_numeric():
        return pl.when(values == 1).then(pl.lit(value=True)).when(values == 0).then(pl.lit(value=False))
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        words = values.cast(pl.String).str.strip_chars().str.to_lowercase()
        return words.replace_strict(_WORDS, default=None, return_dtype=pl.Boolean)
    message = f"Column {column!r} of {place} holds {dtype}, and not true or false."
    raise SourceError(message, hint="Say which column is it: --map success=<column>")


def number(column: str, dtype: pl.DataType, place: str) -> pl.Expr:
    """A column as floating point; null where it cannot be read.

    Raises:
        SourceError: It is of a type that is no number.
    """
    values = exactly(column)
    if dtype == pl.Float64:
        return values
    if dtype.is_numeric() or dtype == pl.Null:
        return values.cast(pl.Float64)
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return values.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)
    message = f"Column {column!r} of {place} holds {dtype}, and no numbers."
    raise SourceError(message, hint="Say which column is it: --map response_time_ms=<column>")
