//! `retry`, `skip`, `undo`, `handover`: what people do about a run that did not end well, or that was no help (P7).

use serde::{Deserialize, Serialize};

use super::page::person;
use super::{Text, must_be_open};
use crate::incident::approval::{Outcome, PlanRequest};
use crate::incident::decision::{Context, Decision};
use crate::incident::draft::Draft;
use crate::incident::id::RunId;
use crate::incident::rules::RunbookAction;
use crate::incident::run;
use crate::incident::state::{Incident, Phase, Run};
use crate::incident::timeline::{Card, Fact, PageWhy};
use crate::incident::words::{Refusal, Words};

/// Go on with a run at the step that failed.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Retry {
    /// The run.
    pub run: RunId,
}

/// Go on with a run after the step that failed.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Skip {
    /// The run.
    pub run: RunId,
    /// Why the step is not needed.
    #[command(flatten)]
    pub reason: Text,
}

/// Plan to take back what a run did.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Undo {
    /// The run.
    pub run: RunId,
}

/// Give a run to somebody, who is paged.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
pub struct Handover {
    /// The run.
    pub run: RunId,
    /// A contact, or a mention.
    #[arg(value_name = "person")]
    pub whom: Option<String>,
    /// What to tell them.
    #[command(flatten)]
    pub message: Text,
}

impl Retry {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        let (_, step) = halted(context, incident, self.run)?;
        let mut draft = Draft::of(context, incident);
        draft.resume(self.run, step);
        draft.invite_actor();
        Ok(draft.finish())
    }
}

impl Skip {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        let (state, step) = halted(context, incident, self.run)?;
        if state.plan.as_ref().is_none_or(|plan| step >= plan.steps.len()) {
            return Err(Refusal::new("refusal.nothing_to_skip").with("run", self.run.to_string()));
        }
        let reason = self.reason.optional().ok_or_else(|| Refusal::new("refusal.skip_needs_reason"))?;
        let mut draft = Draft::of(context, incident);
        draft.fact(Fact::StepSkipped { run: self.run, step, reason });
        draft.resume(self.run, step + 1);
        draft.invite_actor();
        Ok(draft.finish())
    }
}

impl Undo {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        must_be_open(incident)?;
        let state = run::find(incident, self.run)?;
        if !state.can_be_undone() {
            return Err(Refusal::new("refusal.nothing_to_undo").with("run", self.run.to_string()));
        }
        let request = PlanRequest { undo_of: Some(self.run), ..PlanRequest::default() };
        let mut draft = Draft::of(context, incident);
        // The list is about doing it: “the new version is tested” is not asked of whoever takes it back.
        let action = RunbookAction { checklist: Vec::new(), ..state.action.clone() };
        let run = draft.ask_plan(&action, request)?;
        draft.invite_actor();
        let title = state.action.title.as_str();
        draft.reply(Words::new("reply.planning").with("title", title).with("run", run.to_string()));
        Ok(draft.finish())
    }
}

impl Handover {
    pub(super) fn decide(&self, context: Context<'_>, incident: &Incident) -> Result<Decision, Refusal> {
        must_be_open(incident)?;
        let state = run::find(incident, self.run)?;
        if !state.ended_badly() {
            return Err(Refusal::new("refusal.nothing_to_hand_over").with("run", self.run.to_string()));
        }
        let whom = self.whom.as_deref().ok_or_else(|| Refusal::new("refusal.hand_over_to_whom"))?;
        let contact = person(context, whom)?;
        let mut draft = Draft::of(context, incident);
        let text = self.message.optional();
        let (name, user) = (contact.name.clone(), contact.slack.clone());
        draft.fact(Fact::HandedOver { run: self.run, name, user, text: text.clone() }).notice();
        draft.page(&contact, PageWhy::HandedOver, text);
        draft.show(Card::Run(self.run)).refresh();
        Ok(draft.finish())
    }
}

/// A run that stopped before its end and may go on by the word of this person, with the step that is next. The plan is
/// the approved one, so one of those who may approve is enough, as long as the approvals are fresh.
fn halted<'i>(context: Context<'_>, incident: &'i Incident, id: RunId) -> Result<(&'i Run, usize), Refusal> {
    must_be_open(incident)?;
    let state = run::find(incident, id)?;
    let refused = |key| Err(Refusal::new(key).with("run", id.to_string()));
    let step = match &state.phase {
        Phase::Finished { outcome: Outcome::Failed { .. } | Outcome::Stopped { .. } } => state.goes_on_with(),
        // Somebody looked, and there is something left of it.
        Phase::Finished { outcome: Outcome::Unknown { .. } } if state.settled.is_some() && !state.went_well() => {
            state.goes_on_with()
        }
        _ => return refused("refusal.nothing_to_retry"),
    };
    let Some(step) = step else { return refused("refusal.closed_behind") };
    let user = context.by.person().ok_or_else(|| Refusal::new("refusal.needs_person"))?;
    run::must_be_approver(context, incident, &state.action.approval.by, user)?;
    let approved = state.approvals.last().map_or(state.asked.at, |approval| approval.at);
    if approved + state.action.approval.expires_after <= context.now {
        return Err(Refusal::new("refusal.approval_too_old").with("run", id.to_string()));
    }
    Ok((state, step))
}
