import base64
import html
import json
import logging
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import polars as pl
import pytest
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

from tailrace import CancelledError, Context, Dataset, Engine, ExportRequest, PluginContractError, SinkRequest, Table
from tailrace.model.dataset import Secrets
from tailrace.model.errors import IncompleteError, LeakError
from tailrace.model.manifest import RedactionRecord, decode_manifest
from tailrace.settings import Settings

PASSWORD = 'k&es"tr/el 4711+ä'
USER = "customer-kestrel"
FORMS = ("raw", "percent-encoded", "Base64", "URL-safe Base64", "JSON-escaped", "XML-escaped", "CSV-quoted")
LEAKS = {
    "raw": f"407 for {USER}",
    "percent": f"http://u:{quote(PASSWORD, safe='')}@192.0.2.1",
    "Base64": f"Basic {base64.b64encode(f'u:{PASSWORD}'.encode()).decode()}",
    "URL-safe Base64": base64.urlsafe_b64encode(f"us:{PASSWORD}".encode()).decode(),
    "JSON": json.dumps({"password": PASSWORD}),
    "XML": html.escape(PASSWORD),
}


def secrets() -> Secrets:
    return Secrets({USER: "user name", PASSWORD: "password"}, public=["192.0.2.1"])


def with_secrets(
    *tables: Any, ask: Callable[[], Any] = secrets, notes: tuple[str, ...] = ()
) -> Callable[[Any], AbstractContextManager[Dataset]]:
    @contextmanager
    def opened(_call: Any) -> Iterator[Dataset]:
        yield Dataset(tables, notes=notes, secrets=ask)

    return opened


def source(text: str, *, rows: int = 1000, at: int = 700, **more: Any) -> MemorySource:
    words = ["wheel"] * rows
    words[at] = text
    table = memory_table("rows", {"id": range(rows), "word": words})
    return MemorySource([], instead={"open": with_secrets(table, **more)})


def engine(home: Path, source_: MemorySource) -> Engine:
    return Engine(
        Settings(home=home, user="kim"),
        plugins=[("memory", source_), ("lines", LinesFormat()), ("folder", FolderSink())],
    )


def request(folder: Path, format_: str = "lines", **more: Any) -> ExportRequest:
    return ExportRequest("memory", "memory://", format_, sinks=(SinkRequest("folder", str(folder)),), **more)


def nothing_published(*folders: Path) -> bool:
    # The engine keeps its store and its keys right in its home; what is in the making lies below it.
    found = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    files = [path for path in found if path.parent.name != "home"]
    return files == []


