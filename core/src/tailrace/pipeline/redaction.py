"""The proof that a finished file holds none of the secrets that were to be kept out of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs

from tailrace.model.convert import unstructure
from tailrace.model.dataset import Dataset, Secrets, Table
from tailrace.model.errors import LeakError, PluginContractError, TailraceError
from tailrace.model.manifest import Manifest, RedactionRecord
from tailrace.model.request import CredentialMode
from tailrace.pipeline.foreign import REPORT_IT
from tailrace.pipeline.job import Job
from tailrace.vault.forms import Form
from tailrace.vault.search import SecretSearch, Watch

_WRITTEN_BY_FORMATS = ("true", "false", "null", "manifest")
_HINT = (
    "Nothing was published. Leave out the row or column (--where, --columns), and report it to the author of the "
    "{plugin}: what holds a secret should not have come this far."
)


@attrs.frozen(repr=False)
class RedactionProof:
    """What must not be in the files of an export.

    Args:
        search: Finds it.
    """

    _search: SecretSearch

    @classmethod
    def of(cls, job: Job, dataset: Dataset) -> "RedactionProof | None":
        """Ask the source what it kept out, once all rows have passed; None in mode ``full``, or if it cannot tell.

        Raises:
            PluginContractError: The source fails, or tells something else.
        """
        if job.request.credentials is CredentialMode.FULL or dataset.secrets is None:
            return None
        secrets = _told(job.source.name, dataset.secrets)
        return cls(SecretSearch(secrets.texts, public=(*secrets.public, *_own_words(job, dataset.tables))))

    def watch(self, blocks: Iterable[bytes]) -> Watch:
        """Search blocks as they pass."""
        return self._search.watch(blocks)

    def settle(self, source: str, tables: Iterable[Table], *watches: Watch) -> RedactionRecord:
        """What was searched, once all blocks were taken.

        Args:
            source: Name of the source.
            tables: The tables in the file.
            watches: What was searched; beside the bytes of the file perhaps the content of a container.

        Raises:
            LeakError: A secret is in it.
        """
        for watch in watches:
            if watch.hit is not None:
                names = [table.name for table in tables]
                place = f"{_named(names)}, line {watch.hit.line:,}, byte {watch.hit.offset:,}"
                raise LeakError(
                    _message(place, watch.hit.form, watch.hit.label),
                    tables=names,
                    offset=watch.hit.offset,
                    line=watch.hit.line,
                    form=str(watch.hit.form),
                    hint=_HINT.format(plugin=f"source {source}"),
                )
        counts = self._search.counts
        return RedactionRecord(
            secrets=counts.secrets,
            searched=counts.searched,
            left_out_short=counts.left_out_short,
            left_out_public=counts.left_out_public,
            forms=tuple(str(form) for form in Form),
            bytes=sum(watch.size for watch in watches),
        )

    def check_manifest(self, manifest: Manifest) -> None:
        """See that a manifest holds no secret in what is not the same in every manifest.

        Raises:
            LeakError: It does.
        """
        for part, texts in _free_texts(manifest):
            hit = self._search.first_in("\n".join(texts).encode(errors="replace"), prose=True)
            if hit is not None:
                raise LeakError(
                    _message(f"its manifest, {part}", hit.form, hit.label),
                    tables=[table.name for table in manifest.tables],
                    offset=None,
                    line=None,
                    form=str(hit.form),
                    hint="Nothing was published. Change what says it: a path, a filter, an option.",
                )


def _told(source: str, ask: Callable[[], object]) -> Secrets:
    failure = ""
    try:
        secrets = ask()
    except (TailraceError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - not even its text may be told: it could quote a secret
        failure, secrets = f"failed with {type(error).__name__}", None
    if isinstance(secrets, Secrets):
        return secrets
    what = failure or f"told {type(secrets).__name__} instead of Secrets"
    message = f"Source {source} {what} when it was asked what it kept out."
    raise PluginContractError(source, message, hint=REPORT_IT)


def _own_words(job: Job, tables: Iterable[Table]) -> Iterator[str]:
    """What the engine itself puts into a file, whatever the data: names, types, the manifest inside a document."""
    yield from _WRITTEN_BY_FORMATS
    embedded = job.embedded(tuple(tables))
    # A filter is written by hand, and may say what is kept out.
    embedded["parameters"] = {key: value for key, value in embedded["parameters"].items() if key != "where"}
    yield from _texts(embedded, keys=True)


def _free_texts(manifest: Manifest) -> Iterator[tuple[str, list[str]]]:
    record = unstructure(manifest)
    yield "notes", list(_texts(record["notes"]))
    yield "location", [manifest.source.location]
    yield "parameters", list(_texts(record["parameters"]))
    yield "format options", list(_texts(record["format_options"]))
    yield "bad rows", [bad.reason for table in manifest.tables for bad in table.bad_rows]


def _texts(value: Any, *, keys: bool = False) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if keys:
                yield key
            yield from _texts(inner, keys=keys)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, keys=keys)


def _named(tables: list[str]) -> str:
    return f"table{'s' if len(tables) > 1 else ''} {', '.join(tables)}"


def _message(place: str, form: Form, label: str) -> str:
    what = f"A secret ({label})" if label else "A secret"
    return f"{what} is in the finished file: {place}, {form}."
