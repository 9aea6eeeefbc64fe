-- The incident as it stands: the fold of its timeline, with the columns that are searched.
CREATE TABLE incident (
    id          INTEGER PRIMARY KEY,
    status      TEXT NOT NULL CHECK (status IN ('triggered', 'acknowledged', 'mitigated', 'resolved', 'cancelled')),
    rank        INTEGER NOT NULL,
    channel     TEXT,
    state       TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    wake_at     INTEGER,
    declared_at INTEGER NOT NULL
) STRICT;
CREATE INDEX incident_wake ON incident (wake_at) WHERE wake_at IS NOT NULL;
CREATE UNIQUE INDEX incident_channel ON incident (channel) WHERE channel IS NOT NULL;
CREATE INDEX incident_status ON incident (status, rank, id);

-- The truth: what happened, never changed.
CREATE TABLE timeline (
    incident    INTEGER NOT NULL REFERENCES incident (id),
    seq         INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    entry       TEXT NOT NULL,
    PRIMARY KEY (incident, seq)
) STRICT;

-- What came in, under the sender's own id, before it is acknowledged.
CREATE TABLE inbox (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    source      TEXT NOT NULL UNIQUE,
    incident    INTEGER,
    channel     TEXT,
    input       TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('new', 'done', 'dead')),
    fault       TEXT,
    arrived_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX inbox_new ON inbox (position) WHERE state = 'new';
CREATE INDEX inbox_new_incident ON inbox (incident, position) WHERE state = 'new';
CREATE INDEX inbox_new_channel ON inbox (channel, position) WHERE state = 'new';
CREATE INDEX inbox_arrived ON inbox (arrived_at);

-- What must be done outside. One sender per queue; waiting rows of a queue with the same fold key are one.
CREATE TABLE outbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    incident    INTEGER,
    lane        TEXT NOT NULL CHECK (lane IN ('page', 'action', 'comms', 'chat')),
    queue       TEXT NOT NULL,
    fold        TEXT,
    effect      TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'leased', 'dead')),
    created_at  INTEGER NOT NULL,
    due_at      INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    lease_until INTEGER,
    token       TEXT,
    fault       TEXT
) STRICT;
CREATE INDEX outbox_queue ON outbox (queue, id);
CREATE INDEX outbox_lane ON outbox (lane, state, due_at);
CREATE UNIQUE INDEX outbox_fold ON outbox (queue, fold) WHERE state = 'waiting' AND fold IS NOT NULL;

-- One live execution per target.
CREATE TABLE target_lock (
    target      TEXT PRIMARY KEY,
    run         TEXT NOT NULL
) STRICT;

-- Who may begin the next step of a run: the execution with this fence and no other.
CREATE TABLE execution (
    run         TEXT PRIMARY KEY,
    fence       INTEGER NOT NULL
) STRICT;

-- Numbers that only grow: incidents, fences.
CREATE TABLE counter (
    name        TEXT PRIMARY KEY,
    value       INTEGER NOT NULL
) STRICT;
INSERT INTO counter (name, value) VALUES ('incident', 0), ('fence', 0);
