"""From what a pool stores to what may be shown: no login passes through here."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import attrs
import polars as pl

from tailrace import CredentialMode, NotAllowedError, Seal, SealedColumns, Secrets, SourceCall
from tailrace_source_pool.address import SCHEMES
from tailrace_source_pool.columns import HEALTH_STATES, ORIGINS, auth_types
from tailrace_source_pool.kept_out import kept_out
from tailrace_source_pool.logins import Logins
from tailrace_source_pool.redaction import Redactor

_VOCABULARY = {"protocol": SCHEMES, "health_status": HEALTH_STATES, "source": ORIGINS}
"""Words that a column may always hold, even if somebody uses one as a password."""
_DONE = {
    CredentialMode.FULL: "are sealed",
    CredentialMode.SANITIZED: "were removed",
    CredentialMode.REFERENCE: "are replaced by stable ids",
}
SECRETS = ("username", "password", "stored_url")
BOUND_TO = ("number", "protocol", "host", "port")
"""The columns that a proxy is known by: what is sealed opens only beside the same values of them."""


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
        keeps_urls: Whether the pool stores URLs as such, so that a login in one is to be restored in it.
    """

    logins: pl.DataFrame
    address: pl.DataFrame
    shown: pl.Series
    facts: pl.DataFrame = attrs.field(factory=pl.DataFrame)
    documents: Mapping[str, Sequence[object]] = attrs.field(factory=dict)
    keeps_urls: bool = True


@attrs.frozen(repr=False)
class ShownPool:
    """A pool as it may be shown.

    Args:
        frame: The rows, without any login.
        redactor: Takes the pool's logins out of further texts.
        notes: What was done, in sentences.
        secrets: Tells what was kept out; None in mode ``full``, where it is sealed instead.
        sealed: What was sealed, in mode ``full``.
    """

    frame: pl.DataFrame
    redactor: Redactor
    notes: tuple[str, ...]
    secrets: Callable[[], Secrets] | None
    sealed: SealedColumns | None = None


def sealing(call: SourceCall) -> Seal | None:
    """What seals, in mode ``full``; None in the others.

    Raises:
        NotAllowedError: Mode ``full``, and nothing to seal with.
    """
    if call.credentials is not CredentialMode.FULL:
        return None
    if call.seal is None:
        message = "Credential mode 'full' seals user names and passwords, and there is nothing to seal them with."
        raise NotAllowedError(message, hint="Use --credentials sanitized (removed) or reference (an id for each).")
    return call.seal


def protect(pool: StoredPool, call: SourceCall) -> ShownPool:
    """Number the proxies, and show of each what the credential mode allows.

    Args:
        pool: The pool as it is stored.
        call: The credential mode, and what makes ids or seals.

    Raises:
        NotAllowedError: Mode ``full``, and nothing to seal with.
    """
    seal = sealing(call)
    call.context.check()
    everybody = Logins.of(pool.logins, pool.address)
    redactor = Redactor(everybody.in_clear())
    call.context.check()
    logins, address, facts = everybody.of_rows(pool.shown), pool.address[pool.shown], pool.facts
    stored = facts.drop("host", strict=False)
    searched = _searched(stored, redactor)
    call.context.check()
    host = _host(facts["host"], address["host"], redactor) if "host" in facts.columns else address["host"]
    leading = pl.DataFrame(
        {
            "number": pl.int_range(1, address.height + 1, dtype=pl.Int64, eager=True),
            "url": public_url(address, redactor),
            "protocol": _first_filled(searched, "protocol", address["scheme"]),
            "host": host,
            "port": _first_filled(searched, "port", address["port"]),
        }
    )
    leading = leading.with_columns(auth_types(pl.col("protocol"), logins.present).alias("auth_type"), logins.present)
    others = [name for name in stored.columns if name not in leading.columns]
    plain = stored.select(others).with_columns(
        Redactor.json_text(values).alias(name) for name, values in pool.documents.items()
    )
    clean = searched.select(others).with_columns(
        column.alias(name)
        for name, column in zip(pool.documents, redactor.json_texts(*pool.documents.values()), strict=True)
    )
    cells = _changed(stored, searched)
    secrets = partial(kept_out, everybody, host, leading["url"])
    if seal is None:
        frame = leading.with_columns(*logins.shown(call.credentials, call.reference), *clean)
        return ShownPool(frame, redactor, _notes(logins, call.credentials, cells), secrets)
    whole = logins.whole(leading["url"])
    if not pool.keeps_urls:
        whole = whole.with_columns(pl.lit(None, dtype=pl.String).alias("stored_url"), _in_columns(whole))
    frame, sealed = _sealed(leading, whole.with_columns(plain), whole.clear(whole.height).with_columns(clean), seal)
    return ShownPool(frame, redactor, _notes(logins, call.credentials, cells), None, sealed)


