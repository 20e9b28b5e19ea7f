"""What the standard tests of sources have done in processes of their own."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailrace_sdk.conformance.sources.opening import Opener, digest, opener_of
from tailrace_sdk.conformance.sources.placed import Placed

Named = tuple[str, str, Mapping[str, Any], Mapping[str, str]]
"""Name, target, options and others of :func:`~tailrace_sdk.conformance.sources.opening.opener_of`."""


def read_and_digest(named: Named, placed: Mapping[str, Any], folder: str) -> dict[str, str]:
    """Read everything, and give a digest of each table."""
    return digest(_opener(named).read(_placed(placed), Path(folder)))


def read_in_batches(named: Named, placed: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Read everything, keeping nothing; say how many rows there were of each table, and how long it took in seconds."""
    began = time.monotonic()
    with _opener(named).opened(_placed(placed), Path(folder)) as dataset:
        rows = {table.name: sum(batch.height for batch in table.frame.collect_batches()) for table in dataset.tables}
    return {"rows": rows, "seconds": time.monotonic() - began}


def _opener(named: Named) -> Opener:
    return opener_of(*named)


def _placed(placed: Mapping[str, Any]) -> Placed:
    return Placed(placed["location"], {}, placed["options"])
