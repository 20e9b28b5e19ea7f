"""``tailrace completion``."""

from typing import Annotated, Literal

from cyclopts import Parameter

from tailrace.cli.session import COMMON, Common, Shared


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish", "powershell"], Parameter()],
    /,
    *,
    common: Common = COMMON,  # noqa: ARG001 - every command has them
    session: Shared,
) -> int:
    """Print the completion script of a shell.

    bash: tailrace completion bash > ~/.local/share/bash-completion/completions/tailrace

    Args:
        shell: The shell.
    """
    from tailrace.cli.app import app

    session.terminal.line(app.generate_completion(shell=shell).rstrip())
    return 0
