-- How the running step of a run goes at this moment: beside the timeline, never a part of it.
CREATE TABLE progress (
    run         TEXT PRIMARY KEY,
    step        INTEGER NOT NULL,
    words       TEXT NOT NULL,
    at          INTEGER NOT NULL
) STRICT;
