//! `approve`, `reject`, `tick`, `untick`, `stop`, `settle`: what people decide about a plan and its run (P5–P7).

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::tokens::plain_word;
use super::{Text, must_be_open};
use crate::incident::approval::{CheckWhen, Class, KeepState, Outcome};
use crate::incident::decision::{Context, Decision};
use crate::incident::draft::Draft;
use crate::incident::id::{RunId, UserId};
use crate::incident::run;
use crate::incident::state::{Incident, Mark, Phase, Run};
use crate::incident::timeline::{Card, Fact};
use crate::incident::words::{Refusal, Words};

/// Approve a plan.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Approve {
    /// The run whose plan it is.
    pub run: RunId,
    /// Why it cannot wait until its window opens.
    #[arg(long = "override", value_parser = plain_word, value_name = "text")]
    #[serde(default)]
    pub override_reason: Option<String>,
    /// Why one person has to be enough.
    #[arg(long, value_parser = plain_word, value_name = "text")]
    #[serde(default)]
    pub break_glass: Option<String>,
}

/// Reject a plan.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Reject {
    /// The run whose plan it is.
    pub run: RunId,
    /// Why.
    #[command(flatten)]
    pub reason: Text,
}

/// Tick an item of a plan's check list.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Tick {
    /// The run whose plan it is.
    pub run: RunId,
    /// The item's key.
    pub item: String,
}

/// Un-tick an item of a plan's check list.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Untick {
    /// The run whose plan it is.
    pub run: RunId,
    /// The item's key.
    pub item: String,
}

/// Stop a run before its next step.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Stop {
    /// The run.
    pub run: RunId,
}

/// Say what really happened in a run whose end is unknown.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Settle {
    /// The run.
    pub run: RunId,
    /// What really happened.
    pub truth: Truth,
}

/// What really happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// The change was made.
    Happened,
    /// The change was not made.
    NotHappened,
}

impl Approve {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        let (state, user) = may_judge(context, incident, self.run)?;
        match &self.break_glass {
            Some(reason) => may_break_glass(context, incident, state, user, reason)?,
            None if context.by == &state.asked.by && !state.action.approval.requester_may => {
                return Err(Refusal::new("refusal.requester"));
            }
            None => run::must_be_approver(context, incident, &state.action.approval.by, user)?,
        }
        let has_approved = state.approvals.iter().any(|approval| &approval.by == context.by);
        // Who waits for a second approval that nobody gives may break the glass all the same.
        if has_approved && self.break_glass.is_none() {
            return Err(Refusal::new("refusal.approved_already"));
        }
        let override_reason = self.window(context, state)?;
        let missing: Vec<serde_json::Value> =
            state.missing_items(CheckWhen::Before).iter().map(|item| item.text.as_str().into()).collect();
        if !missing.is_empty() {
            return Err(Refusal::new("refusal.items_missing").with("items", missing));
        }
        if state.action.keep_state == KeepState::Required
            && state.kept.as_ref().is_none_or(|kept| kept.files.is_empty())
        {
            let missed: Vec<serde_json::Value> =
                state.kept.iter().flat_map(|kept| &kept.missed).map(|why| why.clone().into()).collect();
            return Err(Refusal::new("refusal.state_not_kept").with("missed", missed));
        }
        let digest = state.digest.clone().ok_or_else(|| Refusal::new("refusal.still_planning"))?;
        let mut draft = Draft::of(context, incident);
        if let Some(reason) = &self.break_glass {
            // Whoever has approved already does not do so again, and what they say of the window is kept here.
            draft.break_glass(self.run, reason, override_reason.clone().filter(|_| has_approved));
        }
        if !has_approved {
            draft.fact(Fact::ApprovalGiven { run: self.run, digest, override_reason });
        }
        if draft.incident.runs.get(&self.run).is_some_and(|state| state.missing_approvals() == 0) {
            draft.approved(self.run);
        }
        draft.invite_actor().show(Card::Run(self.run)).refresh();
        Ok(draft.finish())
    }
}

impl Approve {
    /// The reason why the window does not count, where it is closed. Only what is urgent need not wait for it (P8).
    fn window(&self, context: Context<'_>, state: &Run) -> Result<Option<String>, Refusal> {
        let Some(window) = state.window() else { return Ok(None) };
        let Some(closed) = window.closed(context.now) else { return Ok(None) };
        let is_urgent = state.action.class == Class::Urgent;
        let reason = self.override_reason.as_ref().filter(|reason| is_urgent && !reason.trim().is_empty());
        if reason.is_some() {
            return Ok(reason.cloned());
        }
        let refusal = Refusal::new("refusal.window_closed").with("window", window.name.as_str());
        let opens_at = closed.opens_at.map(|at| at.0);
        Err(refusal.with("why", closed.why).with("opens_at", opens_at).with("urgent", is_urgent))
    }
}

/// Checks that this person may approve alone. Without a word in the configuration nobody may.
fn may_break_glass(
    context: Context<'_>,
    incident: &Incident,
    state: &Run,
    user: &UserId,
    reason: &str,
) -> Result<(), Refusal> {
    let Some(by) = &state.action.break_glass else { return Err(Refusal::new("refusal.no_break_glass")) };
    if reason.trim().is_empty() {
        return Err(Refusal::new("refusal.break_glass_needs_reason"));
    }
    run::must_be_named(context, incident, by, user)
}

