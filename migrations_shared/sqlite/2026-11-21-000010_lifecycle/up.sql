-- Institutions that are to be deleted: who asked, who agreed, and when it happens.
CREATE TABLE institution_deletions (
    institution_id BLOB NOT NULL PRIMARY KEY REFERENCES institutions (id),
    asked_by BLOB,
    asked_by_name TEXT NOT NULL,
    reason TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    due_at TEXT NOT NULL,
    agreed_by BLOB,
    agreed_by_name TEXT,
    agreed_at TEXT,
    reminded INTEGER
) STRICT;
CREATE INDEX institution_deletions_due ON institution_deletions (due_at);

-- Whom to tell of an institution whose database is gone; sealed with its own key.
CREATE TABLE institution_contacts (
    institution_id BLOB NOT NULL PRIMARY KEY REFERENCES institutions (id),
    sealed BLOB NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

-- Data that an institution takes along: a file in the data folder for a few days.
CREATE TABLE institution_exports (
    id BLOB NOT NULL PRIMARY KEY,
    institution_id BLOB NOT NULL REFERENCES institutions (id),
    by_platform INTEGER NOT NULL CHECK (by_platform IN (0, 1)),
    asked_by_name TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    row_total INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;
CREATE INDEX institution_exports_institution ON institution_exports (institution_id, created_at);
CREATE INDEX institution_exports_expires ON institution_exports (expires_at);

-- Where the registry and what is really there differ.
CREATE TABLE reconciliation_findings (
    id BLOB NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('no_database', 'missing_database', 'left_database', 'unknown_database', 'unknown_role', 'invalid_database', 'half_made', 'version_drift', 'stray_log', 'trash', 'missing_copy', 'missing_backup')),
    subject TEXT NOT NULL,
    search_key TEXT NOT NULL,
    institution_id BLOB REFERENCES institutions (id),
    detail TEXT NOT NULL,
    first_seen_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    UNIQUE (kind, subject)
) STRICT;
CREATE INDEX reconciliation_findings_seen ON reconciliation_findings (first_seen_at, id);
CREATE INDEX reconciliation_findings_subject ON reconciliation_findings (subject, id);
