CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)

CREATE TABLE audit (
	number INTEGER NOT NULL, 
	moment VARCHAR(27) NOT NULL, 
	user VARCHAR(255) NOT NULL, 
	operation VARCHAR(40) NOT NULL, 
	outcome VARCHAR(10) NOT NULL, 
	job VARCHAR(36), 
	thing TEXT NOT NULL, 
	source VARCHAR(255) NOT NULL, 
	format VARCHAR(255) NOT NULL, 
	since VARCHAR(27), 
	until VARCHAR(27), 
	rows BIGINT, 
	size BIGINT, 
	file TEXT NOT NULL, 
	error TEXT NOT NULL, 
	parameters TEXT NOT NULL, 
	address VARCHAR(255) NOT NULL, 
	agent TEXT NOT NULL, 
	previous VARCHAR(64) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_audit PRIMARY KEY (number), 
	CONSTRAINT uq_audit_hash UNIQUE (hash), 
	CONSTRAINT uq_audit_previous UNIQUE (previous)
)

CREATE INDEX ix_audit_job ON audit (job, number)

CREATE INDEX ix_audit_user ON audit (user, number)

CREATE TABLE facts (
	name VARCHAR(255) NOT NULL, 
	moment VARCHAR(27) NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_facts PRIMARY KEY (name)
)

CREATE TABLE jobs (
	id VARCHAR(36) NOT NULL, 
	state VARCHAR(20) NOT NULL, 
	creator VARCHAR(255) NOT NULL, 
	source VARCHAR(255) NOT NULL, 
	format VARCHAR(255) NOT NULL, 
	template VARCHAR(255), 
	schedule VARCHAR(255), 
	slot VARCHAR(27), 
	request TEXT NOT NULL, 
	sealed BLOB NOT NULL, 
	folder TEXT NOT NULL, 
	inline BOOLEAN NOT NULL, 
	timeout FLOAT, 
	retry TEXT NOT NULL, 
	estimate TEXT, 
	created VARCHAR(27) NOT NULL, 
	due VARCHAR(27) NOT NULL, 
	started VARCHAR(27), 
	finished VARCHAR(27), 
	worker VARCHAR(36), 
	fence BIGINT DEFAULT '0' NOT NULL, 
	lease_until VARCHAR(27), 
	cancel_requested BOOLEAN DEFAULT 0 NOT NULL, 
	made BIGINT, 
	place VARCHAR(36), 
	tries INTEGER DEFAULT '0' NOT NULL, 
	losses INTEGER DEFAULT '0' NOT NULL, 
	quarantined BOOLEAN DEFAULT 0 NOT NULL, 
	pinned BOOLEAN DEFAULT 0 NOT NULL, 
	phase VARCHAR(20) DEFAULT '' NOT NULL, 
	progress INTEGER DEFAULT '0' NOT NULL, 
	rows BIGINT DEFAULT '0' NOT NULL, 
	bytes BIGINT DEFAULT '0' NOT NULL, 
	total_rows BIGINT, 
	error TEXT, 
	result TEXT, needs VARCHAR(255), 
	CONSTRAINT pk_jobs PRIMARY KEY (id), 
	CONSTRAINT ck_jobs_held CHECK (state <> 'processing' OR (worker IS NOT NULL AND lease_until IS NOT NULL)), 
	CONSTRAINT ck_jobs_finished CHECK (state IN ('pending', 'processing') OR finished IS NOT NULL), 
	CONSTRAINT ck_jobs_state CHECK (state IN ('pending', 'processing', 'completed', 'partly delivered', 'failed', 'cancelled', 'expired')), 
	CONSTRAINT ck_jobs_complete CHECK (state NOT IN ('completed', 'partly delivered', 'expired') OR progress = 100), 
	CONSTRAINT ck_jobs_progress CHECK (progress BETWEEN 0 AND 100)
)

CREATE INDEX ix_jobs_creator_state ON jobs (creator, state, created, id)