def told(error: BaseException) -> str:
    """Everything that an error may show."""
    parts = [*traceback.format_exception(error), str(error), repr(error), repr(vars(error))]
    return "\n".join(parts)


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
@pytest.mark.parametrize(
    ("format_", "options"), [("lines", {}), ("csv", {}), ("json", {}), ("json", {"layout": "lines"})]
)
def test_a_leak_is_not_published(
    tmp_path: Path, leak: str, format_: str, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(LeakError) as caught:
        engine(tmp_path / "home", source(leak)).export(request(tmp_path / "out", format_, options=options))
    assert nothing_published(tmp_path)
    error = caught.value
    assert error.exit_code == 3
    assert error.tables == ("rows",)
    assert error.offset is not None
    everything = told(error) + caplog.text + error.hint
    for secret in (USER, PASSWORD, *LEAKS.values()):
        assert secret not in everything
    assert "kestrel" not in everything
    assert "k&es" not in everything


@pytest.mark.parametrize("level", [None, "fast", 1, 6, 9])
def test_a_leak_is_found_under_any_compression(tmp_path: Path, level: Any) -> None:
    how = {"compress": False} if level is None else {"compress_level": level}
    with pytest.raises(LeakError) as caught:
        engine(tmp_path / "home", source(LEAKS["raw"])).export(request(tmp_path / "out", "csv", **how))
    assert caught.value.message == (
        "A secret (user name) is in the finished file: table rows, line 702, byte 6,910, raw."
    )
    assert (caught.value.line, caught.value.offset, caught.value.form) == (702, 6910, "raw")
    assert caught.value.hint == (
        "Nothing was published. Leave out the row or column (--where, --columns), and report it to the author of the "
        "source memory: what holds a secret should not have come this far."
    )


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("shift", [-17, -16, -9, -1, 0])
def test_a_leak_is_found_across_the_borders_of_blocks(tmp_path: Path, shift: int, compress: bool) -> None:  # noqa: FBT001 - a parameter
    content = bytearray(b"0123456789abcde\n" * 200_000)
    place = (1 << 20) + shift
    content[place : place + len(USER)] = USER.encode()
    format_ = LinesFormat(
        instead={
            "write": lambda call: [call.tables[0].frame.collect(), call.output.write(bytes(content))],
            "count_rows": lambda call: {"rows": len([*call.blocks]) and 1},
        }
    )
    leaking = Engine(
        Settings(home=tmp_path / "home", user="kim"),
        plugins=[("memory", source("wheel", rows=1, at=0)), ("lines", format_), ("folder", FolderSink())],
        discover=False,
    )
    with pytest.raises(LeakError) as caught:
        leaking.export(request(tmp_path / "out", compress=compress))
    assert caught.value.offset == place
    assert caught.value.line == bytes(content[:place]).count(b"\n") + 1
    assert nothing_published(tmp_path)


def test_without_a_leak_the_manifest_says_what_was_searched(tmp_path: Path) -> None:
    def many() -> Secrets:
        return Secrets(
            [USER, PASSWORD, "abc", "1234567", "memory", "gateway-one", "Int64", "rows"],
            public=["gateway-one.example"],
        )

    result = engine(tmp_path / "home", source("wheel", ask=many)).export(request(tmp_path / "out", "json"))
    (artifact,) = result.artifacts
    assert artifact.path is not None
    expected = RedactionRecord(
        secrets=8,
        searched=2,
        left_out_short=2,
        left_out_public=4,
        forms=FORMS,
        bytes=artifact.manifest.file.plain_size,
    )
    assert artifact.manifest.redaction == expected
    beside = artifact.path.with_name(artifact.path.name + ".manifest.json").read_bytes()
    assert decode_manifest(beside).redaction == expected
    assert engine(tmp_path / "home", source("wheel")).verify(artifact.path).ok


def test_manifests_of_before_have_no_record(tmp_path: Path) -> None:
    (artifact,) = engine(tmp_path / "home", source("wheel")).export(request(tmp_path / "out")).artifacts
    assert artifact.path is not None
    beside = artifact.path.with_name(artifact.path.name + ".manifest.json")
    document = json.loads(beside.read_bytes())
    del document["redaction"]
    assert decode_manifest(json.dumps(document).encode()).redaction is None


def test_a_source_that_knows_of_no_secrets_is_not_searched(tmp_path: Path) -> None:
    plain = MemorySource([memory_table("rows", {"word": [USER]})])
    (artifact,) = engine(tmp_path / "home", plain).export(request(tmp_path / "out")).artifacts
    assert artifact.manifest.redaction is None
    none = source(USER, ask=lambda: Secrets([]))
    (artifact,) = engine(tmp_path / "home", none).export(request(tmp_path / "other")).artifacts
    assert artifact.manifest.redaction == RedactionRecord(0, 0, 0, 0, FORMS, 0)


def test_secrets_are_asked_for_when_all_rows_have_passed(tmp_path: Path) -> None:
    passed: list[str] = []

    def seen(word: pl.Series) -> pl.Series:
        passed.extend(word)
        return word.str.replace("removed-secret", "-")

    def table(name: str, word: str) -> Any:
        made = memory_table(name, {"word": [word]})
        frame = made.frame.with_columns(pl.col("word").map_batches(seen, return_dtype=pl.String))
        return Table(name, frame, made.columns)

    # What the second table removes is in the first.
    leaking = memory_table("first", {"word": ["a removed-secret"]})
    opened = with_secrets(leaking, table("second", "removed-secret"), ask=lambda: Secrets(set(passed)))
    with pytest.raises(LeakError) as caught:
        engine(tmp_path / "home", MemorySource([], instead={"open": opened})).export(request(tmp_path / "out", "csv"))
    assert caught.value.tables == ("first",)
    assert caught.value.message.startswith("A secret is in the finished file: table first, line 2, byte ")
    assert nothing_published(tmp_path)


def test_several_tables_of_a_file_are_named(tmp_path: Path) -> None:
    opened = with_secrets(memory_table("one", {"word": ["x"]}), memory_table("two", {"word": [USER]}))
    with pytest.raises(LeakError, match=r"tables one, two, line \d+, byte") as caught:
        engine(tmp_path / "home", MemorySource([], instead={"open": opened})).export(request(tmp_path / "out", "json"))
    assert caught.value.tables == ("one", "two")


def test_an_estimate_does_not_ask(tmp_path: Path) -> None:
    def ask() -> Secrets:
        raise AssertionError

    estimate = engine(tmp_path / "home", source(USER, ask=ask)).estimate(request(tmp_path / "out"))
    assert estimate.rows == 1000


# The manifest.


@pytest.mark.parametrize("format_", ["lines", "csv"])
def test_a_note_that_holds_a_secret_is_not_published(tmp_path: Path, format_: str) -> None:
    noted = source("wheel", notes=(f"Seen: {USER}.",))
    with pytest.raises(LeakError) as caught:
        engine(tmp_path / "home", noted).export(request(tmp_path / "out", format_))
    assert caught.value.message == "A secret (user name) is in the finished file: its manifest, notes, raw."
    assert (caught.value.offset, caught.value.line) == (None, None)
    assert nothing_published(tmp_path)
    assert USER not in told(caught.value)


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("location", {"location": f"memory://x/{quote(PASSWORD, safe='')}"}),
        ("parameters", {"where": (f"word != '{USER}'",)}),
        ("format options", {"options": {"extension": USER}}),
    ],
)
def test_parameters_that_hold_a_secret_are_not_published(tmp_path: Path, part: str, changes: dict[str, Any]) -> None:
    asked = attrs.evolve(request(tmp_path / "out"), **changes)
    with pytest.raises(LeakError) as caught:
        engine(tmp_path / "home", source("wheel")).export(asked)
    assert f"its manifest, {part}, " in caught.value.message
    assert nothing_published(tmp_path)
    assert "kestrel" not in told(caught.value)


