"""The tables.

========================  ============================================================================================
``jobs``                  exports: what was asked, how far they are, who holds them, how they ended
``attempts``              each try of a job: by which worker, under which fence, how it ended
``artifacts``             files that jobs made, where they lie on this machine, and what became of them
``templates``             saved requests
``audit``                 who did what, each entry chained to the one before; can only grow
``users``                 who was seen, for display; what somebody may do is never read from here
``notifications``         what users are told in the application
``parcels``               what was made: the manifests of files that are kept to be delivered
``deliveries``            who is to have which file, and whether they have it
``messages``              what users are told by mail or webhook, until it is
``schedules``             what runs by the clock: of which template, when, and where it stands
``slots``                 each time that a schedule was due, once: what became of it
``workers``               workers that are alive, or were
``facts``                 what all who use the store have in common: which key seals requests, when retention ran last
========================  ============================================================================================

What must not be is refused by the database itself, whoever writes: states out of order, fences that fall, changes to
the audit trail. These triggers are in the migrations, as alembic compares none.
"""

import sqlalchemy as sa

from tailrace.model.states import JobState
from tailrace.store.columns import Document, Moment

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ID = sa.String(36)
_NAME = sa.String(255)
_STATES = ", ".join(f"'{state.value}'" for state in JobState)

