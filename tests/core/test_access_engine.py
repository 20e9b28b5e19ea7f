"""Who may do what, asked through the engine: everybody, every operation, whatever became of the thing, against a table.

A new operation fails here until it has a way to be done and a line in the table.
"""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import sqlalchemy as sa
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, PostSink, memory_table

from tailrace import (
    Engine,
    ExportRequest,
    NotAllowedError,
    RequestError,
    SinkRequest,
    UnknownNameError,
    User,
)
from tailrace.model.audit import AuditFilter, AuditRecord
from tailrace.model.schedule import ScheduleDraft, ScheduleRules
from tailrace.model.timing import Timing
from tailrace.settings import RetentionSettings, Settings
from tailrace.store import audit, deliveries, users
from tailrace.vault.link_tokens import LinkClaim
from tailrace.work.access import Operation

ADA, DAN, CY = User("ada"), User("dan"), User("cy", is_admin=True)
PEOPLE: Final = {
    "nobody": User(""),
    "nameless admin": User("", is_admin=True),
    "creator": ADA,
    "other": User("bob"),
    "admin": CY,
    # Was one yesterday, which the store remembers, and says no more that it is one.
    "former admin": User("cy"),
}
EVERYBODY: Final = ("creator", "other", "admin", "former admin")
"""Who says who they are."""
EXPECTED: Final = """
operation                | own            | foreign | public    | deleted | expired                    | unknown
export                   | everybody      |         |           |         |                            |
job.submit               | everybody      |         |           |         |                            |
job.list                 | everybody      |         |           |         |                            |
job.list-all             | admin          |         |           |         |                            |
job.show                 | creator, admin | admin   |           | unknown | creator, admin             | unknown
job.cancel               | creator, admin | admin   |           | unknown | impossible: creator, admin | unknown
job.retry                | creator, admin | admin   |           | unknown | impossible: creator, admin | unknown
job.resend               | creator, admin | admin   |           | unknown | impossible: creator, admin | unknown
job.remove               | creator, admin | admin   |           | unknown | creator, admin             | unknown
job.pin                  | creator, admin | admin   |           | unknown | impossible: creator, admin | unknown
job.unpin                | creator, admin | admin   |           | unknown | impossible: creator, admin | unknown
file.download            | creator, admin | admin   |           | unknown | impossible: creator, admin | unknown
link.mint                | creator, admin | admin   |           | unknown | impossible: creator, admin | unknown
template.save            | everybody      |         |           |         |                            |
template.list            | everybody      |         |           |         |                            |
template.list-all        | admin          |         |           |         |                            |
template.show            | creator, admin | admin   | everybody | unknown |                            | unknown
template.use             | creator, admin | admin   | everybody | unknown |                            | unknown
template.edit            | creator, admin | admin   | admin     | unknown |                            | unknown
template.delete          | creator, admin | admin   | admin     | unknown |                            | unknown
schedule.save            | everybody      |         |           |         |                            |
schedule.list            | everybody      |         |           |         |                            |
schedule.list-all        | admin          |         |           |         |                            |
schedule.show            | creator, admin | admin   |           | unknown |                            | unknown
schedule.edit            | creator, admin | admin   |           | unknown |                            | unknown
schedule.pause           | creator, admin | admin   |           | unknown |                            | unknown
schedule.resume          | creator, admin | admin   |           | unknown |                            | unknown
schedule.run             | creator, admin | admin   |           | unknown |                            | unknown
schedule.test            | creator, admin | admin   |           | unknown |                            | unknown
schedule.remove          | creator, admin | admin   |           | unknown |                            | unknown
notification.list        | everybody      |         |           |         |                            |
notification.read        | everybody      |         |           |         |                            |
notification.preferences | everybody      |         |           |         |                            |
notification.prefer      | everybody      |         |           |         |                            |
audit.list               | everybody      |         |           |         |                            |
audit.list-all           | admin          |         |           |         |                            |
audit.verify             | admin          |         |           |         |                            |
audit.export             | admin          |         |           |         |                            |
retention.show           | admin          |         |           |         |                            |
retention.apply          | admin          |         |           |         |                            |
recipient.list           | admin          |         |           |         |                            |
recipient.allow          | admin          |         |           |         |                            |
worker.list              | anybody        |         |           |         |                            |
worker.run               | anybody        |         |           |         |                            |
store.upgrade            | everybody      |         |           |         |                            |
"""
"""Who may, by what became of the thing; all others are refused. Who finds it impossible does not lack the right.

Blank is what cannot be: nothing that belongs to someone; templates and schedules, which neither are jobs nor expire;
schedules, which nobody makes public.
"""
TABLES: Final = ("jobs", "artifacts", "templates", "schedules")
YEARLY: Final = Timing(cron="0 0 1 1 *", start=datetime(2026, 1, 1, tzinfo=UTC))
CONSUMED: Final = {
    Operation.JOB_CANCEL,
    Operation.JOB_RETRY,
    Operation.JOB_RESEND,
    Operation.JOB_REMOVE,
    Operation.TEMPLATE_DELETE,
    Operation.SCHEDULE_REMOVE,
}
"""Done once, they cannot be done to the same thing again."""
UNAUDITED: Final = {Operation.STORE_UPGRADE}
"""Where there may be no trail yet to which a refusal could be added."""


