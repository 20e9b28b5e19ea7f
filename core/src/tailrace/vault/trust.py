"""Whose signatures are trusted: keys that are pinned, and keys that were seen before.

Pinned keys are set by whoever checks (``trusted`` in the settings). Without any, the first signature of a source is
remembered (:mod:`tailrace.known_signers`), and a later export of the same source that is signed by somebody else is not
accepted: what ssh does with hosts.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import attrs

from tailrace.vault.keys import Signer


class Trust(StrEnum):
    """On what ground a file is believed to come from whom it says."""

    PINNED = "pinned"
    """Its signer's key is one of those that are set as trusted."""
    KNOWN = "known"
    """Its signer's key is the one that was seen for this source before."""
    FIRST_USE = "first use"
    """Its signer's key was never seen for this source; it is remembered from now on."""
    UNSIGNED = "unsigned"
    """Nobody signed it: whoever could write the file could write its manifest as well."""
    DISTRUSTED = "distrusted"
    """It is signed by another key than expected, or not signed although trusted keys are set."""


@attrs.frozen
class KnownSigner:
    """A key that was seen.

    Args:
        source: What it signed: plugin and location.
        signer: The public key, as text.
        since: When it was first seen, UTC.
    """

    source: str
    signer: str
    since: datetime


@attrs.frozen
class Judgement:
    """What a signature is worth, and why, in words."""

    trust: Trust
    detail: str


def judge(signer: Signer | None, source: str, *, pinned: Sequence[Signer], known: Sequence[KnownSigner]) -> Judgement:
    """Say what a signature is worth.

    Args:
        signer: Who signed; None when nobody did.
        source: What was signed.
        pinned: Keys that are set as trusted.
        known: Keys that were seen before.
    """
    if signer is None:
        if pinned:
            return Judgement(Trust.DISTRUSTED, "not signed, although trusted signers are set")
        if any(entry.source == source for entry in known):
            return Judgement(Trust.DISTRUSTED, "not signed, although earlier exports of this source were")
        return Judgement(Trust.UNSIGNED, "nobody vouches for it: digests tell damage, not forgery")
    if pinned:
        if signer in pinned:
            return Judgement(Trust.PINNED, f"signed by {signer.id}, which is set as trusted")
        return Judgement(Trust.DISTRUSTED, f"signed by {signer.id}, which is none of the trusted signers")
    return _by_memory(signer, [entry for entry in known if entry.source == source])


def _by_memory(signer: Signer, seen: Sequence[KnownSigner]) -> Judgement:
    match = next((entry for entry in seen if entry.signer == signer.text), None)
    if match is not None:
        return Judgement(Trust.KNOWN, f"signed by {signer.id}, the signer of this source since {match.since:%Y-%m-%d}")
    if seen:
        return Judgement(Trust.DISTRUSTED, f"signed by {signer.id}, and before by another key")
    return Judgement(Trust.FIRST_USE, f"signed by {signer.id}, seen for the first time")
