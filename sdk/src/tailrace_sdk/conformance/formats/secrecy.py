"""Standard tests of what a format could give away: options, values in errors, and what nobody can search."""

import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tailrace import Column, Engine, Meaning, Table, build_options
from tailrace_sdk.conformance.formats.base import FormatTests, Output
from tailrace_sdk.conformance.standard import NotApplicable, standard
from tailrace_sdk.datasets import HOSTILE_TEXTS, VALUES

CANARY = "canary-7f3a9c51e0"
"""A text that is nowhere but where a test puts it."""


class SecrecyTests(FormatTests):
    """Canaries."""

    @standard()
    def test_what_is_in_a_file_can_be_searched(self, engine: Engine) -> None:
        """A text of a cell, and the name of a column, are in the bytes of a file, or in what ``searchable`` gives.

        The engine searches there for secrets that the source kept out. Files that are packed or encoded inside need
        ``searchable`` (``Container``), which gives whatever a reader of the file could see, properties and comments
        included.
        """
        table = _table(f"{CANARY}-cell", f"{CANARY}-column")
        seen = self.visible(engine, self.write(engine, table))
        for where in ("cell", "column"):
            assert f"{CANARY}-{where}".encode() in seen, f"The text of a {where} is not to be found."

    @standard()
    def test_a_file_names_no_place_of_this_machine(self, engine: Engine) -> None:
        """No folder of the machine that made a file is in it, wherever in the file that may be.

        Libraries like to write where a template, a font or a temporary file was: turn that off, or take it out.
        """
        seen = self.visible(engine, self.write(engine, self.make.table()))
        assert [place for place in _places_of_this_machine() if place.encode() in seen] == []

    @standard()
    def test_errors_name_columns_and_quote_no_value(self, engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
        """What is refused is told without the value: no error, note or line in the log quotes a cell.

        Values may be secrets. Name the table and the column, and the row where that helps.
        """
        caplog.set_level(logging.DEBUG)
        texts = [f"{CANARY}{text}{CANARY}" for text in HOSTILE_TEXTS.values()]
        told = [*self._told_of_texts(engine, [*texts, f"{CANARY} " * 2_000])]
        for table in _suspects():
            told += self._told_of(engine, table)
        assert [text for text in (*told, caplog.text) if CANARY in text] == []

    @standard()
    def test_columns_of_secrets_are_written_like_any_other(self, engine: Engine) -> None:
        """A column that means ``SECRET`` holds what the source left in it, sealed or replaced: it is written as it is.

        Redacting is the source's; a format that leaves such columns out would leave rows without what they are for.
        """
        table = _table(f"{CANARY}-cell", "password", meaning=Meaning.SECRET)
        assert f"{CANARY}-cell".encode() in self.visible(engine, self.write(engine, table))

    @standard()
    def test_secret_options_stay_secret(self, engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
        """The value of an option that is declared secret is in no file, note, error or log.

        It is for opening or locking the file, not for the file to tell.
        """
        cls = self.offered(engine).options_type
        secret = [field.name for field in attrs.fields(cls) if field.metadata.get("secret")]
        if not secret:
            raise NotApplicable("none of its options is secret")
        caplog.set_level(logging.DEBUG)
        output = Output()
        told: list[str] = []
        try:
            options = build_options(cls, {**self.options, **dict.fromkeys(secret, CANARY)}, owner=self.name)
            told.append(repr(options))
            self.write(engine, self.make.table(), options=options, output=output, note=told.append)
        except Exception as error:  # noqa: BLE001 - a canary may be no value that fits
            told += _told_by(error)
        written = b"".join(output.blocks)
        assert CANARY.encode() not in written
        assert [text for text in (*told, caplog.text) if CANARY in text] == []

    def _told_of(self, engine: Engine, table: Table) -> list[str]:
        """What is told of a table, whether it is written or not."""
        try:
            return list(self.write(engine, table).notes)
        except Exception as error:  # noqa: BLE001 - what is raised is asked for elsewhere
            return list(_told_by(error))

    def _told_of_texts(self, engine: Engine, texts: list[str]) -> list[str]:
        """What is told of texts, of all that are refused as well, found by halves."""
        try:
            return list(self.write(engine, _texts(texts)).notes)
        except Exception as error:  # noqa: BLE001 - as above
            told = list(_told_by(error))
        if len(texts) == 1:
            return told
        middle = len(texts) // 2
        return told + self._told_of_texts(engine, texts[:middle]) + self._told_of_texts(engine, texts[middle:])


def _texts(texts: list[str]) -> Table:
    import polars as pl

    frame = pl.DataFrame({"saying": texts}, schema={"saying": pl.String})
    return Table("rows", frame.lazy(), [Column("saying")])


def _table(text: str, name: str, *, meaning: Meaning = Meaning.TEXT) -> Table:
    import polars as pl

    frame = pl.DataFrame({"row": [1, 2], name: [text, None]}, schema={"row": pl.Int64, name: pl.String})
    return Table("rows", frame.lazy(), (Column("row"), Column(name, meaning)))


def _suspects() -> Iterator[Table]:
    """Tables with values that a format may not be able to hold, each beside a canary in the same cell, or row."""
    import polars as pl

    extremes = ("Float64", "Int128", "Datetime in Berlin", "times beyond the calendar")
    for values in (*(VALUES[kind]() for kind in extremes), pl.Series("value", [[{"at": CANARY}]])):
        frame = pl.DataFrame([values, pl.Series("beside", [CANARY] * len(values))])
        yield Table("rows", frame.lazy(), [Column(name) for name in frame.columns])


def _told_by(error: BaseException) -> Iterator[str]:
    """The words of an error."""
    yield str(error)
    told: Any = error
    yield from (str(getattr(told, name, "")) for name in ("message", "hint"))


def _places_of_this_machine() -> Iterator[str]:
    """Folders of which no file has the name by chance."""
    for place in (Path.cwd(), Path(sys.prefix), Path(__file__).parent, Path(tempfile.gettempdir()) / "tailrace"):
        if len(place.parts) > len(("/", "folder")):
            yield str(place)