@attrs.frozen
class House:
    """An engine, and things of everybody.

    Args:
        engine: The engine.
        folder: Where exports go.
        expired: Jobs of Ada's whose files were removed by retention.
        numbers: Makes names of templates, and of files.
    """

    engine: Engine
    folder: Path
    expired: list[str] = attrs.field(factory=list)
    numbers: "itertools.count[int]" = attrs.field(factory=itertools.count)

    def request(self, **changes: Any) -> ExportRequest:
        sink = SinkRequest("folder", str(self.folder), options={"name": f"file-{next(self.numbers)}"})
        return attrs.evolve(ExportRequest("memory", "", "lines", sinks=(sink,), compress=False), **changes)

    def exported(self, owner: User) -> str:
        # What lies in its folder is not put there again, so that there is something to send again.
        request = self.request()
        sinks = (*request.sinks, SinkRequest("post", "somebody"))
        return self.engine.export(attrs.evolve(request, sinks=sinks), user=owner).export_id

    def submitted(self, owner: User) -> str:
        return self.engine.submit(self.request(), user=owner).id

    def template(self, owner: User, *, public: bool = False) -> str:
        saved = self.engine.templates.save(f"t{next(self.numbers)}", self.request(), user=owner, public=public)
        return f"{owner.id}/{saved.name}"

    def schedule(self, owner: User) -> str:
        draft = ScheduleDraft(self.template(owner).partition("/")[2], YEARLY)
        return self.engine.schedules.add(f"s{next(self.numbers)}", draft, user=owner).label

    def remember(self, user: User) -> None:
        """Have the store know whether somebody is an admin."""
        with self.engine.store.writing() as connection:
            users.note(connection, user, now=self.engine.store.now(connection))

    def newest(self) -> int:
        """Number of the newest entry of the trail."""
        with self.engine.store.reading() as connection:
            return audit.head(connection)[0]

    def entries(self, behind: int) -> list[AuditRecord]:
        """Those with a higher number."""
        with self.engine.store.reading() as connection:
            newest = audit.listing(connection, AuditFilter(), limit=3)
        return [entry for entry in newest if entry.number > behind]

    def state(self) -> object:
        """All jobs, files and templates, as the store has them."""
        with self.engine.store.reading() as connection:
            # As they lie there: a thousand looks at all of it would take long otherwise.
            rows = [connection.execute(sa.text(f"SELECT * FROM {table} ORDER BY id")) for table in TABLES]
            return [list(map(tuple, found)) for found in rows]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    # In memory, where that is a folder: a thousand small transactions, each of which would wait for the disk.
    shm = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="tailrace-", dir=shm if shm.is_dir() else tmp_path_factory.mktemp("house")))
    source = MemorySource([memory_table("rows", {"word": ["pump"]})])
    plugins = [("memory", source), ("lines", LinesFormat()), ("folder", FolderSink()), ("post", PostSink())]
    engine = Engine(Settings(home=folder / "home", user="ada"), plugins=plugins, discover=False)
    house = House(engine, folder / "out")
    house.expired.extend(house.exported(ADA) for _ in range(3))
    assert len(engine.retention.apply(CY, rules=RetentionSettings(days=1e-9)).removed) == len(house.expired)
    # There is something to hide in every list.
    house.exported(DAN)
    house.template(DAN)
    yield house
    engine.store.close()
    shutil.rmtree(folder)


