//! What must be done outside: at least once, in order within a queue, under a lease with a token (rule 3).

use super::db::{Conn, Write, args};
use super::inbox::{Target, receive_in};
use super::{Store, StoreFault, read, sql};
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
    /// Takes up to `limit` effects of a lane that are due: the first of each queue only. Everything but pages waits
    /// until what came in for its incident is decided, so that it shows the newest state and knows what came of the
    /// last effect.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self, lane: Lane, now: Instant, lease: Millis, limit: u32) -> Result<Vec<Claimed>, StoreFault> {
        // Looking first keeps an idle process from taking the writer's lock for nothing.
        if self.db.read_first(&sql::HAS_DUE, args![lane.word(), now.0]).await?.is_none() {
            return Ok(Vec::new());
        }
        let token = format!("{}:{}", self.owner, uuid::Uuid::now_v7().simple());
        self.db.write(Claim { lane, now, until: now + lease, limit, token }).await
    }

    /// It is done; what came of it goes into the inbox in the same transaction. `false` when the lease had passed to
    /// somebody else: the reports are kept all the same, for they tell what happened.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn done(&self, claimed: &Claimed, reports: Vec<Report>, now: Instant) -> Result<bool, StoreFault> {
        let inputs: Vec<Input> = reports.into_iter().map(Input::Report).collect();
        let tells = !inputs.is_empty();
        let ours = self.db.write(Finish { claimed: claimed.clone(), inputs, now }).await?;
        if tells {
            self.announce_arrival();
        } else {
            self.announce_end();
        }
        Ok(ours)
    }

    /// It could not be done now; it is tried again at `due_at`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn postpone(&self, claimed: &Claimed, due_at: Instant, fault: &str) -> Result<(), StoreFault> {
        let (id, token) = (claimed.id, claimed.token.clone());
        self.db.write(Postpone { id, token, due_at, fault: fault.to_owned() }).await?;
        self.announce_end();
        Ok(())
    }

    /// Keeps the lease for longer, while the work goes on. `false` when it has passed to somebody else.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn extend(&self, claimed: &Claimed, until: Instant) -> Result<bool, StoreFault> {
        self.db.write(Extend { id: claimed.id, token: claimed.token.clone(), until }).await
    }

    /// The hands of the clock were moved by so much: this process's leases are lengths of real time and move with
    /// them. Those of a process that is gone end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clock_moved(&self, by: Millis) -> Result<(), StoreFault> {
        self.db.write(MoveLeases { by, tokens: format!("{}:%", self.owner) }).await
    }

    /// When the next effect that nothing stands before is due, or the next lease ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_due(&self) -> Result<Option<Instant>, StoreFault> {
        let row = self.db.read_first(&sql::NEXT_DUE, args![]).await?;
        Ok(row.map(|row| row.maybe_int("at")).transpose()?.flatten().map(Instant))
    }

    /// Nothing waits to be decided, nothing is being carried out, and nothing is due: seen in one glance.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_at_rest(&self, now: Instant) -> Result<bool, StoreFault> {
        Ok(self.count(&sql::UNREST, args![now.0]).await? == 0)
    }

    /// What waits in the outbox: queue, attempts, due time and the last fault, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting(&self) -> Result<Vec<(String, i64, Instant, Option<String>)>, StoreFault> {
        let rows = self.db.read(&sql::WAITING, args![]).await?;
        let row = |row: &super::db::Row| {
            Ok((row.text("queue")?, row.int("attempts")?, Instant(row.int("due_at")?), row.maybe_text("fault")?))
        };
        rows.iter().map(row).collect()
    }

    /// Inputs that wait, and effects that wait or are being carried out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn backlog(&self) -> Result<(i64, i64), StoreFault> {
        Ok((self.count(&sql::INPUTS_WAITING, args![]).await?, self.count(&sql::EFFECTS_WAITING, args![]).await?))
    }

    pub(super) async fn count(&self, statement: &sql::Statement, args: super::db::Args) -> Result<i64, StoreFault> {
        let row = self.db.read_first(statement, args).await?;
        Ok(row.map(|row| row.int("n")).transpose()?.unwrap_or(0))
    }
}

struct Claim {
    lane: Lane,
    now: Instant,
    until: Instant,
    limit: u32,
    token: String,
}

impl Write for Claim {
    type Out = Vec<Claimed>;

    async fn write(&self, conn: &mut Conn<'_>) -> Result<Self::Out, StoreFault> {
        let args = args![self.lane.word(), self.now.0, self.until.0, self.token.as_str(), i64::from(self.limit)];
        let mut claimed = Vec::new();
        for row in conn.rows(&sql::CLAIM, args).await? {
            let id = row.int("id")?;
            let effect = match read("effect", row.text("effect")?) {
                Ok(effect) => effect,
                Err(fault) => {
                    tracing::error!(%fault, id, "an effect was put aside; the others go on");
                    conn.run(&sql::PUT_EFFECT_ASIDE, args![id, fault.to_string()]).await?;
                    continue;
                }
            };
            claimed.push(Claimed {
                id,
                incident: row.maybe_int("incident")?.map(IncidentId),
                effect,
                attempts: u32::try_from(row.int("attempts")?).unwrap_or(u32::MAX),
                created_at: Instant(row.int("created_at")?),
                token: self.token.clone(),
            });
        }
        claimed.sort_by_key(|one| one.id);
        Ok(claimed)
    }
}

struct Finish {
    claimed: Claimed,
    inputs: Vec<Input>,
    now: Instant,
}

impl Write for Finish {
    type Out = bool;

    async fn write(&self, conn: &mut Conn<'_>) -> Result<bool, StoreFault> {
        let Claimed { id, token, incident, .. } = &self.claimed;
        let ours = conn.run(&sql::FINISH_EFFECT, args![*id, token.as_str()]).await? == 1;
        if let Some(incident) = incident {
            for (number, input) in self.inputs.iter().enumerate() {
                let source = format!("outbox:{id}:{token}:{number}");
                receive_in(conn, &source, &Target::incident(*incident), input, self.now).await?;
            }
        }
        Ok(ours)
    }
}

struct Postpone {
    id: i64,
    token: String,
    due_at: Instant,
    fault: String,
}

impl Write for Postpone {
    type Out = ();

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        conn.run(&sql::PASS_ATTEMPTS_ON, args![self.id, self.token.as_str()]).await?;
        conn.run(&sql::GIVE_WAY, args![self.id, self.token.as_str()]).await?;
        let postpone = args![self.id, self.token.as_str(), self.due_at.0, self.fault.as_str()];
        conn.run(&sql::POSTPONE, postpone).await?;
        Ok(())
    }
}

struct Extend {
    id: i64,
    token: String,
    until: Instant,
}

impl Write for Extend {
    type Out = bool;

    async fn write(&self, conn: &mut Conn<'_>) -> Result<bool, StoreFault> {
        Ok(conn.run(&sql::EXTEND, args![self.id, self.token.as_str(), self.until.0]).await? == 1)
    }
}

/// Every lease ends: nobody is left who could hold one.
pub(super) struct EndLeases;

impl Write for EndLeases {
    type Out = ();

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        conn.run(&sql::END_LEASES, args![]).await?;
        Ok(())
    }
}

struct MoveLeases {
    by: Millis,
    tokens: String,
}

impl Write for MoveLeases {
    type Out = ();

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        conn.run(&sql::MOVE_LEASES, args![self.by.0, self.tokens.as_str()]).await?;
        Ok(())
    }
}
