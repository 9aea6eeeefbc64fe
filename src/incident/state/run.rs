//! A runbook action as part of an incident: from the moment it is asked for to its outcome.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Mark;
use crate::incident::approval::{
    ActionPlan, Approval, ApprovedPlan, CheckItem, CheckResult, CheckWhen, Digest, Halt, KeptFile, Outcome,
    PlanRequest, Risk,
};
use crate::incident::id::{RunId, UserId};
use crate::incident::rules::RunbookAction;
use crate::incident::time::{Instant, Millis};
use crate::incident::timeline::{Entry, Fact};
use crate::incident::window::Window;
use crate::incident::words::Words;

/// State that was kept longer ago is kept anew before anything is changed.
const KEPT_FOR: Millis = Millis::minutes(5);

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
    /// The plan was only to be seen, and is.
    Rehearsed,
    /// Waiting for approvals.
    Pending,
    /// Approved; the channel is being told (P3).
    Announcing {
        /// Runs then even if the channel could not be told.
        run_by: Instant,
        /// The timeline entry of the approval, which the channel is told about.
        told_by: u64,
        /// The state is being kept anew meanwhile.
        #[serde(default)]
        keeping: bool,
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
    /// It was left out although it may have changed something before.
    #[serde(default)]
    pub touched: bool,
    /// It ended badly, and others came after it.
    #[serde(default)]
    pub halted: bool,
    /// It was never begun, for a step before it had ended badly.
    #[serde(default)]
    pub left_out: bool,
}

impl StepState {
    fn began(started_at: Instant) -> Self {
        Self {
            started_at,
            done: None,
            output: None,
            live: None,
            skipped: None,
            touched: false,
            halted: false,
            left_out: false,
        }
    }

    fn left_out(at: Instant) -> Self {
        Self { left_out: true, ..Self::began(at) }
    }

    /// It is done, or left out.
    pub fn is_over(&self) -> bool {
        self.done.is_some() || self.skipped.is_some()
    }

    /// Nothing more will come of it.
    pub fn has_ended(&self) -> bool {
        self.is_over() || self.halted || self.left_out
    }
}

/// What was kept of the state before a run changed anything (K15).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// When.
    pub at: Instant,
    /// The files; none when nothing could be kept.
    pub files: Vec<KeptFile>,
    /// What could not be kept, one line each.
    pub missed: Vec<Words>,
    /// The run had begun before all was kept: what it had changed by then may show in it.
    #[serde(default)]
    pub late: bool,
}

impl Kept {
    /// Files of a clean state are not given away for none, or for some that may show what the run has changed.
    fn unless_worse_than(self, former: Option<Kept>) -> Self {
        match former {
            Some(mut former) if !former.files.is_empty() && (self.late || self.files.is_empty()) => {
                let not_anew = Words::new("kept.not_anew");
                former.missed.retain(|line| *line != not_anew);
                former.missed.push(not_anew);
                former
            }
            _ => self,
        }
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
    /// The fence of the execution that the present attempt began with; gone when a person has it tried again.
    #[serde(default)]
    pub attempt: Option<i64>,
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
    /// How its steps came to an end, while those are done that are done whatever happens.
    #[serde(default)]
    pub halted: Option<Halt>,
    /// What a person said really happened, when nobody knew.
    pub settled: Option<bool>,
    /// Who said so, and when.
    #[serde(default)]
    pub settled_by: Option<Mark>,
    /// Who has it now that it did not end well.
    #[serde(default)]
    pub handed_to: Option<HandedTo>,
    /// Who approved it alone, and why.
    #[serde(default)]
    pub glass: Option<(Mark, String)>,
    /// What was kept of the state before, the last time that any was.
    #[serde(default)]
    pub kept: Option<Kept>,
    /// It was let go before its state was kept, which may still come.
    #[serde(default)]
    pub without_state: bool,
    /// Steps, from 0, that ended badly and were tried again, and are not done since: each may have changed something before.
    #[serde(default)]
    pub retried: BTreeSet<usize>,
}

impl Run {
    /// Approvals still missing.
    pub fn missing_approvals(&self) -> usize {
        let needed = if self.glass.is_some() { 1 } else { usize::from(self.action.approval.needed) };
        needed.saturating_sub(self.approvals.len())
    }

