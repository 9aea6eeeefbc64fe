//! Every statement there is, as SQLite and as PostgreSQL want it: one text, and the lock that only PostgreSQL needs.
//!
//! Kept to what CockroachDB and YugabyteDB have as well: no advisory locks, no NOTIFY, no database's own clock. A test
//! prepares each of [`ALL`] on both databases.

/// One statement in the words of each database.
#[derive(Debug)]
pub(super) struct Statement {
    pub name: &'static str,
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

/// `NAME = "text";` or, with the place of a row lock, `NAME = "before" [FOR UPDATE] "after";`. SQLite has one writer at a
/// time and needs no row locks. What several statements share stands in brackets. A limit that is bound is a sum: SQLite plans
/// for the value of a bare one, and so parses the statement anew for each value.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $before:literal $(( $($shared:expr),+ ))? $([ $lock:literal ] $after:literal)?;)*) => {
        $($(#[$doc])* pub(super) const $name: Statement = Statement {
            name: stringify!($name),
            sqlite: concat!($before, $($($shared,)+)? $($after)?),
            postgres: concat!($before, $($($shared,)+)? $($lock, $after)?),
        };)*
        /// All of them.
        pub(super) const ALL: &[&Statement] = &[$(&$name),*];
    };
}

/// What a release keeps; see `release.rs`.
macro_rules! release {
    () => {
        1
    };
}
/// The number of this release.
pub(super) const RELEASE: i64 = release!();

/// Whether this process may take work: the database is not paused, and no newer release has it. It stands in the statements
/// that look for work, which a process asks again and again, and in those that take it, for between the two a newer one may
/// have come.
macro_rules! may_work {
    () => {
        concat!(
            " NOT EXISTS (SELECT 1 FROM counter WHERE (name = 'paused' AND value > 0) OR (name = 'release' AND value > ",
            release!(),
            ")) "
        )
    };
}

/// Whether `e` stands in the way of what is behind it in its queue. What lets others pass may be in hand beside what is behind it, and never
/// beside its own copy: that is only made while this one is in hand, and this one stands before it then.
macro_rules! stands {
    () => {
        " e.state <> 'dead' AND (e.lets_pass = 0 OR e.state = 'leased')"
    };
}

/// Whether nothing stands before `o` in its queue. Asked for each `o` by itself and answered by the index that has the queue's
/// order: what PostgreSQL may join instead, it joins row by row without an index as long as it takes the table for empty.
macro_rules! is_first {
    () => {
        concat!(" COALESCE((SELECT MIN(e.id) FROM outbox e WHERE e.queue = o.queue AND", stands!(), "), o.id) >= o.id ")
    };
}

/// What becomes of a copy of a card that waits already.
macro_rules! unless_folded {
    () => {
        " ON CONFLICT (queue, fold) WHERE state = 'waiting' AND fold IS NOT NULL DO UPDATE SET fold = excluded.fold"
    };
}

/// Whether nothing waits to be decided upon for the incident of an effect; asked for each effect by itself, too.
macro_rules! is_decided {
    ($effect:literal) => {
        concat!(
            " (",
            $effect,
            ".incident IS NULL OR (SELECT MIN(i.position) FROM inbox i WHERE i.state = 'new' AND i.incident = ",
            $effect,
            ".incident) IS NULL) "
        )
    };
}

