CREATE TABLE usage_figures (
    period TEXT NOT NULL CHECK (period IN ('hour', 'day')),
    starts_at TEXT NOT NULL,
    institution_id BLOB NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    micros INTEGER NOT NULL,
    p50_micros INTEGER NOT NULL,
    p95_micros INTEGER NOT NULL,
    p99_micros INTEGER NOT NULL,
    waits INTEGER NOT NULL,
    wait_micros INTEGER NOT NULL,
    slow_queries INTEGER NOT NULL,
    users INTEGER NOT NULL,
    size_bytes INTEGER,
    histogram BLOB,
    PRIMARY KEY (period, starts_at, institution_id)
) STRICT;
CREATE INDEX usage_figures_institution ON usage_figures (institution_id, period, starts_at);

CREATE TABLE page_usage (
    starts_at TEXT NOT NULL,
    institution_id BLOB NOT NULL,
    route TEXT NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (starts_at, institution_id, route)
) STRICT;

CREATE TABLE active_users (
    starts_at TEXT NOT NULL,
    institution_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    PRIMARY KEY (starts_at, institution_id, user_id)
) STRICT;

CREATE TABLE slow_queries (
    institution_id BLOB NOT NULL REFERENCES institutions (id),
    fingerprint INTEGER NOT NULL,
    statement TEXT NOT NULL,
    runs INTEGER NOT NULL,
    total_micros INTEGER NOT NULL,
    worst_micros INTEGER NOT NULL,
    first_seen_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    PRIMARY KEY (institution_id, fingerprint)
) STRICT;
CREATE INDEX slow_queries_total ON slow_queries (institution_id, total_micros);
CREATE INDEX slow_queries_seen ON slow_queries (last_seen_at);

CREATE TABLE tenant_figures (
    institution_id BLOB NOT NULL PRIMARY KEY REFERENCES tenant_databases (institution_id) ON DELETE CASCADE,
    day TEXT,
    requests INTEGER NOT NULL DEFAULT 0,
    errors INTEGER NOT NULL DEFAULT 0,
    error_permille INTEGER NOT NULL DEFAULT 0,
    p50_micros INTEGER NOT NULL DEFAULT 0,
    p95_micros INTEGER NOT NULL DEFAULT 0,
    p99_micros INTEGER NOT NULL DEFAULT 0,
    waits INTEGER NOT NULL DEFAULT 0,
    wait_micros INTEGER NOT NULL DEFAULT 0,
    slow_queries INTEGER NOT NULL DEFAULT 0,
    last_activity_at TEXT,
    size_bytes INTEGER NOT NULL DEFAULT 0,
    growth_bytes INTEGER NOT NULL DEFAULT 0,
    log_bytes INTEGER NOT NULL DEFAULT 0,
    measured_at TEXT,
    unreachable_since TEXT
) STRICT;
CREATE INDEX tenant_figures_day ON tenant_figures (day);
CREATE INDEX tenant_figures_requests ON tenant_figures (requests, institution_id);
CREATE INDEX tenant_figures_errors ON tenant_figures (error_permille, institution_id);
CREATE INDEX tenant_figures_p95 ON tenant_figures (p95_micros, institution_id);
CREATE INDEX tenant_figures_waits ON tenant_figures (waits, institution_id);
CREATE INDEX tenant_figures_slow ON tenant_figures (slow_queries, institution_id);
CREATE INDEX tenant_figures_active ON tenant_figures (last_activity_at, institution_id);
CREATE INDEX tenant_figures_size ON tenant_figures (size_bytes, institution_id);
CREATE INDEX tenant_figures_growth ON tenant_figures (growth_bytes, institution_id);
CREATE INDEX tenant_figures_log ON tenant_figures (log_bytes);
CREATE INDEX tenant_figures_measured ON tenant_figures (measured_at);
CREATE INDEX tenant_figures_unreachable ON tenant_figures (unreachable_since);
INSERT INTO tenant_figures (institution_id) SELECT institution_id FROM tenant_databases;

CREATE TABLE alerts (
    id BLOB NOT NULL PRIMARY KEY,
    rule TEXT NOT NULL,
    subject TEXT NOT NULL,
    institution_id BLOB REFERENCES institutions (id),
    severity TEXT NOT NULL CHECK (severity IN ('critical', 'warning')),
    summary TEXT NOT NULL,
    advice TEXT NOT NULL,
    link TEXT NOT NULL,
    search_key TEXT NOT NULL,
    firing_since TEXT NOT NULL,
    resolved_at TEXT,
    acknowledged_at TEXT,
    acknowledged_by TEXT
) STRICT;
CREATE UNIQUE INDEX alerts_one_firing ON alerts (rule, subject) WHERE resolved_at IS NULL;
CREATE INDEX alerts_resolved ON alerts (resolved_at, id);
CREATE INDEX alerts_since ON alerts (firing_since, id);
CREATE INDEX alerts_institution ON alerts (institution_id, id);

CREATE TABLE webhooks (
    id BLOB NOT NULL PRIMARY KEY,
    url TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
    secret_number INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    created_by TEXT NOT NULL
) STRICT;
CREATE INDEX webhooks_created ON webhooks (created_at, id);

CREATE TABLE webhook_deliveries (
    id BLOB NOT NULL PRIMARY KEY,
    webhook_id BLOB NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('waiting', 'delivered', 'given_up')),
    attempts INTEGER NOT NULL,
    next_attempt_at TEXT NOT NULL,
    answer INTEGER,
    error TEXT,
    created_at TEXT NOT NULL,
    ended_at TEXT
) STRICT;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (status, next_attempt_at);
CREATE INDEX webhook_deliveries_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at);
