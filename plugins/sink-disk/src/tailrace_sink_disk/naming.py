"""Names of files and folders from patterns such as ``{source}/{year}``: none of them leads out of the root."""

import itertools
import re
import string
from collections.abc import Iterator, Mapping

from tailrace import NotAllowedError, OptionError, UnknownNameError

MAX_BYTES = 255
"""Longest name that the usual file systems take, in bytes."""

_RESERVED_BYTES = len(".manifest.json") + len("-99999")
_MAX_VALUE = 100
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNIQUE = {"timestamp", "id"}


def folders(pattern: str, fields: Mapping[str, str]) -> tuple[str, ...]:
    """The folders below the root that a pattern names, from the outermost.

    Args:
        pattern: Folders separated by ``/``, with placeholders; may be empty.
        fields: Values of the placeholders.

    Raises:
        NotAllowedError: The pattern leads out of the root, or could.
        UnknownNameError: A placeholder that does not exist.
        OptionError: The pattern is not well-formed, or a name is too long.
    """
    if pattern.startswith("/") or re.match(r"[A-Za-z]:", pattern):
        raise _leads_out("pattern")
    names = []
    for part in pattern.split("/"):
        name = _filled("pattern", part, fields)
        if name in {"", "."}:
            continue
        if len(name.encode()) > MAX_BYTES:
            raise OptionError("pattern", f"a folder's name would have more than {MAX_BYTES} bytes.", hint="Shorten it.")
        names.append(name)
    return tuple(names)


def file_name(pattern: str, fields: Mapping[str, str], *, option: str = "filename") -> str:
    """The name of a file.

    Args:
        pattern: The name with placeholders.
        fields: Values of the placeholders.
        option: The option that holds the pattern, for what is said about it.

    Raises:
        NotAllowedError: The pattern names a file in another folder.
        UnknownNameError: A placeholder that does not exist.
        OptionError: The pattern is not well-formed, or its name cannot be used.
    """
    if "/" in pattern:
        raise NotAllowedError(
            "A file name cannot contain a slash.", hint="Folders go into --option pattern={source}/{year}/"
        )
    name = _filled(option, pattern, fields)
    if not name or name.startswith("."):
        raise OptionError(option, "the name would be empty or begin with a dot.", hint="Begin it with {source}.")
    if name.endswith((".manifest.json", ".part")):
        raise OptionError(option, "names ending in .manifest.json or .part are Tailrace's own.", hint="Use {ext}.")
    size = len(name.encode())
    if size > MAX_BYTES - _RESERVED_BYTES:
        raise OptionError(
            option,
            f"the name would have {size} bytes; {MAX_BYTES - _RESERVED_BYTES} leave room for its manifest's.",
            hint="Shorten it, for example to {source}_{timestamp}.{ext}",
        )
    return name


def is_constant(pattern: str, *, option: str = "filename") -> bool:
    """Whether a pattern gives the same name again and again: it holds neither the time nor the id of the export."""
    return _UNIQUE.isdisjoint(name for _literal, name, _spec, _conversion in _parsed(option, pattern))


def numbered(name: str, extension: str) -> Iterator[str]:
    """The name, then the same with ``-2``, ``-3`` … before its extension.

    Args:
        name: The name.
        extension: What counts as its extension, such as ``csv.gz``; otherwise it is what follows the last dot.
    """
    suffix = f".{_clean(extension)}"
    if not name.endswith(suffix):
        suffix = name[name.rindex(".") :] if "." in name else ""
    stem = name.removesuffix(suffix)
    yield name
    yield from (f"{stem}-{number}{suffix}" for number in itertools.count(2))


def _filled(option: str, pattern: str, fields: Mapping[str, str]) -> str:
    if "\\" in pattern or _CONTROL.search(pattern):
        raise NotAllowedError(
            f"Option {option!r}: backslashes and control characters are not allowed.", hint="Separate folders by /."
        )
    parts = []
    for literal, name, spec, conversion in _parsed(option, pattern):
        parts.append(literal)
        if name is None:
            continue
        if spec or conversion:
            raise OptionError(option, "a placeholder is a name in braces and nothing else.", hint="Write {user}.")
        if name not in fields:
            raise UnknownNameError("placeholder", name, sorted(fields), where=f"option {option!r}")
        parts.append(_clean(fields[name]))
    filled = "".join(parts)
    if filled == "..":
        raise _leads_out(option)
    return filled


def _parsed(option: str, pattern: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(string.Formatter().parse(pattern))
    except ValueError as error:
        reason = str(error)
    raise OptionError(option, f"its braces do not match: {reason}.", hint="Write placeholders as {user}.")


def _clean(value: str) -> str:
    """A value as it may be part of a name: it can neither separate folders nor hide a file."""
    clean = _UNSAFE.sub("_", value[:_MAX_VALUE]) or "_"
    return f"_{clean[1:]}" if clean.startswith(".") else clean


def _leads_out(option: str) -> NotAllowedError:
    return NotAllowedError(
        f"Option {option!r} leads out of the root folder.",
        hint="Name folders below it, such as {source}/{year}/; the root is set by --to disk:DIR.",
    )
