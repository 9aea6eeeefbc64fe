//! What must be done outside: at least once, in order within a queue, under a lease with a token (rule 3).

use std::sync::PoisonError;

use super::db::{Conn, Row, Write, args};
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
    /// The queue that it was the first of.
    pub queue: String,
    /// What to do.
    pub effect: Effect,
    /// How often it was begun, this time included.
    pub attempts: u32,
    /// When it was decided.
    pub created_at: Instant,
    /// Proves that the lease is ours.
    pub token: String,
    /// When the lease ends, if nobody renews it.
    pub until: Instant,
    /// Others waited behind it in its queue.
    pub has_others_behind: bool,
}

/// So many claims in doubt are remembered.
const MOST_DOUBTFUL: usize = 16;

/// What becomes of the place of an effect that is put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It keeps it: what is behind it waits, and comes after it.
    Kept,
    /// What is behind it goes on.
    LetsPass,
}

impl Store {
    /// Takes up to `limit` effects of a lane that are due: the first of each queue only, and none of the bulkheads in `full`
    /// ([`Lane::bulkhead`]). Pages that nobody has tried come before those that failed. Everything but pages waits until what came
    /// in for its incident is decided, so that it shows the newest state and knows what came of the last effect.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_beside(
        &self,
        lane: Lane,
        now: Instant,
        lease: Millis,
        limit: u32,
        full: &[&str],
    ) -> Result<Vec<Claimed>, StoreFault> {
        let which = Which::FirstOf { lane, limit, full: format!("|{}|", full.join("|")) };
        let mut claimed = self.take(Claim { which, now, until: now + lease, token: self.new_token() }).await?;
        claimed.sort_by_key(|one| one.id);
        Ok(claimed)
    }

    /// The same, where none is full.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self, lane: Lane, now: Instant, lease: Millis, limit: u32) -> Result<Vec<Claimed>, StoreFault> {
        self.claim_beside(lane, now, lease, limit, &[]).await
    }

    async fn take(&self, claim: Claim) -> Result<Vec<Claimed>, StoreFault> {
        let token = claim.token.clone();
        let taken = self.db.write(claim).await.inspect_err(|fault| self.note_doubt(&token, fault))?;
        Ok(self.readable(taken).await)
    }

    async fn readable(&self, taken: Vec<Result<Claimed, PutAside>>) -> Vec<Claimed> {
        let mut claimed = Vec::new();
        for one in taken {
            match one {
                Ok(one) => claimed.push(one),
                Err(unreadable) => {
                    tracing::error!(fault = unreadable.fault, id = unreadable.id, "an effect was put aside");
                    // The others are carried out all the same; this one is tried again when its lease ends.
                    self.db.write(unreadable).await.unwrap_or_else(|fault| {
                        tracing::error!(%fault, "an effect that cannot be read could not be put aside");
                    });
                }
            }
        }
        claimed
    }

    /// Nobody knows whether the database has given us something under this token.
    fn note_doubt(&self, token: &str, fault: &StoreFault) {
        if fault.leaves_in_doubt() {
            self.doubts(token);
        }
    }

    pub(crate) fn doubts(&self, token: &str) {
        let mut doubtful = self.doubtful.lock().unwrap_or_else(PoisonError::into_inner);
        // In a long outage the older ones were asked of nobody: each is one more statement before anything is taken.
        if doubtful.len() == MOST_DOUBTFUL {
            doubtful.remove(0);
        }
        doubtful.push(token.to_owned());
    }

    /// What the database gave this process, and whose answer was lost, is anybody's again at once: nobody has begun it.
    ///
    /// # Errors
    /// When the database fails; then it is tried again the next time.
    pub async fn give_back_what_was_lost(&self, now: Instant) -> Result<(), StoreFault> {
        let doubtful = || self.doubtful.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = doubtful().clone();
        for token in tokens {
            self.db.write(EndLease { token: token.clone(), now }).await?;
            doubtful().retain(|other| *other != token);
        }
        Ok(())
    }

    fn new_token(&self) -> String {
        format!("{}:{}", self.owner, uuid::Uuid::now_v7().simple())
    }

    /// It is done; what came of it goes into the inbox in the same transaction. `false` when the lease had passed to
    /// somebody else: the reports are kept all the same, for they tell what happened.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn done(&self, claimed: &Claimed, reports: Vec<Report>, now: Instant) -> Result<bool, StoreFault> {
        self.finish(Finish::of(claimed, reports, now)).await
    }

    /// It was tried for long enough. Nothing happened, so that nothing is told where somebody else has it by now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn give_up(&self, claimed: &Claimed, reports: Vec<Report>, now: Instant) -> Result<(), StoreFault> {
        self.finish(Finish { only_as_ours: true, ..Finish::of(claimed, reports, now) }).await.map(|_| ())
    }

    async fn finish(&self, finish: Finish) -> Result<bool, StoreFault> {
        let tells = !finish.inputs.is_empty();
        let ours = self.db.write(finish).await?;
        self.announce_end(tells);
        Ok(ours)
    }

    /// The same as [`Store::done`], and what is due next in its queue is taken in the same commit. To look for the first of each
    /// queue takes a look at everything that waits; this takes none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn done_and_next(
        &self,
        claimed: &Claimed,
        reports: Vec<Report>,
        now: Instant,
        lease: Millis,
    ) -> Result<Option<Claimed>, StoreFault> {
        let finish = Finish::of(claimed, reports, now);
        let tells = !finish.inputs.is_empty();
        let which = Which::NextIn { queue: claimed.queue.clone() };
        let claim = Claim { which, now, until: now + lease, token: self.new_token() };
        let token = claim.token.clone();
        let taken = self.db.write(FinishAndClaim { finish, claim }).await;
        let taken = taken.inspect_err(|fault| self.note_doubt(&token, fault))?;
        self.announce_end(tells);
        Ok(self.readable(taken).await.pop())
    }

    fn announce_end(&self, tells: bool) {
        if tells {
            self.announce_arrival();
        } else {
            // Whoever carried it out knows already that the next one's turn has come.
            self.announce_change();
        }
    }

    /// It could not be done now; it is tried again at `due_at`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn postpone(
        &self,
        claimed: &Claimed,
        due_at: Instant,
        place: Place,
        fault: &str,
    ) -> Result<(), StoreFault> {
        let (id, token) = (claimed.id, claimed.token.clone());
        // PostgreSQL takes no such letter, and nothing may keep an effect from being tried again.
        let fault = fault.replace('\0', "");
        self.db.write(Postpone { id, token, due_at, place, fault }).await?;
        self.announce_change();
        Ok(())
    }

    /// It was carried out, and the database never keeps what came of it: it is not done once more, and what waits behind it
    /// goes on. People are told of it by the watch.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_effect_aside(&self, claimed: &Claimed, fault: &StoreFault) -> Result<(), StoreFault> {
        let (id, token) = (claimed.id, claimed.token.clone());
        tracing::error!(%fault, id, "an effect is put aside, for what came of it can never be kept");
        self.db.write(PutAside { id, token, fault: fault.to_string() }).await?;
        self.announce_change();
        Ok(())
    }

    /// Keeps the lease for longer, while the work goes on. `false` when it has passed to somebody else.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn extend(&self, claimed: &Claimed, until: Instant) -> Result<bool, StoreFault> {
        self.db.write(Extend { id: claimed.id, token: claimed.token.clone(), until }).await
    }

    /// Keeps every lease of this process until then, for it stood still and nobody has taken them over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn extend_all(&self, until: Instant) -> Result<(), StoreFault> {
        self.db.write(ExtendAll { until, tokens: self.own_tokens() }).await
    }

    fn own_tokens(&self) -> String {
        format!("{}:%", self.owner)
    }

    /// The hands of the clock were moved by so much: this process's leases are lengths of real time and move with
    /// them. Those of a process that is gone end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clock_moved(&self, by: Millis) -> Result<(), StoreFault> {
        self.db.write(MoveLeases { by, tokens: self.own_tokens() }).await
    }

    /// When the next effect of a lane that nothing stands before is due, or the next lease ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_due(&self, lane: Lane) -> Result<Option<Instant>, StoreFault> {
        let row = self.db.read_first(&sql::NEXT_DUE, args![lane.word()]).await?;
        Ok(row.map(|row| row.maybe_int("at")).transpose()?.flatten().map(Instant))
    }

    /// When the next effect of any lane is due, or the next lease ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_due_of_all(&self) -> Result<Option<Instant>, StoreFault> {
        let mut next: Option<Instant> = None;
        for lane in Lane::ALL {
            let at = self.next_due(lane).await?;
            next = next.into_iter().chain(at).min();
        }
        Ok(next)
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
        let row = |row: &Row| {
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

struct EndLease {
    token: String,
    now: Instant,
}

impl Write for EndLease {
    type Out = ();

    fn is_single(&self) -> bool {
        true
    }

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        conn.run(&sql::END_LEASE, args![self.token.as_str(), self.now.0]).await.map(|_| ())
    }
}

