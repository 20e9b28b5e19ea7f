"""The sources that come with Tailrace run the conformance kit, at each kind of place that they read."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import polars as pl
from tailrace_sdk.conformance import SourceConformance
from tailrace_sdk.conformance.sources import Placed

SAMPLE = Path(__file__).parents[1] / "data" / "proxywhirl-sample.db"
START = datetime(2029, 1, 1)  # noqa: DTZ001 - made UTC below, as a whole column


def numbered(numbers: Sequence[int]) -> pl.DataFrame:
    """A column of numbers."""
    return pl.DataFrame({"n": pl.Series(numbers, dtype=pl.Int64)})


def moments() -> pl.Expr:
    """The moment of each number, UTC."""
    return (pl.lit(START) + pl.duration(seconds=pl.col("n"))).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def host() -> pl.Expr:
    """An address for each number; they have the order of their texts."""
    return pl.format("10.{}.{}.{}", *(100 + pl.col("n") // 150**power % 150 for power in (2, 1, 0))).alias("host")


def expected(frame: pl.DataFrame, *columns: pl.Expr) -> pl.DataFrame | int:
    """What has to come out; of millions, how many rows."""
    return frame.select(*columns) if frame.height < 10_000 else frame.height


class Logs(SourceConformance):
    """Request logs, whatever they are kept in."""

    target = "tailrace_source_analytics"
    name = "analytics"
    reads_files = reads_folders = texts = time_ranges = counts = samples = has_secrets = references = True

    def log(self, numbers: Sequence[int]) -> pl.DataFrame:
        """The rows, typed."""
        n = pl.col("n")
        return numbered(numbers).select(
            moments().alias("timestamp"),
            pl.format("https://api.example.com/items/{}", n).alias("endpoint"),
            pl.when(n % 7 == 0).then(503).otherwise(200).cast(pl.Int64).alias("http_status"),
            (n % 7 != 0).alias("success"),
            (n / 8).alias("response_time_ms"),
            pl.format("note {}", n).alias("note"),
        )

    def secret_rows(self, canaries: Sequence[str]) -> pl.DataFrame:
        """Secrets in a column of their own, in addresses, and in texts that quote addresses."""
        encoded = [quote(canary, safe="") for canary in canaries]
        return self.log(range(len(canaries))).with_columns(
            pl.Series("endpoint", [f"https://ada:{one}@api.example.com/" for one in encoded]),
            pl.Series("password", canaries),
            pl.Series("note", [f"could not reach https://ada:{one}@api.example.com/ at all" for one in encoded]),
        )


class TestCsvLog(Logs):
    snapshots = streams = partitioned = leaves_out_bad_rows = True
    partitioned_rows = 120_000

    def place(self, folder: Path, numbers: Sequence[int]) -> Placed:
        log = self.log(numbers)
        log.with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")).write_csv(folder / "log.csv")
        return Placed("log.csv", {"requests": expected(log, pl.all()) if len(numbers) else 0})

    def place_texts(self, folder: Path, texts: Sequence[str | None]) -> Placed:
        # A carriage return alone ends a line to some, and an empty field is a missing text to all.
        kept = [text for text in texts if text not in {None, "", "\r"}]
        log = self.log(range(len(kept))).with_columns(pl.Series("note", kept, dtype=pl.String))
        path = folder / "log.csv"
        log.with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(path, quote_style="always")
        return Placed("log.csv", {"requests": log})

    def place_secrets(self, folder: Path, canaries: Sequence[str]) -> Placed:
        rows = self.secret_rows(canaries)
        rows.with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(folder / "log.csv")
        return Placed("log.csv", {"requests": len(canaries)})

    def place_damaged(self, folder: Path, canary: str) -> Mapping[str, Placed]:
        head = "timestamp,endpoint,success\n2029-01-01T00:00:00Z,https://api.example.com/,true\n"
        contents = {
            "a row that is too long": f"{head}2029-01-01T00:00:01Z,{canary},true,{canary}\n",
            "a row that is too short": f"{head}{canary}\n",
            "a quote that never ends": f'{head}2029-01-01T00:00:01Z,"{canary},true\n',
            "a moment that is none": f"{head}{canary},https://api.example.com/,true\n",
        }
        return written(folder, contents)

    def place_bad_rows(self, folder: Path, numbers: Sequence[int], bad: int) -> Placed:
        placed = self.place(folder, numbers)
        with (folder / "log.csv").open("a") as file:
            file.writelines("2029-01-01T00:00:00Z,too,short\n" for _ in range(bad))
        return Placed(placed.location, placed.tables, {"on_bad_rows": "report"})

    def change(self, folder: Path, placed: Placed) -> None:
        with (folder / placed.location).open("a") as file:
            file.write("2029-06-01T00:00:00.000000Z,https://api.example.com/late,200,true,1.0,late\n")


class TestParquetLog(Logs):
    streams = partitioned = nulls = True

    def place(self, folder: Path, numbers: Sequence[int]) -> Placed:
        log = self.log(numbers)
        log.write_parquet(folder / "log.parquet", row_group_size=min(100_000, max(100, log.height // 8)))
        return Placed("log.parquet", {"requests": expected(log, pl.all())})

    def place_texts(self, folder: Path, texts: Sequence[str | None]) -> Placed:
        log = self.log(range(len(texts))).with_columns(pl.Series("note", texts, dtype=pl.String))
        log.write_parquet(folder / "log.parquet")
        return Placed("log.parquet", {"requests": log})

    def place_secrets(self, folder: Path, canaries: Sequence[str]) -> Placed:
        self.secret_rows(canaries).write_parquet(folder / "log.parquet")
        return Placed("log.parquet", {"requests": len(canaries)})

    def place_damaged(self, folder: Path, canary: str) -> Mapping[str, Placed]:
        path = folder / "whole.parquet"
        self.log(range(1000)).with_columns(pl.lit(canary).alias("note")).write_parquet(path, compression="uncompressed")
        content = path.read_bytes()
        path.unlink()
        contents = {
            "cut off": content[: len(content) // 2],
            "without its end": content[:-1],
            "overwritten": content[:8] + canary.encode() + bytes(4000) + content[4008 + len(canary) :],
        }
        return written(folder, contents)


class TestSqliteLog(Logs):
    nulls = snapshots = streams = leaves_out_bad_rows = True
    # Making ten million takes minutes; these already take more than memory may grow by.
    huge_rows, memory = 2_000_000, 160 << 20

    def place(self, folder: Path, numbers: Sequence[int]) -> Placed:
        log = self.log(numbers)
        self.store(folder / "log.db", log)
        return Placed("log.db", {"requests": expected(log, pl.all())})

    def store(self, path: Path, log: pl.DataFrame) -> None:
        """Put rows into a database, in WAL mode."""
        declared = {
            "timestamp": "TIMESTAMP",
            "http_status": "INTEGER",
            "success": "BOOLEAN",
            "response_time_ms": "REAL",
        }
        columns = ", ".join(f"{name} {declared.get(name, 'TEXT')}" for name in log.columns)
        rows = log.with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%d %H:%M:%S%.6f"))
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"CREATE TABLE request_logs ({columns})")
            connection.executemany(
                f"INSERT INTO request_logs VALUES ({', '.join('?' * len(log.columns))})", rows.iter_rows()
            )

    def place_texts(self, folder: Path, texts: Sequence[str | None]) -> Placed:
        log = self.log(range(len(texts))).with_columns(pl.Series("note", texts, dtype=pl.String))
        self.store(folder / "log.db", log)
        return Placed("log.db", {"requests": log})

    def place_secrets(self, folder: Path, canaries: Sequence[str]) -> Placed:
        self.store(folder / "log.db", self.secret_rows(canaries))
        return Placed("log.db", {"requests": len(canaries)})

    def place_damaged(self, folder: Path, canary: str) -> Mapping[str, Placed]:
        path = folder / "whole.db"
        self.store(path, self.log(range(2000)).with_columns(pl.lit(canary).alias("note")))
        content = path.read_bytes()
        path.unlink()
        middle = len(content) // 2
        contents: Mapping[str, str | bytes] = {
            "cut off": content[:middle],
            "garbled": content[:8192] + (canary.encode() * 400)[: middle - 8192] + content[middle:],
            "without a request log": empty_database(folder),
        }
        return written(folder, contents)

    def place_bad_rows(self, folder: Path, numbers: Sequence[int], bad: int) -> Placed:
        placed = self.place(folder, numbers)
        with closing(sqlite3.connect(folder / "log.db")) as connection, connection:
            connection.executemany(
                "INSERT INTO request_logs (timestamp, http_status) VALUES (?, ?)",
                [("2029-01-01 00:00:00", "many")] * bad,
            )
        return Placed(placed.location, placed.tables, {"on_bad_rows": "report"})

    def change(self, folder: Path, placed: Placed) -> None:
        write_elsewhere(
            folder / placed.location,
            "UPDATE request_logs SET note = 'changed' WHERE rowid = 1",
            "INSERT INTO request_logs SELECT * FROM request_logs WHERE rowid = 2",
        )


class TestProxyList(SourceConformance):
    """Lists of addresses, which are read at once."""

    target = "tailrace_source_pool"
    name = "pool"
    reads_files = counts = samples = has_secrets = references = seals = snapshots = leaves_out_bad_rows = True
    large_rows = 50_000

    def place(self, folder: Path, numbers: Sequence[int]) -> Placed:
        known = numbered(numbers).select(host(), pl.lit(8080, dtype=pl.Int64).alias("port"))
        (folder / "list.txt").write_text("".join(f"{one}:8080\n" for one in known["host"]) or "# none\n")
        return Placed("list.txt", {"proxies": expected(known, pl.all())})

    def place_secrets(self, folder: Path, canaries: Sequence[str]) -> Placed:
        lines = [f"http://ada:{quote(canary, safe='')}@192.0.2.{at}:8080" for at, canary in enumerate(canaries)]
        (folder / "list.txt").write_text("\n".join(lines))
        return Placed("list.txt", {"proxies": len(canaries)})

    def place_damaged(self, folder: Path, canary: str) -> Mapping[str, Placed]:
        contents: Mapping[str, str | bytes] = {
            "a line that is no address": f"192.0.2.1:80\nthis is no address: {canary}\n",
            "a port that is none": f"http://ada:{canary}@192.0.2.1:99999\n",
            "no UTF-8": f"192.0.2.1:80\n{canary}".encode() + b"\xff\xfe",
        }
        return written(folder, contents)

    def place_bad_rows(self, folder: Path, numbers: Sequence[int], bad: int) -> Placed:
        placed = self.place(folder, numbers)
        with (folder / "list.txt").open("a") as file:
            file.writelines(f"no address at all, number {number}\n" for number in range(bad))
        return Placed(placed.location, placed.tables, {"on_bad_rows": "report"})

    def change(self, folder: Path, placed: Placed) -> None:
        with (folder / placed.location).open("a") as file:
            file.write("192.0.2.77:80\n")


class TestFileStorage(TestProxyList):
    """ProxyWhirl's JSON, with its times and texts."""

    texts = nulls = time_ranges = True
    large_rows = 20_000

    def place(self, folder: Path, numbers: Sequence[int]) -> Placed:
        rows = numbered(numbers).select(
            host(),
            moments().alias("discovered_at"),
        )
        return self.store(folder, rows)

    def store(self, folder: Path, rows: pl.DataFrame) -> Placed:
        """Put proxies into a file."""
        proxies = rows.rename({"discovered_at": "created_at"}, strict=False).iter_rows(named=True)
        documents = [{"url": f"http://{proxy.pop('host')}:80", **proxy} for proxy in proxies]
        (folder / "pool.json").write_text(json.dumps(documents, default=datetime.isoformat))
        return Placed("pool.json", {"proxies": expected(rows, pl.all()) if rows.height else 0})

    def place_texts(self, folder: Path, texts: Sequence[str | None]) -> Placed:
        hosts = [f"192.0.2.{100 + at}" for at in range(len(texts))]
        rows = pl.DataFrame({"host": hosts, "last_health_error": pl.Series(texts, dtype=pl.String)})
        return self.store(folder, rows)

    def place_secrets(self, folder: Path, canaries: Sequence[str]) -> Placed:
        proxies = [
            {
                "url": f"http://192.0.2.{at}:80",
                "username": f"ada{at}",
                "password": canary,
                "last_health_error": f"407 for http://ada{at}:{quote(canary, safe='')}@192.0.2.{at}:80 ({canary})",
                "metadata": {"note": canary},
            }
            for at, canary in enumerate(canaries)
        ]
        (folder / "pool.json").write_text(json.dumps(proxies))
        return Placed("pool.json", {"proxies": len(canaries)})

    def place_damaged(self, folder: Path, canary: str) -> Mapping[str, Placed]:
        contents = {
            "cut off": f'[{{"url": "http://192.0.2.1:80", "password": "{canary}"',
            "no list of proxies": f'[["{canary}"]]',
            "a name twice": f'[{{"url": "http://192.0.2.1:80", "password": "x", "password": "{canary}"}}]',
            "an address that is none": f'[{{"url": "{canary}"}}]',
            "a number that is none": f'[{{"url": "http://192.0.2.1:80", "total_requests": "{canary}"}}]',
        }
        return written(folder, contents)

    def place_bad_rows(self, folder: Path, numbers: Sequence[int], bad: int) -> Placed:
        placed = self.place(folder, numbers)
        path = folder / placed.location
        proxies = [*json.loads(path.read_text()), *({"url": "nowhere at all"} for _ in range(bad))]
        path.write_text(json.dumps(proxies))
        return Placed(placed.location, placed.tables, {"on_bad_rows": "report"})

    def change(self, folder: Path, placed: Placed) -> None:
        path = folder / placed.location
        path.write_text(json.dumps([*json.loads(path.read_text()), {"url": "http://192.0.2.77:80"}]))


