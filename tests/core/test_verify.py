import gzip
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from tailrace_sdk.fakes import LinesFormat, memory_table

from tailrace import CancelledError, Context, SourceError, option
from tailrace.files.publish import manifest_path
from tailrace.model.errors import IntegrityError, NewerVersionError
from tailrace.model.manifest import encode_manifest
from tailrace.pipeline.verify import Verification
from tailrace.plugins.selection import PluginSelection
from tailrace.settings import Settings


@pytest.fixture
def exported(bench: Any) -> Path:
    path: Path = bench.export(compress=True).artifacts[0].path
    return path


@pytest.fixture
def plain(bench: Any) -> Path:
    path: Path = bench.export().artifacts[0].path
    return path


def failed(verification: Verification) -> dict[str, str]:
    return {check.name: check.detail for check in verification.checks if not check.ok}


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(manifest_path(path).read_bytes())
    change(document)
    manifest_path(path).write_text(json.dumps(document))


def test_a_sound_file_passes_every_check(exported: Path, bench: Any) -> None:
    found = bench.engine().verify(exported)
    assert found.ok
    assert found.file == exported
    assert [(check.name, check.ok) for check in found.checks] == [
        ("name", True),
        ("size", True),
        ("digest", True),
        ("plain size", True),
        ("plain digest", True),
        ("rows of rows", True),
    ]
    details = {check.name: check.detail for check in found.checks}
    assert details["name"] == exported.name
    assert details["size"] == f"{exported.stat().st_size} bytes"
    assert details["digest"] == f"SHA-256 {found.manifest.file.sha256}"
    assert details["plain size"] == "221 bytes"
    assert details["rows of rows"] == "4 rows"


def test_a_plain_file_has_no_plain_digest_of_its_own(plain: Path, bench: Any) -> None:
    found = bench.engine().verify(manifest_path(plain))
    assert found.ok
    assert [check.name for check in found.checks] == ["name", "size", "digest", "rows of rows"]


def test_a_file_under_another_name(exported: Path, bench: Any) -> None:
    other = exported.with_name("other.gz")
    exported.rename(other)
    manifest_path(exported).rename(manifest_path(other))
    found = bench.engine().verify(other)
    assert not found.ok
    assert failed(found) == {"name": f"made as {exported.name}"}


def test_a_link_stands_for_the_file_that_it_leads_to(exported: Path, bench: Any, tmp_path: Path) -> None:
    link, chain = tmp_path / "latest.gz", tmp_path / "chain.gz"
    link.symlink_to(os.path.relpath(exported, tmp_path))
    chain.symlink_to(link.name)
    for path in (link, chain, manifest_path(link)):
        found = bench.engine().verify(path)
        assert found.ok
        assert found.file == exported.resolve()
        assert bench.engine().inspect(path).file == exported.resolve()
    exported.write_bytes(exported.read_bytes()[:-1])
    assert not bench.engine().verify(link).ok


def test_a_link_with_a_manifest_of_its_own_is_checked_against_that(exported: Path, bench: Any, tmp_path: Path) -> None:
    link = tmp_path / exported.name
    link.symlink_to(exported)
    manifest_path(link).write_bytes(manifest_path(exported).read_bytes())
    found = bench.engine().verify(link)
    assert found.ok
    assert found.file == link


@pytest.mark.parametrize("leads_to", ["nowhere", "latest.gz"])
def test_a_link_that_leads_nowhere(leads_to: str, bench: Any, tmp_path: Path) -> None:
    (tmp_path / "latest.gz").symlink_to(leads_to)
    with pytest.raises(SourceError, match=f"{leads_to} does not exist"):
        bench.engine().verify(tmp_path / "latest.gz")


def test_damage_to_a_plain_file_is_named(plain: Path, bench: Any) -> None:
    sound = plain.read_bytes()
    digest = "SHA-256 "
    plain.write_bytes(sound.replace(b"pump", b"pomp"))
    assert [*failed(bench.engine().verify(plain))] == ["digest"]
    plain.write_bytes(sound[: sound.index(b"\n") + 1])
    found = failed(bench.engine().verify(plain))
    assert found.pop("digest").startswith(digest)
    assert found == {"size": "55 bytes instead of 221", "rows of rows": "1 rows instead of 4"}
    plain.write_bytes(sound[:-1])
    found = failed(bench.engine().verify(plain))
    assert {"size": found["size"], "content": found["content"]} == {
        "size": "220 bytes instead of 221",
        "content": "The last line has no end.",
    }
    plain.write_bytes(sound.replace(b'"id":1,', b""))
    assert failed(bench.engine().verify(plain))["content"] == "Row 1 of rows lacks columns."
    plain.write_bytes(b"")
    assert failed(bench.engine().verify(plain))["rows of rows"] == "0 rows instead of 4"


