"""The first tables: jobs with their attempts and artifacts, templates, audit, users, and what later versions fill."""

import sqlalchemy as sa
from alembic import op

from tailrace.store import columns

revision = "0001"
down_revision = None

_WAYS = (
    ("pending", ("processing", "cancelled", "failed", "completed", "partly delivered")),
    ("processing", ("completed", "partly delivered", "failed", "cancelled", "pending")),
    ("completed", ("expired", "pending")),
    ("partly delivered", ("expired", "pending")),
    ("failed", ("pending",)),
    ("cancelled", ("pending",)),
)
_ALLOWED = " OR ".join(
    f"(OLD.state = '{state}' AND NEW.state IN ({', '.join(map(repr, followers))}))" for state, followers in _WAYS
)
_NOT_EVERYBODY_HAS_IT = "SELECT 1 FROM deliveries WHERE job = NEW.id AND state <> 'delivered'"
_RULES = (
    (
        "jobs_transition",
        "BEFORE UPDATE OF state ON jobs",
        f"OLD.state <> NEW.state AND NOT ({_ALLOWED})",
        "a job does not go from this state to that",
    ),
    (
        "jobs_delivered",
        "BEFORE UPDATE OF state ON jobs",
        f"OLD.state <> NEW.state AND NEW.state = 'completed' AND EXISTS ({_NOT_EVERYBODY_HAS_IT})",
        "a job is completed when every delivery is confirmed",
    ),
    ("jobs_beginning", "BEFORE INSERT ON jobs", "NEW.state NOT IN ('pending', 'processing')", "a job begins pending"),
    ("jobs_fence", "BEFORE UPDATE OF fence ON jobs", "NEW.fence < OLD.fence", "fences only rise"),
    ("audit_kept", "BEFORE DELETE ON audit", "true", "the audit trail only grows"),
    ("audit_unchanged", "BEFORE UPDATE ON audit", "true", "the audit trail only grows"),
)
"""What the database refuses, whoever writes: name, event, condition, and what it says."""


def _refuse_on_sqlite(name: str, event: str, condition: str, words: str) -> None:
    body = f"BEGIN SELECT RAISE(ABORT, 'tailrace: {words}'); END"
    op.execute(f"CREATE TRIGGER {name} {event} FOR EACH ROW WHEN ({condition}) {body}")


