import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tailrace.cli.request import options_of as _options
from tailrace.cli.request import sink_of as _sink
from tailrace.cli.session import Session
from tailrace.cli.terminal import from_streams
from tailrace.model.request import SinkRequest

SAMPLE = Path(__file__).parents[1] / "data" / "proxywhirl-sample.db"
Cli = Callable[..., Any]


def rows_of(path: Path) -> list[dict[str, str]]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(csv.DictReader(content.decode().splitlines()))


def test_a_pool_becomes_a_proven_file(cli: Cli, elsewhere: Path) -> None:
    answer = cli("export", "pool", "--from", f"proxywhirl://{SAMPLE}", "--format", "csv", "--to", elsewhere / "out")
    assert answer.code == 0
    (file,) = (elsewhere / "out").glob("*.csv.gz")
    assert file.name.startswith("pool_")
    assert file.name.endswith("_tester.csv.gz")
    rows = rows_of(file)
    assert answer.out.splitlines()[0].startswith("Exported pool as 1 file in ")
    assert f"  {file}" in answer.out.splitlines()
    assert f"    {len(rows)} rows, all proven to be in the file · " in answer.out
    assert answer.err.splitlines()[0].startswith(f"Estimated: {len(rows)} rows, ")


def test_the_result_as_json_is_one_document(cli: Cli, lines_file: Path, elsewhere: Path) -> None:
    answer = cli("export", "lines", "--from", lines_file, "--format", "csv", "--to", f"disk:{elsewhere}/out", "--json")
    assert answer.code == 0
    document = answer.document
    (artifact,) = document["artifacts"]
    file = Path(artifact["path"])
    assert document["complete"] is True
    assert [row["line"] for row in rows_of(file)] == ["one", "two", "three"]
    assert artifact["manifest"]["file"]["name"] == file.name
    assert artifact["manifest"]["file"]["size"] == file.stat().st_size
    assert artifact["manifest"]["user"] == "tester"
    assert artifact["receipts"][0] == {
        "sink": "disk",
        "delivered": True,
        "place": artifact["receipts"][0]["place"],
        "path": str(file),
        "error": "",
        "transient": False,
        "root": str(file.parent),
        "recipient": "",
        "note": "",
        "retry_after": None,
        "unwanted": False,
        "keep": 0,
    }
    assert document["estimate"]["rows"] == 3
    assert document["estimate"]["tables"][0]["table"] == "lines"
    assert {"opening", "writing", "proving", "delivering"} <= set(document["timings"])


def test_every_word_reaches_the_request(cli: Cli, elsewhere: Path) -> None:
    (elsewhere / "log.csv").write_text(
        "when,what,response_time_ms\n2026-08-15T10:00:00Z,b,1\n2026-08-15T11:00:00Z,a,2\n2026-08-15T12:00:00Z,c,3\n"
        "2026-08-16T12:00:00Z,d,4\n"
    )
    answer = cli(
        "export", "analytics", "--from", "log.csv", "--format", "csv", "--to", "out", "--json", "--no-compress",
        "--map", "timestamp=when", "--map", "endpoint=what",
        "--columns", "path=endpoint,timestamp", "--columns", "response_time_ms",
        "--where", "response_time_ms < 4", "--where", "response_time_ms > 0",
        "--since", "2026-08-15T10:30:00Z", "--until", "2026-08-17",
        "--sort", "-response_time_ms", "--limit", "1", "--tz", "Europe/Berlin",
        "--option", "delimiter=;", "--option", "csv.nulls=NULL", "--timeout", "60", "--credentials", "sanitized",
    )  # fmt: skip
    assert answer.code == 0, answer.out
    (artifact,) = answer.document["artifacts"]
    assert Path(artifact["path"]).read_text().splitlines() == [
        "path;timestamp;response_time_ms",
        "c;2026-08-15T14:00:00.000000+02:00;3.0",
    ]
    manifest = artifact["manifest"]
    assert manifest["time_zone"] == "Europe/Berlin"
    assert manifest["format_options"]["delimiter"] == ";"
    assert manifest["format_options"]["nulls"] == "NULL"
    assert manifest["file"]["compression"] is None


@pytest.mark.parametrize("level", ["1", "9", "fast"])
def test_the_level_of_compression_is_chosen(level: str, cli: Cli, lines_file: Path) -> None:
    answer = cli(
        "export", "lines", "--from", lines_file, "--format", "csv", "--to", "out", "--compress-level", level, "--json"
    )
    compression = answer.document["artifacts"][0]["manifest"]["file"]["compression"]
    assert compression["level"] == (level if level == "fast" else int(level))


