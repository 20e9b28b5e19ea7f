"""Asking a person for a password, on the terminal and nowhere else."""

import getpass
import warnings

from tailrace.model.errors import ConfigurationError

_HINT = "Write password:file:PATH or password:env:NAME instead."


def ask(prompt: str, twice: bool) -> str:  # noqa: FBT001 - the signature of tailrace.vault.keyring.Ask
    """Ask for a password without showing it.

    Args:
        prompt: What is asked for.
        twice: Whether it is a new one, to be typed again.

    Raises:
        ConfigurationError: There is no terminal, or the two differ.
    """
    with warnings.catch_warnings():
        # Without a terminal, getpass warns and would show what is typed.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            first = getpass.getpass(f"{prompt}: ")
            again = getpass.getpass(f"{prompt} again: ") if twice else first
        except (getpass.GetPassWarning, EOFError, OSError):
            message = "A password is needed, and there is no terminal to ask for it."
            raise ConfigurationError(message, hint=_HINT) from None
    if first != again:
        message = "The two passwords differ."
        raise ConfigurationError(message, hint="Start again, and type the same one twice.")
    return first