struct Claim {
    which: Which,
    now: Instant,
    until: Instant,
    token: String,
}

/// Which effects are taken.
enum Which {
    /// The first of each queue of a lane, so many at most, but none of the bulkheads in `full`: `|bulkhead|bulkhead|`.
    FirstOf { lane: Lane, limit: u32, full: String },
    /// The first of one queue.
    NextIn { queue: String },
}

impl Write for Claim {
    type Out = Vec<Result<Claimed, PutAside>>;

    fn is_single(&self) -> bool {
        true
    }

    async fn write(&self, conn: &mut Conn<'_>) -> Result<Self::Out, StoreFault> {
        let (now, until, token) = (self.now.0, self.until.0, self.token.as_str());
        let rows = match &self.which {
            Which::FirstOf { lane, limit, full } => {
                let args = args![lane.word(), now, until, token, i64::from(*limit), full.as_str()];
                conn.rows(&sql::CLAIM, args).await?
            }
            Which::NextIn { queue } => conn.rows(&sql::CLAIM_NEXT, args![queue.as_str(), now, until, token]).await?,
        };
        rows.iter().map(|row| self.read(row)).collect()
    }
}

impl Claim {
    fn read(&self, row: &Row) -> Result<Result<Claimed, PutAside>, StoreFault> {
        let id = row.int("id")?;
        let effect = match read("effect", row.text("effect")?) {
            Ok(effect) => effect,
            Err(fault) => return Ok(Err(PutAside { id, token: self.token.clone(), fault: fault.to_string() })),
        };
        Ok(Ok(Claimed {
            id,
            incident: row.maybe_int("incident")?.map(IncidentId),
            queue: row.text("queue")?.to_owned(),
            effect,
            attempts: u32::try_from(row.int("attempts")?).unwrap_or(u32::MAX),
            created_at: Instant(row.int("created_at")?),
            token: self.token.clone(),
            until: self.until,
            has_others_behind: row.maybe_int("behind")?.is_some(),
        }))
    }
}

