"""Finding keys by what people write for them.

=============================  =====================================================================================
reference                      means
=============================  =====================================================================================
``file:PATH``, or ``PATH``     a key file, as ``tailrace keys new`` makes it
``env:NAME``                   the text of a key in an environment variable
``keyring:NAME``               the same in the system's keyring, under the service ``tailrace`` (extra ``keyring``)
``tailrace-recipient-…``       a recipient's public key itself (``tailrace-signer-…``: a signer's)
``password``                   a password that is asked for
``password:file:PATH``         the first line of a file; also ``password:env:NAME`` and ``password:keyring:NAME``
a name                         a key that the host application gave under that name
=============================  =====================================================================================

A secret key itself is refused: what stands in the arguments of a process can be read by every user of the machine.
"""

import logging
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tailrace.model.errors import ConfigurationError
from tailrace.vault.header import KeyHolder, OpenerKey
from tailrace.vault.keys import (
    SECRET_PREFIX,
    KeyMaterial,
    MasterKey,
    Password,
    PrivateKey,
    Recipient,
    Signer,
    SigningKey,
    key_from_text,
)

log = logging.getLogger(__name__)

SERVICE: Final = "tailrace"
"""The service under which the system's keyring has our keys."""
_LARGEST_KEY_FILE = 64 << 10
_PASSWORD = "password"  # noqa: S105 - the word that asks for one
_HINT = "Write file:PATH, env:NAME, keyring:NAME, password, or a public key."

Ask = Callable[[str, bool], str]
"""Asks a person for a password: ``ask(prompt, twice)``."""


