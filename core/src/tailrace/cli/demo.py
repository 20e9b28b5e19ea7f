"""``tailrace demo``."""

import gzip
import itertools
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import attrs
from cyclopts import Parameter

from tailrace.cli import demo_data
from tailrace.cli.layout import Styled
from tailrace.cli.quantities import counted, deviation, size, span
from tailrace.cli.running import run
from tailrace.cli.session import COMMON, Common, Session, Shared
from tailrace.model.context import Context
from tailrace.model.errors import StorageError
from tailrace.model.request import CredentialMode, ExportRequest, SinkRequest

if TYPE_CHECKING:
    from tailrace.model.manifest import Manifest

REFUSED = 3


@attrs.frozen
class Outcome:
    """One file of the demo."""

    path: Path
    rows: int
    expected_rows: int
    size: int
    expected_size: int
    checks: int
    verified: bool


def demo(
    *,
    folder: Annotated[Path, Parameter(name="--dir")] = Path("tailrace-demo"),
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Try everything on made-up data in a fresh folder.

    Makes a small ProxyWhirl database, exports its proxies and its request log as CSV, JSON and Excel without
    credentials, verifies the files and searches them for every user name and password, and makes a health report to
    look at.

    Args:
        folder: The folder to make; when it is taken, one with a number behind its name.
    """
    began = time.monotonic()
    home = _fresh(folder)
    database = home / "proxywhirl.db"
    pool = demo_data.make_pool()
    demo_data.write_database(database, pool, demo_data.make_log())
    outcomes = run(session, lambda context: _export_all(session, database, home / "exports", context))
    leaks = _leaks((home / "exports").iterdir(), pool.secrets)
    reports = run(session, lambda context: _report(session, database, home / "reports", context))
    seconds = time.monotonic() - began
    if common.json:
        session.terminal.document(_as_document(database, outcomes, reports, leaks, pool, seconds))
    else:
        _tell(session, database, outcomes, reports, leaks, pool, seconds)
    return 0 if not leaks and all(outcome.verified for outcome in outcomes) else REFUSED


def _fresh(folder: Path) -> Path:
    for candidate in itertools.chain([folder], (folder.with_name(f"{folder.name}-{n}") for n in itertools.count(2))):
        try:
            candidate.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise StorageError(
                f"The folder {candidate} cannot be made: {error.strerror}.",
                hint="Name another one: tailrace demo --dir DIR",
            ) from None
        return candidate
    raise AssertionError  # pragma: no cover - counting never ends


def _requests(database: Path, target: Path) -> Iterable[ExportRequest]:
    path = quote(str(database.absolute()))
    locations = {"pool": f"proxywhirl://{path}", "analytics": f"sqlite://{path}?table=request_logs"}
    for source, location in locations.items():
        for name in ("csv", "json", "excel"):
            yield ExportRequest(
                source=source,
                location=location,
                format=name,
                sinks=(SinkRequest("disk", str(target)),),
                credentials=CredentialMode.SANITIZED,
            )


def _export_all(session: Session, database: Path, target: Path, context: Context) -> list[Outcome]:
    outcomes = []
    for request in _requests(database, target):
        expected = {table.table: table for table in session.engine.estimate(request, context=context).tables}
        result = session.engine.export(request, context=context)
        for artifact in result.artifacts:
            manifest, path = artifact.manifest, artifact.path
            assert path is not None  # noqa: S101 - the sink disk always says where the file is
            found = session.engine.verify(path, context=context)
            tables = [expected[table.name] for table in manifest.tables]
            outcomes.append(
                Outcome(
                    path=path,
                    rows=_rows(manifest),
                    expected_rows=sum(table.rows for table in tables),
                    size=manifest.file.size,
                    expected_size=sum(table.bytes for table in tables),
                    checks=len(found.checks),
                    verified=found.ok,
                )
            )
    return outcomes


def _report(session: Session, database: Path, target: Path, context: Context) -> list[Path]:
    """The health of the pool, as documents to look at."""
    paths = []
    for name in ("html", "pdf"):
        request = ExportRequest(
            source="health",
            location=f"proxywhirl://{quote(str(database.absolute()))}",
            format=name,
            sinks=(SinkRequest("disk", str(target), {"filename": "health.{ext}"}),),
        )
        (artifact,) = session.engine.export(request, context=context).artifacts
        assert artifact.path is not None  # noqa: S101 - the sink disk always says where the file is
        paths.append(artifact.path)
    return paths


def _shown(path: Path) -> Path:
    """The path as people would type it here."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _rows(manifest: "Manifest") -> int:
    return sum(table.rows.written for table in manifest.tables)


def _leaks(files: Iterable[Path], secrets: Iterable[str]) -> list[str]:
    """The names of the files in which one of the secrets stands, compressed or not."""
    wanted = [secret.encode() for secret in secrets]
    leaking = []
    for file in sorted(files):
        content = file.read_bytes()
        if file.suffix == ".gz":
            content = gzip.decompress(content)
        if any(secret in content for secret in wanted):
            leaking.append(file.name)
    return leaking


def _as_document(
    database: Path, outcomes: list[Outcome], reports: list[Path], leaks: list[str], pool: demo_data.Pool, seconds: float
) -> dict[str, Any]:
    return {
        "database": str(database),
        "files": [attrs.asdict(outcome) | {"path": str(outcome.path)} for outcome in outcomes],
        "reports": [str(path) for path in reports],
        "secrets": len(pool.secrets),
        "leaks": leaks,
        "seconds": round(seconds, 3),
    }


def _tell(
    session: Session,
    database: Path,
    outcomes: list[Outcome],
    reports: list[Path],
    leaks: list[str],
    pool: demo_data.Pool,
    seconds: float,
) -> None:
    say = session.terminal
    say.line("1  A made-up database", "bold")
    say.text(
        f"{counted(len(pool.identities), 'proxy', 'proxies')}, {demo_data.WITH_CREDENTIALS} of them with user name and "
        f"password; {counted(len(pool.checks), 'check')}; a log of {counted(demo_data.LOG_ROWS, 'request')}.",
        indent="   ",
    )
    say.line(f"   {database}", "cyan")
    say.line()
    say.line("2  Exported without credentials, estimated before and verified after", "bold")
    say.table(
        ("file", "rows", "size", "estimate", "verified"),
        [
            (
                outcome.path.name,
                f"{outcome.rows:,}",
                size(outcome.size),
                deviation(outcome.expected_size, outcome.size),
                Styled("yes", "green") if outcome.verified else Styled("NO", "bold red"),
            )
            for outcome in outcomes
        ],
        right={1, 2, 3},
        indent="   ",
    )
    say.line(f"   {_shown(outcomes[0].path.parent)}{os.sep}", "cyan")
    say.line()
    say.line("3  Searched for secrets", "bold")
    searched = f"All {len(pool.secrets)} user names and passwords were looked for in every byte of these files:"
    say.text(f"{searched} {f'FOUND in {chr(44).join(leaks)}.' if leaks else 'none is there.'}", indent="   ")
    say.line()
    say.line("4  A report to look at, on screen and on paper", "bold")
    for path in reports:
        say.line(f"   {_shown(path)}", "cyan")
    say.line()
    say.line(f"Done in {span(seconds)}. Try next:", "bold")
    say.line(f"  tailrace inspect {_shown(outcomes[0].path)}")
    say.line(f"  tailrace export analytics --from {database} --format csv \\")
    say.line('      --where "not success" --columns timestamp,endpoint,error_code')
