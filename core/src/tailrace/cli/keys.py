"""``tailrace keys``."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from tailrace.cli.quantities import counted
from tailrace.cli.running import run
from tailrace.cli.session import COMMON, Common, Session, Shared
from tailrace.model.errors import AlreadyExistsError, ConfigurationError, SourceError

if TYPE_CHECKING:
    from tailrace.rekeying import Rekeyed
    from tailrace.vault.keys import KeyMaterial

References = Annotated[tuple[str, ...], Parameter(negative=())]

_ADVICE = {
    "master": "Keep it apart from the exports that it opens, and a copy in a safe place: without it they are lost.",
    "recipient": "Give the public key away; what is sealed to it opens with this file only: keep a copy of it.",
    "signing": "Give the public key to those who check your exports: it is what their setting vault.trusted names.",
}


def new(
    kind: Literal["master", "recipient", "signing"],
    place: str,
    /,
    *,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Make a key.

    Args:
        kind: master (seals and opens), recipient (a pair: others seal to its public half), signing (a pair).
        place: The file to make, or keyring:NAME for the system's keyring.
    """
    from tailrace.vault.keys import SECRET_PREFIX, MasterKey, PrivateKey, SigningKey

    if not place.removeprefix("file:") or SECRET_PREFIX in place.upper() or place.startswith(("env:", "password")):
        message = "A key is made in a file, or in the system's keyring."
        raise ConfigurationError(message, hint=f"For example: tailrace keys new {kind} {kind}.key")
    made = {"master": MasterKey, "recipient": PrivateKey, "signing": SigningKey}[kind].generate()
    if place.startswith("keyring:"):
        _into_keyring(made, place.removeprefix("keyring:"))
        reference = place
    else:
        path = Path(place.removeprefix("file:"))
        _into_file(made, path, _ADVICE[kind])
        reference = f"file:{path}"
    _tell_key(session, common, made, reference, _ADVICE[kind])
    return 0


def show(what: str, /, *, common: Common = COMMON, session: Shared) -> int:
    """Say what a key is, or which keys open an export; never a secret.

    Args:
        what: A key file, or another reference to a key; or an export.
    """
    key = _key_at(what, session)
    if key is not None:
        _tell_key(session, common, key, what, "")
        return 0
    openers = run(session, lambda context: session.engine.openers(Path(what), context=context))
    if common.json:
        session.terminal.document({"file": what, "openers": list(openers)})
    else:
        session.terminal.line(f"{what} opens with any of:", "bold")
        for opener in openers:
            session.terminal.line(f"  {_opener(opener)}")
    return 0


