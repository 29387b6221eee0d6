-- What tending to each database would bring, as it was last looked at.
CREATE TABLE maintenance_needs (
    institution_id UUID NOT NULL PRIMARY KEY REFERENCES institutions (id),
    bytes BIGINT NOT NULL,
    spare_bytes BIGINT NOT NULL,
    log_bytes BIGINT NOT NULL,
    dead_rows BIGINT NOT NULL,
    acts TEXT COLLATE "C" NOT NULL,
    why TEXT NOT NULL,
    looked_at TIMESTAMP NOT NULL
);
CREATE INDEX maintenance_needs_looked ON maintenance_needs (looked_at);
CREATE INDEX maintenance_needs_spare ON maintenance_needs (acts, spare_bytes, institution_id);

-- What was done to a database, and what it brought.
CREATE TABLE maintenance_runs (
    id UUID NOT NULL PRIMARY KEY,
    institution_id UUID NOT NULL REFERENCES institutions (id),
    act TEXT NOT NULL CHECK (act IN ('analyse', 'vacuum', 'checkpoint', 'reindex')),
    why TEXT NOT NULL,
    bytes_before BIGINT NOT NULL,
    bytes_after BIGINT NOT NULL,
    milliseconds BIGINT NOT NULL,
    error TEXT,
    at TIMESTAMP NOT NULL
);
CREATE INDEX maintenance_runs_at ON maintenance_runs (at, id);
CREATE INDEX maintenance_runs_institution ON maintenance_runs (institution_id, at);

-- Looks of the doctor at the whole fleet.
CREATE TABLE fleet_reports (
    id UUID NOT NULL PRIMARY KEY,
    taken_at TIMESTAMP NOT NULL,
    tenants BIGINT NOT NULL,
    findings BIGINT NOT NULL,
    report TEXT NOT NULL
);
CREATE INDEX fleet_reports_taken ON fleet_reports (taken_at);

-- Entries that were taken out of a log: of the audit log where there is no institution, else of its activity log.
CREATE TABLE log_archives (
    id UUID NOT NULL PRIMARY KEY,
    institution_id UUID REFERENCES institutions (id),
    first_sequence BIGINT,
    last_sequence BIGINT,
    before_hash BYTEA,
    head_hash BYTEA,
    first_at TIMESTAMP NOT NULL,
    last_at TIMESTAMP NOT NULL,
    until TIMESTAMP NOT NULL,
    entries BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    created_at TIMESTAMP NOT NULL,
    seal BYTEA NOT NULL
);
CREATE INDEX log_archives_owner ON log_archives (institution_id, until);
CREATE UNIQUE INDEX log_archives_sequence ON log_archives (last_sequence);
CREATE INDEX log_archives_created ON log_archives (created_at, id);

-- An entry leaves the log only once it is in an archive.
CREATE FUNCTION audit_log_leaves_archived() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM log_archives WHERE OLD.sequence BETWEEN first_sequence AND last_sequence
    ) THEN
        RAISE EXCEPTION 'the audit log is append-only';
    END IF;
    RETURN OLD;
END
$$;
DROP TRIGGER audit_log_append_only ON audit_log;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_leaves_archived();