def _sealed(
    leading: pl.DataFrame, plain: pl.DataFrame, clean: pl.DataFrame, seal: Seal
) -> tuple[pl.DataFrame, SealedColumns]:
    """Seal whatever may not be shown as it is: every value that is another one, or none, in ``clean``.

    Args:
        leading: The columns that are shown in any case, those that rows are known by among them.
        plain: The further columns as they are.
        clean: The same without anything secret.
        seal: Seals.
    """
    bound = leading.select(BOUND_TO)
    columns, holding = [], []
    for name in plain.columns:
        column = plain[name]
        if name != "credentials_in" and column.dtype == pl.String:
            # A text that looks as if it were sealed is sealed, so that it comes back as what it is.
            which = (
                (column.ne_missing(clean[name]) | column.str.starts_with("sealed:")).fill_null(value=False).arg_true()
            )
            if len(which):
                column = column.clone().scatter(which, seal("proxies", name, column[which], bound[which]))
                holding.append(name)
        columns.append(column)
    always = [name for name in SECRETS if name not in holding]
    return leading.with_columns(columns), SealedColumns((*holding, *always), BOUND_TO)


def _in_columns(whole: pl.DataFrame) -> pl.Series:
    """Where a pool that knows no URLs holds its logins."""
    return whole.select(
        pl.when(pl.col("credentials_in").is_not_null()).then(pl.lit("columns")).alias("credentials_in")
    ).to_series()


def _searched(facts: pl.DataFrame, redactor: Redactor) -> pl.DataFrame:
    """The facts without logins in their texts."""
    stored = facts.select(pl.col(pl.String)).get_columns()
    return facts.with_columns(
        column.zip_with(column.is_in(_VOCABULARY.get(column.name, ())).fill_null(value=True), scrubbed)
        for column, scrubbed in zip(stored, redactor.texts(*stored), strict=True)
    )


def _changed(stored: pl.DataFrame, clean: pl.DataFrame) -> int:
    """How many cells of these columns are others now."""
    return sum(int(column.ne_missing(clean[column.name]).sum()) for column in stored.get_columns())


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
    others = (stored.str.to_lowercase() == public).fill_null(value=False).not_().arg_true()
    (clean,) = redactor.texts(stored[others])
    return stored.clone().scatter(others, clean)


def _notes(logins: Logins, mode: CredentialMode, cells: int) -> tuple[str, ...]:
    notes = []
    count = int(logins.present.sum())
    if count:
        what = _DONE[mode]
        notes.append(f"User names and passwords of {count} proxies {what}.")
    if logins.encrypted:
        notes.append(
            f"{logins.encrypted} of them are stored encrypted: the encrypted text was not copied either, "
            "and other columns could not be searched for what it hides."
        )
    if cells:
        done = "they are sealed, too" if mode is CredentialMode.FULL else "it was replaced by [redacted]"
        notes.append(f"{cells} cells of other columns held a login or part of one: {done}.")
    same = logins.identities()
    twice = same.height - same.unique().height
    if twice:
        notes.append(f"{twice} proxies are in the pool more than once; all of them are exported.")
    return tuple(notes)
