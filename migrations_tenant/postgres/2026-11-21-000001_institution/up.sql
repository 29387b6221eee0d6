CREATE TABLE institution (
    id UUID NOT NULL PRIMARY KEY,
    domain TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    country TEXT NOT NULL,
    website TEXT,
    time_zone TEXT NOT NULL,
    locale TEXT NOT NULL,
    week_start TEXT NOT NULL CHECK (week_start IN ('monday', 'saturday', 'sunday')),
    updated_at TIMESTAMP NOT NULL,
    version BIGINT NOT NULL DEFAULT 1
);

CREATE TABLE users (
    id UUID NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    email_normalised TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT NOT NULL,
    name_key TEXT COLLATE "C" NOT NULL,
    password_hash TEXT,
    status TEXT NOT NULL CHECK (status IN ('invited', 'active', 'disabled')),
    last_sign_in_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    version BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX users_name ON users (name_key);

CREATE TABLE user_roles (
    user_id UUID NOT NULL REFERENCES users (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'registrar', 'viewer')),
    granted_at TIMESTAMP NOT NULL,
    PRIMARY KEY (user_id, role)
);
CREATE INDEX user_roles_role ON user_roles (role);

CREATE TABLE people (
    id UUID NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    preferred_name TEXT,
    birth_date DATE,
    email TEXT,
    phone TEXT,
    address TEXT,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE TABLE students (
    id UUID NOT NULL PRIMARY KEY,
    person_id UUID NOT NULL UNIQUE REFERENCES people (id),
    student_number TEXT COLLATE "C" NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('expected', 'active', 'on_leave', 'graduated', 'left')),
    admission_year INTEGER,
    programme TEXT,
    notes TEXT,
    name_key TEXT COLLATE "C" NOT NULL,
    search_key TEXT COLLATE "C" NOT NULL,
    archived_at TIMESTAMP,
    archive_batch UUID,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    version BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX students_name ON students (name_key, id) WHERE archived_at IS NULL;
CREATE INDEX students_status ON students (status, admission_year);
CREATE INDEX students_admission_year ON students (admission_year);
CREATE INDEX students_updated ON students (updated_at);
CREATE INDEX students_archived ON students (archived_at) WHERE archived_at IS NOT NULL;
CREATE INDEX students_archive_batch ON students (archive_batch);

CREATE TABLE imports (
    id UUID NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    file_name TEXT NOT NULL,
    content BYTEA NOT NULL,
    mapping TEXT NOT NULL,
    operation_id UUID,
    result TEXT,
    created_by UUID NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX imports_created ON imports (created_at);

CREATE TABLE activity_log (
    id UUID NOT NULL PRIMARY KEY,
    at TIMESTAMP NOT NULL,
    actor_id UUID,
    actor_name TEXT NOT NULL,
    action TEXT NOT NULL,
    record_kind TEXT NOT NULL,
    record_id UUID,
    record_label TEXT NOT NULL,
    changes TEXT NOT NULL,
    search_key TEXT COLLATE "C" NOT NULL,
    ip TEXT,
    user_agent TEXT
);
CREATE INDEX activity_log_at ON activity_log (at);
CREATE INDEX activity_log_record ON activity_log (record_kind, record_id, at);
CREATE INDEX activity_log_actor ON activity_log (actor_id, at);
