//! Who may act: one execution of a run at a time, each under a fence that only grows (rules 6 and 7).

use std::collections::BTreeMap;

use super::db::{Conn, Write, args};
use super::effects::Effects;
use super::inbox::{Target, receive_in};
use super::outbox::Claimed;
use super::{Store, StoreFault, incident_of, read, sql, write};
use crate::incident::decision::{Effect, Input, Lane, Report};
use crate::incident::id::{IncidentId, RunId};
use crate::incident::state::{Incident, Progress};
use crate::incident::time::Instant;
use crate::incident::timeline::Card;

/// An execution that this process has begun, or taken over from one whose lease ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fenced {
    /// The incident.
    pub incident: IncidentId,
    /// The run.
    pub run: RunId,
    /// Its number; whoever has a lower one may begin nothing more.
    pub fence: i64,
}

/// How beginning an execution ended.
#[derive(Debug)]
pub enum Beginning {
    /// It is ours, and this is the incident as it stands under the fence: nobody with an older one changes it any more.
    Begun(Fenced, Box<Incident>),
    /// Whoever had it before has told what it did, and that is not decided upon yet; it is to be begun again after that.
    Untold,
    /// The lease has passed to another process, or the incident is not there.
    Lost,
}

impl Store {
    /// Begins (or takes over) the execution of a run, if the lease is still ours: from here on nobody with an older
    /// fence begins a step.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_execution(
        &self,
        claimed: &Claimed,
        incident: IncidentId,
        run: RunId,
        now: Instant,
    ) -> Result<Beginning, StoreFault> {
        let begin = Begin { effect: claimed.id, token: claimed.token.clone(), incident, run, now };
        let beginning = self.db.write(begin).await?;
        self.announce_arrival();
        Ok(beginning)
    }

    /// The number kept under a name, if there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn number(&self, name: &str) -> Result<Option<i64>, StoreFault> {
        let row = self.db.read_first(&sql::NUMBER, args![name]).await?;
        row.map(|row| row.int("value")).transpose()
    }

    /// Keeps a number under a name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_number(&self, name: &str, value: i64) -> Result<(), StoreFault> {
        self.db.write(SetNumber { name: name.to_owned(), value }).await
    }

    /// Keeps what an execution reports, before it goes on. `false` when another execution has taken the run over and
    /// this report would begin or end something: then nothing was kept, and nothing more may be done. What a late owner
    /// has done is kept all the same.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn journal(
        &self,
        fenced: &Fenced,
        number: u32,
        report: Report,
        now: Instant,
    ) -> Result<bool, StoreFault> {
        let kept = self.db.write(Keep { fenced: fenced.clone(), number, input: Input::Report(report), now }).await?;
        self.announce_arrival();
        Ok(kept)
    }

    /// Keeps how the running step goes, in the place of what was kept before, and has the run's card show it. It is no
    /// fact: an incident stays the fold of its timeline. `false` when another execution has taken the run over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tell_progress(&self, fenced: &Fenced, progress: Progress) -> Result<bool, StoreFault> {
        let kept = self.db.write(TellProgress { fenced: fenced.clone(), progress }).await?;
        self.announce_decision(&BTreeMap::from([(Lane::Chat, true)]));
        Ok(kept)
    }

    /// How the running step of a run goes, as it was last told.
    ///
    /// # Errors
    /// When the database fails or the row cannot be read.
    pub async fn progress(&self, run: RunId) -> Result<Option<Progress>, StoreFault> {
        let row = self.db.read_first(&sql::PROGRESS, args![run.to_string()]).await?;
        let progress = row.map(|row| {
            Ok(Progress {
                step: usize::try_from(row.int("step")?).unwrap_or(usize::MAX),
                words: read("progress", row.text("words")?)?,
                at: Instant(row.int("at")?),
            })
        });
        progress.transpose()
    }
}

struct Begin {
    effect: i64,
    token: String,
    incident: IncidentId,
    run: RunId,
    now: Instant,
}

impl Write for Begin {
    type Out = Beginning;

