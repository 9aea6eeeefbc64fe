//! One decision, one transaction: what came in is marked done, the facts are appended, the row is their fold, the
//! effects wait, and the next wake is stored (rules 2 and 11: the incident first, always).

use sqlx::{Row, SqliteConnection};

use super::inbox::{Arrived, Target};
use super::meant::{meant, named};
use super::{NEXT_NUMBER, Store, StoreFault, read, write};
use crate::incident::decision::{Decision, Effect, Input};
use crate::incident::id::{ChannelId, IncidentId};
use crate::incident::people::Actor;
use crate::incident::state::{Incident, Run};
use crate::incident::time::Instant;
use crate::incident::timeline::Entry;
use crate::incident::words::Refusal;

/// What became of an input or a wake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// Decided and committed.
    Done {
        /// The incident it changed, if it did.
        incident: Option<IncidentId>,
    },
    /// The rules said no; the answer waits in the outbox.
    Refused,
    /// It cannot be read and was put aside, with the reason in the row.
    PutAside,
}

/// What is decided upon.
#[derive(Debug)]
pub struct Question<'a> {
    /// What came in.
    pub input: &'a Input,
    /// The incident it is for.
    pub incident: Option<&'a Incident>,
    /// The number an incident declared now would get.
    pub fresh: IncidentId,
}

