-- Institutions that are masked copies of others: of which, and of which state.
CREATE TABLE sandboxes (
    institution_id UUID NOT NULL PRIMARY KEY REFERENCES institutions (id),
    source_id UUID NOT NULL REFERENCES institutions (id),
    source_name TEXT NOT NULL,
    state_of TIMESTAMP,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX sandboxes_source ON sandboxes (source_id, created_at);

-- A deletion without the days of grace.
ALTER TABLE institution_deletions ADD COLUMN at_once INTEGER NOT NULL DEFAULT 0 CHECK (at_once IN (0, 1));

-- One more source.
ALTER TABLE registrations DROP CONSTRAINT registrations_source_check;
ALTER TABLE registrations ADD CONSTRAINT registrations_source_check
    CHECK (source IN ('form', 'import', 'command_line', 'sandbox'));

-- What an institution takes along is made while it is sent, and lies nowhere.
DROP TABLE institution_exports;
