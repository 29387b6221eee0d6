-- Institutions that are masked copies of others: of which, and of which state.
CREATE TABLE sandboxes (
    institution_id BLOB NOT NULL PRIMARY KEY REFERENCES institutions (id),
    source_id BLOB NOT NULL REFERENCES institutions (id),
    source_name TEXT NOT NULL,
    state_of TEXT,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX sandboxes_source ON sandboxes (source_id, created_at);

-- A deletion without the days of grace.
ALTER TABLE institution_deletions ADD COLUMN at_once INTEGER NOT NULL DEFAULT 0 CHECK (at_once IN (0, 1));

-- One more source. SQLite changes a CHECK only with the table.
CREATE TABLE registrations_new (
    id BLOB NOT NULL PRIMARY KEY,
    institution_id BLOB NOT NULL REFERENCES institutions (id),
    source TEXT NOT NULL CHECK (source IN ('form', 'import', 'command_line', 'sandbox')),
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
INSERT INTO registrations_new SELECT * FROM registrations;
DROP TABLE registrations;
ALTER TABLE registrations_new RENAME TO registrations;
CREATE INDEX registrations_institution ON registrations (institution_id, submitted_at);
CREATE INDEX registrations_submitted ON registrations (submitted_at, id);
CREATE INDEX registrations_decision ON registrations (decision, id);

-- What an institution takes along is made while it is sent, and lies nowhere.
DROP TABLE institution_exports;
