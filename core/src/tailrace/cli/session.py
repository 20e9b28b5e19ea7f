"""What every command shares: its common options, its terminal, and the way to settings and engine."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import attrs
from cyclopts import Parameter

from tailrace.cli.terminal import Terminal

if TYPE_CHECKING:
    from tailrace.engine import Engine
    from tailrace.model.job import User
    from tailrace.plugins.registry import Registry
    from tailrace.settings import Settings


@Parameter(name="*", group="Common options")
@attrs.frozen
class Common:
    """Options that every command has."""

    json: Annotated[bool, Parameter(negative=())] = False
    """Print the result as one JSON document."""
    quiet: Annotated[bool, Parameter(alias="-q", negative=())] = False
    """Show neither messages nor progress."""
    debug: Annotated[bool, Parameter(negative=())] = False
    """Show tracebacks."""
    config: Path | None = None
    """The settings file, instead of tailrace.toml."""


COMMON = Common()


@attrs.define(slots=False)
class Session:
    """One run of one command."""

    terminal: Terminal
    common: Common = COMMON

    @cached_property
    def settings(self) -> "Settings":
        """The settings, loaded when first needed."""
        from tailrace.settings import load_settings

        return load_settings(self.common.config)

    @cached_property
    def user(self) -> "User":
        """Who asks: as the settings say, or the operating system's user."""
        return attrs.evolve(self.engine.system_user, agent="tailrace command line")

    @cached_property
    def registry(self) -> "Registry":
        """The plugins, without the rest of the engine."""
        from tailrace.plugins.registry import Registry

        return Registry(self.settings.plugins)

    @cached_property
    def engine(self) -> "Engine":
        """The engine."""
        from tailrace.cli.passwords import ask
        from tailrace.engine import Engine
        from tailrace.vault.keyring import Keyring

        return Engine(self.settings, keyring=Keyring(ask=ask))


Shared = Annotated[Session, Parameter(parse=False)]
"""Type of the parameter by which a command gets its session; the command line does not show it."""
