//! The plan shown, approved and frozen; what may become of it.
//!
//! A plan leaves nothing to choose: it says what is, what will be, and where, in absolute terms. Its digest is on
//! the card, in each approval and in the run, so that what runs is what was read. Only an approval makes an
//! [`ApprovedPlan`], and only an [`ApprovedPlan`] can be executed (field procedures P1, P4–P6).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::id::{RunId, UserId};
use super::people::Actor;
use super::time::{Instant, Millis};
use super::words::Words;

/// What an action can do to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Only looks.
    ReadOnly,
    /// Changes something that can be changed back.
    Reversible,
    /// May lose something for good.
    Destructive,
}

impl Risk {
    /// The word in the configuration and in label keys.
    pub const fn word(self) -> &'static str {
        match self {
            Risk::ReadOnly => "read_only",
            Risk::Reversible => "reversible",
            Risk::Destructive => "destructive",
        }
    }
}

/// How urgent a rollback is and how long it may take (P4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Under 15 minutes, high risk accepted.
    Urgent,
    /// Under an hour.
    Planned,
    /// Under four hours.
    Preventive,
}

/// One step of a plan, in absolute terms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// One line: “Switch the shop from 1.3.0 to 1.2.3”.
    pub title: Words,
    /// What is changed, named so that nothing else can be meant. One live run per target.
    pub target: String,
    /// What nobody else may change meanwhile, named alike by every action; the target alone when it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<String>,
    /// The state found while planning, compared again before acting.
    pub from: Option<String>,
    /// The state to be reached.
    pub to: String,
    /// The change in words, one line each.
    pub diff: Vec<Words>,
    /// The rights that it needs and was found to have, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Words>,
    /// What it can do to the world.
    pub risk: Risk,
    /// Which step of the action's configuration it is of, from 0, where that is not its own place in the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configured_at: Option<usize>,
    /// It is done even when a step before it failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub always: bool,
    /// The earlier steps of this plan, from 0, that it brings back: a worker that they stopped runs again. Once both are done
    /// nothing is left of either that could be taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<usize>,
    /// Which provider planned it and will execute it.
    pub provider: String,
    /// The provider's own absolute facts; opaque to everybody else; holds no secret. None where there is nothing to do.
    pub spec: Value,
}

impl PlannedStep {
    /// What it would lead to was the case already when it was planned, so that there are no facts to act by.
    pub fn has_nothing_to_do(&self) -> bool {
        self.spec.is_null()
    }

    /// What nobody else may change while it runs.
    pub fn locks(&self) -> &[String] {
        if self.locks.is_empty() { std::slice::from_ref(&self.target) } else { &self.locks }
    }

    /// Every text among its provider's facts: the files that it will use, for instance.
    pub fn texts(&self) -> BTreeSet<String> {
        let (mut texts, mut left) = (BTreeSet::new(), vec![&self.spec]);
        while let Some(value) = left.pop() {
            match value {
                Value::String(text) => _ = texts.insert(text.clone()),
                Value::Array(values) => left.extend(values),
                Value::Object(fields) => left.extend(fields.values()),
                Value::Null | Value::Bool(_) | Value::Number(_) => {}
            }
        }
        texts
    }
}

/// Whether an action leaves something to choose before its plan is made (K2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choosing {
    /// It goes where its configuration says.
    #[default]
    Nothing,
    /// It knows where to go when nobody says.
    May,
    /// Somebody has to say where it goes.
    Must,
}

impl Choosing {
    /// There is nothing to choose.
    pub fn is_nothing(&self) -> bool {
        *self == Choosing::Nothing
    }
}

/// Whether the state of things is kept before an action changes any of them (K15).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeepState {
    /// It is not.
    Off,
    /// It is, as far as that is possible.
    #[default]
    Auto,
    /// It is, and nobody can approve a plan before.
    Required,
}

impl KeepState {
    /// Nothing is kept.
    pub const fn off() -> Self {
        KeepState::Off
    }

    /// Nothing is kept.
    pub fn is_off(&self) -> bool {
        *self == KeepState::Off
    }
}

/// A file that was kept. Its content stands beside the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// Its name: `production-shop-objects.yaml`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Its lines.
    pub lines: u64,
    /// The fingerprint of its content, by which it is found.
    pub sha256: String,
}

/// One of those between which a person chooses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// What can only mean this one, now and when the plan is made.
    pub value: String,
    /// What people know it by, one line.
    pub label: Words,
}

