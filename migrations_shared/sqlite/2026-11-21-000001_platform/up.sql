CREATE TABLE platform_admins (
    id BLOB NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    email_normalised TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    search_key TEXT NOT NULL,
    password_hash TEXT,
    status TEXT NOT NULL CHECK (status IN ('invited', 'active', 'disabled')),
    last_sign_in_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE TABLE institutions (
    id BLOB NOT NULL PRIMARY KEY,
    domain TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('university', 'college', 'school', 'training_centre', 'other')),
    country TEXT NOT NULL,
    region TEXT,
    website TEXT,
    time_zone TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending_approval', 'provisioning', 'provisioning_failed', 'active', 'suspended', 'rejected', 'archived', 'deleted')),
    status_changed_at TEXT NOT NULL,
    plan TEXT NOT NULL,
    trial_ends_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX institutions_status_created ON institutions (status, created_at);
CREATE INDEX institutions_created ON institutions (created_at);
CREATE INDEX institutions_name ON institutions (name_key);
CREATE INDEX institutions_country ON institutions (country, name_key);
CREATE INDEX institutions_kind ON institutions (kind, name_key);

CREATE TABLE institution_status_changes (
    id BLOB NOT NULL PRIMARY KEY,
    institution_id BLOB NOT NULL REFERENCES institutions (id),
    from_status TEXT,
    to_status TEXT NOT NULL,
    reason TEXT,
    actor_id BLOB,
    actor_name TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE INDEX institution_status_changes_institution ON institution_status_changes (institution_id, at);

CREATE TABLE registrations (
    id BLOB NOT NULL PRIMARY KEY,
    institution_id BLOB NOT NULL REFERENCES institutions (id),
    source TEXT NOT NULL CHECK (source IN ('form', 'import', 'command_line')),
    admin_name TEXT,
    admin_email TEXT,
    admin_password_hash TEXT,
    search_key TEXT NOT NULL,
    submitted_at TEXT NOT NULL,
    decision TEXT CHECK (decision IN ('approved', 'rejected')),
    decided_at TEXT,
    decided_by BLOB,
    decided_by_name TEXT,
    reason TEXT
) STRICT;
CREATE INDEX registrations_institution ON registrations (institution_id, submitted_at);
CREATE INDEX registrations_submitted ON registrations (submitted_at, id);
CREATE INDEX registrations_decision ON registrations (decision, id);

CREATE TABLE account_tokens (
    id BLOB NOT NULL PRIMARY KEY,
    token_hash BLOB NOT NULL UNIQUE,
    purpose TEXT NOT NULL CHECK (purpose IN ('setup', 'invitation', 'password_reset')),
    institution_id BLOB REFERENCES institutions (id),
    user_id BLOB,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    used_at TEXT
) STRICT;
CREATE INDEX account_tokens_user ON account_tokens (user_id, purpose);

CREATE TABLE login_index (
    id BLOB NOT NULL PRIMARY KEY,
    email_hash BLOB NOT NULL,
    institution_id BLOB NOT NULL REFERENCES institutions (id),
    user_id BLOB NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (email_hash, institution_id)
) STRICT;
CREATE INDEX login_index_institution ON login_index (institution_id, user_id);

CREATE TABLE sessions (
    id BLOB NOT NULL PRIMARY KEY,
    token_hash BLOB NOT NULL UNIQUE,
    institution_id BLOB REFERENCES institutions (id),
    user_id BLOB,
    state TEXT NOT NULL,
    ip TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    idle_expires_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_institution ON sessions (institution_id, user_id);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (idle_expires_at);

CREATE TABLE throttles (
    subject TEXT NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    last_failure_at TEXT NOT NULL,
    blocked_until TEXT NOT NULL
) STRICT;
CREATE INDEX throttles_last ON throttles (last_failure_at);

CREATE TABLE tenant_databases (
    id BLOB NOT NULL PRIMARY KEY,
    institution_id BLOB NOT NULL UNIQUE REFERENCES institutions (id),
    engine TEXT NOT NULL CHECK (engine IN ('sqlite', 'postgres')),
    database_name TEXT NOT NULL UNIQUE,
    location TEXT NOT NULL,
    sealed_password BLOB,
    schema_version TEXT NOT NULL,
    generation INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('reserved', 'ready', 'dropped')),
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE institution_keys (
    institution_id BLOB NOT NULL PRIMARY KEY REFERENCES institutions (id),
    wrapped_key BLOB NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE platform_secrets (
    name TEXT NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE platform_settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE operations (
    id BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('provision', 'import_registrations', 'import_students', 'decide_registrations', 'migrate_fleet', 'back_up', 'verify_backup', 'restore', 'move', 'archive', 'delete', 'maintain')),
    institution_id BLOB REFERENCES institutions (id),
    subject TEXT NOT NULL,
    search_key TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'rolling_back', 'rolled_back')),
    input TEXT NOT NULL,
    result TEXT,
    attempts INTEGER NOT NULL,
    next_attempt_at TEXT NOT NULL,
    lease_owner TEXT,
    lease_expires_at TEXT,
    fence INTEGER NOT NULL,
    error TEXT,
    progress_done INTEGER NOT NULL,
    progress_total INTEGER NOT NULL,
    actor_id BLOB,
    actor_name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT
) STRICT;
CREATE UNIQUE INDEX operations_one_open ON operations (institution_id, kind) WHERE status IN ('queued', 'running', 'rolling_back');
CREATE INDEX operations_due ON operations (status, next_attempt_at);
CREATE INDEX operations_created ON operations (created_at);
CREATE INDEX operations_institution ON operations (institution_id, created_at);

CREATE TABLE operation_steps (
    id BLOB NOT NULL PRIMARY KEY,
    operation_id BLOB NOT NULL REFERENCES operations (id),
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'done', 'failed', 'undone')),
    attempts INTEGER NOT NULL,
    started_at TEXT,
    finished_at TEXT,
    detail TEXT,
    error TEXT,
    UNIQUE (operation_id, position)
) STRICT;

