//! The action lane: looking at the world, planning, and executing what was approved, at most once (rules 6–8).

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::Engine;
use super::delivery::Setting;
use super::patience::Trouble;
use crate::actions::{Execution, NotCommitted, State, StateFile};
use crate::incident::approval::{KeptFile, PlannedStep};
use crate::incident::decision::{ReplyTo, Report};
use crate::incident::id::{DiagnosticId, RunId};
use crate::incident::state::{Incident, Progress};
use crate::incident::words::Words;
use crate::store::{Beginning, Claimed, Fenced, StoreFault};

/// How often a card is edited to show how a step goes: often while people watch it begin, then so that Slack, which
/// takes fifty edits a minute, has room for the other cards.
const BRISK: Duration = Duration::from_secs(1);
const CALM: Duration = Duration::from_secs(3);
/// How many edits are brisk.
const WHILE_BRISK: u32 = 20;

/// What was last told of a step: the step, and how it goes.
type Told = Option<(usize, Words)>;

impl Engine {
    pub(super) async fn diagnose(&self, diagnostic: DiagnosticId, service: &str) -> Vec<Report> {
        let results = self.parts.actions.diagnose(service).await;
        vec![Report::Diagnosed { diagnostic, results }]
    }

    pub(super) async fn offer(&self, action: &str, dry_run: bool, to: &ReplyTo) -> Vec<Report> {
        let choices = self.parts.actions.choices(action).await;
        vec![Report::Offered {
            action: action.to_owned(),
            choices: choices.map_err(|fault| fault.words()),
            dry_run,
            to: to.clone(),
        }]
    }

    pub(super) async fn plan(&self, setting: &Setting, run: RunId) -> Vec<Report> {
        let Some(state) = setting.incident.as_ref().and_then(|incident| incident.runs.get(&run)) else {
            return Vec::new();
        };
        let actions = &self.parts.actions;
        let undone = state.request.undo_of.and_then(|run| setting.incident.as_ref()?.runs.get(&run));
        let plan = match undone.and_then(|run| Some((run.plan.as_ref()?, run))) {
            Some((plan, done)) => actions.plan_back(plan, &done.steps_to_take_back(), (done.id, done.asked.at)).await,
            None => actions.make_plan(&state.action.key, state.request.to.as_deref()).await,
        };
        vec![Report::Planned { run, plan: plan.map(Box::new).map_err(|fault| fault.words()) }]
    }

    /// Keeps the state of what a plan would change, while nothing has been changed.
    pub(super) async fn keep_state(&self, setting: &Setting, run: RunId) -> Result<Vec<Report>, StoreFault> {
        let state = setting.incident.as_ref().and_then(|incident| incident.runs.get(&run));
        let Some(plan) = state.filter(|state| state.waits_for_state()).and_then(|state| state.plan.as_ref()) else {
            return Ok(Vec::new());
        };
        let State { files, missed } = self.parts.actions.keep_state(plan).await;
        let (mut told, mut contents) = (Vec::new(), Vec::new());
        for StateFile { name, content } in files {
            let sha256 = hex::encode(Sha256::digest(content.as_bytes()));
            let (bytes, lines) = (content.len() as u64, content.lines().count() as u64);
            told.push(KeptFile { name, bytes, lines, sha256: sha256.clone() });
            contents.push((sha256, content));
        }
        self.parts.store.keep_files(run, contents, self.parts.clock.now()).await?;
        Ok(vec![Report::StateKept { run, files: told, missed }])
    }

