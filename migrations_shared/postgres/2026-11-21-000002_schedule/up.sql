CREATE TABLE scheduled_jobs (
    name TEXT NOT NULL PRIMARY KEY,
    next_run_at TIMESTAMP NOT NULL,
    last_run_at TIMESTAMP,
    last_error TEXT
);
