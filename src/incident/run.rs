//! A runbook action between asking and outcome: planning, approval, announcement, release (field procedures P1–P7).

use std::collections::BTreeSet;

use super::approval::{ActionPlan, Approver, Choice, KeptFile, Outcome, PlanRequest, Risk};
use super::decision::{Context, Effect, ReplyTo, Sheet};
use super::draft::Draft;
use super::id::{RunId, UserId};
use super::people::{Contact, Role};
use super::rules::RunbookAction;
use super::state::{Incident, Phase, Run};
use super::time::Millis;
use super::timeline::{Card, Fact, PageWhy};
use super::words::{Refusal, Words};

/// How long a run waits for Slack to take the “in progress” message before it runs all the same (P3): a rollback
/// must not hang on a chat that is down.
pub const ANNOUNCE_WITHIN: Millis = Millis::seconds(10);

impl Draft<'_> {
    /// Asks the action's provider for a plan.
    ///
    /// # Errors
    /// When the same action is under way already.
    pub fn ask_plan(&mut self, action: &RunbookAction, request: PlanRequest) -> Result<RunId, Refusal> {
        let same = self.incident.runs.values().find(|run| run.action.key == action.key && run.is_live());
        if let Some(run) = same {
            return Err(Refusal::new("refusal.run_under_way")
                .with("run", run.id.to_string())
                .with("title", action.title.as_str()));
        }
        let run = self.next_run();
        let action = Box::new(action.in_incident(self.incident.drill));
        self.fact(Fact::PlanAsked { run, action, request });
        // The card comes with the plan: a new message is noticed by those whom it names, an edit is not.
        self.effect(Effect::Plan { run }).show(Card::Incident);
        Ok(run)
    }

    /// What can be chosen came back: whoever asked is shown it.
    pub fn offered(&mut self, action: &str, choices: Result<Vec<Choice>, Words>, dry_run: bool, to: ReplyTo) {
        let words = match choices {
            Ok(choices) if !choices.is_empty() => {
                self.effect(Effect::ReplyWith {
                    to,
                    sheet: Sheet::Choices { action: action.to_owned(), dry_run, choices },
                });
                return;
            }
            Ok(_) => Words::new("reply.no_choice"),
            Err(why) => Words::new("reply.no_choices").with("why", why),
        };
        let title = self.context.rules.actions.get(action).map_or(action, |action| action.title.as_str());
        let words = words.with("title", title);
        self.effect(Effect::Reply { to, words });
    }

    /// The provider's plan came back: it is frozen and shown, or refused when it would do more than was configured.
    pub fn plan_made(&mut self, run: RunId, plan: Result<Box<ActionPlan>, Words>) {
        let Some(state) = self.incident.runs.get(&run).filter(|state| state.phase == Phase::Planning) else {
            return;
        };
        let (allowed, rule, dry_run) = (state.action.risk, state.action.approval.clone(), state.request.dry_run);
        let window = state.window().cloned();
        let plan = plan.and_then(|plan| within(plan, allowed));
        match plan {
            Err(why) => {
                self.fact(Fact::PlanFailed { run, why });
            }
            Ok(plan) => {
                let (digest, risk) = (plan.digest(), plan.risk());
                // Nobody may approve while the window is closed, so the time to do it begins when it opens.
                let begins = window.and_then(|window| window.closed(self.context.now));
                let begins = begins.and_then(|closed| closed.opens_at).unwrap_or(self.context.now);
                let expires_at = begins + rule.expires_after;
                self.fact(Fact::PlanShown { run, plan, digest, expires_at });
                if self.lacks_state(run) && !dry_run {
                    // Now, while people read: it takes longer than they should wait after they said yes.
                    self.effect(Effect::KeepState { run });
                }
                if rule.needed > 0 && !dry_run {
                    self.invite(approvers(&self.incident, &rule.by));
                }
                if rule.needed == 0 && risk == Risk::ReadOnly && !dry_run {
                    self.release_run(run, false);
                }
            }
        }
        self.show(Card::Run(run)).show(Card::Incident);
    }

    /// One person approves alone, in an emergency: everybody sees it, and those in charge are told at once.
    pub fn break_glass(&mut self, run: RunId, reason: &str, override_reason: Option<String>) {
        self.fact(Fact::GlassBroken { run, reason: reason.to_owned(), override_reason }).notice();
        let first = self.incident.severity.policy.levels.first();
        let mut told: Vec<Contact> = first.map(|level| level.contacts.clone()).unwrap_or_default();
        let commander = self.incident.roles.get(&Role::Commander);
        told.extend(commander.and_then(|user| self.context.rules.contact_of(user)).cloned());
        let mut known = BTreeSet::new();
        for contact in told {
            let own = contact.slack.as_ref() == self.context.by.person();
            if !own && known.insert(contact.key.clone()) {
                self.page(&contact, PageWhy::GlassBroken, Some(reason.to_owned()));
            }
        }
    }

    /// All approvals are there: the channel is told, and then it runs (P3).
    pub fn approved(&mut self, run: RunId) {
        let run_by = self.context.now + ANNOUNCE_WITHIN;
        let keeping = self.lacks_state(run);
        self.fact(Fact::Approved { run, run_by, keeping }).notice();
        self.tell_of_run(run, false);
        if keeping {
            self.effect(Effect::KeepState { run });
        } else if self.incident.usable_channel().is_none() {
            self.release_run(run, false);
        }
    }

    /// The audiences within the house hear of a rollback beside the channel (P3). Nothing waits for them.
    pub fn tell_of_run(&mut self, run: RunId, ended: bool) {
        if !self.incident.runs.get(&run).is_some_and(|state| state.action.is_rollback) {
            return;
        }
        for destination in self.context.rules.audiences.internal.clone() {
            self.effect(Effect::TellRun { run, ended, destination });
        }
    }

    fn lacks_state(&self, run: RunId) -> bool {
        self.incident.runs.get(&run).is_some_and(|state| state.lacks_state(self.context.now))
    }

    /// The state before the run was kept. Once something may have been changed it is no longer the state before.
    /// What somebody began to keep before that comes all the same, and says that it came late.
    pub fn state_kept(&mut self, run: RunId, files: Vec<KeptFile>, missed: Vec<Words>) {
        let Some(state) = self.incident.runs.get(&run).filter(|state| state.takes_state()) else {
            return;
        };
        let late = state.without_state;
        let told = match state.phase {
            Phase::Announcing { told_by, .. } => Some(self.incident.cards.contains_key(&Card::Notice(told_by))),
            _ => None,
        };
        self.fact(Fact::StateKept { run, files, missed, late }).show(Card::Run(run));
        match told {
            Some(true) => self.release_run(run, true),
            Some(false) if self.incident.usable_channel().is_none() => self.release_run(run, false),
            _ => {}
        }
    }

    /// A run that had stopped goes on with `step`, after the channel was told (P3).
    pub fn resume(&mut self, run: RunId, step: usize) {
        let run_by = self.context.now + ANNOUNCE_WITHIN;
        self.fact(Fact::RunResumed { run, step, run_by }).notice();
        if self.incident.usable_channel().is_none() {
            self.release_run(run, false);
        }
        self.show(Card::Run(run)).refresh();
    }

    /// The channel knows (or cannot be told): the action lane may run it.
    pub fn release_run(&mut self, run: RunId, announced: bool) {
        let waits = |state: &Run| matches!(state.phase, Phase::Announcing { keeping: true, .. });
        let without_state = self.incident.runs.get(&run).is_some_and(waits);
        self.fact(Fact::RunReleased { run, announced, without_state }).effect(Effect::Run { run });
        self.show(Card::Run(run));
    }

    /// The message with this number was posted, or could not be: whatever waited for it goes on.
    pub fn told(&mut self, notice: u64, announced: bool) {
        let waiting =
            self.incident.runs.values().find(
                |run| matches!(run.phase, Phase::Announcing { told_by, keeping: false, .. } if told_by == notice),
            );
        if let Some(run) = waiting.map(|run| run.id) {
            self.release_run(run, announced);
        }
    }

    /// The execution ended.
    pub fn run_finished(&mut self, run: RunId, outcome: Outcome, output: Option<String>) {
        let Some(state) = self.incident.runs.get(&run) else {
            return;
        };
        if !matches!(state.phase, Phase::Released | Phase::Running | Phase::Verifying) {
            return;
        }
        let outcome = match outcome {
            // A plan of the whole action would begin from what was changed already and lead somewhere else.
            Outcome::Stale { step, found } if state.may_have_changed_before(step) => {
                Outcome::Failed { step: Some(step), why: Words::new("step.moved").with("found", found) }
            }
            outcome => outcome,
        };
        let moved = matches!(outcome, Outcome::Stale { .. }) && !state.stop_asked;
        let is_told = !matches!(outcome, Outcome::Unknown { .. });
        self.fact(Fact::RunFinished { run, outcome, output }).notice();
        if is_told {
            self.tell_of_run(run, true);
        }
        if moved && self.incident.status.is_open() {
            self.ask_again(run);
        }
        self.show(Card::Run(run)).refresh();
    }

    /// Nobody will tell how the execution ends: it was given up, or a backup from its middle was restored.
    pub fn run_lost(&mut self, run: RunId, why: Words) {
        let Some(state) = self.incident.runs.get(&run) else {
            return;
        };
        let step = state.current_step().min(state.plan.as_ref().map_or(0, |plan| plan.steps.len() - 1));
        self.run_finished(run, Outcome::Unknown { step, why }, None);
    }

    /// The world had moved since the plan: whoever asked for it is shown a new one, which needs approvals of its own.
    fn ask_again(&mut self, run: RunId) {
        let Some(state) = self.incident.runs.get(&run) else {
            return;
        };
        let (action, by) = (state.action.clone(), state.asked.by.clone());
        let request = PlanRequest { after: Some(run), in_name_of: Some(by), ..state.request.clone() };
        // Refused when somebody has asked for one already: then that one it is.
        if let Err(refusal) = self.ask_plan(&action, request) {
            self.reply(refusal.0);
        }
    }
}