def test_options_of_a_sink_are_routed(cli: Cli, lines_file: Path, elsewhere: Path) -> None:
    words = ("export", "lines", "--from", lines_file, "--format", "csv", "--to", elsewhere / "fixed.csv.gz")
    taken = [cli(*words).code, cli(*words).code, cli(*words, "--option", "disk.overwrite=true").code]
    made = sorted(file.name for file in elsewhere.rglob("*") if file.name.endswith("csv.gz"))
    assert taken[0] == 0, made
    assert taken[2] == 0


def test_map_is_added_to_an_option_of_that_name() -> None:
    assert _options(["map=a=b"], ["c=d", "e=f"]) == {"map": "a=b,c=d,e=f"}
    assert _options(["x=1=2"], []) == {"x": "1=2"}


def test_an_estimate_alone_writes_nothing(cli: Cli, lines_file: Path, elsewhere: Path) -> None:
    answer = cli("export", "lines", "--from", lines_file, "--format", "csv", "--to", "out", "--estimate")
    assert answer.code == 0
    heading, row, *_ = answer.out.splitlines()
    assert heading.split() == ["table", "rows", "uncompressed", "as", "a", "file"]
    assert row.split()[:2] == ["lines", "3"]
    assert answer.err == ""
    assert sorted(elsewhere.iterdir()) == [lines_file]
    document = cli("export", "lines", "--from", lines_file, "--format", "csv", "--estimate", "--json").document
    assert document["estimate"]["rows"] == 3
    assert document["estimate"]["tables"][0]["plain_bytes"] == len("line\none\ntwo\nthree\n")


def test_no_estimate_and_quiet_say_nothing_about_it(cli: Cli, lines_file: Path) -> None:
    words = ("export", "lines", "--from", lines_file, "--format", "csv")
    assert cli(*words, "--no-estimate", "--to", "a").err == ""
    assert cli(*words, "--quiet", "--to", "b").err == ""
    assert cli(*words, "-q", "--to", "c", "--json").document["complete"] is True


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("nowhrre:x", "There is no sink 'nowhrre'."),
        ("s3:bucket", "There is no sink 's3'."),
    ],
)
def test_a_sink_that_is_not_there_is_no_folder(
    to: str, message: str, cli: Cli, lines_file: Path, elsewhere: Path
) -> None:
    answer = cli("export", "lines", "--from", lines_file, "--format", "csv", "--to", to, "--json")
    assert answer.code == 2
    assert answer.document["error"]["message"] == message
    assert sorted(elsewhere.iterdir()) == [lines_file]


def test_where_to_deliver_is_read_from_the_word() -> None:
    session = Session(from_streams(json=False, quiet=False, debug=False))
    assert _sink("disk", session) == SinkRequest("disk")
    assert _sink("disk:", session) == SinkRequest("disk")
    assert _sink("disk:a:b", session) == SinkRequest("disk", "a:b")
    assert _sink("exports/", session) == SinkRequest("disk", "exports/")
    assert _sink("C:\\exports", session) == SinkRequest("disk", "C:\\exports")
    assert _sink("./a:b", session) == SinkRequest("disk", "./a:b")
    assert _sink("webhook", session) == SinkRequest("webhook")


def test_partly_delivered_is_four_and_says_what_arrived(cli: Cli, lines_file: Path, elsewhere: Path) -> None:
    words = ("export", "lines", "--from", lines_file, "--format", "csv", "--to", "nowhere", "--to", elsewhere / "out")
    answer = cli(*words)
    assert answer.code == 4
    assert ", but not delivered everywhere." in answer.out
    told = " ".join(answer.out.split())
    assert "not delivered by nowhere: The line is busy. Call again later. It is tried again." in told
    assert "See: tailrace jobs deliveries " in answer.err
    assert "No worker is running to carry it out." in answer.err
    assert len(list((elsewhere / "out").glob("*.csv.gz"))) == 1
    assert cli(*words, "--json", "--to", elsewhere / "more").document["complete"] is False


