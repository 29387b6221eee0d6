CREATE TABLE plans (
    key TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    search_key TEXT NOT NULL,
    description TEXT NOT NULL,
    price_month INTEGER NOT NULL CHECK (price_month >= 0),
    price_year INTEGER NOT NULL CHECK (price_year >= 0),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    max_users INTEGER CHECK (max_users > 0),
    max_students INTEGER CHECK (max_students > 0),
    max_storage_bytes INTEGER CHECK (max_storage_bytes > 0),
    features TEXT NOT NULL,
    position INTEGER NOT NULL,
    archived_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX plans_position ON plans (position, key);
CREATE INDEX plans_name ON plans (search_key, key);
CREATE INDEX plans_price ON plans (price_month, key);

INSERT INTO plans (key, name, search_key, description, price_month, price_year, currency, max_users, max_students, max_storage_bytes, features, position, created_at, updated_at) VALUES
    ('starter', 'Starter', 'starter starter', 'For a first year, and for trying it out.', 4900, 49000, 'EUR', 50, 10000, 5000000000, 'import', 1, '2026-11-21 00:00:00', '2026-11-21 00:00:00'),
    ('basic', 'Basic', 'basic basic', 'For a school or a small college.', 14900, 149000, 'EUR', 200, 25000, 20000000000, 'import', 2, '2026-11-21 00:00:00', '2026-11-21 00:00:00'),
    ('premium', 'Premium', 'premium premium', 'For a university.', 49900, 499000, 'EUR', 1000, 100000, 100000000000, 'import support', 3, '2026-11-21 00:00:00', '2026-11-21 00:00:00'),
    ('enterprise', 'Enterprise', 'enterprise enterprise', 'Without limits, by agreement.', 0, 0, 'EUR', NULL, NULL, NULL, 'import support', 4, '2026-11-21 00:00:00', '2026-11-21 00:00:00');

CREATE INDEX institutions_plan ON institutions (plan);
CREATE INDEX institutions_trial ON institutions (trial_ends_at) WHERE trial_ends_at IS NOT NULL;

CREATE TABLE subscriptions (
    institution_id BLOB NOT NULL PRIMARY KEY REFERENCES institutions (id),
    status TEXT NOT NULL CHECK (status IN ('trial', 'active', 'past_due', 'cancelled', 'expired')),
    started_at TEXT NOT NULL,
    period_ends_at TEXT,
    grace_until TEXT,
    max_users INTEGER,
    max_students INTEGER,
    max_storage_bytes INTEGER,
    limits_reason TEXT,
    reminded INTEGER,
    updated_at TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX subscriptions_period ON subscriptions (status, period_ends_at);
CREATE INDEX subscriptions_grace ON subscriptions (status, grace_until);
INSERT INTO subscriptions (institution_id, status, started_at, updated_at)
    SELECT id, CASE WHEN trial_ends_at IS NULL THEN 'active' ELSE 'trial' END, created_at, updated_at FROM institutions;

CREATE TABLE subscription_changes (
    id BLOB NOT NULL PRIMARY KEY,
    institution_id BLOB NOT NULL REFERENCES institutions (id),
    at TEXT NOT NULL,
    actor_id BLOB,
    actor_name TEXT NOT NULL,
    field TEXT NOT NULL CHECK (field IN ('plan', 'status', 'trial_ends_at', 'period_ends_at', 'grace_until', 'max_users', 'max_students', 'max_storage_bytes')),
    old_value TEXT,
    new_value TEXT,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX subscription_changes_institution ON subscription_changes (institution_id, id);
