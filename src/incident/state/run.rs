//! A runbook action as part of an incident: from the moment it is asked for to its outcome.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Mark;
use crate::incident::approval::{
    ActionPlan, Approval, ApprovedPlan, CheckItem, CheckResult, Digest, Outcome, PlanRequest,
};
use crate::incident::id::{RunId, UserId};
use crate::incident::rules::RunbookAction;
use crate::incident::time::{Instant, Millis};
use crate::incident::timeline::{Entry, Fact};
use crate::incident::words::Words;

/// Where a runbook action is between asking and outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The plan is being made.
    Planning,
    /// No plan could be made.
    PlanFailed {
        /// Why.
        why: Words,
    },
    /// Waiting for approvals.
    Pending,
    /// Approved; the channel is being told (P3).
    Announcing {
        /// Runs then even if the channel could not be told.
        run_by: Instant,
        /// The timeline entry of the approval, which the channel is told about.
        told_by: u64,
    },
    /// Handed to the action lane.
    Released,
    /// Being executed.
    Running,
    /// Steps done, verification running.
    Verifying,
    /// Ended.
    Finished {
        /// How.
        outcome: Outcome,
    },
    /// Somebody said no.
    Rejected {
        /// Who and when.
        mark: Mark,
        /// Why.
        reason: Option<String>,
    },
    /// Nobody approved in time.
    Expired,
}

/// How one step stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepState {
    /// When it began.
    pub started_at: Instant,
    /// What it did and how long it took, once it has ended well.
    pub done: Option<(Words, Millis)>,
    /// Its output.
    pub output: Option<String>,
    /// The state that was seen in the end, where it can tell.
    #[serde(default)]
    pub live: Option<String>,
    /// Who left it out after it had not worked, and why.
    #[serde(default)]
    pub skipped: Option<(Mark, String)>,
}

impl StepState {
    fn began(started_at: Instant) -> Self {
        Self { started_at, done: None, output: None, live: None, skipped: None }
    }

    /// It is done, or left out.
    pub fn is_over(&self) -> bool {
        self.done.is_some() || self.skipped.is_some()
    }
}

/// To whom a run was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HandedTo {
    /// Their name.
    pub name: String,
    /// Their Slack id.
    pub user: Option<UserId>,
    /// Who gave it, and when.
    pub mark: Mark,
}

/// How a running step goes at this moment. Kept beside the timeline and never a fact: it may be lost, and the next one
/// takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The step, from 0.
    pub step: usize,
    /// What is seen.
    pub words: Words,
    /// When.
    pub at: Instant,
}

/// A runbook action asked for in this incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// The action as configured when it was asked for.
    pub action: RunbookAction,
    /// What it was asked for with.
    #[serde(default)]
    pub request: PlanRequest,
    /// Who asked, and when.
    pub asked: Mark,
    /// The plan, once there is one.
    pub plan: Option<ActionPlan>,
    /// Its fingerprint.
    pub digest: Option<Digest>,
    /// The last moment at which it can be approved.
    pub expires_at: Option<Instant>,
    /// The ticked items of the check list.
    pub ticked: BTreeSet<String>,
    /// The approvals so far, one a person.
    pub approvals: Vec<Approval>,
    /// Where it is.
    pub phase: Phase,
    /// The fence of its execution.
    pub fence: Option<i64>,
    /// When execution began.
    pub started_at: Option<Instant>,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// Its steps, as far as they have begun.
    pub steps: Vec<StepState>,
    /// What the verification saw.
    pub verification: Vec<CheckResult>,
    /// Somebody asked to stop it.
    pub stop_asked: bool,
    /// The failing step's output.
    pub output: Option<String>,
    /// What a person said really happened, when nobody knew.
    pub settled: Option<bool>,
    /// Who said so, and when.
    #[serde(default)]
    pub settled_by: Option<Mark>,
    /// Who has it now that it did not end well.
    #[serde(default)]
    pub handed_to: Option<HandedTo>,
}