def test_delivered_nowhere_is_four_as_the_file_is_made(
    cli: Cli, lines_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("export", "lines", "--from", lines_file, "--format", "csv", "--to", "nowhere", "--to", "nowhere:again")
    assert cli(*words).code == 4
    monkeypatch.setenv("TAILRACE_DELIVERY_ATTEMPTS", "1")
    answer = cli(*words)
    assert (answer.code, answer.out) == (4, "")
    assert "It could not be delivered by nowhere: The line is busy." in " ".join(answer.err.split())
    assert "The file is kept. When the cause is gone: tailrace jobs resend" in " ".join(answer.err.split())


def test_a_sink_that_tries_to_end_the_process_does_not(cli: Cli, lines_file: Path) -> None:
    answer = cli("export", "lines", "--from", lines_file, "--format", "csv", "--to", "buggy")
    assert answer.code == 4
    assert answer.out == ""


def test_the_time_allowed_is_kept(cli: Cli, lines_file: Path, elsewhere: Path) -> None:
    answer = cli(
        "export", "lines", "--from", lines_file, "--format", "slow", "--to", "out", "--timeout", "0.3", "--no-estimate"
    )
    assert answer.code == 1
    assert "The export took longer than its 0.3 seconds." in " ".join(answer.err.split())
    assert [file for file in elsewhere.rglob("*") if file.is_file()] == [lines_file]


def test_verify_and_inspect_tell_what_is_in_a_file(cli: Cli, lines_file: Path, elsewhere: Path) -> None:
    exported = cli(
        "export", "lines", "--from", lines_file, "--format", "csv", "--to", elsewhere / "out", "--json"
    ).document
    file = Path(exported["artifacts"][0]["path"])
    answer = cli("verify", file)
    assert answer.code == 0
    assert answer.out.splitlines()[0] == str(file)
    assert answer.out.splitlines()[-2].startswith("Verified: it is complete and unchanged (")
    assert all(line.startswith("  ok  ") for line in answer.out.splitlines()[1:-2])
    document = cli("verify", file, "--json").document
    assert document["ok"] is True
    assert {check["ok"] for check in document["checks"]} == {True}
    told = cli("inspect", file).out
    assert "Table lines: 3 rows" in told
    assert "SHA-256" in told
    assert exported["artifacts"][0]["manifest"]["file"]["sha256"] in told
    assert max(map(len, told.splitlines()[1:])) <= 80
    assert cli("inspect", file, "--json").document["manifest"] == exported["artifacts"][0]["manifest"]


def test_a_changed_file_is_refused(cli: Cli, lines_file: Path, elsewhere: Path) -> None:
    exported = cli(
        "export", "lines", "--from", lines_file, "--format", "csv", "--to", elsewhere / "out", "--no-compress", "--json"
    ).document
    file = Path(exported["artifacts"][0]["path"])
    file.write_bytes(file.read_bytes().replace(b"two\n", b"2\n"))
    answer = cli("verify", file)
    assert answer.code == 3
    assert answer.out.splitlines()[-2] == "Not what its manifest says: 2 of 4 checks failed."
    assert [line.split()[:2] for line in answer.out.splitlines()[1:-2]] == [
        ["ok", "name"],
        ["wrong", "size"],
        ["wrong", "digest"],
        ["ok", "rows"],
    ]
    assert cli("verify", file, "--json").document["ok"] is False


def test_what_cannot_be_checked_is_not_called_verified(cli: Cli, lines_file: Path, elsewhere: Path) -> None:
    exported = cli(
        "export", "lines", "--from", lines_file, "--format", "csv", "--to", elsewhere / "out", "--json"
    ).document
    (elsewhere / "tailrace.toml").write_text('[plugins]\ndeny = ["format.csv"]\n')
    answer = cli("verify", exported["artifacts"][0]["path"])
    assert answer.code == 3


def test_a_file_without_manifest_and_a_manifest_without_file(cli: Cli, lines_file: Path, elsewhere: Path) -> None:
    assert cli("verify", lines_file).code == 1
    assert cli("inspect", elsewhere / "missing.csv").code == 1
    exported = cli(
        "export", "lines", "--from", lines_file, "--format", "csv", "--to", elsewhere / "out", "--json"
    ).document
    file = Path(exported["artifacts"][0]["path"])
    file.unlink()
    answer = cli("inspect", file)
    assert answer.code == 0
    assert "The file itself is not here, only its manifest." in answer.out


def test_inspect_tells_range_zone_and_rows_left_out(cli: Cli, elsewhere: Path) -> None:
    (elsewhere / "log.csv").write_text("timestamp,response_time_ms\n2026-08-15T10:00:00Z,1\n2026-08-15T11:00:00Z,x\n")
    answer = cli(
        "export", "analytics", "--from", "log.csv", "--format", "csv", "--to", "out", "--json",
        "--since", "2026-08-01", "--until", "2026-09-01", "--option", "on_bad_rows=report",
    )  # fmt: skip
    assert answer.code == 0, answer.out
    told = cli("inspect", answer.document["artifacts"][0]["path"]).out
    assert "times        2026-08-01 00:00:00 up to 2026-09-01 00:00:00 UTC" in told
    assert "Left out: row " in told


def test_a_json_document_is_written_even_where_standard_output_is_ascii(shell: Cli, elsewhere: Path) -> None:
    (elsewhere / "größe.txt").write_text("São Paulo\n")
    done = shell(
        "export",
        "lines",
        "--from",
        "größe.txt",
        "--format",
        "csv",
        "--to",
        "out",
        "--json",
        env={"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["complete"] is True
    done = shell(
        "export", "lines", "--from", "größe.txt", "--format", "csv", "--to", "more", env={"PYTHONIOENCODING": "ascii"}
    )
    assert done.returncode == 0
    assert done.stdout.startswith("Exported lines as 1 file")
