CREATE TABLE platform_admins (
    id UUID NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    email_normalised TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    search_key TEXT COLLATE "C" NOT NULL,
    password_hash TEXT,
    status TEXT NOT NULL CHECK (status IN ('invited', 'active', 'disabled')),
    last_sign_in_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    version BIGINT NOT NULL DEFAULT 1
);

CREATE TABLE institutions (
    id UUID NOT NULL PRIMARY KEY,
    domain TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('university', 'college', 'school', 'training_centre', 'other')),
    country TEXT COLLATE "C" NOT NULL,
    region TEXT,
    website TEXT,
    time_zone TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending_approval', 'provisioning', 'provisioning_failed', 'active', 'suspended', 'rejected', 'archived', 'deleted')),
    status_changed_at TIMESTAMP NOT NULL,
    plan TEXT NOT NULL,
    trial_ends_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    version BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX institutions_status_created ON institutions (status, created_at);
CREATE INDEX institutions_created ON institutions (created_at);
CREATE INDEX institutions_name ON institutions (name_key);
CREATE INDEX institutions_country ON institutions (country, name_key);
CREATE INDEX institutions_kind ON institutions (kind, name_key);

CREATE TABLE institution_status_changes (
    id UUID NOT NULL PRIMARY KEY,
    institution_id UUID NOT NULL REFERENCES institutions (id),
    from_status TEXT,
    to_status TEXT NOT NULL,
    reason TEXT,
    actor_id UUID,
    actor_name TEXT NOT NULL,
    at TIMESTAMP NOT NULL
);
CREATE INDEX institution_status_changes_institution ON institution_status_changes (institution_id, at);

CREATE TABLE registrations (
    id UUID NOT NULL PRIMARY KEY,
    institution_id UUID NOT NULL REFERENCES institutions (id),
    source TEXT NOT NULL CHECK (source IN ('form', 'import', 'command_line')),
    admin_name TEXT,
    admin_email TEXT,
    admin_password_hash TEXT,
    search_key TEXT COLLATE "C" NOT NULL,
    submitted_at TIMESTAMP NOT NULL,
    decision TEXT CHECK (decision IN ('approved', 'rejected')),
    decided_at TIMESTAMP,
    decided_by UUID,
    decided_by_name TEXT,
    reason TEXT
);
CREATE INDEX registrations_institution ON registrations (institution_id, submitted_at);
CREATE INDEX registrations_submitted ON registrations (submitted_at, id);
CREATE INDEX registrations_decision ON registrations (decision, id);

CREATE TABLE account_tokens (
    id UUID NOT NULL PRIMARY KEY,
    token_hash BYTEA NOT NULL UNIQUE,
    purpose TEXT NOT NULL CHECK (purpose IN ('setup', 'invitation', 'password_reset')),
    institution_id UUID REFERENCES institutions (id),
    user_id UUID,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    used_at TIMESTAMP
);
CREATE INDEX account_tokens_user ON account_tokens (user_id, purpose);

CREATE TABLE login_index (
    id UUID NOT NULL PRIMARY KEY,
    email_hash BYTEA NOT NULL,
    institution_id UUID NOT NULL REFERENCES institutions (id),
    user_id UUID NOT NULL,
    created_at TIMESTAMP NOT NULL,
    UNIQUE (email_hash, institution_id)
);
CREATE INDEX login_index_institution ON login_index (institution_id, user_id);

CREATE TABLE sessions (
    id UUID NOT NULL PRIMARY KEY,
    token_hash BYTEA NOT NULL UNIQUE,
    institution_id UUID REFERENCES institutions (id),
    user_id UUID,
    state TEXT NOT NULL,
    ip TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    last_seen_at TIMESTAMP NOT NULL,
    idle_expires_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL
);
CREATE INDEX sessions_institution ON sessions (institution_id, user_id);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (idle_expires_at);

CREATE TABLE throttles (
    subject TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    failures INTEGER NOT NULL,
    last_failure_at TIMESTAMP NOT NULL,
    blocked_until TIMESTAMP NOT NULL
);
CREATE INDEX throttles_last ON throttles (last_failure_at);

