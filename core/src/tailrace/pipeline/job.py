"""A request, made ready: plugins loaded, options built, texts read. All that can fail before data is touched."""

import difflib
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import attrs

from tailrace.model.brand import Brand
from tailrace.model.context import Context
from tailrace.model.convert import StructureError, structure, unstructure
from tailrace.model.dataset import Dataset, Table
from tailrace.model.errors import ConfigurationError, PluginContractError, RequestError, SourceError, TailraceError
from tailrace.model.job import User
from tailrace.model.manifest import SCHEMA_VERSION, IncrementRecord
from tailrace.model.options import build_options
from tailrace.model.request import CompressionLevel, ExportRequest, TimeRange
from tailrace.pipeline import expressions
from tailrace.pipeline.foreign import REPORT_IT, foreign_errors
from tailrace.pipeline.record import column_records
from tailrace.pipeline.routing import Owner, deal
from tailrace.pipeline.transform import Selection
from tailrace.plugins.catalogue import first_party_distribution
from tailrace.plugins.kinds import FileLayout, Format, Source, SourceCall
from tailrace.plugins.pools import PoolTarget
from tailrace.plugins.registry import LoadedPlugin, Registry
from tailrace.plugins.sinks import Configurable, HttpClient, Sink, StagingCall, TargetChecker, no_secrets
from tailrace.reading.userinfo import redacted
from tailrace.vault.keys import SigningKey
from tailrace.vault.sealing import Vault
from tailrace.vault.values import bound_columns_missing

log = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _nothing(_request: ExportRequest) -> None:
    return None


@attrs.frozen
class Host:
    """What the application that embeds the engine gave to it.

    Args:
        clock: Says what time it is, with its zone.
        http: Sends requests for sinks; None for connections of their own.
        pools: Pools that it keeps itself, by name.
        needs: What of all that a request cannot do without; None for nothing.
    """

    clock: Callable[[], datetime] = _utc_now
    http: HttpClient | None = None
    pools: Mapping[str, PoolTarget] = attrs.field(factory=dict)
    needs: Callable[[ExportRequest], str | None] = _nothing


@attrs.frozen
class Destination:
    """A sink with its options, ready to be called."""

    plugin: LoadedPlugin[Sink]
    target: str | None
    options: Any = attrs.field(repr=False)
    settings: Any = attrs.field(default=None, repr=False)


