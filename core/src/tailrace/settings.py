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
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs

from tailrace.model.brand import Brand
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


def _between(least: float, most: float = math.inf) -> Callable[[object, "attrs.Attribute[float]", float], None]:
    """A validator of numbers, both bounds included."""

    def check(_settings: object, attribute: "attrs.Attribute[float]", value: float) -> None:
        if not least <= value <= most:
            bounds = f"at least {least:g}" if most == math.inf else f"{least:g} to {most:g}"
            raise ConfigurationError(f"{attribute.name} is {bounds}")

    return check


def _number(default: Any, least: float, most: float = math.inf) -> Any:
    return attrs.field(default=default, validator=_between(least, most))


def _mail_addresses(_settings: object, attribute: "attrs.Attribute[Any]", value: tuple[str, ...]) -> None:
    if not all(re.fullmatch(r"[^\s@,;<>]+@[^\s@,;<>]+", address) for address in value):
        raise ConfigurationError(f"{attribute.name} are mail addresses: ops@example.com")


def _web_address(_settings: object, attribute: "attrs.Attribute[Any]", value: str) -> None:
    if value and not re.fullmatch(r"https?://[^\s@?#]+", value):
        raise ConfigurationError(f"{attribute.name} is an address such as https://exports.example.com")


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
class StoreSettings:
    """Where jobs, templates and the audit trail are kept.

    Args:
        url: ``postgresql://user:password@host/database``, or ``sqlite:///path``; empty for a file in the home.
        key: File with the key that seals requests in the store: ``store.key`` in the home when empty. All workers of
            one store need the same.
    """

    url: str = attrs.field(default="", repr=False)
    key: str = ""


@attrs.frozen
class JobSettings:
    """How exports are carried out in the background.

    Args:
        background_from: Estimated bytes from which the command line submits an export instead of waiting for it.
        timeout: Seconds that a job may take, over all its phases; 0 for no limit.
        lease: Seconds after which a job is taken from a worker that is not heard of.
        attempts: How often a job is tried that fails for now (a locked database, a server away).
        first_delay: Seconds before the second try; doubled for each further one.
        longest_delay: Seconds at most between two tries.
        jitter: Share of a delay that is left to chance, so that many do not come back at once: 0 to 1.
        most_losses: How many workers a job may take with it before it is put aside.
        isolate: Whether a job gets a process of its own: ``auto`` where plugins of others take part or where it took a
            worker with it before, ``always``, or ``never``.
        memory: Bytes of memory that such a process may take; 0 for no limit.
    """

    background_from: int = _number(10_000_000, 0)
    timeout: float = _number(0.0, 0)
    lease: float = _number(30.0, 0.1)
    attempts: int = _number(5, 1)
    first_delay: float = _number(2.0, 0)
    longest_delay: float = _number(300.0, 0)
    jitter: float = _number(0.5, 0, 1)
    most_losses: int = _number(3, 1)
    isolate: Literal["auto", "always", "never"] = "auto"
    memory: int = _number(2_000_000_000, 0)


@attrs.frozen
class WorkerSettings:
    """What a worker takes of its machine.

    Args:
        concurrency: Jobs at a time.
        poll: Seconds between two looks for work.
        drain: Seconds that running jobs get to finish when the worker is asked to stop; what still runs is given back.
        nice: By how much the worker is nicer to other processes than usual: 0 to 19.
        threads: Threads that polars computes with; 0 for as many as there are processors.
    """

    concurrency: int = _number(2, 1, 64)
    poll: float = _number(0.5, 0.01)
    drain: float = _number(7.0, 0)
    nice: int = _number(0, 0, 19)
    threads: int = _number(0, 0)


@attrs.frozen
class ScheduleSettings:
    """How schedules are kept to.

    Args:
        grace: Seconds by which a slot may be late without counting as missed.
        catch_up: How many missed slots are made up for at most, where a schedule asks for all of them.
        history: Days for which the history of schedules is kept; 0 for ever.
    """

    grace: float = _number(60.0, 1)
    catch_up: int = _number(100, 1, 10_000)
    history: float = _number(400.0, 0)


@attrs.frozen
class RetentionSettings:
    """Which files of finished jobs are kept; what several rules keep is kept once, pinned ones always.

    Args:
        days: Age in days from which a file is removed; 0 for no limit.
        total_size: Bytes that all files together may have; the oldest go first. 0 for no limit.
        keep_last: Of each kind of export, the newest that are kept whatever their age.
        keep_daily: Of each kind, the newest of each of so many days.
        keep_weekly: The same by week.
        keep_monthly: The same by month.
        keep_yearly: The same by year.
        daily: Whether workers apply this once a day.
    """

    days: float = _number(30.0, 0)
    total_size: int = _number(0, 0)
    keep_last: int = _number(0, 0)
    keep_daily: int = _number(0, 0)
    keep_weekly: int = _number(0, 0)
    keep_monthly: int = _number(0, 0)
    keep_yearly: int = _number(0, 0)
    daily: bool = True


