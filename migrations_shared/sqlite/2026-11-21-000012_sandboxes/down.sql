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
CREATE TABLE registrations_old (
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
INSERT INTO registrations_old
    SELECT id, institution_id, CASE source WHEN 'sandbox' THEN 'command_line' ELSE source END, admin_name, admin_email,
        admin_password_hash, search_key, submitted_at, decision, decided_at, decided_by, decided_by_name, reason
    FROM registrations;
DROP TABLE registrations;
ALTER TABLE registrations_old RENAME TO registrations;
CREATE INDEX registrations_institution ON registrations (institution_id, submitted_at);
CREATE INDEX registrations_submitted ON registrations (submitted_at, id);
CREATE INDEX registrations_decision ON registrations (decision, id);
ALTER TABLE institution_deletions DROP COLUMN at_once;
DROP TABLE sandboxes;
