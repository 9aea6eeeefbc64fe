-- What was put aside is counted each minute.
CREATE INDEX inbox_dead ON inbox (position) WHERE state = 'dead';
CREATE INDEX outbox_dead ON outbox (id) WHERE state = 'dead';
-- And what nobody has read for a week is looked for.
CREATE INDEX answer_at ON answer (at);
