-- Institutions that are to be deleted: who asked, who agreed, and when it happens.
CREATE TABLE institution_deletions (
    institution_id UUID NOT NULL PRIMARY KEY REFERENCES institutions (id),
    asked_by UUID,
    asked_by_name TEXT NOT NULL,
    reason TEXT NOT NULL,
    asked_at TIMESTAMP NOT NULL,
    due_at TIMESTAMP NOT NULL,
    agreed_by UUID,
    agreed_by_name TEXT,
    agreed_at TIMESTAMP,
    reminded INTEGER
);
CREATE INDEX institution_deletions_due ON institution_deletions (due_at);

-- Whom to tell of an institution whose database is gone; sealed with its own key.
CREATE TABLE institution_contacts (
    institution_id UUID NOT NULL PRIMARY KEY REFERENCES institutions (id),
    sealed BYTEA NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- Data that an institution takes along: a file in the data folder for a few days.
CREATE TABLE institution_exports (
    id UUID NOT NULL PRIMARY KEY,
    institution_id UUID NOT NULL REFERENCES institutions (id),
    by_platform INTEGER NOT NULL CHECK (by_platform IN (0, 1)),
    asked_by_name TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    row_total BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL
);
CREATE INDEX institution_exports_institution ON institution_exports (institution_id, created_at);
CREATE INDEX institution_exports_expires ON institution_exports (expires_at);

-- Where the registry and what is really there differ.
CREATE TABLE reconciliation_findings (
    id UUID NOT NULL PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('no_database', 'missing_database', 'left_database', 'unknown_database', 'unknown_role', 'invalid_database', 'half_made', 'version_drift', 'stray_log', 'trash', 'missing_copy', 'missing_backup')),
    subject TEXT COLLATE "C" NOT NULL,
    search_key TEXT COLLATE "C" NOT NULL,
    institution_id UUID REFERENCES institutions (id),
    detail TEXT NOT NULL,
    first_seen_at TIMESTAMP NOT NULL,
    last_seen_at TIMESTAMP NOT NULL,
    UNIQUE (kind, subject)
);
CREATE INDEX reconciliation_findings_seen ON reconciliation_findings (first_seen_at, id);
CREATE INDEX reconciliation_findings_subject ON reconciliation_findings (subject, id);
