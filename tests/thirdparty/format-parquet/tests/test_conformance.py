from collections.abc import Mapping
from pathlib import Path

import polars as pl
from tailrace_sdk.conformance import FormatConformance

from tailrace import Engine


class TestParquet(FormatConformance):
    target = "tailrace_format_parquet"
    name = "parquet"
    streams = reads = container = nested = True

    def read_back(self, engine: Engine, path: Path) -> Mapping[str, pl.DataFrame]:
        return {"rows": pl.read_parquet(path)}