statements! {
    // Inbox
    RECEIVE = "INSERT INTO inbox (source, incident, channel, input, state, arrived_at) \
        VALUES ($1, $2, $3, $4, 'new', $5) ON CONFLICT (source) DO NOTHING";
    INPUT_OF = "SELECT input FROM inbox WHERE source = $1";
    UNDECIDED = "SELECT (SELECT MIN(position) FROM inbox WHERE state = 'new') AS input, \
        (SELECT MIN(wake_at) FROM incident WHERE wake_at IS NOT NULL) AS wake WHERE" (may_work!());
    /// The oldest input that no older one of the same incident or channel waits before: replicas share the inbox, and
    /// each incident's inputs keep their order. It is looked for among the oldest only, and what is the first of its incident and
    /// of its channel is asked of the index for each by itself: mostly of one.
    NEXT_INPUT = "SELECT i.position, i.incident, i.channel, i.input, \
        (SELECT MAX(e.position) FROM inbox e WHERE e.state = 'new') AS newest FROM inbox i WHERE i.state = 'new' \
        AND i.position >= (SELECT MIN(position) FROM inbox WHERE state = 'new') \
        AND i.position < (SELECT MIN(position) FROM inbox WHERE state = 'new') + 50 \
        AND (i.incident IS NULL OR (SELECT MIN(e.position) FROM inbox e WHERE e.state = 'new' AND e.incident = i.incident) >= i.position) \
        AND (i.channel IS NULL OR (SELECT MIN(e.position) FROM inbox e WHERE e.state = 'new' AND e.channel = i.channel) >= i.position) \
        AND" (may_work!(), "ORDER BY i.position LIMIT 1")
        [" FOR UPDATE SKIP LOCKED"] "";
    /// The inputs behind one, of the same incident or channel, in order; `ours` is empty for those that somebody else has in
    /// hand.
    INPUTS_BEHIND = "WITH ours AS (SELECT position FROM inbox WHERE state = 'new' \
        AND position > $1 AND position < $1 + 50 AND (incident = $2 OR channel = $3) ORDER BY position LIMIT $4 + 0"
        [" FOR UPDATE SKIP LOCKED"] ") \
        SELECT i.position, i.incident, i.channel, i.input, ours.position AS ours FROM inbox i LEFT JOIN ours ON ours.position = i.position \
        WHERE i.state = 'new' AND i.position > $1 AND i.position < $1 + 50 AND (i.incident = $2 OR i.channel = $3) \
        ORDER BY i.position LIMIT $4 + 0";
    IS_UNDECIDED = "SELECT position FROM inbox WHERE state = 'new' AND incident = $1 LIMIT 1";
    FINISH_INPUTS = "UPDATE inbox SET state = 'done' WHERE position IN ($1, $2, $3, $4, $5, $6, $7, $8)";
    INPUT_AT = "SELECT input, arrived_at FROM inbox WHERE position = $1";
    PUT_INPUT_ASIDE = "UPDATE inbox SET state = 'dead', fault = $2 WHERE position = $1 AND state = 'new'";
    /// One for each open incident, all of them or none.
    RECEIVE_IN_ALL = "INSERT INTO inbox (source, incident, input, state, arrived_at) \
        SELECT $1 || n.id, n.id, $2, 'new', $3 FROM incident n WHERE n.status IN ('triggered', 'acknowledged', 'mitigated') \
        ON CONFLICT (source) DO NOTHING";
    /// Once for each state of an incident, however often it is tried.
    PUT_WAKE_ASIDE = "INSERT INTO inbox (source, incident, input, state, fault, arrived_at) \
        SELECT 'wake:' || n.id || ':' || n.seq, n.id, $2, 'dead', $3, $4 FROM incident n WHERE n.id = $1 \
        ON CONFLICT (source) DO NOTHING";
    OLDEST_INPUT = "SELECT MIN(arrived_at) AS at FROM inbox WHERE state = 'new'";
    OLDEST_DUE_PAGE = "SELECT MIN(CASE WHEN state = 'leased' THEN lease_until ELSE due_at END) AS at FROM outbox \
        WHERE lane = 'page' AND state <> 'dead'";
    /// What changes systems and what customers are told, except what waits for something before it.
    OLDEST_DUE_WORK = "SELECT MIN(o.due_at) AS at FROM outbox o WHERE o.lane IN ('action', 'comms') AND o.state = 'waiting' \
        AND" (is_first!());
    /// What Slack's limits hold back is due when they end.
    OLDEST_DUE_CHAT = "SELECT MIN(o.due_at) AS at FROM outbox o WHERE o.lane = 'chat' AND o.state = 'waiting' AND" (is_first!());
    OLDEST_LEASE = "SELECT MIN(lease_until) AS at FROM outbox WHERE state = 'leased'";
    /// The open incidents that nothing will wake, a hundred at a time.
    OPEN_WITHOUT_WAKE = "SELECT id, state FROM incident WHERE status IN ('triggered', 'acknowledged', 'mitigated') \
        AND wake_at IS NULL AND id > $1 ORDER BY id LIMIT 100";
    PUT_ASIDE = "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'dead') + (SELECT COUNT(*) FROM outbox WHERE state = 'dead') AS n";
    ALL_INPUTS = "SELECT COUNT(*) AS n FROM inbox";
    /// The executions of a backup: they are reported as unknown instead.
    FORGET_RUNS = "DELETE FROM outbox WHERE lane = 'action' AND effect LIKE '%\"effect\":\"run\"%'";
    /// They stay begun: a waiting copy of the same card may stand beside one, and whoever takes it over looks first.
    END_LEASES = "UPDATE outbox SET lease_until = due_at WHERE state = 'leased'";
    /// Of terminals that went away before they read them.
    FORGET_ANSWERS = "DELETE FROM answer WHERE at < $1";
    FORGET_INPUTS = "DELETE FROM inbox WHERE state = 'done' AND arrived_at < $1";
    INPUTS_WAITING = "SELECT COUNT(*) AS n FROM inbox WHERE state = 'new'";

    // Incidents and their timelines
    INCIDENT = "SELECT state FROM incident WHERE id = $1";
    INCIDENT_TO_CHANGE = "SELECT state FROM incident WHERE id = $1" [" FOR UPDATE"] "";
    INCIDENT_IN = "SELECT state FROM incident WHERE channel = $1";
    INCIDENT_IN_TO_CHANGE = "SELECT state FROM incident WHERE channel = $1" [" FOR UPDATE"] "";
    /// Some of the open ones: enough to know whether there is only one, and to name others.
    OPEN_TO_NAME = "SELECT state FROM incident WHERE status IN ('triggered', 'acknowledged', 'mitigated') \
        ORDER BY rank, id LIMIT 20";
    OPEN_INCIDENTS = "SELECT state FROM incident WHERE status IN ('triggered', 'acknowledged', 'mitigated') \
        ORDER BY rank, id LIMIT $1 + 0";
    OPEN_COUNT = "SELECT COUNT(*) AS n FROM incident WHERE status IN ('triggered', 'acknowledged', 'mitigated')";
    OPEN_NUMBERS = "SELECT id FROM incident WHERE status IN ('triggered', 'acknowledged', 'mitigated') ORDER BY rank, id";
    RECENT_INCIDENTS = "SELECT state FROM incident ORDER BY id DESC LIMIT $1 + 0";
    SAVE_INCIDENT = "INSERT INTO incident (id, status, rank, channel, state, seq, wake_at, declared_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET status = excluded.status, \
        rank = excluded.rank, channel = excluded.channel, state = excluded.state, seq = excluded.seq, \
        wake_at = excluded.wake_at";
    WAKE_LATER = "UPDATE incident SET wake_at = $2 WHERE id = $1 AND wake_at <= $3";
    /// For a wake that is over and brought nothing.
    WAKE_MOVED = "UPDATE incident SET wake_at = $2 WHERE id = $1";
    WAKE_FORGOTTEN = "UPDATE incident SET wake_at = $2 WHERE id = $1 AND wake_at IS NULL";
    APPEND_ENTRY = "INSERT INTO timeline (incident, seq, at, kind, entry) VALUES ($1, $2, $3, $4, $5)";
    TIMELINE = "SELECT entry FROM timeline WHERE incident = $1 ORDER BY seq";
    NEXT_WAKE = "SELECT MIN(wake_at) AS at FROM incident WHERE wake_at IS NOT NULL";
    /// What came in for an incident goes before what time brings it, whoever decides.
    DUE_INCIDENT = "SELECT id FROM incident n WHERE n.wake_at <= $1 \
        AND (SELECT MIN(i.position) FROM inbox i WHERE i.state = 'new' AND i.incident = n.id) IS NULL \
        AND (SELECT MIN(i.position) FROM inbox i WHERE i.state = 'new' AND i.channel = n.channel) IS NULL AND"
        (may_work!(), "ORDER BY n.wake_at LIMIT 1") [" FOR UPDATE SKIP LOCKED"] "";

    // Outbox
    /// A waiting copy of the same card is touched, so that nobody takes it before this decision is committed: what
    /// is shown is read when it is sent.
    INSERT_EFFECT = "INSERT INTO outbox (incident, lane, queue, fold, effect, state, created_at, due_at, attempts) \
        VALUES ($1, $2, $3, $4, $5, 'waiting', $6, $6, 0)" (unless_folded!());
    /// Several, which get their numbers in this order. A row without a lane is none.
    INSERT_EFFECTS = "WITH added (place, incident, lane, queue, fold, effect, at) AS (VALUES \
        (1, CAST($1 AS BIGINT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS BIGINT)), \
        (2, $7, $8, $9, $10, $11, $12), \
        (3, $13, $14, $15, $16, $17, $18), \
        (4, $19, $20, $21, $22, $23, $24), \
        (5, $25, $26, $27, $28, $29, $30), \
        (6, $31, $32, $33, $34, $35, $36), \
        (7, $37, $38, $39, $40, $41, $42), \
        (8, $43, $44, $45, $46, $47, $48)) \
        INSERT INTO outbox (incident, lane, queue, fold, effect, state, created_at, due_at, attempts) \
        SELECT incident, lane, queue, fold, effect, 'waiting', at, at, 0 FROM added WHERE lane IS NOT NULL ORDER BY place"
        (unless_folded!());
    /// The first of each queue only, and no more than asked for: a sub-select may be run again for each row of the table,
    /// and its limit begins anew then; what stands in WITH and locks rows is run once. The bulkheads named in $6 are full
    /// (`Lane::bulkhead`), and a page that nobody has tried, or whose sender is gone, goes before one that failed. Pages wait for
    /// nothing. The others wait until what came in for their incident is decided: a card then shows the newest state, and an
    /// execution that is taken over knows every step that is done.
    CLAIM = "WITH due AS (SELECT o.id FROM outbox o WHERE o.lane = $1 \
        AND ((o.state = 'waiting' AND o.due_at <= $2) OR (o.state = 'leased' AND o.lease_until <= $2)) AND"
        (is_first!(), "AND (o.lane = 'page' OR", is_decided!("o"), ") AND", may_work!(), "AND $6 NOT LIKE '%|' || substr(o.queue, 1, 8) || '|%' \
        ORDER BY CASE WHEN o.lane = 'page' AND o.state = 'waiting' THEN o.attempts ELSE 0 END, o.id LIMIT $5 + 0") [" FOR UPDATE SKIP LOCKED"] ") \
        UPDATE outbox SET state = 'leased', lease_until = $3, token = $4, attempts = attempts + 1 \
        WHERE id IN (SELECT id FROM due) \
        RETURNING id, incident, queue, effect, attempts, created_at, \
        (SELECT MIN(n.id) FROM outbox n WHERE n.queue = outbox.queue AND n.id > outbox.id) AS behind";
    /// The first of one queue, which an ended effect has made way for.
    CLAIM_NEXT = "UPDATE outbox SET state = 'leased', lease_until = $3, token = $4, attempts = attempts + 1 \
        WHERE id = (SELECT MIN(e.id) FROM outbox e WHERE e.queue = $1 AND"
        (stands!(), ") AND state = 'waiting' AND due_at <= $2 AND (lane = 'page' OR", is_decided!("outbox"), ") AND", may_work!(),
        "RETURNING id, incident, queue, effect, attempts, created_at, \
        (SELECT MIN(n.id) FROM outbox n WHERE n.queue = outbox.queue AND n.id > outbox.id) AS behind");
    FINISH_EFFECT = "DELETE FROM outbox WHERE id = $1 AND token = $2";
    /// A newer copy that came meanwhile says the same. What is put off keeps its place, and what it knows of its attempts: the copy
    /// gives way. Nobody has that in hand, for this one stands before it.
    FOLD_NEWER = "DELETE FROM outbox WHERE id > $1 AND state = 'waiting' AND fold IS NOT NULL \
        AND queue = (SELECT o.queue FROM outbox o WHERE o.id = $1 AND o.token = $2) \
        AND fold = (SELECT o.fold FROM outbox o WHERE o.id = $1 AND o.token = $2)";
    POSTPONE = "UPDATE outbox SET state = 'waiting', due_at = $3, fault = $4, lets_pass = $5, lease_until = NULL, token = NULL \
        WHERE id = $1 AND token = $2";
    EXTEND = "UPDATE outbox SET lease_until = $3 WHERE id = $1 AND token = $2 AND state = 'leased'";
    /// Nobody renews it from then on.
    END_LEASE = "UPDATE outbox SET lease_until = $2, token = 'lost' WHERE token = $1 AND state = 'leased'";
    EXTEND_ALL = "UPDATE outbox SET lease_until = $2 WHERE state = 'leased' AND token LIKE $1";
    MOVE_LEASES = "UPDATE outbox SET lease_until = lease_until + $1 WHERE state = 'leased' AND token LIKE $2";
    NEXT_DUE = "SELECT MIN(n.at) AS at FROM (\
        SELECT w.due_at AS at FROM (SELECT o.due_at FROM outbox o WHERE o.lane = $1 AND o.state = 'waiting' AND"
        (is_first!(), "ORDER BY o.due_at LIMIT 1) w \
        UNION ALL SELECT MIN(o.lease_until) AS at FROM outbox o WHERE o.lane = $1 AND o.state = 'leased' AND", is_first!(),
        ") n WHERE", may_work!());
    UNREST = "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'new') \
        + (SELECT COUNT(*) FROM outbox o WHERE o.state = 'leased' OR (o.state = 'waiting' AND o.due_at <= $1 AND"
        (is_first!(), ")) + (SELECT COUNT(*) FROM incident WHERE wake_at <= $1) AS n");
    WAITING = "SELECT queue, attempts, due_at, fault FROM outbox ORDER BY id LIMIT 100";
    EFFECTS_WAITING = "SELECT COUNT(*) AS n FROM outbox WHERE state <> 'dead'";
    PUT_EFFECT_ASIDE = "UPDATE outbox SET state = 'dead', fault = $3, lease_until = NULL, token = NULL \
        WHERE id = $1 AND token = $2";

    // Locks and numbers
    LOCK_TARGET = "INSERT INTO target_lock (target, run) VALUES ($1, $2) ON CONFLICT (target) DO NOTHING";
    TARGET_HOLDER = "SELECT run FROM target_lock WHERE target = $1";
    FREE_TARGET = "DELETE FROM target_lock WHERE target = $1 AND run = $2";
    NEXT_NUMBER = "INSERT INTO counter (name, value) VALUES ($1, 1) \
        ON CONFLICT (name) DO UPDATE SET value = counter.value + 1 RETURNING value";
    NUMBER_TO_CHANGE = "SELECT value FROM counter WHERE name = $1" [" FOR UPDATE"] "";
    NUMBER = "SELECT value FROM counter WHERE name = $1";
    SET_NUMBER = "INSERT INTO counter (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    /// Never back: of several that start, the newest counts.
    RAISE_NUMBER = "INSERT INTO counter (name, value) VALUES ($1, $2) \
        ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE counter.value < excluded.value";
    /// Returns once nobody decides any more upon what came in before.
    INPUTS_IN_HAND = "SELECT position FROM inbox WHERE state = 'new' ORDER BY position" [" FOR UPDATE"] "";
    /// Returns once nobody wakes any of them any more.
    WAKES_IN_HAND = "SELECT id FROM incident WHERE wake_at IS NOT NULL ORDER BY id" [" FOR UPDATE"] "";
    SET_FENCE = "INSERT INTO execution (run, fence) VALUES ($1, $2) ON CONFLICT (run) DO UPDATE SET fence = excluded.fence";
    LEASE_TO_KEEP = "SELECT id FROM outbox WHERE id = $1 AND token = $2 AND state = 'leased'" [" FOR UPDATE"] "";
    TELL_PROGRESS = "INSERT INTO progress (run, step, words, at) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (run) DO UPDATE SET step = excluded.step, words = excluded.words, at = excluded.at";
    PROGRESS = "SELECT step, words, at FROM progress WHERE run = $1";
    FORGET_PROGRESS = "DELETE FROM progress WHERE run = $1";
    KEEP_FILE = "INSERT INTO kept_file (run, sha256, at, content) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (run, sha256) DO NOTHING";
    KEPT_FILE = "SELECT content FROM kept_file WHERE run = $1 AND sha256 = $2";
    ANSWER = "INSERT INTO answer (ask, words, at) VALUES ($1, $2, $3) \
        ON CONFLICT (ask) DO UPDATE SET words = excluded.words, at = excluded.at";
    TAKE_ANSWER = "DELETE FROM answer WHERE ask = $1 RETURNING words";
    INPUT_STATE = "SELECT state FROM inbox WHERE source = $1";
    /// Nobody reads it; it takes the writer's lock and a place on the disk.
    PING = "INSERT INTO counter (name, value) VALUES ('ping', 1) \
        ON CONFLICT (name) DO UPDATE SET value = counter.value + 1";
    FENCE_TO_KEEP = "SELECT fence FROM execution WHERE run = $1" [" FOR UPDATE"] "";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn no_statement_is_parsed_anew_for_each_of_its_values() {
        for statement in ALL {
            let mut limits = statement.sqlite.split("LIMIT $").skip(1);
            assert!(limits.all(|rest| rest[1..].starts_with(" + 0")), "{} limits by a bare value", statement.name);
        }
    }
}
