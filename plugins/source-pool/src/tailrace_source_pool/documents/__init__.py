"""Reading pool files for import: JSON, CSV, ProxyWhirl's FileStorage, Clash; whatever it is, safely.

:mod:`tailrace_source_pool.documents.reading` is where it begins.
"""
