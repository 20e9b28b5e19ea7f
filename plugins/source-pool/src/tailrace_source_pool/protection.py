"""From what a pool stores to what may be shown: no login passes through here."""

from collections.abc import Callable, Mapping, Sequence

import attrs
import polars as pl

from tailrace import CredentialMode
from tailrace_source_pool.address import SCHEMES
from tailrace_source_pool.columns import HEALTH_STATES, ORIGINS, auth_types
from tailrace_source_pool.logins import Logins
from tailrace_source_pool.redaction import Redactor

_VOCABULARY = {"protocol": SCHEMES, "health_status": HEALTH_STATES, "source": ORIGINS}
"""Words that a column may always hold, even if somebody uses one as a password."""


@attrs.frozen(repr=False)
class StoredPool:
    """A pool as it is stored, logins included.

    Args:
        logins: ``url``, ``username``, ``password`` of everybody, also of rows that are left out.
        address: What :func:`~tailrace_source_pool.address.take_apart` made of the URLs.
        shown: Which of these rows are shown, in which order.
        facts: Every other column of the rows shown, in the order to be shown; may hold ``protocol``, ``host`` and
            ``port``, which then win over what the URL says.
        documents: Columns of JSON-like values of the rows shown; they come last.
    """

    logins: pl.DataFrame
    address: pl.DataFrame
    shown: pl.Series
    facts: pl.DataFrame = attrs.field(factory=pl.DataFrame)
    documents: Mapping[str, Sequence[object]] = attrs.field(factory=dict)


@attrs.frozen(repr=False)
class ShownPool:
    """A pool as it may be shown.

    Args:
        frame: The rows, without any login.
        redactor: Takes the pool's logins out of further texts.
        notes: What was done, in sentences.
    """

    frame: pl.DataFrame
    redactor: Redactor
    notes: tuple[str, ...]


def protect(pool: StoredPool, mode: CredentialMode, reference: Callable[..., str]) -> ShownPool:
    """Number the proxies, and show of each what the credential mode allows.

    Args:
        pool: The pool as it is stored.
        mode: ``sanitized`` or ``reference``.
        reference: Makes the id that stands for a login.

    Raises:
        NotAllowedError: Mode ``full``.
    """
    everybody = Logins.of(pool.logins, pool.address)
    redactor = Redactor(everybody.in_clear())
    logins, address, facts = everybody.of_rows(pool.shown), pool.address[pool.shown], pool.facts
    searched, cells = _searched(facts.drop("host", strict=False), redactor)
    documents = zip(pool.documents, redactor.json_texts(*pool.documents.values()), strict=True)
    host = _host(facts["host"], address["host"], redactor) if "host" in facts.columns else address["host"]
    leading = {
        "number": pl.int_range(1, address.height + 1, dtype=pl.Int64, eager=True),
        "url": public_url(address, redactor),
        "protocol": _first_filled(searched, "protocol", address["scheme"]),
        "host": host,
        "port": _first_filled(searched, "port", address["port"]),
    }
    frame = pl.DataFrame(leading).with_columns(
        auth_types(pl.col("protocol"), logins.present).alias("auth_type"),
        logins.present,
        *logins.shown(mode, reference),
        *searched.drop(*leading, strict=False),
        *(column.alias(name) for name, column in documents),
    )
    return ShownPool(frame, redactor, _notes(logins, mode, cells))


def _searched(facts: pl.DataFrame, redactor: Redactor) -> tuple[pl.DataFrame, int]:
    """The facts without logins in their texts, and how many cells were changed."""
    stored = facts.select(pl.col(pl.String)).get_columns()
    clean = [
        column.zip_with(column.is_in(_VOCABULARY.get(column.name, ())).fill_null(value=True), scrubbed)
        for column, scrubbed in zip(stored, redactor.texts(*stored), strict=True)
    ]
    changed = sum(int(before.ne_missing(after).sum()) for before, after in zip(stored, clean, strict=True))
    return facts.with_columns(clean), changed


def _first_filled(facts: pl.DataFrame, name: str, otherwise: pl.Series) -> pl.Series:
    return facts[name].zip_with(facts[name].is_not_null(), otherwise) if name in facts.columns else otherwise


def public_url(address: pl.DataFrame, redactor: Redactor) -> pl.Series:
    """The URLs; what follows host and port is searched like any other text."""
    (rest,) = redactor.texts(address["rest"])
    return (
        pl.DataFrame({"url": address["url"], "stored": address["rest"], "rest": rest})
        .select(url=pl.col("url").str.strip_suffix(pl.col("stored")) + pl.col("rest"))
        .to_series()
    )


def _host(stored: pl.Series, public: pl.Series, redactor: Redactor) -> pl.Series:
    """The host as stored where it is the URL's; anything else is searched like any other text."""
    same = (stored.str.to_lowercase() == public).fill_null(value=False)
    (clean,) = redactor.texts(stored)
    return stored.zip_with(same, clean)


def _notes(logins: Logins, mode: CredentialMode, cells: int) -> tuple[str, ...]:
    notes = []
    count = int(logins.present.sum())
    if count:
        what = "were removed" if mode is CredentialMode.SANITIZED else "are replaced by stable ids"
        notes.append(f"User names and passwords of {count} proxies {what}.")
    if logins.encrypted:
        notes.append(
            f"{logins.encrypted} of them are stored encrypted: the encrypted text was not copied either, "
            "and other columns could not be searched for what it hides."
        )
    if cells:
        notes.append(f"{cells} cells of other columns held a login or part of one: it was replaced by [redacted].")
    same = logins.identities()
    twice = same.height - same.unique().height
    if twice:
        notes.append(f"{twice} proxies are in the pool more than once; all of them are exported.")
    return tuple(notes)
