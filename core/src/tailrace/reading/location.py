"""What a location says: a database, a file or a folder."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import attrs

from tailrace.model.errors import RequestError

_CONNINFO = re.compile(r"(^|\s)(password|host|dbname|user)\s*=\s*\S", re.IGNORECASE)
"""What libpq takes beside URIs: ``host=… password=…``."""


@attrs.frozen
class PostgresPlace:
    """A PostgreSQL database that a location names.

    Args:
        uri: Without the parameter ``table``, which is ours.
        table: The table asked for, if any.
    """

    uri: str = attrs.field(repr=False)
    table: str | None


@attrs.frozen
class FilePlace:
    """A file or folder that a location names.

    Args:
        path: Where it is.
        table: The table asked for, if any.
        kind: ``"sqlite"`` where the location itself says so.
    """

    path: Path
    table: str | None = None
    kind: Literal["sqlite"] | None = None


def read_location(
    location: str, *, examples: str, table: str | None = None, folder: Path = Path()
) -> PostgresPlace | FilePlace:
    """Read a location as the user wrote it: a path, ``sqlite:///``, ``proxywhirl:///``, ``file:///``, ``postgresql://``.

    Args:
        location: URI or path.
        examples: A hint that says what can be written, for errors.
        table: The table that was asked for elsewhere, if any.
        folder: Folder that relative paths count from.

    Raises:
        RequestError: It cannot be read; no part of it is repeated that could be a password.
    """
    if not location:
        raise RequestError("No location was given.", hint=examples)
    scheme, separator, _rest = location.partition("://")
    if not separator and _CONNINFO.search(location):
        message = "The location is a list of connection parameters, which cannot be read."
        raise RequestError(message, hint="Write postgresql://user@host:5432/database?table=t.")
    if not separator or not scheme.replace("+", "").replace(".", "").replace("-", "").isalnum():
        return FilePlace(folder / location, table)
    scheme = scheme.lower().partition("+")[0]
    if scheme in {"postgresql", "postgres"}:
        return _postgres(location, table)
    if scheme in {"sqlite", "proxywhirl", "file"}:
        return _file(location, scheme, table, folder, examples)
    message = f"A location that begins with {scheme}:// cannot be read."
    raise RequestError(message, hint=examples)


def _postgres(location: str, table: str | None) -> PostgresPlace:
    try:
        parts = urlsplit(location)
    except ValueError:
        message = "The PostgreSQL location cannot be read as a URI."
        raise RequestError(message, hint="Write postgresql://user@host:5432/database?table=t.") from None
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    tables = [value for key, value in pairs if key == "table"]
    rest = [(key, value) for key, value in pairs if key != "table"]
    # Not geturl(), which drops the slashes of an address without a host; and libpq does not read + as a space.
    query = urlencode(rest, quote_via=quote)
    uri = f"postgresql://{parts.netloc}{parts.path}" + (f"?{query}" if query else "")
    return PostgresPlace(uri, _one_table(tables, table))


def _file(location: str, scheme: str, table: str | None, folder: Path, examples: str) -> FilePlace:
    body = location.partition("://")[2]
    body, _mark, query = body.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    unknown = next((key for key, _value in pairs if key != "table"), None)
    if unknown is not None:
        message = f"The location has a parameter {unknown!r} that is not known."
        raise RequestError(message, hint=examples)
    host, slash, rest = unquote(body).partition("/")
    if host not in {"", "localhost"} or not slash or not rest:
        message = f"A location with {scheme}:// names no path on this machine."
        raise RequestError(message, hint=f"Write {scheme}:///path/to/it, with three slashes.")
    path = Path("/" + rest.removeprefix("/"))
    if scheme != "file" and not path.exists() and (folder / rest).exists():
        # SQLAlchemy's reading of three slashes: relative to the current folder.
        path = folder / rest
    return FilePlace(path, _one_table([value for _key, value in pairs], table), None if scheme == "file" else "sqlite")


def _one_table(in_location: Sequence[str], elsewhere: str | None) -> str | None:
    asked = {*in_location, *([elsewhere] if elsewhere else [])}
    if len(asked) > 1:
        message = "Two different tables are asked for: " + ", ".join(sorted(asked)) + "."
        raise RequestError(message, hint="Name one, in the location or as an option.")
    return next(iter(asked), None)