@attrs.frozen
class Job:
    """A request with its plugins loaded and its options built: everything that can fail before data is touched.

    Args:
        request: What was asked for.
        export_id: Unique to this run.
        user: Who asked.
        now: When it began, UTC.
        source: Loaded source.
        source_options: Its options.
        format: Loaded format.
        format_options: Its options.
        layout: How its files look with them.
        destinations: Loaded sinks.
        selection: What to do to the tables.
        reference: Makes ids for secrets.
        vault: Seals secrets, in credential mode ``full``.
        signing_key: Signs the manifests, where one is set.
        folder: Folder that relative paths count from: the working folder of whoever asked.
        secret: Reveals secrets that the settings of sinks refer to.
        link: Where whoever may can fetch the files; empty where that is not known.
        increment: Which part of a chain it makes, with all files of the part before; None when it makes none.
        brand: How documents look.
        registry: The plugins, for sources that are made of others.
        host: What the application gave to the engine.
    """

    request: ExportRequest
    export_id: str
    user: User
    now: datetime
    source: LoadedPlugin[Source]
    source_options: Any = attrs.field(repr=False)
    format: LoadedPlugin[Format]
    format_options: Any = attrs.field(repr=False)
    layout: FileLayout
    destinations: tuple[Destination, ...]
    selection: Selection
    reference: Callable[..., str] = attrs.field(repr=False)
    vault: Vault | None = attrs.field(default=None, repr=False)
    signing_key: SigningKey | None = attrs.field(default=None, repr=False)
    folder: Path = Path()
    secret: Callable[[str], str] = attrs.field(default=no_secrets, repr=False)
    link: str = ""
    increment: IncrementRecord | None = None
    brand: Brand = attrs.field(factory=Brand)
    registry: Registry = attrs.field(factory=Registry, repr=False)
    host: Host = attrs.field(factory=Host, repr=False)

    @classmethod
    def prepare(
        cls,
        request: ExportRequest,
        *,
        registry: Registry,
        export_id: str,
        user: User,
        now: datetime,
        reference: Callable[..., str],
        vault: Vault | None = None,
        signing_key: SigningKey | None = None,
        folder: Path = Path(),
        sinks: Mapping[str, Mapping[str, Any]] | None = None,
        secret: Callable[[str], str] = no_secrets,
        link: str = "",
        brand: Brand | None = None,
        host: Host | None = None,
    ) -> "Job":
        """Load the plugins and read the request; ``sinks`` are the settings of sinks, by name.

        Raises:
            RequestError: Something in the request cannot be.
            ConfigurationError: The settings of a sink cannot be used.
            PluginError: A plugin cannot be used.
        """
        source, format_ = registry.source(request.source), registry.format(request.format)
        loaded = [registry.sink(sink.name) for sink in request.sinks]
        owners = [
            Owner("source", source.name, source.object.options_type),
            Owner("format", format_.name, format_.object.options_type),
            *(Owner("sink", sink.name, sink.object.options_type) for sink in loaded),
        ]
        for_source, for_format, *for_sinks = deal(request.options, owners)
        format_options = _options(owners[1], for_format)
        with foreign_errors("format", format_.name):
            layout = format_.object.layout(format_options)
        if not isinstance(layout, FileLayout):
            message = f"Format {format_.name} returned {type(layout).__name__} instead of a FileLayout."
            raise PluginContractError(format_.name, message, hint=REPORT_IT)
        return cls(
            request=request,
            export_id=export_id,
            user=user,
            now=now,
            source=source,
            source_options=_options(owners[0], for_source),
            format=format_,
            format_options=format_options,
            layout=layout,
            destinations=tuple(
                Destination(
                    sink,
                    asked.target,
                    _options(owner, {**common, **asked.options}),
                    sink_settings(sink, sinks or {}),
                )
                for sink, asked, common, owner in zip(loaded, request.sinks, for_sinks, owners[2:], strict=True)
            ),
            selection=Selection.of(request, now),
            reference=reference,
            vault=vault,
            signing_key=signing_key,
            folder=folder,
            secret=secret,
            link=link,
            brand=brand or Brand(),
            registry=registry,
            host=host or Host(),
        )

    @property
    def needs(self) -> str | None:
        """What only some applications give to their workers, such as ``"source orders"``; None for nothing."""
        return self.host.needs(self.request)

    def check_targets(self) -> None:
        """Let every sink that can judge its target beforehand do so; nothing is read, made or opened.

        Raises:
            RequestError: A target, or a pattern for names, can never work.
            PluginContractError: A sink fails at it.
        """
        for number, destination in enumerate(self.destinations):
            sink = destination.plugin
            with foreign_errors("sink", sink.name):
                if isinstance(sink.object, TargetChecker):
                    sink.object.check_target(self.staging_call(number))

    def offered_folder(self, number: int) -> Path | None:
        """Where the sink of a destination would like files to be made; None for anywhere.

        Raises:
            RequestError: It refuses its target.
            StorageError: The folder cannot be written to.
            PluginContractError: It offers something else.
        """
        sink = self.destinations[number].plugin
        with foreign_errors("sink", sink.name):
            folder = sink.object.staging(self.staging_call(number))
        if folder is not None and not isinstance(folder, Path):
            message = f"Sink {sink.name} offers {type(folder).__name__} instead of a folder to make the file in."
            raise PluginContractError(sink.name, message, hint=REPORT_IT)
        return folder

    def staging_call(self, number: int) -> StagingCall:
        """What the sink of a destination is asked about its target."""
        destination = self.destinations[number]
        return StagingCall(destination.target, destination.options, self._own_fields, self.folder, destination.settings)

    @cached_property
    def _own_fields(self) -> Mapping[str, str]:
        # Asked for each of perhaps a thousand recipients.
        return self.fields(self.source.name)

    def reading(self, dataset: Dataset) -> "Job":
        """The same job, knowing what the source has done already."""
        return attrs.evolve(self, selection=attrs.evolve(self.selection, restricted=dataset.restricted))

    @contextmanager
    def open(self, context: Context) -> Iterator[Dataset]:
        """Open the source.

        Raises:
            SourceError: It cannot be read, or has nothing to offer.
        """
        call = SourceCall(
            location=self.request.location,
            options=self.source_options,
            credentials=self.request.credentials,
            moment=self.now,
            window=self.selection.window,
            reference=self.reference,
            context=context,
            seal=None if self.vault is None else self.vault.seal,
            folder=self.folder,
            where=self.request.where,
            time_zone=self.selection.zone.key,
            metrics=self.registry.metrics,
            pools=self.host.pools,
        )
        call = attrs.evolve(call, open_source=partial(self._open_another, call))
        with _entered(self.source, call) as dataset:
            self._check_sealed(dataset)
            yield dataset

    @contextmanager
    def _open_another(
        self,
        call: SourceCall,
        name: str,
        location: str,
        options: Mapping[str, Any],
        *,
        window: TimeRange | None = None,
        tables: Collection[str] | None = None,
    ) -> Iterator[Dataset]:
        """Open another source for the one that this job reads from.

        Raises:
            RequestError: It is asked for itself, or an option does not fit.
            PluginError: The other cannot be used.
            SourceError: It cannot be read.
        """
        if name == self.source.name:
            message = f"The source {name} cannot be made of itself."
            raise RequestError(message, hint="Name another source.")
        loaded = self.registry.source(name)
        built = _options(Owner("source", name, loaded.object.options_type), options)
        inner = attrs.evolve(
            call,
            location=location,
            options=built,
            where=(),
            open_source=None,
            window=window or call.window,
            tables=tables,
        )
        with _entered(loaded, inner) as dataset:
            yield dataset

    def _check_sealed(self, dataset: Dataset) -> None:
        """See that what is sealed can be opened again from the columns that are going to be written.

        Raises:
            RequestError: Columns are missing or renamed.
        """
        for table in dataset.tables:
            if table.sealed is None:
                continue
            asked = {name for text in self.request.where for name in expressions.columns_of(text)}
            asked |= {name for name, _down in self.selection.sort}
            hidden = sorted(asked & set(table.sealed.columns))
            if hidden:
                message = f"Nothing can be chosen or ordered by what is sealed: {', '.join(hidden)}."
                raise RequestError(message, hint="Choose by other columns, such as number, host or source.")
            pairs = self.selection.columns
            written = [old for new, old in pairs if new == old] if pairs else [column.name for column in table.columns]
            renamed = [old for new, old in pairs if new != old and old in table.sealed.columns]
            missing = bound_columns_missing(table.sealed.columns, table.sealed.bound_to, written)
            if renamed or missing:
                message = f"Sealed columns of {table.name} could not be opened again: "
                message += f"{', '.join(renamed)} renamed." if renamed else f"without {', '.join(missing)}."
                raise RequestError(
                    message, hint=f"Keep these columns under their names: {', '.join(table.sealed.bound_to)}."
                )

    def sealed_header(self, tables: Sequence[Table]) -> dict[str, Any] | None:
        """The header of what is sealed in these tables; None in other modes than ``full``."""
        if self.vault is None:
            return None
        return self.vault.header({table.name: table.sealed for table in tables if table.sealed}).document()

    @property
    def level(self) -> CompressionLevel | None:
        """Gzip level of the files, None where they are not gzipped."""
        return self.request.compress_level if self.request.compress and self.layout.compressible else None

    def files(self, tables: Sequence[Table]) -> list[tuple[str, tuple[Table, ...]]]:
        """Which tables go into which file, by the name that stands for ``{source}`` in its name."""
        name = self.source.name
        if self.layout.many_tables or len(tables) == 1:
            return [(name, tuple(tables))]
        return [(f"{name}-{table.name}", (table,)) for table in tables]

    def fields(self, source: str, tables: Sequence[Table] = ()) -> dict[str, str]:
        """Values for name patterns.

        Args:
            source: What the file is of: the source, or ``SOURCE-TABLE`` where each of several tables has its own file.
            tables: The tables in it, once they are known.
        """
        extension = self.layout.extension + (".gz" if self.level is not None else "")
        return {
            "source": source,
            "table": tables[0].name if len(tables) == 1 else self.source.name,
            "timestamp": self.now.strftime("%Y%m%dT%H%M%SZ"),
            "user": self.user.id,
            "format": self.format.name,
            "ext": extension,
            "year": self.now.strftime("%Y"),
            "month": self.now.strftime("%m"),
            "day": self.now.strftime("%d"),
            "id": self.export_id,
        }

    def embedded(self, tables: Sequence[Table]) -> dict[str, Any]:
        """The part of the manifest that is the same whenever the same data is exported with the same request."""
        described = []
        for table in tables:
            frame, columns = self.selection.apply(table)
            described.append(
                {"name": table.name, "columns": unstructure(column_records(frame.collect_schema(), columns))}
            )
        request = unstructure(self.request)
        request["where"] = [redacted(text) for text in self.request.where]
        keys = ("columns", "where", "since", "until", "time_zone", "sort", "limit")
        header = self.sealed_header(tables)
        return {
            "schema_version": SCHEMA_VERSION,
            "source": self.source.name,
            "credentials": self.request.credentials.value,
            "parameters": {key: request[key] for key in keys if request[key] not in (None, [], ())},
            "tables": described,
            **({"vault": header} if header else {}),
        }


