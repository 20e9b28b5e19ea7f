"""Standard tests of what a format says about itself."""

from pathlib import Path

import pytest

from tailrace import (
    CarriesManifest,
    Container,
    Engine,
    FileLayout,
    ReadTablesCall,
    RefusedError,
    SourceError,
    TableReader,
)
from tailrace_sdk.conformance.formats.base import FormatTests, report_of
from tailrace_sdk.conformance.standard import standard

_STRANGERS = (b"", b"\x89PNG\r\n\x1a\n" + bytes(64), b"\x7fELF" + bytes(64), bytes(512))
"""The beginnings of files that are of no format of tables."""


class ContractTests(FormatTests):
    """Layout, capabilities, and what comes with them."""

    @standard()
    def test_it_can_what_it_says_and_no_more(self, engine: Engine) -> None:
        """Each capability that shows from outside is claimed exactly where it is there.

        Set the attribute of the class, or add the method: ``reads`` is ``TableReader``, ``carries_manifest`` is
        ``CarriesManifest``, ``container`` is ``Container``; ``many_tables`` and ``dated`` are in the layout.
        """
        offered, layout = self.offered(engine), self.layout(engine)
        there = {
            "reads": isinstance(offered, TableReader),
            "carries_manifest": isinstance(offered, CarriesManifest),
            "container": isinstance(offered, Container),
            "many_tables": layout.many_tables,
            "dated": layout.dated,
        }
        assert {name: getattr(self, name) for name in there} == there

    @standard()
    def test_its_layout_can_be_relied_on(self, engine: Engine) -> None:
        """``layout`` gives a ``FileLayout``, the same each time: an extension without dot, and a media type.

        Compute it from the options alone. A format that packs its content says ``compressible=False``: packing it
        again takes time, and readers would not know such a file.
        """
        layout = self.layout(engine)
        assert isinstance(layout, FileLayout)
        assert layout == self.layout(self.make_engine(engine.settings.home))
        assert layout.extension.replace(".", "").isalnum()
        assert not layout.extension.startswith(".")
        assert layout.extension == layout.extension.lower()
        kind, _, subtype = layout.media_type.partition("/")
        assert kind in {"application", "text", "image", "model"}
        assert subtype

    @standard(needs="reads")
    def test_it_recognises_its_own_files_and_no_others(self, engine: Engine) -> None:
        """``recognises`` says yes to the first 64 KiB of its own files, and no to those of others, and of none.

        Look at the signature that files of its kind begin with, and never raise.
        """
        offered = self.offered(engine)
        assert offered.recognises(self.write(engine, self.make.table()).content[: 64 << 10]) is True
        assert [head for head in _STRANGERS if offered.recognises(head)] == []

    @standard(needs="reads")
    def test_it_refuses_to_read_what_is_damaged(self, engine: Engine, tmp_path: Path) -> None:
        """``read_tables`` raises RefusedError or SourceError for what is none of its files, or only half of one.

        Turn what the parser raises into one of them. A file comes from anybody: parse it in a process of its own
        (``run_apart``).
        """
        whole = self.write(engine, self.make.table(rows=50)).content
        path = tmp_path / "damaged"
        for content in (whole[: len(whole) // 2], whole[:100] + bytes(2_000)):
            path.write_bytes(content)
            with pytest.raises((RefusedError, SourceError)):
                self.offered(engine).read_tables(ReadTablesCall(path))

    @standard(needs="carries_manifest")
    def test_its_manifest_can_be_changed_where_it_is(self, engine: Engine) -> None:
        """``with_manifest`` puts another manifest into a sealed file, and leaves every other byte alone.

        What comes back is what ``write`` would have written with that manifest; so changing nothing gives the same
        bytes.
        """
        offered, table = self.offered(engine), self.make.table(rows=20)
        seals = {"sha256": "0" * 64, "mac": "0" * 64}
        written = self.write(engine, table, is_sealed=True)
        same = offered.with_manifest(written.content, dict, lambda _content: seals)
        assert same == written.content
        changed = offered.with_manifest(
            written.content, lambda old: {**old, "source": "elsewhere-37"}, lambda _content: seals
        )
        embedded = {**self.embedded([table]), "source": "elsewhere-37"}
        assert changed == self.write(engine, table, is_sealed=True, embedded=embedded).content
        assert self.count(engine, written, changed) == {"rows": 20}

    @standard()
    def test_the_report_is_drawn_by_documents_only(self, engine: Engine) -> None:
        """A format that is a document shows the report of its call; one of data holds the rows, and nothing else.

        Draw ``call.report``, and claim ``documents``; or leave it alone.
        """
        table = self.make.table()
        written = self.write(engine, table, report=report_of([table], "Orchids of the week"))
        assert (b"Orchids of the week" in self.visible(engine, written)) is self.documents
