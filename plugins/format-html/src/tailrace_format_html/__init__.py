"""Tailrace format: one self-contained HTML page, readable anywhere.

The page is the report, drawn: nothing is fetched, no script is needed to read it, and what it shows can be had as data
out of the file itself. What is inside, from top to bottom:

==================================  ================================================================================
``<template id="tailrace-mail">``   the reduced form that mails carry, see :mod:`tailrace_format_html.mail`
``<header>``, ``<nav>``             title, range, filters, who and when; contents
``<section class="part">``          a section of the report, its panels on a grid of twelve columns
``<section id="data">``             every table, the data of every chart and the manifest, as links with ``data:``
==================================  ================================================================================
"""

from tailrace import Format, hookimpl
from tailrace_format_html.format import HtmlFormat as HtmlFormat
from tailrace_format_html.options import HtmlOptions as HtmlOptions


@hookimpl
def tailrace_format() -> Format:
    """Offer the format ``html``."""
    return HtmlFormat()
