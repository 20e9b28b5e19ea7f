"""The page: what stands where, and what keeps it from doing anything but being read."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

from tailrace import (
    Brand,
    Chart,
    ConfigurationError,
    Report,
    RequestError,
    Section,
    WriteCall,
    document_fonts,
    places,
    shown_value,
)
from tailrace_format_html.attachments import Attachment, manifest_attachment, panel_attachment, table_attachment
from tailrace_format_html.basis import in_words
from tailrace_format_html.chart_data import frame_of
from tailrace_format_html.colours import lighter
from tailrace_format_html.escaping import escaped
from tailrace_format_html.mail import reduced
from tailrace_format_html.panels import Material, as_article

_MOST_LOGO = 512 * 1024
_PNG = b"\x89PNG\r\n\x1a\n"


def write_page(call: WriteCall) -> None:
    """Write the page of a call.

    Args:
        call: What is asked.

    Raises:
        RequestError: A column that a page cannot show.
        ConfigurationError: A font or the logo is missing.
    """
    for table in call.tables:
        if not table.columns:
            message = f"Table {table.name} has no columns: there is nothing to write."
            raise RequestError(message, hint="Ask for at least one column.")
    frames = {table.name: table.frame.collect() for table in call.tables}
    material = Material(
        tables={table.name: table for table in call.tables},
        frames=frames,
        brand=call.brand,
        fonts=document_fonts(call.brand),
        zone=call.time_zone,
        most_rows=call.options.most_rows,
    )
    # Beside the drawing of charts, which is all Python: packing is not.
    with ThreadPoolExecutor(max_workers=1) as packing:
        packed = [packing.submit(table_attachment, name, frame) for name, frame in frames.items()]
        for piece in _pieces(call, material, packed):
            call.context.check()
            call.output.write(piece.encode(errors="replace"))


def _pieces(call: WriteCall, material: Material, packed: "Sequence[Future[Attachment]]") -> Iterator[str]:
    report = call.report
    style, script = _style(report, call.brand), _resource("page.js")
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f'<meta name="generator" content="Tailrace">\n<title>{escaped(report.title)}</title>\n'
        f"<style>{style}</style>\n</head>\n<body>\n"
    )
    yield f'<template id="tailrace-mail">\n{reduced(report, material)}\n</template>\n'
    yield _header(call)
    if len(report.sections) > 1:
        entries = "".join(
            f'<li><a href="#section-{number}">{escaped(section.heading)}</a></li>'
            for number, section in enumerate(report.sections, 1)
        )
        data = '<li><a href="#data">Data</a></li>'
        yield f'<nav aria-label="Contents"><ol>{entries}{data}</ol></nav>\n'
    yield "<main>\n"
    panel = 0
    for number, section in enumerate(report.sections, 1):
        yield from _section(section, number, panel, material)
        panel += len(section.panels)
    yield "</main>\n"
    yield from _data(_attachments(call, packed))
    foot = " · ".join(filter(None, [call.brand.footer, "Made by Tailrace"]))
    yield f"<footer>{escaped(foot)}</footer>\n<script>{script}</script>\n</body>\n</html>\n"


def _section(section: Section, number: int, panels: int, material: Material) -> Iterator[str]:
    new = " new" if section.new_page and number > 1 else ""
    yield f'<section class="part{new}" id="section-{number}">\n<h2>{escaped(section.heading)}</h2>\n'
    if section.text:
        yield f"<p>{escaped(section.text)}</p>\n"
    yield '<div class="grid">\n'
    for count, (panel, place) in enumerate(zip(section.panels, places(section), strict=True), panels + 1):
        yield as_article(panel, place, count, material)
    yield "</div>\n</section>\n"


def _header(call: WriteCall) -> str:
    report, brand = call.report, call.brand
    facts = [("About", text) for text in in_words(report.basis, call.time_zone)]
    facts = [(name if not n else "", text) for n, (name, text) in enumerate(facts)]
    if call.options.stamped and call.moment is not None:
        facts.append(("Generated", f"{shown_value(call.moment, call.time_zone)} {call.time_zone}"))
    if call.user:
        facts.append(("By", call.user))
    facts.append(("Time zone", call.time_zone))
    rows = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>" for name, text in facts)
    covers = "".join(f'<p class="covers">{escaped(text)}</p>' for text in report.covers)
    logo = f'<img alt="{escaped(brand.name)}" src="{_logo(brand.logo)}">\n' if brand.logo else ""
    house = f'<p class="house">{escaped(brand.name)}</p>\n' if brand.name else ""
    subtitle = f'<p class="subtitle">{escaped(report.subtitle)}</p>\n' if report.subtitle else ""
    return (
        f"<header>\n{logo}{house}<h1>{escaped(report.title)}</h1>\n{subtitle}"
        f'<dl class="facts">{rows}</dl>\n{covers}</header>\n'
    )


def _attachments(call: WriteCall, packed: "Sequence[Future[Attachment]]") -> Iterator[Attachment]:
    yield from (one.result() for one in packed)
    panels = [panel for section in call.report.sections for panel in section.panels]
    for number, panel in enumerate(panels, 1):
        if isinstance(panel.content, Chart):
            yield panel_attachment(number, panel.title, frame_of(panel.content, call.time_zone))
    yield manifest_attachment(call.embedded)


def _data(attachments: Iterator[Attachment]) -> Iterator[str]:
    yield (
        '<section id="data">\n<h2>Data</h2>\n<p>Everything that this page is made of, exact and complete: CSV, '
        "packed. A link saves it.</p>\n<ul>\n"
    )
    for attachment in attachments:
        yield f"<li>{attachment.link()}\n"
    yield "</ul>\n</section>\n"


def _style(report: Report, brand: Brand) -> str:
    light = [f"--accent:{brand.accent}", *(f"--series-{n}:{colour}" for n, colour in enumerate(brand.palette))]
    dark = [
        f"--accent:{lighter(brand.accent)}",
        *(f"--series-{n}:{lighter(colour)}" for n, colour in enumerate(brand.palette)),
    ]
    text = _resource("page.css").replace("PRINT", ";".join(light))
    text += f":root{{{';'.join(light)}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{';'.join(dark)}}}}}\n"
    text += f"@page{{size:{brand.paper} landscape;margin:12mm}}\n@media screen and (min-width:821px),print{{\n"
    text += "".join(_cells(report.sections))
    return text + "}\n"


def _cells(sections: Sequence[Section]) -> Iterator[str]:
    number = 0
    for section in sections:
        for place in places(section):
            number += 1
            across = f"grid-column:{place.column + 1}/span {place.width}"
            yield f"#panel-{number}{{{across};grid-row:{place.row + 1}/span {place.height}}}\n"


def _policy(style: str, script: str) -> str:
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _logo(path: Path) -> str:
    """The logo as an address; as an image, so that nothing in an SVG runs or is fetched."""
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"The logo {path} cannot be read: {(error.strerror or type(error).__name__).lower()}."
        raise ConfigurationError(message, hint="Mend logo in the section [brand] of the settings.") from None
    if len(content) > _MOST_LOGO:
        message = f"The logo {path} has {len(content):,} bytes; a page takes up to {_MOST_LOGO:,}."
        raise ConfigurationError(message, hint="Make it smaller: it is shown 56 pixels high.")
    if content.startswith(_PNG):
        kind = "image/png"
    elif path.suffix.lower() == ".svg":
        kind = "image/svg+xml"
    else:
        message = f"The logo {path} is neither PNG nor SVG."
        raise ConfigurationError(message, hint="Name a file that is, in the section [brand] of the settings.")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _resource(name: str) -> str:
    return files("tailrace_format_html").joinpath(name).read_text(encoding="utf-8")