Way = Callable[[House, User, str], object]


def download(house: House, user: User, job: str) -> None:
    with house.engine.jobs.download(job, user) as (_file, stream):
        assert stream.read() == b'{"word":"pump"}\n'


def download_by_link(house: House, user: User, job: str) -> None:
    token = house.engine.links.tokens.write(LinkClaim(job, 1, user.id, datetime.now(UTC) + timedelta(minutes=1)))
    with house.engine.links.open(token, is_admin=user.is_admin) as (_file, stream):
        assert stream.read() == b'{"word":"pump"}\n'


def allow(house: House, user: User, _thing: str) -> None:
    with house.engine.store.writing() as connection:
        deliveries.refuse(connection, "email:lee", "Moved away.", now=house.engine.store.now(connection))
    house.engine.jobs.allow("email:lee", user)


def follow(house: House, user: User, job: str) -> None:
    next(house.engine.jobs.wait(job, user))


def list_all_templates(house: House, user: User, _thing: str) -> None:
    # One and the same list: who is no admin gets less of it, and is not refused.
    if {template.owner for template in house.engine.templates.list(user)} <= {user.id}:
        raise Less


def make_schedule(house: House, user: User, _thing: str) -> None:
    name = house.template(user).partition("/")[2] if user.id else "any"
    house.engine.schedules.add(f"s{next(house.numbers)}", ScheduleDraft(name, YEARLY), user=user)


def edit_schedule(house: House, user: User, name: str) -> None:
    # Whose template it has stays: also an admin makes it deliver nothing that its owner may not.
    rules = ScheduleRules(jitter=float(next(house.numbers)))
    house.engine.schedules.edit(name, user, lambda draft: attrs.evolve(draft, rules=rules))


def try_schedule(house: House, user: User, name: str) -> None:
    house.engine.test_schedule(name, sinks=house.request().sinks, user=user)


def run_worker(house: House, _user: User, _thing: str) -> None:
    worker = house.engine.worker()
    worker.stop()
    worker.run()


class Less(Exception):  # noqa: N818 - not an error
    """Only what is one's own was shown."""