    /// Executes a run's plan, or takes up an execution whose owner is gone: steps that are done stay done, and the
    /// step that was begun is asked about before anything else.
    pub(super) async fn execute(
        &self,
        claimed: &Claimed,
        setting: &Setting,
        run: RunId,
    ) -> Result<Vec<Report>, Trouble> {
        // Without a plan that the rules allow to run now there is nothing to do: it ended before, or never began.
        let may_run =
            |incident: &Incident| incident.runs.get(&run).is_some_and(|state| state.approved_plan().is_some());
        if !setting.incident.as_ref().is_some_and(may_run) {
            return Ok(Vec::new());
        }
        let parts = &self.parts;
        let beginning = parts.store.begin_execution(claimed, run.incident, run, parts.clock.now()).await?;
        let (fenced, incident) = match beginning {
            Beginning::Begun(fenced, incident) => (fenced, incident),
            Beginning::Untold => return Err(untold()),
            Beginning::Lost => return Err(taken_over()),
        };
        // As it stands under the fence: what was read before may be older than what a former owner has told since.
        let Some(state) = incident.runs.get(&run) else { return Ok(Vec::new()) };
        let Some(approved) = state.approved_plan() else { return Ok(Vec::new()) };
        let fence = fenced.fence;
        let ended =
            state.steps.iter().enumerate().filter(|(_, step)| step.has_ended()).map(|(place, _)| place).collect();
        let journal = Journal { engine: self.clone(), fenced: fenced.clone() };
        let stop_asked = || self.stop_asked(run).boxed();
        let in_use = || self.in_use_beside(run).boxed();
        let counter = AtomicU32::new(1);
        let report = move |report: Report| -> BoxFuture<'_, Result<(), NotCommitted>> {
            let (journal, number) = (journal.clone(), counter.fetch_add(1, Ordering::SeqCst));
            async move { journal.keep(number, report).await.map_err(|trouble| NotCommitted(trouble.told())) }.boxed()
        };
        let (now, told) = watch::channel(Told::None);
        let progress = |step: usize, words: Words| drop(now.send_replace(Some((step, words))));
        let execution = Execution {
            fence,
            attempt: state.attempt.unwrap_or(fence),
            ended,
            halted: state.halted.clone(),
            in_doubt: state.step_in_doubt(),
            report: &report,
            stop_asked: &stop_asked,
            in_use: &in_use,
            progress: &progress,
        };
        let ended = tokio::select! {
            ended = self.parts.actions.execute(&approved, &execution) => ended,
            never = self.show_progress(&fenced, told) => match never {},
        };
        match ended {
            Ok(_) => Ok(Vec::new()),
            Err(NotCommitted(why)) => Err(Trouble { detail: Some(why), ..Trouble::retry(Words::new("trouble.store")) }),
        }
    }

    /// Has the card show how the running step goes. Of what is told within one pace only the newest is shown.
    async fn show_progress(&self, fenced: &Fenced, mut told: watch::Receiver<Told>) -> Infallible {
        // What is written beside a run would have an order that no seed decides.
        #[cfg(test)]
        if crate::store::weather::is_simulated() {
            return pending().await;
        }
        let mut edits = 0;
        while told.changed().await.is_ok() {
            let Some((step, words)) = told.borrow_and_update().clone() else { continue };
            tracing::debug!(run = %fenced.run, step, %words, "under way");
            let progress = Progress { step, words, at: self.parts.clock.now() };
            match self.parts.store.tell_progress(fenced, progress).await {
                Ok(true) => {}
                // Another process has the run now and tells how it goes.
                Ok(false) => break,
                Err(fault) => {
                    tracing::warn!(%fault, run = %fenced.run, "how a step goes could not be kept; it is tried again");
                    // Or what is newer by then.
                    told.mark_changed();
                }
            }
            edits += 1;
            self.parts.clock.wait_until(None, if edits < WHILE_BRISK { BRISK } else { CALM }).await;
        }
        pending().await
    }

    /// What the plans of all other runs name that may still be carried out.
    async fn in_use_beside(&self, run: RunId) -> Result<BTreeSet<String>, NotCommitted> {
        let broke = |fault: StoreFault| NotCommitted(fault.to_string());
        let mut named = BTreeSet::new();
        for id in self.parts.store.every_open_incident().await.map_err(broke)? {
            let incident = self.parts.store.incident(id).await.map_err(broke)?;
            let runs = incident.iter().flat_map(|incident| &incident.runs);
            let others = runs.filter(|(id, state)| **id != run && state.may_use_its_plan());
            let steps = others.filter_map(|(_, state)| state.plan.as_ref()).flat_map(|plan| &plan.steps);
            named.extend(steps.flat_map(PlannedStep::texts));
        }
        Ok(named)
    }

    async fn stop_asked(&self, run: RunId) -> Result<bool, NotCommitted> {
        let incident = self.parts.store.incident(run.incident).await;
        let incident = incident.map_err(|fault| NotCommitted(fault.to_string()))?;
        Ok(incident.is_some_and(|incident| incident.runs.get(&run).is_some_and(|state| state.stop_asked)))
    }
}

/// Another process has the run now and will tell what becomes of it; there is nothing to report.
fn taken_over() -> Trouble {
    Trouble::retry(Words::new("trouble.taken_over"))
}

/// What its former owner has told is to be decided upon first; then it is begun.
fn untold() -> Trouble {
    let detail = Some("what was told of this run is not decided upon yet".to_owned());
    Trouble { detail, ..taken_over() }
}

/// Keeps each report of an execution durably before its next step.
#[derive(Clone)]
struct Journal {
    engine: Engine,
    fenced: Fenced,
}

impl Journal {
    async fn keep(&self, number: u32, report: Report) -> Result<(), Trouble> {
        let parts = &self.engine.parts;
        let keep = || parts.store.journal(&self.fenced, number, report.clone(), parts.clock.now());
        let kept = self.engine.insist(keep).await?;
        if kept { Ok(()) } else { Err(taken_over()) }
    }
}
