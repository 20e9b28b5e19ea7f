"""From groups to what is shown: complete, in order, the long tail put together, gaps where nothing is known."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

import attrs
import polars as pl

from tailrace import Column, Meaning, SourceCall
from tailrace_source_dashboard.answering import BY, COUNT, RANK, SPLIT, Answer
from tailrace_source_dashboard.asked import CYCLES, HOUR, TIME, WEEKDAY
from tailrace_source_dashboard.spans import steps_of, truncated

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MARK = "mark"
_CYCLES_OF_ROW = "(cycles)"
_TOP: Mapping[str, int] = {"bar": 12, "stacked": 12, "pie": 6, "donut": 6, "table": 20, "heatmap": 24}
_MOST_SPLITS = 6
_WITH_OTHERS = frozenset(("pie", "donut", "bar", "stacked"))
_BINS = 24
_TAIL = 0.99


@attrs.frozen
class Shape:
    """A panel's data as it is shown and exported.

    Args:
        table: The rows, tidy: what they are by, then the metrics.
        columns: What the columns of the table mean.
        places: What it is by, in order: texts, or moments.
        splits: What it is split by, in order; empty where it is not.
        notes: What one has to know about it, in short sentences.
        width: Width of a bin of a histogram.
        totals: For each place the metrics, over all that it is split by.
    """

    table: pl.DataFrame = attrs.field(repr=False)
    columns: Sequence[Column]
    places: Sequence[object] = ()
    splits: Sequence[str] = ()
    notes: Sequence[str] = ()
    width: float | None = None
    totals: pl.DataFrame | None = attrs.field(default=None, repr=False)


def shaped(answer: Answer, call: SourceCall, currency: str, meanings: Mapping[str, Column]) -> Shape:
    """What a panel shows.

    Args:
        answer: What came out.
        call: What was asked.
        currency: Unit of costs.
        meanings: What the columns of its table mean.
    """
    if answer.values is not None:
        return _histogram(answer, meanings)
    if answer.listed is not None:
        names = list(answer.asked.spec.columns)
        listed = answer.listed.select(names)
        shown = [attrs.evolve(meanings.get(name, Column(name)), name=name) for name in names]
        note = f"the first {listed.height:,} of {answer.count:,}" if listed.height < answer.count else ""
        return Shape(listed, shown, notes=[note] if note else [])
    if answer.groups is not None:
        return _grouped(answer, answer.groups, call, currency, meanings)
    values = {
        **answer.whole,
        **{f"{name}_before": value for name, value in answer.before.items()},
        "rows": answer.count,
    }
    described = {metric.name: metric for metric in answer.asked.metrics}
    columns = []
    for name in values:
        metric = described.get(name) or described.get(name.removesuffix("_before"))
        unit = "" if metric is None else unit_of(metric.unit, currency)
        columns.append(Column(name, Meaning.MEASURE, unit, metric.title if metric else "Rows that it is made of"))
    types = {name: pl.Int64 if name == "rows" else None for name in values}
    table = pl.DataFrame({name: pl.Series([value], dtype=types[name]) for name, value in values.items()})
    # A value that is not there is a number that is not there.
    return Shape(table.with_columns(pl.col(pl.Null).cast(pl.Float64)), columns)


def unit_of(unit: str, currency: str) -> str:
    """The unit of a metric as the dashboard has it."""
    return currency if unit == "currency" else unit


def _grouped(
    answer: Answer, groups: pl.DataFrame, call: SourceCall, currency: str, meanings: Mapping[str, Column]
) -> Shape:
    spec, metrics = answer.asked.spec, answer.asked.metrics
    names = [metric.name for metric in metrics]
    notes: list[str] = []
    additive = all(metric.additive for metric in metrics)
    together = spec.others if spec.others is not None else spec.kind in _WITH_OTHERS
    notes_of = "the others together" if additive and together else ""
    splits: list[str] = []
    if answer.split_rank is not None and spec.split is not None:
        most = spec.top if spec.by in {TIME, *CYCLES} and spec.top else _MOST_SPLITS
        if spec.split in CYCLES:
            groups = groups.with_columns(_cycle(SPLIT, spec.split))
            splits = _cycle_labels(spec.split)
        else:
            groups, splits = _cut(groups, answer.split_rank, SPLIT, most, spec.order, None, names, notes, notes_of)
    places: list[object]
    if spec.by == TIME:
        places = list(_steps(answer, call))
    elif spec.by in CYCLES:
        groups = groups.with_columns(_cycle(BY, spec.by))
        places = list(_cycle_labels(spec.by))
    else:
        assert answer.by_rank is not None  # noqa: S101 - whoever asks for groups asks for it
        most = spec.top or _TOP.get(spec.kind, _TOP["bar"])
        groups, labels = _cut(groups, answer.by_rank, BY, most, spec.order, spec.at_least, names, notes, notes_of)
        places = list(labels)
    table = _complete(answer, groups, places, splits, call, notes)
    shown = [BY, *([SPLIT] if spec.split else []), *names]
    titles = {BY: str(spec.by), SPLIT: str(spec.split)}
    columns = [_dimension(titles[name], meanings) for name in shown[: -len(names)]]
    columns += [
        Column(metric.name, Meaning.MEASURE, unit_of(metric.unit, currency), metric.title) for metric in metrics
    ]
    table = table.select(shown).rename({name: title for name, title in titles.items() if name in shown})
    if spec.warning is not None or spec.bad is not None:
        table = table.with_columns(_marks(answer))
        columns.append(Column(MARK, Meaning.CATEGORY, "", "Whether it is bad, or a warning"))
    return Shape(table, columns, places, splits, notes, totals=_totals(answer, places))


def _dimension(name: str, meanings: Mapping[str, Column]) -> Column:
    if name == TIME:
        return Column(TIME, Meaning.TIMESTAMP, "", "Beginning of the step")
    known = meanings.get(name)
    url = known is not None and known.meaning is Meaning.URL
    return Column(name, Meaning.URL if url else Meaning.CATEGORY, "", known.description if known else "")


def _cut(
    groups: pl.DataFrame,
    ranked: pl.DataFrame,
    key: str,
    most: int,
    order: str,
    at_least: int | None,
    names: Sequence[str],
    notes: list[str],
    together: str,
) -> tuple[pl.DataFrame, list[str]]:
    """The first groups by rank; the rest put together, or left out."""
    eligible = ranked if at_least is None else ranked.filter(pl.col(COUNT) >= at_least)
    kept = eligible.sort([RANK, key], descending=[order == "most", False], nulls_last=True)[key].head(most).to_list()
    rest = ranked.height - len(kept)
    if not rest:
        return groups, kept
    small = ranked.height - eligible.height
    few = f"; {small:,} have fewer than {at_least:,} rows" if small and at_least else ""
    if not together:
        notes.append(f"{len(kept):,} of {ranked.height:,}{few}")
        return groups.filter(pl.col(key).is_in(kept)), kept
    label = f"others ({rest:,})"
    notes.append(f"{len(kept):,} of {ranked.height:,}, {together}{few}")
    renamed = groups.with_columns(
        pl.when(pl.col(key).is_in(kept)).then(pl.col(key)).otherwise(pl.lit(label)).alias(key)
    )
    keys = [name for name in (BY, SPLIT) if name in groups.columns]
    summed = renamed.group_by(keys, maintain_order=True).agg(
        *(pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name) for name in names),
        pl.col(COUNT).sum(),
    )
    return summed, [*kept, label]


def _complete(
    answer: Answer,
    groups: pl.DataFrame,
    places: Sequence[object],
    splits: Sequence[str],
    call: SourceCall,
    notes: list[str],
) -> pl.DataFrame:
    """Each place with each split, in order. What nobody measured is empty; a count of none among rows is zero."""
    spec = answer.asked.spec
    by = pl.Series(BY, places, dtype=groups.schema[BY]).to_frame()
    grid = by.join(pl.DataFrame({SPLIT: splits}), how="cross", maintain_order="left_right") if splits else by
    keys = [BY, *([SPLIT] if splits else [])]
    # In a sparse table a group that does not exist has no row.
    sparse = spec.kind == "table" and spec.by != TIME
    table = grid.join(groups, on=keys, how="inner" if sparse else "left", maintain_order="left")
    measured: pl.Expr = pl.lit(value=True)
    if spec.by == TIME:
        steps = truncated(answer.rows.hours, answer.step, call.time_zone) if answer.rows.hours else set()
        measured = pl.col(BY).is_in(pl.Series(sorted(steps), dtype=groups.schema[BY]).implode())
        missing = len([place for place in places if place not in steps])
        if missing:
            notes.append(f"no data in {missing:,} of {len(places):,} steps")
    elif {spec.by, spec.split} & set(CYCLES):
        # Of hours and days that nobody measured nothing is known, although others were.
        named = [(key, name) for key, name in ((BY, spec.by), (SPLIT, spec.split)) if name in CYCLES]
        there = {tuple(_cycle_label(hour, str(name)) for _key, name in named) for hour in answer.rows.hours}
        table = table.with_columns(pl.concat_str([key for key, _name in named], separator=" ").alias(_CYCLES_OF_ROW))
        measured = pl.col(_CYCLES_OF_ROW).is_in(pl.Series([" ".join(one) for one in there], dtype=pl.String).implode())
    absent = pl.col(COUNT).is_null()
    fill = [
        pl.when(absent & measured)
        .then(0)
        .otherwise(pl.col(metric.name))
        .cast(groups.schema[metric.name])
        .alias(metric.name)
        for metric in answer.asked.metrics
        if metric.additive
    ]
    return table.with_columns(fill)


def _steps(answer: Answer, call: SourceCall) -> list[object]:
    rows = answer.rows
    if rows.first is None or rows.last is None:
        return []
    steps = steps_of(rows.span, rows.first, rows.last, answer.step, call.time_zone)
    return list(steps.to_list())


def _cycle(alias: str, name: str) -> pl.Expr:
    number = pl.col(alias)
    if name == WEEKDAY:
        return number.cast(pl.Int64).replace_strict(list(range(1, 8)), list(DAYS), return_dtype=pl.String).alias(alias)
    return number.cast(pl.String).str.zfill(2).alias(alias)


def _cycle_label(moment: datetime, name: str) -> str:
    return DAYS[moment.weekday()] if name == WEEKDAY else f"{moment.hour:02}"


def _totals(answer: Answer, places: Sequence[object]) -> pl.DataFrame | None:
    """The metrics of each place that is shown, in order."""
    found, by = answer.by_rank, answer.asked.spec.by
    if found is None:
        return None
    if by in CYCLES:
        found = found.with_columns(_cycle(BY, str(by)))
    order = pl.Series(BY, places, dtype=found.schema[BY]).to_frame()
    return order.join(found, on=BY, how="inner", maintain_order="left")


def _cycle_labels(name: str) -> list[str]:
    return list(DAYS) if name == WEEKDAY else [f"{hour:02}" for hour in range(24)] if name == HOUR else []


def _marks(answer: Answer) -> pl.Expr:
    spec, metric = answer.asked.spec, answer.asked.metrics[0]
    value = pl.col(metric.name)

    def beyond(bound: float) -> pl.Expr:
        return value < bound if metric.better == "higher" else value > bound

    mark = pl.lit(None, dtype=pl.String)
    if spec.warning is not None:
        mark = pl.when(beyond(spec.warning)).then(pl.lit("warning")).otherwise(mark)
    if spec.bad is not None:
        mark = pl.when(beyond(spec.bad)).then(pl.lit("bad")).otherwise(mark)
    return mark.alias(MARK)


def _histogram(answer: Answer, meanings: Mapping[str, Column]) -> Shape:
    """Equally wide bins up to where 99 % of the values are; how many lie beyond is told."""
    spec, values = answer.asked.spec, answer.values
    name = str(spec.of)
    unit = meanings[name].unit if name in meanings else ""
    columns = [
        Column(name, Meaning.MEASURE, unit, "Lower bound of the bin"),
        Column("rows", Meaning.MEASURE, "", "Rows"),
    ]
    empty = pl.DataFrame(schema={name: pl.Float64, "rows": pl.UInt32})
    if values is None or not len(values):
        return Shape(empty, columns)
    least, most = float(values.min()), float(values.max())  # type: ignore[arg-type]  # of floats
    tail = float(values.quantile(_TAIL, "linear"))  # type: ignore[arg-type]  # of at least one
    low = 0.0 if 0 <= least < tail / 2 else least
    width = _nice((tail - low) / (spec.bins or _BINS)) if tail > low else 1.0
    low = math.floor(low / width) * width
    count = max(1, math.ceil((tail - low) / width + 1e-9))
    index = ((values - low) / width).floor().cast(pl.Int64).alias("bin")
    found = index.to_frame().group_by("bin").len("rows")
    bins = pl.DataFrame({"bin": range(count)}).join(found, on="bin", how="left", maintain_order="left")
    table = bins.select((pl.col("bin") * width + low).round_sig_figs(12).alias(name), pl.col("rows").fill_null(0))
    beyond = int((index >= count).sum())
    notes = (
        [f"{beyond:,} above {low + count * width:,.6g} {unit}, up to {most:,.6g}".replace("  ", " ")] if beyond else []
    )
    missing = answer.count - len(values)
    if missing:
        notes.append(f"{missing:,} row{'s' if missing > 1 else ''} without a value")
    return Shape(table, columns, table[name].to_list(), (), notes, width)


def _nice(width: float) -> float:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= width * 0.999)
