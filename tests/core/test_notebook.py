"""What notebooks show of jobs, results, estimates and reports."""

import re
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

from tailrace import (
    Engine,
    Estimate,
    ExportJob,
    ExportRequest,
    JobResult,
    JobState,
    Receipt,
    SinkRequest,
    TableEstimate,
    User,
    notebook,
)
from tailrace.model.job import Fit, Learnt
from tailrace.model.work import JobError
from tailrace.settings import Settings

HOSTILE = "<script>alert('x')</script>\"&'"
ROOT = User("root", is_admin=True)
VOID = {"br", "img", "meta", "input", "hr", "link"}


class Checker(HTMLParser):
    """Reads HTML strictly: what is opened is closed, and which elements there are."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(thing: Any) -> Checker:
    checker = Checker()
    checker.feed(thing._repr_html_())
    checker.close()
    assert checker.open == []
    assert not {"script", "style", "link", "img", "object", "form", "a"} & set(checker.elements)
    assert not any(name.startswith("on") for name, _value in checker.attributes)
    return checker


def made(tmp_path: Path, kind: str, **more: Any) -> tuple[Engine, ExportRequest, JobResult]:
    engine = Engine(Settings(home=tmp_path / "home", user="kim"))
    frame = pl.DataFrame({"id": range(30), "word": [HOSTILE] * 30})
    engine.add_source("orders", lambda _call: frame)
    sinks = (SinkRequest("disk", str(tmp_path / "out")),)
    request = ExportRequest("orders", HOSTILE, kind, sinks=sinks, **more)
    return engine, request, engine.export(request)


def test_a_result_shows_its_files_and_who_has_them(tmp_path: Path) -> None:
    engine, _request, result = made(tmp_path, "csv")
    shown = read(result)
    (artifact,) = result.artifacts
    for text in (result.export_id, artifact.manifest.file.name, "30", "complete", str(artifact.path), "disk"):
        assert text in shown.text
    assert "iframe" not in shown.elements
    failed = attrs.evolve(
        result,
        artifacts=(attrs.evolve(artifact, receipts=(Receipt("email", delivered=False, error=HOSTILE),)),),
        notes=(HOSTILE, "second"),
    )
    shown = read(failed)
    assert "not delivered everywhere" in shown.text
    assert shown.text.count(HOSTILE) == 2
    engine.store.close()


def test_a_page_shows_itself_in_a_frame_that_may_do_nothing(tmp_path: Path) -> None:
    engine, _request, result = made(tmp_path, "html")
    (artifact,) = result.artifacts
    assert artifact.path is not None
    page = artifact.path.read_text()
    for thing in (artifact, result):
        shown = read(thing)
        assert shown.elements.count("iframe") == 1
        values = dict(shown.attributes)
        # Read back as a browser does, it is the page, byte for byte; and nothing is allowed to it.
        assert values["srcdoc"] == page
        assert values["sandbox"] == ""
    engine.store.close()


@pytest.mark.parametrize("what", ["too large", "gone", "a folder"])
def test_a_page_that_cannot_be_shown_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    engine, _request, result = made(tmp_path, "html")
    (artifact,) = result.artifacts
    assert artifact.path is not None
    if what == "too large":
        monkeypatch.setattr(notebook, "LARGEST_PAGE", artifact.path.stat().st_size - 1)
    else:
        artifact.path.unlink()
    if what == "a folder":
        artifact.path.mkdir()
    shown = read(artifact)
    assert "iframe" not in shown.elements
    assert f"too large to be shown here, or is gone: {artifact.path}" in shown.text
    engine.store.close()


def test_an_estimate_shows_rows_bytes_and_what_fits(tmp_path: Path) -> None:
    engine, request, _result = made(tmp_path, "csv")
    shown = read(engine.estimate(request, fits=True))
    assert "30 rows" in shown.text
    assert "Excel" in shown.text
    learnt = Estimate(
        (TableEstimate(HOSTILE, 1_234_567, 10**10, 10**9, exact_rows=False),),
        notes=(HOSTILE,),
        fits=(Fit("mail", fits=False, text=HOSTILE), Fit("disk", fits=None, text="?")),
        learnt=Learnt(7, 1.1, 0.04),
    )
    shown = read(learnt)
    assert "about 1,234,567" in shown.text
    assert "1.00 GB" in shown.text
    assert "learnt from 7 runs, ± 4%" in shown.text
    assert shown.text.count(HOSTILE) == 3
    engine.store.close()


def test_a_job_shows_how_far_it_is_and_what_went_wrong(tmp_path: Path) -> None:
    engine, request, result = made(tmp_path, "csv")
    job = engine.submit(request)
    assert "pending" in read(job).text
    going: ExportJob = attrs.evolve(
        job, state=JobState.PROCESSING, phase="writing", progress=42, rows=1000, total_rows=5000, started=job.created
    )
    shown = read(going)
    assert "42 %" in shown.text
    assert "1,000 of 5,000" in shown.text
    broken = attrs.evolve(
        going,
        state=JobState.FAILED,
        error=JobError("SourceError", HOSTILE, hint="Look."),
        finished=job.created + timedelta(seconds=1),
        source=HOSTILE,
        notes=(HOSTILE,),
    )
    shown = read(broken)
    assert shown.text.count(HOSTILE) == 3
    assert "42 %" not in shown.text
    done = engine.jobs.show(result.export_id, ROOT)
    assert "completed" in read(done).text
    engine.store.close()


def test_a_verification_shows_each_check(tmp_path: Path) -> None:
    engine, _request, result = made(tmp_path, "csv")
    path = result.artifacts[0].path
    assert path is not None
    good = engine.verify(path)
    shown = read(good)
    assert "complete and unchanged" in shown.text
    assert all(check.name in shown.text and check.detail in shown.text for check in good.checks)
    path.write_bytes(path.read_bytes() + b"x")
    assert "not as it was made" in read(engine.verify(path)).text
    engine.store.close()


def test_long_lists_are_cut(tmp_path: Path) -> None:
    engine, _request, result = made(tmp_path, "csv")
    (artifact,) = result.artifacts
    many = tuple(Receipt("email", delivered=True, place=f"user-{number}") for number in range(1000))
    shown = read(attrs.evolve(result, artifacts=(attrs.evolve(artifact, receipts=many),), notes=("n",) * 500))
    assert shown.text.count("user-") == 100
    assert "and 900 more" in shown.text
    assert "and 400 more" in shown.text
    assert read(attrs.evolve(artifact, receipts=many)).text.count("user-") == 100
    engine.store.close()


def test_no_secret_is_shown(tmp_path: Path) -> None:
    engine = Engine(Settings(home=tmp_path / "home", user="kim"))
    (tmp_path / "proxies.txt").write_text("http://kim:hunter2-canary@192.0.2.1:8080\n")
    sinks = (SinkRequest("disk", str(tmp_path / "out")),)
    location = str(tmp_path / "proxies.txt")
    request = ExportRequest("pool", location, "csv", sinks=sinks, where=("url != 'http://ada:swordfish@x'",))
    result, job = engine.export(request), engine.submit(request)
    path = result.artifacts[0].path
    assert path is not None
    for thing in (result, result.artifacts[0], engine.estimate(request), job, engine.verify(path)):
        html = thing._repr_html_()
        assert not re.search("hunter2|swordfish", unescape(html))
    engine.store.close()