CREATE TABLE imports (
    id BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    file_name TEXT NOT NULL,
    content BLOB NOT NULL,
    mapping TEXT NOT NULL,
    operation_id BLOB,
    created_by BLOB NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX imports_created ON imports (created_at);

CREATE TABLE audit_log (
    sequence INTEGER NOT NULL PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    at TEXT NOT NULL,
    actor_id BLOB,
    actor_name TEXT NOT NULL,
    action TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id BLOB,
    subject_label TEXT NOT NULL,
    search_key TEXT NOT NULL,
    institution_id BLOB,
    detail TEXT NOT NULL,
    ip TEXT,
    previous_hash BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX audit_log_at ON audit_log (at);
CREATE INDEX audit_log_action ON audit_log (action, sequence);
CREATE INDEX audit_log_institution ON audit_log (institution_id, sequence);

CREATE TABLE security_log (
    id BLOB NOT NULL PRIMARY KEY,
    at TEXT NOT NULL,
    event TEXT NOT NULL,
    account_hash BLOB,
    institution_id BLOB,
    user_id BLOB,
    ip TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX security_log_at ON security_log (at);
CREATE INDEX security_log_user ON security_log (user_id, at);

CREATE TABLE outgoing_mails (
    id BLOB NOT NULL PRIMARY KEY,
    sealed BLOB,
    created_at TEXT NOT NULL,
    sent_at TEXT,
    attempts INTEGER NOT NULL,
    next_attempt_at TEXT NOT NULL,
    error TEXT
) STRICT;
CREATE INDEX outgoing_mails_due ON outgoing_mails (sent_at, next_attempt_at);

CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
BEGIN
    SELECT RAISE(ABORT, 'the audit log is append-only');
END;
