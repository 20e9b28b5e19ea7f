"""Who may do what: everybody, every operation, whosever thing it is, against a table that is written out here."""

import logging
from pathlib import Path

import pytest
import sqlalchemy as sa

from tailrace.model.audit import AuditFilter, AuditRecord
from tailrace.model.errors import NotAllowedError
from tailrace.model.job import User
from tailrace.store import audit
from tailrace.store.database import Store
from tailrace.store.tables import facts
from tailrace.work.access import ALLOWED, Access, Operation, Role, decide, role_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "access.md"

USERS = {
    "nobody": None,
    "creator": User("ada", address="192.0.2.7", agent="a browser"),
    "other": User("bob"),
    "admin": User("cy", is_admin=True),
    # Was one yesterday, and says no more that it is one.
    "former admin": User("cy"),
}
THINGS = {
    # whose: owner, whether it is public
    "own": ("ada", False),
    "foreign": ("dan", False),
    "public": ("dan", True),
}
EVERYBODY = {"creator", "other", "admin", "former admin"}
"""Who says who they are."""
EXPECTED = """
operation                | own            | foreign   | public
export                   | everybody      | everybody | everybody
job.submit               | everybody      | everybody | everybody
job.list                 | everybody      | everybody | everybody
job.list-all             | admin          | admin     | admin
job.show                 | creator, admin | admin     | admin
job.cancel               | creator, admin | admin     | admin
job.retry                | creator, admin | admin     | admin
job.resend               | creator, admin | admin     | admin
job.remove               | creator, admin | admin     | admin
job.pin                  | creator, admin | admin     | admin
job.unpin                | creator, admin | admin     | admin
file.download            | creator, admin | admin     | admin
link.mint                | creator, admin | admin     | admin
template.save            | everybody      | everybody | everybody
template.list            | everybody      | everybody | everybody
template.list-all        | admin          | admin     | admin
template.show            | creator, admin | admin     | everybody
template.use             | creator, admin | admin     | everybody
template.edit            | creator, admin | admin     | admin
template.delete          | creator, admin | admin     | admin
schedule.save            | everybody      | everybody | everybody
schedule.list            | everybody      | everybody | everybody
schedule.list-all        | admin          | admin     | admin
schedule.show            | creator, admin | admin     | admin
schedule.edit            | creator, admin | admin     | admin
schedule.pause           | creator, admin | admin     | admin
schedule.resume          | creator, admin | admin     | admin
schedule.run             | creator, admin | admin     | admin
schedule.test            | creator, admin | admin     | admin
schedule.remove          | creator, admin | admin     | admin
notification.list        | everybody      | everybody | everybody
notification.read        | everybody      | everybody | everybody
notification.preferences | everybody      | everybody | everybody
notification.prefer      | everybody      | everybody | everybody
audit.list               | everybody      | everybody | everybody
audit.list-all           | admin          | admin     | admin
audit.verify             | admin          | admin     | admin
audit.export             | admin          | admin     | admin
retention.show           | admin          | admin     | admin
retention.apply          | admin          | admin     | admin
recipient.list           | admin          | admin     | admin
recipient.allow          | admin          | admin     | admin
worker.list              | admin          | admin     | admin
worker.run               | everybody      | everybody | everybody
store.upgrade            | everybody      | everybody | everybody
"""


def expected() -> dict[tuple[str, str], set[str]]:
    """Who may, by operation and by whose thing it is."""
    heading, *lines = [[cell.strip() for cell in line.split("|")] for line in EXPECTED.strip().splitlines()]
    return {
        (line[0], whose): EVERYBODY if cell == "everybody" else {person.strip() for person in cell.split(",")}
        for line in lines
        for whose, cell in zip(heading[1:], line[1:], strict=True)
    }


def entries(store: Store) -> list[AuditRecord]:
    """Oldest first."""
    with store.reading() as connection:
        return audit.listing(connection, AuditFilter(), limit=10_000)[::-1]


def test_everybody_may_do_exactly_what_the_table_says_and_every_refusal_is_audited(tmp_path: Path) -> None:
    store = Store.in_home(tmp_path)
    access = Access(store)
    allowed: dict[tuple[str, str], set[str]] = {}
    refused = []
    for operation in Operation:
        for whose, (owner, public) in THINGS.items():
            allowed[operation.value, whose] = set()
            for person, user in USERS.items():
                try:
                    access.require(operation, user, owner=owner, public=public, thing=whose, job="1")
                except NotAllowedError as error:
                    refused.append((user.id if user else "", operation.value, "refused", whose, "1", error.hint))
                else:
                    allowed[operation.value, whose].add(person)
    assert allowed == expected()
    found = [(one.user, one.operation, one.outcome, one.thing, one.job, one.error) for one in entries(store)]
    assert found == refused
    assert len(refused) > 200