CREATE INDEX ix_jobs_created ON jobs (created, id)

CREATE INDEX ix_jobs_creator ON jobs (creator, created, id)

CREATE INDEX ix_jobs_held ON jobs (state, lease_until) WHERE state = 'processing'

CREATE INDEX ix_jobs_state ON jobs (state, created, id)

CREATE INDEX ix_jobs_template ON jobs (creator, template, created, id) WHERE template IS NOT NULL

CREATE INDEX ix_jobs_waiting ON jobs (state, due, id) WHERE state = 'pending'

CREATE TABLE templates (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	owner VARCHAR(255) NOT NULL, 
	public BOOLEAN NOT NULL, 
	description TEXT NOT NULL, 
	request TEXT NOT NULL, 
	sealed BLOB NOT NULL, 
	created VARCHAR(27) NOT NULL, 
	changed VARCHAR(27) NOT NULL, 
	CONSTRAINT pk_templates PRIMARY KEY (id), 
	CONSTRAINT uq_templates_owner_name UNIQUE (owner, name)
)

CREATE INDEX ix_templates_name ON templates (name)

CREATE TABLE users (
	id VARCHAR(255) NOT NULL, 
	is_admin BOOLEAN NOT NULL, 
	first_seen VARCHAR(27) NOT NULL, 
	last_seen VARCHAR(27) NOT NULL, 
	preferences BLOB, 
	CONSTRAINT pk_users PRIMARY KEY (id)
)

CREATE TABLE workers (
	id VARCHAR(36) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	process INTEGER NOT NULL, 
	concurrency INTEGER NOT NULL, 
	started VARCHAR(27) NOT NULL, 
	seen VARCHAR(27) NOT NULL, 
	CONSTRAINT pk_workers PRIMARY KEY (id)
)

CREATE INDEX ix_workers_seen ON workers (seen)

CREATE TABLE artifacts (
	id VARCHAR(36) NOT NULL, 
	job VARCHAR(36) NOT NULL, 
	sink VARCHAR(255) NOT NULL, 
	file INTEGER DEFAULT '0' NOT NULL, 
	place VARCHAR(36) NOT NULL, 
	path TEXT NOT NULL, 
	root TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	rows BIGINT NOT NULL, 
	created VARCHAR(27) NOT NULL, 
	removed VARCHAR(27), 
	problem TEXT, 
	CONSTRAINT pk_artifacts PRIMARY KEY (id), 
	CONSTRAINT fk_artifacts_job FOREIGN KEY(job) REFERENCES jobs (id) ON DELETE CASCADE
)

CREATE INDEX ix_artifacts_path ON artifacts (path)

CREATE INDEX ix_artifacts_job ON artifacts (job)

CREATE INDEX ix_artifacts_present ON artifacts (created) WHERE removed IS NULL

CREATE TABLE attempts (
	job VARCHAR(36) NOT NULL, 
	fence BIGINT NOT NULL, 
	worker VARCHAR(36) NOT NULL, 
	started VARCHAR(27) NOT NULL, 
	ended VARCHAR(27), 
	outcome VARCHAR(10), 
	error TEXT, 
	folders TEXT, 
	CONSTRAINT pk_attempts PRIMARY KEY (job, fence), 
	CONSTRAINT fk_attempts_job FOREIGN KEY(job) REFERENCES jobs (id) ON DELETE CASCADE
)

CREATE INDEX ix_attempts_started ON attempts (started)

