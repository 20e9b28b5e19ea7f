"""Standard tests of counting again: that the count is of the file, and that damage is found."""

from collections.abc import Mapping

from tailrace import Engine, IntegrityError
from tailrace_sdk.conformance.formats.base import FormatTests, Written
from tailrace_sdk.conformance.standard import NotApplicable, standard

_ROWS = 200


class DamageTests(FormatTests):
    """``count_rows``, which is the proof without which nothing is published."""

    @standard()
    def test_counting_looks_at_the_file(self, engine: Engine) -> None:
        """The count is that of the file it is given, not of what was written last, or of what was expected.

        Keep nothing between ``write`` and ``count_rows``: files are counted again years later, by another process.
        """
        one, other = self.write(engine, self.make.table(rows=3)), self.write(engine, self.make.table(rows=5))
        assert self.count(engine, one) == {"rows": 3}
        fresh = self.make_engine(engine.settings.home)
        assert self.count(fresh, other) == {"rows": 5}
        assert self.count(fresh, one, thorough=False) == {"rows": 3}

    @standard()
    def test_blocks_may_end_anywhere(self, engine: Engine) -> None:
        """The count is the same however the file is cut into blocks: in the middle of a row, of a character, of a mark.

        Keep what is left of a block for the next one, and read all blocks to the end.
        """
        hostile = self.make.table(rows=70, hostile=True, nulls=True)
        written = self.written_or_refused(engine, hostile, "text") or self.write(engine, self.make.table(rows=70))
        for size, thorough in ((1, False), (7, True), (4_096, False), (4_096, True)):
            assert self.count(engine, written, thorough=thorough, block=size) == {"rows": 70}

    @standard()
    def test_a_file_that_ends_early_is_found_out(self, engine: Engine) -> None:
        """A file of which the end is missing gives another count, or an IntegrityError; an empty one does, too.

        End files with a mark, or each row; look for it when counting.
        """
        written = self.write(engine, self.make.table(rows=_ROWS))
        size = len(written.content)
        cuts = {0, 1, size // 3, size // 2, size - size // 7, size - 2, size - 1}
        kept = [length for length in cuts if self._passes(engine, written, written.content[:length])]
        assert kept == []

    @standard()
    def test_what_follows_the_end_is_found_out(self, engine: Engine) -> None:
        """A file with something behind its end gives another count, or an IntegrityError.

        Read on behind the end of what you wrote: nothing may follow.
        """
        written = self.write(engine, self.make.table(rows=_ROWS))
        for more in (b"x", b"\n", b'{"id": 1}\n', written.content):
            assert not self._passes(engine, written, written.content + more), f"{more[:20]!r} was not found"

    @standard()
    def test_a_missing_piece_is_found_out(self, engine: Engine) -> None:
        """A file from whose middle some rows are missing gives another count, or an IntegrityError, thoroughly counted.

        Count each row where it is, not by a number that is written somewhere in the file.
        """
        if self.documents:
            raise NotApplicable("what a document shows is not what it is counted from")
        written = self.write(engine, self.make.table(rows=_ROWS))
        size, most = len(written.content), len(written.content) // 10
        for start in range(most, size - 2 * most, max(1, size // 9)):
            left = written.content[:start] + written.content[start + most :]
            assert not self._passes(engine, written, left), f"bytes {start} to {start + most} of {size}"

    @standard(needs="checksummed")
    def test_a_changed_byte_is_found_out(self, engine: Engine) -> None:
        """A file of which one byte is another is found out by the thorough count, wherever that byte is.

        Compare checksums, and look at what they do not cover.
        """
        written = self.write(engine, self.make.table(rows=_ROWS))
        unnoticed = [
            place for place, changed in _changed(written.content, 101) if self._passes(engine, written, changed)
        ]
        assert unnoticed == []

    @standard()
    def test_no_damage_brings_it_down(self, engine: Engine) -> None:
        """Whatever a file holds, counting it gives a count or an IntegrityError: no other error, and no endless loop.

        Turn what your parser raises into an IntegrityError.
        """
        written = self.write(engine, self.make.table(rows=_ROWS))
        for _place, changed in _changed(written.content, 29):
            self._passes(engine, written, changed)
        for content in (b"", b"\x00" * 100, b"\xff" * 5_000, b"no such file\n" * 20):
            self._passes(engine, written, content, thorough=True)
            self._passes(engine, written, content, thorough=False)

    def _passes(self, engine: Engine, written: Written, content: bytes, *, thorough: bool = True) -> bool:
        """Whether a file passes for what was written."""
        try:
            found: Mapping[str, int] = self.count(engine, written, content, thorough=thorough)
        except IntegrityError:
            return False
        return found == {"rows": _ROWS}


def _changed(content: bytes, places: int) -> list[tuple[int, bytes]]:
    """The same bytes with one of them changed, at so many places, from the first to the last."""
    step = max(1, (len(content) - 1) // (places - 1))
    made = []
    for place in range(0, len(content), step):
        changed = bytearray(content)
        changed[place] ^= 0x15
        made.append((place, bytes(changed)))
    return made
