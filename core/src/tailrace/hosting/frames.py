"""Frames of the application that embeds the engine, as a source."""

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import attrs

from tailrace.hosting.keeping_out import KeepingOut
from tailrace.hosting.meanings import described, told_apart
from tailrace.model.columns import Column, Meaning
from tailrace.model.dataset import Dataset, Table
from tailrace.model.errors import PluginContractError, SourceError, TailraceError
from tailrace.plugins.hookspecs import hookimpl
from tailrace.plugins.kinds import SourceCall

if TYPE_CHECKING:
    import polars as pl

_log = logging.getLogger(__name__)

VERSION: Final = "tailrace-host-frames-1"
"""What manifests say about the kind of data."""

FrameFunction = Callable[[SourceCall], Any]
"""Gives frames: a ``LazyFrame``, a ``DataFrame``, a mapping of them by table, or a :class:`~tailrace.Dataset`; or
something that has to be awaited, or entered, for one of these."""


@attrs.frozen
class NoOptions:
    """No options at all."""


@attrs.frozen(eq=False)
class HostSource:
    """A source made of a function of the application, which is asked once each time that it is opened.

    Args:
        name: Its name, and that of its table where there is only one.
        function: Gives the frames.
        time_column: The column that time ranges apply to, in each table that has it; None for none.
        columns: What columns mean, by their names, where it is not what their types say.
        secrets: Columns that hold secrets, in each table that has them.
        bound: The columns that a row is known by: sealed secrets open only beside the same values of them.
        naive_zone: IANA zone that times without one are meant in; None to refuse them.
        summary: One sentence about it.
        options_type: The attrs class of its options.
    """

    name: str
    function: FrameFunction = attrs.field(repr=False)
    time_column: str | None = None
    columns: Mapping[str, Column | Meaning | str] = attrs.field(factory=dict)
    secrets: Sequence[str] = ()
    bound: Sequence[str] = ()
    naive_zone: str | None = None
    summary: str = "Frames of the application."
    options_type: type = NoOptions

    @property
    def __name__(self) -> str:
        """Where it comes from, for manifests: the module of the function."""
        return str(getattr(self.function, "__module__", None) or type(self.function).__module__)

    @hookimpl
    def tailrace_source(self) -> "HostSource":
        """Itself, for a registry."""
        return self

    @contextmanager
    def open(self, call: SourceCall) -> Iterator[Dataset]:
        """Ask the function, once, and offer what it gives.

        Args:
            call: Handed on to the function as it is.

        Raises:
            TailraceError: What the function raises of that kind.
            SourceError: It failed otherwise, or what it gives cannot be exported as it is.
            NotAllowedError: Mode ``full``, with secrets and no columns to bind them to.
        """
        with ExitStack() as stack:
            given = self._asked(call, stack)
            if isinstance(given, Dataset):
                self._check_nothing_is_ignored()
                yield given
            else:
                yield self._dataset(given, call)

    def _asked(self, call: SourceCall, stack: ExitStack) -> Any:
        """What the function gives; what it raises becomes our error without its text, which may quote a secret."""
        try:
            given = self.function(call)
            if inspect.isawaitable(given):
                from tailrace.hosting.awaiting import waited_for

                given = waited_for(given, call.context)
            if isinstance(given, AbstractContextManager):
                entered, given = given, given.__enter__()
                stack.push(partial(self._leave, entered))
        except TailraceError:
            raise
        except Exception as error:  # noqa: BLE001 - anything may come from there
            failed = type(error).__name__
            _log.debug("The function of the source %s failed", self.name, exc_info=True)
        else:
            return given
        # Raised out here so that the error of the application, with what it quotes, is not attached.
        raise self._failed(failed)

    def _leave(self, entered: AbstractContextManager[Any], *raised: Any) -> bool:
        """Leave what the function gave to be entered; what it raises becomes our error, too."""
        try:
            return bool(entered.__exit__(*raised))
        except TailraceError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            if error is raised[1]:
                return False
            failed = type(error).__name__
            _log.debug("What the function of the source %s gave could not be left", self.name, exc_info=True)
        raise self._failed(failed)

    def _failed(self, what: str) -> SourceError:
        message = f"The function of the source {self.name} failed with {what}."
        return SourceError(message, hint="Look at it: the log has more at level DEBUG.")

    def _check_nothing_is_ignored(self) -> None:
        """Refuse what was said about columns where the function gives a whole dataset, which says that itself."""
        said = {
            "time_column": self.time_column,
            "columns": self.columns,
            "secrets": self.secrets,
            "bound": self.bound,
            "naive_zone": self.naive_zone,
        }
        ignored = [name for name, value in said.items() if value]
        if ignored:
            message = (
                f"The function of the source {self.name} gives a Dataset, for which {', '.join(ignored)} say nothing."
            )
            raise PluginContractError(self.name, message, hint="Leave them out: a Dataset says all that itself.")

    def _dataset(self, given: Any, call: SourceCall) -> Dataset:
        import polars as pl

        frames = given if isinstance(given, Mapping) else {self.name: given}
        strange = [type(one).__name__ for one in frames.values() if not isinstance(one, pl.LazyFrame | pl.DataFrame)]
        if strange or not frames:
            message = f"The function of the source {self.name} gives {strange[0] if strange else 'no table at all'}."
            hint = "It gives a polars LazyFrame or DataFrame, a mapping of them by table, or a tailrace.Dataset."
            raise PluginContractError(self.name, message, hint=hint)
        schemas = {str(name): frame.collect_schema() for name, frame in frames.items()}
        self._check_names(schemas)
        keeping = KeepingOut.of(self.name, call, secrets=self.secrets, bound=self.bound, said=self.columns)
        tables = [self._table(str(name), frame, schemas[str(name)], keeping) for name, frame in frames.items()]
        return Dataset(
            tables,
            version=VERSION,
            notes=keeping.notes,
            secrets=keeping.told,
            private=bool(keeping.secrets or keeping.urls),
        )

    def _table(self, name: str, frame: Any, schema: "pl.Schema", keeping: KeepingOut) -> Table:
        import polars as pl

        whole = frame if isinstance(frame, pl.DataFrame) else None
        lazy = told_apart(frame.lazy(), schema, table=name, source=self.name, zone=self.naive_zone)
        shown, sealed = keeping.applied(lazy, schema, name)
        columns = described(shown.collect_schema(), self.columns, keeping.secrets)
        sample: Callable[[int], pl.DataFrame] | None = None
        if whole is not None:
            height = whole.height

            def spread(most: int) -> pl.DataFrame:
                return shown.gather_every(max(1, height // max(1, most))).head(most).collect()

            sample = spread
        return Table(
            name=name,
            frame=shown,
            columns=columns,
            count_rows=None if whole is None else lambda: whole.height,
            sample=sample,
            time_column=self.time_column if self.time_column in schema else None,
            sealed=sealed,
        )

    def _check_names(self, schemas: "Mapping[str, pl.Schema]") -> None:
        """Refuse what was said about columns that no table has."""
        there = {column for schema in schemas.values() for column in schema}
        said = [*self.columns, *self.secrets, *self.bound, *([self.time_column] if self.time_column else [])]
        missing = sorted(set(said) - there)
        if missing:
            message = f"The frames of the source {self.name} have no column {', '.join(map(repr, missing))}."
            raise SourceError(message, hint=f"They have: {', '.join(sorted(there))}.")
