from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
import sqlalchemy as sa
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

from tailrace.model.audit import AuditFilter
from tailrace.model.errors import (
    AlreadyExistsError,
    NotAllowedError,
    RequestError,
    TamperedError,
    TransientError,
    UnknownNameError,
)
from tailrace.model.job import User
from tailrace.model.options import option
from tailrace.model.request import CredentialMode, ExportRequest, SinkRequest
from tailrace.pipeline.job import Job
from tailrace.plugins.registry import Registry
from tailrace.store import audit
from tailrace.store.database import Store
from tailrace.store.tables import templates as table
from tailrace.vault.requests import RequestSealer
from tailrace.work.access import Access
from tailrace.work.templates import Templates

ADA, BOB, ROOT = User("ada"), User("bob", address="192.0.2.7", agent="a test"), User("root", is_admin=True)
REQUEST = ExportRequest("memory", "memory://", "lines", sinks=(SinkRequest("disk", "out"),))
SECRET = "S3cret-canary"


@attrs.frozen
class SecretOptions:
    token: str = option("", help="Opens the door.", secret=True)
    door: str = option("", help="Which one.")
    anything: Any = option(None, help="Anything at all.")


class Shelf(Templates):
    """Templates, and what the trail says about them."""

    def trail(self) -> list[tuple[str, str, str, str]]:
        with self.store.reading() as connection:
            found = audit.listing(connection, AuditFilter(), limit=1000)
        return [(entry.user, entry.operation, entry.outcome, entry.thing) for entry in reversed(list(found))]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "sqlite":
        made = Store.in_home(_made(tmp_path / "home"))
    else:
        made = Store(request.getfixturevalue("postgres_store_url"))
        made.upgrade()
    yield made
    made.close()


@pytest.fixture
def shelf(store: Store) -> Shelf:
    return shelf_in(store)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Shelf]:
    """The same on SQLite alone, for what has nothing to do with the database."""
    made = Store.in_home(_made(tmp_path / "home"))
    yield shelf_in(made)
    made.close()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def shelf_in(store: Store) -> Shelf:
    source = MemorySource([memory_table("rows", {"id": [1]})], options_type=SecretOptions)
    registry = Registry(explicit=[("memory", source), ("lines", LinesFormat()), ("folder", FolderSink())])

    def prepare(request: ExportRequest, user: User) -> Job:
        now = datetime(2026, 8, 20, 12, tzinfo=UTC)
        prepared = Job.prepare(
            request, registry=registry, export_id="x", user=user, now=now, reference=lambda *_parts: "-"
        )
        prepared.check_targets()
        return prepared

    return Shelf(store, Access(store), RequestSealer(b"k" * 32), prepare, lambda wish: wish)


def test_what_is_saved_is_used_again(shelf: Shelf) -> None:
    request = attrs.evolve(
        REQUEST,
        columns=("id", "new=id"),
        where=("id > 1", "id < 9"),
        since="7d",
        until="2026-08-20",
        time_zone="Europe/Berlin",
        sort=("-id",),
        limit=5,
        credentials=CredentialMode.REFERENCE,
        compress=False,
        compress_level="fast",
        openers=("file:master.key",),
        options={"door": "front"},
        sinks=(SinkRequest("disk", "/srv/exports", {"pattern": "{user}/{year}/{month}/"}), SinkRequest("disk")),
    )
    saved = shelf.save("nightly", request, user=ADA, description="Every night")
    assert shelf.request("nightly", ADA) == request
    assert shelf.show("nightly", ADA) == saved
    assert shelf.list(ADA) == (saved,)
    assert (saved.owner, saved.public, saved.description) == ("ada", False, "Every night")
    assert saved.created == saved.changed
    assert saved.request["where"] == ["id > 1", "id < 9"]
    assert saved.request["sinks"][0]["options"] == {"pattern": "{user}/{year}/{month}/"}
    assert [(user, operation, outcome) for user, operation, outcome, _thing in shelf.trail()] == [
        ("ada", "template.save", "ok"),
        ("ada", "template.use", "ok"),
        ("ada", "template.show", "ok"),
        ("ada", "template.list", "ok"),
    ]


