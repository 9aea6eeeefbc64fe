-- What was kept of the state before a run; the timeline names each file with its fingerprint.
CREATE TABLE kept_file (
    run         TEXT NOT NULL,
    sha256      TEXT NOT NULL,
    at          INTEGER NOT NULL,
    content     TEXT NOT NULL,
    PRIMARY KEY (run, sha256)
) STRICT;
