"""The manifest of an export of ours, as far as reading it back needs it: checked before anything is made of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from tailrace import CredentialMode, NewerVersionError
from tailrace_source_pool.documents.json_text import step
from tailrace_source_pool.documents.rules import TYPES
from tailrace_source_pool.members import LABELS

SCHEMA_VERSION = 2
"""The newest version of a manifest's shape that is read."""
TABLE = "proxies"

_INSIDE: Mapping[str, type] = {
    "schema_version": int,
    "source": str,
    "credentials": str,
    "parameters": dict,
    "tables": list,
    "vault": dict,
}
_REQUIRED = ("schema_version", "credentials", "tables")
_COLUMN: Mapping[str, type] = {"name": str, "type": str, "meaning": str, "unit": str}
_MODES = tuple(mode.value for mode in CredentialMode)


@attrs.frozen
class Layout:
    """What the file holds, by its manifest.

    Args:
        columns: Columns of the table ``proxies``, in order; None where it does not say.
        credentials: What was done to credentials.
        other_tables: Tables that are not imported.
    """

    columns: tuple[str, ...] | None
    credentials: CredentialMode | None
    other_tables: tuple[str, ...] = ()


def newer_version(manifest: object) -> int | None:
    """The schema version of a manifest that is too new; None for one that can be read."""
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    return version if type(version) is int and version > SCHEMA_VERSION else None


def refuse_newer(manifest: object) -> None:
    """Raise where a newer Tailrace is needed.

    Raises:
        NewerVersionError: It is.
    """
    version = newer_version(manifest)
    if version is not None:
        message = f"The file needs Tailrace with schema version {version}; this one reads up to {SCHEMA_VERSION}."
        raise NewerVersionError(message, version=version)


def embedded_problems(manifest: object) -> Iterator[tuple[str, str]]:
    """What is wrong with the manifest inside of a document, as paths behind ``$.manifest`` and clauses."""
    if not isinstance(manifest, dict):
        yield "", f"expected an object, got {LABELS[type(manifest)]}"
        return
    yield from _member_problems(manifest, _INSIDE, _REQUIRED, "")
    version, mode, tables = (manifest.get(name) for name in ("schema_version", "credentials", "tables"))
    if type(version) is int and version < 1:
        yield ".schema_version", "there is no such version"
    if isinstance(mode, str) and mode not in _MODES:
        yield ".credentials", f"expected one of {', '.join(_MODES)}"
    if (mode == "full") != ("vault" in manifest):
        yield ".vault", "it is missing" if mode == "full" else f"it is there, and credentials are not {_MODES[0]!r}"
    if isinstance(tables, list):
        yield from tables_problems(tables, ".tables")


def tables_problems(tables: Sequence[object], path: str) -> Iterator[tuple[str, str]]:
    """What is wrong with the description of tables."""
    names: set[object] = set()
    for number, table in enumerate(tables):
        place = f"{path}[{number}]"
        columns = table.get("columns") if isinstance(table, dict) else None
        if not isinstance(table, dict) or not isinstance(table.get("name"), str) or not isinstance(columns, list):
            yield place, "expected an object with name and columns"
            continue
        if table["name"] in names:
            yield place, "there is another table of that name"
        names.add(table["name"])
        yield from _column_problems(columns, f"{place}.columns", known=table["name"] == TABLE)
    if TABLE not in names:
        yield path, f"there is no table {TABLE}"


def layout(manifest: Mapping[str, Any]) -> Layout:
    """What the file holds, as far as the manifest says it well."""
    mode, tables = manifest.get("credentials"), manifest.get("tables")
    described = {
        table["name"]: table["columns"]
        for table in (tables if isinstance(tables, list) else ())
        if isinstance(table, dict) and isinstance(table.get("name"), str) and isinstance(table.get("columns"), list)
    }
    columns = [column.get("name") for column in described.get(TABLE, ()) if isinstance(column, dict)]
    return Layout(
        columns=tuple(name for name in columns if isinstance(name, str)) if TABLE in described else None,
        credentials=CredentialMode(mode) if mode in _MODES else None,
        other_tables=tuple(name for name in described if name != TABLE),
    )


def _column_problems(columns: Sequence[object], path: str, *, known: bool) -> Iterator[tuple[str, str]]:
    names: set[object] = set()
    for number, column in enumerate(columns):
        place = f"{path}[{number}]"
        if not isinstance(column, dict):
            yield place, f"expected an object, got {LABELS[type(column)]}"
            continue
        yield from _member_problems(column, _COLUMN, ("name",), place)
        name = column.get("name")
        if name in names:
            yield f"{place}.name", "there is another column of that name"
        elif known and isinstance(name, str) and name not in TYPES:
            yield f"{place}.name", "no pool has a column of that name"
        names.add(name if isinstance(name, str) else None)


def _member_problems(
    value: Mapping[str, Any], known: Mapping[str, type], required: Sequence[str], path: str
) -> Iterator[tuple[str, str]]:
    for name, content in value.items():
        if name not in known:
            yield path + step(name), "nothing of that name belongs there"
        elif type(content) is not known[name]:
            yield path + step(name), f"expected {LABELS[known[name]]}, got {LABELS[type(content)]}"
    for name in required:
        if name not in value:
            yield path + step(name), "it is missing"
