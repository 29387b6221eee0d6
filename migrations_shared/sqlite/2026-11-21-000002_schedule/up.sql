CREATE TABLE scheduled_jobs (
    name TEXT NOT NULL PRIMARY KEY,
    next_run_at TEXT NOT NULL,
    last_run_at TEXT,
    last_error TEXT
) STRICT;
