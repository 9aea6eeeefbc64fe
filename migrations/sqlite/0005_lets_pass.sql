-- It was put off and only shows the newest state: what is behind it in its queue goes on.
ALTER TABLE outbox ADD COLUMN lets_pass INTEGER NOT NULL DEFAULT 0;