WAYS: Final[Mapping[Operation, tuple[Way, ...]]] = {
    Operation.EXPORT: (lambda house, user, _: house.engine.export(house.request(), user=user),),
    Operation.JOB_SUBMIT: (lambda house, user, _: house.engine.submit(house.request(), user=user),),
    Operation.JOB_LIST_OWN: (lambda house, user, _: house.engine.jobs.list(user),),
    Operation.JOB_LIST_ALL: (lambda house, user, _: house.engine.jobs.list(user, everybody=True),),
    Operation.JOB_SHOW: (
        lambda house, user, job: house.engine.jobs.show(job, user),
        lambda house, user, job: house.engine.jobs.attempts(job, user),
        lambda house, user, job: house.engine.jobs.files(job, user),
        follow,
    ),
    Operation.JOB_CANCEL: (lambda house, user, job: house.engine.jobs.cancel(job, user),),
    Operation.JOB_RETRY: (lambda house, user, job: house.engine.jobs.retry(job, user),),
    Operation.JOB_RESEND: (lambda house, user, job: house.engine.jobs.resend(job, user),),
    Operation.JOB_REMOVE: (lambda house, user, job: house.engine.jobs.remove(job, user),),
    Operation.JOB_PIN: (
        lambda house, user, job: house.engine.jobs.pin(job, user),
        lambda house, user, job: house.engine.retention.set_pinned(job, user, pinned=True),
    ),
    Operation.JOB_UNPIN: (
        lambda house, user, job: house.engine.jobs.pin(job, user, pinned=False),
        lambda house, user, job: house.engine.retention.set_pinned(job, user, pinned=False),
    ),
    Operation.FILE_DOWNLOAD: (download, download_by_link),
    Operation.LINK_MINT: (lambda house, user, job: house.engine.links.mint(job, user),),
    Operation.TEMPLATE_SAVE: (
        lambda house, user, _: house.engine.templates.save(f"t{next(house.numbers)}", house.request(), user=user),
    ),
    Operation.TEMPLATE_LIST: (lambda house, user, _: house.engine.templates.list(attrs.evolve(user, is_admin=False)),),
    Operation.TEMPLATE_LIST_ALL: (list_all_templates,),
    Operation.TEMPLATE_SHOW: (lambda house, user, name: house.engine.templates.show(name, user),),
    Operation.TEMPLATE_USE: (lambda house, user, name: house.engine.templates.request(name, user),),
    Operation.TEMPLATE_EDIT: (
        lambda house, user, name: house.engine.templates.edit(name, user, description="For the night."),
        lambda house, user, name: house.engine.templates.edit(name, user, request=house.request()),
    ),
    Operation.TEMPLATE_DELETE: (lambda house, user, name: house.engine.templates.delete(name, user),),
    Operation.SCHEDULE_SAVE: (make_schedule,),
    Operation.SCHEDULE_LIST: (lambda house, user, _: house.engine.schedules.list(user),),
    Operation.SCHEDULE_LIST_ALL: (lambda house, user, _: house.engine.schedules.list(user, everybody=True),),
    Operation.SCHEDULE_SHOW: (
        lambda house, user, name: house.engine.schedules.show(name, user),
        lambda house, user, name: house.engine.schedules.next(name, user),
        lambda house, user, name: house.engine.schedules.history(name, user),
    ),
    Operation.SCHEDULE_EDIT: (edit_schedule,),
    Operation.SCHEDULE_PAUSE: (lambda house, user, name: house.engine.schedules.pause(name, user),),
    Operation.SCHEDULE_RESUME: (lambda house, user, name: house.engine.schedules.resume(name, user),),
    Operation.SCHEDULE_RUN: (lambda house, user, name: house.engine.schedules.run_now(name, user),),
    Operation.SCHEDULE_TEST: (try_schedule,),
    Operation.SCHEDULE_REMOVE: (lambda house, user, name: house.engine.schedules.remove(name, user),),
    Operation.NOTIFICATION_LIST: (lambda house, user, _: house.engine.jobs.notifications(user),),
    Operation.NOTIFICATION_READ: (lambda house, user, _: house.engine.jobs.mark_read(user, [1]),),
    Operation.NOTIFICATION_PREFERENCES: (lambda house, user, _: house.engine.preferences.show(user),),
    Operation.NOTIFICATION_PREFER: (lambda house, user, _: house.engine.preferences.set(user, None),),
    Operation.AUDIT_LIST_OWN: (lambda house, user, _: house.engine.audit.list(user, AuditFilter(user=user.id)),),
    Operation.AUDIT_LIST_ALL: (
        lambda house, user, _: house.engine.audit.list(user),
        lambda house, user, _: house.engine.audit.list(user, AuditFilter(user="dan")),
    ),
    Operation.AUDIT_VERIFY: (lambda house, user, _: house.engine.audit.verify(user),),
    Operation.AUDIT_EXPORT: (
        lambda house, user, _: house.engine.export_audit(house.request(source="audit", location="store"), user=user),
    ),
    Operation.RETENTION_SHOW: (
        lambda house, user, _: house.engine.retention.show(user),
        lambda house, user, _: house.engine.retention.plan(user),
    ),
    Operation.RETENTION_APPLY: (lambda house, user, _: house.engine.retention.apply(user),),
    Operation.RECIPIENT_LIST: (lambda house, user, _: house.engine.jobs.unwanted(user),),
    Operation.RECIPIENT_ALLOW: (allow,),
    # These two ask nobody who they are: what they tell is how many, and who gets to run one has the store anyway.
    Operation.WORKER_LIST: (
        lambda house, _user, _: (house.engine.jobs.workers_alive(), house.engine.jobs.unfinished()),
    ),
    Operation.WORKER_RUN: (run_worker,),
    Operation.STORE_UPGRADE: (lambda house, user, _: house.engine.upgrade_store(user),),
}
"""How each is done to a thing, which is the id of a job, or the name of a template; several ways where there are."""


def expected() -> dict[str, dict[str, dict[str, str]]]:
    """What comes of it, by operation, by what became of the thing, and by person."""
    heading, *lines = [[cell.strip() for cell in line.split("|")] for line in EXPECTED.strip().splitlines()]
    return {
        line[0]: {fate: outcomes(cell) for fate, cell in zip(heading[1:], line[1:], strict=True) if cell}
        for line in lines
    }


