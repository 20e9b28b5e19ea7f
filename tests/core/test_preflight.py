"""What is said of an export before it is made: Excel, mails, webhooks, the disk, retention."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import tailrace_format_csv
import tailrace_format_excel
import tailrace_format_json
import tailrace_sink_disk
import tailrace_sink_email
import tailrace_sink_webhook
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, NoOptions, memory_table

from tailrace import (
    DeliverCall,
    Engine,
    ExportRequest,
    FileLayout,
    Fit,
    FitCall,
    Receipt,
    RequestError,
    SinkRequest,
    StagingCall,
    TableEstimate,
    hookimpl,
    option,
)
from tailrace.pipeline.preflight import SHEET_COLUMNS, SHEET_ROWS, Room, fits_disk, fits_excel, fits_retention
from tailrace.plugins.selection import PluginSelection
from tailrace.settings import RetentionSettings, Settings

NOW = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)
CSV = FileLayout("csv", "text/csv")
XLSX = FileLayout("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", compressible=False)


def table(rows: int, columns: int | None = 3, name: str = "log", *, exact: bool = True) -> TableEstimate:
    return TableEstimate(name, rows, 10, 10, exact_rows=exact, columns=columns)


@pytest.mark.parametrize(
    ("layout", "tables", "told", "fits", "text"),
    [
        (CSV, [table(5)], {}, True, "Excel opens it."),
        (CSV, [table(SHEET_ROWS - 1, SHEET_COLUMNS)], {}, True, "Excel opens it."),
        (CSV, [table(SHEET_ROWS)], {"header": False}, True, "Excel opens it."),
        (CSV, [table(5, None)], {}, True, "Excel opens it."),
        (CSV, [table(5)], {"gzipped": True}, True,
         "Excel opens it once the .gz is unpacked; --no-compress makes none."),
        (CSV, [table(5), table(SHEET_ROWS, name="two")], {"gzipped": True}, False,
         "Excel shows 1,048,576 rows, and two has 1,048,577 with the header; a workbook takes them."),
        (CSV, [table(SHEET_ROWS + 1, exact=False)], {"header": False}, False,
         "Excel shows 1,048,576 rows, and log has about 1,048,577; a workbook takes them."),
        (CSV, [table(5, SHEET_COLUMNS + 1)], {}, False, "Excel shows 16,384 columns, and log has 16,385."),
        (XLSX, [table(SHEET_ROWS - 1)], {}, True, "Excel opens it."),
        (XLSX, [table(SHEET_ROWS)], {}, True, "Excel opens it; what exceeds 1,048,576 rows is on further sheets."),
        (XLSX, [table(5, SHEET_COLUMNS + 1)], {}, False, "Excel shows 16,384 columns, and log has 16,385."),
        (FileLayout("ndjson", "application/x-ndjson"), [table(5)], {}, False,
         "Excel does not open .ndjson by itself; its Power Query reads it (Data > Get Data)."),
        (FileLayout("parquet", "application/vnd.apache.parquet"), [table(5)], {}, None,
         "Whether Excel opens .parquet is not known."),
    ],
)  # fmt: skip
def test_excel(layout: FileLayout, tables: list[TableEstimate], told: Any, fits: Any, text: str) -> None:
    assert fits_excel(layout, tables, **{"header": True, "gzipped": False, **told}) == Fit("Excel", fits, text)


@pytest.mark.parametrize(
    ("free", "copies", "fits", "text"),
    [
        (1000, 1, True, "It takes about 1.00 kB, and /data has 1.00 kB free."),
        (999, 1, False, "It takes about 1.00 kB, and /data has 999 bytes free."),
        (2000, 2, True, "2 copies take about 2.00 kB, and /data has 2.00 kB free."),
        (1999, 2, False, "2 copies take about 2.00 kB, and /data has 2.00 kB free."),
    ],
)
def test_disk(free: int, copies: int, fits: bool, text: str) -> None:  # noqa: FBT001 - a table's column
    assert fits_disk(1000, Room(Path("/data"), free, copies)) == Fit("disk", fits, text)


@pytest.mark.parametrize(
    ("rules", "away", "fits", "text"),
    [
        ({}, (), True, "Removed from 2026-09-19 on, after 30 days, unless it is pinned."),
        ({"days": 1}, (), True, "Removed from 2026-08-21 on, after 1 day, unless it is pinned."),
        ({"days": 0.5}, (), True, "Removed from 2026-08-21 00:00 UTC on, after 0.5 days, unless it is pinned."),
        ({"days": 0}, (), True, "No rule of retention removes it."),
        ({"days": 1e9}, (), True, "No rule of retention removes it."),
        ({"days": math.inf}, ["email"], True, "No rule of retention removes it; what goes out by email stays there."),
        ({"daily": False}, (), True,
         "Removed by 'tailrace retention apply' from 2026-09-19 on, after 30 days, unless it is pinned."),
        ({"keep_last": 2, "keep_weekly": 4}, (), True,
         ("Removed from 2026-09-19 on, after 30 days, unless it is pinned, kept by keep_last = 2 or kept by "
          "keep_weekly = 4.")),
        ({"total_size": 5000}, ["email", "webhook"], True,
         ("Removed from 2026-09-19 on, after 30 days, sooner where all exports together have more than 5.00 kB, unless "
          "it is pinned; what goes out by email and webhook stays there.")),
        ({"days": 0, "total_size": 1000}, (), True,
         "Removed where all exports together have more than 1.00 kB, unless it is pinned."),
        ({"total_size": 999}, (), False,
         "All exports together may have 999 bytes, so the next run of retention removes it."),
        ({"total_size": 999, "keep_last": 1, "days": 0}, (), True,
         "Removed where all exports together have more than 999 bytes, unless it is pinned or kept by keep_last = 1."),
    ],
)  # fmt: skip
def test_retention(rules: dict[str, Any], away: Any, fits: bool, text: str) -> None:  # noqa: FBT001 - a table's column
    assert fits_retention(RetentionSettings(**rules), 1000, NOW, away=away) == Fit("retention", fits, text)


@attrs.frozen
class Wanted:
    """Options that must be given."""

    room: str = option(help="Which one.")


@attrs.frozen
class JudgeSettings:
    """Settings of :class:`Judge`."""

    limit: int = 100


@attrs.define
class Judge:
    """A sink that takes files up to a size that the operator sets, to several recipients.

    Args:
        does: What it says instead.
        options_type: Its options.
        calls: What it was asked.
    """

    does: Callable[[FitCall], Any] | None = None
    options_type: type = NoOptions
    calls: list[FitCall] = attrs.field(factory=list)
    summary: str = "Takes files up to some size."
    settings_type: type = JudgeSettings

    @hookimpl
    def tailrace_sink(self) -> "Judge":
        return self

    def staging(self, call: StagingCall) -> Path | None:
        raise AssertionError("nothing is made")

    def deliver(self, call: DeliverCall) -> Receipt:
        raise AssertionError("nothing is delivered")

    def recipients(self, call: StagingCall) -> list[str]:
        raise AssertionError("nobody is asked for")

    def deliver_each(self, call: DeliverCall) -> list[Receipt]:
        raise AssertionError("nothing is delivered")

    def fits(self, call: FitCall) -> Any:
        self.calls.append(call)
        if self.does is not None:
            return self.does(call)
        fits = call.size <= call.settings.limit
        return Fit("judge", fits, f"{call.size} of {call.settings.limit} bytes for {call.target or 'anybody'}.")


class Bench:
    """An engine with the plugins of a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = MemorySource([memory_table("rows", {"id": [1, 2], "word": ["pump", "wheel"]})])

    def fits(self, *words: Any, **more: Any) -> dict[str, Fit]:
        """What is said, by channel; arguments as for :meth:`all_fits`."""
        everything = self.all_fits(*words, **more)
        found = {fit.channel: fit for fit in everything}
        assert len(found) == len(everything)
        return found

    def all_fits(
        self, format_: str = "csv", *, sinks: tuple[SinkRequest, ...] = (), settings: Any = None, **plugins: Any
    ) -> tuple[Fit, ...]:
        """What is said."""
        given = {
            "memory": self.source,
            "csv": tailrace_format_csv,
            "excel": tailrace_format_excel,
            "json": tailrace_format_json,
            "lines": LinesFormat(),
            "disk": tailrace_sink_disk,
            **plugins,
        }
        engine = Engine(
            Settings(home=self.folder / "home", user="kim", **(settings or {})),
            plugins=list(given.items()),
            discover=False,
            clock=lambda: NOW,
        )
        sinks = sinks or (SinkRequest("disk", str(self.folder / "out")),)
        request = ExportRequest("memory", "memory://", format_, sinks=sinks, compress=False)
        expected = engine.estimate(request, fits=True)
        assert engine.estimate(request).fits == ()
        return expected.fits


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_is_told_by_default_and_nothing_is_made(bench: Bench, tmp_path: Path) -> None:
    found = bench.fits()
    assert list(found) == ["Excel", "disk", "retention"]
    assert found["Excel"] == Fit("Excel", fits=True, text="Excel opens it.")
    assert found["disk"].fits is True
    assert found["disk"].text.startswith(f"It takes about {len('id,word,1,pump,2,wheel,')} bytes, and {tmp_path} has ")
    assert found["retention"].text == "Removed from 2026-09-19 on, after 30 days, unless it is pinned."
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("format_", "fits"), [("excel", True), ("json", False), ("lines", False)])
def test_excel_is_judged_by_the_format(format_: str, fits: bool, bench: Bench) -> None:  # noqa: FBT001 - a table's column
    assert bench.fits(format_)["Excel"].fits is fits