def test_damage_to_a_compressed_file_is_named(exported: Path, bench: Any) -> None:
    sound = exported.read_bytes()
    name = exported.name
    for content, message in (
        (sound[:-1], f"{name} ends in the middle of its compressed data."),
        (b"", f"{name} ends in the middle of its compressed data."),
        (sound + b"\x00", f"{name} goes on behind the end of its compressed data."),
        (sound[:20] + b"\xff\xff\xff" + sound[23:], f"{name} cannot be decompressed: it is damaged, or not gzip."),
        (b"plain text, no gzip at all", f"{name} cannot be decompressed: it is damaged, or not gzip."),
    ):
        exported.write_bytes(content)
        found = failed(bench.engine().verify(exported))
        assert found["content"] == message
        assert found["digest"].startswith("SHA-256 ")
        assert ("size" in found) == (len(content) != len(sound))
    # The same content, compressed by somebody else.
    exported.write_bytes(gzip.compress(gzip.decompress(sound)))
    assert {"digest"} <= set(failed(bench.engine().verify(exported))) <= {"size", "digest"}
    # Other content, compressed well.
    exported.write_bytes(gzip.compress(gzip.decompress(sound).replace(b"pump", b"pomps")))
    assert {"digest", "plain size", "plain digest"} <= set(failed(bench.engine().verify(exported)))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda manifest: manifest["file"].update(size=1), "size"),
        (lambda manifest: manifest["file"].update(sha256="0" * 64), "digest"),
        (lambda manifest: manifest["file"].update(plain_size=1), "plain size"),
        (lambda manifest: manifest["file"].update(plain_sha256="0" * 64), "plain digest"),
        (lambda manifest: manifest["file"].update(name="x"), "name"),
        (lambda manifest: manifest["tables"][0]["rows"].update(reread=5), "rows of rows"),
        (lambda manifest: manifest["tables"][0]["columns"].pop(), "content"),
        (lambda manifest: manifest["file"].update(compression=None), "content"),
    ],
)
def test_a_changed_manifest_is_found_out(
    change: Callable[[dict[str, Any]], object], expected: str, exported: Path, bench: Any
) -> None:
    edit(exported, change)
    assert expected in failed(bench.engine().verify(exported))


def test_a_manifest_of_the_future(exported: Path, bench: Any) -> None:
    edit(exported, lambda manifest: manifest.update(schema_version=3, more=1))
    with pytest.raises(NewerVersionError, match="The manifest has schema version 3"):
        bench.engine().verify(exported)


def test_what_is_missing_is_named(exported: Path, bench: Any) -> None:
    engine = bench.engine()
    beside = manifest_path(exported)
    content = beside.read_bytes()
    beside.unlink()
    for ask in (engine.verify, engine.inspect):
        with pytest.raises(SourceError) as caught:
            ask(exported)
        assert caught.value.message == f"{exported} has no manifest beside it."
        assert caught.value.hint == (
            f"An export of Tailrace comes with {beside.name}; without it there is nothing to check it against."
        )
    exported.unlink()
    with pytest.raises(SourceError) as nothing:
        engine.verify(exported)
    assert nothing.value.message == f"{exported} does not exist."
    beside.write_bytes(content)
    with pytest.raises(SourceError) as lonely:
        engine.verify(exported)
    assert lonely.value.message == f"{exported} does not exist, only its manifest does."
    assert lonely.value.hint == "Put the file beside its manifest."
    assert not engine.inspect(exported).present


@pytest.mark.parametrize("odd", [".", "..", "/", ".manifest.json", "", "a/.."])
def test_what_is_no_file_name(odd: str, bench: Any) -> None:
    with pytest.raises(SourceError) as caught:
        bench.engine().verify(odd)
    assert caught.value.message == f"{Path(odd)} is not the name of a file."
    assert caught.value.hint == "Name the exported file, or its manifest."


def test_what_cannot_be_read(exported: Path, bench: Any) -> None:
    content = manifest_path(exported).read_bytes()
    exported.unlink()
    exported.mkdir()
    with pytest.raises(SourceError) as folder:
        bench.engine().verify(exported)
    assert folder.value.message == f"{exported} is not a regular file."
    manifest_path(exported).unlink()
    manifest_path(exported).mkdir()
    with pytest.raises(SourceError) as beside:
        bench.engine().inspect(exported)
    assert beside.value.message == f"{manifest_path(exported)} is not a regular file."
    manifest_path(exported).rmdir()
    manifest_path(exported).write_bytes(content)
    os.truncate(manifest_path(exported), 65 << 20)
    with pytest.raises(IntegrityError) as large:
        bench.engine().inspect(exported)
    assert large.value.message == f"{manifest_path(exported)} is too large to be a manifest."


