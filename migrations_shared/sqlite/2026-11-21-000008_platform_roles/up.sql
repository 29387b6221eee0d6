ALTER TABLE platform_admins ADD COLUMN role TEXT NOT NULL DEFAULT 'super_admin' CHECK (role IN ('super_admin', 'operator', 'support', 'auditor'));

CREATE TABLE support_accesses (
    id BLOB NOT NULL PRIMARY KEY,
    institution_id BLOB NOT NULL REFERENCES institutions (id),
    admin_id BLOB NOT NULL REFERENCES platform_admins (id),
    reason TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    ended_at TEXT
) STRICT;
CREATE INDEX support_accesses_admin ON support_accesses (admin_id, institution_id, expires_at);
CREATE INDEX support_accesses_institution ON support_accesses (institution_id, created_at);