CREATE TABLE deliveries (
	id VARCHAR(36) NOT NULL, 
	job VARCHAR(36) NOT NULL, 
	file INTEGER NOT NULL, 
	destination INTEGER NOT NULL, 
	sink VARCHAR(255) NOT NULL, 
	recipient TEXT NOT NULL, 
	state VARCHAR(10) NOT NULL, 
	round INTEGER DEFAULT '0' NOT NULL, 
	tries INTEGER DEFAULT '0' NOT NULL, 
	due VARCHAR(27), 
	changed VARCHAR(27) NOT NULL, 
	place TEXT DEFAULT '' NOT NULL, 
	note TEXT DEFAULT '' NOT NULL, 
	error TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_deliveries PRIMARY KEY (id), 
	CONSTRAINT ck_deliveries_state CHECK (state IN ('waiting', 'delivered', 'failed')), 
	CONSTRAINT ck_deliveries_due CHECK (state <> 'waiting' OR due IS NOT NULL), 
	CONSTRAINT fk_deliveries_job FOREIGN KEY(job) REFERENCES jobs (id) ON DELETE CASCADE, 
	CONSTRAINT uq_deliveries_job_file_destination_recipient UNIQUE (job, file, destination, recipient)
)

CREATE TABLE messages (
	id VARCHAR(36) NOT NULL, 
	job VARCHAR(36) NOT NULL, 
	user VARCHAR(255) NOT NULL, 
	channel VARCHAR(255) NOT NULL, 
	addressee TEXT NOT NULL, 
	sealed BLOB NOT NULL, 
	message TEXT NOT NULL, 
	state VARCHAR(10) NOT NULL, 
	tries INTEGER DEFAULT '0' NOT NULL, 
	due VARCHAR(27) NOT NULL, 
	fence BIGINT DEFAULT '0' NOT NULL, 
	created VARCHAR(27) NOT NULL, 
	changed VARCHAR(27) NOT NULL, 
	error TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_messages PRIMARY KEY (id), 
	CONSTRAINT ck_messages_state CHECK (state IN ('waiting', 'sent', 'failed')), 
	CONSTRAINT fk_messages_job FOREIGN KEY(job) REFERENCES jobs (id) ON DELETE CASCADE
)

CREATE INDEX ix_messages_job ON messages (job)

CREATE INDEX ix_messages_waiting ON messages (due) WHERE state = 'waiting'

CREATE TABLE notifications (
	number INTEGER NOT NULL, 
	user VARCHAR(255) NOT NULL, 
	job VARCHAR(36), 
	event VARCHAR(20) NOT NULL, 
	text TEXT NOT NULL, 
	created VARCHAR(27) NOT NULL, 
	read VARCHAR(27), 
	CONSTRAINT pk_notifications PRIMARY KEY (number), 
	CONSTRAINT fk_notifications_job FOREIGN KEY(job) REFERENCES jobs (id) ON DELETE CASCADE
)

CREATE INDEX ix_notifications_job ON notifications (job)

CREATE INDEX ix_notifications_user ON notifications (user, number)

CREATE TABLE parcels (
	job VARCHAR(36) NOT NULL, 
	file INTEGER NOT NULL, 
	manifest TEXT NOT NULL, 
	fields TEXT NOT NULL, 
	CONSTRAINT pk_parcels PRIMARY KEY (job, file), 
	CONSTRAINT fk_parcels_job FOREIGN KEY(job) REFERENCES jobs (id) ON DELETE CASCADE
)

CREATE TABLE schedules (
	id VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	owner VARCHAR(255) NOT NULL, 
	kind VARCHAR(10) NOT NULL, 
	template VARCHAR(36) NOT NULL, 
	timing TEXT NOT NULL, 
	settings TEXT NOT NULL, 
	sealed BLOB NOT NULL, 
	alarm BLOB NOT NULL, 
	folder TEXT NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	paused TEXT DEFAULT '' NOT NULL, 
	last VARCHAR(27) NOT NULL, 
	next VARCHAR(27), 
	job VARCHAR(36), 
	failures INTEGER DEFAULT '0' NOT NULL, 
	delivered VARCHAR(27), 
	digest VARCHAR(64), 
	increments INTEGER DEFAULT '0' NOT NULL, 
	increment_until VARCHAR(27), 
	increment_files TEXT, 
	created VARCHAR(27) NOT NULL, 
	changed VARCHAR(27) NOT NULL, 
	CONSTRAINT pk_schedules PRIMARY KEY (id), 
	CONSTRAINT fk_schedules_template FOREIGN KEY(template) REFERENCES templates (id), 
	CONSTRAINT uq_schedules_owner_name UNIQUE (owner, name)
)

