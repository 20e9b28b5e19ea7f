"""Tailrace: a plugin-based export engine for proxy pools.

Everything public is a name of this package, imported when it is first used: ``import tailrace`` costs next to nothing.

- Hosts: :class:`Engine`, :class:`ExportRequest`, :class:`SinkRequest`, :class:`User`, :class:`Context`.
- Plugin authors: ``hookimpl``, ``option`` and the contracts :class:`Source`, :class:`Format`, :class:`Sink` with their
  call records.
- Everyone: the errors, rooted in :class:`TailraceError`.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tailrace.engine import Engine as Engine
    from tailrace.model.columns import Column as Column
    from tailrace.model.columns import Meaning as Meaning
    from tailrace.model.context import Context as Context
    from tailrace.model.context import Progress as Progress
    from tailrace.model.dataset import BadRow as BadRow
    from tailrace.model.dataset import BadRows as BadRows
    from tailrace.model.dataset import Dataset as Dataset
    from tailrace.model.dataset import Table as Table
    from tailrace.model.errors import AlreadyExistsError as AlreadyExistsError
    from tailrace.model.errors import BadRowError as BadRowError
    from tailrace.model.errors import CancelledError as CancelledError
    from tailrace.model.errors import ConfigurationError as ConfigurationError
    from tailrace.model.errors import DeadlineError as DeadlineError
    from tailrace.model.errors import ExpressionError as ExpressionError
    from tailrace.model.errors import IncompleteError as IncompleteError
    from tailrace.model.errors import IntegrityError as IntegrityError
    from tailrace.model.errors import InterruptedExportError as InterruptedExportError
    from tailrace.model.errors import NoSpaceError as NoSpaceError
    from tailrace.model.errors import NotAllowedError as NotAllowedError
    from tailrace.model.errors import OptionError as OptionError
    from tailrace.model.errors import PermanentError as PermanentError
    from tailrace.model.errors import PluginConflictError as PluginConflictError
    from tailrace.model.errors import PluginContractError as PluginContractError
    from tailrace.model.errors import PluginError as PluginError
    from tailrace.model.errors import PluginLoadError as PluginLoadError
    from tailrace.model.errors import RefusedError as RefusedError
    from tailrace.model.errors import RequestError as RequestError
    from tailrace.model.errors import SourceError as SourceError
    from tailrace.model.errors import StorageError as StorageError
    from tailrace.model.errors import TailraceError as TailraceError
    from tailrace.model.errors import TransientError as TransientError
    from tailrace.model.errors import UnknownNameError as UnknownNameError
    from tailrace.model.job import Artifact as Artifact
    from tailrace.model.job import Estimate as Estimate
    from tailrace.model.job import JobResult as JobResult
    from tailrace.model.job import Receipt as Receipt
    from tailrace.model.job import TableEstimate as TableEstimate
    from tailrace.model.job import User as User
    from tailrace.model.manifest import Manifest as Manifest
    from tailrace.model.manifest import encode_manifest as encode_manifest
    from tailrace.model.options import option as option
    from tailrace.model.report import Chart as Chart
    from tailrace.model.report import Figure as Figure
    from tailrace.model.report import Report as Report
    from tailrace.model.report import ReportTable as ReportTable
    from tailrace.model.report import Section as Section
    from tailrace.model.report import Series as Series
    from tailrace.model.request import CredentialMode as CredentialMode
    from tailrace.model.request import ExportRequest as ExportRequest
    from tailrace.model.request import SinkRequest as SinkRequest
    from tailrace.model.request import TimeRange as TimeRange
    from tailrace.pipeline.publish import publish as publish
    from tailrace.pipeline.timestamps import beyond_iso as beyond_iso
    from tailrace.pipeline.timestamps import iso_text as iso_text
    from tailrace.plugins.hookspecs import hookimpl as hookimpl
    from tailrace.plugins.kinds import ByteWriter as ByteWriter
    from tailrace.plugins.kinds import DeliverCall as DeliverCall
    from tailrace.plugins.kinds import ExportEvent as ExportEvent
    from tailrace.plugins.kinds import FileLayout as FileLayout
    from tailrace.plugins.kinds import Format as Format
    from tailrace.plugins.kinds import OutgoingTable as OutgoingTable
    from tailrace.plugins.kinds import Parcel as Parcel
    from tailrace.plugins.kinds import RereadCall as RereadCall
    from tailrace.plugins.kinds import Sink as Sink
    from tailrace.plugins.kinds import Source as Source
    from tailrace.plugins.kinds import SourceCall as SourceCall
    from tailrace.plugins.kinds import StagingCall as StagingCall
    from tailrace.plugins.kinds import WriteCall as WriteCall
    from tailrace.reading.peek import is_sqlite as is_sqlite
    from tailrace.reading.postgres import PostgresSnapshot as PostgresSnapshot
    from tailrace.reading.sqlite import SqliteSnapshot as SqliteSnapshot
    from tailrace.reading.userinfo import redacted as redacted
    from tailrace.reading.userinfo import without_userinfo as without_userinfo

_HOME = {
    "tailrace.engine": ("Engine",),
    "tailrace.model.columns": ("Column", "Meaning"),
    "tailrace.model.context": ("Context", "Progress"),
    "tailrace.model.dataset": ("BadRow", "BadRows", "Dataset", "Table"),
    "tailrace.model.errors": (
        "AlreadyExistsError",
        "BadRowError",
        "CancelledError",
        "ConfigurationError",
        "DeadlineError",
        "ExpressionError",
        "IncompleteError",
        "IntegrityError",
        "InterruptedExportError",
        "NoSpaceError",
        "NotAllowedError",
        "OptionError",
        "PermanentError",
        "PluginConflictError",
        "PluginContractError",
        "PluginError",
        "PluginLoadError",
        "RefusedError",
        "RequestError",
        "SourceError",
        "StorageError",
        "TailraceError",
        "TransientError",
        "UnknownNameError",
    ),
    "tailrace.model.job": ("Artifact", "Estimate", "JobResult", "Receipt", "TableEstimate", "User"),
    "tailrace.model.manifest": ("Manifest", "encode_manifest"),
    "tailrace.model.options": ("option",),
    "tailrace.model.report": ("Chart", "Figure", "Report", "ReportTable", "Section", "Series"),
    "tailrace.model.request": ("CredentialMode", "ExportRequest", "SinkRequest", "TimeRange"),
    "tailrace.pipeline.publish": ("publish",),
    "tailrace.pipeline.timestamps": ("beyond_iso", "iso_text"),
    "tailrace.plugins.hookspecs": ("hookimpl",),
    "tailrace.plugins.kinds": (
        "ByteWriter",
        "DeliverCall",
        "ExportEvent",
        "FileLayout",
        "Format",
        "OutgoingTable",
        "Parcel",
        "RereadCall",
        "Sink",
        "Source",
        "SourceCall",
        "StagingCall",
        "WriteCall",
    ),
    "tailrace.reading.peek": ("is_sqlite",),
    "tailrace.reading.postgres": ("PostgresSnapshot",),
    "tailrace.reading.sqlite": ("SqliteSnapshot",),
    "tailrace.reading.userinfo": ("redacted", "without_userinfo"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = ["__version__", *sorted(_MODULE_OF)]  # noqa: PLE0604 - computed from the table above


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        message = f"module 'tailrace' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
