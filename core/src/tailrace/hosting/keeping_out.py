"""Columns of the application's frames that hold secrets: removed, replaced by ids, or sealed, as the mode says."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import attrs

from tailrace.model.columns import Column, Meaning
from tailrace.model.dataset import SealedColumns, Secrets
from tailrace.model.errors import NotAllowedError, SourceError
from tailrace.model.request import CredentialMode
from tailrace.pipeline.exact import exactly
from tailrace.plugins.kinds import Seal, SourceCall
from tailrace.reading.removed import RemovedLogins
from tailrace.reading.userinfo import without_userinfo

if TYPE_CHECKING:
    import polars as pl

MOST: Final = 1_000_000
"""Distinct secrets that are remembered, to search the finished file for them."""
_DONE: Final = {
    CredentialMode.FULL: "is sealed",
    CredentialMode.SANITIZED: "was left out",
    CredentialMode.REFERENCE: "is replaced by stable ids",
}


@attrs.frozen
class KeepingOut:
    """What one opening of a source keeps out, and how.

    Args:
        source: Name of the source.
        secrets: Columns that hold secrets.
        urls: Columns that hold addresses, whose logins are removed in every mode.
        bound: The columns that a row is known by.
        call: The mode, and what makes ids or seals.
    """

    source: str
    secrets: tuple[str, ...]
    urls: tuple[str, ...]
    bound: tuple[str, ...]
    call: SourceCall = attrs.field(repr=False)
    _removed: RemovedLogins = attrs.field(factory=lambda: RemovedLogins(most=MOST), init=False, repr=False)

    @classmethod
    def of(
        cls,
        source: str,
        call: SourceCall,
        *,
        secrets: Sequence[str],
        bound: Sequence[str],
        said: Mapping[str, Column | Meaning | str],
    ) -> "KeepingOut":
        """What is to be kept out.

        Args:
            source: Name of the source.
            call: The mode, and what makes ids or seals.
            secrets: Columns that hold secrets.
            bound: The columns that a row is known by.
            said: What columns mean: those of secrets, and of addresses, are treated as such.

        Raises:
            NotAllowedError: Mode ``full``, with secrets and nothing to bind them to, or nothing to seal with.
        """
        meanings = {name: one.meaning if isinstance(one, Column) else Meaning(one) for name, one in said.items()}
        hidden = dict.fromkeys([*secrets, *(name for name, one in meanings.items() if one is Meaning.SECRET)])
        urls = tuple(name for name, one in meanings.items() if one is Meaning.URL and name not in hidden)
        own = cls(source, tuple(hidden), urls, tuple(bound), call)
        if hidden and call.credentials is CredentialMode.FULL:
            own._check_bound()
        return own

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done, in sentences."""
        done = _DONE[self.call.credentials]
        return (f"What {' and '.join(self.secrets)} hold {done}.",) if self.secrets else ()

    @property
    def told(self) -> Callable[[], Secrets] | None:
        """Tells what was kept out; None where nothing is, or it is sealed."""
        if not (self.secrets or self.urls) or self.call.credentials is CredentialMode.FULL:
            return None
        return self._removed.secrets

    def applied(
        self, frame: "pl.LazyFrame", schema: "pl.Schema", table: str
    ) -> "tuple[pl.LazyFrame, SealedColumns | None]":
        """The same rows with nothing secret in them, and what is sealed.

        Args:
            frame: The rows.
            schema: Their types.
            table: Name of the table.

        Raises:
            SourceError: A column holds no single texts, cannot be sealed, or nothing be bound to it.
        """
        import polars as pl

        secret = [name for name in self.secrets if name in schema]
        unfit = [name for name in secret if schema[name].is_nested() or schema[name] == pl.Binary]
        if unfit:
            message = f"Secrets in {', '.join(unfit)} of table {table} of the source {self.source} are no single texts."
            raise SourceError(message, hint="Make a column of each, of texts or numbers.")
        changes = [
            without_userinfo(_text(name, schema), removed=self._removed.logins).alias(name)
            for name in self.urls
            if name in schema
        ]
        if secret and self.call.credentials is CredentialMode.FULL:
            changes += self._sealed(secret, schema, table)
            return frame.with_columns(changes), SealedColumns(tuple(secret), self.bound)
        changes += [self._replaced(name, schema) for name in secret]
        if not changes:
            return frame, None
        # Of all rows and columns, whatever is asked for: a text that is exported may quote what is not.
        shown = frame.map_batches(
            lambda batch: batch.with_columns(changes),
            predicate_pushdown=False,
            projection_pushdown=False,
            slice_pushdown=False,
            schema=frame.with_columns(changes).collect_schema(),
            streamable=True,
        )
        return shown, None

    def _replaced(self, name: str, schema: "pl.Schema") -> "pl.Expr":
        import polars as pl

        ids = _Ids(name, self.call.reference) if self.call.credentials is CredentialMode.REFERENCE else None

        def change(values: pl.Series) -> pl.Series:
            distinct = values.drop_nulls().unique().to_list()
            for value in distinct:
                self._removed.add(value, name)
            if ids is None:
                return pl.repeat(None, len(values), dtype=pl.String, eager=True)
            return values.replace_strict(distinct, ids.of(distinct), return_dtype=pl.String)

        text = _text(name, schema).alias("")
        return text.map_batches(change, return_dtype=pl.String, is_elementwise=True).alias(name)

    def _sealed(self, secret: Sequence[str], schema: "pl.Schema", table: str) -> "list[pl.Expr]":
        import polars as pl

        missing = [name for name in self.bound if name not in schema]
        if missing:
            message = f"Table {table} of the source {self.source} has no {', '.join(missing)} to bind secrets to."
            raise SourceError(message, hint="Name columns that each table with secrets has: add_source(…, bound=(…)).")
        unfit = [name for name in self.bound if not _is_lasting(schema[name])]
        if unfit:
            message = f"Secrets cannot be bound to {', '.join(unfit)}: such values are written in more ways than one."
            raise SourceError(message, hint="Bind them to whole numbers, texts, or true and false.")
        seal: Seal | None = self.call.seal
        if seal is None:
            raise _nothing_to_seal_with()

        def sealing(name: str) -> "pl.Expr":
            def change(columns: Sequence[pl.Series]) -> pl.Series:
                values, *bound = columns
                places = pl.DataFrame([one.alias(key) for one, key in zip(bound, self.bound, strict=True)])
                return seal(table, name, values, places)

            inputs = [_text(name, schema), *map(exactly, self.bound)]
            return pl.map_batches(inputs, change, return_dtype=pl.String, is_elementwise=True).alias(name)

        return [sealing(name) for name in secret]

    def _check_bound(self) -> None:
        if self.call.seal is None:
            raise _nothing_to_seal_with()
        if not self.bound or set(self.bound) & {*self.secrets, *self.urls}:
            message = f"The source {self.source} has secrets, and no other columns that they could be bound to."
            hint = "Name those that a row is known by: add_source(…, bound=('id',)); or use another credential mode."
            raise NotAllowedError(message, hint=hint)


class _Ids:
    """Ids in place of the values of a column; each is made once."""

    def __init__(self, column: str, reference: Callable[..., str]) -> None:
        self._column, self._reference = column, reference
        self._known: dict[str, str] = {}
        self._lock = threading.Lock()

    def of(self, values: Sequence[str]) -> list[str]:
        with self._lock:
            for value in values:
                if value not in self._known:
                    self._known[value] = self._reference(self._column, value)
            return [self._known[value] for value in values]


def _nothing_to_seal_with() -> NotAllowedError:
    message = "Credential mode 'full' seals secrets, and there is nothing to seal them with."
    return NotAllowedError(message, hint="Use --credentials sanitized (removed) or reference (an id for each).")


def _text(name: str, schema: "pl.Schema") -> "pl.Expr":
    import polars as pl

    column = exactly(name)
    return column if schema[name] == pl.String else column.cast(pl.String)


def _is_lasting(dtype: "pl.DataType") -> bool:
    """Whether a value reads the same wherever it was written."""
    import polars as pl

    return dtype.is_integer() or isinstance(dtype, pl.String | pl.Boolean | pl.Categorical | pl.Enum)