impl Run {
    /// Approvals still missing.
    pub fn missing_approvals(&self) -> usize {
        usize::from(self.action.approval.needed).saturating_sub(self.approvals.len())
    }

    /// The first step, from 0, that is not known to be done.
    pub fn first_open_step(&self) -> usize {
        self.steps.iter().take_while(|step| step.is_over()).count()
    }

    /// The steps, from 0, that were begun and not left out: what may have to be taken back.
    pub fn begun_steps(&self) -> Vec<usize> {
        let begun = self.steps.iter().enumerate().filter(|(_, step)| step.skipped.is_none());
        begun.map(|(place, _)| place).collect()
    }

    /// It has ended, and something that it began may be taken back.
    pub fn can_be_undone(&self) -> bool {
        let known = match &self.phase {
            Phase::Finished { outcome: Outcome::Unknown { .. } } => self.settled.is_some(),
            Phase::Finished { .. } => true,
            _ => false,
        };
        known && !self.begun_steps().is_empty()
    }

    /// It has ended, and somebody has to do something about it.
    pub fn ended_badly(&self) -> bool {
        let bad = |outcome: &Outcome| {
            matches!(outcome, Outcome::Failed { .. } | Outcome::Unknown { .. } | Outcome::Stopped { .. })
        };
        matches!(&self.phase, Phase::Finished { outcome } if bad(outcome))
    }

    /// Required items of the check list that nobody ticked.
    pub fn missing_items(&self) -> Vec<&CheckItem> {
        self.action.checklist.iter().filter(|item| item.required && !self.ticked.contains(&item.key)).collect()
    }

    /// The plan, if the rules allow it to run: released, with all approvals for exactly this plan.
    pub fn approved_plan(&self) -> Option<ApprovedPlan> {
        let released = matches!(self.phase, Phase::Released | Phase::Running | Phase::Verifying);
        let (plan, digest) = (self.plan.as_ref()?, self.digest.as_ref()?);
        let enough = self.missing_approvals() == 0 && self.approvals.iter().all(|a| &a.digest == digest);
        (released && enough).then(|| ApprovedPlan::new(self.id, plan.clone(), digest.clone())).flatten()
    }

    /// May change the world now or soon, or nobody knows whether it did: its targets are locked (durability rule 6).
    pub fn holds_targets(&self) -> bool {
        match &self.phase {
            Phase::Announcing { .. } | Phase::Released | Phase::Running | Phase::Verifying => true,
            Phase::Finished { outcome: Outcome::Unknown { .. } } => self.settled.is_none(),
            _ => false,
        }
    }

    /// The state that the first step, which is what people look for, was seen to reach; what it was to reach where it
    /// could not tell.
    pub fn live(&self) -> Option<&str> {
        let seen = self.steps.first().and_then(|step| step.live.as_deref());
        seen.or_else(|| Some(self.plan.as_ref()?.steps.first()?.to.as_str()))
    }

    /// How the step that runs goes, if `seen` tells of it and not of one before, or of an execution that is gone.
    pub fn now<'p>(&self, seen: Option<&'p Progress>) -> Option<&'p Progress> {
        let seen = seen.filter(|_| self.phase == Phase::Running)?;
        let running = self.steps.last().filter(|step| !step.is_over())?;
        (seen.step + 1 == self.steps.len() && seen.at >= running.started_at).then_some(seen)
    }

    /// Waits for somebody or does something.
    pub fn is_live(&self) -> bool {
        self.holds_targets() || matches!(self.phase, Phase::Planning | Phase::Pending)
    }
}

