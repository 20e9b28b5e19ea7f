"""What an export, or a template, is told on the command line: what to export, as what, where to."""

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import attrs
from cyclopts import Group, Parameter
from cyclopts.validators import Number

from tailrace.cli.session import Session
from tailrace.cli.wishes import wishes_of
from tailrace.model.errors import OptionError, RequestError
from tailrace.model.request import CredentialMode, ExportRequest, SinkRequest
from tailrace.plugins.catalogue import first_party_distribution

if TYPE_CHECKING:
    from tailrace.model.request import CompressionLevel

SELECT = Group.create_ordered("What to export")
WRITE = Group.create_ordered("How to write it")
_TELL = Group.create_ordered("Whom to tell")

Texts = tuple[str, ...]
Level = Literal[1, 2, 3, 4, 5, 6, 7, 8, 9, "fast"]
Removable = Literal["columns", "where", "since", "until", "sort", "limit", "opener", "tz", "option", "notify"]
"""What ``--without`` takes from a template."""

# Types that admit None would take the word "none" for it.
NOT_GIVEN = cast("str", None)
_NO_MODE = cast("CredentialMode", None)
_NO_NUMBER = cast("int", None)
_NO_LEVEL = cast("Level", None)
_NO_ANSWER = cast("bool", None)

_FIELDS = {"opener": "openers", "tz": "time_zone", "option": "options"}
"""Names in a request that differ from those on the command line."""


@Parameter(name="*")
@attrs.frozen
class RequestOptions:
    """What was said about a request; None, and nothing at all, where nothing was."""

    from_: Annotated[str, Parameter(name="--from", group=SELECT)] = NOT_GIVEN
    """Where it reads: a URI such as proxywhirl:///path/to.db, or a path."""
    columns: Annotated[Texts, Parameter(group=SELECT, negative=())] = ()
    """Columns to keep, in this order, separated by commas; new=old renames."""
    where: Annotated[Texts, Parameter(group=SELECT, negative=(), allow_leading_hyphen=True)] = ()
    """Keep only rows for which this holds: "http_status >= 500". Several must all hold."""
    since: Annotated[str, Parameter(group=SELECT)] = NOT_GIVEN
    """From this time on: 2026-08-15, 2026-08-15T12:00Z, or 7d before now."""
    until: Annotated[str, Parameter(group=SELECT)] = NOT_GIVEN
    """Before this time."""
    sort: Annotated[Texts, Parameter(group=SELECT, negative=(), allow_leading_hyphen=True)] = ()
    """Columns to sort by, separated by commas; -column sorts downwards."""
    limit: Annotated[int, Parameter(group=SELECT, validator=Number(gte=0))] = _NO_NUMBER
    """Keep at most this many rows of each table."""
    map_: Annotated[Texts, Parameter(name="--map", group=SELECT, negative=())] = ()
    """canonical=column, where a column has a name of its own; as often as needed."""
    credentials: Annotated[CredentialMode, Parameter(group=SELECT)] = _NO_MODE
    """What happens to user names and passwords: they are sealed (full), removed (sanitized, the default where it is
    allowed), or replaced by ids (reference)."""
    opener: Annotated[Texts, Parameter(group=SELECT, negative=())] = ()
    """Who can open what is sealed: file:PATH, env:NAME, keyring:NAME, password, or a recipient's public key; as often
    as needed. The setting vault.openers if not given."""
    format_: Annotated[str, Parameter(name="--format", group=WRITE)] = NOT_GIVEN
    """Name of the format: csv, json …"""
    to: Annotated[Texts, Parameter(group=WRITE, negative=())] = ()
    """Where to deliver: a folder, or SINK:TARGET; as often as needed."""
    tz: Annotated[str, Parameter(group=WRITE)] = NOT_GIVEN
    """Time zone to show times in: Europe/Berlin. UTC if not given."""
    compress: Annotated[bool, Parameter(group=WRITE)] = _NO_ANSWER
    """Gzip the file (the default), or leave it as it is."""
    compress_level: Annotated[Level, Parameter(group=WRITE)] = _NO_LEVEL
    """1 (quick) to 9 (small), or fast. 6 if not given."""
    option: Annotated[Texts, Parameter(group=WRITE, negative=())] = ()
    """name=value for source, format or sink; plugin.name=value where several have it."""
    notify: Annotated[Texts, Parameter(group=_TELL, negative=())] = ()
    """Who is told how it ended: in-app, email:ADDRESS, webhook:URL, or nobody; as often as needed. You, as you prefer,
    if not given: tailrace notifications prefer."""
    notify_on: Annotated[Texts, Parameter(group=_TELL, negative=())] = ()
    """What they are told about: completed, failed, partly-delivered, separated by commas. All of it if not given."""

    def changes(self, source: str, session: Session) -> dict[str, Any]:
        """What was given, by the names of :class:`~tailrace.model.request.ExportRequest`.

        Args:
            source: Name of the source, if it was given.
            session: Knows the sinks that there are.

        Raises:
            OptionError: ``--option`` or ``--map`` without a name or a value.
            RequestError: ``--notify`` that cannot be.
        """
        said: dict[str, Any] = {
            "source": source,
            "location": self.from_,
            "format": self.format_,
            "since": self.since,
            "until": self.until,
            "time_zone": self.tz,
            "limit": self.limit,
            "credentials": self.credentials,
            "compress": self.compress,
            "compress_level": cast("CompressionLevel", self.compress_level),
        }
        lists = {
            "sinks": tuple(sink_of(text, session) for text in self.to),
            "columns": _split(self.columns),
            "where": self.where,
            "sort": _split(self.sort),
            "openers": self.opener,
            "options": options_of(self.option, self.map_),
        }
        # Nobody is an answer, too.
        said["notify"] = wishes_of(self.notify, self.notify_on, flag="--notify-on")
        given = {name: value for name, value in said.items() if value is not None}
        return given | {name: value for name, value in lists.items() if value}