/// An effect that cannot be read, or of which the database keeps nothing: the others go on.
struct PutAside {
    id: i64,
    token: String,
    fault: String,
}

impl Write for PutAside {
    type Out = ();

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        conn.run(&sql::PUT_EFFECT_ASIDE, args![self.id, self.token.as_str(), self.fault.as_str()]).await?;
        Ok(())
    }
}

struct Finish {
    claimed: Claimed,
    inputs: Vec<Input>,
    now: Instant,
    /// Only whoever still has the lease tells anything.
    only_as_ours: bool,
}

impl Finish {
    fn of(claimed: &Claimed, reports: Vec<Report>, now: Instant) -> Self {
        let inputs = reports.into_iter().map(Input::Report).collect();
        Self { claimed: claimed.clone(), inputs, now, only_as_ours: false }
    }
}

impl Write for Finish {
    type Out = bool;

    fn is_single(&self) -> bool {
        self.inputs.is_empty()
    }

    async fn write(&self, conn: &mut Conn<'_>) -> Result<bool, StoreFault> {
        let Claimed { id, token, incident, .. } = &self.claimed;
        let ours = conn.run(&sql::FINISH_EFFECT, args![*id, token.as_str()]).await? == 1;
        if let Some(incident) = incident.filter(|_| ours || !self.only_as_ours) {
            for (number, input) in self.inputs.iter().enumerate() {
                let source = format!("outbox:{id}:{token}:{number}");
                receive_in(conn, &source, &Target::incident(incident), input, self.now).await?;
            }
        }
        Ok(ours)
    }
}

struct FinishAndClaim {
    finish: Finish,
    claim: Claim,
}

impl Write for FinishAndClaim {
    type Out = Vec<Result<Claimed, PutAside>>;

    async fn write(&self, conn: &mut Conn<'_>) -> Result<Self::Out, StoreFault> {
        self.finish.write(conn).await?;
        self.claim.write(conn).await
    }
}

struct Postpone {
    id: i64,
    token: String,
    due_at: Instant,
    place: Place,
    fault: String,
}

impl Write for Postpone {
    type Out = ();

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        let lets_pass = i64::from(self.place == Place::LetsPass);
        // A copy that is committed after this is met by the next statement, and all of it is repeated.
        conn.run(&sql::FOLD_NEWER, args![self.id, self.token.as_str()]).await?;
        let postpone = args![self.id, self.token.as_str(), self.due_at.0, self.fault.as_str(), lets_pass];
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

    fn is_single(&self) -> bool {
        true
    }

    async fn write(&self, conn: &mut Conn<'_>) -> Result<bool, StoreFault> {
        Ok(conn.run(&sql::EXTEND, args![self.id, self.token.as_str(), self.until.0]).await? == 1)
    }
}

struct ExtendAll {
    until: Instant,
    tokens: String,
}

impl Write for ExtendAll {
    type Out = ();

    fn is_single(&self) -> bool {
        true
    }

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        conn.run(&sql::EXTEND_ALL, args![self.tokens.as_str(), self.until.0]).await?;
        Ok(())
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
