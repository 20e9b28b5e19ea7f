"""Five thousand mutants of valid exports: each is refused with its place, or read; none does anything else."""

import csv
import io
import json
import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tailrace_source_pool.address import SCHEMES
from tailrace_source_pool.documents import apart
from tailrace_source_pool.documents.findings import Summary, gathered
from tailrace_source_pool.documents.reading import read_pool

from tailrace import Engine, ExportRequest, ReadPoolCall, SinkRequest, TailraceError
from tailrace.settings import Settings

SAMPLE = Path(__file__).parents[1] / "data" / "proxywhirl-sample.db"
SEEDS = (20261124, random.SystemRandom().randrange(2**32))
IN_ONE_FILE = 500
PLACE = re.compile(r"^line [0-9]+|^\$\.proxies\[[0-9]+\]")

VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        65535,
        65536,
        2**31,
        2**63 - 1,
        2**63,
        -(2**63) - 1,
        10**400,
        0.5,
        -0.0,
        1e308,
        80.0,
    ),
    *("", " ", "0", "true", "null", "NaN", "-1", "007", "http", "HTTP", "socks5", "gopher", "a" * 300, "a\0b", "\n"),
    *("\ufeff", "é\u0301", "\u202e", "=1+1", "'", '"', "sealed:1:", "sealed:1:AAAA", "sealed:2:x", "encrypted:x"),
    *("ref_" + "a" * 26, "http://192.0.2.1:80", "http://u:p@192.0.2.1:80", "http://[::1]:80", "http://192.0.2.1"),
    *(
        "http://192.0.2.1:0",
        "::1",
        "[::1]",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "../../etc/passwd",
        "2026-08-15T00:24:09Z",
    ),
    *("2026-08-15T24:00:00Z", "9999-12-31T23:59:59.999999-23:59", "0000-00-00T00:00:00Z", "[]", "{}", "[1"),
    *('{"a":1,"a":2}', "[" * 200, [], {}, [1], {"a": {"b": []}}),
)
FRAGMENTS = (
    *(
        "",
        " ",
        "\n",
        ",",
        ":",
        '"',
        "'",
        "\\",
        "[",
        "]",
        "{",
        "}",
        "null",
        "NaN",
        "1e999",
        "\\ud800",
        "\0",
        "\ufeff",
        "é",
    ),
    *("-", "0x1", '"port":0,', '"seal":{},', "9" * 5000, "[" * 500, "//", "/*", '""', ";"),
)


@pytest.fixture(scope="module", params=SEEDS, ids=("fixed seed", "random seed"))
def chance(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.param)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    folder = tmp_path_factory.mktemp("exports")
    engine = Engine(settings=Settings(home=folder / "home"))

    def exported(form: str, *columns: str, limit: int | None = None) -> bytes:
        sink = SinkRequest("disk", target=str(folder), options={"filename": "{id}.{ext}"})
        request = ExportRequest("pool", str(SAMPLE), form, sinks=(sink,), compress=False, columns=columns, limit=limit)
        path = engine.export(request).artifacts[0].path
        assert path is not None
        return path.read_bytes()

    return exported


def read(content: bytes, dialect: str) -> tuple[pl.DataFrame, Summary] | None:
    try:
        return gathered(apart.read([content], {"dialect": dialect, "scheme": "http"}))
    except TailraceError:
        return None


def check(frame: pl.DataFrame) -> None:
    """What holds of every proxy that is read, whatever it was read from."""
    if not frame.height:
        return
    assert frame["port"].is_between(1, 65535).all()
    assert frame["port"].null_count() == 0
    plain = frame["protocol"].filter(~frame["protocol"].str.starts_with("sealed:"))
    assert plain.is_in(SCHEMES).all()
    assert not frame["url"].str.contains("@", literal=True).any()
    assert frame["host"].null_count() == frame["protocol"].null_count() == 0


def check_partition(frame: pl.DataFrame, summary: Summary, places: list[str]) -> None:
    """Each row is either read, or has a problem; none is both or neither."""
    check(frame)
    good = set(frame["place"]) if frame.height else set()
    told = [problem.where for problem in summary.problems.kept]
    bad = {
        place
        for place in places
        if any(where.startswith((place + ".", place + "[", place + ",")) or where == place for where in told)
    }
    assert good | bad == set(places)
    assert not good & bad


