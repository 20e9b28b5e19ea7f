"""Estimates that learn: the size that a sample speaks for, corrected by how earlier runs of the template came out.

A sample is off in the same way each time: rows at its places are longer than others, or large files compress better
than small ones. The correction is one factor, the median of *actual / estimated* over the latest runs, so that a single
strange run changes little.

The error that is published is that of estimates which were corrected like this, each with nothing but what was known
before its run ("one step ahead"): correcting a run by a factor that was made from it would flatter.
"""

import math
import statistics
from collections.abc import Sequence

import attrs

from tailrace.model.job import Estimate, Learnt, TableEstimate
from tailrace.store.past_runs import PastRun

MOST_RUNS = 20
"""Runs that are learnt from: the latest ones, as data changes."""
LEAST_RUNS = 3
"""Runs without which nothing is learnt: of two, nobody can tell which is the strange one."""
_SHARE = 0.9
"""Share of the estimates that were off by no more than the published error."""


def learn(runs: Sequence[PastRun]) -> Learnt | None:
    """What runs teach about the next one.

    Args:
        runs: The latest first.

    Returns:
        None where they are too few.
    """
    # A file without a byte has no factor that would lead to it.
    ratios = [run.actual / run.estimated for run in reversed(runs[:MOST_RUNS]) if run.actual and run.estimated]
    if len(ratios) < LEAST_RUNS:
        return None
    errors = sorted(abs(ratios[at] / statistics.median(ratios[:at]) - 1) for at in range(1, len(ratios)))
    return Learnt(len(ratios), statistics.median(ratios), errors[math.ceil(_SHARE * len(errors)) - 1])


def corrected(expected: Estimate, learnt: Learnt | None) -> Estimate:
    """An estimate, corrected by what was learnt; it still says what the sample alone spoke for.

    Args:
        expected: An estimate that was not corrected yet.
        learnt: What was learnt; None for nothing, which leaves it as it is.
    """
    if learnt is None:
        return expected
    tables = tuple(_corrected(table, learnt.factor) for table in expected.tables)
    return attrs.evolve(expected, tables=tables, learnt=learnt, sampled_bytes=expected.bytes)


def _corrected(table: TableEstimate, factor: float) -> TableEstimate:
    size = round(table.bytes * factor)
    # Learnt is how large files become; before compression they are something else.
    plain = size if table.plain_bytes == table.bytes else table.plain_bytes
    return attrs.evolve(table, bytes=size, plain_bytes=plain)