@attrs.frozen
class DeliverySettings:
    """How finished files, and messages, are taken to those who are to have them.

    With the numbers below, what fails for now is tried twelve times over about six hours: after 10, 20, 40, 80, 160,
    320, 640, 1280, 2560, 5120 and 10240 seconds, each less up to half of it by chance.

    Args:
        attempts: How often a delivery is tried that fails for now (a server away, a mailbox busy).
        first_delay: Seconds before the second try; doubled for each further one.
        longest_delay: Seconds at most between two tries, also where the other side asks for more.
        jitter: Share of a delay that is left to chance, 0 to 1.
        parallel: Deliveries of one export that are under way at a time.
        link: Address under which the HTTP API of this engine is reached, such as ``https://exports.example.com``: mails
            and webhooks say where to fetch the file. Empty where it is fetched by command.
        link_lifetime: Seconds that a download link can be used.
    """

    attempts: int = _number(12, 1, 100)
    first_delay: float = _number(10.0, 0)
    longest_delay: float = _number(14_400.0, 0)
    jitter: float = _number(0.5, 0, 1)
    parallel: int = _number(8, 1, 64)
    link: str = attrs.field(default="", validator=_web_address)
    link_lifetime: float = _number(900.0, 1)


@attrs.frozen
class NotificationSettings:
    """Who is told what, besides what users wish themselves.

    Args:
        admins: Mail addresses that are told when scheduled work fails.
    """

    admins: tuple[str, ...] = attrs.field(default=(), validator=_mail_addresses)


@attrs.frozen
class Settings:
    """What is set for an engine, apart from the single export.

    Args:
        home: Folder for what Tailrace keeps: its store, its key for reference ids, files in the making. Relative paths
            count from the settings file's folder, or from the working folder when the variable names them.
        user: Who exports when nobody says so; empty for the operating system's user.
        admins: Users who may do everything with the jobs and templates of everybody. So may root, and the owner of the
            home in which the store is a file, where no other user is set.
        plugins: Which plugins may be used.
        credentials: What may be done to user names and passwords.
        vault: Which keys seal, open, sign and are trusted.
        store: Where jobs, templates and the audit trail are kept.
        jobs: How exports are carried out in the background.
        worker: What a worker takes of its machine.
        schedules: How schedules are kept to.
        retention: Which files of finished jobs are kept.
        delivery: How finished files are taken to those who are to have them.
        notifications: Who is told what.
        brand: How documents look.
        sinks: Settings of sinks by name, such as the mail server: see the page of the sink.
    """

    home: Path = attrs.field(factory=_default_home)
    user: str = ""
    admins: tuple[str, ...] = ()
    plugins: PluginSelection = attrs.field(factory=PluginSelection)
    credentials: CredentialSettings = attrs.field(factory=CredentialSettings)
    vault: VaultSettings = attrs.field(factory=VaultSettings)
    store: StoreSettings = attrs.field(factory=StoreSettings)
    jobs: JobSettings = attrs.field(factory=JobSettings)
    worker: WorkerSettings = attrs.field(factory=WorkerSettings)
    schedules: ScheduleSettings = attrs.field(factory=ScheduleSettings)
    retention: RetentionSettings = attrs.field(factory=RetentionSettings)
    delivery: DeliverySettings = attrs.field(factory=DeliverySettings)
    notifications: NotificationSettings = attrs.field(factory=NotificationSettings)
    brand: Brand = attrs.field(factory=Brand)
    sinks: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict, repr=False)


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
    _check(values, f"The settings file {path}")
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
    _check(values, f"What {PREFIX}… variables say")
    return values


def _check(values: Mapping[str, Any], what: str) -> None:
    from tailrace.model.convert import StructureError, structure

    try:
        structure(values, Settings, what=what)
    except StructureError as error:
        raise ConfigurationError(error.message, hint="The settings are described in tailrace.settings.") from None


def _unknown_variable(variable: str, known: list[str]) -> ConfigurationError:
    close = difflib.get_close_matches(variable, known, n=1, cutoff=0.6)
    return ConfigurationError(
        f"There is no setting for the environment variable {variable}.",
        hint=f"Did you mean {close[0]}?" if close else f"There is: {', '.join(sorted(known))}.",
    )