def mutated_row(row: dict[str, Any], chance: random.Random) -> Any:
    names = list(row)
    changed = dict(row)
    name = chance.choice(names)
    match chance.randrange(8):
        case 0:
            del changed[name]
        case 1:
            changed[chance.choice(("colour", "URL", "", "é", "a.b", "port "))] = chance.choice(VALUES)
        case 2:
            changed[chance.choice(names)] = changed.pop(name)
        case 3:
            other = chance.choice(names)
            changed[name], changed[other] = changed[other], changed[name]
        case 4:
            return chance.choice(VALUES)
        case _:
            changed[name] = chance.choice(VALUES)
    return changed


def mutated_text(text: str, chance: random.Random) -> bytes:
    start = chance.randrange(len(text))
    end = min(len(text), start + chance.choice((0, 1, 1, 2, 10, 200)))
    match chance.randrange(5):
        case 0:
            text = text[:start]
        case 1:
            text = text[:start] + text[end:]
        case 2:
            text = text[:start] + text[start:end] * 2 + text[end:]
        case _:
            text = text[:start] + chance.choice(FRAGMENTS) + text[end:]
    content = text.encode()
    if chance.random() < 0.1:
        position = chance.randrange(len(content) + 1)
        content = content[:position] + bytes([chance.randrange(256)]) + content[position:]
    return content


def test_mutants_of_rows_in_json_are_read_or_told(export: Callable[..., bytes], chance: random.Random) -> None:
    document = json.loads(export("json"))
    rows = document["proxies"]
    for _ in range(3):
        mutants = [mutated_row(chance.choice(rows), chance) for _ in range(IN_ONE_FILE)]
        found = read(json.dumps({**document, "proxies": mutants}).encode(), "json")
        assert found is not None
        # More problems than are listed would hide some of them.
        assert found[1].problems.count == len(found[1].problems.kept)
        check_partition(*found, [f"$.proxies[{number}]" for number in range(len(mutants))])


def test_mutants_of_rows_in_csv_are_read_or_told(export: Callable[..., bytes], chance: random.Random) -> None:
    header, *rows = csv.reader(io.StringIO(export("csv").decode()))
    for _ in range(3):
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(header)
        places = []
        for _ in range(IN_ONE_FILE):
            row = dict(zip(header, chance.choice(rows), strict=True))
            row[chance.choice(header)] = str(chance.choice(VALUES))[:2000]
            fields = list(row.values())
            if chance.random() < 0.1:
                fields = fields[: chance.randrange(1, len(fields))] if chance.random() < 0.5 else [*fields, "x"]
            places.append(f"line {buffer.getvalue().count(chr(10)) + 1}")
            writer.writerow(fields)
        found = read(buffer.getvalue().encode(), "csv")
        assert found is not None
        assert found[1].problems.count == len(found[1].problems.kept)
        check_partition(*found, places)


@pytest.mark.parametrize(("form", "count"), [("json", 150), ("csv", 100)])
def test_mutants_of_texts_are_read_or_told(
    export: Callable[..., bytes], chance: random.Random, form: str, count: int
) -> None:
    text = export(form, "url", "protocol", "port", "region", "discovered_at", limit=3).decode()
    for _ in range(count):
        content = mutated_text(text, chance)
        found = read(content, form)
        if found is not None:
            check(found[0])


def test_mutants_do_no_harm_from_disk_either(export: Callable[..., bytes], tmp_path: Path) -> None:
    chance = random.Random(SEEDS[0])
    texts = [export(form, "url", "protocol", "port", "region", limit=3).decode() for form in ("json", "csv")]

    def mutants() -> Iterator[Path]:
        for number in range(50):
            path = tmp_path / f"mutant-{number}"
            path.write_bytes(mutated_text(texts[number % 2], chance))
            yield path

    def outcome(path: Path) -> bool:
        try:
            found = read_pool(ReadPoolCall(path))
        except TailraceError:
            return True
        check(found.frame)
        return bool(found.problem_count or found.frame.width)

    with ThreadPoolExecutor(2) as threads:
        assert all(threads.map(outcome, list(mutants())))
