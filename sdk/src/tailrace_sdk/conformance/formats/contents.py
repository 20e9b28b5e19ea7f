"""Standard tests of rows and texts: that what is written is all of it, and as it was."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tailrace import Column, Engine, RequestError, Table
from tailrace_sdk.conformance.formats.base import FormatTests
from tailrace_sdk.conformance.standard import standard
from tailrace_sdk.datasets import HOSTILE_NAMES, HOSTILE_TEXTS, LONG_TEXT
from tailrace_sdk.fakes import memory_table

if TYPE_CHECKING:
    import polars as pl

_SAID = "saying"


class ContentTests(FormatTests):
    """Rows, texts, names and shapes."""

    @pytest.mark.parametrize("rows", [0, 1, 2, 1_000])
    @standard()
    def test_all_rows_are_there(self, engine: Engine, tmp_path: Path, rows: int) -> None:
        """As many rows as came are in the file, by its own count, quick and thorough, and by another reader's.

        Look at how the last rows are written, at the end of the file, and at tables without any.
        """
        written = self.write(engine, self.make.table(rows=rows, nulls=True))
        assert self.count(engine, written, thorough=False) == {"rows": rows}
        assert self.count(engine, written) == {"rows": rows}
        found = self._read(engine, written.content, tmp_path)
        if found is not None:
            assert found.height == rows
            if rows:
                assert found.width == written.columns["rows"]
                assert list(map(str, found.to_series(0))) == [str(number) for number in range(rows)]

    @standard(needs="many_tables")
    def test_all_tables_are_there(self, engine: Engine, tmp_path: Path) -> None:
        """Several tables of one file keep their rows apart, in their order, and those without rows are there, too.

        ``count_rows`` gives a number for each table of the call, and for no other.
        """
        tables = [self.make.table(f"table {number}", rows=rows) for number, rows in enumerate((3, 0, 40, 1))]
        written = self.write(engine, *tables)
        expected = {"table 0": 3, "table 1": 0, "table 2": 40, "table 3": 1}
        assert self.count(engine, written, thorough=False) == expected
        assert self.count(engine, written) == expected
        path = tmp_path / "file"
        path.write_bytes(written.content)
        found = self.read_back(engine, path)
        if found is not None:
            read = {name: frame.height for name, frame in found.items() if name in expected}
            assert list(read.items()) == list(expected.items())

    @standard()
    def test_hostile_texts_survive_or_are_refused(self, engine: Engine, tmp_path: Path) -> None:
        """Every text reads back as it was, or is refused with the name of its column: none is changed in silence.

        Quote or escape what the format would take for something else. What it cannot hold stops the export with a
        ``RequestError`` that names the column; the row is not to be skipped, and the text neither cut nor cleaned.
        """
        texts = self._accepted(engine, [*HOSTILE_TEXTS.values(), LONG_TEXT])
        assert texts, "It refuses every one of them, plain ones included."
        assert "007" in texts, "It refuses a plain text."
        self._compare(engine, [*texts, None], tmp_path)

    @standard()
    def test_null_and_empty_text_stay_apart(self, engine: Engine) -> None:
        """Null, an empty text and a text such as "null" are three things, in a table of one column as well.

        Give each a spelling of its own, or refuse one of them with the name of the column.
        """
        import polars as pl

        for other in ({}, {"other": [1]}):
            contents = []
            for text in (None, "", "null", "NULL", "None", "NaN", "nan", "N/A", "NA", "n/a", "-", "\\N", " ", '""'):
                frame = pl.DataFrame({_SAID: pl.Series([text], dtype=pl.String), **other})
                written = self.written_or_refused(engine, memory_table("rows", frame), _SAID)
                if written is not None:
                    assert self.count(engine, written) == {"rows": 1}
                    contents.append(written.content)
            assert len(set(contents)) == len(contents), "Two of them give the same file."

    @standard()
    def test_hostile_names_of_columns_survive_or_are_refused(self, engine: Engine, tmp_path: Path) -> None:
        """A column may have any name, also one that polars takes for a pattern; what cannot be is refused by name.

        Address columns by number or ``cs.by_name``, and quote headers like texts.
        """
        names = list(HOSTILE_NAMES)
        while names:
            table = memory_table("rows", {name: [1, 2] for name in names})
            try:
                written = self.write(engine, table)
                break
            except RequestError as error:
                told = error.message
            refused = [name for name in names if name in told or repr(name) in told]
            assert refused, f"The refusal names none of the columns: {told}"
            names.remove(refused[-1])
        assert names, "It refuses every name."
        assert self.count(engine, written) == {"rows": 2}
        found = self._read(engine, written.content, tmp_path)
        if found is not None:
            assert found.columns == names

    @standard()
    def test_a_table_without_rows_keeps_its_columns(self, engine: Engine, tmp_path: Path) -> None:
        """A table without rows is a file like any other; a filter that keeps nothing is no error.

        Write what a file begins and ends with, whether or not a row comes.
        """
        written = self.write(engine, self.make.table(rows=0))
        assert written.content
        found = self._read(engine, written.content, tmp_path)
        if found is not None and found.width:
            assert found.columns == [column.name for column in self.make.table().columns]

    @standard()
    def test_a_table_without_columns_is_written_or_refused(self, engine: Engine) -> None:
        """A table without columns has no rows either: it is written as such, or refused with a RequestError.

        Do not let it become an error of polars, or of an index.
        """
        import polars as pl

        table = Table("rows", pl.DataFrame().lazy(), (), count_rows=lambda: 0)
        written = self.written_or_refused(engine, table, "rows")
        if written is not None:
            assert self.count(engine, written) == {"rows": 0}

    @standard()
    def test_wide_tables_are_written(self, engine: Engine, tmp_path: Path) -> None:
        """A table of a thousand columns is written, and each of them is there.

        Say how many there may be at most (``columns_at_most``), and refuse more with a RequestError.
        """
        wide = self.make.table(rows=3, columns=self.columns_at_most)
        written = self.write(engine, wide)
        assert self.count(engine, written) == {"rows": 3}
        found = self._read(engine, written.content, tmp_path)
        if found is not None:
            assert found.columns == [column.name for column in wide.columns]

    def _read(self, engine: Engine, content: bytes, folder: Path) -> "pl.DataFrame | None":
        """The table ``rows`` of a file as another reads it; None where nobody does."""
        path = folder / f"file.{self.layout(engine).extension}"
        path.write_bytes(content)
        found = self.read_back(engine, path)
        if found is None:
            return None
        return found["rows"] if "rows" in found else next(iter(found.values()))

    def _table(self, texts: Sequence[str | None]) -> Table:
        import polars as pl

        frame = pl.DataFrame({"row": range(len(texts)), _SAID: pl.Series(texts, dtype=pl.String)})
        return Table("rows", frame.lazy(), (Column("row"), Column(_SAID)), count_rows=lambda: len(texts))

    def _accepted(self, engine: Engine, texts: list[str]) -> list[str]:
        """Those that are not refused, found by halves."""
        if not texts or self.written_or_refused(engine, self._table(texts), _SAID) is not None:
            return texts
        if len(texts) == 1:
            return []
        middle = len(texts) // 2
        return self._accepted(engine, texts[:middle]) + self._accepted(engine, texts[middle:])

    def _compare(self, engine: Engine, texts: list[str | None], folder: Path) -> None:
        """See that texts read back as they are; where nobody reads, that no two of them make the same file."""
        written = self.write(engine, self._table(texts))
        assert self.count(engine, written) == {"rows": len(texts)}
        found = self._read(engine, written.content, folder)
        if found is not None:
            read = found.to_series(1).to_list()
            wrong = {text: back for text, back in zip(texts, read, strict=True) if text != back}
            assert wrong == {}
            return
        contents: dict[bytes, str | None] = {}
        for text in texts:
            content = self.write(engine, self._table([text])).content
            assert content not in contents, f"{text!r} gives the same file as {contents[content]!r}."
            contents[content] = text
