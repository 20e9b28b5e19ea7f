"""Pre-flight: what will become of an export's files, said before they are made.

Whether they open in Excel, whether mail and webhooks take them, whether the disk does, and when retention removes them.
What sinks take they say themselves (:class:`~tailrace.plugins.sinks.SizeJudge`), also those that the export does not go
to: whoever is told that it would fit a mail may want to send one. Nothing is made, and nobody is contacted.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from tailrace.model.errors import PluginContractError, TailraceError
from tailrace.model.job import Estimate, Fit, TableEstimate
from tailrace.model.options import build_options
from tailrace.model.quantities import readable_size
from tailrace.pipeline.foreign import REPORT_IT, foreign_errors
from tailrace.pipeline.job import Destination, Job, sink_settings
from tailrace.plugins.kinds import FileLayout
from tailrace.plugins.registry import LoadedPlugin, Registry
from tailrace.plugins.sinks import Addressed, FitCall, Sink, SizeJudge
from tailrace.reading.userinfo import redacted
from tailrace.settings import RetentionSettings, Settings

SHEET_ROWS = 1_048_576
"""Rows of a sheet, the header included: Microsoft, "Excel specifications and limits"."""
SHEET_COLUMNS = 16_384
"""Columns of a sheet, from the same page."""

_WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_SEPARATED = frozenset({"text/csv", "text/tab-separated-values"})
_JSON = frozenset({"application/json", "application/x-ndjson"})

_KEEP_RULES = ("keep_last", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly")


@attrs.frozen
class _File:
    name: str
    size: int


@attrs.frozen
class Room:
    """The room on a disk that an export goes to.

    Args:
        folder: A folder on it that is there.
        free: Bytes that are free for this user.
        copies: Copies of the export that go there.
    """

    folder: Path
    free: int
    copies: int


def preflight(job: Job, expected: Estimate, *, registry: Registry, settings: Settings) -> tuple[Fit, ...]:
    """Say whether an export will fit what it may go through, and how long it stays.

    A sink that cannot say so is told as unknown, with its reason: no sink keeps the others from being asked.

    Args:
        job: The export, made ready.
        expected: What it will take.
        registry: The plugins.
        settings: The engine's.
    """
    header = bool(getattr(job.format_options, "header", True))
    fits = [
        fits_excel(job.layout, expected.tables, header=header, gzipped=job.level is not None),
        *_fits_of_sinks(job, _largest(job, expected.tables), registry, settings),
        *_fits_disks(job, expected.bytes, settings.home),
        fits_retention(settings.retention, expected.bytes * _copies_here(job), job.now, away=_away(job)),
    ]
    return tuple(dict.fromkeys(fits))


def fits_excel(layout: FileLayout, tables: Sequence[TableEstimate], *, header: bool, gzipped: bool) -> Fit:
    """Whether Excel opens the files by a double click, and shows all that is in them.

    Args:
        layout: How the files look.
        tables: What is in them.
        header: Whether a line of column names precedes the rows.
        gzipped: Whether they are gzipped.
    """
    media = layout.media_type
    if media in _JSON:
        text = f"Excel does not open .{layout.extension} by itself; its Power Query reads it (Data > Get Data)."
        return Fit("Excel", fits=False, text=text)
    if media != _WORKBOOK and media not in _SEPARATED:
        return Fit("Excel", fits=None, text=f"Whether Excel opens .{layout.extension} is not known.")
    # A workbook goes on on further sheets, a text has nowhere to go on.
    height = None if media == _WORKBOOK else SHEET_ROWS
    excess = next(filter(None, (_excess(table, height, header=header) for table in tables)), "")
    if excess:
        return Fit("Excel", fits=False, text=excess)
    if gzipped:
        return Fit("Excel", fits=True, text="Excel opens it once the .gz is unpacked; --no-compress makes none.")
    if any(table.rows + header > SHEET_ROWS for table in tables):
        return Fit("Excel", fits=True, text=f"Excel opens it; what exceeds {SHEET_ROWS:,} rows is on further sheets.")
    return Fit("Excel", fits=True, text="Excel opens it.")


def _excess(table: TableEstimate, height: int | None, *, header: bool) -> str:
    """What of a table does not go onto a sheet; empty where all does."""
    rows = table.rows + header
    if height is not None and rows > height:
        about = "" if table.exact_rows else "about "
        heading = " with the header" if header else ""
        return f"Excel shows {height:,} rows, and {table.table} has {about}{rows:,}{heading}; a workbook takes them."
    if table.columns is not None and table.columns > SHEET_COLUMNS:
        return f"Excel shows {SHEET_COLUMNS:,} columns, and {table.table} has {table.columns:,}."
    return ""


def fits_disk(needed: int, room: Room) -> Fit:
    """Whether an export fits a disk.

    Args:
        needed: Bytes of one copy.
        room: The disk.
    """
    takes = "It takes" if room.copies == 1 else f"{room.copies} copies take"
    needed *= room.copies
    text = f"{takes} about {readable_size(needed)}, and {room.folder} has {readable_size(room.free)} free."
    return Fit("disk", fits=needed <= room.free, text=text)


def fits_retention(rules: RetentionSettings, needed: int, now: datetime, *, away: Sequence[str] = ()) -> Fit:
    """When the rules of retention remove the files, and whether they leave them there at all.

    Args:
        rules: The rules.
        needed: Bytes of the export.
        now: When it is made, UTC.
        away: Sinks of the export that deliver to others, where nothing is removed.
    """
    keeping = [f"{name} = {getattr(rules, name)}" for name in _KEEP_RULES if getattr(rules, name)]
    stays = f"; what goes out by {_listed(away, 'and')} stays there." if away else "."
    if rules.total_size and needed > rules.total_size and not keeping:
        # Otherwise it is kept at first: the newest export is among those that each of these rules keeps.
        text = (
            f"All exports together may have {readable_size(rules.total_size)}, so the next run of retention removes it"
        )
        return Fit("retention", fits=False, text=text + stays)
    moment = _days_after(now, rules.days)
    removed = [] if moment is None else [f"from {moment} on, after {_days(rules.days)}"]
    if rules.total_size:
        sooner = "sooner " if removed else ""
        removed.append(f"{sooner}where all exports together have more than {readable_size(rules.total_size)}")
    if not removed:
        return Fit("retention", fits=True, text=f"No rule of retention removes it{stays}")
    by = "Removed" if rules.daily else "Removed by 'tailrace retention apply'"
    unless = _listed(["it is pinned", *(f"kept by {rule}" for rule in keeping)], "or")
    return Fit("retention", fits=True, text=f"{by} {', '.join(removed)}, unless {unless}{stays}")


def _days_after(now: datetime, days: float) -> str | None:
    """The moment so many days later, as precise as the days are; None for never."""
    try:
        moment = now + timedelta(days=days)
    except OverflowError:
        return None
    return f"{moment:%Y-%m-%d}" if days >= 1 else f"{moment:%Y-%m-%d %H:%M} UTC" if days else None


def _days(days: float) -> str:
    return f"{days:g} day{'' if days == 1 else 's'}"


def _listed(words: Sequence[str], word: str) -> str:
    return f" {word} ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _largest(job: Job, tables: Sequence[TableEstimate]) -> _File:
    """The file that has the most bytes: the one that has to fit, as each is delivered by itself."""
    name, most = job.source.name, sum(table.bytes for table in tables)
    if len(tables) > 1 and not job.layout.many_tables:
        table = max(tables, key=lambda table: table.bytes)
        name, most = f"{name}-{table.table}", table.bytes
    return _File("{source}_{timestamp}_{user}.{ext}".format(**job.fields(name)), most)


def _fits_of_sinks(job: Job, file: _File, registry: Registry, settings: Settings) -> Iterator[Fit]:
    """What sinks say that take files up to some size: those of the export, then the others that are installed."""
    for destination in job.destinations:
        yield from _judged(destination.plugin, file, partial(_as_asked, destination), job.folder)
    asked = {destination.plugin.name for destination in job.destinations}
    for plugin in _other_sinks(registry, asked):
        yield from _judged(plugin, file, partial(_by_default, plugin, settings), job.folder)


def _other_sinks(registry: Registry, asked: set[str]) -> Iterator[LoadedPlugin[Sink]]:
    """Sinks that can be used and were not asked yet."""
    usable = {entry.name for entry in registry.entries() if entry.kind == "sink" and not entry.reason}
    for name in sorted(usable - asked):
        try:
            yield registry.sink(name)
        except TailraceError:
            # The export does without it; `tailrace plugins doctor` says what is wrong.
            continue


def _as_asked(destination: Destination) -> Mapping[str, Any]:
    """How the export uses a sink."""
    return {"target": destination.target, "options": destination.options, "settings": destination.settings}


def _by_default(plugin: LoadedPlugin[Sink], settings: Settings) -> Mapping[str, Any]:
    """How a sink would be used of which the export says nothing."""
    options: Any = build_options(plugin.object.options_type, {}, owner=f"sink {plugin.name}")
    return {"target": None, "options": options, "settings": sink_settings(plugin, settings.sinks)}


def _judged(
    plugin: LoadedPlugin[Sink], file: _File, use: Callable[[], Mapping[str, Any]], folder: Path
) -> Iterator[Fit]:
    """What a sink says about a file, if it is one that judges sizes.

    Args:
        plugin: The sink.
        file: The file.
        use: Gives the target, the options and the settings; only asked where they matter.
        folder: Folder that relative paths count from.
    """
    try:
        with foreign_errors("sink", plugin.name):
            sink = plugin.object
            if not isinstance(sink, SizeJudge):
                return
            fit = sink.fits(FitCall(size=file.size, name=file.name, folder=folder, **use()))
        if not isinstance(fit, Fit):
            message = f"Sink {plugin.name} returned {type(fit).__name__} instead of a Fit."
            raise PluginContractError(plugin.name, message, hint=REPORT_IT)
    except TailraceError as error:
        fit = Fit(plugin.name, fits=None, text=" ".join(redacted(error.message).split()))
    yield fit


def _fits_disks(job: Job, needed: int, home: Path) -> Iterator[Fit]:
    """Whether the export fits the disks that it goes to: each once, however many folders on it there are."""
    rooms: dict[int, Room] = {}
    for folder in _folders(job, home):
        try:
            device, room = _room(folder)
        except (OSError, RuntimeError) as error:
            # Nobody may look there, or it begins with the home of somebody who is not there: the export will say so.
            reason = getattr(error, "strerror", None) or "there is no such home"
            yield Fit("disk", fits=None, text=f"How much room {folder} has cannot be told: {reason}.")
        else:
            room = rooms.get(device, room)
            rooms[device] = attrs.evolve(room, copies=room.copies + 1)
    yield from (fits_disk(needed, room) for room in rooms.values())


def _room(folder: Path) -> tuple[int, Room]:
    """The disk of a folder, which need not be there, by number; with no copy yet."""
    wanted = folder.expanduser().absolute()
    there = next(path for path in (wanted, *wanted.parents) if path.exists())
    return there.stat().st_dev, Room(there, shutil.disk_usage(there).free, copies=0)


def _folders(job: Job, home: Path) -> Iterator[Path]:
    """Folders that copies of the export go to; what sinks deliver to others is kept in the home once."""
    on_disk = _on_disk(job)
    for sink in on_disk:
        # Asked by its option and not by staging(), which makes the folder; another sink of that name has none.
        yield _from(job.folder, Path(sink.target or str(getattr(sink.options, "root", ""))))
    if len(on_disk) < len(job.destinations):
        yield home


def _from(folder: Path, path: Path) -> Path:
    """A path as seen from a folder; one that begins with somebody's home stays what it is."""
    return path if str(path).startswith("~") else folder / path


def _on_disk(job: Job) -> list[Destination]:
    return [destination for destination in job.destinations if destination.plugin.name == "disk"]


def _copies_here(job: Job) -> int:
    """Copies of the export that retention finds on this machine: of what goes to others, one is kept."""
    return max(1, len(_on_disk(job)))


def _away(job: Job) -> list[str]:
    """Sinks of the export that deliver to others."""
    names = []
    for destination in job.destinations:
        with foreign_errors("sink", destination.plugin.name):
            if isinstance(destination.plugin.object, Addressed):
                names.append(destination.plugin.name)
    return list(dict.fromkeys(names))
