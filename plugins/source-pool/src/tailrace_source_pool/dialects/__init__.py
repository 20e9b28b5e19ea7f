"""Dialects of proxy lists: telling them apart, reading those of lines, and writing all of them.

``docs/reference/dialects.md`` describes each of them. Readers of the documents among them (JSON, CSV, Clash) are in
:mod:`tailrace_source_pool.documents`.
"""
