"""Whose option is it: dealing the options of a request out to source, format and sinks."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from tailrace.model.errors import OptionError, UnknownNameError


@attrs.frozen
class Owner:
    """A plugin that takes part and may own options.

    Args:
        kind: ``"source"``, ``"format"`` or ``"sink"``.
        name: Name of the plugin, the prefix in ``name.option``; ``kind.name.option`` says the same of one kind only.
        options_type: attrs class of its options.
    """

    kind: str
    name: str
    options_type: type

    @property
    def declared(self) -> tuple[str, ...]:
        """The options it declares."""
        return tuple(field.name for field in attrs.fields(self.options_type))

    @property
    def address(self) -> str:
        """Kind and name, which no other plugin of an export has."""
        return f"{self.kind}.{self.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def deal(options: Mapping[str, Any], owners: Sequence[Owner]) -> tuple[dict[str, Any], ...]:
    """Deal options out to the plugins that declare them.

    Args:
        options: By name, or by ``plugin.name`` where several plugins declare that name.
        owners: The plugins that take part.

    Returns:
        The options of each owner, in the order of ``owners``.

    Raises:
        UnknownNameError: An option that nobody declares.
        OptionError: One that several declare, without the plugin's name before it.
    """
    dealt: tuple[dict[str, Any], ...] = tuple({} for _ in owners)
    for key, value in options.items():
        prefix, dot, rest = key.rpartition(".")
        named = [index for index, owner in enumerate(owners) if dot and prefix in {owner.name, owner.address}]
        name = rest if named else key
        holders = [index for index in named or range(len(owners)) if name in owners[index].declared]
        # The same sink twice (two folders) is one plugin: an option without further address is meant for both.
        if not holders:
            candidates = [owners[index] for index in named] or list(owners)
            known = dict.fromkeys(option for owner in candidates for option in owner.declared)
            raise UnknownNameError("option", name, known, where=", ".join(dict.fromkeys(map(str, candidates))))
        plugins = {owners[index].address: owners[index].name for index in holders}
        if len(plugins) > 1:
            whose = plugins.values() if len(set(plugins.values())) == len(plugins) else plugins
            raise OptionError(
                key,
                "several plugins of this export have one of that name.",
                hint="Say whose: " + " or ".join(f"{plugin}.{name}" for plugin in whose),
            )
        for index in holders:
            dealt[index][name] = value
    return dealt
