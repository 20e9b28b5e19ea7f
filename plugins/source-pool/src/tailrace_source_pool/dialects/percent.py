"""Percent-encoding of whole columns (RFC 3986, section 2.1), as ``urllib.parse.quote`` and ``unquote`` have it.

All of it is done by expressions: pools have as many logins as proxies, and a loop over them would take most of the time
of a conversion.
"""

import string

import polars as pl

_UNRESERVED = f"{string.ascii_letters}{string.digits}_.~-"
_RESERVED = r"[^A-Za-z0-9_.~-]"
_BEYOND_ASCII = r"[^\x00-\x7f]"
_ESCAPES = {chr(code): f"%{code:02X}" for code in range(128) if chr(code) not in _UNRESERVED}
_NOT_NEEDED = {f"%{ord(character):02X}": character for character in _UNRESERVED}
_UNESCAPES = {f"%{high}{low}": chr(int(high + low, 16)) for high in "01234567" for low in string.hexdigits}
_BYTES_BEYOND_ASCII = "%[89A-Fa-f][0-9A-Fa-f]"
# Each hexadecimal digit behind a percent sign, when every byte is written as %XX: "%C3" is then "%25%43%33".
_WRITTEN_OUT = {
    f"%25%{ord(high):02X}%{ord(low):02X}": f"%{high}{low}".upper()
    for high in string.hexdigits
    for low in string.hexdigits
}
_TAIL = "%[89AB]."
_UTF_8 = (
    rf"^(?:%[0-7].|%C[2-9A-F]{_TAIL}|%D.{_TAIL}|%E0%[AB].{_TAIL}|%E[1-9A-CEF]{_TAIL}{_TAIL}|%ED%[89].{_TAIL}"
    rf"|%F0%[9AB].{_TAIL}{_TAIL}|%F[1-3]{_TAIL}{_TAIL}{_TAIL}|%F4%8.{_TAIL}{_TAIL})*$"
)
"""Bytes that are UTF-8 (RFC 3629), each written as %XX."""


def needs_encoding(texts: pl.Expr) -> pl.Expr:
    """Whether there is something in texts that percent-encoding changes."""
    return texts.str.contains(_RESERVED)


def encoded(texts: pl.Series) -> pl.Series:
    """Percent-encode all but letters, digits and ``_.~-``; null stays null."""
    if not texts.str.contains(_RESERVED).any():
        return texts
    if not texts.str.contains(_BEYOND_ASCII).any():
        return texts.str.replace_many(_ESCAPES)
    beyond = texts.str.contains(_BEYOND_ASCII).fill_null(value=False)
    written = _bytes_written_out(texts).str.replace_many(_NOT_NEEDED)
    return written.zip_with(beyond, texts.str.replace_many(_ESCAPES))


def decoded(texts: pl.Series) -> pl.Series:
    """Percent-decode; a percent sign without two hexadecimal digits behind it stands for itself.

    Returns:
        The texts; null where one is null, or where its bytes are no UTF-8.
    """
    if not texts.str.contains("%", literal=True).any():
        return texts
    # Several bytes make one character there, and may make none.
    places = texts.str.contains(_BYTES_BEYOND_ASCII).fill_null(value=False).arg_true()
    plain = texts.str.replace_many(_UNESCAPES)
    if not places.len():
        return plain
    written = _bytes_written_out(texts.gather(places)).str.replace_many(_WRITTEN_OUT)
    good = written.set(~written.str.contains(_UTF_8), None)
    return plain.scatter(places, good.str.replace_all("%", "", literal=True).str.decode("hex").cast(pl.String))


def _bytes_written_out(texts: pl.Series) -> pl.Series:
    """Every byte as %XX, in capitals."""
    return texts.cast(pl.Binary).bin.encode("hex").str.to_uppercase().str.replace_all("(..)", "%${1}")
