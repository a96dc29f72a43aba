-- The store's tables for several replicas: those of migrations/, but the samples of requests, which
-- are Parquet files. Whole models stand as text, byte by byte as they were written.

CREATE TABLE IF NOT EXISTS schema_version (
    version INTEGER PRIMARY KEY, applied_at TIMESTAMP NOT NULL, advisor_version TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS sessions (
    session TEXT PRIMARY KEY, created_at TIMESTAMP NOT NULL, advisor_version TEXT NOT NULL,
    schema_version INTEGER NOT NULL, model TEXT NOT NULL, engine TEXT NOT NULL,
    workload TEXT NOT NULL, objective TEXT NOT NULL, task TEXT NOT NULL, options TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS statuses (
    row_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, session TEXT NOT NULL,
    recorded_at TIMESTAMP NOT NULL, status TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS statuses_session ON statuses (session, row_id);
CREATE TABLE IF NOT EXISTS events (
    session TEXT NOT NULL, seq INTEGER NOT NULL, recorded_at TIMESTAMP NOT NULL,
    kind TEXT NOT NULL, payload TEXT NOT NULL, PRIMARY KEY (session, seq)
);
CREATE TABLE IF NOT EXISTS profiles (
    row_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, session TEXT NOT NULL,
    recorded_at TIMESTAMP NOT NULL, bottleneck TEXT NOT NULL, profile TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS profiles_session ON profiles (session);
CREATE TABLE IF NOT EXISTS hypotheses (
    row_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, session TEXT NOT NULL,
    ordinal INTEGER NOT NULL, recorded_at TIMESTAMP NOT NULL, technique TEXT NOT NULL,
    policy TEXT NOT NULL, metric TEXT NOT NULL, predicted_low DOUBLE PRECISION NOT NULL,
    predicted_high DOUBLE PRECISION NOT NULL, hypothesis TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS hypotheses_session ON hypotheses (session);
CREATE TABLE IF NOT EXISTS trials (
    trial_id TEXT PRIMARY KEY, session TEXT NOT NULL, ordinal INTEGER NOT NULL,
    purpose TEXT NOT NULL, started_at TIMESTAMP NOT NULL, finished_at TIMESTAMP NOT NULL,
    failure TEXT, result TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS trials_session ON trials (session);
CREATE TABLE IF NOT EXISTS measurements (
    trial_id TEXT NOT NULL, metric TEXT NOT NULL, value DOUBLE PRECISION NOT NULL,
    low DOUBLE PRECISION NOT NULL, high DOUBLE PRECISION NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (trial_id, metric)
);
CREATE TABLE IF NOT EXISTS verdicts (
    row_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, session TEXT NOT NULL,
    trial_id TEXT NOT NULL, recorded_at TIMESTAMP NOT NULL, decision TEXT NOT NULL,
    speedup DOUBLE PRECISION, speedup_low DOUBLE PRECISION, speedup_high DOUBLE PRECISION,
    prediction_hit BOOLEAN, verdict TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS verdicts_session ON verdicts (session);
CREATE TABLE IF NOT EXISTS productions (
    row_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, session TEXT NOT NULL,
    recorded_at TIMESTAMP NOT NULL, handed_in TEXT NOT NULL, production TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS productions_session ON productions (session);

CREATE TABLE IF NOT EXISTS evaluations (
    row_id BIGINT GENERATED ALWAYS AS IDENTITY, evaluation TEXT PRIMARY KEY, session TEXT NOT NULL,
    recorded_at TIMESTAMP NOT NULL, baseline_trial_id TEXT NOT NULL,
    candidate_trial_id TEXT NOT NULL, decoding TEXT NOT NULL, secret TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS evaluations_session ON evaluations (session);
CREATE TABLE IF NOT EXISTS answer_pairs (
    evaluation TEXT NOT NULL, pair TEXT NOT NULL, position INTEGER NOT NULL, prompt TEXT NOT NULL,
    baseline TEXT NOT NULL, candidate TEXT NOT NULL, PRIMARY KEY (evaluation, pair)
);
CREATE TABLE IF NOT EXISTS human_votes (
    row_id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, evaluation TEXT NOT NULL,
    pair TEXT NOT NULL, rater TEXT NOT NULL, choice TEXT NOT NULL, shown_left TEXT NOT NULL,
    recorded_at TIMESTAMP NOT NULL
);
CREATE INDEX IF NOT EXISTS human_votes_evaluation ON human_votes (evaluation);
