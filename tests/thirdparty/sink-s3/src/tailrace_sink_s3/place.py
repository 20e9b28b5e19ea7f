"""Where a file goes: bucket and key, by the target and the facts of an export."""

import re
from collections.abc import Iterator, Mapping

import attrs

from tailrace import NotAllowedError, RequestError, StagingCall, UnknownNameError
from tailrace_sink_s3.settings import S3Settings

MANIFEST_SUFFIX = ".manifest.json"
_SCHEME = "s3://"
_BUCKET = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_UNSAFE = re.compile(r"[^\w!\-.'()=+@,]")
"""What is not the same in a key, in a URL and for every storage."""
_MOST_OF_A_NAME = 999
_LONGEST = 1024 - len(MANIFEST_SUFFIX) - len(f"-{_MOST_OF_A_NAME}")
_SUGGESTED = "suggested"
_HINT = (
    "Write --to s3:BUCKET/prefix/{year}/{source}_{table}_{timestamp}.{ext}, or with / at its end the file's own name."
)


@attrs.frozen
class Place:
    """Where an object is.

    Args:
        bucket: Its bucket.
        key: Its key.
        suggested: Whether it is called as the engine suggests, and not as somebody wishes.
    """

    bucket: str
    key: str
    suggested: bool = False

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def manifest(self) -> "Place":
        """Where its manifest is."""
        return Place(self.bucket, self.key + MANIFEST_SUFFIX)

    def candidates(self) -> Iterator["Place"]:
        """The place; and where its name was only suggested, others for when it is taken: ``name-2.csv``, …"""
        yield self
        if self.suggested:
            folder, slash, name = self.key.rpartition("/")
            stem, dot, extension = name.partition(".")
            for number in range(2, _MOST_OF_A_NAME + 1):
                yield Place(self.bucket, f"{folder}{slash}{stem}-{number}{dot}{extension}", suggested=True)

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}"


def place_of(call: StagingCall, settings: S3Settings, *, name: str | None = None) -> Place:
    """The place that a target means.

    Args:
        call: The target, and the values of placeholders.
        settings: Of the operator.
        name: Name of the file, for targets that end in ``/``; before it is known, any will do.

    Raises:
        RequestError: It means none, or one that storages do not agree on.
        UnknownNameError: A placeholder that does not exist.
        NotAllowedError: A bucket that the operator does not allow.
    """
    bucket, _slash, pattern = (call.target or "").removeprefix(_SCHEME).partition("/")
    if not bucket:
        raise RequestError("The sink s3 needs a bucket.", hint=_HINT)
    if not _BUCKET.fullmatch(bucket):
        raise RequestError("The target of the sink s3 does not begin with the name of a bucket.", hint=_HINT)
    if settings.buckets and bucket not in settings.buckets:
        raise NotAllowedError(
            f"The bucket {bucket} is none of those that may be written to.",
            hint=f"Name one of {', '.join(settings.buckets)}, or add it to sinks.s3.buckets.",
        )
    suggested = not pattern or pattern.endswith("/")
    if suggested:
        pattern += "{" + _SUGGESTED + "}"
    key = "/".join(_filled(part, call.fields, name or _SUGGESTED) for part in pattern.split("/"))
    if len(key.encode()) > _LONGEST:
        raise RequestError(f"The key of the object has more than {_LONGEST} bytes.", hint="Shorten the prefix.")
    if key.endswith(MANIFEST_SUFFIX):
        raise RequestError(f"The key of the object ends in {MANIFEST_SUFFIX}, as those of manifests do.", hint=_HINT)
    return Place(bucket, key, suggested=suggested)


def _filled(pattern: str, fields: Mapping[str, str], name: str) -> str:
    """A part of a key, which no value can make into two."""

    def value(found: "re.Match[str]") -> str:
        wanted = found[1]
        if wanted == _SUGGESTED:
            return _UNSAFE.sub("_", name)
        if wanted not in fields:
            raise UnknownNameError("placeholder", wanted, sorted(fields), where="the target of the sink s3")
        return _UNSAFE.sub("_", fields[wanted])

    part = _PLACEHOLDER.sub(value, pattern)
    if not part or not part.strip(".") or _UNSAFE.search(part):
        raise RequestError(
            "A part of the target of the sink s3 is empty, '.', '..', or has characters that not every storage takes.",
            hint="Use letters, digits and !-_.'()=+@, between slashes.",
        )
    return part