class TestPoolDatabase(SourceConformance):
    """ProxyWhirl's database, with its health checks."""

    target = "tailrace_source_pool"
    name = "pool"
    reads_files = counts = samples = has_secrets = references = snapshots = time_ranges = texts = nulls = True
    leaves_out_bad_rows = seals = True
    large_rows = 20_000
    options = {"checks": True}  # noqa: RUF012 - as authors write it

    def place(self, folder: Path, numbers: Sequence[int]) -> Placed:
        proxies = numbered(numbers).select(host(), moments().alias("at"), pl.lit("net").alias("isp_name"))
        return self.store(folder, proxies)

    def store(self, folder: Path, proxies: pl.DataFrame) -> Placed:
        """Put proxies into a database, each with one check."""
        rows = proxies.with_columns(
            url=pl.format("http://{}:80", "host"), at=pl.col("at").dt.strftime("%Y-%m-%d %H:%M:%S%.6f")
        )
        make_pool(folder / "pool.db", rows)
        known = proxies.rename({"at": "discovered_at"}, strict=False)
        checks = proxies.select(timestamp=pl.col("at"), success=pl.lit(value=True))
        return Placed("pool.db", {"proxies": expected(known, pl.all()), "checks": checks.height})

    def place_texts(self, folder: Path, texts: Sequence[str | None]) -> Placed:
        proxies = numbered(range(len(texts))).select(host(), moments().alias("at"))
        return self.store(folder, proxies.with_columns(pl.Series("isp_name", texts, dtype=pl.String)))

    def place_secrets(self, folder: Path, canaries: Sequence[str]) -> Placed:
        make_pool(folder / "pool.db", pool_with(canaries))
        return Placed("pool.db", {"proxies": len(canaries), "checks": len(canaries)})

    def place_damaged(self, folder: Path, canary: str) -> Mapping[str, Placed]:
        return damaged_pools(folder, canary)

    def place_bad_rows(self, folder: Path, numbers: Sequence[int], bad: int) -> Placed:
        placed = self.place(folder, numbers)
        with closing(sqlite3.connect(folder / placed.location)) as connection, connection:
            connection.executemany(
                "INSERT INTO validation_results (proxy_url, validated_at, is_valid) SELECT url, ?, 1 "
                "FROM proxy_identities LIMIT 1",
                [("no moment at all",)] * bad,
            )
        return Placed(placed.location, placed.tables, {"on_bad_rows": "report"})

    def change(self, folder: Path, placed: Placed) -> None:
        write_elsewhere(
            folder / placed.location,
            "UPDATE proxy_identities SET isp_name = 'changed' WHERE rowid = 1",
            "INSERT INTO validation_results (proxy_url, validated_at, is_valid) "
            "SELECT proxy_url, validated_at, 0 FROM validation_results LIMIT 1",
        )


