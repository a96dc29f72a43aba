-- The service's tables for several replicas: those of api/service/database.py and api/slack/memory.py,
-- and the leases of the jobs.

CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL, scopes TEXT NOT NULL,
    created_at TEXT NOT NULL, revoked_at TEXT
);
CREATE TABLE IF NOT EXISTS logins (
    hash TEXT PRIMARY KEY, key_id TEXT NOT NULL, expires_at TEXT NOT NULL
);
CREATE SEQUENCE IF NOT EXISTS fences;
CREATE TABLE IF NOT EXISTS jobs (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, session TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL, origin TEXT NOT NULL, owner TEXT NOT NULL, webhook TEXT, notify TEXT,
    rule TEXT, fingerprint TEXT, submitted_at TEXT NOT NULL, started_at TEXT, ended_at TEXT,
    deaths INTEGER NOT NULL DEFAULT 0, error TEXT,
    -- Which kind of machine it was made for, and may run on.
    machine TEXT,
    -- The lease: who runs it, under which number, until when by this server's clock.
    holder TEXT, fence BIGINT, expires_at TIMESTAMPTZ,
    -- How patient a cancellation is.
    drain_s DOUBLE PRECISION
);
CREATE INDEX IF NOT EXISTS jobs_active ON jobs (state, number) WHERE state <> 'ended';
CREATE TABLE IF NOT EXISTS idempotency (
    owner TEXT NOT NULL, key TEXT NOT NULL, request_hash TEXT NOT NULL, session TEXT NOT NULL,
    PRIMARY KEY (owner, key)
);
CREATE TABLE IF NOT EXISTS slack_boards (
    session TEXT PRIMARY KEY, channel TEXT NOT NULL, ts TEXT NOT NULL, thread TEXT, delivered TEXT
);
CREATE TABLE IF NOT EXISTS slack_questions (
    session TEXT NOT NULL, question TEXT NOT NULL, channel TEXT NOT NULL, ts TEXT NOT NULL,
    PRIMARY KEY (session, question)
);
CREATE TABLE IF NOT EXISTS slack_seen (id TEXT PRIMARY KEY, at TEXT NOT NULL);
