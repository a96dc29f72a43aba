-- Blind side-by-side comparisons. The last evaluation of a session, and the last vote of a rater on a
-- pair, are the ones in force. `secret` orders the answers of a pair; no page shows it.

CREATE TABLE evaluations (
    row_id BIGINT DEFAULT nextval('row_ids'),
    evaluation VARCHAR PRIMARY KEY,
    session VARCHAR NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    baseline_trial_id VARCHAR NOT NULL,
    candidate_trial_id VARCHAR NOT NULL,
    decoding VARCHAR NOT NULL,
    secret VARCHAR NOT NULL
);

CREATE TABLE answer_pairs (
    evaluation VARCHAR NOT NULL,
    pair VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    prompt VARCHAR NOT NULL,
    baseline VARCHAR NOT NULL,
    candidate VARCHAR NOT NULL,
    PRIMARY KEY (evaluation, pair)
);

CREATE TABLE human_votes (
    row_id BIGINT DEFAULT nextval('row_ids'),
    evaluation VARCHAR NOT NULL,
    pair VARCHAR NOT NULL,
    rater VARCHAR NOT NULL,
    choice VARCHAR NOT NULL,
    shown_left VARCHAR NOT NULL,
    recorded_at TIMESTAMP NOT NULL
);