class TestHealth(SourceConformance):
    """Reports of what the checks say, and the checks themselves."""

    target = "tailrace_source_health"
    name = "health"
    reads_files = reads_folders = time_ranges = restricts = reports = has_secrets = True
    large_rows = 50_000
    options = {"checks": True}  # noqa: RUF012 - as authors write it

    def place(self, folder: Path, numbers: Sequence[int]) -> Placed:
        n = pl.col("n")
        checks = numbered(numbers).select(
            pl.format("http://10.0.0.{}:80", n % 5).alias("proxy"),
            moments().alias("timestamp"),
            (n % 7 != 0).alias("success"),
            pl.when(n % 7 != 0).then(n / 8).alias("response_time_ms"),
            pl.when(n % 7 == 0).then(pl.lit("timeout")).alias("error"),
        )
        checks.write_parquet(folder / "checks.parquet")
        computed = ("proxies", "problems", "availability", "response_times", "failures", "coverage")
        return Placed(
            "checks.parquet",
            {**dict.fromkeys(computed), "checks": expected(checks.sort("proxy", "timestamp"), pl.all())},
        )

    def chosen(self, numbers: Sequence[int]) -> tuple[str, Sequence[int]]:
        return "not success", [number for number in numbers if number % 7 == 0]

    def place_secrets(self, folder: Path, canaries: Sequence[str]) -> Placed:
        encoded = [quote(canary, safe="") for canary in canaries]
        self.place(folder, range(len(canaries)))
        path = folder / "checks.parquet"
        checks = pl.read_parquet(path).with_columns(
            pl.Series("proxy", [f"http://ada:{one}@10.0.0.1:80" for one in encoded]),
            pl.Series("error", [f"refused: http://ada:{one}@10.0.0.1:80" for one in encoded]),
            success=pl.lit(value=False),
        )
        checks.write_parquet(path)
        return Placed("checks.parquet", {})

    def place_damaged(self, folder: Path, canary: str) -> Mapping[str, Placed]:
        head = "proxy,timestamp,success\nhttp://10.0.0.1:80,2029-01-01T00:00:00Z,true\n"
        contents = {
            "a moment that is none": f"{head}http://10.0.0.1:80,{canary},true\n",
            "a success that is neither": f"{head}http://10.0.0.1:80,2029-01-01T00:00:00Z,{canary}\n",
            "a header without proxies": f"{canary},timestamp,success\n1,2029-01-01T00:00:00Z,true\n",
            "a row that is too long": f"{head}http://10.0.0.1:80,2029-01-01T00:00:00Z,true,{canary}\n",
        }
        return {**written(folder, contents), **damaged_pools(folder, canary)}