/// What a plan was asked for with, beside the action itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanRequest {
    /// What was chosen, where the action leaves a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The run in whose place it is asked for, for the world had moved since that one's plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<RunId>,
    /// Who asked first, where Vigie asks again in their name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_name_of: Option<Actor>,
    /// The run whose changes it is to take back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo_of: Option<RunId>,
    /// The plan is only to be seen: it is never approved and never runs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// Everything an approver needs to know, and exactly what will be executed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionPlan {
    /// The action's key in the configuration.
    pub action: String,
    /// The action's title.
    pub title: String,
    /// The service it is for.
    pub service: Option<String>,
    /// Urgent, planned or preventive.
    pub class: Class,
    /// The steps, in order; never empty.
    pub steps: Vec<PlannedStep>,
    /// The phases that the steps are grouped into, in order; none when they are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PlanPhase>,
    /// Why it is proposed, with figures, one line each.
    pub why: Vec<Words>,
    /// When not to do it (P4).
    pub cautions: Vec<String>,
    /// What it will leave alone, where people might think otherwise.
    pub will_not: Vec<String>,
    /// What was done and cannot be taken back, for a plan that takes back the rest; one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stays_done: Vec<Words>,
    /// The checks that must pass afterwards (P2), by key, with their titles.
    pub verification: Vec<Verification>,
    /// How long it usually takes.
    pub expected: Millis,
}

/// Some steps in a row, with the time that they have together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanPhase {
    /// What it is for, one line.
    pub title: String,
    /// Its budget. Nothing is cut off when it is spent; the card says so.
    pub within: Millis,
    /// Its first step, from 0. It lasts until the next phase begins.
    pub first: usize,
}

/// One check of the verification plan (P2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The check's key in the configuration.
    pub check: String,
    /// What it looks at, for people.
    pub title: String,
    /// What it saw when the plan was made, where the figure afterwards is held against that (D5, H6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Figure>,
}

impl Verification {
    /// A check that needs nothing from before.
    pub fn new(check: impl Into<String>, title: impl Into<String>) -> Self {
        Self { check: check.into(), title: title.into(), before: None }
    }
}

/// A figure that a check saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The figure itself.
    pub number: f64,
    /// As people read it, with its unit.
    pub shown: Words,
}

/// The fingerprint of a plan: SHA-256 over its canonical JSON, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl Digest {
    /// The first twelve characters, as shown on cards.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl ActionPlan {
    /// The plan's fingerprint. Equal plans have equal digests on every machine: fields are serialised in their
    /// declared order and maps in key order.
    pub fn digest(&self) -> Digest {
        let canonical = serde_json::to_value(self).map(|value| value.to_string()).unwrap_or_default();
        Digest(hex::encode(Sha256::digest(canonical.as_bytes())))
    }

    /// The worst that any step can do.
    pub fn risk(&self) -> Risk {
        self.steps.iter().map(|step| step.risk).max().unwrap_or(Risk::ReadOnly)
    }

    /// “1.3.0 → 1.2.3”: the first step's change, which is what people look for.
    pub fn from_to(&self) -> (Option<&str>, &str) {
        self.steps.first().map_or((None, ""), |step| (step.from.as_deref(), step.to.as_str()))
    }
}

/// Who may approve an action, and how (P6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRule {
    /// Who may approve; anybody in the incident's channel when empty.
    pub by: Vec<Approver>,
    /// How many different people must approve; 0 only for actions that change nothing.
    pub needed: u8,
    /// The person who asked may be one of them.
    pub requester_may: bool,
    /// How long a plan can be approved after it was shown.
    pub expires_after: Millis,
}

/// Somebody who may approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approver {
    /// A person of the plan, with the name that refusals show.
    Contact {
        /// The contact's Slack id.
        user: UserId,
        /// The contact's name.
        name: String,
    },
    /// Whoever holds this role in the incident.
    Role(super::people::Role),
    /// Whoever is a member of this user group in Slack at the moment they decide.
    Group(String),
}

/// One line of a check list that is ticked before, during or after an action (P5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckItem {
    /// Its key within the action.
    pub key: String,
    /// What must be true.
    pub text: String,
    /// What comes after waits until it is ticked: the approval, or the end of the incident.
    pub required: bool,
    /// When it is ticked.
    #[serde(default, skip_serializing_if = "CheckWhen::is_before")]
    pub when: CheckWhen,
}

/// When a line of a check list is ticked (P5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckWhen {
    /// Before the approval.
    #[default]
    Before,
    /// While it runs, or afterwards.
    During,
    /// Once it has ended.
    After,
}

impl CheckWhen {
    /// Before the approval.
    pub fn is_before(&self) -> bool {
        *self == CheckWhen::Before
    }

    /// The word in the configuration and in label keys.
    pub const fn word(self) -> &'static str {
        match self {
            CheckWhen::Before => "before",
            CheckWhen::During => "during",
            CheckWhen::After => "after",
        }
    }
}

/// One person's yes to one exact plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Instant,
    /// The plan that was on the card when they clicked.
    pub digest: Digest,
}

/// A plan that the rules allow to run. Cannot be made but from a run with all its approvals
/// ([`super::state::Run::approved_plan`]).
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovedPlan {
    run: RunId,
    asked_at: Instant,
    plan: ActionPlan,
    digest: Digest,
}

impl ApprovedPlan {
    pub(super) fn new(run: RunId, asked_at: Instant, plan: ActionPlan, digest: Digest) -> Option<Self> {
        (plan.digest() == digest).then_some(Self { run, asked_at, plan, digest })
    }