def known_sinks(registry: Registry, given: Mapping[str, Any]) -> None:
    """Return where settings are given only to sinks that there are, or that are ours and may be installed yet.

    Args:
        registry: The plugins.
        given: What the settings say about sinks, by name.

    Raises:
        ConfigurationError: One is misspelt.
    """
    known = {entry.name for entry in registry.entries() if entry.kind == "sink"}
    for name in given:
        if name not in known and not first_party_distribution("sink", name):
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean [sinks.{close[0]}]?" if close else f"There is: {', '.join(sorted(known))}."
            raise ConfigurationError(f"There are settings [sinks.{name}], and no sink of that name.", hint=hint)


def sink_settings(sink: LoadedPlugin[Sink], given: Mapping[str, Mapping[str, Any]]) -> Any:
    """The settings of a sink; None where it has none.

    Args:
        sink: The sink.
        given: What the settings say about sinks, by name.

    Raises:
        ConfigurationError: They are not those that the sink has.
    """
    with foreign_errors("sink", sink.name):
        kind = sink.object.settings_type if isinstance(sink.object, Configurable) else None
    values = given.get(sink.name, {})
    if kind is None:
        if values:
            message = f"The sink {sink.name} has no settings, and [sinks.{sink.name}] gives it some."
            raise ConfigurationError(message, hint=f"Its options are options of a request: plugins show {sink.name}")
        return None
    try:
        # Validators are the plugin's own code.
        with foreign_errors("sink", sink.name):
            return structure(values, kind, what=f"What the settings say in [sinks.{sink.name}]")
    except StructureError as error:
        message = error.message
    raise ConfigurationError(message, hint=f"They are described on the page of the sink {sink.name}.")


