-- What a monitor saw of one endpoint. Append-only. Times are UTC; names are fields of Window.

CREATE TABLE windows (
    recorded_at TIMESTAMP NOT NULL,
    seconds DOUBLE NOT NULL,
    metric VARCHAR NOT NULL,
    value DOUBLE NOT NULL
);

CREATE TABLE alerts (
    recorded_at TIMESTAMP NOT NULL,
    kind VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    text VARCHAR NOT NULL,
    alert JSON NOT NULL
);