class TestDashboard(SourceConformance):
    """A dashboard over a request log."""

    target = "tailrace_source_dashboard"
    name = "dashboard"
    reads_files = time_ranges = restricts = reports = examples = composed = has_secrets = True
    others = {"analytics": "tailrace_source_analytics"}  # noqa: RUF012 - as authors write it
    large_rows = 50_000
    BOARD = """
        title = "Requests"
        [data]
        analytics = "log.parquet"
        [[pages]]
        heading = "All of them"
        [[pages.panels]]
        kind = "line"
        metric = "requests"
        by = "time"
        [[pages.panels]]
        kind = "table"
        metrics = ["requests", "response_time_p50"]
        by = "http_status"
        [[pages.panels]]
        kind = "figure"
        metric = "requests"
    """

    def place(self, folder: Path, numbers: Sequence[int]) -> Placed:
        TestParquetLog().place(folder, numbers)
        (folder / "board.toml").write_text(self.BOARD)
        panels = dict.fromkeys(("requests_by_time", "requests_and_median_response_time_by_http_status"))
        total = pl.DataFrame({"requests": [len(numbers)]}) if len(numbers) else None
        return Placed("board.toml", {**panels, "requests": total})

    def chosen(self, numbers: Sequence[int]) -> tuple[str, Sequence[int]]:
        return "not success", [number for number in numbers if number % 7 == 0]

    def place_secrets(self, folder: Path, canaries: Sequence[str]) -> Placed:
        TestParquetLog().place_secrets(folder, canaries)
        board = self.BOARD.replace('by = "http_status"', 'by = "endpoint"')
        (folder / "board.toml").write_text(board)
        return Placed("board.toml", {})

    def place_damaged(self, folder: Path, canary: str) -> Mapping[str, Placed]:
        contents = {
            "no TOML": f"title = {canary} = 1\n",
            "cut off": self.BOARD[: self.BOARD.index("by =")] + f'metric = "{canary}',
            "without data": "[[pages]]\nheading = 'None'\n",
        }
        return written(folder, contents)


