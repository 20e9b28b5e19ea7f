"""Standard tests of sources: no user name or password comes out, whichever way."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tailrace import CredentialMode, Dataset, NotAllowedError
from tailrace_sdk.conformance.sources.canaries import CANARIES, assert_no_canary, spellings
from tailrace_sdk.conformance.sources.case import SOME
from tailrace_sdk.conformance.sources.exporting import ExportingCase
from tailrace_sdk.conformance.sources.opening import Opener, digest, reference_by, text_of
from tailrace_sdk.conformance.standard import standard

if TYPE_CHECKING:
    import polars as pl

_WITHOUT = pytest.mark.parametrize("credentials", [CredentialMode.SANITIZED, CredentialMode.REFERENCE])


class SecretTests(ExportingCase):
    """What a source keeps to itself."""

    @standard(needs="has_secrets")
    @_WITHOUT
    def test_no_secret_is_in_what_it_offers(
        self,
        opener: Opener,
        make: Callable[[str], Path],
        caplog: pytest.LogCaptureFixture,
        credentials: CredentialMode,
    ) -> None:
        """In modes sanitized and reference no secret is in rows, names, notes, version, report, log or ``repr``.

        Remove them before anybody else sees a row, and say in notes how many, never which. A secret may stand in other
        texts than its own column: in addresses, in errors that quote them; and in other spellings, such as ``%2F``.
        """
        caplog.set_level(logging.DEBUG)
        folder = make("data")
        with opener.opened(self.place_secrets(folder, CANARIES), folder, credentials=credentials) as dataset:
            for what, texts in everything(dataset):
                assert_no_canary(what, texts)
        assert_no_canary("its log", [caplog.text])

    @standard(needs="has_secrets")
    @_WITHOUT
    def test_it_tells_what_it_kept_out(
        self, opener: Opener, make: Callable[[str], Path], credentials: CredentialMode
    ) -> None:
        """``Dataset.secrets`` gives every secret that was removed, so that the finished file can be searched for it.

        It is asked once all rows have passed. Give them as they are in clear, or as they were written where they stood.
        """
        folder = make("data")
        with opener.opened(self.place_secrets(folder, CANARIES), folder, credentials=credentials) as dataset:
            for table in dataset.tables:
                table.frame.collect()
            assert dataset.secrets is not None
            told = set(dataset.secrets().texts)
        forgotten = [number for number, canary in enumerate(CANARIES) if not told & spellings(canary)]
        assert not forgotten, f"canaries number {forgotten} are not told"

    @standard(needs="has_secrets")
    @_WITHOUT
    def test_no_secret_is_in_an_export_of_it(
        self,
        make: Callable[[str], Path],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        credentials: CredentialMode,
    ) -> None:
        """A whole export, with manifest, result and log, holds no secret in any byte; nor has the engine's home.

        Where this fails and the test of what it offers does not, look at what depends on the request: the location, an
        option, an error.
        """
        caplog.set_level(logging.DEBUG)
        folder = make("data")
        placed = self.place_secrets(folder, CANARIES)
        monkeypatch.chdir(folder)
        engine = self.exporting(tmp_path / "home")
        result = engine.export(self.to_lines(placed, tmp_path / "out", credentials))
        files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file() and folder not in path.parents]
        assert [path for path in files if (tmp_path / "out") in path.parents]
        for path in files:
            assert_no_canary(str(path.relative_to(tmp_path)), [path.read_bytes().decode("utf-8", "replace"), path.name])
        assert_no_canary("its result", [repr(result), *result.notes])
        assert_no_canary("its log", [caplog.text])

    @standard(needs="references")
    def test_equal_secrets_have_equal_ids_under_one_key(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """In mode reference an id of ``call.reference`` stands for each secret: the same each time, under one key.

        Another key gives other ids, and nothing else: not the order of rows, nor anything that tells secrets by length.
        """
        folder = make("data")
        placed = self.place_secrets(folder, CANARIES)
        read = [
            opener.read(placed, folder, credentials=CredentialMode.REFERENCE, reference=reference_by(key))
            for key in (b"one", b"one", b"another")
        ]
        first, again, other = (_ids_and_rest(frames) for frames in read)
        assert first[0], "there are no ids"
        assert again == first
        assert first[0].isdisjoint(other[0])
        assert first[1] == other[1], "what is not an id"

    @standard(needs="has_secrets")
    def test_in_full_secrets_are_sealed_or_it_is_refused(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """In mode full secrets go through ``call.seal``, and ``Table.sealed`` names their columns; or it is refused.

        Raise ``NotAllowedError`` where the source does not seal, or there is nothing to seal with.
        """
        folder = make("data")
        placed = self.place_secrets(folder, CANARIES)
        with pytest.raises(NotAllowedError):
            opener.read(placed, folder, credentials=CredentialMode.FULL, seal=None)
        given: list[str] = []

        def seal(table: str, column: str, values: "pl.Series", bound: "pl.DataFrame") -> "pl.Series":
            import polars as pl

            assert values.len() == bound.height, "each value is sealed to the row that it is in"
            given.extend(value for value in values if value is not None)
            sealed = [None if value is None else f"sealed {table}.{column} {at}" for at, value in enumerate(values)]
            return pl.Series(values.name, sealed, dtype=pl.String)

        if not self.seals:
            with pytest.raises(NotAllowedError):
                opener.read(placed, folder, credentials=CredentialMode.FULL, seal=seal)
            assert not given
            return
        with opener.opened(placed, folder, credentials=CredentialMode.FULL, seal=seal) as dataset:
            for what, texts in everything(dataset):
                assert_no_canary(what, texts)
            for table in dataset.tables:
                frame = table.frame.collect()
                named = set() if table.sealed is None else set(table.sealed.columns)
                with_seals = {name for name in frame.columns if "sealed " in text_of(frame.select(name))}
                assert with_seals <= named, f"table {table.name}"
                assert table.sealed is None or {*named, *table.sealed.bound_to} <= set(frame.columns)
        for number, canary in enumerate(CANARIES):
            assert any(spelling in text for text in given for spelling in spellings(canary)), f"canary {number}"

    @standard()
    def test_a_mode_that_it_does_not_keep_is_refused(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """Without anything to seal with, mode full is a ``NotAllowedError``, also where there are no secrets at all.

        Whoever asks for credentials in full, to restore from them, must not get a file without.
        """
        folder = make("data")
        with pytest.raises(NotAllowedError) as caught:
            opener.read(self.place(folder, SOME), folder, credentials=CredentialMode.FULL, seal=None)
        assert caught.value.hint


def everything(dataset: Dataset) -> Iterable[tuple[str, list[str]]]:
    """All texts of a dataset, by what they are; read from its frames as anybody would."""
    for table in dataset.tables:
        frame = table.frame.collect()
        yield f"the rows of table {table.name}", [text_of(frame)]
        yield f"what describes table {table.name}", [table.name, *frame.columns, repr(table), repr(table.columns)]
        yield f"the bad rows of table {table.name}", [repr(table.bad_rows)]
        if table.sample is not None:
            yield f"the sample of table {table.name}", [text_of(table.sample(5))]
    yield "its notes", list(dataset.notes)
    yield "its version", [dataset.version]
    yield "its report", [repr(dataset.report)]
    secrets: Any = dataset.secrets() if dataset.secrets is not None else None
    yield "its repr", [repr(dataset), repr(secrets)]


def _ids_and_rest(frames: "dict[str, pl.DataFrame]") -> tuple[set[str], dict[str, str]]:
    """The ids that are anywhere in frames, and a digest of what is left without them."""
    import polars as pl

    ids: set[str] = set()
    rest = {}
    for name, frame in frames.items():
        texts = frame.select(pl.selectors.string())
        pattern = r"ref-[0-9a-f]{20}"
        ids |= {found for series in texts for value in series.drop_nulls().str.extract_all(pattern) for found in value}
        rest[name] = frame.with_columns(texts.select(pl.all().str.replace_all(pattern, "id")))
    return ids, digest(rest)
