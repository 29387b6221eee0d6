-- Where tenant databases live. The row with the empty id is where the configuration puts them: it has no address here.
CREATE TABLE database_servers (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    engine TEXT NOT NULL CHECK (engine IN ('sqlite', 'postgres')),
    address TEXT NOT NULL,
    sealed_url BLOB,
    capacity INTEGER NOT NULL,
    most_connections INTEGER,
    state TEXT NOT NULL CHECK (state IN ('accepting', 'draining')),
    identity TEXT UNIQUE,
    server_version TEXT,
    connections INTEGER,
    round_trip_micros INTEGER,
    checked_at TEXT,
    problem TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
) STRICT;
INSERT INTO database_servers (id, name, engine, address, capacity, state, created_at, updated_at)
VALUES (x'00000000000000000000000000000000', 'main', 'sqlite', '', 20000, 'accepting', strftime('%Y-%m-%d %H:%M:%f', 'now'), strftime('%Y-%m-%d %H:%M:%f', 'now'));

ALTER TABLE tenant_databases ADD COLUMN server_id BLOB NOT NULL DEFAULT x'00000000000000000000000000000000';
ALTER TABLE tenant_databases ADD COLUMN write_block TEXT CHECK (write_block IN ('move'));
ALTER TABLE tenant_copies ADD COLUMN server_id BLOB NOT NULL DEFAULT x'00000000000000000000000000000000';
CREATE INDEX tenant_databases_server ON tenant_databases (server_id);
CREATE INDEX tenant_copies_server ON tenant_copies (server_id);
