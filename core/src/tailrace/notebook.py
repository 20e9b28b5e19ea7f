"""Jobs, results, estimates and reports as HTML, for notebooks: what ``_repr_html_`` of them returns.

Everything is escaped, whoever wrote it. Colours are the notebook's own but for those of states, which can be read on
white and on black. A page of ours is shown in a frame that may do nothing: no scripts, no forms, no links out of it,
and no access to the notebook.
"""

import itertools
import stat
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tailrace.model.quantities import readable_size

if TYPE_CHECKING:
    from tailrace.model.job import Artifact, Estimate, JobResult, Receipt
    from tailrace.model.work import ExportJob
    from tailrace.pipeline.verify import Verification

LARGEST_PAGE: Final = 4 << 20
"""Bytes of the largest page that is shown: notebooks keep what they show."""
_HEIGHT: Final = 600
"""Pixels of the frame that a page is shown in."""
_MOST_LINES: Final = 100
"""Lines of one list or table that are shown; the rest is counted."""
_GOOD, _BAD, _OPEN = "#16874b", "#d6423b", "#a8740b"
_MARKS = {True: f'<span style="color:{_GOOD}">✓</span>', False: f'<span style="color:{_BAD}">✗</span>'}
_MARK_OPEN = f'<span style="color:{_OPEN}">…</span>'
_LINE = "border:0;border-top:1px solid rgba(128,128,128,.35)"
_CELL = f"{_LINE};padding:.3em .8em .3em 0;text-align:left;vertical-align:top;background:none;color:inherit"
_STATES = {"completed": _GOOD, "failed": _BAD, "partly delivered": _BAD, "cancelled": _OPEN, "expired": _OPEN}


def result_html(result: "JobResult") -> str:
    """An export that was carried out: its files, who has them, and its notes; pages are shown below."""
    seconds = (result.finished - result.started).total_seconds()
    facts = [_state("complete" if result.complete else "not delivered everywhere", good=result.complete)]
    facts += [f"{seconds:,.1f} s", escape(_moment(result.finished))]
    rows = [_artifact_row(artifact) for artifact in result.artifacts]
    pages = "".join(itertools.islice(filter(None, map(_page, result.artifacts)), 1))
    return _block(
        f"Export {escape(result.export_id)}",
        facts,
        _table(("file", "rows", "size", "delivered to"), rows),
        _list(result.notes),
        pages,
    )


def artifact_html(artifact: "Artifact") -> str:
    """A finished file; one that is a page shows itself."""
    manifest = artifact.manifest
    tables = [(escape(table.name), _number(table.rows.written)) for table in manifest.tables]
    facts = [
        f"{escape(manifest.source.plugin.name)} → {escape(manifest.format.name)}",
        readable_size(manifest.file.size),
    ]
    facts += [escape(_moment(manifest.created)), f"credentials {escape(str(manifest.credentials.value))}"]
    return _block(
        escape(manifest.file.name),
        facts,
        _table(("table", "rows"), tables),
        _list(map(_receipt_text, artifact.receipts), escaped=True),
        _list(manifest.notes),
        _page(artifact),
    )


def job_html(job: "ExportJob") -> str:
    """A job as the store remembers it: how far it is, and what went wrong."""
    state = str(job.state.value)
    facts = [_coloured(state, _STATES.get(state)), f"{escape(job.source)} → {escape(job.format)}", escape(job.creator)]
    moments = (("asked", job.created), ("began", job.started), ("ended", job.finished))
    lines = [(name, escape(_moment(moment))) for name, moment in moments if moment is not None]
    if not job.state.is_final:
        expected = "" if job.total_rows is None else f" of {_number(job.total_rows)}"
        lines.append(("progress", f"{_bar(job.progress)} {job.progress} % {escape(job.phase)}"))
        lines.append(("rows", f"{_number(job.rows)}{expected}"))
    if job.error is not None:
        words = " ".join(filter(None, (job.error.message, job.error.hint)))
        lines.append(("error", f'<span style="color:{_BAD}">{escape(words)}</span>'))
    return _block(f"Job {escape(job.id)}", facts, _table((), lines), _list(job.notes))


def estimate_html(estimate: "Estimate") -> str:
    """What an export will take."""
    facts = [f"{_number(estimate.rows)} rows", readable_size(estimate.bytes)]
    if estimate.learnt is not None:
        facts.append(f"learnt from {estimate.learnt.runs} runs, ± {estimate.learnt.error:.0%}")
    rows = [
        (
            escape(table.table),
            ("" if table.exact_rows else "about ") + _number(table.rows),
            readable_size(table.bytes),
            readable_size(table.plain_bytes),
        )
        for table in estimate.tables
    ]
    fits = [f"{_mark(ok=fit.fits)} {escape(fit.channel)}: {escape(fit.text)}" for fit in estimate.fits]
    return _block(
        "Estimate",
        facts,
        _table(("table", "rows", "on disk", "before compression"), rows),
        _list(fits, escaped=True),
        _list(estimate.notes),
    )


