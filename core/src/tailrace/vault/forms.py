"""How a secret may be written in a file: as it is, or as an encoding of the time makes it."""

import base64
import enum
import json
import re
from collections.abc import Iterator
from itertools import product
from urllib.parse import quote, quote_plus


class Form(enum.StrEnum):
    """A way to write a text down, by its name for people."""

    RAW = "raw"
    PERCENT = "percent-encoded"
    BASE64 = "Base64"
    BASE64_URL = "URL-safe Base64"
    JSON = "JSON-escaped"
    XML = "XML-escaped"
    CSV = "CSV-quoted"


BASE64_BYTES = 6
"""Shorter secrets are not looked for in Base64: what is certain of them there is too short to mean anything."""

_UNCHANGED = re.compile(r"[A-Za-z0-9_.~-]*")
"""What no encoding but Base64 touches."""
_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_SAFE = ("", "/", "!*'()")
"""Characters that encoders leave alone: none, as ``quote`` does, as browsers do."""
_JSON_SPECIAL = re.compile(r"[^ !#-.0-\[\]-~]")
_XML_NAMED = {
    "&": ("&amp;",),
    "<": ("&lt;",),
    ">": ("&gt;", ">"),
    '"': ("&quot;", "&#34;", '"'),
    "'": ("&apos;", "&#39;", "&#x27;", "'"),
}
"""What stands for a character that has a name; a writer does it in the same way each time."""
_XML_NUMBERED = ("&#{};", "&#x{:X};", "&#x{:x};")
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_SKIPPED = (0, 2, 3)
"""Letters of Base64 that also tell of what precedes the secret, by the number of bytes that precede it."""


def forms_of(secret: str) -> Iterator[tuple[Form, bytes]]:
    """The bytes that a secret may be in a file; those of the secret as it is come first, and some more than once.

    Args:
        secret: The secret.
    """
    raw = _bytes(secret)
    yield Form.RAW, raw
    if not _UNCHANGED.fullmatch(secret):
        for text in _percent(secret):
            yield Form.PERCENT, text.encode()
        if _JSON_SPECIAL.search(secret):
            yield from _json(secret)
        for text in _xml(secret):
            yield Form.XML, _bytes(text)
    if len(raw) >= BASE64_BYTES:
        for letters in _base64(raw):
            yield Form.BASE64, letters
            if b"+" in letters or b"/" in letters:
                yield Form.BASE64_URL, letters.translate(_TO_URL_SAFE)


def _percent(secret: str) -> Iterator[str]:
    encoded = {quote(secret, safe=safe, errors="surrogatepass") for safe in _SAFE}
    if " " in secret:
        encoded.add(quote_plus(secret, errors="surrogatepass"))
    for text in encoded:
        yield text
        yield _ESCAPE.sub(lambda escape: escape[0].lower(), text)


def _json(secret: str) -> Iterator[tuple[Form, bytes]]:
    """JSON, also within a column of CSV and within a text of JSON; and CSV."""
    yield Form.CSV, _bytes(_in_csv(secret))
    for ensure_ascii in (False, True):
        text = _in_json(secret, ensure_ascii=ensure_ascii)
        yield Form.JSON, _bytes(text)
        yield Form.JSON, _bytes(text.replace("/", "\\/"))
        yield Form.CSV, _bytes(_in_csv(text))
        yield Form.JSON, _bytes(_in_json(text, ensure_ascii=ensure_ascii))


def _in_json(text: str, *, ensure_ascii: bool) -> str:
    return json.dumps(text, ensure_ascii=ensure_ascii)[1:-1]


def _in_csv(text: str) -> str:
    return text.replace('"', '""')


def _xml(secret: str) -> Iterator[str]:
    special = [character for character in _XML_NAMED if character in secret]
    tables = [
        dict(zip(map(ord, special), chosen, strict=True))
        for chosen in product(*(_XML_NAMED[character] for character in special))
    ]
    tables += [{ord(character): number.format(ord(character)) for character in special} for number in _XML_NUMBERED]
    for table in tables if special else ():
        yield secret.translate(table)
    if not secret.isascii():
        for table in tables:
            yield secret.translate(table).encode("ascii", "xmlcharrefreplace").decode()


def _base64(raw: bytes) -> Iterator[bytes]:
    """The letters that are the same whatever stands around the secret, for each place that it can begin at."""
    for before, skipped in enumerate(_SKIPPED):
        certain = 8 * (before + len(raw)) // 6
        yield base64.b64encode(bytes(before) + raw)[skipped:certain]


def _bytes(text: str) -> bytes:
    # Half characters cannot be in a file of UTF-8, but they can be in a text of Python.
    return text.encode(errors="surrogatepass")
