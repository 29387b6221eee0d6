CREATE TABLE announcements (
    id BLOB NOT NULL PRIMARY KEY,
    text TEXT NOT NULL,
    search_key TEXT NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('info', 'warning', 'maintenance')),
    audience TEXT NOT NULL CHECK (audience IN ('everybody', 'plans', 'institution')),
    plans TEXT NOT NULL,
    institution_id BLOB REFERENCES institutions (id),
    starts_at TEXT NOT NULL,
    ends_at TEXT,
    dismissible INTEGER NOT NULL CHECK (dismissible IN (0, 1)),
    created_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX announcements_starts ON announcements (starts_at, id);
CREATE INDEX announcements_ends ON announcements (ends_at, id);
CREATE INDEX announcements_level ON announcements (level, starts_at);

CREATE TABLE notifications (
    id BLOB NOT NULL PRIMARY KEY,
    recipient_id BLOB NOT NULL,
    institution_id BLOB REFERENCES institutions (id),
    kind TEXT NOT NULL CHECK (kind IN ('registration', 'operation', 'alert', 'subscription', 'suspension', 'limit', 'import')),
    text TEXT NOT NULL,
    search_key TEXT NOT NULL,
    href TEXT NOT NULL,
    created_at TEXT NOT NULL,
    read_at TEXT
) STRICT;
CREATE INDEX notifications_recipient ON notifications (recipient_id, id);
CREATE INDEX notifications_unread ON notifications (recipient_id) WHERE read_at IS NULL;
CREATE INDEX notifications_created ON notifications (created_at);
