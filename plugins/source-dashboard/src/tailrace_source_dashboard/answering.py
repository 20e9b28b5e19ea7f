"""What the panels ask, computed: all of a table in one go."""

from collections.abc import Mapping, Sequence

import attrs
import polars as pl

from tailrace import Metric, SourceCall, filter_expression
from tailrace_source_dashboard.asked import CYCLES, EVERY, HOUR, TIME, Asked, TableKey
from tailrace_source_dashboard.data import Rows
from tailrace_source_dashboard.spans import Span, usual_step

BY, SPLIT, COUNT, RANK = "(by)", "(split)", "(rows)", "(rank)"
"""Columns of groups; metrics have no brackets in their names."""
NOT_KNOWN = "unknown"
_DIGITS = 12
"""What is left of a sum of floating-point numbers, whose last digits depend on the order of adding."""
_ROWS_SHOWN = 20


@attrs.frozen
class Answer:
    """What came out for a panel.

    Args:
        asked: The panel.
        rows: The rows that it is made of.
        count: How many of them there are in the range, with all filters.
        whole: Each metric over all of them.
        before: The same over the range before; empty where nothing is to be compared.
        groups: For each group its ``BY`` (and ``SPLIT``), the metrics, ``COUNT`` and ``RANK``.
        by_rank: For each ``BY`` the metrics, ``COUNT`` and ``RANK``.
        split_rank: For each ``SPLIT`` its ``COUNT`` and ``RANK``.
        step: Length of a step, where it is a series in time.
        listed: The rows themselves, where the panel shows these.
        values: The values that a histogram is of.
    """

    asked: Asked
    rows: Rows
    count: int
    whole: Mapping[str, float | None]
    before: Mapping[str, float | None]
    groups: pl.DataFrame | None = None
    by_rank: pl.DataFrame | None = None
    split_rank: pl.DataFrame | None = None
    step: str = ""
    listed: pl.DataFrame | None = None
    values: pl.Series | None = None


def answers(asked: Sequence[Asked], rows: Mapping[TableKey, Rows], call: SourceCall) -> list[Answer]:
    """Compute what the panels ask for, in their order."""
    questions = [_questions(panel, rows[panel.key], call) for panel in asked]
    frames = [frame for question in questions for frame in question.values()]
    done = iter(pl.collect_all(frames))
    return [
        _answer(panel, rows[panel.key], {name: next(done) for name in question}, call)
        for panel, question in zip(asked, questions, strict=True)
    ]


def _questions(panel: Asked, rows: Rows, call: SourceCall) -> dict[str, pl.LazyFrame]:
    spec, time = panel.spec, panel.key.time
    kept = _filtered(panel, rows, call)
    current = kept if time is None else kept.filter(rows.span.holds(time))
    values = [_value(metric, metric.name) for metric in panel.metrics]
    questions = {"whole": current.select(pl.len().alias(COUNT), *values)}
    if spec.kind == "figure" and rows.before is not None and time is not None:
        questions["before"] = kept.filter(rows.before.holds(time)).select(pl.len().alias(COUNT), *values)
    if spec.of is not None:
        questions["values"] = current.select(pl.col(spec.of).cast(pl.Float64)).drop_nulls().drop_nans()
    elif spec.columns:
        order = spec.sort or (f"-{time}" if time else spec.columns[0])
        # All columns decide, so that rows of one time come in the same order each time.
        questions["listed"] = current.sort(
            [order.removeprefix("-"), *spec.columns],
            descending=[order.startswith("-"), *([False] * len(spec.columns))],
            nulls_last=True,
        ).head(spec.top or _ROWS_SHOWN)
    elif spec.by is not None:
        keys = [_group(spec.by, BY, panel, rows, call)]
        if spec.split is not None:
            keys.append(_group(spec.split, SPLIT, panel, rows, call))
        ranked = [pl.len().alias(COUNT), _value(panel.rank or panel.metrics[0], RANK)]
        questions["groups"] = current.group_by(keys).agg(*values, *ranked)
        if spec.split is not None:
            questions["by"] = current.group_by(keys[0]).agg(*values, *ranked)
            questions["split"] = current.group_by(keys[1]).agg(ranked)
    return questions


def _filtered(panel: Asked, rows: Rows, call: SourceCall) -> pl.LazyFrame:
    frame = rows.frame.lazy()
    for text in (*rows.filters, *([panel.spec.filter] if panel.spec.filter else [])):
        frame = frame.filter(filter_expression(text, rows.frame.schema, now=call.moment, time_zone=call.time_zone))
    return frame


def _value(metric: Metric, name: str) -> pl.Expr:
    return metric.expression.alias(name)


def step_of(panel: Asked, rows: Rows, zone: str) -> str:
    """Length of the steps of a series in time."""
    if panel.spec.every is not None:
        return EVERY[panel.spec.every]
    return usual_step(panel.spec.kind, rows.hours, zone)


def _group(name: str, alias: str, panel: Asked, rows: Rows, call: SourceCall) -> pl.Expr:
    """What rows are grouped by: a step of time, an hour, a day of the week, or the text of a column."""
    if name == TIME or name in CYCLES:
        local = pl.col(str(panel.key.time)).dt.convert_time_zone(call.time_zone)
        if name == TIME:
            return local.dt.truncate(step_of(panel, rows, call.time_zone)).alias(alias)
        return (local.dt.hour() if name == HOUR else local.dt.weekday()).alias(alias)
    column, dtype = pl.col(name), rows.frame.schema[name]
    if dtype == pl.Boolean:
        column = pl.when(column).then(pl.lit("yes")).when(~column).then(pl.lit("no"))
    elif isinstance(dtype, pl.Datetime):
        column = column.dt.convert_time_zone(call.time_zone) if dtype.time_zone else column
        column = column.dt.strftime("%Y-%m-%d %H:%M:%S")
    text = column.cast(pl.String)
    return pl.when(text != "").then(text).otherwise(pl.lit(NOT_KNOWN)).alias(alias)


def _answer(panel: Asked, rows: Rows, found: dict[str, pl.DataFrame], call: SourceCall) -> Answer:
    found = {name: frame if name == "listed" else _rounded(frame) for name, frame in found.items()}
    whole = found["whole"].row(0, named=True)
    before = found["before"].row(0, named=True) if "before" in found else {}
    return Answer(
        panel,
        rows,
        count=whole.pop(COUNT),
        whole=whole,
        before=before if before.pop(COUNT, 0) else {},
        groups=found.get("groups"),
        by_rank=found.get("by", found.get("groups")),
        split_rank=found.get("split"),
        step=step_of(panel, rows, call.time_zone) if panel.over_time else "",
        listed=found.get("listed"),
        values=found["values"].to_series() if "values" in found else None,
    )


def _rounded(frame: pl.DataFrame) -> pl.DataFrame:
    """The same without the digits that depend on the order in which threads added; NaN is no number either."""
    import polars.selectors as cs

    return frame.with_columns(cs.float().fill_nan(None).round_sig_figs(_DIGITS))


def span_of(answer: Answer) -> Span:
    """The range that a panel is about; without bounds where ranges do not apply to it."""
    return answer.rows.span if answer.asked.key.time else Span()