def _refuse_on_postgresql(name: str, event: str, condition: str, words: str) -> None:
    refusal = f"RAISE EXCEPTION 'tailrace: {words}' USING ERRCODE = 'integrity_constraint_violation';"
    each = "STATEMENT" if "TRUNCATE" in event else f"ROW WHEN ({condition})"
    if "SELECT" in condition:
        # PostgreSQL asks nothing of other tables before it calls the function.
        refusal, each = f"IF {condition} THEN {refusal} END IF; RETURN NEW;", "ROW"
    body = f"BEGIN {refusal} END"
    op.execute(f"CREATE FUNCTION tailrace_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    op.execute(f"CREATE TRIGGER {name} {event} FOR EACH {each} EXECUTE FUNCTION tailrace_{name}()")


def upgrade() -> None:
    """Make the tables, and what they refuse."""
    _make_tables()
    refuse = _refuse_on_sqlite if op.get_bind().dialect.name == "sqlite" else _refuse_on_postgresql
    for rule in _RULES:
        refuse(*rule)
    if refuse is _refuse_on_postgresql:
        refuse("audit_whole", "BEFORE TRUNCATE ON audit", "", "the audit trail only grows")


def _make_tables() -> None:
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("moment", columns.Moment(length=27), nullable=False),
        sa.Column("user", sa.String(length=255), nullable=False),
        sa.Column("operation", sa.String(length=40), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("job", sa.String(length=36), nullable=True),
        sa.Column("thing", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("format", sa.String(length=255), nullable=False),
        sa.Column("since", columns.Moment(length=27), nullable=True),
        sa.Column("until", columns.Moment(length=27), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("parameters", columns.Document(), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_hash")),
        sa.UniqueConstraint("previous", name=op.f("uq_audit_previous")),
    )
    op.create_index("ix_audit_job", "audit", ["job", "number"], unique=False)
    op.create_index("ix_audit_user", "audit", ["user", "number"], unique=False)
    op.create_table(
        "facts",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("moment", columns.Moment(length=27), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_facts")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("creator", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("format", sa.String(length=255), nullable=False),
        sa.Column("template", sa.String(length=255), nullable=True),
        sa.Column("schedule", sa.String(length=255), nullable=True),
        sa.Column("slot", columns.Moment(length=27), nullable=True),
        sa.Column("request", columns.Document(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("inline", sa.Boolean(), nullable=False),
        sa.Column("timeout", sa.Float(), nullable=True),
        sa.Column("retry", columns.Document(), nullable=False),
        sa.Column("estimate", columns.Document(), nullable=True),
        sa.Column("created", columns.Moment(length=27), nullable=False),
        sa.Column("due", columns.Moment(length=27), nullable=False),
        sa.Column("started", columns.Moment(length=27), nullable=True),
        sa.Column("finished", columns.Moment(length=27), nullable=True),
        sa.Column("worker", sa.String(length=36), nullable=True),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", columns.Moment(length=27), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=True),
        sa.Column("place", sa.String(length=36), nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("losses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("quarantined", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("pinned", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("phase", sa.String(length=20), server_default="", nullable=False),
        sa.Column("progress", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rows", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total_rows", sa.BigInteger(), nullable=True),
        sa.Column("error", columns.Document(), nullable=True),
        sa.Column("result", columns.Document(), nullable=True),
        sa.CheckConstraint(
            "state <> 'processing' OR (worker IS NOT NULL AND lease_until IS NOT NULL)", name=op.f("ck_jobs_held")
        ),
        sa.CheckConstraint("state IN ('pending', 'processing') OR finished IS NOT NULL", name=op.f("ck_jobs_finished")),
        sa.CheckConstraint(
            "state IN ('pending', 'processing', 'completed', 'partly delivered', 'failed', 'cancelled', 'expired')",
            name=op.f("ck_jobs_state"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('completed', 'partly delivered', 'expired') OR progress = 100", name=op.f("ck_jobs_complete")
        ),
        sa.CheckConstraint("progress BETWEEN 0 AND 100", name=op.f("ck_jobs_progress")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_creator_state", "jobs", ["creator", "state", "created", "id"], unique=False)
    op.create_index("ix_jobs_created", "jobs", ["created", "id"], unique=False)
    op.create_index("ix_jobs_creator", "jobs", ["creator", "created", "id"], unique=False)
    op.create_index(
        "ix_jobs_held",
        "jobs",
        ["state", "lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'processing'"),
        postgresql_where=sa.text("state = 'processing'"),
    )
    op.create_index("ix_jobs_state", "jobs", ["state", "created", "id"], unique=False)
    op.create_index(
        "ix_jobs_template",
        "jobs",
        ["creator", "template", "created", "id"],
        unique=False,
        sqlite_where=sa.text("template IS NOT NULL"),
        postgresql_where=sa.text("template IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_waiting",
        "jobs",
        ["state", "due", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "templates",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("request", columns.Document(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created", columns.Moment(length=27), nullable=False),
        sa.Column("changed", columns.Moment(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_templates")),
        sa.UniqueConstraint("owner", "name", name=op.f("uq_templates_owner_name")),
    )
    op.create_index("ix_templates_name", "templates", ["name"], unique=False)
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("first_seen", columns.Moment(length=27), nullable=False),
        sa.Column("last_seen", columns.Moment(length=27), nullable=False),
        sa.Column("preferences", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("started", columns.Moment(length=27), nullable=False),
        sa.Column("seen", columns.Moment(length=27), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    op.create_index(op.f("ix_workers_seen"), "workers", ["seen"], unique=False)
    op.create_table(
        "artifacts",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("job", sa.String(length=36), nullable=False),
        sa.Column("sink", sa.String(length=255), nullable=False),
        sa.Column("file", sa.Integer(), server_default="0", nullable=False),
        sa.Column("place", sa.String(length=36), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("created", columns.Moment(length=27), nullable=False),
        sa.Column("removed", columns.Moment(length=27), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_artifacts_job"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts")),
    )
    op.create_index("ix_artifacts_path", "artifacts", ["path"], unique=False)
    op.create_index(op.f("ix_artifacts_job"), "artifacts", ["job"], unique=False)
    op.create_index(
        "ix_artifacts_present",
        "artifacts",
        ["created"],
        unique=False,
        sqlite_where=sa.text("removed IS NULL"),
        postgresql_where=sa.text("removed IS NULL"),
    )
    op.create_table(
        "attempts",
        sa.Column("job", sa.String(length=36), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.String(length=36), nullable=False),
        sa.Column("started", columns.Moment(length=27), nullable=False),
        sa.Column("ended", columns.Moment(length=27), nullable=True),
        sa.Column("outcome", sa.String(length=10), nullable=True),
        sa.Column("error", columns.Document(), nullable=True),
        sa.Column("folders", columns.Document(), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_attempts_job"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job", "fence", name=op.f("pk_attempts")),
    )
    op.create_index(op.f("ix_attempts_started"), "attempts", ["started"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("job", sa.String(length=36), nullable=False),
        sa.Column("file", sa.Integer(), nullable=False),
        sa.Column("destination", sa.Integer(), nullable=False),
        sa.Column("sink", sa.String(length=255), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("round", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due", columns.Moment(length=27), nullable=True),
        sa.Column("changed", columns.Moment(length=27), nullable=False),
        sa.Column("place", sa.Text(), server_default="", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name=op.f("ck_deliveries_state")),
        sa.CheckConstraint("state <> 'waiting' OR due IS NOT NULL", name=op.f("ck_deliveries_due")),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_deliveries_job"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint(
            "job", "file", "destination", "recipient", name=op.f("uq_deliveries_job_file_destination_recipient")
        ),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("job", sa.String(length=36), nullable=False),
        sa.Column("user", sa.String(length=255), nullable=False),
        sa.Column("channel", sa.String(length=255), nullable=False),
        sa.Column("addressee", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("message", columns.Document(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due", columns.Moment(length=27), nullable=False),
        sa.Column("fence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created", columns.Moment(length=27), nullable=False),
        sa.Column("changed", columns.Moment(length=27), nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'failed')", name=op.f("ck_messages_state")),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_messages_job"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
    )
    op.create_index(op.f("ix_messages_job"), "messages", ["job"], unique=False)
    op.create_index(
        "ix_messages_waiting",
        "messages",
        ["due"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "notifications",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user", sa.String(length=255), nullable=False),
        sa.Column("job", sa.String(length=36), nullable=True),
        sa.Column("event", sa.String(length=20), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created", columns.Moment(length=27), nullable=False),
        sa.Column("read", columns.Moment(length=27), nullable=True),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_notifications_job"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_notifications")),
    )
    op.create_index(op.f("ix_notifications_job"), "notifications", ["job"], unique=False)
    op.create_index("ix_notifications_user", "notifications", ["user", "number"], unique=False)
    op.create_table(
        "parcels",
        sa.Column("job", sa.String(length=36), nullable=False),
        sa.Column("file", sa.Integer(), nullable=False),
        sa.Column("manifest", columns.Document(), nullable=False),
        sa.Column("fields", columns.Document(), nullable=False),
        sa.ForeignKeyConstraint(["job"], ["jobs.id"], name=op.f("fk_parcels_job"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job", "file", name=op.f("pk_parcels")),
    )
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("template", sa.String(length=36), nullable=False),
        sa.Column("timing", columns.Document(), nullable=False),
        sa.Column("settings", columns.Document(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("alarm", sa.LargeBinary(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("paused", sa.Text(), server_default="", nullable=False),
        sa.Column("last", columns.Moment(length=27), nullable=False),
        sa.Column("next", columns.Moment(length=27), nullable=True),
        sa.Column("job", sa.String(length=36), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("delivered", columns.Moment(length=27), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("increments", sa.Integer(), server_default="0", nullable=False),
        sa.Column("increment_until", columns.Moment(length=27), nullable=True),
        sa.Column("increment_files", columns.Document(), nullable=True),
        sa.Column("created", columns.Moment(length=27), nullable=False),
        sa.Column("changed", columns.Moment(length=27), nullable=False),
        sa.ForeignKeyConstraint(["template"], ["templates.id"], name=op.f("fk_schedules_template")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        sa.UniqueConstraint("owner", "name", name=op.f("uq_schedules_owner_name")),
    )
    op.create_index(op.f("ix_schedules_next"), "schedules", ["next"], unique=False)
    op.create_index(op.f("ix_schedules_template"), "schedules", ["template"], unique=False)
    op.create_table(
        "slots",
        sa.Column("schedule", sa.String(length=36), nullable=False),
        sa.Column("moment", columns.Moment(length=27), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("stands_for", sa.Integer(), server_default="1", nullable=False),
        sa.Column("first", columns.Moment(length=27), nullable=False),
        sa.Column("seen", columns.Moment(length=27), nullable=False),
        sa.Column("job", sa.String(length=36), nullable=True),
        sa.Column("outcome", sa.String(length=20), server_default="", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("ended", columns.Moment(length=27), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("unchanged", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.CheckConstraint("state IN ('entered', 'skipped', 'missed')", name=op.f("ck_slots_state")),
        sa.CheckConstraint("state <> 'entered' OR job IS NOT NULL", name=op.f("ck_slots_job")),
        sa.ForeignKeyConstraint(["schedule"], ["schedules.id"], name=op.f("fk_slots_schedule"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("schedule", "moment", name=op.f("pk_slots")),
    )
    op.create_index(op.f("ix_slots_job"), "slots", ["job"], unique=False)
    op.create_index(
        "ix_slots_open",
        "slots",
        ["schedule"],
        unique=False,
        sqlite_where=sa.text("outcome = '' AND job IS NOT NULL"),
        postgresql_where=sa.text("outcome = '' AND job IS NOT NULL"),
    )
