-- What whoever waits at a terminal is answered; it is taken away when it is read.
CREATE TABLE answer (
    ask         TEXT PRIMARY KEY,
    words       TEXT NOT NULL,
    at          INTEGER NOT NULL
) STRICT;
