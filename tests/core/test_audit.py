"""The audit trail in the store: what an entry may hold, how entries are chained, and what is found out."""

import hashlib
import json
import threading
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import attrs
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.audit import BEGINNING, AuditEntry, AuditFilter, AuditRecord, ChainReport, one_line, shortened
from tailrace.model.errors import TamperedError
from tailrace.store import audit, audit_chain
from tailrace.store.columns import Document, Moment
from tailrace.store.database import Store
from tailrace.store.errors import StoreError
from tailrace.store.tables import audit as table

NOW = datetime(2026, 8, 15, 6, 0, 0, 250000, tzinfo=UTC)

FULL = AuditEntry(
    user="ada",
    operation="export",
    outcome="ok",
    job="0b4e8a52-8a6c-4d0e-9f0e-0d6a2f1f6f3d",
    thing="template nightly",
    source="pool",
    format="csv",
    since=NOW - timedelta(days=7),
    until=NOW,
    rows=4,
    size=1234,
    file="/srv/out/pool.csv.gz",
    error="",
    parameters={"sha256": ["ab"], "complete": True, "share": 0.5, "none": None, "deep": {"b": 2, "a": [1, "x"]}},
    address="192.0.2.7",
    agent="tailrace command line",
)


def entered(store: Store, count: int, **changes: Any) -> list[str]:
    with store.writing() as connection:
        return [
            audit.append(
                connection,
                AuditEntry(**{"user": "ada", "operation": "export", "outcome": "ok", **changes}),
                now=NOW + timedelta(seconds=number),
            )
            for number in range(count)
        ]


def verified(store: Store) -> ChainReport:
    with store.reading() as connection:
        return audit_chain.verify(connection)


def tamper(store: Store, *statements: str) -> None:
    """What somebody does who has all rights to the database."""
    with store.writing() as connection:
        if store.is_sqlite:
            for trigger in ("audit_kept", "audit_unchanged"):
                connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
        else:
            connection.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER USER")
        for statement in statements:
            connection.exec_driver_sql(statement)


# One line.


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ada", "ada"),
        ("Zoë 水 🦦", "Zoë 水 🦦"),
        ("a\nb\r\nc\td", r"a\nb\r\nc\td"),
        ("\x1b[2Jgone\x07\0\x7f\x9b31m", r"\x1b[2Jgone\x07\x00\x7f\x9b31m"),
        ("user\u202egpj.exe\u2066\u2069\u200f\u061c", r"user\u202egpj.exe\u2066\u2069\u200f\u061c"),
        ("a\u2028b\u2029c\x85d\xa0e", r"a\u2028b\u2029c\x85d\xa0e"),
        ("ad\u200ba\ufeff\xad", r"ad\u200ba\ufeff\xad"),
        ("\udc80\ud83d", r"\udc80\ud83d"),
        ("\U000e0041", r"\U000e0041"),
        ("C:\\new", r"C:\\new"),
    ],
)
def test_what_does_not_print_becomes_an_escape(text: str, shown: str) -> None:
    assert one_line(text) == shown