CREATE TABLE tenant_databases (
    id UUID NOT NULL PRIMARY KEY,
    institution_id UUID NOT NULL UNIQUE REFERENCES institutions (id),
    engine TEXT NOT NULL CHECK (engine IN ('sqlite', 'postgres')),
    database_name TEXT COLLATE "C" NOT NULL UNIQUE,
    location TEXT NOT NULL,
    sealed_password BYTEA,
    schema_version TEXT NOT NULL,
    generation BIGINT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('reserved', 'ready', 'dropped')),
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE TABLE institution_keys (
    institution_id UUID NOT NULL PRIMARY KEY REFERENCES institutions (id),
    wrapped_key BYTEA NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE platform_secrets (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    sealed BYTEA NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE platform_settings (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE TABLE operations (
    id UUID NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('provision', 'import_registrations', 'import_students', 'decide_registrations', 'migrate_fleet', 'back_up', 'verify_backup', 'restore', 'move', 'archive', 'delete', 'maintain')),
    institution_id UUID REFERENCES institutions (id),
    subject TEXT NOT NULL,
    search_key TEXT COLLATE "C" NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'rolling_back', 'rolled_back')),
    input TEXT NOT NULL,
    result TEXT,
    attempts INTEGER NOT NULL,
    next_attempt_at TIMESTAMP NOT NULL,
    lease_owner TEXT,
    lease_expires_at TIMESTAMP,
    fence BIGINT NOT NULL,
    error TEXT,
    progress_done BIGINT NOT NULL,
    progress_total BIGINT NOT NULL,
    actor_id UUID,
    actor_name TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    started_at TIMESTAMP,
    finished_at TIMESTAMP
);
CREATE UNIQUE INDEX operations_one_open ON operations (institution_id, kind) WHERE status IN ('queued', 'running', 'rolling_back');
CREATE INDEX operations_due ON operations (status, next_attempt_at);
CREATE INDEX operations_created ON operations (created_at);
CREATE INDEX operations_institution ON operations (institution_id, created_at);

CREATE TABLE operation_steps (
    id UUID NOT NULL PRIMARY KEY,
    operation_id UUID NOT NULL REFERENCES operations (id),
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'done', 'failed', 'undone')),
    attempts INTEGER NOT NULL,
    started_at TIMESTAMP,
    finished_at TIMESTAMP,
    detail TEXT,
    error TEXT,
    UNIQUE (operation_id, position)
);

CREATE TABLE imports (
    id UUID NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    file_name TEXT NOT NULL,
    content BYTEA NOT NULL,
    mapping TEXT NOT NULL,
    operation_id UUID,
    created_by UUID NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX imports_created ON imports (created_at);

CREATE TABLE audit_log (
    sequence BIGINT NOT NULL PRIMARY KEY,
    id UUID NOT NULL UNIQUE,
    at TIMESTAMP NOT NULL,
    actor_id UUID,
    actor_name TEXT NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id UUID,
    subject_label TEXT NOT NULL,
    search_key TEXT COLLATE "C" NOT NULL,
    institution_id UUID,
    detail TEXT NOT NULL,
    ip TEXT,
    previous_hash BYTEA NOT NULL,
    hash BYTEA NOT NULL
);
CREATE INDEX audit_log_at ON audit_log (at);
CREATE INDEX audit_log_action ON audit_log (action, sequence);
CREATE INDEX audit_log_institution ON audit_log (institution_id, sequence);

CREATE TABLE security_log (
    id UUID NOT NULL PRIMARY KEY,
    at TIMESTAMP NOT NULL,
    event TEXT NOT NULL,
    account_hash BYTEA,
    institution_id UUID,
    user_id UUID,
    ip TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX security_log_at ON security_log (at);
CREATE INDEX security_log_user ON security_log (user_id, at);

CREATE TABLE outgoing_mails (
    id UUID NOT NULL PRIMARY KEY,
    sealed BYTEA,
    created_at TIMESTAMP NOT NULL,
    sent_at TIMESTAMP,
    attempts INTEGER NOT NULL,
    next_attempt_at TIMESTAMP NOT NULL,
    error TEXT
);
CREATE INDEX outgoing_mails_due ON outgoing_mails (sent_at, next_attempt_at);

CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