def test_an_option_that_is_a_path_is_kept_as_text(local: Shelf) -> None:
    sinks = (SinkRequest("disk", options={"root": Path("/srv/exports")}),)
    local.save("paths", attrs.evolve(REQUEST, sinks=sinks), user=ADA)
    (sink,) = local.request("paths", ADA).sinks
    assert sink.options == {"root": "/srv/exports"}


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), b"bytes"])
def test_an_option_that_could_not_be_written_down_is_refused(value: object, local: Shelf) -> None:
    with pytest.raises(RequestError, match="neither text, number, true or false, list nor object"):
        local.save("objects", attrs.evolve(REQUEST, options={"anything": value}), user=ADA)


def test_what_an_option_holds_is_shown_without_credentials(local: Shelf) -> None:
    value = {"urls": [f"http://u:{SECRET}@h/", 1, None, True]}
    saved = local.save("nested", attrs.evolve(REQUEST, options={"anything": value}), user=ADA)
    assert saved.request["options"] == {"anything": {"urls": ["http://h/", 1, None, True]}}
    assert local.request("nested", ADA).options == {"anything": value}


def test_a_name_is_its_owners_own(shelf: Shelf) -> None:
    shelf.save("daily", REQUEST, user=ADA)
    shelf.save("daily", attrs.evolve(REQUEST, limit=1), user=BOB)
    with pytest.raises(AlreadyExistsError, match="ada has a template 'daily' already"):
        shelf.save("daily", REQUEST, user=ADA)
    first = shelf.show("daily", ADA)
    replaced = shelf.save("daily", attrs.evolve(REQUEST, limit=2), user=ADA, public=True, replace=True)
    assert (replaced.id, replaced.created) == (first.id, first.created)
    assert replaced.changed > first.changed
    assert shelf.request("daily", ADA).limit == 2
    assert shelf.request("daily", BOB).limit == 1
    assert shelf.request("ada/daily", BOB).limit == 2


def test_a_name_that_somebody_else_enters_meanwhile_is_taken(shelf: Shelf) -> None:
    shelf.save("one", REQUEST, user=ADA)
    two = shelf.save("two", REQUEST, user=ADA)
    with pytest.raises(AlreadyExistsError, match="already"):
        shelf.edit("one", ADA, new_name="two")
    assert {template.name for template in shelf.list(ADA)} == {"one", "two"}
    assert shelf.show("two", ADA) == two


def test_the_one_public_template_of_a_name_is_meant(shelf: Shelf) -> None:
    shelf.save("log", attrs.evolve(REQUEST, limit=1), user=ADA, public=True)
    assert shelf.request("log", BOB).limit == 1
    assert shelf.request("log", ROOT).limit == 1
    shelf.save("log", attrs.evolve(REQUEST, limit=2), user=User("cay"), public=True)
    with pytest.raises(RequestError, match="Several users have a public template 'log'") as caught:
        shelf.request("log", BOB)
    assert caught.value.hint == "Say whose: ada/log or cay/log."
    assert shelf.request("cay/log", BOB).limit == 2
    shelf.save("log", attrs.evolve(REQUEST, limit=3), user=BOB)
    assert shelf.request("log", BOB).limit == 3


def test_whose_name_has_a_slash_can_be_named_too(local: Shelf) -> None:
    local.save("log", REQUEST, user=User("OFFICE/eve"), public=True)
    assert local.show("OFFICE/eve/log", BOB).owner == "OFFICE/eve"


@pytest.mark.parametrize(
    "name", ["", ".hidden", "-x", "a/b", "a b", "x" * 101, "größe", "a\nb", "a\0", "..", "nightly\n", "a\u202eb"]
)
def test_names_that_are_none_are_refused(name: str, local: Shelf) -> None:
    with pytest.raises(RequestError, match="letters, digits"):
        local.save(name, REQUEST, user=ADA)
    local.save("fine", REQUEST, user=ADA)
    with pytest.raises(RequestError, match="letters, digits"):
        local.edit("fine", ADA, new_name=name)
    with pytest.raises(UnknownNameError):
        local.show(name, ADA)


def test_asking_for_what_can_be_nobodys_is_no_surprise_to_the_database(shelf: Shelf) -> None:
    for name in ("a\0", "half \ud800", "a\0/x", "\ud800/x", "/x", "x/", "//", "bob/x", "' OR 1=1 --"):
        with pytest.raises(UnknownNameError):
            shelf.show(name, ADA)


