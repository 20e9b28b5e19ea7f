"""The manifest beside an export of ours, ``<name>.manifest.json``: how its CSV is spelt, and what it must be."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from tailrace import CredentialMode, Problem
from tailrace_source_pool import strict_json
from tailrace_source_pool.documents.content import Seen
from tailrace_source_pool.documents.manifest import Layout, layout, refuse_newer, tables_problems
from tailrace_source_pool.location import unreadable_error

LARGEST = 4 << 20
_DIGEST_LENGTH = 64


@attrs.frozen
class Sidecar:
    """A manifest that lies beside a file.

    Args:
        content: The manifest.
        name: Its file's name, for messages.
    """

    content: Mapping[str, Any]
    name: str

    @property
    def layout(self) -> Layout:
        """What the file holds."""
        return layout(self.content)

    def spelling(self) -> dict[str, Any]:
        """How the fields of a CSV file are spelt, as :class:`csv_file.Spelling` has it."""
        options = self._options
        columns = self.layout.columns
        return {
            "delimiter": options.get("delimiter") or ",",
            "nulls": options.get("nulls") or "",
            "guard": options.get("profile") == "excel",
            "names": list(columns or ()) if options.get("header") is False else None,
        }

    @property
    def whole_as_text(self) -> bool:
        """Whether a JSON document has whole numbers as texts."""
        return self._options.get("big_integers") == "text"

    @property
    def seal(self) -> Mapping[str, Any] | None:
        """What authenticates a full export in CSV or a workbook, if it is well-formed."""
        seal = self.content.get("seal")
        texts = isinstance(seal, dict) and all(isinstance(seal.get(name), str) for name in ("sha256", "mac"))
        return {"sha256": seal["sha256"], "mac": seal["mac"]} if isinstance(seal, dict) and texts else None

    def problems(self, seen: Seen) -> Iterator[Problem]:
        """What is wrong with it, or with the file that it describes."""
        for path, reason in tables_problems(self.content["tables"], "$.tables"):
            yield Problem(f"{self.name}, {path}", reason)
        file = self.content.get("file")
        digest = file.get("sha256") if isinstance(file, dict) else None
        if not isinstance(digest, str) or len(digest) != _DIGEST_LENGTH:
            yield Problem(f"{self.name}, $.file.sha256", "it is missing, or no SHA-256")
        elif digest != seen.digest:
            yield Problem("file", "the content was changed: it is not the file that its manifest describes")
        options = self._options
        for name in ("delimiter", "nulls"):
            value = options.get(name, "")
            if not isinstance(value, str) or '"' in value or "\n" in value or (name == "delimiter" and len(value) > 1):
                yield Problem(f"{self.name}, $.format_options.{name}", "it cannot be that")

    @property
    def _options(self) -> Mapping[str, Any]:
        options = self.content.get("format_options")
        return options if isinstance(options, dict) else {}


def read_sidecar(path: Path) -> tuple[Sidecar | None, list[Problem]]:
    """The manifest beside a file, and why there is none although a file of that name is there.

    Raises:
        NewerVersionError: It takes a newer Tailrace.
        SourceError: It is there and cannot be read.
    """
    place = path.with_name(f"{path.name}.manifest.json")
    try:
        if not place.is_file():
            return None, []
        with place.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise unreadable_error(place, error) from None
    if len(content) > LARGEST:
        return None, [Problem(place.name, f"it has more than {LARGEST:,} bytes")]
    try:
        manifest = strict_json.parse(content.decode("utf-8"))
    except strict_json.JsonError as error:
        return None, [Problem(place.name, f"it is not valid JSON: {error}")]
    except UnicodeDecodeError:
        return None, [Problem(place.name, "it is not UTF-8")]
    refuse_newer(manifest)
    mode = manifest.get("credentials") if isinstance(manifest, dict) else None
    modes = {known.value for known in CredentialMode}
    if not isinstance(manifest, dict) or mode not in modes or not isinstance(manifest.get("tables"), list):
        return None, [Problem(place.name, "it is not a manifest of an export")]
    return Sidecar(manifest, place.name), []