class Keyring:
    """Where an engine gets its keys from.

    Args:
        given: Keys that the host application has, by name.
        ask: Asks a person for a password; None where there is nobody to ask.
        environ: Environment variables; those of the process by default.
    """

    def __init__(
        self,
        given: Mapping[str, KeyMaterial | Password] | None = None,
        *,
        ask: Ask | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._given = dict(given or {})
        self._ask = ask
        self._environ = os.environ if environ is None else environ
        self._typed: dict[bool, str] = {}

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._given)})"

    def opener(self, reference: str) -> OpenerKey:
        """A key to seal to.

        Raises:
            ConfigurationError: It is not there, or a key for something else.
        """
        key = self.find(reference, new_password=True)
        if isinstance(key, MasterKey | PrivateKey | Recipient | Password):
            return key
        raise _unfit(key, "sealed to", "a master key, a recipient's key or a password")

    def holder(self, reference: str) -> KeyHolder:
        """A key to open with.

        Raises:
            ConfigurationError: It is not there, or a key for something else.
        """
        key = self.find(reference)
        if isinstance(key, MasterKey | PrivateKey | Password):
            return key
        raise _unfit(key, "opened with", "a master key, a recipient's secret key or a password")

    def signing_key(self, reference: str) -> SigningKey:
        """A key to sign with.

        Raises:
            ConfigurationError: It is not there, or a key for something else.
        """
        key = self.find(reference)
        if isinstance(key, SigningKey):
            return key
        raise _unfit(key, "signed with", "a signing key")

    def signer(self, reference: str) -> Signer:
        """The public half of a signing key, to trust.

        Raises:
            ConfigurationError: It is not there, or a key for something else.
        """
        key = self.find(reference)
        if isinstance(key, SigningKey):
            return key.public
        if isinstance(key, Signer):
            return key
        raise _unfit(key, "trusted", "a signer's public key")

    def secret(self, reference: str) -> str:
        """A secret that is no key of ours, such as the password of a mail server: its first line.

        Args:
            reference: ``file:PATH``, ``env:NAME`` or ``keyring:NAME``.

        Raises:
            ConfigurationError: It is not there; what was given is not quoted, as it may be the secret itself.
        """
        if not reference.startswith(("file:", "env:", "keyring:")):
            message = "A secret was given itself, or by no reference that there is."
            raise ConfigurationError(message, hint="Write file:PATH, env:NAME or keyring:NAME.")
        text = self._text(reference).partition("\n")[0].removesuffix("\r")
        if not text:
            raise ConfigurationError(f"There is nothing in {reference}.", hint="A secret was expected there.")
        return text

    def find(self, reference: str, *, new_password: bool = False) -> KeyMaterial | Password:
        """The key that a reference names.

        Args:
            reference: See the module.
            new_password: Whether a password is being chosen, so that it has to be typed twice.

        Raises:
            ConfigurationError: There is none; the reference is not quoted where it may be a secret.
        """
        if reference in self._given:
            return self._given[reference]
        if SECRET_PREFIX in reference.upper():
            message = "A secret key was given itself, where every user of this machine can read it."
            raise ConfigurationError(message, hint="Put it into a file and write file:PATH; make a new key, too.")
        if reference.startswith((Recipient.prefix, Signer.prefix)):
            return key_from_text(reference)
        kind, _colon, name = reference.partition(":")
        if kind == _PASSWORD:
            return Password(self._text(name).split("\n")[0].removesuffix("\r") if name else self._asked(new_password))
        if kind not in {"file", "env", "keyring"}:
            if not Path(reference).is_file():
                message = "A key was asked for that is neither a file nor a reference to a key."
                raise ConfigurationError(message, hint=_HINT)
            return key_from_text(self._text(f"file:{reference}"))
        return key_from_text(self._text(reference))

    def _asked(self, new_password: bool) -> str:  # noqa: FBT001 - private
        if self._ask is None:
            message = "A password is needed, and there is nobody to ask for it."
            raise ConfigurationError(message, hint="Write password:file:PATH or password:env:NAME.")
        # An estimate, and the export after it, need the same one.
        if new_password not in self._typed:
            self._typed[new_password] = self._ask("New password" if new_password else "Password", new_password)
        return self._typed[new_password]

    def _text(self, reference: str) -> str:
        """What a file, variable or the system's keyring says."""
        kind, _colon, name = reference.partition(":")
        if kind == "file" and name:
            return _read(Path(name))
        if kind == "env" and name:
            if not self._environ.get(name):
                message = f"The environment variable {name} is not set: a key or password was expected there."
                raise ConfigurationError(message, hint="Set it, or name another place: file:PATH.")
            return self._environ[name]
        if kind == "keyring" and name:
            return _from_system(name)
        message = "A password was asked for from a place that does not exist."
        raise ConfigurationError(message, hint="Write password, password:file:PATH, password:env:NAME.")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_LARGEST_KEY_FILE + 1)
    except OSError as error:
        message = f"The key file {path} cannot be read: {error.strerror}."
        raise ConfigurationError(message, hint="Check the path; tailrace keys new makes a key file.") from None
    if stat.S_IMODE(status.st_mode) & 0o077 and SECRET_PREFIX.encode() in content:
        log.warning("%s can be read by other users than its owner: chmod 600 %s", path, path)
    try:
        return content[:_LARGEST_KEY_FILE].decode()
    except UnicodeDecodeError:
        message = f"The key file {path} is not text."
        raise ConfigurationError(message, hint="tailrace keys new makes a key file.") from None


def _from_system(name: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        message = "The system's keyring needs the package keyring."
        raise ConfigurationError(message, hint="pip install 'tailrace-core[keyring]'") from None
    try:
        text = keyring.get_password(SERVICE, name)
    except KeyringError as error:
        message = f"The system's keyring does not answer: {type(error).__name__}."
        raise ConfigurationError(message, hint="Unlock it, or use file:PATH or env:NAME.") from None
    if not text:
        message = f"The system's keyring has nothing under service {SERVICE} and name {name}."
        raise ConfigurationError(message, hint=f"Put it there: keyring set {SERVICE} {name}")
    return str(text)


def _unfit(key: KeyMaterial | Password, use: str, wanted: str) -> ConfigurationError:
    what = "password" if isinstance(key, Password) else key.noun
    return ConfigurationError(f"Nothing is {use} a {what}.", hint=f"Name {wanted}.")
