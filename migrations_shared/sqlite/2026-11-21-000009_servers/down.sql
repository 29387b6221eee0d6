DROP INDEX tenant_copies_server;
DROP INDEX tenant_databases_server;
ALTER TABLE tenant_copies DROP COLUMN server_id;
ALTER TABLE tenant_databases DROP COLUMN write_block;
ALTER TABLE tenant_databases DROP COLUMN server_id;
DROP TABLE database_servers;