def add(
    file: Path,
    /,
    *,
    opener: References,
    key: References = (),
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Let another key open an export that exists; nothing in it is sealed anew.

    Args:
        file: The export.
        opener: Who shall open it: file:PATH, env:NAME, keyring:NAME, password, or a recipient's public key.
        key: What opens it now, in the same words; the setting vault.keys if not given.
    """
    _resolve(session, key, opener)
    done = run(
        session,
        lambda context: session.engine.change_openers(file, add=opener, keys=key, user=session.user, context=context),
    )
    return _tell_file(session, common, done)


def remove(
    file: Path,
    /,
    *,
    opener: References,
    key: References = (),
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Let a key no longer open an export. Copies made before still open with it: see rotate.

    Args:
        file: The export.
        opener: Id of the key, as tailrace keys show FILE lists it; or password.
        key: What opens it now: file:PATH, env:NAME, keyring:NAME or password; the setting vault.keys if not given.
    """
    _resolve(session, key, ())
    done = run(
        session,
        lambda context: session.engine.change_openers(
            file, remove=opener, keys=key, user=session.user, context=context
        ),
    )
    return _tell_file(session, common, done)


def rotate(
    file: Path,
    /,
    *,
    opener: References = (),
    key: References = (),
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Seal the credentials of an export under a new data key.

    Args:
        file: The export, a JSON document.
        opener: Who opens it from now on; the setting vault.openers if not given.
        key: What opens it now; the setting vault.keys if not given.
    """
    _resolve(session, key, opener)
    done = run(
        session,
        lambda context: session.engine.rotate(file, openers=opener, keys=key, user=session.user, context=context),
    )
    return _tell_file(session, common, done)


def _resolve(session: Session, holders: tuple[str, ...], openers: tuple[str, ...]) -> None:
    """Ask for passwords now, before work begins and progress is shown."""
    for reference in holders or session.settings.vault.keys:
        session.engine.keyring.holder(reference)
    for reference in openers:
        session.engine.keyring.opener(reference)


def _key_at(what: str, session: Session) -> "KeyMaterial | None":
    """The key that a reference names; None where it is a file that holds none."""
    from tailrace.vault.keys import KeyMaterial

    try:
        found = session.engine.keyring.find(what)
    except ConfigurationError:
        path = Path(what)
        if not path.is_file():
            if path.exists() or os.sep in what or path.suffix:
                message = f"There is no file {path}."
                raise SourceError(message, hint="Name a key file, or an export.") from None
            raise
        return None
    if not isinstance(found, KeyMaterial):
        message = "Of a password there is nothing to show."
        raise ConfigurationError(message, hint="Name a key file, or an export.")
    return found


def _into_file(key: "KeyMaterial", path: Path, advice: str) -> None:
    from tailrace.files.publish import publish
    from tailrace.files.staging import staged_file
    from tailrace.files.storage import storage_errors

    public = _public(key)
    lines = [
        f"# Tailrace {key.noun} {key.id}, made {datetime.now(UTC):%Y-%m-%d}",
        f"# {advice}",
        *([f"# public key: {public}"] if public else []),
        key.text,
    ]
    with storage_errors(path), staged_file(path.parent) as (descriptor, staged):
        os.write(descriptor, ("\n".join(lines) + "\n").encode())
        os.fsync(descriptor)
        try:
            publish(staged, path, private=True)
        except AlreadyExistsError as error:
            raise AlreadyExistsError(
                error.message, hint="Choose another name: an old key may still be needed."
            ) from None


def _into_keyring(key: "KeyMaterial", name: str) -> None:
    from tailrace.vault.keyring import SERVICE

    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        message = "The system's keyring needs the package keyring."
        raise ConfigurationError(message, hint="pip install 'tailrace-core[keyring]'") from None
    try:
        if keyring.get_password(SERVICE, name):
            message = f"The system's keyring has a key called {name} already."
            raise ConfigurationError(message, hint="Choose another name; an old key may still be needed.")
        keyring.set_password(SERVICE, name, key.text)
    except KeyringError as error:
        message = f"The system's keyring does not take it: {type(error).__name__}."
        raise ConfigurationError(message, hint="Unlock it, or name a file.") from None


def _public(key: "KeyMaterial") -> str:
    from tailrace.vault.keys import PrivateKey, Recipient, Signer, SigningKey

    pair: PrivateKey | SigningKey | None = key if isinstance(key, PrivateKey | SigningKey) else None
    if pair is not None:
        return pair.public.text
    return key.text if isinstance(key, Recipient | Signer) else ""


def _tell_key(session: Session, common: Common, key: "KeyMaterial", reference: str, advice: str) -> None:
    public = _public(key)
    if common.json:
        document: dict[str, Any] = {"kind": key.noun, "id": key.id, "public": public or None, "reference": reference}
        session.terminal.document(document)
        return
    session.terminal.line(f"{key.noun[0].upper()}{key.noun[1:]} {key.id}", "bold")
    session.terminal.line(f"  {reference}")
    if public:
        session.terminal.line(f"  public key: {public}")
    if advice:
        session.terminal.text(advice)


def _tell_file(session: Session, common: Common, done: "Rekeyed") -> int:
    if common.json:
        session.terminal.document(
            {
                "file": str(done.path),
                "openers": list(done.openers),
                "resealed": done.resealed,
                "notes": list(done.notes),
            }
        )
        return 0
    session.terminal.line(f"{done.path} opens with any of:", "bold")
    for opener in done.openers:
        session.terminal.line(f"  {_opener(opener)}")
    if done.resealed:
        session.terminal.text(f"{counted(done.resealed, 'value')} sealed anew.")
    for note in done.notes:
        session.terminal.text(f"Note: {note}")
    return 0


def _opener(name: str) -> str:
    kinds = {"mk": "master key", "rk": "recipient's key"}
    kind = kinds.get(name.partition("-")[0])
    return f"{name} ({kind})" if kind else name
