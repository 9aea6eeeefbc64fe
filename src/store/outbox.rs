//! What must be done outside: at least once, in order within a queue, under a lease with a token (rule 3).

use sqlx::Row;

use super::inbox::{Target, receive_in};
use super::{Store, StoreFault, read};
use crate::incident::decision::{Effect, Input, Lane, Report};
use crate::incident::id::IncidentId;
use crate::incident::time::{Instant, Millis};

/// An effect that this process may carry out until its lease ends.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The row.
    pub id: i64,
    /// The incident it belongs to.
    pub incident: Option<IncidentId>,
    /// What to do.
    pub effect: Effect,
    /// How often it was begun, this time included.
    pub attempts: u32,
    /// When it was decided.
    pub created_at: Instant,
    /// Proves that the lease is ours.
    pub token: String,
}

impl Store {
    /// Takes up to `limit` effects of a lane that are due: the first of each queue only. Chat waits until what came
    /// in for its incident is decided, so that it shows the newest state and knows what came of the last effect.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self, lane: Lane, now: Instant, lease: Millis, limit: u32) -> Result<Vec<Claimed>, StoreFault> {
        const CLAIM: &str = "UPDATE outbox SET state = 'leased', lease_until = $3, token = $4, attempts = attempts + 1 \
             WHERE id IN (SELECT o.id FROM outbox o WHERE o.lane = $1 \
               AND ((o.state = 'waiting' AND o.due_at <= $2) OR (o.state = 'leased' AND o.lease_until <= $2)) \
               AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.queue = o.queue AND e.id < o.id) \
               AND (o.lane <> 'chat' OR NOT EXISTS \
                 (SELECT 1 FROM inbox i WHERE i.state = 'new' AND i.incident = o.incident)) \
               ORDER BY o.id LIMIT $5) \
             RETURNING id, incident, effect, attempts, created_at";
        // Looking first keeps an idle engine from taking the writer's lock for nothing.
        if !self.has_due(lane, now).await? {
            return Ok(Vec::new());
        }
        let token = uuid::Uuid::now_v7().to_string();
        let query = sqlx::query(CLAIM).bind(lane.word()).bind(now.0).bind((now + lease).0).bind(&token);
        let rows = query.bind(i64::from(limit)).fetch_all(&self.writer).await?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            claimed.push(Claimed {
                id: row.get("id"),
                incident: row.get::<Option<i64>, _>("incident").map(IncidentId),
                effect: read("effect", row.get("effect"))?,
                attempts: u32::try_from(row.get::<i64, _>("attempts")).unwrap_or(u32::MAX),
                created_at: Instant(row.get("created_at")),
                token: token.clone(),
            });
        }
        claimed.sort_by_key(|one| one.id);
        Ok(claimed)
    }

    async fn has_due(&self, lane: Lane, now: Instant) -> Result<bool, StoreFault> {
        const DUE: &str = "SELECT 1 FROM outbox WHERE lane = $1 AND ((state = 'waiting' AND due_at <= $2) \
             OR (state = 'leased' AND lease_until <= $2)) LIMIT 1";
        Ok(sqlx::query(DUE).bind(lane.word()).bind(now.0).fetch_optional(&self.reader).await?.is_some())
    }

    /// It is done; what came of it goes into the inbox in the same transaction. `false` when the lease had passed to
    /// somebody else: the reports are kept all the same, for they tell what happened.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn done(&self, claimed: &Claimed, reports: Vec<Report>, now: Instant) -> Result<bool, StoreFault> {
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let gone = sqlx::query("DELETE FROM outbox WHERE id = $1 AND token = $2").bind(claimed.id).bind(&claimed.token);
        let ours = gone.execute(&mut *tx).await?.rows_affected() == 1;
        if let Some(incident) = claimed.incident {
            for (number, report) in reports.into_iter().enumerate() {
                let source = format!("outbox:{}:{}:{number}", claimed.id, claimed.token);
                receive_in(&mut tx, &source, &Target::incident(incident), &Input::Report(report), now).await?;
            }
        }
        tx.commit().await?;
        self.announce();
        Ok(ours)
    }

    /// It could not be done now; it is tried again at `due_at`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn postpone(&self, claimed: &Claimed, due_at: Instant, fault: &str) -> Result<(), StoreFault> {
        const POSTPONE: &str = "UPDATE outbox SET state = 'waiting', due_at = $3, fault = $4, lease_until = NULL, token = NULL \
             WHERE id = $1 AND token = $2";
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        // A newer copy that folded meanwhile says the same: the older one gives way.
        const FOLDED: &str = "DELETE FROM outbox WHERE id = $1 AND token = $2 AND fold IS NOT NULL AND EXISTS \
             (SELECT 1 FROM outbox n WHERE n.id > $1 AND n.state = 'waiting' AND n.queue = outbox.queue AND n.fold = outbox.fold)";
        sqlx::query(FOLDED).bind(claimed.id).bind(&claimed.token).execute(&mut *tx).await?;
        let postpone = sqlx::query(POSTPONE).bind(claimed.id).bind(&claimed.token).bind(due_at.0).bind(fault);
        postpone.execute(&mut *tx).await?;
        tx.commit().await?;
        self.announce();
        Ok(())
    }

    /// Keeps the lease for longer, while the work goes on. `false` when it has passed to somebody else.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn extend(&self, claimed: &Claimed, until: Instant) -> Result<bool, StoreFault> {
        let query = sqlx::query("UPDATE outbox SET lease_until = $3 WHERE id = $1 AND token = $2 AND state = 'leased'");
        let done = query.bind(claimed.id).bind(&claimed.token).bind(until.0).execute(&self.writer).await?;
        Ok(done.rows_affected() == 1)
    }

    /// The hands of the clock were moved by so much: leases are lengths of real time and move with them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clock_moved(&self, by: Millis) -> Result<(), StoreFault> {
        const MOVE: &str = "UPDATE outbox SET lease_until = lease_until + $1 WHERE state = 'leased'";
        sqlx::query(MOVE).bind(by.0).execute(&self.writer).await?;
        Ok(())
    }

    /// When the next effect that nothing stands before is due, or the next lease ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_due(&self) -> Result<Option<Instant>, StoreFault> {
        const NEXT: &str = "SELECT MIN(CASE WHEN o.state = 'leased' THEN o.lease_until ELSE o.due_at END) AS at \
             FROM outbox o WHERE NOT EXISTS (SELECT 1 FROM outbox e WHERE e.queue = o.queue AND e.id < o.id)";
        let row = sqlx::query(NEXT).fetch_one(&self.reader).await?;
        Ok(row.get::<Option<i64>, _>("at").map(Instant))
    }

    /// Nothing waits to be decided, nothing is being carried out, and nothing is due: seen in one glance.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_at_rest(&self, now: Instant) -> Result<bool, StoreFault> {
        const UNREST: &str = "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'new') \
             + (SELECT COUNT(*) FROM outbox o WHERE o.state = 'leased' OR (o.due_at <= $1 \
                AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.queue = o.queue AND e.id < o.id))) \
             + (SELECT COUNT(*) FROM incident WHERE wake_at <= $1) AS n";
        let row = sqlx::query(UNREST).bind(now.0).fetch_one(&self.reader).await?;
        Ok(row.get::<i64, _>("n") == 0)
    }

    /// What waits in the outbox: queue, attempts, due time and the last fault, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting(&self) -> Result<Vec<(String, i64, Instant, Option<String>)>, StoreFault> {
        let query = sqlx::query("SELECT queue, attempts, due_at, fault FROM outbox ORDER BY id LIMIT 100");
        let rows = query.fetch_all(&self.reader).await?;
        let row = |row: &sqlx::sqlite::SqliteRow| {
            (row.get("queue"), row.get("attempts"), Instant(row.get("due_at")), row.get("fault"))
        };
        Ok(rows.iter().map(row).collect())
    }

    /// Inputs that wait, and effects that wait or are being carried out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn backlog(&self) -> Result<(i64, i64), StoreFault> {
        let inbox = sqlx::query("SELECT COUNT(*) AS n FROM inbox WHERE state = 'new'").fetch_one(&self.reader).await?;
        let outbox = sqlx::query("SELECT COUNT(*) AS n FROM outbox").fetch_one(&self.reader).await?;
        Ok((inbox.get("n"), outbox.get("n")))
    }
}