def test_a_sink_of_the_export_is_asked_as_it_is_used(bench: Bench, tmp_path: Path) -> None:
    judge = Judge()
    found = bench.fits(sinks=(SinkRequest("judge", "ann"),), settings={"sinks": {"judge": {"limit": 22}}}, judge=judge)
    assert found["judge"] == Fit("judge", fits=False, text="23 of 22 bytes for ann.")
    assert found["retention"].text.endswith("; what goes out by judge stays there.")
    # What goes to others is kept in the home, which is not there yet.
    assert f", and {tmp_path / 'home'} has " in found["disk"].text or f", and {tmp_path} has " in found["disk"].text
    (call,) = judge.calls
    assert (call.name, call.target, call.folder) == ("memory_20260820T120000Z_kim.csv", "ann", Path())
    assert call.options == NoOptions()


def test_a_sink_that_the_export_does_not_use_is_asked_whether_it_could(bench: Bench) -> None:
    found = bench.fits(judge=Judge())
    assert found["judge"] == Fit("judge", fits=True, text="23 of 100 bytes for anybody.")
    assert "judge" not in found["retention"].text


def test_mails_and_webhooks_say_what_they_take(bench: Bench) -> None:
    real: dict[str, Any] = {"email": tailrace_sink_email, "webhook": tailrace_sink_webhook}
    unused = bench.fits(**real)
    assert list(unused) == ["Excel", "e-mail", "webhook", "disk", "retention"]
    assert (unused["e-mail"].fits, unused["webhook"].fits) == (True, True)
    sinks = (
        SinkRequest("email", "ann@example.com"),
        SinkRequest("webhook", "https://hooks.example.com/a-secret-path", {"send": "put"}),
    )
    settings = {"sinks": {"email": {"limit": 100}, "webhook": {"limit": 22, "secrets": ["env:HOOK_SECRET"]}}}
    used = bench.fits(sinks=sinks, settings=settings, **real)
    assert (used["e-mail"].fits, used["webhook"].fits) == (False, False)
    assert used["retention"].text.endswith("; what goes out by email and webhook stays there.")
    assert "a-secret-path" not in repr(used)


