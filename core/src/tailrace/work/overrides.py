"""A request with some of its settings replaced: what one run, or an edit, changes of a template."""

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from tailrace.model.errors import RequestError, TailraceError
from tailrace.model.request import ExportRequest
from tailrace.pipeline.routing import Owner, deal
from tailrace.plugins.registry import Registry

Participant = tuple[str, str]
"""Kind and name of a plugin that takes part."""


def overridden(request: ExportRequest, changes: Mapping[str, Any], registry: Registry) -> ExportRequest:
    """Replace settings of a request.

    Each new value replaces the whole old one, but options, which are merged by name. Options fall away that nobody
    takes any more, because another source, format or sink is asked for; and secret ones of sources and sinks that get
    another location or target: they go nowhere but where the template's owner sends them.

    Args:
        request: What it is now.
        changes: New values by the names of :class:`~tailrace.model.request.ExportRequest`.
        registry: Knows the options of the plugins.

    Raises:
        RequestError: A value that cannot be.
    """
    given = dict(changes.get("options", {}))
    replaced = attrs.evolve(request, **{name: value for name, value in changes.items() if name != "options"})
    gone = _participants(request) - _participants(replaced)
    moved = {kind for kind, field in (("source", "location"), ("sink", "sinks")) if field in changes}
    owners = list(_owners(_participants(request), registry)) if request.options and (gone or moved) else []
    kept = {
        name: value
        for name, value in request.options.items()
        if not any(_same_option(name, other) for other in given) and not _falls_away(name, owners, gone, moved)
    }
    return attrs.evolve(replaced, options=kept | given)


def _participants(request: ExportRequest) -> set[Participant]:
    sinks = {("sink", sink.name) for sink in request.sinks}
    return {("source", request.source), ("format", request.format), *sinks}


def _owners(participants: Iterable[Participant], registry: Registry) -> Iterable[Owner]:
    for kind, name in participants:
        try:
            yield Owner(kind, name, registry.load(kind, name).object.options_type)
        except TailraceError:
            # One that is not there any more, perhaps why another one is asked for: nobody knows its options by now.
            continue


def _falls_away(name: str, owners: list[Owner], gone: set[Participant], moved: set[str]) -> bool:
    """Whether everybody who has an option is gone, or must not take it along."""
    try:
        dealt = deal({name: None}, owners)
    except RequestError:
        # Nobody has it, or several do: said where the request is made ready.
        return False
    holders = [owner for owner, options in zip(owners, dealt, strict=True) if options]
    return all(
        (owner.kind, owner.name) in gone or (owner.kind in moved and _is_secret(owner, name)) for owner in holders
    )


def _is_secret(owner: Owner, name: str) -> bool:
    field = next(field for field in attrs.fields(owner.options_type) if field.name == name.rpartition(".")[2])
    return bool(field.metadata.get("secret"))


def _same_option(one: str, other: str) -> bool:
    """Whether two names are those of one option: with the plugin's before it or without."""
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")