@pytest.mark.parametrize("name", ["a", "x" * 100, "nightly-log_2.v1", "0", "_x"])
def test_names_that_are_fine(name: str, local: Shelf) -> None:
    local.save(name, REQUEST, user=ADA)
    assert local.show(name, ADA).name == name


def test_a_name_that_there_is_not_names_those_one_may_see(local: Shelf) -> None:
    with pytest.raises(UnknownNameError) as caught:
        local.show("nightly", BOB)
    assert "Save one: tailrace templates save" in caught.value.hint
    local.save("nightly", REQUEST, user=ADA, public=True)
    local.save("private", REQUEST, user=ADA)
    local.save("mine", REQUEST, user=BOB)
    with pytest.raises(UnknownNameError) as caught:
        local.show("nightyl", BOB)
    assert caught.value.known == ("mine", "ada/nightly")
    with pytest.raises(UnknownNameError):
        local.show("private", BOB)


@pytest.mark.parametrize("description", ["x" * 501, "two\nlines", "\x1b[2J", "half \ud800", "nul\0"])
def test_a_description_is_one_line(description: str, local: Shelf) -> None:
    with pytest.raises(RequestError, match="one line of at most 500"):
        local.save("x", REQUEST, user=ADA, description=description)
    local.save("x", REQUEST, user=ADA)
    with pytest.raises(RequestError, match="one line of at most 500"):
        local.edit("x", ADA, description=description)


USES: dict[str, Callable[[Shelf, User], Any]] = {
    "template.show": lambda shelf, user: shelf.show("ada/report", user),
    "template.use": lambda shelf, user: shelf.request("ada/report", user),
    "template.edit": lambda shelf, user: shelf.edit("ada/report", user, description="changed"),
    "template.delete": lambda shelf, user: shelf.delete("ada/report", user),
}


def test_others_use_what_is_public_and_change_nothing(shelf: Shelf) -> None:
    for public in (True, False):
        before = shelf.save("report", REQUEST, user=ADA, public=public, replace=True)
        for operation, use in USES.items():
            if public and operation in {"template.show", "template.use"}:
                use(shelf, BOB)
                assert shelf.trail()[-1] == ("bob", operation, "ok", "ada/report")
            else:
                with pytest.raises(NotAllowedError):
                    use(shelf, BOB)
                assert shelf.trail()[-1] == ("bob", operation, "refused", "ada/report")
        assert shelf.show("report", ADA) == before


def test_owners_and_admins_do_everything(shelf: Shelf) -> None:
    for user in (ADA, ROOT):
        shelf.save("report", REQUEST, user=ADA)
        for operation, use in USES.items():
            use(shelf, user)
            assert shelf.trail()[-1] == (user.id, operation, "ok", "ada/report")


def test_who_was_an_admin_yesterday_is_none_today(local: Shelf) -> None:
    local.save("report", REQUEST, user=ADA)
    local.show("ada/report", ROOT)
    with pytest.raises(NotAllowedError):
        local.show("ada/report", attrs.evolve(ROOT, is_admin=False))


def test_lists_hold_ones_own_and_the_public_ones_and_for_admins_all(shelf: Shelf) -> None:
    for name, owner, public in (("b", ADA, True), ("a", ADA, False), ("c", BOB, False), ("d", User("cay"), False)):
        shelf.save(name, REQUEST, user=owner, public=public)

    def listed(user: User) -> list[str]:
        return [template.name for template in shelf.list(user)]

    assert listed(BOB) == ["c", "b"]
    assert listed(ADA) == ["a", "b"]
    assert listed(User("nobody in particular")) == ["b"]
    assert listed(ROOT) == ["a", "b", "c", "d"]
    assert shelf.trail()[-1] == ("root", "template.list-all", "ok", "")
    with pytest.raises(NotAllowedError):
        shelf.list(User(""))


def test_an_edit_changes_what_it_says_and_nothing_else(shelf: Shelf) -> None:
    first = shelf.save("log", attrs.evolve(REQUEST, limit=1), user=ADA, description="what for")
    second = shelf.edit("log", ADA, public=True)
    assert second == attrs.evolve(first, public=True, changed=second.changed)
    third = shelf.edit("log", ADA, request=lambda saved: attrs.evolve(saved, where=("id > 1",)))
    assert shelf.request("log", BOB) == attrs.evolve(REQUEST, limit=1, where=("id > 1",))
    assert third.request["where"] == ["id > 1"]
    fourth = shelf.edit("log", ADA, request=REQUEST, description="", new_name="new", public=False)
    assert (fourth.name, fourth.description, fourth.public, fourth.owner) == ("new", "", False, "ada")
    assert shelf.request("new", ADA) == REQUEST
    assert shelf.show("new", ADA) == fourth
    with pytest.raises(UnknownNameError):
        shelf.show("log", ADA)


