-- Where tenant databases live. The row with the empty id is where the configuration puts them: it has no address here.
CREATE TABLE database_servers (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    engine TEXT NOT NULL CHECK (engine IN ('sqlite', 'postgres')),
    address TEXT NOT NULL,
    sealed_url BYTEA,
    capacity BIGINT NOT NULL,
    most_connections BIGINT,
    state TEXT NOT NULL CHECK (state IN ('accepting', 'draining')),
    identity TEXT UNIQUE,
    server_version TEXT,
    connections BIGINT,
    round_trip_micros BIGINT,
    checked_at TIMESTAMP,
    problem TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    version BIGINT NOT NULL DEFAULT 1
);
INSERT INTO database_servers (id, name, engine, address, capacity, state, created_at, updated_at)
VALUES ('00000000-0000-0000-0000-000000000000', 'main', 'postgres', '', 20000, 'accepting', now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC');

ALTER TABLE tenant_databases ADD COLUMN server_id UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
ALTER TABLE tenant_databases ADD COLUMN write_block TEXT CHECK (write_block IN ('move'));
ALTER TABLE tenant_copies ADD COLUMN server_id UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
CREATE INDEX tenant_databases_server ON tenant_databases (server_id);
CREATE INDEX tenant_copies_server ON tenant_copies (server_id);