fn within(plan: Box<ActionPlan>, allowed: Risk) -> Result<Box<ActionPlan>, Words> {
    let found = plan.risk();
    if found <= allowed {
        return Ok(plan);
    }
    Err(too_risky(plan.title.as_str(), found, allowed))
}

/// Why there is no plan that could do more than the action may; `what` is the plan, or one step of it.
pub fn too_risky(what: impl Into<serde_json::Value>, found: Risk, allowed: Risk) -> Words {
    Words::new("plan_fault.too_risky")
        .with("title", what)
        .with("found_risk", found.word())
        .with("allowed_risk", allowed.word())
}

/// The people who may approve; empty when anybody may.
pub fn approvers(incident: &Incident, by: &[Approver]) -> Vec<UserId> {
    let users = by.iter().filter_map(|approver| match approver {
        Approver::Contact { user, .. } => Some(user.clone()),
        Approver::Role(role) => incident.roles.get(role).cloned(),
        // Only Slack knows who is in it.
        Approver::Group(_) => None,
    });
    users.collect()
}

/// The user groups whose members may approve.
pub fn groups(by: &[Approver]) -> Vec<String> {
    let groups = by.iter().filter_map(|approver| match approver {
        Approver::Group(group) => Some(group.clone()),
        Approver::Contact { .. } | Approver::Role(_) => None,
    });
    groups.collect()
}

