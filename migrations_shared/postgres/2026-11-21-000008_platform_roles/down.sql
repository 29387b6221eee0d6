DROP TABLE support_accesses;
ALTER TABLE platform_admins DROP COLUMN role;
