import json
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from tailrace import (
    BadRow,
    BadRows,
    Column,
    ExportRequest,
    Manifest,
    Meaning,
    SinkRequest,
    Table,
    User,
    encode_manifest,
)
from tailrace.model import errors
from tailrace.model.errors import IntegrityError, NewerVersionError, TailraceError
from tailrace.model.job import Artifact, Estimate, JobResult, Receipt, TableEstimate, Timings
from tailrace.model.manifest import (
    SCHEMA_VERSION,
    BadRowRecord,
    ColumnRecord,
    CompressionRecord,
    FileRecord,
    IncrementRecord,
    PluginRecord,
    PreviousFile,
    RangeRecord,
    RowCounts,
    SourceRecord,
    TableRecord,
    decode_manifest,
)
from tailrace.model.request import CredentialMode

MANIFEST = Manifest(
    schema_version=SCHEMA_VERSION,
    tailrace_version="0.1.0",
    export_id="id",
    created=datetime(2026, 8, 20, 12, tzinfo=UTC),
    user="zoë",
    source=SourceRecord(PluginRecord("pool", "tailrace-source-pool", "0.1.0"), "x.db", "v1"),
    format=PluginRecord("csv", "tailrace-format-csv", "0.1.0"),
    format_options={"delimiter": ","},
    parameters={"limit": None, "where": ["a = 1"]},
    time_range=RangeRecord("t", None, datetime(2026, 8, 20, tzinfo=UTC)),
    time_zone="UTC",
    credentials=CredentialMode.REFERENCE,
    tables=(
        TableRecord(
            "rows",
            (ColumnRecord("a", "Int64", Meaning.KEY, "ms"),),
            RowCounts(3, 1, 2, 2),
            (BadRowRecord(2, None, "no number"),),
        ),
    ),
    file=FileRecord("f.csv.gz", "text/csv", 10, "aa", 8, "bb", CompressionRecord("gzip", "fast")),
    notes=("noted",),
)


def test_a_manifest_survives_writing_and_reading() -> None:
    content = encode_manifest(MANIFEST)
    assert decode_manifest(content) == MANIFEST
    assert content.endswith(b"}\n")
    assert '"user": "zoë"'.encode() in content
    document = json.loads(content)
    assert document["created"] == "2026-08-20T12:00:00.000000Z"
    assert document["tables"][0]["rows"] == {"source": 3, "rejected": 1, "written": 2, "reread": 2}
    assert document["credentials"] == "reference"
    assert document["file"]["compression"] == {"method": "gzip", "level": "fast"}


INCREMENT = IncrementRecord(
    "daily",
    2,
    None,
    datetime(2026, 8, 20, tzinfo=UTC),
    (PreviousFile("a.csv", "aa", ("rows",)), PreviousFile("b.csv", "bb", ("others", "more"))),
)


def test_only_increments_say_that_they_are_one() -> None:
    assert "increment" not in json.loads(encode_manifest(MANIFEST))
    increment = attrs.evolve(MANIFEST, increment=INCREMENT)
    content = encode_manifest(increment)
    assert decode_manifest(content) == increment
    assert json.loads(content)["increment"] == {
        "chain": "daily",
        "number": 2,
        "since": None,
        "until": "2026-08-20T00:00:00.000000Z",
        "previous": [
            {"name": "a.csv", "sha256": "aa", "tables": ["rows"]},
            {"name": "b.csv", "sha256": "bb", "tables": ["others", "more"]},
        ],
    }
    assert decode_manifest(changed(increment=None)) == MANIFEST


def test_a_file_goes_on_from_those_with_its_tables() -> None:
    a, b = INCREMENT.previous
    assert INCREMENT.beside(["rows"]).previous == (a,)
    assert INCREMENT.beside(["more", "new"]).previous == (b,)
    assert INCREMENT.beside(["rows", "others"]).previous == (a, b)
    assert INCREMENT.beside(["new"]) == attrs.evolve(INCREMENT, previous=())