    /// When its plan may be approved, where that is not always. Whoever takes back what has begun waits for no window: half of a
    /// change may be worse than either end of it (P7 before P8).
    pub fn window(&self) -> Option<&Window> {
        self.action.window.as_ref().filter(|_| self.request.undo_of.is_none())
    }

    /// The step, from 0, that was begun and is not known to have ended.
    pub fn step_in_doubt(&self) -> Option<usize> {
        let last = self.steps.last().filter(|step| !step.has_ended());
        last.map(|_| self.steps.len() - 1)
    }

    /// The step, from 0, that it is at.
    pub fn current_step(&self) -> usize {
        self.step_in_doubt().unwrap_or_else(|| self.steps.iter().take_while(|step| step.is_over()).count())
    }

    /// The time that a phase of its plan has taken so far, and whether it is over; nothing before its first step began.
    pub fn phase_used(&self, phase: usize, now: Instant) -> Option<(Millis, bool)> {
        let phases = &self.plan.as_ref()?.phases;
        let first = phases.get(phase)?.first;
        let next = phases.get(phase + 1).map_or(usize::MAX, |next| next.first);
        let planned = self.plan.as_ref()?.steps.len().min(next);
        let began = self.steps.get(first).filter(|step| !step.left_out)?.started_at;
        let last = self.steps.get(planned - 1).and_then(|step| Some(step.started_at + step.done.as_ref()?.1));
        let end = last.or_else(|| self.steps.get(next).map(|step| step.started_at)).or(self.ended_at);
        Some((end.unwrap_or(now).since(began), end.is_some()))
    }

    /// The step, from 0, with which it may go on after it stopped before its end. None when others were left out or done
    /// after that one, as they are whatever happens: it would not find again what it needs.
    pub fn goes_on_with(&self) -> Option<usize> {
        let all = self.plan.as_ref().map_or(0, |plan| plan.steps.len());
        let step = match &self.phase {
            Phase::Finished { outcome: Outcome::Failed { step, .. } } => step.unwrap_or(all),
            Phase::Finished { outcome: Outcome::Stopped { done } } => *done,
            Phase::Finished { outcome: Outcome::Unknown { step, .. } } if !self.went_well() => {
                // Whoever looked knows whether it has to be done still.
                if self.settled? { *step + 1 } else { *step }
            }
            _ => return None,
        };
        let as_planned = self.steps.iter().take(step).all(StepState::is_over);
        let nothing_after = !self.steps.iter().skip(step + 1).any(StepState::is_over);
        (as_planned && nothing_after).then_some(step)
    }

    /// Something may have been changed before its step `step`, from 0: by one before it, or by an earlier try.
    pub fn may_have_changed_before(&self, step: usize) -> bool {
        let mut changing = self.changing_steps().filter(|(place, _)| *place < step);
        !self.retried.is_empty() || changing.next().is_some()
    }

    /// Something may have been changed that is no step which is done: one began and did not end well, or was skipped after that.
    pub fn may_have_changed_unfinished(&self) -> bool {
        let mut unfinished =
            self.changing_steps().filter(|(place, state)| state.done.is_none() && !self.is_untouched(*place, state));
        !self.retried.is_empty() || unfinished.next().is_some()
    }

    /// This step, from 0, may have changed something by now.
    fn may_have_touched(&self, place: usize) -> bool {
        let mut begun = self.changing_steps().filter(|(at, _)| *at == place);
        self.retried.contains(&place) || begun.any(|(_, state)| !self.is_untouched(place, state))
    }

    /// This step, which was begun, is known to have changed nothing.
    fn is_untouched(&self, place: usize, state: &StepState) -> bool {
        if state.skipped.is_some() { !state.touched } else { self.left_alone(place) }
    }

