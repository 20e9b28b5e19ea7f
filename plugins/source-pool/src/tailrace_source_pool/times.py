"""Times as pools hold them."""

import polars as pl

UTC_MICROSECONDS = pl.Datetime("us", "UTC")