impl Store {
    /// Decides upon the oldest input that waits, if one does.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then, and the input waits on.
    pub async fn take_next<F>(&self, now: Instant, decide: F) -> Result<Option<Taken>, StoreFault>
    where
        F: FnOnce(Question<'_>) -> Result<Decision, Refusal> + Send,
    {
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let next = sqlx::query(
            "SELECT position, incident, channel, input FROM inbox WHERE state = 'new' ORDER BY position LIMIT 1",
        );
        let Some(row) = next.fetch_optional(&mut *tx).await? else { return Ok(None) };
        let position: i64 = row.get("position");
        let target = Target {
            incident: row.get::<Option<i64>, _>("incident").map(IncidentId),
            channel: row.get::<Option<String>, _>("channel").map(ChannelId),
        };
        let input: Input = match read("input", row.get("input")) {
            Ok(input) => input,
            Err(fault) => {
                finish_input(&mut tx, position, "dead", Some(&fault.to_string())).await?;
                tx.commit().await?;
                return Ok(Some(Taken::PutAside));
            }
        };
        let arrived = Arrived { position, target, input };
        let taken = take(&mut tx, now, &arrived, decide).await?;
        finish_input(&mut tx, position, "done", None).await?;
        tx.commit().await?;
        self.announce();
        Ok(Some(taken))
    }

    /// Wakes the incident that is longest overdue, if one is.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then, and the incident stays due.
    pub async fn wake_next<F>(&self, now: Instant, decide: F) -> Result<Option<Taken>, StoreFault>
    where
        F: FnOnce(Question<'_>) -> Result<Decision, Refusal> + Send,
    {
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let due = sqlx::query("SELECT id FROM incident WHERE wake_at <= $1 ORDER BY wake_at LIMIT 1").bind(now.0);
        let Some(row) = due.fetch_optional(&mut *tx).await? else { return Ok(None) };
        let id = IncidentId(row.get("id"));
        let arrived = Arrived { position: 0, target: Target::incident(id), input: Input::Wake };
        let taken = take(&mut tx, now, &arrived, decide).await?;
        tx.commit().await?;
        self.announce();
        Ok(Some(taken))
    }

    /// When the next incident is due to wake.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_wake(&self) -> Result<Option<Instant>, StoreFault> {
        let row = sqlx::query("SELECT MIN(wake_at) AS at FROM incident WHERE wake_at IS NOT NULL")
            .fetch_one(&self.reader)
            .await?;
        Ok(row.get::<Option<i64>, _>("at").map(Instant))
    }
}

async fn take<F>(tx: &mut SqliteConnection, now: Instant, arrived: &Arrived, decide: F) -> Result<Taken, StoreFault>
where
    F: FnOnce(Question<'_>) -> Result<Decision, Refusal> + Send,
{
    let incident = match &arrived.input {
        Input::Command { command, .. } if !command.needs_incident() => None,
        Input::Command { .. } => match meant(tx, &arrived.target).await? {
            Ok(incident) => Some(incident),
            Err(absent) => return refuse(tx, now, &arrived.input, &absent.refusal()).await,
        },
        Input::Chat(_) | Input::Report(_) | Input::Wake => named(tx, &arrived.target).await?,
    };
    let fresh = fresh_number(tx).await?;
    let question = Question { input: &arrived.input, incident: incident.as_ref(), fresh };
    match decide(question) {
        Ok(decision) => commit(tx, now, &arrived.input, incident, decision).await,
        Err(refusal) => refuse(tx, now, &arrived.input, &refusal).await,
    }
}

/// The number that the next incident gets; taken only when one is declared.
async fn fresh_number(tx: &mut SqliteConnection) -> Result<IncidentId, StoreFault> {
    let row = sqlx::query("SELECT value FROM counter WHERE name = 'incident'").fetch_optional(&mut *tx).await?;
    Ok(IncidentId(row.map_or(0, |row| row.get::<i64, _>("value")) + 1))
}

async fn commit(
    tx: &mut SqliteConnection,
    now: Instant,
    input: &Input,
    before: Option<Incident>,
    decision: Decision,
) -> Result<Taken, StoreFault> {
    let held = before.as_ref().map(targets).unwrap_or_default();
    let (after, entries) = fold(before, &input.by(), now, &decision)?;
    let Some(after) = after else {
        insert_effects(tx, now, None, &decision.effects).await?;
        return Ok(Taken::Done { incident: None });
    };
    let holds = targets(&after);
    if let Some(busy) = lock_targets(tx, &held, &holds).await? {
        let refusal = Refusal::new("refusal.target_busy").with("run", busy.run).with("target", busy.target);
        return refuse(tx, now, input, &refusal).await;
    }
    if !entries.is_empty() {
        save(tx, &after, &entries).await?;
    }
    insert_effects(tx, now, Some(after.id), &decision.effects).await?;
    Ok(Taken::Done { incident: Some(after.id) })
}

/// The incident after the decision's facts, and their timeline entries.
fn fold(
    before: Option<Incident>,
    by: &Actor,
    now: Instant,
    decision: &Decision,
) -> Result<(Option<Incident>, Vec<Entry>), StoreFault> {
    let mut incident = before;
    let mut entries = Vec::with_capacity(decision.facts.len());
    for fact in &decision.facts {
        let seq = incident.as_ref().map_or(0, |incident| incident.seq) + 1;
        let entry = Entry { seq, at: now, by: by.clone(), fact: fact.clone() };
        match &mut incident {
            Some(incident) => incident.apply(&entry),
            None => {
                let declared = Incident::declared(&entry);
                let why = |fault: crate::incident::state::BadTimeline| fault.to_string();
                incident =
                    Some(declared.map_err(|fault| StoreFault::Unreadable { what: "decision", why: why(fault) })?);
            }
        }
        entries.push(entry);
    }
    Ok((incident, entries))
}

async fn save(tx: &mut SqliteConnection, incident: &Incident, entries: &[Entry]) -> Result<(), StoreFault> {
    let new = entries.first().is_some_and(|entry| entry.seq == 1);
    if new {
        sqlx::query(NEXT_NUMBER).bind("incident").execute(&mut *tx).await?;
    }
    const SAVE: &str = "INSERT INTO incident (id, status, rank, channel, state, seq, wake_at, declared_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, rank = excluded.rank, channel = excluded.channel, \
         state = excluded.state, seq = excluded.seq, wake_at = excluded.wake_at";
    sqlx::query(SAVE)
        .bind(incident.id.0)
        .bind(incident.status.word())
        .bind(i64::from(incident.severity.rank))
        .bind(incident.channel.as_ref().map(|channel| channel.id.0.clone()))
        .bind(write("incident", incident)?)
        .bind(i64::try_from(incident.seq).unwrap_or(i64::MAX))
        .bind(incident.wake_at().map(|at| at.0))
        .bind(incident.declared.at.0)
        .execute(&mut *tx)
        .await?;
    for entry in entries {
        sqlx::query("INSERT INTO timeline (incident, seq, at, kind, entry) VALUES ($1, $2, $3, $4, $5)")
            .bind(incident.id.0)
            .bind(i64::try_from(entry.seq).unwrap_or(i64::MAX))
            .bind(entry.at.0)
            .bind(entry.fact.kind())
            .bind(write("timeline entry", entry)?)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

async fn insert_effects(
    tx: &mut SqliteConnection,
    now: Instant,
    incident: Option<IncidentId>,
    effects: &[Effect],
) -> Result<(), StoreFault> {
    const INSERT: &str = "INSERT INTO outbox (incident, lane, queue, fold, effect, state, created_at, due_at, attempts) \
         VALUES ($1, $2, $3, $4, $5, 'waiting', $6, $6, 0) ON CONFLICT DO NOTHING";
    for effect in effects {
        sqlx::query(INSERT)
            .bind(incident.map(|id| id.0))
            .bind(effect.lane().word())
            .bind(effect.queue(incident))
            .bind(effect.fold_key())
            .bind(write("effect", effect)?)
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// The answer to whoever asked; nothing else changes.
async fn refuse(
    tx: &mut SqliteConnection,
    now: Instant,
    input: &Input,
    refusal: &Refusal,
) -> Result<Taken, StoreFault> {
    if let Input::Command { reply, .. } = input {
        let effect = Effect::Reply { to: reply.clone(), words: refusal.0.clone() };
        insert_effects(tx, now, None, &[effect]).await?;
    }
    Ok(Taken::Refused)
}

/// The targets that the incident's runs hold, each with its run.
fn targets(incident: &Incident) -> Vec<(String, String)> {
    let of = |run: &Run| {
        let steps = run.plan.iter().flat_map(|plan| &plan.steps);
        steps.map(|step| (step.target.clone(), run.id.to_string())).collect::<Vec<_>>()
    };
    incident.runs.values().filter(|run| run.holds_targets()).flat_map(of).collect()
}

/// A target that another run holds.
struct Busy {
    target: String,
    run: String,
}

/// Locks the targets that are held now and lets go of those that no longer are (rule 6). The one that another
/// run has already is returned when there is one.
async fn lock_targets(
    tx: &mut SqliteConnection,
    before: &[(String, String)],
    after: &[(String, String)],
) -> Result<Option<Busy>, StoreFault> {
    for (target, run) in after.iter().filter(|pair| !before.contains(pair)) {
        let holder =
            sqlx::query("SELECT run FROM target_lock WHERE target = $1").bind(target).fetch_optional(&mut *tx).await?;
        match holder.map(|row| row.get::<String, _>("run")) {
            Some(holder) if &holder != run => return Ok(Some(Busy { target: target.clone(), run: holder })),
            Some(_) => {}
            None => {
                let lock = sqlx::query("INSERT INTO target_lock (target, run) VALUES ($1, $2)").bind(target).bind(run);
                lock.execute(&mut *tx).await?;
            }
        }
    }
    for (target, run) in before.iter().filter(|pair| !after.contains(pair)) {
        let free = sqlx::query("DELETE FROM target_lock WHERE target = $1 AND run = $2").bind(target).bind(run);
        free.execute(&mut *tx).await?;
    }
    Ok(None)
}

async fn finish_input(
    tx: &mut SqliteConnection,
    position: i64,
    state: &str,
    fault: Option<&str>,
) -> Result<(), StoreFault> {
    sqlx::query("UPDATE inbox SET state = $2, fault = $3 WHERE position = $1")
        .bind(position)
        .bind(state)
        .bind(fault)
        .execute(&mut *tx)
        .await?;
    Ok(())
}
