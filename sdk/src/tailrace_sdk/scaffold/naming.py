"""What a new plugin and its parts are called, and which names cannot be."""

import re

import attrs

from tailrace import RequestError

KINDS = ("format", "sink", "source")
"""The kinds of plugin that there are projects for."""
LONGEST = 32
"""Characters of a name at most: lines of the project that hold it stay short enough to be read."""

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_RULE = "A name has lower-case letters, digits, - and _, and begins with a letter."


@attrs.frozen
class PluginName:
    """Kind and public name of a plugin, and every other name that follows from them.

    The public name becomes part of TOML, Python and YAML as it is: none of its characters means anything there.

    Args:
        kind: One of :data:`KINDS`.
        public: What users call the plugin by: ``--format parquet``, ``--to drop-box:PLACE``, ``[sinks.drop-box]``.

    Raises:
        RequestError: The name cannot be used; the hint is one that can, where there is one.
    """

    kind: str
    public: str

    def __attrs_post_init__(self) -> None:
        if self.kind not in KINDS:
            message = f"There is no project for a plugin of kind {self.kind!r}."
            raise RequestError(message, hint=f"There is one for each of: {', '.join(KINDS)}.")
        if not _NAME.fullmatch(self.public):
            raise RequestError(f"{self.public!r} cannot be the name of a plugin.", hint=_better(self.kind, self.public))
        if len(self.public) > LONGEST:
            message = f"{self.public!r} is too long for the name of a plugin: {len(self.public)} characters."
            raise RequestError(message, hint=f"People type it. Take at most {LONGEST} characters.")
        bare = _bare(self.kind, self.public)
        if bare != self.public:
            message = f"{self.public!r} says what the kind says already."
            raise RequestError(message, hint=f"Write: tailrace plugins new {self.kind} {bare or 'NAME'}")

    @property
    def distribution(self) -> str:
        """What is installed: ``tailrace-sink-drop-box``."""
        return f"tailrace-{self.kind}-{self.public.replace('_', '-')}"

    @property
    def package(self) -> str:
        """What is imported: ``tailrace_sink_drop_box``."""
        return self.distribution.replace("-", "_")

    @property
    def stem(self) -> str:
        """How its classes begin: ``DropBox``."""
        return "".join(word.capitalize() for word in re.split("[-_]", self.public))


def _bare(kind: str, name: str) -> str:
    """The name without what the distribution puts before it anyway."""
    words = [word for word in re.split("[-_]", name) if word]
    while words and words[0] in {"tailrace", kind}:
        words = words[1:]
    return name if len(words) == len(re.split("[-_]", name)) else "-".join(words)


def _better(kind: str, name: str) -> str:
    """The rule, and the nearest name that keeps it."""
    near = re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-_")
    if not name.isascii() or not _NAME.fullmatch(near) or len(near) > LONGEST:
        return _RULE
    return f"{_RULE} Write: tailrace plugins new {kind} {_bare(kind, near) or near}"
