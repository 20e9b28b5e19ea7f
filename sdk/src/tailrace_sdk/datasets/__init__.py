"""Data for tests of plugins: tables of any shape, and the values that go wrong.

::

    from tailrace_sdk.datasets import HOSTILE_TEXTS, DatasetFactory

    make = DatasetFactory()
    make.table(rows=5, hostile=True)  # every text that has ever broken a file
    make.table(rows=10_000_000, lazy=True)  # made while it is read, in bounded memory
    make.dataset(make.table("one"), make.table("two", rows=0))

The same shape gives the same rows, always and everywhere.
"""

from tailrace_sdk.datasets.factory import START as START
from tailrace_sdk.datasets.factory import DatasetFactory as DatasetFactory
from tailrace_sdk.datasets.lazily import LazyRows as LazyRows
from tailrace_sdk.datasets.texts import HOSTILE_NAMES as HOSTILE_NAMES
from tailrace_sdk.datasets.texts import HOSTILE_TEXTS as HOSTILE_TEXTS
from tailrace_sdk.datasets.texts import LONG_TEXT as LONG_TEXT
from tailrace_sdk.datasets.values import NESTED as NESTED
from tailrace_sdk.datasets.values import VALUES as VALUES
from tailrace_sdk.datasets.values import values_of as values_of
