"""A JSON array as text: where its entries are, without all of them being objects at the same time."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import attrs

from tailrace_source_pool import strict_json
from tailrace_source_pool.file_storage import AT_ONCE, not_an_array


@attrs.frozen
class JsonArray:
    """The text of an array, and the entries in it.

    Args:
        text: All of it.
        spans: Where each entry begins and ends.
    """

    text: str = attrs.field(repr=False)
    spans: list[tuple[int, int]] = attrs.field(repr=False)

    @classmethod
    def of(cls, text: str, path: Path) -> "JsonArray":
        """Find the entries.

        Raises:
            SourceError: Not JSON, or JSON of another shape.
        """
        with suppress(strict_json.JsonError):
            return cls(text, [(begin, end) for _element, begin, end in strict_json.elements(text)])
        raise not_an_array(text, path)

    def entry(self, index: int) -> str:
        """The text of one entry."""
        begin, end = self.spans[index]
        return self.text[begin:end]

    def batches(self) -> Iterator[tuple[int, list[object]]]:
        """The entries, so many at a time, with the index of the first."""
        for first in range(0, len(self.spans), AT_ONCE):
            begin, end = self.spans[first][0], self.spans[min(first + AT_ONCE, len(self.spans)) - 1][1]
            yield first, strict_json.parse(f"[{self.text[begin:end]}]")
