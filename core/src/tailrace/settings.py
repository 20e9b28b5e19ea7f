"""Settings: ``tailrace.toml``, then ``TAILRACE_…`` variables; the last one wins.

::

    # tailrace.toml
    user = "ops"

    [plugins]
    deny = ["sink.webhook"]

    [plugins.prefer]
    "format.csv" = "tailrace-format-csv"

The same from the environment: ``TAILRACE_USER=ops``, ``TAILRACE_PLUGINS_DENY=sink.webhook``,
``TAILRACE_PLUGINS_PREFER=format.csv=tailrace-format-csv``; several items are separated by commas, and an empty variable
counts as none. ``TAILRACE_CONFIG`` names another file. Unknown keys and variables are errors: a misspelt deny list must
not pass silently.
"""

import contextlib
import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs

from tailrace.model.errors import ConfigurationError, OptionError
from tailrace.plugins.selection import PluginSelection

if TYPE_CHECKING:
    from typed_settings.types import LoadedSettings, OptionList

FILE_NAME = "tailrace.toml"
PREFIX = "TAILRACE_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"


def _default_home() -> Path:
    import platformdirs

    # A container may run under a number that has no home, and without the variable: newer versions raise, older ones
    # leave the tilde in place.
    with contextlib.suppress(RuntimeError):
        home = platformdirs.user_data_path("tailrace", appauthor=False)
        if home.is_absolute():
            return home
    message = "There is no home folder for this user, so Tailrace does not know where to keep its own files."
    raise ConfigurationError(message, hint=f"Name a folder: set {PREFIX}HOME, or HOME.")


@attrs.frozen
class CredentialSettings:
    """What may be done to user names and passwords.

    Args:
        allowed: Credential modes that exports may use; all of them when empty.
    """

    allowed: tuple[Literal["full", "sanitized", "reference"], ...] = ()


@attrs.frozen
class VaultSettings:
    """Which keys seal, open, sign and are trusted: references to keys, never keys; see :mod:`tailrace.vault.keyring`.

    Args:
        openers: Who can open what mode ``full`` seals, where an export does not say.
        keys: What imports open with, where they do not say.
        signing_key: What manifests are signed with; empty to leave them unsigned.
        trusted: Public keys of signers; with any, an export that is not signed by one of them is not accepted.
    """

    openers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    signing_key: str = ""
    trusted: tuple[str, ...] = ()


@attrs.frozen
class Settings:
    """What is set for an engine, apart from the single export.

    Args:
        home: Folder for what Tailrace keeps: its key for reference ids, files in the making. Relative paths count from
            the settings file's folder, or from the working folder when the variable names them.
        user: Who exports when nobody says so; empty for the operating system's user.
        plugins: Which plugins may be used.
        credentials: What may be done to user names and passwords.
        vault: Which keys seal, open, sign and are trusted.
    """

    home: Path = attrs.field(factory=_default_home)
    user: str = ""
    plugins: PluginSelection = attrs.field(factory=PluginSelection)
    credentials: CredentialSettings = attrs.field(factory=CredentialSettings)
    vault: VaultSettings = attrs.field(factory=VaultSettings)


def load_settings(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Load the settings.

    Args:
        config: The settings file; by default the one that ``TAILRACE_CONFIG`` names, else ``tailrace.toml`` in the
            working folder if there is one.
        environ: Environment variables; those of the process by default.

    Raises:
        ConfigurationError: A file that is not there or not TOML, an unknown key, a value of the wrong type.
    """
    given = os.environ if environ is None else environ
    variables = {name: text for name, text in given.items() if name.startswith(PREFIX) and text}
    named = variables.pop(CONFIG_VARIABLE, "")
    path = config or (Path(named) if named else None)
    if path is None and Path(FILE_NAME).is_file():
        path = Path(FILE_NAME)
    if path is None and not variables:
        return Settings()
    return _load(path, variables)


def _load(path: Path | None, variables: Mapping[str, str]) -> Settings:
    # Imported here because most runs have neither file nor variables, and these take longer than the rest of the start.
    import typed_settings
    from typed_settings.converters import PathConverter, TSConverter
    from typed_settings.types import LoadedSettings, LoaderMeta

    class FromHome(PathConverter):
        """Knows ``~``, apart from what relative paths count from."""

        def __call__(self, value: Any, cls: Any) -> Any:
            return super().__call__(os.path.expanduser(value), cls)  # noqa: PTH111 - leaves unknown users as they are

    def from_file(settings_cls: type, options: "OptionList") -> "LoadedSettings":  # noqa: ARG001 - a Loader
        if path is None:
            return LoadedSettings({}, LoaderMeta("no file"))
        return LoadedSettings(_read_file(path), LoaderMeta("file", base_dir=path.absolute().parent))

    def from_environment(settings_cls: type, options: "OptionList") -> "LoadedSettings":  # noqa: ARG001 - a Loader
        return LoadedSettings(_read_environment(variables, options), LoaderMeta("environment"))

    # Both loaders check strictly what they read: this converter only makes paths and tuples of it.
    converter = TSConverter(strlist_sep=None)
    converter.scalar_converters[Path] = FromHome()
    return typed_settings.load_settings(Settings, [from_file, from_environment], converter=converter)


def _read_file(path: Path) -> dict[str, Any]:
    import tomllib

    from tailrace.model.convert import StructureError, structure

    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"The settings file {path} does not exist.") from None
    except OSError as error:
        raise ConfigurationError(f"The settings file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"The settings file {path} is not UTF-8 text.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"The settings file {path} is not TOML: {error}.") from None
    try:
        structure(values, Settings, what=f"The settings file {path}")
    except StructureError as error:
        raise ConfigurationError(error.message, hint="The settings are described in tailrace.settings.") from None
    return values


def _read_environment(variables: Mapping[str, str], options: "OptionList") -> dict[str, Any]:
    from typed_settings.dict_utils import set_path

    from tailrace.model.textual import value_from_text

    known = {PREFIX + option.path.upper().replace(".", "_"): option for option in options}
    values: dict[str, Any] = {}
    for variable, text in sorted(variables.items()):
        if variable not in known:
            raise _unknown_variable(variable, [*known, CONFIG_VARIABLE])
        option = known[variable]
        try:
            set_path(values, option.path, value_from_text(text, option.cls, variable))
        except OptionError as error:
            expected = error.message.partition(": ")[2]
            raise ConfigurationError(f"The environment variable {variable} cannot be used: {expected}") from None
    return values


def _unknown_variable(variable: str, known: list[str]) -> ConfigurationError:
    close = difflib.get_close_matches(variable, known, n=1, cutoff=0.6)
    guess = f"Did you mean {close[0]}? " if close else ""
    return ConfigurationError(
        f"There is no setting for the environment variable {variable}.",
        hint=f"{guess}There is: {', '.join(sorted(known))}.",
    )
