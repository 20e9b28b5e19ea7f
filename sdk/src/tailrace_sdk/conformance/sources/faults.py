"""Standard tests of sources: places that are missing, damaged, of another kind, or asked for from elsewhere."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tailrace import RequestError, SourceError, TailraceError, TransientError
from tailrace_sdk.conformance.sources.canaries import CANARIES, assert_discreet
from tailrace_sdk.conformance.sources.case import SOME
from tailrace_sdk.conformance.sources.exporting import ExportingCase
from tailrace_sdk.conformance.sources.opening import Opener, digest
from tailrace_sdk.conformance.sources.placed import Placed
from tailrace_sdk.conformance.standard import standard

_CANARY = CANARIES[0]


class FaultTests(ExportingCase):
    """What a source says when it cannot read."""

    @standard()
    def test_a_place_where_nothing_is_is_told(self, make: Callable[[str], Path], tmp_path: Path) -> None:
        """A location where nothing is gives an error that names it, and says what to do.

        Raise ``SourceError`` (``RequestError`` where it can never be a location, ``TransientError`` where a server is
        away), with a ``hint``.
        """
        folder = make("data")
        error = self._refused(self.missing(folder), folder, tmp_path, kinds=(SourceError, RequestError, TransientError))
        assert error.hint, "there is no hint"

    @standard()
    def test_no_location_at_all_is_told(self, make: Callable[[str], Path], tmp_path: Path) -> None:
        """An empty location gives an error that says what to write, and does not read what happens to be here.

        Otherwise it would be the working folder.
        """
        folder = make("data")
        placed = self.place(folder, SOME)
        error = self._refused(Placed("", {}, placed.options), folder, tmp_path)
        assert error.hint, "there is no hint"

    @standard(needs="reads_files")
    def test_a_folder_in_place_of_a_file_is_told(self, make: Callable[[str], Path], tmp_path: Path) -> None:
        """A folder where a file should be, or one without any file, gives an error that names it.

        What opens files raises ``IsADirectoryError``: look before, or catch ``OSError``.
        """
        folder = make("data")
        options = self.place(folder, SOME).options
        (folder / "a-folder").mkdir()
        error = self._refused(Placed("a-folder", {}, options), folder, tmp_path)
        assert "a-folder" in str(error)

    @standard(needs="reads_files")
    def test_a_file_that_may_not_be_read_is_told(self, make: Callable[[str], Path], tmp_path: Path) -> None:
        """A file without permission, or a link that leads to itself, gives an error that names it.

        Catch ``OSError``, and repeat its ``strerror``.
        """
        folder = make("data")
        placed = self.place(folder, SOME)
        (folder / "in-a-circle").symlink_to("in-a-circle")
        error = self._refused(Placed("in-a-circle", {}, placed.options), folder, tmp_path)
        assert "in-a-circle" in str(error)
        path = folder / "not-for-you"
        path.write_bytes((folder / placed.location).read_bytes() if (folder / placed.location).is_file() else b"")
        path.chmod(0)
        try:
            path.read_bytes()
        except PermissionError:
            assert "not-for-you" in str(self._refused(Placed(path.name, {}, placed.options), folder, tmp_path))
        # The administrator reads everything.
        path.chmod(0o600)

    @standard(needs="reads_files")
    def test_a_file_of_another_kind_is_told(self, make: Callable[[str], Path], tmp_path: Path) -> None:
        """A picture, noise, or a file of zeros gives an error that names the file and quotes nothing of it.

        It is no table of one strange column. Look at how files of your kind begin, and say what was expected.
        """
        folder = make("data")
        options = self.place(folder, SOME).options
        noise = random.Random(7).randbytes(100_000)  # noqa: S311 - a file that is the same each time
        contents = {
            "picture": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + _CANARY.encode() + b"\xff\x00" + noise,
            "noise": noise + b"\n" + _CANARY.encode() + b"\n",
            "zeros": bytes(100_000),
        }
        for name, content in contents.items():
            (folder / name).write_bytes(content)
            error = self._refused(Placed(name, {}, options), folder, tmp_path)
            # What is wrong with the request need not name the file.
            assert name in str(error) or isinstance(error, RequestError), f"the error does not name the file: {name}"
            assert error.hint, f"there is no hint what was expected: {name}"

    @standard(needs="reads_files")
    def test_damaged_data_is_told_and_not_quoted(self, make: Callable[[str], Path], tmp_path: Path) -> None:
        """Data that is cut off or garbled gives an error, whose text, hint and facts quote nothing of the data.

        Errors of parsers quote what they stumble over: catch them, say where and what was expected, and raise
        ``from None``. What could be read before must not come out as if it were everything.
        """
        for number, (what, placed) in enumerate(self.place_damaged(make("damaged"), _CANARY).items()):
            out = tmp_path / f"damaged-{number}"
            error = self._refused(placed, tmp_path / "damaged", out)
            assert error.message, what
        assert self.place_damaged(make("again"), _CANARY), "place_damaged gives no places"

    @standard(needs="reads_files")
    def test_relative_locations_count_from_the_folder_of_whoever_asks(
        self, opener: Opener, make: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A relative location counts from ``call.folder``, never from the working folder of the process.

        The export may run in a worker that was started elsewhere: read ``call.folder / path``.
        """
        folder, here, nowhere = make("data"), make("here"), make("nowhere")
        placed = self.place(folder, SOME)
        expected = digest(opener.read(placed, folder))
        assert not Path(placed.location.partition("://")[2] or placed.location).is_absolute(), (
            "place() gives it relative"
        )
        monkeypatch.chdir(nowhere)
        assert digest(opener.read(placed, folder)) == expected, "from a folder without it"
        other = self.place(here, SOME[:3])
        monkeypatch.chdir(here)
        assert digest(opener.read(placed, folder)) == expected, "from a folder with another of that name"
        assert digest(opener.read(other, here)) != expected
        with pytest.raises(TailraceError):
            opener.read(placed, nowhere)

    def _refused(
        self,
        placed: Placed,
        folder: Path,
        scratch: Path,
        *,
        kinds: tuple[type[TailraceError], ...] = (SourceError, RequestError),
    ) -> TailraceError:
        """The error that an export ends with, as users see it; nothing is published, and nothing quoted."""
        out = scratch / "out"
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            with pytest.raises(kinds) as caught:
                self.exporting(scratch / "home").export(self.to_lines(placed, out))
        assert not [path for path in out.glob("*") if path.is_file()], "something was published"
        assert_discreet(caught.value, _CANARY)
        return caught.value