def test_every_capability_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "test-a-source.md").read_text()
    documented = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert documented == list(SourceConformance.CAPABILITIES)


def written(folder: Path, contents: Mapping[str, str | bytes]) -> dict[str, Placed]:
    """Files of these contents."""
    for number, content in enumerate(contents.values()):
        (folder / f"damaged-{number}").write_bytes(content.encode() if isinstance(content, str) else content)
    return {what: Placed(f"damaged-{number}", {}) for number, what in enumerate(contents)}


def empty_database(folder: Path) -> bytes:
    """A database with another table."""
    with closing(sqlite3.connect(folder / "other.db")) as connection, connection:
        connection.execute("CREATE TABLE other (a)")
    return (folder / "other.db").read_bytes()


def write_elsewhere(database: Path, *statements: str) -> None:
    """Write to a database as another program does: in another process, waiting for nobody."""
    code = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], timeout=0)\n"
        "try:\n"
        "    [connection.execute(statement) for statement in sys.argv[2:]]\n"
        "    connection.commit()\n"
        "except sqlite3.OperationalError as error:\n"
        "    assert 'locked' in str(error), error\n"
        "connection.close()\n"
    )
    subprocess.run([sys.executable, "-c", code, str(database), *statements], check=True)


def pool_with(secrets: Sequence[str]) -> pl.DataFrame:
    """Proxies with these passwords, in columns, addresses and texts."""
    encoded = [quote(secret, safe="") for secret in secrets]
    return (
        numbered(range(len(secrets)))
        .select(host(), moments().dt.strftime("%Y-%m-%d %H:%M:%S%.6f").alias("at"))
        .with_columns(
            pl.Series("url", [f"http://ada:{one}@192.0.2.{at}:80" for at, one in enumerate(encoded)]),
            pl.Series("username", ["ada"] * len(secrets)),
            pl.Series("password", secrets),
            pl.Series("isp_name", [f"see http://ada:{one}@192.0.2.1:80 ({secrets[0]})" for one in encoded]),
        )
    )