def test_pipes_are_not_waited_for(exported: Path, bench: Any) -> None:
    exported.unlink()
    os.mkfifo(exported)
    with pytest.raises(SourceError, match="is not a regular file"):
        bench.engine().verify(exported)
    manifest_path(exported).unlink()
    os.mkfifo(manifest_path(exported))
    with pytest.raises(SourceError, match="is not a regular file"):
        bench.engine().inspect(exported)


def test_inspecting_takes_the_manifests_word(exported: Path, bench: Any) -> None:
    exported.write_bytes(b"damaged")
    found = bench.engine().inspect(manifest_path(exported))
    assert (found.file, found.present) == (exported, True)
    assert found.manifest.tables[0].rows.written == 4


@attrs.frozen
class OtherOptions:
    other: int = option(1, help="")


@attrs.frozen
class BadOptions:
    together: bool = option(default=False, help="")
    extension: str = option("", help="")

    def __attrs_post_init__(self) -> None:
        sys.exit(7)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda bench: setattr(bench.format, "summary", 5), "The format 'lines' of"),
        (lambda bench: setattr(bench.format, "options_type", OtherOptions), "There is no option 'together'"),
        (lambda bench: setattr(bench.format, "options_type", BadOptions), "The format lines failed with SystemExit: 7"),
    ],
)
def test_rows_that_cannot_be_counted_are_not_said_to_be_right(
    spoil: Callable[[Any], object], why: str, exported: Path, bench: Any
) -> None:
    spoil(bench)
    found = bench.engine().verify(exported)
    assert not found.ok
    (unknown,) = [check for check in found.checks if check.ok is None]
    assert unknown.name == "rows"
    assert unknown.detail.startswith(f"not counted: {why}")
    # The rest is checked all the same.
    assert [check.name for check in found.checks if check.ok] == [
        "name",
        "size",
        "digest",
        "plain size",
        "plain digest",
    ]


def test_a_format_that_is_gone_or_denied(exported: Path, bench: Any) -> None:
    from tailrace import Engine

    engines = [
        Engine(Settings(home=bench.home), plugins=[], discover=False),
        Engine(Settings(home=bench.home, plugins=PluginSelection(deny=("json",))), plugins=[], discover=True),
    ]
    edit(exported, lambda manifest: manifest["format"].update(name="json"))
    for engine, why in zip(engines, ("There is no format 'json'.", "The format 'json' of "), strict=True):
        (unknown,) = [check for check in engine.verify(exported).checks if check.ok is None]
        assert unknown.detail.startswith(f"not counted: {why}")


def leave(_call: object) -> None:
    sys.exit(3)


@pytest.mark.parametrize(
    ("instead", "message"),
    [
        (leave, "The rows cannot be parsed: SystemExit."),
        (lambda _call: None, "The rows cannot be parsed: AttributeError."),
        (lambda _call: {"rows": "many"}, "The rows cannot be parsed: ValueError."),
        (lambda _call: 1 / 0, "The rows cannot be parsed: ZeroDivisionError."),
    ],
)
def test_a_format_that_fails_is_no_proof(
    instead: Callable[[Any], Any], message: str, exported: Path, bench: Any
) -> None:
    bench.format = LinesFormat(instead={"count_rows": instead})
    assert failed(bench.engine().verify(exported)) == {"content": message}


def test_a_format_that_stops_early_does_not_spoil_the_digests(exported: Path, bench: Any) -> None:
    bench.format = LinesFormat(instead={"count_rows": lambda _call: {"rows": 4}})
    assert bench.engine().verify(exported).ok


def test_many_tables_are_counted_each(bench: Any) -> None:
    bench.source.tables = [memory_table("a", {"x": [1]}), memory_table("b", {"y": [1, 2], "z": [3, 4]})]
    (artifact,) = bench.export(options={"together": True}).artifacts
    found = bench.engine().verify(artifact.path)
    assert found.ok
    assert [(check.name, check.detail) for check in found.checks[-2:]] == [
        ("rows of a", "1 rows"),
        ("rows of b", "2 rows"),
    ]


def test_verifying_can_be_cancelled_and_watched(exported: Path, bench: Any) -> None:
    told: list[Any] = []
    bench.engine().verify(exported, context=Context(on_progress=told.append, interval=0))
    assert told[0].phase == "verifying"
    assert told[-1].bytes == 221
    context = Context()
    context.cancel()
    with pytest.raises(CancelledError):
        bench.engine().verify(exported, context=context)


def test_the_options_of_the_time_count(bench: Any) -> None:
    (artifact,) = bench.export(options={"extension": "txt"}).artifacts
    assert artifact.manifest.format_options == {"together": False, "extension": "txt"}
    assert artifact.path.name.endswith(".txt")
    assert encode_manifest(artifact.manifest) == manifest_path(artifact.path).read_bytes()
