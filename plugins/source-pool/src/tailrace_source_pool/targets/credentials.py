"""Credentials on their way into a pool that encrypts them."""

import polars as pl

from tailrace import ConfigurationError
from tailrace_source_pool import fernet

_KEY = fernet.VARIABLES[0]


def as_stored(values: pl.Series, *, clear: bool) -> pl.Series:
    """User names or passwords as ProxyWhirl's database has them.

    Args:
        values: In clear; null stays null.
        clear: Whether they may stay in clear where ProxyWhirl's key is not at hand.

    Raises:
        ConfigurationError: They may not, and the key is not at hand.
    """
    filled = values != ""
    if not filled.any():
        return values
    if fernet.available():
        # What is empty hides nothing, and stays as it is.
        return values.zip_with(~filled.fill_null(value=True), fernet.encrypt_values(values))
    if not clear:
        raise ConfigurationError(
            "ProxyWhirl's database holds credentials encrypted, and ProxyWhirl's key is not at hand.",
            hint=f"{fernet.HINT}; or store them in clear, which ProxyWhirl reads as well: --clear-credentials",
        )
    if fernet.is_encrypted(values).any():
        raise ConfigurationError(
            "A credential looks like an encrypted one: stored in clear, ProxyWhirl would try to decrypt it.",
            hint=fernet.HINT,
        )
    return values


def advice(*, clear: bool) -> tuple[str, ...]:
    """What people should know about how credentials will be stored, in sentences."""
    if fernet.available():
        return ()
    if clear:
        return (f"Credentials will be stored in clear: {_KEY} is not set.",)
    return (f"Credentials cannot be stored: {_KEY} is not set.",)