def test_an_admin_who_edits_does_not_become_the_owner(local: Shelf) -> None:
    local.save("log", REQUEST, user=ADA)
    assert local.edit("ada/log", ROOT, request=attrs.evolve(REQUEST, limit=7)).owner == "ada"
    assert local.request("log", ADA).limit == 7


def test_an_edit_of_what_changed_meanwhile_is_not_made(local: Shelf) -> None:
    local.save("log", REQUEST, user=ADA)

    def meanwhile(saved: ExportRequest) -> ExportRequest:
        local.edit("log", ADA, request=attrs.evolve(REQUEST, limit=1))
        return attrs.evolve(saved, limit=2)

    with pytest.raises(TransientError, match="this very moment"):
        local.edit("log", ADA, request=meanwhile)
    assert local.request("log", ADA).limit == 1


def test_what_was_deleted_meanwhile_is_told(local: Shelf) -> None:
    local.save("log", REQUEST, user=ADA)

    def meanwhile(saved: ExportRequest) -> ExportRequest:
        local.delete("log", ADA)
        return saved

    with pytest.raises(TransientError, match="this very moment"):
        local.edit("log", ADA, request=meanwhile)
    with pytest.raises(UnknownNameError):
        local.delete("log", ADA)


@pytest.mark.parametrize(
    "request_",
    [
        {"sinks": (SinkRequest("disk", "../x"),)},
        {"sinks": (SinkRequest("disk", "/srv/../etc"),)},
        {"sinks": (SinkRequest("disk", "a\\..\\b"),)},
        {"sinks": (SinkRequest("disk", "a\0b"),)},
        {"sinks": (SinkRequest("disk", "a\nb"),)},
        {"sinks": (SinkRequest("disk", "a\x1b[2J"),)},
        {"sinks": (SinkRequest("disk", options={"root": "../x"}),)},
        {"sinks": (SinkRequest("folder", "../x"),)},
        {"options": {"root": "out/../../x"}},
        {"options": {"pattern": "../x"}},
        {"options": {"pattern": "/etc"}},
        {"options": {"pattern": "{user.__class__}"}},
        {"options": {"pattern": "{user[0]}"}},
        {"options": {"pattern": "{nope}"}},
        {"options": {"pattern": "a\0b"}},
        {"options": {"filename": "../x.csv"}},
        {"options": {"filename": "{user!r}.csv"}},
    ],
)
def test_destinations_that_can_never_be_right_are_refused_when_saved(
    request_: dict[str, Any], local: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "work" / "deep"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    local.save("fine", attrs.evolve(REQUEST, sinks=(SinkRequest("disk", "/srv/exports"),)), user=ADA)
    before = sorted(tmp_path.rglob("*"))
    acts: list[Callable[[ExportRequest], object]] = [
        lambda request: local.save("bad", request, user=ADA),
        lambda request: local.edit("fine", ADA, request=request),
    ]
    for act in acts:
        with pytest.raises((NotAllowedError, RequestError)) as caught:
            act(attrs.evolve(REQUEST, **request_))
        assert caught.value.hint
        user, _operation, outcome, _thing = local.trail()[-1]
        assert user == "ada"
        assert outcome == ("refused" if isinstance(caught.value, NotAllowedError) else "failed")
    assert sorted(tmp_path.rglob("*")) == before
    assert [template.name for template in local.list(ADA)] == ["fine"]
    assert local.request("fine", ADA).sinks == (SinkRequest("disk", "/srv/exports"),)


def secrets() -> ExportRequest:
    return attrs.evolve(
        REQUEST,
        location=f"postgresql://u:{SECRET}@db.example.com/log?table=requests&password={SECRET}-2",
        where=(f"url == 'http://u:{SECRET}@h/'",),
        options={"memory.token": SECRET, "door": f"https://u:{SECRET}@h/"},
        sinks=(
            SinkRequest("folder", f"https://hooks.example.com/services/{SECRET}", {}),
            SinkRequest("folder", f"ftp://u:{SECRET}@h/x"),
        ),
        openers=(f"file:/keys/{SECRET}",),
    )


def stored_bytes(store: Store, home: Path) -> bytes:
    if store.is_sqlite:
        store.close()
        return b"".join(path.read_bytes() for path in home.glob("tailrace.db*"))
    with store.reading() as connection:
        names = connection.execute(sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars()
        rows = [connection.execute(sa.text(f'SELECT t::text FROM "{name}" t')).scalars().all() for name in names]
    return "\n".join(text for table_rows in rows for text in table_rows).encode()


def test_secrets_are_nowhere_but_in_the_request_itself(shelf: Shelf, tmp_path: Path) -> None:
    shelf.save("secret", secrets(), user=ADA, public=True)
    shelf.edit("secret", ADA, request=lambda saved: attrs.evolve(saved, limit=1))
    shown = shelf.show("secret", BOB)
    assert shown.request["location"] == "postgresql://db.example.com/log?table=requests&password=***"
    assert shown.request["where"] == ["url == 'http://h/'"]
    assert shown.request["options"] == {"memory.token": "***", "door": "https://h/"}
    assert [sink["target"] for sink in shown.request["sinks"]] == ["https://hooks.example.com/***", "ftp://h/x"]
    assert "openers" not in shown.request
    assert SECRET not in repr(shelf.list(BOB)) + str(shelf.list(BOB)[0].request)
    assert shelf.request("secret", BOB) == attrs.evolve(secrets(), limit=1)
    found = stored_bytes(shelf.store, tmp_path / "home")
    assert b"db.example.com" in found
    assert SECRET.encode() not in found


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("requests.csv", "requests.csv"),
        ("proxywhirl:///var/lib/pool.db", "proxywhirl:///var/lib/pool.db"),
        ("sqlite:///log.db?table=t", "sqlite:///log.db?table=t"),
        ("postgresql://h/d?sslmode=require&table=t&flag", "postgresql://h/d?sslmode=***&table=t&flag"),
        (f"host=h dbname=d password={SECRET}", "host=h dbname=d password=***"),
        (f"host=h sslpassword = '{SECRET} x' user=u", "host=h sslpassword = *** user=u"),
        ("what?.csv", "what?.csv"),
    ],
)
def test_places_are_shown_without_what_could_be_a_secret(location: str, shown: str, local: Shelf) -> None:
    saved = local.save("x", attrs.evolve(REQUEST, location=location), user=ADA)
    assert saved.request["location"] == shown
    assert local.request("x", ADA).location == location


