"""From a pool file as it was read to one whose credentials are in clear: opened with keys, or resolved by their ids."""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from tailrace.model.dataset import SealedColumns
from tailrace.model.errors import ConfigurationError, NotAllowedError, TailraceError, TamperedError
from tailrace.model.manifest import SealRecord
from tailrace.model.request import CredentialMode
from tailrace.plugins.pools import PoolFile, Problem
from tailrace.vault.header import Header, KeyHolder, open_header, read_header
from tailrace.vault.sealing import seal_content
from tailrace.vault.values import DataKey, is_sealed, open_values

if TYPE_CHECKING:
    import polars as pl

TABLE: Final = "proxies"
"""The table of a pool export that is imported."""
_SECRETS: Final = ("username", "password", "stored_url")
_REFERENCE = re.compile(r"\Aref_[a-z2-7]{26}\Z")
_LARGEST_FILE = 256 << 20
_LISTED = 5

Resolver = Callable[[str], str | None]
"""Gives the secret that an id stands for; None when it does not know."""


def unlock(
    file: PoolFile,
    *,
    keys: Callable[[], Sequence[KeyHolder]],
    resolver: Resolver | None = None,
) -> PoolFile:
    """Bring the credentials of a pool file into clear.

    Args:
        file: As it was read. One with problems is given back as it is: nothing of it is going to be used.
        keys: Gives the keys and passwords to open sealed credentials with; asked only when there are any.
        resolver: Resolves references.

    Returns:
        The same file; without user names and passwords where there are none in it.

    Raises:
        UnknownKeyError: None of the keys opens it.
        WrongKeyError: The password is not the one.
        TamperedError: Something that is sealed was changed, moved, cut or damaged.
        NewerVersionError: It was sealed by a newer Tailrace.
        ConfigurationError: References, and no resolver.
    """
    if file.problem_count:
        return file
    if file.credentials is CredentialMode.FULL:
        header = header_of(file)
        return attrs.evolve(file, frame=_opened(file, open_header(header, keys()), header.tables))
    if file.credentials is CredentialMode.REFERENCE:
        return _resolved(file, resolver)
    return _without(file)


def header_of(file: PoolFile) -> Header:
    """The header of a full export.

    Raises:
        TamperedError: It has none, or one that is not as it was written.
        NewerVersionError: It is of a newer version.
    """
    return read_header((file.manifest or {}).get("vault"))


def _opened(file: PoolFile, key: DataKey, tables: Mapping[str, SealedColumns]) -> "pl.DataFrame":
    import polars as pl

    seal = file.seal or {}
    expected = seal_content(key, str(seal.get("sha256", "")))
    if not seal or SealRecord(expected.sha256, str(seal.get("mac", ""))) != expected:
        message = "The file is not what was sealed: something in it was changed, added or cut off."
        raise TamperedError(message, hint="Restore it from another copy.")
    frame = file.frame
    holding = [column for column in frame.select(pl.col(pl.String)).get_columns() if is_sealed(column).any()]
    if not holding:
        return frame
    bound_to = tables[TABLE].bound_to if TABLE in tables else ()
    missing = [name for name in bound_to if name not in frame.columns]
    if missing or not bound_to:
        told = (
            f" without the columns {', '.join(missing)}"
            if missing
            else ": the header does not say what they are bound to"
        )
        message = f"The sealed credentials cannot be opened{told}."
        raise TamperedError(message, hint="Restore the file from another copy.")
    opened, bad = [], pl.repeat(value=False, n=frame.height, eager=True)
    for column in holding:
        clear, failed = open_values(key, TABLE, column.name, column, frame.select(bound_to))
        opened.append(clear)
        bad |= failed
    if bad.any():
        places = frame["place"].filter(bad)
        more = f" and {len(places) - _LISTED} more" if len(places) > _LISTED else ""
        message = f"Sealed values of {len(places)} proxies were changed or moved: {', '.join(places[:_LISTED])}{more}."
        raise TamperedError(message, hint="Restore the file from another copy.")
    return frame.with_columns(opened)