def test_two_targets_of_one_sink_are_told_once_where_it_says_the_same(bench: Bench) -> None:
    judge = Judge(does=lambda _call: Fit("judge", fits=True, text="It fits."))
    found = bench.fits(sinks=(SinkRequest("judge", "ann"), SinkRequest("judge", "bob")), judge=judge)
    assert found["judge"].text == "It fits."
    assert [call.target for call in judge.calls] == ["ann", "bob"]


def test_the_largest_file_decides_where_each_table_has_one(bench: Bench) -> None:
    bench.source.tables = [memory_table("a", {"x": [1]}), memory_table("b", {"x": [1, 2, 3]})]
    judge = Judge()
    bench.fits("csv", judge=judge)
    bench.fits("json", judge=judge)
    by_table, together = judge.calls
    assert (by_table.name, by_table.size) == ("memory-b_20260820T120000Z_kim.csv", len("x 1 2 3 "))
    assert together.name == "memory_20260820T120000Z_kim.json"
    assert together.size > 2 * by_table.size


def leave(_call: FitCall) -> Any:
    raise RuntimeError("cannot ask https://ann:secret@example.com/path\nat all")


@pytest.mark.parametrize(
    ("judge", "settings", "reason"),
    [
        (Judge(does=leave), {}, "failed with RuntimeError: cannot ask"),
        (Judge(does=lambda _call: "yes"), {}, "returned str instead of a Fit"),
        (Judge(options_type=Wanted), {}, "sink judge needs it"),
        (Judge(), {"sinks": {"judge": {"limit": "secret"}}}, "expected a whole number, got text @ $.limit"),
    ],
    ids=["it fails", "it says something else", "its options are not known", "its settings are wrong"],
)
def test_a_sink_that_cannot_say_so_is_unknown(judge: Judge, settings: Any, reason: str, bench: Bench) -> None:
    found = bench.fits(settings=settings, judge=judge)
    assert found["judge"].fits is None
    assert reason in found["judge"].text
    assert "secret" not in found["judge"].text
    assert "\n" not in found["judge"].text
    assert found["retention"].fits is True


