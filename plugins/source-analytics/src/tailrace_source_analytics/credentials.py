"""Keeping credentials out of what is read: before anyone else sees a row.

- Columns that are credentials by name (``username``, ``api_key``, Squid's ``user`` …) become null in mode
  ``sanitized``, and stable keyed ids in mode ``reference``.
- ``user:password@`` is removed from every address in a text column, in both modes, whatever the column is called:
  nobody knows where an application logs the address of its proxy. Only a few columns are left alone, which hold words
  of HTTP; each column that is searched takes some 3 % of the time of an export.
- In JSON text, values of keys with such names become null.
"""

import re
from collections.abc import Callable, Sequence

import attrs
import polars as pl

from tailrace import CredentialMode, NotAllowedError, without_userinfo
from tailrace_source_analytics.log import exactly, is_text
from tailrace_source_analytics.removed import Removed

_CREDENTIAL_NAME = (
    r"(?:\w+[_-])?(?:user[_-]?name|user|login|pass(?:wd|word|phrase)?|pwd|(?:proxy[_-])?auth(?:orization)?|token|"
    r"api[_-]?key|secret|credentials?|cookie|session[_-]?key|private[_-]?key|rfc931)(?:[_-](?:encrypted|enc|hash|value))?"
)
_CREDENTIAL = re.compile(_CREDENTIAL_NAME, re.IGNORECASE)
_PERSON = re.compile(r"(?:\w+[_-])?(?:user[_-]?name|user|login|rfc931)", re.IGNORECASE)
_JSON_TEXT = r'"(?:[^"\\]|\\.)*"'
_JSON_DEPTH = 4


def _json_value(depth: int) -> str:
    """A pattern for a JSON value; what is nested deeper than that is taken up to the end: in doubt too much."""
    if depth == 0:
        return r"(?s:[\[{].*)"
    inner = rf'(?:[^"\[\]{{}}]|{_JSON_TEXT}|{_json_value(depth - 1)})*'
    return rf"(?:\{{{inner}\}}|\[{inner}\])"


_JSON_CREDENTIAL = (
    rf'(?i)"({_CREDENTIAL_NAME})"\s*:\s*(?:{_JSON_TEXT}|{_json_value(_JSON_DEPTH)}|{_json_value(0)}|[^,}}\]\s]+)'
)


_NO_ADDRESS = frozenset({"http_method", "method", "http_version", "user_agent", "content_type"})
"""Columns whose values are words of HTTP."""


def check_mode(mode: CredentialMode) -> None:
    """See that a credential mode can be kept.

    Raises:
        NotAllowedError: Mode ``full``.
    """
    if mode == CredentialMode.FULL:
        message = "A request log is not restored from, so its credentials are not exported in full: that is for pools."
        raise NotAllowedError(
            message, hint="Use --credentials sanitized (without them) or reference (ids in their place)."
        )


def is_secret(name: str) -> bool:
    """Whether a column of this name holds credentials."""
    return _CREDENTIAL.fullmatch(name) is not None


def is_person(name: str) -> bool:
    """Whether a column of credentials tells who somebody is, rather than what nobody else may know."""
    return _PERSON.fullmatch(name) is not None


def without_credentials(
    frame: pl.LazyFrame,
    schema: pl.Schema,
    *,
    secrets: Sequence[str],
    nested: Sequence[str],
    mode: CredentialMode,
    reference: Callable[..., str],
    removed: Removed,
) -> pl.LazyFrame:
    """The same rows without credentials.

    Args:
        frame: The rows.
        schema: Their types.
        secrets: Columns that are credentials.
        nested: Columns of JSON text.
        mode: ``sanitized`` or ``reference``.
        reference: Makes the ids.
        removed: Is told passwords and tokens as they are removed.
    """
    changes = []
    for name, dtype in schema.items():
        if name in secrets:
            kept_out = None if is_person(name) else removed
            changes.append(
                _emptied(name, kept_out)
                if mode == CredentialMode.SANITIZED
                else _mapped(name, Ids(name, reference, kept_out))
            )
        elif is_text(dtype) and name not in _NO_ADDRESS:
            text = exactly(name).cast(pl.String) if dtype != pl.String else exactly(name)
            if name in nested:
                text = text.map_batches(Members(removed), return_dtype=pl.String, is_elementwise=True)
            changes.append(without_userinfo(text, removed=removed.logins).alias(name))
    return frame.with_columns(changes) if changes else frame


@attrs.frozen
class Ids:
    """Ids in place of the values of a column; each distinct value is asked for once.

    Args:
        column: Name of the column, a part of each id.
        reference: Makes them.
        removed: Is told the values.
    """

    column: str
    reference: Callable[..., str]
    removed: Removed | None = None
    _known: dict[str, str] = attrs.field(factory=dict, init=False, repr=False)

    def __call__(self, values: pl.Series) -> pl.Series:
        """The ids of some values; null stays null."""
        text = values.alias("").cast(pl.String)
        distinct = text.drop_nulls().unique()
        if self.removed is not None:
            self.removed.values(distinct)
        for value in distinct:
            if value not in self._known:
                self._known[value] = self.reference(self.column, value)
        return text.replace_strict(distinct, [self._known[value] for value in distinct], return_dtype=pl.String)


@attrs.frozen
class Members:
    """JSON text without the values of members that are named like a credential.

    Args:
        removed: Is told the values.
    """

    removed: Removed

    def __call__(self, texts: pl.Series) -> pl.Series:
        """The same texts with null in place of the values."""
        texts = texts.alias("")
        clean = texts.str.replace_all(_JSON_CREDENTIAL, '"${1}": null')
        changed = texts.filter((texts != clean).fill_null(value=False))
        if len(changed):
            self.removed.members(changed.str.extract_all(_JSON_CREDENTIAL).explode(), is_person)
        return clean


@attrs.frozen
class Nothing:
    """Null in place of each value of a column.

    Args:
        removed: Is told the values.
    """

    removed: Removed

    def __call__(self, values: pl.Series) -> pl.Series:
        """As many nulls."""
        self.removed.values(values)
        return pl.repeat(None, len(values), dtype=pl.String, eager=True)


def _emptied(name: str, removed: Removed | None) -> pl.Expr:
    return pl.lit(None, dtype=pl.String).alias(name) if removed is None else _mapped(name, Nothing(removed))


def _mapped(name: str, change: Callable[[pl.Series], pl.Series]) -> pl.Expr:
    return exactly(name).map_batches(change, return_dtype=pl.String, is_elementwise=True)