def test_a_request_that_a_newer_program_saved_is_told(local: Shelf) -> None:
    template = local.save("log", REQUEST, user=ADA)
    sealed = local.sealer.seal("template", template.id, {"source": "memory", "location": "", "format": "x", "new": 1})
    _put(local, template.id, sealed)
    with pytest.raises(RequestError, match="'log' is not valid") as caught:
        local.request("log", ADA)
    assert "unknown key 'new'" in caught.value.message
    assert "newer Tailrace" in caught.value.hint


def test_a_request_that_was_put_in_from_elsewhere_does_not_open(local: Shelf) -> None:
    template, other = local.save("log", REQUEST, user=ADA), local.save("other", secrets(), user=BOB)
    with local.store.reading() as connection:
        foreign = connection.execute(sa.select(table.c.sealed).where(table.c.id == other.id)).scalar_one()
    _put(local, template.id, foreign)
    with pytest.raises(TamperedError, match="cannot be opened"):
        local.request("log", ADA)


def _put(shelf: Shelf, template: str, sealed: bytes) -> None:
    with shelf.store.writing() as connection:
        connection.execute(sa.update(table).where(table.c.id == template).values(sealed=sealed))


def test_what_fails_leaves_no_entry_that_says_it_was_done(shelf: Shelf) -> None:
    shelf.save("log", REQUEST, user=ADA)
    with pytest.raises(AlreadyExistsError):
        shelf.save("log", REQUEST, user=ADA)
    with pytest.raises(UnknownNameError):
        shelf.delete("nope", ADA)
    assert shelf.trail() == [("ada", "template.save", "ok", "ada/log")]
