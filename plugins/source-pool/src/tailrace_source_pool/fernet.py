"""ProxyWhirl's own encryption: Fernet tokens (https://github.com/fernet/spec), under keys from the environment.

ProxyWhirl 0.3 stores a user name or password in its database as ``encrypted:`` and the Base64 of a token, and encrypts
the file of its FileStorage as one token. Its keys are in ``PROXYWHIRL_CACHE_ENCRYPTION_KEY`` and, after a change of
keys, the one before in ``PROXYWHIRL_CACHE_KEY_PREVIOUS``. The package ``cryptography`` is needed only here: it is the
extra ``proxywhirl`` of this distribution.
"""

import base64
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import polars as pl

from tailrace import ConfigurationError, WrongKeyError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

VARIABLES: Final = ("PROXYWHIRL_CACHE_ENCRYPTION_KEY", "PROXYWHIRL_CACHE_KEY_PREVIOUS")
HINT: Final = (
    f"Set {VARIABLES[0]} to ProxyWhirl's key, and install the extra: pip install 'tailrace-source-pool[proxywhirl]'"
)
PREFIX: Final = "encrypted:"
"""What an encrypted value begins with in ProxyWhirl's database."""


def available() -> bool:
    """Whether ProxyWhirl's key is set, and what it takes to use it is installed."""
    if not any(os.environ.get(name) for name in VARIABLES):
        return False
    try:
        import cryptography.fernet  # noqa: F401 - only looked for
    except ImportError:
        return False
    return True


def opens(*values: pl.Series) -> bool:
    """Whether the key at hand is the one for these stored values."""
    with suppress(ConfigurationError, WrongKeyError):
        for series in values:
            decrypt_values(series)
        return True
    return False


def decrypt_file(content: bytes) -> bytes:
    """The content of a file that FileStorage has encrypted.

    Raises:
        ConfigurationError: There is no key, or no package to use it.
        WrongKeyError: The key is another one, or the file was changed.
    """
    from cryptography.fernet import InvalidToken

    try:
        return _cipher().decrypt(content)
    except InvalidToken:
        raise _wrong("the file") from None


def encrypt_file(content: bytes) -> bytes:
    """The content of a file as FileStorage encrypts it.

    Raises:
        ConfigurationError: There is no key, or no package to use it.
    """
    return _cipher().encrypt(content)


def decrypt_values(values: pl.Series) -> pl.Series:
    """Stored values in clear; those that are not encrypted stay as they are.

    Raises:
        ConfigurationError: There is no key, or no package to use it.
        WrongKeyError: The key is another one.
    """
    hidden = values.drop_nulls().unique()
    hidden = hidden.filter(is_encrypted(hidden))
    if hidden.is_empty():
        return values
    clear = pl.Series(_decrypted(hidden.to_list()), dtype=pl.String)
    return values.replace(hidden, clear)


def encrypt_values(values: pl.Series) -> pl.Series:
    """Values as ProxyWhirl stores them: each encrypted by itself; null stays null, and empty becomes null.

    Raises:
        ConfigurationError: There is no key, or no package to use it.
    """
    cipher = _cipher()
    stored = [
        None if not text else PREFIX + base64.b64encode(cipher.encrypt(text.encode())).decode()
        for text in values.to_list()
    ]
    return pl.Series(values.name, stored, dtype=pl.String)


def is_encrypted(values: pl.Series) -> pl.Series:
    """Which values are encrypted, as ProxyWhirl tells them; null for null."""
    return values.str.starts_with(PREFIX)


def _decrypted(stored: list[str]) -> list[str]:
    from cryptography.fernet import InvalidToken

    cipher = _cipher()
    try:
        return [cipher.decrypt(base64.b64decode(text.removeprefix(PREFIX))).decode() for text in stored]
    except (InvalidToken, ValueError):
        raise _wrong("a stored login") from None


def _cipher() -> "MultiFernet":
    try:
        from cryptography.fernet import Fernet, MultiFernet
    except ImportError:
        message = "ProxyWhirl has encrypted this, and the package cryptography is not installed."
        raise ConfigurationError(message, hint=HINT) from None
    texts = [os.environ[name] for name in VARIABLES if os.environ.get(name)]
    if not texts:
        message = "ProxyWhirl has encrypted this, and its key is not at hand."
        raise ConfigurationError(message, hint=HINT)
    try:
        return MultiFernet([Fernet(text) for text in texts])
    except ValueError:
        message = f"{VARIABLES[0]} or {VARIABLES[1]} is not a key of Fernet."
        raise ConfigurationError(message, hint="It is 32 bytes in URL-safe Base64: 44 characters.") from None


def _wrong(what: str) -> WrongKeyError:
    message = f"ProxyWhirl's key does not open {what}: it is another key, or the data was changed."
    return WrongKeyError(
        message, hint=f"Set {VARIABLES[0]} to the key it was encrypted with, {VARIABLES[1]} to an older."
    )