CREATE INDEX ix_schedules_next ON schedules (next)

CREATE INDEX ix_schedules_template ON schedules (template)

CREATE TABLE slots (
	schedule VARCHAR(36) NOT NULL, 
	moment VARCHAR(27) NOT NULL, 
	name VARCHAR(40) NOT NULL, 
	by_hand BOOLEAN NOT NULL, 
	state VARCHAR(10) NOT NULL, 
	stands_for INTEGER DEFAULT '1' NOT NULL, 
	first VARCHAR(27) NOT NULL, 
	seen VARCHAR(27) NOT NULL, 
	job VARCHAR(36), 
	outcome VARCHAR(20) DEFAULT '' NOT NULL, 
	note TEXT DEFAULT '' NOT NULL, 
	ended VARCHAR(27), 
	digest VARCHAR(64), 
	unchanged BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_slots PRIMARY KEY (schedule, moment), 
	CONSTRAINT ck_slots_state CHECK (state IN ('entered', 'skipped', 'missed')), 
	CONSTRAINT ck_slots_job CHECK (state <> 'entered' OR job IS NOT NULL), 
	CONSTRAINT fk_slots_schedule FOREIGN KEY(schedule) REFERENCES schedules (id) ON DELETE CASCADE
)

CREATE INDEX ix_slots_job ON slots (job)

CREATE INDEX ix_slots_open ON slots (schedule) WHERE outcome = '' AND job IS NOT NULL

CREATE TRIGGER jobs_transition BEFORE UPDATE OF state ON jobs FOR EACH ROW WHEN (OLD.state <> NEW.state AND NOT ((OLD.state = 'pending' AND NEW.state IN ('processing', 'cancelled', 'failed', 'completed', 'partly delivered')) OR (OLD.state = 'processing' AND NEW.state IN ('completed', 'partly delivered', 'failed', 'cancelled', 'pending')) OR (OLD.state = 'completed' AND NEW.state IN ('expired', 'pending')) OR (OLD.state = 'partly delivered' AND NEW.state IN ('expired', 'pending')) OR (OLD.state = 'failed' AND NEW.state IN ('pending')) OR (OLD.state = 'cancelled' AND NEW.state IN ('pending')))) BEGIN SELECT RAISE(ABORT, 'tailrace: a job does not go from this state to that'); END

CREATE TRIGGER jobs_delivered BEFORE UPDATE OF state ON jobs FOR EACH ROW WHEN (OLD.state <> NEW.state AND NEW.state = 'completed' AND EXISTS (SELECT 1 FROM deliveries WHERE job = NEW.id AND state <> 'delivered')) BEGIN SELECT RAISE(ABORT, 'tailrace: a job is completed when every delivery is confirmed'); END

CREATE TRIGGER jobs_beginning BEFORE INSERT ON jobs FOR EACH ROW WHEN (NEW.state NOT IN ('pending', 'processing')) BEGIN SELECT RAISE(ABORT, 'tailrace: a job begins pending'); END

CREATE TRIGGER jobs_fence BEFORE UPDATE OF fence ON jobs FOR EACH ROW WHEN (NEW.fence < OLD.fence) BEGIN SELECT RAISE(ABORT, 'tailrace: fences only rise'); END

CREATE TRIGGER audit_kept BEFORE DELETE ON audit FOR EACH ROW WHEN (true) BEGIN SELECT RAISE(ABORT, 'tailrace: the audit trail only grows'); END

CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit FOR EACH ROW WHEN (true) BEGIN SELECT RAISE(ABORT, 'tailrace: the audit trail only grows'); END

INSERT INTO alembic_version VALUES ('0002')
