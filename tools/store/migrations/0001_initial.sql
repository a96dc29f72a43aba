-- Append-only: no row is ever updated or deleted. Where a key comes again (a status, a verdict after
-- a resume), the row with the highest row_id is the one in force. Times are UTC.
-- Whole models stand as JSON; beside them the columns that one queries.

CREATE SEQUENCE row_ids;

CREATE TABLE sessions (
    session VARCHAR PRIMARY KEY,
    created_at TIMESTAMP NOT NULL,
    advisor_version VARCHAR NOT NULL,
    schema_version INTEGER NOT NULL,
    model VARCHAR NOT NULL,
    engine VARCHAR NOT NULL,
    workload VARCHAR NOT NULL,
    objective VARCHAR NOT NULL,
    task JSON NOT NULL,
    options JSON NOT NULL
);

CREATE TABLE statuses (
    row_id BIGINT DEFAULT nextval('row_ids'),
    session VARCHAR NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    status VARCHAR NOT NULL
);

CREATE TABLE events (
    session VARCHAR NOT NULL,
    seq INTEGER NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    kind VARCHAR NOT NULL,
    payload JSON NOT NULL,
    PRIMARY KEY (session, seq)
);

CREATE TABLE profiles (
    row_id BIGINT DEFAULT nextval('row_ids'),
    session VARCHAR NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    bottleneck VARCHAR NOT NULL,
    profile JSON NOT NULL
);

CREATE TABLE hypotheses (
    row_id BIGINT DEFAULT nextval('row_ids'),
    session VARCHAR NOT NULL,
    ordinal INTEGER NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    technique VARCHAR NOT NULL,
    policy VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    predicted_low DOUBLE NOT NULL,
    predicted_high DOUBLE NOT NULL,
    hypothesis JSON NOT NULL
);

CREATE TABLE trials (
    trial_id VARCHAR PRIMARY KEY,
    session VARCHAR NOT NULL,
    ordinal INTEGER NOT NULL,
    purpose VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP NOT NULL,
    failure VARCHAR,
    result JSON NOT NULL
);

CREATE TABLE measurements (
    trial_id VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (trial_id, metric)
);

-- One column per field of knowledge.types.RequestSample, under the same names; position keeps the
-- order in which the samples were given.
CREATE TABLE requests (
    trial_id VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    index INTEGER NOT NULL,
    round INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    intended_s DOUBLE NOT NULL,
    sent_s DOUBLE NOT NULL,
    first_token_s DOUBLE,
    last_token_s DOUBLE,
    end_s DOUBLE NOT NULL,
    asked_input_tokens INTEGER NOT NULL,
    asked_output_tokens INTEGER NOT NULL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    itl_ms DOUBLE[] NOT NULL,
    chunk_times_s DOUBLE[] NOT NULL,
    chunk_tokens INTEGER[] NOT NULL,
    text_sha256 VARCHAR,
    finish_reason VARCHAR,
    error VARCHAR,
    PRIMARY KEY (trial_id, position)
);

CREATE TABLE verdicts (
    row_id BIGINT DEFAULT nextval('row_ids'),
    session VARCHAR NOT NULL,
    trial_id VARCHAR NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    decision VARCHAR NOT NULL,
    speedup DOUBLE,
    speedup_low DOUBLE,
    speedup_high DOUBLE,
    prediction_hit BOOLEAN,
    verdict JSON NOT NULL
);

CREATE TABLE productions (
    row_id BIGINT DEFAULT nextval('row_ids'),
    session VARCHAR NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    handed_in VARCHAR NOT NULL,
    production JSON NOT NULL
);
