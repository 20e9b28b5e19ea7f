"""A letter as plain text and as HTML."""

import html
import textwrap
from collections.abc import Sequence

from tailrace_sink_email.letter import Letter

_WIDTH = 76
_MUTED = "#767676"
_ACCENT = "#0b6bcb"
_LINE = "rgba(128,128,128,.35)"
_SHADE = "rgba(128,128,128,.14)"
_TABLE = "border-collapse:collapse;width:100%;margin:18px 0"
_CODE = f"font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px;background:{_SHADE};padding:2px 5px"


def as_text(letter: Letter) -> str:
    """The letter as lines of text; values and commands are never broken, so that they can be copied."""
    parts = [_wrapped(letter.heading), *map(_wrapped, letter.paragraphs)]
    if letter.link:
        address, label = letter.link
        parts.append(f"{label}:\n{address}")
    if letter.report and letter.report.figures:
        parts.append(_listed(letter.report.figures))
    if letter.facts:
        parts.append(_listed(letter.facts))
    parts += [f"{purpose}:\n  {command}" for purpose, command in letter.commands]
    if letter.notes:
        parts.append("\n".join(_wrapped(f"* {note}", hanging="  ") for note in letter.notes))
    # Mail programs take what is below this line for a signature, and show it in grey.
    return "\n\n".join([*parts, f"-- \n{letter.foot}"]) + "\n"


def as_html(letter: Letter) -> str:
    """The letter as an HTML document without images, scripts or anything fetched; readable in light and dark."""
    body = [f'<h1 style="font-size:20px;line-height:1.3;margin:0 0 16px">{_escaped(letter.heading)}</h1>']
    body += [f'<p style="margin:0 0 14px">{_escaped(paragraph)}</p>' for paragraph in letter.paragraphs]
    if letter.link:
        address, label = map(_escaped, letter.link)
        body.append(
            f'<p style="margin:20px 0"><a href="{address}" style="display:inline-block;padding:10px 18px;'
            f'border-radius:6px;background:{_ACCENT};color:#ffffff;text-decoration:none">{label}</a></p>'
        )
    if letter.report:
        body.append(letter.report.body)
    if letter.facts:
        body += [
            f'<table role="presentation" cellpadding="0" cellspacing="0" style="{_TABLE}">',
            *(_row(*fact) for fact in letter.facts),
            "</table>",
        ]
    body += [
        f'<p style="margin:0 0 12px">{_escaped(purpose)}:<br><code style="{_CODE}">{_escaped(command)}</code></p>'
        for purpose, command in letter.commands
    ]
    if letter.notes:
        notes = "".join(f'<li style="margin:0 0 6px">{_escaped(note)}</li>' for note in letter.notes)
        body.append(f'<ul style="margin:18px 0;padding-left:20px">{notes}</ul>')
    body.append(f'<p style="margin:24px 0 0;font-size:12px;color:{_MUTED}">{_escaped(letter.foot)}</p>')
    return _DOCUMENT.format(title=_escaped(letter.heading), body="\n".join(body))


_DOCUMENT = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{title}</title>
<style>:root{{color-scheme:light dark}}</style>
</head>
<body style="margin:0;padding:0">
<div style="max-width:600px;margin:0 auto;padding:20px 16px;font-family:system-ui,-apple-system,'Segoe UI',Roboto,\
Helvetica,Arial,sans-serif;font-size:15px;line-height:1.5;overflow-wrap:anywhere">
{body}
</div>
</body>
</html>
"""


def _row(name: str, value: str) -> str:
    cell = f"padding:6px 0;border-top:1px solid {_LINE};vertical-align:top"
    return (
        f'<tr><td style="{cell};padding-right:14px;color:{_MUTED};white-space:nowrap">{_escaped(name)}</td>'
        f'<td style="{cell};width:100%;overflow-wrap:anywhere;word-break:break-word">{_escaped(value)}</td></tr>'
    )


def _escaped(text: str) -> str:
    return html.escape(text, quote=True)


def _listed(pairs: Sequence[tuple[str, str]]) -> str:
    width = max(len(name) for name, _value in pairs)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in pairs)


def _wrapped(text: str, hanging: str = "") -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)