def make_pool(path: Path, proxies: pl.DataFrame) -> None:
    """ProxyWhirl's database, as its sample has it, with these proxies, each with a status and a check."""
    with closing(sqlite3.connect(SAMPLE)) as sample:
        schema = [sql for (sql,) in sample.execute("SELECT sql FROM sqlite_master WHERE type = 'table'")]
    rows = proxies.with_columns(
        *(pl.lit(None, dtype=pl.String).alias(name) for name in ("username", "password") if name not in proxies.columns)
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in schema:
            connection.execute(statement)
        connection.executemany(
            "INSERT INTO proxy_identities (url, protocol, host, port, username, password, isp_name, is_residential, "
            "is_datacenter, source, discovered_at) VALUES (?, 'http', ?, 80, ?, ?, ?, 0, 1, 'user', ?)",
            rows.select("url", "host", "username", "password", "isp_name", "at").iter_rows(),
        )
        connection.execute(
            "INSERT INTO proxy_statuses (proxy_url, health_status, consecutive_successes, consecutive_failures, "
            "total_checks, total_successes, updated_at) "
            "SELECT url, 'healthy', 1, 0, 1, 1, discovered_at FROM proxy_identities"
        )
        connection.execute(
            "INSERT INTO validation_results (proxy_url, validated_at, is_valid, response_time_ms, error_message) "
            "SELECT url, discovered_at, 1, 12.5, isp_name FROM proxy_identities"
        )


def damaged_pools(folder: Path, canary: str) -> dict[str, Placed]:
    """Databases that are cut off, garbled, and of another program."""
    path = folder / "whole.db"
    make_pool(path, pool_with([f"{canary}{number}" for number in range(500)]))
    content = path.read_bytes()
    path.unlink()
    middle = len(content) // 2
    contents = {
        "a database cut off": content[:middle],
        "a garbled database": content[:8192] + (canary.encode() * 4000)[: middle - 8192] + content[middle:],
        "a database of another program": empty_database(folder),
    }
    for name, damaged in contents.items():
        (folder / f"{name.replace(' ', '-')}.db").write_bytes(damaged)
    return {name: Placed(f"{name.replace(' ', '-')}.db", {}) for name in contents}
