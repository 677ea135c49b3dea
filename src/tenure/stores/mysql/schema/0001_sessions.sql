-- Times are in microseconds since 1970, UTC. Text is compared byte by byte ({exact}).
-- Columns that a refresh changes (generation, nonce_hash, attempt_hash, rotated_at, expires_at) carry no index.
CREATE TABLE IF NOT EXISTS tenure_sessions (
    id             binary(16) PRIMARY KEY,
    subject        varchar(255) NOT NULL,
    client_id      varchar(255) NOT NULL,
    scope          varchar(1000) NOT NULL,
    claims         mediumtext NOT NULL,
    device         varchar(255) NOT NULL,
    created_at     bigint NOT NULL,
    expires_at     bigint NOT NULL,
    ends_at        bigint NOT NULL,
    generation     bigint NOT NULL,
    nonce_hash     binary(32) NOT NULL,
    attempt_hash   binary(32),
    rotated_at     bigint NOT NULL,
    revoked_at     bigint,
    revoked_reason text,
    revoked_by     text,
    binding        varchar(255),
    lifetime       varchar(255),
    idle_ttl       bigint,
    authentication text,
    KEY tenure_sessions_by_subject (subject),
    KEY tenure_sessions_by_created_at (created_at, id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {exact};

-- The feed of revocations. What gives its positions is made by `lock_tables`.
CREATE TABLE IF NOT EXISTS tenure_revocations (
    position   bigint PRIMARY KEY,
    id         binary(16) NOT NULL,
    revoked_at bigint NOT NULL
) ENGINE = InnoDB;

-- Accounts, clients, API keys and signing keys.
CREATE TABLE IF NOT EXISTS tenure_records (
    kind varchar(255) NOT NULL,
    name varchar(255) NOT NULL,
    body mediumtext NOT NULL,
    PRIMARY KEY (kind, name)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {exact};

-- The audit trail: one row for each session that began and each that ended.
CREATE TABLE IF NOT EXISTS tenure_audit (
    `row`      bigint AUTO_INCREMENT PRIMARY KEY,
    subject    varchar(255) NOT NULL,
    kept_until bigint NOT NULL,
    at         bigint NOT NULL,
    kind       varchar(255) NOT NULL,
    session_id binary(16) NOT NULL,
    client_id  varchar(255) NOT NULL,
    device     varchar(255) NOT NULL,
    address    varchar(255) NOT NULL,
    reason     text,
    by_whom    text,
    bound      varchar(255),
    KEY tenure_audit_by_subject (subject, at),
    KEY tenure_audit_by_kept_until (kept_until),
    KEY tenure_audit_by_at (at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE {exact};
