"""What standard tests of formats have done in a process of its own."""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailrace import Table
from tailrace_sdk.conformance.formats.base import FormatTests, request_for
from tailrace_sdk.datasets import LazyRows


def digest(target: str, name: str, options: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Write the table of ``test_the_same_gives_the_same_bytes``; gives the SHA-256 of the file."""
    tests = _tests(target, name, options, settings)
    table = tests.make.table(rows=1_500, nulls=True, zones=["Europe/Berlin"])
    engine = tests.make_engine(Path("nowhere"))
    return hashlib.sha256(tests.write(engine, table).content).hexdigest()


def export_half(
    target: str,
    name: str,
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
    rows: int,
    home: str,
    folder: str,
    marker: str,
) -> None:
    """Export until half of the rows have come; then make a file, and wait to be killed."""

    def look(made: int) -> None:
        if made >= rows // 2:
            Path(marker).touch()
            time.sleep(3_600)

    tests = _tests(target, name, options, settings)
    shape = tests.make.table(rows=0)
    made = LazyRows(rows, tests.make.frame, look, batch=max(1, rows // 10))
    engine = tests.exporting(Path(home), Table("rows", made.frame, shape.columns))
    engine.export(request_for(name, options, Path(folder)))


def export_whole(
    target: str,
    name: str,
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
    rows: int,
    home: str,
    folder: str,
) -> int:
    """Export so many rows of three columns; gives how many are in the file."""
    tests = _tests(target, name, options, settings)
    table = tests.make.table(rows=rows, columns=3, lazy=True)
    result = tests.exporting(Path(home), table).export(request_for(name, options, Path(folder)))
    return result.artifacts[0].manifest.tables[0].rows.reread


def _tests(target: str, name: str, options: Mapping[str, Any], settings: Mapping[str, Any]) -> FormatTests:
    """The helpers of the tests, for a plugin."""
    attributes = {"target": target, "name": name, "options": options, "settings": settings}
    tests: FormatTests = type("Probe", (FormatTests,), attributes)()
    return tests