def test_every_operation_is_in_the_table_of_the_code() -> None:
    assert set(ALLOWED) == set(Operation)
    assert all(Role.ADMIN in roles and Role.NOBODY not in roles for roles in ALLOWED.values())
    assert all(len(operation.value) <= 40 and operation.words for operation in Operation)


def test_the_page_says_what_the_code_does() -> None:
    lines = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `")
    ]
    roles = (Role.CREATOR, Role.OTHER, Role.OTHER_OF_PUBLIC, Role.ADMIN, Role.NOBODY)
    told = [
        [operation.value, operation.words, *("yes" if role in ALLOWED[operation] else "" for role in roles)]
        for operation in Operation
    ]
    assert lines == told


@pytest.mark.parametrize(
    ("user", "owner", "public", "role"),
    [
        (None, None, False, Role.NOBODY),
        (None, "", False, Role.NOBODY),
        (User(""), "", False, Role.NOBODY),
        (User("", is_admin=True), "ada", True, Role.NOBODY),
        (User("ada"), "ada", True, Role.CREATOR),
        (User("ada"), "Ada", False, Role.OTHER),
        (User("ada"), "ada ", False, Role.OTHER),
        (User("ada"), None, False, Role.OTHER),
        (User("ada"), None, True, Role.OTHER_OF_PUBLIC),
        (User("cy", is_admin=True), "ada", False, Role.ADMIN),
        (User("cy", is_admin=True), "cy", False, Role.ADMIN),
    ],
)
def test_roles(user: User | None, owner: str | None, public: bool, role: Role) -> None:  # noqa: FBT001 - a parameter
    assert role_of(user, owner=owner, public=public) is role


def test_a_job_that_is_not_there_is_nobodys() -> None:
    assert not decide(Operation.JOB_SHOW, USERS["creator"]).allowed
    assert decide(Operation.JOB_SHOW, USERS["admin"]).allowed


def test_a_refusal_says_who_may_and_is_kept_when_the_caller_rolls_back(store: Store) -> None:
    access = Access(store)

    def work() -> None:
        with store.writing() as connection:
            connection.execute(sa.insert(facts).values(name="n", moment=store.now(connection), value="v"))
        access.require(Operation.FILE_DOWNLOAD, USERS["creator"], owner="dan", job="j1")

    with pytest.raises(NotAllowedError) as caught:
        work()
    assert caught.value.message == "ada may not get a file of a job (job j1)."
    assert caught.value.hint == "Only who created it, and admins, may."
    assert caught.value.exit_code == 3
    (entry,) = entries(store)
    assert (entry.user, entry.address, entry.agent) == ("ada", "192.0.2.7", "a browser")
    assert (entry.operation, entry.outcome, entry.job) == ("file.download", "refused", "j1")


@pytest.mark.postgres
def test_a_refusal_is_kept_even_from_within_a_transaction_that_is_rolled_back(postgres_uri: str) -> None:
    store = Store(postgres_uri)
    store.upgrade()

    def work() -> None:
        with store.writing() as connection:
            connection.execute(sa.insert(facts).values(name="n", moment=store.now(connection), value="v"))
            Access(store).require(Operation.JOB_CANCEL, USERS["other"], owner="ada", job="j1")

    with pytest.raises(NotAllowedError):
        work()
    assert [entry.operation for entry in entries(store)] == ["job.cancel"]
    with store.reading() as connection:
        assert connection.execute(sa.select(facts)).first() is None
    store.close()


def test_it_stays_refused_when_that_cannot_be_written_down(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Store.in_home(tmp_path).upgrade()
    store = Store(f"sqlite:///{tmp_path}/tailrace.db", busy_seconds=0.1)
    with (
        caplog.at_level(logging.ERROR),
        Store.in_home(tmp_path).writing(),
        pytest.raises(NotAllowedError, match="bob may not stop a job"),
    ):
        Access(store).require(Operation.JOB_CANCEL, USERS["other"], owner="ada", job="j1")
    assert entries(store) == []
    assert "job.cancel was refused to 'bob', and that could not be written down" in caplog.text


def test_names_in_a_refusal_cannot_command_a_terminal(tmp_path: Path) -> None:
    access = Access(Store.in_home(tmp_path))
    with pytest.raises(NotAllowedError) as caught:
        access.require(Operation.TEMPLATE_EDIT, User("b\x1b[2Job\n"), owner="ada", thing="template \u202ex")
    assert caught.value.message == r"b\x1b[2Job\n may not change a template, or who may use it (template \u202ex)."
