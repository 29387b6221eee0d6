ALTER TABLE tenant_databases ADD COLUMN quarantine_reason TEXT;
ALTER TABLE tenant_databases ADD COLUMN quarantined_at TEXT;
CREATE INDEX tenant_databases_version ON tenant_databases (schema_version);
CREATE INDEX tenant_databases_quarantined ON tenant_databases (quarantined_at);

CREATE TABLE known_migrations (
    name TEXT NOT NULL PRIMARY KEY,
    checksum TEXT NOT NULL,
    first_seen_at TEXT NOT NULL
) STRICT;

CREATE TABLE rollouts (
    id BLOB NOT NULL PRIMARY KEY,
    operation_id BLOB NOT NULL UNIQUE REFERENCES operations (id),
    direction TEXT NOT NULL CHECK (direction IN ('up', 'down')),
    state TEXT NOT NULL CHECK (state IN ('running', 'paused', 'stopped', 'cancelled', 'done', 'failed')),
    stage TEXT NOT NULL CHECK (stage IN ('canaries', 'waves')),
    target_version TEXT NOT NULL,
    wave_size INTEGER NOT NULL CHECK (wave_size > 0),
    failure_percent INTEGER NOT NULL CHECK (failure_percent BETWEEN 1 AND 100),
    forgiven INTEGER NOT NULL,
    destructive_agreed INTEGER NOT NULL CHECK (destructive_agreed IN (0, 1)),
    reason TEXT,
    actor_name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    finished_at TEXT
) STRICT;
CREATE INDEX rollouts_created ON rollouts (created_at);
CREATE INDEX rollouts_state ON rollouts (state);

CREATE TABLE rollout_tenants (
    id BLOB NOT NULL PRIMARY KEY,
    rollout_id BLOB NOT NULL REFERENCES rollouts (id),
    institution_id BLOB NOT NULL REFERENCES institutions (id),
    wave INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('waiting', 'done', 'failed', 'skipped')),
    from_version TEXT NOT NULL,
    to_version TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    milliseconds INTEGER NOT NULL,
    error TEXT,
    finished_at TEXT,
    UNIQUE (rollout_id, institution_id)
) STRICT;
CREATE INDEX rollout_tenants_wave ON rollout_tenants (rollout_id, status, wave);
CREATE INDEX rollout_tenants_institution ON rollout_tenants (institution_id);

CREATE TABLE tenant_migrations (
    id BLOB NOT NULL PRIMARY KEY,
    institution_id BLOB NOT NULL REFERENCES institutions (id),
    migration TEXT NOT NULL,
    checksum TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('applied', 'failed', 'reverted')),
    attempts INTEGER NOT NULL,
    rollout_id BLOB REFERENCES rollouts (id),
    milliseconds INTEGER NOT NULL,
    error TEXT,
    at TEXT NOT NULL,
    UNIQUE (institution_id, migration)
) STRICT;