    /// The steps that change something and were begun, from 0.
    fn changing_steps(&self) -> impl Iterator<Item = (usize, &StepState)> {
        let planned = self.plan.as_ref().map(|plan| plan.steps.as_slice()).unwrap_or_default();
        let begun = planned.iter().zip(&self.steps).enumerate();
        let begun = begun.filter(|(_, (step, state))| step.risk > Risk::ReadOnly && !state.left_out);
        begun.map(|(place, (_, state))| (place, state))
    }

    /// It ended at this step, which is known to have changed nothing: it says so itself, or somebody who looked does.
    fn left_alone(&self, place: usize) -> bool {
        let says_so = matches!(&self.phase, Phase::Finished { outcome } if outcome.left_its_step_alone());
        let is_known = says_so || self.settled == Some(false);
        is_known && self.ended_at_step() == Some(place) && !self.retried.contains(&place)
    }

    fn ended_at_step(&self) -> Option<usize> {
        match &self.phase {
            Phase::Finished { outcome } => outcome.step(),
            _ => None,
        }
    }

    /// The steps, from 0, that may have to be taken back: begun, not known to have changed nothing, and not brought back by a
    /// later one already.
    pub fn steps_to_take_back(&self) -> Vec<usize> {
        let planned = self.plan.as_ref().map(|plan| plan.steps.as_slice()).unwrap_or_default();
        let both = || planned.iter().zip(&self.steps).enumerate();
        let taken_up = |place: &usize| {
            let later = both().filter(|(_, (step, state))| state.done.is_some() && step.after.contains(place));
            let locks: BTreeSet<&String> = later.flat_map(|(_, (step, _))| step.locks()).collect();
            planned.get(*place).is_some_and(|step| step.locks().iter().all(|lock| locks.contains(lock)))
        };
        let is_way_back = |place: usize| {
            let step = planned.get(place).filter(|_| self.steps.get(place).is_some_and(|state| state.done.is_some()));
            step.is_some_and(|step| step.after.iter().any(taken_up))
        };
        let begun = self
            .changing_steps()
            .filter(|(place, state)| !is_way_back(*place) && !self.is_untouched(*place, state))
            .map(|(place, _)| place);
        // Somebody may have stopped it before such a step began once more.
        let all: BTreeSet<usize> = begun.chain(self.retried.iter().copied()).collect();
        all.into_iter().filter(|place| !taken_up(place)).collect()
    }

    /// What was begun under this fence belongs to the present attempt. Without one it was told by a release that did not say.
    pub fn is_of_this_attempt(&self, fence: Option<i64>) -> bool {
        fence.is_none_or(|fence| self.attempt.is_some_and(|attempt| fence >= attempt))
    }

    /// It did what it was to do, as far as anybody knows.
    pub fn went_well(&self) -> bool {
        let all = self.plan.as_ref().map_or(0, |plan| plan.steps.len());
        match &self.phase {
            Phase::Finished { outcome: Outcome::Done } => true,
            Phase::Finished { outcome: Outcome::Unknown { .. } } => {
                self.settled == Some(true) && self.steps.iter().filter(|step| step.is_over()).count() == all
            }
            _ => false,
        }
    }

    /// It has ended, and something that it began may be taken back.
    pub fn can_be_undone(&self) -> bool {
        let known = match &self.phase {
            Phase::Finished { outcome: Outcome::Unknown { .. } } => self.settled.is_some(),
            Phase::Finished { .. } => true,
            _ => false,
        };
        known && !self.steps_to_take_back().is_empty()
    }

    /// It has ended, and somebody has to do something about it.
    pub fn ended_badly(&self) -> bool {
        let bad = |outcome: &Outcome| {
            matches!(outcome, Outcome::Failed { .. } | Outcome::Unknown { .. } | Outcome::Stopped { .. })
        };
        matches!(&self.phase, Phase::Finished { outcome } if bad(outcome)) && !self.went_well()
    }

    /// The state has to be kept before it may change anything, and was not, or too long ago.
    pub fn lacks_state(&self, now: Instant) -> bool {
        let changes = self.plan.as_ref().is_some_and(|plan| plan.risk() > Risk::ReadOnly);
        let is_fresh = |kept: &Kept| !kept.files.is_empty() && now < kept.at + KEPT_FOR;
        changes && !self.action.keep_state.is_off() && !self.kept.as_ref().is_some_and(is_fresh)
    }

