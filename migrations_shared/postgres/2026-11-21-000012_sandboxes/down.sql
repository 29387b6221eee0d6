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
UPDATE registrations SET source = 'command_line' WHERE source = 'sandbox';
ALTER TABLE registrations DROP CONSTRAINT registrations_source_check;
ALTER TABLE registrations ADD CONSTRAINT registrations_source_check
    CHECK (source IN ('form', 'import', 'command_line'));
ALTER TABLE institution_deletions DROP COLUMN at_once;
DROP TABLE sandboxes;