    /// The run it belongs to.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// When the run was asked for. With its name it tells the run from all others, those of other databases too.
    pub fn asked_at(&self) -> Instant {
        self.asked_at
    }

    /// What was approved.
    pub fn plan(&self) -> &ActionPlan {
        &self.plan
    }

    /// Its fingerprint.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// How the execution of a plan ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// Every step is done and the verification passed.
    Done,
    /// The world moved between plan and action, and nothing was changed by this run: a new plan is asked for. Once something
    /// may have been changed it is a failure of that step.
    Stale {
        /// The step that no longer fitted, from 0.
        step: usize,
        /// What was found instead.
        found: Words,
    },
    /// A step failed, or the verification did.
    Failed {
        /// The step, from 0; `None` when every step was done and the verification failed.
        step: Option<usize>,
        /// Why.
        why: Words,
    },
    /// Nobody knows whether a step happened; a person must look.
    Unknown {
        /// The step, from 0.
        step: usize,
        /// What is known.
        why: Words,
    },
    /// A person stopped it between two steps.
    Stopped {
        /// How many steps were done.
        done: usize,
    },
}

impl Outcome {
    /// The step that it ended at is known to have changed nothing: its sentence says so.
    pub fn left_its_step_alone(&self) -> bool {
        const SAY_SO: [&str; 4] = ["step.moved", "step.unchanged", "step.unread_before", "step.unreached"];
        match self {
            Outcome::Stale { .. } => true,
            Outcome::Failed { why, .. } => SAY_SO.contains(&why.key.as_str()),
            Outcome::Done | Outcome::Unknown { .. } | Outcome::Stopped { .. } => false,
        }
    }

    /// The step that it ended at, from 0, where it is one.
    pub fn step(&self) -> Option<usize> {
        match self {
            Outcome::Stale { step, .. } | Outcome::Unknown { step, .. } => Some(*step),
            Outcome::Failed { step, .. } => *step,
            Outcome::Done | Outcome::Stopped { .. } => None,
        }
    }
}

/// How the steps of a run came to an end before the last one was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Halt {
    /// How.
    pub outcome: Outcome,
    /// The last lines of the step's output, redacted and capped.
    pub output: Option<String>,
}

impl Halt {
    /// Without any output.
    pub fn new(outcome: Outcome) -> Self {
        Self { outcome, output: None }
    }
}

/// What one check saw (field procedures H1–H7).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The check's key.
    pub check: String,
    /// What it looks at, for people.
    pub title: String,
    /// Good or bad.
    pub verdict: Verdict,
    /// The value seen, short: `200 in 41 ms`, `exit 1`.
    pub value: Words,
    /// The limit it was held against, if there is one.
    pub limit: Option<Words>,
    /// How long it took.
    pub took: Millis,
    /// The value as a figure, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figure: Option<Figure>,
    /// What it was made of, line by line, where there is more to see than the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

/// The judgement of a check, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Within its limits.
    Pass,
    /// Worth a look.
    Warn,
    /// Outside its limits.
    Fail,
    /// Gave no answer before the deadline.
    Hung,
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn plan(to: &str) -> ActionPlan {
        ActionPlan {
            action: "rollback-shop".into(),
            title: "Roll back the shop".into(),
            service: Some("shop".into()),
            class: Class::Urgent,
            steps: vec![PlannedStep {
                title: Words::verbatim(format!("Switch the shop to {to}")),
                target: "http:shop".into(),
                locks: vec![],
                from: Some("v2".into()),
                to: to.into(),
                diff: vec![],
                needs: vec![],
                risk: Risk::Reversible,
                configured_at: None,
                always: false,
                after: Vec::new(),
                provider: "http".into(),
                spec: serde_json::json!({"b": 1, "a": 2}),
            }],
            phases: vec![],
            why: vec![],
            cautions: vec![],
            will_not: vec![],
            stays_done: vec![],
            verification: vec![],
            expected: Millis::seconds(30),
        }
    }

    #[test]
    fn a_step_locks_its_target_or_what_it_names_and_old_plans_keep_their_digests() {
        let mut step = plan("v1").steps.remove(0);
        assert_eq!(step.locks(), ["http:shop"]);
        let kept = serde_json::to_value(&step).unwrap();
        assert!(kept.get("locks").is_none() && kept.get("needs").is_none() && kept.get("always").is_none(), "{kept}");
        assert_eq!(serde_json::from_value::<PlannedStep>(kept).unwrap(), step);
        step.locks = vec!["a".into(), "b".into()];
        assert_eq!(step.locks(), ["a", "b"]);
    }

    #[test]
    fn a_changed_plan_has_another_digest_and_cannot_pass_for_the_approved_one() {
        let (shown, other) = (plan("v1"), plan("v0"));
        assert_eq!(shown.digest(), plan("v1").digest());
        assert_ne!(shown.digest(), other.digest());
        let (run, at) = ("run_1_1".parse().unwrap(), Instant(1));
        assert!(ApprovedPlan::new(run, at, shown.clone(), shown.digest()).is_some());
        assert!(ApprovedPlan::new(run, at, other, shown.digest()).is_none());
    }
}