def outcomes(cell: str) -> dict[str, str]:
    """What comes of it by person, from a cell of the table."""
    if cell == "unknown":
        return dict.fromkeys(PEOPLE, "unknown")
    outcome, _, names = cell.rpartition(": ")
    meant = {"everybody": EVERYBODY, "anybody": tuple(PEOPLE)}.get(names) or names.split(", ")
    return dict.fromkeys(PEOPLE, "refused") | dict.fromkeys(meant, outcome or "ok")


EXPECTED_OUTCOMES: Final = expected()


def thing(house: House, operation: Operation, fate: str) -> str:
    """A thing to which that can be done, had it not become of it what did."""
    owner = DAN if fate in {"foreign", "public"} else ADA
    if operation.startswith("schedule."):
        schedule = house.schedule(owner)
        if fate == "deleted":
            house.engine.schedules.remove(schedule, owner)
        return f"{owner.id}/none" if fate == "unknown" else schedule
    if operation.startswith("template."):
        name = house.template(owner, public=fate == "public")
        if fate == "deleted":
            house.engine.templates.delete(name, owner)
        return f"{owner.id}/none" if fate == "unknown" else name
    if fate == "unknown":
        return "00000000-0000-4000-8000-000000000000"
    if fate == "expired":
        return house.expired[-1]
    if operation in {Operation.JOB_CANCEL, Operation.JOB_RETRY} or fate == "deleted":
        job = house.submitted(owner)
        if operation is not Operation.JOB_CANCEL or fate == "deleted":
            house.engine.jobs.cancel(job, owner)
        if fate == "deleted":
            house.engine.jobs.remove(job, owner)
        return job
    return house.exported(owner)


def outcome(do: Way, house: House, user: User, what: str) -> str:
    try:
        do(house, user, what)
    except (NotAllowedError, Less) as error:
        return "refused" if isinstance(error, NotAllowedError) else "less"
    except UnknownNameError:
        return "unknown"
    except RequestError:
        return "impossible"
    return "ok"


def test_every_operation_has_a_way_and_a_line_in_the_table() -> None:
    assert set(WAYS) == set(Operation)
    assert set(EXPECTED_OUTCOMES) == set(Operation)


@pytest.mark.parametrize("operation", Operation, ids=str)
def test_everybody_gets_what_the_table_says_and_every_refusal_is_audited(house: House, operation: Operation) -> None:
    for fate, by_person in EXPECTED_OUTCOMES[operation].items():
        # What became of a thing is found out in one place, whatever the way.
        for do in WAYS[operation] if fate in {"own", "foreign"} else WAYS[operation][:1]:
            what = thing(house, operation, fate) if len(EXPECTED_OUTCOMES[operation]) > 1 else ""
            found = {}
            for person, user in PEOPLE.items():
                if person == "former admin":
                    house.remember(CY)
                newest, state = house.newest(), None if by_person[person] == "ok" else house.state()
                found[person] = outcome(do, house, user, what)
                new = house.entries(newest)
                if found[person] != "ok":
                    assert house.state() == state
                    check_entries(operation, user, what, new, refused=found[person] == "refused")
                elif operation in CONSUMED:
                    if fate == "expired":
                        house.expired.pop()
                    what = thing(house, operation, fate)
            if operation is Operation.TEMPLATE_LIST_ALL:
                found = {person: "refused" if result == "less" else result for person, result in found.items()}
            assert found == by_person, (fate, what)


def check_entries(operation: Operation, user: User, what: str, new: Sequence[AuditRecord], *, refused: bool) -> None:
    """See that a refusal has its entry, and says who was refused what; and that nothing else has one."""
    asked = operation
    if operation is Operation.TEMPLATE_LIST_ALL and not user.is_admin:
        asked = Operation.TEMPLATE_LIST
    if refused and operation not in UNAUDITED:
        (entry,) = new
        assert (entry.user, entry.operation, entry.outcome) == (user.id, asked.value, "refused")
        assert what in {entry.job, entry.thing} if what else entry.job is None
    else:
        assert [entry for entry in new if entry.outcome == "refused"] == []