NOTHING_SAID = RequestOptions()


def new_request(
    source: str, options: RequestOptions, session: Session, *, command: str, instead: str = ""
) -> ExportRequest:
    """The request that was made on the command line alone.

    Args:
        source: Name of the source, if it was given.
        options: What else was said.
        session: The command that asks.
        command: What it is called, for errors: ``"tailrace export"``.
        instead: What may be done in place of giving what is missing, for errors: goes on behind ``See: …``.

    Raises:
        RequestError: Source, location or format is missing, or something cannot be.
    """
    for value, name in ((source, "SOURCE"), (options.from_, "--from"), (options.format_, "--format")):
        if value is None:
            raise RequestError(f"{command} needs {name}.", hint=f"See: {command} --help{instead}")
    defaults = {"sinks": (SinkRequest("disk"),), "credentials": _default_mode(session)}
    return ExportRequest(**defaults | options.changes(source, session))


def changed_request(
    request: ExportRequest, source: str, options: RequestOptions, without: Collection[Removable], session: Session
) -> ExportRequest:
    """A request of a template, with what was given on the command line in place of what it says.

    Args:
        request: What the template says.
        source: Name of the source, if it was given.
        options: What else was said.
        without: What is taken away from the template first.
        session: The command that asks.

    Raises:
        RequestError: Something cannot be.
    """
    from tailrace.work.overrides import overridden

    defaults = {field.name: _default(field) for field in attrs.fields(ExportRequest)}
    names = [_FIELDS.get(name, name) for name in without]
    bare = attrs.evolve(request, **{name: defaults[name] for name in names})
    return overridden(bare, options.changes(source, session), session.engine.registry)


def _default(field: "attrs.Attribute[Any]") -> Any:
    return {} if isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type]  # a class


def _default_mode(session: Session) -> CredentialMode:
    """``sanitized``, or what the policy allows instead; never ``full`` without being asked for."""
    allowed = session.settings.credentials.allowed
    others = [CredentialMode(mode) for mode in allowed if mode != "full"]
    return CredentialMode.SANITIZED if not others or CredentialMode.SANITIZED in others else others[0]


def _split(texts: Texts) -> Texts:
    return tuple(part.strip() for text in texts for part in text.split(",") if part.strip())


def sink_of(text: str, session: Session) -> SinkRequest:
    """What ``--to`` means: ``NAME:TARGET``, the name of a sink, or a path."""
    name, colon, target = text.partition(":")
    # One letter and a colon is a drive.
    if colon and re.fullmatch(r"[a-z][a-z0-9_-]+", name):
        return SinkRequest(name, target or None)
    installed = {entry.name for entry in session.engine.registry.entries() if entry.kind == "sink"}
    # The name of a sink that could be installed is not taken for a folder either: the engine says how to get it.
    if text in installed or first_party_distribution("sink", text):
        return SinkRequest(text)
    return SinkRequest("disk", text)


def options_of(pairs: Collection[str], mappings: Collection[str]) -> Mapping[str, str]:
    """What ``--option`` and ``--map`` mean.

    Raises:
        OptionError: One without a name or a value.
    """
    options = dict(_pair(text, "--option", "name=value") for text in pairs)
    if mappings:
        renamed = dict(_pair(text, "--map", "canonical=column") for text in mappings)
        given = [options["map"]] if "map" in options else []
        options["map"] = ",".join([*given, *(f"{name}={column}" for name, column in renamed.items())])
    return options


def _pair(text: str, flag: str, shape: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise OptionError(flag, f"expected {shape}.", hint=f"For example: {flag} {shape}")
    return name.strip(), value