impl Reject {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        let (state, user) = may_judge(context, incident, self.run)?;
        // Whoever asked may take it back; everybody else must be one who could have approved.
        if context.by != &state.asked.by {
            run::must_be_approver(context, incident, &state.action.approval.by, user)?;
        }
        let mut draft = Draft::of(context, incident);
        draft.fact(Fact::PlanRejected { run: self.run, reason: self.reason.optional() });
        draft.show(Card::Run(self.run)).refresh();
        Ok(draft.finish())
    }
}

impl Tick {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        tick(context, incident, self.run, &self.item, true)
    }
}

impl Untick {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        tick(context, incident, self.run, &self.item, false)
    }
}

fn tick(context: Context<'_>, incident: &Incident, run: RunId, item: &str, ticked: bool) -> Result<Decision, Refusal> {
    let state = match run::find(incident, run)? {
        state if state.phase == Phase::Pending => pending(context, incident, run)?,
        state => state,
    };
    let Some(known) = state.action.checklist.iter().find(|known| known.key == item) else {
        return Err(Refusal::new("refusal.no_such_item").with("found", item));
    };
    if !state.open_items().contains(&known) {
        if known.when == CheckWhen::Before {
            pending(context, incident, run)?;
        }
        return Err(Refusal::new("refusal.item_not_now").with("when", known.when.word()));
    }
    let mut draft = Draft::of(context, incident);
    if state.ticked.contains(item) != ticked {
        draft.fact(Fact::ItemTicked { run, item: item.to_owned(), ticked }).show(Card::Run(run));
    }
    Ok(draft.finish())
}

impl Stop {
    /// Everybody may: to stop before the next step does no harm, and whoever sees it go wrong shall not look for a right.
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        let state = run::find(incident, self.run)?;
        if !matches!(state.phase, Phase::Announcing { .. } | Phase::Released | Phase::Running) {
            return Err(Refusal::new("refusal.not_running").with("run", self.run.to_string()));
        }
        let mut draft = Draft::of(context, incident);
        if !state.stop_asked {
            draft.fact(Fact::StopAsked { run: self.run }).show(Card::Run(self.run));
        }
        draft.reply(Words::new("reply.stopping").with("run", self.run.to_string()));
        Ok(draft.finish())
    }
}

impl Settle {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        let state = run::find(incident, self.run)?;
        let unknown = matches!(state.phase, Phase::Finished { outcome: Outcome::Unknown { .. } });
        if !unknown || state.settled.is_some() {
            return Err(Refusal::new("refusal.nothing_to_settle").with("run", self.run.to_string()));
        }
        // What is settled lets the next run begin, so it takes one who could have approved, or asked for it.
        if context.by != &state.asked.by
            && let Some(user) = context.by.person()
        {
            run::must_be_approver(context, incident, &state.action.approval.by, user)?;
        }
        let mut draft = Draft::of(context, incident);
        draft.fact(Fact::RunSettled { run: self.run, happened: self.truth == Truth::Happened });
        // Now it is known how it ended.
        draft.tell_of_run(self.run, true);
        draft.show(Card::Run(self.run)).refresh();
        Ok(draft.finish())
    }
}

/// The run, when its plan waits for a decision of this person.
fn may_judge<'i>(context: Context<'i>, incident: &'i Incident, run: RunId) -> Result<(&'i Run, &'i UserId), Refusal> {
    let state = pending(context, incident, run)?;
    let user = context.by.person().ok_or_else(|| Refusal::new("refusal.needs_person"))?;
    Ok((state, user))
}

/// The run, when its plan waits for a decision; else the refusal says what became of it.
fn pending<'i>(context: Context<'_>, incident: &'i Incident, run: RunId) -> Result<&'i Run, Refusal> {
    let state = run::find(incident, run)?;
    match &state.phase {
        Phase::Pending if state.expires_at.is_some_and(|at| at <= context.now) => {
            Err(Refusal::new("refusal.plan_expired"))
        }
        Phase::Pending => must_be_open(incident).map(|()| state),
        Phase::Planning => Err(Refusal::new("refusal.still_planning")),
        Phase::PlanFailed { .. } => Err(Refusal::new("refusal.no_plan")),
        Phase::Rehearsed => Err(Refusal::new("refusal.rehearsal")),
        Phase::Expired => Err(Refusal::new("refusal.plan_expired")),
        Phase::Rejected { mark, .. } => Err(by_whom("refusal.rejected_already", mark)),
        Phase::Announcing { .. } | Phase::Released | Phase::Running | Phase::Verifying | Phase::Finished { .. } => {
            let last = state.approvals.last().map(|approval| Mark { by: approval.by.clone(), at: approval.at });
            Err(last
                .map_or_else(|| Refusal::new("refusal.no_plan"), |mark| by_whom("refusal.under_way_already", &mark)))
        }
    }
}

fn by_whom(key: &'static str, mark: &Mark) -> Refusal {
    let user = mark.by.person().map(ToString::to_string);
    Refusal::new(key).with("user", user).with("decided_at", mark.at.0)
}