@given(st.text(st.characters(), max_size=30))
def test_a_text_is_one_line_that_means_one_text_only(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert len(line.splitlines()) <= 1
    # Undoing it gives the text back, so no two texts share a line.
    assert line.encode("raw_unicode_escape").decode("unicode_escape") == text


def test_long_texts_are_cut_and_still_told_apart() -> None:
    first, second = "x" * 300 + "1", "x" * 300 + "2"
    cut = shortened(first, 255)
    assert len(cut) == 255
    assert cut != shortened(second, 255)
    assert cut.endswith("…" + hashlib.sha256(first.encode()).hexdigest()[:16])
    assert shortened("x" * 255, 255) == "x" * 255


# What is stored.


def test_an_entry_comes_back_as_it_was(store: Store) -> None:
    with store.writing() as connection:
        own = audit.append(connection, FULL, now=NOW.astimezone(timezone(timedelta(hours=2))))
    with store.reading() as connection:
        (record,) = audit.listing(connection, AuditFilter())
        assert audit.newest(connection) == own
    assert AuditEntry(**{field.name: getattr(record, field.name) for field in attrs.fields(AuditEntry)}) == FULL
    assert (record.number, record.moment, record.previous, record.hash) == (1, NOW, BEGINNING, own)


def test_every_text_of_an_entry_is_one_line_without_credentials_and_fits(store: Store) -> None:
    nasty = "\x1b]0;\u202e\n\udc80\0"
    names = ("user", "operation", "job", "thing", "source", "format", "file", "error", "address", "agent")
    texts: dict[str, Any] = {name: f"{nasty}{name}" * 3000 for name in names}
    texts["error"] = f"cannot read postgresql://ada:Gorgonzola7@db/pool{nasty}"
    parameters = {
        f"key{nasty}": [f"http://ada:Gorgonzola7@example.com {nasty}", {"t": NOW, "p": Path("/x"), "n": float("nan")}],
        "long": "y" * 5000,
    }
    with store.writing() as connection:
        audit.append(connection, AuditEntry(outcome="refused", parameters=parameters, **texts), now=NOW)
    with store.reading() as connection:
        (record,) = audit.listing(connection, AuditFilter())
        (found,) = audit.listing(connection, AuditFilter(user=texts["user"], job=texts["job"]))
        assert verified(store).ok
    assert found == record
    for name in names:
        assert getattr(record, name).isprintable()
        assert 0 < len(getattr(record, name)) <= 4000
    assert len(record.user) == 255
    written = json.dumps(record.parameters, ensure_ascii=False)
    assert "Gorgonzola7" not in written + record.error
    assert written.isprintable()
    (key,) = set(record.parameters) - {"long"}
    assert record.parameters[key][1] == {"n": "nan", "p": "/x", "t": "2026-08-15T06:00:00.250000Z"}
    assert len(record.parameters["long"]) == 2000


def test_parameters_that_are_too_many_are_told_by_their_hash(tmp_path: Path) -> None:
    store = Store.in_home(tmp_path)
    entered(store, 1, parameters={str(number): "x" * 100 for number in range(1000)})
    with store.reading() as connection:
        (record,) = audit.listing(connection, AuditFilter())
    assert set(record.parameters) == {"left_out", "sha256"}
    assert verified(store).ok


def test_the_hash_is_that_of_the_stored_columns_as_json(store: Store) -> None:
    with store.writing() as connection:
        audit.append(connection, FULL, now=NOW)
        audit.append(connection, AuditEntry("Zoë\n", "job.cancel", "refused"), now=NOW)
    with store.reading() as connection:
        rows = connection.execute(sa.select(table).order_by(table.c.number)).mappings().all()
    previous = "0" * 64
    for row in rows:
        values: dict[str, Any] = dict(row)
        claimed = values.pop("hash")
        for name, value in values.items():
            if isinstance(value, datetime):
                values[name] = value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        values["parameters"] = json.dumps(row["parameters"], separators=(",", ":"))
        text = json.dumps(values, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == claimed
        assert values["previous"] == previous
        previous = claimed


def test_parameters_are_stored_letter_for_letter_as_they_are_hashed(store: Store) -> None:
    entered(store, 1, parameters={"b": 1e300, "a": {"z": 1, "é": [None, True, -0.0]}})
    with store.reading() as connection:
        text = connection.execute(sa.select(sa.type_coerce(table.c.parameters, sa.Text))).scalar_one()
    assert text == r'{"a":{"z":1,"\u00e9":[null,true,-0.0]},"b":1e+300}'


# Growing only.


def test_the_database_itself_refuses_changes(store: Store) -> None:
    entered(store, 2)
    for statement in (
        "UPDATE audit SET error = 'nothing'",
        "UPDATE audit SET number = number + 10",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE number = 2",
    ):
        with pytest.raises(StoreError, match="refused"), store.writing() as connection:
            connection.exec_driver_sql(statement)
    assert verified(store).entries == 2
    assert verified(store).ok


def test_sqlite_refuses_to_replace_an_entry_by_inserting(tmp_path: Path) -> None:
    store = Store.in_home(tmp_path)
    entered(store, 2)
    columns = ", ".join(f'"{column.name}"' for column in table.c)
    for change in ("number", "previous", "hash"):
        values = columns.replace(f'"{change}"', f"'{change}'" if change != "number" else "7")
        sql = f"INSERT OR REPLACE INTO audit ({columns}) SELECT {values} FROM audit WHERE number = 2"
        with pytest.raises(StoreError, match="refused"), store.writing() as connection:
            connection.exec_driver_sql(sql)
    assert verified(store) == ChainReport(2, verified(store).newest, NOW + timedelta(seconds=1))


@pytest.mark.postgres
def test_postgresql_refuses_to_truncate(postgres_uri: str) -> None:
    store = Store(postgres_uri)
    store.upgrade()
    entered(store, 2)
    for statement in ("TRUNCATE audit", "TRUNCATE audit CASCADE"):
        with pytest.raises(StoreError, match="refused"), store.writing() as connection:
            connection.exec_driver_sql(statement)
    assert verified(store).entries == 2
    store.close()


def test_an_entry_goes_with_the_transaction_that_appended_it(store: Store) -> None:
    entered(store, 1)

    def append_and_fail() -> None:
        with store.writing() as connection:
            audit.append(connection, FULL, now=NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        append_and_fail()
    entered(store, 1)
    assert verified(store).ok
    assert verified(store).entries == 2


def test_many_who_append_at_once_make_one_chain(store_url: str) -> None:
    stores = [Store(store_url) for _ in range(4)]
    stores[0].upgrade()
    failures: list[BaseException] = []

    def append(store: Store) -> None:
        try:
            for _ in range(15):
                entered(store, 1)
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=append, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    report = verified(stores[0])
    assert (report.entries, report.ok) == (60, True)
    for store in stores:
        store.close()


# Listing.


def test_entries_are_listed_newest_first_by_what_is_asked(store: Store) -> None:
    with store.writing() as connection:
        for number in range(12):
            entry = AuditEntry(
                user=("ada", "bob", "cy")[number % 3],
                operation=("export", "job.cancel")[number % 2],
                outcome="refused" if number % 4 == 3 else "ok",
                job=f"job{number // 6}",
            )
            audit.append(connection, entry, now=NOW + timedelta(hours=number))

    def numbers(limit: int = 100, **asked: Any) -> list[int]:
        with store.reading() as connection:
            return [record.number for record in audit.listing(connection, AuditFilter(**asked), limit=limit)]

    assert numbers() == list(range(12, 0, -1))
    assert numbers(user="bob") == [11, 8, 5, 2]
    assert numbers(operation="job.cancel", outcome="refused") == [12, 8, 4]
    assert numbers(job="job1", user="ada") == [10, 7]
    assert numbers(since=NOW + timedelta(hours=3), until=NOW + timedelta(hours=5)) == [5, 4]
    assert numbers(user="nobody'; DROP TABLE audit") == []
    pages = [numbers(5), numbers(5, before=8), numbers(5, before=3), numbers(5, before=1)]
    assert pages == [[12, 11, 10, 9, 8], [7, 6, 5, 4, 3], [2, 1], []]


def test_an_entry_whose_time_is_none_is_not_listed_as_if_nothing_were(tmp_path: Path) -> None:
    store = Store.in_home(tmp_path)
    entered(store, 1)
    tamper(store, "UPDATE audit SET moment = 'yesterday'")
    with store.reading() as connection, pytest.raises(TamperedError, match="cannot be read") as caught:
        audit.listing(connection, AuditFilter())
    assert "audit verify" in caught.value.hint


# Verifying.


def test_an_empty_trail_and_a_sound_one_hold(store: Store) -> None:
    assert verified(store) == ChainReport(0, BEGINNING, None)
    hashes = entered(store, 1100)
    assert verified(store) == ChainReport(1100, hashes[-1], NOW + timedelta(seconds=1099))


def test_whatever_is_changed_in_an_entry_is_found(store: Store) -> None:
    columns = [column for column in table.c if column.name not in {"number", "previous", "hash"}]
    with store.writing() as connection:
        for _ in range(2 * len(columns) + 1):
            audit.append(connection, FULL, now=NOW)
    changes = []
    for number, column in enumerate(columns):
        value = (
            "'{}'" if isinstance(column.type, Document) else "7" if isinstance(column.type, sa.BigInteger) else "'x'"
        )
        if isinstance(column.type, Moment):
            value = "'2026-08-15T06:00:00.250001Z'"
        changes.append(f'UPDATE audit SET "{column.name}" = {value} WHERE number = {2 * number + 2}')
    tamper(store, *changes)
    report = verified(store)
    assert report.changed == tuple(range(2, 2 * len(columns) + 1, 2))
    assert (report.first, report.unlinked, report.gaps) == (2, (), ())


def test_links_that_are_changed_are_found(store: Store) -> None:
    entered(store, 6)
    tamper(
        store,
        "UPDATE audit SET previous = 'x' WHERE number = 2",
        "UPDATE audit SET hash = 'x' WHERE number = 5",
    )
    report = verified(store)
    assert (report.first, report.changed, report.unlinked) == (2, (2, 5), (2, 6))


def test_even_parameters_that_mean_the_same_are_found(tmp_path: Path) -> None:
    store = Store.in_home(tmp_path)
    entered(store, 1, parameters={"a": 1})
    tamper(store, """UPDATE audit SET parameters = '{"a":"evil","a":1}'""")
    assert verified(store).changed == (1,)


@pytest.mark.parametrize("value", ["x'ff00'", "CAST(x'fffe' AS TEXT)", "9e999"])
def test_values_that_we_never_write_are_found_and_do_not_end_the_walk(tmp_path: Path, value: str) -> None:
    store = Store.in_home(tmp_path)
    entered(store, 9)
    columns = ("moment", "job", "rows", "parameters")
    tamper(store, *(f"UPDATE audit SET {name} = {value} WHERE number = {2 + at}" for at, name in enumerate(columns)))
    report = verified(store)
    assert (report.changed, report.entries) == ((2, 3, 4, 5), 9)


def _rehashed(store: Store, number: int) -> None:
    """Give an entry the hash that fits what it says."""
    with store.writing() as connection:
        (row,) = audit_chain.stored(connection, table.c.keys(), after=number - 1, to=number)
        row.pop("hash")
        connection.execute(sa.update(table).where(table.c.number == number).values(hash=audit.digest(row)))


def test_an_entry_with_a_new_hash_does_not_fit_to_the_next_one(store: Store) -> None:
    entered(store, 4)
    tamper(store, """UPDATE audit SET "user" = 'bob' WHERE number = 2""")
    _rehashed(store, 2)
    report = verified(store)
    assert (report.first, report.changed, report.unlinked, report.faults) == (3, (), (3,), 1)


@pytest.mark.parametrize(
    ("statement", "gaps", "first"),
    [
        ("DELETE FROM audit WHERE number = 2", ((2, 2),), 2),
        ("DELETE FROM audit WHERE number < 4", ((1, 3),), 1),
        ("DELETE FROM audit WHERE number IN (2, 4, 5)", ((2, 2), (4, 5)), 2),
    ],
)
def test_entries_that_are_missing_are_found(
    tmp_path: Path, statement: str, gaps: tuple[tuple[int, int], ...], first: int
) -> None:
    store = Store.in_home(tmp_path)
    entered(store, 6)
    tamper(store, statement)
    report = verified(store)
    assert (report.gaps, report.first, report.changed, report.unlinked) == (gaps, first, (), ())


def test_entries_before_the_first_are_found(tmp_path: Path) -> None:
    store = Store.in_home(tmp_path)
    entered(store, 2)
    columns = ", ".join(f'"{column.name}"' for column in table.c)
    values = columns.replace('"number"', "0").replace('"previous"', "'p'").replace('"hash"', "'h'")
    tamper(store, f"INSERT INTO audit ({columns}) SELECT {values} FROM audit WHERE number = 1")
    report = verified(store)
    assert (report.first, report.unlinked, report.changed, report.entries) == (0, (0,), (0,), 3)


def test_two_entries_that_changed_places_are_found(tmp_path: Path) -> None:
    store = Store.in_home(tmp_path)
    entered(store, 4)
    tamper(
        store,
        "UPDATE audit SET number = 99 WHERE number = 2",
        "UPDATE audit SET number = 2 WHERE number = 3",
        "UPDATE audit SET number = 3 WHERE number = 99",
    )
    report = verified(store)
    assert (report.first, report.changed, report.unlinked) == (2, (2, 3), (2, 3, 4))


def test_all_faults_are_counted_and_some_are_listed(tmp_path: Path) -> None:
    store = Store.in_home(tmp_path)
    entered(store, 250)
    tamper(store, "UPDATE audit SET error = 'x'")
    report = verified(store)
    assert (len(report.changed), report.faults, report.first) == (100, 250, 1)


def test_a_trail_that_was_cut_at_its_end_holds_in_itself_and_no_longer_knows_a_hash(store: Store) -> None:
    hashes = entered(store, 5)
    tamper(store, "DELETE FROM audit WHERE number > 3")
    assert verified(store).ok
    with store.reading() as connection:
        known = audit_chain.numbers(connection, [*hashes, BEGINNING])
    assert known == {BEGINNING: 0, hashes[0]: 1, hashes[1]: 2, hashes[2]: 3}


def test_verifying_takes_no_more_memory_for_a_longer_trail(tmp_path: Path) -> None:
    store = Store.in_home(tmp_path)

    def peak() -> int:
        tracemalloc.start()
        assert verified(store).ok
        _now, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    entered(store, 1100)
    peak()
    short = peak()
    entered(store, 2200)
    assert peak() < short * 1.5


def test_an_entry_has_every_column_of_the_table() -> None:
    assert {field.name for field in attrs.fields(AuditRecord)} == set(table.c.keys())
