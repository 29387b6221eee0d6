DROP TABLE tenant_copies;
DROP TABLE backups;
