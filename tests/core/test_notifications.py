"""Telling users how their exports ended: whom, in which words, by which way, again until it arrived."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import sqlalchemy as sa
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, PostSink, memory_table

from tailrace import (
    ConfigurationError,
    DeliverCall,
    Engine,
    ExportRequest,
    MessageCall,
    NotAllowedError,
    Notify,
    NotifyOn,
    PermanentError,
    PluginContractError,
    Receipt,
    RequestError,
    SinkRequest,
    SourceError,
    StagingCall,
    TransientError,
    UnknownNameError,
    User,
    hookimpl,
)
from tailrace.model.audit import AuditRecord
from tailrace.model.states import JobState
from tailrace.model.work import ExportJob
from tailrace.settings import (
    DeliverySettings,
    JobSettings,
    NotificationSettings,
    Settings,
    StoreSettings,
    WorkerSettings,
)
from tailrace.store import jobs as queue
from tailrace.store import messages as mailbox
from tailrace.store.errors import StoreError
from tailrace.store.tables import jobs as jobs_table
from tailrace.store.tables import messages, users
from tailrace.work.recovery import recover
from tailrace.work.worker import Worker

ADA, BOB, ROOT = User("ada"), User("bob"), User("root", is_admin=True)
ANN = Notify("pigeon", "ann?door=4711")
IN_APP = Notify("in-app")


@attrs.frozen
class PigeonOptions:
    """No options."""


@attrs.frozen
class PigeonSettings:
    """Settings of the operator."""

    loft: str = "roof"
    key: str = ""


@attrs.define
class Pigeons:
    """A sink that carries messages to targets such as ``ann?door=4711``, of which only what stands before it is shown.

    Args:
        answers: What is said at one try after the other, by target: a receipt, an error, or something to do.
        calls: Every call that it got to send.
        instead: For ``addressee`` and ``send``: what happens instead.
    """

    answers: dict[str, list[Any]] = attrs.field(factory=dict)
    calls: list[MessageCall] = attrs.field(factory=list)
    instead: Mapping[str, Callable[..., Any]] = attrs.field(factory=dict)
    summary: str = "Pigeons."
    options_type: type = PigeonOptions
    settings_type: type = PigeonSettings

    @hookimpl
    def tailrace_sink(self) -> "Pigeons":
        """Hand over the sink, which is this very object."""
        return self

    def staging(self, call: StagingCall) -> Path | None:
        """Nowhere."""
        return None

    def deliver(self, call: DeliverCall) -> Receipt:
        """Too heavy."""
        raise NotImplementedError

    def addressee(self, target: str, settings: PigeonSettings) -> str:
        """What stands before the question mark."""
        if "addressee" in self.instead:
            answer: str = self.instead["addressee"](target, settings)
            return answer
        if not target:
            raise RequestError("A pigeon has to know where to fly.", hint="Name somebody: pigeon:ann")
        return target.partition("?")[0]

    def send(self, call: MessageCall) -> Receipt:
        """Fly once."""
        self.calls.append(call)
        if "send" in self.instead:
            receipt: Receipt = self.instead["send"](call)
            return receipt
        left = self.answers.get(call.target)
        answer = left.pop(0) if left else Receipt("pigeon", delivered=True)
        if callable(answer):
            answer = answer(call)
        if isinstance(answer, BaseException):
            raise answer
        arrived: Receipt = answer
        return arrived

    @property
    def heard(self) -> list[tuple[str, str, str]]:
        """Who was sent what, in order: target, event and id."""
        return [(call.target, call.message.event, call.delivery) for call in self.calls]


@attrs.define
class Aviary:
    """Engines with pigeons, on one store."""

    home: Path
    folder: Path
    url: str = ""
    pigeons: Pigeons = attrs.field(factory=Pigeons)
    mail: Pigeons = attrs.field(factory=Pigeons)
    post: PostSink = attrs.field(factory=PostSink)
    source: MemorySource = attrs.field(factory=lambda: MemorySource([memory_table("rows", {"word": ["a", "b", "c"]})]))
    delivery: DeliverySettings = attrs.field(
        factory=lambda: DeliverySettings(attempts=3, first_delay=0.01, longest_delay=0.1, jitter=0)
    )
    jobs: JobSettings = attrs.field(factory=lambda: JobSettings(lease=1.0, first_delay=0.01, longest_delay=0.02))
    admins: tuple[str, ...] = ()
    sinks: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    engines: list[Engine] = attrs.field(factory=list)

    def engine(self) -> Engine:
        """An engine; every time a new one."""
        settings = Settings(
            home=self.home,
            user="ada",
            store=StoreSettings(self.url),
            jobs=self.jobs,
            worker=WorkerSettings(poll=0.02, drain=0.3),
            delivery=self.delivery,
            notifications=NotificationSettings(self.admins),
            sinks=self.sinks,
        )
        plugins = [
            ("memory", self.source),
            ("lines", LinesFormat()),
            ("folder", FolderSink()),
            ("post", self.post),
            ("pigeon", self.pigeons),
            ("email", self.mail),
        ]
        engine = Engine(settings, plugins=plugins, discover=False)
        self.engines.append(engine)
        return engine

    @property
    def to_folder(self) -> SinkRequest:
        """Into the folder, in place of what was exported before."""
        return SinkRequest("folder", str(self.folder), {"overwrite": True})

    def request(self, **changes: Any) -> ExportRequest:
        """A request, plain and into the folder unless said otherwise."""
        wanted = ExportRequest("memory", "memory://", "lines", sinks=(self.to_folder,))
        return attrs.evolve(wanted, **{"compress": False, **changes})

    def work(self) -> None:
        """Let a worker do all that waits."""
        self.engine().worker().run(until_idle=True)

    def break_source(self, text: str = "The disk is gone.") -> None:
        """Let every export fail from now on."""

        def broken(_call: Any) -> Any:
            raise SourceError(text)

        self.source.instead = {"open": broken}

    @contextmanager
    def working(self) -> Iterator[Worker]:
        """A worker in the background."""
        worker = self.engine().worker()
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            yield worker
        finally:
            worker.stop()
            thread.join(10)
            assert not thread.is_alive()

    def rows(self) -> list[dict[str, Any]]:
        """The messages of the store, the oldest first."""
        with self.engine().store.reading() as connection:
            return [dict(row) for row in connection.execute(sa.select(messages).order_by("created")).mappings()]

    def audit(self, operation: str) -> list[AuditRecord]:
        """Entries of an operation, the oldest first."""
        found = self.engine().audit.list(ROOT, limit=1000)
        return [entry for entry in found if entry.operation == operation][::-1]


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.01)


@pytest.fixture
def aviary(tmp_path: Path) -> Iterator[Aviary]:
    made = Aviary(tmp_path / "home", tmp_path / "out")
    yield made
    for engine in made.engines:
        engine.store.close()


def notes(engine: Engine, user: User = ADA) -> list[tuple[str, str]]:
    """What a user is told in the application: event and text, the oldest first."""
    return [(one.event, one.text) for one in engine.jobs.notifications(user)][::-1]


# --- whose wishes count ---


def test_who_never_said_anything_is_told_in_the_application_only(aviary: Aviary) -> None:
    engine = aviary.engine()
    engine.submit(aviary.request())
    aviary.work()
    assert notes(engine) == [("completed", "Your export of memory as lines is ready: 3 rows.")]
    assert engine.preferences.show(ADA) == (IN_APP,)
    assert aviary.rows() == []


def test_what_a_user_prefers_counts_where_the_request_says_nothing(aviary: Aviary) -> None:
    engine = aviary.engine()
    shown = engine.preferences.set(ADA, [ANN, Notify("in-app", on=(NotifyOn.FAILED,))])
    assert [(one.channel, one.target) for one in shown] == [("pigeon", "ann"), ("in-app", None)]
    assert engine.preferences.show(ADA) == shown
    assert engine.preferences.show(BOB) == (IN_APP,)
    job = engine.submit(aviary.request())
    aviary.work()
    assert notes(engine) == []
    (call,) = aviary.pigeons.calls
    assert (call.target, call.message.event) == ("ann?door=4711", "completed")
    (row,) = aviary.rows()
    assert (row["state"], row["tries"], row["addressee"], row["job"]) == ("sent", 0, "ann", job.id)
    assert call.delivery == row["id"]
    (entry,) = aviary.audit("notification")
    assert (entry.user, entry.outcome, entry.thing, entry.job) == ("ada", "ok", "pigeon ann", job.id)
    assert (entry.source, entry.format) == ("memory", "lines")


def test_preferences_are_taken_back_and_nothing_can_be_preferred(aviary: Aviary) -> None:
    engine = aviary.engine()
    assert engine.preferences.set(ADA, []) == ()
    engine.submit(aviary.request())
    aviary.work()
    assert notes(engine) == []
    assert engine.preferences.set(ADA, None) == (IN_APP,)
    engine.submit(aviary.request())
    aviary.work()
    assert [event for event, _text in notes(engine)] == ["completed"]
    said = [entry.parameters["notify"] for entry in aviary.audit("notification.prefer")]
    assert said == [[], None]


def test_preferences_hold_from_the_moment_of_the_end(aviary: Aviary) -> None:
    engine = aviary.engine()
    engine.submit(aviary.request())
    engine.preferences.set(ADA, [ANN])
    aviary.work()
    assert [target for target, *_ in aviary.pigeons.heard] == ["ann?door=4711"]


def test_the_wish_of_a_request_counts_before_what_is_preferred(aviary: Aviary) -> None:
    engine = aviary.engine()
    engine.preferences.set(ADA, [Notify("pigeon", "home")])
    engine.submit(aviary.request(notify=(ANN,)))
    engine.submit(aviary.request(notify=()))
    aviary.work()
    assert [target for target, *_ in aviary.pigeons.heard] == ["ann?door=4711"]
    assert notes(engine) == []


def test_only_what_is_wished_for_is_told(aviary: Aviary) -> None:
    engine = aviary.engine()
    wishes = (
        Notify("pigeon", "good", (NotifyOn.COMPLETED,)),
        Notify("pigeon", "bad", (NotifyOn.FAILED,)),
        Notify("pigeon", "half", (NotifyOn.PARTLY_DELIVERED,)),
    )
    engine.submit(aviary.request(notify=wishes))
    aviary.work()
    aviary.post.answers = {"lee": [Receipt("post", delivered=False, error="Moved away.")]}
    job = engine.submit(aviary.request(notify=wishes, sinks=(aviary.to_folder, SinkRequest("post", "kim,lee"))))
    aviary.work()
    aviary.break_source()
    engine.submit(aviary.request(notify=wishes))
    aviary.work()
    assert [(target, event) for target, event, _id in aviary.pigeons.heard] == [
        ("good", "completed"),
        ("half", "partly delivered"),
        ("bad", "failed"),
    ]
    half = aviary.pigeons.calls[1].message
    assert half.subject == "Tailrace: your export of memory as lines did not reach everybody"
    assert half.facts["delivered"] == "2 of 3"
    assert half.text.endswith(f"Send what did not arrive: tailrace jobs resend {job.id} --failed")


def test_a_message_says_what_was_made_and_how_to_get_it(aviary: Aviary) -> None:
    engine = aviary.engine()
    job = engine.submit(aviary.request(notify=(ANN,)))
    aviary.work()
    (file,) = engine.jobs.files(job.id, ADA)
    said = aviary.pigeons.calls[0].message
    assert said.subject == "Tailrace: your export of memory as lines is ready"
    ready = "Your export of memory as lines is ready: 3 rows."
    assert said.text == f"{ready}\nGet it: tailrace jobs download {job.id}"
    assert said.link == ""
    assert list(said.facts.items()) == [
        ("job", job.id),
        ("source", "memory"),
        ("format", "lines"),
        ("rows", "3"),
        ("size", f"{file.size} bytes"),
        ("files", file.path.name),
        ("delivered", "1 of 1"),
    ]
    assert said.moment.tzinfo is UTC


def test_a_message_has_a_link_where_there_is_an_address(aviary: Aviary) -> None:
    aviary.delivery = attrs.evolve(aviary.delivery, link="https://exports.example.com/")
    job = aviary.engine().submit(aviary.request(notify=(ANN,)))
    aviary.work()
    said = aviary.pigeons.calls[0].message
    assert said.link == f"https://exports.example.com/api/v1/exports/{job.id}"
    assert said.text == "Your export of memory as lines is ready: 3 rows."


def test_of_many_files_the_first_are_named(aviary: Aviary) -> None:
    aviary.source.tables = [memory_table(f"t{number}", {"word": ["a"]}) for number in range(7)]
    aviary.engine().submit(aviary.request(notify=(ANN,)))
    aviary.work()
    facts = aviary.pigeons.calls[0].message.facts
    assert facts["files"].count("memory-t") == 5
    assert facts["files"].endswith(" and 2 more")
    assert facts["rows"] == "7"


def test_a_failure_says_why_and_how_to_run_it_again(aviary: Aviary) -> None:
    engine = aviary.engine()
    aviary.break_source()
    job = engine.submit(aviary.request(notify=(ANN, IN_APP)))
    aviary.work()
    said = aviary.pigeons.calls[0].message
    assert said.subject == "Tailrace: your export of memory as lines failed"
    failed = "Your export of memory as lines failed: The disk is gone."
    assert said.text == f"{failed}\nRun it again: tailrace jobs retry {job.id}"
    assert list(said.facts) == ["job", "source", "format"]
    assert notes(engine) == [("failed", failed)]


def test_who_cancels_is_told_in_the_application_and_gets_no_mail(aviary: Aviary) -> None:
    engine = aviary.engine()
    job = engine.submit(aviary.request(notify=(ANN, IN_APP), sinks=(SinkRequest("post", "kim"),)))
    aviary.post.answers = {"kim": [TransientError("Not at home.")]}
    aviary.delivery = attrs.evolve(aviary.delivery, first_delay=60.0, longest_delay=60.0)
    with aviary.working():
        eventually(lambda: engine.jobs.show(job.id, ADA).made is not None and bool(aviary.post.calls))
        eventually(lambda: engine.jobs.show(job.id, ADA).state is JobState.PENDING)
        engine.jobs.cancel(job.id, ADA)
        # What is made stays, and was not delivered to anybody: of that everybody is told.
        eventually(lambda: len(aviary.pigeons.calls) == 1)
    assert [event for event, _text in notes(engine)] == ["partly delivered"]
    aviary.pigeons.calls.clear()
    started = threading.Event()

    def slow(call: Any) -> Any:
        started.set()
        call.context.sleep(10)

    aviary.source.instead = {"open": slow}
    job = engine.submit(aviary.request(notify=(ANN, IN_APP)))
    with aviary.working():
        assert started.wait(5)
        engine.jobs.cancel(job.id, ADA)
        eventually(lambda: engine.jobs.show(job.id, ADA).state is JobState.CANCELLED)
    assert notes(engine)[-1] == ("cancelled", "Your export of memory as lines was cancelled.")
    assert aviary.pigeons.calls == []


# --- exports that somebody waits for ---


def test_who_waits_for_an_export_is_told_only_what_the_request_says(aviary: Aviary) -> None:
    engine = aviary.engine()
    engine.preferences.set(ADA, [Notify("pigeon", "home"), IN_APP])
    engine.export(aviary.request())
    assert (notes(engine), aviary.pigeons.calls) == ([], [])
    result = engine.export(aviary.request(notify=(ANN, IN_APP)))
    # No worker is there: it was sent before it returned.
    assert [target for target, *_ in aviary.pigeons.heard] == ["ann?door=4711"]
    assert [event for event, _text in notes(engine)] == ["completed"]
    assert aviary.rows()[0]["job"] == result.export_id


def test_also_an_export_that_raises_is_told(aviary: Aviary) -> None:
    engine = aviary.engine()
    aviary.break_source()
    with pytest.raises(SourceError):
        engine.export(aviary.request(notify=(ANN,)))
    assert [(target, event) for target, event, _id in aviary.pigeons.heard] == [("ann?door=4711", "failed")]


def test_what_cannot_be_sent_at_once_is_left_to_workers(aviary: Aviary, caplog: pytest.LogCaptureFixture) -> None:
    aviary.pigeons.answers["ann?door=4711"] = [TransientError("Fog.")]
    engine = aviary.engine()
    engine.export(aviary.request(notify=(ANN,)))
    (row,) = aviary.rows()
    assert (row["state"], row["tries"], row["error"]) == ("waiting", 1, "Fog.")
    assert "ann could not be told" in caplog.text
    with aviary.working():
        eventually(lambda: aviary.rows()[0]["state"] == "sent")
    assert len({delivery for *_, delivery in aviary.pigeons.heard}) == 1


def test_an_export_does_not_fail_because_nobody_can_be_told(
    aviary: Aviary, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_arguments: Any, **_more: Any) -> Any:
        raise StoreError("The store is away.")

    monkeypatch.setattr(mailbox, "claim", away)
    result = aviary.engine().export(aviary.request(notify=(ANN,)))
    assert result.complete
    assert "left to workers: The store is away." in caplog.text
    assert [row["state"] for row in aviary.rows()] == ["waiting"]


def test_an_export_whose_process_died_is_told(aviary: Aviary) -> None:
    engine = aviary.engine()
    engine.preferences.set(ADA, [Notify("pigeon", "home")])
    engine.submit(aviary.request(notify=(ANN,)))
    with engine.store.writing() as connection:
        connection.execute(sa.update(jobs_table).values(inline=True))
        queue.claim(connection, "dead", now=engine.store.now(connection), lease=0.0, limit=1)
    recover(engine.store, most_losses=3)
    aviary.work()
    (call,) = aviary.pigeons.calls
    assert "The process that carried it out ended before the export did." in call.message.text


# --- who cannot be told ---


@pytest.mark.parametrize(
    ("wish", "error", "words"),
    [
        (Notify("folder", "x"), RequestError, "carries no messages"),
        (Notify("crow", "x"), UnknownNameError, "crow"),
        (Notify("in-app", "bob"), RequestError, "for nobody else"),
        (Notify("pigeon"), RequestError, "has to know where"),
    ],
    ids=["no messenger", "no sink", "in-app", "nobody"],
)
def test_who_cannot_be_told_is_refused_before_anything_is_done(
    aviary: Aviary, wish: Notify, error: type[Exception], words: str
) -> None:
    engine = aviary.engine()
    request = aviary.request(notify=(wish,))
    ways: list[Callable[[], object]] = [
        lambda: engine.export(request),
        lambda: engine.submit(request),
        lambda: engine.templates.save("nightly", request, user=ADA),
        lambda: engine.preferences.set(ADA, [IN_APP, wish]),
    ]
    for way in ways:
        with pytest.raises(error, match=words):
            way()
    assert engine.jobs.list(ADA).jobs == ()
    assert engine.templates.list(ADA) == ()
    assert engine.preferences.show(ADA) == (IN_APP,)
    assert aviary.source.calls == []
    assert [entry.outcome for entry in aviary.audit("job.submit")] == ["failed"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [(lambda *_: 7, "returned int"), (lambda *_: "", "returned str"), (lambda *_: 1 / 0, "failed with Zero")],
    ids=["number", "empty", "raises"],
)
def test_a_sink_that_cannot_name_an_addressee_is_at_fault(
    aviary: Aviary, answer: Callable[..., Any], words: str
) -> None:
    aviary.pigeons.instead = {"addressee": answer}
    with pytest.raises(PluginContractError, match=words):
        aviary.engine().submit(aviary.request(notify=(ANN,)))


def test_settings_of_the_sink_that_cannot_be_used_are_said_at_once(aviary: Aviary) -> None:
    aviary.sinks = {"pigeon": {"colour": "grey"}}
    with pytest.raises(ConfigurationError, match="colour"):
        aviary.engine().submit(aviary.request(notify=(ANN,)))


def test_preferences_are_of_those_who_say_who_they_are(aviary: Aviary) -> None:
    engine = aviary.engine()
    with pytest.raises(NotAllowedError):
        engine.preferences.show(User(""))
    with pytest.raises(NotAllowedError):
        engine.preferences.set(User(""), [IN_APP])


# --- secrets ---


def test_targets_are_sealed_and_shown_nowhere(aviary: Aviary, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    secret = "door=4711"
    aviary.pigeons.answers["ann?door=4711"] = [RuntimeError("cannot fly to ann?door=4711"), TransientError("Fog.")]
    engine = aviary.engine()
    engine.templates.save("nightly", aviary.request(notify=(ANN,)), user=ADA)
    engine.preferences.set(ADA, [ANN])
    job = engine.submit(aviary.request(notify=(ANN,)))
    engine.submit(engine.templates.request("nightly", ADA), template="nightly")
    aviary.work()
    shown = engine.jobs.show(job.id, ADA)
    assert shown.request["notify"][0]["target"] == "ann"
    assert engine.templates.show("nightly", ADA).request["notify"][0]["target"] == "ann"
    assert "cannot fly to …" in aviary.rows()[0]["error"] + aviary.rows()[1]["error"]
    assert {call.target for call in aviary.pigeons.calls} == {"ann?door=4711"}
    everything = [repr(aviary.audit("notification")), repr(shown), repr(aviary.pigeons.calls), caplog.text]
    assert not [text for text in everything if secret in text]
    assert not [path for path in aviary.home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_a_message_whose_target_was_moved_or_changed_is_not_sent(aviary: Aviary) -> None:
    engine = aviary.engine()
    engine.preferences.set(BOB, [Notify("pigeon", "bob")])
    with engine.store.reading() as connection:
        stolen = connection.execute(sa.select(users.c.preferences).where(users.c.id == "bob")).scalar()
    engine.preferences.set(ADA, [ANN])
    with engine.store.writing() as connection:
        connection.execute(sa.update(users).where(users.c.id == "ada").values(preferences=stolen))
    engine.submit(aviary.request())
    aviary.work()
    (row,) = aviary.rows()
    assert row["state"] == "failed"
    assert "cannot be opened" in row["error"]
    assert aviary.pigeons.calls == []
    (entry,) = aviary.audit("notification")
    assert (entry.outcome, "cannot be opened" in entry.error) == ("failed", True)


def test_a_sink_gets_its_settings_and_a_way_to_its_secrets(aviary: Aviary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIGEON_KEY", "corn")
    aviary.sinks = {"pigeon": {"loft": "tower", "key": "env:PIGEON_KEY"}}
    aviary.engine().export(aviary.request(notify=(ANN,)))
    (call,) = aviary.pigeons.calls
    assert call.settings.loft == "tower"
    assert call.secret(call.settings.key) == "corn"


# --- sending ---


def test_what_fails_for_now_is_sent_again_under_the_same_id(aviary: Aviary) -> None:
    fog = Receipt("pigeon", delivered=False, error="Fog.", transient=True, retry_after=0.05)
    aviary.pigeons.answers["ann?door=4711"] = [TransientError("Rain."), fog]
    engine = aviary.engine()
    with aviary.working():
        engine.submit(aviary.request(notify=(ANN,)))
        eventually(lambda: [row["state"] for row in aviary.rows()] == ["sent"])
    assert len(aviary.pigeons.calls) == 3
    assert len({call.delivery for call in aviary.pigeons.calls}) == 1
    (row,) = aviary.rows()
    assert (row["tries"], row["error"]) == (2, "")
    (entry,) = aviary.audit("notification")
    assert (entry.outcome, entry.parameters["failed_tries"]) == ("ok", 2)


def test_how_long_the_other_side_asks_to_wait_is_heeded(aviary: Aviary) -> None:
    aviary.delivery = attrs.evolve(aviary.delivery, longest_delay=500.0)
    busy = Receipt("pigeon", delivered=False, error="Busy.", transient=True, retry_after=300.0)
    aviary.pigeons.answers["ann?door=4711"] = [busy]
    aviary.engine().export(aviary.request(notify=(ANN,)))
    (row,) = aviary.rows()
    assert row["due"] - row["changed"] == timedelta(seconds=300)


@pytest.mark.parametrize(
    ("answers", "tries", "error"),
    [
        ([PermanentError("No such loft.")], 1, "No such loft."),
        ([TransientError("Fog.")] * 5, 3, "Fog. It was tried 3 times."),
        ([SystemExit(3)], 1, "The sink pigeon failed with SystemExit: 3"),
        ([None], 1, "Sink pigeon returned NoneType instead of a receipt for a message."),
        ([Receipt("pigeon", delivered=False)], 1, "The sink does not say why."),
    ],
    ids=["permanent", "too often", "exits", "no receipt", "no reason"],
)
def test_what_fails_for_good_is_given_up_and_hurts_nobody(
    aviary: Aviary, answers: list[Any], tries: int, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    aviary.pigeons.answers["ann?door=4711"] = list(answers)
    engine = aviary.engine()
    with aviary.working():
        job = engine.submit(aviary.request(notify=(ANN, Notify("pigeon", "bea"))))
        eventually(lambda: {row["state"] for row in aviary.rows()} == {"sent", "failed"})
    (row,) = [row for row in aviary.rows() if row["addressee"] == "ann"]
    assert (row["state"], row["tries"]) == ("failed", tries)
    assert row["error"].startswith(error)
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED
    assert f"ann was not told about job {job.id}" in caplog.text
    assert {(entry.thing, entry.outcome) for entry in aviary.audit("notification")} == {
        ("pigeon ann", "failed"),
        ("pigeon bea", "ok"),
    }


def test_who_wants_nothing_any_more_is_left_in_peace_until_that_is_taken_back(aviary: Aviary) -> None:
    gone = Receipt("pigeon", delivered=False, error="410 Gone", unwanted=True)
    aviary.pigeons.answers["ann?door=4711"] = [gone]
    engine = aviary.engine()
    for _ in range(2):
        engine.export(aviary.request(notify=(ANN,)))
    assert len(aviary.pigeons.calls) == 1
    assert [row["state"] for row in aviary.rows()] == ["failed", "failed"]
    assert aviary.rows()[1]["error"].startswith("It wants nothing any more since ")
    assert list(engine.jobs.unwanted(ROOT)) == ["pigeon:ann"]
    engine.jobs.allow("pigeon:ann", ROOT)
    engine.export(aviary.request(notify=(ANN,)))
    assert aviary.rows()[2]["state"] == "sent"


def test_one_that_hangs_is_left_behind_and_tried_again(aviary: Aviary, caplog: pytest.LogCaptureFixture) -> None:
    release, hanging, clock = threading.Event(), threading.Event(), [0.0]

    def hang(_call: MessageCall) -> Receipt:
        hanging.set()
        assert release.wait(20)
        return Receipt("pigeon", delivered=False, error="Too late.")

    aviary.pigeons.answers["ann?door=4711"] = [hang]
    engine = aviary.engine()
    post = attrs.evolve(engine.post, limit=10.0, clock=lambda: clock[0])
    job = engine.submit(aviary.request(notify=(ANN, Notify("pigeon", "bea"))))
    worker = engine.worker()
    worker.post = post
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        assert hanging.wait(5)
        eventually(lambda: "sent" in {row["state"] for row in aviary.rows()})
        other = engine.submit(aviary.request())
        eventually(lambda: engine.jobs.show(other.id, ADA).state is JobState.COMPLETED)
        clock[0] = 14.0
        time.sleep(0.1)
        assert [row["tries"] for row in aviary.rows() if row["addressee"] == "ann"] == [1]
        clock[0] = 15.0
        eventually(lambda: {row["state"] for row in aviary.rows()} == {"sent"})
        release.set()
        eventually(lambda: "had been left behind" in caplog.text or not _flying())
    finally:
        release.set()
        worker.stop()
        thread.join(10)
    assert "sink pigeon does not come back" in caplog.text
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED
    # What was said too late changed nothing.
    assert {(row["state"], row["error"]) for row in aviary.rows()} == {("sent", "")}
    assert [entry.outcome for entry in aviary.audit("notification")] == ["ok", "ok"]


def _flying() -> bool:
    return any(thread.name == "tailrace-message" for thread in threading.enumerate())


def test_a_sink_that_heeds_its_deadline_is_tried_again(aviary: Aviary) -> None:
    def patient(call: MessageCall) -> Receipt:
        call.context.sleep(60)
        raise AssertionError

    aviary.pigeons.answers["ann?door=4711"] = [patient]
    engine = aviary.engine()
    engine.post.limit = 0.05
    engine.export(aviary.request(notify=(ANN,)))
    (row,) = aviary.rows()
    assert (row["state"], row["tries"], row["error"]) == ("waiting", 1, "It took too long, or was stopped.")


def test_a_worker_that_stops_stops_what_is_being_sent(aviary: Aviary) -> None:
    began = threading.Event()

    def patient(call: MessageCall) -> Receipt:
        began.set()
        call.context.sleep(60)
        raise AssertionError

    aviary.pigeons.answers["ann?door=4711"] = [patient]
    aviary.engine().submit(aviary.request(notify=(ANN,)))
    with aviary.working():
        assert began.wait(5)
    assert (aviary.rows()[0]["state"], aviary.rows()[0]["tries"]) == ("waiting", 1)


def test_one_that_takes_its_sender_with_it_is_not_tried_for_ever(aviary: Aviary) -> None:
    engine = aviary.engine()
    job = engine.submit(aviary.request(notify=(ANN,)))
    with engine.store.writing() as connection:
        now = engine.store.now(connection)
        new = mailbox.for_admins(job.id, "ada", _anything(now))
        mailbox.enter(connection, [attrs.evolve(new, kind="job", addressee="ann")], now=now)
        for _ in range(3):
            # Claimed by somebody who is never heard of again.
            assert len(mailbox.claim(connection, now=now, lease=0.0, limit=1)) == 1
    assert engine.post.turn() == 1
    assert engine.post.idle()
    assert [(row["state"], row["error"]) for row in aviary.rows()] == [
        ("failed", "It was never heard how sending it ended.")
    ]
    assert aviary.mail.calls == []


def _anything(now: datetime) -> Any:
    from tailrace.model.announcement import Announcement

    return Announcement(NotifyOn.FAILED, "Subject", "Text.", "", {}, now)


def test_no_more_than_some_are_sent_at_a_time(aviary: Aviary) -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def count(_call: MessageCall) -> Receipt:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1
        return Receipt("pigeon", delivered=True)

    aviary.pigeons.instead = {"send": count}
    engine = aviary.engine()
    engine.post.parallel = 3
    engine.submit(aviary.request(notify=tuple(Notify("pigeon", f"bird{number}") for number in range(12))))
    engine.worker().run(until_idle=True)
    assert {row["state"] for row in aviary.rows()} == {"sent"}
    assert len(aviary.pigeons.calls) == 12
    assert 1 < most[0] <= 3


def test_how_it_went_is_not_lost_for_ever_when_it_cannot_be_written_down(
    aviary: Aviary, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_arguments: Any, **_more: Any) -> Any:
        raise StoreError("The store is away.")

    engine = aviary.engine()
    with monkeypatch.context() as patched:
        patched.setattr(mailbox, "record", away)
        engine.export(aviary.request(notify=(ANN,)))
    (row,) = aviary.rows()
    assert (row["state"], row["tries"]) == ("waiting", 1)
    assert "could not be written down: The store is away." in caplog.text
    assert row["due"] > row["created"] + timedelta(seconds=60)


def test_closing_never_raises(aviary: Aviary, caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()
    clock = [0.0]

    def hang(_call: MessageCall) -> Receipt:
        assert release.wait(20)
        return Receipt("pigeon", delivered=True)

    class Away:
        @contextmanager
        def writing(self) -> Iterator[Any]:
            raise StoreError("The store is away.")
            yield

    aviary.pigeons.answers["ann?door=4711"] = [hang]
    engine = aviary.engine()
    post = attrs.evolve(engine.post, limit=1.0, clock=lambda: clock[0])
    job = engine.submit(aviary.request(notify=(ANN,)))
    worker = engine.worker()
    worker.post = None
    worker.run(until_idle=True)
    assert [row["job"] for row in aviary.rows()] == [job.id]
    assert post.turn() == 1
    assert not post.idle()
    store, post.store = post.store, Away()  # type: ignore[assignment]  # as far as it is used
    clock[0] = 100.0
    post.close(1.0)
    post.store = store
    release.set()
    assert "is not waited for: The store is away." in caplog.text
    eventually(lambda: not _flying())


# --- scheduled work ---


def test_admins_are_told_when_scheduled_work_fails_whatever_its_owner_wishes(aviary: Aviary) -> None:
    aviary.admins = ("ops@example.com", "cy@example.com", "ops@example.com")
    aviary.break_source()
    engine = aviary.engine()
    job = engine.submit(aviary.request(notify=()), schedule="nightly")
    assert job.schedule == "nightly"
    aviary.work()
    assert sorted(call.target for call in aviary.mail.calls) == ["cy@example.com", "ops@example.com"]
    assert len({call.delivery for call in aviary.mail.calls}) == 2
    said = aviary.mail.calls[0].message
    assert said.subject == "Tailrace: the scheduled export nightly failed"
    assert said.text == (
        "The export of memory as lines by the schedule nightly of ada failed: The disk is gone.\n"
        f"Run it again: tailrace jobs retry {job.id}"
    )
    assert list(said.facts.items())[:3] == [("schedule", "nightly"), ("owner", "ada"), ("job", job.id)]
    (entry,) = aviary.audit("schedule.failed")
    assert (entry.user, entry.outcome, entry.thing, entry.job) == ("ada", "failed", "nightly", job.id)
    assert entry.error == "Your export of memory as lines failed: The disk is gone."
    assert sorted(entry.thing for entry in aviary.audit("notification")) == [
        "email cy@example.com",
        "email ops@example.com",
    ]
    assert notes(engine) == []


def test_admins_are_told_when_scheduled_work_reaches_not_everybody(aviary: Aviary) -> None:
    aviary.admins = ("ops@example.com",)
    aviary.post.answers = {"lee": [Receipt("post", delivered=False, error="Moved away.")]}
    engine = aviary.engine()
    job = engine.submit(aviary.request(sinks=(SinkRequest("post", "kim,lee"),)), schedule="nightly")
    aviary.work()
    (call,) = aviary.mail.calls
    assert call.message.subject == "Tailrace: the scheduled export nightly did not reach everybody"
    assert f"tailrace jobs resend {job.id} --failed" in call.message.text
    assert call.message.facts["delivered"] == "1 of 2"
    assert [entry.thing for entry in aviary.audit("schedule.failed")] == ["nightly"]
    assert [event for event, _text in notes(engine)] == ["partly delivered"]


def test_admins_are_not_told_of_what_went_well_or_was_cancelled_or_has_no_schedule(aviary: Aviary) -> None:
    aviary.admins = ("ops@example.com",)
    engine = aviary.engine()
    engine.submit(aviary.request(), schedule="nightly")
    aviary.work()
    engine.jobs.cancel(engine.submit(aviary.request(), schedule="nightly").id, ADA)
    aviary.break_source()
    engine.submit(aviary.request())
    aviary.work()
    assert aviary.mail.calls == []
    assert aviary.audit("schedule.failed") == []


def test_admins_are_told_of_a_job_that_takes_its_workers_with_it(aviary: Aviary) -> None:
    aviary.admins = ("ops@example.com",)
    engine = aviary.engine()
    job = engine.submit(aviary.request(), schedule="nightly")
    for _ in range(3):
        with engine.store.writing() as connection:
            now = engine.store.now(connection)
            assert len(queue.claim(connection, "dead", now=now, lease=0.0, limit=1)) == 1
        recover(engine.store, most_losses=3)
    assert engine.jobs.show(job.id, ADA).quarantined
    aviary.work()
    (call,) = aviary.mail.calls
    assert "It was put aside: 3 workers ended while they carried it out." in call.message.text


def test_where_no_admin_is_set_that_is_audited(aviary: Aviary, caplog: pytest.LogCaptureFixture) -> None:
    aviary.break_source()
    aviary.engine().submit(aviary.request(notify=()), schedule="nightly")
    aviary.work()
    (row,) = aviary.rows()
    assert row["state"] == "failed"
    assert "notifications.admins is empty" in row["error"]
    assert [entry.thing for entry in aviary.audit("schedule.failed")] == ["nightly"]
    assert [(entry.outcome, entry.thing) for entry in aviary.audit("notification")] == [("failed", "email admins")]
    assert "admins was not told" in caplog.text


# --- several senders ---


@pytest.fixture
def senders(store_url: str, tmp_path: Path) -> Iterator[Aviary]:
    """Like ``aviary``, on either database."""
    made = Aviary(tmp_path / "home", tmp_path / "out", store_url)
    made.engine().upgrade_store()
    yield made
    for engine in made.engines:
        engine.store.close()


def test_of_several_senders_one_sends_a_message(senders: Aviary) -> None:
    engine = senders.engine()
    wishes = tuple(Notify("pigeon", f"bird{number}") for number in range(20))
    engine.preferences.set(ADA, [*wishes, IN_APP])
    job = engine.submit(senders.request())
    worker = engine.worker()
    worker.post = None
    worker.run(until_idle=True)
    assert senders.pigeons.calls == []
    posts = [senders.engine().post for _ in range(4)]
    threads = [threading.Thread(target=post.send_about, args=(job.id,)) for post in posts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(call.target for call in senders.pigeons.calls) == sorted(str(one.target) for one in wishes)
    assert {row["state"] for row in senders.rows()} == {"sent"}
    assert len(senders.audit("notification")) == 20
    assert engine.audit.verify(ROOT).ok


def test_what_is_recorded_for_a_claim_that_is_over_changes_nothing(senders: Aviary) -> None:
    engine = senders.engine()
    job = engine.submit(senders.request())
    with engine.store.writing() as connection:
        now = engine.store.now(connection)
        new = mailbox.for_admins(job.id, "ada", _anything(now))
        mailbox.enter(connection, [new], now=now)
        (first,) = mailbox.claim(connection, now=now, lease=0.0, limit=5)
        assert mailbox.claim(connection, now=now, lease=60.0, limit=5, job="another") == []
        (second,) = mailbox.claim(connection, now=now, lease=60.0, limit=5)
        assert mailbox.claim(connection, now=now, lease=60.0, limit=5) == []
        assert not mailbox.any_due(connection, now=now)
        assert mailbox.any_due(connection, now=now + timedelta(seconds=61))
        sent = mailbox.MessageChange(mailbox.MessageState.SENT, 0)
        assert not mailbox.record(connection, first, sent, now=now)
        assert mailbox.record(connection, second, sent, now=now)
        assert not mailbox.record(connection, second, sent, now=now)
    assert (second.fence, second.tries, second.for_admins) == (2, 2, True)
    with engine.store.writing() as connection:
        # What is told about a job goes with it.
        connection.execute(sa.delete(jobs_table).where(jobs_table.c.id == job.id))
    assert senders.rows() == []


def test_jobs_of_before_there_were_wishes_are_told_in_the_application(aviary: Aviary) -> None:
    engine = aviary.engine()
    job: ExportJob = engine.submit(aviary.request(notify=(ANN,)))
    shown = {name: value for name, value in job.request.items() if name != "notify"}
    with engine.store.writing() as connection:
        connection.execute(sa.update(jobs_table).where(jobs_table.c.id == job.id).values(request=shown))
    aviary.work()
    assert [event for event, _text in notes(engine)] == ["completed"]
    assert aviary.pigeons.calls == []


@pytest.mark.parametrize(
    "stored",
    [
        b"no JSON",
        b'{"wishes":[],"sealed":"x"}',
        b'{"wishes":[{"channel":"in-app","target":null,"on":["postponed"]}],"sealed":""}',
    ],
    ids=["damaged", "no Base64", "newer"],
)
def test_a_job_ends_though_its_wishes_cannot_be_read(
    aviary: Aviary, stored: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    engine = aviary.engine()
    engine.preferences.set(ADA, [])
    with engine.store.writing() as connection:
        connection.execute(sa.update(users).values(preferences=stored))
    with pytest.raises(RequestError, match="What a user prefers is not valid"):
        engine.preferences.show(ADA)
    job = engine.submit(aviary.request())
    aviary.work()
    assert engine.jobs.show(job.id, ADA).state is JobState.COMPLETED
    assert [event for event, _text in notes(engine)] == ["completed"]
    assert f"who wishes to be told about job {job.id} cannot be read" in caplog.text


def test_what_one_was_told_is_marked_as_read(aviary: Aviary) -> None:
    engine = aviary.engine()
    for _ in range(3):
        engine.submit(aviary.request())
    aviary.work()
    engine.submit(aviary.request(), user=BOB)
    aviary.work()
    numbers = [one.number for one in engine.jobs.notifications(ADA)]
    assert engine.jobs.mark_read(ADA, numbers[:1]) == 1
    assert [one.number for one in engine.jobs.notifications(ADA, unread=True)] == numbers[1:]
    assert engine.jobs.mark_read(ADA, None) == 2
    assert engine.jobs.notifications(ADA, unread=True) == ()
    assert len(engine.jobs.notifications(BOB, unread=True)) == 1
