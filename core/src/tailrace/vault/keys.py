"""The keys: what kinds there are, how they are written down, and what they are called.

======================  ==========================================  ================================================
kind                    written as                                  for
======================  ==========================================  ================================================
:class:`MasterKey`      ``TAILRACE-SECRET-MASTER-…``                sealing and opening, by whoever has it
:class:`PrivateKey`     ``TAILRACE-SECRET-RECIPIENT-…``             opening what was sealed to its public half
:class:`Recipient`      ``tailrace-recipient-…``                    sealing to somebody else: the public half
:class:`SigningKey`     ``TAILRACE-SECRET-SIGNING-…``               signing manifests
:class:`Signer`         ``tailrace-signer-…``                       checking signatures: the public half
:class:`Password`       (typed)                                     sealing and opening
======================  ==========================================  ================================================

Behind the prefix follow the 32 bytes of the key and the first 4 bytes of their BLAKE2b digest, in base32 (RFC 4648)
without padding: a letter that was mistyped is found out before something is sealed to nobody.

Ids (``mk-``, ``rk-``, ``sk-`` and 16 hexadecimal digits) name keys without giving them away. No key has a
representation that shows it.
"""

import base64
import binascii
import hashlib
import secrets
import unicodedata
from typing import ClassVar, Final, NoReturn, Self

from tailrace.model.errors import ConfigurationError

KEY_SIZE: Final = 32
SECRET_PREFIX: Final = "TAILRACE-SECRET-"  # noqa: S105 - what the text of a secret key begins with
_CHECKSUM_SIZE = 4
_ID_SIZE = 8
SHORTEST_PASSWORD: Final = 8
"""Characters of the shortest password that something is sealed with."""


class KeyMaterial:
    """32 bytes that are a key; kept out of representations, copies and pickles.

    Args:
        content: The bytes.
    """

    prefix: ClassVar[str]
    id_prefix: ClassVar[str]
    noun: ClassVar[str]
    __slots__ = ("_content",)

    def __init__(self, content: bytes) -> None:
        if len(content) != KEY_SIZE:
            message = f"A {self.noun} has {KEY_SIZE} bytes, this one has {len(content)}."
            raise ConfigurationError(message, hint="Make one: tailrace keys new")
        self._content = bytes(content)

    @property
    def content(self) -> bytes:
        """The 32 bytes."""
        return self._content

    @property
    def id(self) -> str:
        """What the key is called; says nothing about a secret one."""
        return self.id_prefix + _digest(self._id_material(), b"tlr-key-id", _ID_SIZE).hex()

    def _id_material(self) -> bytes:
        return self._content

    @property
    def text(self) -> str:
        """The key as text, as it stands in a key file: of a secret key, the secret itself."""
        checked = self._content + _checksum(self.prefix, self._content)
        encoded = base64.b32encode(checked).decode().rstrip("=")
        return self.prefix + (encoded if self.prefix.isupper() else encoded.lower())

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a key of this kind.

        Raises:
            ConfigurationError: Another kind of key, or one that was mistyped; the text is not quoted.
        """
        body = text.strip().removeprefix(cls.prefix)
        try:
            raw = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
        except (binascii.Error, ValueError):
            raw = b""
        content, checksum = raw[:-_CHECKSUM_SIZE], raw[-_CHECKSUM_SIZE:]
        whole = text.strip().startswith(cls.prefix) and len(content) == KEY_SIZE
        if not whole or checksum != _checksum(cls.prefix, content) or cls(content).text != text.strip():
            message = f"This is not the text of a {cls.noun}: it is mistyped, or cut."
            raise ConfigurationError(message, hint=f"It begins with {cls.prefix} and is one line.")
        return cls(content)

    @classmethod
    def generate(cls) -> Self:
        """Make a new one, at random."""
        return cls(secrets.token_bytes(KEY_SIZE))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and secrets.compare_digest(self._content, other._content)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<{self.noun} {self.id}>"

    def __reduce__(self) -> NoReturn:
        message = f"A {self.noun} is not pickled or copied."
        raise TypeError(message)


class MasterKey(KeyMaterial):
    """A symmetric key: who has it seals and opens."""

    prefix = SECRET_PREFIX + "MASTER-"
    id_prefix = "mk-"
    noun = "master key"
    __slots__ = ()


class Recipient(KeyMaterial):
    """The public half of a :class:`PrivateKey` (X25519)."""

    prefix = "tailrace-recipient-"
    id_prefix = "rk-"
    noun = "recipient's public key"
    __slots__ = ()


class PrivateKey(KeyMaterial):
    """The secret half of a recipient's pair (X25519)."""

    prefix = SECRET_PREFIX + "RECIPIENT-"
    id_prefix = "rk-"
    noun = "recipient's secret key"
    __slots__ = ()

    @property
    def public(self) -> Recipient:
        """The half to give away; it has the same id."""
        from nacl.bindings import crypto_scalarmult_base

        return Recipient(crypto_scalarmult_base(self._content))

    def _id_material(self) -> bytes:
        return self.public.content


