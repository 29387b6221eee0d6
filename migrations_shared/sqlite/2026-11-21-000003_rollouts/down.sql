DROP TABLE tenant_migrations;
DROP TABLE rollout_tenants;
DROP TABLE rollouts;
DROP TABLE known_migrations;
DROP INDEX tenant_databases_quarantined;
DROP INDEX tenant_databases_version;
ALTER TABLE tenant_databases DROP COLUMN quarantined_at;
ALTER TABLE tenant_databases DROP COLUMN quarantine_reason;