# Counted upwards by the database; SQLite does that for its own kind of integer only.
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("creator", _NAME, nullable=False),
    sa.Column("source", _NAME, nullable=False),
    sa.Column("format", _NAME, nullable=False),
    sa.Column("template", _NAME),
    # The schedule that asked for it; null where somebody did.
    sa.Column("schedule", _NAME),
    # Which slot of it, where it is one that the store has; null where an application has its own.
    sa.Column("slot", Moment),
    # What was asked for without anything secret, for people; and all of it, sealed, for the worker.
    sa.Column("request", Document, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    # Relative paths count from here.
    sa.Column("folder", sa.Text, nullable=False),
    # Whether the process that asked carries it out itself: nobody takes such a job over.
    sa.Column("inline", sa.Boolean, nullable=False),
    sa.Column("timeout", sa.Float),
    sa.Column("retry", Document, nullable=False),
    sa.Column("estimate", Document),
    sa.Column("created", Moment, nullable=False),
    sa.Column("due", Moment, nullable=False),
    sa.Column("started", Moment),
    sa.Column("finished", Moment),
    sa.Column("worker", _ID),
    sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("lease_until", Moment),
    sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default=sa.false()),
    # Under which fence its files were made; from then on it is only delivered.
    sa.Column("made", sa.BigInteger),
    # On whose machine they are: nobody else can deliver them.
    sa.Column("place", _ID),
    # Attempts that came to an end by themselves, and those whose worker died of them or beside them.
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("losses", sa.Integer, nullable=False, server_default="0"),
    sa.Column("quarantined", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("pinned", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("phase", sa.String(20), nullable=False, server_default=""),
    sa.Column("progress", sa.Integer, nullable=False, server_default="0"),
    sa.Column("rows", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("total_rows", sa.BigInteger),
    sa.Column("error", Document),
    sa.Column("result", Document),
    # What only some applications give to their workers, such as "source orders"; null where any worker will do.
    sa.Column("needs", _NAME),
    sa.CheckConstraint(f"state IN ({_STATES})", name="state"),
    sa.CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
    sa.CheckConstraint("state NOT IN ('completed', 'partly delivered', 'expired') OR progress = 100", name="complete"),
    sa.CheckConstraint("state IN ('pending', 'processing') OR finished IS NOT NULL", name="finished"),
    sa.CheckConstraint("state <> 'processing' OR (worker IS NOT NULL AND lease_until IS NOT NULL)", name="held"),
    sa.Index("ix_jobs_created", "created", "id"),
    sa.Index("ix_jobs_creator", "creator", "created", "id"),
    sa.Index("ix_jobs_state", "state", "created", "id"),
    sa.Index("ix_jobs_creator_state", "creator", "state", "created", "id"),
)

# However many jobs are finished, these stay as small as what waits and runs. They begin with the state, which is the
# same in all of each: without it, SQLite prefers the index of all states.
sa.Index(
    "ix_jobs_waiting",
    jobs.c.state,
    jobs.c.due,
    jobs.c.id,
    sqlite_where=jobs.c.state == JobState.PENDING.value,
    postgresql_where=jobs.c.state == JobState.PENDING.value,
)
sa.Index(
    "ix_jobs_held",
    jobs.c.state,
    jobs.c.lease_until,
    sqlite_where=jobs.c.state == JobState.PROCESSING.value,
    postgresql_where=jobs.c.state == JobState.PROCESSING.value,
)
# What estimates learn from.
sa.Index(
    "ix_jobs_template",
    jobs.c.creator,
    jobs.c.template,
    jobs.c.created,
    jobs.c.id,
    sqlite_where=jobs.c.template.is_not(None),
    postgresql_where=jobs.c.template.is_not(None),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("job", _ID, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("fence", sa.BigInteger, primary_key=True),
    sa.Column("worker", _ID, nullable=False),
    sa.Column("started", Moment, nullable=False, index=True),
    sa.Column("ended", Moment),
    # completed, failed, cancelled, retried, returned (the worker shut down), lost (its worker died), crashed (only
    # the job's own process died)
    sa.Column("outcome", sa.String(10)),
    sa.Column("error", Document),
    # Where it made files: whoever comes after it looks there for what it left.
    sa.Column("folders", Document),
)

artifacts = sa.Table(
    "artifacts",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("job", _ID, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("sink", _NAME, nullable=False),
    # Which of the job's files it is, or a copy of, from 0.
    sa.Column("file", sa.Integer, nullable=False, server_default="0"),
    # Which home's machine it is on: a path says nothing elsewhere.
    sa.Column("place", _ID, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    # The folder that it must not lead out of when it is deleted.
    sa.Column("root", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("created", Moment, nullable=False),
    sa.Column("removed", Moment),
    # Why it could not be deleted, the last time that it was tried.
    sa.Column("problem", sa.Text),
    sa.Index("ix_artifacts_path", "path"),
)
sa.Index(
    "ix_artifacts_present",
    artifacts.c.created,
    sqlite_where=artifacts.c.removed.is_(None),
    postgresql_where=artifacts.c.removed.is_(None),
)

templates = sa.Table(
    "templates",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("name", _NAME, nullable=False),
    sa.Column("owner", _NAME, nullable=False),
    sa.Column("public", sa.Boolean, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("request", Document, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("created", Moment, nullable=False),
    sa.Column("changed", Moment, nullable=False),
    sa.UniqueConstraint("owner", "name"),
    sa.Index("ix_templates_name", "name"),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("number", _SERIAL, primary_key=True, autoincrement=False),
    sa.Column("moment", Moment, nullable=False),
    sa.Column("user", _NAME, nullable=False),
    sa.Column("operation", sa.String(40), nullable=False),
    sa.Column("outcome", sa.String(10), nullable=False),
    sa.Column("job", _ID),
    sa.Column("thing", sa.Text, nullable=False),
    sa.Column("source", _NAME, nullable=False),
    sa.Column("format", _NAME, nullable=False),
    sa.Column("since", Moment),
    sa.Column("until", Moment),
    sa.Column("rows", sa.BigInteger),
    sa.Column("size", sa.BigInteger),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("parameters", Document, nullable=False),
    sa.Column("address", _NAME, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False, unique=True),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Index("ix_audit_user", "user", "number"),
    sa.Index("ix_audit_job", "job", "number"),
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", _NAME, primary_key=True),
    sa.Column("is_admin", sa.Boolean, nullable=False),
    sa.Column("first_seen", Moment, nullable=False),
    sa.Column("last_seen", Moment, nullable=False),
    # Sealed, as an address may be a secret.
    sa.Column("preferences", sa.LargeBinary),
)

notifications = sa.Table(
    "notifications",
    metadata,
    sa.Column("number", _SERIAL, primary_key=True),
    sa.Column("user", _NAME, nullable=False),
    sa.Column("job", _ID, sa.ForeignKey("jobs.id", ondelete="CASCADE"), index=True),
    sa.Column("event", sa.String(20), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("created", Moment, nullable=False),
    sa.Column("read", Moment),
    sa.Index("ix_notifications_user", "user", "number"),
)

parcels = sa.Table(
    "parcels",
    metadata,
    sa.Column("job", _ID, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    # Which of the job's files, from 0.
    sa.Column("file", sa.Integer, primary_key=True),
    sa.Column("manifest", Document, nullable=False),
    sa.Column("fields", Document, nullable=False),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("job", _ID, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("file", sa.Integer, nullable=False),
    # Which of the request's sinks, from 0.
    sa.Column("destination", sa.Integer, nullable=False),
    sa.Column("sink", _NAME, nullable=False),
    # As it is shown; empty where the sink tells recipients not apart.
    sa.Column("recipient", sa.Text, nullable=False),
    # waiting, delivered, failed
    sa.Column("state", sa.String(10), nullable=False),
    # How often somebody had it sent again although it had arrived: another delivery for the other side.
    sa.Column("round", sa.Integer, nullable=False, server_default="0"),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("due", Moment),
    sa.Column("changed", Moment, nullable=False),
    sa.Column("place", sa.Text, nullable=False, server_default=""),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    sa.Column("error", sa.Text, nullable=False, server_default=""),
    sa.CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name="state"),
    sa.CheckConstraint("state <> 'waiting' OR due IS NOT NULL", name="due"),
    sa.UniqueConstraint("job", "file", "destination", "recipient"),
)

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("job", _ID, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("user", _NAME, nullable=False),
    # The sink that carries it, and whom to, as it is shown; and in its own words, sealed.
    sa.Column("channel", _NAME, nullable=False),
    sa.Column("addressee", sa.Text, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("message", Document, nullable=False),
    # waiting, sent, failed
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    # Who sends it has it until then: it is nobody else's turn before.
    sa.Column("due", Moment, nullable=False),
    sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("created", Moment, nullable=False),
    sa.Column("changed", Moment, nullable=False),
    sa.Column("error", sa.Text, nullable=False, server_default=""),
    sa.CheckConstraint("state IN ('waiting', 'sent', 'failed')", name="state"),
)
sa.Index(
    "ix_messages_waiting",
    messages.c.due,
    sqlite_where=messages.c.state == "waiting",
    postgresql_where=messages.c.state == "waiting",
)

schedules = sa.Table(
    "schedules",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("name", _NAME, nullable=False),
    sa.Column("owner", _NAME, nullable=False),
    # export, or drill
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("template", _ID, sa.ForeignKey("templates.id"), nullable=False, index=True),
    sa.Column("timing", Document, nullable=False),
    sa.Column("settings", Document, nullable=False),
    # Where it delivers instead of where the template says, and who else is told of failures: addresses may be secrets.
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("alarm", sa.LargeBinary, nullable=False),
    # Relative paths count from here.
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    # Why it is not, in a sentence.
    sa.Column("paused", sa.Text, nullable=False, server_default=""),
    # Slots up to here are dealt with; and when the next one is, null where none is or it is paused.
    sa.Column("last", Moment, nullable=False),
    sa.Column("next", Moment, index=True),
    # The newest job that it asked for.
    sa.Column("job", _ID),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    # Of which slot everybody has the data, and what tells that data from other.
    sa.Column("delivered", Moment),
    sa.Column("digest", sa.String(64)),
    # How far increments go: how many there are, up to when, and the files of the newest.
    sa.Column("increments", sa.Integer, nullable=False, server_default="0"),
    sa.Column("increment_until", Moment),
    sa.Column("increment_files", Document),
    sa.Column("created", Moment, nullable=False),
    sa.Column("changed", Moment, nullable=False),
    sa.UniqueConstraint("owner", "name"),
)

slots = sa.Table(
    "slots",
    metadata,
    sa.Column("schedule", _ID, sa.ForeignKey("schedules.id", ondelete="CASCADE"), primary_key=True),
    # When it was due, by the clock of the schedule; of what somebody asked for by hand, when that was.
    sa.Column("moment", Moment, primary_key=True),
    # The same in local time, with its offset.
    sa.Column("name", sa.String(40), nullable=False),
    sa.Column("by_hand", sa.Boolean, nullable=False),
    # entered: there is a job; skipped: the one before still ran; missed: nobody was there
    sa.Column("state", sa.String(10), nullable=False),
    # For how many slots it stands, itself included, and when the first of them was due.
    sa.Column("stands_for", sa.Integer, nullable=False, server_default="1"),
    sa.Column("first", Moment, nullable=False),
    sa.Column("seen", Moment, nullable=False),
    sa.Column("job", _ID, index=True),
    # How its job ended: kept where the job is removed. Empty while it has not.
    sa.Column("outcome", sa.String(20), nullable=False, server_default=""),
    sa.Column("note", sa.Text, nullable=False, server_default=""),
    sa.Column("ended", Moment),
    # What tells its data from other; and whether it was not sent because it was the same.
    sa.Column("digest", sa.String(64)),
    sa.Column("unchanged", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.CheckConstraint("state IN ('entered', 'skipped', 'missed')", name="state"),
    sa.CheckConstraint("state <> 'entered' OR job IS NOT NULL", name="job"),
)

# However long a history is: those whose jobs have not come to their end.
sa.Index(
    "ix_slots_open",
    slots.c.schedule,
    sqlite_where=sa.text("outcome = '' AND job IS NOT NULL"),
    postgresql_where=sa.text("outcome = '' AND job IS NOT NULL"),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("host", _NAME, nullable=False),
    sa.Column("process", sa.Integer, nullable=False),
    sa.Column("concurrency", sa.Integer, nullable=False),
    sa.Column("started", Moment, nullable=False),
    sa.Column("seen", Moment, nullable=False, index=True),
)

facts = sa.Table(
    "facts",
    metadata,
    sa.Column("name", _NAME, primary_key=True),
    sa.Column("moment", Moment, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
)