def _options(owner: Owner, given: Mapping[str, Any]) -> Any:
    # Validators and converters are the plugin's own code.
    with foreign_errors(owner.kind, owner.name):
        options: Any = build_options(owner.options_type, given, owner=str(owner))
    return options


@contextmanager
def _entered(source: LoadedPlugin[Source], call: SourceCall) -> Iterator[Dataset]:
    """Open a source, whatever it does."""
    with foreign_errors("source", source.name):
        opened = source.object.open(call)
        dataset = opened.__enter__()
    try:
        with foreign_errors("source", source.name):
            _check_dataset(dataset, source.name)
        yield dataset
    except BaseException as error:
        # The source may put it in better words, but not keep it to itself.
        _close(source.name, opened, error)
        raise
    _close(source.name, opened, None)


def _close(name: str, opened: AbstractContextManager[Dataset], error: BaseException | None) -> None:
    try:
        with foreign_errors("source", name):
            if error is None:
                opened.__exit__(None, None, None)
            else:
                opened.__exit__(type(error), error, error.__traceback__)
    except TailraceError as failure:
        if error is not None and not isinstance(failure, PluginContractError):
            raise
        # By then all is read, or failed already: this changes nothing.
        log.warning("%s", failure.message)


def _check_dataset(dataset: object, source: str) -> None:
    import polars as pl

    if not isinstance(dataset, Dataset):
        message = f"Source {source} opened {type(dataset).__name__} instead of a Dataset."
        raise PluginContractError(source, message, hint=REPORT_IT)
    if not dataset.tables:
        message = f"Source {source} offers no table."
        raise SourceError(message, hint="Check what --from points at.")
    for table in dataset.tables:
        if not isinstance(table, Table) or not isinstance(table.frame, pl.LazyFrame):
            what = type(table.frame if isinstance(table, Table) else table).__name__
            message = f"Source {source} offers {what} instead of a Table with a LazyFrame."
            raise PluginContractError(source, message, hint=REPORT_IT)
        declared, actual = [column.name for column in table.columns], list(table.frame.collect_schema())
        if declared != actual:
            message = f"Source {source} describes columns {declared} of table {table.name}, and delivers {actual}."
            raise PluginContractError(source, message, hint=REPORT_IT)
    names = [table.name for table in dataset.tables]
    if len(set(names)) < len(names):
        message = f"Source {source} offers several tables of one name: {', '.join(names)}."
        raise PluginContractError(source, message, hint=REPORT_IT)