def _without(file: PoolFile) -> PoolFile:
    """Tell what a sanitized export does not bring back."""
    if file.credentials is None:
        return file
    holding = [name for name in _SECRETS if name in file.frame.columns and file.frame[name].count()]
    if holding:
        message = f"The file says that it is without credentials, and holds something in {', '.join(holding)}."
        raise TamperedError(message, hint="It was changed. Restore it from another copy.")
    if "has_credentials" not in file.frame.columns:
        return file
    lost = int(file.frame["has_credentials"].sum())
    note = f"{lost} proxies had a login when they were exported; this file does not hold it."
    return attrs.evolve(file, notes=(*file.notes, note)) if lost else file


def _resolved(file: PoolFile, resolver: Resolver | None) -> PoolFile:
    """Put secrets in the place of their ids; an id that nobody knows is a problem."""
    import polars as pl

    columns = [name for name in ("username", "password") if name in file.frame.columns]
    ids = pl.concat([file.frame[name].drop_nulls().unique() for name in columns] or [pl.Series(dtype=pl.String)])
    if ids.is_empty():
        return file
    if resolver is None:
        message = "The file has references in the place of user names and passwords, and nothing to resolve them."
        raise ConfigurationError(message, hint="Name a resolver: --resolve env or --resolve file:PATH")
    known = {reference: _asked(resolver, reference) for reference in ids.unique()}
    secrets = pl.DataFrame(
        {"id": list(known), "secret": pl.Series(list(known.values()), dtype=pl.String)},
        schema_overrides={"id": pl.String},
    )
    frame = file.frame
    problems: list[Problem] = []
    for name in columns:
        resolved = frame.select(pl.col(name).alias("id")).join(secrets, on="id", how="left", maintain_order="left")
        unknown = resolved["secret"].is_null() & frame[name].is_not_null()
        problems += [
            Problem(f"{place}.{name}", f"the resolver does not know {_shown(reference)}")
            for place, reference in frame.filter(unknown).select("place", name).rows()
        ]
        frame = frame.with_columns(resolved["secret"].alias(name))
    return attrs.evolve(file, frame=frame, problems=tuple(problems), problem_count=len(problems))


def _shown(reference: str) -> str:
    # What is no id may be anything, a password too.
    return reference if _REFERENCE.match(reference) else "it: it is no reference"


def _asked(resolver: Resolver, reference: str) -> str | None:
    if not _REFERENCE.match(reference):
        return None
    try:
        return resolver(reference)
    except TailraceError:
        raise
    except Exception as error:  # noqa: BLE001 - the host's own code
        message = f"The resolver failed with {type(error).__name__}."
        raise NotAllowedError(message, hint="Nothing was changed. Mend the resolver, and try again.") from None


def resolver_of(text: str, environ: Mapping[str, str] | None = None) -> Resolver:
    """A resolver by what people write for it.

    Args:
        text: ``"env"``: the secret of ``ref_abc…`` is in the variable ``REF_ABC…``. ``"file:PATH"``: it is in a JSON
            object, by its id.
        environ: Environment variables; those of the process by default.

    Raises:
        ConfigurationError: Neither, or a file that cannot be used.
    """
    kind, _colon, name = text.partition(":")
    if kind == "env" and not name:
        variables = os.environ if environ is None else environ
        return lambda reference: variables.get(reference.upper())
    if kind == "file" and name:
        return _secrets_in(Path(name)).get
    message = f"There is no resolver {kind!r}."
    raise ConfigurationError(message, hint="There is: env, and file:PATH with a JSON object of ids and secrets.")


def _secrets_in(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_LARGEST_FILE))
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise ConfigurationError(message, hint="It is a JSON object of ids and secrets.") from None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not all(isinstance(secret, str) for secret in document.values()):
        message = f"{path} is not a JSON object of ids and secrets."
        raise ConfigurationError(message, hint='Expected: {"ref_…": "the secret", …}')
    return document