def verification_html(verification: "Verification") -> str:
    """What was checked of a finished file."""
    found = "complete and unchanged" if verification.ok else "not as it was made, or not to be trusted"
    facts = [_state(found, good=verification.ok), f"{len(verification.checks)} checks"]
    rows = [(_mark(ok=check.ok), escape(check.name), escape(check.detail)) for check in verification.checks]
    trust = verification.trust
    rows.append(("", "trust", f"{escape(str(trust.trust.value))}: {escape(trust.detail)}"))
    return _block(escape(verification.file.name), facts, _table((), rows))


def _block(title: str, facts: Iterable[str], *parts: str) -> str:
    head = f'<div style="padding:.2em 0"><strong>{title}</strong> · {" · ".join(facts)}</div>'
    return f'<div style="font-size:13px;line-height:1.5;max-width:70em">{head}{"".join(parts)}</div>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    cells = "".join(f'<th scope="col" style="{_CELL};font-weight:600">{name}</th>' for name in head)
    shown = [
        '<tr style="background:none">' + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in row) + "</tr>"
        for row in rows[:_MOST_LINES]
    ]
    more = _more(len(rows) - _MOST_LINES)
    top = f"<thead><tr>{cells}</tr></thead>" if head else ""
    return (
        f'<table style="border-collapse:collapse;margin:0;border:0">{top}<tbody>{"".join(shown)}</tbody></table>{more}'
    )


def _list(lines: Iterable[str], *, escaped: bool = False) -> str:
    items = [line if escaped else escape(line) for line in lines]
    if not items:
        return ""
    shown = "".join(f"<li>{line}</li>" for line in items[:_MOST_LINES])
    return f'<ul style="margin:.4em 0;padding-left:1.4em">{shown}</ul>{_more(len(items) - _MOST_LINES)}'


def _more(count: int) -> str:
    return f"<div>… and {count:,} more</div>" if count > 0 else ""


def _artifact_row(artifact: "Artifact") -> tuple[str, ...]:
    manifest = artifact.manifest
    rows = sum(table.rows.written for table in manifest.tables)
    receipts = [_receipt_text(receipt) for receipt in artifact.receipts]
    more = [f"… and {len(receipts) - _MOST_LINES:,} more"] if len(receipts) > _MOST_LINES else []
    return (
        escape(manifest.file.name),
        _number(rows),
        readable_size(manifest.file.size),
        "<br>".join([*receipts[:_MOST_LINES], *more]),
    )


def _receipt_text(receipt: "Receipt") -> str:
    words = (receipt.place or receipt.recipient) if receipt.delivered else receipt.error
    ok = True if receipt.delivered else None if receipt.transient else False
    noted = f" ({escape(receipt.note)})" if receipt.note else ""
    return f"{_mark(ok=ok)} {escape(receipt.sink)}: {escape(words)}{noted}"


def _page(artifact: "Artifact") -> str:
    """The page that a file is, in a frame; what keeps it from being shown; nothing for files of other kinds."""
    file, path = artifact.manifest.file, artifact.path
    if file.media_type.partition(";")[0] != "text/html" or file.compression is not None or path is None:
        return ""
    content = _content(path)
    if content is None:
        return f"<div>The page is too large to be shown here, or is gone: {escape(str(path))}</div>"
    return (
        f'<iframe sandbox="" referrerpolicy="no-referrer" title="{escape(file.name)}" srcdoc="{escape(content)}" '
        f'style="width:100%;height:{_HEIGHT}px;border:1px solid rgba(128,128,128,.35);background:#fff"></iframe>'
    )


def _content(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(path.stat().st_mode):
                return None
            content = file.read(LARGEST_PAGE + 1)
    except OSError:
        return None
    return content.decode(errors="replace") if len(content) <= LARGEST_PAGE else None


def _bar(percent: int) -> str:
    return (
        '<span style="display:inline-block;width:8em;height:.6em;border:1px solid currentColor;border-radius:.3em;'
        'overflow:hidden"><span style="display:block;height:100%;background:currentColor;'
        f'width:{percent}%"></span></span>'
    )


def _mark(*, ok: bool | None) -> str:
    return _MARK_OPEN if ok is None else _MARKS[ok]


def _state(text: str, *, good: bool) -> str:
    return _coloured(text, _GOOD if good else _BAD)


def _coloured(text: str, colour: str | None) -> str:
    return escape(text) if colour is None else f'<span style="color:{colour}">{escape(text)}</span>'


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _number(count: int) -> str:
    return f"{count:,}"
