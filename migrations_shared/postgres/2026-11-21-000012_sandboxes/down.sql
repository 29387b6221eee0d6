UPDATE registrations SET source = 'command_line' WHERE source = 'sandbox';
ALTER TABLE registrations DROP CONSTRAINT registrations_source_check;
ALTER TABLE registrations ADD CONSTRAINT registrations_source_check
    CHECK (source IN ('form', 'import', 'command_line'));
ALTER TABLE institution_deletions DROP COLUMN at_once;
DROP TABLE sandboxes;
