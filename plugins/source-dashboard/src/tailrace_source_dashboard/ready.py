"""The dashboards that come with the source."""

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources

from tailrace import Example


@cache
def ready_dashboards() -> Sequence[Example]:
    """They, by name."""
    folder = resources.files("tailrace_source_dashboard") / "dashboards"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    texts = {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in files}
    return tuple(Example(name, tomllib.loads(text)["title"], text) for name, text in texts.items())
