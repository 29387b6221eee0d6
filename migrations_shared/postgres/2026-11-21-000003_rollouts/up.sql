ALTER TABLE tenant_databases ADD COLUMN quarantine_reason TEXT;
ALTER TABLE tenant_databases ADD COLUMN quarantined_at TIMESTAMP;
ALTER TABLE tenant_databases ALTER COLUMN schema_version TYPE TEXT COLLATE "C";
CREATE INDEX tenant_databases_version ON tenant_databases (schema_version);
CREATE INDEX tenant_databases_quarantined ON tenant_databases (quarantined_at);

CREATE TABLE known_migrations (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    checksum TEXT NOT NULL,
    first_seen_at TIMESTAMP NOT NULL
);

CREATE TABLE rollouts (
    id UUID NOT NULL PRIMARY KEY,
    operation_id UUID NOT NULL UNIQUE REFERENCES operations (id),
    direction TEXT NOT NULL CHECK (direction IN ('up', 'down')),
    state TEXT NOT NULL CHECK (state IN ('running', 'paused', 'stopped', 'cancelled', 'done', 'failed')),
    stage TEXT NOT NULL CHECK (stage IN ('canaries', 'waves')),
    target_version TEXT NOT NULL,
    wave_size INTEGER NOT NULL CHECK (wave_size > 0),
    failure_percent INTEGER NOT NULL CHECK (failure_percent BETWEEN 1 AND 100),
    forgiven BIGINT NOT NULL,
    destructive_agreed INTEGER NOT NULL CHECK (destructive_agreed IN (0, 1)),
    reason TEXT,
    actor_name TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP
);
CREATE INDEX rollouts_created ON rollouts (created_at);
CREATE INDEX rollouts_state ON rollouts (state);

CREATE TABLE rollout_tenants (
    id UUID NOT NULL PRIMARY KEY,
    rollout_id UUID NOT NULL REFERENCES rollouts (id),
    institution_id UUID NOT NULL REFERENCES institutions (id),
    wave INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('waiting', 'done', 'failed', 'skipped')),
    from_version TEXT NOT NULL,
    to_version TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    milliseconds BIGINT NOT NULL,
    error TEXT,
    finished_at TIMESTAMP,
    UNIQUE (rollout_id, institution_id)
);
CREATE INDEX rollout_tenants_wave ON rollout_tenants (rollout_id, status, wave);
CREATE INDEX rollout_tenants_institution ON rollout_tenants (institution_id);

CREATE TABLE tenant_migrations (
    id UUID NOT NULL PRIMARY KEY,
    institution_id UUID NOT NULL REFERENCES institutions (id),
    migration TEXT COLLATE "C" NOT NULL,
    checksum TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('applied', 'failed', 'reverted')),
    attempts INTEGER NOT NULL,
    rollout_id UUID REFERENCES rollouts (id),
    milliseconds BIGINT NOT NULL,
    error TEXT,
    at TIMESTAMP NOT NULL,
    UNIQUE (institution_id, migration)
);
