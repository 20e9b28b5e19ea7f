"""Standard tests of sources that split: the parts of whatever is asked for are together what is asked for."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tailrace import CredentialMode, NotAllowedError, RequestError, TimeRange
from tailrace_sdk.conformance.sources.canaries import CANARIES, assert_no_canary
from tailrace_sdk.conformance.sources.case import SOME, SourceCase
from tailrace_sdk.conformance.sources.opening import Opener
from tailrace_sdk.conformance.sources.placed import Placed
from tailrace_sdk.conformance.sources.secrets import everything
from tailrace_sdk.conformance.standard import standard

if TYPE_CHECKING:
    import polars as pl

_TOO_FEW = "nothing was split: let partitioned_rows be more, so that there are places to cut at"


class PartTests(SourceCase):
    """What parts are, of everything and of less."""

    @standard(needs="partitioned")
    def test_parts_are_together_the_whole(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """The rows of all parts, one behind the other, are those of the whole; no row is in two parts, or in none.

        Every part has the columns and types of the whole: find out from everything what a column is. ``most`` is never
        exceeded; a token survives JSON, and the rows that a part says it has are those that it has.
        """
        folder = make("data")
        placed = self.place(folder, range(self.partitioned_rows))
        whole = opener.read(placed, folder)
        split = 0
        for most in (1, 2, 7):
            parts, frames = _read_in_parts(opener, placed, folder, most)
            assert len(parts) <= most
            split = max(split, len(parts))
            if parts:
                _assert_together(frames, whole, f"{len(parts)} parts")
            for rows, part in zip(parts, frames, strict=True):
                assert rows is None or rows == next(iter(part.values())).height
        assert split > 1, _TOO_FEW

    @standard(needs="partitioned")
    def test_parts_of_a_request_are_together_what_it_asks_for(
        self, opener: Opener, make: Callable[[str], Path]
    ) -> None:
        """With a range, filters, some of the tables or another mode, parts give what the whole gives when asked so.

        Open a part by the same way as everything, and cut it off last: what is asked of the whole is asked of each
        part. Rows of the range that the engine will filter by may come with others, and none may be missing.
        """
        folder = make("data")
        rows = self.partitioned_rows
        placed = self.place(folder, range(rows))
        asked: dict[str, dict[str, Any]] = {}
        if self.time_ranges:
            asked["a range"] = {"window": TimeRange(self.moment(rows // 4), self.moment(rows * 3 // 4))}
            asked["a range without beginning"] = {"window": TimeRange(None, self.moment(rows // 2))}
        if self.restricts:
            asked["a filter"] = {"where": (self.chosen(range(rows))[0],)}
        if self.references:
            asked["mode reference"] = {"credentials": CredentialMode.REFERENCE}
        with opener.opened(placed, folder) as dataset:
            asked |= {f"table {table.name} alone": {"tables": {table.name}} for table in dataset.tables}
        for what, more in asked.items():
            whole = opener.read(placed, folder, **more)
            parts, frames = _read_in_parts(opener, placed, folder, 3, **more)
            if parts:
                wanted = more.get("tables", whole)
                _assert_together(frames, {name: whole[name] for name in wanted}, f"parts with {what}")

    @standard(needs=("partitioned", "has_secrets"))
    @pytest.mark.parametrize("credentials", [CredentialMode.SANITIZED, CredentialMode.REFERENCE])
    def test_no_secret_is_in_a_part(
        self, opener: Opener, make: Callable[[str], Path], credentials: CredentialMode
    ) -> None:
        """Parts keep secrets out as the whole does: the same rows, with the same ids, and mode full is refused alike.

        Take secrets out before anything is cut off, in one place for both.
        """
        folder = make("data")
        many = [CANARIES[number % len(CANARIES)] for number in range(self.partitioned_rows)]
        placed = self.place_secrets(folder, many)
        whole = opener.read(placed, folder, credentials=credentials)
        tokens = [token for token, _rows in opener.tokens(opener.call(placed, folder, credentials=credentials), 2)]
        assert len(tokens) > 1, _TOO_FEW
        frames = []
        for token in tokens:
            with opener.opened(placed, folder, credentials=credentials, partition=token) as dataset:
                for what, texts in everything(dataset):
                    assert_no_canary(f"{what} of a part", texts)
                frames.append({table.name: table.frame.collect() for table in dataset.tables})
            with pytest.raises(NotAllowedError):
                opener.read(placed, folder, credentials=CredentialMode.FULL, partition=token, seal=None)
        _assert_together(frames, whole, f"parts in mode {credentials.value}")

    @standard(needs="partitioned")
    def test_a_part_that_is_none_of_its_own_is_refused(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """A token that it never gave is a ``RequestError``, and does not open everything, or nothing.

        Look at all of its members before anything is read.
        """
        folder = make("data")
        placed = self.place(folder, SOME)
        for token in ({}, {"no": "such part"}, {"first": -1, "last": "x", "rows": None}):
            with pytest.raises(RequestError):
                opener.read(placed, folder, partition=token)


def _read_in_parts(
    opener: Opener, placed: Placed, folder: Path, most: int, **more: Any
) -> "tuple[list[int | None], list[dict[str, pl.DataFrame]]]":
    """The rows that each part says it has, and its tables, by way of JSON as tokens travel."""
    parts = opener.tokens(opener.call(placed, folder, **more), most)
    frames = [opener.read(placed, folder, partition=json.loads(json.dumps(token)), **more) for token, _rows in parts]
    return [rows for _token, rows in parts], frames


def _assert_together(frames: "list[dict[str, pl.DataFrame]]", whole: "Mapping[str, pl.DataFrame]", what: str) -> None:
    """See that tables of parts, one behind the other, are those of the whole."""
    import polars as pl

    for name, frame in whole.items():
        assert all(part[name].schema == frame.schema for part in frames), f"columns of {name} in {what}"
        together = pl.concat([part[name] for part in frames])
        assert together.height == frame.height, f"rows of {name} in {what}"
        assert together.equals(frame), f"rows of {name}, or their order, in {what}"
