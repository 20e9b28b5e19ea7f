"""Changes sorted by what they change."""

import polars as pl


def alike(update: pl.DataFrame) -> list[tuple[frozenset[str], pl.DataFrame]]:
    """Proxies to change, by the columns that are to be changed in them."""
    if not update.height:
        return []
    names = update.select(pl.col("changed").list.unique().list.sort().list.join(" ")).to_series()
    parts = update.with_columns(names.alias("changed")).partition_by("changed", maintain_order=True)
    return [(frozenset(part["changed"][0].split()), part) for part in parts]