    /// The state is looked at only while nothing has been changed.
    pub fn waits_for_state(&self) -> bool {
        matches!(self.phase, Phase::Pending | Phase::Announcing { keeping: true, .. })
    }

    /// What is kept of the state may still be recorded: somebody waits for it, or began to look while nobody had changed
    /// anything.
    pub fn takes_state(&self) -> bool {
        self.waits_for_state() || self.without_state
    }

    /// Required items of the check list that nobody ticked, of those that come at this time.
    pub fn missing_items(&self, when: CheckWhen) -> Vec<&CheckItem> {
        let missing = |item: &&CheckItem| item.required && item.when == when && !self.ticked.contains(&item.key);
        self.action.checklist.iter().filter(missing).collect()
    }

    /// The items of the check list that can be ticked now.
    pub fn open_items(&self) -> Vec<&CheckItem> {
        let times: &[CheckWhen] = match &self.phase {
            Phase::Pending | Phase::Rehearsed => &[CheckWhen::Before],
            Phase::Released | Phase::Running | Phase::Verifying => &[CheckWhen::During],
            Phase::Finished { .. } => &[CheckWhen::During, CheckWhen::After],
            _ => &[],
        };
        self.action.checklist.iter().filter(|item| times.contains(&item.when)).collect()
    }

    /// Required items that nobody ticked although it has ended.
    pub fn items_left(&self) -> Vec<&CheckItem> {
        let ended = matches!(self.phase, Phase::Finished { .. });
        let times = [CheckWhen::During, CheckWhen::After];
        times.into_iter().filter(|_| ended).flat_map(|when| self.missing_items(when)).collect()
    }

    /// The plan, if the rules allow it to run: released, with all approvals for exactly this plan.
    pub fn approved_plan(&self) -> Option<ApprovedPlan> {
        let released = matches!(self.phase, Phase::Released | Phase::Running | Phase::Verifying);
        let (plan, digest) = (self.plan.as_ref()?, self.digest.as_ref()?);
        let enough = self.missing_approvals() == 0 && self.approvals.iter().all(|a| &a.digest == digest);
        (released && enough).then(|| ApprovedPlan::new(self.id, self.asked.at, plan.clone(), digest.clone())).flatten()
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
        let running = self.steps.last().filter(|step| !step.has_ended())?;
        (seen.step + 1 == self.steps.len() && seen.at >= running.started_at).then_some(seen)
    }

    /// What its plan names may still be used: it is live, or did not come to a good end and may be tried again.
    pub fn may_use_its_plan(&self) -> bool {
        self.is_live() || matches!(&self.phase, Phase::Finished { outcome } if *outcome != Outcome::Done)
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
            attempt: None,
            started_at: None,
            ended_at: None,
            steps: Vec::new(),
            verification: Vec::new(),
            stop_asked: false,
            output: None,
            halted: None,
            settled: None,
            settled_by: None,
            handed_to: None,
            glass: None,
            kept: None,
            without_state: false,
            retried: BTreeSet::new(),
        }
    }

    /// Somebody looked: the step that nobody knew about was carried out.
    fn settled_as_done(&mut self, at: Instant) {
        let (Some(step), ended_at) = (self.ended_at_step(), self.ended_at.unwrap_or(at)) else { return };
        if self.steps.len() == step {
            self.steps.push(StepState::began(ended_at));
        }
        if let Some(state) = self.steps.get_mut(step) {
            let took = ended_at.since(state.started_at);
            state.done.get_or_insert_with(|| (Words::new("step.seen_by_hand"), took));
        }
        self.retried.remove(&step);
    }