impl Run {
    /// A run that was just asked for.
    pub(super) fn asked(id: RunId, action: RunbookAction, request: PlanRequest, asked: Mark) -> Self {
        // Whoever asked first may not approve what Vigie asks for in their name either.
        let by = request.in_name_of.clone().unwrap_or(asked.by);
        Self {
            id,
            action,
            request,
            asked: Mark { by, at: asked.at },
            plan: None,
            digest: None,
            expires_at: None,
            ticked: BTreeSet::new(),
            approvals: Vec::new(),
            phase: Phase::Planning,
            fence: None,
            started_at: None,
            ended_at: None,
            steps: Vec::new(),
            verification: Vec::new(),
            stop_asked: false,
            output: None,
            settled: None,
            settled_by: None,
            handed_to: None,
        }
    }

    /// Takes in one more fact about this run.
    pub(super) fn apply(&mut self, entry: &Entry, mark: Mark) {
        match &entry.fact {
            Fact::PlanShown { plan, digest, expires_at, .. } => {
                self.plan = Some(plan.as_ref().clone());
                self.digest = Some(digest.clone());
                self.expires_at = Some(*expires_at);
                self.phase = Phase::Pending;
            }
            Fact::PlanFailed { why, .. } => {
                self.phase = Phase::PlanFailed { why: why.clone() };
                self.ended_at = Some(mark.at);
            }
            Fact::ItemTicked { item, ticked: true, .. } => {
                self.ticked.insert(item.clone());
            }
            Fact::ItemTicked { item, ticked: false, .. } => {
                self.ticked.remove(item);
            }
            Fact::ApprovalGiven { digest, .. } => {
                self.approvals.push(Approval { by: mark.by, at: mark.at, digest: digest.clone() });
            }
            Fact::Approved { run_by, .. } => {
                self.phase = Phase::Announcing { run_by: *run_by, told_by: entry.seq };
            }
            Fact::PlanRejected { reason, .. } => {
                self.ended_at = Some(mark.at);
                self.phase = Phase::Rejected { mark, reason: reason.clone() };
            }
            Fact::PlanExpired { .. } => {
                self.ended_at = Some(mark.at);
                self.phase = Phase::Expired;
            }
            Fact::RunReleased { .. } => self.phase = Phase::Released,
            Fact::RunStarted { fence, .. } => {
                self.fence = Some(*fence);
                self.started_at = self.started_at.or(Some(mark.at));
                self.phase = Phase::Running;
            }
            Fact::StepStarted { step, .. } => {
                self.steps.truncate(*step);
                self.steps.push(StepState::began(mark.at));
            }
            Fact::StepFinished { step, note, took, output, live, .. } => {
                if let Some(state) = self.steps.get_mut(*step) {
                    state.done = Some((note.clone(), *took));
                    state.output = output.clone();
                    state.live = live.clone();
                }
            }
            Fact::VerificationStarted { .. } => self.phase = Phase::Verifying,
            Fact::VerificationFinished { results, .. } => self.verification = results.clone(),
            Fact::StopAsked { .. } => self.stop_asked = true,
            Fact::RunFinished { outcome, output, .. } => {
                self.ended_at = Some(mark.at);
                self.output = output.clone();
                self.phase = Phase::Finished { outcome: outcome.clone() };
            }
            Fact::StepSkipped { step, reason, .. } => {
                self.steps.truncate(*step);
                self.steps.push(StepState { skipped: Some((mark, reason.clone())), ..StepState::began(entry.at) });
            }
            Fact::RunResumed { step, run_by, .. } => {
                self.steps.truncate(*step);
                self.verification.clear();
                self.output = None;
                self.ended_at = None;
                self.stop_asked = false;
                self.handed_to = None;
                self.phase = Phase::Announcing { run_by: *run_by, told_by: entry.seq };
            }
            Fact::HandedOver { name, user, .. } => {
                self.handed_to = Some(HandedTo { name: name.clone(), user: user.clone(), mark });
            }
            Fact::RunSettled { happened, .. } => {
                self.settled = Some(*happened);
                self.settled_by = Some(mark);
            }
            _ => {}
        }
    }
}
