"""Tailrace: a plugin-based export engine for proxy pools.

Everything public is a name of this package, imported when it is first used: ``import tailrace`` costs next to nothing.

- Hosts: :class:`Engine`, :class:`ExportRequest`, :class:`SinkRequest`, :class:`ImportRequest`, :class:`User`,
  :class:`Context`, :class:`Keyring` and the keys.
- Hosts that export in the background: :class:`ExportJob`, :class:`JobState`, :class:`RetryPolicy`, :class:`Worker`,
  or by the clock: :class:`ScheduleDraft`, :class:`ScheduleRules`.
- Plugin authors: ``hookimpl``, ``option`` and the contracts :class:`Source`, :class:`Format`, :class:`Sink` with their
  call records.
- Everyone: the errors, rooted in :class:`TailraceError`.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tailrace.engine import Engine as Engine
    from tailrace.files.publish import opened_folder as opened_folder
    from tailrace.files.publish import publish as publish
    from tailrace.files.shares import sync_folder as sync_folder
    from tailrace.files.staging import staged_file as staged_file
    from tailrace.files.storage import storage_errors as storage_errors
    from tailrace.isolation import Limits as Limits
    from tailrace.isolation import run_apart as run_apart
    from tailrace.model.audit import AuditEntry as AuditEntry
    from tailrace.model.audit import AuditFilter as AuditFilter
    from tailrace.model.audit import AuditRecord as AuditRecord
    from tailrace.model.brand import Brand as Brand
    from tailrace.model.columns import Column as Column
    from tailrace.model.columns import Meaning as Meaning
    from tailrace.model.context import Context as Context
    from tailrace.model.context import Progress as Progress
    from tailrace.model.convert import StructureError as StructureError
    from tailrace.model.convert import structure as structure
    from tailrace.model.dataset import BadRow as BadRow
    from tailrace.model.dataset import BadRows as BadRows
    from tailrace.model.dataset import Dataset as Dataset
    from tailrace.model.dataset import SealedColumns as SealedColumns
    from tailrace.model.dataset import Secrets as Secrets
    from tailrace.model.dataset import Table as Table
    from tailrace.model.delivery import Delivery as Delivery
    from tailrace.model.delivery import DeliveryState as DeliveryState
    from tailrace.model.delivery import Standing as Standing
    from tailrace.model.errors import AlreadyExistsError as AlreadyExistsError
    from tailrace.model.errors import BadRowError as BadRowError
    from tailrace.model.errors import CancelledError as CancelledError
    from tailrace.model.errors import ConfigurationError as ConfigurationError
    from tailrace.model.errors import DeadlineError as DeadlineError
    from tailrace.model.errors import ExpressionError as ExpressionError
    from tailrace.model.errors import IncompleteError as IncompleteError
    from tailrace.model.errors import IntegrityError as IntegrityError
    from tailrace.model.errors import InterruptedExportError as InterruptedExportError
    from tailrace.model.errors import LeakError as LeakError
    from tailrace.model.errors import LeaseLostError as LeaseLostError
    from tailrace.model.errors import NewerVersionError as NewerVersionError
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
    from tailrace.model.errors import TamperedError as TamperedError
    from tailrace.model.errors import TransientError as TransientError
    from tailrace.model.errors import UndeliveredError as UndeliveredError
    from tailrace.model.errors import UnknownKeyError as UnknownKeyError
    from tailrace.model.errors import UnknownNameError as UnknownNameError
    from tailrace.model.errors import WrongKeyError as WrongKeyError
    from tailrace.model.job import Artifact as Artifact
    from tailrace.model.job import Estimate as Estimate
    from tailrace.model.job import Fit as Fit
    from tailrace.model.job import JobResult as JobResult
    from tailrace.model.job import Learnt as Learnt
    from tailrace.model.job import Receipt as Receipt
    from tailrace.model.job import TableEstimate as TableEstimate
    from tailrace.model.job import User as User
    from tailrace.model.manifest import Manifest as Manifest
    from tailrace.model.manifest import encode_manifest as encode_manifest
    from tailrace.model.metric import Metric as Metric
    from tailrace.model.notify import Notify as Notify
    from tailrace.model.notify import NotifyOn as NotifyOn
    from tailrace.model.options import build_options as build_options
    from tailrace.model.options import describe_options as describe_options
    from tailrace.model.options import option as option
    from tailrace.model.quantities import readable_size as readable_size
    from tailrace.model.report import Basis as Basis
    from tailrace.model.report import Chart as Chart
    from tailrace.model.report import Figure as Figure
    from tailrace.model.report import Panel as Panel
    from tailrace.model.report import Prose as Prose
    from tailrace.model.report import Report as Report
    from tailrace.model.report import ReportTable as ReportTable
    from tailrace.model.report import Section as Section
    from tailrace.model.report import Series as Series
    from tailrace.model.report import TableView as TableView
    from tailrace.model.request import CredentialMode as CredentialMode
    from tailrace.model.request import ExportRequest as ExportRequest
    from tailrace.model.request import SinkRequest as SinkRequest
    from tailrace.model.request import TimeRange as TimeRange
    from tailrace.model.retention import RetentionPlan as RetentionPlan
    from tailrace.model.retention import RetentionResult as RetentionResult
    from tailrace.model.schedule import Misfire as Misfire
    from tailrace.model.schedule import Overlap as Overlap
    from tailrace.model.schedule import Schedule as Schedule
    from tailrace.model.schedule import ScheduleDraft as ScheduleDraft
    from tailrace.model.schedule import ScheduleKind as ScheduleKind
    from tailrace.model.schedule import ScheduleRules as ScheduleRules
    from tailrace.model.schedule import SlotRecord as SlotRecord
    from tailrace.model.schedule import SlotState as SlotState
    from tailrace.model.states import JobState as JobState
    from tailrace.model.timing import Slot as Slot
    from tailrace.model.timing import Timing as Timing
    from tailrace.model.work import ExportJob as ExportJob
    from tailrace.model.work import ExportTemplate as ExportTemplate
    from tailrace.model.work import JobError as JobError
    from tailrace.model.work import OutputFile as OutputFile
    from tailrace.model.work import RetryPolicy as RetryPolicy
    from tailrace.pipeline.attached import attached_csv as attached_csv
    from tailrace.pipeline.attached import attached_rows as attached_rows
    from tailrace.pipeline.expressions import columns_of as columns_of
    from tailrace.pipeline.expressions import filter_expression as filter_expression
    from tailrace.pipeline.guard import guarded as guarded
    from tailrace.pipeline.guard import guarded_names as guarded_names
    from tailrace.pipeline.moments import range_of as range_of
    from tailrace.pipeline.timestamps import beyond_iso as beyond_iso
    from tailrace.pipeline.timestamps import iso_text as iso_text
    from tailrace.plugins.contract import CONTRACT as CONTRACT
    from tailrace.plugins.hookspecs import hookimpl as hookimpl
    from tailrace.plugins.kinds import ByteWriter as ByteWriter
    from tailrace.plugins.kinds import CarriesManifest as CarriesManifest
    from tailrace.plugins.kinds import Container as Container
    from tailrace.plugins.kinds import Example as Example
    from tailrace.plugins.kinds import ExportEvent as ExportEvent
    from tailrace.plugins.kinds import FileLayout as FileLayout
    from tailrace.plugins.kinds import Format as Format
    from tailrace.plugins.kinds import OutgoingTable as OutgoingTable
    from tailrace.plugins.kinds import Partition as Partition
    from tailrace.plugins.kinds import PartitionedSource as PartitionedSource
    from tailrace.plugins.kinds import ReadTablesCall as ReadTablesCall
    from tailrace.plugins.kinds import RereadCall as RereadCall
    from tailrace.plugins.kinds import Seal as Seal
    from tailrace.plugins.kinds import SearchCall as SearchCall
    from tailrace.plugins.kinds import Source as Source
    from tailrace.plugins.kinds import SourceCall as SourceCall
    from tailrace.plugins.kinds import SourceOpener as SourceOpener
    from tailrace.plugins.kinds import TableReader as TableReader
    from tailrace.plugins.kinds import WithExamples as WithExamples
    from tailrace.plugins.kinds import WriteCall as WriteCall
    from tailrace.plugins.pools import ChoosyTarget as ChoosyTarget
    from tailrace.plugins.pools import Loss as Loss
    from tailrace.plugins.pools import OpenPoolCall as OpenPoolCall
    from tailrace.plugins.pools import PoolChanges as PoolChanges
    from tailrace.plugins.pools import PoolFile as PoolFile
    from tailrace.plugins.pools import PoolKeeper as PoolKeeper
    from tailrace.plugins.pools import PoolTarget as PoolTarget
    from tailrace.plugins.pools import Problem as Problem
    from tailrace.plugins.pools import ReadPoolCall as ReadPoolCall
    from tailrace.plugins.pools import RenderedPool as RenderedPool
    from tailrace.plugins.pools import RenderPoolCall as RenderPoolCall
    from tailrace.plugins.selection import PluginSelection as PluginSelection
    from tailrace.plugins.sinks import Addressed as Addressed
    from tailrace.plugins.sinks import Configurable as Configurable
    from tailrace.plugins.sinks import DeliverCall as DeliverCall
    from tailrace.plugins.sinks import Finisher as Finisher
    from tailrace.plugins.sinks import FitCall as FitCall
    from tailrace.plugins.sinks import HttpClient as HttpClient
    from tailrace.plugins.sinks import Message as Message
    from tailrace.plugins.sinks import MessageCall as MessageCall
    from tailrace.plugins.sinks import Messenger as Messenger
    from tailrace.plugins.sinks import Parcel as Parcel
    from tailrace.plugins.sinks import Sink as Sink
    from tailrace.plugins.sinks import SizeJudge as SizeJudge
    from tailrace.plugins.sinks import StagingCall as StagingCall
    from tailrace.plugins.sinks import TargetChecker as TargetChecker
    from tailrace.reading.location import FilePlace as FilePlace
    from tailrace.reading.location import PostgresPlace as PostgresPlace
    from tailrace.reading.location import read_location as read_location
    from tailrace.reading.peek import is_sqlite as is_sqlite
    from tailrace.reading.postgres import PostgresSnapshot as PostgresSnapshot
    from tailrace.reading.removed import RemovedLogins as RemovedLogins
    from tailrace.reading.sqlite import SqliteSnapshot as SqliteSnapshot
    from tailrace.reading.times import read_times as read_times
    from tailrace.reading.userinfo import redacted as redacted
    from tailrace.reading.userinfo import without_userinfo as without_userinfo
    from tailrace.reports.charts import draw_chart as draw_chart
    from tailrace.reports.charts.setting import chart_drawing as chart_drawing
    from tailrace.reports.fonts import DocumentFonts as DocumentFonts
    from tailrace.reports.fonts import document_fonts as document_fonts
    from tailrace.reports.inks import CHART_INKS as CHART_INKS
    from tailrace.reports.placing import Place as Place
    from tailrace.reports.placing import places as places
    from tailrace.reports.showing import shown as shown
    from tailrace.reports.showing import shown_value as shown_value
    from tailrace.restore.document import ImportPlan as ImportPlan
    from tailrace.restore.errors import ClashError as ClashError
    from tailrace.restore.errors import InvalidImportError as InvalidImportError
    from tailrace.restore.hosting import HostPool as HostPool
    from tailrace.restore.hosting import RecordsTarget as RecordsTarget
    from tailrace.restore.importing import ImportResult as ImportResult
    from tailrace.restore.importing import UndoResult as UndoResult
    from tailrace.restore.records import ImportRecord as ImportRecord
    from tailrace.restore.request import ImportRequest as ImportRequest
    from tailrace.restore.request import OnDuplicate as OnDuplicate
    from tailrace.settings import CredentialSettings as CredentialSettings
    from tailrace.settings import DeliverySettings as DeliverySettings
    from tailrace.settings import JobSettings as JobSettings
    from tailrace.settings import NotificationSettings as NotificationSettings
    from tailrace.settings import RetentionSettings as RetentionSettings
    from tailrace.settings import ScheduleSettings as ScheduleSettings
    from tailrace.settings import Settings as Settings
    from tailrace.settings import StoreSettings as StoreSettings
    from tailrace.settings import VaultSettings as VaultSettings
    from tailrace.settings import WorkerSettings as WorkerSettings
    from tailrace.settings import load_settings as load_settings
    from tailrace.store.notifications import Notification as Notification
    from tailrace.vault.keyring import Keyring as Keyring
    from tailrace.vault.keys import MasterKey as MasterKey
    from tailrace.vault.keys import Password as Password
    from tailrace.vault.keys import PrivateKey as PrivateKey
    from tailrace.vault.keys import Recipient as Recipient
    from tailrace.vault.keys import Signer as Signer
    from tailrace.vault.keys import SigningKey as SigningKey
    from tailrace.work.access import Access as Access
    from tailrace.work.access import Operation as Operation
    from tailrace.work.attempt import Attempt as Attempt
    from tailrace.work.jobs import AttemptRecord as AttemptRecord
    from tailrace.work.jobs import JobPage as JobPage
    from tailrace.work.jobs import Jobs as Jobs
    from tailrace.work.links import DownloadLink as DownloadLink
    from tailrace.work.outcome import Outcome as Outcome
    from tailrace.work.runner import Order as Order
    from tailrace.work.runner import Runner as Runner
    from tailrace.work.schedules import Schedules as Schedules
    from tailrace.work.worker import Worker as Worker

_HOME = {
    "tailrace.engine": ("Engine",),
    "tailrace.isolation": ("Limits", "run_apart"),
    "tailrace.model.brand": ("Brand",),
    "tailrace.model.columns": ("Column", "Meaning"),
    "tailrace.model.context": ("Context", "Progress"),
    "tailrace.model.convert": ("StructureError", "structure"),
    "tailrace.model.dataset": ("BadRow", "BadRows", "Dataset", "SealedColumns", "Secrets", "Table"),
    "tailrace.model.delivery": ("Delivery", "DeliveryState", "Standing"),
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
        "LeakError",
        "LeaseLostError",
        "NewerVersionError",
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
        "TamperedError",
        "TransientError",
        "UndeliveredError",
        "UnknownKeyError",
        "UnknownNameError",
        "WrongKeyError",
    ),
    "tailrace.model.job": ("Artifact", "Estimate", "Fit", "JobResult", "Learnt", "Receipt", "TableEstimate", "User"),
    "tailrace.model.manifest": ("Manifest", "encode_manifest"),
    "tailrace.model.metric": ("Metric",),
    "tailrace.model.notify": ("Notify", "NotifyOn"),
    "tailrace.model.options": ("build_options", "describe_options", "option"),
    "tailrace.model.quantities": ("readable_size",),
    "tailrace.model.report": (
        "Basis",
        "Chart",
        "Figure",
        "Panel",
        "Prose",
        "Report",
        "ReportTable",
        "Section",
        "Series",
        "TableView",
    ),
    "tailrace.model.request": ("CredentialMode", "ExportRequest", "SinkRequest", "TimeRange"),
    "tailrace.files.publish": ("opened_folder", "publish"),
    "tailrace.files.shares": ("sync_folder",),
    "tailrace.files.staging": ("staged_file",),
    "tailrace.files.storage": ("storage_errors",),
    "tailrace.pipeline.attached": ("attached_csv", "attached_rows"),
    "tailrace.pipeline.expressions": ("columns_of", "filter_expression"),
    "tailrace.pipeline.guard": ("guarded", "guarded_names"),
    "tailrace.pipeline.moments": ("range_of",),
    "tailrace.pipeline.timestamps": ("beyond_iso", "iso_text"),
    "tailrace.plugins.contract": ("CONTRACT",),
    "tailrace.plugins.hookspecs": ("hookimpl",),
    "tailrace.plugins.kinds": (
        "ByteWriter",
        "CarriesManifest",
        "Container",
        "Example",
        "ExportEvent",
        "FileLayout",
        "Format",
        "OutgoingTable",
        "Partition",
        "PartitionedSource",
        "ReadTablesCall",
        "RereadCall",
        "Seal",
        "SearchCall",
        "Source",
        "SourceCall",
        "SourceOpener",
        "TableReader",
        "WithExamples",
        "WriteCall",
    ),
    "tailrace.plugins.pools": (
        "ChoosyTarget",
        "Loss",
        "OpenPoolCall",
        "PoolChanges",
        "PoolFile",
        "PoolKeeper",
        "PoolTarget",
        "Problem",
        "ReadPoolCall",
        "RenderedPool",
        "RenderPoolCall",
    ),
    "tailrace.plugins.selection": ("PluginSelection",),
    "tailrace.plugins.sinks": (
        "Addressed",
        "Configurable",
        "DeliverCall",
        "Finisher",
        "FitCall",
        "HttpClient",
        "Message",
        "MessageCall",
        "Messenger",
        "Parcel",
        "Sink",
        "SizeJudge",
        "StagingCall",
        "TargetChecker",
    ),
    "tailrace.reading.location": ("FilePlace", "PostgresPlace", "read_location"),
    "tailrace.reading.peek": ("is_sqlite",),
    "tailrace.reading.postgres": ("PostgresSnapshot",),
    "tailrace.reading.removed": ("RemovedLogins",),
    "tailrace.reading.sqlite": ("SqliteSnapshot",),
    "tailrace.reading.times": ("read_times",),
    "tailrace.reading.userinfo": ("redacted", "without_userinfo"),
    "tailrace.reports.charts": ("draw_chart",),
    "tailrace.reports.charts.setting": ("chart_drawing",),
    "tailrace.reports.fonts": ("DocumentFonts", "document_fonts"),
    "tailrace.reports.inks": ("CHART_INKS",),
    "tailrace.reports.placing": ("Place", "places"),
    "tailrace.reports.showing": ("shown", "shown_value"),
    "tailrace.restore.document": ("ImportPlan",),
    "tailrace.restore.errors": ("ClashError", "InvalidImportError"),
    "tailrace.restore.hosting": ("HostPool", "RecordsTarget"),
    "tailrace.restore.importing": ("ImportResult", "UndoResult"),
    "tailrace.restore.records": ("ImportRecord",),
    "tailrace.restore.request": ("ImportRequest", "OnDuplicate"),
    "tailrace.vault.keyring": ("Keyring",),
    "tailrace.vault.keys": ("MasterKey", "Password", "PrivateKey", "Recipient", "Signer", "SigningKey"),
    "tailrace.model.audit": ("AuditEntry", "AuditFilter", "AuditRecord"),
    "tailrace.model.retention": ("RetentionPlan", "RetentionResult"),
    "tailrace.model.schedule": (
        "Misfire",
        "Overlap",
        "Schedule",
        "ScheduleDraft",
        "ScheduleKind",
        "ScheduleRules",
        "SlotRecord",
        "SlotState",
    ),
    "tailrace.model.states": ("JobState",),
    "tailrace.model.timing": ("Slot", "Timing"),
    "tailrace.model.work": ("ExportJob", "ExportTemplate", "JobError", "OutputFile", "RetryPolicy"),
    "tailrace.settings": (
        "CredentialSettings",
        "DeliverySettings",
        "JobSettings",
        "NotificationSettings",
        "RetentionSettings",
        "ScheduleSettings",
        "Settings",
        "StoreSettings",
        "VaultSettings",
        "WorkerSettings",
        "load_settings",
    ),
    "tailrace.store.notifications": ("Notification",),
    "tailrace.work.access": ("Access", "Operation"),
    "tailrace.work.attempt": ("Attempt",),
    "tailrace.work.jobs": ("AttemptRecord", "Jobs", "JobPage"),
    "tailrace.work.links": ("DownloadLink",),
    "tailrace.work.outcome": ("Outcome",),
    "tailrace.work.runner": ("Order", "Runner"),
    "tailrace.work.schedules": ("Schedules",),
    "tailrace.work.worker": ("Worker",),
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
