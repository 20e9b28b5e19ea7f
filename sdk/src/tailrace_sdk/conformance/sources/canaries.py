"""Secrets that are planted, and how to see that they do not come out."""

from collections.abc import Iterable

from tailrace import TailraceError

CANARIES: tuple[str, ...] = ("Kanary7Qx3vTz9LmPa", "c4nary+&?%41:@/#Zq8w", "Kanarie-pässwörd-5y")
"""Secrets that an author plants. Found anywhere outside, they show that secrets come out."""


def spellings(canary: str) -> frozenset[str]:
    """The ways in which a secret may be written that are as good as the secret itself."""
    import base64
    import json
    from urllib.parse import quote, quote_plus

    plain = {canary, quote(canary), quote(canary, safe=""), quote_plus(canary)}
    plain |= {json.dumps(text)[1:-1] for text in (*plain, canary)}
    return frozenset(plain | {base64.b64encode(canary.encode()).decode().rstrip("=")})


def assert_no_canary(what: str, texts: Iterable[str]) -> None:
    """See that none of the planted secrets is in texts; without quoting one."""
    together = "\n".join(texts)
    found = [number for number, canary in enumerate(CANARIES) if any(one in together for one in spellings(canary))]
    assert not found, f"secrets are in {what}: canaries number {found}"


def assert_discreet(error: TailraceError, canary: str) -> None:
    """See that an error says what to do, and quotes nothing of what was read."""
    said = [str(error), error.message, error.hint, *(repr(value) for value in vars(error).values())]
    assert not any(spelling in text for text in said for spelling in spellings(canary)), "the error quotes content"