    /// Takes in one more fact about this run.
    pub(super) fn apply(&mut self, entry: &Entry, mark: Mark) {
        match &entry.fact {
            Fact::PlanShown { plan, digest, expires_at, .. } => {
                self.plan = Some(plan.as_ref().clone());
                self.digest = Some(digest.clone());
                self.expires_at = Some(*expires_at);
                self.phase = Phase::Pending;
                if self.request.dry_run {
                    self.phase = Phase::Rehearsed;
                    self.ended_at = Some(mark.at);
                }
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
            Fact::Approved { run_by, keeping, .. } => {
                self.phase = Phase::Announcing { run_by: *run_by, told_by: entry.seq, keeping: *keeping };
            }
            Fact::StateKept { files, missed, late, .. } => {
                let kept = Kept { at: mark.at, files: files.clone(), missed: missed.clone(), late: *late };
                self.kept = Some(kept.unless_worse_than(self.kept.take()));
                self.without_state = false;
                if let Phase::Announcing { keeping, .. } = &mut self.phase {
                    *keeping = false;
                }
            }
            Fact::PlanRejected { reason, .. } => {
                self.ended_at = Some(mark.at);
                self.phase = Phase::Rejected { mark, reason: reason.clone() };
            }
            Fact::PlanExpired { .. } => {
                self.ended_at = Some(mark.at);
                self.phase = Phase::Expired;
            }
            Fact::RunReleased { without_state, .. } => {
                // When it goes on, what somebody began to keep before it may still be under way.
                self.without_state |= *without_state;
                self.phase = Phase::Released;
            }
            Fact::RunStarted { fence, .. } => {
                self.fence = Some(*fence);
                self.attempt = self.attempt.or(Some(*fence));
                self.started_at = self.started_at.or(Some(mark.at));
                self.phase = Phase::Running;
            }
            Fact::StepStarted { step, .. } => {
                self.steps.truncate(*step);
                self.steps.resize_with(*step, || StepState::left_out(mark.at));
                self.steps.push(StepState::began(mark.at));
            }
            Fact::RunHalted { step, outcome, output, .. } => {
                let begun = self.steps.len();
                self.steps.resize_with(begun.max(step + 1), || StepState::left_out(mark.at));
                if let Some(state) = self.steps.get_mut(*step).filter(|_| *step < begun) {
                    state.halted = true;
                }
                self.halted = Some(Halt { outcome: outcome.clone(), output: output.clone() });
            }
            Fact::StepFinished { step, note, took, output, live, .. } => {
                if let Some(state) = self.steps.get_mut(*step) {
                    state.done = Some((note.clone(), *took));
                    state.output = output.clone();
                    state.live = live.clone();
                }
                self.retried.remove(step);
            }
            Fact::VerificationStarted { .. } => self.phase = Phase::Verifying,
            Fact::VerificationFinished { results, .. } => self.verification = results.clone(),
            Fact::StopAsked { .. } => self.stop_asked = true,
            Fact::RunFinished { outcome, output, .. } => {
                self.ended_at = Some(mark.at);
                self.output = output.clone();
                self.halted = None;
                self.phase = Phase::Finished { outcome: outcome.clone() };
            }
            Fact::GlassBroken { reason, .. } => self.glass = Some((mark, reason.clone())),
            Fact::StepSkipped { step, reason, .. } => {
                let touched = self.may_have_touched(*step);
                self.retried.remove(step);
                self.steps.truncate(*step);
                let skipped = Some((mark, reason.clone()));
                self.steps.push(StepState { skipped, touched, ..StepState::began(entry.at) });
            }
            Fact::RunResumed { step, run_by, .. } => {
                let again = (*step..self.steps.len()).filter(|place| self.may_have_touched(*place));
                self.retried.extend(again.collect::<Vec<_>>());
                self.attempt = None;
                self.steps.truncate(*step);
                self.settled = None;
                self.settled_by = None;
                self.verification.clear();
                self.output = None;
                self.halted = None;
                self.ended_at = None;
                self.stop_asked = false;
                self.handed_to = None;
                self.phase = Phase::Announcing { run_by: *run_by, told_by: entry.seq, keeping: false };
            }
            Fact::HandedOver { name, user, .. } => {
                self.handed_to = Some(HandedTo { name: name.clone(), user: user.clone(), mark });
            }
            Fact::RunSettled { happened, .. } => {
                self.settled = Some(*happened);
                self.settled_by = Some(mark);
                if *happened {
                    self.settled_as_done(entry.at);
                }
            }
            _ => {}
        }
    }
}
