"""What a change of the public API breaks for those who use it.

griffe finds what breaks callers: names, methods and arguments that went, moved or became required. It does not know
that a Protocol of ours is implemented by others, for whom a further method is a break, too; nor that the type of an
attribute is promised. Those are found here.
"""

from collections.abc import Iterator
from pathlib import Path

import griffe

CALLED_BY_PLUGINS = frozenset({"ByteWriter", "SourceOpener"})
"""Protocols whose objects plugins and hosts get from the engine: a further method of theirs breaks nobody."""


def breaks(released: str, now: str, *, module: str) -> list[str]:
    """What of a release is broken, a line each.

    Args:
        released: The stub of the release; see :mod:`surface`.
        now: The stub of the code as it is.
        module: Name of the module that both are of.
    """
    old, new = (_loaded(text, module) for text in (released, now))
    found = [_told(breakage, module) for breakage in griffe.find_breaking_changes(old, new)]
    for name, one in old.classes.items():
        other = new.classes.get(name)
        if other is not None:
            found += [*_asked_of_implementers(one, other), *_changed_types(one, other)]
    return sorted(set(found))


def _loaded(text: str, module: str) -> griffe.Module:
    return griffe.visit(module.rpartition(".")[2], filepath=Path(f"{module}.pyi"), code=text)


def _told(breakage: griffe.Breakage, module: str) -> str:
    path = breakage.obj.path.removeprefix(f"{module.rpartition('.')[2]}.")
    old, new = breakage.old_value, breakage.new_value
    change = getattr(old, "name", None) or getattr(new, "name", None) or ""
    if breakage.kind is griffe.BreakageKind.PARAMETER_CHANGED_DEFAULT:
        change = f"{change}: {old.default} → {new.default}"
    return f"{path}: {breakage.kind.value.lower()}" + (f": {change}" if change else "")


def _asked_of_implementers(old: griffe.Class, new: griffe.Class) -> Iterator[str]:
    is_protocol = any(str(base) == "Protocol" for base in old.bases)
    if is_protocol and old.name not in CALLED_BY_PLUGINS:
        for name in sorted(set(new.members) - set(old.members)):
            yield f"{old.name}.{name}: those who implement this protocol do not have it"


def _changed_types(old: griffe.Class, new: griffe.Class) -> Iterator[str]:
    for name, attribute in old.attributes.items():
        other = new.attributes.get(name)
        if other is not None and str(attribute.annotation) != str(other.annotation):
            yield f"{old.name}.{name}: its type was changed: {attribute.annotation} → {other.annotation}"