class Signer(KeyMaterial):
    """The public half of a :class:`SigningKey` (Ed25519)."""

    prefix = "tailrace-signer-"
    id_prefix = "sk-"
    noun = "signer's public key"
    __slots__ = ()


class SigningKey(KeyMaterial):
    """The seed of an Ed25519 key pair."""

    prefix = SECRET_PREFIX + "SIGNING-"
    id_prefix = "sk-"
    noun = "signing key"
    __slots__ = ()

    @property
    def public(self) -> Signer:
        """The half by which signatures are checked; it has the same id."""
        from nacl.bindings import crypto_sign_seed_keypair

        return Signer(crypto_sign_seed_keypair(self._content)[0])

    def _id_material(self) -> bytes:
        return self.public.content


class Password:
    """Something that a person remembers; compared as Unicode's form NFC, so that keyboards do not matter."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not text:
            message = "An empty password protects nothing."
            raise ConfigurationError(message, hint="Type one, or use a key: tailrace keys new")
        self._text = unicodedata.normalize("NFC", text)

    @property
    def content(self) -> bytes:
        """The password as it goes into the key derivation."""
        return self._text.encode(errors="surrogatepass")

    @property
    def short(self) -> bool:
        """Whether it is too short to seal with."""
        return len(self._text) < SHORTEST_PASSWORD

    def __repr__(self) -> str:
        return "<password>"

    def __reduce__(self) -> NoReturn:
        message = "A password is not pickled or copied."
        raise TypeError(message)


Secret = MasterKey | PrivateKey | SigningKey
Public = Recipient | Signer
AnyKey = Secret | Public
KINDS: tuple[type[KeyMaterial], ...] = (MasterKey, PrivateKey, SigningKey, Recipient, Signer)


def key_from_text(text: str) -> KeyMaterial:
    """Read a key of any kind from the text of a key file: ``#`` comments and one line with the key.

    Raises:
        ConfigurationError: No key, several, or one that was mistyped; the text is not quoted.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) != 1:
        message = f"Expected one line with a key, and found {len(lines) or 'none'}."
        raise ConfigurationError(message, hint="Make a key file: tailrace keys new")
    kind = next((kind for kind in KINDS if lines[0].startswith(kind.prefix)), None)
    if kind is None:
        message = "This is not a key of Tailrace."
        raise ConfigurationError(message, hint="Keys begin with TAILRACE-SECRET-… or tailrace-…: tailrace keys new")
    return kind.from_text(lines[0])


def _checksum(prefix: str, content: bytes) -> bytes:
    return _digest(prefix.encode() + content, b"tlr-key-sum", _CHECKSUM_SIZE)


def _digest(content: bytes, person: bytes, size: int) -> bytes:
    return hashlib.blake2b(content, digest_size=size, person=person).digest()