/// Checks that `user` is one of those who may approve an action: one of those named, else anybody in the channel.
///
/// # Errors
/// A refusal that names them, or the channel.
pub fn must_be_approver(
    context: Context<'_>,
    incident: &Incident,
    by: &[Approver],
    user: &UserId,
) -> Result<(), Refusal> {
    if by.is_empty() { must_be_in_channel(context, incident, user) } else { must_be_named(context, incident, by, user) }
}

/// Whoever Vigie invited is in the channel, and so is whoever acts in it. Without a channel, everybody who has to do
/// with the incident counts: a rollback must not hang on a channel that is gone.
fn must_be_in_channel(context: Context<'_>, incident: &Incident, user: &UserId) -> Result<(), Refusal> {
    let channel = incident.usable_channel().map(|channel| &channel.id);
    let is_here = channel.is_some() && channel == context.channel;
    let has_to_do = incident.acknowledged_by.contains(user)
        || incident.roles.values().any(|holder| holder == user)
        || incident.pages.values().any(|page| page.contact.slack.as_ref() == Some(user));
    if is_here || incident.invited.contains(user) || (channel.is_none() && has_to_do) {
        return Ok(());
    }
    Err(Refusal::new("refusal.not_in_channel"))
}

/// Checks that `user` is one of those named.
///
/// # Errors
/// A refusal that names them.
pub fn must_be_named(context: Context<'_>, incident: &Incident, by: &[Approver], user: &UserId) -> Result<(), Refusal> {
    let is_member = |group: &String| context.member_of.is_some_and(|groups| groups.contains(group));
    if approvers(incident, by).contains(user) || groups(by).iter().any(is_member) {
        return Ok(());
    }
    let names: Vec<serde_json::Value> = by
        .iter()
        .map(|approver| match approver {
            Approver::Contact { name, .. } => name.as_str().into(),
            Approver::Role(role) => role.word().into(),
            Approver::Group(group) => group.as_str().into(),
        })
        .collect();
    Err(Refusal::new("refusal.not_approver").with("approvers", names))
}

/// The run of this name.
///
/// # Errors
/// A refusal when there is none.
pub fn find(incident: &Incident, run: RunId) -> Result<&Run, Refusal> {
    incident.runs.get(&run).ok_or_else(|| Refusal::new("refusal.no_such_run").with("run", run.to_string()))
}