def test_the_name_can_be_another() -> None:
    assert decode_manifest(encode_manifest(MANIFEST, name="g.csv")).file == attrs.evolve(MANIFEST.file, name="g.csv")


def test_half_characters_are_escaped_not_fatal() -> None:
    manifest = attrs.evolve(MANIFEST, user="a\udcff\U0001f600")
    content = encode_manifest(manifest)
    assert b"a\\udcff\xf0\x9f\x98\x80" in content
    assert decode_manifest(content) == manifest


def changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(encode_manifest(MANIFEST)), **changes}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\xfd",
        b'{"a": 1, "a": 2}',
        encode_manifest(MANIFEST).replace(b'"size": 8', b'"size": NaN'),
        encode_manifest(MANIFEST).replace(b'"limit": null', b'"limit": -Infinity'),
        encode_manifest(MANIFEST).replace(b'"limit": null', b'"limit": 1e999'),
        encode_manifest(MANIFEST).replace(b'"limit": null', b'"limit": ' + b"9" * 10_000),
        encode_manifest(MANIFEST).replace(b'"limit": null', b'"limit": ' + b"9" * 400),
        encode_manifest(MANIFEST).replace(b'"limit": null', b'"limit": ' + b"[" * 100_000),
        encode_manifest(MANIFEST).replace(b'"limit": null', b'"limit": 1, "limit": 2'),
        encode_manifest(MANIFEST)[:-3],
        encode_manifest(MANIFEST) + b"x",
    ],
)
def test_what_is_not_json_is_refused(content: bytes) -> None:
    with pytest.raises(IntegrityError) as caught:
        decode_manifest(content)
    assert caught.value.message == "The manifest is not valid JSON."
    assert caught.value.hint == "It was changed or damaged: export again."
    assert caught.value.exit_code == 3


def test_floats_are_read() -> None:
    assert decode_manifest(changed(parameters={"ratio": 0.5})).parameters == {"ratio": 0.5}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[]", "expected an object, got list @ $"),
        (changed(user=5), "expected text, got int @ $.user"),
        (changed(schema_version="1"), "expected a whole number, got text @ $.schema_version"),
        (changed(extra=1), "unknown key 'extra', there is audit, created, credentials, "),
        (
            changed(tables=[{"name": "x", "columns": [], "rows": {}}]),
            "required key is missing @ $.tables[0].rows.source",
        ),
        (
            changed(increment={"chain": "x", "number": 0, "since": None, "until": "2026-08-20T00:00:00Z"}),
            "expected a number from 1 on @ $.increment",
        ),
        (changed(credentials="none"), "expected one of 'full', 'sanitized', 'reference' @ $.credentials"),
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        decode_manifest(content)
    assert caught.value.message.startswith("The manifest is not valid:\n")
    assert f"  - {problem}" in caught.value.message


def test_newer_versions_say_so() -> None:
    with pytest.raises(NewerVersionError) as caught:
        decode_manifest(changed(schema_version=SCHEMA_VERSION + 1, extra="of the future"))
    assert caught.value.message == "The manifest has schema version 3, this Tailrace reads up to 2."
    assert caught.value.version == 3
    assert caught.value.hint == "Update Tailrace: pip install --upgrade tailrace"


EXIT_CODES = {
    "TailraceError": 1,
    "RequestError": 2,
    "UnknownNameError": 2,
    "ExpressionError": 2,
    "OptionError": 2,
    "ConfigurationError": 2,
    "PluginError": 1,
    "PluginLoadError": 1,
    "PluginConflictError": 2,
    "PluginContractError": 1,
    "TransientError": 1,
    "RefusedError": 3,
    "NotAllowedError": 3,
    "IntegrityError": 3,
    "LeakError": 3,
    "TamperedError": 3,
    "WrongKeyError": 3,
    "UnknownKeyError": 3,
    "NewerVersionError": 3,
    "PermanentError": 1,
    "SourceError": 1,
    "BadRowError": 1,
    "StorageError": 1,
    "NoSpaceError": 1,
    "AlreadyExistsError": 1,
    "IncompleteError": 1,
    "UndeliveredError": 4,
    "InterruptedExportError": 1,
    "CancelledError": 1,
    "DeadlineError": 1,
    "LeaseLostError": 1,
}