def test_sinks_that_judge_no_size_or_cannot_be_used_are_left_out(bench: Bench) -> None:
    broken = SimpleNamespace(tailrace_sink=hookimpl(lambda: None))
    assert list(bench.fits(folder=FolderSink(), broken=broken)) == ["Excel", "disk", "retention"]


def test_a_sink_that_is_denied_is_not_even_imported(distribute: Any, importable: Any, bench: Bench) -> None:
    folder = distribute(
        "tailrace-mean", plugins={"sink": {"mean": "mean_sink"}}, modules={"mean_sink": "raise SystemExit('imported')"}
    )
    importable(folder)
    settings = Settings(home=bench.folder / "home", plugins=PluginSelection(deny=("sink.mean",)))
    engine = Engine(settings, plugins=[("memory", bench.source)])
    expected = engine.estimate(ExportRequest("memory", "memory://", "csv"), fits=True)
    assert {"Excel", "disk", "retention"} <= {fit.channel for fit in expected.fits}
    assert [entry.status for entry in engine.registry.entries() if entry.name == "mean"] == ["denied"]
    assert engine.registry.failures() == ()


def test_several_folders_of_one_disk_take_as_many_copies(bench: Bench, tmp_path: Path) -> None:
    sinks = tuple(SinkRequest("disk", str(tmp_path / name)) for name in ("a", "b"))
    found = bench.fits(sinks=sinks, settings={"retention": RetentionSettings(total_size=40)})
    assert found["disk"].text.startswith("2 copies take about 46 bytes, and ")
    # One copy would have been fine.
    assert found["retention"].fits is False


def test_a_folder_counts_from_the_one_of_whoever_asks(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "exports").mkdir()
    monkeypatch.chdir(tmp_path)
    assert f", and {tmp_path / 'exports'} has " in bench.fits(sinks=(SinkRequest("disk"),))["disk"].text


def test_another_sink_may_have_the_name_of_the_folders(bench: Bench) -> None:
    assert f", and {Path.cwd()} has " in bench.fits(sinks=(SinkRequest("disk"),), disk=FolderSink())["disk"].text


def test_a_target_that_can_never_work_is_refused_as_by_the_export(bench: Bench) -> None:
    with pytest.raises(RequestError, match="there is no such home"):
        bench.all_fits(sinks=(SinkRequest("disk", "~nobody-of-this-name/exports"),))