    async fn write(&self, conn: &mut Conn<'_>) -> Result<Self::Out, StoreFault> {
        let ours = conn.first(&sql::LEASE_TO_KEEP, args![self.effect, self.token.as_str()]).await?;
        if ours.is_none() {
            return Ok(Beginning::Lost);
        }
        let Some(row) = conn.first(&sql::NEXT_NUMBER, args!["fence"]).await? else { return Ok(Beginning::Lost) };
        let fence = row.int("value")?;
        let former = conn.first(&sql::FENCE_TO_KEEP, args![self.run.to_string()]).await?;
        conn.run(&sql::SET_FENCE, args![self.run.to_string(), fence]).await?;
        // Until the fence stood, its former owner may have told what nobody has decided upon yet.
        if former.is_some() && conn.first(&sql::IS_UNDECIDED, args![self.incident.0]).await?.is_some() {
            return Ok(Beginning::Untold);
        }
        let Some(row) = conn.first(&sql::INCIDENT, args![self.incident.0]).await? else { return Ok(Beginning::Lost) };
        let incident = Box::new(incident_of(&row)?);
        let begun = Input::Report(Report::RunStarted { run: self.run, fence });
        receive_in(conn, &source(self.run, fence, 0), &Target::incident(self.incident), &begun, self.now).await?;
        let fenced = Fenced { incident: self.incident, run: self.run, fence };
        Ok(Beginning::Begun(fenced, incident))
    }
}

struct Keep {
    fenced: Fenced,
    number: u32,
    input: Input,
    now: Instant,
}

impl Write for Keep {
    type Out = bool;

    async fn write(&self, conn: &mut Conn<'_>) -> Result<bool, StoreFault> {
        let Fenced { incident, run, fence } = &self.fenced;
        let current = conn.first(&sql::FENCE_TO_KEEP, args![run.to_string()]).await?;
        let is_current = current.map(|row| row.int("fence")).transpose()? == Some(*fence);
        let tells_what_is_done = matches!(self.input, Input::Report(Report::StepFinished { .. }));
        if !is_current && !tells_what_is_done {
            return Ok(false);
        }
        let source = source(*run, *fence, self.number);
        receive_in(conn, &source, &Target::incident(*incident), &self.input, self.now).await?;
        if matches!(self.input, Input::Report(Report::RunFinished { .. })) {
            conn.run(&sql::FORGET_PROGRESS, args![run.to_string()]).await?;
        }
        Ok(true)
    }
}

struct TellProgress {
    fenced: Fenced,
    progress: Progress,
}

impl Write for TellProgress {
    type Out = bool;

    async fn write(&self, conn: &mut Conn<'_>) -> Result<bool, StoreFault> {
        let (Fenced { incident, run, fence }, Progress { step, words, at }) = (&self.fenced, &self.progress);
        let current = conn.first(&sql::FENCE_TO_KEEP, args![run.to_string()]).await?;
        if current.map(|row| row.int("fence")).transpose()? != Some(*fence) {
            return Ok(false);
        }
        let step = i64::try_from(*step).unwrap_or(i64::MAX);
        conn.run(&sql::TELL_PROGRESS, args![run.to_string(), step, write("progress", words)?, at.0]).await?;
        let mut effects = Effects::default();
        effects.add(*at, Some(*incident), &[Effect::ShowCard { card: Card::Run(*run) }])?;
        effects.insert(conn).await?;
        Ok(true)
    }
}

fn source(run: RunId, fence: i64, number: u32) -> String {
    format!("run:{run}:{fence}:{number}")
}

struct SetNumber {
    name: String,
    value: i64,
}

impl Write for SetNumber {
    type Out = ();

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        conn.run(&sql::SET_NUMBER, args![self.name.as_str(), self.value]).await?;
        Ok(())
    }
}

/// A change that concerns nobody, to see whether changes are possible.
pub(super) struct Ping;

impl Write for Ping {
    type Out = ();

    fn is_single(&self) -> bool {
        true
    }

    async fn write(&self, conn: &mut Conn<'_>) -> Result<(), StoreFault> {
        conn.run(&sql::PING, args![]).await?;
        Ok(())
    }
}

#[cfg(test)]
impl Store {
    /// Every target that is held, and the run that holds it.
    pub(crate) async fn held_targets(&self) -> Result<Vec<(String, String)>, StoreFault> {
        const TEXT: &str = "SELECT target, run FROM target_lock ORDER BY target";
        const HELD: sql::Statement = sql::Statement { name: "HELD", sqlite: TEXT, postgres: TEXT };
        let rows = self.db.read(&HELD, args![]).await?;
        rows.iter().map(|row| Ok((row.text("target")?.to_owned(), row.text("run")?.to_owned()))).collect()
    }
}
