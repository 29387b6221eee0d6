CREATE TABLE backups (
    id BLOB NOT NULL PRIMARY KEY,
    institution_id BLOB REFERENCES institutions (id),
    subject TEXT NOT NULL,
    search_key TEXT NOT NULL,
    engine TEXT NOT NULL CHECK (engine IN ('sqlite', 'postgres')),
    schema_version TEXT NOT NULL,
    reason TEXT NOT NULL CHECK (reason IN ('scheduled', 'requested', 'before_restore', 'before_migration', 'before_move', 'before_archive', 'before_delete')),
    bytes INTEGER NOT NULL,
    row_total INTEGER NOT NULL,
    digest BLOB NOT NULL,
    manifest TEXT NOT NULL,
    mark TEXT,
    taken_at TEXT NOT NULL,
    kept_until TEXT NOT NULL,
    verified_at TEXT,
    fault TEXT
) STRICT;
CREATE INDEX backups_taken ON backups (taken_at, id);
CREATE INDEX backups_institution ON backups (institution_id, taken_at);
CREATE INDEX backups_bytes ON backups (bytes, id);
CREATE INDEX backups_verified ON backups (verified_at, id);
CREATE INDEX backups_kept ON backups (kept_until);

-- Databases beside the one that serves: each is entered here before it is made, and dropped when its time has come.
CREATE TABLE tenant_copies (
    id BLOB NOT NULL PRIMARY KEY,
    institution_id BLOB REFERENCES institutions (id),
    purpose TEXT NOT NULL CHECK (purpose IN ('scratch', 'incoming', 'previous', 'beside')),
    engine TEXT NOT NULL CHECK (engine IN ('sqlite', 'postgres')),
    database_name TEXT NOT NULL UNIQUE,
    location TEXT NOT NULL,
    sealed_password BLOB,
    schema_version TEXT NOT NULL,
    backup_id BLOB,
    operation_id BLOB,
    drop_after TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX tenant_copies_institution ON tenant_copies (institution_id, created_at);
CREATE INDEX tenant_copies_operation ON tenant_copies (operation_id);
CREATE INDEX tenant_copies_drop ON tenant_copies (drop_after);
