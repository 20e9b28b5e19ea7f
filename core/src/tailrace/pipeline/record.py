"""Writing down what an export is: the manifest, from what was asked, done and counted."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tailrace.model.columns import Column
from tailrace.model.convert import unstructure
from tailrace.model.dataset import Dataset
from tailrace.model.manifest import (
    SCHEMA_VERSION,
    BadRowRecord,
    ColumnRecord,
    CompressionRecord,
    FileRecord,
    Manifest,
    PluginRecord,
    RangeRecord,
    SourceRecord,
    TableRecord,
)
from tailrace.model.options import public_options
from tailrace.plugins.registry import LoadedPlugin
from tailrace.reading.userinfo import redacted
from tailrace.vault.signing import signed

if TYPE_CHECKING:
    from tailrace.pipeline.export import Proven
    from tailrace.pipeline.job import Job


def column_records(schema: Mapping[str, Any], columns: Sequence[Column]) -> tuple[ColumnRecord, ...]:
    """Types and meanings of a table's columns."""
    known = {column.name: column for column in columns}
    return tuple(
        ColumnRecord(name, str(dtype), known[name].meaning, known[name].unit) for name, dtype in schema.items()
    )


def parameters_of(job: "Job") -> dict[str, Any]:
    """The request as it may be shown: without anything secret, and without where keys lie on this machine."""
    parameters: dict[str, Any] = unstructure(job.request)
    parameters["location"] = redacted(job.request.location)
    parameters["where"] = [redacted(text) for text in job.request.where]
    # Which plugin an option belongs to, and whether it is secret, is settled by now.
    parameters["options"] = public_options(job.source_options)
    parameters["sinks"] = [sink.name for sink in job.request.sinks]
    # Where keys lie is nobody's business; their ids are in the header.
    del parameters["openers"]
    # Nor is who was told: addresses, which the file would take along.
    del parameters["notify"]
    return parameters


def manifest_of(
    job: "Job", dataset: Dataset, proven: "Proven", notes: Sequence[str], *, audit: str | None = None
) -> Manifest:
    """The manifest of one finished file.

    Args:
        job: What was asked.
        dataset: What the source offered.
        proven: The file, with its counts.
        notes: What was recognised or decided, before the format added its own.
        audit: The newest hash of the audit trail, where there is one.
    """
    from tailrace import __version__

    window = job.selection.window
    timed = next((table.time_column for table in proven.tables if table.time_column), None)
    fields = job.fields(proven.name)
    encoded = proven.encoded
    plain_sha256, sha256 = proven.digests
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        tailrace_version=__version__,
        export_id=job.export_id,
        created=job.now,
        user=job.user.id,
        source=SourceRecord(_plugin(job.source), redacted(job.request.location), dataset.version),
        format=_plugin(job.format),
        format_options=public_options(job.format_options),
        parameters=parameters_of(job),
        time_range=None if window is None or timed is None else RangeRecord(timed, window.since, window.until),
        time_zone=job.selection.zone.key,
        credentials=job.request.credentials,
        tables=tuple(
            TableRecord(
                name=table.name,
                columns=column_records(outgoing.frame.collect_schema(), outgoing.columns),
                rows=proven.counts[table.name],
                bad_rows=tuple(BadRowRecord(bad.row, bad.column, bad.reason) for bad in table.bad_rows.examples),
            )
            for table, outgoing in zip(proven.tables, proven.outgoing, strict=True)
        ),
        file=FileRecord(
            name="{source}_{timestamp}_{user}.{ext}".format(**fields),
            media_type=job.layout.media_type,
            plain_size=encoded.plain_size,
            plain_sha256=plain_sha256,
            size=encoded.size,
            sha256=sha256,
            compression=None if job.level is None else CompressionRecord("gzip", job.level),
        ),
        notes=tuple(dict.fromkeys([*notes, *proven.notes])),
        increment=None if job.increment is None else job.increment.beside([table.name for table in proven.tables]),
        redaction=proven.redaction,
        audit=audit,
        vault=job.sealed_header(proven.tables),
        seal=None if job.vault is None else job.vault.seal_content(plain_sha256),
    )
    return manifest if job.signing_key is None else signed(manifest, job.signing_key)


def _plugin(plugin: LoadedPlugin[Any]) -> PluginRecord:
    return PluginRecord(plugin.name, plugin.distribution, plugin.version)
