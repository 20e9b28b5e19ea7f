"""What tests of several folders need: plugins made for the occasion, and a PostgreSQL database."""

import importlib
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tailrace.store.database import Store

LONG = (
    # Each is a second case (another database, zone, seed, format or size) of what continuous integration runs once, or
    # the long form of it: a year rather than a minute, twenty thousand claims rather than a hundred kills.
    "test_schedules_year.py::test_in_a_year_of_kills_and_set_clocks_each_slot_has_exactly_one_job",
    "test_schedules_at_work.py::test_every_slot_has_one_file_though_a_worker_is_killed[postgresql",
    "test_schedules_at_work.py::test_slots_are_entered_within_a_second_while_two_workers_are_busy[postgresql",
    "test_killed_workers.py::test_a_hundred_kills_lose_and_double_nothing[sqlite",
    "test_killed_workers.py::test_four_processes_make_twenty_thousand_claims_without_overlap",
    "test_worker_processes.py::test_a_process_apart_ends_with_its_worker[hang_once",
    "test_worker_processes.py::test_a_worker_that_is_stopped_past_its_lease_publishes_nothing_when_it_goes_on[always",
    "test_delivery_faults.py::test_of_a_thousand_deliveries_each_arrives_and_none_is_sent_again_that_was_acknowledged[random",
    "test_job_fault_points.py::test_at_every_call_a_fault_leaves_a_job_with_its_whole_file_or_without_any[here",
    "test_publish_faults.py::test_at_every_call_a_fault_leaves_nothing_the_old_or_the_new[csv, nothing",
    "test_publish_faults.py::test_at_every_call_a_fault_leaves_nothing_the_old_or_the_new[lines, nothing",
    "test_publish_faults.py::test_at_every_call_a_fault_leaves_nothing_the_old_or_the_new[excel, nothing",
    "test_firing.py::test_whoever_dies_between_entering_and_committing_has_done_nothing[sqlite",
    "test_firing.py::test_more_than_a_hundred_that_wait_for_their_jobs_keep_nobody_from_its_turn[sqlite",
    *(
        f"test_timing_oracle.py::test_cron_fires_at_the_minutes_that_a_scan_of_two_years_finds[{zone}"
        for zone in ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Pacific")
    ),
    *(f"test_excel_hostile.py::test_mutants_are_read_or_refused[{seed}" for seed in range(1, 6)),
    "test_excel_hostile.py::test_a_hundred_thousand_members_that_the_end_does_not_count",
    "test_format_excel.py::test_texts_of_a_column_with_too_many_different_ones_stay_in_their_cells",
    "test_format_excel.py::test_the_widest_table_fits",
    "test_format_excel.py::test_so_do_numbers_and_times_that_have_become_texts",
    "test_pool_mutants.py::test_mutants_do_no_harm_from_disk_either",
    "test_cli_demo.py::test_a_folder_may_have_a_name_that_urls_would_misread",
    "::test_huge_data_is_read_in_bounded_memory",
    "::test_an_estimate_does_not_read_everything",
    *(
        f"test_conformance_sources.py::Test{name}::test_{test}"
        for name in ("FileStorage", "ParquetLog", "SqliteLog")
        for test in ("importing_it_", "the_same_data_gives_the_same_to_another_process", "an_export_that_is_to_stop_")
    ),
    *(
        f"test_mutants_sources.py::test_the_mutant_is_found_and_the_real_source_passes[{name}"
        for name in ("HearsNobody", "KeepsEverythingInMemory")
    ),
    *(
        f"test_conformance_formats.py::Test{name}::test_memory_has_a_ceiling"
        for name in ("Excel", "Html", "Json", "Pdf")
    ),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(part in item.nodeid for part in LONG):
            item.add_marker(pytest.mark.long)


FORMAT = """
import attrs
from tailrace import FileLayout, hookimpl, option

@attrs.frozen
class Options:
    loud: bool = option(default=False, help="Write in capitals.")

class Words:
    summary = "One word per line."
    options_type = Options

    def layout(self, options):
        return FileLayout("txt", "text/plain")

    def write(self, call):
        for table in call.tables:
            for (word,) in table.frame.collect().select("word").rows():
                call.output.write(f"{word.upper() if call.options.loud else word}\\n".encode())

    def count_rows(self, call):
        return {call.tables[0]: sum(block.count(b"\\n") for block in call.blocks)}

@hookimpl
def tailrace_format():
    return Words()
"""
"""A format that works."""

Distribute = Callable[..., Path]


@pytest.fixture
def distribute(tmp_path: Path) -> Distribute:
    """Makes a distribution in a folder, as an installer would, and returns the folder."""

    def make(
        name: str,
        *,
        plugins: Mapping[str, Mapping[str, str]],
        modules: Mapping[str, str] | None = None,
        version: str = "1.0",
        metadata: bool = True,
        folder: Path | None = None,
    ) -> Path:
        """Make it.

        Args:
            name: Name of the distribution.
            plugins: Targets by public name, by kind: ``{"format": {"words": "words_format"}}``.
            modules: Source code by name of module.
            version: Its version.
            metadata: Whether there is a METADATA file.
            folder: Where to make it.
        """
        folder = folder or tmp_path / "site"
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        if metadata:
            (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n")
        groups = [
            "\n".join([f"[tailrace.{kind}s]", *(f"{public} = {target}" for public, target in targets.items())])
            for kind, targets in plugins.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(groups))
        for module, code in (modules or {}).items():
            (folder / f"{module}.py").write_text(code)
        return folder

    return make


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Puts a folder on the import path; forgets afterwards what was imported from it."""
    folders: list[str] = []

    def add(folder: Path) -> None:
        folders.append(str(folder))
        monkeypatch.syspath_prepend(folder)

    yield add
    for name, module in list(sys.modules.items()):
        if any(str(getattr(module, "__file__", "")).startswith(folder) for folder in folders):
            del sys.modules[name]
    importlib.invalidate_caches()


POSTGRES = "postgresql://postgres@127.0.0.1:5432"


@contextmanager
def postgres_database(template: str = "template0") -> Iterator[str]:
    """The name of a database, made of another one, that goes away again.

    Without a server the test is skipped, but fails where ``CI`` or ``REQUIRE_POSTGRES`` is set.
    """
    import psycopg

    name = f"tailrace_{uuid.uuid4().hex}"
    try:
        server = psycopg.connect(f"{POSTGRES}/test?connect_timeout=5", autocommit=True)
    except psycopg.OperationalError as error:
        message = f"there is no PostgreSQL server: {error}"
        if os.environ.get("CI") or os.environ.get("REQUIRE_POSTGRES"):
            pytest.fail(message)
        pytest.skip(message)
    with server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8'")
        # No test pulls the plug of the server, so that none has to wait for its disk.
        server.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        try:
            yield name
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_uri() -> Iterator[str]:
    """An empty PostgreSQL database; mark tests that use it with ``postgres``."""
    with postgres_database() as name:
        yield f"{POSTGRES}/{name}"


@pytest.fixture(scope="session")
def postgres_with_tables() -> Iterator[str]:
    """The name of a PostgreSQL database with the tables of a store: to copy it is quicker than to make them anew."""
    from tailrace.store.database import Store

    with postgres_database() as name:
        store = Store(f"{POSTGRES}/{name}")
        store.upgrade()
        store.close()
        yield name


@pytest.fixture
def postgres_store_url(postgres_with_tables: str) -> Iterator[str]:
    """The URL of a store on PostgreSQL that has its tables and nothing in them."""
    with postgres_database(postgres_with_tables) as name:
        yield f"{POSTGRES}/{name}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store, on either database."""
    if request.param == "postgresql":
        server: str = request.getfixturevalue("postgres_store_url")
        return server
    return f"sqlite:///{tmp_path}/home/store.db"


@pytest.fixture
def store(store_url: str) -> "Iterator[Store]":
    """A store with its tables, on either database."""
    from tailrace.store.database import Store

    store = Store(store_url)
    store.upgrade()
    yield store
    store.close()
