CREATE TABLE usage_figures (
    period TEXT COLLATE "C" NOT NULL CHECK (period IN ('hour', 'day')),
    starts_at TIMESTAMP NOT NULL,
    institution_id UUID NOT NULL,
    requests BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    micros BIGINT NOT NULL,
    p50_micros BIGINT NOT NULL,
    p95_micros BIGINT NOT NULL,
    p99_micros BIGINT NOT NULL,
    waits BIGINT NOT NULL,
    wait_micros BIGINT NOT NULL,
    slow_queries BIGINT NOT NULL,
    users BIGINT NOT NULL,
    size_bytes BIGINT,
    histogram BYTEA,
    PRIMARY KEY (period, starts_at, institution_id)
);
CREATE INDEX usage_figures_institution ON usage_figures (institution_id, period, starts_at);

CREATE TABLE page_usage (
    starts_at TIMESTAMP NOT NULL,
    institution_id UUID NOT NULL,
    route TEXT COLLATE "C" NOT NULL,
    requests BIGINT NOT NULL,
    PRIMARY KEY (starts_at, institution_id, route)
);

CREATE TABLE active_users (
    starts_at TIMESTAMP NOT NULL,
    institution_id UUID NOT NULL,
    user_id UUID NOT NULL,
    PRIMARY KEY (starts_at, institution_id, user_id)
);

CREATE TABLE slow_queries (
    institution_id UUID NOT NULL REFERENCES institutions (id),
    fingerprint BIGINT NOT NULL,
    statement TEXT NOT NULL,
    runs BIGINT NOT NULL,
    total_micros BIGINT NOT NULL,
    worst_micros BIGINT NOT NULL,
    first_seen_at TIMESTAMP NOT NULL,
    last_seen_at TIMESTAMP NOT NULL,
    PRIMARY KEY (institution_id, fingerprint)
);
CREATE INDEX slow_queries_total ON slow_queries (institution_id, total_micros);
CREATE INDEX slow_queries_seen ON slow_queries (last_seen_at);

CREATE TABLE tenant_figures (
    institution_id UUID NOT NULL PRIMARY KEY REFERENCES tenant_databases (institution_id) ON DELETE CASCADE,
    day TIMESTAMP,
    requests BIGINT NOT NULL DEFAULT 0,
    errors BIGINT NOT NULL DEFAULT 0,
    error_permille BIGINT NOT NULL DEFAULT 0,
    p50_micros BIGINT NOT NULL DEFAULT 0,
    p95_micros BIGINT NOT NULL DEFAULT 0,
    p99_micros BIGINT NOT NULL DEFAULT 0,
    waits BIGINT NOT NULL DEFAULT 0,
    wait_micros BIGINT NOT NULL DEFAULT 0,
    slow_queries BIGINT NOT NULL DEFAULT 0,
    last_activity_at TIMESTAMP,
    size_bytes BIGINT NOT NULL DEFAULT 0,
    growth_bytes BIGINT NOT NULL DEFAULT 0,
    log_bytes BIGINT NOT NULL DEFAULT 0,
    measured_at TIMESTAMP,
    unreachable_since TIMESTAMP
);
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
    id UUID NOT NULL PRIMARY KEY,
    rule TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    institution_id UUID REFERENCES institutions (id),
    severity TEXT NOT NULL CHECK (severity IN ('critical', 'warning')),
    summary TEXT NOT NULL,
    advice TEXT NOT NULL,
    link TEXT NOT NULL,
    search_key TEXT COLLATE "C" NOT NULL,
    firing_since TIMESTAMP NOT NULL,
    resolved_at TIMESTAMP,
    acknowledged_at TIMESTAMP,
    acknowledged_by TEXT
);
CREATE UNIQUE INDEX alerts_one_firing ON alerts (rule, subject) WHERE resolved_at IS NULL;
CREATE INDEX alerts_resolved ON alerts (resolved_at, id);
CREATE INDEX alerts_since ON alerts (firing_since, id);
CREATE INDEX alerts_institution ON alerts (institution_id, id);

CREATE TABLE webhooks (
    id UUID NOT NULL PRIMARY KEY,
    url TEXT NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('active', 'disabled')),
    secret_number INTEGER NOT NULL,
    created_at TIMESTAMP NOT NULL,
    created_by TEXT NOT NULL
);
CREATE INDEX webhooks_created ON webhooks (created_at, id);

CREATE TABLE webhook_deliveries (
    id UUID NOT NULL PRIMARY KEY,
    webhook_id UUID NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT COLLATE "C" NOT NULL CHECK (status IN ('waiting', 'delivered', 'given_up')),
    attempts INTEGER NOT NULL,
    next_attempt_at TIMESTAMP NOT NULL,
    answer INTEGER,
    error TEXT,
    created_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (status, next_attempt_at);
CREATE INDEX webhook_deliveries_webhook ON webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at);