def test_a_filter_that_holds_a_secret_is_found_in_the_document_too(tmp_path: Path) -> None:
    with pytest.raises(LeakError) as caught:
        engine(tmp_path / "home", source("wheel")).export(
            request(tmp_path / "out", "json", where=(f"word != '{USER}'",))
        )
    assert caught.value.offset is not None


def test_words_in_sentences_are_no_leak(tmp_path: Path) -> None:
    noted = source(
        "wheel",
        ask=lambda: Secrets(["password", "proxies", "removed"]),
        notes=("The password of 3 proxies was removed.",),
    )
    (artifact,) = engine(tmp_path / "home", noted).export(request(tmp_path / "out")).artifacts
    assert artifact.manifest.redaction is not None
    assert artifact.manifest.redaction.searched == 3


# Plugins that misbehave.


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: [USER], "Source memory told list instead of Secrets when it was asked what it kept out."),
        (
            lambda: {"": USER}[f"quoting {USER}"],
            "Source memory failed with KeyError when it was asked what it kept out.",
        ),
    ],
)
def test_a_source_that_cannot_tell_is_told_without_its_words(
    tmp_path: Path, ask: Callable[[], Any], message: str
) -> None:
    with pytest.raises(PluginContractError) as caught:
        engine(tmp_path / "home", source("wheel", ask=ask)).export(request(tmp_path / "out"))
    assert caught.value.message == message
    assert caught.value.__context__ is None
    assert USER not in str(caught.value)
    assert nothing_published(tmp_path)


def test_what_a_source_raises_on_purpose_stays_what_it_is(tmp_path: Path) -> None:
    def ask() -> Secrets:
        raise IncompleteError("It was cut.")

    with pytest.raises(IncompleteError, match=r"It was cut\."):
        engine(tmp_path / "home", source("wheel", ask=ask)).export(request(tmp_path / "out"))


class Deflated(LinesFormat):
    """Lines, compressed inside of the file."""

    def write(self, call: Any) -> None:
        call.output.write(zlib.compress(call.tables[0].frame.collect().write_ndjson().encode()))

    def count_rows(self, call: Any) -> dict[str, int]:
        return {call.tables[0]: zlib.decompress(b"".join(call.blocks)).count(b"\n")}

    def searchable(self, call: Any) -> Iterator[bytes]:
        machine = zlib.decompressobj()
        yield from map(machine.decompress, call.blocks)
        yield machine.flush()


@pytest.mark.parametrize("compressible", [False, True])
def test_containers_are_searched_inside(tmp_path: Path, compressible: bool) -> None:  # noqa: FBT001 - a parameter
    def exporting(text: str) -> Any:
        return Engine(
            Settings(home=tmp_path / "home", user="kim"),
            plugins=[
                ("memory", source(text)),
                ("lines", Deflated(compressible=compressible)),
                ("folder", FolderSink()),
            ],
            discover=False,
        ).export(request(tmp_path / "out"))

    with pytest.raises(LeakError) as caught:
        exporting(LEAKS["raw"])
    assert caught.value.line == 701
    assert nothing_published(tmp_path / "out")
    (artifact,) = exporting("wheel").artifacts
    assert artifact.manifest.redaction is not None
    assert artifact.manifest.redaction.bytes > artifact.manifest.file.plain_size + 20_000


def test_stopping_while_it_is_searched_publishes_nothing(tmp_path: Path) -> None:
    context = Context()

    def ask() -> Secrets:
        context.cancel()
        return secrets()

    with pytest.raises(CancelledError):
        engine(tmp_path / "home", source("wheel", ask=ask)).export(request(tmp_path / "out"), context=context)
    assert nothing_published(tmp_path)


def test_secrets_are_not_shown() -> None:
    dataset = Dataset((memory_table("rows", {"word": ["x"]}),), secrets=secrets)
    shown = repr(dataset) + repr(secrets())
    assert "kestrel" not in shown
    assert repr(secrets()) == "Secrets()"