def test_every_error_has_its_place_and_exit_code() -> None:
    classes = {
        name: one for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, TailraceError)
    }
    assert {name: one.exit_code for name, one in classes.items()} == EXIT_CODES
    tree = errors.__doc__ or ""
    assert all(name in tree for name in classes)
    assert issubclass(errors.NoSpaceError, errors.PermanentError)
    assert not issubclass(errors.TransientError, errors.PermanentError)


def test_errors_carry_facts() -> None:
    plain = TailraceError("It failed.", hint="Do this.")
    assert (str(plain), plain.message, plain.hint) == ("It failed.", "It failed.", "Do this.")
    assert TailraceError("It failed.").hint == ""
    assert errors.PluginError("csv", "broken", hint="mend").plugin == "csv"
    bad = errors.BadRowError("no number", row=3, column="a")
    assert (bad.row, bad.column) == (3, "a")
    assert bad.hint.endswith("--option on_bad_rows=report")
    option = errors.OptionError("bom", "expected true or false.", hint="x")
    assert (option.message, option.option, option.hint) == ("Option 'bom': expected true or false.", "bom", "x")
    unknown = errors.UnknownNameError("column", "idd", iter(["id", "ms"]), where="table x")
    assert (unknown.kind, unknown.name, unknown.known, unknown.suggestion) == ("column", "idd", ("id", "ms"), "id")
    nothing = errors.UnknownNameError("column", "idd", [])
    assert (nothing.message, nothing.hint) == ("There is no column 'idd'.", "There is: none at all.")
    assert errors.UnknownNameError("sink", "x", ["y"], hint="Install it.").hint == "Install it."


def test_bad_rows_are_counted_and_the_first_listed() -> None:
    bad = BadRows(keep=2)
    bad.add([BadRow(7, "b", "x"), BadRow(None, None, "z")])
    bad.add([BadRow(3, "a", "y")], count=10)
    assert bad.count == 12
    assert bad.examples == (BadRow(3, "a", "y"), BadRow(7, "b", "x"))


def test_small_values_answer_small_questions() -> None:
    import polars as pl

    table = Table("x", pl.LazyFrame({"a": [1]}), [Column("a", Meaning.KEY)])
    assert (table.meaning("a"), table.meaning("b")) == (Meaning.KEY, Meaning.TEXT)
    estimate = Estimate((TableEstimate("a", 1, 10, 5, exact_rows=True), TableEstimate("b", 2, 20, 7, exact_rows=False)))
    assert (estimate.rows, estimate.bytes) == (3, 12)
    good = Receipt("disk", delivered=True)
    bad = Receipt("mail", delivered=False, error="away", transient=True)
    done = JobResult("id", MANIFEST.created, MANIFEST.created, (Artifact(MANIFEST, (good,)),), Timings(0, 0, 0, 0, 0))
    assert done.complete
    assert not attrs.evolve(done, artifacts=(Artifact(MANIFEST, (good, bad)),)).complete
    assert Artifact(MANIFEST, (good, bad)).path is None
    assert User("kim") == User("kim", is_admin=False)


def test_requests_keep_secrets_out_of_their_repr() -> None:
    request = ExportRequest(
        "pool",
        "postgresql://kim:hunter2@db/x",
        "csv",
        sinks=(SinkRequest("mail", "smtp://kim:hunter2@mail", {"password": "hunter2"}),),
        options={"token": "hunter2"},
    )
    assert "hunter2" not in repr(request)
    assert "source='pool'" in repr(request)


@pytest.mark.parametrize("wrong", [{"limit": -1}, {"compress_level": 0}, {"compress_level": 10}])
def test_requests_refuse_what_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.RequestError):
        ExportRequest("pool", "x", "csv", **wrong)
