-- What tending to each database would bring, as it was last looked at.
CREATE TABLE maintenance_needs (
    institution_id BLOB NOT NULL PRIMARY KEY REFERENCES institutions (id),
    bytes INTEGER NOT NULL,
    spare_bytes INTEGER NOT NULL,
    log_bytes INTEGER NOT NULL,
    dead_rows INTEGER NOT NULL,
    acts TEXT NOT NULL,
    why TEXT NOT NULL,
    looked_at TEXT NOT NULL
) STRICT;
CREATE INDEX maintenance_needs_looked ON maintenance_needs (looked_at);
CREATE INDEX maintenance_needs_spare ON maintenance_needs (acts, spare_bytes, institution_id);

-- What was done to a database, and what it brought.
CREATE TABLE maintenance_runs (
    id BLOB NOT NULL PRIMARY KEY,
    institution_id BLOB NOT NULL REFERENCES institutions (id),
    act TEXT NOT NULL CHECK (act IN ('analyse', 'vacuum', 'checkpoint', 'reindex')),
    why TEXT NOT NULL,
    bytes_before INTEGER NOT NULL,
    bytes_after INTEGER NOT NULL,
    milliseconds INTEGER NOT NULL,
    error TEXT,
    at TEXT NOT NULL
) STRICT;
CREATE INDEX maintenance_runs_at ON maintenance_runs (at, id);
CREATE INDEX maintenance_runs_institution ON maintenance_runs (institution_id, at);

-- Looks of the doctor at the whole fleet.
CREATE TABLE fleet_reports (
    id BLOB NOT NULL PRIMARY KEY,
    taken_at TEXT NOT NULL,
    tenants INTEGER NOT NULL,
    findings INTEGER NOT NULL,
    report TEXT NOT NULL
) STRICT;
CREATE INDEX fleet_reports_taken ON fleet_reports (taken_at);

-- Entries that were taken out of a log: of the audit log where there is no institution, else of its activity log.
CREATE TABLE log_archives (
    id BLOB NOT NULL PRIMARY KEY,
    institution_id BLOB REFERENCES institutions (id),
    first_sequence INTEGER,
    last_sequence INTEGER,
    before_hash BLOB,
    head_hash BLOB,
    first_at TEXT NOT NULL,
    last_at TEXT NOT NULL,
    until TEXT NOT NULL,
    entries INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    digest BLOB NOT NULL,
    created_at TEXT NOT NULL,
    seal BLOB NOT NULL
) STRICT;
CREATE INDEX log_archives_owner ON log_archives (institution_id, until);
CREATE UNIQUE INDEX log_archives_sequence ON log_archives (last_sequence);
CREATE INDEX log_archives_created ON log_archives (created_at, id);

-- An entry leaves the log only once it is in an archive.
DROP TRIGGER audit_log_no_delete;
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
WHEN NOT EXISTS (
    SELECT 1 FROM log_archives WHERE OLD.sequence BETWEEN first_sequence AND last_sequence
)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
